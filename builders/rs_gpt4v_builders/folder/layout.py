"""What a layout is, and what is seen of a file to recognise one."""

import codecs
import csv
import json
import mmap
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from rs_gpt4v.adapt import Adaption
from rs_gpt4v.images import AS_IS, Conversion
from rs_gpt4v_builders.folder.arrow_files import ARROW_SUFFIXES, column_texts, first_row
from rs_gpt4v_builders.folder.image_names import ImageNames
from rs_gpt4v_builders.sources.dialogues import ItemError
from rs_gpt4v_builders.sources.reading import described, encoding_of, read_text

Adapt = Callable[[pa.Table, Adaption], pa.Table]
DELIMITERS = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", *ARROW_SUFFIXES)
"""Files that may hold annotations; folders of ``.txt`` and ``.xml`` may as well."""

SPLITS = {
    **dict.fromkeys(("train", "training", "trainval", "restval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What people call splits, and what we do; in our order."""

_ENOUGH = 1 << 20  # bytes that hold a first item, but for long dialogues


@dataclass(frozen=True, slots=True)
class Reading:
    """What a layout is read with.

    Args:
        images: Finds the images that the file names.
        columns: The user's names of columns, by ours.
        conversion: What is done with images that are not 8-bit.
        text_boxes: How boxes in texts are meant: `rs_gpt4v_builders.folder.dialogue_boxes.NAMES`.
        box_format: The codec in which they shall be written; None: as they are.
        split: Of a file that states the splits of its records, which to read; None: all.
        rest: Whether to read those of no known split, each of which has that as its problem.
    """

    images: ImageNames
    columns: Mapping[str, str] = field(default_factory=dict)
    conversion: Conversion = AS_IS
    text_boxes: str = "auto"
    box_format: str | None = None
    split: str | None = None
    rest: bool = False

    def of_split(
        self, items: Iterable[tuple[str, str, Any]], column: str = "split"
    ) -> Iterator[tuple[str, str, Any]]:
        """The items, each with its key and place, of the split that ``column`` states.

        In the place of one of no known split is an `ItemError`.
        """
        for key, where, item in items:
            stated = item.get(column) if isinstance(item, dict) else None
            split = SPLITS.get(str(stated).strip().lower())
            if self.split in (None, split):
                yield key, where, item
            elif split is None and self.rest:
                reason = f"its {column} is {described(stated)}, expected train, val or test"
                yield key, where, ItemError("unknown split", reason)


def _stated_splits(candidate: "Candidate", columns: Mapping[str, str]) -> tuple[str, ...]:
    """The splits that items name under "split", or the column that the user calls so."""
    column = columns.get("split", "split")
    if column not in candidate.item:
        return ()
    stated = {SPLITS.get(value.strip().lower()) for value in candidate.values(column)}
    return tuple(split for split in dict.fromkeys(SPLITS.values()) if split in stated)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """How annotations lie in a file, or in a folder of files.

    Args:
        name: What ``layout=`` takes.
        title: What a person calls it.
        matches: Whether a file is of this layout, by its content alone.
        read: ``read(path, reading)`` returns one of the tables of `rs_gpt4v.records`, in the order
            of the file. It gives each record ``where`` (file and line or item), the name of its
            image as ``reading.images`` finds it, and broken values as problems of their record. A
            file of another form is an `AnnotationError`.
        rows: What its records become, by the names that ``tasks=`` takes.
        splits: ``splits(candidate, columns)`` returns the splits that a file itself states; where
            it states any, ``read`` returns the records of ``reading.split`` alone.
        lists: What else is read for a file: a change in it makes earlier rows stale.
    """

    name: str
    title: str
    matches: Callable[["Candidate"], bool] = field(repr=False)
    read: Callable[[Path, Reading], pa.Table] = field(repr=False)
    rows: Mapping[str, Adapt] = field(repr=False)
    splits: Callable[["Candidate", Mapping[str, str]], tuple[str, ...]] = field(
        default=_stated_splits, repr=False
    )
    lists: Callable[[Path], Iterable[Path]] = field(default=lambda _: (), repr=False)


class Candidate:
    """A file or folder that may hold annotations; reads no more of it than is asked for.

    ``columns`` are the user's names of columns, by ours.
    """

    def __init__(self, path: Path, columns: Mapping[str, str] | None = None) -> None:
        self.path = path
        self.columns = columns or {}
        self.suffix = path.suffix.lower() if path.is_file() else ""

    @cached_property
    def item(self) -> dict[str, Any]:
        """The first item, line or row; the outermost object of a JSON file has none."""
        try:
            return _FIRST_ITEM[self.suffix](self.path) if self.suffix in _FIRST_ITEM else {}
        except (ValueError, OSError, csv.Error, pa.ArrowException):
            return {}  # whoever reads the whole file says what is wrong

    def has(self, key: str) -> bool:
        """Whether a JSON file, somewhere, has an object with ``key``."""
        pattern = rb'"%s"\s*:' % re.escape(key.encode())
        return self.suffix == ".json" and next(self._search(pattern), None) is not None

    def values(self, column: str) -> set[str]:
        """The different texts of a column."""
        if self.suffix in ARROW_SUFFIXES:
            return column_texts(self.path, column)
        if self.suffix in DELIMITERS:
            with self.path.open(encoding=encoding_of(self.path), newline="") as file:
                rows = csv.DictReader(file, delimiter=DELIMITERS[self.suffix])
                return {row.get(column) or "" for row in rows}
        pattern = rb'"%s"\s*:\s*"([^"\\]*)"' % re.escape(column.encode())
        return {match[1].decode(errors="replace") for match in self._search(pattern)}

    def _search(self, pattern: bytes) -> Iterator[re.Match[bytes]]:
        if not self.path.is_file() or not self.path.stat().st_size:
            return
        if encoding_of(self.path) not in ("utf-8", "utf-8-sig"):
            yield from re.finditer(pattern, read_text(self.path).encode())
            return
        with (
            self.path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            yield from re.finditer(pattern, content)

    def files(self, suffix: str) -> list[Path]:
        """The files of a folder with ``suffix``, by name."""
        if not self.path.is_dir():
            return []
        files = (p for p in self.path.iterdir() if p.suffix.lower() == suffix and p.is_file())
        return sorted(files, key=lambda path: path.name)


_LIST = re.compile(rb'\s*(?:\{\s*"data"\s*:\s*)?\[\s*')


def _first_of_json(path: Path) -> dict[str, Any]:
    """The first object of a list, or the file's one object if it is a short one."""
    if encoding_of(path) not in ("utf-8", "utf-8-sig"):
        content = read_text(path).encode()
        return _object_at(content, opened.end() if (opened := _LIST.match(content)) else 0)
    with path.open("rb") as file:
        content = file.read(_ENOUGH).removeprefix(codecs.BOM_UTF8)
        opened = _LIST.match(content)
        try:
            return _object_at(content, opened.end() if opened else 0)
        except ValueError:
            if not opened:  # a long object, which is no item: it would take seconds
                return {}
            return _object_at(content + file.read(), opened.end())


def _object_at(content: bytes, start: int) -> dict[str, Any]:
    text = content[start:].decode(errors="ignore").lstrip()
    item, _ = json.JSONDecoder().raw_decode(text)
    return item if isinstance(item, dict) else {}


def _first_line(path: Path) -> dict[str, Any]:
    with path.open(encoding=encoding_of(path)) as file:
        item = json.loads(next((line for line in file if line.strip()), "null"))
    return item if isinstance(item, dict) else {}


def _first_row(path: Path) -> dict[str, Any]:
    with path.open(encoding=encoding_of(path), newline="") as file:
        lines = csv.reader(file, delimiter=DELIMITERS[path.suffix.lower()])
        head, *rows = islice(lines, 2)
    return dict(zip(head, rows[0] if rows else [""] * len(head), strict=False))


_FIRST_ITEM: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".json": _first_of_json,
    ".jsonl": _first_line,
    ".ndjson": _first_line,
    ".csv": _first_row,
    ".tsv": _first_row,
    ".parquet": first_row,
    ".arrow": first_row,
}
