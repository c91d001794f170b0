"""Limits of places, relations and sizes: as in a mirrored image, and in images not square."""

import math
from typing import Any

import numpy as np
import pytest

from rs_gpt4v import spatial
from rs_gpt4v.box_codecs import CODECS, ParseFailure
from rs_gpt4v.boxes import Points, from_rotated
from rs_gpt4v.conversation import Message
from rs_gpt4v_generation.checks import check
from rs_gpt4v_generation.facts import fact_sheet, text

SWAPPED = {"left": "right", "right": "left", "left of": "right of", "right of": "left of"}
WIDTHS = (300, 333, 640, 700, 800, 1000, 4321)
HEIGHT = 250


def at(x: float, y: float, side: float = 10) -> Points:
    half = side / 2
    return x - half, y - half, x + half, y + half


def stored(points: Points) -> Points:
    """As in a table: 32 bits a number."""
    return tuple(np.array(points, np.float32).tolist())


def mirror(points: Points, width: int) -> Points:
    x_min, y_min, x_max, y_max = points
    return stored((width - x_max, y_min, width - x_min, y_max))


def turned(words: str) -> Any:
    return SWAPPED.get(words) or " ".join(SWAPPED.get(word, word) for word in words.split())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("share", "place", "expected"),
    [
        (0.58, "right", True),
        (0.42, "right", False),
        (0.7, "centre", True),
        (0.8, "centre", False),
    ],
)
def test_centre_at_a_limit(width: int, share: float, place: str, expected: bool) -> None:
    box = stored(at(share * width, HEIGHT / 2))
    size = (width, HEIGHT)
    assert spatial.lies(box, place, size) is expected
    assert spatial.lies(mirror(box, width), turned(place), size) is expected


@pytest.mark.parametrize("width", WIDTHS)
def test_box_that_ends_where_the_doubt_begins_is_surely_not_beyond(width: int) -> None:
    box = stored((0.42 * width, 0, 0.74 * width, 10))
    assert spatial.lies(box, "left", (width, HEIGHT)) is False
    assert spatial.lies(mirror(box, width), "right", (width, HEIGHT)) is False


@pytest.mark.parametrize("width", WIDTHS)
def test_centre_on_a_line_between_cells_counts_to_the_middle(width: int) -> None:
    for x in (width / 3, 2 * width / 3):
        box = stored(at(x, HEIGHT / 2))
        assert spatial.cell(box, (width, HEIGHT)) == "centre"
        assert spatial.cell(mirror(box, width), (width, HEIGHT)) == "centre"


@pytest.mark.parametrize("width", WIDTHS)
def test_two_boxes_at_a_limit(width: int) -> None:
    size = (width, HEIGHT)

    def judged(a: Points, b: Points, c: Points) -> list[Any]:
        a, b, c = stored(a), stored(b), stored(c)
        other = [mirror(points, width) for points in (a, b, c)]
        direct = spatial.holds(a, "left of", b, size), spatial.near(a, b, size)
        assert (spatial.holds(other[0], "right of", other[1], size), direct[1]) == direct
        assert spatial.near(other[0], other[1], size) is direct[1]
        between = spatial.between(c, a, b, size)
        assert spatial.between(other[2], other[0], other[1], size) is between
        return [*direct, between]

    x, y, shorter = 0.1 * width, HEIGHT / 2, min(width, HEIGHT)
    clear = at(x, y, 2), at(x + 0.05 * width, y, 2), at(x, y, 2)
    assert judged(*clear)[0] is True
    half_as_much = at(x, y, 2), at(x + 0.1 * width, y + 0.2 * HEIGHT, 2), at(x, y, 2)
    assert judged(*half_as_much)[0] is True
    assert judged(at(x, y), at(x + 10 + 0.1 * shorter, y), at(x, y))[1] is True
    assert judged(at(x, y), at(x + 10 + 0.35 * shorter, y), at(x, y))[1] is False
    # A foot at 20 % and at 80 % of the line, a quarter of its length aside.
    for foot in (0.2, 0.8):
        c = at(x + foot * 0.5 * width, y + 0.125 * HEIGHT)
        assert judged(at(x, y), at(x + 0.5 * width, y), c)[2] is True
    # A centre on the other box's edge: neither left nor right.
    assert judged(at(x, y, 0.2 * width), at(x + 0.1 * width, y, 2), at(x, y))[0] is None


