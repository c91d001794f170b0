"""Results of others become predictions of our rows, and what does not fit is said."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import others_results as others
import pytest
from typer.testing import CliRunner

from rs_gpt4v.cli import app
from rs_gpt4v_evaluation.predict.predictions import UNVERIFIED, read_predictions
from rs_gpt4v_evaluation.score import score

Row = dict[str, Any]


@pytest.fixture(scope="module")
def rows(releases: Path) -> list[Row]:
    """RSVQA-LR's test questions, without those that an image has twice."""
    return others.built("vqa_lr", releases)


@pytest.fixture(scope="module")
def captions(releases: Path) -> list[Row]:
    return others.built("cap_rsicd", releases)


def run(*arguments: Any, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["import", *map(str, arguments)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stdout


def told(*arguments: Any, code: int = 0) -> dict[str, Any]:
    return json.loads(run(*arguments, "--json", code=code))


def replies(path: Path) -> dict[str, str]:
    return {line["id"]: line["prediction"] for line in read_predictions(path)}


def expected(rows: list[Row]) -> dict[str, str]:
    return {row["id"]: others.reply(number, row) for number, row in enumerate(rows)}


def shuffled(n: int) -> list[int]:
    places = list(range(n))
    random.Random(0).shuffle(places)
    return places


BY_IMAGE = "image and question"
IN_ORDER = "the order of the file"
FORMATS: list[tuple[str, Callable[..., Row], str, str]] = [
    ("geochat", others.geochat, "answers.jsonl", BY_IMAGE),
    ("rsevalkit", others.rsevalkit, "results.jsonl", BY_IMAGE),
    ("lhrs", others.lhrs, "eval_save_file.json", "the release's id"),
    ("ms_swift", others.ms_swift, "result.jsonl", BY_IMAGE),
    ("vlmevalkit", others.vlmevalkit, "model.tsv", BY_IMAGE),
    ("table", others.table, "mine.csv", BY_IMAGE),
    ("table", others.table, "mine.parquet", BY_IMAGE),
    ("table", others.own, "mine.jsonl", "id"),
    ("lmms_eval", others.lmms_eval, "samples.jsonl", IN_ORDER),
]
"""Formats that tell the row of each result, in any order of them."""


@pytest.mark.parametrize(("name", "writer", "file", "way"), FORMATS)
def test_every_format_gives_the_replies_of_our_rows(
    name: str,
    writer: Callable[..., Row],
    file: str,
    way: str,
    rows: list[Row],
    releases: Path,
    tmp_path: Path,
) -> None:
    theirs = others.write(tmp_path / file, rows, writer, shuffled(len(rows)))
    flags = ("--config", "vqa_lr", "--data-dir", releases, "--model", "m")
    result = told(theirs, *flags, "--out", tmp_path / "p.jsonl")
    assert (result["format"], result["matched_by"]) == (name, {way: len(rows)})
    assert (result["left_out"], result["missing"]) == ([], [])
    assert result["stated_otherwise"] == []
    assert replies(tmp_path / "p.jsonl") == expected(rows)


IN_THEIR_ORDER: list[tuple[str, Callable[..., Row]]] = [
    ("earthdial", others.earthdial),
    ("llama_factory", others.llama_factory),
]


@pytest.mark.parametrize(("name", "writer"), IN_THEIR_ORDER)
def test_a_file_without_ids_and_images_is_matched_by_its_order(
    name: str, writer: Callable[..., Row], rows: list[Row], releases: Path, tmp_path: Path
) -> None:
    theirs = others.write(tmp_path / "r.jsonl", rows, writer, range(len(rows)))
    flags = ("--config", "vqa_lr", "--data-dir", releases, "--model", "m")
    result = told(theirs, *flags, "--out", tmp_path / "p.jsonl")
    assert (result["format"], result["matched_by"]) == (name, {IN_ORDER: len(rows)})
    assert replies(tmp_path / "p.jsonl") == expected(rows)


@pytest.mark.parametrize("writer", [writer for _, writer in IN_THEIR_ORDER])
def test_without_its_order_rows_that_ask_the_same_are_not_told_apart(
    writer: Callable[..., Row], rows: list[Row], releases: Path, tmp_path: Path
) -> None:
    theirs = others.write(tmp_path / "r.jsonl", rows, writer, shuffled(len(rows)))
    flags = ("--config", "vqa_lr", "--data-dir", releases, "--model", "m")
    result = told(theirs, *flags, "--out", tmp_path / "p.jsonl", code=1)
    found = replies(tmp_path / "p.jsonl")
    same: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        same.setdefault((row["question"], row["references"][0]), []).append(row["id"])
    told_apart = {ids[0] for ids in same.values() if len(ids) == 1}
    assert told_apart <= set(found)
    assert {own: said for own, said in found.items() if own in told_apart} == {
        own: said for own, said in expected(rows).items() if own in told_apart
    }
    assert {each["kind"] for each in result["left_out"]} == {"equal rows"}
    paired = told(theirs, *flags, "--out", tmp_path / "q.jsonl", "--pair-equal")
    assert paired["interchangeable"] == len(result["left_out"])
    whole = others.write(tmp_path / "w.jsonl", rows, others.own, range(len(rows)))
    run(whole, *flags, "--out", tmp_path / "w.out.jsonl")
    scores = score(tmp_path / "w.out.jsonl")["scores"]
    assert score(tmp_path / "q.jsonl")["scores"] == scores
    assert "may be those of other rows" in " ".join(score(tmp_path / "q.jsonl")["notes"])


def test_questions_say_which_image_an_answer_of_llava_is_about(
    rows: list[Row], releases: Path, tmp_path: Path
) -> None:
    theirs = others.write(tmp_path / "answers.jsonl", rows, others.llava, shuffled(len(rows)))
    asked = [others.llava_question(row, number) for number, row in enumerate(rows)]
    questions = others.write_lines(tmp_path / "questions.jsonl", asked)
    flags = ("--config", "vqa_lr", "--data-dir", releases, "--questions", questions)
    result = told(theirs, *flags, "--out", tmp_path / "p.jsonl")
    assert result["matched_by"] == {BY_IMAGE: len(rows)}
    assert replies(tmp_path / "p.jsonl") == expected(rows)
    assert read_predictions(tmp_path / "p.jsonl")[0]["model"] == "llava-v1.5-7b"


def test_captions_of_coco_are_matched_by_the_annotations_that_number_images(
    captions: list[Row], releases: Path, tmp_path: Path
) -> None:
    images = [
        {"id": 700 + n, "file_name": Path(row["image"]).name} for n, row in enumerate(captions)
    ]
    (tmp_path / "ann.json").write_text(json.dumps({"images": images, "annotations": []}))
    items = [
        {"image_id": 700 + n, "caption": others.reply(n, row)} for n, row in enumerate(captions)
    ]
    (tmp_path / "results.json").write_text(json.dumps(items[::-1]))
    flags = ("--config", "cap_rsicd", "--data-dir", releases, "--model", "m")
    questions = ("--questions", tmp_path / "ann.json")
    run(tmp_path / "results.json", *flags, *questions, "--out", tmp_path / "p.jsonl")
    assert replies(tmp_path / "p.jsonl") == expected(captions)
    with pytest.raises(ValueError, match="no result belongs to a row of cap_rsicd/test"):
        run(tmp_path / "results.json", *flags, "--out", tmp_path / "q.jsonl")


def test_all_captions_of_an_image_tell_it(
    captions: list[Row], releases: Path, tmp_path: Path
) -> None:
    several = [row for row in captions if len(set(row["references"])) > 1]
    places = range(len(several))[::-1]
    theirs = others.write(tmp_path / "r.jsonl", several, others.earthdial_caption, places)
    flags = ("--config", "cap_rsicd", "--data-dir", releases, "--model", "EarthDial")
    result = told(theirs, *flags, "--out", tmp_path / "p.jsonl")
    assert result["matched_by"] == {"true answers": len(several)}
    assert replies(tmp_path / "p.jsonl") == expected(several)
    assert set(result["missing"]) == {row["id"] for row in captions} - set(expected(several))


def test_short_answers_of_other_images_tell_nothing(
    rows: list[Row], releases: Path, tmp_path: Path
) -> None:
    """Every image is asked for roads: half of the file fits our rows by chance."""
    theirs = others.write(tmp_path / "r.jsonl", rows, others.earthdial, shuffled(len(rows))[:40])
    flags = ("--config", "vqa_lr", "--data-dir", releases, "--model", "EarthDial")
    with pytest.raises(ValueError, match="question and answer alone do not tell the row"):
        run(theirs, *flags, "--out", tmp_path / "p.jsonl")
    assert not (tmp_path / "p.jsonl").exists()


def test_without_data_the_truth_of_the_file_is_scored_and_said_to_be_so(
    rows: list[Row], releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RS_GPT4V_DATA", raising=False)
    theirs = others.write(tmp_path / "r.jsonl", rows, others.earthdial, shuffled(len(rows)))
    flags = ("--config", "vqa_lr", "--model", "EarthDial")
    result = told(theirs, *flags, "--out", tmp_path / "p.jsonl")
    assert (result["verified"], result["written"]) == (False, len(rows))
    scored = score(tmp_path / "p.jsonl")
    assert scored["dataset"]["fingerprint"] == UNVERIFIED
    assert any("not compared with ours" in note for note in scored["notes"])
    whole = others.write(tmp_path / "w.jsonl", rows, others.own, range(len(rows)))
    data = ("--data-dir", releases)
    run(whole, *flags, *data, "--out", tmp_path / "w.out.jsonl")
    assert scored["scores"] | {"signature": ""} == score(tmp_path / "w.out.jsonl")["scores"] | {
        "signature": ""
    }
