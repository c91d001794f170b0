"""Writes DIOR-RSVG: 800 px JPEGs, an XML file each, and the lists of the objects' indices."""

import random
from collections.abc import Iterator, Sequence
from itertools import cycle, repeat
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rs_gpt4v_builders.sample.files import (
    Picture,
    Splits,
    listed,
    new_folder,
    number,
    pictures_of,
    save,
)
from rs_gpt4v_builders.sample.scenes import Scene, Thing

DIOR_SPLITS: Splits = {"train": 60, "test": 24}
_LAST_TRAINING_IMAGE = 11725
_GAP = 3  # DIOR-RSVG has three of four DIOR images
IMAGE_SIZE = 800
_KINDS = ("airport", "harbor", "storage tanks", "sports", "intersection", "commercial")
_MOST_EXPRESSIONS = 10  # of an image; the release has two or three, but drawing costs time

CLASSES = (
    "airplane",
    "ship",
    "storage tank",
    "tennis court",
    "basketball court",
    "baseball field",
    "vehicle",
)
"""Those of our classes that DIOR annotates; its names have no spaces."""
# Words for a place -> the span of its centre on x and on y, as shares of the side.
PLACES = {
    "on the left": ((0.0, 0.4), (0.0, 1.0)),
    "on the right": ((0.6, 1.0), (0.0, 1.0)),
    "at the top": ((0.0, 1.0), (0.0, 0.4)),
    "at the bottom": ((0.0, 1.0), (0.6, 1.0)),
    "on the upper left": ((0.0, 0.4), (0.0, 0.4)),
    "on the upper right": ((0.6, 1.0), (0.0, 0.4)),
    "on the lower left": ((0.0, 0.4), (0.6, 1.0)),
    "on the lower right": ((0.6, 1.0), (0.6, 1.0)),
    "in the middle": ((0.42, 0.58), (0.42, 0.58)),
}
# Words for the one that is furthest -> the direction of "far", x and y.
_FURTHEST = {
    "The leftmost {}": (-1, 0),
    "The rightmost {}": (1, 0),
    "The topmost {}": (0, -1),
    "The lowest {}": (0, 1),
    "The {} nearest to the upper left corner": (-1, -1),
    "The {} nearest to the upper right corner": (1, -1),
    "The {} nearest to the lower left corner": (-1, 1),
    "The {} nearest to the lower right corner": (1, 1),
}
_LEAD = 0.05  # of the side: by so much it must be further than the next
_DOUBT = 0.12  # of the side: nobody agrees where a place ends, so no rival may be as near as this


def dior_pictures(seed: int, scale: float) -> Iterator[Picture]:
    """The images of which something can be said.

    They are numbered towards the last of DIOR's training images, then away from it.
    """
    splits = listed(DIOR_SPLITS, scale)
    training = splits.count("train")
    drawable = pictures_of("dior", seed, zip(cycle(_KINDS), repeat("")), IMAGE_SIZE, 0.5)
    described = (picture for picture in drawable if any(_true_expressions(picture.scene)))
    for index, (split, picture) in enumerate(zip(splits, described, strict=False)):
        beyond = index - training  # below 0 in training
        image = _LAST_TRAINING_IMAGE + 1 + _GAP * beyond + (_GAP - 1 if beyond < 0 else 0)
        yield picture._replace(name=f"{image:05d}.jpg", split=split)


def write(root: Path, seed: int, scale: float) -> None:
    """``DIOR_RSVG/``."""
    folder = root / "DIOR_RSVG"
    images, annotations = (new_folder(folder / name) for name in ("JPEGImages", "Annotations"))
    count = 0
    for picture in dior_pictures(seed, scale):
        described = expressions(picture.scene, picture.rng)
        count += len(described)
        objects = [
            {
                "name": label(thing),
                "pose": "Unspecified",
                "bndbox": upright_corners(thing),
                "description": words,
            }
            for thing, words in described
        ]
        file = (annotations / picture.name).with_suffix(".xml")
        write_annotation(
            file, objects, "  ", '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
        )
        save(picture.scene, picture.rng, images / picture.name)
    shuffled = random.Random(number("dior_rsvg", seed, "splits")).sample(range(count), count)
    a, b = max(1, round(0.1 * count)), max(2, round(0.3 * count))
    for name, part in {"val": shuffled[:a], "test": shuffled[a:b], "train": shuffled[b:]}.items():
        lines = "".join(f"{index}\n" for index in sorted(part))
        (folder / f"{name}.txt").write_text(lines, encoding="utf-8", newline="\n")


