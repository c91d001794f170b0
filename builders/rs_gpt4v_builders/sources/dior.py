"""DIOR (Li et al., 2020) and DIOR-R (Cheng et al., 2022): objects of 20 classes in 23,463 images.

On disk::

    DIOR/
      JPEGImages-trainval/00001.jpg ... 11725.jpg   JPEGImages-test/11726.jpg ... 23463.jpg
      Annotations/Horizontal Bounding Boxes/00001.xml  <object>: <name>, <bndbox> of four pixels
      Annotations/Oriented Bounding Boxes/00001.xml    <object>: <name>, <robndbox> of eight
      Main/{train,val,test}.txt                        (or ImageSets/Main/) one number a line

800 x 800 px, RGB. A record is an image with all its objects, in file order, in pixels, each with
the released name of its class; copies write names in another case, and mmrotate reads any. Corners
go left top, right top, right bottom, left bottom, as annotated; they may lie outside the image. An
object of DIOR-R that carries only a <bndbox> is an upright box. Protocol "paper" parts the images
at 11725, DIOR's trainval and test, "release" by the lists: train, val and test.
"""

import difflib
from pathlib import Path
from typing import Any

import pyarrow as pa

from rs_gpt4v import records
from rs_gpt4v.adapt import Protocol
from rs_gpt4v.scene_classes import squeezed
from rs_gpt4v_builders.sources import voc_xml
from rs_gpt4v_builders.sources.reading import AnnotationError, read_text
from rs_gpt4v_builders.sources.source import Source

CLASSES = (
    *("airplane", "airport", "baseballfield", "basketballcourt", "bridge", "chimney", "dam"),
    *("Expressway-Service-area", "Expressway-toll-station", "golffield", "groundtrackfield"),
    *("harbor", "overpass", "ship", "stadium", "storagetank", "tenniscourt", "trainstation"),
    *("vehicle", "windmill"),
)
"""As released."""

_BY_LOWER = {name.lower(): name for name in CLASSES}
_LISTS = {"train": "Main/train.txt", "validation": "Main/val.txt", "test": "Main/test.txt"}


def _read(source: Source, folder: Path, split: str, protocol: Protocol) -> pa.Table:
    files = voc_xml.annotation_files(source.path(folder, source.files(split, protocol)[0]))
    if protocol == "paper":
        rows = [_record(file) for file in voc_xml.of_dior_split(files, split)]
    else:
        lists = {name: source.path(folder, file) for name, file in _LISTS.items()}
        rows = _listed(files, lists, split)
    return records.table(rows, records.OBJECTS)


def _listed(files: list[Path], lists: dict[str, Path], split: str) -> list[dict[str, Any]]:
    """The images that the list of ``split`` names, in its order; with train, those on no list."""
    by_name = {file.stem: file for file in files}
    names = read_text(lists[split]).split()
    if names and not by_name.keys() & set(names):
        raise AnnotationError(
            f"{lists[split]}: none of its images is annotated; it begins {names[0]!r:.80}"
        )
    rows = [
        _record(by_name[name])
        if name in by_name
        else _unusable(name, "without annotation", lists[split])
        for name in names
    ]
    if split == "train" and all(path.is_file() for path in lists.values()):
        named = {name for path in lists.values() for name in read_text(path).split()}
        rest = [name for name in by_name if name not in named]
        rows += [_unusable(name, "on none of the lists", by_name[name]) for name in rest]
    return rows


def _unusable(name: str, problem: str, file: Path) -> dict[str, Any]:
    return {"key": name, "problem": (problem, f"{file}: image {name:.80} is {problem}")}


def _record(file: Path) -> dict[str, Any]:
    """One image; the first part of its name says in which of DIOR's two folders it is."""
    root = voc_xml.read_annotation(file)
    name = (root.findtext("filename") or "").strip() or f"{file.stem}.jpg"
    boxes = [_box(annotated) for annotated in root.findall("object")]
    return {
        "key": file.stem,
        "image": f"{voc_xml.dior_split(file)}/{name}",
        "boxes": boxes,
        "size": voc_xml.stated_size(root),
        "problem": _problem(file, [box["label"] for box in boxes]),
    }


def _problem(file: Path, labels: list[str]) -> tuple[str, str] | None:
    """What is wrong with the classes of an image."""
    if not labels:
        return "no objects", (
            f"{file}: it has no <object>, and every image of DIOR shows one: add its objects"
        )
    for label in labels:
        if label and label not in CLASSES:
            known = {squeezed(name): name for name in CLASSES}
            near = difflib.get_close_matches(squeezed(label), known, n=1)
            meant = f": write {known[near[0]]!r}" if near else f": expected {', '.join(CLASSES)}"
            return "class that DIOR does not have", (
                f"{file}, line {voc_xml.line_of(file, label)}: DIOR has no class {label!r}{meant}"
            )
    return None


def _box(annotated: Any) -> dict[str, Any]:
    oriented = annotated.find("robndbox") is not None
    label = (annotated.findtext("name") or "").strip()
    return {
        "label": _BY_LOWER.get(label.lower(), label),
        "points": voc_xml.points(annotated, voc_xml.FOUR_CORNERS if oriented else voc_xml.CORNERS),
        "kind": "obb" if oriented else "hbb",
    }


def _source(name: str, title: str, citation: str, boxes: str) -> Source:
    """One of the two sets of ``boxes`` on DIOR's images."""

    def read(folder: Path, split: str, protocol: Protocol) -> pa.Table:
        return _read(source, folder, split, protocol)

    source = Source(
        name=name,
        title=title,
        homepage="https://gcheng-nwpu.github.io/#Datasets",
        license="unknown",
        citation=citation,
        folders=("DIOR", "DIOR-R", "dior"),
        annotations=dict.fromkeys(("train", "test"), (boxes,)),
        release_annotations={split: (boxes, file) for split, file in _LISTS.items()},
        spellings={file: (f"ImageSets/{file}",) for file in _LISTS.values()},
        images=(),
        other_images={
            "train": ("JPEGImages-trainval", "JPEGImages"),
            "test": ("JPEGImages-test", "JPEGImages"),
        },
        reader=read,
        mirrors=("https://drive.google.com/drive/folders/1UdlgHk49iu6WpcJ5467iT-UqNPpx__CC",),
        image_count=23_463,
    )
    return source


SOURCE = _source(
    "dior",
    "DIOR",
    "@article{li2020object, title={Object detection in optical remote sensing images: "
    "A survey and a new benchmark}, author={Li, Ke and Wan, Gang and Cheng, Gong and "
    "Meng, Liqiu and Han, Junwei}, journal={ISPRS Journal of Photogrammetry and Remote Sensing}, "
    "volume={159}, pages={296--307}, year={2020}}",
    "Annotations/Horizontal Bounding Boxes/",
)
ORIENTED = _source(
    "dior_oriented",
    "DIOR-R",
    "@article{cheng2022anchor, title={Anchor-free oriented proposal generator for object "
    "detection}, author={Cheng, Gong and Wang, Jiabao and Li, Ke and Xie, Xingxing and "
    "Lang, Chunbo and Yao, Yanqing and Han, Junwei}, journal={IEEE TGRS}, volume={60}, "
    "year={2022}}",
    "Annotations/Oriented Bounding Boxes/",
)
