"""Writes RSICD: 224 px JPEGs, lower case, one to three captions padded to five, class lists."""

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from rs_gpt4v_builders.sample.captions import PER_IMAGE, captions
from rs_gpt4v_builders.sample.files import (
    Picture,
    Splits,
    listed,
    mixed,
    new_folder,
    pictures_of,
)
from rs_gpt4v_builders.sample.layouts import KINDS
from rs_gpt4v_builders.sample.releases.karpathy import write_release

SPLITS: Splits = {"train": 120, "val": 16, "test": 24}

# A kind's name in RSICD's file names; the others are numbered, as RSICD's playfields are.
_NAMES = {
    "residential": "denseresidential",
    "commercial": "commercial",
    "farmland": "farmland",
    "forest": "forest",
    "water": "river",
    "harbor": "port",
    "airport": "airport",
    "storage tanks": "storagetanks",
}
# A kind's class file; RSICD has no intersections, and viaducts are next to them.
_CLASSES = {
    "residential": "DenseResidential",
    "commercial": "Commercial",
    "farmland": "Farmland",
    "forest": "Forest",
    "water": "River",
    "harbor": "Port",
    "airport": "Airport",
    "intersection": "Viaduct",
    "storage tanks": "StorageTanks",
    "sports": "playfields",
}
_REPEATS = ((0, 0, 0, 0, 0), (0, 1, 2, 2, 0), (0, 1, 1, 0, 0), (0, 1, 2, 3, 4))
_WEIGHTS = (45, 16, 24, 15)  # roughly the shares of these patterns in the release


def write(root: Path, seed: int, scale: float) -> None:
    """``RSICD_optimal/``; one caption is blank."""
    images = list(pictures(seed, scale))
    blank = [picture.split for picture in images].index("train")

    def caption(index: int, picture: Picture) -> list[str]:
        distinct = [sentence.lower() for sentence in captions(picture.scene, picture.rng)]
        pattern = picture.rng.choices(_REPEATS, _WEIGHTS)[0]
        sentences = [distinct[n] for n in pattern]
        if index == blank:
            sentences[PER_IMAGE - 1] = " ."
        return sentences

    folder = root / "RSICD_optimal"
    write_release(folder / "dataset_rsicd.json", "RSICD_images", images, caption, name="RSICD")
    lists = new_folder(folder / "txtclasses_rsicd")
    for kind, name in _CLASSES.items():
        lines = sorted(f"{image.name}\n" for image in images if image.scene.kind == kind)
        (lists / f"{name}.txt").write_text("".join(lines), encoding="utf-8")


def pictures(seed: int, scale: float) -> Iterator[Picture]:
    """The images, undrawn."""
    splits = mixed("rsicd", seed, listed(SPLITS, scale))
    return pictures_of("rsicd", seed, zip(cycle(KINDS), splits), 224, 0.5, _name)


def _name(index: int, kind: str) -> str:
    if kind in _NAMES:
        return f"{_NAMES[kind]}_{index // len(KINDS) + 1}.jpg"
    return f"{index + 1:05d}.jpg"
