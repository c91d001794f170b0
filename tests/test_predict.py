"""Predicting: what a line says, and nothing lost or doubled at a kill."""

import json
import runpy
from pathlib import Path
from typing import Any

import datasets
import pytest

pytest.importorskip("transformers")

import torch

from rs_gpt4v import NAME
from rs_gpt4v_evaluation.predict import Predictor, describe, predict
from rs_gpt4v_evaluation.predict.predictions import (
    PredictedRows,
    PredictionFileError,
    read_predictions,
)
from rs_gpt4v_evaluation.predict.predictor import weights_fingerprint

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "predict.py"


@pytest.fixture(scope="module")
def rows(releases: Path) -> datasets.Dataset:
    return datasets.load_dataset(NAME, "vqa_lr", split="test", data_dir=str(releases)).select(
        range(13)
    )


@pytest.fixture(scope="module")
def described(rows: datasets.Dataset) -> PredictedRows:
    return describe(rows, config="vqa_lr", split="test", protocol="paper", box_format="llava")


@pytest.fixture(scope="module")
def predictor(tiny_llava: Path) -> Predictor:
    return Predictor(str(tiny_llava), max_new_tokens=6)


def test_lines_say_what_was_asked_of_which_model(
    predictor: Predictor, rows: datasets.Dataset, described: PredictedRows, tmp_path: Path
) -> None:
    predict(predictor, rows, described, tmp_path / "p.jsonl")
    line = json.loads((tmp_path / "p.jsonl").read_text().splitlines()[0])
    reply = line.pop("prediction")
    assert isinstance(reply, str)
    assert line == {
        "id": rows[0]["id"],
        "source": "rsvqa_lr",
        "task": "vqa",
        "question_type": rows[0]["question_type"],
        "image": rows[0]["images"][0].filename,
        "history": [],
        "prompt": rows[0]["messages"][0]["content"],
        "references": rows[0]["references"],
        "boxes": [],
        "width": rows[0]["width"],
        "height": rows[0]["height"],
        "model": predictor.name,
        "adapter": None,
        "weights": predictor.weights,
        "decoding": {"do_sample": False, "max_new_tokens": 6},
        "dataset": described,
    }


@pytest.mark.parametrize("kept_bytes", [0, 700, 1_500])
def test_goes_on_after_a_kill_at_any_byte(
    predictor: Predictor,
    rows: datasets.Dataset,
    described: PredictedRows,
    tmp_path: Path,
    kept_bytes: int,
) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    predict(predictor, rows, described, whole)
    cut.write_bytes(whole.read_bytes()[:kept_bytes])
    predict(predictor, rows, described, cut)
    assert cut.read_bytes() == whole.read_bytes()


def test_what_two_runs_at_once_left_is_mended(
    predictor: Predictor, rows: datasets.Dataset, described: PredictedRows, tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole.jsonl", tmp_path / "o.jsonl"
    predict(predictor, rows, described, whole)
    first, second, *_ = whole.read_bytes().splitlines(keepends=True)
    part = tmp_path / "o.jsonl.part0"
    part.write_bytes(first + second + first + first[:50])
    assert len(read_predictions(part)) == 2
    predict(predictor, rows, described, out)
    assert out.read_bytes() == whole.read_bytes()
    other = json.dumps(json.loads(first) | {"prediction": "something else"})
    part.write_bytes(first + second + other.encode() + b"\n")
    with pytest.raises(PredictionFileError, match=r"part0, line 3: the id .* with another reply"):
        read_predictions(part)


class Asked:
    """A predictor that counts the conversations it was asked."""

    def __init__(self, predictor: Predictor) -> None:
        self.name, self.adapter, self.decoding = predictor.name, None, predictor.decoding
        self.weights = predictor.weights
        self.count = 0

    def why_not_shared(self, *_: Any) -> None:
        return None

    def shared_replies(self, prompts: list[Any]) -> list[str]:
        self.count += len(prompts)
        return ["yes"] * len(prompts)


def test_finished_rows_are_not_asked_again(
    predictor: Predictor, rows: datasets.Dataset, described: PredictedRows, tmp_path: Path
) -> None:
    asked: Any = Asked(predictor)
    for _ in range(2):
        predict(asked, rows, described, tmp_path / "p.jsonl")
    assert asked.count == len(rows)


def test_other_settings_are_refused(
    predictor: Predictor,
    rows: datasets.Dataset,
    described: PredictedRows,
    tiny_llava: Path,
    tmp_path: Path,
) -> None:
    predict(predictor, rows, described, tmp_path / "p.jsonl")
    other = Predictor(str(tiny_llava), max_new_tokens=7)
    with pytest.raises(PredictionFileError, match="holds predictions with decoding"):
        predict(other, rows, described, tmp_path / "p.jsonl")


def test_other_weights_under_the_same_name_are_refused(
    predictor: Predictor, rows: datasets.Dataset, described: PredictedRows, tmp_path: Path
) -> None:
    predict(predictor, rows, described, tmp_path / "p.jsonl")
    retrained = Predictor(predictor.name, max_new_tokens=6)
    with torch.no_grad():
        retrained.model.lm_head.weight += 0.1
    retrained.weights = weights_fingerprint(retrained.model)
    with pytest.raises(PredictionFileError, match="holds predictions with weights"):
        predict(retrained, rows, described, tmp_path / "p.jsonl")


def test_fingerprint_is_that_of_the_content(
    rows: datasets.Dataset, described: PredictedRows, releases: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").symlink_to(releases)
    moved = datasets.load_dataset(
        NAME, "vqa_lr", split="test", data_dir=str(tmp_path / "elsewhere")
    ).select(range(13))
    about = {"config": "vqa_lr", "split": "test", "protocol": "paper", "box_format": "llava"}
    assert describe(moved, **about) == described
    assert describe(rows.select(range(12)), **about)["fingerprint"] != described["fingerprint"]


def test_damaged_file_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(
        PredictionFileError, match=r"p\.jsonl, line 1: it lacks source, task, .* has id"
    ):
        read_predictions(tmp_path / "p.jsonl")
    (tmp_path / "p.jsonl").write_text("yes\n")
    with pytest.raises(PredictionFileError, match=r"p\.jsonl, line 1: not JSON"):
        read_predictions(tmp_path / "p.jsonl")


def test_the_benchmark_asks_what_predict_takes(
    predictor: Predictor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark = runpy.run_path(str(BENCHMARK))
    asked = benchmark["questions"](tmp_path, images=2, on_each=3)
    benchmark["compare"](predictor, asked, tmp_path, rounds=1)
    assert capsys.readouterr().out.count("same replies") == 3
