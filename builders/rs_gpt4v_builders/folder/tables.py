"""Captions and questions as tables: CSV, TSV, Parquet, a JSON list or a JSON object a line.

A row has an image and a caption (or a list of them), or an image, a question and its answer. The
captions of one image are joined, each a reference of it. Columns are recognised by the names in
`ALIASES`, or the user says which is which: ``columns={"caption": "text_en"}``.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from rs_gpt4v import adapt, records
from rs_gpt4v_builders.folder.arrow_files import ARROW_SUFFIXES, read_rows
from rs_gpt4v_builders.folder.dialogues import is_query_of_dialogue
from rs_gpt4v_builders.folder.layout import DELIMITERS, Candidate, Layout, Reading, table_lines
from rs_gpt4v_builders.sources import dialogues
from rs_gpt4v_builders.sources.dialogues import ItemError
from rs_gpt4v_builders.sources.reading import AnnotationError, described, open_text, read_text

Row = dict[str, Any]

ALIASES: dict[str, list[str]] = {
    "image": [
        "images",
        "image_path",
        "image_name",
        "image_id",
        "file_name",
        "filename",
        "file_path",
        "path",
        "img",
    ],
    "caption": ["captions", "text", "sentence", "sentences", "description"],
    "question": ["query", "text"],
    "answer": ["ground_truth", "groundtruth", "response"],
    "question_type": ["type", "category"],
    "id": ["question_id", "key"],
    "split": [],
}
"""Our columns, and other names, in any case, for which they are taken."""

_OURS = {name: ours for ours, aliases in ALIASES.items() for name in (ours, *aliases)}
_NEEDED = {"captions": ("image", "caption"), "questions": ("image", "question", "answer")}


def columns_of(names: list[str], chosen: Mapping[str, str], path: Path) -> dict[str, str]:
    """The file's name of each of our columns that it has.

    Args:
        names: The file's columns.
        chosen: The user's ``columns=``.
        path: The file, for errors.

    Raises:
        AnnotationError: A chosen column is not there, or two may be meant.
    """
    if absent := [name for name in chosen.values() if name not in names]:
        raise AnnotationError(
            f"{path}: no column {', '.join(map(repr, absent))}; there are {', '.join(names)}"
        )
    if twice := [name for name in chosen.values() if names.count(name) > 1]:
        raise AnnotationError(f"{path}: it has the column {twice[0]!r} twice: one would be lost")
    found = dict(chosen)
    for ours, aliases in ALIASES.items():
        same = [name for name in names if name.strip().lower() == ours]
        same = same or [name for name in names if name.strip().lower() in aliases]
        if ours not in chosen and len(same) > 1:
            raise AnnotationError(
                f"{path}: {' and '.join(map(repr, same))} may each be the {ours}: say which with "
                f"columns={{{ours!r}: {same[0]!r}}}"
            )
        if same:
            found.setdefault(ours, same[0])
    return found


def _has(candidate: Candidate, kind: str) -> bool:
    names = {name.strip().lower() for name in candidate.item}
    names |= {ours for ours, theirs in candidate.columns.items() if theirs in candidate.item}
    if names & {*dialogues.LISTS} or is_query_of_dialogue(candidate.item):
        return False
    if kind == "captions" and names & {"answer", *ALIASES["answer"]}:
        names.discard("text")  # which is then the question
    return all(names.intersection((ours, *ALIASES[ours])) for ours in _NEEDED[kind])


def _read_captions(path: Path, reading: Reading) -> pa.Table:
    rows: dict[str, Row] = {}
    for row in _rows(path, reading, "captions"):
        captions = row["caption"] if isinstance(row["caption"], list) else [row["caption"]]
        row |= {"key": row["name"] or row["key"], "captions": captions}
        first = rows.setdefault(row["image"] or row["where"], row)
        if first is not row:
            first["captions"] = [*first["captions"], *captions]
            first["problem"] = first["problem"] or row["problem"]
    return records.table(list(rows.values()), records.CAPTIONS)


def _read_questions(path: Path, reading: Reading) -> pa.Table:
    rows = list(_rows(path, reading, "questions"))
    for row in rows:
        # JSON and Parquet have numbers where a text is meant.
        row["answer"] = str(row["answer"]) if type(row["answer"]) is int else row["answer"]
        row["question_type"] = row.get("question_type") or None
    return records.table(rows, records.QUESTIONS)


def _rows(path: Path, reading: Reading, kind: str) -> Iterator[Row]:
    """Each row by our names, with its ``image``, ``key``, ``where`` and ``problem``.

    ``name`` is what the file calls the image.
    """
    entries = list(items(path))
    names = _names(path, [item for _, item in entries])
    columns = columns_of(names, reading.columns, path)
    if missing := [ours for ours in _NEEDED[kind] if ours not in columns]:
        raise AnnotationError(
            f"{path}: no column for the {' and the '.join(missing)}; it has "
            f"{', '.join(names) or 'none'}. Say which is which with "
            f'columns={{"{missing[0]}": "NAME", ...}}'
        )
    images = reading.images.of(
        value
        for _, item in entries
        if isinstance(item, dict) and isinstance(value := item.get(columns["image"]), str)
    )
    find = lru_cache(None)(images.one)
    keys = dialogues.keys([_with_id(item, columns) for _, item in entries])
    keyed = ((key, *item) for key, item in zip(keys, entries, strict=True))
    for key, where, item in reading.of_split(keyed, columns.get("split", "split")):
        row: Row = {"key": key, "where": where, "problem": None, "name": None}
        row |= dict.fromkeys(_NEEDED[kind])
        try:
            row |= _by_our_names(item, columns)
            row["name"] = _image_name(row["image"], columns["image"])
            row["image"] = find(row["name"])
        except ItemError as problem:
            problem_kind, reason = problem.args
            row |= {"image": None, "problem": (problem_kind, f"{where}: {reason}")}
        yield row


def _names(path: Path, items: list[Any]) -> list[str]:
    """The columns of a table: its head, or the names that its objects have."""
    if path.suffix.lower() in DELIMITERS:
        with open_text(path) as file:
            return next(table_lines(file, path.suffix.lower()), [])
    objects = [item for item in items if isinstance(item, dict)]
    names = list(objects[0]) if objects else []
    ours = {_OURS.get(name.strip().lower()) for name in names} - {None}
    # The first item need not have all columns; its own names count before those of others.
    rest = (name for item in objects for name in item)
    return list(dict.fromkeys([*names, *(n for n in rest if _OURS.get(n.lower()) not in ours)]))


def _by_our_names(item: Any, columns: Mapping[str, str]) -> Row:
    if isinstance(item, ItemError):
        raise item
    if not isinstance(item, dict):
        reason = f"expected an object, found {described(item)}"
        raise ItemError("item of another form", reason)
    return {ours: item.get(name) for ours, name in columns.items() if ours != "id"}


def _with_id(item: Any, columns: Mapping[str, str]) -> Any:
    return {"id": item.get(columns.get("id"))} if isinstance(item, dict) else item


def _image_name(value: Any, column: str) -> str:
    """The name of a row's image."""
    if isinstance(value, list) and len(value) == 1:
        (value,) = value
    if isinstance(value, dict):
        value = value.get("path")
    if not isinstance(value, str) or not value.strip():
        raise ItemError("no image", f"{column!r} is {described(value)}, expected an image's name")
    return value


