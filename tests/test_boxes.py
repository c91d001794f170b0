"""Laws of the geometry of boxes, each stated without the code's own arithmetic."""

import itertools

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely import affinity

from rs_gpt4v.boxes import (
    Points,
    area,
    clip,
    from_rotated,
    iou,
    is_degenerate,
    kind,
    order_corners,
    to_hbb,
    to_obb,
    to_rotated,
    visible,
)

Rotated = tuple[float, float, float, float, float]

WIDTH, HEIGHT = 800, 600

coordinates = st.floats(-100, 900, width=32)
sides = st.floats(1, 500, width=32)
hbbs = st.builds(lambda x, y, w, h: (x, y, x + w, y + h), coordinates, coordinates, sides, sides)
rotated = st.tuples(coordinates, coordinates, sides, sides, st.floats(0.5, 90))


def polygon(points: Points) -> shapely.Polygon:
    corners = to_obb(points)
    return shapely.Polygon(list(zip(corners[::2], corners[1::2], strict=True)))


def turned(cx: float, cy: float, w: float, h: float, angle: float) -> shapely.Polygon:
    """Shapely's own: y points down here, so that a positive angle turns clockwise as seen."""
    upright = shapely.box(cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
    return affinity.rotate(upright, angle, origin="centroid")


def shapely_iou(a: shapely.Polygon, b: shapely.Polygon) -> float:
    return a.intersection(b).area / a.union(b).area


@given(hbbs, hbbs)
def test_iou_of_upright_boxes_is_shapely_s(a: Points, b: Points) -> None:
    assert iou(a, b) == iou(b, a) == pytest.approx(shapely_iou(polygon(a), polygon(b)), abs=1e-9)


@given(rotated, rotated)
def test_iou_of_rotated_boxes_is_shapely_s(a: Rotated, b: Rotated) -> None:
    ours = iou(from_rotated(*a), from_rotated(*b))
    assert ours == pytest.approx(shapely_iou(turned(*a), turned(*b)), abs=1e-6)
    assert 0 <= ours <= 1


@given(hbbs, hbbs)
def test_an_upright_box_may_be_given_as_corners(a: Points, b: Points) -> None:
    assert iou(to_obb(a), b) == pytest.approx(iou(a, b), abs=1e-8)


@given(hbbs, st.floats(0.001, 10))
def test_iou_with_itself_is_one_at_any_scale(a: Points, k: float) -> None:
    scaled = [v * k for v in a]
    assert iou(scaled, scaled) == 1.0


def test_random_normalised_boxes_hardly_ever_match() -> None:
    # The "+1 pixel" rule on 0-1 boxes makes two of these three match.
    truth = (0.50, 0.50, 0.52, 0.52)
    for box in ((0.1, 0.1, 0.12, 0.12), (0.51, 0.51, 0.53, 0.53), (0.9, 0.2, 0.95, 0.3)):
        assert iou(truth, box) < 0.5


@given(rotated)
def test_rotated_corners_and_area_are_shapely_s(box: Rotated) -> None:
    corners = from_rotated(*box)
    assert polygon(corners).hausdorff_distance(turned(*box)) < 1e-3
    assert area(corners) == pytest.approx(box[2] * box[3], rel=1e-4)
    assert to_hbb(corners) == pytest.approx(turned(*box).bounds, abs=1e-3)


@given(rotated)
def test_corners_to_rotated_and_back(box: Rotated) -> None:
    again = to_rotated(from_rotated(*box))
    assert 0 < again[4] <= 90
    assert iou(from_rotated(*again), from_rotated(*box)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("k", [1e-3, 1.0, 1e3])
def test_a_rounding_rest_does_not_part_two_boxes(k: float) -> None:
    # Shapely 2.2 alone finds that these two do not meet.
    box = (751.0 * k, -83.0 * k, 400.8340148925781 * k, 400.8340148925781 * k, 29.804268482338557)
    corners = from_rotated(*box)
    assert iou(from_rotated(*to_rotated(corners)), corners) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("angle", range(1, 91))
def test_rotation_is_opencv_s(angle: int) -> None:
    # cx, cy, w, h and angle in (0, 90] tell one rectangle in one way.
    box = (400.0, 300.0, 120.0, 50.0, float(angle))
    assert to_rotated(from_rotated(*box)) == pytest.approx(box)


@given(rotated)
def test_corners_go_clockwise_from_the_top_left(box: Rotated) -> None:
    corners = from_rotated(*box)
    # In coordinates that point down, clockwise as seen is counter-clockwise to shapely.
    assert polygon(corners).exterior.is_ccw
    pairs = list(zip(corners[::2], corners[1::2], strict=True))
    assert sum(pairs[0]) == min(map(sum, pairs))


@pytest.mark.parametrize("angle", [7.0, 30.0, 60.0, 83.0])
def test_corner_order_does_not_depend_on_the_order_given(angle: float) -> None:
    corners = from_rotated(400, 300, 120, 50, angle)
    pairs = list(zip(corners[::2], corners[1::2], strict=True))
    for shuffled in itertools.permutations(pairs):
        assert order_corners([v for pair in shuffled for v in pair]) == corners


def test_a_diamond_begins_at_the_upper_of_two_equal_corners() -> None:
    assert order_corners((0, 5, 5, 0, 10, 5, 5, 10)) == (5, 0, 10, 5, 5, 10, 0, 5)


@given(st.lists(st.floats(-1e4, 1e4), min_size=8, max_size=8))
def test_clipped_boxes_lie_inside(corners: list[float]) -> None:
    x_min, y_min, x_max, y_max = to_hbb(clip(corners, WIDTH, HEIGHT))
    rounding = 1e-9  # of a corner where two edges cut each other
    assert -rounding <= x_min <= x_max <= WIDTH + rounding
    assert -rounding <= y_min <= y_max <= HEIGHT + rounding


@given(hbbs)
def test_clipping_is_the_intersection_with_the_image(hbb: Points) -> None:
    inside = clip(hbb, WIDTH, HEIGHT)
    shared = polygon(hbb).intersection(shapely.box(0, 0, WIDTH, HEIGHT))
    assert area(inside) == pytest.approx(shared.area, abs=1e-6)
    assert clip(inside, WIDTH, HEIGHT) == inside


FRAME = shapely.box(0, 0, WIDTH, HEIGHT)


@given(rotated)
def test_what_is_visible_of_a_rotated_box_is_shapely_s(box: Rotated) -> None:
    corners = visible(from_rotated(*box), WIDTH, HEIGHT)
    shared = turned(*box).intersection(FRAME)
    found = shapely.Polygon(corners) if len(corners) > 2 else shapely.Polygon()
    assert found.area == pytest.approx(shared.area, abs=1e-3)
    assert found.difference(FRAME.buffer(1e-9)).area == 0
    assert len(corners) <= 8


@given(rotated)
def test_rotated_box_is_clipped_to_four_corners_of_what_is_visible(box: Rotated) -> None:
    corners = from_rotated(*box)
    inside = clip(corners, WIDTH, HEIGHT)
    seen = visible(corners, WIDTH, HEIGHT)
    assert clip(inside, WIDTH, HEIGHT) == inside
    if not seen:
        assert is_degenerate(inside)
        return
    assert polygon(inside).difference(shapely.MultiPoint(seen).convex_hull.buffer(1e-6)).area == 0
    if len(seen) <= 4:
        assert area(inside) == pytest.approx(shapely.Polygon(seen).area, abs=1e-6)


@pytest.mark.parametrize(
    "corners",
    [
        (-30, 10, 10, -30, -20, -40, -40, -20),  # moved to the edge, it would be a triangle
        (900, 0, 990, 0, 990, 90, 900, 90),
        (-9, 30, -1, 30, -1, 60, -9, 60),
    ],
)
def test_box_beyond_the_image_has_no_area_in_it(corners: Points) -> None:
    assert visible(corners, WIDTH, HEIGHT) == []
    assert is_degenerate(clip(corners, WIDTH, HEIGHT))


def test_corners_in_any_order_count_as_their_hull() -> None:
    crossed = (-100, 100, 100, 300, 100, 100, -100, 300)
    assert clip(crossed, WIDTH, HEIGHT) == (0, 100, 100, 100, 100, 300, 0, 300)
    dented = (-100, 100, 300, 100, 90, 120, -100, 300)  # one corner is inside the other three
    assert polygon(clip(dented, WIDTH, HEIGHT)).area == pytest.approx(22_500)


@pytest.mark.parametrize(
    "points",
    [
        (5, 5, 5, 5),
        (5, 5, 9, 5),
        (0, 0, 4, 0, 4, 0, 0, 0),
        (0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4),
        (0, 0, float("nan"), 5),
        (0, 0, 20000, 1e-5),
    ],
    ids=["point", "line", "line of an obb", "slope", "nan", "a billionth"],
)
def test_degenerate_boxes(points: Points) -> None:
    assert is_degenerate(points)


@given(hbbs)
def test_boxes_of_a_pixel_and_more_are_not_degenerate(hbb: Points) -> None:
    assert not is_degenerate(hbb)
    assert not is_degenerate([v / 1e6 for v in hbb])


@pytest.mark.parametrize("count", [0, 3, 5, 7, 9])
def test_other_counts_of_numbers_are_no_box(count: int) -> None:
    with pytest.raises(ValueError, match=f"a box has 4 numbers .* got {count}"):
        kind([1.0] * count)
