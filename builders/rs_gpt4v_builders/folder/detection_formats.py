"""The objects of any detection data set, as `rs_gpt4v.records.OBJECTS`.

`coco`, `label_studio`, `text_boxes` and `xml_boxes` say how each layout is written and read.
Nothing is left out: an image of which one object cannot be used has a problem, and so have boxes of
an unknown image. Corners of rotated boxes are in the order of `rs_gpt4v.boxes.order_corners`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pyarrow as pa

from rs_gpt4v import records
from rs_gpt4v_builders.folder.box_files import Row
from rs_gpt4v_builders.folder.coco import read_coco
from rs_gpt4v_builders.folder.label_studio import read_label_studio
from rs_gpt4v_builders.folder.text_boxes import read_dota, read_yolo
from rs_gpt4v_builders.folder.xml_boxes import read_fair1m, read_hrsc, read_voc

Layout = Literal["coco", "label_studio", "dota", "yolo", "voc", "hrsc", "fair1m"]

SHARES: frozenset[Layout] = frozenset({"yolo"})
"""Layouts whose ``points`` are shares of the image's sides; those of all others are pixels."""

_READERS: dict[Layout, Callable[[Path], list[Row]]] = {
    "coco": read_coco,
    "label_studio": read_label_studio,
    "dota": read_dota,
    "yolo": read_yolo,
    "voc": read_voc,
    "hrsc": read_hrsc,
    "fair1m": read_fair1m,
}


def read_objects(path: Path, layout: Layout, suffix: str = ".png") -> pa.Table:
    """The records of a file ("coco", "label_studio") or folder, images in order.

    Args:
        path: The JSON file, or the folder of annotation files.
        layout: How it is written.
        suffix: Of the images of "dota", whose files do not name them.

    Raises:
        AnnotationError: A file is not of that layout, or the folder has none; with its line.
        ValueError: There is no such layout.
    """
    rows = read_rows(path, layout)
    if layout == "dota":
        rows = [row | {"image": f"{row['key']}{suffix}"} for row in rows]
    return records.table(rows, records.OBJECTS)


def read_rows(path: Path, layout: Layout) -> list[Row]:
    """The same as dictionaries, each with where it stands; images of "dota" without a suffix.

    ``names`` of a row are what else its image may be called.
    """
    if layout not in _READERS:
        raise ValueError(f"layout {layout!r}: expected one of {', '.join(_READERS)}")
    return _READERS[layout](path)
