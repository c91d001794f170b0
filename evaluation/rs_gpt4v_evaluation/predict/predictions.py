"""Predictions on disk: one JSON line a row, which can be scored again without a model."""

import glob
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import datasets
from annotated_types import Ge, MinLen
from typing_extensions import NotRequired, TypedDict

from rs_gpt4v.conversation import LabelledBox, Message, Task, fingerprint
from rs_gpt4v.files import (
    AnyPath,
    InvalidFileError,
    appending,
    json_line,
    of_file,
    parse_json,
    replacing,
    whole_lines,
)
from rs_gpt4v_evaluation.predict.blind import BLIND, Shown

T = TypeVar("T")

PREDICTIONS = "predictions"
"""The folder in which a bench keeps the predictions files that are not blind."""


class Decoding(TypedDict):
    """How the reply was made; None where whoever made it does not tell."""

    do_sample: bool | None
    max_new_tokens: int | None


class Limit(TypedDict):
    """Which part of a split was asked: that of ``images`` images drawn by ``seed``, of ``rows``."""

    images: Annotated[int, Ge(1)]
    seed: int
    rows: Annotated[int, Ge(0)]


ONE_A_FILE = ("model", "adapter", "weights", "decoding", "dataset")
"""What is the same in all lines of a file."""

UNVERIFIED = "unverified"
"""The fingerprint of imported rows that were not compared with ours."""


class PredictedRows(TypedDict):
    """Which rows were asked: their number and a hash of their ids, messages and references.

    ``box_format`` is the codec that reads the boxes of a reply; ``limit`` is absent where all rows
    of the split were asked. ``images`` is what a blind run showed in place of the rows' own, and
    ``images_seed`` which others: absent where the own were shown. The fingerprint of imported rows
    that were not compared with ours is `UNVERIFIED`; ``interchangeable`` is how many of their
    replies may be those of other rows which ask and accept the same.
    """

    config: str
    split: str
    protocol: str
    box_format: NotRequired[str]
    rows: Annotated[int, Ge(0)]
    fingerprint: str
    limit: NotRequired[Limit]
    images: NotRequired[Shown]
    images_seed: NotRequired[int]
    interchangeable: NotRequired[int]


def is_verified(dataset: PredictedRows) -> bool:
    """Whether the rows are ours, with our references."""
    return dataset["fingerprint"] != UNVERIFIED


class _Line(TypedDict):
    id: Annotated[str, MinLen(1)]
    source: str
    task: Task
    question_type: str | None
    image: str | None
    further_images: NotRequired[list[str]]
    shown_images: NotRequired[list[str | None]]
    history: NotRequired[list[Message]]
    prompt: str
    prediction: str
    references: Annotated[list[str], MinLen(1)]
    model: str
    adapter: str | None
    weights: str | None
    decoding: Decoding
    server: NotRequired[dict[str, str | None]]
    dataset: PredictedRows


class _Written(_Line, total=False):
    """A line of any version: earlier ones did not write these."""

    boxes: list[LabelledBox]
    width: Annotated[int, Ge(0)]
    height: Annotated[int, Ge(0)]


class Prediction(_Line):
    """One line.

    ``image`` is a path, that of the first where the row has ``further_images``, and null where it
    has none; a blind run of other images showed ``shown_images`` in their place. ``prompt`` is the
    last question, ``history`` the messages before it, ``prediction`` the reply, ``references`` all
    accepted answers, ``boxes`` are true, ``width`` and ``height`` those of the image in pixels, 0
    without one. ``weights`` tells one state of the model from another
    that was saved under its name; those of a server's model are not known, and ``server`` holds
    what it says of itself.
    """

    boxes: list[LabelledBox]
    width: int
    height: int


_LATER: Any = {"boxes": [], "width": 0, "height": 0}


class PredictionFileError(InvalidFileError):
    """A predictions file cannot be used; the message names the file, the line and what to do."""


def model_folder(path: AnyPath) -> str:
    """The name of the folder that names the model of a predictions file: of a bench, its own."""
    folder = Path(path).absolute().parent
    return (folder.parent if folder.name == PREDICTIONS else folder).name


