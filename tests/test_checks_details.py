"""Fact checks of places and numbers at their plainest, and on images that are not square."""

from typing import Any

import pytest

from rs_gpt4v import spatial
from rs_gpt4v.conversation import Message
from rs_gpt4v_generation.checks import check
from rs_gpt4v_generation.facts import FactSheet, fact_sheet


def sheet(*centres: tuple[int, int], size: tuple[int, int] = (1000, 400)) -> FactSheet:
    """Ships of 20 px around these centres."""
    boxes: list[Any] = [
        {"label": "ship", "points": [x - 10, y - 10, x + 10, y + 10]} for x, y in centres
    ]
    return fact_sheet(boxes, *size)


def told(name: str, about: FactSheet, *turns: tuple[str, str]) -> list[str]:
    messages: list[Message] = []
    for question, answer in turns:
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": answer})
    return [verdict.result for verdict in check(messages, about) if verdict.check == name]


def test_a_gap_is_measured_along_the_straight_line() -> None:
    assert spatial.gap((0, 0, 1, 1), (4, 5, 6, 7)) == 5
    assert spatial.near((0, 0, 10, 10), (37, 46, 50, 60), (1000, 450)) is True  # 45 px
    assert spatial.near((0, 0, 10, 10), (42, 46, 60, 60), (1000, 450)) is None  # 48 px


@pytest.mark.parametrize(
    ("box", "left", "right"),
    [
        ((600, 0, 700, 10), False, True),
        ((410, 0, 900, 10), None, True),  # its centre is right, and it reaches over the middle
        ((100, 0, 590, 10), True, None),
        ((450, 0, 560, 10), None, None),
    ],
)
def test_what_reaches_over_the_middle_is_not_surely_off_a_side(
    box: tuple[float, ...], left: bool | None, right: bool | None
) -> None:
    assert spatial.lies(box, "left", (1000, 400)) is left
    assert spatial.lies(box, "right", (1000, 400)) is right
    turned = (box[1], box[0], box[3], box[2])
    assert spatial.lies(turned, "top", (400, 1000)) is left
    assert spatial.lies(turned, "bottom", (400, 1000)) is right


def test_all_of_a_number_do_not_contradict_it() -> None:
    about = sheet((100, 100), (200, 100), (300, 100))
    first = ("How many ships can you see?", "There are three ships.")
    assert told("contradictions", about, first, ("And big ones?", "I see three large ships.")) in (
        [],
        ["pass"],
    )
    more = told("contradictions", about, first, ("And big ones?", "I see four large ships."))
    assert more == ["fail"]


def test_a_bound_on_some_of_them_is_not_refuted_by_all() -> None:
    about = sheet((100, 100), (200, 100), (300, 100))
    question = "What does the image show?"
    assert told("counts", about, (question, "There are at most two ships.")) == ["fail"]
    assert told("counts", about, (question, "There are at most two white ships.")) == [
        "cannot tell"
    ]


def test_an_object_is_not_compared_with_itself() -> None:
    far = sheet((50, 50), (950, 350))
    close = sheet((50, 50), (75, 50))
    said = ("What does the image show?", "A ship is near another ship.")
    assert told("relations", close, said) == ["pass"]
    assert told("relations", far, said) == ["fail"]
