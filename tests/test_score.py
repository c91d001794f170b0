"""From predictions on disk to scores, with the rule that the source asks for."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("evaluate")

from rs_gpt4v_evaluation.predictions import PredictionFileError
from rs_gpt4v_evaluation.score import score


def write(path: Path, source: str, answers: list[tuple[str, str, str]], rows: int) -> Path:
    """A predictions file of (question type, prediction, reference)."""
    lines = []
    for i, (kind, prediction, reference) in enumerate(answers):
        line: dict[str, Any] = {
            "id": f"{source}/test/{i}",
            "source": source,
            "task": "vqa" if kind else "caption",
            "question_type": kind or None,
            "image": None,
            "prompt": "How many?",
            "prediction": prediction,
            "references": [reference],
            "model": "m",
            "adapter": None,
            "weights": "w",
            "decoding": {"do_sample": False, "max_new_tokens": 8},
            "dataset": {
                "config": "c",
                "split": "test",
                "protocol": "paper",
                "rows": rows,
                "fingerprint": "f",
            },
        }
        lines.append(json.dumps(line) + "\n")
    path.write_text("".join(lines))
    return path


@pytest.mark.parametrize(("source", "right"), [("rsvqa_lr", 1.0), ("rsvqa_hr", 0.0)])
def test_counts_are_ranges_in_lr_and_exact_in_hr(tmp_path: Path, source: str, right: float) -> None:
    found = score(write(tmp_path / "p.jsonl", source, [("count", "12", "17")], rows=1))
    assert found["scores"]["accuracy_count"] == right


def test_aa_and_oa(tmp_path: Path) -> None:
    answers = [
        ("presence", "yes", "yes"),
        ("presence", "Yes.", "yes"),
        ("presence", "no", "yes"),
        ("area", "7m2", "9m2"),
        ("count", "", "0"),
    ]
    found = score(write(tmp_path / "p.jsonl", "rsvqa_hr", answers, rows=8))
    assert found["metric"] == "rs_vqa"
    assert (found["n"], found["missing"]) == (5, 3)
    assert found["scores"]["oa"] == 3 / 5
    assert found["scores"]["aa"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["scores"]["empty"] == 1


def test_captions(tmp_path: Path) -> None:
    same = ("", "Four planes are parked .", "Four planes are parked .")
    found = score(write(tmp_path / "p.jsonl", "rsicd", [same, same], rows=2))
    assert found["metric"] == "rs_caption"
    assert found["scores"]["bleu_4"] == pytest.approx(1.0)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").touch()
    with pytest.raises(PredictionFileError, match="holds no prediction"):
        score(tmp_path / "p.jsonl")


def test_a_file_of_two_models_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", "rsvqa_hr", [("count", "1", "1"), ("count", "1", "1")], 2)
    one, two = file.read_text().splitlines()
    file.write_text(one + "\n" + two.replace('"weights": "w"', '"weights": "v"') + "\n")
    with pytest.raises(PredictionFileError, match="differ in weights"):
        score(file)


def test_a_file_without_its_final_newline_is_whole(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", "rsvqa_hr", [("count", "1", "1"), ("count", "1", "1")], 2)
    file.write_text(file.read_text().rstrip("\n"))
    assert score(file)["missing"] == 0
