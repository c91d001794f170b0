"""What a layout is, and what is seen of a file to recognise one."""

import csv
import json
import logging
import mmap
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from rs_gpt4v.adapt import Adaption
from rs_gpt4v.images import AS_IS, Conversion
from rs_gpt4v_builders.folder.arrow_files import ARROW_SUFFIXES, column_texts, first_row
from rs_gpt4v_builders.folder.image_names import ImageNames
from rs_gpt4v_builders.sources.dialogues import ItemError
from rs_gpt4v_builders.sources.reading import (
    AnnotationError,
    described,
    encoding_of,
    open_text,
    parse_json,
    read_text,
)

logger = logging.getLogger(__name__)

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
            if self.split is None:
                yield key, where, item
                continue
            name = named_in(item, column) if isinstance(item, dict) else None
            stated = item[name] if name is not None else None
            split = SPLITS.get(str(stated).strip().lower())
            if self.split == split:
                yield key, where, item
            elif split is None and self.rest:
                reason = f"its {column} is {described(stated)}, expected train, val or test"
                yield key, where, ItemError("unknown split", reason)


def is_text(name: str) -> bool:
    """Whether a file's name is UTF-8: tables hold no other."""
    return name.encode(errors="replace").decode() == name


def named_in(names: Iterable[str], column: str) -> str | None:
    """The one of ``names`` that is ``column``, else that is so but for blanks and case, if any."""
    same = [name for name in names if name.strip().lower() == column.strip().lower()]
    return column if column in same else next(iter(same), None)


def _stated_splits(candidate: "Candidate", columns: Mapping[str, str]) -> tuple[str, ...]:
    """The splits that items name under "split", or the column that the user calls so."""
    names = [name for item in candidate.items for name in item]
    column = named_in(names, columns.get("split", "split"))
    if column is None:
        return ()
    values = {value.strip() for value in candidate.values(column)} - {""}
    stated = {SPLITS.get(value.lower()) for value in values}
    if values and stated == {None}:
        message = "%s: its %s is %s, none of train, val and test: no split is taken from it"
        logger.warning(message, candidate.path, column, ", ".join(map(repr, sorted(values)[:5])))
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
    def items(self) -> list[dict[str, Any]]:
        """The first objects or rows, if any; the outermost object of a long JSON file is none."""
        try:
            return self.read_items()
        except _UNREADABLE:
            return []  # whoever reads the whole file says what is wrong

    @property
    def item(self) -> dict[str, Any]:
        """The first of `items`; empty where there is none."""
        return self.items[0] if self.items else {}

    def read_items(self) -> list[dict[str, Any]]:
        """The same of a file that can be read.

        Raises:
            AnnotationError: It cannot.
        """
        if self.suffix not in _FIRST_ITEMS:
            return []
        try:
            return _FIRST_ITEMS[self.suffix](self.path)
        except UnicodeDecodeError:
            read_text(self.path)  # says where
            raise
        except AnnotationError:
            raise
        except _UNREADABLE as error:
            raise AnnotationError(f"{self.path}: {error}") from error

    def why_unknown(self) -> str:
        """What there is in place of annotations, for a person."""
        if self.path.is_dir():
            return ""
        if not self.path.is_file():
            return "no regular file"
        if not self.path.stat().st_size:
            return "the file is empty"
        try:
            items = self.read_items()
        except _UNREADABLE as error:
            return str(error).removeprefix(f"{self.path}").lstrip(":, ")
        return f"it starts with {described(items[0])}" if items else "no object is at its start"

    def has(self, key: str) -> bool:
        """Whether a JSON file, somewhere, has an object with ``key``."""
        pattern = rb'"%s"\s*:' % re.escape(key.encode())
        return self.suffix == ".json" and next(self._search(pattern), None) is not None

    def values(self, column: str) -> set[str]:
        """The different texts of a column."""
        if self.suffix in ARROW_SUFFIXES:
            return column_texts(self.path, column)
        if self.suffix in DELIMITERS:
            with open_text(self.path) as file:
                head, *rows = table_lines(file, self.suffix)
            place = head.index(column)
            return {row[place] for row in rows if len(row) > place}
        pattern = rb'"%s"\s*:\s*"([^"\\]*)"' % re.escape(column.encode())
        return {match[1].decode(errors="replace") for match in self._search(pattern)}

    def _search(self, pattern: bytes) -> Iterator[re.Match[bytes]]:
        if not self.path.is_file() or not self.path.stat().st_size:
            return
        if encoding_of(self.path) not in ("utf-8", "utf-8-sig"):
            yield from re.finditer(pattern, read_text(self.path).encode(errors="replace"))
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


