"""Drawing on an enlarged canvas, and the palette of muted, natural colours."""

import random
from collections.abc import Sequence

from PIL import Image, ImageDraw

from rs_gpt4v_builders.sample.scenes import Box, Point, Thing

Rgb = tuple[int, int, int]

OVERSAMPLING = 2  # drawn twice as large and reduced, which smooths the edges

GROUNDS: dict[str, Rgb] = {
    "grass": (104, 120, 76),
    "dry grass": (158, 148, 108),
    "bare ground": (174, 152, 122),
    "concrete": (150, 148, 142),
    "soil": (138, 112, 86),
}
ROOFS: dict[str, Rgb] = {
    "red": (152, 74, 60),
    "orange": (190, 120, 76),
    "brown": (112, 86, 68),
    "gray": (126, 127, 128),
    "white": (220, 218, 211),
    "blue": (84, 120, 158),
}
PAINTS: dict[str, Rgb] = {
    "white": (232, 231, 226),
    "gray": (156, 159, 161),
    "black": (46, 47, 50),
    "red": (168, 62, 52),
    "blue": (62, 92, 142),
    "green": (122, 152, 124),
}
COURTS: dict[str, Rgb] = {"green": (64, 112, 84), "blue": (64, 98, 138), "red": (150, 84, 68)}
CROPS: dict[str, Rgb] = {"green": (92, 122, 66), "yellow": (186, 168, 98), "brown": (132, 102, 76)}
WATERS: dict[str, Rgb] = {"blue": (66, 104, 128), "green": (76, 108, 96), "dark blue": (38, 62, 86)}
ASPHALT: Rgb = (104, 104, 106)
DIRT: Rgb = (178, 158, 124)
PAVING: Rgb = (172, 168, 160)
MARKING: Rgb = (222, 220, 210)
FOREST_FLOOR: Rgb = (50, 66, 42)


def shade(color: Rgb, factor: float) -> Rgb:
    """The colour made darker (factor below 1) or lighter (above 1)."""
    r, g, b = (max(0, min(255, round(c * factor))) for c in color)
    return r, g, b


class Pen:
    """Draws shapes given in scene pixels on the enlarged canvas.

    ``unit`` is the length, in scene pixels, of 1/256 of the picture's side: line widths and
    heights are stated in it, so that a scene looks alike at every size.
    """

    def __init__(self, canvas: Image.Image, unit: float, rng: random.Random) -> None:
        self._draw = ImageDraw.Draw(canvas)
        self.unit = unit
        self.rng = rng

    def polygon(self, points: Sequence[Point], color: Rgb | int) -> None:
        """Fill an outline."""
        self._draw.polygon([_enlarged(p) for p in points], fill=color)

    def line(self, points: Sequence[Point], color: Rgb, width: float = 1.0) -> None:
        """Draw a line ``width`` units wide."""
        thick = max(1, round(width * self.unit * OVERSAMPLING))
        self._draw.line([_enlarged(p) for p in points], fill=color, width=thick, joint="curve")

    def disc(self, center: Point, radius: float, color: Rgb | int) -> None:
        """Fill a circle; ``radius`` in scene pixels."""
        x, y = _enlarged(center)
        r = radius * OVERSAMPLING
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=color)

    def stroke(self, thing: Thing, points: Sequence[Point], color: Rgb, width: float = 1.0) -> None:
        """Draw a line ``width`` units wide through points of a thing's own frame."""
        self.line([thing.at(u, v) for u, v in points], color, width)

    def patch(self, thing: Thing, box: Box, color: Rgb) -> None:
        """Fill the rectangle (u_min, v_min, u_max, v_max) of a thing's own frame."""
        self.polygon([thing.at(u, v) for u, v in _corners(box)], color)

    def frame(self, thing: Thing, box: Box, width: float) -> None:
        """Draw white lines around the rectangle (u_min, v_min, u_max, v_max) of a thing's frame."""
        corners = _corners(box)
        self.stroke(thing, [*corners, corners[0]], MARKING, width)

    def varied(self, color: Rgb, amount: float = 0.06) -> Rgb:
        """The colour, lighter or darker by up to that share."""
        return shade(color, 1 + self.rng.uniform(-amount, amount))


def _corners(box: Box) -> list[Point]:
    u0, v0, u1, v1 = box
    return [(u0, v0), (u1, v0), (u1, v1), (u0, v1)]


def _enlarged(point: Point) -> Point:
    return point[0] * OVERSAMPLING, point[1] * OVERSAMPLING
