"""What a report opens with: right and wrong replies of each task; and scores below guessing."""

import re
from pathlib import Path

import pytest
from PIL import Image
from prediction_lines import row, write
from report_files import (
    AFTER,
    BEFORE,
    captions,
    dialogues,
    grounding,
    judged,
    line,
    made,
    vqa,
    written,
)
from report_files import score_of as judge_reply

from rs_gpt4v_evaluation.report.groups import read_groups
from rs_gpt4v_evaluation.report.right_and_wrong import Example, right_and_wrong
from rs_gpt4v_evaluation.score.most_frequent import CONSTANT_GUESS

BOX = [40.0, 20, 120, 60]
RIGHT, WRONG = "[0.1, 0.1, 0.3, 0.3]", "[0.6, 0.1, 0.9, 0.3]"


def opening(*files: Path) -> dict[str, list[Example]]:
    return {task: shown for task, _, shown in right_and_wrong(read_groups(files))}


def verdicts(examples: list[Example]) -> list[str]:
    return [example.verdict for example in examples]


def test_each_task_has_two_right_and_two_wrong_replies(tmp_path: Path) -> None:
    Image.new("RGB", (400, 200), "gray").save(tmp_path / "0.png")
    replies = [*AFTER[:2], "9", "9", "no", "no", "maybe"]
    shown = opening(
        vqa(tmp_path / "a/vqa_hr.jsonl", replies),
        vqa(tmp_path / "a/vqa_lr.jsonl", replies),
        grounding(tmp_path / "a/grounding.jsonl", [(BOX, RIGHT), (BOX, WRONG)] * 3),
    )
    assert list(shown) == ["Visual question answering", "Visual grounding"]
    questions = shown["Visual question answering"]
    assert verdicts(questions) == ["right", "right", "wrong", "wrong"]
    assert {e.row.kind for e in questions[:2]} == {e.row.kind for e in questions[2:]}
    assert {e.about.split(",")[0] for e in questions[:2]} == {"vqa_hr", "vqa_lr"}
    assert len({e.row.id for e in shown["Visual grounding"]}) == 4
    assert [e.value for e in shown["Visual grounding"]] == ["IoU 1.00"] * 2 + ["IoU 0.00"] * 2
    # The one image that can be read is among them; a first row without one gives way to it.
    assert sum(bool(e.picture) for e in questions) >= 1


def test_examples_are_of_the_last_column_and_always_the_same(tmp_path: Path) -> None:
    files = [vqa(tmp_path / f"{name}/vqa_hr.jsonl", AFTER) for name in "ab"]
    (first,), (second,) = opening(*files).values(), opening(*files).values()
    assert first == second
    assert {example.label for example in first} == {"b"}
    shuffled = tmp_path / "c/vqa_hr.jsonl"
    shuffled.parent.mkdir()
    shuffled.write_bytes(b"".join(reversed(files[0].read_bytes().splitlines(keepends=True))))
    (third,) = opening(shuffled).values()
    assert [example.row.id for example in third] == [example.row.id for example in first]


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, ["best"]),
        (2, ["best", "worst"]),
        (3, ["best", "best", "worst"]),
        (6, ["best", "best", "worst", "worst"]),
    ],
)
def test_captions_are_the_best_and_the_worst_by_their_own_cider(
    tmp_path: Path, n: int, expected: list[str]
) -> None:
    truths = [
        f"A {word} ship lies in the harbour."
        for word in ["red", "blue", "old", "new", "big", "small"]
    ]
    lines = [
        line(
            i,
            tmp_path,
            task="caption",
            references=[truth],
            prediction=truth if i % 2 else truth[: 9 + i],
        )
        for i, truth in enumerate(truths[:n])
    ]
    (shown,) = opening(written(tmp_path / "a/cap_ucm.jsonl", lines)).values()
    assert verdicts(shown) == expected
    values = [example.row.value or 0.0 for example in shown]
    assert values == sorted(values, reverse=True)
    assert shown[0].value == f"CIDEr {values[0]:.2f}"
    page = made([tmp_path / "a/cap_ucm.jsonl"])
    assert "the highest and the lowest CIDEr of their own" in page


def test_what_a_judge_scored_is_graded_too(tmp_path: Path) -> None:
    scores = {
        "Two ships.": 3,
        "At the pier.": "none",
        "No.": 7,
        "A pier with two ships <i>in</i> it.": 9,
    }
    file = judged(dialogues(tmp_path / "a"), lambda body: judge_reply(body, scores))
    shown = opening(file)
    assert [(e.verdict, e.value) for e in shown["Conversation"]] == [
        ("best", "Score 7.00"),
        ("worst", "Score 3.00"),
    ]
    assert verdicts(shown["Detailed description"]) == ["best"]


