"""The folder of an export: whose it is."""

import json
from pathlib import Path
from typing import Any

from rs_gpt4v.files import UNFINISHED, InvalidFileError, read_json, replacing

MARKER = "rs_gpt4v_export.json"
"""Says what an export was asked for, so that the same call may go on with it and no other."""


LOCK = f"{MARKER}.lock"
"""Is there while an export is at work, and after one that was killed."""


class ExportFolderError(ValueError):
    """The folder to export into holds something that this export would spoil."""


def refuse_other(out: Path, asked: dict[str, Any]) -> None:
    """Raise unless ``out`` is new, empty, or of the export that ``asked`` describes.

    Raises:
        ExportFolderError: It is another export's, or holds files that are no export's.
    """
    if out.is_file():
        raise ExportFolderError(f"{out} is a file: give a new or empty folder")
    marker = out / MARKER
    if not marker.is_file():
        if out.exists() and any(_is_kept(file) for file in out.iterdir()):
            raise ExportFolderError(
                f"{out} is not empty and holds no export ({MARKER}): give a new folder, or empty it"
            )
        return
    try:
        earlier = read_json(marker, dict[str, Any])
    except InvalidFileError as error:
        raise ExportFolderError(f"{error}. Give a new folder, or delete that one.") from None
    now = json.loads(_json(asked))
    other = [key for key in {**earlier, **now} if earlier.get(key) != now.get(key)]
    if other:
        if other == ["releases"]:
            raise ExportFolderError(
                f"{out} was exported from releases that have changed since, or by another version "
                "of this package. Give a new folder, or delete that one."
            )
        was = ", ".join(f"{key}={earlier.get(key)!r} (now {now.get(key)!r})" for key in other)
        raise ExportFolderError(
            f"{out} holds another export: {was}. Give a new folder, or delete that one."
        )


def _is_kept(file: Path) -> bool:
    """Whether a file is neither one cut short nor the mark that an export is at work."""
    return file.suffix != UNFINISHED and file.name != LOCK


def claim(out: Path, asked: dict[str, Any]) -> None:
    """Make ``out`` the folder of the export that ``asked`` describes."""
    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / MARKER) as file:
        file.write(_json(asked))


def _json(asked: dict[str, Any]) -> bytes:
    return (json.dumps(asked, indent=2, default=str) + "\n").encode()
