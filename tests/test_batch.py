"""The global batch is what the recipe says, on any number of processes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import CPU_TRAINING

pytest.importorskip("trl")

import torch
import torch.distributed as dist
from torch import nn

from rs_gpt4v_training import sft
from rs_gpt4v_training.arguments import parse
from rs_gpt4v_training.batch import accumulation_steps
from rs_gpt4v_training.recipe import RecipeError
from rs_gpt4v_training.sft import main

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")
FLAGS = ["--output_dir", "out", "--use_cpu", "--bf16", "false"]


@pytest.mark.parametrize(
    ("per_device", "processes", "steps"), [(1, 1, 64), (16, 4, 1), (8, 4, 2), (64, 1, 1)]
)
def test_rows_a_step_do_not_depend_on_the_machine(
    per_device: int, processes: int, steps: int
) -> None:
    assert accumulation_steps(64, per_device, processes) == steps


def test_remainder_is_refused_with_what_would_fit() -> None:
    with pytest.raises(RecipeError, match=r"by 3 processes; take 63 or 66"):
        accumulation_steps(64, 8, 3)
    with pytest.raises(RecipeError, match=r"batch_size can be 1, 2, 4, 8, 16, 32$"):
        accumulation_steps(64, 5, 2)


def test_recipe_sets_the_accumulation() -> None:
    _, training, _ = parse([*FLAGS, "--global_batch_size", "64"])
    assert training.gradient_accumulation_steps * training.per_device_train_batch_size == 64


def test_two_words_on_the_same_matter_are_refused() -> None:
    with pytest.raises(RecipeError, match="each decides the other"):
        parse([*FLAGS, "--global_batch_size", "64", "--gradient_accumulation_steps", "2"])


def test_fewer_processes_than_asked_for_are_refused() -> None:
    with pytest.raises(RecipeError, match="2 processes were asked for and 1 run"):
        parse([*FLAGS, "--expected_processes", "2"])


ADAPTERS = {"full": {}, "moe": {"use_moe_lora": True, "lora_r": 8, "lora_dropout": 0.0}}
TRAIN_EACH = """
import sys
from rs_gpt4v_training.sft import leave_process_group, main
for recipe in sys.argv[1:]:
    main([f"{recipe}.yaml", "--output_dir", f"{recipe}-2", "--expected_processes", "2"])
leave_process_group()
"""


def test_two_processes_learn_as_one_that_accumulates(
    tiny_llava: Path, releases: Path, tmp_path: Path
) -> None:
    for name, adapter in ADAPTERS.items():
        fields: dict[str, Any] = {
            "datasets": ["vqa_lr", "cap_ucm"],
            "data_dir": str(releases),
            "max_rows": 32,
            "model_name_or_path": str(tiny_llava),
            "max_steps": 6,
            "global_batch_size": 8,
            "per_device_train_batch_size": 4,
            "learning_rate": 0.005,
            "logging_steps": 1,
            **CPU_TRAINING,
            **adapter,
        }
        recipe = tmp_path / f"{name}.yaml"
        recipe.write_text(json.dumps(fields))
        main([str(recipe), "--output_dir", str(tmp_path / f"{name}-1")])
    script = tmp_path / "train_each.py"
    script.write_text(TRAIN_EACH)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launch, "--standalone", str(script), *(str(tmp_path / name) for name in ADAPTERS)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name in ADAPTERS:
        one, two = (losses(tmp_path / f"{name}-{processes}") for processes in (1, 2))
        # float32 sums in another order, and training spreads the difference.
        assert two == pytest.approx(one, rel=1e-4), name
        assert len(one) == 6


def losses(out: Path) -> list[float]:
    log = json.loads((out / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in log if "loss" in entry]


def test_no_thread_of_the_process_group_outlives_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a thread aborts the process when it meets the interpreter's end."""

    def train_in_a_group() -> int:
        init = f"file://{tmp_path / 'store'}"
        dist.init_process_group("gloo", init_method=init, rank=0, world_size=1)
        model = nn.parallel.DistributedDataParallel(nn.Linear(2, 2))
        model(torch.ones(1, 2)).sum().backward()
        vars(model)["itself"] = model  # as models and their hooks refer to each other
        return len(list_group_threads())

    seen = []
    monkeypatch.setattr(sft, "main", lambda: seen.append(train_in_a_group()))
    assert sft.run() == 0
    assert not dist.is_initialized()
    if Path("/proc/self/task").is_dir():
        assert seen[0] > 0
        assert list_group_threads() == []


def list_group_threads() -> list[str]:
    names = (path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm"))
    return [name for name in names if "gloo" in name]
