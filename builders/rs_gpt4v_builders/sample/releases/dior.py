"""Writes DIOR with both sets of boxes, on the images of the sample's DIOR-RSVG."""

import random
import shutil
from pathlib import Path
from typing import Any

from rs_gpt4v_builders.sample.files import new_folder, number
from rs_gpt4v_builders.sample.releases.dior_rsvg import (
    CLASSES,
    dior_pictures,
    label,
    upright_corners,
    write_annotation,
)
from rs_gpt4v_builders.sample.scenes import Thing

_CORNERS = tuple(
    f"{axis}_{corner}"
    for corner in ("left_top", "right_top", "right_bottom", "left_bottom")
    for axis in "xy"
)


def write(root: Path, seed: int, scale: float) -> None:
    """``DIOR/``: an upright and an oriented box of every object, and the three lists of images.

    The files are those of ``DIOR_RSVG``, which must be there. Oriented corners may lie outside
    the image; one object in five has only an upright box in either file.
    """
    folder = root / "DIOR"
    boxes = {
        kind: new_folder(folder / "Annotations" / f"{kind} Bounding Boxes")
        for kind in ("Horizontal", "Oriented")
    }
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for index, picture in enumerate(dior_pictures(seed, scale)):
        trainval = picture.split == "train"
        images = new_folder(folder / f"JPEGImages-{'trainval' if trainval else 'test'}")
        shutil.copyfile(root / "DIOR_RSVG/JPEGImages" / picture.name, images / picture.name)
        things = [thing for thing in picture.scene.things if thing.name in CLASSES]
        file = Path(picture.name).with_suffix(".xml")
        write_annotation(boxes["Horizontal"] / file, [_horizontal(t) for t in things], "\t")
        rng = random.Random(number("dior", seed, index))
        oriented = [_horizontal(t) if rng.random() < 0.2 else _oriented(t) for t in things]
        write_annotation(boxes["Oriented"] / file, oriented, "\t")
        lists[("val" if index % 2 else "train") if trainval else "test"].append(file.stem)
    for name, members in lists.items():
        lines = "".join(f"{member}\n" for member in members)
        (new_folder(folder / "Main") / f"{name}.txt").write_text(lines, encoding="utf-8")


def _horizontal(thing: Thing) -> dict[str, Any]:
    return {"name": label(thing), "pose": "Unspecified", "bndbox": upright_corners(thing)}


def _oriented(thing: Thing) -> dict[str, Any]:
    pixels = [round(value) for corner in thing.corners for value in corner]
    return {
        "type": "robndbox",
        "name": label(thing),
        "truncated": 0,
        "difficult": 0,
        "robndbox": dict(zip(_CORNERS, pixels, strict=True)),
        "angle": 0,
    }