@pytest.mark.parametrize("side", [30.1, 33.3, 70.7])
def test_boxes_that_only_touch_do_not_overlap(side: float) -> None:
    for x in (0.1, 33.3, 777.7):
        a, b = stored((x, 0, x + side, 9)), stored((x + side, 0, x + 2 * side, 9))
        assert not spatial.overlap(a, b)
        assert spatial.overlap(a, stored((x + side - 0.1, 0, x + 2 * side, 9)))


@pytest.mark.parametrize(("side", "expected"), [(32, "medium"), (96, "large")])
def test_size_at_a_limit_does_not_depend_on_the_angle(side: int, expected: str) -> None:
    for angle in range(1, 91):
        box: dict[str, Any] = {"label": "ship"}
        box["points"] = stored(from_rotated(400, 400, side, side, angle))
        assert fact_sheet([box], 800, 800).items[0].size == expected


def test_reply_just_five_percent_outside_is_clipped_on_either_side() -> None:
    codec = CODECS["qwen2_5_vl"]  # 812 x 588 steps in 800 x 600 px
    low, high = -0.05 * 812, 1.05 * 812
    for numbers in ((low, 10, 400, 90), (400, 10, high, 90), (10, low, 90, 70)):
        reply = "[{}, {}, {}, {}]".format(*numbers)
        is_read = not isinstance(codec.parse(reply, 800, 600), ParseFailure)
        assert is_read is (min(numbers[1::2]) > -0.06 * 588)


# --- Images that are not square -----------------------------------------------------------------

WIDE = (1000, 200)
TALL = (200, 1000)


def test_each_axis_is_measured_by_its_own_side() -> None:
    assert spatial.centre(at(500, 150), WIDE) == (0.5, 0.75)
    assert spatial.cell(at(500, 150), WIDE) == "bottom"
    assert spatial.lies(at(500, 150), "bottom", WIDE) is True
    assert spatial.cell(at(150, 500), TALL) == "right"
    assert spatial.lies(at(150, 500), "right", TALL) is True
    # 20 px are 10 % of the shorter side, and 2 % of the longer one.
    assert spatial.holds(at(500, 100), "above", at(500, 120), WIDE) is True
    assert spatial.holds(at(500, 100), "left of", at(520, 100), WIDE) is None
    assert spatial.holds(at(100, 500), "left of", at(120, 500), TALL) is True
    assert spatial.holds(at(100, 500), "above", at(100, 520), TALL) is None
    assert spatial.between(at(500, 100), at(100, 100), at(900, 100), WIDE) is True
    assert spatial.between(at(500, 190), at(100, 100), at(900, 100), WIDE) is False


@pytest.mark.parametrize("size", [WIDE, TALL])
def test_near_is_told_by_the_shorter_side(size: spatial.Size) -> None:
    gaps = {
        gap: spatial.near((0, 0, 10, 10), (10 + gap, 0, 20 + gap, 10), size) for gap in (20, 70)
    }
    assert gaps == {20: True, 70: False}
    assert spatial.near((0, 0, 10, 10), (40, 0, 50, 10), size) is None


def test_sheet_and_checks_of_an_image_that_is_not_square() -> None:
    boxes: list[Any] = [
        {"label": "ship", "points": at(100, 170)},
        {"label": "dam", "points": at(900, 30)},
    ]
    sheet = fact_sheet(boxes, *WIDE)
    assert [item.place for item in sheet.items] == ["top right", "bottom left"]
    assert math.isclose(sheet.items[0].share, 100 / 200_000)
    assert "- dam 1: box (895,25) (905,35), 10 x 10 px, 0.05% of the image" in text(sheet)

    def results(answer: str) -> list[str]:
        messages: list[Message] = [
            {"role": "user", "content": "Where are they?"},
            {"role": "assistant", "content": answer},
        ]
        verdicts = check(messages, sheet)
        return [v.result for v in verdicts if v.check in ("places", "relations")]

    assert results("The ship is at the bottom of the image.") == ["pass"]
    assert results("The ship is at the top of the image.") == ["fail"]
    assert results("The ship is below the dam.") == ["pass"]
    assert results("The ship is near the dam.") == ["fail"]
