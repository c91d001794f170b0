"""Dialogues of LLaVA, ShareGPT, LLaMA-Factory, ms-swift and TRL.

All of them are read by `rs_gpt4v_builders.sources.dialogues`: they differ in names alone. Rows may
have several images, or none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from rs_gpt4v import adapt, records
from rs_gpt4v_builders.folder.arrow_files import ARROW_SUFFIXES, read_rows
from rs_gpt4v_builders.folder.dialogue_boxes import with_boxes
from rs_gpt4v_builders.folder.dialogue_columns import read_columns, without_nulls
from rs_gpt4v_builders.folder.layout import Candidate, Layout, Reading
from rs_gpt4v_builders.sources import dialogues
from rs_gpt4v_builders.sources.reading import AnnotationError


def _read(path: Path, reading: Reading) -> pa.Table:
    is_table = path.suffix.lower() in ARROW_SUFFIXES
    first = Candidate(path).item
    is_plain = reading.split is None and not is_table and not _is_other(first)
    table = read_columns(path, first, reading.images) if is_plain else None
    if table is not None:
        return _checkable(table, path, reading)
    items = _rows(path) if is_table else dialogues.items(path)
    scale = _scale(path, [item for _, item in items])
    if scale and reading.text_boxes == "auto":
        reading = replace(reading, text_boxes=scale)
    return _checkable(_records(items, reading), path, reading)


def _checkable(table: pa.Table, path: Path, reading: Reading) -> pa.Table:
    return records.with_required(with_boxes(table, path, reading), records.DIALOGUES)


def _rows(path: Path) -> list[tuple[str, Any]]:
    return [(where, without_nulls(row)) for where, row in read_rows(path)]


def _records(items: list[tuple[str, Any]], reading: Reading) -> pa.Table:
    names = reading.images.of(name for _, item in items for name in dialogues.names_in(item))
    find = lru_cache(None)(names.one)
    keys = dialogues.keys([item for _, item in items])
    keyed = ((key, *item) for key, item in zip(keys, items, strict=True))
    rows = [
        {"key": key, **dialogues.record(item, where, find, needs_image=False)}
        for key, where, item in reading.of_split(keyed)
    ]
    return records.table(rows, records.DIALOGUES)


def _has_turns(item: dict[str, Any], key: str) -> bool:
    turns = dialogues.as_list(item.get(key))
    return isinstance(turns, list) and bool(turns) and isinstance(turns[0], dict)


def _is_llava(candidate: Candidate) -> bool:
    return _has_turns(candidate.item, "conversations")


def _is_messages(candidate: Candidate) -> bool:
    return _has_turns(candidate.item, "messages")


def _is_other(item: dict[str, Any]) -> bool:
    """Whether the fast reader knows no such items."""
    is_plain = any(isinstance(item.get(name), list) for name in ("conversations", "messages"))
    return not is_plain or "source_dataset" in item


def _scale(path: Path, items: Iterable[Any]) -> str | None:
    """The codec in whose scale ``objects`` have their boxes; None where there are none.

    Raises:
        AnnotationError: Boxes of one file are of two scales.
    """
    objects = [item.get("objects") for item in items if isinstance(item, dict)]
    stated = {
        str(of_item.get("bbox_type") or "real")
        for of_item in objects
        if isinstance(of_item, dict) and of_item.get("bbox")
    }
    if not stated:
        return None
    if len(stated) > 1 or not stated <= _SCALES.keys():
        raise AnnotationError(
            f"{path}: objects have bbox_type {' and '.join(sorted(stated))}, expected one in a "
            "file: real (pixels) or norm1 (shares of the sides)"
        )
    return _SCALES[stated.pop()]


_SCALES = {"real": "pixels", "norm1": "llava"}
_OF_MS_SWIFT = ("history", "system", "objects")


def is_query_of_dialogue(item: Mapping[str, Any]) -> bool:
    """Whether ``query`` and ``response`` are a turn of ms-swift's, and no row of a table."""
    names = item.keys()
    return {"query", "response"} <= names and not names.isdisjoint(_OF_MS_SWIFT)


def _is_instructions(candidate: Candidate) -> bool:
    item = candidate.item
    if "instruction" in item and "output" in item:
        return True
    return is_query_of_dialogue(item) or any(
        isinstance(item.get(name), list | dict) for name in ("conversation", "conv")
    )


def _is_any(candidate: Candidate) -> bool:
    item = candidate.item
    return dialogues.is_answered(item) or any(name in item for name in dialogues.LISTS)


ROWS = {"conversation": adapt.conversation}
"""What dialogues become, whatever wrote them."""

LLAVA = Layout("llava", "conversations of LLaVA or ShareGPT", _is_llava, _read, ROWS)
MESSAGES = Layout("messages", "messages of TRL or ms-swift", _is_messages, _read, ROWS)
INSTRUCTIONS = Layout(
    "instructions",
    "questions with their answers of Alpaca, ms-swift or LHRS-Bot",
    _is_instructions,
    _read,
    ROWS,
)
TOOLS = tuple(
    Layout(name, f"dialogues of {title}", _is_any, _read, ROWS)
    for name, title in (
        ("sharegpt", "ShareGPT"),
        ("llama_factory", "LLaMA-Factory"),
        ("ms_swift", "ms-swift"),
        ("trl", "TRL"),
    )
)
"""What people call the same by the tool: all forms of dialogues, and never what is recognised."""
