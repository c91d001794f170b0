"""Reads annotation files; what is wrong with one is said with its file and the place in it."""

import codecs
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.json

from rs_gpt4v import records


class AnnotationError(ValueError):
    """An annotation file cannot be read; the message names the file and the place in it."""


_MOST_DIGITS = 100  # of a whole number; Python reads none of more than 4,300


def read_json(path: Path) -> Any:
    """Parse a JSON file, in UTF-8 or in what its byte order mark says.

    A whole number of more than 100 digits is read as its text.

    Raises:
        AnnotationError: The file is cut short, not JSON or not UTF-8, or its object has a key
            twice, of which one would be lost.
    """
    text = read_text(path)
    outermost: list[tuple[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        outermost[:] = pairs  # the outermost object is the last to be complete
        return dict(pairs)

    try:
        content = parse_json(text, keep)
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f"{path}, line {error.lineno} column {error.colno}: expected JSON, but "
            f"{_what_else(text, error)}"
        ) from error
    except RecursionError as error:
        raise AnnotationError(f"{path}: its JSON is nested too deeply") from error
    if isinstance(content, dict) and len(content) < len(outermost):
        (twice, _), *_ = Counter(key for key, _ in outermost).most_common(1)
        raise AnnotationError(f"{path}: it has the key {twice!a} twice: one would be lost")
    return content


def parse_json(
    text: str, object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """The value of a JSON text; a whole number of more than 100 digits is read as its text.

    Raises:
        JSONDecodeError: It is no JSON.
        RecursionError: It is nested too deeply.
    """
    return json.loads(text, parse_int=_whole_number, object_pairs_hook=object_pairs_hook)


def _whole_number(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MOST_DIGITS else digits


def _what_else(text: str, error: json.JSONDecodeError) -> str:
    """What is in the place of the JSON that was expected."""
    if not text.strip():
        return "the file is empty"
    if error.pos >= len(text.rstrip()):
        return f"the file ends there: it is cut short ({error.msg})"
    return f"found {text[error.pos : error.pos + 40]!r} ({error.msg})"


_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # starts with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)


_OTHER_FILES = (
    ("<", "a page of HTML or XML"),
    ("version https://git-lfs", "a pointer of Git LFS, not the file itself (`git lfs pull`)"),
)


def encoding_of(path: Path) -> str:
    """The encoding of a file: UTF-8, or what its byte order mark says."""
    with path.open("rb") as file:
        return _encoding(file.read(4))


def _encoding(start: bytes) -> str:
    return next((name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark)), "utf-8")


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, or in what its byte order mark says.

    Raises:
        AnnotationError: The file is in another encoding, or is the page that a server sent in its
            place.
    """
    content = path.read_bytes()
    encoding = _encoding(content[:4])
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise AnnotationError(
            f"{path}: byte {error.start} is not {encoding.removesuffix('-sig').upper()} "
            f"({error.reason}): the file is in another encoding, save it as UTF-8"
        ) from error
    start = text[:1000].lstrip()
    for sign, what in _OTHER_FILES:
        if start.startswith(sign):
            raise AnnotationError(f"{path}: it is {what}; it begins {start[:40]!r}")
    return text


def open_text(path: Path) -> TextIO:
    """A file opened to read its text bit by bit, in the encoding that `read_text` reads it in."""
    return path.open(encoding=encoding_of(path), newline="")


def read_json_list(path: Path, key: str) -> list[dict[str, Any]]:
    """The list of objects under ``key`` in the JSON object of ``path``.

    Raises:
        AnnotationError: As `read_json`, or there is no such list.
    """
    rows = read_list(path, key)
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise AnnotationError(
                f"{path}, {key}[{index}]: expected an object, found {described(row)}"
            )
    return rows


def read_list(path: Path, key: str) -> list[Any]:
    """The list under ``key`` in the JSON object of ``path``, whatever it holds.

    Raises:
        AnnotationError: As `read_json`, or there is no such list.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get(key), list):
        raise AnnotationError(
            f"{path}: expected an object with a list {key!r}, found {described(content)}"
        )
    return content[key]


def described(value: object) -> str:
    """A JSON value in a few words: the keys of an object, the kind of anything else."""
    if isinstance(value, dict):
        keys = [ascii(key)[1:-1] for key in list(value)[:8]]
        return f"an object with {', '.join(keys)}" if keys else "an empty object"
    if isinstance(value, list):
        return f"a list of {len(value):,}"
    return f"{value!a:.80}"


def read_json_object(path: Path, of: type[dict[str, Any]] | type[list[Any]]) -> dict[str, Any]:
    """The JSON object in ``path``, whose values are objects, or lists of objects.

    Raises:
        AnnotationError: As `read_json`, or the file holds something else.
    """
    content = read_json(path)
    kind = "lists of objects" if of is list else "objects"
    if not isinstance(content, dict):
        raise AnnotationError(
            f"{path}: expected an object that holds {kind}, found {described(content)}"
        )
    for key, value in content.items():
        odd = {} if isinstance(value, of) else {key: value}
        if of is list and not odd:
            odd = {f"{key}[{n}]": row for n, row in enumerate(value) if not isinstance(row, dict)}
        for item, value in odd.items():
            raise AnnotationError(
                f"{path}: expected an object that holds {kind}, found {described(content)}, of "
                f"which {item} is {described(value)}"
            )
    return content


def has_null_for_an_object(content: bytes | memoryview) -> bool:
    """Whether null may stand for a whole object: there, Arrow's reader ends the process (26)."""
    for match in re.finditer(rb"null", content):
        before = bytes(content[max(0, match.start() - 99) : match.start()])
        if before.rstrip(b" \t\r\n\xef\xbb\xbf")[-1:] in (b"", b"}", b"]"):
            return True
    return False


def read_json_columns(path: Path, key: str, columns: Mapping[str, pa.DataType]) -> pa.Table:
    """`read_json_list` as columns, without a Python object for each row: 136 MB in 0.8 s.

    A field that a row lacks is null; fields not in ``columns`` are skipped. A field of another type
    costs its row alone, see `rs_gpt4v.records.table`.

    Raises:
        AnnotationError: As `read_json_list`.
    """
    rows = pa.struct(list(columns.items()))
    try:
        with pa.memory_map(str(path)) as file:
            content = file.read_buffer()
            if has_null_for_an_object(memoryview(content)):
                return _slow_columns(path, key, rows)
            table = pyarrow.json.read_json(
                pa.BufferReader(content),
                # The whole file is one JSON object, so one block.
                pyarrow.json.ReadOptions(use_threads=False, block_size=content.size + 1),
                pyarrow.json.ParseOptions(
                    explicit_schema=pa.schema([(key, pa.list_(rows))]),
                    unexpected_field_behavior="ignore",
                ),
            )
        table.validate(full=True)
    except (pa.ArrowInvalid, OSError):
        return _slow_columns(path, key, rows)
    lists = table[key].combine_chunks()
    if lists.null_count or not len(lists):
        return _slow_columns(path, key, rows)
    return pa.Table.from_struct_array(lists.flatten())


def _slow_columns(path: Path, key: str, rows: pa.StructType) -> pa.Table:
    """The same through Python, which can say what is wrong and where."""
    items = enumerate(read_json_list(path, key))
    return records.table(
        [row | {"where": f"{path}, {key}[{index}]"} for index, row in items], pa.schema(list(rows))
    )
