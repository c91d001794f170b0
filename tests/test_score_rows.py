"""Each row of a predictions file is scored by its own rule, and each file is checked first."""

import json
import re
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("evaluate")

from prediction_lines import row, write
from typer.testing import CliRunner

from rs_gpt4v.cli import app
from rs_gpt4v_evaluation.predict.predictions import PredictionFileError


def run(*arguments: object) -> str:
    """What a verb prints; an error it ends with is raised."""
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if result.exception:
        raise result.exception
    return result.stdout


def scored(path: Path, *options: str) -> Any:
    return json.loads(run("score", path, "--json", *options))


def count(source: str, said: str, *true: str, kind: str = "count") -> dict[str, Any]:
    return row(0, source=source, question_type=kind, prediction=said, references=[*true])


# --- The rule of each row ------------------------------------------------------------------------

# 12 and 17 are in one range of RSVQA-LR; elsewhere they are two answers.
COUNTS = [count(source, "12", "17") for source in ("rsvqa_lr", "rsvqa_hr", "floodnet", "rsivqa")]


@pytest.mark.parametrize("order", [*permutations(range(4))][::5])
def test_rows_of_a_group_are_compared_as_their_own_source_does(
    order: tuple[int, ...], tmp_path: Path
) -> None:
    (found,) = scored(write(tmp_path / "p.jsonl", [COUNTS[i] for i in order], config="vqa"))
    assert found["scores"]["accuracy_count"] == 1 / 4
    assert found["rule"]["counts"]["rsvqa_lr"] == "bucket"
    assert {found["rule"]["counts"][name] for name in ("rsvqa_hr", "floodnet")} == {"exact"}
    assert "|counts:bucket+exact|areas:bucket|" in found["signature"]


