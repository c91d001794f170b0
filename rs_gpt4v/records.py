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

    A required value that is null or blank or holds ``<image>``, a ``key`` that an earlier record
    has, or messages that make no dialogue.
    """
    found = pa.nulls(records.num_rows, pa.string())
    for field in records.schema:
        if not field.nullable:
            found = pc.coalesce(found, _mark(_absent(records[field.name]), f"no {field.name}"))
            found = pc.coalesce(found, _mark(_marked(records[field.name]), "it holds '<image>'"))
    if "messages" in records.column_names:
        dialogues = records["messages"].to_pylist()
        turns = pa.array([_turn_problem(messages or []) for messages in dialogues], pa.string())
        found = pc.coalesce(found, turns)
    repeated = pa.array(records["key"].to_pandas().duplicated(keep="first"))
    return pc.coalesce(found, _mark(repeated, "its id occurs twice"))


def _turn_problem(messages: list[dict[str, str | None]]) -> str | None:
    if [m["role"] for m in messages] != ["user", "assistant"] * (len(messages) // 2):
        return "its turns do not go user, assistant, user, ..."
    contents = [(m["content"] or "").strip() for m in messages]
    if not all(contents):
        return "one of its turns is empty"
    return "one of its turns holds '<image>'" if "<image>" in " ".join(contents) else None


def _marked(column: pa.ChunkedArray) -> pa.Array:
    """True where a string holds ``<image>``, which training would count as an image."""
    values = column.combine_chunks()
    if not pa.types.is_string(values.type):
        return pa.repeat(pa.scalar(value=False), len(values))
    return pc.match_substring(values, "<image>").fill_null(False)


def _mark(where: pa.Array, reason: str) -> pa.Array:
    return pc.if_else(where, reason, pa.scalar(None, pa.string()))


def _absent(column: pa.ChunkedArray) -> pa.Array:
    """True where a string is null or blank, or a list is null or empty."""
    values = column.combine_chunks()
    if pa.types.is_list(values.type):
        return pc.equal(pc.list_value_length(values), 0).fill_null(True)
    return pc.equal(pc.utf8_trim_whitespace(values), "").fill_null(True)
