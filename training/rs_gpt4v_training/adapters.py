"""The adapter that a recipe asks for: LoRA or MoE-LoRA, on the language model alone."""

from typing import Any, cast

from trl import get_peft_config

from rs_gpt4v_training.arguments import ModelArguments
from rs_gpt4v_training.moe_lora import MoeLoraConfig

# `q_proj` alone would also match the vision tower, which stays frozen. Idefics3 and SmolVLM call
# their language model text_model.
LANGUAGE_MODEL_LINEARS = r".*(language_model|text_model)\..*\.(q|k|v|o|gate|up|down)_proj"


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
