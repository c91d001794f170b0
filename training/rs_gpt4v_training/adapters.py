"""The adapter that a recipe asks for, LoRA or MoE-LoRA, and the quantised weights under it."""

import re
from typing import Any, cast

import torch
from trl import get_peft_config, get_quantization_config

from rs_gpt4v_training.arguments import ModelArguments
from rs_gpt4v_training.moe_lora import MoeLoraConfig

# `q_proj` alone would also match the vision tower, which stays frozen. Idefics3 and SmolVLM call
# their language model text_model.
LANGUAGE_MODEL_LINEARS = r".*(language_model|text_model)\..*\.(q|k|v|o|gate|up|down)_proj"

# All but the language model: they are small, and feel four bits more. A regular expression,
# because transformers would match a bare name at the start of a module's full name only.
_NOT_QUANTISED = [
    r".*\b(vision_tower|vision_model|visual|multi_modal_projector|connector|lm_head)",
]


def peft_config(model: ModelArguments, tasks: list[str]) -> Any:
    """The adapter's configuration; None for none.

    Args:
        model: The arguments.
        tasks: The tasks of the rows, each once: what a router may know.
    """
    config: Any = _moe_lora_config(model, tasks) if model.use_moe_lora else get_peft_config(model)
    if config is not None and config.target_modules is None:
        config.target_modules = LANGUAGE_MODEL_LINEARS
    return config


def _moe_lora_config(model: ModelArguments, tasks: list[str]) -> MoeLoraConfig:
    return MoeLoraConfig(
        r=model.lora_r,
        num_experts=model.num_experts,
        rank_per_expert=model.rank_per_expert,
        routing=model.routing,
        top_k=model.top_k,
        load_balance_coef=model.load_balance_coef,
        z_loss_coef=model.z_loss_coef,
        tasks=tasks,
        lora_alpha=model.lora_alpha,
        lora_dropout=model.lora_dropout,
        target_modules=model.lora_target_modules,
        modules_to_save=model.lora_modules_to_save,
        task_type=cast("Any", model.lora_task_type),
    )


def quantization_config(model: ModelArguments) -> Any:
    """How the language model's frozen weights are quantised; None where they are not.

    Raises:
        ValueError: They would be all that is trained, which cannot be.
    """
    config: Any = get_quantization_config(model)
    if config is None:
        return None
    if not model.has_adapter:
        raise ValueError(
            "weights of 4 or 8 bits cannot be trained: add an adapter (use_peft or use_moe_lora), "
            "or leave load_in_4bit and load_in_8bit out"
        )
    config.llm_int8_skip_modules = _NOT_QUANTISED
    return config


def is_quantised(name: str) -> bool:
    """Whether the linear layer ``name`` is among those that `quantization_config` speaks of."""
    return not any(re.match(pattern, name) for pattern in _NOT_QUANTISED)


def train_in_float32(model: torch.nn.Module) -> None:
    """Make what is trained float32: TRL makes it bfloat16 over quantised weights.

    Without bfloat16 autocast that fails, as does the scaler of float16 training, all that a T4 can
    do.
    """
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
