"""Boxes as detection data sets have them: rows by template, see `rs_gpt4v.adapt_objects`.

How each is written on disk is in `rs_gpt4v_builders.folder.detection_formats`. An image without an
object is one that has none.
"""

import math
from functools import partial
from pathlib import Path

import pyarrow as pa

from rs_gpt4v import adapt_objects, records
from rs_gpt4v_builders.folder import detection_formats
from rs_gpt4v_builders.folder.layout import Candidate, Layout, Reading
from rs_gpt4v_builders.folder.own_boxes import read_plausible
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.sources.voc_xml import read_annotation

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
    first = candidate.first(".txt")
    if first is None:
        return False
    lines = first.read_text(encoding="utf-8", errors="replace").splitlines()
    objects = [line.split() for line in lines if not line.startswith(("imagesource", "gsd"))]
    words = next(filter(None, objects), [])
    return len(words) >= 9 and all(map(_is_number, words[:8])) and not _is_number(words[8])


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _is_voc(candidate: Candidate) -> bool:
    first = candidate.first(".xml")
    try:
        return first is not None and read_annotation(first) is not None
    except AnnotationError:
        return False


COCO = Layout("coco", "COCO instances", _is_coco, partial(_read, layout="coco"), ROWS)
DOTA = Layout("dota", "DOTA label files", _is_dota, partial(_read, layout="dota"), ROWS)
VOC = Layout("voc", "Pascal VOC XML", _is_voc, partial(_read, layout="voc"), ROWS)
