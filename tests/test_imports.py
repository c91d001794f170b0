"""Results of others become predictions of our rows, and what does not fit is said."""

import gzip
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import others_results as others
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from rs_gpt4v import NAME
from rs_gpt4v.cli import app
from rs_gpt4v.conversation import FEATURES
from rs_gpt4v_evaluation.imports import import_results, read_results
from rs_gpt4v_evaluation.imports.formats import Result
from rs_gpt4v_evaluation.imports.matching import match
from rs_gpt4v_evaluation.imports.rows import Rows
from rs_gpt4v_evaluation.predict.predictions import (
    UNVERIFIED,
    PredictedRows,
    Prediction,
    read_predictions,
)
from rs_gpt4v_evaluation.predict.turns import each_turn
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


def test_a_few_answers_in_order_are_no_order(
    rows: list[Row], releases: Path, tmp_path: Path
) -> None:
    """Any file that begins with yes and no would fit a split that does."""
    items = [{"predict": "x", "label": row["references"][0]} for row in rows]
    flags = ("--config", "vqa_lr", "--data-dir", releases, "--model", "m")
    out = ("--out", tmp_path / "p.jsonl")
    few = others.write_lines(tmp_path / "few.jsonl", items[:3])
    with pytest.raises(ValueError, match="do not tell the row, as 3 results are not the 99 rows"):
        run(few, *flags, *out)
    many = others.write_lines(tmp_path / "many.jsonl", items[:-1])
    result = told(many, *flags, *out)
    assert (result["matched_by"], result["missing"]) == ({IN_ORDER: 98}, [rows[-1]["id"]])


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


def test_true_boxes_tell_the_expressions_of_an_image(releases: Path, tmp_path: Path) -> None:
    rows = others.built("grounding", releases, box_format="llava")
    theirs = others.write(tmp_path / "r.json", rows, others.lhrs_boxes, shuffled(len(rows)))
    flags = ("--config", "grounding", "--data-dir", releases, "--model", "m")
    with pytest.raises(ValueError, match=r"--box-format .* one of llava, llava_padded, geochat"):
        run(theirs, *flags, "--out", tmp_path / "p.jsonl")
    codec = ("--box-format", "llava")
    result = told(theirs, *flags, *codec, "--out", tmp_path / "p.jsonl", code=1)
    of_box = Counter((row["image"], *row["boxes"][0]["points"]) for row in rows)
    alone = {row["id"] for row in rows if of_box[(row["image"], *row["boxes"][0]["points"])] == 1}
    assert result["matched_by"] == {"image and true answer": len(alone)}
    assert replies(tmp_path / "p.jsonl") == {
        own: said for own, said in expected(rows).items() if own in alone
    }
    assert {each["kind"] for each in result["left_out"]} == {"several rows"}


def test_an_expression_is_found_inside_the_prompt_of_another_model(
    releases: Path, tmp_path: Path
) -> None:
    rows = others.built("grounding", releases, box_format="geochat")
    items = []
    for number, row in enumerate(rows):
        before, after = "Where is ", " in this remote sensing image? Give its bounding box."
        expression = row["question"].removeprefix(before).removesuffix(after)
        asked = f"[refer] Give me the location of <p> {expression.capitalize()}. </p>"
        items.append(others.geochat({**row, "question": asked}, others.reply(number, row), number))
    theirs = others.write_lines(tmp_path / "r.jsonl", items[::-1])
    flags = ("--config", "grounding", "--data-dir", releases, "--model", "m")
    result = told(theirs, *flags, "--box-format", "geochat", "--out", tmp_path / "p.jsonl")
    assert sum(result["matched_by"].values()) == len(rows)
    assert result["stated_otherwise"] == []
    assert replies(tmp_path / "p.jsonl") == expected(rows)


def test_an_image_alone_does_not_tell_its_questions_apart(
    rows: list[Row], releases: Path, tmp_path: Path
) -> None:
    theirs = others.write(tmp_path / "r.jsonl", rows, others.geochat_vqa, range(len(rows)))
    flags = ("--config", "vqa_lr", "--data-dir", releases, "--model", "m")
    with pytest.raises(ValueError, match=r"no result belongs to a row .* it fits 11 rows"):
        run(theirs, *flags, "--out", tmp_path / "p.jsonl")
    asked = [others.llava_question(row, number) for number, row in enumerate(rows)]
    questions = others.write_lines(tmp_path / "questions.jsonl", asked)
    run(theirs, *flags, "--questions", questions, "--out", tmp_path / "p.jsonl")
    assert replies(tmp_path / "p.jsonl") == expected(rows)


