"""What the embedded model learns from the sample, beside what guessing and blind runs score.

    python benchmarks/embedded.py [--tasks objects] [--out outputs/embedded] [--seeds 0 1 2]
        [-- --load_balance_coef 0.01]

For every seed and adapter, fine-tunes by the recipe of the tasks and answers the sample's test rows
three times: with their own image, with a grey one, and with another image of the split. A score
shows sight only where it is above those of the guess and of the blind runs. Writes ``table.md`` in
OUT and prints it; shares are in percent, of several seeds the mean and, in brackets, the least and
the greatest. What is in OUT already is not done again, so that an interrupted run continues.
Options after ``--`` are added to the recipe's.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import transformers

from rs_gpt4v import NAME
from rs_gpt4v.adapt_probes import POSITIVES
from rs_gpt4v.cli.demo import _described, _guess
from rs_gpt4v.embedded_model import NAME as EMBEDDED
from rs_gpt4v_evaluation.metric import Rules
from rs_gpt4v_evaluation.predict import Predictor, predict
from rs_gpt4v_evaluation.predict.blind import blind_rows
from rs_gpt4v_evaluation.score import score
from rs_gpt4v_training import moe_lora


class Tasks(NamedTuple):
    """What is fine-tuned and asked together.

    Attributes:
        recipe: The recipes' names, without the adapter's.
        configs: What is asked.
        tokens: The most that a reply has.
    """

    recipe: str
    configs: tuple[str, ...]
    tokens: int


_OBJECTS = ("scene_ucm", "detect_dior", "probe_presence", "probe_relation")
TASKS = {
    "demo": Tasks("demo", ("vqa_lr", "vqa_hr", "cap_ucm", "grounding"), 48),
    "objects": Tasks("demo_objects", _OBJECTS, 128),  # eleven boxes have 119
}
ADAPTERS = {"LoRA": "lora", "MoE-LoRA": "moe_lora"}
TITLES = {
    "vqa_lr": "questions, 256 px",
    "vqa_hr": "questions, 512 px",
    "cap_ucm": "captions",
    "grounding": "grounding",
    "scene_ucm": "scenes",
    "detect_dior": "detection",
    "probe_presence": "probes of presence",
    "probe_relation": "probes of places",
}
SHOWN = {
    "rs_vqa": {"oa": "all, as its authors count"},
    "rs_caption": {"cider": "CIDEr", "bleu_4": "BLEU-4"},
    "rs_grounding": {"pr_50": "Pr@0.5", "mean_iou": "mean IoU"},
    "rs_scene": {
        "oa": "all images",
        "aa": "mean of classes",
        "oa_strict": "all images, exact replies",
    },
    "rs_detection": {
        "f1": "F1@0.5",
        "precision": "precision",
        "recall": "recall",
        "ap": "AP",
        "absent_denied": "absent classes denied",
    },
    "rs_probe": {
        f"{score}_{kind}": f"{kind}, {words}"
        for kind in POSITIVES
        for score, words in (("accuracy", "accuracy"), ("f1", "F1"), ("yes_rate", "yes rate"))
    },
}
"""The names of each metric's scores; those of each type of VQA question are shown as well."""
NO_SHARES = ("CIDEr", "BLEU-4")
RANGES, EXACT = Rules(counts="bucket", areas="bucket"), Rules(counts="exact", areas="exact")

Values = dict[tuple[str, str], list[float]]
"""By title and score, a value for each seed."""


