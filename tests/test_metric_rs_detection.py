"""rs_detection against geometry, a slow reference in plain loops, and pycocotools."""

import contextlib
import io
import random
from collections.abc import Sequence
from typing import Any

import evaluate
import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_metric_rs_grounding import FOLDER, slow_area, slow_as, slow_corners, slow_shared

from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v.boxes import from_rotated
from rs_gpt4v.scoring import quads
from rs_gpt4v.scoring.detections import NO_BOX, read
from rs_gpt4v.scoring.matching import find
from rs_gpt4v_evaluation.object_sizes import AREAS, SHARES, SIZES
from rs_gpt4v_evaluation.rs_detection.average_precision import AREAS as COCO_AREAS
from rs_gpt4v_evaluation.rs_detection.average_precision import by_confidence, without_confidence
from rs_gpt4v_evaluation.rs_detection.measure import measure
from rs_gpt4v_evaluation.rs_detection.rs_detection import RSDetection
from rs_gpt4v_evaluation.rs_detection.sums import detection_sums

Box = Sequence[float]
SIDES = (800, 600)
NONE = "There are none."


def scored(
    claimed: Sequence[Sequence[Box]],
    true: Sequence[Sequence[Box]],
    classes: Sequence[str] | None = None,
    **rule: Any,
) -> dict[str, float]:
    """The scores of boxes that are read already, each row's image of `SIDES`."""
    n = len(true)
    denies = np.array([not boxes for boxes in claimed])
    names = classes or ["ship"] * n
    return detection_sums(
        find(claimed, true, [SIDES] * n), names, [SIDES] * n, denies, **rule
    ).total()


def of_replies(replies: list[str], true: list[list[Box]], **options: Any) -> dict[str, Any]:
    names = options.pop("classes", ["ship"] * len(true))
    return measure(replies, true, names, [SIDES] * len(true), "norm1000", **options).result


def written(boxes: Sequence[Box], codec: str = "norm1000") -> str:
    return CODECS[codec].write([("ship", box) for box in boxes], *SIDES) if boxes else NONE


# --- The reference: plain loops ------------------------------------------------------------------


def slow_iou(box: Box, truth: Box) -> float:
    shared = slow_shared(box, truth)
    return shared / (slow_area(slow_as(box, truth)) + slow_area(slow_corners(truth)) - shared)


def slow_pairs(claimed: Sequence[Box], true: Sequence[Box]) -> list[tuple[int, int, float]]:
    """One after the other the pair of free boxes that overlaps most."""
    table = {(i, j): slow_iou(a, b) for i, a in enumerate(claimed) for j, b in enumerate(true)}
    pairs = []
    while table:
        (i, j), best = max(table.items(), key=lambda item: item[1])
        if best < 0.4:
            break
        pairs.append((i, j, best))
        table = {(a, b): iou for (a, b), iou in table.items() if a != i and b != j}
    return pairs


def slow_ap(hits: int, claimed: int, true: int) -> float:
    """101 recalls: the precision where it is reached, else nothing."""
    total = 0.0
    for percent in range(101):
        if hits and hits / true >= percent / 100:
            total += hits / claimed
    return total / 101


def slow_scores(
    claimed: list[list[Box]], true: list[list[Box]], classes: list[str]
) -> dict[str, float]:
    thresholds = [0.5 + 0.05 * step for step in range(10)]
    names = sorted(set(classes))
    hits = {(name, t): 0 for name in names for t in range(10)}
    pairs_of = [slow_pairs(*own) for own in zip(claimed, true, strict=True)]
    said, there = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    absent = denied = 0
    for boxes, truths, name, pairs in zip(claimed, true, classes, pairs_of, strict=True):
        said[name] += len(boxes)
        there[name] += len(truths)
        absent += not truths
        denied += not truths and not boxes
        for t, threshold in enumerate(thresholds):
            hits[name, t] += sum(iou > threshold - 1e-9 for *_, iou in pairs)
    present = [name for name in names if there[name]]
    ap = {n: [slow_ap(hits[n, t], said[n], there[n]) for t in range(10)] for n in present}
    found, claims, truths_ = sum(hits[n, 0] for n in names), sum(said.values()), sum(there.values())
    f1 = {n: 2 * hits[n, 0] / (said[n] + there[n]) for n in present}
    scores = {
        "precision": found / claims if claims else 0,
        "recall": found / truths_ if truths_ else 0,
        "f1": 2 * found / (claims + truths_) if claims + truths_ else 0,
        "mean_f1": mean(f1.values()),
        "ap": mean(mean(own) for own in ap.values()),
        "ap_50": mean(own[0] for own in ap.values()),
        "ap_75": mean(own[5] for own in ap.values()),
    }
    scores |= {f"f1_of_{name}": value for name, value in f1.items()}
    scores |= {f"ap_of_{name}": mean(own) for name, own in ap.items()}
    scores |= slow_by_size(claimed, true, pairs_of)
    return scores | ({"absent_denied": denied / absent} if absent else {})


