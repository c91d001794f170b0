"""The main job on the embedded sample: fine-tune the embedded model, answer, score, report."""

import logging
import os
import re
import statistics
import subprocess
import sys
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import typer
from PIL import Image
from tqdm import tqdm

from rs_gpt4v import NAME
from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v.embedded_model import NAME as EMBEDDED
from rs_gpt4v.files import write_json_lines

CONFIGS = ("vqa_lr", "vqa_hr", "cap_ucm", "grounding")
_STEPS = 100  # of both recipes
_SHOWN = {
    "vqa_lr": ("oa", "questions, 256 px: accuracy"),
    "vqa_hr": ("oa", "questions, 512 px: accuracy"),
    "cap_ucm": ("cider", "captions: CIDEr"),
    "grounding": ("pr_50", "grounding: Pr@0.5"),
}
"""The score of each config that the closing table has, and its name there."""
_NEXT = """\
Next:
  rs-gpt4v train demo_lora --output_dir OUT --max_steps 300
  rs-gpt4v predict embedded vqa_lr --sample --adapter OUT --out replies.jsonl
  rs-gpt4v sources --data-dir DIR   (which real releases you have, and where to get the others)"""


def run(out: Path) -> None:
    """Do it all below ``out``; print a table of scores and where the report is.

    What is there already is not done again, so that an interrupted demo continues.
    """
    from rs_gpt4v_evaluation.report import report

    started = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    log = out / "demo.log"
    with _quiet(log):
        typer.echo("1/6  Draw synthetic scenes, written and read as the real releases are")
        rows: dict[str, Any] = {
            name: datasets.load_dataset(NAME, name, sample=True) for name in CONFIGS
        }
        tests = {name: splits["test"] for name, splits in rows.items()}
        runs = {"guess": _guess(rows, out / "guess")}
        typer.echo("2/6  Answer test questions with the embedded model: it sees, but chats")
        runs["before"] = _predict(tests, out / "before")
        typer.echo(f"3/6  Fine-tune it with LoRA for {_STEPS} steps, and answer again")
        lora = _train("demo_lora", out, log)
        runs["LoRA"] = _predict(tests, out / "LoRA", lora)
        typer.echo("4/6  The same with a grey image: what the words alone give away")
        runs["blind"] = _predict(_grey(tests, out), out / "blind", lora)
        typer.echo(f"5/6  Fine-tune with MoE-LoRA for {_STEPS} steps, and answer again")
        runs["MoE-LoRA"] = _predict(tests, out / "MoE-LoRA", _train("demo_moe_lora", out, log))
        typer.echo("6/6  Score, and write the report")
        table = _table(runs)
        files = [file for of in runs.values() for file in of]
        report(files, out / "report.html", lora / "trainer_state.json")
    typer.echo(f"\n{table}\n\nThe images are synthetic: the scores show that the path works.")
    typer.echo("guess: the most frequent training answer. blind: LoRA with a grey image.")
    typer.echo(f"\nReport: {(out / 'report.html').absolute()}\nLog:    {log.absolute()}")
    typer.echo(f"\n{_NEXT}\n\nDone in {time.monotonic() - started:.0f} seconds.")


