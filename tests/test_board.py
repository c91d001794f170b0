"""Boards: which scores are ranked together, what is said of each, and what is escaped."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2")

from board_files import questions, ranking, results, scores
from prediction_lines import row, write
from typer.testing import CliRunner

from rs_gpt4v.cli import app
from rs_gpt4v.files import InvalidFileError, OverwriteError
from rs_gpt4v_evaluation.board.make import board
from rs_gpt4v_evaluation.board.published import shipped
from rs_gpt4v_evaluation.predict.predictions import PredictionFileError

HOSTILE = '<img src=x onerror="alert(1)">&\'{{ 7 * 7 }}'


def made(tmp_path: Path, *given: Any, **options: Any) -> Path:
    out = tmp_path / "board"
    usual = {"with_shipped": False, "with_reports": False, "resamples": 20}
    board(given, out, **(usual | options))
    return out


def test_models_on_the_same_rows_are_ranked_with_their_intervals(tmp_path: Path) -> None:
    out = made(
        tmp_path,
        questions(tmp_path / "a" / "vqa_lr.jsonl", 1, model="org/a"),
        questions(tmp_path / "b" / "vqa_lr.jsonl", 3, model="org/b"),
        questions(tmp_path / "c" / "vqa_lr.jsonl", 3, model="org/c"),
    )
    assert ranking(out) == [("org/b", 1, ""), ("org/c", 1, ""), ("org/a", 3, "")]
    best = scores(out, model="org/b")[0]
    assert (best["score"], best["n"], best["rows"], best["status"]) == (0.75, 4, 4, "verified")
    low, high = best["interval"]
    assert low < 0.75 < high
    page = (out / "index.html").read_text()
    assert "75.0\u00a0%" in page
    assert "RSVQA-LR" in page
    assert page.count('class="best status-verified"') == 2


def test_a_model_with_rows_missing_is_not_ranked_with_the_whole(tmp_path: Path) -> None:
    part = questions(tmp_path / "b.jsonl", 3, of=3, model="part", dataset={"rows": 4})
    out = made(tmp_path, questions(tmp_path / "a.jsonl", 1, model="whole"), part)
    assert ranking(out) == [("whole", 1, ""), ("part", 1, "Not all rows of the split.")]
    assert scores(out, model="part")[0]["coverage"] == "3 of 4 rows, 1 missing"
    assert "100.0\u00a0%†" in (out / "index.html").read_text()


def test_drawn_images_are_ranked_among_themselves(tmp_path: Path) -> None:
    limit = {"limit": {"images": 2, "seed": 0, "rows": 4}}
    drawn = [
        questions(tmp_path / f"{n}.jsonl", n, of=2, model=f"drawn {n}", dataset=limit)
        for n in (1, 2)
    ]
    out = made(tmp_path, *drawn, questions(tmp_path / "a.jsonl", 1, model="whole"))
    why = "Not all rows of the split."
    assert ranking(out) == [("whole", 1, ""), ("drawn 2", 1, why), ("drawn 1", 2, why)]
    assert scores(out, model="drawn 1")[0]["coverage"] == "2 of 4 rows, about 2 drawn images"


def test_another_rule_is_not_ranked_with_the_first(tmp_path: Path) -> None:
    strict = {"box_format": "llava", "strict": True}
    out = made(
        tmp_path,
        results(tmp_path / "a.json", "a"),
        results(tmp_path / "b.json", "b"),
        results(tmp_path / "c.json", "c", rule=strict, scores={"pr_50": 0.9}),
    )
    assert ranking(out) == [
        ("a", 1, ""),
        ("b", 1, ""),
        ("c", 1, "Another rule: IoU above the threshold."),
    ]


def test_other_rows_and_other_protocols_are_told_apart(tmp_path: Path) -> None:
    out = made(
        tmp_path,
        results(tmp_path / "a.json", "a"),
        results(tmp_path / "b.json", "b"),
        results(tmp_path / "c.json", "other truth", truth="t2"),
        results(tmp_path / "d.json", "other split", protocol="release", n=7500, rows=7500),
    )
    assert ranking(out, protocol="paper")[-1] == ("other truth", 1, "Other rows.")
    assert ranking(out, protocol="release") == [("other split", 1, "")]


def test_the_form_of_boxes_and_the_wording_do_not_part_models(tmp_path: Path) -> None:
    other = {
        "fingerprint": "f2",
        "box_format": "qwen2_5_vl",
        "rule": {"box_format": "qwen2_5_vl", "strict": False},
        "scores": {"pr_50": 0.5},
    }
    out = made(
        tmp_path, results(tmp_path / "a.json", "a"), results(tmp_path / "b.json", "b", **other)
    )
    assert ranking(out) == [("b", 1, ""), ("a", 2, "")]


@pytest.mark.parametrize("fingerprint", [None, "unverified"])
def test_imported_rows_are_marked_and_ranked_apart(tmp_path: Path, fingerprint: Any) -> None:
    imported = {"fingerprint": fingerprint, "scores": {"pr_50": 0.9}, "truth": "theirs"}
    out = made(
        tmp_path,
        results(tmp_path / "a.json", "a"),
        results(tmp_path / "b.json", "b", **imported),
        results(tmp_path / "c.json", "c", **imported),
    )
    why = "The rows are not verified to be those of this config."
    assert ranking(out) == [("a", 1, ""), ("b", 1, why), ("c", 1, why)]
    assert {own["status"] for own in scores(out)} == {"verified", "rows not verified"}


def test_the_sample_stands_apart_from_the_release(tmp_path: Path) -> None:
    out = made(
        tmp_path,
        results(tmp_path / "a.json", "a"),
        results(tmp_path / "b.json", "b", sample=True, truth="t2", scores={"pr_50": 0.9}),
    )
    assert ranking(out, is_sample=True) == [("b", 1, "")]
    assert ranking(out, is_sample=False) == [("a", 1, "")]
    page = (out / "index.html").read_text()
    assert "DIOR-RSVG, synthetic sample" in page
    assert "scores of the embedded sample (1) show" in page


def test_the_papers_scores_are_ranked_with_ours_only_on_the_same_rows(tmp_path: Path) -> None:
    same = made(tmp_path / "1", results(tmp_path / "a.json", "a"), with_shipped=True)
    where = {"config": "grounding", "protocol": "paper"}
    assert ranking(same, **where)[:2] == [("a", 1, ""), ("MoE-LoRA", 2, "")]
    assert scores(same, **where)[1]["source"]["where"] == "Table 2"
    strict = {"rule": {"box_format": "llava", "strict": True}}
    for change in ({"n": 18_000, "missing": 677}, strict, {"fingerprint": None}, {"sample": True}):
        other = results(tmp_path / "b.json", "b", **change)
        out = made(tmp_path / "2", other, with_shipped=True)
        ours = [own for own in scores(out, **where) if own["model"] == "b"]
        assert [own["of"] for own in ours] == [1], change


def test_a_table_that_differs_is_not_ranked_with_ours(tmp_path: Path) -> None:
    paper = next(table for table in shipped() if table["source"]["where"] == "Table 2")
    for differs, of in (("", [2, 2]), ("Another judge.", [1, 1])):
        table = {**paper, "differs": differs, "values": {"theirs": 50}}
        own = tmp_path / "own.json"
        own.write_text(json.dumps({"format": 1, "tables": [table]}))
        out = made(tmp_path, results(tmp_path / "a.json", "a"), published=[own])
        assert [o["of"] for o in scores(out)] == of, differs


def test_a_model_of_ours_is_not_taken_for_a_printed_one_of_its_name(tmp_path: Path) -> None:
    out = made(tmp_path, results(tmp_path / "a.json", "MoE-LoRA"), with_shipped=True)
    overview = (out / "index.html").read_text().split("</table>")[0]
    assert overview.count('data-value="MoE-LoRA"') == 2


def test_a_share_of_errors_is_not_ranked(tmp_path: Path) -> None:
    chair = {"task": "claims", "metric": "rs_chair", "measure": "chair_s", "rule": {}}
    out = made(
        tmp_path,
        results(tmp_path / "a.json", "a", **chair, scores={"chair_s": 0.4}),
        results(tmp_path / "b.json", "b", **chair, scores={"chair_s": 0.1}),
    )
    assert [(own["model"], own["rank"]) for own in scores(out)] == [("a", None), ("b", None)]
    page = (out / "index.html").read_text()
    assert "Not ranked, as more is not better." in page
    assert 'class="best' not in page


def test_scores_of_two_sources_are_not_ranked_together(tmp_path: Path) -> None:
    out = made(tmp_path, with_shipped=True)
    own = scores(out, config="grounding", protocol="release")
    by_source = {o["source"]["title"]: o["of"] for o in own}
    assert by_source == {"MB-ORES, README": 10, "GADAN, README": 2}
    assert scores(out, model="LISAt_PRE-7B", config="cap_nwpu")[0]["score"] == 0.658
    gadan = next(o for o in own if o["model"] == "GADAN")
    assert gadan["not_ranked_with_first"] == "Printed in another table."
    assert "not stated" in gadan["differs"]


def test_a_measure_that_others_print_is_shown_of_our_models_too(tmp_path: Path) -> None:
    caption = {
        "config": "cap_ucm",
        "task": "caption",
        "metric": "rs_caption",
        "measure": "cider",
        "scores": {"cider": 2.5, "bleu_4": 0.5, "rouge_l": 0.6},
        "rule": {},
    }
    out = made(tmp_path, results(tmp_path / "a.json", "a", **caption), with_shipped=True)
    assert [own["measure"] for own in scores(out, model="a")] == ["bleu_4", "cider"]
    assert ranking(out, measure="bleu_4", config="cap_ucm")[0] == ("a", 1, "")


def test_blind_runs_stand_beside_the_score(tmp_path: Path) -> None:
    seen = questions(tmp_path / "a.jsonl", 3)
    none = questions(tmp_path / "none" / "a.jsonl", 1, dataset={"images": "none"})
    grey = questions(tmp_path / "grey" / "a.jsonl", 3, dataset={"images": "grey"})
    out = made(tmp_path, none, seen, grey)
    (own,) = scores(out)
    runs = {run["kind"]: run for run in own["blind"]}
    assert (runs["none"]["value"], runs["none"]["difference"]) == (0.25, 0.5)
    page = (out / "index.html").read_text()
    assert "25.0\u00a0%, no image" in page
    assert "+50.0 with the image" in page
    assert "0.0 to 0.0; no better with the image than without it" in page
    table = list(csv.DictReader((out / "board.csv").read_text().splitlines()))
    assert [(line["model"], line["score"], line["blind_none"]) for line in table] == [
        ("m", "0.75", "0.25")
    ]


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-x", "@SUM(A1)", "\t=1", " =1"])
def test_a_name_is_no_formula_in_a_spreadsheet(tmp_path: Path, name: str) -> None:
    out = made(tmp_path, results(tmp_path / "a.json", name, scores={"pr_50": -0.5}))
    (line,) = csv.DictReader((out / "board.csv").read_text().splitlines())
    assert line["model"] == f"'{name}"
    assert line["score"] == "-0.5"
    assert scores(out)[0]["model"] == name


def test_a_blind_run_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PredictionFileError, match="a blind run: give the same model's replies"):
        made(tmp_path, questions(tmp_path / "a.jsonl", 1, dataset={"images": "none"}))


def test_names_tell_models_apart(tmp_path: Path) -> None:
    of: dict[str, Any] = {
        n: {"model": "base", "adapter": f"runs/{n}/adapter", "weights": n} for n in "123"
    }
    files = [questions(tmp_path / n / "vqa_lr.jsonl", int(n), **own) for n, own in of.items()]
    out = made(tmp_path, files[0], files[1], f"mine={files[2]}")
    assert [own["model"] for own in scores(out)] == [
        "mine",
        "base + adapter (2)",
        "base + adapter (1)",
    ]


def test_one_model_with_two_names_is_refused(tmp_path: Path) -> None:
    files = [questions(tmp_path / f"{n}.jsonl", 1, dataset={"config": n}) for n in "ab"]
    with pytest.raises(ValueError, match=r"a\.jsonl and others are of one model: call it x or y"):
        made(tmp_path, f"x={files[0]}", f"y={files[1]}")


def test_tasks_and_metrics_of_others_are_called_as_they_are(tmp_path: Path) -> None:
    toy = {"task": "counting", "metric": "rs_toy", "measure": "recall", "scores": {"recall": 0.5}}
    out = made(tmp_path, results(tmp_path / "a.json", "a", **toy))
    assert [(own["name"], own["score"]) for own in scores(out)] == [("recall", 0.5)]
    page = (out / "index.html").read_text()
    assert "counting, test split" in page
    assert "0.500" in page


def test_one_model_twice_on_the_same_rows_is_refused(tmp_path: Path) -> None:
    files = [questions(tmp_path / n / "vqa_lr.jsonl", 1) for n in "ab"]
    with pytest.raises(ValueError, match=r"m has two scores on the same rows of vqa_lr, test"):
        made(tmp_path, *files)


def test_notes_on_a_score_stand_below_its_table(tmp_path: Path) -> None:
    note = {"notes": ["3 replies may be swapped"]}
    given = [results(tmp_path / f"{name}.json", name, **note) for name in "ab"]
    out = made(tmp_path, *given, with_shipped=True)
    page = (out / "index.html").read_text()
    assert '<p class="note">a, b: 3 replies may be swapped</p>' in page
    assert page.count('<p class="note">Train and test are cut as DIOR cuts its images') == 1


def test_rows_that_nobody_judged_are_named(tmp_path: Path) -> None:
    file = write(tmp_path / "all.jsonl", [row(1), row(2), row(3, "detail")])
    notes = board([file], tmp_path / "board", with_shipped=False, with_reports=False, resamples=9)
    assert notes == ["m, all: detail is not judged yet."]
    assert str(file) not in (tmp_path / "board" / "index.html").read_text()
    assert notes[0] in (tmp_path / "board" / "index.html").read_text()


def test_hostile_names_are_text(tmp_path: Path) -> None:
    table = {
        "source": {"title": HOSTILE, "url": "https://example.org/?a=1&b='\"<x>", "where": HOSTILE},
        "config": "cap_ucm",
        "split": "test",
        "protocol": "paper",
        "task": "caption",
        "metric": "rs_caption",
        "measure": HOSTILE,
        "name": HOSTILE,
        "per_unit": 1,
        "digits": 1,
        "rows": 210,
        "rule": {HOSTILE: HOSTILE},
        "differs": HOSTILE,
        "note": HOSTILE,
        "values": {HOSTILE: 2.5},
    }
    own = tmp_path / "own.json"
    own.write_text(json.dumps({"format": 1, "tables": [table]}))
    named = results(tmp_path / "a.json", HOSTILE, config=HOSTILE, split=HOSTILE, protocol=HOSTILE)
    out = made(tmp_path, named, published=[own], title=HOSTILE)
    page = (out / "index.html").read_text()
    assert "<img" not in page
    assert "{{ 7 * 7 }}" in page
    assert scores(out, model=HOSTILE, config=HOSTILE)[0]["score"] == 0.4


def test_the_same_input_gives_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    given = [questions(tmp_path / n / "vqa_lr.jsonl", 1, model=n) for n in "abc"]
    texts = []
    for order in (given, given[::-1]):
        out = made(tmp_path, *order, with_shipped=True)
        texts.append([(out / name).read_bytes() for name in ("index.html", "board.json")])
    assert texts[0] == texts[1]


def test_reports_are_made_or_copied_beside_the_board(tmp_path: Path) -> None:
    bench = tmp_path / "bench"
    file = results(bench / "results.json", "org/bench")
    content = json.loads(file.read_text()) | {"report": "report.html"}
    file.write_text(json.dumps(content))
    (bench / "report.html").write_text("<p>of bench</p>")
    out = made(
        tmp_path, bench, questions(tmp_path / "a.jsonl", 1, model="a/b <c>"), with_reports=True
    )
    assert (out / "reports" / "org-bench.html").read_text() == "<p>of bench</p>"
    assert "a/b &lt;c&gt;" in (out / "reports" / "a-b-c.html").read_text()
    page = (out / "index.html").read_text()
    assert 'href="reports/org-bench.html"' in page
    assert 'href="reports/a-b-c.html"' in page


def test_results_of_predictions_make_the_same_board_again(tmp_path: Path) -> None:
    none = questions(tmp_path / "none" / "a.jsonl", 1, model="a", dataset={"images": "none"})
    others = [questions(tmp_path / f"{n}.jsonl", 3, model=n) for n in ("a", "a-B-2", "a b", "a-b")]
    out = made(tmp_path, *others, none)
    kept = sorted((out / "results").iterdir())
    assert [file.name for file in kept] == ["a-B-2.json", "a-b-3.json", "a-b.json", "a.json"]
    again = made(tmp_path / "again", *kept)
    for name in ("index.html", "board.json", "board.csv"):
        assert (again / name).read_bytes() == (out / name).read_bytes()
    assert not (again / "results").exists()


def test_what_is_read_is_not_overwritten(tmp_path: Path) -> None:
    own = results(tmp_path / "board" / "board.json", "a")
    with pytest.raises(OverwriteError, match=r"board\.json"):
        made(tmp_path, own)


def test_what_is_no_result_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty holds no results\.json: give a folder that"):
        made(tmp_path, tmp_path / "empty")
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(InvalidFileError, match="expected a results file of rs-gpt4v bench"):
        made(tmp_path, tmp_path / "a.json")
    (tmp_path / "a.jsonl").write_text("")
    with pytest.raises(PredictionFileError, match="holds no prediction"):
        made(tmp_path, tmp_path / "a.jsonl")
    with pytest.raises(ValueError, match="needs a result, or published scores"):
        made(tmp_path)


def test_the_verb_writes_a_board_and_says_where(tmp_path: Path) -> None:
    file = questions(tmp_path / "a.jsonl", 3)
    out = tmp_path / "out"
    options = ["--no-shipped", "--no-reports", "--resamples", "9", "--out", str(out)]
    result = CliRunner().invoke(app, ["board", f"mine={file}", *options])
    assert result.output == f"Board: {out / 'index.html'}\n"
    assert [own["model"] for own in scores(out)] == ["mine"]