def slow_by_size(
    claimed: list[list[Box]], true: list[list[Box]], pairs_of: list[list[tuple[int, int, float]]]
) -> dict[str, float]:
    sizes = {name: [0, 0, 0] for name in SIZES}
    for boxes, truths, pairs in zip(claimed, true, pairs_of, strict=True):
        partner = {i: j for i, j, iou in pairs if iou > 0.5 - 1e-9}
        for j, truth in enumerate(truths):
            for size in slow_sizes(truth):
                sizes[size][0] += 1
                sizes[size][1] += j in partner.values()
        for i, box in enumerate(boxes):
            for size in slow_sizes(truths[partner[i]] if i in partner else box):
                sizes[size][2] += 1
    scores = {}
    for size, (truth, hit, claim) in sizes.items():
        if truth:
            scores[f"recall_{size}"] = hit / truth
            scores[f"precision_{size}"] = hit / claim if claim else 0
            scores[f"f1_{size}"] = 2 * hit / (truth + claim)
    return scores


def mean(values: Any) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0


def slow_sizes(box: Box) -> list[str]:
    area = slow_area(slow_corners(box))
    share = area / (SIDES[0] * SIDES[1])
    return [
        ("small", "medium", "large")[sum(area >= limit for limit in AREAS)],
        ("small_share", "medium_share", "large_share")[sum(share >= limit for limit in SHARES)],
    ]


def scene(rng: random.Random, kinds: str) -> tuple[list[list[Box]], list[list[Box]], list[str]]:
    """Rows of claimed and true boxes, many of them near each other, in the image."""
    claimed, true, classes = [], [], []
    for row in range(rng.randint(1, 8)):
        truths = [box(rng, kinds) for _ in range(rng.randint(0, 5))]
        near = [moved(rng, truth) for truth in truths for _ in range(rng.choice((0, 1, 1, 2)))]
        claimed.append(near + [box(rng, kinds) for _ in range(rng.randint(0, 2))])
        true.append(truths)
        classes.append(rng.choice(("ship", "plane", "dam")) + "x" * (row == 3))
    return claimed, true, classes


def box(rng: random.Random, kinds: str) -> Box:
    w, h = rng.uniform(5, 150), rng.uniform(5, 150)
    x, y = rng.uniform(100, 690), rng.uniform(100, 490)
    if rng.choice(kinds) == "u":
        return x - w / 2, y - h / 2, x + w / 2, y + h / 2
    return from_rotated(x, y, w, h, rng.uniform(1, 89))


def moved(rng: random.Random, truth: Box) -> Box:
    dx, dy = rng.gauss(0, 4), rng.gauss(0, 4)
    return tuple(value + (dy if place % 2 else dx) for place, value in enumerate(truth))


@pytest.mark.parametrize("kinds", ["u", "r", "ur"])
@pytest.mark.parametrize("seed", range(25))
def test_scores_are_those_of_the_slow_reference(seed: int, kinds: str) -> None:
    claimed, true, classes = scene(random.Random(f"{seed}{kinds}"), kinds)
    found = scored(claimed, true, classes)
    assert found == pytest.approx(slow_scores(claimed, true, classes), abs=1e-9)


@pytest.mark.parametrize("kinds", ["u", "r"])
def test_a_row_with_many_boxes_is_the_same(kinds: str) -> None:
    rng = random.Random(kinds)
    true = [[box(rng, kinds) for _ in range(120)]]
    claimed = [[moved(rng, truth) for truth in true[0][:90]] + [box(rng, kinds)]]
    assert scored(claimed, true) == pytest.approx(slow_scores(claimed, true, ["ship"]), abs=1e-9)


