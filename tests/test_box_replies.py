"""What real models reply when asked for a box: read right, or refused with a reason."""

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs_gpt4v.box_codecs import CODECS, ParseFailure
from rs_gpt4v.boxes import is_degenerate, to_hbb

WIDTH, HEIGHT = 800, 600
SHIP = (80.0, 150.0, 240.0, 300.0)  # 0.1, 0.25, 0.3, 0.5 of the sides
TOP = (0.0, 0.0, 80.0, 60.0)

BARE = [
    ("llava", "[0.1, 0.25, 0.3, 0.5]"),
    ("llava", "[0.1,0.25,0.3,0.5]"),
    ("llava", "0.1 0.25 0.3 0.5"),
    ("llava", "0.1, 0.25, 0.3, 0.5."),
    ("llava", "[.1, .25, .3, .5]"),
    ("llava", "[+0.1; 0.25; 0.3; 0.5]"),
    ("llava", "[1e-1, 2.5E-1, 3e-1, 5e-1]"),
    ("llava", "[0.1, 0.25, 0.3, 0.5"),
    ("llava", "0.1, 0.25, 0.3, 0.5]"),
    ("llava", "[0.1, 0.25, 0.3, 0.5, ]"),
    ("llava", "[[0.1, 0.25, 0.3, 0.5]]"),
    ("llava", "[[[0.1, 0.25], [0.3, 0.5]]]"),
    ("llava", "(0.1, 0.25), (0.3, 0.5)"),
    ("llava", "((0.1, 0.25), (0.3, 0.5))"),
    ("llava", "(0.1, 0.25, 0.3, 0.5)"),
    ("llava", "0.1\n0.25\n0.3\n0.5"),
    ("norm1000", "[\n  100,\n  250,\n  300,\n  500\n]"),
    ("norm1000", "(100 ,250)\n(300, 500)"),
    ("norm1000", "[100.0, 250.0, 300.0, 500.0]"),
    ("geochat", "{<10><25><30><50>}"),
    ("geochat", "{<10><25><30><50>|<0>}"),
    ("geochat", "{<10> <25> <30> <50> | <0>}</s>"),
    ("geochat", "[[10, 25, 30, 50, 0]]"),
    ("geochat", "[10%, 25 %, 30%, 50%]"),
    ("obb", "[100, 250, 300, 250, 300, 500, 100, 500]"),
    ("obb", "(100,250),(300,250),(300,500),(100,500)"),
    ("obb", "[[100, 500], [300, 500], [300, 250], [100, 250]]"),
]
PROSE = [
    ("llava", "The ship is at [0.1, 0.25, 0.3, 0.5]."),
    ("llava", "Sure! Here you go: 0.1, 0.25, 0.3, 0.5\nLet me know if you need more."),
    ("llava", "There are 2 ships; the larger is at [0.1, 0.25, 0.3, 0.5], 3 km away."),
    ("llava", "[0.1, 0.25, 0.3, 0.5] (confidence 0.93)"),
    ("llava", "The ship at the bottom [0.1, 0.25, 0.3, 0.5]"),
    ("llava", "Along the y axis of the image: [0.1, 0.25, 0.3, 0.5]"),
    ("llava", "top-left (0.1, 0.25), bottom-right (0.3, 0.5)"),
    ("llava", "Top left: 0.1, 0.25; bottom right: 0.3, 0.5"),
    ("llava", "x_min = 0.1, y_min = 0.25, x_max = 0.3, y_max = 0.5"),
    ("llava", "(x1, y1, x2, y2): (0.1, 0.25, 0.3, 0.5)"),
    ("llava", "(x1, y1) = (0.1, 0.25), (x2, y2) = (0.3, 0.5)"),
    ("llava", "Box 1: 0.1, 0.25, 0.3, 0.5"),
    ("llava", "1. [0.1, 0.25, 0.3, 0.5]"),
    ("llava", "**[0.1, 0.25, 0.3, 0.5]**"),
    ("llava", "$\\boxed{0.1, 0.25, 0.3, 0.5}$"),
    ("norm1000", "The picture of 2024-05-06, 800x600: [100, 250, 300, 500]"),
    ("norm1000", "<think>About 3/4 of 100?</think>[100, 250, 300, 500]<|im_end|>"),
]
MARKUP = [
    ("norm1000", '```json\n[{"bbox_2d": [100, 250, 300, 500], "label": "ship 2"}]\n```'),
    ("norm1000", '```\n{"bbox": [100, 250, 300, 500]}'),
    ("norm1000", "{'bbox_2d': [100, 250, 300, 500], 'label': 'ships 1, 2, 3, 4'}"),
    ("norm1000", '{"bbox_2d": ["100", "250", "300", "500"]}'),
    ("norm1000", '{"bbox_2d": "100 250 300 500"}'),
    ("norm1000", '{"x1": 100, "y1": 250, "x2": 300, "y2": 500}'),
    ("norm1000", '{"xmin": 100, "ymin": 250, "xmax": 300, "ymax": 500, "score": 0.9}'),
    ("norm1000", '{"left": 100, "top": 250, "right": 300, "bottom": 500}'),
    ("norm1000", '[{"point_2d": [100, 250]}, {"point_2d": [300, 500]}]'),
    ("norm1000", '{"category": "4 ships 1 2 3 4", "bbox": [100, 250, 300, 500]}'),
    ("norm1000", '[{"bbox_2d": [100, 250, 300, 500], "label": "shi'),
    ("norm1000", '[{"bbox_2d": [100, 250, 300, 500], "label": "ship"}, {"bbox_2d": [1, 2, 3'),
    ("norm1000", "<box>(100,250),(300,500)</box>"),
    ("norm1000", "<ref>ship</ref><box>[[100, 250, 300, 500]]</box>"),
    ("norm1000", "<|box_start|>(100,250),(300,500)<|box_end|>"),
    ("norm1000", "<|object_ref_start|>ship<|object_ref_end|><|box_start|>(100,250),(300,500)"),
]
SCRIPTS = [
    ("llava", "\uff3b\uff10\uff0e\uff11\uff0c\uff10.25\uff0c0.3\uff0c0.5\uff3d"),
    ("llava", "[\u0660.\u0661, \u0660.\u0662\u0665, \u0660.\u0663, \u0660.\u0665]"),
    ("norm1000", "【100、250、300、500】"),
    ("norm1000", "有3艘船，位于100，250，300，500处"),  # noqa: RUF001
    ("norm1000", "Größe 4: [100, 250, 300, 500]"),
]
TIDIED = [
    ("llava", "0.3 0.5 0.1 0.25"),
    ("norm1000", "[300, 250, 100, 500]"),
    ("norm1000", "[100, 500, 300, 250]"),
]


