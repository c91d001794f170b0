"""Writes Sydney-Captions, RSITMD and NWPU-Captions as they lie on disk, quirks included.

Numbers of images are small; names, key order and formatting are the releases' own, but for RSITMD,
whose file was not seen: it gets the keys that loaders read.
"""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rs_gpt4v_builders.sample.captions import captions
from rs_gpt4v_builders.sample.files import (
    Picture,
    Splits,
    caption_record,
    listed,
    make_scene,
    mixed,
    new_folder,
    save,
    sentence_ids,
    sentences_of,
    write_captions,
)
from rs_gpt4v_builders.sample.layouts import KINDS

SYDNEY_SPLITS: Splits = {"train": 3, "val": 1, "test": 1}  # images of one kind
RSITMD_SPLITS: Splits = {"train": 26, "test": 6}
NWPU_SPLITS: Splits = {"train": 5, "val": 1, "test": 1}  # images of one class

_SYDNEY_KINDS = ("residential", "airport", "water")
# A kind's class in RSITMD's file names and NWPU's folders, in NWPU's order: airplane comes last.
_NWPU_KINDS = {
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
_RSITMD_NAMES = {
    "residential": "denseresidential",
    "water": "river",
    "harbor": "port",
    "storage tanks": "storagetanks",
    "sports": "playground",
}


def sydney_captions(root: Path, seed: int, scale: float) -> None:
    """``Sydney_captions/``: 500 px TIFFs, blocks of one kind, typing errors in ``raw``."""
    folder = new_folder(root / "Sydney_captions" / "imgs")
    records = []
    for index, (name, split, scene, rng) in enumerate(sydney_pictures(seed, scale)):
        save(scene, rng, folder / name)
        sentences = [_mistyped(s, index + n) for n, s in enumerate(captions(scene, rng))]
        if index % 4 == 1:
            sentences[3] = sentences[1]
        records.append(
            {
                "sentids": sentence_ids(index),
                "imgid": index,
                "sentences": sentences_of(sentences, index),
                "split": split,
                "filename": name,
            }
        )
    write_captions(root / "Sydney_captions" / "dataset.json", records, "Sydney")


def sydney_pictures(seed: int, scale: float) -> Iterator[Picture]:
    """The images of ``Sydney_captions/``, undrawn."""
    splits = [(kind, split) for kind in _SYDNEY_KINDS for split in listed(SYDNEY_SPLITS, scale)]
    for index, (kind, split) in enumerate(splits):
        scene, rng = make_scene("sydney", seed, index, kind, 500, 0.5)
        yield Picture(f"{index + 1}.tif", split, scene, rng)


def _mistyped(sentence: str, turn: int) -> str:
    """Every other sentence has the release's typing errors, where its words allow one."""
    return sentence.replace("houses", "hosues").replace("roads", "raods") if turn % 2 else sentence


def rsitmd(root: Path, seed: int, scale: float) -> None:
    """``RSITMD/``: 256 px TIFFs, no validation split, sentences of uneven form."""
    folder = new_folder(root / "RSITMD" / "images")
    pictures = list(_rsitmd_pictures(seed, scale))
    repeated = [picture.split for picture in pictures].index("train")
    records = []
    for index, (name, split, scene, rng) in enumerate(pictures):
        save(scene, rng, folder / name)
        sentences = [_uneven(sentence, n) for n, sentence in enumerate(captions(scene, rng))]
        if index == repeated:  # what replaced the empty captions of the first copies
            sentences = sentences[:1] * 5
        records.append(caption_record(index, name, split, sentences))
    write_captions(root / "RSITMD" / "dataset_RSITMD.json", records, "RSITMD")


def _rsitmd_pictures(seed: int, scale: float) -> Iterator[Picture]:
    for index, split in enumerate(mixed("rsitmd", seed, listed(RSITMD_SPLITS, scale))):
        kind = KINDS[index % len(KINDS)]
        scene, rng = make_scene("rsitmd", seed, index, kind, 256, 0.5)
        yield Picture(f"{_RSITMD_NAMES.get(kind, kind)}_{index + 1}.tif", split, scene, rng)


def _uneven(sentence: str, place: int) -> str:
    """Without its stop, with one and a space behind it, in lower case, or as it was."""
    plain = sentence.removesuffix(" .")
    return (f"{plain}.", plain, f"{plain.lower()}. ", sentence, plain.lower())[place]


def nwpu_captions(root: Path, seed: int, scale: float) -> None:
    """``NWPU-Captions/``: 256 px JPEGs in class folders, a list of records for each class."""
    images = root / "NWPU-Captions" / "NWPU_images"
    index, classes = 0, {}
    for class_name, kind in _NWPU_KINDS.items():
        folder = new_folder(images / class_name)
        classes[class_name] = []
        for place, split in enumerate(listed(NWPU_SPLITS, scale), 1):
            name = f"{class_name}_{place:03d}.jpg"
            scene, rng = make_scene("nwpu", seed, index, kind, 256, 0.5)
            save(scene, rng, folder / name)
            sentences = _with_nwpu_quirks(captions(scene, rng), index, split, rng)
            classes[class_name].append(_nwpu_record(name, index, split, sentences))
            index += 1
    path = root / "NWPU-Captions" / "dataset_nwpu.json"
    path.write_text(json.dumps(classes, ensure_ascii=False), encoding="utf-8")


def _with_nwpu_quirks(
    sentences: Sequence[str], index: int, split: str, rng: random.Random
) -> list[str]:
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


def _nwpu_record(name: str, index: int, split: str, sentences: Sequence[str]) -> dict[str, Any]:
    """One image's record: the captions and their ids are keys of their own."""
    suffixes = ("", "_1", "_2", "_3", "_4")
    raws = {f"raw{suffix}": raw for suffix, raw in zip(suffixes, sentences, strict=True)}
    ids = {
        f"sentids{suffix}": sentid
        for suffix, sentid in zip(suffixes, sentence_ids(index), strict=True)
    }
    return {"filename": name, "imgid": index, "split": split, **raws, **ids}
