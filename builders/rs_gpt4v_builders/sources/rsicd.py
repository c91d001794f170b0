"""RSICD: 10,921 images with five captions each, many of them repeated (Lu et al., 2017).

On disk::

    RSICD_optimal/
      dataset_rsicd.json      {"images": [{"filename": "airport_1.jpg", "split", "sentences"}]}
      RSICD_images/*.jpg      224 x 224 px, RGB

Images with fewer than five captions are padded by repeating them; three captions are only " .".
8,734 / 1,094 / 1,093 images.
"""

from functools import partial

from rs_gpt4v_builders.sources import karpathy
from rs_gpt4v_builders.sources.source import Download, Source

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
    annotations=karpathy.annotations("dataset_rsicd.json"),
    images=("RSICD_images", "images"),
    reader=partial(karpathy.read, file="dataset_rsicd.json"),
    mirrors=(
        "https://mega.nz/folder/EOpjTAwL#LWdHVjKAJbd3NbLsCvzDGA",
        "https://drive.google.com/open?id=0B1jt7lJDEXy3aE90cG9YSl9ScUk",
        "https://pan.baidu.com/s/1bp71tE3",
    ),
    downloads=(
        Download(
            url=f"https://raw.githubusercontent.com/{_REPOSITORY}/{_COMMIT}/dataset_rsicd.json",
            file="dataset_rsicd.json",
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
