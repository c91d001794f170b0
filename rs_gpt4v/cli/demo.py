"""The main job on the embedded sample: fine-tune the embedded model, answer, score, report."""

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import datasets
import typer

from rs_gpt4v import NAME
from rs_gpt4v.cli.screen import Screen, screen
from rs_gpt4v.conversation import fingerprint
from rs_gpt4v.embedded_model import FOLDER as EMBEDDED_FOLDER
from rs_gpt4v.embedded_model import NAME as EMBEDDED
from rs_gpt4v.files import locked, relative, write_json_lines, write_text
from rs_gpt4v_training.recipe import recipe_path

CONFIGS = ("vqa_lr", "vqa_hr", "cap_ucm", "grounding")
_TRAINING_STEPS = 120  # of both recipes
_SHOWN = {
    "vqa_lr": ("oa", "questions, 256 px: accuracy"),
    "vqa_hr": ("oa", "questions, 512 px: accuracy"),
    "cap_ucm": ("cider", "captions: CIDEr"),
    "grounding": ("pr_50", "boxes: Pr@0.5"),
}
"""The score of each config that the closing table has, and its name there."""
_GUESS = "constant guess"
_COLUMNS = (_GUESS, "blind", "before", "LoRA", "MoE-LoRA")
"""The columns of the closing table, and the folders of their predictions files."""
_MADE_OF = "made_of.json"
_MADE = (*_COLUMNS, "demo_lora", "demo_moe_lora", "report.html")


def run(out: Path) -> None:
    """Do it all below ``out``; print a table of scores, where the report is, and what to do next.

    What an earlier run of the same finished is kept, so that an interrupted demo continues.

    Raises:
        FileExistsError: ``out`` holds something else under a name that the demo needs.
        OSError: Training ended early.
    """
    _refuse_without_extras()
    started = time.monotonic()
    # Stopped in either way, the demo stops the training that it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    shown, out = out, out.absolute()
    try:
        with locked(out / _MADE_OF), screen(8, out / "demo.log") as shows:
            table = _steps(out, shows)
    except KeyboardInterrupt:
        typer.echo(f"\nInterrupted. The same command goes on from there; {shown} keeps the rest.")
        raise typer.Exit(130) from None
    typer.echo(f"\n{table}\n\n{_NOTES}")
    typer.echo(f"\nReport: {out / 'report.html'}\nLog:    {out / 'demo.log'}")
    typer.echo(f"\nTry next:\n{_next(shown)}")
    typer.echo(f"\nDone in {time.monotonic() - started:.0f} seconds.")


def _refuse_without_extras() -> None:
    """Raise now, not after the first steps, where a module is missing."""
    for module in ("torch", "transformers", "peft", "trl"):
        if find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)


_NOTES = """\
constant guess: the training rows' most frequent answer. blind: grey images.
Images are synthetic: the scores say that all steps work, nothing of real skill."""


def _steps(out: Path, shows: Screen) -> str:
    """All steps; the closing table."""
    from rs_gpt4v_evaluation.predict.blind import blind_rows

    if (out / _MADE_OF).is_file():
        shows.say("Going on with an earlier run: what it finished is kept.")
    with shows.step("Sample: draw scenes, and read them as real releases are read", 4) as bar:
        rows = {name: _rows(name, bar) for name in CONFIGS}
    if _is_of_another_version(out, rows):
        shows.say("     The earlier run was of another version or place: it is done anew.")
    tests = {name: splits["test"] for name, splits in rows.items()}
    runs = {_GUESS: _guess(rows, out / _GUESS)}

    def train(text: str, recipe: str) -> Path:
        with shows.step(text, _TRAINING_STEPS) as bar:
            return _train(recipe, out, bar)

    def ask(text: str, name: str, adapter: Path | None, asked: dict[str, Any] = tests) -> None:
        with shows.step(text, sum(map(len, asked.values()))) as bar:
            runs[name] = _predict(asked, out / name, bar, adapter)

    ask("Before: ask the embedded model, which replies in whole sentences", "before", None)
    lora = train("LoRA: fine-tune small matrices beside its frozen weights", "demo_lora")
    ask("LoRA: ask the fine-tuned model the same", "LoRA", lora)
    grey = {name: blind_rows(asked, "grey") for name, asked in tests.items()}
    ask("Blind: ask it with grey images, for what the words give away", "blind", lora, grey)
    moe = train("MoE-LoRA: fine-tune four such experts and their router", "demo_moe_lora")
    ask("MoE-LoRA: ask this model the same", "MoE-LoRA", moe)
    runs = {name: runs[name] for name in _COLUMNS}
    with shows.step("Score: compare replies with the truth, and write the report", 2) as bar:
        table = _table(runs)
        bar.update()
        _report(runs, out, lora)
        bar.update()
    return table


