"""The rows that a recipe asks for: built beforehand, or read as training goes."""

import difflib
import logging
from collections.abc import Iterable, Mapping
from typing import Any

import datasets
import numpy as np

from rs_gpt4v import NAME
from rs_gpt4v_builders import CONFIGS, members
from rs_gpt4v_builders.sources.source import SourceNotFoundError
from rs_gpt4v_training import repository
from rs_gpt4v_training.arguments import Arguments, DataArguments
from rs_gpt4v_training.image_cache import image_cache, through_cache
from rs_gpt4v_training.machines import first_difference
from rs_gpt4v_training.recipe import RecipeError, is_weight
from rs_gpt4v_training.row_checks import refuse_cut_rows, refuse_unlearnable, token_lengths

logger = logging.getLogger(__name__)


def rows_to_train_on(
    data: DataArguments,
    training: Arguments,
    processor: Any,
    max_length: int | None,
) -> dict[str, Any]:
    """The rows of each split that training asks for, as its options want them.

    None is longer than ``max_length``; rows that stream are looked at when they come.

    Raises:
        ValueError: As `load_rows`.
        InvalidConversationError: The model cannot take a row.
        TooLongError: A row is longer.
        RecipeError: Rows shall stream, and an option needs them all beforehand.
    """
    splits = ["train"] if training.eval_strategy == "no" else ["train", "validation"]
    if data.streaming:
        _refuse_unstreamable(training, data.image_size)
        return {split: stream_rows(data, split, training.seed) for split in splits}
    rows = {split: load_rows(data, split, training.seed) for split in splits}
    if data.image_size is not None:
        cache = image_cache(data.image_size, processor)
        with training.main_process_first(desc="resizing the images"):
            rows = {split: through_cache(part, cache) for split, part in rows.items()}
    for part in rows.values():
        refuse_unlearnable(part, processor)
        refuse_cut_rows(part, processor, max_length)
    if training.group_by_length:
        rows = {
            split: part.add_column("length", token_lengths(part, processor))
            for split, part in rows.items()
        }
    return rows


def refuse_other_rows(rows: Mapping[str, Any]) -> None:
    """Raise unless all processes have as many rows: each takes its part of its own.

    Machines with data of their own may lack files, which ``on_missing: skip`` passes over.

    Raises:
        RecipeError: Names two processes and what they have.
    """
    counts = {name: len(part) for name, part in rows.items() if isinstance(part, datasets.Dataset)}
    if differing := first_difference(counts):
        (one, first), (other, own) = differing
        raise RecipeError(
            f"{one} has {_listed(first)}, {other} has {_listed(own)}: all machines must have the "
            "same data"
        )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} rows of {split}" for split, count in counts.items())


def _refuse_unstreamable(training: Any, image_size: int | None) -> None:
    """Raise unless the options do without knowing all rows before training.

    Raises:
        RecipeError: Names the option.
    """
    if training.max_steps <= 0:
        raise RecipeError(
            "streaming: nothing tells how many rows there are, so an epoch has no end: give "
            "max_steps, e.g. rows / global_batch_size"
        )
    if training.group_by_length:
        raise RecipeError("streaming: group_by_length needs the lengths of all rows; leave out")
    if image_size is not None:
        raise RecipeError("streaming: image_size caches images before training; leave one out")


def load_rows(data: DataArguments, split: str, seed: int) -> datasets.Dataset:
    """The rows of all configs in ``data``, one after the other, by their weights in "train".

    Raises:
        ValueError: No config is named, or none has the split.
        RecipeError: A weight is for no config that is trained on, or not above 0.
    """
    parts = {
        name: at_most(data.max_rows, rows, seed) for name, rows in _of_split(data, split).items()
    }
    if split == "train" and data.weights:
        parts = {
            name: weighted(rows, data.weights.get(name, 1), seed) for name, rows in parts.items()
        }
        counts = ", ".join(f"{name} {len(rows):,}" for name, rows in parts.items())
        logger.warning("mixture, rows an epoch: %s", counts)
    return datasets.concatenate_datasets(list(parts.values()))


def stream_rows(data: DataArguments, split: str, seed: int) -> datasets.IterableDataset:
    """The rows of all configs in ``data``, read during training.

    Those of "train" are mixed: the next row's config is drawn by the weights, because the number of
    rows is not known. A config that ends begins anew, until all have ended once. Other splits are
    read in order, once.

    Raises:
        ValueError: As `load_rows`.
    """
    parts = _of_split(data, split)
    if data.max_rows is not None:
        parts = {name: rows.take(data.max_rows) for name, rows in parts.items()}
    if split != "train":
        return datasets.concatenate_datasets(list(parts.values()))
    weights = [data.weights.get(name, 1) for name in parts]
    return datasets.interleave_datasets(
        # Shuffled before they are mixed: in a shard, the rows of an image are neighbours.
        [rows.shuffle(seed=seed, buffer_size=data.shuffle_buffer) for rows in parts.values()],
        probabilities=[weight / sum(weights) for weight in weights],
        seed=seed,
        stopping_strategy="all_exhausted",
    )


