"""LoRA or MoE-LoRA? The same parameters, rows, order and seeds; three tasks in one model.

    python training/examples/small_vlm/compare.py --data-dir /data/rs
    python training/examples/small_vlm/compare.py --only mixture --seeds 3 4 --data-dir /data/rs
    python training/examples/small_vlm/compare.py --only table

Each arm starts from one base: the small model of `assemble.py` with 16 tokens an image, which has
learned to describe UC Merced's training images. It is then trained on captions, questions and scene
classes together, seed by seed, and answers the test images. LoRA is also trained on each task
alone, and by rewards (GRPO) after the mixture. What is there already is not done again. Needs the
releases UCM-Captions and RSIVQA in ``--data-dir``.
"""

import argparse
import gc
import itertools
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import torch
from assemble import assemble
from run import held_out_rows, link_releases
from safetensors.torch import load_file

from rs_gpt4v import NAME
from rs_gpt4v.bootstrap import Sums, paired
from rs_gpt4v_evaluation.predict import Predictor, describe, predict
from rs_gpt4v_evaluation.predict.blind import blind_rows
from rs_gpt4v_evaluation.predict.predictions import read_predictions
from rs_gpt4v_evaluation.score import images, tasks_of
from rs_gpt4v_evaluation.score.most_frequent import most_frequent
from rs_gpt4v_training import grpo, merge
from rs_gpt4v_training.arguments import parse
from rs_gpt4v_training.moe_lora import expert_use, is_moe_lora, plot_expert_use, use_task
from rs_gpt4v_training.sft import train

_ROWS = {"cap_ucm": 240, "vqa_rsivqa": 240, "scene_ucm": 80}
"""Of each config in the mixture: 70 steps of eight."""

