"""The geometry of boxes in pixels; `rs_gpt4v.box_codecs` makes their text in a message.

A box is a tuple of pixels of the released image, x to the right and y down from the top left: an
"hbb" is x_min, y_min, x_max, y_max; an "obb" is four corners x1, y1, ... x4, y4, clockwise from the
top left.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Literal, TypeAlias

Kind = Literal["hbb", "obb"]
Points: TypeAlias = tuple[float, ...]
"""Four numbers (hbb) or eight (obb), in pixels unless a function says otherwise."""
Corner: TypeAlias = tuple[float, float]


LIMIT_TOLERANCE = 1e-5
"""What misses a documented limit by less has reached it: more than 32-bit pixels round off."""


def at_least(value: float, limit: float) -> bool:
    """Whether ``value`` reaches ``limit``, up to `LIMIT_TOLERANCE` (a share of limits above 1).

    The one comparison with a documented limit. Of two numbers that are equal but for rounding, a
    plain comparison would say one thing of an image and another of its mirror image. "At most" is
    the same with the two exchanged.

    >>> 0.3 >= 0.1 + 0.2, at_least(0.3, 0.1 + 0.2)
    (False, True)
    """
    return value >= limit - LIMIT_TOLERANCE * max(1.0, abs(limit))


class DegenerateBoxError(ValueError):
    """A box has no area inside its image, so there is nothing to point at."""


def kind(points: Sequence[float]) -> Kind:
    """Tell "hbb" (four numbers) from "obb" (eight); any other count is a ValueError."""
    if len(points) not in (4, 8):
        raise ValueError(f"a box has 4 numbers (hbb) or 8 (obb), got {len(points)}")
    return "hbb" if len(points) == 4 else "obb"


def to_hbb(points: Sequence[float]) -> Points:
    """The smallest x_min, y_min, x_max, y_max around a box of either kind, in its unit."""
    if kind(points) == "hbb":
        return tuple(points)
    return min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])


def to_obb(points: Sequence[float]) -> Points:
    """The four corners of a box of either kind, in its unit; an obb comes back as it is."""
    if kind(points) == "obb":
        return tuple(points)
    x_min, y_min, x_max, y_max = points
    return x_min, y_min, x_max, y_min, x_max, y_max, x_min, y_max


def area(points: Sequence[float]) -> float:
    """Area in the squared unit of ``points``, 0 or more; corners must be in order."""
    corners = to_obb(points)
    xs, ys = corners[::2], corners[1::2]
    return abs(sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(4))) / 2


def is_degenerate(points: Sequence[float]) -> bool:
    """True where the area is at most a billionth of the longer side squared, or not a number.

    A share, because four corners on a sloping line leave a rounding rest. Any unit.

    >>> is_degenerate((5, 5, 5, 9)), is_degenerate((0.1, 0.1, 0.2, 0.3, 0.3, 0.5, 0.4, 0.7))
    (True, True)
    """
    x_min, y_min, x_max, y_max = to_hbb(points)
    return not area(points) > 1e-9 * max(x_max - x_min, y_max - y_min) ** 2


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes of either kind in the same unit, 0 to 1.

    Edges have no width (no "+1 pixel", which is badly wrong on 0-1 boxes): boxes that only touch
    score 0, as does a box without area. An obb counts as its corners' convex hull, and needs
    shapely.

    >>> iou((0, 0, 2, 2), (0, 0, 2, 1)), iou((0, 0, 2, 2), (2, 0, 4, 2))
    (0.5, 0.0)
    >>> iou((0, 0, 2, 2), (1, 1, 1, 1)), iou((1, 1, 1, 1), (1, 1, 1, 1))
    (0.0, 0.0)
    >>> iou((0, 0, 2, 2), (1, 0, 2, 1, 1, 2, 0, 1))
    0.5
    """
    if len(a) == len(b) == 4:
        width = min(a[2], b[2]) - max(a[0], b[0])
        height = min(a[3], b[3]) - max(a[1], b[1])
        shared = max(width, 0.0) * max(height, 0.0)
        total = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
        return shared / (total - shared) if shared > 0 else 0.0
    return _hull_iou(to_obb(a), to_obb(b))


def _hull_iou(a: Points, b: Points) -> float:
    from shapely import MultiPoint  # optional: only rotated boxes need it

    first, second = (
        MultiPoint(list(zip(p[::2], p[1::2], strict=True))).convex_hull for p in (a, b)
    )
    # Without a grid, 1 in 1,000 pairs whose corners differ by a rounding rest do not meet at all.
    grid = 1e-13 * max(map(abs, (*a, *b)))
    shared = first.intersection(second, grid_size=grid).area
    return min(shared / (first.area + second.area - shared), 1.0) if shared > 0 else 0.0


