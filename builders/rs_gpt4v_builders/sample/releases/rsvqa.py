"""Writes synthetic scenes as each release lies on disk, with the quirks a reader must survive.

Numbers of images and questions are small; names, key order and formatting are the releases' own.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rs_gpt4v_builders.sample.captions import PER_IMAGE, captions
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
from rs_gpt4v_builders.sample.questions import Balance, Question, hr_questions, lr_questions

UCM_SPLITS: Splits = {"train": 24, "val": 2, "test": 4}  # images of one kind
RSICD_SPLITS: Splits = {"train": 120, "val": 16, "test": 24}
LR_SPLITS: Splits = {"train": 360, "val": 15, "test": 60}
HR_SPLITS: Splits = {"train": 70, "val": 8, "test": 12, "test_phili": 10}

# A kind's name in RSICD's file names; the others are numbered, as RSICD's playfields are.
_RSICD_NAMES = {
    "residential": "denseresidential",
    "commercial": "commercial",
    "farmland": "farmland",
    "forest": "forest",
    "water": "river",
    "harbor": "port",
    "airport": "airport",
    "storage tanks": "storagetanks",
}
_RSICD_REPEATS = ((0, 0, 0, 0, 0), (0, 1, 2, 2, 0), (0, 1, 1, 0, 0), (0, 1, 2, 3, 4))
_RSICD_WEIGHTS = (45, 16, 24, 15)  # roughly the shares of these patterns in the release
# Many images with few questions each: a small model learns to look only from many images.
_LR_KINDS = (*KINDS, "landscape", "landscape", "landscape")
_HR_KINDS = (*KINDS, "landscape", "residential", "landscape", "commercial")
_DATE = 1579864752.933048  # when the real releases were made; one moment for all records


def ucm_captions(root: Path, seed: int, scale: float) -> None:
    """``UCM_captions/``: 256 px TIFFs, blocks of one kind, mixed-case captions."""
    folder = new_folder(root / "UCM_captions" / "imgs")
    records = []
    for index, (name, split, scene, rng) in enumerate(ucm_pictures(seed, scale)):
        save(scene, rng, folder / name)
        sentences = _with_ucm_quirks(captions(scene, rng), index)
        records.append(
            {
                "sentids": sentence_ids(index),
                "imgid": index,
                "sentences": sentences_of(sentences, index, _misspelt),
                "split": split,
                "filename": name,
            }
        )
    write_captions(root / "UCM_captions" / "dataset.json", records, "UCM")


def ucm_pictures(seed: int, scale: float) -> Iterator[Picture]:
    """The images of ``UCM_captions/``, undrawn."""
    splits = [(kind, split) for kind in KINDS for split in listed(UCM_SPLITS, scale)]
    for index, (kind, split) in enumerate(splits):
        scene, rng = make_scene("ucm", seed, index, kind, 256, 0.3048)
        yield Picture(f"{index + 1}.tif", split, scene, rng)


def _with_ucm_quirks(sentences: Sequence[str], index: int) -> list[str]:
    """Every fifth image says one sentence twice; every ninth has two spaces before a stop."""
    quirky = list(sentences)
    if index % 5 == 1:
        quirky[3] = quirky[1]
    if index % 9 == 2:
        quirky[4] = quirky[4].replace(" .", "  .")
    return quirky


def _misspelt(token: str, sentence_id: int) -> str:
    """The typing errors that the release has in ``tokens`` but not in ``raw``."""
    return token.replace("farmland", "formland") if sentence_id % 4 == 0 else token


def rsicd(root: Path, seed: int, scale: float) -> None:
    """``RSICD_optimal/``: 224 px JPEGs, lower case, one to three captions padded to five."""
    folder = new_folder(root / "RSICD_optimal" / "RSICD_images")
    pictures = list(rsicd_pictures(seed, scale))
    blank = [picture.split for picture in pictures].index("train")
    records = []
    for index, (name, split, scene, rng) in enumerate(pictures):
        save(scene, rng, folder / name)
        distinct = [sentence.lower() for sentence in captions(scene, rng)]
        pattern = rng.choices(_RSICD_REPEATS, _RSICD_WEIGHTS)[0]
        sentences = [distinct[n] for n in pattern]
        if index == blank:
            sentences[PER_IMAGE - 1] = " ."
        records.append(caption_record(index, name, split, sentences))
    write_captions(root / "RSICD_optimal" / "dataset_rsicd.json", records, "RSICD")


def rsicd_pictures(seed: int, scale: float) -> Iterator[Picture]:
    """The images of ``RSICD_optimal/``, undrawn."""
    for index, split in enumerate(mixed("rsicd", seed, listed(RSICD_SPLITS, scale))):
        kind = KINDS[index % len(KINDS)]
        scene, rng = make_scene("rsicd", seed, index, kind, 224, 0.5)
        yield Picture(_rsicd_name(kind, index), split, scene, rng)


def _rsicd_name(kind: str, index: int) -> str:
    if kind in _RSICD_NAMES:
        return f"{_RSICD_NAMES[kind]}_{index // len(KINDS) + 1}.jpg"
    return f"{index + 1:05d}.jpg"


def rsvqa_lr(root: Path, seed: int, scale: float) -> None:
    """``RSVQA_LR/``: 256 px TIFFs, with the files on all splits."""
    folder = root / "RSVQA_LR"
    images = new_folder(folder / "Images_LR")
    splits = mixed("lr", seed, listed(LR_SPLITS, scale))

    def questions(index: int, balance: Balance) -> list[Question]:
        scene, rng = make_scene("lr", seed, index, _LR_KINDS[index % len(_LR_KINDS)], 256, 10.0)
        save(scene, rng, images / f"{index}.tif")
        return lr_questions(scene, balance, rng)

    tables = _tables(splits, questions, sensor="S2", resolution="10m")
    for name, records in tables.items():
        _write_table(folder / f"all_{name}.json", name, records)
    _write_splits(folder, "LR_split", tables, splits)


def rsvqa_hr(root: Path, seed: int, scale: float) -> None:
    """``RSVQA_HR/``: 512 px TIFFs, one city's scenes kept apart as ``test_phili``."""
    folder = root / "RSVQA_HR"
    images = new_folder(folder / "Data")
    splits = mixed("hr", seed, listed(HR_SPLITS, scale))

    def questions(index: int, balance: Balance) -> list[Question]:
        kind = _HR_KINDS[index % len(_HR_KINDS)]
        scene, rng = make_scene("hr", seed, index, kind, 512, 0.1524)
        save(scene, rng, images / f"{index}.tif")
        return hr_questions(scene, balance, rng)

    tables = _tables(splits, questions, sensor="ULTRACAM_EAGLE_FALCON", resolution=".1524m")
    for name, records in tables.items():
        _write_table(folder / f"USGS{name}.json", name, records)
    _write_splits(folder, "USGS_split", tables, splits)


