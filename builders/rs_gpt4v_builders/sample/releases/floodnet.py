"""Writes FloodNet: 512 px JPEGs named .JPG, half of them of flooded places."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

from rs_gpt4v_builders.sample.files import Splits, listed, mixed, new_folder, pictures_of, save
from rs_gpt4v_builders.sample.plan import SIDE, lake, river
from rs_gpt4v_builders.sample.scenes import Point, Scene, Thing, contains, outlined

SPLITS: Splits = {"Train": 26, "Valid": 2, "Test": 2}

# The challenge's question files; only the first has answers.
_FILES = {
    "Train": "Training Question.json",
    "Valid": "Valid Question.json",
    "Test": "Test_Question.json",
}
_KINDS = ("residential", "commercial", "residential", "intersection")
_FIRST_IMAGE = 6279
_OVERALL = "What is the overall condition of the given image?"  # these come first in the file
_ROAD_CONDITION = (
    "What is the condition of road?",
    "What is the condition of the road in this image?",
)
_BUILDINGS = (
    "How many buildings can be seen in this image?",
    "How many buildings are in this image?",
    "How many buildings can be seen in the image?",
    "How many buildings are in the image?",
)
_SOME_BUILDINGS = (
    "How many buildings are {}?",
    "How many {} buildings can be seen in this image?",
    "How many buildings are {} in this image?",
)


def write(root: Path, seed: int, scale: float) -> None:
    """``FloodNet/``."""
    asked: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    shown = zip(cycle(_KINDS), mixed("floodnet", seed, listed(SPLITS, scale)))
    pictures = pictures_of("floodnet", seed, shown, 512, 0.1, _name)
    for index, (name, split, dry, rng) in enumerate(pictures):
        flood = _flood(dry, rng) if index // len(_KINDS) % 2 == 0 else None
        scene = replace(dry, things=(*dry.things, flood)) if flood else dry
        save(scene, rng, new_folder(root / "FloodNet" / "Images" / f"{split}_Image") / name)
        asked[split] += [{"Image_ID": name, **q} for q in _questions(dry, flood, rng)]
    folder = new_folder(root / "FloodNet" / "Questions")
    for split, file in _FILES.items():
        questions = sorted(asked[split], key=lambda question: question["Question"] != _OVERALL)
        if split != "Train":
            questions = [{k: q[k] for k in q if k != "Ground_Truth"} for q in questions]
        numbered = {str(n): question for n, question in enumerate(questions)}
        (folder / file).write_text(json.dumps(numbered, indent=4), encoding="utf-8")


def _name(index: int, _: str) -> str:
    return f"{_FIRST_IMAGE + 7 * index}.JPG"


def _flood(scene: Scene, rng: random.Random) -> Thing:
    """Water over part of the place, or along the whole of its one road."""
    roads = scene.named("road")
    if len(roads) == 1 and rng.random() < 0.4:
        points = _along(roads[0], scene.size, rng)
    else:
        points = lake(rng, (rng.uniform(60, 196), rng.uniform(60, 196)), rng.uniform(60, 85))
    factor = scene.size / SIDE
    return outlined("water area", "green", [(x * factor, y * factor) for x, y in points])


def _along(road: Thing, size: int, rng: random.Random) -> list[Point]:
    """A band that covers a road from border to border, in units of 1/256 of the picture."""
    x0, y0, x1, y1 = (c * SIDE / size for c in road.box)
    upright = y1 - y0 > x1 - x0
    middle = (x0 + x1) / 2 if upright else (y0 + y1) / 2
    band = river(rng, middle, 100)
    # The band must leave the picture, so that its ends cover those of the road.
    ends = [(-8.0 if x <= 0 else SIDE + 8 if x >= SIDE else x, y) for x, y in band]
    return [(y, x) for x, y in ends] if upright else ends


def _wet(thing: Thing, flood: Thing | None) -> list[bool]:
    """For 9 x 9 points of a thing, whether they lie under water."""
    steps = [n / 8.5 - 8 / 17 for n in range(9)]
    points = [thing.at(u, v) for u in steps for v in steps]
    return [flood is not None and contains(flood.outline, *point) for point in points]


def _questions(scene: Scene, flood: Thing | None, rng: random.Random) -> Iterator[dict[str, Any]]:
    """Some five questions: on the whole, on the roads, and on the buildings."""
    yield _asked(_OVERALL, "flooded" if flood else "non flooded", "Condition_Recognition")
    wet = [point for road in scene.named("road") for point in _wet(road, flood)]
    seen = [("flooded", any(wet)), ("non flooded", not all(wet))]
    condition = ",".join(state for state, there in seen if there)
    yield _asked(rng.choice(_ROAD_CONDITION), condition, "Condition_Recognition")
    state, holds = rng.choice((("flooded", all(wet)), ("non flooded", not any(wet))))
    yield _asked(f"Is the entire road {state}?", "Yes" if holds else "No", "Yes_No")
    yield from _building_questions(scene, flood, rng)


def _building_questions(
    scene: Scene, flood: Thing | None, rng: random.Random
) -> Iterator[dict[str, Any]]:
    """A building is flooded where any part of it stands in water."""
    wet = [any(_wet(building, flood)) for building in scene.named("building")]
    yield _asked(rng.choice(_BUILDINGS), len(wet), "Simple_Counting")
    state, count = rng.choice((("flooded", sum(wet)), ("non flooded", len(wet) - sum(wet))))
    if count:  # the release counts none where there is none
        yield _asked(rng.choice(_SOME_BUILDINGS).format(state), count, "Complex_Counting")


def _asked(question: str, answer: str | int, kind: str) -> dict[str, Any]:
    return {"Question": question, "Ground_Truth": answer, "Question_Type": kind}
