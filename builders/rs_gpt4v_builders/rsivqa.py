"""RSIVQA: questions on images of five other releases (Zheng et al., 2022).

On disk, and beside it the releases that hold the images::

    RSIVQA/
      HRRSD/opt_val_vqa.txt                       00001: does this picture contain ship?no
      DOTA/dota_{train,val}_vqa2.txt              P0000: how many planes are there in ...?21
      AID/rsicd_vqa.txt (of RSICD, not of AID)    airport_1.jpg:what is the theme ...?airport
      Sydney/sydney_vqa.txt  UCM/ucm_vqa.txt      1.tif:what is the theme of this picture?farmland
      UCM/ucm_res.txt                             1.tif:How many trees in the picture?one
    HRRSD/JPEGImages/00001.jpg  HRRSD/ImageSets/Main/train.txt
    DOTA/{train,val}/images/P0000.png
    RSICD_optimal/  Sydney_captions/  UCM_captions/

A line is ``image:question?answer``; the last "?" ends its question. The release has neither splits
nor question types. The paper's 19,218 rows on 5,401 images are the lines of the HRRSD file (all of
HRRSD, in spite of "val") on the images of HRRSD's training split, three lines twice as released;
protocol "release" reads all seven files, 111,693 lines. Questions of ucm_res that lack their noun
("How many  in the picture?") are kept.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa

from rs_gpt4v import records
from rs_gpt4v.adapt import Protocol
from rs_gpt4v.source import AnnotationError, Source, read_text
from rs_gpt4v_builders import rsicd, sydney_captions, ucm_captions

_HRRSD = "HRRSD/opt_val_vqa.txt"
_TRAINING_IMAGES = "../HRRSD/ImageSets/Main/train.txt"
_HRRSD_FOLDERS = ("../HRRSD", "../HRRSD/OPT2017", "../TGRS-HRRSD-Dataset/OPT2017", "../OPT2017")

# Question file -> (first part of its images' names here, suffix that the file leaves out).
_IMAGES = {
    _HRRSD: ("HRRSD", ".jpg"),
    "DOTA/dota_train_vqa2.txt": ("DOTA_train", ".png"),
    "DOTA/dota_val_vqa2.txt": ("DOTA_val", ".png"),
    "AID/rsicd_vqa.txt": ("RSICD", ""),
    "Sydney/sydney_vqa.txt": ("Sydney", ""),
    "UCM/ucm_vqa.txt": ("UCM", ""),
    "UCM/ucm_res.txt": ("UCM", ""),
}


def _read(folder: Path, split: str, protocol: Protocol) -> pa.Table:
    questions = [file for file in SOURCE.files(split, protocol) if file in _IMAGES]
    rows = [row for file in questions for row in _rows(SOURCE.path(folder, file), file)]
    if protocol == "paper":
        training = read_text(SOURCE.path(folder, _TRAINING_IMAGES)).split()
        chosen = {f"HRRSD/{name}.jpg" for name in training}
        rows = [row for row in rows if row["image"] in chosen]
    return pa.Table.from_pylist(rows, schema=records.QUESTIONS)


def _rows(path: Path, file: str) -> list[dict[str, Any]]:
    """The lines of one question file; a key is the file's stem and the line's number, from 1."""
    part, suffix = _IMAGES[file]
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        image, colon, rest = line.partition(":")
        question, mark, answer = rest.rpartition("?")
        if not (colon and mark):
            raise AnnotationError(f"{path}, line {number}: expected image:question?answer: {line}")
        row = {"key": f"{path.stem}/{number}", "image": f"{part}/{image}{suffix}"}
        rows.append(row | {"question": f"{question}?", "answer": answer})
    return rows


def _folders(source: Source) -> tuple[str, ...]:
    """Where the images of another source may be."""
    return tuple(f"../{folder}/{images}" for folder in source.folders for images in source.images)


SOURCE = Source(
    name="rsivqa",
    title="RSIVQA",
    homepage="https://github.com/spectralpublic/RSIVQA",
    license="unknown",
    citation="@article{zheng2022mutual, title={Mutual attention inception network for remote "
    "sensing visual question answering}, author={Zheng, Xiangtao and Wang, Binqiang and "
    "Du, Xingqian and Lu, Xiaoqiang}, journal={IEEE TGRS}, volume={60}, year={2022}}",
    folders=("RSIVQA", "RSIVQA-main", "rsivqa"),
    annotations={"train": (_HRRSD, _TRAINING_IMAGES)},
    release_annotations={"train": tuple(_IMAGES)},
    spellings={
        # The repository has its files in a folder of its own name.
        **{file: (f"RSIVQA/{file}",) for file in _IMAGES},
        _TRAINING_IMAGES: tuple(f"{f}/ImageSets/Main/train.txt" for f in _HRRSD_FOLDERS[1:]),
    },
    images=(),
    other_images={
        "HRRSD": tuple(f"{folder}/JPEGImages" for folder in _HRRSD_FOLDERS),
        "DOTA_train": ("../DOTA/train/images", "../DOTA/images/train", "../DOTA/images"),
        "DOTA_val": ("../DOTA/val/images", "../DOTA/images/val", "../DOTA/images"),
        "RSICD": _folders(rsicd.SOURCE),
        "Sydney": _folders(sydney_captions.SOURCE),
        "UCM": _folders(ucm_captions.SOURCE),
    },
    reader=_read,
    note="RSIVQA holds no images: they are those of HRRSD "
    "(https://github.com/CrazyStoneonRoad/TGRS-HRRSD-Dataset, which also has the paper's "
    "ImageSets/Main/train.txt) and, for protocol='release', of DOTA "
    "(https://captain-whu.github.io/DOTA), RSICD, Sydney-Captions and UCM-Captions.",
)
