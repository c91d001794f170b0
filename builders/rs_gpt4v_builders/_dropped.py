"""Reads back which records a build left out, and why: the lists of `_good_records`."""

from collections import Counter
from pathlib import Path

import datasets
from typing_extensions import TypedDict

from rs_gpt4v.files import read_json_lines


class DroppedRecord(TypedDict):
    """A line of a list."""

    kind: str
    reason: str


def cache_folder(splits: datasets.DatasetDict) -> Path:
    """The folder of a build, from what was loaded out of it."""
    rows = next(iter(splits.values()))
    return Path(rows.cache_files[0]["filename"]).parent


def lists(folder: Path) -> list[tuple[str, str]]:
    """The sources and splits of which a build left out records."""
    names = (file.stem.split("-", 2) for file in sorted(folder.glob("dropped-*-*.jsonl")))
    return [(source, split) for _, source, split in names]


def dropped(folder: Path, source: str, split: str) -> dict[str, int]:
    """How many records of ``source`` were dropped from a build, by kind, most frequent first.

    Args:
        folder: The build's cache folder.
        source: `rs_gpt4v_builders.sources.source.Source.name`.
        split: One of its splits; one that was left out whole is here all the same.
    """
    file = folder / f"dropped-{source}-{split}.jsonl"
    if not file.is_file():
        return {}
    kinds = Counter(line["kind"] for line in read_json_lines(file, DroppedRecord))
    return dict(sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0])))
