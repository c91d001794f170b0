"""Laws of boxes and codecs that hold for every box, and the sloppy replies of real models."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs_gpt4v.boxes import (
    CODECS,
    DegenerateBoxError,
    ParseFailure,
    Points,
    area,
    clip,
    from_rotated,
    iou,
    is_degenerate,
    order_corners,
    smart_resize,
    to_hbb,
    to_obb,
    to_rotated,
)

WIDTH, HEIGHT = 800, 600

coordinates = st.floats(0, 560, allow_nan=False, width=32)
sides = st.floats(20, 240, allow_nan=False, width=32)
hbbs = st.builds(
    lambda x, y, w, h: (x, y, min(x + w, WIDTH), min(y + h, HEIGHT)), coordinates, coordinates,
    sides, sides,
)  # fmt: skip
rotated = st.tuples(
    st.floats(200, 600), st.floats(200, 400), st.floats(40, 180), st.floats(40, 180),
    st.floats(1, 89),
)  # fmt: skip


@given(hbbs, hbbs)
def test_iou_is_symmetric_and_within_bounds(a: Points, b: Points) -> None:
    assert iou(a, b) == iou(b, a)
    assert 0.0 <= iou(a, b) <= 1.0


@given(hbbs, st.floats(0.001, 10))
def test_iou_with_itself_is_one_at_any_scale(a: Points, k: float) -> None:
    scaled = [v * k for v in a]
    assert iou(scaled, scaled) == 1.0


@given(hbbs, hbbs)
def test_polygons_agree_with_arithmetic(a: Points, b: Points) -> None:
    assert iou(to_obb(a), to_obb(b)) == pytest.approx(iou(a, b), abs=1e-9)


def test_random_normalised_boxes_hardly_ever_match() -> None:
    # The "+1 pixel" rule on 0-1 boxes makes two of these three match.
    truth = (0.50, 0.50, 0.52, 0.52)
    for box in ((0.1, 0.1, 0.12, 0.12), (0.51, 0.51, 0.53, 0.53), (0.9, 0.2, 0.95, 0.3)):
        assert iou(truth, box) < 0.5


@given(rotated)
def test_corners_to_rotated_and_back(box: tuple[float, float, float, float, float]) -> None:
    corners = from_rotated(*box)
    assert area(corners) == pytest.approx(box[2] * box[3])
    assert iou(from_rotated(*to_rotated(corners)), corners) == pytest.approx(1.0)


@given(rotated, st.integers(0, 3), st.booleans())
def test_corner_order_does_not_depend_on_the_order_given(
    box: tuple[float, float, float, float, float], first: int, backwards: bool
) -> None:
    corners = from_rotated(*box)
    pairs = list(zip(corners[::2], corners[1::2], strict=True))
    pairs = pairs[first:] + pairs[:first]
    shuffled = [v for pair in (reversed(pairs) if backwards else pairs) for v in pair]
    assert order_corners(shuffled) == pytest.approx(corners)


@given(st.lists(st.floats(-1e4, 1e4), min_size=8, max_size=8))
def test_clipped_boxes_lie_inside(corners: list[float]) -> None:
    x_min, y_min, x_max, y_max = to_hbb(clip(corners, WIDTH, HEIGHT))
    assert 0 <= x_min <= x_max <= WIDTH
    assert 0 <= y_min <= y_max <= HEIGHT


@pytest.mark.parametrize("name", list(CODECS))
@given(hbb=hbbs)
def test_every_codec_reads_what_it_writes(name: str, hbb: Points) -> None:
    codec = CODECS[name]
    parsed = codec.parse(codec.write([("ship", hbb)], WIDTH, HEIGHT), WIDTH, HEIGHT)
    assert not isinstance(parsed, ParseFailure)
    step = 8 if name == "geochat" else 1
    assert max(abs(a - b) for a, b in zip(to_hbb(parsed[0]), hbb, strict=True)) <= step


@pytest.mark.parametrize("name", ["geochat", "obb"])
@given(box=rotated)
def test_rotated_boxes_come_back_rotated(
    name: str, box: tuple[float, float, float, float, float]
) -> None:
    corners, codec = from_rotated(*box), CODECS[name]
    parsed = codec.parse(codec.write([("ship", corners)], WIDTH, HEIGHT), WIDTH, HEIGHT)
    assert not isinstance(parsed, ParseFailure)
    assert iou(parsed[0], corners) > (0.6 if name == "geochat" else 0.9)


@pytest.mark.parametrize("name", list(CODECS))
@given(boxes=st.lists(hbbs, min_size=2, max_size=4))
def test_several_boxes_keep_number_and_order(name: str, boxes: list[Points]) -> None:
    codec = CODECS[name]
    text = codec.write([(f"ship {i}", box) for i, box in enumerate(boxes)], WIDTH, HEIGHT)
    parsed = codec.parse(text, WIDTH, HEIGHT)
    assert not isinstance(parsed, ParseFailure)
    assert len(parsed) == len(boxes)
    centres = [sum(to_hbb(box)[::2]) / 2 for box in parsed]
    assert centres == pytest.approx([(b[0] + b[2]) / 2 for b in boxes], abs=8)


@pytest.mark.parametrize("name", list(CODECS))
@given(text=st.text(alphabet=st.sampled_from("[]{}<>|()0123456789.,-e \n:\"'label_x"), max_size=80))
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


SHIP = (80.0, 150.0, 240.0, 300.0)


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("llava", "[0.1, 0.25, 0.3, 0.5]"),
        ("llava", "The ship is at [0.1,0.25,0.3,0.5]."),
        ("llava", "0.3 0.5 0.1 0.25"),
        ("llava", "[[0.1, 0.25, 0.3, 0.5]]"),
        ("llava", "(0.1, 0.25), (0.3, 0.5)"),
        ("geochat", "{<10><25><30><50>|<0>}"),
        ("geochat", "{<10><25><30><50>}"),
        ("geochat", "[[10, 25, 30, 50, 0]]"),
        ("norm1000", '```json\n[{"bbox_2d": [100, 250, 300, 500], "label": "ship 2"}]\n```'),
        ("norm1000", "{'bbox_2d': [100, 250, 300, 500]}"),
        ("norm1000", "<box>(100,250),(300,500)</box>"),
        ("obb", "[100, 250, 300, 250, 300, 500, 100, 500]"),
    ],
)
def test_sloppy_replies(name: str, reply: str) -> None:
    parsed = CODECS[name].parse(reply, WIDTH, HEIGHT)
    assert not isinstance(parsed, ParseFailure), parsed
    assert [to_hbb(box) for box in parsed] == [pytest.approx(SHIP, abs=1e-6)]


@pytest.mark.parametrize(
    ("name", "reply", "reason"),
    [
        ("llava", "There is no ship.", "no box: the reply has no numbers"),
        ("llava", "", "no box: the reply has no numbers"),
        ("llava", "[0.1, 0.2, 0.3]", "3 numbers where a box has 4"),
        ("llava", "[80, 150, 240, 300]", "lies outside 0-1"),
        ("llava", "[0.1, 0.2, 0.1, 0.4]", "no area inside the image"),
        ("norm1000", "[0.1, 0.25, 0.3, 0.5]", "fractions where 0-1000 is expected"),
        ("norm1000", "[100, 250, 3000, 500]", "3000 lies outside 0-1000"),
        ("obb", "[100, 250, 300, 500]", "4 numbers where a box has 8"),
    ],
)
def test_useless_replies_say_why(name: str, reply: str, reason: str) -> None:
    parsed = CODECS[name].parse(reply, WIDTH, HEIGHT)
    assert isinstance(parsed, ParseFailure)
    assert reason in parsed.reason


@pytest.mark.parametrize("name", ["llava", "norm1000", "obb", "qwen2_5_vl"])
def test_small_objects_survive_the_text(name: str) -> None:
    # With 0-100 integers three of four 8 px boxes in 800 px fall below IoU 0.5.
    for i in range(97):
        box = (i * 7.3, i * 5.1, i * 7.3 + 8, i * 5.1 + 8)
        parsed = CODECS[name].parse(CODECS[name].write([("car", box)], 800, 800), 800, 800)
        assert not isinstance(parsed, ParseFailure)
        assert iou(to_hbb(parsed[0]), box) >= 0.5


def test_padded_square_counts_from_the_padding() -> None:
    box = (0, 0, 800, 400)
    assert CODECS["llava_padded"].write([("lake", box)], 800, 400) == "[0.000, 0.250, 1.000, 0.750]"
    assert CODECS["llava"].write([("lake", box)], 800, 400) == "[0.000, 0.000, 1.000, 1.000]"


def test_boxes_that_cannot_be_written() -> None:
    with pytest.raises(DegenerateBoxError, match="has no area in 800 x 600 px"):
        CODECS["llava"].write([("ship", (810, 10, 900, 20))], WIDTH, HEIGHT)
    with pytest.raises(ValueError, match="llava cannot write an obb"):
        CODECS["llava"].write([("ship", (0, 0, 9, 0, 9, 9, 0, 9))], WIDTH, HEIGHT)
    with pytest.raises(ValueError, match="a box has 4 numbers"):
        iou((0, 0, 1, 1), (0, 0, 1))


def test_smart_resize_gives_multiples_within_the_bounds() -> None:
    width, height = smart_resize(4592, 3072)
    assert (width % 28, height % 28) == (0, 0)
    assert width * height <= 1280 * 28 * 28 * 16
    assert math.isclose(width / height, 4592 / 3072, rel_tol=0.05)
