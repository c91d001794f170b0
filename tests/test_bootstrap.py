"""Intervals and paired tests against slow loops, exact enumeration and known coverage."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("evaluate")

from rs_gpt4v.bootstrap import Sums, intervals, joined, paired, summed
from rs_gpt4v_evaluation.rs_caption import measure as rs_caption
from rs_gpt4v_evaluation.rs_caption.measure import measure
from rs_gpt4v_evaluation.rs_vqa.measure import answer_sums


def score_captions(*columns: Any, **options: Any) -> dict[str, Any]:
    return measure(*columns, **options).result


CAPTIONS = ["a road by a river", "two planes near a road", "many trees", "a road and a river"]
REFERENCES = [["a road by the river", "a river"], ["two planes"], ["many trees"], ["a road", "x"]]


def mean_of(rows: np.ndarray) -> Sums:
    return Sums(
        np.column_stack([rows, np.ones(len(rows))]), lambda s: {"mean": s[..., 0] / s[..., 1]}, {}
    )


def test_a_drawn_image_brings_all_its_rows() -> None:
    """Captions, whose scores are no means: a draw is scored as those rows would be."""
    sums = rs_caption.measure(CAPTIONS, REFERENCES).sums
    drawn = [0, 0, 3, 2]
    found = sums.scores(sums.rows[drawn].sum(0))
    alone = score_captions([CAPTIONS[i] for i in drawn], [REFERENCES[i] for i in drawn])
    names = [
        "bleu_1",
        "bleu_2",
        "bleu_3",
        "bleu_4",
        "meteor",
        "rouge_l",
    ]  # CIDEr weighs by the whole set
    assert {n: found[n] for n in names} == pytest.approx({n: alone[n] for n in names})


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1))
def test_rows_are_summed_by_image(rows: list[tuple[str, int]]) -> None:
    totals: dict[str, int] = {}
    for image, value in rows:
        totals[image] = totals.get(image, 0) + value
    found = summed(np.array([[value] for _, value in rows], float), [image for image, _ in rows])
    assert found[:, 0].tolist() == list(totals.values())


def test_intervals_equal_every_possible_draw() -> None:
    """Four images draw in 256 ways, all equally likely: many draws come near their percentiles."""
    values, images = np.array([0.0, 1, 1, 5, 2, 2, 9]), [0, 1, 1, 1, 2, 2, 3]
    by_image = [values[np.array(images) == image] for image in range(4)]
    means = [
        np.concatenate([by_image[i] for i in way]).mean() for way in product(range(4), repeat=4)
    ]
    low, high = intervals(mean_of(values), images, resamples=20_000)["mean"]
    assert low == pytest.approx(np.percentile(means, 2.5), abs=0.05)
    assert high == pytest.approx(np.percentile(means, 97.5), abs=0.05)


def test_questions_of_one_image_do_not_count_as_independent() -> None:
    """Ten equal answers an image say no more than one: the interval must not shrink."""
    answers = np.random.default_rng(1).integers(2, size=60).astype(float)
    low, high = intervals(mean_of(np.repeat(answers, 10)), np.repeat(np.arange(60), 10).tolist())[
        "mean"
    ]
    alone = intervals(mean_of(answers), list(range(60)))["mean"]
    assert (low, high) == pytest.approx(alone)
    assert high - low > 2 * 1.96 * 0.5 / 600**0.5 * 2


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(200):
        share = rng.beta(4, 2, size=80)  # each image has a difficulty of its own: the mean is 2/3
        right = rng.random((80, 5)) < share[:, None]
        images = np.repeat(np.arange(80), 5).tolist()
        low, high = intervals(mean_of(right.ravel().astype(float)), images, resamples=200)["mean"]
        covered += low <= 2 / 3 <= high
    assert 180 <= covered <= 199


def test_a_seed_gives_one_interval() -> None:
    values, images = np.arange(50.0), [*range(50)]
    one, again = (intervals(mean_of(values), images, seed=3) for _ in range(2))
    assert one == again
    assert one != intervals(mean_of(values), images, seed=4)


def test_a_draw_without_a_type_leaves_it_out() -> None:
    types = ["count", *["presence"] * 9]
    sums = answer_sums(np.array([True] * 6 + [False] * 4), types)
    found = intervals(sums, [*range(10)], resamples=300)
    assert found["accuracy_count"] == (1, 1)
    assert 0 <= found["aa"][0] < found["aa"][1] <= 1


def test_one_image_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least two images"):
        intervals(mean_of(np.arange(5.0)), ["a"] * 5)
    with pytest.raises(ValueError, match="at least two images"):
        paired(mean_of(np.arange(5.0)), mean_of(np.arange(5.0)), ["a"] * 5)


def test_p_equals_every_possible_swap() -> None:
    old, new = np.array([1.0, 0, 0, 1, 0, 1, 0, 0]), np.array([1.0, 1, 1, 1, 0, 1, 1, 1])
    images = [0, 0, 1, 2, 3, 4, 5, 5]
    change = summed((new - old)[:, None], images)[:, 0]
    ways = [abs(np.dot(signs, change)) for signs in product([-1, 1], repeat=6)]
    exact = np.mean(np.array(ways) >= abs(change.sum()) - 1e-9)
    found = paired(mean_of(old), mean_of(new), images, resamples=20_000)["mean"]
    assert found.difference == pytest.approx(0.5)
    assert found.p == pytest.approx(exact, abs=0.015)
    assert found.low <= 0.5 <= found.high


def test_p_is_uniform_where_nothing_differs() -> None:
    rng = np.random.default_rng(5)
    ps = [
        paired(mean_of(rng.random(30)), mean_of(rng.random(30)), [*range(30)], resamples=99)[
            "mean"
        ].p
        for _ in range(200)
    ]
    assert 0.01 <= np.mean(np.array(ps) <= 0.05) <= 0.1
    assert 0.4 <= np.mean(np.array(ps) <= 0.5) <= 0.6


def test_equal_files_and_clear_differences() -> None:
    values, images = np.arange(20.0), [*range(20)]
    assert paired(mean_of(values), mean_of(values), images)["mean"] == (0, 0, 0, 1)
    found = paired(mean_of(values), mean_of(values - 1), images)["mean"]
    assert found == pytest.approx((-1, -1, -1, 1 / 1001), abs=1e-3)


def test_kinds_of_scores_join() -> None:
    one, other = mean_of(np.array([1.0, 3])), answer_sums(np.array([True, False]), ["a", "b"])
    both = joined([one, other])
    assert both.scores(both.rows.sum(0)) == {
        "mean": 2,
        "accuracy_a": 1,
        "accuracy_b": 0,
        "aa": 0.5,
        "oa": 0.5,
    }
    assert both.rows[:, both.binary["oa"]].sum(1).tolist() == [1, 0]