def _rows(name: str, bar: Any) -> Any:
    splits = datasets.load_dataset(NAME, name, sample=True)
    bar.update()
    return splits


def _is_of_another_version(out: Path, rows: dict[str, Any]) -> bool:
    """Whether ``out`` held what another model, recipe, sample or folder made; it does no more."""
    made_of = {
        "folder": str(out),
        "model": _hash(EMBEDDED_FOLDER / "model.safetensors"),
        "blind": "grey",
        "recipes": [_hash(recipe_path(name)) for name in ("demo_lora", "demo_moe_lora")],
        "rows": {
            f"{name}/{split}": [fingerprint(part), _first_image(part)]
            for name, splits in rows.items()
            for split, part in splits.items()
        },
    }
    text = json.dumps(made_of, indent=2) + "\n"
    known = (out / _MADE_OF).read_text(encoding="utf-8") if (out / _MADE_OF).is_file() else None
    if known == text:
        return False
    found = [path for name in _MADE if (path := out / name).exists()]
    if found and known is None:
        raise FileExistsError(f"{found[0]} is not of this demo: move it, or give another --out")
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_text(out / _MADE_OF, text)
    return known is not None


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _first_image(rows: Any) -> str:
    """Its path, which says how the sample was drawn and where it is."""
    return _undecoded(rows)[0]["images"][0]["path"]


def _undecoded(rows: Any) -> Any:
    return rows.cast_column("images", datasets.List(datasets.Image(decode=False)))


