"""Boxes as detection data sets have them: rows by template, see `rs_gpt4v.adapt_objects`.

How each is written on disk is in `rs_gpt4v_builders.folder.detection_formats`. An image without an
object is one that has none.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import logging
import math
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v import adapt_objects, records
from rs_gpt4v_builders.folder import detection_formats
from rs_gpt4v_builders.folder.detection_formats import NO_LABELS
from rs_gpt4v_builders.folder.layout import Candidate, Layout, Reading
from rs_gpt4v_builders.folder.own_boxes import read_plausible
from rs_gpt4v_builders.sources.reading import AnnotationError, read_text
from rs_gpt4v_builders.sources.voc_xml import read_annotation

logger = logging.getLogger(__name__)

ROWS = {
    "grounding": adapt_objects.grounding,
    "detection": adapt_objects.detection,
    "region_caption": adapt_objects.region_caption,
    "count": adapt_objects.count,
    "presence": adapt_objects.presence,
}
"""What boxes become."""


def _read(path: Path, reading: Reading, *, layout: detection_formats.Layout) -> pa.Table:
    rows = read_plausible(path, layout, reading.images, reading.conversion)
    return records.table(rows, records.FOUND_OBJECTS)


def _is_coco(candidate: Candidate) -> bool:
    return all(map(candidate.has, ("images", "categories", "annotations", "bbox")))


def _is_dota(candidate: Candidate) -> bool:
    files = (path for path in candidate.files(".txt") if path.name.lower() not in NO_LABELS)
    words = next(filter(None, map(_first_label, files)), [])  # files of images without objects
    return len(words) >= 9 and all(map(_is_number, words[:8])) and not _is_number(words[8])


def _first_label(file: Path) -> list[str]:
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    labels = (line.split() for line in lines if not line.startswith(("imagesource", "gsd")))
    return next(filter(None, labels), [])


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _is_voc(candidate: Candidate) -> bool:
    files = candidate.files(".xml")
    try:
        return bool(files) and read_annotation(files[0]) is not None
    except AnnotationError:
        return False


def _lists(folder: Path) -> dict[str, Path]:
    """The lists beside a folder of annotations that name the images of each split."""
    tops = [parent / inner for parent in folder.parents[:2] for inner in ("ImageSets/Main", "Main")]
    top = next((top for top in tops if top.is_dir()), folder)
    names = {"train": "train", "validation": "val", "test": "test"}
    if not (top / "train.txt").is_file():
        names["train"] = "trainval"
    files = {split: top / f"{name}.txt" for split, name in names.items()}
    return {split: file for split, file in files.items() if file.is_file()}


def _read_voc(path: Path, reading: Reading) -> pa.Table:
    table = _read(path, reading, layout="voc")
    if reading.split is None:
        return table
    lists = {split: set(read_text(file).split()) for split, file in _lists(path).items()}
    listed = sorted(lists[reading.split])
    absent = set(listed).difference(table["key"].to_pylist())
    reason = f"the list of {reading.split} names it, and {path} has no annotation of it"
    unusable = [{"key": name, "problem": ("without annotation", reason)} for name in sorted(absent)]
    if reading.rest:
        rest = set(table["key"].to_pylist()) - set().union(*lists.values())
        if rest:
            message = "%s: %s images are on no list of a split, and not read: %s, ..."
            logger.warning(message, path, f"{len(rest):,}", min(rest))
    chosen = table.filter(pc.is_in(table["key"], pa.array(listed, pa.string())))
    return pa.concat_tables([chosen, records.table(unusable, records.FOUND_OBJECTS)])


COCO = Layout("coco", "COCO instances", _is_coco, partial(_read, layout="coco"), ROWS)
DOTA = Layout("dota", "DOTA label files", _is_dota, partial(_read, layout="dota"), ROWS)
VOC = Layout(
    "voc",
    "Pascal VOC XML",
    _is_voc,
    _read_voc,
    ROWS,
    splits=lambda candidate, _: tuple(_lists(candidate.path)),
    lists=lambda path: _lists(path).values(),
)
