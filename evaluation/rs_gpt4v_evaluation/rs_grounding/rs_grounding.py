"""Overlap of the boxes in replies with the true ones: Pr@0.5 to Pr@0.9, mean and cumulative IoU."""

from collections.abc import Sequence
from typing import NamedTuple

import datasets
import evaluate
import numpy as np

from rs_gpt4v.box_codecs import CODECS, ParseFailure
from rs_gpt4v.boxes import Points, clip
from rs_gpt4v_evaluation.rs_grounding.overlaps import overlaps

VERSION = 1

THRESHOLDS = {f"pr_{percent}": percent / 100 for percent in (50, 60, 70, 80, 90)}

_DESCRIPTION = """
Visual grounding: the share of expressions whose box overlaps the true one enough (Pr@0.5 to
Pr@0.9), the mean IoU, and the cumulative IoU, from raw replies. Boxes have no "+1 pixel".
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (`list` of `str`): One raw reply per expression. Its first box counts.
    references (`list` of `list` of `float`): The true box of each, in pixels of the released image:
        x_min, y_min, x_max, y_max, or four corners x1, y1, ... x4, y4 of a rotated one.
    sizes (`list` of `list` of `int`): Width and height of each image, in pixels.
    box_format (`str`): The codec that reads the replies, one of `rs_gpt4v.box_codecs.CODECS`:
        llava, llava_padded, geochat, qwen2_5_vl, norm1000, obb.
    strict (`bool`, defaults to `False`): Ask for an IoU above the threshold, as LQVG does, and not
        for one of at least the threshold.
Returns:
    `dict` with `pr_50`, `pr_60`, `pr_70`, `pr_80`, `pr_90`, `mean_iou`, `cumulative_iou` (`float`,
    in [0, 1], higher is better), `n_unparsed` (replies without a usable box; they are misses, with
    IoU 0) and `signature` (`str`).
Examples:
    >>> metric = RSGrounding()  # the first box covers half of the truth: IoU is just 0.5
    >>> truth = {"references": [[0, 0, 40, 40], [0, 0, 40, 40]], "sizes": [[80, 80], [80, 80]]}
    >>> replies = ["[0.0, 0.0, 0.5, 0.25]", "I see no ship."]
    >>> scores = metric.compute(predictions=replies, **truth, box_format="llava")
    >>> scores["pr_50"], scores["pr_60"], scores["mean_iou"], scores["n_unparsed"]
    (0.5, 0.0, 0.25, 1)
    >>> scores["signature"]
    'rs_grounding|v1|iou:>=|boxes:first|truth:hbb|box_format:llava|n:2|unparsed:1'
    >>> metric.compute(predictions=replies, **truth, box_format="llava", strict=True)["pr_50"]
    0.0
"""

_CITATION = """\
@article{zhan2023rsvg,
  title={{RSVG}: Exploring Data and Models for Visual Grounding on Remote Sensing Data},
  author={Zhan, Yang and Xiong, Zhitong and Yuan, Yuan},
  journal={IEEE Transactions on Geoscience and Remote Sensing},
  year={2023}
}
"""

_NO_BOX: Points = (0.0, 0.0, 0.0, 0.0)  # without area: it overlaps nothing


class Grounded(NamedTuple):
    """Replies beside the true boxes, one a row.

    ``boxes`` has each reply's first box in pixels, or why there is none; ``intersections`` and
    ``unions`` are in squared pixels. Where there is no box the union is the truth's area.
    """

    boxes: list[Points | ParseFailure]
    intersections: np.ndarray
    unions: np.ndarray

    @property
    def ious(self) -> np.ndarray:
        """Intersection over union of each row, in [0, 1]; 0 where there is no box."""
        return self.intersections / self.unions

    @property
    def reasons(self) -> dict[int, str]:
        """Why a row's reply gives no box, by the row's number."""
        return {i: b.reason for i, b in enumerate(self.boxes) if isinstance(b, ParseFailure)}


def score_grounding(
    predictions: Sequence[str],
    references: Sequence[Sequence[float]],
    sizes: Sequence[Sequence[int]],
    box_format: str,
    *,
    strict: bool = False,
) -> dict[str, float | int | str]:
    """Scores of raw replies, by name, with the signature; see `RSGrounding` for their ranges.

    Raises:
        ValueError: There is nothing to score, a row is incomplete, a true box has no area in its
            image, or the codec is unknown.
    """
    grounded = ground(predictions, references, sizes, box_format)
    return grounding_scores(grounded, references, box_format, strict=strict)


