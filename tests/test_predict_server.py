"""Replies from an OpenAI-compatible server, one that a script drives and a real one."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest

pytest.importorskip("transformers")

import requests
from chat_server import ChatServer, broken, good, plan, unauthorized
from transformers.utils import is_serve_available
from typer.testing import CliRunner

from rs_gpt4v import NAME
from rs_gpt4v import chat_api as chat
from rs_gpt4v.cli import app
from rs_gpt4v_evaluation.predict import Predictor, describe, predict
from rs_gpt4v_evaluation.predict.predictions import (
    PredictedRows,
    PredictionFileError,
    part,
    read_predictions,
)
from rs_gpt4v_evaluation.predict.server import predict_by_server
from rs_gpt4v_evaluation.predict.turns import each_turn


@pytest.fixture(scope="module")
def rows(releases: Path) -> datasets.Dataset:
    dialogues = datasets.load_dataset(NAME, "conversation", split="test", data_dir=str(releases))
    return each_turn(dialogues)


@pytest.fixture(scope="module")
def described(rows: datasets.Dataset) -> PredictedRows:
    return about(rows)


def about(rows: datasets.Dataset) -> PredictedRows:
    return describe(rows, config="conversation", split="test", protocol="paper", box_format="llava")


def last_question(body: dict[str, Any]) -> str:
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else content[-1]["text"]


def echo(body: dict[str, Any]) -> str:
    return f" You asked: {last_question(body)}\n"


def test_requests_hold_the_image_and_the_true_turns_before(
    rows: datasets.Dataset, described: PredictedRows, tmp_path: Path
) -> None:
    out = tmp_path / "p.jsonl"
    with ChatServer(echo) as server:
        endpoint = server.endpoint(model="m")
        assert predict_by_server(endpoint, rows, described, out, max_new_tokens=7) == []
        asked = {last_question(body): body for body in server.bodies}
    written = read_predictions(out)
    assert [line["id"] for line in written] == rows["id"]
    for line, row in zip(written, rows, strict=True):
        assert line["prediction"] == f"You asked: {row['messages'][-2]['content']}"
        assert line["history"] == row["messages"][:-2]
    second = asked[rows[1]["messages"][2]["content"]]
    assert {name: second[name] for name in ("model", "max_tokens", "temperature", "seed")} == {
        "model": "m",
        "max_tokens": 7,
        "temperature": 0,
        "seed": 0,
    }
    image, text = second["messages"][0]["content"]
    assert text == {"type": "text", "text": rows[1]["messages"][0]["content"]}
    assert second["messages"][1:] == rows[1]["messages"][1:3]
    kind, _, content = image["image_url"]["url"].partition(";base64,")
    assert kind == "data:image/jpeg"
    assert base64.b64decode(content) == Path(rows[1]["images"][0].filename).read_bytes()


def test_lines_say_which_server_answered(
    rows: datasets.Dataset, described: PredictedRows, tmp_path: Path
) -> None:
    out = tmp_path / "p.jsonl"
    with ChatServer(echo) as server:
        predict_by_server(server.endpoint(model="m"), rows, described, out)
    line = read_predictions(out)[0]
    assert (line["model"], line["adapter"], line["weights"]) == ("m", None, None)
    assert line["decoding"] == {"do_sample": False, "max_new_tokens": 64, "seed": 0}
    assert set(line["server"]) == {"model", "fingerprint"}


def test_rows_without_a_reply_are_listed_and_asked_again(
    rows: datasets.Dataset, described: PredictedRows, tmp_path: Path
) -> None:
    out, whole = tmp_path / "p.jsonl", tmp_path / "whole.jsonl"
    bad = rows[1]["messages"][-2]["content"]
    with ChatServer(lambda body: broken() if last_question(body) == bad else echo(body)) as server:
        endpoint = server.endpoint(model="m", max_attempts=2)
        [failed] = predict_by_server(endpoint, rows, described, out)
    assert failed.startswith(f"{rows[1]['id']}: ")
    assert [line["id"] for line in read_predictions(out)] == [rows[0]["id"], *rows["id"][2:]]
    with ChatServer(echo) as server:
        endpoint = server.endpoint(model="m")
        assert predict_by_server(endpoint, rows, described, out) == []
        assert [last_question(body) for body in server.bodies] == [bad]
        predict_by_server(endpoint, rows, described, whole)
    assert out.read_bytes() == whole.read_bytes()


def test_interrupted_it_goes_on_to_the_same_bytes(
    rows: datasets.Dataset, described: PredictedRows, tmp_path: Path
) -> None:
    out = tmp_path / "p.jsonl"
    with ChatServer(echo) as server:
        predict_by_server(server.endpoint(model="m"), rows, described, out)
        whole = out.read_bytes()
        part(out, 0).write_bytes(whole[: len(whole) // 2])
        out.unlink()
        predict_by_server(server.endpoint(model="m"), rows, described, out)
        assert len(server.bodies) == len(rows)  # the rest was in the journal
    assert out.read_bytes() == whole
    with ChatServer(good) as server, pytest.raises(PredictionFileError, match="with model 'm'"):
        predict_by_server(server.endpoint(model="other"), rows, described, out)


def test_verb_lists_failures_and_exits_with_one(releases: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.jsonl"
    base = ["predict", "m", "--data-dir", str(releases), "--out", str(out), "--server"]
    with ChatServer(lambda body: good("yes" if "rural" in last_question(body) else "")) as server:
        url = server.endpoint(model="m").base_url
        result = CliRunner().invoke(app, [*base, url, "vqa_lr"])
        assert result.exit_code == 0, result.output
        boxed = CliRunner().invoke(app, [*base, url, "grounding"])
        assert "grounding has boxes: say with --box-format how m writes them" in str(
            boxed.exception
        )
    assert {line["prediction"] for line in read_predictions(out)} == {"yes", ""}
    out.unlink()
    with ChatServer(lambda _: broken(400)) as server:
        url = server.endpoint(model="m").base_url
        result = CliRunner().invoke(app, [*base, url, "conversation"])
    assert result.exit_code == 1
    rows = datasets.load_dataset(NAME, "conversation", data_dir=str(releases), split="test")
    turns = sum(message["role"] == "user" for dialogue in rows["messages"] for message in dialogue)
    assert f"{turns} rows have no reply; run the same command to ask again:" in result.output


WATCHED = """
import sys
from rs_gpt4v.cli import main
try:
    main()