# --- By hand -------------------------------------------------------------------------------------

A, B, C = (0, 0, 100, 100), (200, 0, 300, 100), (400, 400, 420, 420)


def test_two_of_three_found_and_one_claim_too_many() -> None:
    found = scored([[A, B, (600, 500, 700, 590)]], [[A, B, C]])
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["f1"] == pytest.approx(2 / 3)
    # One precision, 2/3, at the 67 recalls from 0 to 0.66 of 101.
    assert found["ap"] == found["ap_50"] == found["ap_75"] == pytest.approx(2 / 3 * 67 / 101)
    assert (found["recall_small"], found["recall_large"]) == (0, 1)
    assert "recall_medium" not in found


def test_a_true_box_is_found_once() -> None:
    found = scored([[A, A, A]], [[A]])
    assert (found["precision"], found["recall"]) == (pytest.approx(1 / 3), 1)


def test_the_pair_that_overlaps_most_is_taken_first() -> None:
    left, right = (0, 0, 100, 100), (40, 0, 140, 100)
    between = (18, 0, 118, 100)  # nearer to the left one
    found = scored([[between, (0, 0, 98, 100)]], [[left, right]])
    # The second claim takes the left box, though the first has it as its best one too.
    assert found["recall"] == 1


@pytest.mark.parametrize(("strict", "hits"), [(False, 1.0), (True, 0.0)])
def test_an_iou_of_just_a_half(strict: bool, hits: float) -> None:
    assert scored([[(0, 0, 100, 50)]], [[A]], strict=strict)["f1"] == hits


def test_thresholds_rise_to_095() -> None:
    found = scored([[(0, 0, 100, 72)]], [[A]])  # IoU 0.72: five of ten thresholds
    assert found["ap"] == pytest.approx(0.5)
    assert (found["ap_50"], found["ap_75"]) == (1, 0)


def test_classes_weigh_the_same_in_the_means_and_boxes_in_the_rest() -> None:
    found = scored([[A, B], []], [[A, B], [C]], ["ship", "dam"])
    assert found["f1"] == pytest.approx(0.8)
    assert found["mean_f1"] == found["ap"] == 0.5
    assert (found["f1_of_ship"], found["f1_of_dam"]) == (1, 0)


def test_a_class_without_true_boxes_has_no_score_but_its_claims_count() -> None:
    found = scored([[A], [B]], [[A], []], ["ship", "dam"])
    assert found["precision"] == 0.5
    assert "f1_of_dam" not in found
    assert found["ap"] == found["mean_f1"] == 1
    assert found["absent_denied"] == 0


def test_upright_box_around_a_rotated_claim_counts_against_an_upright_truth() -> None:
    diamond = (50, 0, 100, 50, 50, 100, 0, 50)
    assert scored([[diamond]], [[A]])["f1"] == 1
    assert scored([[A]], [[diamond]])["f1"] == 1  # IoU 0.5: as it is
    assert scored([[A]], [[diamond]])["ap"] == pytest.approx(0.1)


def test_a_size_is_that_of_the_true_box_and_of_a_false_claim_its_own() -> None:
    medium, large = (0, 0, 95, 96), (0, 0, 96, 96)  # IoU 0.99
    found = scored([[medium, C]], [[large, (500, 500, 540, 540)]])
    assert (found["precision_large"], found["recall_large"]) == (1, 1)
    assert (found["f1_large"], found["f1_medium"]) == (1, 0)
    assert (found["precision_medium"], found["recall_medium"]) == (0, 0)
    assert "precision_small" not in found  # a false claim alone makes no size


def test_area_that_an_image_cuts_off_does_not_count() -> None:
    beyond = (-100, 0, 100, 100)
    assert scored([[(0, 0, 100, 100)]], [[beyond]])["ap"] == 1
    leaving = from_rotated(0, 300, 100, 40, 30)
    inside = shapely.intersection(
        shapely.Polygon(zip(leaving[::2], leaving[1::2], strict=True)), shapely.box(0, 0, *SIDES)
    )
    found = find([[leaving]], [[leaving]], [SIDES])
    assert found.true.areas[0] == pytest.approx(inside.area)
    assert found.taken.ious[0] == pytest.approx(1)


# --- Properties ----------------------------------------------------------------------------------

