"""RSVQA-LR: questions on 772 Sentinel-2 images of the Netherlands (Lobry et al., 2020).

On disk::

    RSVQA_LR/
      LR_split_{train,val,test}_{questions,answers}.json
      Images_LR/<img_id>.tif  256 x 256 px, RGB, 10 m per pixel

Types: presence, comp, count, rural_urban. 57,223 / 10,005 / 10,004 questions. Answers stay raw
(counts are integers); the evaluation applies the authors' ranges.
"""

from functools import partial

from rs_gpt4v_builders.sources import rsvqa
from rs_gpt4v_builders.sources.source import Download, Source

_PREFIXES = {"train": "LR_split_train", "validation": "LR_split_val", "test": "LR_split_test"}


_ZENODO = "https://zenodo.org/records/6344334/files"
# Bytes and MD5 as Zenodo states them, by two published scripts that check their downloads so.
_FILES = {
    "LR_split_train_questions.json": (11_940_731, "935d59a05d126496fe61c541b4ab2d55"),
    "LR_split_train_answers.json": (7_428_162, "a5ff787f9977b0050b9bbf4e32bbb533"),
    "LR_split_val_questions.json": (3_483_748, "67b99979ebd468330355d656bf4d6d29"),
    "LR_split_val_answers.json": (2_690_962, "61ba49ece26c989f81a9a1e2fe0d475b"),
    "LR_split_test_questions.json": (2_717_368, "9bddc53d7399a43378f743ec0ff1f95f"),
    "LR_split_test_answers.json": (1_922_393, "f925d70eb74bb4094966670cb4c2f840"),
    "Images_LR.zip": (95_008_155, "2329258d74d54600628b8652a0e42672"),
}

SOURCE = Source(
    name="rsvqa_lr",
    title="RSVQA-LR",
    homepage="https://zenodo.org/records/6344334",
    license="CC-BY-4.0 (as others read its Zenodo record; check there)",
    citation="@article{lobry2020rsvqa, title={RSVQA: Visual question answering for remote sensing "
    "data}, author={Lobry, Sylvain and Marcos, Diego and Murray, Jesse and Tuia, Devis}, "
    "journal={IEEE TGRS}, volume={58}, number={12}, year={2020}}",
    folders=("RSVQA_LR", "RSVQA-LR", "rsvqa_lr"),
    annotations={split: rsvqa.files(prefix) for split, prefix in _PREFIXES.items()},
    images=("Images_LR", "Images"),
    reader=partial(rsvqa.read, prefixes=_PREFIXES),
    mirrors=("https://rsvqa.sylvainlobry.com (project page)",),
    downloads=tuple(
        Download(
            url=f"{_ZENODO}/{file}",
            file=file,
            size=size,
            checksum=f"md5:{md5}",
            unpack="Images_LR" if file == "Images_LR.zip" else None,
        )
        for file, (size, md5) in _FILES.items()
    ),
    size="125 MB",
    image_count=772,
)