def _tables(
    splits: Sequence[str],
    questions: Callable[[int, Balance], list[Question]],
    sensor: str,
    resolution: str,
) -> dict[str, list[dict[str, Any]]]:
    """The records of images, questions and answers; ids are positions."""
    balances = {split: Balance() for split in splits}
    tables: dict[str, list[dict[str, Any]]] = {"images": [], "questions": [], "answers": []}
    for index, split in enumerate(splits):
        asked = questions(index, balances[split])
        first = len(tables["questions"])
        ids = list(range(first, first + len(asked)))
        tables["images"].append(_image_record(index, sensor, resolution, ids))
        for number, question in zip(ids, asked, strict=True):
            tables["questions"].append(_question_record(number, index, question))
            tables["answers"].append(_answer_record(number, question))
    return tables


def _image_record(index: int, sensor: str, resolution: str, ids: list[int]) -> dict[str, Any]:
    return {
        "id": index,
        "date_added": _DATE,
        "original_name": f"{index}.png",
        "sensor": sensor,
        "upperleft_map_x": 470000.0 + 2560.0 * index,
        "upperleft_map_y": 6756000.0,
        "res_x": resolution,
        "res_y": resolution,
        "people_id": 0,
        "type": "0",
        "questions_ids": ids,
        "active": True,
    }


def _question_record(number: int, image: int, question: Question) -> dict[str, Any]:
    return {
        "id": number,
        "date_added": _DATE,
        "img_id": image,
        "people_id": 0,
        "type": question.type,
        "question": question.text,
        "answers_ids": [number],
        "active": True,
    }


def _answer_record(number: int, question: Question) -> dict[str, Any]:
    return {
        "id": number,
        "date_added": _DATE,
        "question_id": number,
        "people_id": 0,
        "answer": question.answer,
        "active": True,
    }


def _write_splits(
    folder: Path, prefix: str, tables: dict[str, list[dict[str, Any]]], splits: Sequence[str]
) -> None:
    """One positional file a split and table: what belongs to other splits is a stub."""
    split_of = [splits[int(record["img_id"])] for record in tables["questions"]]
    for split in dict.fromkeys(splits):
        _write_table(
            folder / f"{prefix}_{split}_images.json",
            "images",
            list(_stubbed(tables["images"], splits, split)),
        )
        end = len(split_of) - [*reversed(split_of)].index(split)
        for name in ("questions", "answers"):
            records = _stubbed(tables[name][:end], split_of[:end], split)
            _write_table(folder / f"{prefix}_{split}_{name}.json", name, list(records))


def _stubbed(
    records: Sequence[dict[str, Any]], splits: Sequence[str], kept: str
) -> Iterator[dict[str, Any]]:
    for record, split in zip(records, splits, strict=True):
        yield record if split == kept else {"id": record["id"], "active": False}


def _write_table(path: Path, name: str, records: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps({name: records}), encoding="utf-8")
