"""Boxes in folders of one XML file an image.

Pixels, and angles clockwise as seen, from the x axis to the side of the width::

    voc     <annotation>: <filename/>, <size/>, <object>: <name/> and one of
              <bndbox>: <xmin/> <ymin/> <xmax/> <ymax/>
              <robndbox>: <x_left_top/> <y_left_top/> ... <y_left_bottom/>   (DIOR-R)
              <robndbox>: <cx/> <cy/> <w/> <h/> <angle/>, radians            (roLabelImg)
              CVAT turns a <bndbox> by the <attribute> "rotation", degrees around its centre
    fair1m  <annotation>: <source><filename/>, <objects><object>: <possibleresult><name/>,
              <points> of four or five <point>x,y</point>, the last of five being the first
    hrsc    <HRSC_Image>: <Img_FileName/>, <HRSC_Objects><HRSC_Object>: <Class_ID/>, <mbox_cx/>
              <mbox_cy/> <mbox_w/> <mbox_h/> <mbox_ang/>, radians; sysdata.xml names the classes
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rs_gpt4v.boxes import from_rotated, kind, order_corners, turned
from rs_gpt4v_builders.folder.box_files import (
    NO_NAME,
    OTHER_FORM,
    Problem,
    Row,
    class_name,
    files_with,
    levels,
    rows_of_files,
)
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.sources.voc_xml import FOUR_CORNERS, points, read_annotation, stated_size

_ROTATED = tuple(f"robndbox/{side}" for side in ("cx", "cy", "w", "h", "angle"))
_MBOX = tuple(f"mbox_{side}" for side in ("cx", "cy", "w", "h", "ang"))
_HRSC_SIZE = ("Img_SizeWidth", "Img_SizeHeight")


def read_voc(folder: Path) -> list[Row]:
    """The rows of a folder of Pascal VOC files."""
    return rows_of_files(files_with(folder, ".xml"), _voc)


def _voc(file: Path) -> Row:
    root = read_annotation(file)
    if root.find("objects") is not None:
        raise AnnotationError(f"{file}: expected <object> in <annotation>, found <objects>")
    return {
        "image": (root.findtext("filename") or "").strip() or f"{file.stem}.jpg",
        "size": stated_size(root),
    } | _objects(file, root.findall("object"), _voc_name, _voc_box)


def _voc_name(annotated: Any) -> str | None:
    return class_name(annotated.findtext("name"))


def _voc_box(annotated: Any) -> Row | str:
    if annotated.find("robndbox") is None:
        upright = points(annotated)
        return _turned(annotated, upright) if upright else {"points": None, "kind": "hbb"}
    if corners := points(annotated, FOUR_CORNERS):
        return _box(order_corners(corners))
    if rotated := points(annotated, _ROTATED):
        return _of_radians(rotated)
    return (
        "has a <robndbox> without numbers under x_left_top, y_left_top ... x_left_bottom, "
        "y_left_bottom, or under cx, cy, w, h, angle"
    )


def _turned(annotated: Any, upright: list[float]) -> Row | str:
    """The box turned as CVAT says it under its attributes."""
    for attribute in annotated.findall("attributes/attribute"):
        if (attribute.findtext("name") or "").strip() == "rotation":
            angle = points(attribute, ("value",))
            if angle is None:
                return f"has rotation {attribute.findtext('value')!a:.40}, expected degrees"
            return _box(turned(upright, angle[0]))
    return _box(upright)


def _box(found: Sequence[float]) -> Row:
    return {"points": found, "kind": kind(found)}


def _of_radians(rotated: list[float]) -> Row | str:
    cx, cy, width, height, angle = rotated
    if abs(angle) > 2 * math.pi:
        return f"has the angle {angle:g}, expected radians (no more than 6.283)"
    return _box(from_rotated(cx, cy, width, height, math.degrees(angle)))


def _objects(
    file: Path,
    annotated: Sequence[Any],
    name: Callable[[Any], str | None],
    box: Callable[[Any], Row | str],
) -> Row:
    """The boxes of a file, and the first thing wrong with one that no later check sees."""
    boxes: list[Row] = []
    problem: Problem | None = None
    for index, item in enumerate(annotated):
        read = box(item)
        label = name(item)
        if isinstance(read, str):
            problem = problem or (OTHER_FORM, f"{file}: object {index} {read}")
            read = {"points": None, "kind": "obb"}
        elif label is None:
            problem = problem or (NO_NAME, f"{file}: object {index} has no name of a class")
        boxes.append({"label": label} | read)
    return {"boxes": boxes, "problem": problem}


def read_fair1m(folder: Path) -> list[Row]:
    """The rows of a folder of FAIR1M's files."""
    return rows_of_files(files_with(folder, ".xml"), _fair1m)


