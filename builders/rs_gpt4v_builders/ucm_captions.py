"""UCM-Captions: five captions for each image of UC Merced Land Use (Qu et al., 2016).

On disk::

    UCM_captions/
      dataset.json            {"images": [{"filename": "1.tif", "split", "sentences": [{"raw"}]}]}
      imgs/1.tif ... 2100.tif 256 x 256 px (44 of them a little off), RGB, 0.3 m per pixel

Captions are kept as released, final " ." and typos included. 1,680 / 210 / 210 images.
"""

from pathlib import Path

import pyarrow as pa

from rs_gpt4v.adapt import Protocol
from rs_gpt4v.source import Source
from rs_gpt4v_builders import _karpathy


def _read(folder: Path, split: str, _: Protocol) -> pa.Table:
    return _karpathy.read(folder / "dataset.json", split)


SOURCE = Source(
    name="ucm_captions",
    title="UCM-Captions",
    homepage="https://github.com/201528014227051/RSICD_optimal",
    license="unknown",
    citation="@inproceedings{qu2016deep, title={Deep semantic understanding of high resolution "
    "remote sensing image}, author={Qu, Bo and Li, Xuelong and Tao, Dacheng and Lu, Xiaoqiang}, "
    "booktitle={CITS}, year={2016}}",
    folders=("UCM_captions", "UCM_Captions", "UCM-Captions"),
    annotations=_karpathy.annotations("dataset.json"),
    images=("imgs", "images"),
    reader=_read,
)
