"""What a layout is, and what is seen of a file to recognise one."""

import csv
import json
import mmap
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rs_gpt4v.adapt import Adaption
from rs_gpt4v.images import AS_IS, Conversion
from rs_gpt4v_builders.folder.image_names import ImageNames

Adapt = Callable[[pa.Table, Adaption], pa.Table]
SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
"""Files that may hold annotations; folders of ``.txt`` and ``.xml`` may as well."""

_ENOUGH = 1 << 20  # bytes that hold a first item, but for long dialogues


@dataclass(frozen=True, slots=True)
class Reading:
    """What a layout is read with.

    Args:
        images: Finds the images that the file names.
        columns: The user's names of columns, by ours.
        conversion: What is done with images that are not 8-bit.
    """

    images: ImageNames
    columns: Mapping[str, str] = field(default_factory=dict)
    conversion: Conversion = AS_IS


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
    """

    name: str
    title: str
    matches: Callable[["Candidate"], bool] = field(repr=False)
    read: Callable[[Path, Reading], pa.Table] = field(repr=False)
    rows: Mapping[str, Adapt] = field(repr=False)


class Candidate:
    """A file or folder that may hold annotations; reads no more of it than is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
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
        if self.suffix != ".json" or not self.path.stat().st_size:
            return False
        with (
            self.path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            return re.search(rb'"%s"\s*:' % key.encode(), content) is not None

    def first(self, suffix: str) -> Path | None:
        """The first file of a folder with ``suffix`` by its name."""
        if not self.path.is_dir():
            return None
        files = (p for p in self.path.iterdir() if p.suffix.lower() == suffix and p.is_file())
        return min(files, key=lambda path: path.name, default=None)


def _first_of_json(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        content = file.read(_ENOUGH)
        try:
            return _first_object(content)
        except ValueError:
            return _first_object(content + file.read())


_LIST = re.compile(r'\s*(?:\{\s*"data"\s*:\s*)?\[\s*')


def _first_object(content: bytes) -> dict[str, Any]:
    """The first object of a JSON list, or the object itself; of a start of it, if that is whole."""
    text = content.decode("utf-8-sig", errors="ignore")
    opened = _LIST.match(text)
    start = opened.end() if opened else len(text) - len(text.lstrip())
    item, _ = json.JSONDecoder().raw_decode(text, start)
    return item if isinstance(item, dict) else {}


def _first_line(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8-sig") as file:
        item = json.loads(next((line for line in file if line.strip()), "null"))
    return item if isinstance(item, dict) else {}


def _first_row(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
        head, *rows = islice(csv.reader(file, delimiter=delimiter), 2)
    return dict(zip(head, rows[0] if rows else [""] * len(head), strict=False))


def _first_of_parquet(path: Path) -> dict[str, Any]:
    with pq.ParquetFile(path) as file:
        rows = next(file.iter_batches(1), None)
        return rows.to_pylist()[0] if rows is not None and rows.num_rows else {}


_FIRST_ITEM: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".json": _first_of_json,
    ".jsonl": _first_line,
    ".ndjson": _first_line,
    ".csv": _first_row,
    ".tsv": _first_row,
    ".parquet": _first_of_parquet,
}
