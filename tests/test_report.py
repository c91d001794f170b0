import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from rs_gpt4v_evaluation.report import report

# Always "3" (3 of 4 counts, exactly) and "no" (2 of 3): 5 of 7 = 71.4 %, mean 70.8 %.
QUESTIONS = [
    *(("count", answer) for answer in ("3", "3", "three", "8")),
    *(("presence", answer) for answer in ("no", "yes", "no")),
]
CAPTIONS = [["A road by a river.", "A road."], ["Two planes <script>alert(1)</script>", "A jet."]]


def line(row: int, folder: Path, **values: Any) -> dict[str, Any]:
    return {
        "id": f"x/test/{row}",
        "source": "rsvqa_hr",
        "question_type": None,
        "image": str(folder / f"{row}.png"),
        "prompt": "Describe the image.",
        "model": "some/model",
        "adapter": None,
        "weights": "w",
        "decoding": {"do_sample": False, "max_new_tokens": 16},
        **values,
    }


def written(path: Path, lines: list[dict[str, Any]], fingerprint: str = "f1") -> Path:
    dataset = {"config": path.stem, "split": "test", "protocol": "paper", "rows": len(lines)}
    dataset["fingerprint"] = fingerprint
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({**row, "dataset": dataset}) + "\n" for row in lines))
    return path


def vqa(path: Path, replies: list[str], **values: Any) -> Path:
    folder = path.parents[1]
    rows = enumerate(zip(QUESTIONS, replies, strict=True))
    lines = [
        line(i, folder, task="vqa", question_type=kind, references=[true], prediction=said)
        for i, ((kind, true), said) in rows
    ]
    return written(path, lines, **values)


def captions(path: Path, replies: list[str]) -> Path:
    rows = enumerate(zip(CAPTIONS, replies, strict=True))
    return written(
        path,
        [
            line(i, path.parents[1], task="caption", references=true, prediction=said)
            for i, (true, said) in rows
        ],
    )


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    Image.new("I;16", (600, 300)).save(tmp_path / "0.png")
    (tmp_path / "1.png").write_bytes(b"no image")
    return [
        vqa(tmp_path / "before/vqa_hr.jsonl", ["", "3", "x", "x", "", "yes", "yes"]),
        captions(tmp_path / "before/cap_ucm.jsonl", ["", "A jet."]),
        vqa(tmp_path / "after/vqa_hr.jsonl", ["3", "3", "3", "8", "no", "no", "no"]),
        captions(tmp_path / "after/cap_ucm.jsonl", ["A road by a river.", "A jet."]),
    ]


@pytest.fixture
def training_log(tmp_path: Path) -> Path:
    history = [{"step": s, "loss": 4.0 / s, "learning_rate": 1e-3} for s in (1, 2, 4)]
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps({"log_history": [*history, {"step": 4, "train_runtime": 75.0}]}))
    return path


def made(files: list[Path], **options: Any) -> str:
    out = files[0].parents[1] / "pages" / "report.html"
    report(files, out, **options)
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]
    return out.read_text(encoding="utf-8")


def sections(page: str) -> dict[str, str]:
    parts = re.findall(r"<section.*?</section>", page, re.DOTALL)
    return {re.findall(r"<h2>(.*?)</h2>", part)[0]: part for part in parts}


