"""Writes FloodNet and RSIVQA, with HRRSD's and DOTA's images, as they lie on disk.

Numbers of images and questions are small; names, wording and quirks are the releases' own.
"""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rs_gpt4v_builders.sample.files import (
    Picture,
    Splits,
    listed,
    make_scene,
    mixed,
    new_folder,
    save,
)
from rs_gpt4v_builders.sample.plan import SIDE, lake, river
from rs_gpt4v_builders.sample.releases.nwpu_captions import sydney_pictures
from rs_gpt4v_builders.sample.releases.rsvqa import rsicd_pictures, ucm_pictures
from rs_gpt4v_builders.sample.scenes import Point, Scene, Thing, contains

FLOODNET_SPLITS: Splits = {"Train": 26, "Valid": 2, "Test": 2}
HRRSD_SPLITS: Splits = {"train": 12, "val": 6, "test": 8}
DOTA_SPLITS: Splits = {"train": 5, "val": 3}

# The challenge's question files; only the first has answers.
_FLOODNET_FILES = {
    "Train": "Training Question.json",
    "Valid": "Valid Question.json",
    "Test": "Test_Question.json",
}
_FLOODNET_KINDS = ("residential", "commercial", "residential", "intersection")
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

# RSIVQA's word for a class -> the scene's.
_HRRSD_CLASSES = {
    "airplane": "airplane",
    "ship": "ship",
    "storage tank": "storage tank",
    "tennis court": "tennis court",
    "basketball court": "basketball court",
    "baseball diamond": "baseball field",
    "parking lot": "parking lot",
    "vehicle": "vehicle",
}
_DOTA_CLASSES = {
    "plane": "airplane",
    "ship": "ship",
    "storage tank": "storage tank",
    "small vehicle": "vehicle",
}
_HRRSD_KINDS = ("airport", "harbor", "storage tanks", "sports", "commercial")
_DOTA_KINDS = ("airport", "harbor", "storage tanks")
_THEMES = {
    "residential": "medium residential",
    "commercial": "buildings",
    "storage tanks": "storage tanks",
}
_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
)
_ASKED_BY_HAND = 4  # every fourth image of UCM-Captions, as in the release


def floodnet(root: Path, seed: int, scale: float) -> None:
    """``FloodNet/``: 512 px JPEGs named .JPG, half of them of flooded places."""
    asked: dict[str, list[dict[str, Any]]] = {split: [] for split in FLOODNET_SPLITS}
    splits = mixed("floodnet", seed, listed(FLOODNET_SPLITS, scale))
    for index, split in enumerate(splits):
        kind = _FLOODNET_KINDS[index % len(_FLOODNET_KINDS)]
        dry, rng = make_scene("floodnet", seed, index, kind, 512, 0.1)
        flood = _flood(dry, rng) if index // len(_FLOODNET_KINDS) % 2 == 0 else None
        scene = replace(dry, things=(*dry.things, flood)) if flood else dry
        name = f"{_FIRST_IMAGE + 7 * index}.JPG"
        save(scene, rng, new_folder(root / "FloodNet" / "Images" / f"{split}_Image") / name)
        asked[split] += [{"Image_ID": name, **q} for q in _floodnet_questions(dry, flood, rng)]
    folder = new_folder(root / "FloodNet" / "Questions")
    for split, file in _FLOODNET_FILES.items():
        questions = sorted(asked[split], key=lambda question: question["Question"] != _OVERALL)
        if split != "Train":
            questions = [{k: q[k] for k in q if k != "Ground_Truth"} for q in questions]
        numbered = {str(n): question for n, question in enumerate(questions)}
        (folder / file).write_text(json.dumps(numbered, indent=4), encoding="utf-8")


