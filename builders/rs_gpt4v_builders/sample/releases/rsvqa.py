"""Writes what RSVQA-LR and RSVQA-HR share: tables of images, questions and answers."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

from rs_gpt4v_builders.sample.files import Picture, new_folder, save
from rs_gpt4v_builders.sample.questions import Balance, Question
from rs_gpt4v_builders.sample.scenes import Scene

_DATE = 1579864752.933048  # when the real releases were made; one moment for all records


def write_release(
    images: Path,
    pictures: Iterable[Picture],
    questions: Callable[[Scene, Balance, Random], list[Question]],
    *,
    prefixes: tuple[str, str],
    sensor: str,
    resolution: str,
) -> None:
    """Draw the pictures and write the tables beside their folder; ids are positions.

    Each table is written whole, and once a split, with a stub for what belongs to other splits:
    ``prefixes`` are how the names of the one and the others begin.
    """
    new_folder(images)
    balances: dict[str, Balance] = defaultdict(Balance)
    tables: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for index, picture in enumerate(pictures):
        save(picture.scene, picture.rng, images / picture.name)
        asked = questions(picture.scene, balances[picture.split], picture.rng)
        numbered = list(enumerate(asked, len(tables["questions"])))
        records = {
            "images": [_image(index, sensor, resolution, [number for number, _ in numbered])],
            "questions": [_question(number, index, question) for number, question in numbered],
            "answers": [_answer(number, question) for number, question in numbered],
        }
        for name, of_image in records.items():
            tables[name] += [(picture.split, record) for record in of_image]
    whole, of_split = prefixes
    for name, table in tables.items():
        _write(images.parent / f"{whole}{name}.json", name, [record for _, record in table])
        for split in balances:
            last = max(n for n, (other, _) in enumerate(table) if other == split)
            end = len(table) if name == "images" else last + 1
            stubbed = [
                record if other == split else {"id": record["id"], "active": False}
                for other, record in table[:end]
            ]
            _write(images.parent / f"{of_split}_{split}_{name}.json", name, stubbed)


def _image(index: int, sensor: str, resolution: str, ids: list[int]) -> dict[str, Any]:
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


def _question(number: int, image: int, question: Question) -> dict[str, Any]:
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


def _answer(number: int, question: Question) -> dict[str, Any]:
    return {
        "id": number,
        "date_added": _DATE,
        "question_id": number,
        "people_id": 0,
        "answer": question.answer,
        "active": True,
    }


def _write(path: Path, name: str, records: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps({name: records}), encoding="utf-8")
