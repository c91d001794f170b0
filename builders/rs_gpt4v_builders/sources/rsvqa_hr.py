"""RSVQA-HR: questions on 10,659 USGS aerial images of the US north-east (Lobry et al., 2020).

On disk::

    RSVQA_HR/
      USGS_split_{train,val,test,test_phili}_{questions,answers}.json
      Data/<img_id>.tif       512 x 512 px, RGB, 0.15 m per pixel (some copies: .png)

Types: presence, comp, count, area ("10632m2"). 625,340 / 102,843 / 222,684 questions, and 105,647
on Philadelphia, which no other split shows. Answers stay raw.
"""

from functools import partial

from rs_gpt4v_builders.sources import rsvqa, rsvqa_lr
from rs_gpt4v_builders.sources.source import Download, Source

_PREFIXES = {
    "train": "USGS_split_train",
    "validation": "USGS_split_val",
    "test": "USGS_split_test",
    "test_philadelphia": "USGS_split_test_phili",
}


_ZENODO = "https://zenodo.org/records/6344367/files"
# As published scripts check their downloads; of the other files no checksum was found.
_CHECKSUMS = {
    "USGS_split_train_questions.json": "sha256:"
    "08a29d70d9ea0a1e01bac3b19a2b9f45a9410e337efe48216d6e40023742a37b",
    "USGS_split_train_answers.json": "sha256:"
    "8d1db1ff9639afbbe22e72032a24f2ce15a40e9b968145ef9386373d969de5ec",
    "Images.tar": "md5:e16c21a040ef4a17afe2d20dffe7758b",
}
_FILES = (*(file for prefix in _PREFIXES.values() for file in rsvqa.files(prefix)), "Images.tar")

SOURCE = Source(
    name="rsvqa_hr",
    title="RSVQA-HR",
    homepage="https://zenodo.org/records/6344367",
    license=rsvqa_lr.SOURCE.license,
    citation=rsvqa_lr.SOURCE.citation,
    folders=("RSVQA_HR", "RSVQA-HR", "rsvqa_hr"),
    annotations={split: rsvqa.files(prefix) for split, prefix in _PREFIXES.items()},
    images=("Data", "Images"),
    reader=partial(rsvqa.read, prefixes=_PREFIXES),
    mirrors=rsvqa_lr.SOURCE.mirrors,
    downloads=tuple(
        Download(
            url=f"{_ZENODO}/{file}",
            file=file,
            checksum=_CHECKSUMS.get(file),
            unpack="Data" if file == "Images.tar" else None,
        )
        for file in _FILES
    ),
    size="14 GB, of which Images.tar 13.5 GB, and as much again while it is unpacked",
    image_count=10_659,
)
