"""The rows that DPO and KTO train on, as `rs-gpt4v preferences` writes them."""

from typing import Any

import datasets
import pyarrow as pa

from rs_gpt4v_training import repository
from rs_gpt4v_training.recipe import RecipeError
from rs_gpt4v_training.row_checks import refuse_cut_rows, refuse_unlearnable, text_fault
from rs_gpt4v_training.rows import at_most

ANSWERS = {"pairs": ("chosen", "rejected"), "labels": ("completion",)}
"""The columns of each config that hold a reply."""


def preference_rows(
    data: Any, training: Any, processor: Any, max_length: int | None, config: str
) -> dict[str, datasets.Dataset]:
    """The rows of each split that training asks for, checked with each of their replies.

    Raises:
        ValueError: There is no such split, or its columns are others.
        InvalidConversationError: The model cannot take a row.
        TooLongError: A row is longer than ``max_length`` with one of its replies.
        RecipeError: The model's processor takes no reply by itself.
    """
    splits = ["train"] if training.eval_strategy == "no" else ["train", "validation"]
    rows = {
        split: _checked(stored_rows(data, training, config, split), processor, max_length, config)
        for split in splits
    }
    if config == "labels":
        # TRL reads them in order, and compares replies with those to the other questions of a
        # batch: those about one image are neighbours.
        rows["train"] = rows["train"].shuffle(seed=training.seed)
    return rows


def stored_rows(data: Any, training: Any, config: str, split: str) -> datasets.Dataset:
    """The rows of a split as they are stored, at most ``max_rows``.

    Raises:
        ValueError: There is no such split, or its columns are others.
        RecipeError: There is no such folder or repository, or it has no such config.
    """
    try:
        splits = repository.as_stored(training.preferences, config)
    except (OSError, ValueError) as error:
        raise RecipeError(
            f"preferences: {training.preferences} has no {config}, or is not there "
            f"({' '.join(str(error).split())}). Make it with `rs-gpt4v preferences ... --out "
            f"{training.preferences}`"
        ) from error
    if split not in splits:
        raise ValueError(
            f"preferences: {training.preferences} has no split {split!r} of {config!r}, only "
            f"{', '.join(map(str, splits))}"
        )
    rows = splits[split]
    expected = {"images", "prompt", *ANSWERS[config], *(["label"] if config == "labels" else [])}
    if absent := sorted(expected - set(rows.column_names)):
        raise ValueError(
            f"preferences: {training.preferences}, {config}/{split} lacks {', '.join(absent)}; it "
            f"has {', '.join(rows.column_names)}. Write it with `rs-gpt4v preferences`"
        )
    return at_most(data.max_rows, rows, training.seed)


def dialogues(rows: datasets.Dataset, name: str, config: str) -> list[datasets.Dataset]:
    """For each column of replies the conversations that end with them, checked.

    Raises:
        InvalidConversationError: A row cannot be learned from.
    """
    return [repository.loaded(_ending_with(rows, column), name) for column in ANSWERS[config]]


def _ending_with(rows: datasets.Dataset, column: str) -> datasets.Dataset:
    prompts, replies = (_column(rows, name).to_pylist() for name in ("prompt", column))
    messages: Any = [[*p, *r] for p, r in zip(prompts, replies, strict=True)]
    kept = [name for name in ("id", "images", "task") if name in rows.column_names]
    whole = rows.select_columns(kept).add_column("messages", messages)
    return whole.cast_column("messages", repository.COLUMNS["messages"])


def _column(rows: datasets.Dataset, name: str) -> pa.Array:
    table: Any = rows.select_columns([name]).with_format("arrow")[:]
    return table[name].combine_chunks()


def _checked(
    rows: datasets.Dataset, processor: Any, max_length: int | None, config: str
) -> datasets.Dataset:
    refuse_unlearnable_replies(processor)
    whole = dialogues(rows, f"{config}/{rows.split}", config)
    for part in whole:
        refuse_unlearnable(part, processor)
        refuse_cut_rows(part, processor, max_length)
    result = whole[0].remove_columns("messages")
    for name in ("prompt", *ANSWERS[config], *(["label"] if config == "labels" else [])):
        values: Any = _column(rows, name).to_pylist()
        result = result.add_column(name, values)
    return result


def refuse_unlearnable_replies(processor: Any) -> None:
    """Raise unless ``processor`` takes a reply by itself, as TRL's collators give it.

    Raises:
        RecipeError: It wants an image with every text.
    """
    if fault := text_fault(processor):
        raise RecipeError(
            f"TRL hands a model's processor the replies apart from the images: {fault}. Such a "
            "model trains by --method sft and grpo only"
        )