def _fair1m(file: Path) -> Row:
    root = read_annotation(file)
    annotated = root.find("objects")
    if annotated is None:
        raise AnnotationError(f"{file}: expected <objects> in <annotation>, found none")
    return {
        "image": (root.findtext("source/filename") or "").strip() or f"{file.stem}.tif",
        "size": stated_size(root),
    } | _objects(file, annotated.findall("object"), _fair1m_name, _fair1m_box)


def _fair1m_name(annotated: Any) -> str | None:
    return class_name(annotated.findtext("possibleresult/name"))


def _fair1m_box(annotated: Any) -> Row | str:
    unit = (annotated.findtext("coordinate") or "pixel").strip()
    if unit != "pixel":
        return f"has <coordinate> {unit!a:.40}, expected pixel"
    texts = [point.text or "" for point in annotated.findall("points/point")]
    try:
        corners = [[float(value) for value in text.split(",")] for text in texts]
    except ValueError:
        corners = []
    if len(corners) == 5 and corners[0] == corners[-1]:
        del corners[-1]
    numbers = [value for corner in corners for value in corner]
    is_box = len(corners) == 4 and all(len(corner) == 2 for corner in corners)
    if not is_box or not all(map(math.isfinite, numbers)):
        return f"has the points {texts!a:.120}, expected four corners x,y and the first again"
    return _box(order_corners(numbers))


def hrsc_names(folder: Path) -> Path | None:
    """The file with the names of HRSC2016's classes: in the folder or in one above it."""
    files = (parent / "sysdata.xml" for parent in levels(folder))
    return next((file for file in files if file.is_file()), None)


def read_hrsc(folder: Path) -> list[Row]:
    """The rows of a folder of HRSC2016's files."""
    file = hrsc_names(folder)
    if file is None:
        raise AnnotationError(
            f"{folder}: its files have numbers of classes, and sysdata.xml, which has their names, "
            "is neither there nor in a folder above. Put that of the release there"
        )
    classes = read_annotation(file, None).iter("HRSC_Class")
    names = {
        (item.findtext("Class_ID") or "").strip(): class_name(item.findtext("Class_EngName"))
        for item in classes
    }
    return rows_of_files(files_with(folder, ".xml"), partial(_hrsc, names=names, listed=file))


def _hrsc(file: Path, names: dict[str, str | None], listed: Path) -> Row:
    root = read_annotation(file, "HRSC_Image")
    stem = (root.findtext("Img_FileName") or "").strip() or file.stem
    suffix = (root.findtext("Img_FileFmt") or "").strip() or "bmp"
    row = {"image": f"{stem}.{suffix}", "size": stated_size(root, _HRSC_SIZE)}
    annotated = root.findall("HRSC_Objects/HRSC_Object")
    row |= _objects(file, annotated, lambda item: names.get(_class_id(item)), _hrsc_box)
    unknown = [i for i, item in enumerate(annotated) if not names.get(_class_id(item))]
    if unknown:
        number = _class_id(annotated[unknown[0]])
        reason = f"{file}: object {unknown[0]} has Class_ID {number!a:.40}, no class in {listed}"
        row["problem"] = (NO_NAME, reason)
    return row


def _class_id(annotated: Any) -> str:
    return (annotated.findtext("Class_ID") or "").strip()


def _hrsc_box(annotated: Any) -> Row | str:
    rotated = points(annotated, _MBOX)
    return _of_radians(rotated) if rotated else f"has no numbers under {', '.join(_MBOX)}"
