"""Boxes in a JSON file of COCO's layout, upright and rotated; pixels.

::

    {"images": [{"id", "file_name", "width"?, "height"?}], "categories": [{"id", "name"}],
     "annotations": [{"image_id", "category_id", "bbox", "segmentation"?, "iscrowd"?}]}

A box is one of

* ``bbox`` of x, y, width, height;
* ``segmentation``, where each that the file has is one polygon of four corners and some are not
  upright, as tools that convert oriented data sets write it. Else polygons are outlines;
* ``bbox`` of x and y of the centre, width, height, and degrees counter-clockwise as seen, as
  detectron2 has it;
* the first, turned by ``attributes.rotation``, degrees clockwise around its centre, as CVAT has it.

Ids may be numbers or texts: 1, 1.0 and "1" are one id.
"""

import logging
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import NotRequired, TypedDict

from rs_gpt4v.boxes import from_rotated, kind, order_corners, to_hbb, to_obb, turned
from rs_gpt4v.files import InvalidFileError, read_json
from rs_gpt4v_builders.folder.box_files import (
    NO_BOX,
    NO_NAME,
    Problem,
    Row,
    class_name,
    finite,
)
from rs_gpt4v_builders.sources.reading import AnnotationError

logger = logging.getLogger(__name__)

_MANY = 10  # angles, of which all would be this small by chance only
ANGLES = ("rotation", "angle", "theta")
"""Fields of an annotation that some tools have, each with another centre and direction."""
MODE = "bbox_mode"
"""The field in which detectron2 says what the numbers of a bbox are."""
_MODES = {4: 1, 5: 4}  # by how many they are


class _Image(TypedDict):
    id: str | int | float
    file_name: str
    width: NotRequired[Any]
    height: NotRequired[Any]


class _Category(TypedDict):
    id: str | int | float
    name: str


class _Coco(TypedDict):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[dict[str, Any]]


def read_coco(path: Path) -> list[Row]:
    """The rows of a file; boxes of an image that it does not list have rows of their own."""
    try:
        content = read_json(path, _Coco)
    except InvalidFileError as error:
        raise AnnotationError(f"{error}. Is it a file of COCO's layout?") from error
    images = _by_id(path, "images", content["images"])
    names = {
        key: class_name(category["name"])
        for key, (_, category) in _by_id(path, "categories", content["categories"]).items()
    }
    annotations = content["annotations"]
    _refuse_radians(path, annotations)
    reader = _Objects(path, names, _polygons(annotations))
    objects: dict[str, list[int]] = defaultdict(list)
    for index, annotation in enumerate(annotations):
        objects[_id(annotation.get("image_id"))].append(index)
    rows = [
        reader.read(annotations, objects.pop(key, [])) | _image(path, number, image)
        for key, (number, image) in images.items()
    ]
    rest = (_rest(path, key, len(of_image)) for key, of_image in objects.items())
    return rows + [
        reader.read(annotations, of_image) | row
        for row, of_image in zip(rest, objects.values(), strict=True)
    ]


def _by_id(path: Path, name: str, items: Iterable[Any]) -> dict[str, tuple[int, Any]]:
    """The items, each with its place in the list, by their ids."""
    by_id: dict[str, tuple[int, Any]] = {}
    for index, item in enumerate(items):
        if (key := _id(item["id"])) in by_id:
            raise AnnotationError(
                f"{path}: {name}[{index}].id is {item['id']!r}, which an earlier one has. Give "
                "each its own id"
            )
        by_id[key] = index, item
    return by_id


