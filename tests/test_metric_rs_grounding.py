"""rs_grounding against geometry, and against a slow reference in plain loops."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
import pytest
import shapely
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v.boxes import from_rotated, iou, to_rotated
from rs_gpt4v.scoring.overlaps import overlaps
from rs_gpt4v_evaluation.object_sizes import SIZES
from rs_gpt4v_evaluation.rs_grounding import measure as rs_grounding
from rs_gpt4v_evaluation.rs_grounding.measure import ground, measure
from rs_gpt4v_evaluation.rs_grounding.rs_grounding import RSGrounding


def score_grounding(*columns: Any, **options: Any) -> dict[str, Any]:
    return measure(*columns, **options).result


FOLDER = Path(rs_grounding.__file__).parent
SIZE = (800, 600)
SHARES = ("pr_50", "pr_60", "pr_70", "pr_80", "pr_90", "mean_iou", "cumulative_iou")

Corners = list[tuple[float, float]]


def of_one(reply: str, truth: Sequence[float], codec: str = "norm1000", **rule: Any) -> Any:
    return score_grounding([reply], [truth], [SIZE], codec, **rule)


# --- The reference: one row after the other, polygons cut edge by edge ---------------------------


def slow_scores(
    boxes: list[Sequence[float] | None], truths: list[Sequence[float]], *, strict: bool
) -> dict[str, float]:
    """What METRICS of the field define, of boxes in pixels; None where a reply has no box."""
    ious, shared_sum, union_sum = [], 0.0, 0.0
    for box, truth in zip(boxes, truths, strict=True):
        shared = 0.0 if box is None else slow_shared(box, truth)
        union = slow_area(slow_corners(truth)) - shared
        if box is not None:
            union += slow_area(slow_as(box, truth))
        ious.append(shared / union)
        shared_sum += shared
        union_sum += union
    scores = {}
    for percent in (50, 60, 70, 80, 90):
        hits = 0
        for value in ious:
            if value > percent / 100 or (value == percent / 100 and not strict):
                hits += 1
        scores[f"pr_{percent}"] = hits / len(ious)
    return scores | {"mean_iou": sum(ious) / len(ious), "cumulative_iou": shared_sum / union_sum}


def slow_corners(box: Sequence[float]) -> Corners:
    if len(box) == 4:
        a, b, c, d = box
        return [(a, b), (c, b), (c, d), (a, d)]
    return [(box[i], box[i + 1]) for i in range(0, 8, 2)]


def slow_as(box: Sequence[float], truth: Sequence[float]) -> Corners:
    """Against an upright truth, the upright box around the reply's."""
    corners = slow_corners(box)
    if len(truth) == 8:
        return corners
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return slow_corners((min(xs), min(ys), max(xs), max(ys)))


def slow_area(corners: Corners) -> float:
    total = 0.0
    for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
        total += x1 * y2 - x2 * y1
    return abs(total) / 2


def slow_shared(box: Sequence[float], truth: Sequence[float]) -> float:
    """Sutherland and Hodgman: what is left of the box on the inner side of each true edge."""
    left, cutter = slow_as(box, truth), slow_corners(truth)
    for (x1, y1), (x2, y2) in zip(cutter, cutter[1:] + cutter[:1], strict=True):
        sides = [(x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) for x, y in left]
        kept: Corners = []
        for i, (x, y) in enumerate(left):
            (u, v), before, now = left[i - 1], sides[i - 1], sides[i]
            if before * now < 0:
                share = before / (before - now)
                kept.append((u + share * (x - u), v + share * (y - v)))
            if now >= 0:
                kept.append((x, y))
        left = kept
    return slow_area(left)


sizes = st.tuples(st.integers(20, 2000), st.integers(20, 2000))
spans = st.lists(st.integers(0, 1000), min_size=2, max_size=2, unique=True)
uprights = st.tuples(spans, spans)


@st.composite
def turned(draw: st.DrawFn) -> list[int]:
    """A rotated square in 0-1000, clockwise from anywhere: corners at multiples of a step."""
    x, y = draw(st.integers(300, 700)), draw(st.integers(300, 700))
    u, v = draw(st.integers(20, 200)), draw(st.integers(-90, 90))
    return [x - u, y - v, x + v, y - u, x + u, y + v, x - v, y + u]