def read_predictions(path: AnyPath) -> list[Prediction]:
    """All predictions of ``path``, in file order; a line that is there twice counts once.

    A last line that a kill cut short is left out; `append_predictions` overwrites it. Predictions
    share what is equal in them, strings and objects: to be read, not changed.

    Raises:
        PredictionFileError: A line is not a prediction, or another one of the same id differs.
    """
    path = Path(path)
    seen: dict[str, str] = {}
    whole: dict[str, Prediction] = {}
    last: Any = {}
    with of_file(path):
        for i, line in whole_lines(path):
            prediction: Any = _parsed(path, i, line)
            _share(prediction, last, seen)
            # Two runs at once, as earlier versions let them, wrote the same lines.
            if whole.setdefault(prediction["id"], prediction) != prediction:
                raise PredictionFileError(f"{path}, line {i}: {_differs(whole, prediction)}")
            last = prediction
    return list(whole.values())


def what_differs(one: Any, other: Any) -> tuple[str, str]:
    """Two values, for a message; of two objects, what is the same in them is left out."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [key for key in {**one, **other} if one.get(key) != other.get(key)]
        one, other = ({key: own[key] for key in keys if key in own} for own in (one, other))
    return f"{one!r:.200}", f"{other!r:.200}"


def _differs(earlier: Mapping[str, Prediction], later: Prediction) -> str:
    first = earlier[later["id"]]
    for name in ONE_A_FILE:
        if first[name] != later[name]:
            return (
                f"the id {later['id']} is in an earlier line with another {name}: "
                f"{' and '.join(what_differs(first[name], later[name]))}. One file holds one "
                "model's replies to one split: put those of each in a file of its own"
            )
    return (
        f"the id {later['id']} is in an earlier line with another reply: take one of the two "
        "lines out, or predict anew"
    )


def first_prediction(path: Path) -> Prediction | None:
    """That of the first line of ``path``, which tells what all lines have in common; None if empty.

    Raises:
        PredictionFileError: The line is not a prediction.
    """
    with of_file(path):
        return next((_parsed(path, number, line) for number, line in whole_lines(path)), None)


def _parsed(path: Path, number: int, line: bytes) -> Prediction:
    where = f"{path}, line {number}"
    written = checked(line, _Written, where)
    if written["task"] in ("grounding", "detection"):
        absent = {*_LATER, "box_format"}.difference(written, written["dataset"])
        if absent:
            raise PredictionFileError(
                f"{where}: it lacks {', '.join(sorted(absent))} (an earlier version wrote it: "
                "predict again)"
            )
    return cast("Prediction", _LATER | written)


def checked(content: bytes, schema: type[T], where: str) -> T:
    """`rs_gpt4v.files.parse_json` of what is, or goes into, a predictions file.

    Raises:
        PredictionFileError: It is not like that.
    """
    try:
        return parse_json(content, schema, where)
    except InvalidFileError as error:
        raise PredictionFileError(str(error)) from None


_REPEATED = ("decoding", "dataset", "server", "history", "boxes", "references")
"""What most lines repeat of the line before."""


def _share(prediction: dict[str, Any], before: Mapping[str, Any], seen: dict[str, str]) -> None:
    """Put in what the line ``before`` has as well, and strings as they were ``seen`` first."""
    for name, value in prediction.items():
        if name in _REPEATED and value == before.get(name):
            prediction[name] = before[name]
        else:
            prediction[name] = _sharing_strings(value, seen)


def _sharing_strings(value: Any, seen: dict[str, str]) -> Any:
    """``value``, each string in it the equal one that was ``seen`` first."""
    if isinstance(value, str):
        return seen.setdefault(value, value)
    if isinstance(value, list):
        return [_sharing_strings(item, seen) for item in value]
    if isinstance(value, dict):
        return {
            _sharing_strings(key, seen): _sharing_strings(item, seen) for key, item in value.items()
        }
    return value


def made_by(
    model: str,
    dataset: Mapping[str, Any],
    decoding: Mapping[str, Any],
    adapter: str | None = None,
    weights: str | None = None,
) -> dict[str, Any]:
    """What all lines of a file have in common."""
    return {
        "model": model,
        "adapter": adapter,
        "weights": weights,
        "decoding": decoding,
        "dataset": dataset,
    }


def describe(
    rows: datasets.Dataset,
    *,
    config: str,
    split: str,
    protocol: str,
    box_format: str,
    limit: Limit | None = None,
) -> PredictedRows:
    """Which rows these are; the fingerprint is that of their content, on any machine."""
    described: PredictedRows = {
        "config": config,
        "split": split,
        "protocol": protocol,
        "box_format": box_format,
        "rows": len(rows),
        "fingerprint": fingerprint(rows),
    }
    if BLIND in rows.column_names and len(rows):
        kind = rows.select_columns(BLIND)[0][BLIND]
        described["images"] = kind["images"]
        if kind["seed"] is not None:
            described["images_seed"] = kind["seed"]
    if limit:
        described["limit"] = limit
    return described


def prediction_line(row: dict[str, Any], reply: str, constants: dict[str, Any]) -> Prediction:
    """The line for the ``reply`` to ``row``, whose images are not decoded."""
    kind = row.get(BLIND)
    shown = [image["path"] for image in row["images"]]
    images = [image["path"] for image in kind["own"]] if kind else shown
    prediction: Any = {
        "id": row["id"],
        "source": row["source"],
        "task": row["task"],
        "question_type": row["question_type"],
        "image": images[0] if images else None,
        **({"further_images": images[1:]} if len(images) > 1 else {}),
        **({"shown_images": shown} if kind and kind["images"] == "other" else {}),
        "history": row["messages"][:-2],
        "prompt": row["messages"][-2]["content"],
        "prediction": reply,
        "references": row["references"],
        "boxes": row["boxes"],
        "width": row["width"] or 0,
        "height": row["height"] or 0,
        **constants,
    }
    return prediction


def part(path: Path, process: int) -> Path:
    """Where a process keeps its predictions until `merge_parts` writes ``path``."""
    return path.with_name(f"{path.name}.part{process}")


def parts(path: Path) -> list[Path]:
    """``path``, if there is one, and the parts that an interrupted run left."""
    files = path.parent.glob(f"{glob.escape(path.name)}.part[0-9]*")
    return [file for file in (path, *sorted(files)) if file.is_file()]


def finished(out: Path, constants: dict[str, Any]) -> set[str]:
    """The ids of the rows that ``out`` or its parts have a reply to.

    Raises:
        PredictionFileError: A file was made with other ``constants``.
    """
    ids = set()
    for file in parts(out):
        earlier = read_predictions(file)
        for prediction in earlier[:1]:
            _check_same(file, prediction, constants)
        ids |= {prediction["id"] for prediction in earlier}
    return ids


def longest_reply(out: AnyPath, tasks: Iterable[str]) -> int:
    """New tokens that a reply may have where nobody says: as in ``out`` so far, or `longest`."""
    out = Path(out)
    for file in parts(out):
        first = first_prediction(file)
        if first and (known := first["decoding"]["max_new_tokens"]) is not None:
            return known
    return longest(tasks)


_LONG = {"conversation": 512, "detail": 512, "detection": 2048}


def longest(tasks: Iterable[str]) -> int:
    """New tokens that a reply to rows of ``tasks`` may have.

    An answer in a dialogue and a description are of several sentences, a detection of many boxes;
    others are of one sentence, or less.
    """
    return max(_LONG.get(task, 64) for task in tasks)


def _check_same(file: Path, prediction: Prediction, constants: dict[str, Any]) -> None:
    for name, value in constants.items():
        if prediction[name] != value:
            held, given = what_differs(prediction[name], value)
            raise PredictionFileError(
                f"{file} holds predictions with {name} {held}, not {given}. "
                "Give another file, or delete this one."
            )


def merge_parts(path: Path, ids: Iterable[str]) -> None:
    """Put the lines of all `parts` into ``path``, in the order of ``ids``, and delete the parts."""
    files = parts(path)
    # A line that is in two of them was merged before, and the same.
    lines = {json.loads(line)["id"]: line for file in files for _, line in whole_lines(file)}
    with replacing(path) as out:
        out.writelines(lines[row_id] + b"\n" for row_id in ids if row_id in lines)
    for file in files:
        if file != path:
            file.unlink()


def append_predictions(path: Path, batches: Iterable[list[Prediction]]) -> Iterator[int]:
    """Append each batch as it comes, durably, and yield its size.

    A kill loses at most the batch in the making: what it left of a line is cut off first.
    """
    with appending(path) as append:
        for batch in batches:
            append(b"".join(json_line(prediction) for prediction in batch))
            yield len(batch)
