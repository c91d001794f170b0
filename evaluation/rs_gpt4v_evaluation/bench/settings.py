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
    "sample": "--sample",
}


class SettingsError(ValueError):
    """A folder holds the results of something else; the message says of what."""


def keep(out: Path, settings: dict[str, Any], *, writes: bool) -> None:
    """Write ``settings`` into the folder ``out``, or make sure that they are the same there.

    Args:
        out: The folder of a bench.
        settings: What replies depend on, by name.
        writes: Whether this process writes them; the others find them there.

    Raises:
        SettingsError: They differ, or a process finds none.
    """
    file = out / FILE
    if not file.is_file():
        if not writes:
            raise SettingsError(
                f"{file}, which the first process wrote, is not on this machine: name a folder "
                "with --out that all machines share"
            )
        write_text(file, json.dumps(settings, indent=2) + "\n")
        return
    known = read_json(file, dict[str, Any])
    for name, value in settings.items():
        if known.get(name) != value:
            raise SettingsError(
                f"{out} holds results with {_FLAGS.get(name, name)} {_shown(known.get(name))}, and "
                f"this is {_shown(value)}: give another --out, or the same as there"
            )


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
