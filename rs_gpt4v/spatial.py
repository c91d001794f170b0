"""Where boxes lie in an image and to each other: True, False, or None where nobody would agree.

Boxes are `rs_gpt4v.boxes.Points` in pixels, x to the right and y down, judged by the upright box
around them; ``size`` is the image's width and height in pixels. All limits are shares of a side, so
they are the same in a mirrored image and in one of another resolution, and `at_least` compares
with them all, so that a rounding rest decides nothing.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from rs_gpt4v.boxes import Points, at_least, to_hbb, to_obb

Size: TypeAlias = tuple[int, int]
Truth: TypeAlias = bool | None
Direction = Literal["left of", "right of", "above", "below"]

DIRECTIONS: tuple[Direction, ...] = ("left of", "right of", "above", "below")
OPPOSITE: dict[str, Direction] = {
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
}

HALF_DOUBT = 0.08
"""A centre within this share of the middle is neither surely left nor surely right of it."""
CENTRE, OFF_CENTRE = 0.2, 0.3
"""A centre is in the middle up to the first share away from it, and not from the second on."""
CLEAR = 0.05
"""Two centres are told apart along an axis from this share of the side on."""
NEAR, FAR = 0.1, 0.35
"""Gaps, as shares of the shorter side: near up to the first, not near from the second on."""


def centre(points: Sequence[float], size: Size) -> tuple[float, float]:
    """The middle of the upright box, as shares of width and height."""
    x_min, y_min, x_max, y_max = to_hbb(points)
    return (x_min + x_max) / 2 / size[0], (y_min + y_max) / 2 / size[1]


def cell(points: Sequence[float], size: Size) -> str:
    """Which of nine equal cells holds the centre: "top left", "top", ..., "centre", ...

    A centre on a line between cells counts to the middle one.

    >>> cell((0, 0, 10, 10), (90, 90)), cell((25, 70, 35, 80), (90, 90))
    ('top left', 'bottom')
    """
    x, y = centre(points, size)
    column, row = (
        low if not at_least(share, 1 / 3) else high if not at_least(2 / 3, share) else ""
        for share, low, high in ((x, "left", "right"), (y, "top", "bottom"))
    )
    return f"{row} {column}".strip() or "centre"


def lies(points: Sequence[float], place: str, size: Size) -> Truth:
    """Whether a box lies in a place: a row and a column, or one of them, or "centre".

    "left" means the left half: surely, where the centre is `HALF_DOUBT` beyond the middle; surely
    not, where it is as far on the other side and the box does not reach over. "top left" needs
    both, "centre" the middle of both axes (`CENTRE`, `OFF_CENTRE`), "top centre" top and the middle
    of x.

    >>> [lies((0, 40, 20, 60), place, (100, 100)) for place in ("left", "right", "top", "centre")]
    [True, False, None, False]
    """
    x_min, y_min, x_max, y_max = to_hbb(points)
    spans = {"x": (x_min / size[0], x_max / size[0]), "y": (y_min / size[1], y_max / size[1])}
    return every([_on_axis(*spans[axis], side) for axis, side in _axes(place)])


def _axes(place: str) -> list[tuple[str, str]]:
    """Each axis that a place speaks of, with the side: "low", "high" or "middle"."""
    words = place.split()
    columns = {"left": "low", "right": "high"}
    rows = {"top": "low", "bottom": "high"}
    axes = [("x", columns[word]) for word in words if word in columns]
    axes += [("y", rows[word]) for word in words if word in rows]
    if "centre" in words:
        named = {axis for axis, _ in axes}
        axes += [(axis, "middle") for axis in "xy" if axis not in named]
    return axes


def _on_axis(low: float, high: float, side: str) -> Truth:
    middle = (low + high) / 2
    if side == "high":
        return _on_axis(1 - high, 1 - low, "low")
    if side == "low":
        if at_least(0.5 - HALF_DOUBT, middle):
            return True
        is_beyond = at_least(middle, 0.5 + HALF_DOUBT) and at_least(low, 0.5 - HALF_DOUBT)
        return False if is_beyond else None
    off = abs(middle - 0.5)
    if at_least(CENTRE, off):
        return True
    is_beside = at_least(low, 0.5) or at_least(0.5, high)
    return False if at_least(off, OFF_CENTRE) and is_beside else None


def every(truths: Iterable[Truth]) -> Truth:
    """Whether all hold: surely not, where one surely does not; the rest is not looked at then."""
    truth: Truth = True
    for value in truths:
        if value is False:
            return False
        truth = truth and value
    return truth


def some(truths: Iterable[Truth]) -> Truth:
    """Whether any holds, and no more are looked at then: surely not, where all surely do not."""
    truth: Truth = False
    for value in truths:
        if value:
            return True
        truth = None if value is None else truth
    return truth


def holds(a: Sequence[float], relation: Direction, b: Sequence[float], size: Size) -> Truth:
    """Whether box ``a`` is left of, right of, above or below box ``b``.

    Surely, where the centres differ by `CLEAR` that way and at least half as much as across it;
    surely not, where they differ by `CLEAR` the other way. A box that holds the other's centre is
    on no side of it.

    >>> left, right = (0, 0, 10, 10), (50, 0, 60, 10)
    >>> [holds(left, relation, right, (100, 100)) for relation in DIRECTIONS]
    [True, False, None, None]
    """
    if _covers(a, b, size) or _covers(b, a, size):
        return None
    (ax, ay), (bx, by) = centre(a, size), centre(b, size)
    away = {"left of": (bx - ax, by - ay), "above": (by - ay, bx - ax)}
    if relation in away:
        along, across = away[relation]
    else:
        along, across = (-value for value in away[OPPOSITE[relation]])
    if at_least(-CLEAR, along):
        return False
    return True if at_least(along, CLEAR) and at_least(along, abs(across) / 2) else None


def _covers(a: Sequence[float], b: Sequence[float], size: Size) -> bool:
    """Whether the upright box of ``a`` holds the centre of ``b``'s."""
    corners = to_hbb(a)
    return all(
        at_least(middle, low / side) and at_least(high / side, middle)
        for middle, low, high, side in zip(
            centre(b, size), corners[:2], corners[2:], size, strict=True
        )
    )


