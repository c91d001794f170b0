"""The one schema: an image (or several) and the messages about it."""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import hashlib
import json
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, Features, Image, List, Value
from typing_extensions import TypedDict  # pydantic reads that of typing from Python 3.12 on

Role = Literal["system", "user", "assistant"]
Task = Literal["caption", "vqa", "grounding", "region_caption", "conversation", "detail"]
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


class Message(TypedDict):
    """One side's words. The image is never marked in the text: TRL's collator inserts its token."""

    role: Role
    content: str


class LabelledBox(TypedDict):
    """Ground truth in pixels of the released image.

    ``points`` holds x_min, y_min, x_max, y_max where ``kind`` is "hbb", and four corners
    x1, y1, ... x4, y4, clockwise from the top left, where it is "obb".
    """

    label: str
    points: list[float]
    kind: Literal["hbb", "obb"]


class Conversation(TypedDict):
    """One row: what ``load_dataset("rs_gpt4v", ...)[i]`` returns.

    ``id`` is the same on every machine and unique over all configs ("rsvqa_hr/train/000123").
    ``images`` are decoded by `datasets` when read. ``references`` are all accepted answers of the
    last turn. ``width`` and ``height`` are those of the released image, in pixels.
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
    width: int
    height: int


def fingerprint(rows: Dataset) -> str:
    """A hash of what ``rows`` ask and accept (ids, messages, references), on any machine."""
    content = [list(rows[name]) for name in ("id", "messages", "references")]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]


class InvalidConversationError(ValueError):
    """A row breaks the schema; the message names the rule and the row."""


def check(rows: pa.Table) -> None:
    """Raise unless every row of ``rows`` keeps the schema's rules.

    Roles go user, assistant, user, ... after at most one system message and end with the assistant;
    no message is blank or holds a literal ``<image>``; no id occurs twice.

    Raises:
        InvalidConversationError: The first row that breaks a rule, by its id.
    """
    ids = rows["id"].combine_chunks()
    _refuse(ids, _repeated(ids), "the id occurs twice")
    messages = rows["messages"].combine_chunks()
    row = pc.list_parent_indices(messages).to_numpy()
    flat = messages.flatten()
    content, role = flat.field("content"), flat.field("role")
    blank = pc.equal(pc.utf8_trim_whitespace(content), "").fill_null(True).to_numpy(False)
    _refuse(ids, row[blank], "a message is empty")
    marked = pc.match_substring(content, "<image>").to_numpy(False)
    _refuse(ids, row[marked], "a message holds '<image>', which training would count as an image")
    _refuse(ids, _disordered(row, role, len(ids)), "roles must go user, assistant, user, ...")


def _refuse(ids: pa.Array, rows: np.ndarray, rule: str) -> None:
    if len(rows):
        raise InvalidConversationError(f"{ids[int(rows[0])]}: {rule} ({len(rows)} in all)")


def _repeated(ids: pa.Array) -> np.ndarray:
    if pc.count_distinct(ids).as_py() == len(ids):
        return np.array([], np.int64)
    return np.flatnonzero(ids.to_pandas().duplicated(keep="first"))


def _disordered(row: np.ndarray, role: pa.Array, n_rows: int) -> np.ndarray:
    """Rows whose roles, a leading system message aside, are not user and assistant in turn."""
    is_user, is_assistant, is_system = (
        pc.equal(role, name).to_numpy(False) for name in ("user", "assistant", "system")
    )
    opens = np.r_[True, row[1:] != row[:-1]] if len(row) else np.zeros(0, bool)
    is_turn = ~(is_system & opens)
    turns = row[is_turn]
    place = np.arange(len(turns)) - np.searchsorted(turns, turns)
    wrong = np.where(place % 2 == 0, ~is_user[is_turn], ~is_assistant[is_turn])
    lengths = np.bincount(turns, minlength=n_rows)
    uneven = np.flatnonzero((lengths == 0) | (lengths % 2 == 1))
    return np.union1d(turns[wrong], uneven)
