"""Finds, before training, rows that the model's processor would misread or refuse."""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

from typing import Any

import numpy as np
import pyarrow.compute as pc
from datasets import Dataset
from jinja2 import TemplateError

from rs_gpt4v.conversation import InvalidConversationError


def refuse_unlearnable(rows: Dataset, processor: Any) -> None:
    """Raise unless ``processor`` takes every row of ``rows`` as it is meant.

    No message may hold what the processor puts where an image, video or sound goes, and its chat
    template must take dialogues of that many messages: PaliGemma's takes one question alone.

    Raises:
        InvalidConversationError: Names the first row, and says how many are like it.
    """
    table: Any = rows.with_format("arrow").select_columns(["id", "messages"])[:]
    ids, messages = (table[name].combine_chunks() for name in ("id", "messages"))
    content, row = messages.flatten().field("content"), pc.list_parent_indices(messages)
    for kind in ("image", "video", "audio"):
        if token := getattr(processor, f"{kind}_token", None):
            holds = row.filter(pc.match_substring(content, token)).unique()
            _refuse(ids, holds.to_numpy(), f"one of its messages holds {token!r}, the model's own")
    counts = pc.list_value_length(messages).to_numpy(zero_copy_only=False)
    for count in np.unique(counts):
        if fault := _template_fault(processor, int(count)):
            _refuse(ids, np.flatnonzero(counts == count), fault)


def _template_fault(processor: Any, messages: int) -> str:
    try:
        processor.apply_chat_template(blank_dialogue(messages), tokenize=False)
    except TemplateError as error:
        return f"the model's chat template refuses its {messages} messages: {error}"
    return ""


def _refuse(ids: Any, rows: np.ndarray, fault: str) -> None:
    if len(rows):
        raise InvalidConversationError(f"{ids[int(rows[0])]}: {fault} ({len(rows)} such rows)")


def blank_dialogue(messages: int) -> list[dict[str, Any]]:
    """So many messages without a word; the first of an odd number is the system's."""
    sides = ["system"] * (messages % 2) + ["user", "assistant"] * (messages // 2)
    return [{"role": side, "content": [{"type": "text", "text": ""}]} for side in sides]
