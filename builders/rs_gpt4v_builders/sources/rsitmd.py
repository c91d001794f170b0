"""RSITMD: 4,743 images of 33 classes with five finer captions each (Yuan et al., 2022).

On disk::

    RSITMD/
      dataset_RSITMD.json     {"images": [{"filename": "airport_1.tif", "split", "sentences"}]}
      images/*.tif            256 x 256 px, RGB

Mixed case, with and without a final stop. 4,291 images to train, 452 to test; no validation split.
Copies from before 2021-10-28 give four training images five empty captions, later ones a sentence
five times: with the empty ones left out, the 20,096 training rows are 20,092. An image's class
stands in its name: RSICD's, without playfields and with boat, intersection and plane.
"""

from functools import partial

from rs_gpt4v_builders.sources import karpathy, scenes
from rs_gpt4v_builders.sources.source import Source

_SPLITS = ("train", "test")


SOURCE = Source(
    name="rsitmd",
    title="RSITMD",
    homepage="https://github.com/xiaoyuan1996/AMFMN/tree/main/RSITMD",
    license="unknown",
    citation="@article{yuan2022exploring, title={Exploring a fine-grained multiscale method for "
    "cross-modal remote sensing image retrieval}, author={Yuan, Zhiqiang and Zhang, Wenkai and "
    "Fu, Kun and Li, Xuan and Deng, Chubo and Wang, Hongqi and Sun, Xian}, journal={IEEE TGRS}, "
    "volume={60}, year={2022}}",
    folders=("RSITMD", "rsitmd"),
    annotations=karpathy.annotations("dataset_RSITMD.json", _SPLITS),
    images=("images", "imgs"),
    reader=partial(karpathy.read, file="dataset_RSITMD.json", splits=_SPLITS),
    mirrors=(
        "https://drive.google.com/file/d/1NJY86TAAUd8BVs7hyteImv8I2_Lh95W6/view",
        "https://pan.baidu.com/s/1gDj38mzUL-LmQX32PYxr0Q (code NIST)",
    ),
    size="the images, unpacked, 930 MB",
    image_count=4_743,
    note="Copies of RSITMD from before 2021-10-28 leave mountain_2378, railwaystation_3254, "
    "storagetanks_4367 and viaduct_4635 without captions; a present copy has them.",
)

SCENES = scenes.scenes_of(
    SOURCE,
    partial(
        scenes.read,
        file="dataset_RSITMD.json",
        classes=scenes.RSITMD,
        label=partial(scenes.class_in_name, classes=scenes.RSITMD),
        splits=_SPLITS,
    ),
)