def test_a_running_number_is_no_id_of_the_release(
    rows: list[Row], releases: Path, tmp_path: Path
) -> None:
    """LHRS-Bot's numbers are those of RSVQA; one that states another truth shows they are not."""
    items = [others.lhrs(row, others.reply(number, row), number) for number, row in enumerate(rows)]
    items[7]["target"] = "no such answer"
    theirs = others.write_lines(tmp_path / "r.jsonl", items)
    flags = ("--config", "vqa_lr", "--data-dir", releases, "--model", "m")
    few = others.write(tmp_path / "few.jsonl", rows, others.lhrs, range(4))
    for file in (theirs, few):
        with pytest.raises(ValueError, match="no result belongs to a row of vqa_lr/test"):
            run(file, *flags, "--out", tmp_path / "p.jsonl")


ODD: list[tuple[Any, str | None]] = [
    (1, "1"),
    (1.5, "1.5"),
    ("1", "1"),
    (["yes"], "yes"),
    ([["yes"]], "yes"),
    ("", ""),
    (None, None),
    (float("nan"), None),
    (True, None),
    (["yes", "no"], None),
    ({"text": "yes"}, None),
    ("Failed to obtain answer via API.", None),
    ("half a pair \ud800", None),
]


def test_a_reply_that_is_no_text_fails_its_own_item(
    rows: list[Row], releases: Path, tmp_path: Path
) -> None:
    items = [{"id": rows[n]["id"], "prediction": value} for n, (value, _) in enumerate(ODD)]
    lines = [json.dumps(item) for item in items]
    text = "\n".join([*lines, '{"id": "cut', "[1, 2]"])
    (tmp_path / "r.jsonl").write_text("\ufeff" + text, encoding="utf-8")
    flags = ("--config", "vqa_lr", "--data-dir", releases, "--model", "m")
    result = told(tmp_path / "r.jsonl", *flags, "--out", tmp_path / "p.jsonl", code=1)
    assert replies(tmp_path / "p.jsonl") == {
        rows[n]["id"]: text for n, (_, text) in enumerate(ODD) if text is not None
    }
    places = [n + 1 for n, (_, text) in enumerate(ODD) if text is None] + [
        len(ODD) + 1,
        len(ODD) + 2,
    ]
    assert [each["where"] for each in result["left_out"]] == [
        f"{tmp_path / 'r.jsonl'}, line {place}" for place in places
    ]
    assert len(result["missing"]) == len(rows) - len(replies(tmp_path / "p.jsonl"))