def items(path: Path) -> Iterator[tuple[str, Any]]:
    """The rows of a table, each with where it stands."""
    suffix = path.suffix.lower()
    if suffix in ARROW_SUFFIXES:
        yield from read_rows(path)
    elif suffix in DELIMITERS:
        yield from _lines(path)
    else:
        yield from dialogues.items(path)


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    text = io.StringIO(read_text(path), newline="")
    lines = table_lines(text, path.suffix.lower(), strict=True)
    start = 1
    try:
        head = next(lines, [])
        start = lines.line_num + 1
        for fields in lines:
            where, start = f"{path}, line {lines.line_num}", lines.line_num + 1
            if len(fields) == len(head):
                yield where, dict(zip(head, fields, strict=True))
            elif fields:
                reason = f"it has {len(fields)} fields, expected {len(head)} as in the head"
                yield where, ItemError("line of another length", reason)
    except csv.Error as error:
        raise AnnotationError(
            f"{path}, line {start}: {error}. A field that starts with a quote ends with the next "
            "one: write quotes inside it twice"
        ) from error


CAPTIONS = Layout(
    "captions",
    "a table of captions",
    lambda candidate: _has(candidate, "captions"),
    _read_captions,
    {"caption": adapt.captions},
)
QUESTIONS = Layout(
    "questions",
    "a table of questions",
    lambda candidate: _has(candidate, "questions"),
    _read_questions,
    {"vqa": adapt.questions},
)
