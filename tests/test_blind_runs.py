"""Blind runs of models here and of servers: what is asked, and what their files say."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest

pytest.importorskip("transformers")

from chat_server import ChatServer
from typer.testing import CliRunner

from rs_gpt4v import NAME
from rs_gpt4v.cli import app
from rs_gpt4v_evaluation.predict import Predictor, describe, predict
from rs_gpt4v_evaluation.predict.blind import blind_rows
from rs_gpt4v_evaluation.predict.predictions import PredictionFileError, read_predictions
from rs_gpt4v_evaluation.predict.server import predict_by_server
from rs_gpt4v_evaluation.predict.turns import each_turn


@pytest.fixture(scope="module")
def rows(releases: Path) -> datasets.Dataset:
    """Questions on several images."""
    split = datasets.load_dataset(NAME, "vqa_lr", split="test", data_dir=str(releases))
    return split.select(range(0, len(split), max(1, len(split) // 9)))


@pytest.fixture(scope="module")
def predictor(tiny_llava: Path) -> Predictor:
    return Predictor(str(tiny_llava), max_new_tokens=3)


def about(rows: datasets.Dataset) -> Any:
    return describe(rows, config="vqa_lr", split="test", protocol="paper", box_format="llava")


def test_a_file_of_one_kind_is_not_resumed_as_another(
    predictor: Predictor, rows: datasets.Dataset, tmp_path: Path
) -> None:
    out = tmp_path / "p.jsonl"
    asked = {kind: blind_rows(rows, kind) for kind in ("none", "grey", "other")}
    asked |= {"seen": rows, "other, seed 1": blind_rows(rows, "other", 1)}
    predict(predictor, asked["other"], about(asked["other"]), out)
    lines = read_predictions(out)
    assert {line["dataset"].get("images") for line in lines} == {"other"}
    assert all(line["image"] not in line.get("shown_images", ()) for line in lines)
    assert [line["image"] for line in lines] == [image.filename for (image,) in rows["images"]]
    for kind in ("none", "grey", "seen", "other, seed 1"):
        with pytest.raises(PredictionFileError, match=r"with dataset \{'images.*, not \{"):
            predict(predictor, asked[kind], about(asked[kind]), out)


@pytest.mark.parametrize("kind", ["none", "grey", "other"])
def test_goes_on_after_a_kill(
    predictor: Predictor, rows: datasets.Dataset, tmp_path: Path, kind: str
) -> None:
    blind = blind_rows(rows, kind)
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    predict(predictor, blind, about(blind), whole, 4)
    cut.write_bytes(whole.read_bytes()[:2_000])
    predict(predictor, blind, about(blind), cut, 4)
    assert cut.read_bytes() == whole.read_bytes()


def test_a_server_is_shown_the_same(rows: datasets.Dataset, tmp_path: Path) -> None:
    sent = {}
    for kind in ("none", "grey", "other"):
        blind = blind_rows(rows, kind)
        with ChatServer(lambda _: "yes") as server:
            endpoint = server.endpoint(model="m")
            predict_by_server(endpoint, blind, about(blind), tmp_path / f"{kind}.jsonl")
            sent[kind] = [body["messages"][0]["content"] for body in server.bodies]
    assert all([part["type"] for part in content] == ["text"] for content in sent["none"])
    for kind, most in (("grey", 1), ("other", len(rows))):
        parts = [content[:-1] for content in sent[kind]]
        assert all([part["type"] for part in own] == ["image_url"] for own in parts)
        assert 0 < len({json.dumps(own) for own in parts}) <= most


def test_the_verb_writes_a_blind_file(tiny_llava: Path, releases: Path, tmp_path: Path) -> None:
    out = tmp_path / "blind-none" / "cap_ucm.jsonl"
    command = ["predict", str(tiny_llava), "cap_ucm", "--data-dir", str(releases)]
    command += ["--out", str(out), "--max-new-tokens", "2", "--blind"]
    run = CliRunner().invoke(app, [*command, "none"])
    assert run.exit_code == 0, run.output
    assert read_predictions(out)[0]["dataset"].get("images") == "none"
    for blind, words in (("black", "not black"), ("none", "not {"), ("other", "not {")):
        again = CliRunner().invoke(app, [*command, blind])
        assert (again.exit_code == 0) == (blind == "none")
        assert blind == "none" or words in str(again.exception)


def test_two_processes_write_the_same_blind_dialogues_as_one(
    tiny_llava: Path, releases: Path, tmp_path: Path
) -> None:
    """Each turn of a dialogue is asked about the other image that all of its turns see."""
    command = ["predict", str(tiny_llava), "conversation", "--data-dir", str(releases)]
    command += ["--blind", "other", "--max-new-tokens", "3", "--batch-size", "4", "--out"]
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    run = CliRunner().invoke(app, [*command, str(one)])
    assert run.exit_code == 0, run.output
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*launch, "-m", "rs_gpt4v.cli", *command, str(two)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert two.read_bytes() == one.read_bytes()
    lines = read_predictions(one)
    assert any(line.get("history") for line in lines)
    shown: dict[str, set[Any]] = {}
    for line in lines:
        dialogue, _, _ = line["id"].partition("#")
        shown.setdefault(dialogue, set()).add((line["image"], *line.get("shown_images", ())))
    assert len(lines) > len(shown)
    for ((own, other),) in shown.values():
        assert own != other


@pytest.mark.parametrize("kind", ["none", "grey", "other"])
def test_a_dialogue_keeps_its_turns(
    predictor: Predictor, releases: Path, tmp_path: Path, kind: str
) -> None:
    options: Any = {"split": "test", "data_dir": str(releases)}
    rows = each_turn(datasets.load_dataset(NAME, "conversation", **options))
    blind = blind_rows(rows, kind)
    asked: Any = {
        "seen": (rows, tmp_path / "seen.jsonl"),
        "blind": (blind, tmp_path / "blind.jsonl"),
    }
    about = {"config": "conversation", "split": "test", "protocol": "paper"}
    for own, out in asked.values():
        predict(predictor, own, describe(own, **about, box_format="llava"), out, 4)
    seen, hidden = (read_predictions(out) for _, out in asked.values())
    for one, other in zip(seen, hidden, strict=True):
        same = ("id", "prompt", "history", "image", "references")
        assert [one.get(name) for name in same] == [other.get(name) for name in same]
    assert [line["prediction"] for line in seen] != [line["prediction"] for line in hidden]
