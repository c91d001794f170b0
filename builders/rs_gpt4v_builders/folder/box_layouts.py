"""Boxes as detection data sets have them: rows by template, see `rs_gpt4v.adapt_objects`.

How each is written on disk is in `rs_gpt4v_builders.folder.detection_formats`. An image without an
object is one that has none.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v import adapt_objects, adapt_probes, records
from rs_gpt4v.images import SUFFIXES
from rs_gpt4v_builders.folder import coco_columns, detection_formats, text_boxes, xml_boxes
from rs_gpt4v_builders.folder.box_files import LOOKED_AT, NO_LABELS
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

PROBES = {"probe_presence": adapt_probes.presence, "probe_relation": adapt_probes.relation}
"""What else they become, where it is asked for, of the images that nobody trains on."""


Matches = Callable[[Candidate], bool]
ImagesOf = Callable[[Path], Mapping[str, set[str] | None]]
"""The images of each split, of a folder of annotations; None: all."""


def _read(path: Path, reading: Reading, *, layout: detection_formats.Layout) -> pa.Table:
    rows = read_plausible(path, layout, reading.images, reading.conversion)
    return records.table(rows, records.FOUND_OBJECTS)


def _read_coco(path: Path, reading: Reading) -> pa.Table:
    table = coco_columns.read_columns(path, reading.images, reading.conversion)
    return _read(path, reading, layout="coco") if table is None else table


def _is_coco(candidate: Candidate) -> bool:
    """Not the files of keypoints and panoptic segments beside them: these have the boxes again."""
    is_other = any(map(candidate.has, ("num_keypoints", "segments_info")))
    return not is_other and all(map(candidate.has, ("images", "categories", "annotations", "bbox")))


def _is_label_studio(candidate: Candidate) -> bool:
    item = candidate.item
    is_task = isinstance(item.get("data"), dict) or "annotation_id" in item
    return is_task and candidate.has("rectanglelabels")


def _is_dota(candidate: Candidate) -> bool:
    return any(
        len(words) >= 9 and None not in map(_number, words[:8]) and _number(words[8]) is None
        for words in _first_labels(candidate)
    )


def _is_yolo(candidate: Candidate) -> bool:
    return any(_is_shares([_number(word) for word in words]) for words in _first_labels(candidate))


def _is_shares(values: list[float | None]) -> bool:
    """Whether numbers start with that of a class; how many they are, the reader checks."""
    first = values[0]
    return len(values) >= 5 and None not in values and first is not None and first.is_integer()


def _first_labels(candidate: Candidate) -> list[list[str]]:
    files = candidate.files(".txt")
    return text_boxes.first_labels(file for file in files if file.name.lower() not in NO_LABELS)


def _number(word: str) -> float | None:
    values = text_boxes.numbers([word])
    return values[0] if values else None


def _is_voc(candidate: Candidate) -> bool:
    roots = _first_xml(candidate)
    return any(root.tag == "annotation" and root.find("objects") is None for root in roots)


def _is_fair1m(candidate: Candidate) -> bool:
    roots = _first_xml(candidate)
    return any(root.tag == "annotation" and root.find("objects") is not None for root in roots)


def _is_hrsc(candidate: Candidate) -> bool:
    return any(root.tag == "HRSC_Image" for root in _first_xml(candidate))


def _first_xml(candidate: Candidate) -> Iterator[Any]:
    """The first of the first files that can be read, if any."""
    for file in candidate.files(".xml")[:LOOKED_AT]:
        try:
            yield read_annotation(file, None)
        except AnnotationError:
            continue
        return


def _lists(folder: Path) -> dict[str, Path]:
    """The lists beside a folder of annotations that name the images of each split."""
    inner = ("ImageSets/Main", "ImageSets", "Main")
    tops = [parent / name for parent in folder.parents[:2] for name in inner]
    top = next((top for top in tops if top.is_dir()), folder)
    names = {"train": "train", "validation": "val", "test": "test"}
    if not (top / "train.txt").is_file():
        names["train"] = "trainval"
    files = {split: top / f"{name}.txt" for split, name in names.items()}
    return {split: file for split, file in files.items() if file.is_file()}


def _listed_images(folder: Path) -> dict[str, set[str]]:
    return {
        split: set(map(_without_suffix, read_text(file).split()))
        for split, file in _lists(folder).items()
    }


def _without_suffix(name: str) -> str:
    """The name of an image as annotation files have it."""
    return name[: name.rindex(".")] if name.lower().endswith(SUFFIXES) else name


def _read_split(
    path: Path, reading: Reading, *, layout: detection_formats.Layout, images_of: ImagesOf
) -> pa.Table:
    """The records of the images that are listed for ``reading.split``; all, where it has no list.

    A listed image without an annotation is an unusable record.
    """
    table = _read(path, reading, layout=layout)
    if layout == "yolo":
        _warn_of_unlabelled(path, reading, table)
    lists = images_of(path) if reading.split else {}
    if (listed := lists.get(reading.split or "")) is None:
        return table
    keys = table["key"].to_pylist()
    reason = f"the list of {reading.split} names it, and {path} has no annotation of it"
    if layout == "yolo":
        reason += ": write an empty file if it shows no object"
    unusable = [
        {"key": name, "problem": ("without annotation", reason)}
        for name in sorted(listed.difference(keys))
    ]
    if reading.rest and (
        rest := set(keys).difference(*(names or keys for names in lists.values()))
    ):
        message = "%s: %s images are on no list of a split, and not read: %s, ..."
        logger.warning(message, path, f"{len(rest):,}", min(rest))
    chosen = table.filter(pc.is_in(table["key"], pa.array(sorted(listed), pa.string())))
    return pa.concat_tables([chosen, records.table(unusable, records.FOUND_OBJECTS)])


def _warn_of_unlabelled(path: Path, reading: Reading, table: pa.Table) -> None:
    """Name the images beside those with labels: to some, no file of labels means no object."""
    named = set(table["image"].drop_null().to_pylist())
    rest = sorted(set(reading.images.files.beside(named)) - named)
    if rest:
        message = (
            "%s: %s images beside those with labels have no label file, and are not read: %s, ... "
            "If they show no object, write an empty file for each"
        )
        logger.warning(message, path, f"{len(rest):,}", rest[0])


def _file(name: detection_formats.Layout, title: str, matches: Matches) -> Layout:
    return Layout(name, title, matches, partial(_read, layout=name), ROWS)


def _folder(name: detection_formats.Layout, title: str, matches: Matches) -> Layout:
    """A layout of one file an image, and of lists of images for each split, as VOC has them."""
    return Layout(
        name,
        title,
        matches,
        partial(_read_split, layout=name, images_of=_listed_images),
        ROWS,
        splits=lambda candidate, _: tuple(_lists(candidate.path)),
        lists=lambda path: _lists(path).values(),
    )


COCO = replace(_file("coco", "COCO instances", _is_coco), read=_read_coco)
LABEL_STUDIO = _file("label_studio", "a JSON export of Label Studio", _is_label_studio)
DOTA = _file("dota", "DOTA label files", _is_dota)
VOC = _folder("voc", "Pascal VOC XML", _is_voc)
FAIR1M = _file("fair1m", "XML of FAIR1M", _is_fair1m)
HRSC = replace(
    _folder("hrsc", "XML of HRSC2016", _is_hrsc),
    lists=lambda path: filter(None, [*_lists(path).values(), xml_boxes.hrsc_names(path)]),
)
YOLO = Layout(
    "yolo",
    "YOLO label files",
    _is_yolo,
    partial(_read_split, layout="yolo", images_of=text_boxes.stated_images),
    ROWS,
    splits=lambda candidate, _: tuple(text_boxes.stated_images(candidate.path)),
    lists=text_boxes.yolo_files,
)
LAYOUTS = (COCO, LABEL_STUDIO, DOTA, YOLO, VOC, HRSC, FAIR1M)
