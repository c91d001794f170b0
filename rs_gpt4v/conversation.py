"""The one schema: an image (or several) and the messages about it."""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import hashlib
import json
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, Features, Image, List, Value
from typing_extensions import TypedDict  # pydantic reads that of typing from Python 3.12 on

MARKERS = ("<image>", "<video>", "<audio>")
"""What trainers and harnesses put where an image, a video or a sound goes: no text may hold one."""

_NOTHING_SEEN = r"^[\s\pZ\pC]*$"  # no-break and zero-width spaces too

Role = Literal["system", "user", "assistant"]
Task = Literal[
    "caption",
    "vqa",
    "grounding",
    "region_caption",
    "conversation",
    "detail",
    "detection",
    "scene",
    "probe",
]
Modality = Literal["optical", "sar", "infrared", "multispectral"]

FEATURES = Features(
    {
        "id": Value("string"),
        "images": List(Image()),
        "messages": List({"role": Value("string"), "content": Value("string")}),
        "source": Value("string"),
        "task": Value("string"),
        "question_type": Value("string"),
        "modality": Value("string"),
        "references": List(Value("string")),
        "boxes": List(
            {"label": Value("string"), "points": List(Value("float32")), "kind": Value("string")}
        ),
        "width": Value("int32"),
        "height": Value("int32"),
    }
)
SCHEMA = FEATURES.arrow_schema


class Message(TypedDict):
    """One side's words. The image is never marked in the text: TRL's collator inserts its token."""

    role: Role
    content: str


class LabelledBox(TypedDict):
    """Ground truth in pixels of the released image.

    ``label`` is null where a dialogue of one's own has a box in its text and no name for it.
    ``points`` holds x_min, y_min, x_max, y_max where ``kind`` is "hbb", and four corners
    x1, y1, ... x4, y4, clockwise from the top left, where it is "obb".
    """

    label: str | None
    points: list[float]
    kind: Literal["hbb", "obb"]


class Conversation(TypedDict):
    """One row: what ``load_dataset("rs_gpt4v", ...)[i]`` returns.

    ``id`` is the same on every machine and unique over all configs ("rsvqa_hr/train/000123").
    ``images`` are decoded by `datasets` when read. ``references`` are all accepted answers of the
    last turn. ``width`` and ``height`` are those of the released image, in pixels: of the first
    image where a row has several, null where it has none.
    """

    id: str
    images: list[object]
    messages: list[Message]
    source: str
    task: Task
    question_type: str | None
    modality: Modality
    references: list[str]
    boxes: list[LabelledBox]
    width: int | None
    height: int | None


def fingerprint(rows: Dataset) -> str:
    """A hash of what ``rows`` ask and accept (ids, messages, references), on any machine."""
    content = list(whole_columns(rows, "id", "messages", "references").values())
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]


def whole_columns(rows: Dataset, *names: str) -> dict[str, list[Any]]:
    """The columns of these names as lists, images undecoded; row by row takes ten times as long."""
    table: Any = rows.select_columns([*names]).with_format("arrow")[:]
    return {name: table[name].to_pylist() for name in names}


class InvalidConversationError(ValueError):
    """A row breaks the schema; the message names the rule and the row."""


def check(rows: pa.Table) -> None:
    """Raise unless every row of ``rows`` keeps the schema's rules: `problems`, and ids of its own.

    Raises:
        InvalidConversationError: The first row that breaks a rule, by its id.
    """
    ids = rows["id"].combine_chunks()
    repeated = pa.array(ids.to_pandas().duplicated(keep="first"), pa.bool_())
    reasons = pc.coalesce(
        problems(rows["messages"].combine_chunks()), reason_where(repeated, "its id occurs twice")
    )
    bad = np.flatnonzero(reasons.is_valid())
    if len(bad):
        first = int(bad[0])
        raise InvalidConversationError(f"{ids[first]}: {reasons[first]} ({len(bad)} such rows)")


def dialogue_problem(messages: object, *, system: bool = True) -> str | None:
    """Why ``messages`` make no dialogue, as `problems` says of a column; None where they do."""
    if not isinstance(messages, list) or not all(map(_is_message, messages)):
        return "'messages' are not a list of objects with a text 'role' and a text 'content'"
    try:
        column = pa.array([messages], SCHEMA.field("messages").type)
    except UnicodeEncodeError:
        return "one of its messages holds half a surrogate pair, which is no text"
    return problems(column, system=system)[0].as_py()


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(value.get(name), str) for name in ("role", "content")
    )


def problems(messages: pa.ListArray, *, system: bool = True) -> pa.Array:
    """Why each dialogue cannot be learned from; null where it can.

    Roles go user, assistant, user, ... after at most one system message (``system``: whether there
    may be one), and end with an answer; every message is a text as `text_problems` wants it.
    """
    row = pc.list_parent_indices(messages).to_numpy()
    flat = messages.flatten()
    reasons = first_problems(flat.field("content"), row, len(messages), "messages")
    reasons[disordered(row, flat.field("role"), len(messages), system=system)] = (
        "its roles do not go user, assistant, user, ... up to an answer"
    )
    lengths = pc.list_value_length(messages).fill_null(0)
    reasons[pc.equal(lengths, 0).to_numpy(False)] = "it has no messages"
    return pa.array(reasons, pa.string())


def first_problems(texts: pa.Array, row: np.ndarray, n_rows: int, name: str) -> np.ndarray:
    """`text_problems` of rows that have several texts: for each row the first one's, or None."""
    of_texts = text_problems(texts)
    bad = np.flatnonzero(of_texts.is_valid())[::-1]  # the first of a row is written last
    reasons = np.full(n_rows, None, object)
    reasons[row[bad]] = [f"one of its {name} {of_texts[int(i)]}" for i in bad]
    return reasons


def text_problems(texts: pa.Array) -> pa.Array:
    """Why each text cannot be learned from ("is empty", "holds '<image>', ..."); null where it can.

    A text of spaces and of signs that nobody sees is empty.
    """
    reasons = reason_where(
        pc.match_substring_regex(texts, _NOTHING_SEEN).fill_null(True), "is empty"
    )
    if not pc.any(pc.match_substring_regex(texts, "|".join(MARKERS))).as_py():
        return reasons  # as in most tables: looking for each marker takes five times as long
    for marker in MARKERS:
        reason = f"holds {marker!r}, which training would count as an image, a video or a sound"
        reasons = pc.coalesce(reasons, reason_where(pc.match_substring(texts, marker), reason))
    return reasons


def reason_where(mask: pa.Array, reason: str) -> pa.Array:
    """``reason`` where ``mask`` is true, else null."""
    return pc.if_else(mask, reason, pa.scalar(None, pa.string()))


def disordered(row: np.ndarray, role: pa.Array, n_rows: int, *, system: bool) -> np.ndarray:
    """Rows whose roles, a leading system message aside, are not user and assistant in turn."""
    is_user, is_assistant, is_system = (
        pc.equal(role, name).fill_null(False).to_numpy(False)
        for name in ("user", "assistant", "system")
    )
    opens = np.r_[True, row[1:] != row[:-1]] if len(row) else np.zeros(0, bool)
    is_turn = ~(is_system & opens & system)
    turns = row[is_turn]
    index = np.arange(len(turns)) - np.searchsorted(turns, turns)
    wrong = np.where(index % 2 == 0, ~is_user[is_turn], ~is_assistant[is_turn])
    lengths = np.bincount(turns, minlength=n_rows)
    uneven = np.flatnonzero((lengths == 0) | (lengths % 2 == 1))
    return np.union1d(turns[wrong], uneven)
