import math
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import evaluate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rs_gpt4v_evaluation.rs_judge import measure as rs_judge
from rs_gpt4v_evaluation.rs_judge.measure import measure
from rs_gpt4v_evaluation.rs_judge.rs_judge import RSJudge


def judge_means(*columns: Any, **options: Any) -> dict[str, Any]:
    return measure(*columns, **options).result


FOLDER = Path(rs_judge.__file__).parent
JUDGE: dict[str, Any] = {"judge": "a-judge", "prompt": "c0ffee00"}
COLUMNS: dict[str, Any] = {
    "predictions": [[8.0, 7.0], [None, 4.5], [None, None], [6.0, 6.0], [10.0, 1.0]],
    "groups": ["conversation", "detail", "conversation", "conversation", "detail"],
}


def with_first(score: float) -> list[Any]:
    return [[score, 7.0], *COLUMNS["predictions"][1:]]


SCORES = st.one_of(st.none(), st.floats(1, 10))


def test_all_keys_in_order() -> None:
    found = judge_means(**COLUMNS, **JUDGE)
    assert list(found.items()) == [
        ("conversation", 6.75),
        ("detail", 5.0),
        ("all", 5.875),
        ("n_conversation", 2),
        ("n_detail", 2),
        ("n", 4),
        ("n_unparsed", 1),
        ("unparsed_replies", 3),
        ("repeats", 2),
        # Pairs 0, 3 and 4 have both scores.
        ("sd_between_repeats", pytest.approx(stdev([24 / 3, 14 / 3]))),
        ("sd_within_pairs", pytest.approx(fmean([stdev([8, 7]), 0, stdev([10, 1])]))),
        (
            "signature",
            "rs_judge|v1|judge:a-judge|prompt:c0ffee00|scale:1-10|repeats:2|n:4|unparsed:1",
        ),
    ]


@pytest.mark.parametrize(
    ("conversation", "detail", "printed"),
    [
        (5.21, 5.088, 5.194),
        (2.648, 2.282, 2.599),
        (5.312, 4.392, 5.189),
        (6.27, 6.53, 6.304),
        (6.061, 6.374, 6.103),
        (6.108, 6.468, 6.156),
    ],
)
def test_last_column_of_table_3_is_the_mean_over_all_pairs(
    conversation: float, detail: float, printed: float
) -> None:
    found = judge_means(
        [[conversation]] * 3_987 + [[detail]] * 613,
        ["conversation"] * 3_987 + ["detail"] * 613,
        **JUDGE,
    )
    assert found["all"] == pytest.approx(printed, abs=1e-3)
    assert (found["n_conversation"], found["n_detail"], found["n"]) == (3_987, 613, 4_600)


def test_unread_pairs_do_not_change_the_mean() -> None:
    read = judge_means([[7.0], [9.0]], ["detail"] * 2, **JUDGE)
    with_unread = judge_means([[None], [7.0], [9.0]], ["detail"] * 3, **JUDGE)
    assert with_unread["all"] == read["all"] == 8.0
    assert (with_unread["n"], with_unread["n_unparsed"]) == (2, 1)


def test_a_single_repeat_has_no_spread() -> None:
    found = judge_means([[7.0], [9.0]], ["detail"] * 2, **JUDGE)
    assert found["sd_between_repeats"] is None
    assert found["sd_within_pairs"] is None
    assert "conversation" not in found


@settings(deadline=None)
@given(st.integers(1, 3).flatmap(lambda n: st.lists(st.lists(SCORES, min_size=n, max_size=n))))
def test_means_stay_on_the_scale_and_every_pair_is_counted(
    predictions: list[list[float | None]],
) -> None:
    if all(score is None for scores in predictions for score in scores):
        return
    groups = ["conversation", "detail"] * len(predictions)
    found: Any = judge_means(predictions, groups[: len(predictions)], **JUDGE)
    assert 1 - 1e-9 <= found["all"] <= 10 + 1e-9
    assert found["n"] + found["n_unparsed"] == len(predictions)
    assert found.get("n_conversation", 0) + found.get("n_detail", 0) == found["n"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predictions": [], "groups": []}, "nothing to score"),
        ({"groups": ["detail"]}, "'predictions': 5, 'groups': 1"),
        ({"predictions": [[8.0, 7.0], [4.5], [1.0, 1.0], [6.0, 6.0], [2.0, 2.0]]}, "row 1 has 1"),
        ({"predictions": [[]] * 5}, "row 0 has 0 scores"),
        ({"groups": ["detail"] * 4 + ["caption"]}, "row 4 is of group 'caption'"),
        ({"predictions": with_first(-1.0)}, r"row 0 has the score -1\.0"),
        ({"predictions": with_first(0.0)}, r"outside \[1, 10\]"),
        ({"predictions": with_first(10.5)}, r"score 10\.5, outside"),
        ({"predictions": with_first(math.nan)}, "score nan"),
        ({"predictions": [[None, None]] * 5}, "none of the 5 pairs has a score"),
    ],
)
def test_errors(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge_means(**{**COLUMNS, **change}, **JUDGE)


def test_load_and_batches_give_the_same_scores(tmp_path: Path) -> None:
    metric = evaluate.load(str(FOLDER), cache_dir=str(tmp_path))
    for rows in (slice(0, 2), slice(2, 5)):
        metric.add_batch(**{name: column[rows] for name, column in COLUMNS.items()})
    assert metric.compute(**JUDGE) == judge_means(**COLUMNS, **JUDGE)


def test_the_class_needs_the_judge_and_passes_errors_on(tmp_path: Path) -> None:
    metric = RSJudge(cache_dir=str(tmp_path))
    assert metric.compute(**COLUMNS, **JUDGE) == judge_means(**COLUMNS, **JUDGE)
    with pytest.raises(ValueError, match="outside"):
        metric.compute(predictions=[[11.0]], groups=["detail"], **JUDGE)
