"""Painting what lies flat: fields, water, roads, courts, runways."""

import math
from collections.abc import Callable

from rs_gpt4v_builders.sample import pen as palette
from rs_gpt4v_builders.sample.pen import MARKING, Pen, shade
from rs_gpt4v_builders.sample.scenes import Box, Point, Thing


def _farmland(pen: Pen, field: Thing) -> None:
    color = pen.varied(palette.CROPS[field.color], 0.1)
    pen.polygon(field.footprint, color)
    tilt = pen.rng.uniform(-0.03, 0.03)
    along = field.style == "rows"
    furrows = round((field.height if along else field.width) / (3.4 * pen.unit))
    for n in range(1, furrows):
        v = n / furrows - 0.5
        ends = (v, max(-0.5, min(0.5, v + tilt)))
        line = [(-0.5, ends[0]), (0.5, ends[1])]
        if not along:
            line = [(v, u) for u, v in line]
        tint = shade(color, pen.rng.uniform(0.82, 0.93))
        pen.stroke(field, line, tint, pen.rng.uniform(0.7, 1.5))


def _forest(pen: Pen, forest: Thing) -> None:
    pen.polygon(forest.footprint, palette.FOREST_FLOOR)


def _water(pen: Pen, water: Thing) -> None:
    color = pen.varied(palette.WATERS[water.color])
    pen.polygon(water.footprint, color)
    if water.shape == "polygon":
        for bank in _banks(water):
            pen.line(bank, shade(color, 1.2), 3)
        return
    for _ in range(90):
        u, v = pen.rng.uniform(-0.48, 0.48), pen.rng.uniform(-0.48, 0.48)
        ripple = [(u - 0.02, v), (u, v + 0.004), (u + 0.02, v)]
        pen.stroke(water, ripple, shade(color, pen.rng.choice((0.93, 1.08))), 1)


def _banks(water: Thing) -> list[tuple[Point, ...]]:
    """The shore line; without the ends of a river that flows from border to border."""
    outline = water.outline
    half = len(outline) // 2
    is_river = math.dist(outline[0], outline[half - 1]) > 4 * math.dist(outline[0], outline[-1])
    return [outline[:half], outline[half:]] if is_river else [(*outline, outline[0])]


def _road(pen: Pen, road: Thing) -> None:
    if road.style == "dirt":
        pen.polygon(road.footprint, pen.varied(palette.DIRT))
        for v in (-0.2, 0.2):
            pen.patch(road, _lengthwise(road, v - 0.08, v + 0.08), shade(palette.DIRT, 0.88))
        return
    pen.polygon(road.footprint, palette.PAVING)
    pen.patch(road, _lengthwise(road, -0.43, 0.43), pen.varied(palette.ASPHALT))
    dash, count = 0.022, 16
    for n in range(count):
        start = (n + 0.25) / count - 0.5
        pen.patch(road, _lengthwise(road, -0.03, 0.03, start, start + dash), MARKING)


def _lengthwise(
    strip: Thing, low: float, high: float, start: float = -0.5, end: float = 0.5
) -> Box:
    """The part of a strip between two positions across it, and two along it."""
    if strip.width > strip.height:
        return start, low, end, high
    return low, start, high, end


def _path(pen: Pen, path: Thing) -> None:
    if path.style == "junction":
        _junction(pen, path)
        return
    if path.style == "":
        pen.polygon(path.footprint, pen.varied(palette.PAVING))
        return
    pen.polygon(path.footprint, shade(palette.ASPHALT, 1.12))
    pen.patch(path, _lengthwise(path, -0.03, 0.03), (196, 172, 84))


def _junction(pen: Pen, junction: Thing) -> None:
    """Bare asphalt where two roads cross, with a zebra crossing on each arm."""
    pen.patch(junction, (-0.4, -0.4, 0.4, 0.4), palette.ASPHALT)
    for n in range(7):
        low = -0.24 + n * 0.075
        for far in (-0.48, 0.42):
            pen.patch(junction, (low, far, low + 0.035, far + 0.06), MARKING)
            pen.patch(junction, (far, low, far + 0.06, low + 0.035), MARKING)


def _apron(pen: Pen, apron: Thing) -> None:
    pen.polygon(apron.footprint, palette.PAVING)
    joints = [((n / 12 - 0.5, -0.5), (n / 12 - 0.5, 0.5)) for n in range(1, 12)]
    joints += [((-0.5, n / 5 - 0.5), (0.5, n / 5 - 0.5)) for n in range(1, 5)]
    for joint in joints:
        pen.stroke(apron, joint, shade(palette.PAVING, 0.93), 0.7)


def _runway(pen: Pen, runway: Thing) -> None:
    pen.polygon(runway.footprint, shade(palette.ASPHALT, 0.8))
    pen.frame(runway, (-0.49, -0.44, 0.49, 0.44), 0.8)
    for n in range(9):
        u = -0.34 + n * 0.08
        pen.patch(runway, (u, -0.025, u + 0.045, 0.025), MARKING)
    for stripe in range(6):
        v = -0.36 + stripe * 0.13
        for u in (-0.475, 0.395):
            pen.patch(runway, (u, v, u + 0.08, v + 0.065), MARKING)
    for u in (-0.3, 0.25):
        for v in (-0.26, 0.18):
            pen.patch(runway, (u, v, u + 0.05, v + 0.08), MARKING)


