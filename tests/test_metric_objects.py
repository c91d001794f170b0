"""A metric's object says what score, comparison, report and harness show, new scores too."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("evaluate")

import datasets
from prediction_lines import row, write
from report_files import dialogues, judged, score_of
from typer.testing import CliRunner

from rs_gpt4v.bootstrap import Sums
from rs_gpt4v.cli import app
from rs_gpt4v.conversation import FEATURES, fingerprint
from rs_gpt4v_evaluation.harnesses import lmms_eval
from rs_gpt4v_evaluation.judge import judge_scores
from rs_gpt4v_evaluation.metric import DEFAULT_RULES, Metric
from rs_gpt4v_evaluation.report import report
from rs_gpt4v_evaluation.rs_caption import measure as rs_caption
from rs_gpt4v_evaluation.rs_detection import measure as rs_detection
from rs_gpt4v_evaluation.rs_grounding import measure as rs_grounding
from rs_gpt4v_evaluation.rs_judge import measure as rs_judge
from rs_gpt4v_evaluation.rs_vqa import measure as rs_vqa
from rs_gpt4v_evaluation.score import METRIC_OF_TASK, METRICS

MODULES = {
    "vqa": (rs_vqa, "answer_sums"),
    "grounding": (rs_grounding, "box_sums"),
    "detection": (rs_detection, "detection_sums"),
}


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if result.exception:
        raise result.exception
    return result.stdout


def with_new_score(sums: Sums) -> Sums:
    """With the share of rows that count, which is 1, under a name that has no label."""

    def scores(summed: Any) -> dict[str, Any]:
        found = sums.scores(summed)
        return found | {"brand_new": 0 * found[next(reversed(found))] + 1}

    return Sums(sums.rows, scores, sums.binary)


@pytest.mark.parametrize("task", MODULES)
def test_a_new_score_is_shown_everywhere(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name = MODULES[task]
    plain = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *a, **k: with_new_score(plain(*a, **k)))
    lmms_eval.metric_names.cache_clear()
    rows = [row(i, task) for i in range(4)]
    one, other = (write(tmp_path / name / "p.jsonl", rows) for name in "ab")
    text = run("score", one, "--intervals", "--against", other, "--resamples", 9)
    assert text.count("  brand_new                1.0000  [1.0000, 1.0000]") == 1
    assert "  brand_new                +0.0000  [+0.0000, +0.0000]" in text
    card = tmp_path / "card.md"
    run("report", one, other, "--out", tmp_path / "r.md", "--model-card", card)
    assert "| brand\\_new | " in (tmp_path / "r.md").read_text()
    report([one], tmp_path / "r.html")
    assert '<th scope="row">brand_new</th>' in (tmp_path / "r.html").read_text()
    (model,) = yaml.safe_load(card.read_text().split("---")[1])["model-index"]
    named = {m["name"]: m["value"] for r in model["results"] for m in r["metrics"]}
    assert named["brand_new"] == 1
    assert "brand_new" in lmms_eval.metric_names(task)
    assert lmms_eval.brand_new.args == ("brand_new",)
    lmms_eval.metric_names.cache_clear()


@pytest.mark.parametrize("metric", [*METRICS, rs_judge.METRIC], ids=lambda metric: metric.name)
def test_the_headline_and_the_totals_have_labels(metric: Metric) -> None:
    assert {metric.headline, *metric.totals} <= set(metric.labels)
    assert metric.names([metric.headline, "x"])["x"] == "x"
    assert list(metric.names(["x", metric.headline]))[-1] == (
        metric.headline if metric.headline in metric.totals else "x"
    )


def test_a_task_has_one_metric() -> None:
    assert len(METRIC_OF_TASK) == sum(len(metric.tasks) for metric in METRICS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_marks_are_one_a_row_and_the_scores_come_from_the_sums(metric: Metric) -> None:
    for task in metric.tasks:
        rows: Any = [row(i, task) for i in range(3)]
        for one in rows:
            one["dataset"] = {"box_format": "llava"}
        rows[1]["prediction"] = "no"
        measured = metric.measure(rows, DEFAULT_RULES)
        assert len(metric.marks(rows, measured)) == 3
        total = measured.sums.scores(measured.sums.rows.sum(0))
        assert {key: measured.result[key] for key in total} == total
        first, second, _ = metric.marks(rows, measured)
        assert first.right in (None, True)
        assert second.right in (None, False)


def test_captions_are_tokenised_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls = []
    plain = rs_caption.tokenize
    monkeypatch.setattr(rs_caption, "tokenize", lambda texts: calls.append(texts) or plain(texts))
    monkeypatch.setattr(rs_caption, "missing", lambda: ["numba"])  # METEOR would take a while
    file = write(tmp_path / "a/p.jsonl", [row(i, "caption") for i in range(3)])
    report([file], tmp_path / "r.md", resamples=5)
    assert len(calls) == 2  # replies, references


# --- Which rows ----------------------------------------------------------------------------------


def rows_of(**changes: Any) -> datasets.Dataset:
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "red"}]
    columns: dict[str, Any] = {
        "id": ["a", "b"],
        "images": [[], []],
        "messages": [messages, messages],
        "source": ["s", "s"],
        "task": ["vqa", "vqa"],
        "question_type": [None, None],
        "modality": ["optical", "optical"],
        "references": [["red"], ["red", "crimson"]],
        "boxes": [[], []],
        "width": [8, 8],
        "height": [8, 8],
    }
    return datasets.Dataset.from_dict(columns | changes, features=FEATURES)


def test_the_fingerprint_is_that_of_ids_words_and_accepted_answers() -> None:
    other = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "blue"}]
    changes: list[dict[str, Any]] = [
        {},
        {"id": ["a", "c"]},
        {"id": ["b", "a"]},
        {"messages": [other, other]},
        {"references": [["red"], ["red"]]},
        {"references": [["red"], ["crimson", "red"]]},
        {"references": [["red", "red"], ["crimson"]]},
    ]
    assert len({fingerprint(rows_of(**change)) for change in changes}) == len(changes)
    assert fingerprint(rows_of(source=["t", "t"])) == fingerprint(rows_of())


# --- Judged files and trainer logs ---------------------------------------------------------------


@pytest.fixture
def verdicts(tmp_path: Path) -> Path:
    scores = dict.fromkeys(("Two ships.", "At the pier.", "No."), 7)
    files = dialogues(tmp_path / "a")[:1]
    return judged(files, lambda body: score_of(body, scores))


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        (("id",), None, "id is None"),
        (("group",), "vqa", "group is 'vqa'; expected 'conversation' or 'detail'"),
        (("references",), "text", "references is 'text'"),
        (("answer",), ["a"], "answer is"),
        (("verdicts",), [], r"verdicts is \[\]"),
        (("verdicts",), {"value": 7}, "verdicts is"),
        (("verdicts", 0, "value"), "7", r"verdicts\[0\]\.value is '7'"),
        (("verdicts", 0, "value"), 70, r"verdicts\[0\]\.value is 70"),
        (("verdicts", 0, "value"), True, r"verdicts\[0\]\.value is True"),
        (("verdicts", 0, "status"), "fine", r"verdicts\[0\]\.status is 'fine'"),
        (("verdicts", 0, "cost_usd"), "free", r"verdicts\[0\]\.cost_usd is 'free'"),
        (("judge",), "gpt", "judge is 'gpt'"),
        (("judge", "repeats"), 0, r"judge\.repeats is 0"),
        (("dataset",), None, "dataset is None"),
        (("history",), ["?"], r"history\[0\] is '\?'"),
        (("model",), 3, "model is 3"),
    ],
)
def test_a_judged_line_of_another_form_is_named(
    verdicts: Path, place: tuple[Any, ...], value: Any, problem: str
) -> None:
    lines = [json.loads(line) for line in verdicts.read_text().splitlines()]
    *folders, name = place
    changed: Any = lines[1]
    for folder in folders:
        changed = changed[folder]
    changed[name] = value
    verdicts.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for read in (judge_scores, lambda path: report([path], path.with_name("r.html"))):
        with pytest.raises(ValueError, match=rf"judged\.jsonl, line 2: .*{problem}"):
            read(verdicts)


def test_judged_lines_of_two_judges_or_twice_are_refused(verdicts: Path) -> None:
    lines = verdicts.read_text().splitlines(keepends=True)
    other = json.loads(lines[1])
    other["judge"]["model"] = "another"
    stranger = json.loads(lines[1]) | {"weights": "v"}
    for content, problem in (
        ([*lines, lines[0]], "occurs twice"),
        ([lines[0], json.dumps(other) + "\n"], "not of the same models, judged alike"),
        ([lines[0], json.dumps(stranger) + "\n"], "not of the same models, judged alike"),
    ):
        verdicts.write_text("".join(content))
        with pytest.raises(ValueError, match=problem):
            judge_scores(verdicts)


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"loss": 1.0}, r"it lacks log_history\[1\]\.step"),
        ({"step": "2", "loss": 1.0}, r"log_history\[1\]\.step is '2'"),
        ({"step": 2, "loss": "low"}, r"log_history\[1\]\.loss is 'low'"),
        ({"step": 2, "loss": [1.0]}, r"log_history\[1\]\.loss is"),
        ({"step": None, "loss": 1.0}, r"log_history\[1\]\.step is None"),
        ([2, 1.0], r"log_history\[1\] is"),
        ({"step": 2, "learning_rate": None}, r"log_history\[1\]\.learning_rate is None"),
    ],
)
def test_a_trainer_log_of_another_form_is_named(entry: Any, problem: str, tmp_path: Path) -> None:
    log = tmp_path / "state.json"
    log.write_text(json.dumps({"log_history": [{"step": 1, "loss": 2.0}, entry]}))
    file = write(tmp_path / "a/p.jsonl", [row(0)])
    with pytest.raises(ValueError, match=rf"state\.json is not a trainer_state\.json: .*{problem}"):
        report([file], tmp_path / "r.md", log)


def test_a_loss_that_is_lost_leaves_the_others(tmp_path: Path) -> None:
    log = tmp_path / "state.json"
    history = [{"step": step, "loss": loss} for step, loss in ((1, 2.0), (2, float("nan")), (3, 1))]
    log.write_text(json.dumps({"log_history": history}))
    report([write(tmp_path / "a/p.jsonl", [row(0)])], tmp_path / "r.md", log)
    assert "Final loss: 1.000" in (tmp_path / "r.md").read_text()
