"""What the metrics of boxes ask of the true ones, and how their signatures name both kinds."""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v_evaluation import metric

_ROUNDING = 1  # pixel


def check_rows(
    name: str, sizes: Sequence[Sequence[int]], formats: Sequence[str], **columns: Sequence[Any]
) -> None:
    """Raise unless all ``columns`` are whole, each codec is known and each size is two numbers.

    Raises:
        ValueError: Of the metric ``name``; says which column, codec or row.
    """
    metric.check_columns(name, **columns, sizes=sizes, box_format=formats)
    for codec in set(formats).difference(CODECS):
        raise ValueError(f"{name}: box_format must be one of {', '.join(CODECS)}, got {codec!r}")
    for row, size in enumerate(sizes):
        if len(size) != 2:
            raise ValueError(f"{name}: row {row} needs a width and a height, got {size}")


def check_truths(
    name: str, truths: Iterable[Iterable[Sequence[float]]], sizes: Sequence[Sequence[int]]
) -> None:
    """Raise where one of a row's true boxes has a `truth_problem`.

    Raises:
        ValueError: Of the metric ``name``; says which row, and why.
    """
    for row, (boxes, size) in enumerate(zip(truths, sizes, strict=True)):
        for box in boxes:
            if problem := truth_problem(box, size):
                raise ValueError(f"{name}: row {row}: {problem}")


def truth_problem(box: Sequence[float], size: Sequence[int]) -> str | None:
    """Why the true ``box`` is none in pixels of an image of ``size``; None if it is one.

    An upright box lies in its image, a pixel of rounding aside. A rotated one may reach beyond it,
    as released boxes of objects at the edge do, if its middle is inside.

    >>> truth_problem((50, 50, 10, 10), (100, 100))
    'the true box [50, 50, 10, 10] is not x_min, y_min, x_max, y_max: is it x, y, width, height?'
    >>> truth_problem((0.1, 0.1, 0.5, 0.5), (100, 100))
    'the true box [0.1, 0.1, 0.5, 0.5] is in shares of the image, not in pixels'
    """
    return None if _is_plain(box, *size) else _problem(box, *size)


def _problem(box: Sequence[float], width: int, height: int) -> str | None:
    if len(box) not in (4, 8):
        return f"the true box needs 4 numbers or 8, got {[*box]}"
    stated = f"the true box {[*box]}"
    if not all(map(math.isfinite, box)):
        return f"{stated} holds what is no number"
    if all(0 <= number <= 1 for number in box):
        return f"{stated} is in shares of the image, not in pixels"
    (left, right), (top, bottom) = ((min(side), max(side)) for side in (box[::2], box[1::2]))
    if len(box) == 8:
        left = right = fmean(box[::2])
        top = bottom = fmean(box[1::2])
    elif not (box[0] < box[2] and box[1] < box[3]):
        return f"{stated} is not x_min, y_min, x_max, y_max: is it x, y, width, height?"
    if min(left, top) < -_ROUNDING or right > width + _ROUNDING or bottom > height + _ROUNDING:
        return f"{stated} is not in its image of {width} x {height} px"
    return None


def _is_plain(box: Sequence[float], width: int, height: int) -> bool:
    """Whether a box is upright, in its image and larger than one of shares, as most are."""
    if len(box) != 4:
        return False
    left, top, right, bottom = box
    is_inside = 0 <= left < right <= width and 0 <= top < bottom <= height
    return is_inside and (right > 1 or bottom > 1)


def no_area(name: str, row: int, box: Sequence[float], size: Sequence[int]) -> ValueError:
    """The error of a true box that covers nothing of its image."""
    return ValueError(
        f"{name}: row {row}: the true box {[*box]} has no area in its image of "
        f"{size[0]} x {size[1]} px"
    )


def format_of_each(box_format: str | Sequence[str], n: int) -> Sequence[str]:
    """The codec of each of ``n`` rows, where one name may stand for all."""
    return [box_format] * n if isinstance(box_format, str) else box_format


def format_names(box_format: str | Sequence[str]) -> str:
    """The codecs of all rows, as a signature names them."""
    return "+".join(sorted(set(format_of_each(box_format, 1))))


def kind_names(boxes: Iterable[Sequence[float]]) -> str:
    """The kinds of true boxes that there are, as a signature names them.

    >>> kind_names([(0, 0, 5, 5), (0, 0, 5, 0, 5, 5, 0, 5)])
    'hbb+obb'
    """
    return "+".join({4: "hbb", 8: "obb"}[n] for n in sorted({len(box) for box in boxes}))
