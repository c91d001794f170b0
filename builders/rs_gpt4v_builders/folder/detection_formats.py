"""The objects of any detection data set, as records to generate dialogues from.

Three layouts, each read into `rs_gpt4v.records.OBJECTS`, pixels as annotated::

    coco    one JSON file: {"images": [{"id", "file_name", "width"?, "height"?}],
              "categories": [{"id", "name"}],
              "annotations": [{"image_id", "category_id", "bbox": [x, y, width, height]}]}
    dota    a folder of NAME.txt: x1 y1 x2 y2 x3 y3 x4 y4 class difficult
    voc     a folder of NAME.xml: <object><name/><bndbox><xmin/>...

Ids of COCO may be numbers or texts: 1, 1.0 and "1" are one id. Classes may have several words; the
last number of a line of DOTA, which may be missing, is no part of them. Nothing is left out: an
image of which one object cannot be used has a problem, and so have boxes of an unknown image.
"""

import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from typing_extensions import NotRequired, TypedDict

from rs_gpt4v import records
from rs_gpt4v.boxes import order_corners
from rs_gpt4v.files import InvalidFileError, read_json
from rs_gpt4v_builders.sources import voc_xml as _dior_xml
from rs_gpt4v_builders.sources.reading import AnnotationError, read_text

Layout = Literal["coco", "dota", "voc"]
Row = dict[str, Any]


def read_objects(path: Path, layout: Layout, suffix: str = ".png") -> pa.Table:
    """The records of a file ("coco") or folder, images in order.

    Args:
        path: The JSON file, or the folder of annotation files.
        layout: How it is written.
        suffix: Of the images of "dota", whose files do not name them.

    Raises:
        AnnotationError: A file is not of that layout, or the folder has none; with its line.
        ValueError: There is no such layout.
    """
    return records.table(read_rows(path, layout, suffix), records.OBJECTS)


def read_rows(path: Path, layout: Layout, suffix: str = "") -> list[Row]:
    """The same as dictionaries."""
    if layout not in _READERS:
        raise ValueError(f"layout {layout!r}: expected one of {', '.join(_READERS)}")
    return _READERS[layout](path, suffix)


class _Image(TypedDict):
    id: str | int | float
    file_name: str
    width: NotRequired[Any]
    height: NotRequired[Any]


class _Category(TypedDict):
    id: str | int | float
    name: str


class _Annotation(TypedDict):
    image_id: NotRequired[Any]
    category_id: NotRequired[Any]
    bbox: NotRequired[Any]
    iscrowd: NotRequired[Any]


class _Coco(TypedDict):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Annotation]


def _coco(path: Path, _: str) -> list[Row]:
    try:
        content = read_json(path, _Coco)
    except InvalidFileError as error:
        raise AnnotationError(f"{error}. Is it a file of COCO's layout?") from error
    images = _by_id(path, "images", content["images"])
    names = {
        key: _name(category["name"])
        for key, category in _by_id(path, "categories", content["categories"]).items()
    }
    objects: dict[str, list[tuple[int, _Annotation]]] = defaultdict(list)
    for index, annotation in enumerate(content["annotations"]):
        objects[_id(annotation.get("image_id"))].append((index, annotation))
    rows = [_coco_row(path, image, objects.pop(key, []), names) for key, image in images.items()]
    return rows + [_coco_rest(path, key, rest, names) for key, rest in objects.items()]


def _by_id(path: Path, name: str, items: Iterable[Any]) -> dict[str, Any]:
    by_id: dict[str, Any] = {}
    for index, item in enumerate(items):
        if (key := _id(item["id"])) in by_id:
            raise AnnotationError(
                f"{path}: {name}[{index}].id is {item['id']!r}, which an earlier one has. Give "
                "each its own id"
            )
        by_id[key] = item
    return by_id


