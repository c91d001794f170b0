"""What a run takes, told before it starts."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import numpy as np
import pytest

pytest.importorskip("trl")

import torch
from transformers import (
    AutoProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaModel,
)

import rs_gpt4v_training.dry_run
from rs_gpt4v import NAME
from rs_gpt4v_training.arguments import parse
from rs_gpt4v_training.dry_run import Machine, Plan, dry_run, plan, to_text
from rs_gpt4v_training.recipe import accelerate_path
from rs_gpt4v_training.row_checks import token_count, token_lengths
from rs_gpt4v_training.sft import make_trainer

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
]


FORGETS = """{%- for message in messages -%}{%- for part in message['content'] -%}
{{- '<image>' if part['type'] == 'image' else part['text'] + (messages | length | string) -}}
{%- endfor -%}{{- eos_token -}}{%- endfor -%}"""


def arguments(model: Path, releases: Path, **fields: Any) -> list[str]:
    given = {
        "output_dir": "out",
        "datasets": ["vqa_lr", "conversation"],
        "data_dir": str(releases),
        "model_name_or_path": str(model),
        "bf16": True,
        "dtype": "bfloat16",
    }
    path = model.parent / "dry_run.yaml"
    path.write_text(json.dumps(given | fields))
    return [str(path)]


def planned(argv: list[str], machine: Machine | None = None) -> Plan:
    return plan(*parse([*argv, "--use_cpu"]), machine or Machine())


@pytest.fixture(scope="module")
def llava_7b(tiny_llava: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of LLaVA-1.5-7B, without weights, and a small processor."""
    path = tmp_path_factory.mktemp("llava_7b") / "model"
    shutil.copytree(tiny_llava, path, ignore=shutil.ignore_patterns("*.safetensors"))
    vision = CLIPVisionConfig(
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=24,
        num_attention_heads=16,
        image_size=336,
        patch_size=14,
        projection_dim=768,
    )
    text = LlamaConfig(
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=32,
        num_attention_heads=32,
        vocab_size=32064,
    )
    LlavaConfig(vision_config=vision, text_config=text).save_pretrained(path)
    return path