def _train(recipe: str, out: Path, bar: Any) -> Path:
    """Train as ``rs-gpt4v train`` does, all that is printed going to the log; the adapter's folder.

    Raises:
        ChildProcessError: Training ended early.
    """
    adapter, unfinished = out / recipe, out / f"{recipe}.unfinished"
    if adapter.is_dir():
        bar.update(_TRAINING_STEPS)
        return adapter
    shutil.rmtree(unfinished, ignore_errors=True)
    # OpenMP threads that spin while they wait slow a busy machine down tenfold.
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    with subprocess.Popen(
        _training(recipe, unfinished),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            last = _follow(process, bar)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise ChildProcessError(f"training ended early: {last}. {out / 'demo.log'} has all it said")
    unfinished.rename(adapter)
    return adapter


def _training(recipe: str, out: Path) -> list[str]:
    options = ["--output_dir", str(out), "--max_steps", str(_TRAINING_STEPS)]
    return [sys.executable, "-m", "rs_gpt4v_training.sft", str(recipe_path(recipe)), *options]


def _follow(process: subprocess.Popen[bytes], bar: Any) -> str:
    """Print what a training prints, and advance the bar with its own; return its last line."""
    assert process.stdout is not None
    tail = b""
    for chunk in iter(lambda: os.read(process.stdout.fileno(), 65536), b""):  # pyright: ignore[reportOptionalMemberAccess]
        os.write(1, chunk)
        tail = (tail + chunk)[-2000:]
        if steps := re.findall(rb"\b(\d+)/%d " % _TRAINING_STEPS, tail):
            bar.update(int(steps[-1]) - bar.n)
    lines = re.split(r"[\r\n]+", tail.decode(errors="replace").strip())
    return lines[-1].removeprefix("Error: ").rstrip(".")


def _predict(
    tests: dict[str, Any], folder: Path, bar: Any, adapter: Path | None = None
) -> list[Path]:
    from rs_gpt4v_evaluation.predict import Predictor, predict
    from rs_gpt4v_training import moe_lora

    assert moe_lora  # importing it lets PEFT load such adapters
    predictor = Predictor(EMBEDDED, str(adapter) if adapter else None, max_new_tokens=48)
    files = []
    for name, rows in tests.items():
        files.append(folder / f"{name}.jsonl")
        predict(predictor, rows, _described(name, rows), files[-1], batch_size=32, bar=bar)
    return files


def _described(config: str, rows: Any) -> Any:
    from rs_gpt4v_evaluation.predict import describe

    return describe(rows, config=config, split="test", protocol="paper", box_format="llava")


def _guess(rows: dict[str, Any], folder: Path) -> list[Path]:
    """Predictions files of always giving the training rows' most frequent answer, or median box."""
    from rs_gpt4v_evaluation.predict.predictions import made_by, prediction_line
    from rs_gpt4v_evaluation.score import METRIC_OF_TASK
    from rs_gpt4v_evaluation.score.most_frequent import CONSTANT_GUESS, frequent_answers, kinds_of

    files = []
    for name, splits in rows.items():
        test = list(_undecoded(splits["test"]))
        metric = METRIC_OF_TASK[test[0]["task"]]
        kinds = kinds_of(metric, test)
        if "train" in splits:
            answers = frequent_answers(metric, list(_undecoded(splits["train"])))
        else:  # probes, each of which is for a yes or a no
            answers = dict.fromkeys(kinds, "yes")
        decoding: Any = {"do_sample": False, "max_new_tokens": None}
        constants = made_by(CONSTANT_GUESS, _described(name, splits["test"]), decoding)
        files.append(folder / f"{name}.jsonl")
        folder.mkdir(parents=True, exist_ok=True)
        asked = zip(test, kinds, strict=True)
        lines = (prediction_line(row, answers[kind], constants) for row, kind in asked)
        write_json_lines(files[-1], lines)
    return files


def _table(runs: dict[str, list[Path]]) -> str:
    """A line a config, a column a run; 80 characters wide at most."""
    from rs_gpt4v_evaluation.score import score

    lines = [f"{'task':27}" + "".join(f"{name:>{_width(name)}}" for name in runs)]
    for place, (key, label) in enumerate(_SHOWN[name] for name in CONFIGS):
        scores = {name: score(files[place])["scores"][key] for name, files in runs.items()}
        shown = {
            name: f"{v:.3f}" if key == "cider" else f"{100 * v:.1f} %" for name, v in scores.items()
        }
        lines.append(f"{label:27}" + "".join(f"{v:>{_width(name)}}" for name, v in shown.items()))
    return "\n".join(lines)


def _width(name: str) -> int:
    return max(len(name), 7) + 2


def _report(runs: dict[str, list[Path]], out: Path, adapter: Path) -> None:
    from rs_gpt4v_evaluation.report import report

    files = [file for of_run in runs.values() for file in of_run]
    report(files, out / "report.html", adapter / "trainer_state.json", "rs-gpt4v demo")


def _next(out: Path) -> str:
    """Commands that work as they are printed, from here."""
    program, folder = _program(), shlex.quote(str(out))
    return "\n".join(
        [
            f"  {program} score {folder}/LoRA/vqa_*.jsonl --intervals",
            "      the accuracies of LoRA with 95 % intervals",
            f"  {program} train demo_lora --max_steps 300 --output_dir {folder}/300",
            "      LoRA for 300 steps instead of 120: some minutes",
            f"  {program} sources",
            "      the real releases, and where to get them",
        ]
    )


def _program() -> str:
    """The command line of this installation, as a shell finds it from here."""
    name = "rs-gpt4v"
    own = shutil.which(name, path=str(Path(sys.executable).parent))
    if own is None:
        return shlex.join([sys.executable, "-m", "rs_gpt4v.cli"])
    if shutil.which(name) == own:
        return name
    is_below = Path(own).is_relative_to(Path.cwd())
    return shlex.quote(relative(own, Path.cwd()) if is_below else own)
