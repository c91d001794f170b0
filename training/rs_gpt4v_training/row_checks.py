"""Checks before training: whether the model's processor takes each row, and all of it."""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from jinja2 import TemplateError
from PIL import Image

from rs_gpt4v.conversation import InvalidConversationError


class TooLongError(ValueError):
    """Rows are longer than the model may read; the message says what length they need."""


def refuse_cut_rows(rows: Dataset, processor: Any, max_length: int | None) -> None:
    """Raise unless every row of ``rows`` fits ``max_length`` tokens (None: any), images included.

    TRL cuts a longer row without a word, and a cut image is an error in the midst of training. No
    token is shorter than a byte, so a row of few enough bytes fits without being tokenised; only
    the others are.

    Raises:
        TooLongError: Names the longest row and the ``max_length`` that it needs.
    """
    if max_length is None:
        return
    bound, images = _sums(rows, processor, pc.binary_length, lambda text: len(text.encode()))
    # The size of the first image alone is known.
    doubtful = np.flatnonzero((bound > max_length) | (images > 1))
    lengths = {int(i): token_count(rows[int(i)], processor) for i in doubtful}
    cut = {i: n for i, n in lengths.items() if n > max_length}
    if cut:
        longest = max(cut, key=cut.__getitem__)
        raise TooLongError(
            f"max_length {max_length} would cut {len(cut)} of {len(rows)} rows; "
            f"{rows[longest]['id']} needs {cut[longest]} tokens. Set max_length: {cut[longest]}, "
            "or leave those rows out."
        )


def refuse_unlearnable(rows: Dataset, processor: Any) -> None:
    """Raise unless ``processor`` takes every row of ``rows`` as written.

    No message may hold what the processor puts where an image, video or sound goes, and its chat
    template must take dialogues of that many messages: PaliGemma's takes one question alone, and no
    question without an image.

    Raises:
        InvalidConversationError: Names the first row, and says how many are like it.
    """
    table: Any = rows.with_format("arrow").select_columns(["id", "messages", "images"])[:]
    ids, messages = (table[name].combine_chunks() for name in ("id", "messages"))
    content, row = messages.flatten().field("content"), pc.list_parent_indices(messages)
    bare = np.flatnonzero(pc.equal(pc.list_value_length(table["images"]), 0).to_numpy())
    if len(bare) and (fault := text_fault(processor)):
        _refuse(ids, bare, f"it has no image, and {fault}")
    for kind in ("image", "video", "audio"):
        if token := getattr(processor, f"{kind}_token", None):
            holds = row.filter(pc.match_substring(content, token)).unique()
            _refuse(ids, holds.to_numpy(), f"one of its messages holds {token!r}, the model's own")
    counts = pc.list_value_length(messages).to_numpy(zero_copy_only=False)
    for count in np.unique(counts):
        if fault := _template_fault(processor, int(count)):
            _refuse(ids, np.flatnonzero(counts == count), fault)


def text_fault(processor: Any) -> str:
    """Why the model takes no text without an image; "" where it does."""
    try:
        processor(images=None, text="?")
    except ValueError as error:
        return f"the model's processor wants one ({error})"
    return ""


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


def token_lengths(rows: Dataset, processor: Any) -> np.ndarray:
    """The tokens of every row, nearly: those that join over a message's edges count apart.

    Each distinct message is tokenised once: 938,605 rows of the mixture have far fewer.
    """

    def tokens_of_each(texts: pa.Array) -> pa.Array:
        distinct = texts.dictionary_encode()
        encoded = processor.tokenizer(distinct.dictionary.to_pylist(), add_special_tokens=False)
        return pa.array([len(ids) for ids in encoded["input_ids"]]).take(distinct.indices)

    def tokens(text: str) -> int:
        return len(processor(images=None, text=text, add_special_tokens=False)["input_ids"][0])

    lengths, images = _sums(rows, processor, tokens_of_each, tokens)
    # A message of an image alone has the template's tokens of one message too.
    alone = len(_encode([_text_message("user", "")], [], processor))
    return lengths - images * alone


def _sums(
    rows: Dataset,
    processor: Any,
    sizes: Callable[[pa.Array], pa.Array],
    size_of_template: Callable[[str], int],
) -> tuple[np.ndarray, np.ndarray]:
    """The size of each row, made up of its texts, its template and its images; and its images.

    Args:
        rows: The rows.
        processor: Of the model.
        sizes: Of many texts.
        size_of_template: Of the template without any text.
    """
    table = rows.with_format("arrow").select_columns(["messages", "images", "width", "height"])[:]
    messages = table["messages"].combine_chunks()
    of_text = sizes(messages.flatten().field("content")).to_numpy(zero_copy_only=False)
    text = np.bincount(pc.list_parent_indices(messages), weights=of_text, minlength=len(rows))
    turns, images = (
        pc.list_value_length(table[name].combine_chunks()).to_numpy(zero_copy_only=False)
        for name in ("messages", "images")
    )
    distinct, which = np.unique(turns, return_inverse=True)
    templates = [
        processor.apply_chat_template(blank_dialogue(int(n)), tokenize=False) for n in distinct
    ]
    template = np.array([size_of_template(each) for each in templates])[which]
    return text + template + images * _image_tokens(table, processor), images


def _image_tokens(table: pa.Table, processor: Any) -> np.ndarray:
    """Tokens of a message with an image of each row's size."""
    # A row of a repository may have no image, and so no size.
    sides = [table[side].combine_chunks().fill_null(1) for side in ("width", "height")]
    sizes = np.stack([side.to_numpy() for side in sides], axis=1)
    distinct, which = np.unique(sizes, axis=0, return_inverse=True)
    message = {"role": "user", "content": [{"type": "image"}]}
    counts = [
        len(_encode([message], [Image.new("RGB", (int(w), int(h)))], processor))
        for w, h in distinct
    ]
    return np.array(counts)[which.ravel()]


def token_count(row: dict[str, Any], processor: Any) -> int:
    """The tokens of one row, images and template included, as the collator makes them."""
    messages = [_text_message(m["role"], m["content"]) for m in row["messages"]]
    first = next(message for message in messages if message["role"] == "user")
    first["content"] = [{"type": "image"}] * len(row["images"]) + first["content"]
    return len(_encode(messages, row["images"], processor))


def _encode(messages: list[dict[str, Any]], images: Sequence[Any], processor: Any) -> list[int]:
    text = processor.apply_chat_template(messages, tokenize=False)
    encoded = processor(images=list(images) or None, text=text, add_special_tokens=False)
    return encoded["input_ids"][0]


def _text_message(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}
