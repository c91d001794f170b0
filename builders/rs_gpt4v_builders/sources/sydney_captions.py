"""Sydney-Captions: five captions for each image of seven classes of Sydney (Qu et al., 2016).

On disk::

    Sydney_captions/
      dataset.json            {"images": [{"filename": "1.tif", "split", "sentences": [{"raw"}]}]}
      imgs/1.tif ... 613.tif  500 x 500 px, RGB, 0.5 m per pixel

Captions are kept as released, final " ." and typos ("hosues") included. 497 / 58 / 58 images.
"""

from functools import partial

from rs_gpt4v_builders.sources import karpathy, ucm_captions
from rs_gpt4v_builders.sources.source import Source

SOURCE = Source(
    name="sydney_captions",
    title="Sydney-Captions",
    homepage="https://github.com/201528014227051/RSICD_optimal",
    license="unknown",
    citation=ucm_captions.SOURCE.citation,
    folders=("Sydney_captions", "Sydney_Captions", "Sydney-Captions"),
    annotations=karpathy.annotations("dataset.json"),
    images=("imgs", "images"),
    recognisable_by_files=False,  # UCM-Captions and Sydney-Captions name their files alike
    reader=partial(karpathy.read, file="dataset.json"),
    mirrors=(
        "https://mega.nz/folder/pG4yTYYA#4c4buNFLibryZnlujsrwEQ",
        "https://huggingface.co/datasets/isaaccorley/Sydney-Captions",
        "https://pan.baidu.com/s/1hujEmcG",
    ),
    size="dataset.json 943,427 bytes; the images, unpacked, 460 MB",
    image_count=613,
)