def label(thing: Thing) -> str:
    """DIOR's name of a thing's class."""
    return thing.name.replace(" ", "")


def upright(thing: Thing) -> list[int]:
    """The corners of a thing's upright box as DIOR annotates them: px, from 1, in the image."""
    return [min(max(round(corner), 1), IMAGE_SIZE) for corner in thing.box]


def upright_corners(thing: Thing) -> dict[str, int]:
    """The same by their names in the XML."""
    return dict(zip(("xmin", "ymin", "xmax", "ymax"), upright(thing), strict=True))


def write_annotation(
    path: Path, objects: list[dict[str, Any]], indent: str, declaration: str = ""
) -> None:
    """Write the XML of one image: elements by name, lists for those that repeat."""
    root = ElementTree.Element("annotation")
    _fill(
        root,
        {
            "filename": f"{path.stem}.jpg",
            "source": {"database": "DIOR"},
            "size": {"width": IMAGE_SIZE, "height": IMAGE_SIZE, "depth": 3},
            "segmented": 0,
            "object": objects,
        },
    )
    ElementTree.indent(root, indent)
    text = f"{declaration}{ElementTree.tostring(root, 'unicode')}\n"
    path.write_text(text, encoding="utf-8", newline="\n")


def _fill(parent: ElementTree.Element, content: dict[str, Any]) -> None:
    for tag, values in content.items():
        for value in values if isinstance(values, list) else [values]:
            child = ElementTree.SubElement(parent, tag)
            if isinstance(value, dict):
                _fill(child, value)
            else:
                child.text = str(value)


def expressions(scene: Scene, rng: random.Random) -> list[tuple[Thing, str]]:
    """Some expressions, each with the one thing of which it is true; a thing may have several."""
    true = list(_true_expressions(scene))
    chosen = sorted(rng.sample(range(len(true)), min(_MOST_EXPRESSIONS, len(true))))
    return [true[index] for index in chosen]


def _true_expressions(scene: Scene) -> Iterator[tuple[Thing, str]]:
    for thing in scene.things:
        if thing.name in CLASSES:
            yield from ((thing, phrase) for phrase in phrases(thing, scene))


def phrases(thing: Thing, scene: Scene) -> Iterator[str]:
    """Expressions that are true of ``thing`` and of nothing else in the scene."""
    every = scene.named(thing.name)
    alike = [other for other in every if other.color == thing.color]
    if len(alike) == 1:
        yield f"A {thing.color} {thing.name}"
    if len(every) == 1:
        yield f"The {thing.name} in the image"
    for place, spans in PLACES.items():
        if _lies(thing, spans, scene.size, 0):
            near = [other for other in every if _lies(other, spans, scene.size, _DOUBT)]
            if len(near) == 1:
                yield f"The {thing.name} {place}"
            if sum(other.color == thing.color for other in near) == 1:
                yield f"A {thing.color} {thing.name} {place}"
    yield from (
        phrase.format(thing.name)
        for phrase, (x, y) in _FURTHEST.items()
        if len(every) > 1 and _leads(thing, every, x, y, _LEAD * scene.size)
    )


def _leads(thing: Thing, every: Sequence[Thing], x: int, y: int, lead: float) -> bool:
    """Whether it is further in a direction than each other of its class, by ``lead`` px."""
    distances = [(other is thing, x * _center(other)[0] + y * _center(other)[1]) for other in every]
    own = next(distance for is_own, distance in distances if is_own)
    return all(is_own or own - distance >= lead for is_own, distance in distances)


def _center(thing: Thing) -> tuple[float, float]:
    x0, y0, x1, y1 = thing.box
    return (x0 + x1) / 2, (y0 + y1) / 2


def _lies(thing: Thing, spans: tuple[tuple[float, float], ...], size: int, doubt: float) -> bool:
    """Whether the centre lies in a place, widened by ``doubt`` of the picture's side."""
    return all(
        low - doubt <= value / size <= high + doubt
        for value, (low, high) in zip(_center(thing), spans, strict=True)
    )