@pytest.mark.parametrize(("name", "reply"), BARE + PROSE + MARKUP + SCRIPTS + TIDIED)
def test_sloppy_replies_with_one_box(name: str, reply: str) -> None:
    parsed = CODECS[name].parse(reply, WIDTH, HEIGHT)
    assert not isinstance(parsed, ParseFailure), parsed
    assert [to_hbb(box) for box in parsed] == [pytest.approx(SHIP, abs=1e-6)]


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("llava", "[0.1, 0.25, 0.3, 0.5], [0, 0, 0.1, 0.1]"),
        ("llava", "[[0.1, 0.25, 0.3, 0.5], [0, 0, 0.1, 0.1]]"),
        ("llava", "0.1, 0.25, 0.3, 0.5; 0, 0, 0.1, 0.1"),
        ("llava", "1. 0.1, 0.25, 0.3, 0.5\n2. 0, 0, 0.1, 0.1"),
        ("llava", "0.1 0.25 0.3 0.5\n0 0 .1 .1"),
        ("llava", "A ship at [0.1, 0.25, 0.3, 0.5] and a car at [-0.01, 0, 0.1, 0.1]"),
        ("norm1000", "(100, 250, 300, 500), (0, 0, 100, 100)"),
        ("norm1000", "(100,250),(300,500)\n(0,0),(100,100)"),
        ("norm1000", "<box>(100,250),(300,500)</box><box>(0,0),(100,100)</box>"),
        ("norm1000", '{"bbox": [100,250,300,500]}\n{"bbox_2d": [0,0,100,100]}'),
        ("geochat", "{<10><25><30><50>|<0>}<delim>{<0><0><10><10>|<0>}"),
        ("geochat", "{<10><25><30><50>}{<0><0><10><10>}"),
    ],
)
def test_sloppy_replies_with_two_boxes(name: str, reply: str) -> None:
    parsed = CODECS[name].parse(reply, WIDTH, HEIGHT)
    assert not isinstance(parsed, ParseFailure), parsed
    assert list(parsed) == [pytest.approx(SHIP), pytest.approx(TOP)]