def _id(value: Any) -> str:
    """1, 1.0 and "1" are one id: tools write any of them."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def _coco_row(
    path: Path, image: _Image, objects: list[tuple[int, _Annotation]], names: dict[str, str | None]
) -> Row:
    name = image["file_name"].replace("\\", "/")
    return {
        "key": os.path.splitext(name)[0] or _id(image["id"]),  # noqa: PTH122 - a name, no path here
        "image": image["file_name"],
        "boxes": [
            _coco_box(annotation, names)
            for _, annotation in objects
            if not annotation.get("iscrowd")
        ],
        "size": _size(image.get("width"), image.get("height")),
        "problem": next(filter(None, (_fault(path, names, *indexed) for indexed in objects)), None),
    }


def _coco_rest(
    path: Path, key: str, objects: list[tuple[int, _Annotation]], names: dict[str, str | None]
) -> Row:
    """The boxes of an image that the file does not list."""
    reason = f"{path}: {len(objects)} boxes of image_id {key:.40}, which is not among the images"
    return {
        "key": f"image_id {key:.40}",
        "image": None,
        "boxes": [_coco_box(annotation, names) for _, annotation in objects],
        "problem": ("boxes of an unknown image", f"{reason}: add it, or take them out"),
    }


def _coco_box(annotation: _Annotation, names: dict[str, str | None]) -> Row:
    points = _numbers(annotation.get("bbox"))
    if points is not None:
        x, y, width, height = points
        points = [x, y, x + width, y + height]
    return {"label": names.get(_id(annotation.get("category_id"))), "points": points, "kind": "hbb"}


def _fault(
    path: Path, names: dict[str, str | None], index: int, annotation: _Annotation
) -> tuple[str, str] | None:
    """Why an image with this annotation cannot be used: what is counted would be wrong."""
    where = f"{path}: annotations[{index}]"
    category = annotation.get("category_id")
    if annotation.get("iscrowd"):
        reason = "is a crowd (iscrowd), whose objects cannot be counted: annotate each"
        return "crowd of objects", f"{where} {reason}"
    if not names.get(_id(category)):
        reason = f"has category_id {category!a:.40}, which has no name among the categories"
        return "object without a name", f"{where} {reason}"
    if _numbers(bbox := annotation.get("bbox")) is None:
        reason = f"has bbox {bbox!a:.80}, expected x, y, width, height"
        return "object without a box", f"{where} {reason}"
    return None


def _numbers(bbox: Any) -> list[float] | None:
    if not isinstance(bbox, list) or len(bbox) != 4:
        return None
    if not all(type(number) in (int, float) for number in bbox):
        return None
    numbers = [float(number) for number in bbox]
    return numbers if all(map(math.isfinite, numbers)) else None


def _name(text: str | None) -> str | None:
    """A class without blanks around it; None where nothing is left."""
    return " ".join((text or "").split()) or None


def _size(width: Any, height: Any) -> list[int] | None:
    """A stated width and height; some tools write 0 where they do not know them."""
    sides = [width, height]
    is_size = all(type(side) in (int, float) and 0 < side < 2**31 for side in sides)
    return [round(side) for side in sides] if is_size else None


NO_LABELS = {"classes.txt", "labels.txt", "obj.names.txt", "readme.txt"}
"""What tools put beside labels, in lower case."""


def _dota(folder: Path, suffix: str) -> list[Row]:
    files = [file for file in _files(folder, ".txt") if file.name.lower() not in NO_LABELS]
    return _of_layout([_dota_row(file, suffix) for file in files])


def _dota_row(file: Path, suffix: str) -> Row:
    row: Row = {"key": file.stem, "image": f"{file.stem}{suffix}", "boxes": []}
    try:
        for number, line in enumerate(read_text(file).splitlines(), 1):
            # Two lines of the head say where the image is from and its resolution.
            if line.strip() and not line.startswith(("imagesource", "gsd")):
                row["boxes"].append(_oriented(line, f"{file}, line {number}"))
    except AnnotationError as error:
        row["problem"] = (_OTHER_FORM, str(error))
    return row


def _oriented(line: str, where: str) -> Row:
    corners, rest = line.split()[:8], line.split()[8:]
    if len(rest) > 1 and rest[-1] in ("0", "1", "2"):  # how difficult it is
        del rest[-1]
    label = " ".join(rest)
    try:
        points = [float(value) for value in corners]
    except ValueError:
        points = []
    is_named = any(letter.isalpha() for letter in label)
    if not is_named or len(points) != 8 or not all(map(math.isfinite, points)):
        raise AnnotationError(f"{where}: expected eight numbers and a class, found {line!r:.80}")
    return {"label": label, "points": order_corners(points), "kind": "obb"}


def _voc(folder: Path, _: str) -> list[Row]:
    return _of_layout([_voc_row(file) for file in _files(folder, ".xml")])


def _voc_row(file: Path) -> Row:
    row: Row = {"key": file.stem, "image": file.stem}
    try:
        root = _dior_xml.read_annotation(file)
    except AnnotationError as error:
        return row | {"boxes": [], "problem": (_OTHER_FORM, str(error))}
    return row | {
        "image": (root.findtext("filename") or "").strip() or f"{file.stem}.jpg",
        "boxes": [
            {
                "label": _name(annotated.findtext("name")),
                "points": _dior_xml.points(annotated),
                "kind": "hbb",
            }
            for annotated in root.findall("object")
        ],
        "size": _dior_xml.stated_size(root),
    }


_OTHER_FORM = "annotation of another form"


def _of_layout(rows: list[Row]) -> list[Row]:
    """The rows, if any was of the layout."""
    odd = [row["problem"][1] for row in rows if row.get("problem")]
    if odd and len(odd) == len(rows):
        raise AnnotationError(odd[0])
    return rows


def _files(folder: Path, suffix: str) -> Sequence[Path]:
    """The files with that suffix, in any case, by name; what systems hide there is left out."""
    files = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() == suffix and not path.name.startswith(".") and path.is_file()
    ]
    if not files:
        raise AnnotationError(
            f"{folder}: no annotation files (*{suffix}) there. Name the folder that has them"
        )
    return sorted(files, key=lambda path: path.name)


_READERS: dict[Layout, Callable[[Path, str], list[Row]]] = {
    "coco": _coco,
    "dota": _dota,
    "voc": _voc,
}
