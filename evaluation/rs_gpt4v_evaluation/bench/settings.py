"""What a bench's folder was made with: another model or sample does not go into it."""

import json
from pathlib import Path
from typing import Any

from rs_gpt4v.files import read_json, write_text

FILE = "bench.json"

_FLAGS = {
    "name": "model",
    "limit": "--limit",
    "seed": "--seed",
    "protocol": "--protocol",
    "blind_images": "--blind-images",
    "max_new_tokens": "--max-new-tokens",
    "box_format": "--box-format",
    "probes_per_image": "--probes-per-image",
    "sample": "--sample",
}


class SettingsError(ValueError):
    """A folder holds the results of something else; the message says of what."""


def check(out: Path, settings: dict[str, Any]) -> None:
    """Raise unless the folder ``out`` is new, or was made with the same ``settings``.

    Raises:
        SettingsError: They differ.
    """
    file = out / FILE
    known = read_json(file, dict[str, Any]) if file.is_file() else settings
    for name, value in settings.items():
        if known.get(name) != value:
            raise SettingsError(
                f"{out} holds results with {_FLAGS.get(name, name)} {_shown(known.get(name))}, and "
                f"this is {_shown(value)}: give another --out, or the same as there"
            )


def keep(out: Path, settings: dict[str, Any]) -> None:
    """Write ``settings``, what replies depend on, into the folder ``out``."""
    write_text(out / FILE, json.dumps(settings, indent=2) + "\n")


def check_shared(out: Path) -> None:
    """Raise unless what another process keeps in ``out`` is seen here.

    Raises:
        SettingsError: It is not: the machines do not share the folder.
    """
    if not (out / FILE).is_file():
        raise SettingsError(
            f"{out / FILE}, which the first process wrote, is not on this machine: name a folder "
            "with --out that all machines share"
        )


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
