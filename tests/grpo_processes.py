"""GRPO on several processes, for tests: ``torchrun tests/grpo_processes.py RECIPE OUT FLAGS...``.

The first run's replies follow from the question and the place in the batch alone, so that any
number of processes has the same. Then a run with replies of the model's own, which is resumed.
"""

import shutil
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist

from rs_gpt4v_training.grpo import Trainer, main


def fixed_replies(trainer: Any, prompt_ids: list[list[int]], *_: Any, **__: Any) -> Any:
    """In place of those that the model makes: from one token to four."""
    first = trainer.accelerator.process_index * len(prompt_ids)
    replies = []
    for place, ids in enumerate(prompt_ids, first % trainer.num_generations):
        number = sum(ids) + 7 * (place % trainer.num_generations)
        replies.append([5 + (number * k) % 300 for k in range(1, 2 + number % 4)])
    return replies, None


def train_with_fixed_replies(recipe: str, out: Path, flags: list[str]) -> None:
    """Train into ``out/fixed``."""
    with mock.patch.object(Trainer, "_generate_single_turn", fixed_replies):
        main([recipe, "--output_dir", str(out / "fixed"), *flags])


def train_and_resume(recipe: str, out: Path, flags: list[str]) -> None:
    """Train into ``out/whole``, and into ``out/cut`` from its first checkpoint on."""
    flags = [*flags, "--save_strategy", "steps", "--save_steps", "1"]
    main([recipe, "--output_dir", str(out / "whole"), *flags])
    if dist.get_rank() == 0:
        (out / "cut").mkdir()
        shutil.copytree(out / "whole" / "checkpoint-1", out / "cut" / "checkpoint-1")
    dist.barrier()
    main([recipe, "--output_dir", str(out / "cut"), *flags, "--resume"])


if __name__ == "__main__":
    torch.set_num_threads(1)
    arguments = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    train_with_fixed_replies(*arguments)
    train_and_resume(*arguments)
    dist.destroy_process_group()
