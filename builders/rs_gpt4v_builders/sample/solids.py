"""Painting what stands up or moves: roofs, tanks, planes, ships, cars, trees."""

import math
from collections.abc import Callable

from rs_gpt4v_builders.sample import pen as palette
from rs_gpt4v_builders.sample.pen import Pen, Rgb, shade
from rs_gpt4v_builders.sample.scenes import Point, Thing, Tree

# Heights in units of 1/256 of the picture: how far the shadow falls.
HEIGHTS = {
    "residential building": 5.0,
    "commercial building": 8.0,
    "storage tank": 8.0,
    "airplane": 3.0,
    "ship": 1.5,
    "vehicle": 1.6,
}
SUN: Point = (-0.6, -0.8)  # where the light comes from; shadows fall the other way


def _lit(thing: Thing, facing: float) -> float:
    """Brightness of a roof side that looks ``facing`` degrees from the thing's x axis."""
    turn = math.radians(thing.angle + facing)
    return 1 + 0.17 * (math.cos(turn) * SUN[0] + math.sin(turn) * SUN[1])


def _building(pen: Pen, house: Thing) -> None:
    color = pen.varied(palette.ROOFS[house.color])
    {"gable": _gable, "hip": _hip, "flat": _flat}[house.style](pen, house, color)


def _gable(pen: Pen, house: Thing, color: Rgb) -> None:
    pen.patch(house, (-0.5, -0.5, 0.5, 0.0), shade(color, _lit(house, 270)))
    pen.patch(house, (-0.5, 0.0, 0.5, 0.5), shade(color, _lit(house, 90)))
    pen.stroke(house, [(-0.5, 0), (0.5, 0)], shade(color, 1.2), 1)


def _hip(pen: Pen, house: Thing, color: Rgb) -> None:
    ridge = 0.5 - 0.5 * house.height / house.width
    left, right = house.at(-ridge, 0), house.at(ridge, 0)
    a, b, c, d = house.corners
    for outline, facing in (
        ((a, b, right, left), 270),
        ((b, c, right), 0),
        ((c, d, left, right), 90),
        ((d, a, left), 180),
    ):
        pen.polygon(outline, shade(color, _lit(house, facing)))
    pen.line([left, right], shade(color, 1.15), 0.8)


def _flat(pen: Pen, house: Thing, color: Rgb) -> None:
    pen.polygon(house.footprint, shade(color, 0.8))
    pen.patch(house, (-0.46, -0.46, 0.46, 0.46), color)
    for _ in range(pen.rng.randint(2, 5)):
        u, v = pen.rng.uniform(-0.36, 0.26), pen.rng.uniform(-0.36, 0.26)
        pen.patch(house, (u + 0.02, v + 0.02, u + 0.13, v + 0.13), shade(color, 0.66))
        pen.patch(house, (u, v, u + 0.1, v + 0.1), shade(color, 1.12))


def _tank(pen: Pen, tank: Thing) -> None:
    color = pen.varied(palette.PAINTS[tank.color], 0.03)
    radius = tank.width / 2
    pen.disc(tank.center, radius, shade(color, 0.72))
    pen.disc(_toward_sun(tank.center, 0.03 * radius), radius * 0.95, shade(color, 0.95))
    pen.disc(_toward_sun(tank.center, 0.12 * radius), radius * 0.74, color)
    pen.disc(_toward_sun(tank.center, 0.3 * radius), radius * 0.36, shade(color, 1.06))
    pen.stroke(tank, [(0, 0), (0.47, 0.1)], shade(color, 0.7), 1)
    pen.disc(tank.center, radius * 0.07, shade(color, 0.6))


def _toward_sun(point: Point, distance: float) -> Point:
    return point[0] + SUN[0] * distance, point[1] + SUN[1] * distance


