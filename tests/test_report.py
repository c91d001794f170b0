import hashlib
import json
import math
import re
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard, ModelCardData
from PIL import Image
from prediction_lines import row, write
from report_files import (
    AFTER,
    BEFORE,
    CAPTIONS,
    QUESTIONS,
    captions,
    grounding,
    line,
    made,
    packed,
    vqa,
    written,
)
from typer.testing import CliRunner

from rs_gpt4v.cli import app
from rs_gpt4v_evaluation.report import examples, paper, report
from rs_gpt4v_evaluation.score import Rules, score


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    Image.linear_gradient("L").convert("I;16").resize((600, 300)).save(tmp_path / "0.png")
    (tmp_path / "1.png").write_bytes(b"no image")
    return [
        vqa(tmp_path / "before/vqa_hr.jsonl", BEFORE),
        captions(tmp_path / "before/cap_ucm.jsonl", ["", "A jet."]),
        vqa(tmp_path / "after/vqa_hr.jsonl", AFTER),
        captions(tmp_path / "after/cap_ucm.jsonl", ["A road by a river.", "A jet."]),
    ]


# The right box; a box of IoU 1/3, its corners reversed; no box; a right oriented box.
BOXES = [
    [40.0, 20, 120, 60],
    [40.0, 20, 120, 60],
    [0.0, 0, 40, 40],
    [80, 0, 120, 40, 80, 80, 40, 40],
]


@pytest.fixture
def boxes(tmp_path: Path) -> list[Path]:
    replies = ["[0.1, 0.1, 0.3, 0.3]", "[0.4, 0.3, 0.2, 0.1]", "nowhere", "[0.1, 0.0, 0.3, 0.4]"]
    return [
        grounding(tmp_path / f"{name}/grounding.jsonl", list(zip(BOXES, said, strict=True)))
        for name, said in (
            ("before", ["?"] * 4),
            ("middle", ["?", replies[1], "?", replies[3]]),
            ("after", replies),
        )
    ]


@pytest.fixture
def training_log(tmp_path: Path) -> Path:
    history = [{"step": s, "loss": 4.0 / s, "learning_rate": 1e-3} for s in (1, 2, 4)]
    history += [{"step": 4, "eval_loss": 2.0}]
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps({"log_history": [*history, {"step": 4, "train_runtime": 75.0}]}))
    return path


WORSE = "worse than guessing"


def sections(page: str) -> dict[str, str]:
    """The sections after the two that every page opens with."""
    parts = re.findall(r"<section.*?</section>", page, re.DOTALL)
    found = {re.findall(r"<h2>(.*?)</h2>", part)[0]: part for part in parts}
    assert list(found)[:2] == ["Right and wrong", "Scores"]
    return dict(list(found.items())[2:])


