"""From predictions on disk to scores, with the rule that the source asks for."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest
from conftest import SHARED, needs_shared

pytest.importorskip("evaluate")
pytest.importorskip("transformers")

import prediction_lines
from prediction_lines import row
from typer.testing import CliRunner

from rs_gpt4v import NAME
from rs_gpt4v.cli import app
from rs_gpt4v_evaluation.predict import Predictor, describe, predict
from rs_gpt4v_evaluation.predict.predictions import PredictionFileError, read_predictions
from rs_gpt4v_evaluation.rs_caption import meteor
from rs_gpt4v_evaluation.score import (
    Rules,
    images,
    score,
    scores_of,
)
from rs_gpt4v_evaluation.score.tables import lines


def score_alone(predictions: Any, file: str, *rest: Any) -> Any:
    (found,) = scores_of(predictions, file, *rest)
    return found


def write(path: Path, source: str, answers: list[tuple[str, str, str]], rows: int) -> Path:
    """A predictions file of (question type, prediction, reference)."""
    made = [
        row(
            i,
            "vqa" if kind else "caption",
            source=source,
            question_type=kind or None,
            image=None,
            prediction=prediction,
            references=[reference],
        )
        for i, (kind, prediction, reference) in enumerate(answers)
    ]
    return prediction_lines.write(path, made, rows=rows)


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


def test_meteor_is_left_out_aloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meteor, "find_spec", lambda _: None)
    file = write(tmp_path / "p.jsonl", "rsicd", [("", "a plane", "a plane")], rows=1)
    shown = CliRunner().invoke(app, ["score", str(file)]).output
    assert "METEOR is left out, as it needs pycocoevalcap, numba" in shown
    assert 'pip install "rs-gpt4v[meteor]"' in shown
    assert "|meteor:none|" in shown


def test_lines_share_what_they_repeat(tmp_path: Path) -> None:
    rows = [("count", "1", "1"), ("count", "2", "2"), ("presence", "1", "yes")]
    first, second, third = read_predictions(write(tmp_path / "p.jsonl", "rsvqa_hr", rows, rows=3))
    for name in ("decoding", "dataset"):
        assert first[name] is second[name] is third[name]
    assert first["question_type"] is second["question_type"]
    assert first["prediction"] is third["prediction"]
    assert first["prediction"] != second["prediction"]


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").touch()
    with pytest.raises(PredictionFileError, match="holds no prediction"):
        score(tmp_path / "p.jsonl")


def test_a_file_of_two_models_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", "rsvqa_hr", [("count", "1", "1"), ("count", "1", "1")], 2)
    one, two = file.read_text().splitlines()
    file.write_text(one + "\n" + two.replace('"weights": "w"', '"weights": "v"') + "\n")
    with pytest.raises(PredictionFileError, match="differ in weights: 'w' and 'v'"):
        score(file)


def test_the_files_of_two_models_put_together_are_named_as_such(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", "rsvqa_hr", [("count", "1", "1")], 1)
    one = file.read_text()
    file.write_text(one + one.replace('"weights": "w"', '"weights": "v"'))
    with pytest.raises(
        PredictionFileError,
        match=r"line 2: the id .* is in an earlier line with another weights: 'w' and 'v'. "
        "One file holds one model's replies",
    ):
        score(file)


def test_a_file_without_its_final_newline_is_whole(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", "rsvqa_hr", [("count", "1", "1"), ("count", "1", "1")], 2)
    file.write_text(file.read_text().rstrip("\n"))
    assert score(file)["missing"] == 0


# --- End to end: rows, a model's replies on disk, and then what the truth would have scored ------


@pytest.fixture(scope="module")
def predicted(releases: Path, tiny_llava: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A function from a config and a split to a file of replies to six of its rows."""
    predictor, folder = Predictor(str(tiny_llava), max_new_tokens=3), tmp_path_factory.mktemp("p")

    def make(config: str, split: str) -> Path:
        rows = datasets.load_dataset(NAME, config, split=split, data_dir=str(releases))
        rows = rows.select(range(min(6, len(rows))))
        described = describe(rows, config=config, split=split, protocol="paper", box_format="llava")
        predict(predictor, rows, described, folder / f"{config}-{split}.jsonl")
        return folder / f"{config}-{split}.jsonl"

    return make


@pytest.mark.parametrize(
    ("config", "split", "metric", "key"),
    [
        ("vqa_lr", "test", "rs_vqa", "oa"),
        ("vqa_hr", "test", "rs_vqa", "aa"),
        ("vqa_hr", "test_philadelphia", "rs_vqa", "oa"),
        ("grounding", "test", "rs_grounding", "pr_80"),
        ("region_caption", "test", "rs_caption", "rouge_l"),
        ("scene_ucm", "test", "rs_scene", "oa"),
    ],
)
def test_a_file_of_true_answers_scores_1(
    predicted: Any, config: str, split: str, metric: str, key: str
) -> None:
    predictions = read_predictions(predicted(config, split))
    untrained = score_alone(predictions, "f")
    true = [{**p, "prediction": p["references"][0]} for p in predictions]
    found = score_alone(true, "f")  # pyright: ignore[reportArgumentType]
    assert (found["metric"], found["missing"], found["scores"][key]) == (metric, 0, 1)
    assert untrained["scores"][key] < 1
    fingerprint = predictions[0]["dataset"]["fingerprint"]
    assert found["signature"] == (
        f"{found['scores']['signature']}|missing:0|rows:{fingerprint}|protocol:paper"
    )