def test_a_task_that_is_all_right_or_all_wrong_says_so(tmp_path: Path) -> None:
    page = made([grounding(tmp_path / "a/grounding.jsonl", [(BOX, RIGHT)] * 3)])
    assert "No reply is wrong." in page
    assert "No reply is right." not in page
    page = made([grounding(tmp_path / "a/grounding.jsonl", [(BOX, "nowhere")] * 3)])
    assert "No reply is right." in page
    assert page.count("no number") >= 2  # why there is no box to draw


def test_a_page_without_pictures_opens_with_its_scores(tmp_path: Path) -> None:
    page = made([vqa(tmp_path / "a/vqa_hr.jsonl", AFTER)], pictures=0)
    assert re.findall("<h2>(.*?)</h2>", page)[0] == "Scores"


# --- Worse than guessing -------------------------------------------------------------------------


def guessed(file: Path) -> Path:
    """The same file as one of a constant guess."""
    text = file.read_text().replace('"some/model"', f'"{CONSTANT_GUESS}"')
    file.write_text(text)
    return file


def worse(page: str) -> list[str]:
    """The rows of all tables with a score that is called worse than guessing."""
    rows = re.findall(r"<tr.*?</tr>", page, re.DOTALL)
    return [
        re.findall(r'<th scope="row">(.*?)</th>', row)[0] for row in rows if "worse than" in row
    ]


def test_scores_below_the_most_frequent_answer_are_called_worse(tmp_path: Path) -> None:
    replies = ["3", "3", "9", "8", "yes", "yes", "yes"]  # counts as well as guessing
    page = made([vqa(tmp_path / "a/vqa_hr.jsonl", replies)])
    assert worse(page) == ["Presence", "Mean over types (AA)", "All questions (OA)"]
    assert "lower than the most frequent answer, without a look at the image" in page
    (figures,) = re.findall(r'<dl class="figures">.*?</dl>', page, re.DOTALL)
    assert "a, worse than guessing" in figures


def test_as_good_as_guessing_is_not_worse(tmp_path: Path) -> None:
    page = made([vqa(tmp_path / "a/vqa_hr.jsonl", ["3"] * 4 + ["no"] * 3)])
    assert worse(page) == []
    assert "than guessing" not in page.replace(page[: page.index("</style>")], "")


def test_a_constant_guess_is_a_baseline_for_captions_and_boxes(tmp_path: Path) -> None:
    files = [
        guessed(captions(tmp_path / "guess/cap_ucm.jsonl", ["A road by a river."] * 2)),
        captions(tmp_path / "a/cap_ucm.jsonl", ["", "planes"]),
        guessed(grounding(tmp_path / "guess/grounding.jsonl", [(BOX, RIGHT)] * 2)),
        grounding(tmp_path / "a/grounding.jsonl", [(BOX, RIGHT), (BOX, WRONG)]),
    ]
    page = made(files)
    assert {"CIDEr", "Pr@0.5", "Mean IoU"} <= set(worse(page))
    assert "lower than guess, without" in page
    # Without the baseline nothing is known, and nothing said.
    assert worse(made(files[1::2])) == []


def test_markdown_says_worse_than_guessing_too(tmp_path: Path) -> None:
    text = made([vqa(tmp_path / "a/vqa_hr.jsonl", BEFORE)], "report.md")
    assert text.count(", worse than guessing |") == 4
    assert "Worse than guessing: lower than the most frequent answer" in text


def test_a_guess_is_not_worse_than_itself(tmp_path: Path) -> None:
    file = guessed(vqa(tmp_path / "guess/vqa_hr.jsonl", ["8"] * 4 + ["yes"] * 3))
    assert worse(made([file])) == []


def test_all_boxes_of_a_reply_are_drawn(tmp_path: Path) -> None:
    rows = [row(i, "detection") for i in range(4)]
    rows[1]["prediction"] = "[0.1, 0.1, 0.5, 0.5]"
    rows[2] |= {"boxes": [], "references": ["There are none."], "prediction": "There are none."}
    for own in rows:
        path = tmp_path / own["image"]
        Image.new("RGB", (100, 100)).save(path)
        own["image"] = str(path)
    (task,) = right_and_wrong(read_groups([write(tmp_path / "a/p.jsonl", rows)]))
    found = {e.row.id: (e.verdict, len(e.truth), len(e.found)) for e in task.examples}
    assert found[rows[1]["id"]] == ("wrong", 2, 1)
    right = [one for one in found.values() if one[0] == "right"]
    assert set(right) <= {("right", 2, 2), ("right", 0, 0)}
    assert len(right) == 2
