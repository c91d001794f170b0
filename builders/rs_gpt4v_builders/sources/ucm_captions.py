"""UCM-Captions: five captions for each image of UC Merced Land Use (Qu et al., 2016).

On disk::

    UCM_captions/
      dataset.json            {"images": [{"filename": "1.tif", "split", "sentences": [{"raw"}]}]}
      imgs/1.tif ... 2100.tif 256 x 256 px (44 of them a little off), RGB, 0.3 m per pixel

Captions are kept as released, final " ." and typos included. 1,680 / 210 / 210 images. The
images of UC Merced's 21 classes follow each other, 100 of each, classes in alphabetical order.
"""

from functools import partial

from rs_gpt4v_builders.sources import karpathy, scenes
from rs_gpt4v_builders.sources.source import Source

SOURCE = Source(
    name="ucm_captions",
    title="UCM-Captions",
    homepage="https://github.com/201528014227051/RSICD_optimal",
    license="captions: unknown; images (UC Merced, USGS): public domain",
    citation="@inproceedings{qu2016deep, title={Deep semantic understanding of high resolution "
    "remote sensing image}, author={Qu, Bo and Li, Xuelong and Tao, Dacheng and Lu, Xiaoqiang}, "
    "booktitle={CITS}, year={2016}}",
    folders=("UCM_captions", "UCM_Captions", "UCM-Captions"),
    annotations=karpathy.annotations("dataset.json"),
    images=("imgs", "images"),
    recognisable_by_files=False,  # UCM-Captions and Sydney-Captions name their files alike
    reader=partial(karpathy.read, file="dataset.json"),
    mirrors=(
        "https://mega.nz/folder/wCpSzSoS#RXzIlrv--TDt3ENZdKN8JA (imgs.rar inside: unar or 7z x)",
        "https://drive.google.com/uc?id=1WNAQgdgghz0cz4rV_KmTNyNGF_m8cNkt",
        "https://pan.baidu.com/s/1mjPToHq",
    ),
    size="dataset.json 2,887,099 bytes; the images, unpacked, 410 MB",
    image_count=2_100,
)

SCENES = scenes.scenes_of(
    SOURCE,
    partial(
        scenes.read,
        file="dataset.json",
        classes=scenes.UCM,
        label=partial(scenes.class_by_number, classes=scenes.UCM, images_each=100),
    ),
)
