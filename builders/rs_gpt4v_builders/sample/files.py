"""What the writers of releases share: splits, scenes and image files."""

import random
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from rs_gpt4v_builders.sample.draw import draw
from rs_gpt4v_builders.sample.layouts import lay_out
from rs_gpt4v_builders.sample.scenes import Scene

Splits = dict[str, int]


class Picture(NamedTuple):
    """An image to write: file name, split, and what it shows.

    ``rng`` decides all that is drawn and said of it.
    """

    name: str
    split: str
    scene: Scene
    rng: random.Random


def listed(splits: Splits, scale: float) -> list[str]:
    """Each split's name as often as it has images; at least once."""
    return [name for name, count in splits.items() for _ in range(max(1, round(count * scale)))]


def mixed(release: str, seed: int, splits: list[str]) -> list[str]:
    """The splits in a random but fixed order over the images."""
    return random.Random(number(release, seed, "splits")).sample(splits, len(splits))


def pictures_of(
    release: str,
    seed: int,
    kinds_and_splits: Iterable[tuple[str, str]],
    size: int,
    gsd_m: float,
    name: Callable[[int, str], str] = lambda index, _: f"{index + 1}.tif",
) -> Iterator[Picture]:
    """A release's images, undrawn: one for each kind of scene and split, ``size`` px wide.

    ``name(index, kind)`` returns the file's name.
    """
    for index, (kind, split) in enumerate(kinds_and_splits):
        scene = lay_out(kind, number(release, seed, index), size, gsd_m)
        rng = random.Random(number(release, seed, index, "words"))
        yield Picture(name(index, kind), split, scene, rng)


def number(*names: str | int) -> int:
    """A seed that is the same in every process: Python's own hash of a string is not."""
    return zlib.crc32("/".join(map(str, names)).encode())


def save(scene: Scene, rng: random.Random, path: Path) -> None:
    """Draw a scene into a file of the format that its suffix says."""
    picture = draw(scene, rng.getrandbits(32))
    if path.suffix == ".tif":
        picture.save(path, compression="tiff_lzw", tiffinfo={317: 2})  # 317: predictor
    else:
        picture.save(path, quality=90)


def new_folder(path: Path) -> Path:
    """The folder, made where it does not exist."""
    path.mkdir(parents=True, exist_ok=True)
    return path