def test_rows_steps_and_batch(tiny_llava: Path, releases: Path) -> None:
    argv = arguments(tiny_llava, releases, global_batch_size=8, per_device_train_batch_size=2)
    found = planned(argv, Machine(processes=2))
    rows = sum(
        len(datasets.load_dataset(NAME, name, split="train", data_dir=str(releases)))
        for name in ("vqa_lr", "conversation")
    )
    assert (found.rows, found.batch, found.steps) == (rows, 8, 3 * -(-rows // 8))
    assert found.shared == "2 a device x 2 processes x 2 accumulated"
    assert planned([*argv, "--max_steps", "5"]).steps == 5
    assert planned([*argv, "--num_train_epochs", "1"], Machine(processes=4)).steps == -(-rows // 8)
    assert not found.problems


@pytest.fixture
def no_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Activations are none: seven billion parameters take a step in seconds."""
    monkeypatch.setattr(rs_gpt4v_training.dry_run, "step_bytes", lambda *_: 0)
    monkeypatch.setattr(rs_gpt4v_training.dry_run, "freeze_without_gradient", lambda *_: None)


@pytest.mark.usefixtures("no_step")
def test_parameters_and_memory_of_seven_billion(llava_7b: Path, releases: Path) -> None:
    """The numbers of parameters are those of the real checkpoint with rank 128 on 7 linears."""
    lora = {"use_peft": True, "lora_r": 128, "lora_modules_to_save": ["multi_modal_projector"]}
    found = planned(arguments(llava_7b, releases, **lora))
    assert found.trained == 319_815_680 + 20_979_712
    assert found.memory.weights == pytest.approx(14.4, abs=0.1)
    assert found.memory.optimizer == pytest.approx(2 * found.memory.gradients)
    four_bit = planned(arguments(llava_7b, releases, load_in_4bit=True, bf16=False, **lora))
    # 6.5 of 7.1 billion take 4.5 bits each; the adapter and the projector's copy stay as they are.
    assert found.memory.weights - four_bit.memory.weights == pytest.approx(8.67, abs=0.05)
    assert four_bit.memory.gradients == found.memory.gradients
    # Where the run is in bfloat16, TRL trains in it over quantised weights.
    half = planned(arguments(llava_7b, releases, load_in_4bit=True, bf16=True, **lora))
    assert half.memory.gradients == pytest.approx(four_bit.memory.gradients / 2, rel=0.07)
    full = planned(arguments(llava_7b, releases))
    assert full.trained == full.parameters == 7_063_427_072
    shared = planned(arguments(llava_7b, releases), Machine.read(accelerate_path("zero3")))
    assert shared.memory.weights == full.memory.weights / 4
    states = planned(arguments(llava_7b, releases), Machine.read(accelerate_path("zero2")))
    assert states.memory.weights == full.memory.weights
    assert states.memory.optimizer == full.memory.optimizer / 4


@pytest.mark.usefixtures("no_step")
def test_full_training_of_seven_billion_does_not_fit_one_gpu(
    llava_7b: Path, releases: Path
) -> None:
    argv = arguments(llava_7b, releases, dtype="float32")  # the recipe's
    one = Machine.read(accelerate_path("single_gpu"), 80)
    (problem,) = planned(argv, one).problems
    assert "about 105.3 GB a GPU do not fit 80.0 GB" in problem
    assert "alone are 105.3 GB" in problem
    assert "--accelerate zero3 or fsdp2" in problem
    assert "use_peft" in problem
    assert "per_device_train_batch_size" not in problem  # no batch would fit
    assert "PROBLEM     about 105.3 GB" in dry_run(
        argv, accelerate_path("single_gpu"), gpu_memory=80
    )
    assert not planned(argv, Machine.read(accelerate_path("zero3"), 80)).problems
    assert not planned([*argv, "--use_peft", "true", "--lora_r", "8"], one).problems
    assert not planned(argv, Machine.read(accelerate_path("single_gpu"), 141)).problems


def test_what_gets_no_gradient_is_not_counted(tiny_llava: Path, releases: Path) -> None:
    argv = arguments(tiny_llava, releases, bf16=False, max_rows=4)
    trained = [*make_trainer(*parse([*argv, "--use_cpu"])).model.parameters()]
    count = sum(parameter.numel() for parameter in trained if parameter.requires_grad)
    assert planned(argv).trained == count < sum(parameter.numel() for parameter in trained)


def test_activations_too_large_are_told_apart(
    tiny_llava: Path, releases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rs_gpt4v_training.dry_run, "step_bytes", lambda *_: 50 * 1024**3)
    argv = arguments(tiny_llava, releases, use_peft=True, gradient_checkpointing=False)
    (problem,) = planned(argv, Machine(gpu_memory=24)).problems
    assert "activations are 50.0 GB" in problem
    assert "gradient_checkpointing: true, or a smaller per_device_train_batch_size" in problem


def test_without_a_gpu_nothing_is_said_of_fitting(
    tiny_llava: Path, releases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = arguments(tiny_llava, releases)
    assert "there is no GPU here" in dry_run(argv)
    assert dry_run(argv, gpu_memory=16).endswith("nothing found that would fail on GPUs of 16.0 GB")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    sizes = [SimpleNamespace(total_memory=size * 1024**3) for size in (80, 24)]
    monkeypatch.setattr(torch.cuda, "get_device_properties", sizes.__getitem__)
    assert Machine.read(None).gpu_memory == 24  # the smaller of two that are here


def test_a_model_that_asks_for_values_is_named(
    tiny_llava: Path, releases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asks(*_: Any, **__: Any) -> Any:
        raise RuntimeError("aten._local_scalar_dense.default")

    monkeypatch.setattr(LlavaModel, "forward", asks)
    argv = arguments(tiny_llava, releases, use_peft=False)
    found = planned(argv, Machine(gpu_memory=24))
    assert np.isnan(found.memory.activations)
    assert "activations unknown" in to_text(found)


def test_checkpointing_saves_activations(tiny_llava: Path, releases: Path) -> None:
    with_it, without = (
        planned(arguments(tiny_llava, releases, gradient_checkpointing=given)).memory.activations
        for given in (True, False)
    )
    assert with_it < without


def test_longest_row_is_exact_and_the_others_nearly(tiny_llava: Path, releases: Path) -> None:
    rows = datasets.load_dataset(NAME, "conversation", split="train", data_dir=str(releases))
    processor: Any = AutoProcessor.from_pretrained(tiny_llava)
    exact = np.array([token_count(row, processor) for row in rows])
    assert np.abs(token_lengths(rows, processor) - exact).max() <= 2 * len(rows[0]["messages"])
    found = planned(arguments(tiny_llava, releases, datasets=["conversation"]))
    assert found.longest == exact.max()
    assert found.longest_id == rows[int(exact.argmax())]["id"]


def test_all_that_would_fail_is_said_at_once(tiny_llava: Path, releases: Path) -> None:
    argv = arguments(
        tiny_llava, releases, max_length=16, global_batch_size=8, per_device_train_batch_size=4
    )
    found = planned(argv, Machine(processes=3))
    assert len(found.problems) == 2
    text = to_text(found)
    assert "PROBLEM     max_length 16 would cut" in text
    assert "PROBLEM     global_batch_size 8 cannot be shared evenly by 3 processes" in text


def test_what_training_refuses_the_dry_run_names(
    tiny_llava: Path, releases: Path, tmp_path: Path
) -> None:
    (tmp_path / "checkpoint-2").mkdir()
    template = tmp_path / "own.jinja"
    template.write_text(FORGETS)
    argv = arguments(
        tiny_llava,
        releases,
        output_dir=str(tmp_path),
        use_peft=True,
        projector_learning_rate=1e-5,
        chat_template_path=str(template),
    )
    folder, answers, projector = planned(argv).problems
    assert "holds checkpoint-2 of an earlier run" in folder
    assert "cannot be told" in answers
    assert "no projector is trained" in projector


def test_text_reads_the_machine_from_accelerate(tiny_llava: Path, releases: Path) -> None:
    argv = arguments(tiny_llava, releases, global_batch_size=64)
    text = dry_run(argv, accelerate_path("ddp"))
    assert "8 a device x 4 processes x 2 accumulated" in text
    assert "nothing found that would fail" in text