def test_a_chosen_rule_holds_for_all_rows(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", COUNTS)
    for rule, right in (("bucket", 1), ("exact", 0)):
        (found,) = scored(file, "--counts", rule)
        assert (found["scores"]["oa"], found["rule"]["counts"]) == (right, rule)


@pytest.mark.parametrize(("kind", "flag"), [("count", "--counts"), ("area", "--areas")])
def test_of_an_unknown_source_no_rule_is_guessed(kind: str, flag: str, tmp_path: Path) -> None:
    rows = [count("rsvqa_lr", "12m2", "17m2", kind=kind), count("own", "12m2", "17m2", kind=kind)]
    for lines in (rows, rows[::-1], rows[1:]):
        known = (
            f"'own' .* not known, .* rsvqa_lr, rsvqa_hr, floodnet, rsivqa, folder: .*{flag} exact"
        )
        with pytest.raises(ValueError, match=known):
            run("score", write(tmp_path / "p.jsonl", lines))
        (found,) = scored(tmp_path / "p.jsonl", flag, "exact")
        assert found["scores"]["oa"] == 0
    (found,) = scored(tmp_path / "p.jsonl", "--areas", "bucket", "--counts", "exact")
    assert found["scores"]["oa"] == (kind == "area")


def test_where_no_number_is_asked_for_a_source_may_be_unknown(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", [count("own", "red", "red", kind="colour")])
    assert scored(file)[0]["scores"]["oa"] == 1


@pytest.mark.parametrize("flag", ["--counts", "--areas", "--normalise"])
def test_an_unknown_rule_is_refused_with_the_known_ones(flag: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{flag[2:]} must be one of .*, got 'buckets'"):
        run("score", write(tmp_path / "p.jsonl", [row(0)]), flag, "buckets")


# --- Accepted answers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "right"),
    [("red", 1), ("Crimson.", 1), ("scarlet", 1), ("blue", 0), ("", 0), ("red, crimson", 0)],
)
def test_every_accepted_answer_is_right(said: str, right: int, tmp_path: Path) -> None:
    rows = [count("own", said, "red", "crimson", "scarlet", kind="colour"), row(1)]
    (found,) = scored(write(tmp_path / "p.jsonl", rows))
    assert found["scores"]["accuracy_colour"] == right


def test_every_accepted_count_is_right_by_its_range(tmp_path: Path) -> None:
    said = [count("rsvqa_lr", number, "3", "500") for number in ("7", "101", "50", "many")]
    rows = [one | {"id": f"r{i}"} for i, one in enumerate(said)]
    (found,) = scored(write(tmp_path / "p.jsonl", rows))
    assert found["scores"]["accuracy_count"] == 2 / 4


def test_the_report_counts_every_accepted_answer(tmp_path: Path) -> None:
    lines = [
        count("rsvqa_lr", "500", "3", "500") | {"id": "a"},
        count("rsvqa_hr", "4", "3", "4") | {"id": "b"},
        row(1, references=["yes", "there is"], prediction="there is"),
    ]
    out = tmp_path / "r.md"
    run("report", write(tmp_path / "a/p.jsonl", lines), "--out", out)
    text = out.read_text(encoding="utf-8").replace("\u00a0", " ")
    assert "| All questions (OA) | 3 | 100.0 % | 100.0 % |" in text  # "most frequent" is any of two


def test_a_model_card_names_all_sources(tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    file = write(tmp_path / "a/p.jsonl", [one | {"id": f"r{i}"} for i, one in enumerate(COUNTS)])
    run("report", file, "--out", tmp_path / "r.md", "--model-card", card)
    assert "rsvqa_lr + rsvqa_hr + floodnet + rsivqa (paper protocol)" in card.read_text()


def test_a_page_names_both_ways_of_comparing(tmp_path: Path) -> None:
    lines = [one | {"id": f"r{i}"} for i, one in enumerate(COUNTS)]
    out = tmp_path / "r.html"
    run("report", write(tmp_path / "a/p.jsonl", lines), "--out", out)
    page = " ".join(out.read_text(encoding="utf-8").split())
    assert "by the ranges of the RSVQA authors or exactly, as their source does" in page
    assert "“between 10 and 100” (count by range), “17” (count exactly)" in page


# --- Tasks ---------------------------------------------------------------------------------------

TASKS = ("vqa", "caption", "grounding", "region_caption", "conversation", "detail")


def test_a_file_of_all_has_scores_for_each_task(tmp_path: Path) -> None:
    lines = [row(i, task) for i in range(2) for task in TASKS]
    for rows in (lines, lines[::-1]):
        found = {one["task"]: one for one in scored(write(tmp_path / "p.jsonl", rows, rows=13))}
        assert set(found) == set(TASKS[:4])
        for one in found.values():
            assert (one["n"], one["missing"]) == (2, 1)
            assert "conversation and detail have no one right answer" in (
                "".join(one["notes"]).replace("detail and conversation", "conversation and detail")
            )
        headlines = {"vqa": "oa", "caption": "bleu_1", "grounding": "pr_90"}
        for task, key in headlines.items():
            assert found[task]["scores"][key] == pytest.approx(1)
    text = run("score", tmp_path / "p.jsonl")
    assert all(f"all/test, {task}" in text for task in TASKS[:4])


def test_files_of_all_compare_by_task(tmp_path: Path) -> None:
    rows = [row(i, task) for i in range(6) for task in ("vqa", "grounding")]
    worse = [one | {"prediction": "no", "weights": "v"} for one in rows]
    files = write(tmp_path / "a.jsonl", rows), write(tmp_path / "b.jsonl", worse)
    told = run("score", files[1], "--against", files[0], "--resamples", 9)
    assert "6 rows of task vqa" in told
    assert "6 rows of task grounding" in told
    assert re.search(r"oa +-1\.0000", told)
    assert re.search(r"pr_50 +-1\.0000", told)


def test_a_report_has_a_table_for_each_task(tmp_path: Path) -> None:
    rows = [row(i, task) for i in range(2) for task in TASKS]
    out = tmp_path / "r.md"
    run("report", write(tmp_path / "a/p.jsonl", rows), "--out", out)
    text = out.read_text(encoding="utf-8").replace("\\", "")
    for task in TASKS[:4]:
        assert f"## all, test, {task}" in text
    assert "a model judges them" in text


def test_files_of_one_config_and_two_tasks_share_no_table(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{task}/p.jsonl", [row(0, task)]) for task in ("vqa", "caption")]
    run("report", *files, "--out", tmp_path / "r.md")
    assert (tmp_path / "r.md").read_text(encoding="utf-8").count("## all, test, ") == 2


# --- Files are checked ---------------------------------------------------------------------------

WRONG: list[tuple[str, Any, str]] = [
    *((name, value, f"{name} is ") for name in ("id", "source") for value in (None, 3, ["a"], {})),
    ("id", "", "id is ''"),
    *(("task", value, "task is .*'caption', 'vqa'") for value in ("vqaa", None, 1, "")),
    *(("question_type", value, "question_type is ") for value in (3, ["count"], True)),
    *(("image", value, "image is ") for value in (3, {"path": "a"})),
    *(("prompt", value, "prompt is ") for value in (None, ["?"])),
    *(("prediction", value, "prediction is ") for value in (None, ["yes"], 7, True, {})),
    *(("references", value, "references is ") for value in ("yes", [], None, {"0": "yes"}, 1)),
    ("references", [], r"references is \[\]; expected at least 1 item"),
    *(("references", value, r"references\[0\] is ") for value in ([None], [3], [["yes"]])),
    *(("boxes", value, r"boxes") for value in (None, "x", [[1, 2, 3, 4]], {})),
    (
        "boxes",
        [{"label": "a", "points": ["1", 2, 3, 4], "kind": "hbb"}],
        r"boxes\[0\]\.points\[0\]",
    ),
    ("boxes", [{"label": "a", "points": [1, 2, 3, 4], "kind": "box"}], r"boxes\[0\]\.kind"),
    *(("width", value, "width is ") for value in ("100", 1.5, -1, None, True)),
    *(("model", value, "model is ") for value in (None, 3)),
    *(("decoding", value, "decoding") for value in (None, [], "greedy", {"do_sample": 1})),
    *(("dataset", value, "dataset") for value in (None, "vqa_lr", [], {"config": "x"})),
    *(("history", value, "history") for value in ("x", [["user", "?"]], [{"role": "robot"}])),
]


@pytest.mark.parametrize(("name", "value", "problem"), WRONG, ids=lambda value: repr(value)[:30])
@pytest.mark.parametrize("verb", ["score", "report"])
def test_a_value_of_another_type_is_named(
    verb: str, name: str, value: Any, problem: str, tmp_path: Path
) -> None:
    lines = [row(0), row(1)]
    file = write(tmp_path / "p.jsonl", lines)
    whole = [json.loads(line) for line in file.read_text().splitlines()]
    whole[1][name] = value
    file.write_text("".join(json.dumps(line) + "\n" for line in whole))
    options = ["--out", str(tmp_path / "r.html")] if verb == "report" else []
    with pytest.raises(ValueError, match=rf"p\.jsonl, line 2: .*{problem}"):
        run(verb, file, *options)


@pytest.mark.parametrize(
    "line",
    [
        *(b"[1]", b"7", b'"text"', b"null", b"{", b"{}", b"nonsense", b"\xff\xfe"),
        *(b'{"id": "\\ud800"}', b'{"id": NaN}', b'{"id": "\xff"}'),
        *(b"[" * 100_000, b'{"id": ' + b"9" * 5000 + b"}"),
    ],
    ids=range(13),
)
def test_a_line_that_is_no_prediction_is_named(line: bytes, tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", [row(0), row(1)])
    first, second = file.read_bytes().splitlines(keepends=True)
    for content, number in ((line + b"\n" + first, 1), (first + line + b"\n" + second, 2)):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=rf"p\.jsonl, line {number}: "):
            run("score", file)


# --- True boxes ----------------------------------------------------------------------------------


def boxes(*truths: list[float]) -> list[dict[str, Any]]:
    """Rows of grounding: one right, and one of each truth, in an image of 100 x 100 px."""
    own = [[{"label": "ship", "points": truth, "kind": "hbb"}] for truth in truths]
    return [row(0, "grounding"), *(row(i, "grounding", boxes=one) for i, one in enumerate(own, 1))]


BAD = [[0.1, 0.1, 0.5, 0.5], [50, 50, 10, 10], [-20, 10, 50, 50], [10, 10, 150, 50]]


@pytest.mark.parametrize("truth", BAD)
def test_a_truth_that_is_no_box_is_refused_with_its_row(truth: list[float], tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", boxes(truth))
    for verb, *options in (["score"], ["report", "--out", str(tmp_path / "r.html")]):
        message = r"p\.jsonl, dior_rsvg/grounding/1: the true box .* --skip-bad-boxes"
        with pytest.raises(ValueError, match=message):
            run(verb, file, *options)


def test_bad_truths_are_left_out_where_asked_for_and_listed(tmp_path: Path) -> None:
    file = write(tmp_path / "a/p.jsonl", boxes(*BAD, [10, 10, 50, 50]))
    (found,) = scored(file, "--skip-bad-boxes")
    assert (found["n"], found["missing"], found["scores"]["pr_90"]) == (2, 0, 1)
    assert list(found["skipped"]) == [f"dior_rsvg/grounding/{i}" for i in range(1, 5)]
    assert "shares of the image" in found["skipped"]["dior_rsvg/grounding/1"]
    assert "|missing:0|skipped:4|" in found["signature"]
    text = run("score", file, "--skip-bad-boxes", "--against", file, "--resamples", 9)
    assert "1 skipped: the true box [50, 50, 10, 10] is not x_min" in text.replace(".0", "")
    assert "2 rows of task grounding" in text
    run("report", file, "--out", tmp_path / "r.md", "--skip-bad-boxes")
    report = (tmp_path / "r.md").read_text(encoding="utf-8").replace("\\", "")
    assert "a: 4 rows are left out, such as dior_rsvg/grounding/1: the true box" in report


def test_where_no_truth_is_a_box_the_file_is_refused_in_any_case(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", boxes(*BAD)[1:])
    with pytest.raises(ValueError, match="no row can be scored: the true box"):
        run("score", file, "--skip-bad-boxes")


# --- Columns of a report -------------------------------------------------------------------------


def reported(tmp_path: Path, *files: Path) -> str:
    run("report", *files, "--out", tmp_path / "r.md")
    return (tmp_path / "r.md").read_text(encoding="utf-8").replace("\u00a0", " ")


def test_columns_of_different_numbers_say_both(tmp_path: Path) -> None:
    kinds = ["presence"] * 4 + ["comp"] * 2 + ["scene"]
    rows = [row(i, question_type=kind) for i, kind in enumerate(kinds)]
    one, other = (write(tmp_path / name / "p.jsonl", rows[:n]) for name, n in (("a", 7), ("b", 5)))
    text = reported(tmp_path, one, other)
    assert "| Presence | 4 | 100.0 % |" in text
    assert "| Comparison | 2 / 1 | 100.0 % |" in text
    assert "| Scene | 1 / 0 | – | 100.0 % | – | – |" in text  # noqa: RUF001
    assert "| All questions (OA) | 7 / 5 |" in text
    assert "Rows scored: 7, 5" in text
    assert "hold different rows" in text


@pytest.mark.parametrize(
    ("change", "warned"),
    [
        ({"weights": "v"}, False),
        ({"id": "another"}, True),
        ({"references": ["no"]}, True),
        ({"references": ["yes", "y"]}, True),
        ({"question_type": "comp"}, True),
    ],
)
def test_columns_of_other_truths_are_warned_of(
    change: dict[str, Any], warned: bool, tmp_path: Path
) -> None:
    files = [
        write(tmp_path / name / "p.jsonl", [row(0), row(1) | own])
        for name, own in (("a", {}), ("b", change))
    ]
    if "weights" in change:
        files[1] = write(files[1], [one | change for one in (row(0), row(1))])
    for order in (files, files[::-1]):
        assert ("hold different rows" in reported(tmp_path, *order)) == warned


def test_boxes_of_two_codecs_are_the_same_rows(tmp_path: Path) -> None:
    one = write(tmp_path / "a/p.jsonl", [row(0, "grounding")])
    other = row(0, "grounding", references=["[100, 100, 500, 500]"])
    others = write(tmp_path / "b/p.jsonl", [other], box_format="norm1000", fingerprint="g")
    assert "hold different rows" not in reported(tmp_path, one, others)
    moved = other | {"boxes": [{"label": "ship", "points": [10, 10, 50, 60], "kind": "hbb"}]}
    write(others, [moved], box_format="norm1000", fingerprint="g")
    assert "hold different rows" in reported(tmp_path, one, others)


def test_a_group_with_a_task_of_one_image_has_the_intervals_of_the_others(tmp_path: Path) -> None:
    rows = [row(1), row(2), *(row(n, "caption", image="1.png") for n in (3, 4))]
    questions, captions = scored(write(tmp_path / "p.jsonl", rows), "--intervals")
    assert questions["intervals"]["oa"] == [1, 1]
    assert captions["intervals"] == {}
    assert "No intervals: all rows are about one image" in captions["notes"][-1]
    assert questions["notes"] == []


def test_files_of_dialogues_beside_others_are_left_out_and_named(tmp_path: Path) -> None:
    dialogues = write(tmp_path / "detail.jsonl", [row(n, "detail") for n in (1, 2)])
    questions = write(tmp_path / "vqa.jsonl", [row(n) for n in (1, 2)])
    for verb in (("score",), ("report", "--out", tmp_path / "report.html")):
        said = run(verb[0], dialogues, questions, *verb[1:])
        assert f"{dialogues}: Rows of detail have no one right answer" in said
        with pytest.raises(PredictionFileError, match="Rows of detail have no one right answer"):
            run(verb[0], dialogues, *verb[1:])
        with pytest.raises(PredictionFileError, match="Rows of detail have no one right answer"):
            run(verb[0], dialogues, dialogues, *verb[1:])
    judged = run(
        *("judge", questions, dialogues, "--judge-model", "j", "--dry-run"),
        *("--no-image", "--out", tmp_path / "judged.jsonl"),
    )
    assert "2 pairs: 2 requests" in judged


@pytest.mark.parametrize(
    ("task", "changes", "reason"),
    [
        ("scene", {"prompt": "Which class is it?"}, "its question lists no classes; expected them"),
        (
            "scene",
            {"references": ["harbour"]},
            "the reference 'harbour' is none of the 2 classes to choose from: list it, or write",
        ),
        (
            "scene",
            {"prompt": "Which: airport, bare land, BareLand?"},
            "its question lists 'bare land' and 'BareLand', one class in two spellings",
        ),
        ("probe", {"question_type": "absent"}, "its question_type is 'absent', expected one of"),
        (
            "probe",
            {"question_type": "popular", "references": ["yes"]},
            "the answer to 'popular' is 'no', its reference 'yes'",
        ),
        ("detection", {"question_type": None, "boxes": []}, "it says neither in question_type nor"),
    ],
)
def test_rows_without_a_known_class_are_named_and_left_out_where_asked_for(
    tmp_path: Path, task: str, changes: dict[str, Any], reason: str
) -> None:
    bad = row(3, task, **changes)
    file = write(tmp_path / "p.jsonl", [row(1, task), row(2, task), bad])
    with pytest.raises(
        PredictionFileError, match="p.jsonl, " + re.escape(f"{bad['id']}: {reason}")
    ):
        scored(file)
    (scores,) = scored(file, "--skip-bad-boxes")
    assert scores["n"] == 2
    assert reason in scores["skipped"][bad["id"]]


def test_the_scores_of_classes_with_long_names_are_in_one_column(tmp_path: Path) -> None:
    name = "rectangular farmland of a very long name"
    rows = [
        row(n, "scene", prompt=f"Which: airport, {name}?", references=[true], prediction=str(n))
        for n, true in enumerate(("airport", name) * 4)
    ]
    files = [
        write(tmp_path / f"{folder}.jsonl", [r | {"model": folder} for r in rows])
        for folder in ("a", "b")
    ]
    said = run("score", files[0], "--against", files[1]).splitlines()
    shown = [re.match(r"  (?:accuracy|aa|oa)\w* +(?=[+-]?0\.0000)", line) for line in said]
    ends = {match.end() - 1 for match in shown if match}
    assert ends == {2 + len("accuracy_" + name.replace(" ", "_"))}
    (further,) = [line for line in said if "other reasons" in line]
    assert further == "  3 abstained for 3 other reasons: --json lists them"


def test_rows_of_a_class_in_two_spellings_are_named(tmp_path: Path) -> None:
    rows = [row(n, "detection", question_type=name) for n, name in enumerate(("ship", "Ship"))]
    file = write(tmp_path / "p.jsonl", rows)
    with pytest.raises(
        PredictionFileError,
        match=r"p\.jsonl: dior/detection/0 asks for 'ship' and dior/detection/1 for 'Ship': one",
    ):
        scored(file)