def _id(value: Any) -> str:
    """1, 1.0 and "1" are one id: tools write any of them."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _image(path: Path, number: int, image: _Image) -> Row:
    if not image["file_name"].strip():
        reason = f"{path}: images[{number}] has no file_name: give it its own"
        return {"key": f"images[{number}]", "problem": ("no image", reason)}
    name = image["file_name"].replace("\\", "/")
    return {
        "key": os.path.splitext(name)[0] or _id(image["id"]),  # noqa: PTH122 - a name, no path here
        "image": image["file_name"],
        "size": _size(image.get("width"), image.get("height")),
        "where": f"{path}: images[{number}]",
    }


def _rest(path: Path, key: str, count: int) -> Row:
    """The row of an image that the file does not list."""
    reason = f"{path}: {count} boxes of image_id {key:.40}, which is not among the images"
    return {
        "key": f"image_id {key:.40}",
        "image": None,
        "problem": ("boxes of an unknown image", f"{reason}: add it, or take them out"),
    }


def _size(width: Any, height: Any) -> list[int] | None:
    """A stated width and height; some tools write 0 where they do not know them."""
    sides = [width, height]
    is_size = all(type(side) in (int, float) and 0 < side < 2**31 for side in sides)
    return [round(side) for side in sides] if is_size else None


class _Objects:
    """Reads the annotations of an image.

    Args:
        path: The file, for errors.
        names: The classes by their ids.
        polygons: By the place of their annotation, those that are its box.
    """

    def __init__(
        self, path: Path, names: dict[str, str | None], polygons: dict[int, list[float]]
    ) -> None:
        self.path, self.names, self.polygons = path, names, polygons

    def read(self, annotations: Sequence[dict[str, Any]], indices: Sequence[int]) -> Row:
        """The boxes of an image, and the first thing wrong: what is counted would be wrong."""
        boxes: list[Row] = []
        problem: Problem | None = None
        for index in indices:
            annotation = annotations[index]
            label = self.names.get(_id(annotation.get("category_id")))
            if annotation.get("iscrowd"):
                reason = "is a crowd (iscrowd), whose objects cannot be counted: annotate each"
                fault = ("crowd of objects", reason)
            else:
                box, fault = self._box(index, annotation)
                boxes.append({"label": label} | box)
                if label is None:
                    shown = f"{annotation.get('category_id')!a:.40}"
                    reason = f"has category_id {shown}, which has no name among the categories"
                    fault = (NO_NAME, reason)
            if fault and problem is None:
                problem = fault[0], f"{self.path}: annotations[{index}] {fault[1]}"
        return {"boxes": boxes, "problem": problem}

    def _box(self, index: int, annotation: dict[str, Any]) -> tuple[Row, Problem | None]:
        if corners := self.polygons.get(index):
            return {"points": order_corners(corners), "kind": "obb"}, None
        bbox = annotation.get("bbox")
        numbers = finite(bbox) if isinstance(bbox, list) and len(bbox) in (4, 5) else None
        if numbers is None:
            reason = (
                f"has bbox {bbox!a:.80}, expected x, y, width, height (or x, y of the centre, "
                "width, height, degrees)"
            )
            return {"points": None, "kind": "hbb"}, (NO_BOX, reason)
        if (mode := annotation.get(MODE)) not in (None, _MODES[len(numbers)]):
            reason = f"has {MODE} {mode!a:.40}, expected {_MODES[len(numbers)]} (or none)"
            return {"points": None, "kind": "hbb"}, (NO_BOX, reason)
        if len(numbers) == 5:
            cx, cy, width, height, angle = numbers
            return {"points": from_rotated(cx, cy, width, height, -angle), "kind": "obb"}, None
        x, y, width, height = numbers
        return _turned(annotation, (x, y, x + width, y + height))


def _turned(annotation: dict[str, Any], upright: tuple[float, ...]) -> tuple[Row, Problem | None]:
    """A box with what its annotation says of an angle."""
    row: Row = {"points": upright, "kind": "hbb"}
    if unknown := next((name for name in ANGLES if annotation.get(name)), None):
        reason = (
            f"has {unknown} {annotation[unknown]!a:.40} beside a bbox of four numbers: around "
            "which point it turns is unknown. Write the four corners as its segmentation"
        )
        return row, ("rotated box of another form", reason)
    attributes = annotation.get("attributes")
    angle = attributes.get("rotation") if isinstance(attributes, dict) else None
    if not angle:
        return row, None
    degrees = finite([angle])
    if degrees is None:
        reason = f"has attributes.rotation {angle!a:.40}, expected degrees"
        return row, ("rotated box of another form", reason)
    points = turned(upright, degrees[0])
    return {"points": points, "kind": kind(points)}, None


def _polygons(annotations: Sequence[dict[str, Any]]) -> dict[int, list[float]]:
    """The four corners of each annotation with a polygon, where these are rotated boxes."""
    corners: dict[int, list[float]] = {}
    for index, annotation in enumerate(annotations):
        if annotation.get("iscrowd") or not (outline := annotation.get("segmentation")):
            continue
        four = _four_corners(outline)
        if four is None:
            return {}
        corners[index] = four
    rotated = any(not _is_upright(four) for four in corners.values())
    return corners if rotated else {}


def _four_corners(outline: Any) -> list[float] | None:
    """The corners of a segmentation that is one polygon of four, perhaps with the first again."""
    if not isinstance(outline, list) or len(outline) != 1 or not isinstance(outline[0], list):
        return None
    numbers = finite(outline[0])
    if numbers and len(numbers) == 10 and numbers[:2] == numbers[8:]:
        numbers = numbers[:8]
    return numbers if numbers and len(numbers) == 8 else None


def _is_upright(corners: Sequence[float]) -> bool:
    return order_corners(corners) == to_obb(to_hbb(corners))


def _refuse_radians(path: Path, annotations: Sequence[dict[str, Any]]) -> None:
    """Raise where the angles of boxes show that they are radians."""
    boxes = [annotation.get("bbox") for annotation in annotations]
    turned = (finite(box[4:]) for box in boxes if isinstance(box, list) and len(box) == 5)
    angles = [angle[0] for angle in turned if angle and angle[0]]
    if not angles or max(map(abs, angles)) > 3.15 or all(map(float.is_integer, angles)):
        return
    reason = f"all {len(angles)} angles of bbox are within 3.15"
    if len(angles) >= _MANY:
        raise AnnotationError(
            f"{path}: {reason}: radians, where degrees counter-clockwise are expected"
        )
    logger.warning("%s: %s; if they are radians, make degrees of them", path, reason)
