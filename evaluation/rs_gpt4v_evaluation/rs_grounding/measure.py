"""Overlap of the boxes in replies with the true ones: Pr@0.5 to Pr@0.9, mean and cumulative IoU."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from rs_gpt4v.bootstrap import Sums, joined
from rs_gpt4v.box_codecs import CODECS, ParseFailure
from rs_gpt4v.boxes import Points, clip
from rs_gpt4v.object_classes import in_words
from rs_gpt4v.scoring.overlaps import Areas, overlaps
from rs_gpt4v_evaluation.metric import Mark, Measured, Metric, Rules
from rs_gpt4v_evaluation.object_sizes import SIZES, sizes_of
from rs_gpt4v_evaluation.predict.predictions import Prediction
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

THRESHOLDS = {f"pr_{percent}": percent / 100 for percent in (50, 60, 70, 80, 90)}

_NO_BOX: Points = (0.0, 0.0, 0.0, 0.0)  # without area: it overlaps nothing


class Grounded(NamedTuple):
    """Replies beside the true boxes, one a row.

    ``boxes`` has each reply's first box in pixels, or why there is none; without one its IoU is 0,
    and the union is the truth's area.
    """

    boxes: list[Points | ParseFailure]
    areas: Areas

    @property
    def ious(self) -> np.ndarray:
        """Intersection over union of each row, in [0, 1]."""
        return self.areas.ious

    @property
    def reasons(self) -> dict[int, str]:
        """Why a row's reply gives no box, by the row's number."""
        return {i: b.reason for i, b in enumerate(self.boxes) if isinstance(b, ParseFailure)}


@dataclass(frozen=True)
class BoxesMeasured(Measured):
    """With ``boxes``: each reply's first box in pixels, or why there is none."""

    boxes: list[Points | ParseFailure] = field(default_factory=list)


def measure(
    predictions: Sequence[str],
    references: Sequence[Sequence[float]],
    sizes: Sequence[Sequence[int]],
    box_format: str | Sequence[str],
    *,
    strict: bool = False,
    classes: Sequence[str] | None = None,
) -> BoxesMeasured:
    """Scores of raw replies, with what each row adds; see `RSGrounding` for their ranges.

    With ``classes``, those of the true objects, also Pr@0.5 of each.

    Raises:
        ValueError: There is nothing to score, a row is incomplete, a true box cannot be one in
            pixels of its image, or the codec is unknown.
    """
    grounded = ground(predictions, references, sizes, box_format)
    n, unparsed, codecs = len(grounded.boxes), len(grounded.reasons), format_names(box_format)
    by_group = _groups(grounded, sizes, classes or [])
    right = reached(grounded.ious, strict=strict)["pr_50"]
    return BoxesMeasured(
        joined([box_sums(grounded, strict=strict), group_sums(right, by_group)]),
        f"rs_grounding|v{VERSION}|iou:{'>' if strict else '>='}|boxes:first"
        f"|truth:{kind_names(references)}"
        f"|box_format:{codecs}|n:{n}|unparsed:{unparsed}",
        n={name: int(rows.sum()) for name, rows in by_group.items()},
        counts={"n_unparsed": unparsed},
        rule={"box_format": codecs, "strict": strict},
        unparsed=grounded.reasons,
        boxes=grounded.boxes,
    )


def box_sums(grounded: Grounded, *, strict: bool = False) -> Sums:
    """The scores, of what each row adds."""
    hits = reached(grounded.ious, strict=strict)
    areas = grounded.areas.shared, grounded.areas.unions
    rows = np.stack([*hits.values(), grounded.ious, *areas, np.ones(len(grounded.boxes))]).T

    def scores(sums: np.ndarray) -> dict[str, np.ndarray]:
        means = sums[..., :-3] / sums[..., -1:]
        scores_by_name = {name: means[..., place] for place, name in enumerate([*hits, "mean_iou"])}
        return {**scores_by_name, "cumulative_iou": sums[..., -3] / sums[..., -2]}

    return Sums(rows, scores, {name: [place] for place, name in enumerate(hits)})


def _groups(
    grounded: Grounded, sizes: Sequence[Sequence[int]], classes: Sequence[str]
) -> dict[str, np.ndarray]:
    """Which rows are of which size and class, of those that there are, by the score's name."""
    of_size = sizes_of(grounded.areas.true, sizes).T
    by_size = {f"pr_50_{name}": rows for name, rows in zip(SIZES, of_size, strict=True)}
    names = np.array(classes, object)
    by_class = {f"pr_50_of_{name}": names == name for name in sorted(set(classes))}
    return {name: rows for name, rows in (by_size | by_class).items() if rows.any()}


