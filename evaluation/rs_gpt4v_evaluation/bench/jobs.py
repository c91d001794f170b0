"""What a bench asks: the test splits that are there, and a sample of each for blind runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import datasets

from rs_gpt4v import NAME
from rs_gpt4v_builders import config_of, inventory, members, usable
from rs_gpt4v_builders.builder import (
    DATA_ROOT_VARIABLE,
    UNUSABLE,
    NoDataRootError,
    options_of,
)
from rs_gpt4v_builders.folder.source import NAME as FOLDER
from rs_gpt4v_builders.sources.source import SourceNotFoundError, not_found
from rs_gpt4v_evaluation.predict.blind import check_shown
from rs_gpt4v_evaluation.predict.part import blind_part, first_images, image_ranks, limit_of
from rs_gpt4v_evaluation.predict.predictions import (
    PREDICTIONS,
    PredictedRows,
    describe,
    longest,
)
from rs_gpt4v_evaluation.predict.turns import each_turn
from rs_gpt4v_evaluation.score import METRIC_OF_TASK


@dataclass(frozen=True)
class Draw:
    """How many images of each split are asked about, of all (None), and in blind runs."""

    limit: int | None
    blind_images: int
    seed: int


class Split(NamedTuple):
    """A test split: its rows, one a question, and the tasks of its config."""

    config: str
    name: str
    protocol: str
    box_format: str
    rows: datasets.Dataset
    tasks: list[str]

    @property
    def label(self) -> str:
        """The config, and the split where it is not the one called test."""
        return self.config if self.name == "test" else f"{self.config}-{self.name}"


class Job(NamedTuple):
    """Rows to be asked, and the predictions file of their replies within the bench's folder."""

    file: Path
    rows: datasets.Dataset
    described: PredictedRows
    longest: int


def chosen(names: Sequence[str]) -> list[str]:
    """The configs meant by names of configs and groups, each once; all where none is named.

    Raises:
        ValueError: There is none of a name.
    """
    if not names:
        return [*usable()]
    inventory.choose([name for name in names if name != FOLDER])
    return list(dict.fromkeys(member for name in names for member in members(name)))


def check_asked(names: Sequence[str], blind: Sequence[str], options: Mapping[str, Any]) -> None:
    """Refuse at once what is wrong in names, before a model is loaded and any release is read.

    Args:
        names: Configs and groups; none for all that are there.
        blind: What blind runs show.
        options: Of `load_dataset("rs_gpt4v", ...)`.

    Raises:
        ValueError: There is no config or no blind run of a name.
        NoDataRootError: Nothing says where the releases are.
        SourceNotFoundError: A named config's release is absent, or all are.
    """
    check_shown(blind)
    configs = [config for config in chosen(names) if config != FOLDER]
    if options.get("sample") or not configs:
        return
    if (data_dir := options.get("data_dir")) is None:
        raise NoDataRootError(
            f"no data root: give data_dir (--data-dir), set {DATA_ROOT_VARIABLE}, or take the "
            "sample (--sample) to try without data"
        )
    root = Path(data_dir)
    for config in names:
        if config in configs and config_of(config).source.find(root) is None:
            raise not_found(config_of(config).source, root)
    if not any(config_of(config).source.find(root) for config in configs):
        raise SourceNotFoundError(
            f"there is no release in {root}: `rs-gpt4v sources --data-dir {root}` says which "
            "folders are expected there, and where to get them"
        )


_NO_TEST_FILE = (
    "it has no test split: call a file test, or give --data-files test=FILE; `rs-gpt4v predict` "
    "takes --split validation"
)
_ABSENT = "the release is not there (rs-gpt4v sources says where to get it)"


def test_splits(
    names: Sequence[str], box_format: str, options: Mapping[str, Any], advance: Callable[[], Any]
) -> tuple[list[Split], dict[str, str]]:
    """The test splits of the configs ``names``, or of all that are there, and why others are not.

    Args:
        names: Configs and groups; a config that is named must be there.
        box_format: How boxes stand in the questions.
        options: Of `load_dataset("rs_gpt4v", ...)`.
        advance: Called once a config.

    Raises:
        ValueError: No config has a test split, or there is none of a name.
        SourceNotFoundError: A named config's release is absent.
    """
    splits: list[Split] = []
    absent: dict[str, str] = {}
    for config in chosen(names):
        try:
            found = _of_config(config, box_format, options_of(config, chosen(names), options))
            splits += found
            if not found:
                absent[config] = _NO_TEST_FILE if config == FOLDER else "it has no test split"
        except UNUSABLE as error:
            if config in names:
                raise
            is_absent = isinstance(error, SourceNotFoundError)
            absent[config] = _ABSENT if is_absent else str(error)
        advance()
    if not splits:
        raise ValueError(f"there is no test split to ask: {'; '.join(reasons(absent))}")
    return splits, absent


def reasons(absent: Mapping[str, str]) -> list[str]:
    """Why configs are not asked: each reason once, after its configs."""
    by_reason: dict[str, list[str]] = {}
    for config, reason in absent.items():
        by_reason.setdefault(reason, []).append(config)
    return [f"{', '.join(own)}: {reason}" for reason, own in by_reason.items()]


def count(names: Sequence[str]) -> int:
    """How many configs `test_splits` goes through."""
    return len(chosen(names))


def _of_config(config: str, box_format: str, options: Mapping[str, Any]) -> list[Split]:
    protocol = options["protocol"]
    if config != FOLDER and not any(map(_is_test, config_of(config).splits(protocol))):
        return []
    builder: Any = datasets.load_dataset_builder(NAME, config, **options)
    read: Any = datasets.load_dataset(NAME, config, box_format=box_format, **options)
    return [
        Split(config, name, protocol, box_format, each_turn(read[name]), builder.tasks)
        for name in read
        if _is_test(name)
    ]


def _is_test(split: str) -> bool:
    return split.startswith("test")


def jobs(
    split: Split, draw: Draw, blind: Sequence[str], max_new_tokens: int | None
) -> tuple[list[Job], dict[str, str]]:
    """The questions about ``split`` and those of its ``blind`` runs, and why others are left out.

    Rows that a judge scores have no blind run: asking the judge costs too much.
    """
    ranks = image_ranks(split.rows, draw.seed)
    longest_reply = max_new_tokens or longest(split.tasks)

    def job(folder: str, rows: datasets.Dataset, images: int | None) -> Job:
        described = describe(
            rows,
            config=split.config,
            split=split.name,
            protocol=split.protocol,
            box_format=split.box_format,
            limit=limit_of(ranks, images, draw.seed),
        )
        file = Path(folder, f"{split.label}.jsonl")
        return Job(file, rows, described, longest_reply)

    work = [job(PREDICTIONS, first_images(split.rows, ranks, draw.limit), draw.limit)]
    left_out = {}
    images = draw.blind_images if draw.limit is None else min(draw.blind_images, draw.limit)
    is_scored = not METRIC_OF_TASK.keys().isdisjoint(split.rows.unique("task"))
    for kind in blind if images and is_scored else ():
        folder = f"blind-{kind}"
        try:
            work.append(job(folder, blind_part(split.rows, ranks, images, kind, draw.seed), images))
        except ValueError as error:
            left_out[f"{folder} {split.label}"] = str(error)
    return work, left_out
