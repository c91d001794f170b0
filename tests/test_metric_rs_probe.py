"""Scores of hallucination probes: POPE's numbers, no guessed answer, each kind by itself."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("evaluate")

import evaluate
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_lines import row, write
from typer.testing import CliRunner

from rs_gpt4v.adapt_probes import POSITIVES
from rs_gpt4v.bootstrap import intervals
from rs_gpt4v.cli import app
from rs_gpt4v_evaluation.harnesses import lmms_eval
from rs_gpt4v_evaluation.metric import DEFAULT_RULES
from rs_gpt4v_evaluation.predict.predictions import PredictionFileError, read_predictions
from rs_gpt4v_evaluation.rs_probe import measure as rs_probe
from rs_gpt4v_evaluation.rs_probe.measure import METRIC, SCORES, measure, yes_or_no
from rs_gpt4v_evaluation.score import score

KINDS = [*POSITIVES, *dict.fromkeys(POSITIVES.values())]
TRUE = {kind: "no" if kind in POSITIVES else "yes" for kind in KINDS}
REPLIES = ("yes", "no", "I cannot tell")
Rows = list[tuple[str, str]]
"""The type of a question and the reply to it."""

ROWS = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(REPLIES)), max_size=40).filter(
    lambda rows: any(
        {kind, positive} <= {k for k, _ in rows} for kind, positive in POSITIVES.items()
    )
)


def scored(rows: Rows) -> dict[str, Any]:
    kinds, replies = zip(*rows, strict=True)
    return measure(replies, [TRUE[kind] for kind in kinds], kinds).result


def pope(rows: Rows, kind: str) -> dict[str, float]:
    """One kind as POPE's script counts: positives, then negatives, then the quotients."""
    used = [(TRUE[k] == "yes", said) for k, said in rows if k in (kind, POSITIVES[kind])]
    tp = sum(is_so and said == "yes" for is_so, said in used)
    fp = sum(not is_so and said == "yes" for is_so, said in used)
    tn = sum(not is_so and said == "no" for is_so, said in used)
    fn = sum(is_so for is_so, _ in used) - tp
    return {
        "accuracy": (tp + tn) / len(used),
        "precision": tp / (tp + fp) if tp + fp else 0.0,
        "recall": tp / (tp + fn),
        "f1": 2 * tp / (2 * tp + fp + fn),
        "yes_rate": (tp + fp) / len(used),
    }


@given(ROWS)
@settings(deadline=None)
def test_scores_are_those_of_a_plain_reference(rows: Rows) -> None:
    found = scored(rows)
    there = {kind for kind, _ in rows}
    kinds = [kind for kind, positive in POSITIVES.items() if {kind, positive} <= there]
    each = [pope(rows, kind) for kind in kinds]
    for kind, own in zip(kinds, each, strict=True):
        assert {name: found[f"{name}_{kind}"] for name in SCORES} == pytest.approx(own)
    means = {name: np.mean([own[name] for own in each]) for name in SCORES}
    assert {name: found[name] for name in SCORES} == pytest.approx(means)
    absent = {f"{name}_{kind}" for name in SCORES for kind in KINDS if kind not in kinds}
    assert not absent & set(found)
    assert found["n_unparsed"] == sum(said not in ("yes", "no") for _, said in rows)
    assert sum(found[f"n_{kind}"] for kind in there) == len(rows)


@given(ROWS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_and_doubling_change_no_score(rows: Rows, rng: random.Random) -> None:
    found = scored(rows)
    for other in (rng.sample(rows, len(rows)), rows * 2):
        again = scored(other)
        assert {k: again[k] for k in found if k.startswith(tuple(SCORES))} == pytest.approx(
            {k: v for k, v in found.items() if k.startswith(tuple(SCORES))}
        )


@given(ROWS)
@settings(deadline=None)
def test_extremes(rows: Rows) -> None:
    right = scored([(kind, TRUE[kind]) for kind, _ in rows])
    assert all(right[name] == 1 for name in ("accuracy", "precision", "recall", "f1"))
    yes = scored([(kind, "yes") for kind, _ in rows])
    assert (yes["recall"], yes["yes_rate"]) == (1, 1)
    assert yes["precision"] == pytest.approx(yes["accuracy"])
    for reply in ("no", "", "I cannot tell."):
        other = scored([(kind, reply) for kind, _ in rows])
        assert {other[name] for name in ("precision", "recall", "f1", "yes_rate")} == {0}
        assert (other["accuracy"] > 0) is (reply == "no")


@given(ROWS, st.integers(0, 39))
@settings(deadline=None)
def test_a_better_reply_lowers_no_score_but_the_yes_rate(rows: Rows, place: int) -> None:
    place %= len(rows)
    kind, _ = rows[place]
    before, after = scored(rows), scored([*rows[:place], (kind, TRUE[kind]), *rows[place + 1 :]])
    for name in ("accuracy", "precision", "recall", "f1"):
        assert after[name] >= before[name] - 1e-12


def test_chance_is_half() -> None:
    rng = random.Random(0)
    rows = [
        (kind, rng.choice(("yes", "no"))) for kind in ("present", "random") for _ in range(9999)
    ]
    found = scored(rows)
    assert all(abs(found[name] - 0.5) < 0.02 for name in SCORES)


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("yes", "yes"),
        ("Yes.", "yes"),
        (" YES, there are two ships", "yes"),
        ("**No**", "no"),
        ('"No, there is none."', "no"),
        ("Answer: yes", "yes"),
        ("answer = No", "no"),
        ("No ships are visible.", "no"),
        ("There is no ship.", "no"),
        ("The answer is yes. There are no planes.", "yes"),
        ("No. Yes.", "no"),
        ("yes/no", "yes"),
        ("It is yes or no", None),
        ("nothing", None),
        ("Not sure", None),
        ("noon", None),
        ("eyes", None),
        ("I do not know", None),
        ("There are two ships.", None),
        ("Two ships.\nyes", None),
        ("", None),
        ("...", None),
    ],
)
def test_replies_are_read_by_the_written_rule(reply: str, answer: str | None) -> None:
    assert yes_or_no(reply) == answer
    assert yes_or_no(reply, "strict") == (reply if reply in ("yes", "no") else None)


