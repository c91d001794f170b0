"""`predict` killed at any moment, and by any number of processes, ends with the same bytes."""

import json
import random
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import datasets
import psutil
import pytest
from filelock import FileLock

pytest.importorskip("transformers")

from rs_gpt4v import NAME
from rs_gpt4v_evaluation.predict import Predictor, describe, predict
from rs_gpt4v_evaluation.predict.predictions import merge_parts, part, parts, read_predictions


def command(model: Path, releases: Path, out: Path, processes: int = 1) -> list[str]:
    start = [sys.executable, "-m"]
    if processes > 1:
        ports = ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]
        start += ["torch.distributed.run", f"--nproc-per-node={processes}", *ports, "-m"]
    asked = ["predict", str(model), "vqa_lr", "--data-dir", str(releases), "--out", str(out)]
    return [*start, "rs_gpt4v.cli", *asked, "--max-new-tokens", "6", "--batch-size", "5"]


def run(*args: Path, processes: int = 1) -> str:
    done = subprocess.run(
        command(*args, processes=processes), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def kill(*args: Path, seconds: float, processes: int = 1) -> None:
    """Start, and kill it and its processes ``seconds`` after its first reply."""
    started = subprocess.Popen(
        command(*args, processes=processes),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    out = args[-1]
    size = sum(file.stat().st_size for file in parts(out))
    while started.poll() is None and sum(file.stat().st_size for file in parts(out)) <= size:
        time.sleep(0.01)
    time.sleep(seconds)
    if started.poll() is None:
        launched = psutil.Process(started.pid)
        # torchrun's processes are no group of its own.
        for process in [*launched.children(recursive=True), launched]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
    started.wait()
    with FileLock(out.with_name(f"{out.name}.lock"), timeout=60):  # the killed are gone
        pass


def run_here(model: Path, releases: Path, out: Path) -> None:
    """What the command does, in this process."""
    rows = datasets.load_dataset(NAME, "vqa_lr", split="test", data_dir=str(releases))
    about = {"config": "vqa_lr", "split": "test", "protocol": "paper", "box_format": "llava"}
    predict(
        Predictor(str(model), max_new_tokens=6), rows, describe(rows, **about), out, batch_size=5
    )


@pytest.fixture(scope="module")
def undisturbed(
    tiny_llava: Path, releases: Path, tmp_path_factory: pytest.TempPathFactory
) -> bytes:
    out = tmp_path_factory.mktemp("undisturbed") / "p.jsonl"
    run_here(tiny_llava, releases, out)
    assert list(out.parent.iterdir()) == [out]
    assert len({line["prediction"] for line in read_predictions(out)}) > 1
    return out.read_bytes()


@pytest.mark.parametrize("processes", [[1, 2]], ids=["by one, then two, then one"])
def test_killed_again_and_again_it_ends_with_the_same_bytes(
    tiny_llava: Path, releases: Path, undisturbed: bytes, tmp_path: Path, processes: list[int]
) -> None:
    out = tmp_path / "p.jsonl"
    chance = random.Random(0)
    for number in processes:
        kill(tiny_llava, releases, out, seconds=chance.uniform(0, 0.04), processes=number)
        assert not out.exists()
        assert parts(out)
    run_here(tiny_llava, releases, out)
    assert out.read_bytes() == undisturbed
    assert parts(out) == [out]


def test_two_processes_write_the_same_file_as_one(
    tiny_llava: Path, releases: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "p.jsonl"
    lines = undisturbed.splitlines(keepends=True)
    part(out, 2).write_bytes(b"".join(lines[4:9]))  # of a third process that was killed
    told = run(tiny_llava, releases, out, processes=2)
    # The one bar is the main process's, and counts what is there already and its own share.
    totals = {int(total) for total in re.findall(r"Predicting .*?/(\d+) \[", told)}
    assert len(totals) == 1
    assert 5 < totals.pop() < len(lines) * 2 / 3
    assert out.read_bytes() == undisturbed
    assert list(tmp_path.iterdir()) == [out]


def test_killed_while_the_parts_are_merged(tmp_path: Path) -> None:
    out = tmp_path / "p[1].jsonl"
    lines = {name: json.dumps({"id": name}).encode() + b"\n" for name in "abcd"}
    part(out, 0).write_bytes(lines["d"] + lines["b"] + b'{"id": "a", "pre')
    part(out, 1).write_bytes(lines["a"])
    merge_parts(out, list("abcd"))
    merged = lines["a"] + lines["b"] + lines["d"]
    assert out.read_bytes() == merged
    part(out, 1).write_bytes(lines["a"])  # as if it had not been deleted yet
    merge_parts(out, list("abcd"))
    assert out.read_bytes() == merged
    part(out, 0).write_bytes(lines["c"])
    merge_parts(out, list("abcd"))
    assert out.read_bytes() == b"".join(lines.values())
    assert parts(out) == [out]
