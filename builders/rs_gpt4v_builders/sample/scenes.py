"""What a synthetic scene contains: the ground truth behind every picture, caption and question.

Coordinates are pixels with the origin at the top left, x to the right and y down; angles are
degrees, clockwise on the screen.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Point = tuple[float, float]
Box = tuple[float, float, float, float]
Shape = Literal["rectangle", "ellipse", "ship", "airplane", "polygon"]

# Outlines in a thing's own frame, bow and nose at u = 0.5, half a width either side of 0.
_SILHOUETTES: dict[str, tuple[Point, ...]] = {
    "ship": ((-0.5, -0.36), (-0.42, -0.5), (0.16, -0.5), (0.36, -0.3), (0.5, 0.0)),
    "airplane": (
        *((-0.5, -0.03), (-0.49, -0.2), (-0.43, -0.2), (-0.34, -0.05), (-0.1, -0.06)),
        *((-0.16, -0.5), (-0.07, -0.5), (0.13, -0.07), (0.4, -0.06), (0.47, -0.04), (0.5, 0.0)),
    ),
}
_ELLIPSE_SIDES = 48

# Things that are counted, and so never overlap one another.
COUNTABLE = (
    "residential building",
    "commercial building",
    "storage tank",
    "airplane",
    "ship",
    "vehicle",
    "tennis court",
    "basketball court",
    "baseball field",
    "swimming pool",
)
# Names that stand for several classes.
GROUPS = {"building": ("residential building", "commercial building")}


@dataclass(frozen=True)
class Thing:
    """One object or area.

    Attributes:
        name: Its class, such as ``"storage tank"``.
        color: The word for its colour.
        center: Middle of its rectangle, px.
        width: Extent along its own x axis, px.
        height: Extent along its own y axis, px.
        angle: Rotation in degrees, clockwise on the screen.
        shape: How the rectangle is filled.
        outline: The vertices of a ``"polygon"``, px; its rectangle is the upright one around them.
        style: A variant that only the drawing knows, such as the kind of roof.
    """

    name: str
    color: str
    center: Point
    width: float
    height: float
    angle: float = 0.0
    shape: Shape = "rectangle"
    outline: tuple[Point, ...] = ()
    style: str = ""

    def at(self, u: float, v: float) -> Point:
        """The pixel of the own-frame position (u, v); both run from -0.5 to 0.5."""
        turn = math.radians(self.angle)
        x, y = u * self.width, v * self.height
        return (
            self.center[0] + x * math.cos(turn) - y * math.sin(turn),
            self.center[1] + x * math.sin(turn) + y * math.cos(turn),
        )

    @property
    def corners(self) -> tuple[Point, Point, Point, Point]:
        """The oriented rectangle, px; clockwise from the top left of the unrotated thing."""
        return self.at(-0.5, -0.5), self.at(0.5, -0.5), self.at(0.5, 0.5), self.at(-0.5, 0.5)

    @property
    def box(self) -> Box:
        """The upright rectangle (x_min, y_min, x_max, y_max) around ``footprint``, px."""
        xs, ys = zip(*self.footprint, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def footprint(self) -> tuple[Point, ...]:
        """The outline that is drawn, px."""
        if self.shape == "polygon":
            return self.outline
        if self.shape == "rectangle":
            return self.corners
        if self.shape == "ellipse":
            turns = [2 * math.pi * i / _ELLIPSE_SIDES for i in range(_ELLIPSE_SIDES)]
            return tuple(self.at(math.cos(t) / 2, math.sin(t) / 2) for t in turns)
        half = _SILHOUETTES[self.shape]
        mirrored = [(u, -v) for u, v in reversed(half) if v]
        return tuple(self.at(u, v) for u, v in (*half, *mirrored))

    @property
    def area_px(self) -> float:
        """Area of the footprint in square pixels."""
        if self.shape == "ellipse":
            return math.pi / 4 * self.width * self.height
        return polygon_area(self.footprint)

    def turned(self, side: float) -> "Thing":
        """The same thing after a quarter turn, clockwise, of a picture ``side`` px wide."""
        return replace(
            self,
            center=(side - self.center[1], self.center[0]),
            angle=(self.angle + 90) % 360 if self.shape != "polygon" else 0.0,
            width=self.height if self.shape == "polygon" else self.width,
            height=self.width if self.shape == "polygon" else self.height,
            outline=tuple((side - y, x) for x, y in self.outline),
        )

    def scaled(self, factor: float) -> "Thing":
        """The same thing in an image ``factor`` times as large."""
        return replace(
            self,
            center=(self.center[0] * factor, self.center[1] * factor),
            width=self.width * factor,
            height=self.height * factor,
            outline=tuple((x * factor, y * factor) for x, y in self.outline),
        )


def outlined(name: str, color: str, outline: Sequence[Point]) -> Thing:
    """An area with a free outline, px."""
    xs, ys = zip(*outline, strict=True)
    center = ((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2)
    extent = (max(xs) - min(xs), max(ys) - min(ys))
    return Thing(name, color, center, *extent, 0.0, "polygon", tuple(outline))


@dataclass(frozen=True)
class Tree:
    """One tree crown: centre and radius in px, and a shade from 0 (dark) to 1 (light green)."""

    x: float
    y: float
    radius: float
    shade: float

    def scaled(self, factor: float) -> "Tree":
        """The same tree in an image ``factor`` times as large."""
        return Tree(self.x * factor, self.y * factor, self.radius * factor, self.shade)


@dataclass(frozen=True)
class Scene:
    """A square picture's ground truth.

    Attributes:
        kind: What the scene shows, one of the names in ``layouts.KINDS``.
        size: Width and height, px.
        gsd_m: Ground sampling distance, metres per pixel.
        ground: The surface that nothing covers: grass, dry grass, bare ground, concrete, soil.
        things: Objects and areas, in the order they are drawn.
        trees: Single trees; the crowns of a forest included.
        tags: Facts of the layout for the captions, such as ``"in two rows"``.
    """

    kind: str
    size: int
    gsd_m: float
    ground: str
    things: tuple[Thing, ...]
    trees: tuple[Tree, ...]
    tags: tuple[str, ...] = ()

    def named(self, name: str) -> list[Thing]:
        """The things of a class, or of a group of classes such as ``"building"``."""
        names = GROUPS.get(name, (name,))
        return [thing for thing in self.things if thing.name in names]

    def count(self, name: str) -> int:
        """How many things of that class or group there are."""
        return len(self.named(name))

    def area_m2(self, name: str) -> float:
        """The ground covered by that class or group, in square metres."""
        return sum(thing.area_px for thing in self.named(name)) * self.gsd_m**2

    def color_of(self, name: str) -> str:
        """The colour that every thing of that class has; empty where they differ."""
        colors = Counter(thing.color for thing in self.named(name))
        return next(iter(colors)) if len(colors) == 1 else ""

    @property
    def countable(self) -> list[Thing]:
        """The things that are counted and may carry a box."""
        return [thing for thing in self.things if thing.name in COUNTABLE]

    @property
    def is_urban(self) -> bool:
        """Whether the place is built up: at least five buildings."""
        return self.count("building") >= 5


def polygon_area(points: Sequence[Point]) -> float:
    """Area inside a closed outline that does not cross itself (shoelace), in the unit squared."""
    following = [*points[1:], points[0]]
    twice = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(points, following, strict=True))
    return abs(twice) / 2


def contains(points: Sequence[Point], x: float, y: float) -> bool:
    """Whether the outline encloses the point (even-odd rule)."""
    inside = False
    for (ax, ay), (bx, by) in zip(points, [*points[1:], points[0]], strict=True):
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            inside = not inside
    return inside


def overlap(a: Thing, b: Thing, gap: float = 0.0) -> bool:
    """Whether two oriented rectangles meet, or come closer than about ``gap`` px."""
    return not (_separated(a, b, gap) or _separated(b, a, gap))


def _separated(a: Thing, b: Thing, gap: float) -> bool:
    """Whether one of ``a``'s sides parts it from all of ``b`` (separating axis)."""
    turn = math.radians(a.angle)
    corners = [(x - a.center[0], y - a.center[1]) for x, y in b.corners]
    across = [x * math.cos(turn) + y * math.sin(turn) for x, y in corners]
    along = [y * math.cos(turn) - x * math.sin(turn) for x, y in corners]
    return _beyond(across, a.width / 2 + gap) or _beyond(along, a.height / 2 + gap)


def _beyond(values: Sequence[float], limit: float) -> bool:
    return min(values) >= limit or max(values) <= -limit