_MOE_LORA = {"use_moe_lora": True, "num_experts": 4, "lora_r": 32}
ARMS: dict[str, dict[str, Any]] = {
    # Two ranks more than the experts have together: as many parameters as their routers.
    "LoRA": {"use_peft": True, "lora_r": 34, "lora_alpha": 68},
    # An expert's update is weighed by its gate, on average 1/4 (1/2 of the two that are chosen):
    # with these scales the update of all experts together is as large as LoRA's.
    "MoE-LoRA, token": {**_MOE_LORA, "lora_alpha": 256},
    "MoE-LoRA, top-2": {**_MOE_LORA, "routing": "top_k", "lora_alpha": 128},
    "MoE-LoRA, task": {**_MOE_LORA, "routing": "task", "lora_alpha": 256},
    # A control: is it the experts, or the size of the update?
    "LoRA, half-scale": {"use_peft": True, "lora_r": 34, "lora_alpha": 34},
}
_MEASURES = {
    "captions": {"CIDEr": "cider", "BLEU-4": "bleu_4"},
    "questions": {
        "presence": "accuracy_presence",
        "count": "accuracy_count",
        "location": "accuracy_location",
        "theme": "accuracy_scene",
        "all questions": "oa",
    },
    "scenes": {"scenes": "oa"},
}
_TEST = {
    "captions": ("cap_ucm", "test", "paper"),
    "questions": ("vqa_rsivqa", "train", "release"),
    "scenes": ("scene_ucm", "test", "paper"),
}
_LONGEST_REPLY = {"captions": 24, "questions": 6, "scenes": 6}  # in tokens; true ones have 3
_TASK_OF = {config: task for task, (config, *_) in _TEST.items()}
_STEPS = ("mixture", "single", "grpo", "table")
_RECIPE = Path(__file__).with_name("compare.yaml")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("RS_GPT4V_DATA", "."))
    parser.add_argument("--out", type=Path, default=Path("outputs/compare"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", choices=ARMS, nargs="+", default=list(ARMS))
    parser.add_argument("--only", choices=_STEPS, nargs="+")
    given = parser.parse_args(argv)
    steps = given.only or _STEPS
    if steps != ["table"]:
        make_base(Path(given.data_dir), given.out)
    if "mixture" in steps:
        for seed in given.seeds:
            for arm in given.arms:
                fill(arm, seed, given.out)
    if "single" in steps:
        fill_single_tasks(given.seeds, given.out)
    if "grpo" in steps:
        fill_grpo(given.out)
    if "table" in steps:
        write_tables(given.out, given.seeds)
    return 0


def make_base(releases: Path, out: Path) -> None:
    """The model that every arm starts from: it has read 2,880 captions of training images."""
    link_releases(releases, out / "data")
    if not (out / "assembled").is_dir():
        assemble(out / "assembled", out / "wheels", patch_size=64)
    if (out / "base").is_dir():
        return
    flags = {
        **ARMS["LoRA"],
        "lora_r": 64,
        "lora_alpha": 128,
        "lora_modules_to_save": ["multi_modal_projector"],
        "projector_learning_rate": 2e-3,
        "datasets": ["cap_ucm"],
        "max_rows": 2880,
        "per_device_train_batch_size": 16,
        "group_by_length": False,
        "seed": 100,
    }
    if not (out / "aligned" / "trainer_state.json").is_file():
        fit(out / "assembled", out / "aligned", out / "data", flags)
    unfinished = out / "base.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    merge(
        str(out / "aligned"),
        unfinished,
        str(out / "assembled"),
        dtype="bfloat16",
        trust_remote_code=True,
    )
    unfinished.rename(out / "base")


def fill(arm: str, seed: int, out: Path, only: str | None = None) -> Path:
    """Train an arm, of one config ``only`` if named, and let it answer: its folder."""
    folder = folder_of(arm, seed, out, only)
    flags = {
        "datasets": [only] if only else list(_ROWS),
        "max_rows": _ROWS[only] if only else max(_ROWS.values()),
        "seed": seed,
    }
    if not only:
        most = max(_ROWS.values())
        flags["mixture"] = json.dumps({name: n / most for name, n in _ROWS.items()})
    if not (folder / "trainer_state.json").is_file():
        fit(out / "base", folder, out / "data", ARMS[arm] | flags)
    answer(folder, out, [_TASK_OF[only]] if only else list(_MEASURES), blind=seed == 0 and not only)
    return folder


def folder_of(arm: str, seed: int, out: Path, only: str | None = None) -> Path:
    """Where a run is kept."""
    return out / "-".join([*arm.split(", "), *([only] if only else []), str(seed)])


def fill_single_tasks(seeds: Sequence[int], out: Path) -> None:
    """No training at all, and LoRA on each task alone, on the rows that the mixture has of it."""
    answer(out / "before", out, list(_MEASURES), blind=False)
    for seed, config in itertools.product(seeds, _ROWS):
        fill("LoRA", seed, out, only=config)


def fit(model: Path, folder: Path, data: Path, flags: dict[str, Any]) -> None:
    """Train by `compare.yaml` and these ``flags``."""
    train(*parse(_words(_RECIPE, model, folder, data, flags)))
    gc.collect()  # the trainer and its model refer to each other


def _words(recipe: Path, model: Path, folder: Path, data: Path, flags: dict[str, Any]) -> list[str]:
    flags = {**flags, "data_dir": data, "model_name_or_path": model, "output_dir": folder}
    words = [str(recipe)]
    for name, value in flags.items():
        words += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    return words


def fill_grpo(out: Path) -> None:
    """GRPO on the questions, after LoRA on the mixture."""
    folder = out / "GRPO"
    if not (folder / "trainer_state.json").is_file():
        flags = {"adapter": folder_of("LoRA", 0, out)}
        recipe = _RECIPE.with_name("compare_grpo.yaml")
        grpo.main(_words(recipe, out / "base", folder, out / "data", flags))
    answer(folder, out, ["questions"], blind=True)


def answer(folder: Path, out: Path, tasks: Sequence[str], *, blind: bool) -> None:
    """Reply to the test rows, and also with a grey image in place of theirs."""
    adapter = str(folder) if (folder / "adapter_config.json").is_file() else None
    predictor = Predictor(
        str(out / "base"),
        adapter,
        trust_remote_code=True,
        route=use_task if adapter and is_moe_lora(adapter) else None,
    )
    _use_bfloat16(predictor)
    all_rows = test_rows(out / "data")
    for task in tasks:
        rows = all_rows[task]
        config, split, protocol = _TEST[task]
        shown = {task: rows} | ({f"{task}-grey": blind_rows(rows, "grey")} if blind else {})
        for name, asked in shown.items():
            described = describe(
                asked,
                config=config,
                split=split,
                protocol=protocol,
                box_format=predictor.box_format,
            )
            brief = predictor.with_longest_reply(_LONGEST_REPLY[task])
            predict(brief, asked, described, folder / f"{name}.jsonl", batch_size=42)


def _use_bfloat16(predictor: Predictor) -> None:
    """Answer as the model was trained, in half the time of float32."""
    model: Any = predictor.model.to(torch.bfloat16)
    # Of hidden states with gaps, PyTorch multiplies each row by a copy of the vocabulary.
    model.get_output_embeddings().register_forward_pre_hook(lambda _, args: (args[0].contiguous(),))


def test_rows(data: Path) -> dict[str, datasets.Dataset]:
    """Captions, questions and scene classes of UCM-Captions' 210 test images."""
    scenes = datasets.load_dataset(NAME, "scene_ucm", data_dir=str(data), split="test")
    return {**held_out_rows(data), "scenes": scenes}


class Replies(NamedTuple):
    """What an arm is worth on one task, over its seeds.

    Attributes:
        by_seed: The sums of each seed.
        pooled: Those of all seeds below one another, whose scores are near the means over seeds.
        images: What each pooled row is about.
    """

    by_seed: list[Sums]
    pooled: Sums
    images: list[str]


def write_tables(out: Path, seeds: Sequence[int]) -> None:
    """Print what each arm scores, how far it is from LoRA, and what the image is worth."""
    done = {
        arm: own
        for arm in ARMS
        if (own := [s for s in seeds if is_answered(folder_of(arm, s, out))])
    }
    for title, rows in (
        ("Scores of so many seeds: their mean (lowest to highest)", scores_table(done, out)),
        ("Difference from LoRA with the same seeds, 95 % interval", differences_table(done, out)),
        ("With a grey image (seed 0), and the most frequent answer", blind_table(done, out)),
        ("LoRA on one task, minus LoRA on the mixture", single_table(seeds, out)),
        ("GRPO on questions, after LoRA on the mixture (seed 0)", grpo_table(out)),
        ("What was trained", cost_table(done, out)),
        ("Share of an expert's load that differs between two tasks", use_table(done, out)),
    ):
        head, *lines = [*rows] or [[]]
        if lines:
            table = [head, ["---"] * len(head), *lines]
            text = "".join(f"| {' | '.join(line)} |\n" for line in table)
            sys.stdout.write(f"\n{title}\n\n{text}")


def is_answered(folder: Path, tasks: Sequence[str] = ()) -> bool:
    """Whether the test rows of these tasks, by default of all, have replies."""
    return all((folder / f"{task}.jsonl").is_file() for task in tasks or _MEASURES)


def replies_of(folders: Sequence[Path], name: str) -> Replies:
    """What the replies to one task in each of ``folders`` are worth."""
    tasks = [
        tasks_of(read_predictions(folder / f"{name}.jsonl"), f"{folder}/{name}.jsonl")[0]
        for folder in folders
    ]
    sums = [task.measured.sums for task in tasks]
    pooled = sums[0]._replace(rows=np.vstack([own.rows for own in sums]))
    return Replies(sums, pooled, [image for task in tasks for image in images(task.rows)])


def scores_table(done: dict[str, list[int]], out: Path) -> Iterator[list[str]]:
    """Rows of text: the mean of each measure over the seeds, and its range."""
    yield ["", *_names()]
    runs = {arm: [folder_of(arm, seed, out) for seed in seeds] for arm, seeds in done.items()}
    if is_answered(out / "before"):
        runs = {"before": [out / "before"]} | runs
    for arm, folders in runs.items():
        line = []
        for task, measures in _MEASURES.items():
            replies = replies_of(folders, task)
            totals = [own.total() for own in replies.by_seed]
            for key in measures.values():
                values = [total[key] for total in totals]
                spread = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
                line.append(f"{np.mean(values):.3f}{spread}")
        yield [f"{arm} ({len(folders)})", *line]


def differences_table(done: dict[str, list[int]], out: Path) -> Iterator[list[str]]:
    """Rows of text: each arm minus LoRA, both on the same drawn images with all their seeds."""
    yield ["", *_names()]
    for arm in [arm for arm in done if arm != "LoRA" and "LoRA" in done]:
        seeds = [seed for seed in done[arm] if seed in done["LoRA"]]
        yield [
            arm,
            *_minus(
                [folder_of(arm, seed, out) for seed in seeds],
                [folder_of("LoRA", seed, out) for seed in seeds],
                _MEASURES,
            ),
        ]


def _minus(folders: list[Path], others: list[Path], tasks: dict[str, Any]) -> Iterator[str]:
    for task, measures in tasks.items():
        first, second = replies_of(others, task), replies_of(folders, task)
        tests = paired(first.pooled, second.pooled, first.images)
        for key in measures.values():
            test = tests[key]
            yield f"{test.difference:+.3f} ({test.low:+.3f} to {test.high:+.3f})"


def blind_table(done: dict[str, list[int]], out: Path) -> Iterator[list[str]]:
    """Rows of text: the scores of a grey image, and of always giving the most frequent answer."""
    yield ["", *_names()]
    for arm in [arm for arm, seeds in done.items() if 0 in seeds]:
        folder, line = folder_of(arm, 0, out), []
        for task, measures in _MEASURES.items():
            total = replies_of([folder], f"{task}-grey").pooled.total()
            line += [f"{total[key]:.3f}" for key in measures.values()]
        yield [f"{arm}, grey", *line]
    if done:
        folder, line = folder_of("LoRA", 0, out), []
        for task, measures in _MEASURES.items():
            (own,) = tasks_of(read_predictions(folder / f"{task}.jsonl"), task)
            guess: Any = most_frequent(own.metric, own.rows)
            line += [f"{guess.scores[key]:.3f}" for key in measures.values()]
        yield ["most frequent answer", *line]


def single_table(seeds: Sequence[int], out: Path) -> Iterator[list[str]]:
    """Rows of text: what models of one task are better or worse at it than those of the mixture."""
    yield ["", "measure", "seeds", "one task", "mixture", "difference"]
    for config, task in _TASK_OF.items():
        pairs = [
            folders
            for seed in seeds
            if is_answered((folders := _single_and_mixture(config, seed, out))[0], [task])
            and is_answered(folders[1])
        ]
        if not pairs:
            continue
        alone, mixture = ([folders[side] for folders in pairs] for side in (0, 1))
        totals = [
            [own.total() for own in replies_of(side, task).by_seed] for side in (alone, mixture)
        ]
        differences = _minus(alone, mixture, {task: _MEASURES[task]})
        for (name, key), difference in zip(_MEASURES[task].items(), differences, strict=True):
            means = [f"{np.mean([own[key] for own in side]):.3f}" for side in totals]
            yield [config, name, str(len(pairs)), *means, difference]


def _single_and_mixture(config: str, seed: int, out: Path) -> tuple[Path, Path]:
    return folder_of("LoRA", seed, out, config), folder_of("LoRA", seed, out)


def grpo_table(out: Path) -> Iterator[list[str]]:
    """Rows of text: questions before and after, with their images and with grey ones."""
    before, after = folder_of("LoRA", 0, out), out / "GRPO"
    if not (after / "questions-grey.jsonl").is_file():
        return
    measures = _MEASURES["questions"]
    yield ["", *measures]
    for name, shown in (("", "questions"), (", grey", "questions-grey")):
        for title, folder in (("before", before), ("after", after)):
            total = replies_of([folder], shown).pooled.total()
            yield [title + name, *(f"{total[key]:.3f}" for key in measures.values())]
    yield ["difference", *_minus([after], [before], {"questions": measures})]


def use_table(done: dict[str, list[int]], out: Path) -> Iterator[list[str]]:
    """Rows of text: for each pair of tasks the mean over layers, 0 where both use the same experts.

    It is half the sum of the differences; `plot_expert_use` draws the loads, of the first seed.
    """
    logs = {
        arm: folder_of(arm, seeds[0], out) / "router_statistics.jsonl"
        for arm, seeds in done.items()
        if arm.startswith("MoE")
    }
    if not logs:
        return
    plot_expert_use({arm.partition(", ")[2]: log for arm, log in logs.items()}, out / "use.svg")
    uses = {arm: expert_use(log) for arm, log in logs.items()}
    pairs = list(itertools.combinations(sorted(next(iter(uses.values()))), 2))
    yield ["", *(" and ".join(pair) for pair in pairs)]
    for arm, use in uses.items():
        far = [np.abs(np.subtract(use[one], use[other])).sum(1).mean() / 2 for one, other in pairs]
        yield [arm, *(f"{value:.3f}" for value in far)]


def cost_table(done: dict[str, list[int]], out: Path) -> Iterator[list[str]]:
    """Rows of text: the parameters that an arm trains, its seconds and its last training loss."""
    yield ["", "trained parameters", "seconds a run", "training loss, last 20 steps"]
    for arm, seeds in done.items():
        folders = [folder_of(arm, seed, out) for seed in seeds]
        logs = [json.loads((f / "trainer_state.json").read_text())["log_history"] for f in folders]
        seconds = [log[-1]["train_runtime"] for log in logs]
        losses = [own for log in logs for own in [e["loss"] for e in log if "loss" in e][-2:]]
        yield [
            arm,
            f"{parameters(folders[0]):,}",
            f"{np.mean(seconds):.0f}",
            f"{np.mean(losses):.3f}" if losses else "-",
        ]


def parameters(folder: Path) -> int:
    """How many numbers an adapter holds."""
    return sum(own.numel() for own in load_file(folder / "adapter_model.safetensors").values())


def _names() -> list[str]:
    return [name for measures in _MEASURES.values() for name in measures]


if __name__ == "__main__":
    sys.exit(main())