def test_a_gzipped_file_and_utf_16_are_read(
    rows: list[Row], releases: Path, tmp_path: Path
) -> None:
    plain = others.write(tmp_path / "r.csv", rows, others.table, range(len(rows)))
    flags = ("--config", "vqa_lr", "--data-dir", releases, "--model", "m")
    (tmp_path / "r.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    (tmp_path / "u.csv").write_text(plain.read_text(), encoding="utf-16")
    for name in ("r.csv.gz", "u.csv"):
        run(tmp_path / name, *flags, "--out", tmp_path / "p.jsonl")
        assert replies(tmp_path / "p.jsonl") == expected(rows)


WRONG: list[tuple[str, str, tuple[str, ...], str]] = [
    ("r.jsonl", "", (), "the file is empty"),
    ("r.json", "[]", (), "holds no results"),
    ("r.csv", "id,prediction\n", (), "holds no results"),
    ("r.txt", "yes", (), r"expected \.json, .* or \.xlsx"),
    ("r.jsonl", '{"img": 1, "out": "x"}', (), "no known format .* --fields prediction=NAME"),
    ("r.jsonl", '{"id": "a", "prediction": "x"}', ("--format", "llava"), "not as LLaVA writes it"),
    ("r.jsonl", '{"id": "a", "prediction": "x"}', ("--format", "lava"), "expected one of earthd"),
    ("r.jsonl", '{"id": "a", "prediction": "x"}', ("--split", "tset"), "no split 'tset'; it has"),
    ("r.jsonl", '{"id": "a", "prediction": "x"}', ("--fields", "reply"), "expected NAME=VALUE"),
    ("r.jsonl", '{"id": "a", "prediction": "x"}', ("--fields", "image=f"), "has no 'f'; it has"),
    ("r.jsonl", '{"id": "a", "prediction": "x"}', ("--fields", "img=id"), "expected one of id, im"),
    ("r.jsonl", '{"id": "a", "prediction": "x"}', (), "the id 'a', which no row has"),
    ("r.jsonl.gz", "no", (), "expected a gzipped file"),
]


@pytest.mark.parametrize(("name", "text", "flags", "problem"), WRONG)
def test_a_file_that_cannot_be_used_is_refused_with_what_to_do(
    name: str,
    text: str,
    flags: tuple[str, ...],
    problem: str,
    releases: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / name).write_text(text)
    own = ("--config", "vqa_lr", "--data-dir", releases, "--model", "m")
    with pytest.raises(ValueError, match=problem):
        run(tmp_path / name, *own, *flags, "--out", tmp_path / "p.jsonl")
    assert not (tmp_path / "p.jsonl").exists()


def test_rows_of_another_split_are_recognised(releases: Path, tmp_path: Path) -> None:
    trained = others.built("vqa_lr", releases, "train")
    theirs = others.write(tmp_path / "r.jsonl", trained, others.table, range(len(trained)))
    own = ("--config", "vqa_lr", "--data-dir", releases, "--model", "m")
    with pytest.raises(ValueError, match=f"{len(trained):,} belong to the split 'train'"):
        run(theirs, *own, "--out", tmp_path / "p.jsonl")


NAMES: list[Callable[[str], str]] = [
    lambda name: f"C:\\data\\{name}",
    lambda name: f"/data/Images_LR/{name}",
    lambda name: name.replace(".tif", ".TIF"),
    lambda name: name.replace(".tif", ".png"),
    lambda name: name.removesuffix(".tif"),
]
ASKED: list[Callable[[str], str]] = [
    lambda question: f"<image>\n{question}",
    lambda question: f"[VQA] {question}",
    lambda question: f"{question} Answer with one word",
    lambda question: f"{question}\nPlease answer yes or no.",
    lambda question: f"USER: <image>\n{question} ASSISTANT:",
    lambda question: f"###Human: {question}###Assistant:",
    lambda question: f"I see a Sentinel image. {question} Think hard.",
    lambda question: question.upper().rstrip("?"),
    lambda question: f"Question: {question}\nAnswer with a single word or phrase.",
    lambda question: (
        f"Here is a question about the image: {question}\nAnswer as briefly as possible."
    ),
]


@pytest.mark.parametrize(
    "change", [*(("image", f) for f in NAMES), *(("question", f) for f in ASKED)]
)
def test_what_stands_around_a_name_or_a_question_does_not_count(
    change: tuple[str, Callable[[str], str]], rows: list[Row], releases: Path, tmp_path: Path
) -> None:
    part, changed = change
    items = [others.table(row, others.reply(n, row), n) for n, row in enumerate(rows)]
    items = [{**item, part: changed(item[part])} for item in items]
    theirs = others.write_lines(tmp_path / "r.jsonl", items)
    flags = ("--config", "vqa_lr", "--data-dir", releases, "--model", "m")
    run(theirs, *flags, "--out", tmp_path / "p.jsonl")
    assert replies(tmp_path / "p.jsonl") == expected(rows)


def test_another_question_about_the_image_is_not_taken_for_the_one_inside_it(
    rows: list[Row], releases: Path, tmp_path: Path
) -> None:
    items = [others.table(row, others.reply(n, row), n) for n, row in enumerate(rows)]
    items[0]["question"] = items[0]["question"].rstrip("?") + " next to the river?"
    theirs = others.write_lines(tmp_path / "r.jsonl", items)
    flags = ("--config", "vqa_lr", "--data-dir", releases, "--model", "m")
    result = told(theirs, *flags, "--out", tmp_path / "p.jsonl", code=1)
    assert result["missing"] == [rows[0]["id"]]
    assert [each["kind"] for each in result["left_out"]] == ["unknown question"]


DAMAGED = [
    (r"There\u00a0are trees", "escapes", "There\u00a0are trees"),
    ("trees &amp; grass", "entities", "trees & grass"),
    ("a caf\u00c3\u00a9", "wrong encoding", "a caf\u00e9"),
    ("a \ufffd", "lost characters", "a \ufffd"),
]


@pytest.mark.parametrize(("text", "kind", "mended"), DAMAGED)
def test_published_damage_is_told_and_mended_only_on_demand(
    text: str, kind: str, mended: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RS_GPT4V_DATA", raising=False)
    item = {"question": "?", "answer": "trees", "caption0": text, "caption1": "grass"}
    theirs = others.write_lines(tmp_path / "r.jsonl", [item])
    flags = ("--config", "cap_nwpu", "--model", "EarthDial", "--out", tmp_path / "p.jsonl")
    (damage,) = told(theirs, *flags)["damage"]
    assert (damage["part"], damage["kind"], damage["n"]) == ("true answers", kind, 1)
    assert read_predictions(tmp_path / "p.jsonl")[0]["references"] == [text, "grass"]
    assert "damaged: 1 true answers hold" in run(theirs, *flags, "--repair")
    assert read_predictions(tmp_path / "p.jsonl")[0]["references"] == [mended, "grass"]


@pytest.mark.parametrize("config", ["probe_presence", "scene_ucm", "conversation", "vqa"])
def test_our_own_prompts_are_found_again(config: str, releases: Path, tmp_path: Path) -> None:
    splits: Any = datasets.load_dataset(NAME, config, data_dir=str(releases))
    rows: Any = each_turn(splits["test"]).cast_column(
        "images", datasets.List(datasets.Image(decode=False))
    )
    asked = [(row["images"][0]["path"], row["messages"][-2]["content"]) for row in rows]
    items = [
        {"image": Path(image).name, "question": question, "prediction": str(n)}
        for n, (image, question) in enumerate(asked)
    ]
    theirs = read_results(others.write_lines(tmp_path / "r.jsonl", items[::-1]))
    done = import_results(
        theirs, config, "test", "paper", model="m", splits=splits, box_format="llava"
    )
    assert [int(line["prediction"]) for line in done.predictions] == list(range(len(items)))


def test_lines_in_the_samples_of_an_exported_task_have_our_ids(
    rows: list[Row], releases: Path, tmp_path: Path
) -> None:
    """lmms-eval logs each metric's value, which for a task of ours is a line of predictions."""
    places = shuffled(len(rows))
    items = []
    for n in places:
        line = {name: rows[n][name] for name in ("id", "references", "question_type")}
        line |= {"prompt": rows[n]["question"], "prediction": others.reply(n, rows[n])}
        asked = {"doc_id": n, "target": "?", "input": rows[n]["question"], "doc_hash": "0"}
        items.append({**asked, "filtered_resps": line["prediction"], "oa": line, "aa": line})
    theirs = others.write_lines(tmp_path / "samples.jsonl", items)
    flags = ("--config", "vqa_lr", "--data-dir", releases, "--model", "m")
    result = told(theirs, *flags, "--out", tmp_path / "p.jsonl")
    assert (result["format"], result["matched_by"]) == ("lmms_eval", {"id": len(rows)})
    assert replies(tmp_path / "p.jsonl") == expected(rows)


def test_several_models_and_none_are_refused(
    rows: list[Row], releases: Path, tmp_path: Path
) -> None:
    items = [others.own(row, "yes", n) | {"model": f"m{n % 2}"} for n, row in enumerate(rows)]
    theirs = others.write_lines(tmp_path / "r.jsonl", items)
    flags = ("--config", "vqa_lr", "--data-dir", releases, "--out", tmp_path / "p.jsonl")
    with pytest.raises(ValueError, match=r"of several models \(m0, m1\)"):
        run(theirs, *flags)
    theirs = others.write(tmp_path / "r.jsonl", rows, others.own, range(3))
    with pytest.raises(ValueError, match="does not say who replied: give --model NAME"):
        run(theirs, *flags)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_every_result_is_used_once_or_said_to_be_left_out(data: st.DataObject) -> None:
    """Results in any order, some missing, some twice with the same reply, some with another."""
    n = 8
    rows = split_of(n)
    places = data.draw(st.lists(st.integers(0, n - 1), max_size=20))
    says = data.draw(st.lists(st.sampled_from(["a", "b"]), min_size=20, max_size=20))
    results = [
        Result(f"f, line {k}", says[k], image=f"x/{place // 2}.PNG", question=f"q {place % 2}?")
        for k, place in enumerate(places)
    ]
    found = match(results, Rows(rows))
    by_place: dict[int, list[str]] = {}
    for k, place in enumerate(places):
        by_place.setdefault(place, []).append(says[k])
    sure = {place: said[0] for place, said in by_place.items() if len(set(said)) == 1}
    assert {row: result.reply for row, result in found.of_row.items()} == sure
    unsure = [said for place, said in by_place.items() if place not in sure]
    assert len(found.left_out) == sum(map(len, unsure))
    assert found.repeated == sum(len(by_place[place]) - 1 for place in sure)
    assert len(results) == len(found.of_row) + len(found.left_out) + found.repeated


def split_of(n: int) -> datasets.Dataset:
    """A split of ``n`` questions, two about each image."""
    rows = [
        {
            "id": f"s/test/{k}",
            "images": [{"path": f"/d/{k // 2}.png", "bytes": None}],
            "messages": [
                {"role": "user", "content": f"Q {k % 2}?\nAnswer briefly."},
                {"role": "assistant", "content": "a"},
            ],
            "source": "rsvqa_lr",
            "task": "vqa",
            "question_type": "presence",
            "modality": "optical",
            "references": ["a"],
            "boxes": [],
            "width": 8,
            "height": 8,
        }
        for k in range(n)
    ]
    return datasets.Dataset(pa.Table.from_pylist(rows, schema=FEATURES.arrow_schema))


def test_every_field_of_a_predictions_file_is_documented() -> None:
    page = Path(__file__).parents[1] / "docs" / "predictions.md"
    text = page.read_text(encoding="utf-8").partition("## Fields of a predictions file")[2]
    fields = {*Prediction.__annotations__, *PredictedRows.__annotations__}
    assert not {name for name in fields if f"`{name}`" not in text}
