"""Areas of the intersections of many pairs of boxes at once; `rs_gpt4v.boxes` does one pair."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rs_gpt4v.boxes import Points, visible

# Of the corners' magnitude: without a grid, pairs that differ by a rounding rest may not meet.
_GRID = 1e-13


class Areas(NamedTuple):
    """Of each pair, in squared pixels."""

    shared: np.ndarray
    predicted: np.ndarray
    true: np.ndarray

    @property
    def unions(self) -> np.ndarray:
        """What either box covers."""
        return self.predicted + self.true - self.shared

    @property
    def ious(self) -> np.ndarray:
        """Intersection over union, in [0, 1]; the truths must have an area."""
        return self.shared / self.unions


def overlaps(
    predicted: Sequence[Points], truths: Sequence[Sequence[float]], sizes: Sequence[Sequence[int]]
) -> Areas:
    """Areas of two boxes of each pair, and of what they share, inside their image.

    A pair is compared in the truth's kind. Against an upright truth, which is itself the box around
    an object, a rotated prediction counts as the upright box around what of it is in the image;
    against a rotated truth an upright prediction counts as it is.

    Args:
        predicted: Boxes of four numbers or eight, in pixels.
        truths: The same; eight numbers need shapely.
        sizes: Width and height of the images, in pixels.

    >>> [values.tolist() for values in overlaps([(0, 0, 4, 2)], [(2, 0, 4, 4)], [(9, 9)])]
    [[4.0], [8.0], [8.0]]
    """
    result = np.zeros((3, len(truths)))
    sides = np.asarray(sizes, float)
    for count, areas in ((4, _upright_areas), (8, _hull_areas)):
        if rows := _with(count, truths):
            boxes, truth = [predicted[row] for row in rows], [truths[row] for row in rows]
            result[:, rows] = areas(boxes, truth, sides[rows])
    return Areas(*result)


def gious(
    predicted: Sequence[Points], truths: Sequence[Sequence[float]], sizes: Sequence[Sequence[int]]
) -> np.ndarray:
    """Generalised IoU of each pair, in (-1, 1], by which boxes that do not meet differ too.

    It is the IoU less the share of the upright box around both, in the image, that neither covers
    (Rezatofighi et al., 2019).

    >>> gious([(0, 0, 2, 2), (0, 0, 1, 2)], [(0, 0, 2, 2), (3, 0, 4, 2)], [(9, 9)] * 2).tolist()
    [1.0, -0.5]
    """
    areas = overlaps(predicted, truths, sizes)
    sides = np.asarray(sizes, float)
    said, true = ends(predicted, sides), ends(truths, sides)
    around = np.maximum(said[1], true[1]) - np.minimum(said[0], true[0])
    return areas.ious + areas.unions / around.prod(1) - 1


def _with(count: int, boxes: Sequence[Sequence[float]]) -> list[int]:
    return [row for row, box in enumerate(boxes) if len(box) == count]


def _upright_areas(
    boxes: Sequence[Points], truths: Sequence[Sequence[float]], sides: np.ndarray
) -> Areas:
    said, true = ends(boxes, sides), ends(truths, sides)
    inner = np.minimum(said[1], true[1]) - np.maximum(said[0], true[0])
    shared = np.maximum(inner, 0).prod(1)
    return Areas(shared, (said[1] - said[0]).prod(1), (true[1] - true[0]).prod(1))


def ends(boxes: Sequence[Sequence[float]], sides: np.ndarray) -> np.ndarray:
    """Two planes, the least and the greatest x and y of each box in its image."""
    found = np.zeros((2, len(boxes), 2))
    for count in (4, 8):
        rows = _with(count, boxes)
        corners = np.array([boxes[row] for row in rows], float).reshape(len(rows), count // 2, 2)
        found[:, rows] = corners.min(1), corners.max(1)
    for row in np.flatnonzero(_leaves(found, sides)).tolist():
        if len(boxes[row]) == 8:
            corners = visible(boxes[row], *sides[row]) or [(0.0, 0.0)]
            found[:, row] = np.min(corners, 0), np.max(corners, 0)
    return np.clip(found, 0, sides)


def _leaves(points: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Which rows have a point outside their image; points of several planes, a row and x, y."""
    return np.any((points < 0) | (points > sides), axis=(0, 2))


def _hull_areas(
    boxes: Sequence[Points], truths: Sequence[Sequence[float]], sides: np.ndarray
) -> Areas:
    import shapely  # optional: only rotated boxes need it

    pairs = np.array([[_corners(box) for box in column] for column in (boxes, truths)], float)
    # By a power of two, which loses nothing, so that one grid suits every pair by itself.
    scale = np.exp2(np.frexp(np.abs(pairs).max((0, 2, 3)))[1])
    hulls = shapely.convex_hull(shapely.multipoints(pairs / scale[:, None, None]))
    rows = np.flatnonzero(_leaves(np.moveaxis(pairs, 2, 0).reshape(-1, *sides.shape), sides))
    frames = shapely.box(0, 0, *(sides[rows] / scale[rows, None]).T)
    hulls[:, rows] = shapely.intersection(hulls[:, rows], frames, grid_size=_GRID)
    shared = shapely.area(shapely.intersection(hulls[0], hulls[1], grid_size=_GRID))
    areas = shapely.area(hulls)
    return Areas(*(np.vstack([np.minimum(shared, areas.min(0)), areas]) * scale**2))


def _corners(box: Sequence[float]) -> list[tuple[float, float]]:
    if len(box) == 8:
        return list(zip(box[::2], box[1::2], strict=True))
    x1, y1, x2, y2 = box
    return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