def _pier(pen: Pen, pier: Thing) -> None:
    pen.polygon(pier.footprint, (176, 166, 148))
    for n in range(1, 24):
        pen.stroke(pier, [(-0.5, n / 24 - 0.5), (0.5, n / 24 - 0.5)], (150, 140, 122), 0.6)


def _parking(pen: Pen, lot: Thing) -> None:
    pen.polygon(lot.footprint, pen.varied(palette.ASPHALT))
    side = 12 / 68
    for row in (-0.49, 0.16):
        for n in range(6):
            u = (n - 2.5) * side
            pen.stroke(lot, [(u, row), (u, row + 0.33)], MARKING, 0.8)


def _tennis(pen: Pen, court: Thing) -> None:
    color = palette.COURTS[court.color]
    pen.polygon(court.footprint, shade(color, 0.8))
    pen.patch(court, (-0.34, -0.37, 0.34, 0.37), shade(color, 1.12))
    pen.frame(court, (-0.34, -0.37, 0.34, 0.37), 1.1)
    pen.frame(court, (-0.25, -0.37, 0.25, 0.37), 0.9)
    pen.frame(court, (-0.25, -0.19, 0.25, 0.19), 0.9)
    pen.stroke(court, [(0, -0.19), (0, 0.19)], MARKING, 0.9)
    pen.stroke(court, [(-0.4, 0), (0.4, 0)], (60, 62, 62), 1.2)


def _basketball(pen: Pen, court: Thing) -> None:
    color = palette.COURTS[court.color]
    pen.polygon(court.footprint, color)
    pen.frame(court, (-0.44, -0.46, 0.44, 0.46), 1.2)
    pen.stroke(court, [(-0.44, 0), (0.44, 0)], MARKING, 1)
    _arc(pen, court, (0, 0), (0.16, 0.093), (0, 360))
    for end in (-1, 1):
        tip = sorted((end * 0.46, end * 0.28))
        pen.patch(court, (-0.15, tip[0], 0.15, tip[1]), (186, 142, 92))
        pen.frame(court, (-0.15, tip[0], 0.15, tip[1]), 1)
        bend = (180, 360) if end > 0 else (0, 180)
        _arc(pen, court, (0, end * 0.42), (0.38, 0.22), bend)


def _arc(pen: Pen, thing: Thing, center: Point, radii: Point, span: tuple[int, int]) -> None:
    """A white arc in a thing's own frame; ``span`` in degrees."""
    (u, v), (a, b) = center, radii
    turns = [math.radians(t) for t in range(span[0], span[1] + 1, 12)]
    pen.stroke(thing, [(u + a * math.cos(t), v + b * math.sin(t)) for t in turns], MARKING, 1)


def _baseball(pen: Pen, field: Thing) -> None:
    """Home plate is the corner at (-0.42, 0.42) of the field's frame."""
    clay, lawn = (176, 134, 96), (96, 126, 70)
    pen.polygon(_sector(field, 0.98), shade(clay, 0.95))
    pen.polygon(_sector(field, 0.9), lawn)
    for n in range(0, 8, 2):
        pen.polygon(_ring(field, 0.54 + n * 0.045, 0.585 + n * 0.045), shade(lawn, 1.07))
    pen.polygon(_sector(field, 0.56), clay)
    pen.patch(field, (-0.4, -0.02, 0.02, 0.4), shade(lawn, 1.05))
    pen.disc(field.at(-0.19, 0.19), 6 * pen.unit, clay)
    pen.disc(field.at(-0.42, 0.42), 9 * pen.unit, clay)
    for u, v in ((-0.42, -0.44), (0.44, 0.42)):
        pen.stroke(field, [(-0.42, 0.42), (u, v)], MARKING, 1)


def _sector(field: Thing, reach: float) -> list[Point]:
    """A quarter disc around home plate; ``reach`` as a share of the field's side."""
    turns = [math.radians(t) for t in range(0, 91, 6)]
    rim = [field.at(-0.48 + reach * math.cos(t), 0.48 - reach * math.sin(t)) for t in turns]
    return [field.at(-0.48, 0.48), *rim]


def _ring(field: Thing, near: float, far: float) -> list[Point]:
    return [*_sector(field, far)[1:], *reversed(_sector(field, near)[1:])]


SURFACES: dict[str, Callable[[Pen, Thing], None]] = {
    "farmland": _farmland,
    "forest": _forest,
    "water area": _water,
    "road": _road,
    "path": _path,
    "apron": _apron,
    "runway": _runway,
    "pier": _pier,
    "parking lot": _parking,
    "tennis court": _tennis,
    "basketball court": _basketball,
    "baseball field": _baseball,
}
