"""Reads back which records a build left out, and why: the lists of `_good_records`."""

import json
import re
from collections import Counter
from pathlib import Path

import datasets

_KINDS = (
    (" is missing$", "image is missing"),
    (" cannot be decoded: ", "image cannot be decoded"),
    (" is no regular file: ", "image is no regular file"),
    (" told by its content", "image is of another format"),
    (" has pixels of ", "image has deep pixels or many bands"),
    (" cut it into tiles$", "image has too many pixels"),
    ("^its image is .*/test", "image is a test image"),
    (" is no image name inside ", "image name leaves the release"),
    (" has no area in the image ", "box without an area"),
    ("its box has [0-9]+ numbers", "box of neither 4 nor 8 numbers"),
    ("object [0-9]+ has no name$", "object without a name"),
    ("object [0-9]+ has no box$", "object without a box"),
)
"""What a reason that names its file or numbers says of every record like it."""


def cache_folder(splits: datasets.DatasetDict) -> Path:
    """The folder of a build, from what was loaded out of it."""
    rows = next(iter(splits.values()))
    return Path(rows.cache_files[0]["filename"]).parent


def lists(folder: Path) -> list[tuple[str, str]]:
    """The sources and splits of which a build left out records."""
    names = (file.stem.split("-", 2) for file in sorted(folder.glob("dropped-*-*.jsonl")))
    return [(source, split) for _, source, split in names]


def dropped(folder: Path, source: str, split: str) -> dict[str, int]:
    """How many records of ``source`` were dropped from a build, by reason, most frequent first.

    Args:
        folder: The build's cache folder.
        source: `rs_gpt4v.source.Source.name`.
        split: One of its splits; one that was left out whole is here all the same.
    """
    file = folder / f"dropped-{source}-{split}.jsonl"
    if not file.is_file():
        return {}
    lines = file.read_text(encoding="utf-8").splitlines()
    kinds = Counter(_kind(json.loads(line)["reason"]) for line in lines)
    return dict(sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0])))


def _kind(reason: str) -> str:
    return next((said for pattern, said in _KINDS if re.search(pattern, reason)), reason)