corners = st.tuples(
    st.integers(0, 700), st.integers(0, 500), st.integers(1, 99), st.integers(1, 99)
)
uprights = corners.map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
rotated = st.tuples(
    *(st.floats(low, high) for low, high in ((100, 700), (100, 500), (4, 99), (4, 99), (1, 89)))
).map(lambda b: from_rotated(*b))
boxes = st.lists(st.one_of(uprights, rotated), max_size=6)
rows = st.lists(st.tuples(boxes, boxes, st.sampled_from(["ship", "dam"])), min_size=1, max_size=5)


def of_rows(many: Any) -> dict[str, float]:
    return scored(*(list(column) for column in zip(*many, strict=True)))


@given(rows, st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_no_order_matters(many: Any, rng: random.Random) -> None:
    before = of_rows(many)
    shuffled = [(rng.sample(c, len(c)), rng.sample(t, len(t)), name) for c, t, name in many]
    rng.shuffle(shuffled)
    assert of_rows(shuffled) == pytest.approx(before)


@given(rows)
@settings(max_examples=25, deadline=None)
def test_every_row_twice_changes_nothing(many: Any) -> None:
    assert of_rows([*many, *many]) == pytest.approx(of_rows(many))


@given(rows)
@settings(max_examples=25, deadline=None)
def test_every_claim_twice_halves_precision_and_keeps_recall(many: Any) -> None:
    before, after = of_rows(many), of_rows([(c + c, t, name) for c, t, name in many])
    # A copy may hit a second true box of its neighbourhood: never fewer are found.
    assert after["recall"] >= before["recall"] - 1e-9
    n = sum(len(c) for c, _, _ in many)
    hits = after["precision"] * 2 * n
    assert hits == pytest.approx(after["recall"] * sum(len(t) for _, t, _ in many))


@given(rows)
@settings(max_examples=25, deadline=None)
def test_the_truth_is_perfect_and_nothing_is_worthless(many: Any) -> None:
    assume(any(t for _, t, _ in many))
    perfect = of_rows([(t, t, name) for _, t, name in many])
    assert set(perfect.values()) == {1.0}
    nothing = of_rows([([], t, name) for _, t, name in many])
    assert {name: value for name, value in nothing.items() if value} in ({}, {"absent_denied": 1})


@given(rows)
@settings(max_examples=25, deadline=None)
def test_scores_are_shares_and_higher_thresholds_are_harder(many: Any) -> None:
    found = of_rows(many)
    assert all(0 <= value <= 1 for value in found.values())
    assert found["ap_75"] <= found["ap_50"] + 1e-9
    strict = scored(*(list(column) for column in zip(*many, strict=True)), strict=True)
    assert strict["f1"] <= found["f1"] + 1e-9


@given(rows, uprights)
@settings(max_examples=25, deadline=None)
def test_one_more_claim_never_costs_recall_nor_finds_a_box_twice(many: Any, more: Box) -> None:
    before, after = of_rows(many), of_rows([([*c, more], t, name) for c, t, name in many])
    assert after["recall"] >= before["recall"] - 1e-9
    assert find([[more] * 3], [[more]], [SIDES]).taken.ious.tolist() == [1.0]


def test_everything_claimed_is_worth_little() -> None:
    grid = [(x, y, x + 40, y + 40) for x in range(0, 760, 20) for y in range(0, 560, 20)]
    found = scored([grid], [[(100, 100, 140, 140), (400, 300, 440, 340)]])
    assert found["recall"] == 1
    assert found["f1"] < 0.01
    assert found["ap"] < 0.01


def test_random_boxes_are_worth_almost_nothing() -> None:
    rng = random.Random(0)
    rows = [[box(rng, "u") for _ in range(5)] for _ in range(400)]
    found = scored(rows[:200], rows[200:])
    assert found["f1"] < 0.02
    assert found["ap"] < 0.005


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 40))
def test_ap_without_confidences_is_precision_times_the_recalls_reached(
    hits: int, false: int, missed: int
) -> None:
    value = without_confidence(*map(np.array, (hits, hits + false, hits + missed)))
    assert float(value) == pytest.approx(slow_ap(hits, hits + false, hits + missed))