def clip(points: Sequence[float], width: int, height: int) -> Points:
    """The part of a box, in pixels, that lies in the ``width`` x ``height`` image, as such a box.

    Corners do lie outside: DIOR-R has negative ones. An hbb stays one. Of an obb, four corners of
    `visible` are kept: all, where there are no more; else without those that cost the least area,
    one after the other. A box wholly outside becomes degenerate.

    >>> clip((-5, 10, 30, 120), 100, 100)
    (0.0, 10.0, 30.0, 100.0)
    >>> clip((-9, 30, -6, 21, 21, 30, 18, 39), 100, 100)
    (0.0, 23.0, 21, 30, 18, 39, 0.0, 33.0)
    """
    xs, ys = points[::2], points[1::2]
    if min(xs) >= 0 and min(ys) >= 0 and max(xs) <= width and max(ys) <= height:
        return tuple(map(float, points))  # as most are
    ends = cycle((width, height))
    moved = tuple(float(min(max(v, 0), end)) for v, end in zip(points, ends, strict=False))
    if len(points) == 4:
        return moved
    corners = visible(points, width, height) or [(moved[0], moved[1])]
    while len(corners) > 4:
        areas = [_turn(*around) for around in _around(corners)]
        del corners[areas.index(min(areas))]
    return order_corners([v for corner in (corners * 4)[:4] for v in corner])


def visible(points: Sequence[float], width: int, height: int) -> list[Corner]:
    """The corners, in pixels, of the part of a box that lies in the ``width`` x ``height`` image.

    Up to eight, clockwise; none where the box is outside. An obb counts as its corners' hull.
    """
    corners = list(zip(*[iter(order_corners(to_obb(points)))] * 2, strict=True))
    turns = [_turn(*around) for around in _around(corners)]
    corners = [corner for corner, turn in zip(corners, turns, strict=True) if turn >= 0]
    for axis, end in enumerate((width, height)):
        corners = _cut(_cut(corners, axis, 0.0, 1), axis, float(end), -1)
    return corners


def _around(corners: list[Corner]) -> Iterator[tuple[Corner, Corner, Corner]]:
    """Each corner between its neighbours."""
    return zip(corners[-1:] + corners[:-1], corners, corners[1:] + corners[:1], strict=True)


def _turn(a: Corner, b: Corner, c: Corner) -> float:
    """Twice the area of a triangle, negative where it goes counter-clockwise as seen."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _cut(corners: list[Corner], axis: int, end: float, side: int) -> list[Corner]:
    """What of a convex polygon is beyond ``end`` on an axis (side 1), or before it (-1)."""
    kept = []
    for before, corner, _ in _around(corners):
        was, now = side * (before[axis] - end), side * (corner[axis] - end)
        if min(was, now) < 0 < max(was, now):
            other = before[1 - axis] + (corner[1 - axis] - before[1 - axis]) * was / (was - now)
            kept.append((end, other) if axis == 0 else (other, end))
        if now >= 0:
            kept.append(corner)
    return kept


def order_corners(obb: Sequence[float]) -> Points:
    """The four corners clockwise as seen, from the top left: the least x + y, then the least y.

    >>> order_corners((4, 3, 0, 0, 0, 3, 4, 0))
    (0, 0, 4, 0, 4, 3, 0, 3)
    """
    corners = list(zip(obb[::2], obb[1::2], strict=True))
    cx, cy = sum(obb[::2]) / 4, sum(obb[1::2]) / 4
    corners.sort(key=lambda corner: math.atan2(corner[1] - cy, corner[0] - cx))
    first = min(range(4), key=lambda i: (sum(corners[i]), corners[i][1]))
    return tuple(v for corner in corners[first:] + corners[:first] for v in corner)


def to_rotated(obb: Sequence[float]) -> tuple[float, float, float, float, float]:
    """Four corners as cx, cy, w, h in pixels and the degrees, clockwise as seen, from x to w.

    0 < angle <= 90, as OpenCV's minAreaRect has it. Corners that make no rectangle give the one
    that joins the middles of their edges.

    >>> to_rotated((0, 0, 4, 0, 4, 2, 0, 2))
    (2.0, 1.0, 2.0, 4.0, 90.0)
    """
    x1, y1, x2, y2, x3, y3, x4, y4 = order_corners(obb)
    right, down = (x2 + x3 - x1 - x4) / 2, (y2 + y3 - y1 - y4) / 2
    w, h = math.hypot(right, down), math.hypot((x3 + x4 - x1 - x2) / 2, (y3 + y4 - y1 - y2) / 2)
    angle = math.degrees(math.atan2(down, right))
    quarters = math.ceil(angle / 90) - 1  # each swaps the sides
    sides = (h, w) if quarters % 2 else (w, h)
    return (x1 + x2 + x3 + x4) / 4, (y1 + y2 + y3 + y4) / 4, *sides, angle - 90 * quarters


def from_rotated(cx: float, cy: float, w: float, h: float, angle: float) -> Points:
    """Four corners in pixels, clockwise from the top left; ``angle`` in degrees as `to_rotated`."""
    cos, sin = math.cos(math.radians(angle)) / 2, math.sin(math.radians(angle)) / 2
    ends = ((-w, -h), (w, -h), (w, h), (-w, h))
    turned = [(cx + x * cos - y * sin, cy + x * sin + y * cos) for x, y in ends]
    return order_corners([v for corner in turned for v in corner])


def turned(hbb: Sequence[float], angle: float) -> Points:
    """A box turned around its centre by ``angle`` in degrees, clockwise as seen; 0 leaves an hbb.

    >>> [round(v, 3) for v in turned((0, 0, 4, 2), 90)]
    [1.0, -1.0, 3.0, -1.0, 3.0, 3.0, 1.0, 3.0]
    """
    if not angle % 360:
        return tuple(hbb)
    x_min, y_min, x_max, y_max = hbb
    return from_rotated(
        (x_min + x_max) / 2, (y_min + y_max) / 2, x_max - x_min, y_max - y_min, angle
    )
