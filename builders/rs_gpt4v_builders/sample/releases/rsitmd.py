"""Writes RSITMD: 256 px TIFFs, no validation split, sentences of uneven form.

The release's file was not seen: this one has the keys that published loaders read.
"""

from itertools import cycle
from pathlib import Path

from rs_gpt4v_builders.sample.captions import captions
from rs_gpt4v_builders.sample.files import Picture, Splits, listed, mixed, pictures_of
from rs_gpt4v_builders.sample.layouts import KINDS
from rs_gpt4v_builders.sample.releases.karpathy import write_release

SPLITS: Splits = {"train": 26, "test": 6}

# A kind's class in the file names.
_NAMES = {
    "residential": "denseresidential",
    "water": "river",
    "harbor": "port",
    "storage tanks": "storagetanks",
    "sports": "playground",
}


def write(root: Path, seed: int, scale: float) -> None:
    """``RSITMD/``; the captions of one image are one sentence, as in the present copies."""
    splits = mixed("rsitmd", seed, listed(SPLITS, scale))
    images = list(pictures_of("rsitmd", seed, zip(cycle(KINDS), splits), 256, 0.5, _name))
    repeated = [picture.split for picture in images].index("train")

    def caption(index: int, picture: Picture) -> list[str]:
        sentences = captions(picture.scene, picture.rng)
        uneven = [_uneven(sentence, n) for n, sentence in enumerate(sentences)]
        return uneven[:1] * 5 if index == repeated else uneven

    write_release(root / "RSITMD" / "dataset_RSITMD.json", "images", images, caption, name="RSITMD")


def _name(index: int, kind: str) -> str:
    return f"{_NAMES.get(kind, kind)}_{index + 1}.tif"


def _uneven(sentence: str, number: int) -> str:
    """Without its stop, with one and a space behind it, in lower case, or as it was."""
    plain = sentence.removesuffix(" .")
    return (f"{plain}.", plain, f"{plain.lower()}. ", sentence, plain.lower())[number]
