"""Areas that many pairs of four-cornered boxes share, in arrays: no shapes, one pass an edge.

Boxes are arrays of shape (n, 4, 2): corners in pixels, clockwise as seen. `convex` makes them.
"""

from collections.abc import Sequence

import numpy as np


def convex(boxes: Sequence[Sequence[float]]) -> np.ndarray:
    """The convex hulls of boxes of four numbers or eight; a triangle has a corner twice."""
    quads = np.zeros((len(boxes), 4, 2))
    counts = np.fromiter(map(len, boxes), int, len(boxes))
    for count in (4, 8):
        rows = np.flatnonzero(counts == count).tolist()
        values = np.array([boxes[row] for row in rows], float).reshape(len(rows), count)
        corners = values[:, [0, 1, 2, 1, 2, 3, 0, 3]] if count == 4 else values
        quads[rows] = corners.reshape(len(rows), 4, 2)
    turns = _turns(quads)
    counterwise = (turns < 0).all(1)
    quads[counterwise] = quads[counterwise, ::-1]
    for row in np.flatnonzero(~counterwise & (turns <= 0).any(1)).tolist():
        quads[row] = _hull(quads[row])
    return quads


def _turns(quads: np.ndarray) -> np.ndarray:
    """Twice the area of the triangle at each corner, negative where it turns counter-clockwise."""
    after = np.roll(quads, -1, 1) - quads
    return _cross(np.roll(after, 1, 1), after)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _hull(corners: np.ndarray) -> np.ndarray:
    """The hull of corners in any order, of which one may lie between the others."""
    sides: list[list[np.ndarray]] = []
    points = corners[np.lexsort(corners.T)]  # from the top down, and up again
    for ordered in (points, points[::-1]):
        side: list[np.ndarray] = []
        for point in ordered:
            while len(side) > 1 and _cross(side[-1] - side[-2], point - side[-1]) <= 0:
                side.pop()
            side.append(point)
        sides.append(side[:-1])
    hull = [*sides[0], *sides[1]]
    return np.array([*hull, *[hull[0]] * 4])[:4]


def areas(boxes: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """The area of each box, in squared pixels, in its image of width and height ``sides``."""
    found = shared_areas(boxes)
    leaving = np.flatnonzero(leaves(boxes, sides))
    found[leaving] = shared_areas(boxes[leaving], frames(sides[leaving]))
    return found


def leaves(boxes: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Which boxes have a corner outside their image."""
    return np.any((boxes < 0) | (boxes > sides[:, None]), axis=(1, 2))


def frames(sides: np.ndarray) -> np.ndarray:
    """Images of the given width and height, shape (n, 2), as boxes."""
    return np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * sides[:, None]


def shared_areas(boxes: np.ndarray, *others: np.ndarray) -> np.ndarray:
    """The area, in squared pixels, of what each box shares with all the others of its row.

    >>> one, two = convex([(0, 0, 4, 2)]), convex([(2, 0, 4, 1, 2, 2, 0, 1)])
    >>> shared_areas(one, one).tolist(), shared_areas(one, two).tolist()
    ([8.0], [4.0])
    """
    corners, counts = boxes, np.full(len(boxes), boxes.shape[1])
    for other in others:
        for edge in range(4):
            start, end = other[:, edge], other[:, (edge + 1) % 4]
            corners, counts = _cut(corners, counts, start, end)
    after = np.take_along_axis(corners, _next(counts, corners.shape[1])[..., None], 1)
    whole = np.where(np.arange(corners.shape[1]) < counts[:, None], _cross(corners, after), 0)
    return np.maximum(whole.sum(1) / 2, 0)


def _next(counts: np.ndarray, width: int) -> np.ndarray:
    """The place of the corner after each, of polygons with ``counts`` corners."""
    following = np.arange(1, width + 1)[None].repeat(len(counts), 0)
    return np.where(following < counts[:, None], following, 0)


def _cut(
    corners: np.ndarray, counts: np.ndarray, start: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What of convex polygons lies right of a line, as seen from its start (Sutherland-Hodgman)."""
    width = corners.shape[1]
    order = _next(counts, width)
    side = _cross((end - start)[:, None], corners - start[:, None])
    side_after = np.take_along_axis(side, order, 1)
    after = np.take_along_axis(corners, order[..., None], 1)
    exists = np.arange(width) < counts[:, None]
    crosses = exists & ((side < 0) != (side_after < 0))
    share = side / np.where(crosses, side - side_after, 1)
    # Of each edge its first corner, if that is inside, and where it crosses the line.
    points = np.stack([corners, corners + share[..., None] * (after - corners)], 2)
    kept = np.stack([exists & (side >= 0), crosses], 2).reshape(-1, 2 * width)
    first = np.argsort(~kept, axis=1, kind="stable")[:, : width + 1, None]
    cut = np.take_along_axis(points.reshape(-1, 2 * width, 2), first, 1)
    return cut, kept.sum(1)