@contextmanager
def _quiet(log: Path) -> Iterator[None]:
    """Libraries' own bars and warnings go to the log, or nowhere."""
    import transformers

    datasets.disable_progress_bars()
    transformers.logging.disable_progress_bar()
    handler = logging.FileHandler(log, encoding="utf-8")
    root = logging.getLogger()
    root.addHandler(handler)
    for name in ("transformers", "datasets"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeHandler(handler)
        handler.close()


def _grey(tests: dict[str, Any], out: Path) -> dict[str, Any]:
    """The same rows with one grey image in place of each."""
    path = out / "grey.png"
    if not path.is_file():
        Image.new("RGB", (256, 256), (128, 128, 128)).save(path)
    grey = {}
    for name, rows in tests.items():
        column = [[str(path)]] * len(rows)
        features = rows.features
        grey[name] = rows.remove_columns("images").add_column("images", column).cast(features)
    return grey


def _train(recipe: str, folder: Path, log: Path) -> Path:
    """Train as ``rs-gpt4v train`` does; its output goes to ``log``, its progress to one bar.

    The adapter is in the folder that is returned.
    """
    out = folder / recipe
    if (out / "adapter_config.json").is_file():
        return out
    command = [sys.executable, "-m", "rs_gpt4v.cli", "train", recipe, "--output_dir", str(out)]
    # OpenMP threads that spin while they wait slow a busy machine down tenfold.
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with (
        log.open("ab") as copy,
        tqdm(total=_STEPS, desc="     training", unit="step", leave=False) as bar,
        subprocess.Popen(command, env=environment, **options) as process,
    ):
        assert process.stdout is not None
        for chunk in iter(lambda: process.stdout.read1(), b""):  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
            copy.write(chunk)
            for done in re.findall(rb"\b(\d+)/%d " % _STEPS, chunk):
                bar.update(int(done) - bar.n)
    if process.returncode:
        raise RuntimeError(f"training ended early: {log} says why")
    return out


def _predict(tests: dict[str, Any], folder: Path, adapter: Path | None = None) -> list[Path]:
    from rs_gpt4v_evaluation.predict import Predictor, predict
    from rs_gpt4v_training import moe_lora

    assert moe_lora  # importing it lets PEFT load such adapters
    predictor = Predictor(EMBEDDED, str(adapter) if adapter else None, max_new_tokens=48)
    for name, rows in tests.items():
        predict(predictor, rows, _described(name, rows), folder / f"{name}.jsonl", batch_size=32)
    return [folder / f"{name}.jsonl" for name in tests]


def _described(config: str, rows: Any) -> Any:
    from rs_gpt4v_evaluation.predict import describe

    return describe(rows, config=config, split="test", protocol="paper", box_format="llava")


def _guess(rows: dict[str, Any], folder: Path) -> list[Path]:
    """Predictions files of always giving the training rows' most frequent answer, or median box."""
    from rs_gpt4v_evaluation.predict.predictions import prediction_line

    files = []
    for name, splits in rows.items():
        answers = _frequent_answers(splits["train"])
        test = splits["test"].cast_column("images", datasets.List(datasets.Image(decode=False)))
        constants = {
            "model": "most frequent answer",
            "adapter": None,
            "weights": None,
            "decoding": {"do_sample": False, "max_new_tokens": None},
            "dataset": _described(name, splits["test"]),
        }
        files.append(folder / f"{name}.jsonl")
        folder.mkdir(parents=True, exist_ok=True)
        lines = (prediction_line(row, answers[row["question_type"]], constants) for row in test)
        write_json_lines(files[-1], lines)
    return files


def _frequent_answers(rows: Any) -> dict[str | None, str]:
    """The most frequent answer by question type; of boxes, the one with the median corners."""
    if rows["boxes"][0]:
        sides = zip(rows["boxes"], rows["width"], strict=True)
        shares = [[value / side for value in boxes[0]["points"]] for boxes, side in sides]
        box = [statistics.median(values) for values in zip(*shares, strict=True)]
        return {None: CODECS["llava"].write([("", box)], 1, 1)}
    found: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
    for kind, messages in zip(rows["question_type"], rows["messages"], strict=True):
        found[kind][messages[-1]["content"]] += 1
    return {kind: answers.most_common(1)[0][0] for kind, answers in found.items()}


def _table(runs: dict[str, list[Path]]) -> str:
    """A line a config, a column a run."""
    from rs_gpt4v_evaluation.score import score

    lines = [f"{'':32}" + "".join(f"{name:>12}" for name in runs)]
    for place, (key, label) in enumerate(_SHOWN[name] for name in CONFIGS):
        values = [score(files[place])["scores"][key] for files in runs.values()]
        lines.append(f"{label:32}" + "".join(f"{value:12.3f}" for value in values))
    return "\n".join(lines)