_LIST = re.compile(r'\s*(?:\{\s*"data"\s*:\s*)?\[')
_BETWEEN = re.compile(r"[\s,]*")


def _first_of_json(path: Path) -> list[dict[str, Any]]:
    """The first objects of a list, or the file's one object if it is a short one."""
    with open_text(path) as file:
        content = file.read(_ENOUGH)
        opened = _LIST.match(content)
        try:
            return _objects_from(content, opened.end() if opened else 0)
        except ValueError:
            if not opened:  # a long object, which is no item: it would take seconds
                return []
            return _objects_from(content + file.read(), opened.end())


def _objects_from(content: str, start: int) -> list[dict[str, Any]]:
    """The objects among the first values; a value that is cut short ends them.

    Raises:
        ValueError: There is none before it.
    """
    decoder = json.JSONDecoder(parse_int=str)  # Python reads no number of 4,301 digits
    found: list[dict[str, Any]] = []
    for _ in range(_LOOKED_AT):
        start = _BETWEEN.match(content, start).end()  # type: ignore[union-attr]
        if content.startswith("]", start):
            break
        try:
            item, start = decoder.raw_decode(content, start)
        except ValueError:
            if not found:
                raise
            break
        found += [item] if isinstance(item, dict) and item else []
    return found


def _first_lines(path: Path) -> list[dict[str, Any]]:
    with open_text(path) as file:
        lines = list(islice(filter(str.strip, file), _LOOKED_AT))
    found: list[dict[str, Any]] = []
    for line in lines:
        try:
            item = parse_json(line)
        except (ValueError, RecursionError):
            continue  # costs its own line alone
        found += [item] if isinstance(item, dict) and item else []
    return found


def table_lines(text: TextIO, suffix: str, *, strict: bool = False) -> Any:
    """The lines of a table from its head on, as `csv.reader` splits them.

    The columns of CSV may be parted by ";" or tabs, as some programs do: where its head has no ",".
    """
    head = text.readline()
    text.seek(0)
    delimiter = DELIMITERS[suffix]
    if suffix == ".csv" and "," not in head:
        delimiter = next((sign for sign in ";\t" if sign in head), delimiter)
    return csv.reader(text, delimiter=delimiter, strict=strict)


def _first_row(path: Path) -> list[dict[str, Any]]:
    with open_text(path) as file:
        lines = table_lines(file, path.suffix.lower())
        head, row = next(lines, []), next(lines, [])
    return [{name: row[n] if n < len(row) else "" for n, name in enumerate(head)}] if head else []


def _first_of_arrow(path: Path) -> list[dict[str, Any]]:
    return [row] if (row := first_row(path)) else []


_LOOKED_AT = 10  # values of a file: the first may be broken
_UNREADABLE = (ValueError, RecursionError, OSError, csv.Error, pa.ArrowException)
_FIRST_ITEMS: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
    ".json": _first_of_json,
    ".jsonl": _first_lines,
    ".ndjson": _first_lines,
    ".csv": _first_row,
    ".tsv": _first_row,
    ".parquet": _first_of_arrow,
    ".arrow": _first_of_arrow,
}