def test_pixels_belong_to_the_resized_image() -> None:
    # 800 x 600 becomes 812 x 588.
    (box,) = CODECS["qwen2_5_vl"].parse("[81.2px, 147 px, 243.6 pixels, 294]", WIDTH, HEIGHT)  # pyright: ignore
    assert box == pytest.approx(SHIP)


NOTHING = [
    ("llava", "", "no box: the reply has no numbers"),
    ("llava", " \n\t", "no box: the reply has no numbers"),
    ("llava", "There is no ship.", "no box: the reply has no numbers"),
    ("llava", "None", "no box: the reply has no numbers"),
    ("llava", "[]", "no box: the reply has no numbers"),
    ("llava", "I'm sorry, but I can't help with that.", "no box: the reply has no numbers"),
    ("llava", "未发现目标。", "no box: the reply has no numbers"),
    ("llava", "[x1, y1, x2, y2]", "no box: the reply has no numbers"),
    ("llava", "<loc0100><loc0250><loc0300><loc0500>", "no box: the reply has no numbers"),
    ("llava", "[" * 5000, "no box: the reply has no numbers"),
]
COUNTS = [
    ("llava", "[0.1, 0.2, 0.3]", "3 numbers where a box has 4"),
    ("llava", "1", "1 number where a box has 4"),
    ("llava", "[0.1, 0.25, 0.3, 0.5, 0.98]", "5 numbers where a box has 4"),
    ("llava", "[0, 0.1, 0.25, 0.3, 0.5]", "5 numbers where a box has 4"),
    ("llava", "[null, 0.1, 0.25, 0.3, 0.5]", "5 numbers where a box has 4"),
    ("llava", "[0,1, 0,25, 0,3, 0,5]", "8 numbers where a box has 4"),
    ("norm1000", '{"bbox_2d": [100, 250, 300', "3 numbers where a box has 4"),
    ("norm1000", "[100, 250, 300, 500, 700, 800, 900, 950]", "8 numbers where a box has 4"),
    ("norm1000", "(100,250),(300,250),(300,500),(100,500)", "8 numbers where a box has 4"),
    ("norm1000", "[[1, 2], [3, 4], [5, 6], [7, 8]]", "2 numbers where a box has 4"),
    ("norm1000", "3 ships, 2 cars, 5 planes and 7 boats", "1 number where a box has 4"),
    ("norm1000", "有3艘船和2架飞机，5辆车，7栋房", "1 number where a box has 4"),  # noqa: RUF001
    ("obb", "[100, 250, 300, 500]", "4 numbers where a box has 8"),
    ("geochat", "{<10><25><30>", "3 numbers where a box has 4"),
    ("geochat", "{<10><25><30><50>|<0>|<1>}", "6 numbers where a box has 4"),
]
SCALES = [
    ("llava", "[80, 150, 240, 300]", "80 lies outside 0-1"),
    ("llava", "[10, 25, 30, 50]", "10 lies outside 0-1"),
    ("llava", "[0.1, 0.25, 1.1, 0.5]", "1.1 lies outside 0-1"),
    ("llava", "[0.1, 0.25, 30, 50]", "30 lies outside 0-1"),
    ("llava", "[-0.2, 0.25, 0.3, 0.5]", "-0.2 lies outside 0-1"),
    ("norm1000", "[\u2212100, 250, 300, 500]", "-100 lies outside 0-1000"),
    ("norm1000", "[100, 250, 3000, 500]", "3000 lies outside 0-1000"),
    ("geochat", "[100, 250, 300, 500]", "250 lies outside 0-100"),
    ("norm1000", "[0.1, 0.25, 0.3, 0.5]", "fractions where larger numbers are expected"),
    ("norm1000", "[0.0, 0.0, 1.0, 1.0]", "fractions where larger numbers are expected"),
    ("geochat", "[0.1, 0.25, 0.3, 0.5]", "fractions where larger numbers are expected"),
    ("geochat", "[0.1, 0.25, 0.3, 0.5, 45]", "fractions where larger numbers are expected"),
    ("qwen2_5_vl", "[0.1, 0.25, 0.3, 0.5]", "fractions where larger numbers are expected"),
    ("obb", "0.1 0.1 0.3 0.1 0.3 0.3 0.1 0.3", "fractions where larger numbers are expected"),
    ("geochat", "{<10><25><30><50>|<500>}", "the angle 500 lies outside -360-360"),
]
UNITS = [
    ("llava", "[10%, 25%, 30%, 50%]", "'10%' has a unit that is not expected"),
    ("llava", "[0.1%, 0.25%, 0.3%, 0.5%]", "'0.1%' has a unit"),
    ("norm1000", "[10%, 25%, 30%, 50%]", "'10%' has a unit"),
    ("norm1000", "[100px, 250px, 300px, 500px]", "'100px' has a unit"),
    ("norm1000", "100 pixels, 250 pixels, 300 pixels, 500 pixels", "'100 pixels' has a unit"),
    ("geochat", "[10 px, 25 px, 30 px, 50 px]", "'10 px' has a unit"),
    ("qwen2_5_vl", "[10%, 25%, 30%, 50%]", "'10%' has a unit"),
]
NAMES = [
    ("llava", "x=0.1, y=0.25, w=0.3, h=0.5", "'w' where x is expected"),
    ("llava", '{"cx": 0.2, "cy": 0.4, "w": 0.2, "h": 0.2}', "'cx' where x is expected"),
    ("norm1000", '{"x": 1, "y": 2, "width": 20, "height": 25}', "'width' where x is expected"),
    ("norm1000", "[x, y, width, height]: [100, 250, 200, 250]", "'width' where x is expected"),
    ("norm1000", "center: (200, 375), size: (200, 250)", "'center' where x is expected"),
    ("norm1000", '{"x1": 100, "x2": 300, "y1": 250, "y2": 500}', "'x2' where y is expected"),
    ("norm1000", "[ymin, xmin, ymax, xmax] = [250, 100, 500, 300]", "'ymin' where x is expected"),
    ("norm1000", "top: 250, left: 100, bottom: 500, right: 300", "'top' where x is expected"),
    ("norm1000", '[{"box_2d": [250, 100, 500, 300]}]', "'box_2d' where x is expected"),
    ("norm1000", "x: [100, 300], y: [250, 500]", "'y' where x is expected"),
]
NUMBERS = [
    ("llava", "[NaN, 0.25, 0.3, 0.5]", "'NaN' is not one number"),
    ("llava", "[0.1, null, 0.3, 0.5]", "'null' is not one number"),
    ("llava", "[0.1, 0.25, None, 0.5]", "'None' is not one number"),
    ("llava", "[0.1, 0.25, 0.3, inf]", "inf lies outside 0-1"),
    ("llava", "[-Infinity, 0.25, 0.3, 0.5]", "-inf lies outside 0-1"),
    ("llava", "[1e999, 0.25, 0.3, 0.5]", "inf lies outside 0-1"),
    ("llava", "[0.1.5, 0.25, 0.3, 0.5]", "'0.1.5' is not one number"),
    ("llava", "[1/10, 1/4, 3/10, 1/2]", "'1/10' is not one number"),
    ("llava", "[0.1-0.3, 0.25-0.5, 0, 0]", "'0.1-0.3' is not one number"),
    ("llava", "0.1 - 0.3, 0.25 - 0.5", "2 numbers where a box has 4"),
    ("norm1000", "[1,000, 200, 300, 400]", "'1,000' is not one number"),
    ("norm1000", f"[{'9' * 400}, 1, 2, 3]", "inf lies outside 0-1000"),
    ("norm1000", f"[{'9' * 50}, 1, 2, 3]", "1e+50 lies outside 0-1000"),
]
EMPTY = [
    ("llava", "[0.1, 0.2, 0.1, 0.4]", "no area inside the image: [0.1, 0.2, 0.1, 0.4]"),
    ("llava", "[0, 0, 0, 0]", "no area inside the image"),
    ("llava", "[1.01, 0.2, 1.04, 0.4]", "no area inside the image"),
    ("obb", "[1, 1, 2, 2, 3, 3, 4, 4]", "no area inside the image"),
    ("norm1000", "[1, 2, 3, 4], [5, 5, 5, 5]", "no area inside the image"),
]
REFUSED = NOTHING + COUNTS + SCALES + UNITS + NAMES + NUMBERS + EMPTY


