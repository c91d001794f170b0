"""The main job on the embedded sample: build, train, predict, score, report."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets

from rs_gpt4v import NAME

TRAINED = ("vqa_hr", "vqa_lr", "cap_ucm", "cap_rsicd")
TESTED = ("vqa_hr", "vqa_lr", "cap_ucm")


def run(out: Path) -> None:
    """Do it all below ``out``, and print the scores and the path of the report.

    Finished steps are not repeated, so an interrupted demo continues.
    """
    _say("1/5  Building the sample's conversations")
    rows = {name: datasets.load_dataset(NAME, name, sample=True) for name in TRAINED}
    for name, splits in rows.items():
        _say(f"     {name}: " + ", ".join(f"{s} {part.num_rows:,}" for s, part in splits.items()))
    tiny, trained = out / "tiny", out / "trained"
    _say("2/5  Predicting with an untrained tiny LLaVA")
    _build_tiny(tiny, rows)
    before = _predict(tiny, rows, out / "before")
    _say("3/5  Training it (loss on answers only)")
    if not (trained / "trainer_state.json").is_file():
        _train(tiny, trained)
    _say("4/5  Predicting with the trained one")
    after = _predict(trained, rows, out / "after")
    _say("5/5  Scoring")
    _finish(before, after, out / "report.html", trained / "trainer_state.json")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _build_tiny(path: Path, rows: dict[str, Any]) -> None:
    from rs_gpt4v_training.tiny_llava import build_tiny_llava

    if not (path / "config.json").is_file():
        texts = (
            message["content"]
            for splits in rows.values()
            for messages in splits["train"]["messages"]
            for message in messages
        )
        unfinished = path.with_name(f"{path.name}.unfinished")
        build_tiny_llava(unfinished, texts)
        unfinished.rename(path)


def _train(model: Path, out: Path) -> None:
    command = [sys.executable, "-m", "rs_gpt4v.cli", "train", "demo_cpu"]
    flags = ["--model_name_or_path", str(model), "--output_dir", str(out)]
    # OpenMP threads that spin while they wait slow a busy machine down tenfold.
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    subprocess.run([*command, *flags], check=True, env=environment)


def _predict(model: Path, rows: dict[str, Any], folder: Path) -> list[Path]:
    from rs_gpt4v_evaluation.predict import Predictor, describe, predict

    predictor = Predictor(str(model), max_new_tokens=32)
    files = [folder / f"{name}.jsonl" for name in TESTED]
    for name, file in zip(TESTED, files, strict=True):
        test = rows[name]["test"]
        described = describe(test, config=name, split="test", protocol="paper", box_format="llava")
        predict(predictor, test, described, file, batch_size=32)
    return files


def _finish(before: list[Path], after: list[Path], page: Path, training_log: Path) -> None:
    from rs_gpt4v_evaluation.report import report
    from rs_gpt4v_evaluation.score import score

    _say(f"{'':34} before    after")
    for old, new in zip(before, after, strict=True):
        pair = score(old), score(new)
        for name, value in pair[0]["scores"].items():
            if isinstance(value, float):
                label = f"{pair[0]['dataset']['config']} {name}"
                _say(f"     {label:27} {value:8.3f} {pair[1]['scores'][name]:8.3f}")
    report([*before, *after], page, training_log)
    _say("The sample is synthetic: these scores only show that every step works.")
    _say(f"Report: {page.absolute()}")
