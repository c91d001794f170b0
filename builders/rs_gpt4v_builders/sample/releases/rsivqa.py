"""Writes RSIVQA, and HRRSD and DOTA for it: its other images are those of three releases."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle
from pathlib import Path

from rs_gpt4v_builders.sample.files import (
    Picture,
    Splits,
    listed,
    mixed,
    new_folder,
    pictures_of,
    save,
)
from rs_gpt4v_builders.sample.releases import rsicd, sydney_captions, ucm_captions
from rs_gpt4v_builders.sample.scenes import Scene

HRRSD_SPLITS: Splits = {"train": 12, "val": 6, "test": 8}
DOTA_SPLITS: Splits = {"train": 5, "val": 3}
_HRRSD_CLASSES = (
    *("airplane", "ship", "storage tank", "tennis court", "basketball court", "baseball diamond"),
    *("parking lot", "vehicle"),
)
_DOTA_CLASSES = ("plane", "ship", "storage tank", "small vehicle")
# RSIVQA's word for a class -> the scene's, where they differ.
_CLASSES = {"baseball diamond": "baseball field", "plane": "airplane", "small vehicle": "vehicle"}
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


def write(root: Path, seed: int, scale: float) -> None:
    """``RSIVQA/`` with ``HRRSD/`` and ``DOTA/``."""
    ucm = list(ucm_captions.pictures(seed, scale))
    by_hand = [f"{p.name}:{line}" for p in ucm[2::_ASKED_BY_HAND] for line in _by_hand(p)]
    files = {
        "AID/rsicd_vqa.txt": _themes(rsicd.pictures(seed, scale)),
        "HRRSD/opt_val_vqa.txt": _hrrsd(root / "HRRSD", seed, scale),
        "Sydney/sydney_vqa.txt": _themes(sydney_captions.pictures(seed, scale)),
        "UCM/ucm_res.txt": by_hand,
        "UCM/ucm_vqa.txt": _themes(ucm),
    } | _dota(root / "DOTA", seed, scale)
    for file, lines in files.items():
        path = root / "RSIVQA" / file
        _write_lines(new_folder(path.parent) / path.name, lines)


def _hrrsd(folder: Path, seed: int, scale: float) -> list[str]:
    """HRRSD's 256 px JPEGs and split lists; the lines on all, those of one image twice."""
    images = new_folder(folder / "JPEGImages")
    lines: list[str] = []
    named: dict[str, list[str]] = {split: [] for split in HRRSD_SPLITS}
    shown = zip(cycle(_HRRSD_KINDS), mixed("hrrsd", seed, listed(HRRSD_SPLITS, scale)))
    pictures = pictures_of("hrrsd", seed, shown, 256, 0.5, lambda index, _: f"{index + 1:05d}")
    for name, split, scene, rng in pictures:
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
    shown = zip(cycle(_DOTA_KINDS), mixed("dota", seed, listed(DOTA_SPLITS, scale)))
    pictures = pictures_of("dota", seed, shown, 320, 0.5, lambda index, _: f"P{index:04d}")
    for name, split, scene, rng in pictures:
        save(scene, rng, new_folder(folder / split / "images") / f"{name}.png")
        lines[split] += [f"{name}: {line}" for line in _counted(scene, _DOTA_CLASSES)]
    return {f"DOTA/dota_{split}_vqa2.txt": own for split, own in lines.items()}


def _counted(scene: Scene, classes: Iterable[str]) -> Iterator[str]:
    """Presence and number of each class that is there, and one that is not."""
    for name in classes:
        if count := scene.count(_CLASSES.get(name, name)):
            yield f"how many {name}s are there in this picture?{count}"
            yield f"does this picture contain {name}?yes"
    absent = "bridge" if scene.count("ship") else "ship"
    yield f"does this picture contain {absent}?no"


def _themes(pictures: Iterable[Picture]) -> list[str]:
    return [f"{p.name}:what is the theme of this picture?{_theme(p.scene)}" for p in pictures]


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
