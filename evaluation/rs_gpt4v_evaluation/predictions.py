"""Predictions on disk: one JSON line a row, which can be scored again without a model."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypedDict


class Decoding(TypedDict):
    """How the reply was made."""

    do_sample: bool
    max_new_tokens: int


class PredictedRows(TypedDict):
    """Which rows were asked: their number and a hash of their ids, messages and references.

    ``box_format`` is the codec that reads the boxes of a reply.
    """

    config: str
    split: str
    protocol: str
    box_format: str
    rows: int
    fingerprint: str


class Prediction(TypedDict):
    """One line.

    ``image`` is a path, ``prompt`` the last question, ``prediction`` the reply, ``weights`` tells
    one state of the model from another that was saved under its name.
    """

    id: str
    source: str
    task: str
    question_type: str | None
    image: str | None
    prompt: str
    prediction: str
    references: list[str]
    model: str
    adapter: str | None
    weights: str
    decoding: Decoding
    dataset: PredictedRows


class PredictionFileError(ValueError):
    """A predictions file cannot be used; the message names the file, the line and what to do."""


def read_predictions(path: Path) -> list[Prediction]:
    """All predictions of ``path``, in file order.

    A last line that a kill cut short is left out; `append_predictions` overwrites it.

    Raises:
        PredictionFileError: A line is not a prediction, or an id occurs twice.
    """
    *lines, last = path.read_bytes().split(b"\n")
    if _is_json(last):  # the file merely lacks its final newline
        lines.append(last)
    whole = [_parsed(path, i, line) for i, line in enumerate(lines, start=1)]
    ids = {prediction["id"] for prediction in whole}
    if len(ids) != len(whole):
        raise PredictionFileError(f"{path}: {len(whole) - len(ids)} ids occur twice; predict anew")
    return whole


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _parsed(path: Path, number: int, line: bytes) -> Prediction:
    try:
        prediction = json.loads(line)
    except ValueError as error:
        raise PredictionFileError(f"{path}, line {number}: not JSON ({error})") from error
    absent = Prediction.__required_keys__ - set(prediction)
    if absent:
        raise PredictionFileError(f"{path}, line {number}: lacks {', '.join(sorted(absent))}")
    return prediction


def append_predictions(path: Path, batches: Iterable[list[Prediction]]) -> Iterator[int]:
    """Append each batch as it comes, durably, and yield its size.

    A kill loses at most the batch in the making: what it left of a line is cut off first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        _cut_partial_line(path, file)
        for batch in batches:
            file.write("".join(_line(prediction) for prediction in batch).encode(errors="replace"))
            file.flush()
            os.fsync(file.fileno())
            yield len(batch)


def _cut_partial_line(path: Path, file: Any) -> None:
    content = path.read_bytes()
    last = content.rpartition(b"\n")[2]
    if _is_json(last):
        file.write(b"\n")
    elif last:
        file.truncate(len(content) - len(last))


def _line(prediction: Prediction) -> str:
    return json.dumps(prediction, ensure_ascii=False) + "\n"