def _of_split(data: DataArguments, split: str) -> dict[str, Any]:
    """The rows of each config that has the split."""
    if not data.datasets:
        raise ValueError("no data: name configs in the recipe, e.g. datasets: [vqa_lr, cap_ucm]")
    loaded = {name: _load_config(data, name) for name in _configs(data)}
    without = [name for name, splits in loaded.items() if split not in splits]
    if len(without) == len(loaded):
        known = {name: [CONFIGS[m] for m in members(name) if m in CONFIGS] for name in loaded}
        tested = [name for name, own in known.items() if any(not one.trains for one in own)]
        why = f": {', '.join(tested)} are for evaluation alone" if tested else ""
        raise ValueError(f"none of {', '.join(loaded)} has a split {split!r}{why}")
    if without:
        logger.warning("%s: no split %r, left out of it", ", ".join(without), split)
    return {name: splits[split] for name, splits in loaded.items() if split in splits}


def _configs(data: DataArguments) -> list[str]:
    """The configs to load; a group that has members with weights of their own, as its members."""
    if data.repository is not None or not data.weights:
        _refuse_bad_weights(data.weights, data.datasets)
        return data.datasets
    members = {name: (name,) if name in data.own else _members(name) for name in data.datasets}
    _refuse_bad_weights(data.weights, [*members, *sum(members.values(), ())])
    every = [
        part
        for name, parts in members.items()
        for part in (parts if not data.weights.keys().isdisjoint(parts) else (name,))
    ]
    if twice := sorted({name for name in every if every.count(name) > 1}):
        raise RecipeError(
            f"mixture: {', '.join(twice)} is in datasets twice, by itself or in a group: name it "
            "once and give it a weight"
        )
    return every


def _refuse_bad_weights(weights: Mapping[str, float], configs: Iterable[str]) -> None:
    """Raise unless every weight is positive and for one of ``configs``.

    Raises:
        RecipeError: The first bad one, with what there is.
    """
    known = list(dict.fromkeys(configs))
    for name, weight in weights.items():
        if name not in known:
            near = difflib.get_close_matches(name, known)
            meant = f" Did you mean {' or '.join(near)}?" if near else ""
            raise RecipeError(
                f"mixture: {name!r} is not trained on.{meant} There are: {', '.join(known)}. "
                "Take it out of the recipe's mixture, or give --mixture '{}' for none"
            )
        if not is_weight(weight):
            raise RecipeError(
                f"mixture: {name}: {weight!r} is no weight: give a number above 0, 0.5 for half "
                f"of its rows, 2 for each row twice; or leave it out of datasets. There are: "
                f"{', '.join(known)}"
            )


def _members(name: str) -> tuple[str, ...]:
    builder: Any = datasets.load_dataset_builder(NAME, name)
    return builder.members


def _load_config(data: DataArguments, name: str) -> Any:
    """The splits of a config; none where it is absent and to be skipped."""
    if data.repository is not None:
        return repository.load(data.repository, name, streaming=data.streaming)
    own = data.own.get(name, {"config": name})
    options: dict[str, Any] = {
        "data_dir": data.data_dir,
        "sample": data.sample and "data_dir" not in own,
        "protocol": data.protocol,
        "on_missing": data.on_missing,
        "box_format": data.box_format,
        "exclude_leaks": data.exclude_leaks,
        "stretch": data.stretch,
        "bands": data.bands and tuple(data.bands),
    }
    options |= {key: value for key, value in own.items() if key != "config"}
    try:
        return datasets.load_dataset(NAME, own["config"], streaming=data.streaming, **options)
    except SourceNotFoundError:
        # A member of a group goes the way that the group would.
        if name in data.datasets or data.on_missing != "skip":
            raise
        return {}


def at_most(count: int | None, rows: datasets.Dataset, seed: int) -> datasets.Dataset:
    """``rows``, or ``count`` of them by ``seed``."""
    if count is None or len(rows) <= count:
        return rows
    return rows.shuffle(seed=seed).select(range(count))


def weighted(rows: datasets.Dataset, weight: float, seed: int) -> datasets.Dataset:
    """``rows``, each ``weight`` times: whole times in order, then a random part by ``seed``.

    The part is the same in every epoch.
    """
    whole, rest = divmod(weight, 1)
    part = np.random.default_rng(seed).permutation(len(rows))[: round(rest * len(rows))]
    return rows.select(np.r_[np.tile(np.arange(len(rows)), int(whole)), np.sort(part)])
