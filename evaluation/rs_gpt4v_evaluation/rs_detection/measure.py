"""All objects of a class at once: precision, recall, F1 and AP of the boxes in replies."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from rs_gpt4v.bootstrap import Sums
from rs_gpt4v.box_codecs import ParseFailure
from rs_gpt4v.object_classes import in_words
from rs_gpt4v.scene_classes import two_spellings
from rs_gpt4v.scoring.detections import Reply, read
from rs_gpt4v.scoring.matching import Found, find, row_f1
from rs_gpt4v_evaluation.metric import Mark, Measured, Metric, Rules
from rs_gpt4v_evaluation.object_sizes import SIZES
from rs_gpt4v_evaluation.predict.predictions import Prediction
from rs_gpt4v_evaluation.rs_detection import average_precision
from rs_gpt4v_evaluation.rs_detection.sums import detection_sums
from rs_gpt4v_evaluation.true_boxes import (
    check_rows,
    check_truths,
    format_names,
    format_of_each,
    kind_names,
    no_area,
    truth_problem,
)

VERSION = 1


@dataclass(frozen=True)
class BoxesMeasured(Measured):
    """With what each reply claims, and the F1 of each row."""

    replies: list[Reply] = field(default_factory=list)
    f1: np.ndarray = field(default_factory=lambda: np.zeros(0))


def measure(
    predictions: Sequence[str],
    references: Sequence[Sequence[Sequence[float]]],
    classes: Sequence[str],
    sizes: Sequence[Sequence[int]],
    box_format: str | Sequence[str],
    *,
    strict: bool = False,
    confidences: Sequence[Sequence[float]] | None = None,
) -> BoxesMeasured:
    """Scores of raw replies, with what each row adds; see `RSDetection` for their meaning.

    Raises:
        ValueError: There is nothing to score, a row is incomplete, a true box cannot be one in
            pixels of its image, a class has two spellings, or the codec is unknown.
    """
    formats = format_of_each(box_format, len(predictions))
    columns = {"predictions": predictions, "references": references, "classes": classes}
    check_rows("rs_detection", sizes, formats, **columns)
    _check_spellings("rs_detection: row {} asks for {!r} and row {} for {!r}", classes)
    check_truths("rs_detection", references, sizes)
    replies = [
        read(text, width, height, name)
        for text, (width, height), name in zip(predictions, sizes, formats, strict=True)
    ]
    found = find([reply.boxes for reply in replies], references, sizes)
    _check_areas(found, sizes)
    unparsed = {row: reply.failure for row, reply in enumerate(replies) if reply.failure}
    denies = np.array([reply.denies for reply in replies])
    sums = detection_sums(found, classes, sizes, denies, strict=strict)
    codecs = format_names(box_format)
    counts: dict[str, float | int | None] = {
        "n_true": len(found.true.points),
        "n_claimed": len(found.claimed.points),
        "n_absent": int((np.bincount(found.true.rows, minlength=len(replies)) == 0).sum()),
        "n_unparsed": len(unparsed),
    }
    confident = {}
    if confidences is not None:
        confident = average_precision.by_confidence(found, classes, confidences)
        sums = _without_ap(sums)
    return BoxesMeasured(
        sums,
        f"rs_detection|v{VERSION}|iou:{'>' if strict else '>='}|pairs:greatest-iou"
        f"|ap:{'no-confidence' if confidences is None else 'coco'}"
        f"|truth:{kind_names(found.true.points)}"
        f"|box_format:{codecs}|n:{len(replies)}|unparsed:{len(unparsed)}",
        counts=counts | confident,
        rule={"box_format": codecs, "strict": strict},
        unparsed=unparsed,
        replies=replies,
        f1=row_f1(found, denies, strict=strict),
    )


def _without_ap(sums: Sums) -> Sums:
    """Without the AP of boxes that have no confidence."""

    def scores(summed: np.ndarray) -> dict[str, np.ndarray]:
        return {k: v for k, v in sums.scores(summed).items() if not k.startswith("ap")}

    return Sums(sums.rows, scores, sums.binary)


def _check_spellings(form: str, classes: Sequence[str], rows: Sequence[Any] = ()) -> None:
    """Raise where one class has two names: its scores would be halves.

    ``form`` takes each row, by its number or its id in ``rows``, and what it asks for.
    """
    if spellings := two_spellings(dict.fromkeys(classes)):
        first = (classes.index(name) for name in spellings)
        pairs = ((rows[n]["id"] if rows else n, classes[n]) for n in first)
        raise ValueError(
            f"{form.format(*chain.from_iterable(pairs))}: one class in two spellings would be "
            "scored as two. Write it in one"
        )


def _check_areas(found: Found, sizes: Sequence[Sequence[int]]) -> None:
    for place in np.flatnonzero(~(found.true.areas > 0))[:1].tolist():
        row = int(found.true.rows[place])
        raise no_area("rs_detection", row, found.true.points[place], sizes[row])


def class_of(row: Prediction) -> str:
    """The class that a row asks for: its question type; of rows of earlier versions, the label."""
    return row["question_type"] or next((in_words(box["label"] or "") for box in row["boxes"]), "")


def _measure(rows: list[Prediction], rules: Rules) -> Measured:
    classes = [class_of(row) for row in rows]
    _check_spellings("{} asks for {!r} and {} for {!r}", classes, rows)
    return measure(
        [row["prediction"] for row in rows],
        [[box["points"] for box in row["boxes"]] for row in rows],
        classes,
        [(row["width"], row["height"]) for row in rows],
        [row["dataset"].get("box_format", "") for row in rows],
        strict=rules.strict_iou,
    )


def _problem(row: Prediction) -> str | None:
    if not class_of(row):
        return "it says neither in question_type nor in its boxes which class was asked for"
    size = row["width"], row["height"]
    problems = (truth_problem(box["points"], size) for box in row["boxes"])
    return next((problem for problem in problems if problem), None)


def _marks(_: list[Prediction], measured: BoxesMeasured) -> list[Mark]:
    return [
        Mark(
            bool(f1 == 1), float(f1), ParseFailure(reply.failure) if reply.failure else reply.boxes
        )
        for f1, reply in zip(measured.f1, measured.replies, strict=True)
    ]


_BY_SIZE = {
    f"{score}_{size}": f"{label}, {words}"
    for size, words in SIZES.items()
    for score, label in (("f1", "F1"), ("precision", "Precision"), ("recall", "Recall"))
}

METRIC = Metric(
    "rs_detection",
    tasks=("detection",),
    measure=_measure,
    marks=_marks,
    labels={
        "f1": "F1@0.5",
        "precision": "Precision@0.5",
        "recall": "Recall@0.5",
        "mean_f1": "F1@0.5, mean of classes",
        "ap": "AP without confidences",
        "ap_50": "AP@0.5 without confidences",
        "ap_75": "AP@0.75 without confidences",
        "absent_denied": "Absent classes denied",
        **_BY_SIZE,
    },
    headline="f1",
    counts={
        "n_true": "True boxes",
        "n_claimed": "Boxes in replies",
        "n_absent": "Rows about an absent class",
        "n_unparsed": "Replies that say neither boxes nor none",
    },
    shares=("f1", "precision", "recall", "mean_f1", "ap", "absent_denied"),
    of_class={"f1_of_": "F1@0.5, {}", "ap_of_": "AP, {}"},
    unit="points",
    value="F1",
    problem=_problem,
    has_boxes=True,
    note="AP is of boxes without confidences: one precision up to the one recall.",
)
