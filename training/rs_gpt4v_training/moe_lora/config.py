"""What a MoE-LoRA adapter is made of."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from peft import PeftConfig

Routing = Literal["token", "top_k", "task"]


class MoeLoraType(str, Enum):
    """The method's name, with the ``.value`` that transformers asks of a PEFT type."""

    MOE_LORA = "MOE_LORA"


MOE_LORA = MoeLoraType.MOE_LORA


@dataclass
class MoeLoraConfig(PeftConfig):
    """Options of `MoeLoraModel`. Those marked "assumed" are not stated by the RS-GPT4V paper.

    Args:
        r: Rank of all experts together, as in MOELoRA: each has ``r / num_experts``.
        num_experts: Low-rank experts in each adapted layer.
        rank_per_expert: The other interpretation of "rank 128, 4 experts": each expert has this
            rank, and ``r`` is not used.
        routing: What the experts' weights depend on (assumed: "token"). "token": a softmax over all
            experts for each token. "top_k": the same, but only the ``top_k`` largest, rescaled to a
            sum of one. "task": one weight vector for each task, the same for all its tokens.
        top_k: Experts that each token uses, with routing "top_k".
        load_balance_coef: Weight of the load-balancing loss, with routing "top_k" (default 0.01) or
            "token" (default 0, no such loss).
        z_loss_coef: Weight of the router's z-loss; default 0.001 and 0.
        tasks: Names of the tasks, with routing "task". Their order numbers them.
        lora_alpha: The update is scaled by ``lora_alpha / r``, or ``lora_alpha / rank_per_expert``.
            Default: twice that rank (assumed: LLaVA-1.5 has 256 for rank 128).
        lora_dropout: Dropout before the experts; the router sees every feature.
        target_modules: Names of linear layers, or a regular expression; required for LLaVA.
        exclude_modules: Names, or a regular expression, of layers to leave alone.
        layers_to_transform: Indices of the blocks to adapt; default all.
        layers_pattern: Name of the list of blocks that these indices count.
        modules_to_save: Modules trained in full and saved with the adapter, such as the projector.
        init_weights: Start without any change to the model. False starts from random experts.
    """

    r: int = 128
    num_experts: int = 4
    rank_per_expert: int | None = None
    routing: Routing = "token"
    top_k: int = 2
    load_balance_coef: float | None = None
    z_loss_coef: float | None = None
    tasks: list[str] | None = None
    lora_alpha: float | None = None
    lora_dropout: float = 0.0
    target_modules: Any = None
    exclude_modules: Any = None
    layers_to_transform: list[int] | int | None = None
    layers_pattern: list[str] | str | None = None
    modules_to_save: list[str] | None = None
    init_weights: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type: Any = MOE_LORA
        for name in ("target_modules", "exclude_modules"):
            if isinstance(value := getattr(self, name), list):
                setattr(self, name, set(value))
        self._check()
        if self.lora_alpha is None:
            self.lora_alpha = 2 * (self.rank_per_expert or self.r)
        sparse = self.routing == "top_k"
        if self.load_balance_coef is None:
            self.load_balance_coef = 0.01 if sparse else 0.0  # Switch Transformer, 2101.03961
        if self.z_loss_coef is None:
            self.z_loss_coef = 0.001 if sparse else 0.0  # ST-MoE, 2202.08906

    @property
    def has_losses(self) -> bool:
        """Whether its routers have auxiliary losses."""
        return self.routing != "task" and bool(self.load_balance_coef or self.z_loss_coef)

    @property
    def total_rank(self) -> int:
        """Rank of all experts together."""
        return self.rank_per_expert * self.num_experts if self.rank_per_expert else self.r

    @property
    def scaling(self) -> float:
        """Factor of the update: each paper's own, for its reading of the rank."""
        return (self.lora_alpha or 0.0) / (self.rank_per_expert or self.r)

    def _check(self) -> None:
        if self.num_experts < 1 or self.total_rank < 1 or self.total_rank % self.num_experts:
            raise ValueError(
                f"r must be a positive multiple of num_experts, got r={self.r} for "
                f"{self.num_experts} experts; rank_per_expert gives each a rank of its own"
            )
        if self.routing not in ("token", "top_k", "task"):
            raise ValueError(f"routing must be token, top_k or task, got {self.routing!r}")
        if self.routing == "top_k" and not 1 <= self.top_k <= self.num_experts:
            raise ValueError(f"top_k must lie in 1..{self.num_experts}, got {self.top_k}")
        if self.routing == "task" and not self.tasks:
            raise ValueError('routing "task" needs tasks, e.g. tasks=["caption", "vqa"]')


def is_moe_lora(adapter: str) -> bool:
    """Whether the saved ``adapter``, a folder or a Hub name, is of this method."""
    return PeftConfig.from_pretrained(adapter).peft_type == MOE_LORA
