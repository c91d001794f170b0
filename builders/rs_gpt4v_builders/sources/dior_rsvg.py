"""DIOR-RSVG: expressions that each point at one object of a DIOR image (Zhan et al., 2023).

On disk::

    DIOR_RSVG/
      Annotations/00001.xml       one file an image; <object>: <name>, <bndbox>, <description>
      JPEGImages/00001.jpg        800 x 800 px, RGB, numbered as in DIOR, with gaps
      train.txt val.txt test.txt  one integer a line: the objects of the split

The integers count, from 0, the objects of all XML files in the order of the sorted file names:
26,991, 3,829 and 7,500 of 38,320. Images are shared between these splits. The paper does not use
them but DIOR's own, by image: up to 11725 train, 19,643 objects on 9,466 images; from 11726 test,
18,677 on 7,936. The lists that were handed out in May 2023 overlap; such copies are refused.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa

from rs_gpt4v import records
from rs_gpt4v.adapt import Protocol
from rs_gpt4v_builders.sources import voc_xml
from rs_gpt4v_builders.sources.reading import AnnotationError, read_text
from rs_gpt4v_builders.sources.source import Download, Source

_ANNOTATIONS = "Annotations/"
_MOST_DIGITS = 9  # of an index; Python reads no number of more than 4,300
_LISTS = {"train": "train.txt", "validation": "val.txt", "test": "test.txt"}


def _read(folder: Path, split: str, protocol: Protocol) -> pa.Table:
    files = voc_xml.annotation_files(SOURCE.path(folder, _ANNOTATIONS))
    if protocol == "paper":
        files = voc_xml.of_dior_split(files, split)
    rows = [row for file in files for row in _objects(file)]
    if protocol == "release":
        rows = [rows[index] for index in listed_objects(folder, len(rows))[split]]
    return records.table(rows, records.EXPRESSIONS)


def _objects(file: Path) -> list[dict[str, Any]]:
    """The described objects of one image; a key is the file's stem and the index, from 0."""
    root = voc_xml.read_annotation(file)
    return [
        {
            "key": f"{file.stem}/{index}",
            "image": root.findtext("filename"),
            "expression": described.findtext("description"),
            "label": described.findtext("name"),
            "points": voc_xml.points(described),
            "kind": "hbb",
        }
        for index, described in enumerate(root.findall("object"))
    ]


def listed_objects(folder: Path, count: int) -> dict[str, list[int]]:
    """The indices, from 0, of each published split's objects, of ``count`` in all.

    Raises:
        AnnotationError: A line is no index, or the splits do not share out all the objects.
    """
    listed = {split: _indices(SOURCE.path(folder, file)) for split, file in _LISTS.items()}
    every = [index for indices in listed.values() for index in indices]
    named = set(every)
    if len(every) == len(named) == count and named == set(range(count)):
        return listed
    raise AnnotationError(
        f"{folder}: train.txt, val.txt and test.txt must name each of the {count:,} objects of "
        f"Annotations/ once; they leave out {len(set(range(count)) - named):,}, name "
        f"{len(every) - len(named):,} again and {len(named - set(range(count))):,} that are not "
        "there. Either Annotations/ is not complete, or the lists are those of May 2023, which "
        f"overlap: fetch the present ones from {SOURCE.homepage}."
    )


def _indices(path: Path) -> list[int]:
    lines = read_text(path).splitlines()
    for number, line in enumerate(lines, 1):
        if line.strip() and not (line.strip().isdecimal() and len(line.strip()) <= _MOST_DIGITS):
            raise AnnotationError(f"{path}, line {number}: expected an index, found {line!r:.80}")
    return [int(line) for line in lines if line.strip()]


_REPOSITORY = "ZhanYang-nwpu/RSVG-pytorch"
_COMMIT = "fca7865806f363f123e25b10eecc21f289ced35d"
_LIST_FILES = {
    "train.txt": (154_012, "d55036d5dd9b234e74439cda910c8c0119894fbfcf72386412aef8be208c436b"),
    "val.txt": (21_925, "6324ad50498948e791e714cc03cb2ac7af4872e333087a48912f714141e979f9"),
    "test.txt": (42_873, "d1d0b200fc2be1c5c1ca776601278adb3566d0efc6ea7a690ba927ce1877e5f8"),
}

SOURCE = Source(
    name="dior_rsvg",
    title="DIOR-RSVG",
    homepage=f"https://github.com/{_REPOSITORY}",
    license="unknown",
    citation="@article{zhan2023rsvg, title={RSVG: Exploring data and models for visual grounding "
    "on remote sensing data}, author={Zhan, Yang and Xiong, Zhitong and Yuan, Yuan}, "
    "journal={IEEE TGRS}, volume={61}, year={2023}}",
    folders=("DIOR_RSVG", "DIOR-RSVG", "dior_rsvg"),
    annotations=dict.fromkeys(("train", "test"), (_ANNOTATIONS,)),
    release_annotations=dict.fromkeys(_LISTS, (_ANNOTATIONS, *_LISTS.values())),
    images=("JPEGImages",),
    recognisable_by_files=False,  # many releases have a folder Annotations
    reader=_read,
    mirrors=("https://drive.google.com/drive/folders/1hTqtYsC6B-m4ED2ewx5oKuYZV13EoJp_",),
    downloads=tuple(
        Download(
            url=f"https://raw.githubusercontent.com/{_REPOSITORY}/{_COMMIT}/DIOR_RSVG/{file}",
            file=file,
            size=size,
            checksum=f"sha256:{sha256}",
        )
        for file, (size, sha256) in _LIST_FILES.items()
    ),
    image_count=17_402,
)
