import json
from pathlib import Path
from typing import Any

import evaluate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rs_gpt4v.scoring.answers import bucket, normalise_answer
from rs_gpt4v_evaluation.rs_vqa import measure as rs_vqa
from rs_gpt4v_evaluation.rs_vqa.measure import METRIC, measure
from rs_gpt4v_evaluation.rs_vqa.rs_vqa import RSVQA


def vqa_accuracy(*columns: Any, **options: Any) -> dict[str, Any]:
    return measure(*columns, **options).result


def right_answers(*columns: Any, **options: Any) -> list[bool | None]:
    return [mark.right for mark in METRIC.marks([], measure(*columns, **options))]


FOLDER = Path(rs_vqa.__file__).parent
ANSWERS = Path(__file__).parents[2] / "shared" / "data" / "model_outputs" / "vqa_rsvqa_lr.jsonl"
COLUMNS = {
    "predictions": ["7", "Yes.", "no", "rural area", "", "twelve", "between 0 and 10", "12 m²"],
    "references": ["3", "yes", "yes", "rural", "0", "12", "1", "99m2"],
    "question_types": [
        *("count", "presence", "comp", "rural_urban"),
        *("count", "count", "count", "area"),
    ],
}
NOTHING: dict[str, list[str]] = {name: [] for name in COLUMNS}


@pytest.mark.parametrize(
    ("rules", "correct", "count", "area"),
    [
        ({}, 6, 3 / 4, 1.0),
        ({"counts": "exact"}, 4, 1 / 4, 1.0),
        ({"areas": "exact"}, 5, 3 / 4, 0.0),
        ({"normalise": "strict"}, 2, 2 / 4, 0.0),
        ({"normalise": "strict", "counts": "exact"}, 0, 0.0, 0.0),
    ],
)
def test_rules(rules: dict[str, Any], correct: int, count: float, area: float) -> None:
    scores = vqa_accuracy(**COLUMNS, **rules)
    assert (scores["accuracy_count"], scores["accuracy_area"]) == (count, area)
    assert scores["oa"] == correct / 8
    assert scores["aa"] == sum(v for k, v in scores.items() if k.startswith("accuracy_")) / 5


def test_all_keys_in_order() -> None:
    assert vqa_accuracy(**COLUMNS) == {
        "accuracy_area": 1.0,
        "accuracy_comp": 0.0,
        "accuracy_count": 0.75,
        "accuracy_presence": 1.0,
        "accuracy_rural_urban": 1.0,
        "aa": 0.75,
        "oa": 0.75,
        "n_area": 1,
        "n_comp": 1,
        "n_count": 4,
        "n_presence": 1,
        "n_rural_urban": 1,
        "empty": 1,
        "signature": "rs_vqa|v1|counts:bucket|areas:bucket|normalise:lenient|n:8|empty:1",
    }


@pytest.mark.parametrize("unit", ["", "m2"])
@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("0", "0{0}"),
        ("000", "0{0}"),
        ("1", "between 0{0} and 10{0}"),
        ("10", "between 0{0} and 10{0}"),
        ("11", "between 10{0} and 100{0}"),
        ("100", "between 10{0} and 100{0}"),
        ("101", "between 100{0} and 1000{0}"),
        ("1000", "between 100{0} and 1000{0}"),
        ("1001", "more than 1000{0}"),
        ("9" * 5000, "more than 1000{0}"),  # int() refuses it
    ],
)
def test_bucket_limits_and_words(number: str, words: str, unit: str) -> None:
    expected = words.format(unit)
    assert bucket(number + unit, unit) == expected
    assert bucket(expected, unit) == expected


@pytest.mark.parametrize("answer", ["many", "-1", "1.5", "1,234", "m2", "", "٣", "10 11"])
def test_what_is_no_number_has_no_bucket(answer: str) -> None:
    assert bucket(answer) is None
    assert bucket(answer, "m2") is None
    scores = vqa_accuracy([answer], [answer], ["count"])  # not even equal to itself
    assert scores["oa"] == 0


def test_units_do_not_mix() -> None:
    assert bucket("5m2") is None
    assert bucket("5", "m2") is None


