"""Scores of a predictions file, with what is needed to compare them: rows, rule, fingerprint."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np

from rs_gpt4v_evaluation.bootstrap import Sums, intervals
from rs_gpt4v_evaluation.predictions import (
    PredictedRows,
    Prediction,
    PredictionFileError,
    read_predictions,
)
from rs_gpt4v_evaluation.row_sums import answer_sums, box_sums, caption_sums
from rs_gpt4v_evaluation.rs_caption.meteor_files import EXTRA, missing
from rs_gpt4v_evaluation.rs_caption.rs_caption import METRICS, score_captions
from rs_gpt4v_evaluation.rs_grounding import rs_grounding
from rs_gpt4v_evaluation.rs_grounding.rs_grounding import Grounded, grounding_scores
from rs_gpt4v_evaluation.rs_vqa import rs_vqa
from rs_gpt4v_evaluation.rs_vqa.rs_vqa import vqa_accuracy

# The authors of RSVQA compare counts as ranges in LR and exactly in HR (METRICS of the dataset's
# own code, VocabEncoder.py); other sources have no ranges.
_COUNTS: dict[str, rs_vqa.Form] = {"rsvqa_lr": "bucket"}

_KNOWN_RULES = {"counts": ("source", "bucket", "exact"), "normalise": ("lenient", "strict")}

_ONE_A_FILE = ("model", "adapter", "weights", "decoding", "dataset", "task")


@dataclass(frozen=True)
class Rules:
    """How replies are compared with the truth, where a user may choose.

    Attributes:
        counts: Of `rs_vqa`: "bucket", "exact", or "source", as the source's authors do.
        normalise: Of `rs_vqa`: "lenient" or "strict".
        strict_iou: Of `rs_grounding`: an IoU above the threshold, not one of at least it.

    Raises:
        ValueError: A rule is unknown.
    """

    counts: str = "source"
    normalise: str = "lenient"
    strict_iou: bool = False

    def __post_init__(self) -> None:
        for name, known in _KNOWN_RULES.items():
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")


DEFAULT_RULES = Rules()


class Score(TypedDict):
    """What one predictions file is worth.

    ``scores`` are the metric's; ``missing`` the rows of the split that have no prediction; ``rule``
    the arguments of the metric; ``intervals`` the 95 % intervals of scores, where asked for;
    ``unparsed`` why a reply about a box gave none, by the row's id;
    ``notes`` what was left out, and how to get it.
    """

    file: str
    model: str
    adapter: str | None
    dataset: PredictedRows
    metric: str
    n: int
    missing: int
    scores: dict[str, float | int | str]
    rule: dict[str, Any]
    intervals: dict[str, tuple[float, float]]
    unparsed: dict[str, str]
    notes: list[str]
    signature: str


class _Judged(NamedTuple):
    """What a metric says of a file; ``sums`` is costly, and wanted for intervals alone."""

    scores: dict[str, Any]
    sums: Callable[[], Sums]
    rule: dict[str, Any] = {}  # noqa: RUF012
    unparsed: dict[str, str] = {}  # noqa: RUF012


def score(path: Path, rules: Rules = DEFAULT_RULES, resamples: int = 0) -> Score:
    """Score the predictions in ``path``.

    Args:
        path: A predictions file.
        rules: How replies are compared with the truth.
        resamples: Draws of the bootstrap that gives the intervals; 0 for no intervals.

    Raises:
        PredictionFileError: The file is empty, damaged, or of a task without a metric.
        ValueError: Intervals are asked for, and all rows are about one image.
    """
    return score_predictions(read_predictions(path), str(path), rules, resamples)


def score_predictions(
    predictions: list[Prediction],
    file: str,
    rules: Rules = DEFAULT_RULES,
    resamples: int = 0,
) -> Score:
    """The same of predictions already read; ``file`` is what messages call them."""
    metric, judge = metric_of(predictions, file)
    judged = judge(predictions, rules)
    first, about = predictions[0], images(predictions)
    missing = first["dataset"]["rows"] - len(predictions)
    return {
        "file": file,
        "model": first["model"],
        "adapter": first["adapter"],
        "dataset": first["dataset"],
        "metric": metric,
        "n": len(predictions),
        "missing": missing,
        "scores": judged.scores,
        "rule": judged.rule,
        "intervals": intervals(judged.sums(), about, resamples) if resamples else {},
        "unparsed": judged.unparsed,
        "notes": _notes(metric),
        "signature": signature(
            judged.scores["signature"], missing, first["dataset"], about, resamples
        ),
    }


def signature(
    metric: str, missing: int, dataset: PredictedRows, about: Sequence[str], resamples: int
) -> str:
    """That of a metric, with the rows and the draws: what another run needs to be the same."""
    text = (
        f"{metric}|missing:{missing}|rows:{dataset['fingerprint']}|protocol:{dataset['protocol']}"
    )
    if resamples:
        text += f"|intervals:bootstrap95,images:{len(set(about))},resamples:{resamples},seed:0"
    return text


def row_sums(predictions: list[Prediction], file: str, rules: Rules = DEFAULT_RULES) -> Sums:
    """What each row adds to the sums behind the scores.

    Raises:
        PredictionFileError: As `score` does.
    """
    return metric_of(predictions, file)[1](predictions, rules).sums()


_Judge = Callable[[list[Prediction], Rules], _Judged]


def metric_of(predictions: list[Prediction], file: str) -> tuple[str, _Judge]:
    """The name of the metric for a file's task, and what computes it.

    Raises:
        PredictionFileError: The file is empty, of several models or splits, or of a task without
            a metric.
    """
    if not predictions:
        raise PredictionFileError(f"{file} holds no prediction")
    first = predictions[0]
    for prediction in predictions:
        for name in _ONE_A_FILE:
            if prediction[name] != first[name]:
                raise PredictionFileError(
                    f"{file}: {first['id']} and {prediction['id']} differ in {name}. "
                    "One file holds one model's replies to one split: score them apart."
                )
    if first["task"] in ("conversation", "detail"):
        raise PredictionFileError(
            f"{file}: rows of task {first['task']!r} have no one right answer: "
            f"a model judges them, with rs-gpt4v judge {file}"
        )
    if first["task"] not in _METRICS:
        raise PredictionFileError(f"{file}: no metric for task {first['task']!r}")
    return _METRICS[first["task"]]


def images(predictions: Sequence[Prediction]) -> list[str]:
    """Which image each row is about; a row without one stands for itself."""
    return [prediction["image"] or prediction["id"] for prediction in predictions]


def right_answers(predictions: list[Prediction], rules: Rules = DEFAULT_RULES) -> np.ndarray:
    """Which predictions of task "vqa" are right: booleans, one a row."""
    return rs_vqa.right_answers(*_answer_columns(predictions), **_answer_rule(predictions, rules))


def grounded(predictions: list[Prediction]) -> Grounded:
    """The boxes of predictions of task "grounding", beside the true ones."""
    return rs_grounding.ground(*_box_columns(predictions), _box_format(predictions))


def _captions(predictions: list[Prediction], _: Rules) -> _Judged:
    columns = [p["prediction"] for p in predictions], [p["references"] for p in predictions]
    metrics = [name for name in METRICS if name != "meteor" or not missing()]
    return _Judged(score_captions(*columns, metrics), lambda: caption_sums(*columns))


def _notes(metric: str) -> list[str]:
    if metric != "rs_caption" or not missing():
        return []
    return [f"METEOR is left out, as {', '.join(missing())} is not installed: {EXTRA}"]


def _answers(predictions: list[Prediction], rules: Rules) -> _Judged:
    rule, columns = _answer_rule(predictions, rules), _answer_columns(predictions)
    return _Judged(
        vqa_accuracy(*columns, **rule),
        lambda: answer_sums(rs_vqa.right_answers(*columns, **rule), columns[2]),
        rule,
    )


def _answer_rule(predictions: list[Prediction], rules: Rules) -> dict[str, Any]:
    of_source = _COUNTS.get(predictions[0]["source"], "exact")
    counts = of_source if rules.counts == "source" else rules.counts
    return {"counts": counts, "areas": "bucket", "normalise": rules.normalise}


def _answer_columns(predictions: list[Prediction]) -> tuple[list[str], list[str], list[str]]:
    return (
        [p["prediction"] for p in predictions],
        [p["references"][0] for p in predictions],
        [p["question_type"] or "all" for p in predictions],
    )


def _boxes(predictions: list[Prediction], rules: Rules) -> _Judged:
    found, box_format = grounded(predictions), _box_format(predictions)
    rule = {"box_format": box_format, "strict": rules.strict_iou}
    references = [p["boxes"][0]["points"] for p in predictions]
    return _Judged(
        grounding_scores(found, references, box_format, strict=rules.strict_iou),
        lambda: box_sums(found, strict=rules.strict_iou),
        rule,
        {predictions[row]["id"]: reason for row, reason in found.reasons.items()},
    )


def _box_format(predictions: list[Prediction]) -> str:
    return predictions[0]["dataset"]["box_format"]


def _box_columns(
    predictions: list[Prediction],
) -> tuple[list[str], list[list[float]], list[tuple[int, int]]]:
    for prediction in predictions:
        if len(prediction["boxes"]) != 1:
            raise PredictionFileError(
                f"{prediction['id']}: an expression has one true box, this row has "
                f"{len(prediction['boxes'])}"
            )
    return (
        [p["prediction"] for p in predictions],
        [p["boxes"][0]["points"] for p in predictions],
        [(p["width"], p["height"]) for p in predictions],
    )


_METRICS: dict[str, tuple[str, _Judge]] = {
    "caption": ("rs_caption", _captions),
    "region_caption": ("rs_caption", _captions),
    "vqa": ("rs_vqa", _answers),
    "grounding": ("rs_grounding", _boxes),
}
