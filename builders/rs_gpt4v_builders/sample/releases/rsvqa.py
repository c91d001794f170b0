"""What RSVQA-LR and RSVQA-HR share: tables of images, questions and answers, ids are positions."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rs_gpt4v_builders.sample.questions import Balance, Question

_DATE = 1579864752.933048  # when the real releases were made; one moment for all records


def tables(
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


def write_tables(
    folder: Path,
    every: str,
    prefix: str,
    tables: dict[str, list[dict[str, Any]]],
    splits: Sequence[str],
) -> None:
    """Each table whole, and a file a split in which what belongs to other splits is a stub."""
    for name, records in tables.items():
        _write_table(folder / f"{every}{name}.json", name, records)
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
