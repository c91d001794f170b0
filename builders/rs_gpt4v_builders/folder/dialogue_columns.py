"""Reads dialogue files as columns: 200,000 items without a Python object for each.

It gives the records of `rs_gpt4v_builders.sources.dialogues`, several times as fast. Items that are
not plain (several images, a system message of their own, anything that makes no dialogue) still go
through that module one by one; so does all of a file that Arrow cannot read with one type a field.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import codecs
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from rs_gpt4v import conversation, records
from rs_gpt4v_builders.folder.image_names import ImageNames
from rs_gpt4v_builders.sources import dialogues
from rs_gpt4v_builders.sources.dialogues import IMAGE_MARK, ROLES
from rs_gpt4v_builders.sources.reading import has_null_for_an_object

_TURNS = pa.list_(pa.struct([(name, pa.string()) for name in ("from", "value", "role", "content")]))


def read_columns(path: Path, first: dict[str, Any], images: ImageNames) -> pa.Table | None:
    """The records of a file, as `rs_gpt4v.records.DIALOGUES`; None where Arrow cannot read it.

    Args:
        path: The file.
        first: Its first item, from which the types of the fields are taken.
        images: Finds the images that it names.
    """
    items = _items(path, first)
    if items is None:
        return None
    n = len(items)
    names, several = _names(items)
    unique = pc.unique(names.drop_null()).to_pylist()
    images = images.of(unique)
    image, missing = _found(names, images.only)
    messages, marked, no_dialogue = _messages(items)
    has_system = items.field("system").is_valid().to_numpy(False)
    odd = several | missing | no_dialogue | has_system
    odd |= marked & names.is_null().to_numpy(False)
    table = pa.table(
        {
            "key": _keys(items.field("id")),
            "image": image,
            "messages": messages,
            "further_images": pa.nulls(n, pa.list_(pa.string())),
            "problem": pa.nulls(n, records.PROBLEM),
            "change": pa.nulls(n, records.PROBLEM),
            "where": _places(path, n),
        }
    )
    # Required fields are said to be so: `rs_gpt4v.records.problems` looks at these.
    table = pa.Table.from_arrays(
        table.columns, schema=pa.schema([_FIELDS.get(field.name, field) for field in table.schema])
    )
    rows = np.flatnonzero(odd)
    if not len(rows):
        return table
    some = table.select(["key", "where"]).take(pa.array(rows)).to_pylist()
    parsed = map(without_nulls, items.take(pa.array(rows)).to_pylist())
    one_by_one = [
        row | dialogues.record(item, row["where"], images.one, needs_image=False)
        for row, item in zip(some, parsed, strict=True)
    ]
    made = records.table(one_by_one, records.DIALOGUES).select(table.column_names)
    order = np.arange(n)
    order[rows] = n + np.arange(len(rows))
    return pa.concat_tables([table, made]).take(pa.array(order))


_FIELDS = {field.name: field for field in records.DIALOGUES}


def _items(path: Path, first: dict[str, Any]) -> pa.StructArray | None:
    """The items of a JSON list, a list under "data", or a JSON object a line."""
    content = path.read_bytes().removeprefix(codecs.BOM_UTF8).strip()
    if path.suffix.lower() != ".json":
        content = b"[" + content.replace(b"\n", b",") + b"]"
    # Arrow reads an object a line: here the one line is the whole file.
    key = "data" if content.startswith(b"{") else "items"
    content = content if key == "data" else b'{"items":' + content + b"}"
    if has_null_for_an_object(content) or b'"objects"' in content:
        return None
    try:
        table = pyarrow.json.read_json(
            pa.BufferReader(content),
            pyarrow.json.ReadOptions(use_threads=False, block_size=len(content) + 1),
            pyarrow.json.ParseOptions(
                explicit_schema=pa.schema([(key, pa.list_(_item_type(first)))]),
                unexpected_field_behavior="ignore",
            ),
            # The default keeps what the parser has needed, twice the file.
            memory_pool=pa.system_memory_pool(),
        )
        table.validate(full=True)
    except (pa.ArrowException, OverflowError):
        return None
    lists = table[key].combine_chunks()
    if len(lists) != 1 or lists.null_count:
        return None
    items = lists.flatten()
    turns = pc.coalesce(items.field("conversations"), items.field("messages"))
    has_others = turns.null_count and any(name in content for name in _OTHER_FORMS)
    return None if has_others else items


_OTHER_FORMS = (b'"conversation"', b'"conv"', b'"query"', b'"instruction"')
"""Fields of items that have their turns elsewhere."""


def _item_type(first: dict[str, Any]) -> pa.StructType:
    is_list = {
        "image": isinstance(first.get("image"), list),
        "images": not isinstance(first.get("images"), str),
    }
    return pa.struct(
        [
            ("id", pa.int64() if isinstance(first.get("id"), int) else pa.string()),
            *((name, pa.list_(pa.string()) if is_list[name] else pa.string()) for name in is_list),
            ("conversations", _TURNS),
            ("messages", _TURNS),
            ("system", pa.string()),
        ]
    )


def _names(items: pa.StructArray) -> tuple[pa.Array, np.ndarray]:
    """The name of each item's one image, null where there is none; and which items have several."""
    n = len(items)
    names, counts = pa.nulls(n, pa.string()), np.zeros(n, np.int64)
    for column in (items.field("image"), items.field("images")):
        if pa.types.is_list(column.type):
            lengths = pc.list_value_length(column).fill_null(0).to_numpy(False).astype(np.int64)
            starts = lengths.cumsum() - lengths
            one = pa.array(starts, mask=lengths != 1)
            column = column.flatten().take(one)
            counts += np.where(lengths == 1, 0, lengths)
        counts += column.is_valid().to_numpy(False)
        names = pc.coalesce(names, column)
    stripped = pc.utf8_trim_whitespace(names)
    return stripped, (counts > 1) | pc.equal(stripped, "").fill_null(False).to_numpy(False)


