"""NWPU-Captions: five captions for each image of NWPU-RESISC45 (Cheng et al., 2022).

On disk::

    NWPU-Captions/
      dataset_nwpu.json       {"airport": [{"filename": "airport_631.jpg", "split", "raw", "raw_1",
                              ... "raw_4"}]}, a list for each of 45 classes
      NWPU_images/<class>/<class>_001.jpg ... _700.jpg    256 x 256 px, RGB, 0.2 to 30 m per pixel

The five captions are five keys; a record does not say its folder, which is its class. Captions
are kept as released, a few " ." and double spaces included. 25,200 / 3,150 / 3,150 images.
The keys are the 45 classes of NWPU-RESISC45, which scenes are classified by.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa

from rs_gpt4v import records
from rs_gpt4v.adapt import Protocol
from rs_gpt4v_builders.sources import karpathy, scenes
from rs_gpt4v_builders.sources.reading import read_json_object
from rs_gpt4v_builders.sources.source import Download, Source

_FILE = "dataset_nwpu.json"
_CAPTIONS = ("raw", "raw_1", "raw_2", "raw_3", "raw_4")


def _read(folder: Path, split: str, _: Protocol) -> pa.Table:
    path = folder / _FILE
    rows = [row for own in _by_class(path).values() for row in own]
    return karpathy.of_split(rows, split, karpathy.SPLITS)


def _read_scenes(folder: Path, split: str, _: Protocol) -> pa.Table:
    path = folder / _FILE
    by_class = _by_class(path)
    labels = scenes.known(by_class, scenes.NWPU, str(path))
    rows = [
        row | {"change": None, "label": labels[name], "classes": scenes.NWPU}
        for name, own in by_class.items()
        for row in own
    ]
    return karpathy.of_split(rows, split, karpathy.SPLITS, records.SCENES)


def _by_class(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The records of each class."""
    return {
        name: [_record(image, path, name, index) for index, image in enumerate(images)]
        for name, images in read_json_object(path, of=list).items()
    }


def _record(image: dict[str, Any], path: Path, class_name: str, index: int) -> dict[str, Any]:
    """The record of the image at ``index`` in the list of its class."""
    at = f"{class_name}[{index}]"
    raws = [image.get(key) for key in _CAPTIONS]
    return karpathy.record(image, raws, f"{path}, {at}", at, f"{class_name}/")


_REPOSITORY = "HaiyanHuang98/NWPU-Captions"
_COMMIT = "61aa78b5edb3c67ddfcdc1cdbffe8c56963ce1da"

SOURCE = Source(
    name="nwpu_captions",
    title="NWPU-Captions",
    homepage=f"https://github.com/{_REPOSITORY}",
    license="unknown",
    citation="@article{cheng2022nwpu, title={NWPU-Captions dataset and MLCA-Net for remote sensing "
    "image captioning}, author={Cheng, Qimin and Huang, Haiyan and Xu, Yuan and Zhou, Yuzhuo and "
    "Li, Huanying and Wang, Zhongyuan}, journal={IEEE TGRS}, volume={60}, year={2022}}",
    folders=("NWPU-Captions", "NWPU_Captions", "NWPU-Captions-main", "nwpu_captions"),
    annotations=karpathy.annotations(_FILE),
    images=("NWPU_images", "images"),
    reader=_read,
    mirrors=(
        "https://pan.baidu.com/s/1hmuWwnfPy2eZxxGxt6XuSg (code cgrv; complete)",
        "https://gcheng-nwpu.github.io/#Datasets (NWPU-RESISC45: the images alone)",
    ),
    downloads=(
        Download(
            url=f"https://raw.githubusercontent.com/{_REPOSITORY}/{_COMMIT}/{_FILE}",
            file=_FILE,
            checksum="git:ebc79a9cbb4cf74484a7908bb9c2c95a72bab3ed",
        ),
        # Kept in Git LFS, whose pointer states size and checksum. Its quota was used up in 2023.
        Download(
            url=f"https://media.githubusercontent.com/media/{_REPOSITORY}/{_COMMIT}/NWPU_images.tar.gz",
            file="NWPU_images.tar.gz",
            size=407_575_520,
            checksum="sha256:720d6c3430489c9aa99232c3d53b6b9ca48d4b838918d17e7b6e766483fddbec",
            unpack="NWPU_images",
        ),
    ),
    size="408 MB and the captions",
    image_count=31_500,
    note="NWPU_images.tar.gz of GitHub lacks airplane/airplane_111.jpg: the release on Baidu and "
    "NWPU-RESISC45 have it.",
)

SCENES = scenes.scenes_of(SOURCE, _read_scenes)
