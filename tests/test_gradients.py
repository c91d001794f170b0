"""What is trained is what gets a gradient, with every method."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import CPU_TRAINING

pytest.importorskip("trl")

import tiny_families
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import TrainerCallback

from rs_gpt4v_training.arguments import parse
from rs_gpt4v_training.parts import PARTS, FrozenVision
from rs_gpt4v_training.recipe import recipe_path
from rs_gpt4v_training.sft import make_trainer, train

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")

METHODS: dict[str, list[str]] = {
    "all parts": [],
    "LLaVA's": ["--train", "language", "projector"],
    "vision": ["--train", "vision"],
    "lora": ["--use_peft", "--lora_modules_to_save", "multi_modal_projector"],
    "lora on all": ["--use_peft", "--lora_target_modules", "all-linear"],
    "vision in full": ["--use_peft", "--lora_modules_to_save", "vision_tower"],
    "moe token": ["--use_moe_lora"],
    "moe top_k": ["--use_moe_lora", "--routing", "top_k"],
    "moe task": ["--use_moe_lora", "--routing", "task"],
    "moe on vision": ["--use_moe_lora", "--lora_target_modules", "q_proj", "v_proj"],
}


def trainer_of(path: Path, releases: Path, folder: Path, *flags: str) -> Any:
    fields = {
        "datasets": ["vqa_lr"],
        "data_dir": str(releases),
        "max_rows": 4,
        "model_name_or_path": str(path),
        "output_dir": str(folder / "out"),
        "box_format": "llava",
        **CPU_TRAINING,
    }
    recipe = folder / "recipe.yaml"
    recipe.write_text(json.dumps(fields))
    return make_trainer(*parse([str(recipe), *flags]))


def trained_and_reached(trainer: Any) -> tuple[set[str], set[str]]:
    """The names of what is trained, and of what a step gives a gradient."""
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.compute_loss(trainer.model, trainer._prepare_inputs(batch)).backward()
    named = dict(trainer.model.named_parameters())
    trained = {name for name, p in named.items() if p.requires_grad}
    return trained, {name for name, p in named.items() if p.grad is not None}


@pytest.mark.parametrize("method", METHODS)
def test_what_is_trained_gets_a_gradient(
    tiny_llava: Path, releases: Path, tmp_path: Path, method: str
) -> None:
    trainer = trainer_of(tiny_llava, releases, tmp_path, *METHODS[method])
    trained, reached = trained_and_reached(trainer)
    assert trained == reached
    assert trained
    assert not any("vision_model.encoder.layers.1" in name for name in trained)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("family", ["llava_next", "idefics3", "paligemma", "qwen2_5_vl", "smolvlm"])
def test_so_it_is_in_other_families(family: str, releases: Path, tmp_path: Path) -> None:
    try:
        tiny_families.build(family, tmp_path / "model")
    except ImportError as error:
        pytest.skip(str(error))
    trained, reached = trained_and_reached(trainer_of(tmp_path / "model", releases, tmp_path))
    assert trained == reached
    assert trained


def test_the_log_says_what_is_not_trained(
    tiny_llava: Path, releases: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer_of(tiny_llava, releases, tmp_path)
    said = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert (
        "not trained, as no gradient gets there: model.vision_tower.encoder.layers.1, "
        "model.vision_tower.post_layernorm"
    ) in said


def test_the_papers_recipe_has_either_reading() -> None:
    argv = [str(recipe_path("llava15_7b_full")), "--output_dir", "x", "--use_cpu"]
    assert parse(argv)[1].train == ["language", "projector"]
    assert parse([*argv, "--train", "language", "projector", "vision"])[1].train == [*PARTS]
    assert parse(argv)[1].tf32 is None  # which the recipe has, and a CPU has not


ON_FSDP2 = """
import shutil, sys, torch
import accelerate.state
from accelerate.utils import DistributedType
from rs_gpt4v_training.sft import leave_process_group, main

State = accelerate.state.PartialState  # which shares out weights over GPUs alone
backend = State._prepare_backend
State._prepare_backend = lambda *given: (backend(*given)[0], DistributedType.MULTI_GPU)
State.set_device = lambda self: setattr(self, "device", torch.device("cpu"))
torch.distributed.init_process_group("gloo")
recipe, whole, begun = sys.argv[1:]
main([recipe, "--output_dir", whole])
if torch.distributed.get_rank() == 0:
    shutil.copytree(f"{whole}/checkpoint-1", f"{begun}/checkpoint-1")
