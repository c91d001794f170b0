"""What a harness is given, splits of one task each, and what its predictions say of the model."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import datasets

from rs_gpt4v import NAME
from rs_gpt4v_builders.folder.source import NAME as FOLDER
from rs_gpt4v_evaluation.predict.predictions import made_by
from rs_gpt4v_evaluation.rs_judge import measure as rs_judge
from rs_gpt4v_evaluation.score import METRIC_OF_TASK


class Tested(NamedTuple):
    """One split: its task and the question types of its rows, in order of first occurrence."""

    config: str
    split: str
    task: str
    question_types: list[str]
    rows: datasets.Dataset

    @property
    def name(self) -> str:
        """``rs_gpt4v_<config>``, and the split where it is not "test"."""
        suffix = self.split.removeprefix("test").strip("_")
        return "_".join(part for part in (NAME, self.config, suffix) if part)


def test_splits(configs: Mapping[str, datasets.DatasetDict]) -> dict[str, datasets.DatasetDict]:
    """``configs`` without their training rows.

    Raises:
        ValueError: A config has no other rows, mixes tasks, as some groups do, or is of a task
            without a metric.
    """
    tests_by_config = {}
    for config, splits in configs.items():
        tests = {split: rows for split, rows in splits.items() if split != "train"}
        if not tests:
            raise ValueError(f"{config} has training rows alone, nothing for a harness to test on")
        for rows in tests.values():
            _task(config, rows)
        tests_by_config[config] = datasets.DatasetDict(tests)
    return tests_by_config


def tested(configs: Mapping[str, datasets.DatasetDict]) -> Iterator[Tested]:
    """Every one of `test_splits`."""
    for config, splits in configs.items():
        for split, rows in splits.items():
            types = [kind for kind in rows.unique("question_type") if kind]
            yield Tested(config, str(split), _task(config, rows), types, rows)


def _task(config: str, rows: datasets.Dataset) -> str:
    tasks = rows.unique("task")
    if len(tasks) > 1:
        raise ValueError(
            f"{config} mixes the tasks {', '.join(tasks)}, and a harness scores one at a time: "
            "name its configs instead" + (", or give --tasks" if config == FOLDER else "")
        )
    if tasks[0] not in METRIC_OF_TASK:
        is_judged = tasks[0] in rs_judge.GROUPS
        judged = " but a model judges: rs-gpt4v predict and rs-gpt4v judge do that" * is_judged
        raise ValueError(
            f"{config} holds rows of task {tasks[0]!r}, which no metric scores{judged}. A harness "
            f"can have the configs of {', '.join(METRIC_OF_TASK)}."
        )
    return tasks[0]


def predicted_by(model: str, dataset: Mapping[str, Any]) -> dict[str, Any]:
    """What each prediction of a harness says of the model, most of which no harness tells."""
    return made_by(model, dataset, {"do_sample": None, "max_new_tokens": None})
