"""Reads plain COCO files as columns: 100,000 boxes without a Python object for each.

It gives the rows of `own_boxes.read_plausible`, several times as fast, or nothing: where one id,
class, image or box is not as it should be, that function reads the file and says what is wrong.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import codecs
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
from datasets.config import HF_DATASETS_CACHE

from rs_gpt4v import records
from rs_gpt4v.images import Conversion
from rs_gpt4v.scene_classes import two_spellings
from rs_gpt4v_builders.folder.coco import ANGLES, MODE
from rs_gpt4v_builders.folder.image_names import ImageNames
from rs_gpt4v_builders.folder.own_boxes import ROUNDING, is_in_other_units
from rs_gpt4v_builders.image_checks import check_images
from rs_gpt4v_builders.sources.reading import has_null_for_an_object

_TYPES = {
    "images": {"id": "int64", "file_name": "string", "width": "int64", "height": "int64"},
    "categories": {"id": "int64", "name": "string"},
    "annotations": {"image_id": "int64", "category_id": "int64", "iscrowd": "int64"},
}


def read_columns(path: Path, images: ImageNames, conversion: Conversion) -> pa.Table | None:
    """The images with their boxes, as `rs_gpt4v.records.FOUND_OBJECTS`; None where any is odd."""
    parts = _parts(path)
    if parts is None:
        return None
    described, categories, annotations = parts
    names = described.field("file_name").to_pylist()
    row = pc.index_in(annotations.field("image_id"), value_set=described.field("id"))
    code = pc.index_in(annotations.field("category_id"), value_set=categories.field("id"))
    boxes = records.upright(annotations.field("bbox"))
    is_crowd = pc.any(pc.not_equal(annotations.field("iscrowd"), 0)).as_py()
    if row.null_count or code.null_count or boxes is None or is_crowd or not all(names):
        return None
    images = images.of(names)
    found = [images.only(name.strip().replace("\\", "/").removeprefix("./")) for name in names]
    sizes = _sizes([name and str(images.files.folder / name) for name in found], conversion)
    if sizes is None or not _are_stated(described, sizes):
        return None
    boxes[:, 2:] += boxes[:, :2]
    if not _are_plausible(boxes, sizes[row.to_numpy()]):
        return None
    order = np.argsort(row.to_numpy(), kind="stable")
    counts = np.bincount(row.to_numpy(), minlength=len(names))
    flat = pa.array(boxes[order].ravel(), pa.float32())
    points = pa.ListArray.from_arrays(
        pa.array(np.arange(0, len(flat) + 1, 4, dtype=np.int32)), flat
    )
    labels = categories.field("name").take(code.take(pa.array(order)))
    kinds = pa.repeat("hbb", len(order))
    objects = pa.StructArray.from_arrays([labels, points, kinds], names=["label", "points", "kind"])
    offsets = pa.array(np.append(0, counts.cumsum()).astype(np.int32))
    keys = [os.path.splitext(name.replace("\\", "/"))[0] for name in names]  # noqa: PTH122
    table = records.table(
        [
            {"key": key.removeprefix(images.start), "image": name}
            for key, name in zip(keys, found, strict=True)
        ],
        records.FOUND_OBJECTS,
    )
    index = table.column_names.index("boxes")
    return table.set_column(
        index,
        table.schema.field("boxes"),
        pa.ListArray.from_arrays(offsets, objects).cast(table.schema.field("boxes").type),
    )


def _parts(path: Path) -> tuple[pa.StructArray, pa.StructArray, pa.StructArray] | None:
    """The three lists, where Arrow can read them and no id or name is missing or twice there."""
    content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    may_be_other = any(f'"{name}"'.encode() in content for name in (*ANGLES, MODE))
    if may_be_other or has_null_for_an_object(content):
        return None
    fields = {
        name: [(field, getattr(pa, kind)()) for field, kind in types.items()]
        for name, types in _TYPES.items()
    }
    numbers = pa.list_(pa.float64())
    fields["annotations"] += [("bbox", numbers), ("segmentation", pa.list_(numbers))]
    try:
        table = pyarrow.json.read_json(
            pa.BufferReader(content),
            pyarrow.json.ReadOptions(use_threads=False, block_size=len(content) + 1),
            pyarrow.json.ParseOptions(
                explicit_schema=pa.schema(
                    [(name, pa.list_(pa.struct(some))) for name, some in fields.items()]
                ),
                unexpected_field_behavior="ignore",
            ),
            # The default keeps what the parser has needed, twice the file.
            memory_pool=pa.system_memory_pool(),
        )
        table.validate(full=True)
    except (pa.ArrowException, OverflowError):
        return None
    parts = [table[name].combine_chunks() for name in fields]
    if any(len(part) != 1 or part.null_count for part in parts):
        return None
    described, categories, annotations = (part.flatten() for part in parts)
    names = categories.field("name").to_pylist()
    plain = all(
        len(pc.unique(column)) == len(column) and not column.null_count
        for column in (described.field("id"), categories.field("id"))
    ) and all(name and name == " ".join(name.split()) for name in names)
    plain = plain and not _may_be_rotated(annotations.field("segmentation"))
    plain = plain and two_spellings(names) is None  # which a person must find in the file
    return (described, categories, annotations) if plain else None


def _may_be_rotated(outlines: pa.ListArray) -> bool:
    """Whether an outline has four corners: if all do, they may be the boxes."""
    corners = pc.list_value_length(outlines.flatten())
    return bool(pc.any(pc.is_in(corners, pa.array([8, 10], corners.type))).as_py())


def _sizes(paths: list[str | None], conversion: Conversion) -> np.ndarray | None:
    """Width and height of each image; None where one is missing or cannot be read."""
    if not all(paths):
        return None
    unique = list(dict.fromkeys(path for path in paths if path))
    checked = check_images(unique, Path(HF_DATASETS_CACHE).expanduser(), conversion)
    sizes = {path: (one.width, one.height) for path, one in zip(unique, checked, strict=True)}
    if any(width is None for width, _ in sizes.values()):
        return None
    return np.array([sizes[path] for path in paths if path]).reshape(-1, 2)


def _are_stated(described: pa.StructArray, sizes: np.ndarray) -> bool:
    """Whether the sizes are those that the file states, as far as it does."""
    return all(
        pc.all(pc.equal(described.field(name), pa.array(sizes[:, axis])).fill_null(True)).as_py()
        for axis, name in enumerate(("width", "height"))
        if len(sizes)
    )


def _are_plausible(boxes: np.ndarray, sizes: np.ndarray) -> bool:
    """Whether all boxes have an area and lie in their images, in pixels."""
    if not len(boxes):
        return True
    beyond = np.maximum(-boxes[:, :2], boxes[:, 2:] - sizes)
    inside = bool((beyond <= ROUNDING).all() and (boxes[:, :2] < boxes[:, 2:]).all())
    return inside and not is_in_other_units(np.abs(boxes).max(), sizes.min())