def _flood(scene: Scene, rng: random.Random) -> Thing:
    """Water over part of the place, or along the whole of its one road."""
    roads = scene.named("road")
    if len(roads) == 1 and rng.random() < 0.4:
        points = _along(roads[0], scene.size, rng)
    else:
        points = lake(rng, (rng.uniform(60, 196), rng.uniform(60, 196)), rng.uniform(60, 85))
    factor = scene.size / SIDE
    outline = tuple((x * factor, y * factor) for x, y in points)
    xs, ys = zip(*outline, strict=True)
    center = ((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2)
    extent = (max(xs) - min(xs), max(ys) - min(ys))
    return Thing("water area", "green", center, *extent, 0.0, "polygon", outline)


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


def _floodnet_questions(
    scene: Scene, flood: Thing | None, rng: random.Random
) -> Iterator[dict[str, Any]]:
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


def rsivqa(root: Path, seed: int, scale: float) -> None:
    """``RSIVQA/`` with ``HRRSD/`` and ``DOTA/``; its other images are those of three releases."""
    rsicd = [f"{picture.name}:{_theme_line(picture)}" for picture in rsicd_pictures(seed, scale)]
    sydney = [f"{picture.name}:{_theme_line(picture)}" for picture in sydney_pictures(seed, scale)]
    ucm = list(ucm_pictures(seed, scale))
    by_hand = [f"{p.name}:{line}" for p in ucm[::_ASKED_BY_HAND] for line in _by_hand(p)]
    files = {
        "AID/rsicd_vqa.txt": rsicd,
        "HRRSD/opt_val_vqa.txt": _hrrsd(root / "HRRSD", seed, scale),
        "Sydney/sydney_vqa.txt": sydney,
        "UCM/ucm_res.txt": by_hand,
        "UCM/ucm_vqa.txt": [f"{picture.name}:{_theme_line(picture)}" for picture in ucm],
    } | _dota(root / "DOTA", seed, scale)
    for file, lines in files.items():
        path = root / "RSIVQA" / file
        _write_lines(new_folder(path.parent) / path.name, lines)


def _hrrsd(folder: Path, seed: int, scale: float) -> list[str]:
    """HRRSD's 256 px JPEGs and split lists; the lines on all, those of one image twice."""
    images = new_folder(folder / "JPEGImages")
    lines: list[str] = []
    named: dict[str, list[str]] = {split: [] for split in HRRSD_SPLITS}
    for index, split in enumerate(mixed("hrrsd", seed, listed(HRRSD_SPLITS, scale))):
        kind = _HRRSD_KINDS[index % len(_HRRSD_KINDS)]
        scene, rng = make_scene("hrrsd", seed, index, kind, 256, 0.5)
        name = f"{index + 1:05d}"
        save(scene, rng, images / f"{name}.jpg")
        own = [f"{name}: {line}" for line in _counted(scene, _HRRSD_CLASSES)]
        lines += own if named[split] or split != "train" else own * 2
        named[split].append(name)
    named["trainval"] = sorted(named["train"] + named["val"])
    for split, names in named.items():
        _write_lines(new_folder(folder / "ImageSets" / "Main") / f"{split}.txt", names)
    return lines


def _dota(folder: Path, seed: int, scale: float) -> dict[str, list[str]]:
    """DOTA's PNGs of 320 px, and the lines on them, a file for each split."""
    lines: dict[str, list[str]] = {split: [] for split in DOTA_SPLITS}
    for index, split in enumerate(mixed("dota", seed, listed(DOTA_SPLITS, scale))):
        kind = _DOTA_KINDS[index % len(_DOTA_KINDS)]
        scene, rng = make_scene("dota", seed, index, kind, 320, 0.5)
        save(scene, rng, new_folder(folder / split / "images") / f"P{index:04d}.png")
        lines[split] += [f"P{index:04d}: {line}" for line in _counted(scene, _DOTA_CLASSES)]
    return {f"DOTA/dota_{split}_vqa2.txt": own for split, own in lines.items()}


def _counted(scene: Scene, classes: dict[str, str]) -> Iterator[str]:
    """Presence and number of each class that is there, and one that is not."""
    for name, ours in classes.items():
        if scene.count(ours):
            yield f"how many {name}s are there in this picture?{scene.count(ours)}"
            yield f"does this picture contain {name}?yes"
    absent = "bridge" if scene.count("ship") else "ship"
    yield f"does this picture contain {absent}?no"


def _theme_line(picture: Picture) -> str:
    return f"what is the theme of this picture?{_theme(picture.scene)}"


def _theme(scene: Scene) -> str:
    """The class of the picture, in a word or two."""
    if scene.kind == "water":
        return "lake" if "lake" in scene.tags else "river"
    if scene.kind == "sports":
        return next(t.name for t in scene.things if t.name.endswith(("court", "field")))
    return _THEMES.get(scene.kind, scene.kind)


def _by_hand(picture: Picture) -> Iterator[str]:
    """What people asked of an image of UCM-Captions: typing errors, a noun left out, spaces."""
    scene = picture.scene
    yield f"What is the theme of this picture?{_theme(scene).replace('harbor', 'harobr')}"
    yield f"Does this picture contain an airplane?{'yes' if scene.count('airplane') else 'no'}"
    yield f"Does this picture contain trees?{'yes' if scene.trees else 'no'}"
    noun, thing = picture.rng.choice(
        (("cars", "vehicle"), ("", "vehicle"), ("buildings", "building"))
    )
    count = scene.count(thing)
    yield f"How many {noun} in the picture?{_NUMBERS.split()[count]}"
    half = scene.size / 2
    if len({(tree.x < half, tree.y < half) for tree in scene.trees}) == 4:
        yield "What is the location of the trees in this picture?everywhere "


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
