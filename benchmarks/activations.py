"""The memory that the dry run tells, and what a GPU measured.

    python benchmarks/activations.py

Nothing has values here, so it needs no GPU and little memory. The first table is what one layer of
LLaVA-1.5-7B's language model keeps for the backward pass without checkpointing; the second is a
step of 16 rows; docs/gpu_sizing.md has its peaks on an H100. (`gpu_check.py` measures the
recipes' own steps, with dropout and a trained projector, and prints what is counted for them.)
"""

from typing import Any

import torch
from gpu_parts import counted_gib, llava, llava_config, make_batch
from moe_lora import RANK
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
from trl import SFTConfig

from rs_gpt4v_training.activations import Weightless, kept_bytes
from rs_gpt4v_training.adapters import LANGUAGE_MODEL_LINEARS
from rs_gpt4v_training.moe_lora import MoeLoraConfig

TOKENS, WIDTH = 640, 4_096
MEASURED = {"LoRA": 24.3, "MoE-LoRA, token": 24.4, "MoE-LoRA, top-2": 24.4}
OTHERS = {"MoE-LoRA, token": "token", "MoE-LoRA, top-2": "top_k"}


def configs(targets: str, dropout: float) -> dict[str, Any]:
    """Each adapter."""
    common: dict[str, Any] = {
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "lora_dropout": dropout,
        "target_modules": targets,
    }
    ours = {name: MoeLoraConfig(**common, routing=routing) for name, routing in OTHERS.items()}
    return {"LoRA": LoraConfig(**common), **ours}


def options(*, checkpointing: bool) -> SFTConfig:
    """bfloat16, as the recipes have it."""
    return SFTConfig("out", use_cpu=True, bf16=True, gradient_checkpointing=checkpointing)


def layer(config: Any, dtype: torch.dtype) -> float:
    """Bytes that a layer keeps, a token and hidden unit: what two keep more than one."""
    first, second = (_kept(config, dtype, layers) for layers in (1, 2))
    return (second - first) / TOKENS / WIDTH


def _kept(config: Any, dtype: torch.dtype, layers: int) -> int:
    with torch.device("meta"):
        shape = LlamaConfig(num_hidden_layers=layers, vocab_size=1_000)
        model: Any = LlamaForCausalLM(shape)
        model = model.to(dtype)
        if config is not None:
            model = get_peft_model(model, config)
            model.enable_input_require_grads()
    weightless = Weightless()
    weightless.take_weight(model)
    ids = torch.zeros(1, TOKENS, dtype=torch.long)
    with weightless:
        return kept_bytes(model, {"input_ids": ids, "labels": ids}, options(checkpointing=False))


def step(config: Any) -> float:
    """GiB of the step that was measured: parameters, gradients, Adam, and activations."""
    with torch.device("meta"):
        model: Any = get_peft_model(llava(llava_config(toy=False), "meta"), config)
    batch = make_batch(model.config, 16, 64)
    return counted_gib(model, batch, options(checkpointing=True))


def main() -> None:
    """Print both tables."""
    print("| a layer keeps | bytes a token and hidden unit | with dropout 0.05 |")
    print("| --- | ---: | ---: |")
    for dtype in (torch.bfloat16, torch.float32):
        print(f"| full, {dtype} | {layer(None, dtype):.1f} | |")
    plain, dropped = configs(".*_proj", 0.0), configs(".*_proj", 0.05)
    for name, config in plain.items():
        with_dropout = layer(dropped[name], torch.bfloat16)
        print(f"| {name} | {layer(config, torch.bfloat16):.1f} | {with_dropout:.1f} |")
    print("\n| step of the 7B | told, GiB | H100, GiB | off |\n| --- | ---: | ---: | ---: |")
    for name, config in configs(LANGUAGE_MODEL_LINEARS, 0.0).items():
        told = step(config)
        print(f"| {name} | {told:.1f} | {MEASURED[name]} | {told / MEASURED[name] - 1:+.1%} |")


if __name__ == "__main__":
    main()
