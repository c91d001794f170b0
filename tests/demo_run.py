"""Runs the demo with stand-ins for what takes minutes, which print as much as the libraries do.

    python tests/demo_run.py OUT RELEASES [WHAT]

WHAT is "stop" (the second training is interrupted) or "fail" (it ends with an error).
"""

import importlib
import logging
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import datasets
from tqdm import tqdm

from rs_gpt4v.files import write_json_lines
from rs_gpt4v_evaluation.predict.predictions import prediction_line

demo: Any = importlib.import_module("rs_gpt4v.cli.demo")

TRAINING = """
import pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True)
for step in range(STEPS + 1):
    sys.stderr.write(f"\\r {100 * step // STEPS}%|####| {step}/STEPS [00:01<00:02]")
    sys.stderr.flush()
    if step % 10 == 0:
        print({"loss": 1.0, "step": step}, flush=True)
    if step == 50 and "WHAT" == "fail":
        sys.exit("Error: No space left on the device.")
    if step == 50 and "WHAT" == "stop":
        time.sleep(60)
(folder / "trainer_state.json").write_text('{"log_history": [{"step": 1, "loss": 2.0}]}')
"""


def rows(name: str, bar: Any) -> Any:
    splits = datasets.load_dataset("rs_gpt4v", name, data_dir=RELEASES)
    bar.update()
    return {
        name: part.select(range(0, len(part), -(-len(part) // 8))) for name, part in splits.items()
    }


def training(recipe: str, out: Path) -> list[str]:
    sys.stdout.write(f"starting {recipe}\n")
    what = WHAT if recipe == "demo_moe_lora" else ""
    if what == "stop":
        signal.alarm(2)
    code = TRAINING.replace("WHAT", what).replace("STEPS", str(demo._TRAINING_STEPS))
    return [sys.executable, "-c", code, str(out)]


def predict(tests: Any, folder: Path, bar: Any, adapter: Path | None = None) -> list[Path]:
    os.write(2, b"[W] a warning of a library in C\n")
    warnings.warn("a warning of a library", stacklevel=1)
    logging.getLogger("transformers").warning("a line of a logger")
    for part in tqdm(tests.values(), "a bar of a library"):
        bar.update(len(part))
    files = []
    for name, part in tests.items():
        undecoded = part.cast_column("images", datasets.List(datasets.Image(decode=False)))
        constants = {
            "model": folder.name,
            "adapter": adapter and str(adapter),
            "weights": None,
            "decoding": {"do_sample": False, "max_new_tokens": 48},
            "dataset": demo._described(name, part),
        }
        reply = "x" if folder.name == "before" else None
        folder.mkdir(exist_ok=True, parents=True)
        files.append(folder / f"{name}.jsonl")
        lines = [prediction_line(r, reply or r["references"][0], constants) for r in undecoded]
        write_json_lines(files[-1], lines)
    return files


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    OUT, RELEASES, WHAT = [*sys.argv[1:], ""][:3]
    signal.signal(signal.SIGALRM, interrupt)
    # `evaluate` would import it, and PyTorch with it: seconds of each run, for nothing here.
    sys.modules["transformers"] = None  # pyright: ignore[reportArgumentType]
    demo._rows, demo._training, demo._predict = rows, training, predict
    demo._refuse_without_extras = lambda: None
    from rs_gpt4v import cli

    sys.argv = ["rs-gpt4v", "demo", "--out", OUT]
    cli.main()
