"""RSVQA-LR: questions on 772 Sentinel-2 images of the Netherlands (Lobry et al., 2020).

On disk::

    RSVQA_LR/
      LR_split_{train,val,test}_{questions,answers}.json
      Images_LR/<img_id>.tif  256 x 256 px, RGB, 10 m per pixel

Types: presence, comp, count, rural_urban. 57,223 / 10,005 / 10,004 questions. Answers stay raw
(counts are integers); the evaluation applies the authors' ranges.
"""

from pathlib import Path

import pyarrow as pa

from rs_gpt4v.adapt import Protocol
from rs_gpt4v.source import Source
from rs_gpt4v_builders import _rsvqa

_PREFIXES = {"train": "LR_split_train", "validation": "LR_split_val", "test": "LR_split_test"}


def _read(folder: Path, split: str, _: Protocol) -> pa.Table:
    return _rsvqa.read(folder, _PREFIXES[split])


SOURCE = Source(
    name="rsvqa_lr",
    title="RSVQA-LR",
    homepage="https://zenodo.org/records/6344334",
    license="unknown",
    citation="@article{lobry2020rsvqa, title={RSVQA: Visual question answering for remote sensing "
    "data}, author={Lobry, Sylvain and Marcos, Diego and Murray, Jesse and Tuia, Devis}, "
    "journal={IEEE TGRS}, volume={58}, number={12}, year={2020}}",
    folders=("RSVQA_LR", "RSVQA-LR", "rsvqa_lr"),
    annotations={split: _rsvqa.files(prefix) for split, prefix in _PREFIXES.items()},
    images=("Images_LR", "Images"),
    reader=_read,
)
