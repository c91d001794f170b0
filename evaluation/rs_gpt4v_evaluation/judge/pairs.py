"""What is judged: pairs of a question and a model's answer, read from predictions files."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rs_gpt4v.images import ImageError, checked
from rs_gpt4v_evaluation.judge.prompts import Question
from rs_gpt4v_evaluation.predict.predictions import (
    Prediction,
    PredictionFileError,
    read_predictions,
)
from rs_gpt4v_evaluation.rs_judge.measure import GROUPS

_ONE_MODEL = ("model", "adapter", "weights")


@dataclass(frozen=True, slots=True)
class Pair:
    """A question with a model's ``answer``; ``made_by`` says which model and which rows.

    ``image`` is the first of its ``images``, or null.
    """

    id: str
    source: str
    question: Question
    answer: str
    images: tuple[str, ...]
    made_by: Mapping[str, Any]

    @property
    def image(self) -> str | None:
        return self.images[0] if self.images else None

    @property
    def asked(self) -> dict[str, Any]:
        """What a line of verdicts says of the question."""
        return {
            "id": self.id,
            "source": self.source,
            "group": self.question.group,
            "image": self.image,
            **({"further_images": list(self.images[1:])} if self.images[1:] else {}),
            "history": self.question.history,
            "prompt": self.question.question,
            "references": self.question.references,
        }


def read_pairs(files: Sequence[Path]) -> list[Pair]:
    """The pairs of all ``files``, in their order; a turn of a dialogue is a pair of its own.

    Rows of other tasks beside them, as in a file of the group "all" or in the files of a bench, are
    for `score`.

    Raises:
        PredictionFileError: A file is damaged or empty, of another model than the first, or has an
            id that another has; or all are of other tasks.
    """
    pairs: dict[str, Pair] = {}
    first: Prediction | None = None
    for file in files:
        predictions = read_predictions(file)
        if not predictions:
            raise PredictionFileError(f"{file} holds no prediction")
        for prediction in (row for row in predictions if row["task"] in GROUPS):
            first = first or prediction
            _check(file, prediction, first, pairs)
            pairs[prediction["id"]] = _pair(prediction)
    if not pairs:
        other = read_predictions(files[0])[0]
        raise PredictionFileError(
            f"{files[0]}, {other['id']}: a judge is for {' and '.join(GROUPS)}, not for task "
            f"{other['task']!r}: use rs-gpt4v score"
        )
    return list(pairs.values())


def _check(file: Path, prediction: Prediction, first: Prediction, pairs: Mapping[str, Any]) -> None:
    where = f"{file}, {prediction['id']}"
    if prediction["id"] in pairs:
        raise PredictionFileError(f"{where}: another file has the same row; give one of them")
    for name in _ONE_MODEL:
        if prediction[name] != first[name]:
            raise PredictionFileError(
                f"{where}: its {name} is {prediction[name]!r}, that of {first['id']} is "
                f"{first[name]!r}. Judge the files of different models apart."
            )


def _pair(prediction: Prediction) -> Pair:
    question = Question(
        prediction["task"],
        prediction.get("history") or [],
        prediction["prompt"],
        prediction["references"],
    )
    made_by = {name: prediction[name] for name in (*_ONE_MODEL, "decoding", "dataset")}
    answer = prediction["prediction"].strip()
    first = prediction["image"]
    images = () if first is None else (first, *prediction.get("further_images", ()))
    return Pair(prediction["id"], prediction["source"], question, answer, images, made_by)


def check_images(pairs: Iterable[Pair]) -> None:
    """Raise unless the images of every pair can be sent: before anything is paid for.

    Raises:
        PredictionFileError: The first of which one cannot.
    """
    first: dict[str, Pair] = {}
    for pair in pairs:
        for image in pair.images:
            first.setdefault(image, pair)
    for image, pair in first.items():
        _check_image(image, pair)


def _check_image(image: str, pair: Pair) -> None:
    try:
        checked(image)
    except ImageError as error:
        raise PredictionFileError(
            f"{pair.id}: its image cannot be shown to the judge: {error}. Predict again where it "
            "is, or judge by the reference alone (--no-image)"
        ) from error
