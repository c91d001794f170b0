"""Finds, before training, the rows that ``max_length`` would cut."""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from PIL import Image

from rs_gpt4v_training.learnable import blank_dialogue


class TooLongError(ValueError):
    """Rows are longer than the model may read; the message says what length they need."""


def refuse_cut_rows(rows: Dataset, processor: Any, max_length: int) -> None:
    """Raise unless every row of ``rows`` fits ``max_length`` tokens, image tokens included.

    TRL cuts a longer row without a word, and a cut image is an error in the midst of training. No
    token is shorter than a byte, so a row of few enough bytes fits without being tokenised; only
    the others are.

    Raises:
        TooLongError: Names the longest row and the ``max_length`` that it needs.
    """
    bound = _upper_bound(rows, processor)
    doubtful = np.flatnonzero(bound > max_length)
    lengths = {int(i): token_count(rows[int(i)], processor) for i in doubtful}
    cut = {i: n for i, n in lengths.items() if n > max_length}
    if cut:
        longest = max(cut, key=cut.__getitem__)
        raise TooLongError(
            f"max_length {max_length} would cut {len(cut)} of {len(rows)} rows; "
            f"{rows[longest]['id']} needs {cut[longest]} tokens. Set max_length: {cut[longest]}, "
            "or leave those rows out."
        )


def _upper_bound(rows: Dataset, processor: Any) -> np.ndarray:
    """At least as many tokens as each row has: bytes of text plus tokens of images."""
    table = rows.with_format("arrow").select_columns(["messages", "images", "width", "height"])[:]
    messages = table["messages"].combine_chunks()
    content = pc.binary_length(messages.flatten().field("content"))
    row = pc.list_parent_indices(messages)
    text = np.bincount(row, weights=content.to_numpy(zero_copy_only=False), minlength=len(rows))
    turns = pc.list_value_length(messages).to_numpy(zero_copy_only=False)
    images = pc.list_value_length(table["images"].combine_chunks()).to_numpy(zero_copy_only=False)
    bound = text + _template_bytes(turns, processor) + images * _image_tokens(table, processor)
    return np.where(images > 1, np.inf, bound)  # the size of the first image is known alone


def _template_bytes(turns: np.ndarray, processor: Any) -> np.ndarray:
    """Bytes that the template adds to a row of so many messages."""
    return _of_each(
        turns,
        lambda n: len(processor.apply_chat_template(blank_dialogue(n), tokenize=False).encode()),
    )


def _of_each(turns: np.ndarray, measure: Callable[[int], int]) -> np.ndarray:
    """``measure`` of each number of messages, once for all the rows that have it."""
    distinct, which = np.unique(turns, return_inverse=True)
    return np.array([measure(int(n)) for n in distinct])[which]


def _image_tokens(table: pa.Table, processor: Any) -> np.ndarray:
    """Tokens of each row's image, told by its size; the image's markers included."""
    # A row of a repository may have no image, and so no size.
    sides = [table[side].combine_chunks().fill_null(1) for side in ("width", "height")]
    sizes = np.stack([side.to_numpy() for side in sides], axis=1)
    distinct, which = np.unique(sizes, axis=0, return_inverse=True)
    counts = [
        len(_encode([_image_message()], [Image.new("RGB", (int(w), int(h)))], processor))
        for w, h in distinct
    ]
    return np.array(counts)[which.ravel()]


def token_lengths(rows: Dataset, processor: Any) -> np.ndarray:
    """The tokens of every row, nearly: those that join over a message's edges count apart.

    Each distinct message is tokenised once: 938,605 rows of the mixture have far fewer.
    """
    table = rows.with_format("arrow").select_columns(["messages", "images", "width", "height"])[:]
    messages = table["messages"].combine_chunks()
    content = messages.flatten().field("content").dictionary_encode()
    encoded = processor.tokenizer(content.dictionary.to_pylist(), add_special_tokens=False)
    counts = np.array([len(ids) for ids in encoded["input_ids"]])[content.indices.to_numpy()]
    row = pc.list_parent_indices(messages)
    text = np.bincount(row, weights=counts, minlength=len(rows))
    turns = pc.list_value_length(messages).to_numpy(zero_copy_only=False)
    images = pc.list_value_length(table["images"].combine_chunks()).to_numpy(zero_copy_only=False)
    # A message of an image alone has the template's tokens of one message too.
    template = _of_each(turns, lambda n: len(_encode(blank_dialogue(n), [], processor)))
    alone = len(_encode([_text_message("user", "")], [], processor))
    return text + template + images * (_image_tokens(table, processor) - alone)


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


def _image_message() -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "image"}]}
