"""Scenes to learn from: pictures of procedural scenes, and all that can be asked of each.

The seeds contain "embedded_model", which no release of the sample has in its own, so that no scene
of the sample is among these.
"""

import json
import os
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from tqdm import tqdm

from rs_gpt4v.files import replacing
from rs_gpt4v_builders.sample.captions import sentences
from rs_gpt4v_builders.sample.draw import draw
from rs_gpt4v_builders.sample.files import number
from rs_gpt4v_builders.sample.layouts import KINDS, lay_out
from rs_gpt4v_builders.sample.questions import AREA_CLASSES, HR_CLASSES, related
from rs_gpt4v_builders.sample.releases.dior_rsvg import CLASSES, phrases
from rs_gpt4v_builders.sample.releases.rs_gpt4v_instruct import description, dialogue
from rs_gpt4v_builders.sample.scenes import Scene

IMAGE_SIZE = 160
"""Side of the square that the model sees, px."""
GRID = 10
"""Cells along a side: one image token each."""
SEEN = (
    *("residential building", "commercial building", "vehicle", "swimming pool", "road"),
    *("parking lot", "farmland", "forest", "water area", "pier", "ship", "runway", "airplane"),
    *("storage tank", "tennis court", "basketball court", "baseball field", "path"),
)
"""The classes that the vision tower is taught to find."""

_KINDS = (
    *KINDS,
    "landscape",
    "landscape",
    "landscape",
    "airport",
    "harbor",
    "sports",
    "commercial",
)
# Sides of the drawings, px. The sample has 256 and more; small ones are quick to draw.
_SIZES = (160, 256, 160, 256, 512)
_SHARD = 500
_FINE = 4  # points along a cell's side that decide how much of it a class covers


def shards(folder: Path, first: int, count: int, processes: int) -> list[Path]:
    """Draw scenes ``first`` to ``first + count`` into ``folder``, if they are not there yet."""
    starts = range(first, first + count, _SHARD)
    paths = [folder / f"scenes-{start:07d}.npz" for start in starts]
    missing = [(s, p) for s, p in zip(starts, paths, strict=True) if not p.is_file()]
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(processes) as pool:
        jobs = pool.map(partial(_write_shard, last=first + count), *zip(*missing, strict=True))
        for _ in tqdm(jobs if missing else (), "Drawing scenes", total=len(missing), unit="shard"):
            pass
    return paths


def _write_shard(start: int, path: Path, *, last: int) -> None:
    scenes = [_scene(index) for index in range(start, min(start + _SHARD, last))]
    facts = [json.dumps(_facts(scene)) for scene, _ in scenes]
    grids = [_grids(scene) for scene, _ in scenes]
    arrays = {
        "pixels": np.stack([pixels for _, pixels in scenes]),
        "centres": np.stack([grid[0] for grid in grids]),
        "covered": np.stack([grid[1] for grid in grids]),
        "boxes": np.stack([grid[2] for grid in grids]),
        "facts": np.array("\n".join(facts)),
    }
    with replacing(path) as file:
        np.savez(file, **arrays)


def scene_seed(index: int) -> int:
    """The seed of scene ``index``."""
    return number("embedded_model", index)


def _scene(index: int) -> tuple[Scene, NDArray[np.uint8]]:
    kind, size = _KINDS[index % len(_KINDS)], _SIZES[index // len(_KINDS) % len(_SIZES)]
    # The sample's RSVQA-HR, whose areas are asked for, has 512 px of 0.1524 m.
    scene = lay_out(kind, scene_seed(index), size, 512 * 0.1524 / size)
    picture = draw(scene, number("embedded_model", index, "picture"))
    resized = picture.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)
    return scene, np.asarray(resized)


def _facts(scene: Scene) -> dict[str, Any]:
    """What `questions.ask` can ask of a scene; boxes are shares of the side."""
    rng = random.Random(len(scene.things))
    found = [
        (list(phrases(thing, scene)), [min(max(c / scene.size, 0), 1) for c in thing.box])
        for thing in scene.things
        if thing.name in CLASSES
    ]
    talks = scene.kind in _TALKED_OF
    return {
        "counts": {name: scene.count(name) for name in dict.fromkeys((*HR_CLASSES, *SEEN))},
        "colors": {name: scene.color_of(name) for name in SEEN},
        "urban": scene.is_urban,
        "areas": {name: round(scene.area_m2(name)) for name in AREA_CLASSES},
        "related": list(related(scene, HR_CLASSES)),
        "captions": [] if scene.kind == "landscape" else sentences(scene),
        "found": [(words, box) for words, box in found if words],
        "turns": dialogue(scene, rng) if talks else [],
        "description": description(scene) if talks else "",
    }


_TALKED_OF = ("airport", "harbor", "storage tanks", "sports", "intersection", "commercial")


def _grids(scene: Scene) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """For each class and cell: does a thing's centre lie in it, how much of it is covered.

    And for each cell the box of the thing whose centre it holds: the centre's place in the cell
    and the box's sides, all in cells; NaN where there is none. Shapes (18, 10, 10) twice, and
    (4, 10, 10).
    """
    centres = np.zeros((len(SEEN), GRID, GRID), np.uint8)
    boxes = np.full((4, GRID, GRID), np.nan, np.float16)
    cell = scene.size / GRID
    masks = {name: Image.new("L", (GRID * _FINE, GRID * _FINE)) for name in SEEN}
    for thing in scene.things:
        if thing.name not in masks:
            continue
        x0, y0, x1, y1 = (min(max(value / cell, 0), GRID) for value in thing.box)
        x, y = min((x0 + x1) / 2, GRID - 0.01), min((y0 + y1) / 2, GRID - 0.01)
        centres[SEEN.index(thing.name), int(y), int(x)] = 1
        boxes[:, int(y), int(x)] = x % 1, y % 1, x1 - x0, y1 - y0
        outline = [(px / cell * _FINE - 0.5, py / cell * _FINE - 0.5) for px, py in thing.footprint]
        ImageDraw.Draw(masks[thing.name]).polygon(outline, fill=1)
    fine = np.stack([np.asarray(masks[name], np.float32) for name in SEEN])
    covered = fine.reshape(len(SEEN), GRID, _FINE, GRID, _FINE).mean((2, 4))
    return centres, covered.astype(np.float16), boxes


class Scenes:
    """Drawn scenes in memory: item i is pixels (160, 160, 3), grids and facts."""

    def __init__(self, paths: Sequence[Path]) -> None:
        loaded = [np.load(path) for path in paths]
        self.pixels = np.concatenate([shard["pixels"] for shard in loaded])
        self.grids = {
            name: np.concatenate([shard[name] for shard in loaded])
            for name in ("centres", "covered", "boxes")
        }
        self.lines = [line for shard in loaded for line in str(shard["facts"]).splitlines()]

    def __len__(self) -> int:
        return len(self.lines)

    def facts(self, index: int) -> dict[str, Any]:
        """What can be asked of scene ``index``."""
        return json.loads(self.lines[index])


def processes() -> int:
    """How many drawings at a time: one a core."""
    return os.cpu_count() or 1


def all_facts(scenes: Scenes) -> Iterator[dict[str, Any]]:
    """The facts of every scene, in order."""
    return map(scenes.facts, range(len(scenes)))