def pixels(numbers: Sequence[int], size: tuple[int, int]) -> list[float]:
    return [n * size[i % 2] / 1000 for i, n in enumerate(numbers)]


def ordered(upright: tuple[list[int], list[int]]) -> list[int]:
    (x1, x2), (y1, y2) = upright
    return [min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(sizes, st.none() | uprights, uprights), min_size=1, max_size=8),
    st.booleans(),
)
def test_equals_the_reference_on_upright_boxes(rows: list[Any], strict: bool) -> None:
    replies, boxes, truths = [], [], []
    for size, said, true in rows:
        (x1, x2), (y1, y2) = said or ([0, 0], [0, 0])
        replies.append(f"It is at [{x1}, {y1}, {x2}, {y2}]." if said else "I cannot see it.")
        boxes.append(pixels(ordered(said), size) if said else None)
        truths.append(pixels(ordered(true), size))
        assume(max(truths[-1]) > 1)  # else it is one in shares of the image
    ious = [
        slow_scores([b], [t], strict=False)["mean_iou"] for b, t in zip(boxes, truths, strict=True)
    ]
    # Just at a threshold, the two ways of reckoning may round apart; a test below is about that.
    assume(all(abs(iou_ - share / 10) > 1e-9 for iou_ in ious for share in range(5, 10)))
    found = score_grounding(replies, truths, [row[0] for row in rows], "norm1000", strict=strict)
    expected = slow_scores(boxes, truths, strict=strict)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-9)
    assert found["n_unparsed"] == boxes.count(None)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(turned(), turned(), uprights, st.booleans()), min_size=1, max_size=6))
def test_equals_the_reference_on_rotated_boxes(rows: list[Any]) -> None:
    """All four pairs of kinds, as far as a codec can write them."""
    size = (1000, 500)
    replies = [", ".join(map(str, said)) for said, *_ in rows]
    boxes = [pixels(said, size) for said, *_ in rows]
    truths = [pixels(ordered(up) if is_up else true, size) for _, true, up, is_up in rows]
    ious = ground(replies, truths, [size] * len(rows), "obb").ious
    expected = slow_scores([*boxes], [*truths], strict=False)
    assert ious.mean() == pytest.approx(expected["mean_iou"], abs=1e-9)
    assert ious.max() <= 1


@settings(deadline=None, max_examples=60)
@given(turned() | uprights.map(ordered), turned())
def test_a_batch_gives_what_a_pair_gives(said: list[int], true: list[int]) -> None:
    box, truth = tuple(map(float, said)), tuple(map(float, true))
    shared, own, all_ = overlaps([box, (0.0,) * 4], [truth, truth], [(2000, 2000)] * 2)
    assert (shared / (own + all_ - shared)).tolist() == pytest.approx([iou(box, truth), 0])


beyond = st.tuples(*[st.floats(-150, 950)] * 2, *[st.floats(5, 400)] * 2, st.floats(1, 90)).map(
    lambda box: from_rotated(*box)
)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(beyond, beyond | uprights.map(ordered)), min_size=1, max_size=5))
def test_boxes_that_leave_the_image_count_by_what_of_them_is_in_it(pairs: list[Any]) -> None:
    """By shapely: the polygons cut by the image, both kinds of truth."""
    frame = shapely.box(0, 0, *SIZE)
    columns = [[pair[i] for pair in pairs] for i in (0, 1)]
    areas = overlaps(*columns, [SIZE] * len(pairs))
    for row, (said, true) in enumerate(pairs):
        box, truth = (polygon(points).intersection(frame) for points in (said, true))
        if len(true) == 4 and box.area:
            box = shapely.box(*box.bounds)
        expected = [box.intersection(truth).area, box.area, truth.area]
        assert [column[row] for column in areas] == pytest.approx(expected, abs=1e-5)


def polygon(points: Sequence[float]) -> shapely.Polygon:
    return shapely.Polygon(slow_corners(points))