def test_grounding(predicted: Any) -> None:
    asked, *_ = read_predictions(predicted("grounding", "test"))
    truth = asked["references"][0]
    replies = ("None.", truth, f"{truth}, [0, 0, 0.1, 0.1]")
    predictions: Any = [
        {**asked, "id": f"dior_rsvg/test/{i}", "prediction": reply}
        for i, reply in enumerate(replies)
    ]
    found = score_alone(predictions, "f")
    assert found["scores"]["pr_80"] == 2 / 3
    assert found["scores"]["n_unparsed"] == 1
    assert found["rule"] == {"box_format": "llava", "strict": False}
    assert found["unparsed"] == {predictions[0]["id"]: "no box: the reply has no numbers"}
    assert f"  1 without a box: no box: the reply has no numbers ({predictions[0]['id']})" in [
        *lines(found)
    ]
    strict = score_alone(predictions, "f", Rules(strict_iou=True))
    assert "|iou:>|" in strict["signature"]


def test_an_earlier_file_of_grounding_is_refused_and_others_are_read(
    predicted: Any, tmp_path: Path
) -> None:
    for config in ("grounding", "vqa_lr"):
        kept = [json.loads(line) for line in predicted(config, "test").read_text().splitlines()]
        for line in kept:
            for name in ("boxes", "width", "height"):
                del line[name]
        (tmp_path / config).write_text("".join(json.dumps(line) + "\n" for line in kept))
    message = (
        r"line 1: it lacks boxes, height, width \(an earlier version wrote it: predict again\)"
    )
    with pytest.raises(PredictionFileError, match=message):
        score(tmp_path / "grounding")
    assert score(tmp_path / "vqa_lr")["n"] == 6


def test_a_row_of_two_true_boxes_is_refused(predicted: Any) -> None:
    predictions = read_predictions(predicted("grounding", "test"))
    predictions[0]["boxes"] *= 2
    with pytest.raises(PredictionFileError, match=f"{predictions[0]['id']}: .* has 2"):
        score_alone(predictions, "f")


@pytest.mark.parametrize("task", ["conversation", "detail"])
def test_dialogues_are_judged(tmp_path: Path, task: str) -> None:
    file = write(tmp_path / "p.jsonl", "rs_gpt4v", [("", "A ship.", "A ship.")], rows=1)
    file.write_text(file.read_text().replace('"caption"', f'"{task}"'))
    with pytest.raises(PredictionFileError, match=r"rs-gpt4v judge .*p\.jsonl"):
        score(file)


def test_rules_are_chosen(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", "rsvqa_lr", [("count", "Twelve", "17")], rows=1)
    assert score(file)["scores"]["oa"] == 1
    assert score(file, Rules(counts="exact"))["scores"]["oa"] == 0
    strict = score(file, Rules(normalise="strict"))
    assert strict["scores"]["oa"] == 0
    assert strict["rule"] == {"counts": "bucket", "areas": "bucket", "normalise": "strict"}
    with pytest.raises(ValueError, match="counts must be one of source, bucket, exact, got 'no'"):
        Rules(counts="no")


def test_intervals(tmp_path: Path) -> None:
    answers = [("presence", "yes", "yes" if i % 3 else "no") for i in range(60)]
    file = write(tmp_path / "p.jsonl", "rsvqa_hr", answers, rows=60)
    found = score(file, resamples=300)
    low, high = found["intervals"]["oa"]
    assert 0.45 < low < 2 / 3 < high < 0.85
    assert list(found["intervals"]) == ["accuracy_presence", "aa", "oa"]
    assert found["signature"].endswith("|intervals:bootstrap95,images:60,resamples:300,seed:0")
    assert f"[{low:.4f}, {high:.4f}]" in "\n".join(lines(found))
    assert score(file)["intervals"] == {}


def test_a_row_without_an_image_stands_for_itself(tmp_path: Path) -> None:
    predictions = read_predictions(
        write(tmp_path / "p.jsonl", "rsvqa_hr", [("count", "1", "1")] * 3, 3)
    )
    predictions[0]["image"] = predictions[1]["image"] = "a.tif"
    assert images(predictions) == ["a.tif", "a.tif", "rsvqa_hr/vqa/2"]


@needs_shared
@pytest.mark.parametrize(
    ("counts", "expected"),
    [("source", (71.73, 87.77, 86.53)), ("exact", (27.69, 76.76, 73.55))],
)
def test_published_answers(tmp_path: Path, counts: str, expected: Any) -> None:
    with (SHARED / "model_outputs" / "vqa_rsvqa_lr.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    answers = [(row["vqa_type"], row["answer"], row["annotation"]) for row in rows]
    path = write(tmp_path / "p.jsonl", "rsvqa_lr", answers, rows=10_004)
    scores = score(path, Rules(counts=counts))["scores"]
    shown = [round(100 * float(scores[key]), 2) for key in ("accuracy_count", "aa", "oa")]
    assert tuple(shown) == expected
