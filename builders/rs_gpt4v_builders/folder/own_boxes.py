"""Boxes of one's own, checked before anything is told of them: whose images, and can it be true?

A box in other units, or drawn on an image of another size, would be told as a fact. So an image is
unusable where its file has another size than the annotation states, where an upright box leaves it
by more than `ROUNDING`, or where the centre of a rotated one does: rotated boxes around objects at
an edge do reach out. Where all boxes together show what is meant instead (shares of the sides,
percent, corners for sizes), that is said of the whole data set.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from datasets.config import HF_DATASETS_CACHE

from rs_gpt4v import records
from rs_gpt4v.boxes import Points, to_hbb
from rs_gpt4v.files import relative
from rs_gpt4v.images import AS_IS, Conversion
from rs_gpt4v_builders.folder.box_files import Row
from rs_gpt4v_builders.folder.detection_formats import SHARES, Layout, read_rows
from rs_gpt4v_builders.folder.image_names import ImageFiles, ImageNames
from rs_gpt4v_builders.image_checks import check_images
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.sources.source import Source

logger = logging.getLogger(__name__)

ROUNDING = 2.0
"""Pixels: so far a box may leave its image; it is clipped."""
_FEW = 0.02
"""The share of boxes that may be wrong in any data set; more are wrong by rule."""
_MANY = 10  # boxes, of which all would lie in one corner by chance only


def own_source(
    path: Path,
    layout: Layout,
    images: Path,
    split: str,
    conversion: Conversion = AS_IS,
    *,
    empty_allowed: bool = False,
) -> Source:
    """The source of one split of `detection_formats`; its folder is that of ``path``.

    Args:
        path: As in `rs_gpt4v_builders.folder.detection_formats.read_objects`.
        layout: As there.
        images: Folder that the names of images start from.
        split: What to call the split.
        conversion: What is done with images that are not 8-bit.
        empty_allowed: An image may hold no object; otherwise such an image is unusable.
    """
    schema = records.FOUND_OBJECTS if empty_allowed else records.OBJECTS
    return Source(
        name=path.stem,
        title=str(path),
        homepage="",
        license="unknown",
        citation="",
        folders=(),
        annotations={split: (f"{path.name}/" if path.is_dir() else path.name,)},
        images=(relative(images, path.parent),),
        reader=lambda *_: _read(path, layout, images, conversion, schema),
    )


def _read(
    path: Path, layout: Layout, images: Path, conversion: Conversion, schema: pa.Schema
) -> pa.Table:
    rows = read_plausible(path, layout, ImageNames(ImageFiles(images)), conversion)
    return records.table(rows, schema)


def read_plausible(
    path: Path, layout: Layout, images: ImageNames, conversion: Conversion = AS_IS
) -> list[Row]:
    """The rows of `detection_formats.read_rows`, of which what cannot be true is a problem.

    Args:
        path: As there.
        layout: As there.
        images: Finds the images that the annotations name.
        conversion: What is done with images that are not 8-bit.

    Raises:
        AnnotationError: The file is not of that layout, or its boxes are in other units.
    """
    rows = read_rows(path, layout)
    _find_images(rows, images)
    boxes = list(_boxes(rows, conversion))
    if layout in SHARES:
        _refuse_pixels(path, boxes)
        boxes = [_in_pixels(box) for box in boxes]
    else:
        _refuse_other_units(path, layout, boxes)
    for box in boxes:
        box.row["problem"] = box.row.get("problem") or _beyond(box)
    return rows


def _find_images(rows: list[Row], images: ImageNames) -> None:
    """Put the name of its file into each row, or what is wrong with the name."""
    named = [row for row in rows if isinstance(row.get("image"), str)]
    for row in named:
        row["image"] = row["image"].strip().replace("\\", "/").removeprefix("./")
        if there := next(filter(images.find, row.pop("names", ())), None):
            row["image"], row["key"] = there, os.path.splitext(there)[0]  # noqa: PTH122
    images = images.of(row["image"] for row in named)
    for row in named:
        row["key"] = row["key"].removeprefix(images.start)
        _find_image(row, row["image"].removeprefix(images.start), images)


def _find_image(row: Row, name: str, images: ImageNames) -> None:
    folder = images.files.folder
    by_key = images.find(row["key"])
    names = images.find(name) or by_key
    if len(names) > 1:
        reason = f"its image may be {' or '.join(names)} in {folder}: name it, or keep one"
        row["problem"] = row.get("problem") or ("image in doubt", reason)
    elif by_key and names and names[0] not in by_key:
        reason = f"it names {name}, and {by_key[0]} is there too: correct the name"
        row["problem"] = row.get("problem") or ("image in doubt", reason)
    row["image"] = names[0] if names else name
    row["file"] = folder / names[0] if names else None


class _Box(NamedTuple):
    row: Row
    index: int
    points: Points
    width: int
    height: int

    @property
    def beyond(self) -> float:
        """By how many pixels it leaves the image; of a rotated one, its centre."""
        x_min, y_min, x_max, y_max = to_hbb(self.points)
        if len(self.points) == 8:
            x_min = x_max = (x_min + x_max) / 2
            y_min = y_max = (y_min + y_max) / 2
        return max(-x_min, -y_min, x_max - self.width, y_max - self.height)


def _boxes(rows: Iterable[Row], conversion: Conversion) -> Iterator[_Box]:
    """All boxes with four numbers or eight, of images that can be read and have the stated size."""
    located = [row for row in rows if row.get("file")]
    paths = list(dict.fromkeys(str(row["file"]) for row in located))
    checked = check_images(paths, Path(HF_DATASETS_CACHE).expanduser(), conversion)
    sizes = {path: (check.width, check.height) for path, check in zip(paths, checked, strict=True)}
    for row in located:
        width, height = sizes[str(row["file"])]
        if width is None or height is None or row.get("size") not in (None, [width, height]):
            continue  # the builder says what is wrong
        for index, box in enumerate(row["boxes"]):
            if box["points"]:
                yield _Box(row, index, tuple(box["points"]), width, height)


def _refuse_pixels(path: Path, boxes: Sequence[_Box]) -> None:
    """Raise where boxes are no shares of the sides."""
    beyond = [box for box in boxes if max(map(abs, box.points)) > 2]
    if len(beyond) > _FEW * len(boxes):
        shown = [round(value, 2) for value in beyond[0].points]
        raise AnnotationError(
            f"{path}: {len(beyond)} of {len(boxes)} boxes are no shares of the sides, 0 to 1: "
            f"{shown} of {beyond[0].row['image']}, for one. Divide pixels by width and height"
        )


def _in_pixels(box: _Box) -> _Box:
    """The box with its shares of the sides as pixels, in its row too."""
    sides = cycle((box.width, box.height))
    points = tuple(share * side for share, side in zip(box.points, sides, strict=False))
    box.row["boxes"][box.index]["points"] = points
    return box._replace(points=points)


def _beyond(box: _Box) -> tuple[str, str] | None:
    if box.beyond <= ROUNDING:
        return None
    what = "leaves" if len(box.points) == 4 else "has its centre outside"
    reason = (
        f"object {box.index}: its box {[round(v, 2) for v in box.points]} {what} the image of "
        f"{box.width} x {box.height} px, by {box.beyond:g} px"
    )
    return "box beyond the image", reason


def is_in_other_units(furthest: float, side: float) -> bool:
    """Whether boxes that lie within ``furthest`` are hardly pixels of images of that least side."""
    return furthest <= 2 < 20 <= side or (furthest <= 100.5 and side >= 200)


def _refuse_other_units(path: Path, layout: Layout, boxes: list[_Box]) -> None:
    """Raise where the boxes together show that they are not what the layout says."""
    furthest = max((max(map(abs, box.points)) for box in boxes), default=0.0)
    side = min((min(box.width, box.height) for box in boxes), default=0)
    if boxes and furthest <= 2 < 20 <= side:
        reason = f"all {len(boxes)} boxes lie within {furthest:g}: shares of the sides"
        raise AnnotationError(f"{path}: {reason}, where pixels are expected")
    if furthest <= 100.5 and side >= 200:
        reason = f"all {len(boxes)} boxes lie within 100 px of the top left corner"
        if len(boxes) >= _MANY:
            raise AnnotationError(f"{path}: {reason}: percent, where pixels are expected")
        logger.warning("%s: %s; if they are percent, make pixels of them", path, reason)
    if layout in _OTHER_READING:
        _refuse_other_corners(path, layout, [box for box in boxes if len(box.points) == 4])


def _corners_for_sizes(points: Points) -> Points:
    """COCO's box, if its width and height are the other corner."""
    x, y, x_max, y_max = points
    return x, y, x_max - x, y_max - y


