"""Codecs: the error of a round trip, bounded from first principles, and labels of any text."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rs_gpt4v.box_codecs import CODECS, ParseFailure, qwen2_5_vl, smart_resize
from rs_gpt4v.box_replies import NoBoxError
from rs_gpt4v.boxes import (
    DegenerateBoxError,
    Points,
    area,
    from_rotated,
    iou,
    is_degenerate,
    order_corners,
    to_hbb,
)

Size = tuple[int, int]
Rotated = tuple[float, float, float, float, float]

ALL = pytest.mark.parametrize("name", list(CODECS))
UPRIGHT = [name for name, codec in CODECS.items() if codec.kinds == ("hbb",)]
TURNED = pytest.mark.parametrize("name", ["geochat", "earthdial", "fit_rs"])
JSON = pytest.mark.parametrize("name", ["qwen2_5_vl", "norm1000"])

sizes = st.tuples(st.integers(1, 20_000), st.integers(1, 20_000))
places = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0]))


def pitch(name: str, width: int, height: int) -> tuple[float, float]:
    """Pixels between two neighbouring values of a codec, in x and in y, as its table says."""
    if name == "llava_padded":
        return max(width, height) / 1000, max(width, height) / 1000
    if name == "qwen2_5_vl":
        resized = smart_resize(width, height)
        return width / resized[0], height / resized[1]
    if name == "pixels":
        return 1, 1
    if name == "fit_rs":  # half a step of the centre, and half of one of the side
        return width / 5000, height / 5000
    steps = 100 if name in ("geochat", "earthdial") else 1000
    return width / steps, height / steps


@st.composite
def upright(draw: st.DrawFn) -> tuple[Points, int, int]:
    """Any box in any image: slivers, parts of a pixel, at the edges, the whole image."""
    width, height = draw(sizes)
    xs, ys = (sorted(side * draw(places) for _ in range(2)) for side in (width, height))
    box = (xs[0], ys[0], xs[1], ys[1])
    assume(min(xs[1] - xs[0], ys[1] - ys[0]) > 1e-6 and not is_degenerate(box))
    return box, width, height


@st.composite
def turned(draw: st.DrawFn) -> tuple[Rotated, int, int]:
    """A rectangle of 16 px and more that lies wholly in its image."""
    width, height = draw(st.integers(120, 4000)), draw(st.integers(120, 4000))
    w, h = (draw(st.floats(16, 80)) for _ in range(2))
    cx, cy = (draw(st.floats(57, side - 57)) for side in (width, height))
    return (cx, cy, w, h, draw(st.floats(0.01, 90))), width, height


def parsed(name: str, text: str, width: int, height: int) -> Points:
    found = CODECS[name].parse(text, width, height)
    assert not isinstance(found, ParseFailure), (text, found)
    assert len(found) == 1
    return found[0]


def round_trip(name: str, points: Points, width: int, height: int) -> Points:
    text = CODECS[name].write([("ship", points)], width, height)
    return parsed(name, text, width, height)


@ALL
@given(case=upright())
def test_an_edge_moves_half_a_step_or_to_the_next(name: str, case: tuple[Points, int, int]) -> None:
    # To the nearest value is half a step; a side below one step takes the values around it.
    box, width, height = case
    again = to_hbb(round_trip(name, box, width, height))
    assert not is_degenerate(again)
    for axis, step in enumerate(pitch(name, width, height)):
        allowed = step * (0.5 if box[axis + 2] - box[axis] > step else 1) + 1e-9 * 20_000
        assert abs(again[axis] - box[axis]) <= allowed
        assert abs(again[axis + 2] - box[axis + 2]) <= allowed


@ALL
@given(case=upright())
def test_boxes_of_16_px_keep_their_overlap(name: str, case: tuple[Points, int, int]) -> None:
    # Each side keeps at least w - step of what is at most its union; the product bounds the IoU.
    box, width, height = case
    bound = 1.0
    steps = pitch(name, width, height)
    for side, step in zip((box[2] - box[0], box[3] - box[1]), steps, strict=True):
        assume(side >= 16)
        bound *= max(1 - step / side, 0)
    assert iou(round_trip(name, box, width, height), box) >= bound - 1e-6


def hull_bound(w: float, h: float, moved: float) -> float:
    """Least IoU of a rectangle with a convex shape whose border is at most ``moved`` away.

    The shape holds the rectangle drawn in by that much, and lies in the one grown by it.
    """
    inner = max(w - 2 * moved, 0) * max(h - 2 * moved, 0)
    return inner / (w * h + 2 * moved * (w + h) + math.pi * moved**2)


@given(case=turned())
def test_corners_move_half_a_step(case: tuple[Rotated, int, int]) -> None:
    box, width, height = case
    corners, steps = from_rotated(*box), pitch("obb", width, height)
    again = round_trip("obb", corners, width, height)
    moved = math.hypot(*steps) / 2
    starts = list(zip(corners[::2], corners[1::2], strict=True))
    for corner in zip(again[::2], again[1::2], strict=True):
        assert min(math.dist(corner, start) for start in starts) <= moved + 1e-6
    assert again == order_corners(again)
    assert iou(again, corners) >= hull_bound(box[2], box[3], moved) - 1e-6


@TURNED
@given(case=turned())
def test_boxes_turn_by_whole_degrees(name: str, case: tuple[Rotated, int, int]) -> None:
    # Half a step the centre, half a step half the diagonal, half a degree along its circle.
    box, width, height = case
    corners, step = from_rotated(*box), math.hypot(*pitch(name, width, height))
    moved = step + math.radians(0.5) * (math.hypot(box[2], box[3]) + step) / 2
    again = round_trip(name, corners, width, height)
    assert again == pytest.approx(order_corners(again))
    assert iou(again, corners) >= hull_bound(box[2], box[3], moved) - 1e-6


@TURNED
@pytest.mark.parametrize("angle", [*range(1, 91), 90.3, 179.6, 0.4, 134.7, 95.2])
def test_every_angle_is_kept(name: str, angle: float) -> None:
    # On its grid, with an even middle, nothing but the angle is rounded.
    corners = from_rotated(500, 500, 200, 60, angle)
    again = round_trip(name, corners, 1000, 1000)
    assert iou(again, corners) >= (0.95 if angle % 1 else 0.999)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("geochat", "{<40><45><60><55>|<30>}"),
        ("earthdial", "[[40, 45, 60, 55, 30]]"),
        ("fit_rs", "<rbox>({<50.00><50.00><20.00><10.00>|<30>})</rbox>"),
        ("fit_rs", "{<50.00><50.00><10.00><20.00>|<-60>}"),
    ],
)
def test_boxes_turn_clockwise_as_seen(name: str, text: str) -> None:
    box = parsed(name, text, 100, 100)
    down = 10 * math.sin(math.radians(30))  # the right end of the long side goes down
    right = [(x, y) for x, y in zip(box[::2], box[1::2], strict=True) if x > 50]
    assert sum(y for _, y in right) / 2 == pytest.approx(50 + down)


@pytest.mark.parametrize("name", ["geochat", "obb", "earthdial", "fit_rs"])
@given(case=turned(), thin=st.floats(1e-4, 1))
def test_a_rotated_sliver_keeps_an_area(
    name: str, case: tuple[Rotated, int, int], thin: float
) -> None:
    (cx, cy, w, _, angle), width, height = case
    again = round_trip(name, from_rotated(cx, cy, w, thin, angle), width, height)
    assert area(again) > 0


def scaled(case: tuple[Points, int, int], size: Size) -> Points:
    """A box in an image of another size."""
    points, *sides = case
    return tuple(v * size[i % 2] / sides[i % 2] for i, v in enumerate(points))


@ALL
@given(st.lists(upright(), min_size=2, max_size=4), sizes)
def test_several_boxes_are_what_each_is_alone(
    name: str, cases: list[tuple[Points, int, int]], size: Size
) -> None:
    codec = CODECS[name]
    boxes = [scaled(case, size) for case in cases]
    assume(all(min(b[2] - b[0], b[3] - b[1]) > 1e-6 and not is_degenerate(b) for b in boxes))
    text = codec.write([(f"ship {i}", box) for i, box in enumerate(boxes)], *size)
    assert codec.parse(text, *size) == tuple(round_trip(name, box, *size) for box in boxes)


@ALL
@given(st.lists(upright(), min_size=1, max_size=4), sizes)
def test_boxes_written_together_are_what_each_is_alone(
    name: str, cases: list[tuple[Points, int, int]], size: Size
) -> None:
    codec = CODECS[name]
    boxes = [scaled(case, size) for case in cases]
    # A quarter of the numbers of an 800 px image lie between two of a text.
    boxes = [tuple(map(round, box)) if i % 2 else box for i, box in enumerate(boxes)]
    assume(all(min(b[2] - b[0], b[3] - b[1]) > 1e-6 and not is_degenerate(b) for b in boxes))
    labels = [f"ship {i}" for i in range(len(boxes))]
    written = codec.write_each(labels, boxes, np.array([size] * len(boxes)))
    for label, box, text in zip(labels, boxes, written, strict=True):
        assert codec.ends[0] + text + codec.ends[1] == codec.write([(label, box)], *size)


def test_every_pixel_is_rounded_alike() -> None:
    codec = CODECS["llava"]
    boxes = [(left, 0, left + 1, 600) for left in range(799)]
    written = codec.write_each(["x"] * 799, boxes, np.array([(800, 600)] * 799))
    assert written == [codec.write([("x", box)], 800, 600) for box in boxes]


def check_label(name: str, label: str) -> None:
    box = (80.0, 150.0, 240.0, 300.0)
    text = CODECS[name].write([(label, box), (label, box)], 800, 600)
    assert [item["label"] for item in json.loads(text)] == [label, label]
    found = CODECS[name].parse(text, 800, 600)
    assert not isinstance(found, ParseFailure)
    assert [list(map(round, points)) for points in found] == [list(map(round, box))] * 2


@JSON
@given(label=st.text())
def test_any_label_survives_and_breaks_nothing(name: str, label: str) -> None:
    check_label(name, label)


@JSON
@pytest.mark.parametrize(
    "label",
    [
        "", '"', "\\", '\\"', "'", "[1, 2, 3, 4]", '", "bbox_2d": [1, 2, 3, 4], "a": "',
        "</box>", "<box>(1,2),(3,4)</box>", "{}", "}{", "{0}", "\n1, 2, 3, 4\n", "\r\n\t\0",
        "\u2028 1 2 3 4", "سفينة ١٢٣٤", "\u202e[4, 3, 2, 1]", "🚢🚢 5 6 7 8", "label: 5",
        '"label": "5, 6, 7, 8"', "\uff15\uff16\uff17\uff18", "船 1, 2, 3, 4",
        "``` 1 2 3 4", "%", "NaN,",
    ],
)  # fmt: skip
def test_nasty_labels_survive_and_break_nothing(name: str, label: str) -> None:
    check_label(name, label)


@pytest.mark.parametrize("name", [n for n in CODECS if n not in ("geochat", "earthdial")])
def test_small_objects_survive_the_text(name: str) -> None:
    # With 0-100 integers three of four 8 px boxes in 800 px fall below IoU 0.5.
    for i in range(97):
        box = (i * 7.3, i * 5.1, i * 7.3 + 8, i * 5.1 + 8)
        assert iou(to_hbb(round_trip(name, box, 800, 800)), box) >= 0.5


def test_padded_square_counts_from_the_padding() -> None:
    box = (0, 0, 800, 400)
    assert CODECS["llava_padded"].write([("lake", box)], 800, 400) == "[0.000, 0.250, 1.000, 0.750]"
    assert CODECS["llava_padded"].write([("lake", (0, 0, 400, 800))], 400, 800).startswith("[0.250")
    assert CODECS["llava"].write([("lake", box)], 800, 400) == "[0.000, 0.000, 1.000, 1.000]"


@ALL
@pytest.mark.parametrize(
    "points",
    [
        (810, 10, 900, 20),
        (10, 10, 10, 20),
        (-9, -9, 0, 0),
        (5, 5, 5 + 1e-14, 5 + 1e-14),
        (0, 0, 800, 1e-9),
        (float("nan"), 0, 9, 9),
    ],
    ids=["outside", "line", "touching", "below floats", "hair", "nan"],
)
def test_boxes_without_area_are_refused(name: str, points: Points) -> None:
    with pytest.raises(DegenerateBoxError, match=r"'ship' .* has no area in 800 x 600 px"):
        CODECS[name].write([("ship", points)], 800, 600)


@ALL
@given(st.lists(st.floats(-30, 830), min_size=4, max_size=4))
def test_what_is_written_is_read_and_the_rest_refused(name: str, points: list[float]) -> None:
    x1, y1, x2, y2 = points
    box = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    try:
        again = round_trip(name, box, 800, 600)
    except DegenerateBoxError:
        return
    assert not is_degenerate(again)


@pytest.mark.parametrize("name", UPRIGHT)
def test_upright_codecs_write_no_corners(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} cannot write an obb: convert it with to_hbb"):
        CODECS[name].write([("ship", (0, 0, 9, 0, 9, 9, 0, 9))], 800, 600)


def test_no_boxes_are_an_empty_text() -> None:
    assert CODECS["llava"].write([], 800, 600) == ""
    assert CODECS["norm1000"].write([], 800, 600) == "[]"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("vhm", "[125, 250, 375, 500], [0, 0, 1000, 1000]"),
        ("qwen_vl", "<box>(125,250),(375,500)</box><box>(0,0),(1000,1000)</box>"),
        ("internvl", "<box>[[125, 250, 375, 500], [0, 0, 1000, 1000]]</box>"),
        ("pixels", "[100, 150, 300, 300], [0, 0, 800, 600]"),
        ("earthdial", "[[12, 25, 38, 50, 0]][[0, 0, 100, 100, 0]]"),
        (
            "fit_rs",
            "<rbox>({<25.00><37.50><25.00><25.00>|<0>}, "
            "{<50.00><50.00><100.00><100.00>|<0>})</rbox>",
        ),
    ],
)
def test_forms_of_published_data(name: str, text: str) -> None:
    boxes = [("ship", (100, 150, 300, 300)), ("lake", (0, 0, 800, 600))]
    assert CODECS[name].write(boxes, 800, 600) == text


def test_a_small_box_of_fit_rs_is_no_fraction() -> None:
    box = parsed("fit_rs", "<rbox>({<0.50><0.60><0.40><0.30>|<0>})</rbox>", 1000, 1000)
    assert box == pytest.approx((3, 4.5, 7, 7.5))


def test_zero_has_no_sign() -> None:
    for name, codec in CODECS.items():
        assert not re.search(r"-0", codec.write([("ship", (-0.0, -3, 9, 9))], 800, 600)), name


@given(sizes)
def test_smart_resize_gives_multiples_of_28_in_the_image_s_shape(size: Size) -> None:
    width, height = smart_resize(*size)
    assert (width % 28, height % 28) == (0, 0)
    assume(max(size) < 20 * min(size) and min(size) >= 280)
    assert width * height <= 16384 * 28 * 28
    assert math.isclose(width / height, size[0] / size[1], rel_tol=0.2)


def test_bounds_of_the_processor_decide_the_pixels() -> None:
    box = (80, 160, 240, 320)
    assert "[70, 140, 210, 280]" in qwen2_5_vl(max_pixels=500_000).write([("a", box)], 800, 800)


def test_a_codec_may_bring_its_own_reader() -> None:
    def last_first(text: str) -> list[list[float]]:
        if not text.startswith("BOX "):
            raise NoBoxError("no box: the reply has no BOX")
        return [[float(number) for number in reversed(text.split()[1:])]]

    codec = replace(CODECS["norm1000"], read=last_first)
    assert codec.parse("BOX 500 300 250 100", 1000, 1000) == ((100, 250, 300, 500),)
    assert codec.parse("[1, 2, 3, 4]", 9, 9) == ParseFailure("no box: the reply has no BOX")
    assert isinstance(codec.parse("BOX 500 300 250 2000", 9, 9), ParseFailure)
