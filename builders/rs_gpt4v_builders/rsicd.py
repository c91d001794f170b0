"""RSICD: 10,921 images with five captions each, many of them repeated (Lu et al., 2017).

On disk::

    RSICD_optimal/
      dataset_rsicd.json      {"images": [{"filename": "airport_1.jpg", "split", "sentences"}]}
      RSICD_images/*.jpg      224 x 224 px, RGB

Images with fewer than five captions are padded by repeating them; three captions are only " .".
8,734 / 1,094 / 1,093 images.
"""

from pathlib import Path

import pyarrow as pa

from rs_gpt4v.adapt import Protocol
from rs_gpt4v.source import Source
from rs_gpt4v_builders import _karpathy


def _read(folder: Path, split: str, _: Protocol) -> pa.Table:
    return _karpathy.read(folder / "dataset_rsicd.json", split)


SOURCE = Source(
    name="rsicd",
    title="RSICD",
    homepage="https://github.com/201528014227051/RSICD_optimal",
    license="unknown",
    citation="@article{lu2017exploring, title={Exploring models and data for remote sensing image "
    "caption generation}, author={Lu, Xiaoqiang and Wang, Binqiang and Zheng, Xiangtao and "
    "Li, Xuelong}, journal={IEEE TGRS}, volume={56}, number={4}, year={2017}}",
    folders=("RSICD_optimal", "RSICD", "rsicd"),
    annotations=_karpathy.annotations("dataset_rsicd.json"),
    images=("RSICD_images", "images"),
    reader=_read,
)