@given(st.lists(st.one_of(uprights, rotated), min_size=2, max_size=2))
@settings(max_examples=100, deadline=None)
def test_areas_of_quadrangles_are_those_of_shapely(two: list[Box]) -> None:
    hulls = [shapely.convex_hull(shapely.MultiPoint(slow_corners(own))) for own in two]
    one, other = (quads.convex([own]) for own in two)
    assert quads.shared_areas(one)[0] == pytest.approx(hulls[0].area)
    shared = shapely.intersection(*hulls).area
    assert quads.shared_areas(one, other)[0] == pytest.approx(shared, abs=1e-6)


@given(st.lists(st.integers(0, 60), min_size=8, max_size=8))
@settings(max_examples=100, deadline=None)
def test_corners_in_any_order_count_as_their_hull(numbers: list[int]) -> None:
    hull = shapely.convex_hull(shapely.MultiPoint(slow_corners(numbers)))
    assert quads.shared_areas(quads.convex([numbers]))[0] == pytest.approx(hull.area, abs=1e-9)


Confident = list[tuple[list[Box], list[Box], list[float]]]
"""Of each row of one class: the claimed boxes, the true ones, and the claims' confidences."""


def slow_confident_ap(rows: Confident, area: tuple[float, float]) -> list[float] | None:
    """COCO's AP at each threshold, claim by claim; true boxes beyond ``area`` are ignored."""
    number = sum(not slow_is_beyond(truth, area) for _, true, _ in rows for truth in true)
    if not number:
        return None
    aps = []
    for step in range(10):
        ends = [end for row in rows for end in slow_ends(row, 0.5 + 0.05 * step, area)]
        ends.sort(key=lambda end: -end[0])
        hits, points = 0, []
        for claimed, (_, is_hit) in enumerate(ends, 1):
            hits += is_hit
            points.append((hits / number, hits / claimed))
        # A recall of 7 in 10 misses 0.7 of these by a rounding rest, as it does in pycocotools.
        recalls = np.linspace(0, 1, 101).tolist()
        reached = [[p for recall, p in points if recall >= r] for r in recalls]
        aps.append(sum(max(own, default=0.0) for own in reached) / 101)
    return aps


def slow_ends(
    row: tuple[list[Box], list[Box], list[float]], threshold: float, area: tuple[float, float]
) -> list[tuple[float, bool]]:
    """Confidence and whether it is a hit, of each claim that counts."""
    claimed, true, confidences = row
    free, ends = set(range(len(true))), []
    ignored = [slow_is_beyond(truth, area) for truth in true]
    most = sorted(range(len(claimed)), key=lambda i: -confidences[i])[:100]
    for i in most:
        ious = {j: slow_iou(claimed[i], true[j]) for j in free}
        near = [j for j, iou in ious.items() if iou > threshold - 1e-9]
        counted = [j for j in near if not ignored[j]] or near
        if counted:
            best = max(counted, key=lambda j: (ious[j], j))
            free.discard(best)
            if not ignored[best]:
                ends.append((confidences[i], True))
        elif not slow_is_beyond(claimed[i], area):
            ends.append((confidences[i], False))
    return ends


def slow_is_beyond(box: Box, area: tuple[float, float]) -> bool:
    return not area[0] <= slow_area(slow_corners(box)) <= area[1]


@pytest.mark.parametrize("kinds", ["u", "r", "ur"])
@pytest.mark.parametrize("seed", range(10))
def test_ap_with_confidences_by_size_is_that_of_the_slow_reference(seed: int, kinds: str) -> None:
    """pycocotools knows no rotated boxes; this does, and is written from its rules alone."""
    rng = random.Random(f"{seed}{kinds}")
    claimed, true, classes = scene(rng, kinds)
    sure = [[rng.choice((rng.random(), 0.5)) for _ in own] for own in claimed]
    found = by_confidence(find(claimed, true, [SIDES] * len(true)), classes, sure)
    rows = [*zip(claimed, true, sure, strict=True)]
    for size, area in COCO_AREAS.items():
        of_class = {
            name: slow_confident_ap(
                [r for r, n in zip(rows, classes, strict=True) if n == name], area
            )
            for name in set(classes)
        }
        known = {name: mean(aps) for name, aps in of_class.items() if aps is not None}
        assert (f"ap{size}" in found) == bool(known)
        if known:
            assert found[f"ap{size}"] == pytest.approx(mean(known.values()), abs=1e-9), size


