"""Writes UCM-Captions: 256 px TIFFs, blocks of one kind, mixed-case captions."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from rs_gpt4v_builders.sample.captions import captions
from rs_gpt4v_builders.sample.files import Picture, Splits, listed, pictures_of
from rs_gpt4v_builders.sample.layouts import KINDS
from rs_gpt4v_builders.sample.releases.karpathy import OLDER_KEYS, write_release

SPLITS: Splits = {"train": 24, "val": 2, "test": 4}  # images of one kind


def write(root: Path, seed: int, scale: float) -> None:
    """``UCM_captions/``."""
    path = root / "UCM_captions" / "dataset.json"
    images = pictures(seed, scale)
    write_release(path, "imgs", images, _captions, name="UCM", keys=OLDER_KEYS, spell=_misspelt)


def pictures(seed: int, scale: float) -> Iterator[Picture]:
    """The images, undrawn."""
    return pictures_of("ucm", seed, product(KINDS, listed(SPLITS, scale)), 256, 0.3048)


def _captions(index: int, picture: Picture) -> list[str]:
    """Every fifth image says one sentence twice; every ninth has two spaces before a stop."""
    sentences = list(captions(picture.scene, picture.rng))
    if index % 5 == 1:
        sentences[3] = sentences[1]
    if index % 9 == 2:
        sentences[4] = sentences[4].replace(" .", "  .")
    return sentences


def _misspelt(token: str, sentence_id: int) -> str:
    """The typing errors that the release has in ``tokens`` but not in ``raw``."""
    return token.replace("farmland", "formland") if sentence_id % 4 == 0 else token