@settings(deadline=None)
@given(st.integers(0, 20_000), st.integers(0, 20_000))
def test_numbers_of_one_bucket_agree_both_ways(one: int, two: int) -> None:
    there, back = [
        vqa_accuracy([str(a)], [str(b)], ["count"])["oa"] for a, b in ((one, two), (two, one))
    ]
    limits = [0, 10, 100, 1000]
    same = sum(one > limit for limit in limits) == sum(two > limit for limit in limits)
    assert there == back == same


@pytest.mark.parametrize(
    ("answer", "lenient"),
    [
        (" Yes. ", "yes"),
        ("No!", "no"),
        ("Twenty", "20"),
        ("twenty one", "twenty one"),
        ("Rural area", "rural"),
        ("urban area.", "urban"),
        ("an  area", "an area"),
        ("431 m2", "431m2"),
        ("431 m²", "431m2"),
        ("431 square metres.", "431m2"),
        ("431 sq meters", "431m2"),
        ("431sqm", "431m2"),
        ("431 metres", "431 metres"),
        ("Between 10 m2 and 100 m2", "between 10m2 and 100m2"),
        ("...", ""),
    ],
)
def test_lenient_and_strict(answer: str, lenient: str) -> None:
    assert normalise_answer(answer) == lenient
    assert normalise_answer(answer, "strict") == answer.strip()


@settings(deadline=None)
@given(st.text())
def test_normalising_twice_is_normalising_once_when_strict(answer: str) -> None:
    once = normalise_answer(answer, "strict")
    assert normalise_answer(once, "strict") == once


@pytest.mark.parametrize("empty", ["", "  ", "\n", "."])
def test_an_empty_answer_is_never_correct(empty: str) -> None:
    scores = vqa_accuracy([empty, "yes"], [empty, "yes"], ["presence", "presence"])
    assert (scores["oa"], scores["empty"]) == (0.5, 1)


def slow_right(said: str, true: str, kind: str, rules: dict[str, str]) -> bool:
    """One answer after the other, as METRICS of RSVQA's authors and the card's table say."""
    said, true = slow_normal(said, rules["normalise"]), slow_normal(true, rules["normalise"])
    if said == "":
        return False
    form = {"count": rules["counts"], "area": rules["areas"]}.get(kind, "exact")
    if form == "exact":
        return said == true
    unit = "m2" if kind == "area" else ""
    ours, theirs = slow_class(said, unit), slow_class(true, unit)
    return ours == theirs and ours != -1


def slow_normal(answer: str, rule: str) -> str:
    answer = answer.strip()
    if rule == "strict":
        return answer
    answer = answer.lower()
    while answer and answer[-1] in ".?!":
        answer = answer[:-1]
    answer = " ".join(answer.split())
    for unit in (" square metres", " m²", " m2"):
        answer = answer.replace(unit, "m2")
    words = {"three": "3", "eleven": "11", "zero": "0", "rural area": "rural"}
    return words.get(answer, answer)


def slow_class(answer: str, unit: str) -> int:
    """0 to 4, or -1: how many of the limits 0, 10, 100, 1000 a number exceeds."""
    for number, (low, high) in enumerate([(0, 10), (10, 100), (100, 1000)], start=1):
        if answer == f"between {low}{unit} and {high}{unit}":
            return number
    if answer == f"more than 1000{unit}":
        return 4
    digits = answer[: len(answer) - len(unit)]
    if not answer.endswith(unit) or not digits.isascii() or not digits.isdigit():
        return -1
    number = 0
    for limit in (0, 10, 100, 1000):
        if int(digits) > limit:
            number += 1
    return number