def test_both_is_neither_only_behind_other_words() -> None:
    assert yes_or_no("Is it yes or no?") is None


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (
            (["yes"], ["yes"], ["presence"]),
            "row 0: its question_type is 'presence', expected one of",
        ),
        ((["yes"], ["no"], ["present"]), "the answer to 'present' is 'yes', its reference 'no'"),
        ((["yes"], ["yes"], ["random"]), "the answer to 'random' is 'no', its reference 'yes'"),
        ((["yes"], ["yes"], ["present"]), "a kind is scored with its positives"),
        ((["no", "yes"], ["no", "yes"], ["random", "located"]), "predict the whole split"),
        (([], [], []), "nothing to score"),
        ((["yes"], ["yes"], []), "columns of one length"),
    ],
)
def test_rows_of_no_probe_are_refused(
    columns: tuple[list[str], list[str], list[str]], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        measure(*columns)
    with pytest.raises(ValueError, match="normalise must be"):
        measure(["no", "yes"], ["no", "yes"], ["random", "present"], "loose")  # pyright: ignore[reportArgumentType]


def test_it_is_a_module_of_evaluate() -> None:
    folder = Path(rs_probe.__file__).parent
    module = evaluate.load(str(folder))
    result: Any = module.compute(
        predictions=["Yes.", "no"], references=["yes", "no"], question_types=["present", "random"]
    )
    assert result["f1_random"] == 1
    assert "Li, Yifan" in module.citation


# --- A predictions file --------------------------------------------------------------------------


def probes(replies: dict[str, list[str]]) -> list[dict[str, Any]]:
    return [
        row(number, "probe", question_type=kind, references=[TRUE[kind]], prediction=reply)
        | {"id": f"{kind}/{number}"}
        for kind, own in replies.items()
        for number, reply in enumerate(own)
    ]


FILE = {
    "present": ["yes", "Yes.", "no", "I cannot tell"],
    "random": ["no", "no", "no", "yes"],
    "adversarial": ["yes", "yes", "no", "Perhaps"],
}


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if result.exception:
        raise result.exception
    return result.stdout


def test_a_file_is_scored_compared_and_reported(tmp_path: Path) -> None:
    file = write(tmp_path / "a/p.jsonl", probes(FILE))
    found = score(file)
    assert (found["metric"], found["n"]) == ("rs_probe", 12)
    assert found["scores"]["precision_random"] == pytest.approx(2 / 3)
    assert found["scores"]["accuracy_adversarial"] == 3 / 8
    assert found["unparsed"] == dict.fromkeys(("present/3", "adversarial/3"), "neither yes nor no")
    other = write(tmp_path / "b/p.jsonl", probes({**FILE, "present": ["yes"] * 4}))
    text = run("score", other, "--intervals", "--against", file, "--resamples", 20)
    assert "  yes_rate_adversarial     0.7500" in text
    assert "1 that say neither yes nor no: neither yes nor no (adversarial/3)" in text
    assert "right in one only: 0 / 2" in text
    assert run("score", file, "--normalise", "strict").count("f1_random                0.3333") == 1
    run("report", file, other, "--out", tmp_path / "r.md")
    page = (tmp_path / "r.md").read_text(encoding="utf-8").replace("\\", "")
    assert "Hallucination probes" in page
    assert "| Mean over kinds: F1 |" in page
    assert "Replies that say neither yes nor no" in page


def test_a_row_of_no_probe_is_named_by_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", [row(0, "probe", question_type=None), row(1, "probe")])
    with pytest.raises(PredictionFileError, match=r"dior/probe/0: its question_type is None"):
        score(file)


def test_marks_say_which_replies_are_right(tmp_path: Path) -> None:
    rows = read_predictions(write(tmp_path / "p.jsonl", probes(FILE)))
    marks = METRIC.marks(rows, METRIC.measure(rows, DEFAULT_RULES))
    assert [mark.right for mark in marks] == [
        *(True, True, False, False),
        *(True, True, True, False),
        *(False, False, True, False),
    ]


def test_a_draw_without_one_side_has_no_score(tmp_path: Path) -> None:
    rows = read_predictions(
        write(tmp_path / "p.jsonl", probes({"present": ["yes"], "random": ["no"]}))
    )
    for place, one in enumerate(rows):
        one["image"] = str(place)
    low, high = intervals(METRIC.measure(rows, DEFAULT_RULES).sums, ["a", "b"], 50)["f1"]
    assert (low, high) == (1, 1)


def test_lmms_eval_has_the_means_alone() -> None:
    assert lmms_eval.metric_names("probe") == tuple(SCORES)
    lines = [one | {"box_format": "llava"} for one in probes(FILE)]
    for one in lines:
        del one["model"], one["adapter"], one["weights"], one["decoding"]
    kinds, references, replies = zip(
        *((one["question_type"], one["references"][0], one["prediction"]) for one in lines),
        strict=True,
    )
    expected = measure(replies, references, kinds).result
    assert {name: getattr(lmms_eval, name)(lines) for name in SCORES} == {
        name: expected[name] for name in SCORES
    }
