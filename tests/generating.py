"""Scenes, and a server that writes about them, for the tests of generation."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chat_server import Reply, broken, cut_off, refused, slow, too_many, truncated
from PIL import Image

from rs_gpt4v.object_classes import DIOR
from rs_gpt4v_generation.scene import Scene

_FIRST_WIDTH = 200
"""The width of a scene's image tells the scenes apart, as the facts state it."""


def scene(number: int, image: Path) -> Scene:
    """One to four ships in a row on the left, and a harbor on the right."""
    ships = [[10, 10 + 40 * place, 40, 30 + 40 * place] for place in range(ships_in(number))]
    boxes: list[Any] = [{"label": "ship", "points": points, "kind": "hbb"} for points in ships]
    boxes.append({"label": "harbor", "points": [140, 20, 190, 180], "kind": "hbb"})
    return Scene("dior", f"{number:05d}", "train", image, _FIRST_WIDTH + number, 200, boxes, DIOR)


def ships_in(number: int) -> int:
    return number % 4 + 1


def scenes(count: int, folder: Path) -> list[Scene]:
    image = folder / "scene.png"
    Image.new("RGB", (8, 8), "#2c5f7c").save(image)
    return [scene(number, image) for number in range(count)]


def number_of(body: dict[str, Any]) -> int:
    content = body["messages"][1]["content"]
    told = content if isinstance(content, str) else content[0]["text"]
    found = re.search(r"Image: (\d+) x", told)
    assert found
    return int(found[1]) - _FIRST_WIDTH


def dialogue(ships: int, side: str = "left") -> str:
    """A reply; it is right where it tells the scene's number of ships, and that they are left."""
    words = ("no ships", "one ship", "two ships", "three ships", "four ships", "five ships")
    turns = [
        ("How many ships can you see?", f"The image shows {words[ships]}."),
        ("On which side of the harbor is it calm?", f"A ship lies {side} of the harbor."),
    ]
    return json.dumps({"turns": [{"question": q, "answer": a} for q, a in turns]})


def right(body: dict[str, Any]) -> str:
    return dialogue(ships_in(number_of(body)))


def wrong_count(body: dict[str, Any]) -> str:
    return dialogue(ships_in(number_of(body)) + 1)


def wrong_side(body: dict[str, Any]) -> str:
    return dialogue(ships_in(number_of(body)), "to the right")


Fault = Callable[[dict[str, Any]], Reply | str]
LASTING: dict[str, Fault] = {
    "counts": wrong_count,
    "relations": wrong_side,
    "refused": lambda _: refused(),
    "truncated": lambda body: truncated(right(body)[:60]),
    "no JSON": lambda _: "I see some ships, and a harbor.",
}
"""By what comes of them: these are the same however often one asks."""
PASSING: dict[str, Fault] = {
    "slow": lambda body: slow(right(body), 0.2),
    "429": lambda _: too_many(),
    "500": lambda _: broken(),
    "disconnect": lambda _: cut_off(),
}
"""After one of these the same request is answered well."""
FAULTS = [*LASTING, *PASSING]


def fault_of(number: int) -> str | None:
    """Which fault a scene meets: every fifth one, in turn."""
    return FAULTS[number // 5 % len(FAULTS)] if number % 5 == 0 else None


class Faulty:
    """Answers by `fault_of`."""

    def __init__(self) -> None:
        self._met: set[int] = set()

    def __call__(self, body: dict[str, Any]) -> Reply | str:
        number = number_of(body)
        fault = fault_of(number) or ""
        if fault in LASTING:
            return LASTING[fault](body)
        if fault in PASSING and number not in self._met:
            self._met.add(number)
            return PASSING[fault](body)
        return right(body)
