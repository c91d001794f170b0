"""Writes RS-GPT4V-Instruct: a dialogue and a description of each image of DIOR-RSVG.

Nobody could fetch the release: its file names are those that the reader documents.
"""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rs_gpt4v_builders.sample.captions import plural
from rs_gpt4v_builders.sample.files import new_folder, number
from rs_gpt4v_builders.sample.releases.dior_rsvg import CLASSES, PLACES, dior_pictures, phrases
from rs_gpt4v_builders.sample.scenes import Scene

_SCENES = {
    "airport": "an airport",
    "harbor": "a harbor",
    "storage tanks": "an area with storage tanks",
    "sports": "a sports ground",
    "intersection": "an intersection of two roads",
    "commercial": "a commercial area",
}
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def write(root: Path, seed: int, scale: float) -> None:
    """``RS_GPT4V_Instruct/``.

    A dialogue opens with the other side's greeting, another has no id, and the image's mark
    stands before the first question or behind it.
    """
    dialogues: dict[str, list[dict[str, Any]]] = {}
    for index, picture in enumerate(dior_pictures(seed, scale)):
        rng = random.Random(number("rs_gpt4v_instruct", seed, index))
        turns = dialogue(picture.scene, rng)
        talk = _item(picture.name, "conversation", turns, mark_first=index % 3 != 1)
        if index % 4 == 1:
            greeting = {"from": "gpt", "value": "What would you like to know about the image?"}
            talk["conversations"].insert(0, greeting)
        asked = rng.choice(_DESCRIBE)
        detail = _item(picture.name, "detail", [(asked, description(picture.scene))])
        if index % 4 == 2:
            del detail["id"]
        dialogues.setdefault(f"conversation_{picture.split}", []).append(talk)
        dialogues.setdefault(f"detail_{picture.split}", []).append(detail)
    folder = new_folder(root / "RS_GPT4V_Instruct")
    for name, items in dialogues.items():
        (folder / f"{name}.json").write_text(json.dumps(items, indent=2), encoding="utf-8")


def _item(
    image: str, kind: str, turns: Sequence[tuple[str, str]], *, mark_first: bool = True
) -> dict[str, Any]:
    said = [
        {"from": speaker, "value": words}
        for turn in turns
        for speaker, words in zip(("human", "gpt"), turn, strict=True)
    ]
    opening = said[0]["value"]
    said[0]["value"] = f"<image>\n{opening}" if mark_first else f"{opening}\n<image>"
    name = Path(image).stem
    return {"id": f"{name}_{kind}", "image": image, "conversations": said}


_DESCRIBE = (
    "Describe this remote sensing image in detail.",
    "Give a detailed description of the image.",
    "What can be seen in this aerial image? Describe it thoroughly.",
)


def dialogue(scene: Scene, rng: random.Random) -> list[tuple[str, str]]:
    """Two to four questions with their answers, from the whole to the parts."""
    turns = [("What does this image show?", f"The image shows {_SCENES[scene.kind]}.")]
    turns += [turn for name in CLASSES if scene.count(name) for turn in _asked(scene, name)]
    trees = f"Yes, there are {'many' if len(scene.trees) > 30 else 'some'} trees in the image."
    few = "Only one tree can be seen." if scene.trees else "No, there are no trees in the image."
    turns.append(("Are there any trees?", trees if len(scene.trees) > 1 else few))
    chosen = sorted(rng.sample(range(1, len(turns)), min(rng.randint(1, 3), len(turns) - 1)))
    return [turns[0], *(turns[index] for index in chosen)]


def _asked(scene: Scene, name: str) -> Iterator[tuple[str, str]]:
    words = plural(name)
    counted = _counted(scene, name)
    yield f"How many {words} are there?", f"There {counted} in the image."
    if color := scene.color_of(name):
        one = scene.count(name) == 1
        yield (
            f"What is the color of the {_noun(name, scene.count(name))}?",
            f"{'It is' if one else 'They are all'} {color}.",
        )


def description(scene: Scene) -> str:
    """Several sentences, each true: the place, what is counted and where, trees and ground."""
    said = [f"This remote sensing image shows {_SCENES[scene.kind]}."]
    for name in CLASSES:
        if scene.count(name):
            said.append(f"There {_counted(scene, name)}.")
            placed = _placed(scene, name)
            said += [f"{placed}."] if placed else []
    if len(scene.trees) > 1:
        said.append(f"{'Many' if len(scene.trees) > 30 else 'Some'} trees grow around.")
    return " ".join([*said, f"The open ground is {scene.ground}."])


def _placed(scene: Scene, name: str) -> str:
    """The first thing of a class that a place alone tells from the others, and that place."""
    start = f"The {name} "
    for thing in scene.named(name):
        for phrase in phrases(thing, scene):
            place = phrase.removeprefix(start)
            if place in PLACES:
                verb = f"{start}is" if scene.count(name) == 1 else "One of them is"
                return f"{verb} {place} of the image"
    return ""


def _counted(scene: Scene, name: str) -> str:
    """With its verb: "are three white ships"."""
    count, color = scene.count(name), scene.color_of(name)
    amount = _NUMBERS[count] if count < len(_NUMBERS) else str(count)
    words = [amount, *([color] if color else []), _noun(name, count)]
    return f"{'is' if count == 1 else 'are'} {' '.join(words)}"


def _noun(name: str, count: int) -> str:
    return name if count == 1 else plural(name)
