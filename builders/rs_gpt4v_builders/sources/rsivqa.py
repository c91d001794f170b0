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
from rs_gpt4v_builders.sources import rsicd, sydney_captions, ucm_captions
from rs_gpt4v_builders.sources.reading import AnnotationError, read_text
from rs_gpt4v_builders.sources.source import Download, Source

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
        chosen = {None, *(f"HRRSD/{name}.jpg" for name in training)}
        rows = [row for row in rows if row["image"] in chosen]
    return records.table(rows, records.QUESTIONS)


def _rows(path: Path, file: str) -> list[dict[str, Any]]:
    """The lines of one question file; a key is the file's stem and the line's number, from 1."""
    lines = [(n, line) for n, line in enumerate(read_text(path).splitlines(), 1) if line.strip()]
    rows = [
        {"key": f"{path.stem}/{number}", **_row(line, f"{path}, line {number}", *_IMAGES[file])}
        for number, line in lines
    ]
    if rows and all("problem" in row for row in rows):
        raise AnnotationError(
            f"{path}: none of its lines is image:question?answer; it begins {lines[0][1]!r:.80}"
        )
    return rows


def _row(line: str, where: str, part: str, suffix: str) -> dict[str, Any]:
    """The question of one line; its image is ``part``, its name and ``suffix``."""
    image, colon, rest = line.partition(":")
    question, mark, answer = rest.rpartition("?")
    if not (colon and mark):
        reason = f"{where}: expected image:question?answer, found {line!r:.80}"
        return {"image": None, "problem": ("line of another form", reason)}
    return {"image": f"{part}/{image}{suffix}", "question": f"{question}?", "answer": answer}


def _folders(source: Source) -> tuple[str, ...]:
    """Where the images of another source may be."""
    return tuple(f"../{folder}/{images}" for folder in source.folders for images in source.images)


_REPOSITORY = "spectralpublic/RSIVQA/ed4ad129e53e1fc39ec6d66417a3f046b0ea254c/RSIVQA"
_HRRSD_REPOSITORY = (
    "CrazyStoneonRoad/TGRS-HRRSD-Dataset/8dd7ef715938096f479c4c8b2269a49ef96773be/OPT2017"
)
_FILES = {
    _HRRSD: (3_878_628, "89876736c2998dec98d0934fa6155bd33e57ccf2ccdc9cee1658c718afffbbab"),
    "DOTA/dota_train_vqa2.txt": (
        629_762,
        "2838b8f1fcc6f0e2ab6a15a7c6fcfc8a02009bee4e29881c26c5440d3c430abb",
    ),
    "DOTA/dota_val_vqa2.txt": (
        205_592,
        "6c929a294809dc559323664c57ed65a910b09f4db9c43d123c0754f1e5ad60b2",
    ),
    "AID/rsicd_vqa.txt": (
        649_425,
        "bc8fb90326564197ef4509d2aad1864295653b59c225730ac27df42eb9ce6dd7",
    ),
    "Sydney/sydney_vqa.txt": (
        31_453,
        "a13e34588a7b3c6156c222f05da7ab1c7591e181d0ca3e665c84f3724da00dec",
    ),
    "UCM/ucm_vqa.txt": (
        113_393,
        "7e615d66f50f2b8ef7d08621530692b4f7519659a0b66c1e954272a0dcd6d6b6",
    ),
    "UCM/ucm_res.txt": (
        150_608,
        "f6727acd165275385af205bbb6aa63fc89ef1405448d5b36727ac89a833b3798",
    ),
}

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
    mirrors=(
        "https://drive.google.com/open?id=1bffECWdpa0jg2Jnm7V0oCyFFh0N-EIkr (HRRSD's images)",
        "https://pan.baidu.com/s/1ainmXaL_Mu5XASk3ydhqKA (HRRSD's images)",
    ),
    downloads=(
        *(
            Download(
                url=f"https://raw.githubusercontent.com/{_REPOSITORY}/{file}",
                file=file,
                size=size,
                checksum=f"sha256:{sha256}",
            )
            for file, (size, sha256) in _FILES.items()
        ),
        Download(
            url=f"https://raw.githubusercontent.com/{_HRRSD_REPOSITORY}/ImageSets/Main/train.txt",
            file=_TRAINING_IMAGES,
            size=32_406,
            checksum="sha256:379441db0680cf243fdaf14884b1fe77611533be09b80bb42976bad43a8e72d5",
        ),
    ),
    size="questions 5.7 MB; the images are other releases'",
    note="RSIVQA holds no images: they are those of HRRSD "
    "(https://github.com/CrazyStoneonRoad/TGRS-HRRSD-Dataset, which also has the paper's "
    "ImageSets/Main/train.txt) and, for protocol='release', of DOTA "
    "(https://captain-whu.github.io/DOTA), RSICD, Sydney-Captions and UCM-Captions.",
)
