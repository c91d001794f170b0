"""All objects of a class at once: precision, recall, F1 and AP of the boxes in replies."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import datasets
import numpy as np

from rs_gpt4v.bootstrap import Sums
from rs_gpt4v.box_codecs import ParseFailure
from rs_gpt4v.object_classes import in_words
from rs_gpt4v.scene_classes import two_spellings
from rs_gpt4v_evaluation import metric
from rs_gpt4v_evaluation.metric import Mark, Measured, Metric, Rules
from rs_gpt4v_evaluation.object_sizes import SIZES
from rs_gpt4v_evaluation.predict.predictions import Prediction
from rs_gpt4v_evaluation.rs_detection import average_precision
from rs_gpt4v_evaluation.rs_detection.matching import Found, find
from rs_gpt4v_evaluation.rs_detection.replies import Reply, read
from rs_gpt4v_evaluation.rs_detection.sums import detection_sums, row_f1
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
    _check_spellings(classes)
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


def _check_spellings(classes: Sequence[str]) -> None:
    """Raise where one class has two names: its scores would be halves."""
    if spellings := two_spellings(dict.fromkeys(classes)):
        rows = [classes.index(name) for name in spellings]
        raise ValueError(
            f"rs_detection: row {rows[0]} asks for {spellings[0]!r} and row {rows[1]} for "
            f"{spellings[1]!r}: one class in two spellings would be scored as two. Write it in one"
        )


def _check_areas(found: Found, sizes: Sequence[Sequence[int]]) -> None:
    for place in np.flatnonzero(~(found.true.areas > 0))[:1].tolist():
        row = int(found.true.rows[place])
        raise no_area("rs_detection", row, found.true.points[place], sizes[row])


def class_of(row: Prediction) -> str:
    """The class that a row asks for: its question type; of rows of earlier versions, the label."""
    return row["question_type"] or next((in_words(box["label"] or "") for box in row["boxes"]), "")


def _measure(rows: list[Prediction], rules: Rules) -> Measured:
    return measure(
        [row["prediction"] for row in rows],
        [[box["points"] for box in row["boxes"]] for row in rows],
        [class_of(row) for row in rows],
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


class RSDetection(metric.EvaluateMetric):
    """Detection of all objects of a class: precision, recall, F1 and AP of the boxes in replies.

    A claimed box hits a true one of its row if they overlap by the threshold and neither has a
    partner that overlaps more. F1, precision and recall are of all boxes at an IoU of 0.5.

    Args:
        predictions (`list` of `str`): One raw reply per row. All its boxes count.
        references (`list` of `list` of `list` of `float`): The true boxes of each row, none where
            the class is absent, in pixels of the released image: x_min, y_min, x_max, y_max, or
            four corners x1, y1, ... x4, y4 of a rotated one.
        classes (`list` of `str`): What each row asks for.
        sizes (`list` of `list` of `int`): Width and height of each image, in pixels.
        box_format (`str` or `list` of `str`): The codec that reads the replies, or that of each,
            one of `rs_gpt4v.box_codecs.CODECS`.
        strict (`bool`, defaults to `False`): Ask for an IoU above the threshold.
        confidences (`list` of `list` of `float`, optional): Of each box of each reply, for AP as
            pycocotools computes it.

    Returns:
        `dict` with `f1`, `precision`, `recall`, `mean_f1` (over classes), `ap` (over classes and
        IoU thresholds of 0.5 to 0.95), `ap_50`, `ap_75`, `absent_denied` (of rows without an
        object, the share whose reply says so), `f1_SIZE`, `precision_SIZE`, `recall_SIZE`,
        `f1_of_CLASS`, `ap_of_CLASS` (`float`, in [0, 1], higher is better), the counts `n_true`,
        `n_claimed`, `n_absent`, `n_unparsed` and `signature` (`str`).

    Examples:
        >>> metric = RSDetection()
        >>> truth = {"references": [[[0, 0, 40, 40], [50, 50, 80, 80]], []]}
        >>> asked = {"classes": ["ship", "airplane"], "sizes": [[80, 80], [80, 80]]}
        >>> replies = ["[0.0, 0.0, 0.5, 0.5]", "There are none."]
        >>> scores = metric.compute(predictions=replies, **truth, **asked, box_format="llava")
        >>> [scores[name] for name in ("precision", "recall", "absent_denied")]
        [1.0, 0.5, 1.0]
        >>> scores["signature"]
        'rs_detection|v1|iou:>=|pairs:greatest-iou|ap:no-confidence|truth:hbb|box_format:llava|n:2|unparsed:0'
    """

    COLUMNS: ClassVar = {
        "predictions": datasets.Value("string"),
        # In 32 bits a box would move across a threshold.
        "references": datasets.List(datasets.List(datasets.Value("float64"))),
        "classes": datasets.Value("string"),
        "sizes": datasets.List(datasets.Value("int32")),
    }
    URLS: ClassVar = ["https://cocodataset.org/#detection-eval"]
    MEASURE: ClassVar = staticmethod(measure)