def _sizes_for_corners(points: Points) -> Points:
    """Pascal VOC's box, if its other corner is width and height."""
    x, y, width, height = points
    return x, y, x + width, y + height


_OTHER_READING: dict[str, tuple[Callable[[Points], Points], str, str]] = {
    "coco": (_corners_for_sizes, "x, y, width, height", "x_min, y_min, x_max, y_max"),
    "voc": (_sizes_for_corners, "x_min, y_min, x_max, y_max", "x, y, width, height"),
}
"""Of each layout: its boxes read in the other way, what is expected, what it is then."""


def _refuse_other_corners(path: Path, layout: Layout, boxes: list[_Box]) -> None:
    """Raise where some boxes make no sense, and all do as they would be in the other layout."""
    read_otherwise, expected, other = _OTHER_READING[layout]
    odd = sum(not _fits(box) for box in boxes)
    fitting = sum(_fits(box._replace(points=read_otherwise(box.points))) for box in boxes)
    if odd > _FEW * len(boxes) and fitting >= (1 - _FEW) * len(boxes):
        raise AnnotationError(
            f"{path}: as {expected}, {odd} of {len(boxes)} boxes leave their images or have no "
            f"area; as {other}, {len(boxes) - fitting} do. Write them as {expected}"
        )


def _fits(box: _Box) -> bool:
    x_min, y_min, x_max, y_max = box.points
    return x_min < x_max and y_min < y_max and box.beyond <= ROUNDING