def _airplane(pen: Pen, plane: Thing) -> None:
    color = palette.PAINTS[plane.color]
    pen.polygon(plane.footprint, shade(color, 0.9))
    hull = [(-0.5, -0.02), (0.4, -0.05), (0.48, 0), (0.4, 0.05), (-0.5, 0.02)]
    pen.polygon([plane.at(u, v) for u, v in hull], shade(color, 1.08))
    for side in (-1, 1):
        pen.patch(plane, (0.0, side * 0.22 - 0.025, 0.09, side * 0.22 + 0.025), shade(color, 0.62))
        pen.stroke(plane, [(-0.02, side * 0.06), (-0.12, side * 0.49)], shade(color, 0.78), 0.7)
    pen.stroke(plane, [(-0.5, 0), (-0.32, 0)], (96, 112, 140), 1.4)
    pen.stroke(plane, [(0.4, -0.03), (0.4, 0.03)], (70, 74, 82), 1)


def _ship(pen: Pen, ship: Thing) -> None:
    color = palette.PAINTS[ship.color]
    if ship.style == "sailing":
        _wake(pen, ship)
    pen.polygon(ship.footprint, shade(color, 0.86))
    x, y = ship.center
    pen.polygon([(px * 0.84 + x * 0.16, py * 0.84 + y * 0.16) for px, py in ship.footprint], color)
    pen.patch(ship, (-0.34, -0.28, -0.02, 0.28), shade(color, 0.72))
    pen.patch(ship, (-0.3, -0.22, -0.08, 0.22), shade(color, 1.1))
    pen.patch(ship, (-0.02, -0.26, 0.04, 0.26), (70, 84, 98))
    pen.stroke(ship, [(0.1, 0), (0.36, 0)], shade(color, 0.76), 0.8)


def _wake(pen: Pen, ship: Thing) -> None:
    foam = (142, 166, 172)
    wake = ((-0.46, -0.36), (-1.25, -0.75), (-1.1, 0), (-1.25, 0.75), (-0.46, 0.36))
    pen.polygon([ship.at(u, v) for u, v in wake], (96, 128, 142))
    for v in (-1, 1):
        pen.stroke(ship, [(0.3, v * 0.4), (-0.5, v * 0.6), (-1.3, v * 0.85)], foam, 1.2)
        pen.stroke(ship, [(-0.5, v * 0.2), (-1.0, v * 0.2)], foam, 1)


def _vehicle(pen: Pen, car: Thing) -> None:
    color = palette.PAINTS[car.color]
    pen.polygon(car.footprint, color)
    pen.patch(car, (-0.32, -0.4, 0.2, 0.4), shade(color, 0.86))
    glass = (58, 66, 76)
    pen.patch(car, (0.1, -0.38, 0.24, 0.38), glass)
    pen.patch(car, (-0.38, -0.36, -0.28, 0.36), glass)


def _pool(pen: Pen, pool: Thing) -> None:
    pen.polygon(pool.footprint, (206, 202, 192))
    x, y = pool.center
    inner = [(x + (px - x) * 0.82, y + (py - y) * 0.82) for px, py in pool.footprint]
    pen.polygon(inner, (92, 172, 190))


SOLIDS: dict[str, Callable[[Pen, Thing], None]] = {
    "residential building": _building,
    "commercial building": _building,
    "storage tank": _tank,
    "airplane": _airplane,
    "ship": _ship,
    "vehicle": _vehicle,
    "swimming pool": _pool,
}


def tree(pen: Pen, crown: Tree) -> None:
    """A crown of lobes, lighter toward the sun."""
    light = crown.shade
    base = (round(46 + 34 * light), round(66 + 36 * light), round(38 + 18 * light))
    pen.disc((crown.x, crown.y), crown.radius, shade(base, 0.72))
    for _ in range(4):
        reach, turn = crown.radius * pen.rng.uniform(0.2, 0.55), pen.rng.uniform(0, 6.28)
        x = crown.x + reach * math.cos(turn) + SUN[0] * crown.radius * 0.2
        y = crown.y + reach * math.sin(turn) + SUN[1] * crown.radius * 0.2
        light = 0.9 + 0.12 * -(math.cos(turn) * 0.6 + math.sin(turn) * 0.8)
        pen.disc((x, y), crown.radius * pen.rng.uniform(0.36, 0.5), shade(base, light))
    top = (crown.x + SUN[0] * crown.radius * 0.36, crown.y + SUN[1] * crown.radius * 0.36)
    pen.disc(top, crown.radius * 0.3, shade(base, 1.2))
