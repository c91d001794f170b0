"""The objects of any detection data set, as records to generate dialogues from.

Three layouts, each read into `rs_gpt4v.records.OBJECTS`, pixels as annotated::

    coco    one JSON file: {"images": [{"id", "file_name"}], "categories": [{"id", "name"}],
              "annotations": [{"image_id", "category_id", "bbox": [x, y, width, height]}]}
    dota    a folder of NAME.txt: x1 y1 x2 y2 x3 y3 x4 y4 class difficult
    voc     a folder of NAME.xml: <object><name/><bndbox><xmin/>...
"""

import math
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from rs_gpt4v import records
from rs_gpt4v.boxes import order_corners
from rs_gpt4v.source import AnnotationError, Source, read_json_list, read_text
from rs_gpt4v_builders import _dior_xml

Layout = Literal["coco", "dota", "voc"]


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
    if layout not in _READERS:
        raise ValueError(f"layout {layout!r}: expected one of {', '.join(_READERS)}")
    return pa.Table.from_pylist(_READERS[layout](path, suffix), schema=records.OBJECTS)


def own_source(path: Path, layout: Layout, images: Path, split: str) -> Source:
    """The source of one split that `read_objects` reads; its folder is that of ``path``.

    Args:
        path: As in `read_objects`.
        layout: As in `read_objects`.
        images: Folder that the names of images start from.
        split: What to call the split.
    """
    return Source(
        name=path.stem,
        title=str(path),
        homepage="",
        license="unknown",
        citation="",
        folders=(),
        annotations={split: (f"{path.name}/" if path.is_dir() else path.name,)},
        images=(os.path.relpath(images, path.parent),),
        reader=lambda *_: read_objects(path, layout),
    )


def _coco(path: Path, _: str) -> list[dict[str, Any]]:
    images, categories, annotations = (
        read_json_list(path, key) for key in ("images", "categories", "annotations")
    )
    try:
        names = {one["id"]: one["name"] for one in categories}
        boxes = defaultdict(list)
        for one in annotations:
            if not one.get("iscrowd"):
                boxes[one["image_id"]].append(_upright(names[one["category_id"]], *one["bbox"]))
        return [
            {
                "key": Path(image["file_name"]).with_suffix("").as_posix(),
                "image": image["file_name"],
                "boxes": boxes[image["id"]],
            }
            for image in images
        ]
    except (KeyError, TypeError) as error:
        raise AnnotationError(
            f"{path}: {error!r}. Expected COCO's fields: id and file_name of images, id and name "
            "of categories, image_id, category_id and bbox of annotations."
        ) from error


def _upright(label: str, x: float, y: float, width: float, height: float) -> dict[str, Any]:
    return {"label": label, "points": [x, y, x + width, y + height], "kind": "hbb"}


def _dota(folder: Path, suffix: str) -> list[dict[str, Any]]:
    return [
        {
            "key": file.stem,
            "image": f"{file.stem}{suffix}",
            "boxes": [
                _oriented(line, f"{file}, line {number}")
                for number, line in enumerate(read_text(file).splitlines(), 1)
                # Two lines of the head say where the image is from and its resolution.
                if line.strip() and not line.startswith(("imagesource", "gsd"))
            ],
        }
        for file in _found(folder, sorted(folder.glob("[!.]*.txt")))
    ]


def _oriented(line: str, where: str) -> dict[str, Any]:
    *corners, label, _ = [*line.split(), "", ""][:10]
    try:
        points = [float(value) for value in corners]
    except ValueError:
        points = []
    if not label or len(points) != 8 or not all(map(math.isfinite, points)):
        raise AnnotationError(f"{where}: expected eight numbers and a class, found {line!r:.80}")
    return {"label": label, "points": order_corners(points), "kind": "obb"}


def _voc(folder: Path, _: str) -> list[dict[str, Any]]:
    return [_voc_record(file) for file in _found(folder, _dior_xml.annotation_files(folder))]


def _voc_record(file: Path) -> dict[str, Any]:
    root = _dior_xml.read_annotation(file)
    return {
        "key": file.stem,
        "image": root.findtext("filename") or f"{file.stem}.jpg",
        "boxes": [
            {"label": one.findtext("name"), "points": _dior_xml.points(one), "kind": "hbb"}
            for one in root.findall("object")
        ],
    }


def _found(folder: Path, files: list[Path]) -> list[Path]:
    if not files:
        raise AnnotationError(
            f"{folder}: no annotation files there. Name the folder that has them."
        )
    return files


_READERS: dict[Layout, Callable[[Path, str], list[dict[str, Any]]]] = {
    "coco": _coco,
    "dota": _dota,
    "voc": _voc,
}