def rows(section: str, kind: str = "scores") -> dict[str, list[str]]:
    """The cells of each row of a table, by its name."""
    table = re.findall(rf'<table class="{kind}">.*?</table>', section, re.DOTALL)[0]
    lines = re.findall(r"<tr.*?</tr>", table, re.DOTALL)
    texts = [
        [re.sub(r"<.*?>", " ", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", each)]
        for each in lines
    ]
    return {name.strip(): [" ".join(cell.split()) for cell in cells] for name, *cells in texts}


# --- Tables --------------------------------------------------------------------------------------


def test_files_of_one_config_share_a_table_with_their_difference(files: list[Path]) -> None:
    found = sections(made(files))
    assert list(found) == ["vqa_hr", "cap_ucm", "Examples"]
    assert rows(found["vqa_hr"]) == {
        "Accuracy": ["n", "most frequent answer", "before", "after", "difference in points"],
        "Count": ["4", "75.0 %", f"25.0 % {WORSE}", "100.0 %", "+75.0"],
        "Presence": ["3", "66.7 %", f"33.3 % {WORSE}", "66.7 %", "+33.3"],
        "Mean over types (AA)": ["", "70.8 %", f"29.2 % {WORSE}", "83.3 %", "+54.2"],
        "All questions (OA)": ["7", "71.4 %", f"28.6 % {WORSE}", "85.7 %", "+57.1"],
        "Rows scored": ["", "", "7", "7", ""],
        "Rows missing": ["", "", "0", "0", ""],
        "Empty replies": ["", "", "2", "0", ""],
    }
    captioning = rows(found["cap_ucm"])
    assert captioning["Metric"] == ["before", "after", "difference"]
    assert captioning["BLEU-1"][1] == "1.000"
    assert captioning["Empty replies"] == ["1", "0", ""]


@pytest.mark.parametrize("count", [1, 3])
def test_only_two_columns_have_a_difference(files: list[Path], count: int) -> None:
    replies = ["3"] * len(QUESTIONS)
    paths = [vqa(files[0].parents[1] / f"run{i}" / "vqa_hr.jsonl", replies) for i in range(count)]
    table = rows(sections(made(paths))["vqa_hr"])
    assert table["Accuracy"] == ["n", "most frequent answer", *(f"run{i}" for i in range(count))]


def test_grounding_has_a_column_a_file(boxes: list[Path]) -> None:
    table = rows(sections(made(boxes))["grounding"])
    assert table["Metric"] == ["n", "before", "middle", "after"]
    assert table["Pr@0.5"] == ["", "0.0 %", "25.0 %", "50.0 %"]
    assert table["Replies without a box"] == ["", "4", "2", "1"]
    pair = rows(sections(made(boxes[1:]))["grounding"])
    assert pair["Metric"][-1] == "difference Pr in points"
    assert pair["Pr@0.5"] == ["", "25.0 %", "50.0 %", "+25.0"]


def test_blind_baseline_answers_by_the_bucket_where_the_score_does(tmp_path: Path) -> None:
    lines = [
        line(i, tmp_path, source="rsvqa_lr", task="vqa", question_type="count", prediction="x")
        | {"references": [answer]}
        for i, answer in enumerate(["0", "0", "3", "4", "5"])  # "0" is most frequent, 1-10 is more
    ]
    page = made([written(tmp_path / "a/vqa_lr.jsonl", lines)])
    assert rows(sections(page)["vqa_lr"])["Count"] == ["5", "60.0 %", f"0.0 % {WORSE}"]
    assert "“between 0 and 10” (count)" in page


def test_intervals_stand_below_the_scores_and_on_the_bars(files: list[Path]) -> None:
    page = made(files[:1], resamples=200)
    low, high = score(files[0], resamples=200)["intervals"]["oa"]
    assert 0 <= low < high <= 1
    shown = f"{100 * low:.1f}–{100 * high:.1f}"  # noqa: RUF001
    assert rows(sections(page)["vqa_hr"])["All questions (OA)"][-1] == f"28.6 % {shown} {WORSE}"
    assert f'class="interval" x1="{100 * low:.1f}%" x2="{100 * high:.1f}%"' in page
    assert 'class="interval"' not in made(files[:1])


def test_columns_of_different_rows_are_warned_of(files: list[Path]) -> None:
    warning = "The columns hold different rows"
    assert warning not in made(files)
    other = vqa(files[0].parents[1] / "c/vqa_hr.jsonl", ["3"] * 7, fingerprint="f2")
    assert warning in made([*files, other])


def test_missing_rows_are_warned_of(files: list[Path]) -> None:
    lines = files[0].read_bytes().splitlines(keepends=True)
    files[0].write_bytes(b"".join(lines[:5]))
    page = made(files)
    assert "before: 2 of 7 rows have no prediction" in page
    replies = packed(page)["groups"][0]["replies"]
    assert [column.count(None) for column in replies] == [2, 0]


def test_folders_of_one_name_are_told_apart(files: list[Path]) -> None:
    twin = vqa(files[0].parents[1] / "second/before/vqa_hr.jsonl", ["3"] * 7)
    labels = rows(sections(made([files[0], twin]))["vqa_hr"])["Accuracy"][2:4]
    assert labels == [str(files[0]), str(twin)]


def test_benches_are_named_by_their_own_folders(files: list[Path]) -> None:
    root = files[0].parents[1]
    benches = [vqa(root / name / "predictions/vqa_hr.jsonl", ["3"] * 7) for name in ("one", "two")]
    assert rows(sections(made(benches))["vqa_hr"])["Accuracy"][2:4] == ["one", "two"]


def test_sample_is_named_as_such(files: list[Path], tmp_path: Path) -> None:
    assert "Embedded synthetic sample" not in made(files)
    folder = tmp_path / "rs_gpt4v_sample_1" / "UCM"
    lines = [line(0, folder, task="caption", references=["A road."], prediction="A road.")]
    assert "Embedded synthetic sample" in made([written(tmp_path / "a/cap_ucm.jsonl", lines)])


@pytest.mark.parametrize("page", ["report.html", "report.md"])
def test_tables_of_the_sample_are_named_beside_others(
    files: list[Path], tmp_path: Path, page: str
) -> None:
    folder = tmp_path / "rs_gpt4v_sample_1" / "UCM"
    lines = [line(0, folder, task="caption", references=["A road."], prediction="A road.")]
    report([*files, written(tmp_path / "a/cap_ucm.jsonl", lines)], tmp_path / page)
    banner = next(
        text
        for text in (tmp_path / page).read_text("utf-8").replace("\\", "").splitlines()
        if "Embedded synthetic sample" in text
    )
    assert "Embedded synthetic sample (cap_ucm, test):" in banner


def test_no_predictions_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one predictions file"):
        report([], tmp_path / "report.html")


# --- Rules ---------------------------------------------------------------------------------------


def test_counts_and_normalising_are_those_asked_for(tmp_path: Path) -> None:
    pairs = [("5", "9"), ("5", "five"), ("5", "5"), ("5", "5.")]
    lines = [
        line(i, tmp_path, source="rsvqa_lr", task="vqa", question_type="count", prediction=said)
        | {"references": [true]}
        for i, (true, said) in enumerate(pairs)
    ]
    file = written(tmp_path / "a/vqa_lr.jsonl", lines)
    for rules, marks, blind in (
        (Rules(), "1111", "between 0 and 10"),
        (Rules(counts="exact"), "0111", "5"),
        (Rules(counts="exact", normalise="strict"), "0010", "5"),
    ):
        page = made([file], rules=rules)
        (group,) = packed(page)["groups"]
        ids = [packed(page)["texts"][number] for number in group["id"]]
        assert (
            "".join(mark for _, mark in sorted(zip(ids, group["right"][0], strict=True))) == marks
        )
        accuracy = score(file, rules)["scores"]["oa"]
        assert accuracy == marks.count("1") / 4
        assert rows(sections(page)["vqa_lr"])["Count"] == [
            "4",
            "100.0 %",
            f"{100 * accuracy:.1f} %" + f" {WORSE}" * (accuracy < 1),
        ]
        assert f"“{blind}” (count)" in page
        assert ("by the ranges of the RSVQA authors" in page) == (rules.counts == "source")
        assert ("Answers are compared as they are written" in page) == (rules.normalise == "strict")
        assert rows(sections(page)["vqa_lr"], "confusion")["true"] == ["predicted"]
    # Of "five" and "5." nothing is a number in its own words.
    assert rows(sections(page)["vqa_lr"], "confusion")["1–10"] == ["2", "2"]  # noqa: RUF001


def test_an_overlap_of_just_half_is_wrong_where_more_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [([40.0, 20, 120, 60], "[0.1, 0.1, 0.2, 0.3]"), ([0.0, 0, 40, 40], "[0, 0, 0.1, 0.2]")]
    file = grounding(tmp_path / "a/grounding.jsonl", said)
    monkeypatch.setitem(paper.TABLES, "rs_grounding", (paper.TABLE_2._replace(rows=2),))
    for strict, marks, share, compared in (
        (False, ["1", "1"], "100.0 %", ["62.14"]),
        (True, ["0", "1"], "50.0 %", []),
    ):
        page = made([file], rules=Rules(strict_iou=strict))
        (group,) = packed(page)["groups"]
        assert [
            mark for _, mark in sorted(zip(group["values"][0], group["right"][0], strict=True))
        ] == marks
        assert rows(sections(page)["grounding"])["Pr@0.5"] == ["", share]
        beside = rows(sections(page)["grounding"], "scores paper")["MoE-LoRA"]
        assert beside == ["37.86", *(f"+{one}" for one in compared)]
        assert ("an IoU above t" in page) == strict
        assert ("not compared: another rule" in re.sub("<br>", " ", page)) == strict


def test_the_verbs_report_and_score_agree_under_the_same_flags(
    files: list[Path], tmp_path: Path
) -> None:
    flags = ["--counts", "bucket", "--normalise", "strict", "--strict-iou"]
    boxes = [([40.0, 20, 120, 60], "[0.1, 0.1, 0.2, 0.3]"), ([0.0, 0, 40, 40], "[0, 0, 0.1, 0.2]")]
    asked = [str(files[2]), str(grounding(tmp_path / "after/grounding.jsonl", boxes))]
    scores = json.loads(CliRunner().invoke(app, ["score", *asked, *flags, "--json"]).stdout)
    out = tmp_path / "report.md"
    assert CliRunner().invoke(app, ["report", *asked, *flags, "--out", str(out)]).exit_code == 0
    text = re.sub(r"\\(.)", r"\1", out.read_text()).replace("\u00a0", " ")
    assert scores[0]["rule"] == {"counts": "bucket", "areas": "bucket", "normalise": "strict"}
    assert f"| {100 * scores[0]['scores']['oa']:.1f} % |" in text
    assert f"| Pr@0.5 |  | {100 * scores[1]['scores']['pr_50']:.1f} % |" in text
    assert [one["scores"]["pr_50"] for one in scores[1:]] == [0.5]
    for one in scores:
        assert one["signature"] in text
    assert "another rule" in text


# --- The paper -----------------------------------------------------------------------------------


def test_all_of_table_3_is_the_mean_over_both_kinds_of_rows() -> None:
    *parts, whole = paper.TABLE_3
    assert [table.key for table in paper.TABLE_3] == ["conversation", "detail", "all"]
    assert [part.rows for part in parts] == [3_987, 613]
    assert whole.rows == 4_600
    assert len(whole.values) == 6
    for method, value in whole.values.items():
        mean = sum(part.rows * part.values[method] for part in parts) / 4_600
        assert mean == pytest.approx(value, abs=1e-3)


def grounding_score(**changes: Any) -> Any:
    dataset = {
        "config": "grounding",
        "split": "test",
        "protocol": "paper",
        "rows": 18_677,
        "fingerprint": "f",
    }
    whole = {
        "dataset": dataset,
        "metric": "rs_grounding",
        "n": 18_677,
        "missing": 0,
        "scores": {"pr_50": 0.4},
        "rule": {"box_format": "llava", "strict": False},
    }
    return (
        whole
        | {key: value for key, value in changes.items() if key in whole}
        | {"dataset": dataset | {key: value for key, value in changes.items() if key in dataset}}
    )


@pytest.mark.parametrize(
    ("changes", "is_sample", "reason"),
    [
        ({}, False, ""),
        ({}, True, "sample data"),
        ({"split": "train"}, False, "another split (train)"),
        ({"protocol": "release"}, False, "another protocol (release)"),
        ({"n": 18_000, "missing": 677}, False, "18,000 of 18,677 rows"),
        ({"n": 7_500, "rows": 7_500}, False, "7,500 of 18,677 rows"),
        ({"missing": 1_000, "rows": 19_677}, False, "1,000 rows missing"),
        ({"scores": {"pr_60": 0.4}}, False, "another measure"),
        ({"rule": {"strict": True}}, False, "another rule (an IoU above 0.5)"),
    ],
)
def test_a_score_compares_with_the_paper_where_all_is_the_same(
    changes: dict[str, Any], is_sample: bool, reason: str
) -> None:
    (found,) = paper.beside([grounding_score(**changes)], is_sample=is_sample)
    assert found.reasons == [reason]
    assert found.ours == [40.0] or reason == "another measure"


def test_what_the_paper_draws_only_has_no_numbers() -> None:
    assert paper.beside([grounding_score(config="vqa_lr")], is_sample=False) == []
    assert paper.beside([grounding_score(metric="rs_vqa")], is_sample=False) == []
    assert "Figure 5 only" in paper.figure_note(grounding_score(config="vqa_lr"))
    assert "Figure 4 only" in paper.figure_note(grounding_score(config="cap_ucm"))
    assert paper.figure_note(grounding_score(config="vqa_rsivqa")) == ""


def test_table_2_stands_beside_with_differences_or_the_reason(
    boxes: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = rows(sections(made(boxes[1:]))["grounding"], "scores paper")
    assert table["Method"] == ["paper", "middle", "after"]
    assert table["Qwen-vl-Chat"] == ["25.05", "not compared: 4 of 18,677 rows"]
    assert table["MoE-LoRA"] == ["37.86"]
    assert table["This report"] == ["", "25.00", "50.00"]

    monkeypatch.setitem(paper.TABLES, "rs_grounding", (paper.TABLE_2._replace(rows=4),))
    table = rows(sections(made(boxes[1:]))["grounding"], "scores paper")
    assert table["Method"] == ["paper", "middle, difference", "after, difference"]
    assert table["MoE-LoRA"] == ["37.86", "\N{MINUS SIGN}12.86", "+12.14"]


# --- Charts --------------------------------------------------------------------------------------


def test_loss_curve(files: list[Path], training_log: Path) -> None:
    training = sections(made(files, training_log=training_log))["Training"]
    # Steps 1, 2, 4 of 4; losses 4, 2, 1 on an axis to 4, from the top; 2 on other rows at the end.
    assert 'points="25.0,0.0 50.0,50.0 100.0,75.0 "' in training
    assert 'points="100.0,50.0 "' in training
    facts = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", training)
    assert facts == [
        ("Steps", "4"),
        ("Runtime", "1 min 15 s"),
        ("First loss", "4.000"),
        ("Final loss", "1.000"),
        ("Highest learning rate", "0.001"),
    ]


@pytest.mark.parametrize("content", ["no json", "[]", "{}", '{"log_history": []}'])
def test_other_files_are_no_training_log(files: list[Path], tmp_path: Path, content: str) -> None:
    log = tmp_path / "log.json"
    log.write_text(content)
    with pytest.raises(ValueError, match=r"log\.json (is not a trainer_state|logs no loss)"):
        made(files, training_log=log)


def test_counts_are_confused_by_their_ranges(tmp_path: Path) -> None:
    pairs = [("0", "0"), ("7", "0"), ("7", "ten"), ("7", "many"), ("50", "2000")]
    lines = [
        line(i, tmp_path, task="vqa", question_type="count", references=[true], prediction=said)
        for i, (true, said) in enumerate(pairs)
    ]
    table = rows(
        sections(made([written(tmp_path / "a/vqa_hr.jsonl", lines)]))["vqa_hr"], "confusion"
    )
    assert table == {
        "true": ["predicted"],
        "": ["0", "1–10", "11–100", "&gt; 1,000", "no number"],  # noqa: RUF001
        "0": ["1", "0", "0", "0", "0"],
        "1–10": ["1", "1", "0", "0", "1"],  # noqa: RUF001
        "11–100": ["0", "0", "0", "1", "0"],  # noqa: RUF001
    }


def test_histogram_has_overlaps_and_thresholds(boxes: list[Path]) -> None:
    page = sections(made(boxes[2:]))["grounding"]
    bars = re.findall(r'height="([\d.]+)%"><title>(.*?)</title>', page)
    assert len(bars) == 20
    assert [text for height, text in bars if float(height)] == [
        "IoU 0.30–0.35: 1",  # noqa: RUF001
        "IoU 0.50–0.55: 1",  # noqa: RUF001
        "IoU 0.95–1.00: 1",  # noqa: RUF001
    ]
    assert "Not drawn: 1 rows" in page
    assert re.findall(r'class="threshold" x1="(.*?)%"', page) == [
        f"{t}.0" for t in range(50, 100, 10)
    ]


def test_cider_is_drawn_over_the_length(tmp_path: Path) -> None:
    texts = ["A road.", "Two planes near it.", "A jet by the long runway."]
    lines = [
        line(i, tmp_path, task="caption", references=[text], prediction=text)
        for i, text in enumerate(texts)
    ]
    section = sections(made([written(tmp_path / "a/cap_ucm.jsonl", lines)]))["cap_ucm"]
    marks = re.findall(r"<title>words (.*?): CIDEr (.*?)</title>", section)
    assert [words for words, _ in marks] == ["2", "4", "6"]
    whole = score(tmp_path / "a/cap_ucm.jsonl")["scores"]["cider"]
    assert math.fsum(float(value) for _, value in marks) / 3 == pytest.approx(whole, abs=1e-3)


def test_empty_captions_have_no_lengths_to_draw(tmp_path: Path) -> None:
    assert "<polyline" not in made([captions(tmp_path / "a/cap_ucm.jsonl", ["", ""])])


# --- Rows to browse ------------------------------------------------------------------------------


def test_rows_have_the_marks_of_each_column(files: list[Path]) -> None:
    data = packed(made(files))
    group = data["groups"][0]
    ids = [data["texts"][number] for number in group["id"]]
    marks = {row: (old, new) for row, old, new in zip(ids, *group["right"], strict=True)}
    expected = [("0", "1"), ("1", "1"), ("0", "1"), ("0", "1"), ("0", "1"), ("1", "0"), ("0", "1")]
    assert marks == {f"x/test/{i}": pair for i, pair in enumerate(expected)}
    assert data["groups"][1]["right"] == ["--", "--"]
    assert len(data["texts"]) == len(set(data["texts"]))


def test_boxes_are_in_pixels_and_failures_have_reasons(boxes: list[Path]) -> None:
    data = packed(made(boxes[2:]))
    group = data["groups"][0]
    places = [data["texts"][number] for number in group["prompt"]]
    found = dict(zip(places, group["boxes"][0], strict=True))
    assert found["Find 1."] == [[80, 20, 160, 60]]
    assert "no number" in found["Find 2."]
    assert group["truth"][places.index("Find 3.")] == [BOXES[3]]
    assert set(map(tuple, group["size"])) == {(400, 200)}


def test_an_overlap_of_just_half_is_right(tmp_path: Path) -> None:
    rows = [([40.0, 20, 120, 60], "[0.1, 0.1, 0.2, 0.3]"), ([0.0, 0, 40, 40], "[0, 0, 0.04, 0.2]")]
    page = made([grounding(tmp_path / "a/grounding.jsonl", rows)])
    group = packed(page)["groups"][0]
    assert sorted(zip(group["values"][0], group["right"][0], strict=True)) == [
        (0.4, "0"),
        (0.5, "1"),
    ]


def test_pictured_rows_are_of_all_types_right_and_wrong(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "any.png")
    lines = [
        line(i, tmp_path, task="vqa", references=["no" if i == 99 else "yes"], prediction=said)
        | {"question_type": "comp" if i in (8, 99) else "presence"}
        for i, said in enumerate(["wrong"] * 90 + ["yes"] * 9 + ["no"])
    ]
    for each in lines:
        Path(each["image"]).hardlink_to(tmp_path / "any.png")
    data = packed(made([written(tmp_path / "a/vqa_hr.jsonl", lines)], pictures=12))
    group = data["groups"][0]
    kinds = [data["texts"][number] for number in group["kind"]]
    pictured = [number is not None for number in group["picture"]]
    assert pictured == [True] * 12 + [False] * 88
    assert kinds[:12].count("Comparison") == 2
    assert group["right"][0][:12].count("1") == 6


def test_what_has_a_picture_comes_first(tmp_path: Path) -> None:
    file = vqa(tmp_path / "a/vqa_hr.jsonl", AFTER)

    def names() -> list[str]:
        data = packed(made([file]))
        return [data["texts"][number] for number in data["groups"][0]["image"]]

    *others, last = names()
    Image.new("RGB", (9, 9)).save(tmp_path / last)
    assert names() == [last, *others]


def test_texts_are_cut_where_there_are_too_many(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "_ALL_TEXT", 100)
    page = made(files)
    group = packed(page)["groups"][0]
    assert 0 < len(group["id"]) < 7
    assert re.search(rf"The texts of \d of {len(QUESTIONS) + len(CAPTIONS)} rows are here", page)


def test_endless_replies_are_cut(files: list[Path]) -> None:
    page = made([vqa(files[0], ["x" * 100_000, *BEFORE[1:]])])
    assert max(map(len, packed(page)["texts"])) == 4_002


# --- The page ------------------------------------------------------------------------------------


def test_texts_are_escaped_and_images_optional(files: list[Path]) -> None:
    vqa(files[2], ["</script><script>alert(1)</script>", *AFTER[1:]])
    page = made(files, title="a < b")
    assert page.count("<script") == page.count("</script>") == 2  # the rows and their browser
    assert "<script>alert" not in page
    assert "<h1>a &lt; b</h1>" in page
    data = packed(page)
    assert "</script><script>alert(1)</script>" in data["texts"]
    assert len(data["pictures"]) == 1  # 0.png; 1.png is damaged, the others are absent
    for group in data["groups"]:
        names = [data["texts"][number] for number in group["image"]]
        assert dict(zip(names, group["picture"], strict=True))["0.png"] == 0
        assert group["picture"].count(None) == len(names) - 1
    assert str(files[0].parents[1]) not in data["texts"]


def test_page_needs_nothing_else_and_is_made_alike(files: list[Path], training_log: Path) -> None:
    page = made(files, training_log=training_log)
    sources = re.findall(r'(?:src|href)="(.*?)"', page) + re.findall(r"url\((.*?)\)", page)
    assert {source.split(":")[0] for source in sources if source[0] != "#"} == {"data"}
    assert "@import" not in page
    assert page == made(files, training_log=training_log)


def test_page_allows_its_own_script_alone(files: list[Path]) -> None:
    page = made(files)
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[0]
    allowed = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src"
    assert f"content=\"{policy} 'sha256-{allowed}'\"" in page


# --- Markdown and the model card -----------------------------------------------------------------


def test_markdown_has_the_same_tables(
    files: list[Path], boxes: list[Path], training_log: Path
) -> None:
    text = made([*files, *boxes[1:]], "report.md", training_log=training_log, title="a | b <i>")
    assert text.startswith("# a \\| b \\<i\\>\n")
    assert "* Final loss: 1.000\n" in text
    assert "|  | n | most frequent answer | before | after | difference in points |\n" in text
    count = f"| Count | 4 | 75.0 % | 25.0 %, {WORSE} | 100.0 % | +75.0 |"
    assert count in text.replace("\u00a0", " ")
    assert "| MoE-LoRA | 37.86 | 4 of 18,677 rows | 4 of 18,677 rows |" in text
    assert "| This report |  | 25.00 | 50.00 |" in text
    assert "* Empty replies: 2, 0\n" in text
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    for table in tables:
        assert len({re.sub(r"\\\|", "", row).count("|") for row in table.splitlines()}) == 1
    assert len(tables) == 7  # scores and facts of three groups, and the paper's


def test_markdown_escapes_what_files_say(files: list[Path]) -> None:
    other = vqa(files[0].parents[1] / "a|<b>*/vqa_hr.jsonl", AFTER)
    assert "| a\\|\\<b\\>\\* |" in made([other], "report.md")


def test_model_card_is_read_back_by_the_hub(
    files: list[Path], boxes: list[Path], tmp_path: Path
) -> None:
    card = tmp_path / "README.md"
    made([*files, *boxes[2:]], card=card)
    data = ModelCard(card.read_text()).data
    assert isinstance(data, ModelCardData)
    assert data.model_name == "model"
    results = data.eval_results
    assert isinstance(results, list)
    expected = {
        ("visual-question-answering", "vqa_hr"): ["accuracy"] * 8,  # both columns are of one model
        ("image-to-text", "cap_ucm"): ["bleu"] * 8 + ["meteor", "rouge", "cider"] * 2,
        ("image-text-to-text", "grounding"): ["accuracy"] * 9 + ["mean_iou", "cumulative_iou"],
    }
    for (task, config), metrics in expected.items():
        found = [r for r in results if (r.task_type, r.dataset_config) == (task, config)]
        assert sorted(r.metric_type for r in found) == sorted(metrics)
    first = results[0]
    assert (first.dataset_type, first.dataset_split, first.dataset_revision) == (
        "rs_gpt4v",
        "test",
        "f1",
    )
    assert first.dataset_args == {"protocol": "paper", "rows": 7}
    assert first.metric_args == {"signature": score(files[0])["signature"]}
    assert all(r.verified is False for r in results)
    again = ModelCardData(**yaml.safe_load(card.read_text().split("---")[1]))
    assert again.to_dict() == data.to_dict()


def test_the_hub_is_told_which_score_it_is(tmp_path: Path) -> None:
    """F1, recall and a rate of yes are no accuracies."""
    rows = [row(n, "probe") for n in range(4)]
    made([write(tmp_path / "a/p.jsonl", rows)], card=tmp_path / "card.md")
    data: Any = ModelCard((tmp_path / "card.md").read_text()).data
    kinds = {result.metric_name: result.metric_type for result in data.eval_results}
    assert set(kinds.values()) == {"accuracy", "precision", "recall", "f1", "yes_rate"} | {
        "yes_rate_random"
    }


def test_model_card_is_about_the_last_model(files: list[Path], tmp_path: Path) -> None:
    lines = [
        json.loads(text) | {"adapter": "out/my-lora"} for text in files[2].read_text().splitlines()
    ]
    card = tmp_path / "card.md"
    made([files[0], written(files[2], lines)], card=card)
    data = ModelCard(card.read_text()).data.to_dict()
    (index,) = data["model-index"]
    assert index["name"] == "my-lora"
    assert (data["base_model"], data["library_name"]) == ("some/model", "peft")
    values = [(m["name"], m["value"]) for r in index["results"] for m in r["metrics"]]
    assert len(values) == 4
    assert dict(values)["All questions (OA)"] == pytest.approx(6 / 7, abs=1e-6)