@pytest.mark.parametrize("codec", ["obb", "geochat"])
def test_rotated_reply_that_leaves_the_image(codec: str) -> None:
    """A band across a corner: moved to the edge, its corners would make another shape of it."""
    band = (-20.0, 300.0, 300.0, -20.0, 330.0, 10.0, 10.0, 330.0)
    reply = {"obb": [round(v * 1000 / s, 3) for v, s in zip(band, SIZE * 4, strict=True)]}
    reply["geochat"] = []
    cx, cy, w, h, angle = to_rotated(band)
    ends = cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
    reply["geochat"] = [
        *(round(v * 100 / s, 4) for v, s in zip(ends, SIZE * 2, strict=True)),
        angle,
    ]
    (iou,) = ground([", ".join(map(str, reply[codec]))], [band], [SIZE], codec).ious
    assert iou == pytest.approx(1, abs=1e-3)


# --- What geometry says --------------------------------------------------------------------------


@pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))
@settings(deadline=None, max_examples=25)
@given(sizes, uprights, turned())
@example((20, 1279), ([0, 1], [0, 1]), [280, 300, 300, 280, 320, 300, 300, 320])
def test_the_truth_itself_scores_1(codec: Any, size: Any, upright: Any, square: list[int]) -> None:
    for numbers in [ordered(upright), square] if "obb" in codec.kinds else [ordered(upright)]:
        text = codec.write([("ship", pixels(numbers, size))], *size)
        # A step of the padded square may exceed a pixel; a true upright box ends at the edge.
        truth = codec.parse(text, *size, clipped=len(numbers) == 4)[0]
        assume(max(truth) > 1)
        found = score_grounding([text], [truth], [size], codec.name)
        assert [found[name] for name in SHARES] == pytest.approx([1] * 7)
        assert found["pr_90"] == 1


