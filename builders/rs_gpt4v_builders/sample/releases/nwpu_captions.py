"""Writes NWPU-Captions: 256 px JPEGs in class folders, a list of records for each class."""

import json
import random
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from rs_gpt4v_builders.sample.captions import captions
from rs_gpt4v_builders.sample.files import Splits, listed, new_folder, pictures_of, save
from rs_gpt4v_builders.sample.releases.karpathy import sentence_ids

SPLITS: Splits = {"train": 5, "val": 1, "test": 1}  # images of one class

# Class -> the kind of its scenes, in the release's order: airplane comes last.
_KINDS = {
    "airport": "airport",
    "commercial_area": "commercial",
    "forest": "forest",
    "harbor": "harbor",
    "intersection": "intersection",
    "medium_residential": "residential",
    "rectangular_farmland": "farmland",
    "storage_tank": "storage tanks",
    "airplane": "airport",
}


def write(root: Path, seed: int, scale: float) -> None:
    """``NWPU-Captions/``."""
    folder = root / "NWPU-Captions"
    splits = listed(SPLITS, scale)
    shown = product(_KINDS.values(), splits)
    classes: dict[str, list[dict[str, Any]]] = {class_name: [] for class_name in _KINDS}
    for index, (_, split, scene, rng) in enumerate(pictures_of("nwpu", seed, shown, 256, 0.5)):
        class_name = list(_KINDS)[index // len(splits)]
        name = f"{class_name}_{index % len(splits) + 1:03d}.jpg"
        save(scene, rng, new_folder(folder / "NWPU_images" / class_name) / name)
        sentences = _with_quirks(captions(scene, rng), index, split, rng)
        classes[class_name].append(_record(name, index, split, sentences))
    path = folder / "dataset_nwpu.json"
    path.write_text(json.dumps(classes, ensure_ascii=False), encoding="utf-8")


def _with_quirks(sentences: Sequence[str], index: int, split: str, rng: random.Random) -> list[str]:
    """Now and then a blank caption, a repetition, two spaces, or a letter beyond ASCII."""
    quirky = list(sentences)
    if split == "val" and index < 10:
        quirky[2] = " ."
    if index % 5 == 2:
        quirky[4] = quirky[0]
    if index % 5 == 3:
        quirky[1] = quirky[1].replace(" ", "  ", 1)
    if index % 5 == 4:
        quirky[rng.randrange(5)] = f"Here’s what is seen : {quirky[3].lower()}"  # noqa: RUF001
    return quirky


def _record(name: str, index: int, split: str, sentences: Sequence[str]) -> dict[str, Any]:
    """One image's record: the captions and their ids are keys of their own."""
    suffixes = ("", "_1", "_2", "_3", "_4")
    raws = {f"raw{suffix}": raw for suffix, raw in zip(suffixes, sentences, strict=True)}
    ids = {
        f"sentids{suffix}": sentid
        for suffix, sentid in zip(suffixes, sentence_ids(index), strict=True)
    }
    return {"filename": name, "imgid": index, "split": split, **raws, **ids}