def test_what_is_beyond_a_size_neither_counts_as_found_nor_as_false() -> None:
    small, large = (0, 0, 20, 20), (200, 200, 400, 400)
    other_small, other_large = (500, 500, 520, 520), (500, 300, 700, 500)
    true, found = [[small, large]], []
    for claims in ([small, large], [small, other_large], [other_small, small], [other_small]):
        sure = [[0.9 - 0.1 * place for place in range(len(claims))]]
        scores = by_confidence(find([claims], true, [SIDES]), ["ship"], sure)
        found.append((scores["ap_small"], scores["ap_large"]))
        assert "ap_medium" not in scores
    assert found == [(1, 1), (1, 0), (0.5, 0), (0, 0)]


# --- pycocotools ---------------------------------------------------------------------------------


def coco_stats(
    claimed: list[list[Box]],
    true: list[list[Box]],
    confidences: list[list[float]],
    names: list[str],
) -> Any:
    coco, evaluation = pytest.importorskip("pycocotools.coco"), None
    from pycocotools.cocoeval import COCOeval

    classes = sorted(set(names))
    annotations, results = [], []
    for image, (truths, name) in enumerate(zip(true, names, strict=True), 1):
        for x, y, x2, y2 in truths:
            w, h = x2 - x, y2 - y
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": classes.index(name) + 1,
                    "bbox": [x, y, w, h],
                    "area": w * h,
                    "iscrowd": 0,
                }
            )
    for image, (own, sure) in enumerate(zip(claimed, confidences, strict=True), 1):
        for (x, y, x2, y2), confidence in zip(own, sure, strict=True):
            results.append(
                {
                    "image_id": image,
                    "category_id": classes.index(names[image - 1]) + 1,
                    "bbox": [x, y, x2 - x, y2 - y],
                    "score": confidence,
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = {
            "images": [{"id": image} for image in range(1, len(true) + 1)],
            "categories": [{"id": place, "name": n} for place, n in enumerate(classes, 1)],
            "annotations": annotations,
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(
        zip(
            ("ap", "ap_50", "ap_75", "ap_small", "ap_medium", "ap_large"),
            evaluation.stats,
            strict=False,
        )
    )


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_ap_with_confidences_is_that_of_pycocotools(seed: int, ties: bool) -> None:
    rng = random.Random(seed)
    true, claimed, confidences, names = [], [], [], []
    for image in range(rng.randint(3, 12)):
        truths = [whole(rng) for _ in range(rng.randint(0, 8))]
        near = [jittered(rng, t) for t in truths for _ in range(rng.choice((0, 1, 2)))]
        own = near + [whole(rng) for _ in range(rng.randint(0, 130 if image == 0 else 3))]
        sure = [rng.randint(0, 4) / 4 if ties else rng.random() for _ in own]
        true.append(truths)
        claimed.append(own)
        confidences.append(sure)
        names.append(rng.choice(("ship", "dam")))
    if not any(true) or not any(claimed):
        pytest.skip("nothing to compare")
    replies = ["; ".join(f"[{', '.join(f'{v:.0f}' for v in b)}]" for b in own) for own in claimed]
    sides = [(1000, 1000)] * len(true)
    ours = measure(replies, true, names, sides, "norm1000", confidences=confidences).result
    expected = coco_stats(claimed, true, confidences, names)
    for name, value in expected.items():
        assert ours.get(name, -1) == pytest.approx(value, abs=1e-12), name


def whole(rng: random.Random) -> Box:
    side = rng.choice((8, 32, 60, 96, 200))  # 32 and 96: just the limits of COCO's sizes
    x, y = rng.randint(0, 700), rng.randint(0, 700)
    return x, y, x + side, y + side


def jittered(rng: random.Random, box: Box) -> Box:
    dx, dy = rng.randint(-5, 5), rng.randint(-5, 5)
    x, y = max(0, box[0] + dx), max(0, box[1] + dy)
    return x, y, x + box[2] - box[0], y + box[3] - box[1]


@pytest.mark.parametrize("given_", [[[0.5]], [[0.5, 0.2], [0.1]], [[0.5, float("nan")], []]])
def test_confidences_are_one_a_box(given_: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="confidences"):
        of_replies([written([A, B]), NONE], [[A], []], confidences=given_)


# --- Replies -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        *("There are none.", "None", "none", "[]", "```json\n[]\n```", "No ships are visible."),
        *("There aren't any ships in the image.", "I do not see any ship.", "Zero", "No."),
        *("The image does not contain airplanes.", "I cannot find tennis courts here."),
        "There is no ship in this picture, only fields.",
    ],
)
def test_denials(text: str) -> None:
    assert read(text, *SIDES, "norm1000") == ((), True, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "I cannot tell.",
        "I have no idea.",
        "Ships!",
        "I'm not sure.",
        "There are 3 ships.",
    ],
)
def test_what_neither_gives_boxes_nor_denies(text: str) -> None:
    reply = read(text, *SIDES, "norm1000")
    assert reply.boxes == ()
    assert not reply.denies
    assert reply.failure