@settings(deadline=None, max_examples=40)
@given(uprights, st.sampled_from([(0, 1), (1, 0)]))
def test_boxes_apart_or_touching_score_0(upright: Any, side: tuple[int, int]) -> None:
    x1, y1, x2, y2 = truth = [v // 2 for v in ordered(upright)]
    assume(x1 < x2 and y1 < y2 and max(truth) > 1)
    across, down = (x2 - x1) * side[0], (y2 - y1) * side[1]
    beside = [x1 + across, y1 + down, x2 + across, y2 + down]
    found = score_grounding([str(beside)], [truth], [(1000, 1000)], "norm1000")
    assert [found[name] for name in SHARES] == [0] * 7
    assert found["n_unparsed"] == 0


@settings(deadline=None, max_examples=40)
@given(uprights, uprights, sizes, st.integers(2, 9))
def test_larger_images_score_the_same(said: Any, true: Any, size: Any, times: int) -> None:
    reply, truth = str(ordered(said)), pixels(ordered(true), size)
    assume(max(truth) > 1)
    large = (size[0] * times, size[1] * times)
    one = score_grounding([reply], [truth], [size], "norm1000")
    other = score_grounding([reply], [[v * times for v in truth]], [large], "norm1000")
    assert [one[name] for name in SHARES[5:]] == pytest.approx([other[n] for n in SHARES[5:]])


def test_small_boxes_have_no_extra_pixel() -> None:
    """With "+1 pixel" on 0-1 boxes, any box scores near 1 (METRICS: 0.333 became 0.981)."""
    found = of_one("[0.50, 0.50, 0.52, 0.52]", [408, 300, 424, 312], codec="llava")
    assert found["mean_iou"] == pytest.approx(1 / 3)


def test_random_boxes_score_what_geometry_says() -> None:
    """The truth is the whole image, so that the IoU of a reply is its share of the area.

    A side between two random ends is u with density 2 (1 - u), so the mean share is 1/9.
    """
    rng = np.random.default_rng(0)
    n = 6000
    replies = [f"[{a:.3f}, {b:.3f}, {c:.3f}, {d:.3f}]" for a, b, c, d in rng.random((n, 4))]
    found = score_grounding(replies, [[0, 0, *SIZE]] * n, [SIZE] * n, "llava")
    u = np.linspace(0.5, 1, 20_001)
    at_least_half = np.mean(2 * (1 - u) * (1 - 0.5 / u) ** 2) / 2
    assert found["pr_50"] == pytest.approx(at_least_half, abs=3 * math.sqrt(at_least_half / n))
    assert found["mean_iou"] == pytest.approx(1 / 9, abs=0.006)


@pytest.mark.parametrize("reply", ["[100, 200, 300, 400]", "[300, 400, 100, 200]"])
def test_swapped_corners_of_a_reply_are_put_in_order(reply: str) -> None:
    assert of_one(reply, [80, 120, 240, 240])["mean_iou"] == 1


def test_a_threshold_is_reached_unless_strict() -> None:
    replies = [f"[0, 0, 1000, {h}]" for h in (500, 600, 700, 800, 900)]
    truths, sizes_ = [[0, 0, 1000, 1000]] * 5, [(1000, 1000)] * 5
    at_least = score_grounding(replies, truths, sizes_, "norm1000")
    above = score_grounding(replies, truths, sizes_, "norm1000", strict=True)
    assert [at_least[name] for name in SHARES[:5]] == [1.0, 0.8, 0.6, 0.4, 0.2]
    assert [above[name] for name in SHARES[:5]] == [0.8, 0.6, 0.4, 0.2, 0.0]
    assert "|iou:>|" in str(above["signature"])


def test_cumulative_iou_weighs_by_area() -> None:
    replies = ["[0, 0, 1000, 1000]", "[0, 0, 100, 50]"]
    found = score_grounding(replies, [[0, 0, 800, 600], [0, 0, 80, 60]], [SIZE] * 2, "norm1000")
    assert found["mean_iou"] == pytest.approx(0.75)
    assert found["cumulative_iou"] == pytest.approx((480_000 + 2400) / (480_000 + 4800))


def test_the_first_of_several_boxes_counts() -> None:
    right, wrong = "[0, 0, 500, 500]", "[500, 500, 1000, 1000]"
    assert of_one(f"{right}, {wrong}", [0, 0, 400, 300])["mean_iou"] == 1
    assert of_one(f"{wrong}, {right}", [0, 0, 400, 300])["mean_iou"] == 0


@pytest.mark.parametrize(
    "reply", ["", " ", "[]", "no", "[1, 2, 3]", "[0, 0, 0, 0]", "[9e9, 1, 2, 3]"]
)
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("truth", [[0, 0, 400, 300], [200, 0, 400, 150, 200, 300, 0, 150]])
def test_a_reply_without_a_box_is_a_miss(reply: str, codec: str, truth: list[float]) -> None:
    found = score_grounding([reply, reply], [truth] * 2, [SIZE] * 2, codec)
    assert [found[name] for name in SHARES] == [0] * 7
    assert found["n_unparsed"] == 2


def test_a_miss_weighs_with_the_true_area() -> None:
    found = score_grounding(
        ["", "[0, 0, 500, 500]"], [[0, 0, 400, 300]] * 2, [SIZE] * 2, "norm1000"
    )
    assert (found["pr_50"], found["mean_iou"], found["cumulative_iou"]) == (0.5, 0.5, 0.5)


def test_reasons_are_told() -> None:
    found = ground(
        ["none", "[1, 2, 3]", "[0, 0, 9, 9]"], [[0, 0, 9, 9]] * 3, [SIZE] * 3, "norm1000"
    )
    assert found.reasons == {
        0: "no box: the reply has no numbers",
        1: "3 numbers where a box has 4",
    }


def test_a_rotated_reply_counts_as_the_box_around_it_where_the_truth_is_upright() -> None:
    diamond, around = "[500, 250, 750, 500, 500, 750, 250, 500]", [200, 150, 600, 450]
    assert of_one(diamond, around, "obb")["mean_iou"] == pytest.approx(1)
    corners = [200, 150, 600, 150, 600, 450, 200, 450]  # the same truth, said to be rotated
    assert of_one(diamond, corners, "obb")["mean_iou"] == pytest.approx(0.5)


def test_an_upright_reply_counts_as_it_is_where_the_truth_is_rotated() -> None:
    diamond = [400, 150, 600, 300, 400, 450, 200, 300]
    assert of_one("[250, 250, 750, 750]", diamond)["mean_iou"] == pytest.approx(0.5)


def test_replies_are_clipped_and_a_rotated_truth_is_too() -> None:
    assert of_one("[-10, 0, 500, 500]", [0, 0, 400, 300])["mean_iou"] == 1
    beyond = [-100, 0, 400, 0, 400, 300, -100, 300]
    assert of_one("[0, 0, 500, 500]", beyond)["mean_iou"] == pytest.approx(1)


# The same box, 40 px wide and 30 px high from (50, 60), in forms in which others store it; and
# boxes that are none in this image of 800 x 600 px.
@pytest.mark.parametrize(
    ("truth", "problem"),
    [
        ([50, 60, 40, 30], "is not x_min, y_min, x_max, y_max: is it x, y, width, height"),
        ([90, 90, 50, 60], "is not x_min, y_min, x_max, y_max"),
        ([50, 60, 50, 90], "is not x_min, y_min, x_max, y_max"),
        ([0.0625, 0.1, 0.1125, 0.15], "is in shares of the image, not in pixels"),
        ([0.0, 0.0, 1.0, 1.0], "is in shares of the image"),
        ([0.1, 0.1, 0.5, 0.1, 0.5, 0.5, 0.1, 0.5], "is in shares of the image"),
        ([-50, 60, 90, 90], "is not in its image of 800 x 600 px"),
        ([50, 60, 802, 90], "is not in its image"),
        ([50, 60, 90, 601.5], "is not in its image"),
        ([900, 60, 990, 60, 990, 90, 900, 90], "is not in its image"),
        ([50, 60, math.inf, 90], "holds what is no number"),
        ([50, 60, 70, 60, 90, 60, 110, 60], "has no area"),
        ([50, 60, 90, 90, 0.9], "needs 4 numbers or 8"),
        ([], "needs 4 numbers or 8"),
    ],
)
def test_a_truth_that_is_no_box_in_pixels_is_refused(truth: list[float], problem: str) -> None:
    for rows in ([truth], [[0, 0, 9, 9], truth]):
        replies, sizes_ = ["[0, 0, 9, 9]"] * len(rows), [SIZE] * len(rows)
        with pytest.raises(ValueError, match=f"row {len(rows) - 1}: .*{problem}"):
            score_grounding(replies, rows, sizes_, "norm1000")


@pytest.mark.parametrize(
    "truth", [[0, 0, 800, 600], [-1, 0, 9, 9], [790, 590, 801, 600.5], [0.5, 0.5, 1.5, 2]]
)
def test_a_pixel_of_rounding_is_no_fault_of_a_truth(truth: list[float]) -> None:
    assert of_one("", truth)["n_unparsed"] == 1


def test_each_reply_is_read_by_its_own_codec() -> None:
    truth = [80, 60, 400, 300]
    replies, codecs = ["[0.1, 0.1, 0.5, 0.5]", "[100, 100, 500, 500]"], ["llava", "norm1000"]
    for order in (slice(None), slice(None, None, -1)):
        found = score_grounding(replies[order], [truth] * 2, [SIZE] * 2, codecs[order])
        assert found["mean_iou"] == 1
        assert "|box_format:llava+norm1000|" in str(found["signature"])
    with pytest.raises(ValueError, match=r"one of llava, .*, got 'yolo'"):
        score_grounding(replies, [truth] * 2, [SIZE] * 2, ["llava", "yolo"])


COLUMNS: dict[str, list[Any]] = {
    "predictions": ["[0, 0, 500, 500]", "<box>", "[10, 20, 30, 40], [1, 2, 3, 4]"],
    "references": [[0.0, 0.0, 400.0, 300.0], [1.0, 1.0, 9.0, 9.0], [8.0, 12.0, 24.0, 32.0]],
    "sizes": [[800, 600]] * 3,
}


def test_all_keys_in_order() -> None:
    scores = score_grounding(**COLUMNS, box_format="norm1000")
    sizes = [f"pr_50_{size}" for size in SIZES if f"pr_50_{size}" in scores]
    numbers = [f"n_{size}" for size in sizes]
    assert list(scores) == [*SHARES, *sizes, *numbers, "n_unparsed", "signature"]
    assert sum(scores[name] for name in numbers if not name.endswith("share")) == 3
    assert scores["pr_50"] == 2 / 3
    assert scores["pr_90"] == 1 / 3
    assert scores["signature"] == (
        "rs_grounding|v1|iou:>=|boxes:first|truth:hbb|box_format:norm1000|n:3|unparsed:1"
    )


def test_load_and_batches_give_the_same_scores(tmp_path: Path) -> None:
    metric = evaluate.load(str(FOLDER), cache_dir=str(tmp_path))
    for rows in (slice(0, 2), slice(2, 3)):
        metric.add_batch(**{name: column[rows] for name, column in COLUMNS.items()})
    expected = score_grounding(**COLUMNS, box_format="norm1000", strict=True)
    assert metric.compute(box_format="norm1000", strict=True) == expected
    direct = RSGrounding(cache_dir=str(tmp_path)).compute(**COLUMNS, box_format="norm1000")
    assert direct == score_grounding(**COLUMNS, box_format="norm1000")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({name: [] for name in COLUMNS}, "nothing to score"),
        ({"sizes": [[8, 6]]}, "'sizes': 1"),
        ({"predictions": ["", None, ""]}, "row 1 of predictions is None"),
        ({"references": [[0, 0, 9, 9], [1, 2, 3], [0, 0, 9, 9]]}, "row 1: .* 4 numbers or 8"),
        ({"references": [[0, 0, 9, 9], [math.nan] * 4, [0, 0, 9, 9]]}, "row 1: .* no number"),
        ({"references": [[900, 0, 990, 9]] * 3}, "row 0: .* not in its image of 800 x 600"),
        ({"sizes": [[800, 600], [800, 600], [800]]}, "row 2 needs a width and a height"),
        ({"box_format": "yolo"}, "box_format must be one of llava, .*, got 'yolo'"),
    ],
    ids=["empty", "lengths", "none", "count", "nan", "outside", "size", "codec"],
)
def test_errors(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_grounding(**{**COLUMNS, "box_format": "norm1000", **change})


@pytest.mark.parametrize("percent", [50, 60, 70, 80, 90])
def test_boxes_and_their_mirror_images_reach_a_threshold_alike(percent: int) -> None:
    """Whatever the rounding rests: each box shares just that part of the truth."""
    ious = []
    for step in range(1, 200):
        side = step / 7
        for left in (step / 3, 800 - step / 3 - side):  # a box, and its mirror image
            truth = (left, 0.0, left + side, 10.0)
            part = (left, 0.0, left + side, percent / 10)
            areas = overlaps([part], [truth], [SIZE])
            ious.append(areas.shared / (areas.predicted + areas.true - areas.shared))
    every = np.concatenate(ious)
    assert rs_grounding.reached(every)[f"pr_{percent}"].all()
    assert not rs_grounding.reached(every, strict=True)[f"pr_{percent}"].any()


def test_small_objects_and_classes_apart() -> None:
    truths = [(0, 0, 20, 20), (0, 0, 20, 20), (0, 0, 50, 50), (100, 100, 400, 400)]
    right = "[0, 0, 25, 33]"
    replies = [right, "no", "[0, 0, 62, 83]", "[125, 167, 500, 667]"]
    found = measure(
        replies, truths, [SIZE] * 4, "norm1000", classes=["ship", "dam", "ship", "dam"]
    ).result
    assert (found["pr_50_small"], found["pr_50_medium"], found["pr_50_large"]) == (0.5, 1, 1)
    assert (found["n_pr_50_small"], found["n_pr_50_medium"]) == (2, 1)
    # Of 800 x 600 px: 50 x 50 px are a 192nd, more than a 300th.
    assert (found["pr_50_small_share"], found["n_pr_50_medium_share"]) == (0.5, 1)
    assert (found["pr_50_of_ship"], found["pr_50_of_dam"]) == (1, 0.5)
    few = measure(replies[2:], truths[2:], [SIZE] * 2, "norm1000").result
    assert "pr_50_small" not in few
    assert not any(name.startswith("pr_50_of") for name in few)