finally:
    print("imported:", *sorted({"torch", "transformers", "accelerate"} & set(sys.modules)))
"""


def verb(releases: Path, out: Path, server: ChatServer) -> "subprocess.CompletedProcess[str]":
    asked = ["predict", "m", "conversation", "--data-dir", str(releases), "--out", str(out)]
    options = ["--server", server.url, "--concurrency", "1"]
    command = [sys.executable, "-c", WATCHED, *asked, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_wrong_key_is_one_line_and_the_same_command_goes_on(
    rows: datasets.Dataset, releases: Path, tmp_path: Path
) -> None:
    out = tmp_path / "p.jsonl"
    with ChatServer(plan("one", then=unauthorized())) as server:
        done = verb(releases, out, server)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "Error: stopped: the server says 401: Incorrect API key provided. "
        "Check the key in the environment"
    )
    assert "Traceback" not in done.stderr
    with ChatServer(plan("two")) as server:
        done = verb(releases, out, server)
        assert len(server.bodies) == len(rows) - 1
    assert done.returncode == 0, done.stderr
    assert "one" in {line["prediction"] for line in read_predictions(out)}
    # A machine that asks a server has no need of a model's libraries.
    assert done.stdout.splitlines()[-1] == "imported:"


def test_replies_may_be_as_long_as_the_task_asks_or_as_they_were(
    rows: datasets.Dataset, described: PredictedRows, releases: Path, tmp_path: Path
) -> None:
    def asked(config: str, out: str, *more: str) -> set[int]:
        options = ["--data-dir", str(releases), "--out", str(tmp_path / out), "--server"]
        with ChatServer(echo) as server:
            result = CliRunner().invoke(app, ["predict", "m", config, *options, server.url, *more])
            assert result.exit_code == 0, result.exception
            return {body["max_tokens"] for body in server.bodies}

    assert asked("conversation", "new.jsonl") == {512}
    assert asked("instruct", "group.jsonl") == {512}
    assert asked("cap_ucm", "caption.jsonl") == {64}
    assert asked("conversation", "told.jsonl", "--max-new-tokens", "7") == {7}
    old = tmp_path / "old.jsonl"
    with ChatServer(echo) as server:
        predict_by_server(server.endpoint(model="m"), rows, described, old, max_new_tokens=9)
    first, *_ = old.read_bytes().splitlines(keepends=True)
    part(old, 1).write_bytes(first)
    old.unlink()
    assert asked("conversation", "old.jsonl") == {9}


@pytest.fixture(scope="module")
def transformers_serve(tiny_llava: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server, `transformers serve`, that has loaded the tiny LLaVA."""
    if not is_serve_available():
        pytest.skip("no real server to test with: pip install 'transformers[serving]'")
    log = tmp_path_factory.mktemp("serve") / "log"
    port = 20_000 + os.getpid() % 10_000
    command = [sys.executable, "-c", "from transformers.cli.transformers import main; main()"]
    options = ["--port", str(port), "--device", "cpu", "--dtype", "float32"]
    with log.open("w") as file:
        server = subprocess.Popen(
            [*command, "serve", str(tiny_llava), *options], stdout=file, stderr=file
        )
    try:
        for _ in range(1_200):
            assert server.poll() is None, log.read_text()
            try:
                requests.get(f"http://localhost:{port}/health", timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield f"http://localhost:{port}/v1"
    finally:
        server.terminate()
        server.wait()


def test_real_server_answers_as_the_model_does_here(
    transformers_serve: str, tiny_llava: Path, releases: Path, tmp_path: Path
) -> None:
    served, here = tmp_path / "served.jsonl", tmp_path / "here.jsonl"
    rows = datasets.load_dataset(NAME, "vqa_lr", split="test", data_dir=str(releases))
    rows = rows.select(range(12))
    endpoint = chat.Endpoint(base_url=transformers_serve, model=str(tiny_llava), concurrency=2)
    assert predict_by_server(endpoint, rows, about(rows), served, max_new_tokens=6) == []
    predict(Predictor(str(tiny_llava), max_new_tokens=6), rows, about(rows), here)
    replies = [
        [json.loads(line)["prediction"] for line in file.read_text().splitlines()]
        for file in (served, here)
    ]
    assert replies[0] == replies[1]
    assert len(set(replies[0])) > 1
