"""RSICD: 10,921 images with five captions each, many of them repeated (Lu et al., 2017).

On disk::

    RSICD_optimal/
      dataset_rsicd.json      {"images": [{"filename": "airport_1.jpg", "split", "sentences"}]}
      RSICD_images/*.jpg      224 x 224 px, RGB
      txtclasses_rsicd/*.txt  the images of 31 classes, one a line: Airport.txt, ...

Images with fewer than five captions are padded by repeating them; three captions are only " .".
8,734 / 1,094 / 1,093 images.

Every image is in one of the class files, which are needed for scenes alone. Its name does not tell
its class: 661 playfields have bare numbers (00001.jpg), and so have 260 images of other classes.
Playground.txt (playground_1.jpg, ...) and playfields.txt stay two classes, as in the release; the
authors count 30 classes. The files come as txtclasses_rsicd.rar.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from rs_gpt4v import records
from rs_gpt4v.adapt import Protocol
from rs_gpt4v_builders.sources import karpathy, scenes
from rs_gpt4v_builders.sources.reading import AnnotationError, read_text
from rs_gpt4v_builders.sources.source import Download, Source

_FILE = "dataset_rsicd.json"
_CLASSES = "txtclasses_rsicd/"


def _read_scenes(folder: Path, split: str, protocol: Protocol) -> pa.Table:
    listed = _listed(folder / _CLASSES)
    table = scenes.read(
        folder, split, protocol, file=_FILE, classes=scenes.RSICD, label=partial(_label, listed)
    )
    return table if split != "train" else pa.concat_tables([table, _unsplit(folder, listed)])


Place = tuple[str, str]
"""The class of a file and where in it an image is named."""


def _listed(folder: Path) -> dict[str, list[Place]]:
    """Where each image is named."""
    files = {file.stem: file for file in sorted(folder.glob("*.txt"))}
    if not files:
        raise AnnotationError(f"{folder}: no .txt file in it, expected one for each class")
    places: dict[str, list[Place]] = {}
    for name, label in scenes.known(files, scenes.RSICD, str(folder)).items():
        for number, line in enumerate(read_text(files[name]).splitlines(), 1):
            if line.strip():
                where = f"{files[name]}, line {number}"
                places.setdefault(line.strip(), []).append((label, where))
    return places


def _label(listed: dict[str, list[Place]], image: str) -> scenes.Label:
    places = listed.get(image, [])
    labels = {label for label, _ in places}
    if not labels:
        return "no class", f"no file in {_CLASSES} names {image!a:.80}"
    if len(labels) > 1:
        named = " and ".join(where for _, where in places)
        return "several classes", f"{image!a:.80} is in {named}: take it out of all but one"
    return labels.pop()


def _unsplit(folder: Path, listed: dict[str, list[Place]]) -> pa.Table:
    """The images in class files that the captions' file, which states the splits, does not have."""
    names = (image.get("filename") for image in karpathy.images(folder / _FILE).values())
    known = {name for name in names if isinstance(name, str)}
    rows = [
        {
            "key": image,
            "problem": ("unknown split", f"{places[0][1]}: {_FILE} does not have {image!a:.80}"),
        }
        for image, places in listed.items()
        if image not in known
    ]
    return records.table(rows, records.SCENES)


_REPOSITORY = "201528014227051/RSICD_optimal"
_COMMIT = "fc33b4555e4baa4d2f05ff0449479c89da2eeac2"

SOURCE = Source(
    name="rsicd",
    title="RSICD",
    homepage=f"https://github.com/{_REPOSITORY}",
    license="unknown",
    citation="@article{lu2017exploring, title={Exploring models and data for remote sensing image "
    "caption generation}, author={Lu, Xiaoqiang and Wang, Binqiang and Zheng, Xiangtao and "
    "Li, Xuelong}, journal={IEEE TGRS}, volume={56}, number={4}, year={2017}}",
    folders=("RSICD_optimal", "RSICD", "rsicd"),
    annotations=karpathy.annotations(_FILE),
    images=("RSICD_images", "images"),
    reader=partial(karpathy.read, file=_FILE),
    mirrors=(
        "https://mega.nz/folder/EOpjTAwL#LWdHVjKAJbd3NbLsCvzDGA",
        "https://drive.google.com/open?id=0B1jt7lJDEXy3aE90cG9YSl9ScUk",
        "https://pan.baidu.com/s/1bp71tE3",
    ),
    downloads=(
        Download(
            url=f"https://raw.githubusercontent.com/{_REPOSITORY}/{_COMMIT}/{_FILE}",
            file=_FILE,
            checksum="git:26191a073741a67dfe3c1a03ffc90d8002c496ad",
        ),
        # Kept in Git LFS, whose pointer states size and checksum.
        Download(
            url=f"https://media.githubusercontent.com/media/{_REPOSITORY}/{_COMMIT}/RSICD_images.zip",
            file="RSICD_images.zip",
            size=484_955_574,
            checksum="sha256:0d3ebda15b8b1e5c2754270d38462251e8c61489b54e463e499c978da4b91d10",
            unpack="RSICD_images",
        ),
    ),
    size="500 MB",
    image_count=10_921,
)

SCENES = replace(
    scenes.scenes_of(SOURCE, _read_scenes),
    annotations=dict.fromkeys(karpathy.SPLITS, (_FILE, _CLASSES)),
    note="The class files are in txtclasses_rsicd.rar: unpack it in the release's folder (unar or "
    "7z x).",
)