@pytest.mark.parametrize(("name", "reply", "reason"), REFUSED)
def test_useless_replies_say_why(name: str, reply: str, reason: str) -> None:
    parsed = CODECS[name].parse(reply, WIDTH, HEIGHT)
    assert isinstance(parsed, ParseFailure), parsed
    assert parsed.reason.startswith(reason)


TOKENS = ["[", "]", "{", "}", "(", ")", "<", ">", "|", ",", ".", "-", "/", ":", ";", "\n", " ", '"']
TOKENS += [
    "0",
    "1",
    "0.5",
    "100",
    "1e999",
    "e",
    "%",
    "px",
    "x",
    "y1",
    "width",
    "nan",
    "label",
    "\\",
]


@pytest.mark.parametrize("name", list(CODECS))
@given(text=st.text() | st.lists(st.sampled_from(TOKENS), max_size=60).map("".join))
def test_no_reply_raises_and_every_box_lies_inside(name: str, text: str) -> None:
    parsed = CODECS[name].parse(text, WIDTH, HEIGHT)
    if isinstance(parsed, ParseFailure):
        assert parsed.reason
        return
    for box in parsed:
        x_min, y_min, x_max, y_max = to_hbb(box)
        assert 0 <= x_min <= x_max <= WIDTH
        assert 0 <= y_min <= y_max <= HEIGHT
        assert not is_degenerate(box)


