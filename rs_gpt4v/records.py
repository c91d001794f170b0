"""What a release states, before any wording: one Arrow table per kind of record.

A source module reads its release into one of these tables, rows in file order, content in the
released units (pixels, raw strings). ``key`` is the release's own name for the record, ``image``
the image's file name as released. A column that is not nullable here must have a value; a reader
leaves it null where the release has none, and the builder names the record and decides.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v import conversation
from rs_gpt4v.files import printable


def _schema(**columns: pa.DataType | pa.Field) -> pa.Schema:
    """``key`` and ``image``, then ``columns``: a bare type makes a required column."""
    required = {"key": pa.string(), "image": pa.string(), **columns}
    return pa.schema(
        [
            column if isinstance(column, pa.Field) else pa.field(name, column, nullable=False)
            for name, column in required.items()
        ]
    )


CAPTIONS = _schema(captions=pa.list_(pa.string()))
"""All captions of one image, in file order, repetitions included."""

QUESTIONS = _schema(
    question=pa.string(), answer=pa.string(), question_type=pa.field("question_type", pa.string())
)
"""One question about one image, with the one answer the release gives."""

EXPRESSIONS = _schema(
    expression=pa.string(), label=pa.string(), points=pa.list_(pa.float32()), kind=pa.string()
)
"""One described object; ``points`` and ``kind`` as in `rs_gpt4v.conversation.LabelledBox`."""

OBJECTS = _schema(
    boxes=pa.list_(
        pa.struct(
            [("label", pa.string()), ("points", pa.list_(pa.float32())), ("kind", pa.string())]
        )
    ),
    size=pa.field("size", pa.list_(pa.int32())),
)
"""Every annotated object of one image, in file order; boxes as in `rs_gpt4v.conversation`.

``size`` is the width and height of the image that was annotated, where the annotation states them.
"""

FOUND_OBJECTS = OBJECTS.set(
    OBJECTS.get_field_index("boxes"), OBJECTS.field("boxes").with_nullable(True)
)
"""The same of images that may hold no object."""

SCENES = _schema(label=pa.string(), classes=pa.field("classes", pa.list_(pa.string())))
"""What one image shows as a whole; ``classes`` are all that the data set tells apart."""

DIALOGUES = _schema(
    image=pa.field("image", pa.string()),
    messages=pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])),
    further_images=pa.field("further_images", pa.list_(pa.string())),
)
"""A dialogue, worded by the release itself, about one image, several or none.