torch.distributed.barrier()
main([recipe, "--output_dir", begun, "--resume"])
leave_process_group()
"""


def test_training_of_all_parts_resumes_on_fsdp2(
    tiny_llava: Path, releases: Path, tmp_path: Path
) -> None:
    """It refuses a checkpoint without a state of the optimizer for all that is trained."""
    fields = {
        "datasets": ["vqa_lr"],
        "data_dir": str(releases),
        "max_rows": 8,
        "model_name_or_path": str(tiny_llava),
        "max_steps": 2,
        "per_device_train_batch_size": 1,
        "weight_decay": 0.1,
        **CPU_TRAINING,
        "save_strategy": "steps",
        "save_steps": 1,
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(fields))
    (tmp_path / "on_fsdp2.py").write_text(ON_FSDP2)
    environment = {
        "ACCELERATE_USE_CPU": "true",
        "ACCELERATE_USE_FSDP": "true",
        "FSDP_VERSION": "2",
        "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
        "FSDP_TRANSFORMER_CLS_TO_WRAP": "LlamaDecoderLayer,CLIPEncoderLayer",
        "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
        "OMP_NUM_THREADS": "1",
    }
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    paths = [str(tmp_path / name) for name in ("on_fsdp2.py", "recipe.yaml", "whole", "begun")]
    done = subprocess.run(
        [*launch, "--standalone", *paths],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "whole/checkpoint-1/pytorch_model_fsdp.bin").is_file()
    whole, begun = (tmp_path / name / "model.safetensors" for name in ("whole", "begun"))
    assert whole.read_bytes() == begun.read_bytes()


class KeepGradients(TrainerCallback):
    """Keeps what the first step gives the optimizer."""

    def __init__(self) -> None:
        self.kept: dict[str, torch.Tensor] = {}

    def on_pre_optimizer_step(self, *_args: Any, model: Any, **_kwargs: Any) -> None:
        named = model.named_parameters()
        self.kept = {name: p.grad.clone() for name, p in named if p.grad is not None}


class Step(NamedTuple):
    """A step with checkpointing."""

    gradients: dict[str, torch.Tensor]
    operations: int
    runs: int  # of the vision tower's first layer
    has_graph: bool  # of the features of images


def step(trainer: Any) -> Step:
    keep = KeepGradients()
    trainer.add_callback(keep)
    of_name = dict(trainer.model.named_modules())
    (layer,) = (
        of_name[name]
        for name in of_name
        if name.endswith("vision_tower.encoder.layers.0.self_attn")
    )
    (tower,) = (of_name[name] for name in of_name if name.endswith(".vision_tower"))
    runs: list[bool] = []
    features: list[bool] = []
    layer.register_forward_pre_hook(lambda *_: runs.append(True))
    tower.register_forward_hook(lambda *given: features.append(given[2][0].requires_grad))
    with FlopCounterMode(display=False) as counter:
        trainer.train()
    return Step(keep.kept, counter.get_total_flops(), len(runs), any(features))


CHECKPOINTED = ["--gradient_checkpointing", "--max_steps", "1", "--lora_dropout", "0"]
FROZEN = {name: METHODS[name] for name in ("LLaVA's", "lora", "moe token", "moe top_k")}


@pytest.mark.filterwarnings("ignore:.*use_reentrant:UserWarning")
@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("method", FROZEN)
def test_backward_ends_before_a_frozen_tower(
    tiny_llava: Path, releases: Path, tmp_path: Path, method: str, reentrant: bool
) -> None:
    """Transformers lets it run again and backward, and the gradients are the same without."""
    kwargs = ["--gradient_checkpointing_kwargs", json.dumps({"use_reentrant": reentrant})]
    flags = [*FROZEN[method], *CHECKPOINTED, *kwargs]
    theirs = step(trainer_of(tiny_llava, releases, tmp_path, *flags))
    trainer = trainer_of(tiny_llava, releases, tmp_path, *flags)
    trainer.add_callback(FrozenVision())
    ours = step(trainer)
    assert ours.gradients.keys() == theirs.gradients.keys()
    assert ours.gradients
    assert all(own.equal(theirs.gradients[name]) for name, own in ours.gradients.items())
    assert (theirs.runs, theirs.has_graph) == (2, True)
    assert (ours.runs, ours.has_graph) == (1, False)
    assert ours.operations < theirs.operations


@pytest.mark.parametrize("method", ["lora on all", "vision in full", "moe on vision"])
def test_a_tower_that_is_trained_gets_its_gradients(
    tiny_llava: Path, releases: Path, tmp_path: Path, method: str
) -> None:
    trainer = trainer_of(tiny_llava, releases, tmp_path, *METHODS[method], *CHECKPOINTED)
    trainer.add_callback(FrozenVision())
    keep = KeepGradients()
    trainer.add_callback(keep)
    trainer.train()
    trained = {name for name, p in trainer.model.named_parameters() if p.requires_grad}
    assert keep.kept.keys() == trained
    assert any("vision_tower" in name for name in trained)


def test_the_embedded_model_trains_with_checkpointing_as_without(tmp_path: Path) -> None:
    """Its tower's embeddings are no tensor, which transformers' checkpointing takes them for."""
    flags = ["--mixture", "{}", "--max_rows", "16", "--max_steps", "1", "--logging_steps", "1"]
    logged = []
    for switch in ("true", "false"):
        out = ["--output_dir", str(tmp_path / switch), "--gradient_checkpointing", switch]
        trainer = train(
            *parse([str(recipe_path("demo_lora")), "--datasets", "vqa_lr", *flags, *out])
        )
        logged.append(trainer.state.log_history[0])
    for name in ("loss", "grad_norm"):
        assert logged[0][name] == pytest.approx(logged[1][name], rel=1e-4)
