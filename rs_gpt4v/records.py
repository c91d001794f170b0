"""What a release states, before any wording: one Arrow table per kind of record.

A source module reads its release into one of these tables, rows in file order, content in the
released units (pixels, raw strings). ``key`` is the release's own name for the record, ``image``
the image's file name as released. A column that is not nullable here must have a value; a reader
leaves it null where the release has none, and the builder names the record and decides.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v import conversation


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
    )
)
"""Every annotated object of one image, in file order; boxes as in `rs_gpt4v.conversation`."""

DIALOGUES = _schema(
    messages=pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])),
)
"""A dialogue about one image, worded by the release itself."""


def problems(records: pa.Table) -> pa.Array:
    """Why each record cannot be used: null where it can.

    A required value that is null, blank or no text to learn from, a ``key`` that an earlier record
    has, or messages that make no dialogue.
    """
    found = pa.nulls(records.num_rows, pa.string())
    for field in records.schema:
        if not field.nullable:
            found = pc.coalesce(found, _problems(records[field.name].combine_chunks(), field.name))
    repeated = pa.array(records["key"].to_pandas().duplicated(keep="first"), pa.bool_())
    return pc.coalesce(found, _mark(repeated, "its id occurs twice"))


def _problems(values: pa.Array, name: str) -> pa.Array:
    """What is wrong with each value of a required column."""
    if pa.types.is_string(values.type):
        reasons = conversation.text_problems(values)
        said = pc.binary_join_element_wise("it", reasons, " ")
        return pc.if_else(pc.equal(reasons, "is empty"), f"no {name}", said)
    if name == "messages":
        return conversation.problems(values)
    if not pa.types.is_list(values.type):
        return pa.nulls(len(values), pa.string())
    absent = _mark(pc.equal(pc.list_value_length(values), 0).fill_null(True), f"no {name}")
    if not pa.types.is_string(values.type.value_type):
        return absent
    row = pc.list_parent_indices(values).to_numpy()
    reasons = conversation.first_problems(values.flatten(), row, len(values), name)
    return pc.coalesce(absent, pa.array(reasons, pa.string()))


def _mark(where: pa.Array, reason: str) -> pa.Array:
    return pc.if_else(where, reason, pa.scalar(None, pa.string()))
