"""The folder of an export: which export it belongs to."""

import json
from pathlib import Path
from typing import Any

from rs_gpt4v.files import UNFINISHED, InvalidFileError, read_json, replacing

MARKER = "rs_gpt4v_export.json"
"""Holds the settings of an export, so that the same call may continue it and no other."""

LOCK = f"{MARKER}.lock"
"""Exists while an export is running, and after one that was killed."""


class ExportFolderError(ValueError):
    """The folder to export into holds something that this export would spoil."""


def refuse_other(out: Path, settings: dict[str, Any]) -> None:
    """Raise unless ``out`` is new, empty, or of the export with these ``settings``.

    Raises:
        ExportFolderError: It is another export's, or holds files that are no export's.
    """
    if out.is_file():
        raise ExportFolderError(f"{out} is a file: give a new or empty folder")
    marker = out / MARKER
    if not marker.is_file():
        if out.exists() and any(
            file.suffix != UNFINISHED and file.name != LOCK for file in out.iterdir()
        ):
            raise ExportFolderError(
                f"{out} is not empty and holds no export ({MARKER}): give a new folder, or empty it"
            )
        return
    try:
        earlier = read_json(marker, dict[str, Any])
    except InvalidFileError as error:
        raise ExportFolderError(f"{error}. Give a new folder, or delete that one.") from None
    now = json.loads(_json(settings))
    changed = [key for key in {**earlier, **now} if earlier.get(key) != now.get(key)]
    if changed == ["releases"]:
        raise ExportFolderError(
            f"{out} was exported from releases that have changed since, or by another version "
            "of this package. Give a new folder, or delete that one."
        )
    if changed:
        was = ", ".join(f"{key}={earlier.get(key)!r} (now {now.get(key)!r})" for key in changed)
        raise ExportFolderError(
            f"{out} holds another export: {was}. Give a new folder, or delete that one."
        )


def claim(out: Path, settings: dict[str, Any]) -> None:
    """Make ``out`` the folder of the export with these ``settings``."""
    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / MARKER) as file:
        file.write(_json(settings))


def _json(settings: dict[str, Any]) -> bytes:
    return (json.dumps(settings, indent=2, default=str) + "\n").encode()
