"""Writes Sydney-Captions: 500 px TIFFs, blocks of one kind, typing errors in ``raw``."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from rs_gpt4v_builders.sample.captions import captions
from rs_gpt4v_builders.sample.files import Picture, Splits, listed, pictures_of
from rs_gpt4v_builders.sample.releases.karpathy import OLDER_KEYS, write_release

SPLITS: Splits = {"train": 3, "val": 1, "test": 1}  # images of one kind
_KINDS = ("residential", "airport", "water")


def write(root: Path, seed: int, scale: float) -> None:
    """``Sydney_captions/``."""
    path = root / "Sydney_captions" / "dataset.json"
    write_release(path, "imgs", pictures(seed, scale), _captions, name="Sydney", keys=OLDER_KEYS)


def pictures(seed: int, scale: float) -> Iterator[Picture]:
    """The images, undrawn."""
    return pictures_of("sydney", seed, product(_KINDS, listed(SPLITS, scale)), 500, 0.5)


def _captions(index: int, picture: Picture) -> list[str]:
    sentences = captions(picture.scene, picture.rng)
    sentences = [_mistyped(sentence, index + n) for n, sentence in enumerate(sentences)]
    if index % 4 == 1:
        sentences[3] = sentences[1]
    return sentences


def _mistyped(sentence: str, turn: int) -> str:
    """Every other sentence has the release's typing errors, where its words allow one."""
    return sentence.replace("houses", "hosues").replace("roads", "raods") if turn % 2 else sentence