def group_sums(right: np.ndarray, groups: Mapping[str, np.ndarray]) -> Sums:
    """The share of rows that are ``right``, of each group of rows."""
    member = np.stack([*groups.values()], 1).astype(float)

    def scores(sums: np.ndarray) -> dict[str, np.ndarray]:
        hits, n = np.split(sums, 2, axis=-1)
        with np.errstate(invalid="ignore"):  # a draw may lack a group
            shares = hits / n
        return {name: shares[..., place] for place, name in enumerate(groups)}

    binary = {name: [place] for place, name in enumerate(groups)}
    return Sums(np.hstack([member * right[:, None], member]), scores, binary)


def reached(ious: np.ndarray, *, strict: bool = False) -> dict[str, np.ndarray]:
    """Which rows reach each threshold, by the name of its score."""
    reaches = np.greater if strict else np.greater_equal
    rounded = ious.round(9)  # else a rounding rest tells a box from its mirror image
    return {name: reaches(rounded, threshold) for name, threshold in THRESHOLDS.items()}


def ground(
    predictions: Sequence[str],
    references: Sequence[Sequence[float]],
    sizes: Sequence[Sequence[int]],
    box_format: str | Sequence[str],
) -> Grounded:
    """Read each reply's first box, and lay it over the true one; see `overlaps` for the two kinds.

    Raises:
        ValueError: As `measure` does.
    """
    formats = format_of_each(box_format, len(predictions))
    check_rows("rs_grounding", sizes, formats, predictions=predictions, references=references)
    parsed = [
        CODECS[name].parse(text, *size, clipped=False)
        for text, size, name in zip(predictions, sizes, formats, strict=True)
    ]
    return lay([p if isinstance(p, ParseFailure) else p[0] for p in parsed], references, sizes)


def lay(
    boxes: list[Points | ParseFailure],
    references: Sequence[Sequence[float]],
    sizes: Sequence[Sequence[int]],
) -> Grounded:
    """Boxes already read, beside the true ones.

    Raises:
        ValueError: A true box cannot be one; see `truth_problem`.
    """
    check_truths("rs_grounding", ((box,) for box in references), sizes)
    placed = [_NO_BOX if isinstance(box, ParseFailure) else box for box in boxes]
    areas = overlaps(placed, references, sizes)
    for row in np.flatnonzero(~(areas.true > 0)).tolist():
        raise no_area("rs_grounding", row, references[row], sizes[row])
    shown = [
        box if isinstance(box, ParseFailure) else clip(box, *size)
        for box, size in zip(boxes, sizes, strict=True)
    ]
    return Grounded(shown, areas)


def _measure(rows: list[Prediction], rules: Rules) -> Measured:
    truths = [row["boxes"][0]["points"] for row in rows]
    formats = [row["dataset"].get("box_format", "") for row in rows]
    sizes = [(row["width"], row["height"]) for row in rows]
    replies = [row["prediction"] for row in rows]
    classes = [in_words(row["boxes"][0]["label"] or "object") for row in rows]
    return measure(replies, truths, sizes, formats, strict=rules.strict_iou, classes=classes)


def _problem(row: Prediction) -> str | None:
    if len(row["boxes"]) != 1:
        return f"an expression has one true box, this row has {len(row['boxes'])}"
    return truth_problem(row["boxes"][0]["points"], (row["width"], row["height"]))


def _marks(_: list[Prediction], measured: BoxesMeasured) -> list[Mark]:
    ious = measured.sums.rows[:, len(THRESHOLDS)]
    right = measured.sums.right("pr_50")
    return [
        Mark(bool(is_right), float(iou), box if isinstance(box, ParseFailure) else (box,))
        for is_right, iou, box in zip(right, ious, measured.boxes, strict=True)
    ]


METRIC = Metric(
    "rs_grounding",
    tasks=("grounding",),
    measure=_measure,
    marks=_marks,
    labels={
        **{name: f"Pr@{threshold}" for name, threshold in THRESHOLDS.items()},
        "mean_iou": "Mean IoU",
        "cumulative_iou": "Cumulative IoU",
        **{f"pr_50_{name}": f"Pr@0.5, {words}" for name, words in SIZES.items()},
    },
    of_class={"pr_50_of_": "Pr@0.5, {}"},
    headline="pr_50",
    counts={"n_unparsed": "Replies without a box"},
    shares=("pr_",),
    unit="Pr in points",
    value="IoU",
    problem=_problem,
    has_boxes=True,
)
