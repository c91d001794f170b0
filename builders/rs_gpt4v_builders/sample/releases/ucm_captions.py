"""Writes UCM-Captions: 256 px TIFFs, numbered by class, mixed-case captions."""

from itertools import product
from pathlib import Path

from rs_gpt4v_builders.sample.captions import captions
from rs_gpt4v_builders.sample.files import Picture, Splits, listed, pictures_of
from rs_gpt4v_builders.sample.layouts import KINDS
from rs_gpt4v_builders.sample.releases.karpathy import OLDER_KEYS, write_release
from rs_gpt4v_builders.sample.scenes import Scene

SPLITS: Splits = {"train": 24, "val": 2, "test": 4}  # images of one kind

# A kind's class, by its place in UC Merced, which has 100 images of each.
_CLASSES = {
    "farmland": 0,
    "airport": 1,
    "commercial": 4,
    "forest": 7,
    "harbor": 10,
    "intersection": 11,
    "residential": 12,
    "water": 16,
    "storage tanks": 19,
    "sports": 20,
}
_BASEBALL = 2


def write(root: Path, seed: int, scale: float) -> None:
    """``UCM_captions/``."""
    path = root / "UCM_captions" / "dataset.json"
    images = pictures(seed, scale)
    write_release(path, "imgs", images, _captions, name="UCM", keys=OLDER_KEYS, spell=_misspelt)


def pictures(seed: int, scale: float) -> list[Picture]:
    """The images, undrawn, in the order of their numbers."""
    splits = listed(SPLITS, scale)
    drawn = pictures_of("ucm", seed, product(KINDS, splits), 256, 0.3048)
    named = {
        100 * _class(picture.scene) + index % len(splits) + 1: picture
        for index, picture in enumerate(drawn)
    }
    return [named[number]._replace(name=f"{number}.tif") for number in sorted(named)]


def _class(scene: Scene) -> int:
    """The nearest one of UC Merced: every court is a tennis court."""
    return _BASEBALL if scene.count("baseball field") else _CLASSES[scene.kind]


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