answers = st.sampled_from(
    [
        *("0", "zero", "3", "Three", "10", "11", "eleven", "100", "101", "1000", "1001", "-1"),
        *("yes", "Yes.", "no", "rural", "Rural area", "urban", "many", "", ".", " ?"),
        *("0m2", "10 m2", "11m2", "12 m²", "300 square metres", "2000m2"),
        *("between 0 and 10", "more than 1000", "between 10m2 and 100m2"),
    ]
)
kinds = st.sampled_from(["count", "presence", "comp", "rural_urban", "area"])
rulings = st.fixed_dictionaries(
    {name: st.sampled_from(["bucket", "exact"]) for name in ("counts", "areas")}
    | {"normalise": st.sampled_from(["strict", "lenient"])}
)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(answers, answers, kinds), min_size=1, max_size=12), rulings)
def test_equals_a_slow_reference(rows: list[tuple[str, str, str]], rules: Any) -> None:
    per_type: dict[str, list[bool]] = {}
    for said, true, kind in rows:
        per_type.setdefault(kind, []).append(slow_right(said, true, kind, rules))
    shares = {kind: sum(right) / len(right) for kind, right in per_type.items()}
    columns = [[row[i] for row in rows] for i in range(3)]
    scores = vqa_accuracy(*columns, **rules)
    assert {k[9:]: v for k, v in scores.items() if k.startswith("accuracy_")} == shares
    assert scores["aa"] == pytest.approx(sum(shares.values()) / len(shares))
    assert scores["oa"] == sum(map(sum, per_type.values())) / len(rows)
    each = [slow_right(*row, rules) for row in rows]
    assert right_answers(*columns, **rules) == each


@settings(deadline=None)
@given(st.lists(st.tuples(answers, kinds), min_size=1), rulings)
def test_the_truth_itself_is_right_where_it_is_one(rows: list[Any], rules: Any) -> None:
    """Never an empty answer, nor a count or an area that has no bucket; all others."""
    said, types = ([row[i] for row in rows] for i in range(2))
    sensible = [slow_right(answer, answer, kind, rules) for answer, kind in rows]
    assert right_answers(said, said, types, **rules) == sensible


@settings(deadline=None)
@given(st.sampled_from(["", " ", "\t\n"]), answers, kinds, rulings)
def test_an_empty_reply_is_wrong_by_any_rule(said: str, true: str, kind: str, rules: Any) -> None:
    assert not any(right_answers([said, said], [true, said], [kind, kind], **rules))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (NOTHING, "nothing to score"),
        ({"references": ["1"]}, "'references': 1"),
        ({"predictions": [*COLUMNS["predictions"][:7], None]}, "row 7 of predictions is None"),
        ({"counts": "buckets"}, "counts must be one of bucket, exact, got 'buckets'"),
        ({"areas": "none"}, "areas must be one of"),
        ({"normalise": "loose"}, "normalise must be one of"),
    ],
    ids=["empty", "lengths", "none", "counts", "areas", "normalise"],
)
def test_errors(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vqa_accuracy(**{**COLUMNS, **change})


def test_single_rows_and_batches_give_the_same_scores(tmp_path: Path) -> None:
    metric = evaluate.load(str(FOLDER), cache_dir=str(tmp_path))
    singular = {"predictions": "prediction", "references": "reference"}
    metric.add(**{name: column[0] for name, column in COLUMNS.items()})
    metric.add(**{singular.get(name, name): column[1] for name, column in COLUMNS.items()})
    metric.add_batch(**{name: column[2:] for name, column in COLUMNS.items()})
    assert metric.compute(counts="exact") == vqa_accuracy(**COLUMNS, counts="exact")


def test_the_class_passes_errors_on(tmp_path: Path) -> None:
    metric = RSVQA(cache_dir=str(tmp_path))
    with pytest.raises(ValueError, match="nothing to score"):
        metric.compute(**NOTHING)
    assert metric.compute(**COLUMNS) == vqa_accuracy(**COLUMNS)


@pytest.mark.skipif(not ANSWERS.is_file(), reason=f"real answers are not there: {ANSWERS}")
@pytest.mark.parametrize(
    ("counts", "count", "aa", "oa"),
    [("bucket", 71.73, 87.77, 86.53), ("exact", 27.69, 76.76, 73.55)],
)
def test_accuracy_of_a_published_model(counts: Any, count: float, aa: float, oa: float) -> None:
    with ANSWERS.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    columns = [[row[name] for row in rows] for name in ("answer", "annotation", "vqa_type")]
    scores = vqa_accuracy(*columns, counts=counts)
    assert {
        name: round(100 * scores[name], 2) for name in scores if name[:2] in ("ac", "aa", "oa")
    } == {
        "accuracy_comp": 92.75,
        "accuracy_count": count,
        "accuracy_presence": 92.59,
        "accuracy_rural_urban": 94.0,
        "aa": aa,
        "oa": oa,
    }
