"""A real result on two CPU cores: a small model on UC Merced's images, before and after training.

    python training/examples/small_vlm/run.py before     --data-dir /data/rs
    python training/examples/small_vlm/run.py projector  --data-dir /data/rs
    python training/examples/small_vlm/run.py lora       --data-dir /data/rs
    python training/examples/small_vlm/run.py moe_lora   --data-dir /data/rs
    python training/examples/small_vlm/run.py table

Each row of the table is a command: it assembles the model, trains it by the recipe
``ucm_small_vlm_<row>`` and lets it answer the test images. What is there already is not done again,
so an interrupted command goes on. Needs the releases UCM-Captions and RSIVQA in ``--data-dir``.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
from assemble import assemble

from rs_gpt4v import NAME
from rs_gpt4v_builders.sources import rsivqa, ucm_captions
from rs_gpt4v_builders.sources.source import Source, not_found
from rs_gpt4v_evaluation.predict import Predictor, describe, predict
from rs_gpt4v_evaluation.report import report
from rs_gpt4v_evaluation.score import score
from rs_gpt4v_training.moe_lora import is_moe_lora, use_task

ROWS = ("before", "projector", "lora", "moe_lora")
_TASKS = ("captions", "questions")
_MEASURES = {
    "captions": {"BLEU-4": "bleu_4", "ROUGE_L": "rouge_l", "CIDEr": "cider"},
    "questions": {
        "scene": "accuracy_scene",
        "presence": "accuracy_presence",
        "count": "accuracy_count",
        "location": "accuracy_location",
        "all questions": "oa",
    },
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("row", choices=(*ROWS, "table"))
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("RS_GPT4V_DATA", "."))
    parser.add_argument("--out", type=Path, default=Path("outputs/small_vlm"))
    given = parser.parse_args(argv)
    if given.row != "table":
        fill(given.row, Path(given.data_dir), given.out)
    write_table(given.out)
    return 0


def fill(row: str, releases: Path, out: Path) -> None:
    """Do all that a row of the table needs, below ``out``."""
    base, data = out / "base", out / "data"
    if not base.is_dir():
        assemble(base, out / "wheels")
    link_releases(releases, data)
    if row != "before" and not (out / row / "trainer_state.json").is_file():
        train(row, base, data, out / row)
    adapter = str(out / row) if (out / row / "adapter_config.json").is_file() else None
    model = base if adapter or row == "before" else out / row
    predictor = Predictor(
        str(model),
        adapter,
        max_new_tokens=32,
        trust_remote_code=True,
        route=use_task if adapter and is_moe_lora(adapter) else None,
    )
    for config, protocol, (task, rows) in zip(
        ("cap_ucm", "vqa_rsivqa"), ("paper", "release"), held_out_rows(data).items(), strict=True
    ):
        described = describe(
            rows, config=config, split="test", protocol=protocol, box_format=predictor.box_format
        )
        predict(predictor, rows, described, out / row / f"{task}.jsonl", batch_size=16)


def link_releases(releases: Path, data: Path) -> None:
    """A data root of the images of UC Merced, and of RSIVQA only the questions on them."""
    images = _folder(ucm_captions.SOURCE, releases)
    questions = _folder(rsivqa.SOURCE, releases)
    _link(images, data / "UCM_captions")
    for file in rsivqa.SOURCE.files("train", "release"):
        place = data / "RSIVQA" / file
        if file.startswith("UCM/"):
            _link(rsivqa.SOURCE.path(questions, file), place)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()  # no question on other images


def _folder(source: Source, releases: Path) -> Path:
    folder = source.find(releases)
    if folder is None:
        raise not_found(source, releases)
    return folder


def _link(target: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        place.symlink_to(target.resolve())


def train(row: str, base: Path, data: Path, out: Path) -> None:
    """Train by the row's recipe, from the last checkpoint if a run was cut off."""
    command = [sys.executable, "-m", "rs_gpt4v.cli", "train", f"ucm_small_vlm_{row}"]
    flags = {"data_dir": data, "model_name_or_path": base, "output_dir": out}
    words = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    # OpenMP threads that spin while they wait slow a busy machine down tenfold.
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
    subprocess.run([*command, *words, "--resume"], check=True, env=environment)


def held_out_rows(data: Path) -> dict[str, datasets.Dataset]:
    """The captions of UCM-Captions' 210 test images, and RSIVQA's questions on them."""
    captions = datasets.load_dataset(NAME, "cap_ucm", data_dir=str(data), split="test")
    questions = datasets.load_dataset(
        NAME, "vqa_rsivqa", data_dir=str(data), split="train", protocol="release"
    )
    tested = set(_images(captions))
    kept = [i for i, image in enumerate(_images(questions)) if image in tested]
    asked = questions.select(kept)
    kinds = [question_type(messages[0]["content"]) for messages in asked["messages"]]
    # RSIVQA has no question types; a total over all would hide that most questions are easy.
    typed = asked.remove_columns("question_type").add_column("question_type", kinds)
    return {"captions": captions, "questions": typed}


def _images(rows: Any) -> list[str]:
    undecoded = rows.select_columns("images").with_format("arrow")[:]["images"].to_pylist()
    return [Path(images[0]["path"]).name for images in undecoded]


def question_type(question: str) -> str:
    """What a question of RSIVQA is about: scene, location, count or presence."""
    words = {"theme of": "scene", "location of": "location", "how many": "count"}
    return next((kind for word, kind in words.items() if word in question.lower()), "presence")


def write_table(out: Path) -> None:
    """Print the table of the rows that are done, and write the report of all they said."""
    done = [row for row in ROWS if all(_is_whole(out / row / f"{task}.jsonl") for task in _TASKS)]
    names = [name for task in _TASKS for name in _MEASURES[task]]
    lines = [
        ["", *names],
        ["---"] * (len(names) + 1),
        *([row, *_scores(out / row)] for row in done),
    ]
    sys.stdout.write("".join(f"| {' | '.join(line)} |\n" for line in lines))
    files = [out / row / f"{task}.jsonl" for row in done for task in _TASKS]
    logs = [out / row / "trainer_state.json" for row in done if row != "before"]
    if done:
        report(files, out / "report.html", logs[-1] if logs else None)
        sys.stdout.write(f"Report: {out / 'report.html'}\n")


def _is_whole(file: Path) -> bool:
    return file.is_file() and score(file)["missing"] == 0


def _scores(folder: Path) -> list[str]:
    values = {task: score(folder / f"{task}.jsonl")["scores"] for task in _TASKS}
    return [f"{values[task][key]:.3f}" for task in _TASKS for key in _MEASURES[task].values()]


if __name__ == "__main__":
    sys.exit(main())
