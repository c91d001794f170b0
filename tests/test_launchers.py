"""Two processes train as one does, and go on as if never stopped: by DDP and FSDP2, on a CPU.

`benchmarks/launchers.py` does the same for every method and launcher.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import CPU_TRAINING

pytest.importorskip("trl")

from safetensors.torch import load_file

from rs_gpt4v_training.sft import leave_process_group, main

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")

ADAPTER = {"lora_r": 4, "lora_modules_to_save": ["multi_modal_projector"]}
LORA = {**ADAPTER, "use_peft": True, "lora_dropout": 0}
TOP_K = {**ADAPTER, "use_moe_lora": True, "num_experts": 2, "routing": "top_k", "top_k": 1}
FULL = {"train": ["language", "projector"], "save_strategy": "no"}
RUNS: dict[str, tuple[dict[str, Any], str]] = {
    "lora": (LORA, "ddp"),
    "top_k": ({**TOP_K, "lora_dropout": 0.1}, "ddp"),
    "full": (FULL, "fsdp2"),
}
RESUMED = ["lora", "top_k"]
FSDP2 = {
    "ACCELERATE_USE_CPU": "false",  # with which accelerate knows DDP alone
    "ACCELERATE_TORCH_DEVICE": "cpu",
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_TRANSFORMER_CLS_TO_WRAP": "LlamaDecoderLayer,CLIPEncoderLayer",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
}


@pytest.fixture(scope="module")
def recipes(tiny_llava: Path, releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe for each of `RUNS`."""
    folder = tmp_path_factory.mktemp("recipes")
    for name, (method, _) in RUNS.items():
        fields = {
            **CPU_TRAINING,
            "use_cpu": False,  # the environment says so
            "dataloader_pin_memory": False,
            "datasets": ["vqa_lr", "cap_ucm"],
            "data_dir": str(releases),
            "max_rows": 8,
            "model_name_or_path": str(tiny_llava),
            "max_steps": 4,
            "save_strategy": "steps",
            "save_steps": 2,
            "per_device_train_batch_size": 1,
            "global_batch_size": 4,
            "learning_rate": 0.01,
            "logging_steps": 1,
            **method,
        }
        (folder / f"{name}.yaml").write_text(json.dumps(fields))
    return folder


@pytest.fixture(scope="module")
def two_processes(recipes: Path) -> Path:
    """The folder of `RUNS` by two processes."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*launch, __file__, str(recipes)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return recipes


def losses(out: Path) -> list[float]:
    log = json.loads((out / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in log if "loss" in entry]


@pytest.mark.parametrize("name", ["lora", "full"])
def test_two_processes_train_as_one(
    two_processes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """TRL reads the output layer's weight by itself; on FSDP2 its gradient must be of all rows."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    main([str(two_processes / f"{name}.yaml"), "--output_dir", str(tmp_path)])
    assert losses(two_processes / name) == pytest.approx(losses(tmp_path), abs=1e-4)


@pytest.mark.parametrize("name", RESUMED)
def test_two_processes_resume_to_the_same_weights(two_processes: Path, name: str) -> None:
    whole, resumed = two_processes / name, two_processes / f"{name} resumed"
    assert losses(resumed) == losses(whole)
    assert len(losses(whole)) == 4
    saved = [load_file(out / "adapter_model.safetensors") for out in (whole, resumed)]
    assert saved[0].keys() == saved[1].keys()
    assert all(saved[0][key].equal(saved[1][key]) for key in saved[0])
    if name == "top_k":
        routers = [key for key in saved[0] if "router" in key]
        assert len(routers) == 14  # of seven layers in each of two blocks
        logs = [(out / "router_statistics.jsonl").read_text() for out in (whole, resumed)]
        assert logs[0] == logs[1]


def _one_of_two_processes(recipes: Path) -> None:
    for name, (_, launcher) in RUNS.items():
        os.environ["ACCELERATE_USE_CPU"] = "true"
        if launcher == "fsdp2":
            _take_fsdp2()
        argv = [str(recipes / f"{name}.yaml"), "--expected_processes", "2", "--output_dir"]
        main([*argv, str(recipes / name)])
        if name in RESUMED:
            again = recipes / f"{name} resumed"
            if os.environ["RANK"] == "0":
                shutil.copytree(recipes / name, again)
                shutil.rmtree(again / "checkpoint-4")
            torch.distributed.barrier()
            main([*argv, str(again), "--resume"])


def _take_fsdp2() -> None:
    """Let accelerate take two processes on a CPU for two on GPUs."""
    from accelerate.state import PartialState
    from accelerate.utils import DistributedType

    os.environ.update(FSDP2)
    several: Any = lambda *_: ("gloo", DistributedType.MULTI_GPU)  # noqa: E731
    PartialState._prepare_backend = several


if __name__ == "__main__":
    import torch

    _one_of_two_processes(Path(sys.argv[1]))
    leave_process_group()