def test_a_box_that_cannot_be_one_is_a_false_claim() -> None:
    text = "[0, 0, 125, 167], [5000, 0, 6000, 20], [7, 7, 7, 20]"
    reply = read(text, *SIDES, "norm1000")
    assert reply.boxes[1:] == (NO_BOX, NO_BOX)
    found = of_replies([text], [[A]])
    assert (found["precision"], found["recall"], found["n_claimed"]) == (pytest.approx(1 / 3), 1, 3)


def test_a_reply_in_another_scale_is_not_read() -> None:
    found = of_replies(["[0.1, 0.1, 0.2, 0.2]", "[3000, 3000, 4000, 4000]"], [[A], [A]])
    assert (found["n_unparsed"], found["n_claimed"], found["f1"]) == (2, 0, 0)


def test_rows_without_the_object() -> None:
    replies = [NONE, written([A]), "", "I cannot tell.", "none"]
    found = of_replies(replies, [[], [], [], [], [A]])
    assert found["absent_denied"] == 0.25
    assert found["n_absent"] == 4
    assert found["n_unparsed"] == 2
    assert (found["precision"], found["recall"]) == (0, 0)


def test_a_cut_reply_keeps_its_whole_boxes() -> None:
    text = CODECS["llava"].write([("ship", A), ("ship", B)], *SIDES)
    found = measure([text[:-8]], [[A, B]], ["ship"], [SIDES], "llava").result
    assert (found["precision"], found["recall"]) == (1, 0.5)


# --- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"predictions": []}, "columns of one length"),
        ({"box_format": "yolo"}, "box_format must be one of"),
        (
            {"classes": ["ship", "Ship"]},
            "row 0 asks for 'ship' and row 1 for 'Ship': one class in two",
        ),
        ({"classes": ["tennis court", "tennis-court"]}, "one class in two spellings"),
        ({"classes": ["ship", None]}, "row 1 of classes is None"),
        ({"references": [[A], [(50, 50, 10, 10)]]}, "row 1: the true box .* is it x, y, width"),
        ({"references": [[A], [(0.1, 0.1, 0.5, 0.5)]]}, "row 1: .* shares of the image"),
        ({"references": [[(1, 2, 3)], []]}, "row 0: the true box needs 4 numbers or 8"),
        ({"references": [[A], [(0, 0, 900, 50)]]}, "row 1: .* is not in its image of 800 x 600"),
        ({"references": [[A], [(9, 9, 9, 9, 9, 9, 9, 9)]]}, "row 1: .* has no area"),
        ({"sizes": [SIDES, (800,)]}, "row 1 needs a width and a height"),
    ],
)
def test_unusable_rows_are_named(changes: dict[str, Any], problem: str) -> None:
    columns: dict[str, Any] = {
        "predictions": [NONE, NONE],
        "references": [[A], []],
        "classes": ["ship", "dam"],
        "sizes": [SIDES, SIDES],
        "box_format": "llava",
    }
    with pytest.raises(ValueError, match=problem):
        measure(**columns | changes)


def test_it_is_an_evaluate_module() -> None:
    metric = evaluate.load(str(FOLDER.parent / "rs_detection"))
    assert type(metric).__name__ == RSDetection.__name__
    found = metric.compute(
        predictions=[written([A]), NONE],
        references=[[[*map(float, A)]], []],
        classes=["ship", "dam"],
        sizes=[[*SIDES], [*SIDES]],
        box_format="norm1000",
    )
    assert (found["f1"], found["absent_denied"]) == (1, 1)
    assert found["signature"].startswith("rs_detection|v1|iou:>=|pairs:greatest-iou|")
