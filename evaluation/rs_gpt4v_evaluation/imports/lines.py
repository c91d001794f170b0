"""Predictions of imported results: of rows that are ours, or with the truth that a file states."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import datasets

from rs_gpt4v.conversation import Task
from rs_gpt4v_builders import config_of, members
from rs_gpt4v_evaluation.harnesses.splits import predicted_by
from rs_gpt4v_evaluation.imports.formats import ImportingError, Result
from rs_gpt4v_evaluation.predict.predictions import (
    UNVERIFIED,
    PredictedRows,
    Prediction,
    prediction_line,
)

_TASKS: dict[str, Task] = {"captions": "caption", "questions": "vqa", "scenes": "scene"}
"""By the function that adapts records: tasks whose truth is a text, which needs no image."""


def verified_lines(
    rows: datasets.Dataset, of_row: Mapping[int, Result], model: str, described: PredictedRows
) -> Iterator[Prediction]:
    """The predictions of the rows that have a result, in the order of the rows.

    Args:
        rows: Of the split.
        of_row: The result of each row that has one, by the row's place.
        model: Who replied.
        described: What `rs_gpt4v_evaluation.predict.describe` says of ``rows``.
    """
    constants = predicted_by(model, described)
    undecoded: Any = rows.with_format("arrow")
    tables = (table.to_pylist() for table in undecoded.iter(1_000))
    for place, row in enumerate(row for table in tables for row in table):
        if place in of_row:
            yield prediction_line(row, of_row[place].reply, constants)


def unverified_lines(
    results: Iterable[Result], model: str, config: str, split: str, protocol: str
) -> list[Prediction]:
    """Predictions with the questions and the true answers that the results state themselves.

    Ids say that the rows were not compared with ours, and so does the fingerprint.

    Raises:
        ImportingError: The rows of ``config`` are needed, or no result states its truth.
    """
    source, task = _source_and_task(config)
    true = [result for result in results if result.references]
    if not true:
        raise ImportingError(
            "the results state no true answers, so they cannot be scored without our rows: give "
            "--data-dir, the folder of the releases"
        )
    dataset: PredictedRows = {
        "config": config,
        "split": split,
        "protocol": protocol,
        "rows": len(true),
        "fingerprint": UNVERIFIED,
    }
    constants: Any = predicted_by(model, dataset)
    lines: Any = [
        {
            "id": f"imported/{number:06d}",
            "source": source,
            "task": task,
            "question_type": result.question_type if task == "vqa" else None,
            "image": result.image,
            "prompt": result.question or "",
            "prediction": result.reply,
            "references": list(result.references),
            "boxes": [],
            "width": 0,
            "height": 0,
            **constants,
        }
        for number, result in enumerate(true, start=1)
    ]
    return lines


def _source_and_task(config: str) -> tuple[str, Task]:
    try:
        known = [config_of(name) for name in members(config)]
    except KeyError:
        raise ImportingError(
            f"there is no config {config!r}: rs-gpt4v sources lists them"
        ) from None
    if len(known) > 1:
        raise ImportingError(
            f"{config} is a group: name the config of which these results are, such as "
            f"{members(config)[0]}"
        )
    adapt = known[0].adapt.__name__
    if adapt not in _TASKS:
        raise ImportingError(
            f"{config}: its replies are compared with more than a text, so the rows are needed: "
            "give --data-dir, the folder of the releases"
        )
    return known[0].source.name, _TASKS[adapt]