``image`` is the first; ``further_images`` are the others, in order, and null where there are none.
"""


PROBLEM = pa.struct([("kind", pa.string()), ("reason", pa.string())])
"""A fault of a record: ``kind`` in the same words for every such fault, ``reason`` for this one."""

_TYPES = {
    pa.string(): "text",
    pa.list_(pa.string()): "a list of texts",
    pa.int64(): "a whole number",
    pa.bool_(): "true or false",
}


def table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """``rows`` as a table of ``schema`` and of what its reader has to say of each.

    ``problem`` is why a row cannot be used, and ``change`` what is not as released: kind and reason
    of a `PROBLEM`, or nothing. ``where`` is where it stands in the files, if its key does not say
    so. A value of another type costs its own row alone, which has that as its problem.
    """
    whole = schema
    for name, kind in (("problem", PROBLEM), ("change", PROBLEM), ("where", pa.string())):
        if name not in schema.names:
            whole = whole.append(pa.field(name, kind))
    try:
        return pa.Table.from_pylist(list(rows), whole)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError):
        if len(rows) > 1:
            half = len(rows) // 2
            return pa.concat_tables([table(part, whole) for part in (rows[:half], rows[half:])])
    return pa.Table.from_pylist([_typed(rows[0], whole)], whole)


def with_required(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """``table`` whose columns are required where ``schema`` says so: `problems` looks at these."""
    fields = [
        field.with_nullable(field.name not in schema.names or schema.field(field.name).nullable)
        for field in table.schema
    ]
    return pa.Table.from_arrays(table.columns, schema=pa.schema(fields))


def _typed(row: Mapping[str, Any], schema: pa.Schema) -> dict[str, Any]:
    """``row`` without its values of other types, the first of which is its problem."""
    typed = dict(row)
    for field in schema:
        if reason := _misfit(row.get(field.name), field):
            typed[field.name] = f"{row['key']!a:.80}" if field.name == "key" else None
            where = f"{row['where']}: " if row.get("where") else ""
            text = printable(f"{where}{reason}")
            typed["problem"] = typed.get("problem") or ("value of another type", text)
    return typed


def _misfit(value: object, field: pa.Field) -> str | None:
    """Why a value is none of a column; None where it is."""
    try:
        pa.array([value], field.type)
    except UnicodeEncodeError:
        return f"'{field.name}' holds half a surrogate pair, which is no text: {value!a:.80}"
    except (pa.ArrowException, OverflowError):
        words = next((words for kind, words in _TYPES.items() if kind == field.type), field.type)
        return f"'{field.name}' is {value!a:.80}, expected {words}"
    return None


def problems(records: pa.Table) -> pa.Array:
    """Why each record cannot be used, as `PROBLEM`: null where it can.

    What its reader says, a required value that is null, blank or no text to learn from, messages
    that make no dialogue, or a ``key`` that an earlier record has.
    """
    kinds = pa.nulls(records.num_rows, pa.string())
    for field in records.schema:
        if not field.nullable:
            column = records[field.name].combine_chunks()
            kinds = pc.coalesce(kinds, _problems(column, field.name))
    repeated = pa.array(records["key"].to_pandas().duplicated(keep="first"), pa.bool_())
    ours = as_problems(
        pc.coalesce(kinds, conversation.reason_where(repeated, "its id occurs twice")), records
    )
    if "problem" in records.column_names:
        return pc.coalesce(records["problem"].combine_chunks(), ours)
    return ours


def upright(points: pa.Array) -> np.ndarray | None:
    """Boxes of four finite numbers as an array of shape (n, 4); None where one is none."""
    if (
        points.null_count
        or not pc.all(pc.equal(pc.list_value_length(points), 4), min_count=0).as_py()
    ):
        return None
    flat = points.flatten()
    numbers = flat.to_numpy(zero_copy_only=False).astype(float).reshape(-1, 4)
    return numbers if not flat.null_count and np.isfinite(numbers).all() else None


def as_problems(kinds: pa.Array, records: pa.Table | None = None) -> pa.Array:
    """Kinds that need no more words than where the records are, as `PROBLEM`."""
    reasons = kinds
    if records is not None and "where" in records.column_names:
        where = records["where"].combine_chunks()
        reasons = pc.coalesce(pc.binary_join_element_wise(where, kinds, ": "), kinds)
    return pa.StructArray.from_arrays([kinds, reasons], fields=list(PROBLEM), mask=kinds.is_null())


def _problems(values: pa.Array, name: str) -> pa.Array:
    """What is wrong with each value of a required column."""
    if pa.types.is_string(values.type):
        reasons = conversation.text_problems(values)
        sentences = pc.binary_join_element_wise("it", reasons, " ")
        return pc.if_else(pc.equal(reasons, "is empty"), f"no {name}", sentences)
    if name == "messages":
        return conversation.problems(values)
    if not pa.types.is_list(values.type):
        return pa.nulls(len(values), pa.string())
    absent = conversation.reason_where(
        pc.equal(pc.list_value_length(values), 0).fill_null(True), f"no {name}"
    )
    if not pa.types.is_string(values.type.value_type):
        return absent
    row = pc.list_parent_indices(values).to_numpy()
    reasons = conversation.first_problems(values.flatten(), row, len(values), name)
    return pc.coalesce(absent, pa.array(reasons, pa.string()))