def calls(text: str) -> int:
    """How many functions, of Python and of C, one parse calls."""
    count = 0

    def note(*_: Any) -> None:
        nonlocal count
        count += 1

    sys.setprofile(note)
    try:
        CODECS["norm1000"].parse(text, WIDTH, HEIGHT)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize(
    "part",
    ["[", "0.", "9", "1 - ", '{"bbox_2d": [[1, ', '"label": "', "<a", "(1, 2), ", "[1, 2, 3, 4] ",
     "x ", "x1 = 1 ", "1,000,", "nan, ", "\n ", "\\"],
)  # fmt: skip
def test_hostile_replies_take_work_in_line_with_their_length(part: str) -> None:
    # What the regular expression does inside itself is timed by benchmarks/parse_replies.py.
    assert calls(part * 20_000) <= 10.5 * calls(part * 2_000) + 100


@pytest.mark.parametrize("part", ["[", "0.", "9", '{"a": [', '"label": "\\', "1 - ", "(", "-"])
def test_very_long_replies_are_refused(part: str) -> None:
    assert isinstance(CODECS["llava"].parse(part * 200_000, WIDTH, HEIGHT), ParseFailure)


@given(
    st.lists(
        st.lists(st.sampled_from(["0.1", "0.25", "1.0", "0", "7", "300", "1000"]), min_size=1),
        min_size=1,
    ),
    st.sampled_from(["llava", "norm1000", "obb", "geochat"]),
)
def test_lists_alone_are_read_as_those_with_words_behind_them(
    lists: list[list[str]], codec: str
) -> None:
    text = ", ".join(f"[{', '.join(numbers)}]" for numbers in lists)
    alone, among = (
        CODECS[codec].parse_each(reply, WIDTH, HEIGHT) for reply in (text, f"{text} as asked")
    )
    assert alone == among