def rows(section: str) -> dict[str, list[str]]:
    """The cells of each row of the score table, by its name."""
    table = re.findall(r'<table class="scores">.*?</table>', section, re.DOTALL)[0]
    lines = re.findall(r"<tr.*?</tr>", table, re.DOTALL)
    texts = [
        [re.sub(r"<.*?>", " ", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", each)]
        for each in lines
    ]
    return {name.strip(): [" ".join(cell.split()) for cell in cells] for name, *cells in texts}


def test_files_of_one_config_share_a_table_with_their_difference(files: list[Path]) -> None:
    found = sections(made(files))
    assert list(found) == ["vqa_hr", "cap_ucm"]
    assert rows(found["vqa_hr"]) == {
        "Accuracy": ["n", "most frequent answer", "before", "after", "difference in points"],
        "Count": ["4", "75.0 %", "25.0 %", "100.0 %", "+75.0"],
        "Presence": ["3", "66.7 %", "33.3 %", "66.7 %", "+33.3"],
        "Mean over types (AA)": ["", "70.8 %", "29.2 %", "83.3 %", "+54.2"],
        "All questions (OA)": ["7", "71.4 %", "28.6 %", "85.7 %", "+57.1"],
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


def test_blind_baseline_answers_by_the_bucket_where_the_score_does(tmp_path: Path) -> None:
    lines = [
        line(i, tmp_path, source="rsvqa_lr", task="vqa", question_type="count", prediction="x")
        | {"references": [answer]}
        for i, answer in enumerate(["0", "0", "3", "4", "5"])  # "0" is most frequent, 1-10 is more
    ]
    page = made([written(tmp_path / "a/vqa_lr.jsonl", lines)])
    assert rows(sections(page)["vqa_lr"])["Count"] == ["5", "60.0 %", "0.0 %"]
    assert "“between 0 and 10” (count)" in page


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
    assert "not asked" in page  # in the cards of the rows that only the other column holds


def test_folders_of_one_name_are_told_apart(files: list[Path]) -> None:
    twin = vqa(files[0].parents[1] / "second/before/vqa_hr.jsonl", ["3"] * 7)
    labels = rows(sections(made([files[0], twin]))["vqa_hr"])["Accuracy"][2:4]
    assert labels == [str(files[0]), str(twin)]


def test_examples_mark_right_and_wrong_of_each_column(files: list[Path]) -> None:
    cards = re.findall(r'<article class="card(.*?)</article>', made(files), re.DOTALL)
    assert len(cards) == len(QUESTIONS) + len(CAPTIONS)
    assert [card.split('"')[0].strip() for card in cards].count("is-right") == 6
    wrong = next(card for card in cards if "is-wrong" in card)
    marks = re.findall(r'aria-label="(\w+)"', wrong)
    assert marks == ["right", "wrong"]  # "yes" before, "no" after


def test_examples_are_at_most_twelve_of_all_types_right_and_wrong(tmp_path: Path) -> None:
    answers = ["wrong"] * 90 + ["yes"] * 9 + ["no"]
    lines = [
        line(i, tmp_path, task="vqa", references=["no" if i == 99 else "yes"], prediction=said)
        | {"question_type": "comp" if i in (8, 99) else "presence"}
        for i, said in enumerate(answers)
    ]
    page = made([written(tmp_path / "a/vqa_hr.jsonl", lines)])
    assert re.findall(r"(?:All|Right|Wrong) \d+(?=</label>)", page) == [
        "All 12",
        "Right 6",
        "Wrong 6",
    ]
    assert re.findall(r'class="kind">(\w+)', page) == ["Comparison"] * 2 + ["Presence"] * 10


def test_texts_are_escaped_and_images_optional(files: list[Path]) -> None:
    page = made(files, title="a < b")
    assert "<script" not in page
    assert "Two planes &lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<h1>a &lt; b</h1>" in page
    assert page.count('src="data:image/jpeg;base64,') == 2  # 0.png, in both configs
    assert "No image to show: 1.png" in page  # damaged
    assert "No image to show: 2.png" in page  # absent


def test_page_needs_nothing_else_and_is_made_alike(files: list[Path], training_log: Path) -> None:
    page = made(files, training_log=training_log)
    sources = re.findall(r'(?:src|href)="(.*?)"', page) + re.findall(r"url\((.*?)\)", page)
    assert {source.split(":")[0] for source in sources if source[0] != "#"} == {"data"}
    assert "@import" not in page
    assert page == made(files, training_log=training_log)


def test_loss_curve(files: list[Path], training_log: Path) -> None:
    training = sections(made(files, training_log=training_log))["Training"]
    # Steps 1, 2, 4 of 4; losses 4, 2, 1 on an axis to 4, from the top.
    assert 'points="25.0,0.0 50.0,50.0 100.0,75.0 "' in training
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


def test_sample_is_named_as_such(files: list[Path], tmp_path: Path) -> None:
    assert "Embedded synthetic sample" not in made(files)
    folder = tmp_path / "rs_gpt4v_sample_1" / "UCM"
    lines = [line(0, folder, task="caption", references=["A road."], prediction="A road.")]
    assert "Embedded synthetic sample" in made([written(tmp_path / "a/cap_ucm.jsonl", lines)])


def test_no_predictions_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one predictions file"):
        report([], tmp_path / "report.html")