def gap(a: Sequence[float], b: Sequence[float]) -> float:
    """The distance in pixels between two upright boxes, 0 where they touch or overlap."""
    a, b = to_hbb(a), to_hbb(b)
    across = max(a[0] - b[2], b[0] - a[2], 0.0)
    down = max(a[1] - b[3], b[1] - a[3], 0.0)
    return math.hypot(across, down)


def near(a: Sequence[float], b: Sequence[float], size: Size) -> Truth:
    """Whether two boxes are near each other, see `NEAR` and `FAR`."""
    share = gap(a, b) / min(size)
    return True if at_least(NEAR, share) else False if at_least(share, FAR) else None


def between(c: Sequence[float], a: Sequence[float], b: Sequence[float], size: Size) -> Truth:
    """Whether box ``c`` lies between ``a`` and ``b``, by the centres, as shares of the sides.

    Surely, where its foot on the line from ``a`` to ``b`` is in the middle 60 % and it is at most a
    quarter of the line's length away; surely not, where the foot is outside the line or it is more
    than half as far away. Centres nearer than twice `CLEAR` have nothing between them.

    >>> a, b, size = (0, 0, 10, 10), (80, 0, 90, 10), (100, 100)
    >>> [between((x, 0, x + 10, 10), a, b, size) for x in (40, 8, 90)]
    [True, None, False]
    """
    (ax, ay), (bx, by), (cx, cy) = (centre(points, size) for points in (a, b, c))
    dx, dy = bx - ax, by - ay
    length = math.hypot(dx, dy)
    if not at_least(length, 2 * CLEAR):
        return None
    foot = ((cx - ax) * dx + (cy - ay) * dy) / length**2
    aside = abs((cx - ax) * dy - (cy - ay) * dx) / length**2
    off = abs(foot - 0.5)
    if not at_least(0.5, max(off, aside)):
        return False
    return True if at_least(0.3, off) and at_least(0.25, aside) else None


def overlap(a: Points, b: Points) -> bool:
    """Whether two convex boxes of either kind share area: no edge of either parts them.

    >>> overlap((0, 0, 2, 2), (1, 1, 3, 3)), overlap((0, 0, 2, 2), (2, 0, 4, 2))
    (True, False)
    >>> slanted = (4, 3, 6, 5, 5, 6, 3, 4)
    >>> overlap((0, 0, 4, 4), slanted), overlap((0, 0, 3, 3), slanted)
    (True, False)
    """
    corners = [list(zip(p[::2], p[1::2], strict=True)) for p in (to_obb(a), to_obb(b))]
    for quad in corners:
        for (x1, y1), (x2, y2) in zip(quad, quad[1:] + quad[:1], strict=True):
            first, second = (
                [(y1 - y2) * x + (x2 - x1) * y for x, y in points] for points in corners
            )
            deep = min(max(first) - min(second), max(second) - min(first))
            if at_least(0, deep / max(map(abs, (*first, *second, 1.0)))):
                return False
    return True