def main(argv: list[str] | None = None) -> None:
    """Run what is not done yet, and write the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--tasks", default="demo", choices=TASKS)
    parser.add_argument("--out", type=Path, default=Path("outputs/embedded"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--adapters", nargs="+", default=list(ADAPTERS), choices=ADAPTERS)
    parser.add_argument("--steps", type=int, help="instead of the recipes'")
    parser.add_argument("--rows", type=int, help="of each test split, to try this script")
    parser.add_argument("options", nargs="*", help="of the training, after --")
    given = parser.parse_args(argv)
    tasks = TASKS[given.tasks]
    given.out.mkdir(parents=True, exist_ok=True)
    datasets.disable_progress_bars()
    transformers.logging.disable_progress_bar()
    splits: dict[str, Any] = {
        name: few(datasets.load_dataset(NAME, name, sample=True), given.rows)
        for name in tasks.configs
    }
    tests = {name: rows["test"] for name, rows in splits.items()}
    asked = {"own": tests} | {
        images: {name: blind_rows(rows, images) for name, rows in tests.items()}
        for images in ("grey", "other")
    }
    columns = {"guess": values([_guess(splits, given.out / "guess")])}
    columns |= answered(asked, "before", {given.out / "before": None}, tasks.tokens)
    for name in given.adapters:
        recipe = f"{tasks.recipe}_{ADAPTERS[name]}"
        folders = {seed: given.out / f"{name}-{seed}" for seed in given.seeds}
        adapters = {
            folder: train(recipe, seed, folder, given.steps, given.options)
            for seed, folder in folders.items()
        }
        columns |= answered(asked, name, adapters, tasks.tokens)
    text = table(columns) + "\n\n" + "\n".join(costs(given.out, given.adapters, given.seeds)) + "\n"
    (given.out / "table.md").write_text(text, encoding="utf-8")
    print(text)


def few(splits: Any, count: int | None) -> Any:
    """The test split cut to ``count`` rows from all over it."""
    total = len(splits["test"])
    if count is not None and count < total:
        chosen = sorted(random.Random(0).sample(range(total), count))
        splits["test"] = splits["test"].select(chosen)
    return splits


def train(recipe: str, seed: int, out: Path, steps: int | None, options: Iterable[str]) -> Path:
    """The folder, in ``out``, of the adapter that the recipe trains with ``seed``."""
    folder = out / "adapter"
    if (folder / "adapter_config.json").is_file():
        return folder
    print(f"{recipe}, seed {seed}: fine-tuning", flush=True)
    command = [sys.executable, "-m", "rs_gpt4v.cli", "train", recipe, "--resume"]
    command += ["--output_dir", str(folder), "--seed", str(seed)]
    command += ["--max_steps", str(steps)] if steps else []
    command += options
    log = out / "train.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        code = subprocess.run(command, stdout=file, stderr=file, check=False).returncode
    if code:
        raise SystemExit(f"training ended early: {log} says why")
    return folder


def answered(
    asked: dict[str, dict[str, Any]], name: str, adapters: Mapping[Path, Path | None], tokens: int
) -> dict[str, Values]:
    """A column for each kind of image: own, grey and other."""
    columns = {}
    for images, tests in asked.items():
        runs = []
        for folder, adapter in adapters.items():
            print(f"{folder.name}: answering with each row's {images} image", flush=True)
            runs.append(answer(tests, folder / images, adapter, tokens))
        columns[name if images == "own" else f"{name}, {images} image"] = values(runs)
    return columns


def answer(tests: dict[str, Any], folder: Path, adapter: Path | None, tokens: int) -> list[Path]:
    """The files of the embedded model's replies, of so many tokens at most."""
    assert moe_lora  # importing it lets PEFT load such adapters
    predictor = Predictor(EMBEDDED, str(adapter) if adapter else None, max_new_tokens=tokens)
    for name, rows in tests.items():
        predict(predictor, rows, _described(name, rows), folder / f"{name}.jsonl", batch_size=32)
    return [folder / f"{name}.jsonl" for name in tests]


def values(runs: Iterable[list[Path]]) -> Values:
    """The scores of the files of each run."""
    found: Values = {}
    for files in runs:
        for file in files:
            for label, value in scores(file):
                found.setdefault((TITLES[file.stem], label), []).append(value)
    return found


def scores(file: Path) -> Iterable[tuple[str, float]]:
    """What the table shows of a file; numbers count both by their range and exactly."""
    scored = score(file)
    found: dict[str, Any] = scored["scores"]
    shown = SHOWN[scored["metric"]]
    yield from ((label, found[key]) for key, label in shown.items() if key in found)
    if scored["metric"] != "rs_vqa":
        return
    by_range, exact = (score(file, rules)["scores"] for rules in (RANGES, EXACT))
    for key in found:
        kind = key.removeprefix("accuracy_")
        if kind in ("count", "area"):
            yield f"{kind}, by range", float(by_range[key])
            yield f"{kind}, exact", float(exact[key])
        elif kind != key:
            yield kind, found[key]


def table(columns: dict[str, Values]) -> str:
    """A line a score, a column a run, in Markdown."""
    rows = [["", *columns], ["---", *["---:"] * len(columns)]]
    for title, label in columns["guess"]:
        cells = [shown(column[title, label], label) for column in columns.values()]
        rows.append([f"{title}: {label}", *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def shown(each: list[float], label: str) -> str:
    """The mean, with the least and the greatest of several."""
    factor, digits = (1, 2) if label in NO_SHARES else (100, 1)
    mean, least, greatest = (f"{factor * f(each):.{digits}f}" for f in (statistics.mean, min, max))
    return mean if len(each) == 1 else f"{mean} ({least}-{greatest})"


def costs(out: Path, adapters: list[str], seeds: list[int]) -> Iterable[str]:
    """What each fine-tuning took, and how routers used the experts in its last steps."""
    for name in adapters:
        states = [out / f"{name}-{seed}" / "adapter" / "trainer_state.json" for seed in seeds]
        logs = [json.loads(state.read_text(encoding="utf-8")) for state in states]
        taken = ", ".join(f"{log['log_history'][-1]['train_runtime']:.0f}" for log in logs)
        yield f"* {name}: {logs[0]['max_steps']} steps in {taken} s (seeds {seeds})."
        for key in ("router_entropy", "router_max_load"):
            last = [
                [entry[key] for entry in log["log_history"] if key in entry][-1:] for log in logs
            ]
            if all(last):
                yield f"* {name}: {key} {', '.join(f'{value:.3f}' for (value,) in last)}."


if __name__ == "__main__":
    main()