def grounding_scores(
    grounded: Grounded,
    references: Sequence[Sequence[float]],
    box_format: str,
    *,
    strict: bool = False,
) -> dict[str, float | int | str]:
    """The same of replies already read; the rest is for the signature."""
    ious, unparsed = grounded.ious, len(grounded.reasons)
    kinds = "+".join({4: "hbb", 8: "obb"}[n] for n in sorted({len(box) for box in references}))
    return {
        **{name: float(hits.mean()) for name, hits in reached(ious, strict=strict).items()},
        "mean_iou": float(ious.mean()),
        "cumulative_iou": float(grounded.intersections.sum() / grounded.unions.sum()),
        "n_unparsed": unparsed,
        "signature": f"rs_grounding|v{VERSION}|iou:{'>' if strict else '>='}|boxes:first"
        f"|truth:{kinds}|box_format:{box_format}|n:{len(ious)}|unparsed:{unparsed}",
    }


def reached(ious: np.ndarray, *, strict: bool = False) -> dict[str, np.ndarray]:
    """Which rows reach each threshold, by the name of its score."""
    reaches = np.greater if strict else np.greater_equal
    rounded = ious.round(9)  # else a rounding rest tells a box from its mirror image
    return {name: reaches(rounded, threshold) for name, threshold in THRESHOLDS.items()}


def ground(
    predictions: Sequence[str],
    references: Sequence[Sequence[float]],
    sizes: Sequence[Sequence[int]],
    box_format: str,
) -> Grounded:
    """Read each reply's first box, and lay it over the true one; see `overlaps` for the two kinds.

    Raises:
        ValueError: As `score_grounding` does.
    """
    _check(predictions, references, sizes, box_format)
    codec = CODECS[box_format]
    parsed = [
        codec.parse(text, *size, clipped=False)
        for text, size in zip(predictions, sizes, strict=True)
    ]
    return lay([p if isinstance(p, ParseFailure) else p[0] for p in parsed], references, sizes)


def lay(
    boxes: list[Points | ParseFailure],
    references: Sequence[Sequence[float]],
    sizes: Sequence[Sequence[int]],
) -> Grounded:
    """Boxes already read, beside the true ones.

    Raises:
        ValueError: A true box has no area in its image.
    """
    placed = [_NO_BOX if isinstance(box, ParseFailure) else box for box in boxes]
    areas = overlaps(placed, references, sizes)
    for row in np.flatnonzero(~(areas.true > 0)).tolist():
        raise ValueError(
            f"rs_grounding: the true box of row {row}, {list(references[row])}, has no area in its "
            f"image of {sizes[row][0]} x {sizes[row][1]} px"
        )
    shown = [
        box if isinstance(box, ParseFailure) else clip(box, *size)
        for box, size in zip(boxes, sizes, strict=True)
    ]
    return Grounded(shown, areas.shared, areas.predicted + areas.true - areas.shared)


def _check(
    predictions: Sequence[str],
    references: Sequence[Sequence[float]],
    sizes: Sequence[Sequence[int]],
    box_format: str,
) -> None:
    if box_format not in CODECS:
        raise ValueError(
            f"rs_grounding: box_format must be one of {', '.join(CODECS)}, got {box_format!r}"
        )
    columns = {"predictions": predictions, "references": references, "sizes": sizes}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"rs_grounding needs columns of one length, got {lengths}")
    if not predictions:
        raise ValueError("rs_grounding has nothing to score: predictions are empty")
    _check_rows(predictions, references, sizes)


def _check_rows(
    predictions: Sequence[str],
    references: Sequence[Sequence[float]],
    sizes: Sequence[Sequence[int]],
) -> None:
    for row, (prediction, box, size) in enumerate(zip(predictions, references, sizes, strict=True)):
        if prediction is None:
            raise ValueError(f"rs_grounding: row {row} has no prediction (None); use '' if empty")
        if len(box) not in (4, 8):
            raise ValueError(
                f"rs_grounding: the true box of row {row} needs 4 numbers or 8, got {list(box)}"
            )
        if len(size) != 2:
            raise ValueError(f"rs_grounding: row {row} needs a width and a height, got {size}")


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class RSGrounding(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {
                    "predictions": datasets.Value("string"),
                    # In 32 bits a box would move across a threshold.
                    "references": datasets.List(datasets.Value("float64")),
                    "sizes": datasets.List(datasets.Value("int32")),
                }
            ),
            reference_urls=["https://github.com/ZhanYang-nwpu/RSVG-pytorch"],
        )

    def _compute(
        self,
        predictions: list[str],
        references: list[list[float]],
        sizes: list[list[int]],
        box_format: str,
        strict: bool = False,
    ) -> dict[str, float | int | str]:
        return score_grounding(predictions, references, sizes, box_format, strict=strict)
