"""MoE-LoRA: low-rank adapters with several experts and a router, as a method of PEFT.

Importing this package makes the method known to PEFT; without it, PEFT refuses to load such an
adapter (``KeyError: 'MOE_LORA'``) rather than to drop its router.
"""

from peft.mapping import (
    PEFT_TYPE_TO_CONFIG_MAPPING,
    PEFT_TYPE_TO_PREFIX_MAPPING,
    PEFT_TYPE_TO_TUNER_MAPPING,
)

from rs_gpt4v_training.moe_lora.config import MOE_LORA, MoeLoraConfig, is_moe_lora
from rs_gpt4v_training.moe_lora.layer import MoeLoraLinear
from rs_gpt4v_training.moe_lora.model import MoeLoraModel
from rs_gpt4v_training.moe_lora.router import auxiliary_loss, use_task
from rs_gpt4v_training.moe_lora.statistics import (
    RouterStatistics,
    expert_use,
    plot_expert_use,
    plot_router_statistics,
)
from rs_gpt4v_training.moe_lora.tasks import TaskCollator

__all__ = [
    "MOE_LORA",
    "MoeLoraConfig",
    "MoeLoraLinear",
    "MoeLoraModel",
    "RouterStatistics",
    "TaskCollator",
    "auxiliary_loss",
    "expert_use",
    "is_moe_lora",
    "plot_expert_use",
    "plot_router_statistics",
    "use_task",
]

# register_peft_method() takes only members of the closed enum PeftType (peft 0.21), so an outside
# method enters the same tables by its string; PeftType is a str enum, so lookups agree.
PEFT_TYPE_TO_CONFIG_MAPPING[MOE_LORA] = MoeLoraConfig  # pyright: ignore[reportArgumentType]
PEFT_TYPE_TO_TUNER_MAPPING[MOE_LORA] = MoeLoraModel  # pyright: ignore[reportArgumentType]
PEFT_TYPE_TO_PREFIX_MAPPING[MOE_LORA] = MoeLoraModel.prefix  # pyright: ignore[reportArgumentType]
