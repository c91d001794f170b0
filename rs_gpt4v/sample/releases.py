"""Writes synthetic scenes as each release lies on disk, with the quirks a reader must survive.

Numbers of images and questions are small; names, key order and formatting are the releases' own.
"""

import json
import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rs_gpt4v.sample.captions import PER_IMAGE, captions
from rs_gpt4v.sample.draw import draw
from rs_gpt4v.sample.layouts import KINDS, lay_out
from rs_gpt4v.sample.questions import Balance, Question, hr_questions, lr_questions
from rs_gpt4v.sample.scenes import Scene

Splits = dict[str, int]

UCM_SPLITS: Splits = {"train": 24, "val": 2, "test": 4}  # images of one kind
RSICD_SPLITS: Splits = {"train": 120, "val": 16, "test": 24}
LR_SPLITS: Splits = {"train": 110, "val": 15, "test": 25}
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
_HR_KINDS = (*KINDS, "landscape", "residential", "landscape", "commercial")
_DATE = 1579864752.933048  # when the real releases were made; one moment for all records


def ucm_captions(root: Path, seed: int, scale: float) -> None:
    """``UCM_captions/``: 256 px TIFFs, blocks of one kind, mixed-case captions."""
    folder = _new_folder(root / "UCM_captions" / "imgs")
    splits = [(kind, split) for kind in KINDS for split in _listed(UCM_SPLITS, scale)]
    records = []
    for index, (kind, split) in enumerate(splits):
        scene, rng = _scene("ucm", seed, index, kind, 256, 0.3048)
        _save(scene, rng, folder / f"{index + 1}.tif")
        sentences = _with_ucm_quirks(captions(scene, rng), index)
        records.append(
            {
                "sentids": _sentence_ids(index),
                "imgid": index,
                "sentences": _sentences(sentences, index, _misspelt),
                "split": split,
                "filename": f"{index + 1}.tif",
            }
        )
    _write_captions(root / "UCM_captions" / "dataset.json", records, "UCM")


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
    folder = _new_folder(root / "RSICD_optimal" / "RSICD_images")
    splits = _mixed("rsicd", seed, _listed(RSICD_SPLITS, scale))
    blank = splits.index("train")
    records = []
    for index, split in enumerate(splits):
        kind = KINDS[index % len(KINDS)]
        scene, rng = _scene("rsicd", seed, index, kind, 224, 0.5)
        name = _rsicd_name(kind, index)
        _save(scene, rng, folder / name)
        distinct = [sentence.lower() for sentence in captions(scene, rng)]
        pattern = rng.choices(_RSICD_REPEATS, _RSICD_WEIGHTS)[0]
        sentences = [distinct[n] for n in pattern]
        if index == blank:
            sentences[PER_IMAGE - 1] = " ."
        records.append(
            {
                "filename": name,
                "imgid": index,
                "sentences": _sentences(sentences, index),
                "split": split,
                "sentids": _sentence_ids(index),
            }
        )
    _write_captions(root / "RSICD_optimal" / "dataset_rsicd.json", records, "RSICD")


def _rsicd_name(kind: str, index: int) -> str:
    if kind in _RSICD_NAMES:
        return f"{_RSICD_NAMES[kind]}_{index // len(KINDS) + 1}.jpg"
    return f"{index + 1:05d}.jpg"


def _sentence_ids(index: int) -> list[int]:
    return list(range(PER_IMAGE * index, PER_IMAGE * (index + 1)))


def _sentences(
    sentences: Sequence[str], index: int, spell: Callable[[str, int], str] = lambda token, _: token
) -> list[dict[str, Any]]:
    """The records of one image's captions; ``tokens`` are ``raw`` without its stop."""
    return [
        {
            "tokens": [spell(token, sentid) for token in raw.removesuffix(" .").split(" ")],
            "raw": raw,
            "imgid": index,
            "sentid": sentid,
        }
        for raw, sentid in zip(sentences, _sentence_ids(index), strict=True)
    ]


def _write_captions(path: Path, records: list[dict[str, Any]], name: str) -> None:
    path.write_text(_tabbed({"images": records, "dataset": name}), encoding="utf-8")


def _tabbed(value: Any, depth: int = 0) -> str:
    """JSON as the caption releases indent it: tabs, a list's elements level with its key."""
    tabs = "\t" * depth
    if isinstance(value, dict):
        members = [f'{tabs}\t"{key}": {_tabbed(item, depth + 1)}' for key, item in value.items()]
        return "{\n" + ",\n".join(members) + f"\n{tabs}}}"
    if isinstance(value, list):
        return "[" + f",\n{tabs}".join(_tabbed(item, depth) for item in value) + "]"
    return json.dumps(value)


def rsvqa_lr(root: Path, seed: int, scale: float) -> None:
    """``RSVQA_LR/``: 256 px TIFFs of whole landscapes, with the files on all splits."""
    folder = root / "RSVQA_LR"
    images = _new_folder(folder / "Images_LR")
    splits = _mixed("lr", seed, _listed(LR_SPLITS, scale))

    def questions(index: int, balance: Balance) -> list[Question]:
        scene, rng = _scene("lr", seed, index, "landscape", 256, 10.0)
        _save(scene, rng, images / f"{index}.tif")
        return lr_questions(scene, balance, rng)

    tables = _tables(splits, questions, sensor="S2", resolution="10m")
    for name, records in tables.items():
        _write_table(folder / f"all_{name}.json", name, records)
    _write_splits(folder, "LR_split", tables, splits)


def rsvqa_hr(root: Path, seed: int, scale: float) -> None:
    """``RSVQA_HR/``: 512 px TIFFs, one city's scenes kept apart as ``test_phili``."""
    folder = root / "RSVQA_HR"
    images = _new_folder(folder / "Data")
    splits = _mixed("hr", seed, _listed(HR_SPLITS, scale))

    def questions(index: int, balance: Balance) -> list[Question]:
        kind = _HR_KINDS[index % len(_HR_KINDS)]
        scene, rng = _scene("hr", seed, index, kind, 512, 0.1524)
        _save(scene, rng, images / f"{index}.tif")
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


def _listed(splits: Splits, scale: float) -> list[str]:
    """Each split's name as often as it has images; at least once."""
    return [name for name, count in splits.items() for _ in range(max(1, round(count * scale)))]


def _mixed(release: str, seed: int, splits: list[str]) -> list[str]:
    """The splits in a random but fixed order over the images."""
    return random.Random(_number(release, seed, "splits")).sample(splits, len(splits))


def _scene(
    release: str, seed: int, index: int, kind: str, size: int, gsd_m: float
) -> tuple[Scene, random.Random]:
    """One image's scene, and the generator for all that is said and drawn of it."""
    scene = lay_out(kind, _number(release, seed, index), size, gsd_m)
    return scene, random.Random(_number(release, seed, index, "words"))


def _number(*names: str | int) -> int:
    """A seed that is the same in every process: Python's own hash of a string is not."""
    return zlib.crc32("/".join(map(str, names)).encode())


def _save(scene: Scene, rng: random.Random, path: Path) -> None:
    picture = draw(scene, rng.getrandbits(32))
    if path.suffix == ".tif":
        picture.save(path, compression="tiff_lzw", tiffinfo={317: 2})  # 317: predictor
    else:
        picture.save(path, quality=90)


def _new_folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
