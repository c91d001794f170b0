"""The plan of a scene: a square of 256 units on which things find their places."""

import math
import random
from dataclasses import replace

from rs_gpt4v_builders.sample.scenes import (
    COUNTABLE,
    Box,
    Point,
    Scene,
    Thing,
    Tree,
    contains,
    outlined,
    overlap,
)

SIDE = 256.0
# A tree stands clear of these; it may stand in a forest or on a field.
_TREELESS = (*COUNTABLE, "road", "water area", "pier", "parking lot", "runway", "apron", "path")
_COMPASS = ((0, 0), (1, 0), (0, 1), (-1, 0), (0, -1), (0.7, 0.7), (-0.7, 0.7), (0.7, -0.7))


class Plan:
    """A scene being laid out: what stands already decides what may still be put."""

    def __init__(self, rng: random.Random, ground: str) -> None:
        self.rng = rng
        self.ground = ground
        self.things: list[Thing] = []
        self.trees: list[Tree] = []
        self.tags: list[str] = []

    def area(self, name: str, color: str, box: Box, style: str = "") -> None:
        """Add an upright area given as (x_min, y_min, x_max, y_max)."""
        x0, y0, x1, y1 = box
        center = ((x0 + x1) / 2, (y0 + y1) / 2)
        self.things.append(Thing(name, color, center, x1 - x0, y1 - y0, style=style))

    def road(self, middle: float, width: float, upright: bool, style: str = "marked") -> None:
        """Add a straight road from border to border."""
        low, high = middle - width / 2, middle + width / 2
        box = (low, 0.0, high, SIDE) if upright else (0.0, low, SIDE, high)
        self.area("road", "gray", box, style)

    def blob(self, name: str, color: str, points: list[Point]) -> None:
        """Add an area with a free outline."""
        self.things.append(outlined(name, color, points))

    def count(self, name: str) -> int:
        """How many things of one class stand in the plan."""
        return sum(thing.name == name for thing in self.things)

    def put(self, thing: Thing, gap: float = 3.0) -> bool:
        """Add a countable thing if it lies inside and clear of the others; say whether it did."""
        if any(not 2 <= c <= SIDE - 2 for corner in thing.corners for c in corner):
            return False
        if any(overlap(thing, other, gap) for other in self.things if other.name in COUNTABLE):
            return False
        self.things.append(thing)
        return True

    def on_road(self, thing: Thing) -> bool:
        """Whether a thing would come nearer than 4 units to a road."""
        return any(overlap(thing, other, 4) for other in self.things if other.name == "road")

    def plant(self, attempts: int, radius: tuple[float, float] = (4, 9)) -> None:
        """Try that many single trees, none of them on a building, a road or water."""
        for _ in range(attempts):
            x, y = self.rng.uniform(0, SIDE), self.rng.uniform(0, SIDE)
            self._grow(x, y, radius)

    def fill_with_trees(self, spacing: float = 9.5, radius: tuple[float, float] = (5, 8.5)) -> None:
        """Cover every forest with crowns, clear of the roads and the water in it."""
        for forest in [thing for thing in self.things if thing.name == "forest"]:
            x0, y0, x1, y1 = forest.box
            for row in range(int((y1 - y0) / spacing) + 1):
                for column in range(int((x1 - x0) / spacing) + 1):
                    x = x0 + (column + self.rng.random()) * spacing
                    y = y0 + (row + self.rng.random()) * spacing
                    if contains(forest.footprint, x, y):
                        self._grow(x, y, radius)

    def _grow(self, x: float, y: float, radius: tuple[float, float]) -> None:
        """Add a tree there unless its crown would cover something."""
        tree = Tree(x, y, self.rng.uniform(*radius), self.rng.random())
        if not any(_shades(tree, thing) for thing in self.things if thing.name in _TREELESS):
            self.trees.append(tree)

    def turn(self) -> None:
        """Turn the whole plan by 90 degrees, clockwise."""
        self.things = [thing.turned(SIDE) for thing in self.things]
        self.trees = [replace(tree, x=SIDE - tree.y, y=tree.x) for tree in self.trees]

    def scene(self, kind: str, size: int, gsd_m: float) -> Scene:
        """The finished scene in an image of ``size`` px."""
        factor = size / SIDE
        things = tuple(thing.scaled(factor) for thing in self.things)
        trees = tuple(tree.scaled(factor) for tree in self.trees)
        return Scene(kind, size, gsd_m, self.ground, things, trees, tuple(self.tags))


def _shades(tree: Tree, thing: Thing) -> bool:
    """Whether a crown would cover part of a thing."""
    reach = 1.5 * tree.radius + (thing.width + thing.height) / 2
    if math.dist((tree.x, tree.y), thing.center) > reach:
        return False
    if thing.shape != "polygon":
        side = 2 * tree.radius
        return overlap(Thing("tree", "green", (tree.x, tree.y), side, side), thing)
    around = [(tree.x + dx * tree.radius, tree.y + dy * tree.radius) for dx, dy in _COMPASS]
    return any(contains(thing.outline, x, y) for x, y in around)


def lake(rng: random.Random, center: Point, radius: float) -> list[Point]:
    """A rounded, uneven outline of about that radius, never more than 1.2 times as far out."""
    waves = [(n, rng.uniform(0, 0.2 / n), rng.uniform(0, 2 * math.pi)) for n in (2, 3, 5)]
    points = []
    for step in range(64):
        turn = 2 * math.pi * step / 64
        reach = radius * (1 + sum(a * math.sin(n * turn + phase) for n, a, phase in waves))
        points.append((center[0] + reach * math.cos(turn), center[1] + reach * math.sin(turn)))
    return points


def river(rng: random.Random, middle: float, width: float) -> list[Point]:
    """A winding band from the left border to the right: upper bank, then lower bank back."""
    swing, phase = rng.uniform(8, 26), rng.uniform(0, 2 * math.pi)
    xs = [SIDE * i / 40 for i in range(41)]
    ys = [middle + swing * math.sin(x / 48 + phase) for x in xs]
    upper = [(x, y - width / 2) for x, y in zip(xs, ys, strict=True)]
    lower = [(x, y + width / 2) for x, y in zip(xs, ys, strict=True)]
    return [*upper, *reversed(lower)]
