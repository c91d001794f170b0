"""Writes DIOR with both sets of boxes, on the images of the sample's DIOR-RSVG."""

import random
import shutil
from collections.abc import Iterable
from pathlib import Path

from rs_gpt4v_builders.sample.files import new_folder, number
from rs_gpt4v_builders.sample.releases.dior_rsvg import CLASSES, IMAGE_SIZE, dior_pictures, upright
from rs_gpt4v_builders.sample.scenes import Thing

_HORIZONTAL = """	<object>
		<name>{}</name>
		<pose>Unspecified</pose>
		<bndbox>
			<xmin>{}</xmin>
			<ymin>{}</ymin>
			<xmax>{}</xmax>
			<ymax>{}</ymax>
		</bndbox>
	</object>
"""
_ORIENTED = """	<object>
		<type>robndbox</type>
		<name>{}</name>
		<truncated>0</truncated>
		<difficult>0</difficult>
		<robndbox>
			<x_left_top>{}</x_left_top>
			<y_left_top>{}</y_left_top>
			<x_right_top>{}</x_right_top>
			<y_right_top>{}</y_right_top>
			<x_right_bottom>{}</x_right_bottom>
			<y_right_bottom>{}</y_right_bottom>
			<x_left_bottom>{}</x_left_bottom>
			<y_left_bottom>{}</y_left_bottom>
		</robndbox>
		<angle>0</angle>
	</object>
"""
_ANNOTATION = """<annotation>
	<filename>{name}</filename>
	<source>
		<database>DIOR</database>
	</source>
	<size>
		<width>{size}</width>
		<height>{size}</height>
		<depth>3</depth>
	</size>
	<segmented>0</segmented>
{objects}</annotation>
"""


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
        _write(boxes["Horizontal"] / file, map(_horizontal, things))
        rng = random.Random(number("dior", seed, index))
        oriented = (_horizontal(t) if rng.random() < 0.2 else _oriented(t) for t in things)
        _write(boxes["Oriented"] / file, oriented)
        lists[("val" if index % 2 else "train") if trainval else "test"].append(file.stem)
    for name, members in lists.items():
        lines = "".join(f"{member}\n" for member in members)
        (new_folder(folder / "Main") / f"{name}.txt").write_text(lines, encoding="utf-8")


def _write(path: Path, objects: Iterable[str]) -> None:
    text = _ANNOTATION.format(name=f"{path.stem}.jpg", size=IMAGE_SIZE, objects="".join(objects))
    path.write_text(text, encoding="utf-8", newline="\n")


def _horizontal(thing: Thing) -> str:
    return _HORIZONTAL.format(CLASSES[thing.name][0], *upright(thing))


def _oriented(thing: Thing) -> str:
    return _ORIENTED.format(
        CLASSES[thing.name][0], *(round(value) for corner in thing.corners for value in corner)
    )
