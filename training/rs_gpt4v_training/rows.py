"""The rows that a recipe asks for: built beforehand, or read as training goes."""

import logging
from typing import Any

import datasets

from rs_gpt4v import NAME
from rs_gpt4v_builders.sources.source import SourceNotFoundError
from rs_gpt4v_training import repository
from rs_gpt4v_training.arguments import DataArguments, TrainingArguments
from rs_gpt4v_training.image_cache import image_cache, through_cache
from rs_gpt4v_training.learnable import refuse_unlearnable
from rs_gpt4v_training.lengths import refuse_cut_rows, token_lengths
from rs_gpt4v_training.mixture import MixtureError, refuse_bad_weights, weighted
from rs_gpt4v_training.streaming import interleaved, refuse_unstreamable

logger = logging.getLogger(__name__)


def rows_to_train_on(
    data: DataArguments, training: TrainingArguments, processor: Any, max_length: int | None
) -> dict[str, Any]:
    """The rows of each split that training asks for, as its options want them.

    None is longer than ``max_length``; rows that stream are looked at when they come.

    Raises:
        ValueError: As `load_rows`.
        InvalidConversationError: The model cannot take a row.
        TooLongError: A row is longer.
        StreamingError: Rows shall stream, and an option needs them all beforehand.
    """
    splits = ["train"] if training.eval_strategy == "no" else ["train", "validation"]
    if data.streaming:
        refuse_unstreamable(training, data.image_size)
        return {split: stream_rows(data, split, training.seed) for split in splits}
    rows = {split: load_rows(data, split, training.seed) for split in splits}
    if data.image_size is not None:
        cache = image_cache(data.image_size, processor)
        with training.main_process_first(desc="resizing the images"):
            rows = {split: through_cache(part, cache) for split, part in rows.items()}
    for part in rows.values():
        refuse_unlearnable(part, processor)
        if max_length is not None:
            refuse_cut_rows(part, processor, max_length)
    if training.group_by_length:
        rows = {
            split: part.add_column("length", token_lengths(part, processor))
            for split, part in rows.items()
        }
    return rows


def load_rows(data: DataArguments, split: str, seed: int) -> datasets.Dataset:
    """The rows of all configs in ``data``, one after the other, by their weights in "train".

    Raises:
        ValueError: No config is named, or none has the split.
        MixtureError: A weight is for no config that is trained on, or not above 0.
    """
    parts = {
        name: _at_most(data.max_rows, rows, seed) for name, rows in _of_split(data, split).items()
    }
    if split == "train" and data.weights:
        parts = {
            name: weighted(rows, data.weights.get(name, 1), seed) for name, rows in parts.items()
        }
        counts = ", ".join(f"{name} {len(rows):,}" for name, rows in parts.items())
        logger.warning("mixture, rows an epoch: %s", counts)
    return datasets.concatenate_datasets(list(parts.values()))


def stream_rows(data: DataArguments, split: str, seed: int) -> datasets.IterableDataset:
    """The rows of all configs in ``data``, read as they are asked for.

    Those of "train" come mixed: the next row's config is drawn by the weights, as nothing tells how
    many rows a config has. Other splits are read in order, once.

    Raises:
        ValueError: As `load_rows`.
    """
    parts = _of_split(data, split)
    if data.max_rows is not None:
        parts = {name: rows.take(data.max_rows) for name, rows in parts.items()}
    if split != "train":
        return datasets.concatenate_datasets(list(parts.values()))
    return interleaved(parts, data.weights, seed=seed, buffer=data.shuffle_buffer)


def _of_split(data: DataArguments, split: str) -> dict[str, Any]:
    """The rows of each config that has the split."""
    if not data.datasets:
        raise ValueError("no data: name configs in the recipe, e.g. datasets: [vqa_lr, cap_ucm]")
    loaded = {name: _load_config(data, name) for name in _configs(data)}
    without = [name for name, splits in loaded.items() if split not in splits]
    if len(without) == len(loaded):
        raise ValueError(f"none of {', '.join(loaded)} has a split {split!r}")
    if without:
        logger.warning("%s: no split %r, left out of it", ", ".join(without), split)
    return {name: splits[split] for name, splits in loaded.items() if split in splits}


def _configs(data: DataArguments) -> list[str]:
    """The configs to load; a group that has members with weights of their own, as its members."""
    if data.repository is not None or not data.weights:
        refuse_bad_weights(data.weights, data.datasets)
        return data.datasets
    members = {name: _members(name) for name in data.datasets}
    refuse_bad_weights(data.weights, [*members, *sum(members.values(), ())])
    every = [
        part
        for name, parts in members.items()
        for part in (parts if not data.weights.keys().isdisjoint(parts) else (name,))
    ]
    if twice := sorted({name for name in every if every.count(name) > 1}):
        raise MixtureError(
            f"mixture: {', '.join(twice)} is in datasets twice, by itself or in a group: name it "
            "once and give it a weight"
        )
    return every


def _members(name: str) -> tuple[str, ...]:
    builder: Any = datasets.load_dataset_builder(NAME, name)
    return builder.members


def _load_config(data: DataArguments, name: str) -> Any:
    """The splits of a config; none where it is absent and to be skipped."""
    if data.repository is not None:
        return repository.load(data.repository, name, streaming=data.streaming)
    try:
        return datasets.load_dataset(
            NAME,
            name,
            streaming=data.streaming,
            data_dir=data.data_dir,
            sample=data.sample,
            protocol=data.protocol,
            on_missing=data.on_missing,
            box_format=data.box_format,
            exclude_leaks=data.exclude_leaks,
            stretch=data.stretch,
            bands=data.bands and tuple(data.bands),
        )
    except SourceNotFoundError:
        # A member of a group goes the way that the group would.
        if name in data.datasets or data.on_missing != "skip":
            raise
        return {}


def _at_most(count: int | None, rows: datasets.Dataset, seed: int) -> datasets.Dataset:
    if count is None or len(rows) <= count:
        return rows
    return rows.shuffle(seed=seed).select(range(count))
