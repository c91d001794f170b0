"""RSVQA-HR: questions on 10,659 USGS aerial images of the US north-east (Lobry et al., 2020).

On disk::

    RSVQA_HR/
      USGS_split_{train,val,test,test_phili}_{questions,answers}.json
      Data/<img_id>.tif       512 x 512 px, RGB, 0.15 m per pixel (some copies: .png)

Types: presence, comp, count, area ("10632m2"). 625,340 / 102,843 / 222,684 questions, and 105,647
on Philadelphia, which no other split shows. Answers stay raw.
"""

from pathlib import Path

import pyarrow as pa

from rs_gpt4v.adapt import Protocol
from rs_gpt4v.source import Source
from rs_gpt4v_builders import _rsvqa, rsvqa_lr

_PREFIXES = {
    "train": "USGS_split_train",
    "validation": "USGS_split_val",
    "test": "USGS_split_test",
    "test_philadelphia": "USGS_split_test_phili",
}


def _read(folder: Path, split: str, _: Protocol) -> pa.Table:
    return _rsvqa.read(folder, _PREFIXES[split])


SOURCE = Source(
    name="rsvqa_hr",
    title="RSVQA-HR",
    homepage="https://zenodo.org/records/6344367",
    license="unknown",
    citation=rsvqa_lr.SOURCE.citation,
    folders=("RSVQA_HR", "RSVQA-HR", "rsvqa_hr"),
    annotations={split: _rsvqa.files(prefix) for split, prefix in _PREFIXES.items()},
    images=("Data", "Images"),
    reader=_read,
)
