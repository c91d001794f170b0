"""A published mixture to compare with: dialogues as published, or names of images alone."""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v import records
from rs_gpt4v_builders.audit.rows import Part, turns_of
from rs_gpt4v_builders.folder.dialogue_columns import read_columns
from rs_gpt4v_builders.folder.image_names import ImageNames
from rs_gpt4v_builders.folder.layout import Candidate
from rs_gpt4v_builders.sources import dialogues
from rs_gpt4v_builders.sources.reading import AnnotationError, described, read_json, read_text

FORMS = (
    "a json or jsonl of dialogues (LLaVA and its variants), of names of images or of objects with "
    "an 'image'; a txt with a name of an image a line; or hashes, as --write-hashes writes them"
)


@dataclass(frozen=True, slots=True)
class Mixture:
    """What a file holds.

    Args:
        part: Its items as rows, of which `Part.image` is the position in ``names``.
        names: The images that it names, each once; "" stands for none.
        items: How many items there are.
        unreadable: Why items are none, each with its place.
    """

    part: Part
    names: list[str]
    items: int
    unreadable: list[str]


class _AsNamed(ImageNames):
    """Takes the images that a file names as they are named, wherever they may be."""

    def __init__(self) -> None: ...

    def find(self, name: str) -> list[str]:
        """The name itself."""
        return [name]

    def of(self, names: Iterable[str]) -> "ImageNames":
        """These."""
        del names
        return self


def read_mixture(path: Path) -> Mixture:
    """The items of a mixture.

    Raises:
        AnnotationError: The file is none, is damaged, or no item of it can be read.
        OSError: It cannot be read.
    """
    table = _names_alone(path) if path.suffix.lower() == ".txt" else _of_json(path)
    if not len(table):
        raise AnnotationError(f"{path} has no item; expected {FORMS}")
    problems = table["problem"].combine_chunks()
    unreadable = pc.struct_field(problems, "reason").drop_null().to_pylist()
    if len(unreadable) == len(table):
        raise AnnotationError(f"{unreadable[0]}. So it is with all its {len(table):,} items")
    return _mixture(path, table.filter(pc.is_null(problems)), len(table), unreadable)


def _mixture(path: Path, table: pa.Table, items: int, unreadable: list[str]) -> Mixture:
    """The rows of readable items, one for each image of an item."""
    row, image = _images(table)
    rows = table.select(["key", "messages"]).take(pa.array(row))
    names = image.dictionary_encode()
    empty = pa.repeat(pa.scalar("", pa.string()), len(rows))
    part = Part(
        config=path.name,
        split="",
        ids=rows["key"].combine_chunks(),
        image=names.indices.to_numpy(zero_copy_only=False).astype(np.int64),
        texts=empty,
        references=empty,
        turns=_turns(rows["messages"].combine_chunks()),
    )
    return Mixture(part, names.dictionary.to_pylist(), items, unreadable)


def _images(table: pa.Table) -> tuple[np.ndarray, pa.Array]:
    """The row of each image, and its name; a row without one has the image ""."""
    first = pc.fill_null(table["image"].combine_chunks(), "")
    further = table["further_images"].combine_chunks()
    row = np.concatenate([np.arange(len(table)), pc.list_parent_indices(further).to_numpy()])
    return row, pa.concat_arrays([first, pc.list_flatten(further)])


def _turns(messages: pa.ListArray) -> pd.DataFrame:
    content = pc.struct_field(messages.flatten(), "content")
    return turns_of(messages, content, pa.repeat(pa.scalar("", pa.string()), len(messages)))


def _names_alone(path: Path) -> pa.Table:
    lines = enumerate(read_text(path).split("\n"), start=1)
    return _of_names([(f"{path}, line {number}", line) for number, line in lines if line.strip()])


def _of_json(path: Path) -> pa.Table:
    if path.suffix.lower() not in (".json", ".jsonl", ".ndjson"):
        raise AnnotationError(f"{path}: expected {FORMS}")
    first = Candidate(path).item
    if not first:
        return _of_names(_list_of_names(path))
    if dialogues.turns(first) is None:
        if not dialogues.names_in(first):
            raise AnnotationError(f"{path} starts with {described(first)}; expected {FORMS}")
        return _of_names(dialogues.items(path))
    is_plain = any(isinstance(first.get(name), list) for name in ("conversations", "messages"))
    table = None
    if is_plain and "source_dataset" not in first:
        table = read_columns(path, first, _AsNamed())
    return _one_by_one(dialogues.items(path)) if table is None else table


def _list_of_names(path: Path) -> Sequence[tuple[str, Any]]:
    if path.suffix.lower() != ".json":
        return [*dialogues.items(path)]
    content = read_json(path)
    if not isinstance(content, list):
        raise AnnotationError(f"{path} is {described(content)}; expected {FORMS}")
    return [(f"{path}, item {index}", item) for index, item in enumerate(content)]


def _of_names(items: Sequence[tuple[str, Any]]) -> pa.Table:
    """Items that are names of images, or have them and no dialogue."""
    rows = []
    for index, (where, item) in enumerate(items):
        named = [item] if isinstance(item, str) else dialogues.names_in(item)
        names = [name.strip() for name in named if name.strip()]
        wrong = ("no image", f"{where}: expected the name of an image, found {described(item)}")
        rows.append(
            {
                "key": _key(item, index),
                "where": where,
                "messages": [],
                "image": names[0] if names else None,
                "further_images": names[1:] or None,
                "problem": None if names else wrong,
            }
        )
    return records.table(rows, records.DIALOGUES)


def _key(item: Any, index: int) -> str:
    stated = item.get("id") if isinstance(item, dict) else None
    return str(stated) if isinstance(stated, str | int) else f"{index:06d}"


def _one_by_one(items: Sequence[tuple[str, Any]]) -> pa.Table:
    keys = dialogues.keys([item for _, item in items])
    return records.table(
        [
            {"key": key, **dialogues.record(item, where, str, needs_image=False)}
            for key, (where, item) in zip(keys, items, strict=True)
        ],
        records.DIALOGUES,
    )
