"""Two predictions files side by side: the same rows or a refusal, and what differs."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("evaluate")

from prediction_lines import row, write
from typer.testing import CliRunner

from rs_gpt4v.cli import app
from rs_gpt4v_evaluation.predict.predictions import PredictionFileError
from rs_gpt4v_evaluation.score import Rules
from rs_gpt4v_evaluation.score.comparison import Comparison, comparisons
from rs_gpt4v_evaluation.score.tables import comparison_lines

N = 40


def compare(*arguments: Any, **options: Any) -> Comparison:
    (comparison,) = comparisons(*arguments, **options)
    return comparison


def lines(task: str = "vqa", **changes: Any) -> list[dict[str, Any]]:
    """Forty rows about twenty images, every reply true."""
    truth = {"vqa": "yes", "caption": "two planes are here", "grounding": "[100, 100, 300, 300]"}
    box = {"label": "ship", "points": [80.0, 60.0, 240.0, 180.0], "kind": "hbb"}
    made = []
    for i in range(N):
        counts = task == "vqa" and i % 2
        own = {
            "question_type": ("count" if counts else "presence") if task == "vqa" else None,
            "image": f"{i // 2}.png",
            "references": [str(i) if counts else truth[task]],
            "boxes": [box] if task == "grounding" else [],
            "width": 800,
            "height": 600,
        }
        made.append(row(i, task, **(own | changes)))
    return made


def files(folder: Path, *contents: list[dict[str, Any]]) -> list[Path]:
    return [
        write(folder / f"{number}.jsonl", rows, box_format="norm1000", rows=N)
        for number, rows in enumerate(contents)
    ]


def test_differences_and_the_rows_that_differ(tmp_path: Path) -> None:
    ours, theirs = lines(), lines(weights="v")
    for i in range(0, 20, 2):
        ours[i]["prediction"] = "no"
    theirs[30]["prediction"] = "no"
    found = compare(*files(tmp_path, ours, theirs[::-1]))
    presence = found["differences"]["accuracy_presence"]
    assert (presence["first"], presence["second"]) == (0.5, 0.95)
    assert presence["difference"] == pytest.approx(0.45)
    assert (presence["only_first"], presence["only_second"]) == (1, 10)
    assert 0 < presence["low"] < 0.45 < presence["high"] < 0.8
    assert presence["p"] < 0.05
    assert found["differences"]["oa"]["only_second"] == 10
    assert found["differences"]["accuracy_count"]["p"] == 1
    assert found["differences"]["aa"]["only_first"] is None
    assert (found["n"], found["images"]) == (N, 20)
    assert found["signature"].endswith("|clusters:images|n:40|images:20|resamples:1000|seed:0")


def test_the_rule_reaches_the_scores(tmp_path: Path) -> None:
    theirs = lines()
    theirs[13]["prediction"] = "14"
    pair = files(tmp_path, lines(), theirs)
    assert compare(*pair)["differences"]["oa"]["difference"] == 0
    exact = compare(*pair, Rules(counts="exact"))["differences"]["oa"]
    assert (exact["only_first"], exact["only_second"]) == (1, 0)


def test_boxes_of_two_codecs_compare(tmp_path: Path) -> None:
    """The rows are the same where the boxes are, however a model writes them."""
    (ours,) = files(tmp_path, lines("grounding"))
    changes = {"references": ["[0.1, 0.1, 0.3, 0.3]"], "prediction": "[0.1, 0.1, 0.2, 0.3]"}
    theirs = write(tmp_path / "theirs.jsonl", lines("grounding", **changes), fingerprint="g")
    found = compare(ours, theirs)["differences"]
    assert found["pr_50"]["difference"] == 0  # an IoU of just 0.5
    assert found["pr_60"]["difference"] == -1
    assert found["pr_60"]["only_first"] == N
    assert found["mean_iou"]["difference"] == pytest.approx(-0.5)


def test_captions_compare(tmp_path: Path) -> None:
    theirs = lines("caption", prediction="one plane is here")
    found = compare(*files(tmp_path, lines("caption"), theirs), resamples=50)["differences"]
    assert found["bleu_1"]["difference"] < 0
    assert found["rouge_l"]["p"] == pytest.approx(1 / 51)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda rows: rows[:30],
            "1.jsonl lacks 10 of 40 rows of the other, such as rsvqa_lr/vqa/30",
        ),
        (
            lambda rows: [{**r, "references": ["no"]} for r in rows],
            "the references of rsvqa_lr/vqa/0 is",
        ),
        (lambda rows: [{**r, "id": r["id"] + "x"} for r in rows], "1.jsonl lacks 40 of 40 rows"),
        (
            lambda rows: [{**r, "task": "caption"} for r in rows],
            "the task of rsvqa_lr/vqa/0 is 'vqa' in",
        ),
    ],
    ids=["fewer", "truth", "ids", "task"],
)
def test_files_of_different_rows_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(PredictionFileError, match=f"hold different rows: .*{message}"):
        compare(*files(tmp_path, lines(), change(lines())))


def test_a_shorter_first_file_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(PredictionFileError, match=r"0\.jsonl lacks 1 of 40 rows"):
        compare(*files(tmp_path, lines()[1:], lines()))


def test_lines_for_the_terminal(tmp_path: Path) -> None:
    ours = lines()
    ours[0]["prediction"] = "no"
    one, other = files(tmp_path, ours, lines())
    told = [*comparison_lines(compare(one, other, resamples=100))]
    assert told[0] == f"{other} minus {one}"
    assert any("oa" in line and "+0.0250" in line and "only: 0 / 1" in line for line in told)


def test_the_command_line(tmp_path: Path) -> None:
    ours = lines()
    ours[1]["prediction"] = "9"
    one, other = map(str, files(tmp_path, ours, lines()))
    common = ["score", other, one, "--counts", "exact", "--resamples", "50"]
    told = CliRunner().invoke(app, [*common, "--intervals", "--against", one, "--json"])
    first, second = json.loads(told.output)
    assert first["against"]["differences"]["oa"]["only_second"] == 1
    assert second["against"]["differences"]["oa"]["p"] == 1
    assert second["intervals"]["oa"][0] < second["scores"]["oa"] == 39 / 40
    assert first["against"]["files"] == [one, other]
    plain = CliRunner().invoke(app, [*common, "--intervals", "--against", one]).output
    assert f"{other} minus {one}" in plain
    assert "oa                       0.9750  [0." in plain
    bare = CliRunner().invoke(app, ["score", one, "--json"])
    assert "against" not in json.loads(bare.output)[0]
