"""A scene as an RGB picture: ground, surfaces, shadows, trees, what stands up, and grain."""

import functools
import random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from rs_gpt4v_builders.sample.pen import GROUNDS, OVERSAMPLING, Pen
from rs_gpt4v_builders.sample.scenes import Scene, Thing
from rs_gpt4v_builders.sample.solids import HEIGHTS, SOLIDS, SUN, tree
from rs_gpt4v_builders.sample.surfaces import SURFACES

_TILE = 1024  # px; grain is cut from one tile at a random place
_LEVEL = 4  # colours are multiples of this: less than the grain hides, and files compress


def draw(scene: Scene, seed: int) -> Image.Image:
    """The picture of a scene; the seed decides tints and grain, never what is where."""
    rng = random.Random(seed)
    side = scene.size * OVERSAMPLING
    canvas = Image.new("RGB", (side, side), GROUNDS[scene.ground])
    pen = Pen(canvas, scene.size / 256, rng)
    for thing in scene.things:
        if thing.name in SURFACES:
            SURFACES[thing.name](pen, thing)
    _cast_shadows(canvas, scene)
    for crown in scene.trees:
        tree(pen, crown)
    for thing in scene.things:
        if thing.name in SOLIDS:
            SOLIDS[thing.name](pen, thing)
    picture = canvas.resize((scene.size, scene.size), Image.Resampling.LANCZOS)
    return _grained(picture, scene, rng)


def _cast_shadows(canvas: Image.Image, scene: Scene) -> None:
    """Darken what lies in the shade of things and trees."""
    mask = Image.new("L", canvas.size, 0)
    pen = Pen(mask, scene.size / 256, random.Random(0))
    for thing in scene.things:
        if thing.name in HEIGHTS:
            _shadow(pen, thing)
    for crown in scene.trees:
        reach = 0.55 * crown.radius
        pen.disc((crown.x - SUN[0] * reach, crown.y - SUN[1] * reach), crown.radius, 110)
    soft = mask.filter(ImageFilter.BoxBlur(1.6 * pen.unit))
    canvas.paste((24, 28, 36), mask=soft)


def _shadow(pen: Pen, thing: Thing) -> None:
    height = HEIGHTS[thing.name] * pen.unit
    for step in (0.25, 0.5, 0.75, 1.0):
        dx, dy = -SUN[0] * height * step, -SUN[1] * height * step
        pen.polygon([(x + dx, y + dy) for x, y in thing.footprint], 130)


def _grained(picture: Image.Image, scene: Scene, rng: random.Random) -> Image.Image:
    """The picture with uneven ground, sensor noise and a tint of its own."""
    fine, coarse = _grain()
    pixels = np.asarray(picture, np.int16)
    size = scene.size
    x, y = rng.randrange(_TILE - size + 1), rng.randrange(_TILE - size + 1)
    noise = fine[y : y + size, x : x + size] + coarse[x : x + size, y : y + size]
    tint = np.array([rng.randint(-5, 5) for _ in range(3)], np.int16) + rng.randint(-7, 7)
    pixels = pixels + noise[..., None] + tint
    pixels = np.clip(pixels, 0, 255) // _LEVEL * _LEVEL
    return Image.fromarray(pixels.astype(np.uint8))


@functools.cache
def _grain() -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Two tiles of noise around 0: pixel by pixel, and in soft patches.

    The bytes come from ``random``, whose stream is the same everywhere.
    """
    rng = random.Random(2024)
    shape = (_TILE, _TILE)
    fine = Image.frombytes("L", shape, rng.randbytes(_TILE * _TILE))
    fine = fine.filter(ImageFilter.GaussianBlur(0.6))
    coarse = Image.new("L", shape, 128)
    for cell, weight in ((6, 0.5), (16, 0.5), (48, 0.5)):
        cells = _TILE // cell + 1
        layer = Image.frombytes("L", (cells, cells), rng.randbytes(cells * cells))
        coarse = Image.blend(coarse, layer.resize(shape, Image.Resampling.BICUBIC), weight)
    return _centered(fine, 0.09), _centered(coarse, 0.16)


def _centered(tile: Image.Image, gain: float) -> NDArray[np.int16]:
    values = np.asarray(tile, np.float64) - 127.5
    return np.rint(values * gain).astype(np.int16)
