"""Scores of a predictions file, with what is needed to compare them: rows, rule, fingerprint."""

from pathlib import Path
from typing import Any, TypedDict

from rs_gpt4v_evaluation.predictions import (
    PredictedRows,
    Prediction,
    PredictionFileError,
    read_predictions,
)
from rs_gpt4v_evaluation.rs_caption.meteor_files import EXTRA, missing
from rs_gpt4v_evaluation.rs_caption.rs_caption import METRICS, RSCaption
from rs_gpt4v_evaluation.rs_vqa.rs_vqa import RSVQA

# The authors of RSVQA compare counts as ranges in LR and exactly in HR (METRICS of the dataset's
# own code, VocabEncoder.py); other sources have no ranges.
_COUNTS = {"rsvqa_lr": "bucket"}


_ONE_A_FILE = ("model", "adapter", "weights", "decoding", "dataset", "task")


class Score(TypedDict):
    """What one predictions file is worth.

    ``scores`` are the metric's; ``missing`` the rows of the split that have no prediction;
    ``notes`` say what was left out, and how to get it.
    """

    file: str
    model: str
    adapter: str | None
    dataset: PredictedRows
    metric: str
    n: int
    missing: int
    scores: dict[str, float | int | str]
    notes: list[str]


def score(path: Path) -> Score:
    """Score the predictions in ``path``.

    Raises:
        PredictionFileError: The file is empty, damaged, or of a task without a metric.
    """
    predictions = read_predictions(path)
    if not predictions:
        raise PredictionFileError(f"{path} holds no prediction")
    first = predictions[0]
    for prediction in predictions:
        for name in _ONE_A_FILE:
            if prediction[name] != first[name]:
                raise PredictionFileError(
                    f"{path}: {first['id']} and {prediction['id']} differ in {name}. "
                    "One file holds one model's replies to one split: score them apart."
                )
    if first["task"] not in _METRICS:
        raise PredictionFileError(f"{path}: no metric for task {first['task']!r}")
    metric, compute = _METRICS[first["task"]]
    return {
        "file": str(path),
        "model": first["model"],
        "adapter": first["adapter"],
        "dataset": first["dataset"],
        "metric": metric,
        "n": len(predictions),
        "missing": first["dataset"]["rows"] - len(predictions),
        "scores": compute(predictions),
        "notes": _notes(metric),
    }


def _captions(predictions: list[Prediction]) -> dict[str, Any]:
    return _computed(
        RSCaption(),
        predictions=[p["prediction"] for p in predictions],
        references=[p["references"] for p in predictions],
        metrics=[name for name in METRICS if name != "meteor" or not missing()],
    )


def _notes(metric: str) -> list[str]:
    if metric != "rs_caption" or not missing():
        return []
    return [f"METEOR is left out, as {', '.join(missing())} is not installed: {EXTRA}"]


def _answers(predictions: list[Prediction]) -> dict[str, Any]:
    return _computed(
        RSVQA(),
        predictions=[p["prediction"] for p in predictions],
        references=[p["references"][0] for p in predictions],
        question_types=[p["question_type"] or "all" for p in predictions],
        counts=_COUNTS.get(predictions[0]["source"], "exact"),
    )


def _computed(metric: Any, **inputs: Any) -> dict[str, Any]:
    return metric.compute(**inputs)


_METRICS = {"caption": ("rs_caption", _captions), "vqa": ("rs_vqa", _answers)}
