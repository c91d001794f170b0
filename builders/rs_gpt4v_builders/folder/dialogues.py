"""Dialogues of LLaVA, ShareGPT, LLaMA-Factory, ms-swift and TRL.

All of them are read by `rs_gpt4v_builders.sources.dialogues`: they differ in names alone. Rows may
have several images, or none.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from rs_gpt4v import adapt, records
from rs_gpt4v_builders.folder.dialogue_boxes import with_boxes
from rs_gpt4v_builders.folder.dialogue_columns import read_columns
from rs_gpt4v_builders.folder.layout import Candidate, Layout, Reading
from rs_gpt4v_builders.sources import dialogues


def _read(path: Path, reading: Reading) -> pa.Table:
    return with_boxes(_records(path, reading), path, reading)


def _records(path: Path, reading: Reading) -> pa.Table:
    first = Candidate(path).item
    if reading.split is None and (table := read_columns(path, first, reading.images)) is not None:
        return table
    items = dialogues.items(path)
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
    turns = item.get(key)
    return isinstance(turns, list) and bool(turns) and isinstance(turns[0], dict)


def _is_llava(candidate: Candidate) -> bool:
    return _has_turns(candidate.item, "conversations")


def _is_messages(candidate: Candidate) -> bool:
    return _has_turns(candidate.item, "messages")


_ROWS = {"conversation": adapt.conversation}

LLAVA = Layout("llava", "conversations of LLaVA or ShareGPT", _is_llava, _read, _ROWS)
MESSAGES = Layout("messages", "messages of TRL or ms-swift", _is_messages, _read, _ROWS)