def _found(names: pa.Array, find: Callable[[str], str | None]) -> tuple[pa.Array, np.ndarray]:
    """What each name means, and which mean no image, or more than one."""
    encoded = names.dictionary_encode()
    found = [find(name) for name in encoded.dictionary.to_pylist()]
    image = pa.array(found, pa.string()).take(encoded.indices)
    return image, (names.is_valid().to_numpy(False) & image.is_null().to_numpy(False))


def _messages(items: pa.StructArray) -> tuple[pa.ListArray, np.ndarray, np.ndarray]:
    """The messages of each item; which items mark an image, and which make no dialogue."""
    conversations, messages = items.field("conversations"), items.field("messages")
    both = conversations.is_valid().to_numpy(False) & messages.is_valid().to_numpy(False)
    lists = messages if conversations.null_count == len(items) else conversations
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy(False)
    turns = lists.flatten()
    role = _roles(pc.coalesce(turns.field("from"), turns.field("role")))
    content = pc.coalesce(turns.field("value"), turns.field("content"))
    has_mark = pc.match_substring(content, IMAGE_MARK).fill_null(False)
    unmarked = content.filter(has_mark)
    for mark in (f" {IMAGE_MARK}", IMAGE_MARK):
        unmarked = pc.replace_substring(unmarked, mark, "")
    unmarked = pc.replace_with_mask(content, has_mark, unmarked)
    offsets = pa.array(np.append(0, lengths.cumsum()).astype(np.int32))
    said = pa.StructArray.from_arrays(
        [role, pc.utf8_trim_whitespace(unmarked)], names=["role", "content"]
    )
    row = np.repeat(np.arange(len(items)), lengths)
    odd = both | (lengths == 0) | lists.is_null().to_numpy(False)
    odd[conversation.disordered(row, role, len(items), system=True)] = True
    odd[row[content.is_null().to_numpy(False)]] = True
    marked = np.zeros(len(items), bool)
    marked[row[has_mark.to_numpy(False)]] = True
    return pa.ListArray.from_arrays(offsets, said), marked, odd


def _roles(speakers: pa.Array) -> pa.Array:
    encoded = speakers.dictionary_encode()
    roles = [ROLES.get(name.strip().lower()) for name in encoded.dictionary.to_pylist()]
    return pa.array(roles, pa.string()).take(encoded.indices)


def _keys(ids: pa.Array) -> pa.Array:
    """As `rs_gpt4v_builders.sources.dialogues.keys`."""
    stated = pc.cast(ids, pa.string())
    bare = pc.utf8_trim_whitespace(stated)
    if len(pc.unique(stated)) == len(ids) and not stated.null_count and "" not in bare.to_pylist():
        return stated
    return pa.array([f"{index:06d}" for index in range(len(ids))], pa.string())


def _places(path: Path, count: int) -> pa.Array:
    """Where each item stands, as `rs_gpt4v_builders.sources.dialogues.items` says it."""
    first, word = (0, "item") if path.suffix.lower() == ".json" else (1, "line")
    numbers = pc.cast(pa.array(range(first, first + count), pa.int64()), pa.string())
    return pc.binary_join_element_wise(f"{path}, {word} ", numbers, "")


def without_nulls(value: Any) -> Any:
    """An item without the fields that it has not: Arrow has a null for each."""
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value
