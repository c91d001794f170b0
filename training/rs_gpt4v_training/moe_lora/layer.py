"""The adapted linear layer."""

import math
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer, check_adapters_to_merge
from peft.utils import resolve_quantization_backend
from torch import nn
from torch.autograd.function import once_differentiable
from transformers.pytorch_utils import Conv1D

from rs_gpt4v_training.moe_lora.config import MoeLoraConfig
from rs_gpt4v_training.moe_lora.router import ROUTERS, ForwardPass, Routing, TaskRouter


class _DroppedProduct(torch.autograd.Function):
    """W dropout(x): keeps x, which the router and the other layers that read it keep too."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, p: float) -> torch.Tensor:
        dropped, mask = torch.native_dropout(x, p, train=True)
        ctx.save_for_backward(x, weight, mask)
        ctx.scale = 1 / (1 - p) if p < 1 else 0.0
        return nn.functional.linear(dropped, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        x, weight, mask = ctx.saved_tensors
        (gradient,) = gradients
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = (gradient @ weight).mul_(mask).mul_(ctx.scale)
        if ctx.needs_input_grad[1]:
            dropped = x.mul(mask).mul_(ctx.scale)
            of_weight = gradient.flatten(0, -2).T @ dropped.flatten(0, -2)
        return of_x, of_weight, None


class _DroppingLinear(nn.Linear):
    """A linear layer with dropout before it; called as a module, as sharded training asks."""

    def forward(self, input: torch.Tensor, dropout: float = 0.0) -> torch.Tensor:
        if not (dropout and self.training):
            return super().forward(input)
        return _DroppedProduct.apply(input, self.weight.to(input.dtype), dropout)


class MoeLoraLinear(nn.Module, BaseTunerLayer):
    """y = W x + s Σ_i g_i B_i A_i x, computed as W x + B (s g ⊙ A x).

    A stacks the experts' A_i and B their B_i, so all experts are two products; g weighs the blocks
    of A x. The gates g come from the adapter's router, s is ``scaling``. W is frozen and may be
    quantised.

    Args:
        base_layer: The linear layer W, or another adapter around it.
        adapter_name: Name of the first adapter.
        config: Its options.
        routing: That of the base model.
        **kwargs: How to quantise a merged weight, where W is quantised.
    """

    adapter_layer_names = ("moe_lora_A", "moe_lora_B", "moe_lora_router")
    other_param_names = ("moe_lora_dropout", "moe_lora_experts", "moe_lora_scaling")

    def __init__(
        self,
        base_layer: nn.Module,
        adapter_name: str,
        config: MoeLoraConfig,
        routing: Routing,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.base_layer = base_layer
        base: Any = self.get_base_layer()
        self.quantization_backend = resolve_quantization_backend(base, **kwargs)
        conv1d = isinstance(base, Conv1D)  # GPT-2's linear layer, whose W is [in, out]
        self.in_features = base.nx if conv1d else base.in_features
        self.out_features = base.nf if conv1d else base.out_features
        self.routing = routing
        self.moe_lora_A = nn.ModuleDict()
        self.moe_lora_B = nn.ModuleDict()
        self.moe_lora_router = nn.ModuleDict()
        self.moe_lora_dropout = nn.ModuleDict()
        self.moe_lora_experts: dict[str, int] = {}
        self.moe_lora_scaling: dict[str, float] = {}
        self.merged_adapters: list[str] = []
        self.merged_tasks: list[list[str] | None] = []
        self.cast_input_dtype_enabled = True
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config)

    def update_layer(
        self, adapter_name: str, config: MoeLoraConfig, inference_mode: bool = False
    ) -> None:
        """Add an adapter."""
        rank = config.total_rank
        a = _DroppingLinear(self.in_features, rank, bias=False)  # A: [rank, in], N blocks of rows
        b = nn.Linear(rank, self.out_features, bias=False)  # B: [out, rank], N blocks of columns
        nn.init.kaiming_uniform_(a.weight, a=math.sqrt(5))
        if config.init_weights:
            nn.init.zeros_(b.weight)
        self.moe_lora_A[adapter_name], self.moe_lora_B[adapter_name] = a, b
        self.moe_lora_router[adapter_name] = ROUTERS[config.routing](self.in_features, config)
        self.moe_lora_dropout[adapter_name] = nn.Dropout(config.lora_dropout)
        self.moe_lora_experts[adapter_name] = config.num_experts
        self.moe_lora_scaling[adapter_name] = config.scaling
        if config.has_losses:
            self.routing.declaration.add(adapter_name)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=inference_mode)

    def delete_adapter(self, adapter_name: str) -> None:
        """Delete an adapter."""
        super().delete_adapter(adapter_name)
        self.routing.declaration.remove(adapter_name)

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """``x`` [..., in_features] -> [..., out_features]."""
        if self.disable_adapters and self.merged:
            self.unmerge()
        result = self.base_layer(x, *args, **kwargs)
        if self.disable_adapters or self.merged:
            return result
        if self.quantization_backend is not None:
            result = self.quantization_backend.maybe_clone_base_result(result)
        dtype = result.dtype
        for adapter in self.active_adapters:
            if adapter in self.moe_lora_A:
                result = result + self._update(x, adapter)
        return result.to(dtype)

    def _update(self, x: torch.Tensor, adapter: str) -> torch.Tensor:
        a: Any = self.moe_lora_A[adapter]
        b: Any = self.moe_lora_B[adapter]
        # One cast for A and the router, which keep x for backward: autocast would make two.
        device = x.device.type
        autocast = torch.is_autocast_enabled(device)
        dtype = torch.get_autocast_dtype(device) if autocast else a.weight.dtype
        x = self._cast_input_dtype(x, dtype)
        # Routers are called as modules: sharded training gathers parameters in module hooks.
        gates = self.moe_lora_router[adapter](x, self.routing.current)  # [..., N]
        hidden = a(x, self.moe_lora_dropout[adapter].p)  # [..., rank]
        return b(self._weigh(hidden, gates, adapter))

    def _weigh(self, hidden: torch.Tensor, gates: torch.Tensor, adapter: str) -> torch.Tensor:
        """S g ⊙ ``hidden``: each of N blocks of the last dimension times its gate."""
        weights = (gates * self.moe_lora_scaling[adapter]).to(hidden.dtype)
        blocks = hidden.unflatten(-1, (self.moe_lora_experts[adapter], -1))  # [..., N, rank / N]
        return (blocks * weights.unsqueeze(-1)).flatten(-2)

    def get_delta_weight(self, adapter: str, task: list[str] | None = None) -> torch.Tensor:
        """S B (g ⊙ A), in W's shape, for the one ``task``; default: that of `use_task`.

        Raises:
            NotImplementedError: The gates depend on the token, so no one matrix does the same.
            ValueError: No task, or more than one, is in use.
        """
        router = self.moe_lora_router[adapter]
        if not isinstance(router, TaskRouter):
            raise NotImplementedError(
                "MoE-LoRA cannot be merged: the router weighs the experts per token, and no single "
                'weight matrix does that. An adapter with routing "task" can be merged for a task.'
            )
        a: Any = self.moe_lora_A[adapter]
        b: Any = self.moe_lora_B[adapter]
        gates = router(a.weight[:1], ForwardPass(tasks=task or self.routing.task))  # [1, N]
        delta = b.weight @ self._weigh(a.weight.T, gates, adapter).T  # [out, in]
        return delta.T if isinstance(self.get_base_layer(), Conv1D) else delta

    @torch.no_grad()
    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Add the adapters (default: the active ones) to W, for the task of `use_task`.

        Raises:
            NotImplementedError: The gates depend on the token.
            ValueError: No task is in use, or ``safe_merge`` found a value that is not finite.
        """
        names = check_adapters_to_merge(self, adapter_names)
        deltas = {name: self.get_delta_weight(name) for name in names if name in self.moe_lora_A}
        for name, delta in deltas.items():
            if safe_merge and not (self.get_base_weight() + delta).isfinite().all():
                raise ValueError(  # PEFT's words, for those who look for them
                    f"NaNs detected in the merged weights. The adapter {name} seems to be broken"
                )
            self._add_to_base(delta)
            self.merged_adapters.append(name)
            self.merged_tasks.append(self.routing.task)

    @torch.no_grad()
    def unmerge(self) -> None:
        """Take all merged adapters out of W again."""
        while self.merged_adapters:
            name, task = self.merged_adapters.pop(), self.merged_tasks.pop()
            self._add_to_base(-self.get_delta_weight(name, task))

    def _add_to_base(self, delta: torch.Tensor) -> None:
        weight = self.get_base_weight()
        self.set_base_weight((weight + delta).to(weight.dtype))

    def __repr__(self) -> str:
        return "moe_lora." + super().__repr__()
