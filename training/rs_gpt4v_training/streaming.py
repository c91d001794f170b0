"""Rows that are read as training goes: `streaming` in a recipe."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import datasets

from rs_gpt4v.conversation import FEATURES
from rs_gpt4v_training.lengths import TooLongError


class StreamingError(ValueError):
    """What is asked for needs all rows before training; the message says what to do."""


def refuse_unstreamable(training: Any, image_size: int | None) -> None:
    """Raise unless the options do without knowing all rows before training.

    Raises:
        StreamingError: Names the option.
    """
    if training.max_steps <= 0:
        raise StreamingError(
            "streaming: nothing tells how many rows there are, so an epoch has no end: give "
            "max_steps, e.g. rows / global_batch_size"
        )
    if training.group_by_length:
        raise StreamingError("streaming: group_by_length needs the lengths of all rows; leave out")
    if image_size is not None:
        raise StreamingError("streaming: image_size caches images before training; leave one out")


def refuse_shards(rows: datasets.Dataset) -> None:
    """Raise where ``rows`` are samples of WebDataset shards, not conversations.

    Raises:
        StreamingError: They are.
    """
    if "json" in rows.column_names:
        raise StreamingError("WebDataset shards are read as a stream: give streaming: true")


def interleaved(
    streams: Mapping[str, datasets.IterableDataset],
    weights: Mapping[str, float],
    *,
    seed: int,
    buffer: int,
) -> datasets.IterableDataset:
    """Rows of all ``streams``, each drawn from one of them by weight (1 where none is given).

    A stream that ends begins anew, until all have ended once; each row is one of ``buffer`` rows,
    drawn at random. A stream is shuffled before it is mixed: in a shard, the rows of an image are
    neighbours.
    """
    given = [weights.get(name, 1) for name in streams]
    shuffled = [rows.shuffle(seed=seed, buffer_size=buffer) for rows in streams.values()]
    return datasets.interleave_datasets(
        shuffled,
        probabilities=[weight / sum(given) for weight in given],
        seed=seed,
        stopping_strategy="all_exhausted",
    )


@contextmanager
def plain_errors() -> Iterator[None]:
    """Raise what is wrong with a row as it is told.

    `datasets` 5.2 decodes images in threads, and an error there ends in a RuntimeError about their
    event loop, which has the row's error as its context.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error.__context__, ValueError):
            raise error.__context__ from None
        raise


def unpacked(rows: datasets.IterableDataset) -> datasets.IterableDataset:
    """``rows`` as conversations; a sample of a WebDataset shard is one image with all its rows."""
    if rows.features is None or "json" not in rows.features:
        return rows
    undecoded: Any = rows.decode(False)
    flat = undecoded.map(
        _rows_of, batched=True, batch_size=1, remove_columns=rows.column_names, features=FEATURES
    )
    return flat.decode(True)


def _rows_of(sample: dict[str, list[Any]]) -> dict[str, list[Any]]:
    about = sample["json"][0]
    other = ("json", "__key__", "__url__")
    image = next(v[0] for name, v in sample.items() if name not in other and v[0] is not None)
    shared = {"images": [image], "width": about["width"], "height": about["height"]}
    rows = [row | shared for row in about["rows"]]
    return {name: [row[name] for row in rows] for name in FEATURES}


@dataclass
class Uncut:
    """A collator that raises where a row is longer than ``max_length``, as TRL would cut it."""

    collator: Any
    max_length: int

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """The batch of ``examples``.

        Raises:
            TooLongError: Names the longest row by the words it begins with.
        """
        asked = [example["messages"][0]["content"] for example in examples]
        batch = self.collator(examples)
        lengths = batch["attention_mask"].sum(dim=1)
        if lengths.max() > self.max_length:
            raise TooLongError(
                f"max_length {self.max_length} would cut a row of {lengths.max()} tokens; it "
                f"begins {asked[int(lengths.argmax())][:100]!r}. Set max_length: {lengths.max()} "
                "or more."
            )
        return batch
