"""Captions in a JSON file about all images: Karpathy's form, and COCO's.

::

    karpathy      {"images": [{"filename", "filepath"?, "split", "sentences": [{"raw"}]}]}
    coco_captions {"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}
"""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from rs_gpt4v import adapt, records
from rs_gpt4v_builders.folder.layout import SPLITS, Candidate, Layout, Reading
from rs_gpt4v_builders.sources import karpathy
from rs_gpt4v_builders.sources.dialogues import ItemError
from rs_gpt4v_builders.sources.reading import described, read_list

Row = dict[str, Any]


def _is_karpathy(candidate: Candidate) -> bool:
    return all(map(candidate.has, ("images", "filename", "sentences", "raw")))


def _stated(candidate: Candidate, _: Mapping[str, str]) -> tuple[str, ...]:
    """The splits that the images name."""
    stated = {SPLITS.get(value.strip().lower()) for value in candidate.values("split")}
    return tuple(split for split in dict.fromkeys(SPLITS.values()) if split in stated)


def _read_karpathy(path: Path, reading: Reading) -> pa.Table:
    images = enumerate(read_list(path, "images"))
    keyed = ((f"images[{n}]", f"{path}, images[{n}]", image) for n, image in images)
    rows = [_karpathy(*item) for item in reading.of_split(keyed)]
    return _table(rows, reading)


def _karpathy(item: str, where: str, image: Any) -> Row:
    if not isinstance(image, dict):  # or of no known split
        problem = image if isinstance(image, ItemError) else _no_object(image)
        return _unusable(item, where, problem)
    row = karpathy.record(image, karpathy.raws(image.get("sentences")), where, item)
    folder = image.get("filepath")
    if isinstance(folder, str) and folder.strip() and isinstance(row["image"], str):
        row["image"] = f"{folder.strip().rstrip('/')}/{row['image']}"
    return row


def _no_object(value: Any) -> ItemError:
    return ItemError("item of another form", f"expected an object, found {described(value)}")


def _unusable(key: str, where: str, problem: ItemError) -> Row:
    kind, reason = problem.args
    return {"key": key, "where": where, "problem": (kind, f"{where}: {reason}")}


def _is_coco(candidate: Candidate) -> bool:
    named = all(map(candidate.has, ("images", "annotations", "caption", "image_id")))
    return named and not candidate.has("bbox")


def _read_coco(path: Path, reading: Reading) -> pa.Table:
    captions: dict[str, list[Any]] = {}
    rows: list[Row] = []
    for index, annotation in enumerate(read_list(path, "annotations")):
        if isinstance(annotation, dict):
            of_image = captions.setdefault(str(annotation.get("image_id")), [])
            of_image.append(annotation.get("caption"))
        else:
            key = f"annotations[{index}]"
            rows.append(_unusable(key, f"{path}, {key}", _no_object(annotation)))
    ids: set[str] = set()
    for index, image in enumerate(read_list(path, "images")):
        rows.append(_coco(f"images[{index}]", path, image, captions, ids))
    captions = {image: some for image, some in captions.items() if image not in ids}
    rows += [
        {
            "key": f"image_id {image:.40}",
            "where": str(path),
            "problem": (
                "captions of an unknown image",
                f"{path}: {len(some)} captions of image_id {image:.40}, which is not among the "
                "images: add it, or take them out",
            ),
        }
        for image, some in captions.items()
    ]
    return _table(rows, reading)


def _coco(
    item: str, path: Path, image: Any, captions: Mapping[str, list[Any]], ids: set[str]
) -> Row:
    """An image with its captions; its id joins ``ids``, which no later one may have."""
    where = f"{path}, {item}"
    if not isinstance(image, dict):
        return _unusable(item, where, _no_object(image))
    if (key := str(image.get("id"))) in ids:
        reason = f"its id is {key:.40}, which an earlier image has: give each its own"
        return _unusable(item, where, ItemError("id of another image", reason))
    ids.add(key)
    named = {"filename": image.get("file_name")}
    return karpathy.record(named, captions.get(key, []), where, item)


def _table(rows: list[Row], reading: Reading) -> pa.Table:
    """The rows with their images as they are found."""
    names = [row["image"] for row in rows if isinstance(row.get("image"), str)]
    images = reading.images.of(names)
    return records.table([_found(row, images.one) for row in rows], records.CAPTIONS)


def _found(row: Row, find: Any) -> Row:
    name = row.get("image")
    if row.get("problem"):
        return row | {"image": None}
    if not isinstance(name, str) or not name.strip():
        reason = f"{row['where']}: its file name is {described(name)}, expected a text"
        return row | {"image": None, "problem": ("no image", reason)}
    try:
        return row | {"image": find(name), "key": _stem(name)}
    except ItemError as problem:
        kind, reason = problem.args
        return row | {"image": None, "problem": (kind, f"{row['where']}: {reason}")}


def _stem(name: str) -> str:
    return str(PurePosixPath(name.replace("\\", "/")).with_suffix(""))


_ROWS = {"caption": adapt.captions}

KARPATHY = Layout(
    "karpathy",
    "captions in Karpathy's form",
    _is_karpathy,
    _read_karpathy,
    _ROWS,
    splits=_stated,
)
COCO_CAPTIONS = Layout("coco_captions", "captions in COCO's form", _is_coco, _read_coco, _ROWS)
