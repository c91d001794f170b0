"""How much each expert counts: the routers, and what they know of the forward pass they are in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedConfig

from rs_gpt4v_training.moe_lora.config import MoeLoraConfig
from rs_gpt4v_training.moe_lora.declaration import Declaration

_ATTRIBUTE = "moe_lora_routing"


@dataclass
class ForwardPass:
    """One forward pass of the base model, as far as routers ask.

    Args:
        tasks: Each row's task: numbers, shape [rows], or names; one stands for all rows.
        mask: 1 where a token is not padding, shape [rows, tokens].
        generating: Whether rows may stand for several of one prompt, as beams do.
        wants_loss: Whether the caller asked for the auxiliary losses.
        counts_losses: Whether the routers add theirs.
        losses: Those of the routers that have run so far.
        scale: Factor with which `auxiliary_loss` stands in the loss; known once backward began.
    """

    tasks: torch.Tensor | list[str] | None = None
    mask: torch.Tensor | None = None
    generating: bool = False
    wants_loss: bool = False
    counts_losses: bool = False
    losses: list[torch.Tensor] = field(default_factory=list)
    scale: torch.Tensor | None = None


class Routing:
    """Follows the base model's forward passes for all routers in it.

    The base model takes one more argument, ``tasks``: each row's task, a tensor of shape [rows].
    A pass is kept until the next one with gradients starts, because checkpointed layers run again
    in backward, and a trainer's reference model may have been asked in between.
    """

    def __init__(self) -> None:
        self.task: list[str] | None = None
        self.current = self.last_with_gradients = ForwardPass()
        self.auxiliary_loss: torch.Tensor | None = None
        self.hooks: list[Any] = []
        self.arguments: list[str] = []  # names of those that the base model takes by position
        self.declaration = Declaration(None)

    @classmethod
    def of(cls, model: nn.Module) -> "Routing":
        """The one of ``model``, which is hooked to it on first use."""
        if not hasattr(model, _ATTRIBUTE):
            routing = cls()
            routing.arguments = list(signature(type(model).forward).parameters)[1:]
            routing.declaration = Declaration(_text_config(model))
            routing.hooks = [
                model.register_forward_pre_hook(routing.begin, with_kwargs=True),
                model.register_forward_hook(routing.end),
            ]
            setattr(model, _ATTRIBUTE, routing)
        return getattr(model, _ATTRIBUTE)

    def remove_from(self, model: nn.Module) -> None:
        """Unhook; ``model`` is an ordinary model again."""
        self.declaration.withdraw()
        for hook in self.hooks:
            hook.remove()
        delattr(model, _ATTRIBUTE)

    def begin(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note what this pass is about; take out what the base model does not know."""
        tasks = kwargs.pop("tasks", None)
        # The base model may have more arguments than the class names (TRL adds some): not strict.
        arguments = {**dict(zip(self.arguments, args, strict=False)), **kwargs}
        mask, wants_loss = arguments.get("attention_mask"), arguments.get("output_router_logits")
        self.current = ForwardPass(
            tasks=self.task if tasks is None else tasks,
            mask=mask if isinstance(mask, torch.Tensor) else None,
            generating=tasks is None and "use_cache" in kwargs and not model.training,
            wants_loss=bool(wants_loss),
            counts_losses=bool(model.training or wants_loss),
        )
        return args, self.declaration.without_router_logits(kwargs)

    def end(self, _model: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
        """Hand over the auxiliary losses as transformers' mixtures of experts do.

        They are part of ``output.loss``, and stand in ``output.aux_loss``, which TRL adds.
        """
        step = self.current
        step.counts_losses = False  # layers that run again in backward have been counted
        if torch.is_grad_enabled():
            self.last_with_gradients = step
        self.current = self.last_with_gradients
        self.auxiliary_loss = None
        if not step.losses:
            return self.declaration.with_zero(output) if step.wants_loss else output
        device = step.losses[-1].device
        mean = torch.stack([loss.to(device) for loss in step.losses]).mean()
        anchor = torch.zeros((), device=device, requires_grad=True)
        loss: Any = _LearnScale.apply(anchor, mean, step)
        self.auxiliary_loss = loss
        return self.declaration.with_loss(output, loss)


def _text_config(model: nn.Module) -> Any:
    config = getattr(model, "config", None)
    return config.get_text_config() if isinstance(config, PreTrainedConfig) else None


class _LearnScale(torch.autograd.Function):
    """The value of the auxiliary loss; its backward notes the factor that it has in the loss.

    It comes last in the forward pass, and autograd goes back in reverse order, so the factor
    (accumulation, loss scaling, ``router_aux_loss_coef``) is known before any router asks for it.
    """

    @staticmethod
    def forward(
        ctx: Any, _anchor: torch.Tensor, value: torch.Tensor, step: ForwardPass
    ) -> torch.Tensor:
        ctx.step = step
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        ctx.step.scale = gradient
        return None, None, None


class _AddLoss(torch.autograd.Function):
    """The gates, unchanged; their backward also sends the gradient of a loss on its way.

    The loss itself is added up outside the layer, where checkpointing would cut its gradient off.
    """

    @staticmethod
    def forward(
        ctx: Any, gates: torch.Tensor, _loss: torch.Tensor, step: ForwardPass
    ) -> torch.Tensor:
        ctx.step = step
        return gates.view_as(gates)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        step: ForwardPass = ctx.step
        if step.scale is None:
            raise RuntimeError(
                "The routers' auxiliary loss is not part of the loss. Add auxiliary_loss(model) to "
                "it, or set load_balance_coef and z_loss_coef to 0. (TRL adds it unless "
                "router_aux_loss_coef is 0.)"
            )
        return gradient, step.scale.to(gradient.device) / len(step.losses), None


def auxiliary_loss(model: nn.Module) -> torch.Tensor:
    """The auxiliary losses of the last forward pass, weighted, averaged over the layers.

    Only loops whose model returns no ``loss`` need it: add it to the loss.

    Raises:
        ValueError: ``model`` has no MoE-LoRA adapter, or none with auxiliary losses.
    """
    loss = _routing_in(model).auxiliary_loss
    if loss is None:
        raise ValueError(
            "the last forward pass had no auxiliary losses: they are those of training passes with "
            'routing "top_k", or "token" with load_balance_coef or z_loss_coef'
        )
    return loss


@contextmanager
def use_task(model: nn.Module, task: str | list[str]) -> Iterator[None]:
    """Route for ``task`` (one, or one for each row) wherever a forward pass is given no tasks.

    For generation, as ``model.generate`` takes no ``tasks``; all beams and returned sequences of a
    row are of its task. In training, pass them to the model: checkpointed layers run again in
    backward.

    Raises:
        ValueError: ``model`` has no MoE-LoRA adapter.
    """
    routing = _routing_in(model)
    before, routing.task = routing.task, [task] if isinstance(task, str) else task
    try:
        yield
    finally:
        routing.task = before


def _routing_in(model: nn.Module) -> Routing:
    for module in model.modules():
        if hasattr(module, _ATTRIBUTE):
            return getattr(module, _ATTRIBUTE)
    raise ValueError(f"this {type(model).__name__} has no MoE-LoRA adapter")


class TokenRouter(nn.Linear):
    """g(x) = softmax(R x): weights for each token, from all its features.

    With N experts, load_balance_coef · N · Σ_i f_i P_i + z_loss_coef · mean(logsumexp(R x)²) joins
    the loss, f_i the load of expert i and P_i its mean softmax, over the tokens that are not
    padding. The first term is 1 times its weight where the load is even. The load is the mean gate
    here, the share of choices for `TopKRouter`.
    """

    def __init__(self, in_features: int, config: MoeLoraConfig) -> None:
        super().__init__(in_features, config.num_experts, bias=False)  # R: [num_experts, in]
        self.load_balance_coef = config.load_balance_coef or 0.0
        self.z_loss_coef = config.z_loss_coef or 0.0

    def forward(self, x: torch.Tensor, step: ForwardPass) -> torch.Tensor:
        """Gates of ``x`` [..., in_features]: [..., num_experts], float32, a sum of one.

        Adds the losses to ``step``.
        """
        logits = self.logits(x)
        probabilities = logits.softmax(-1)
        gates = self.gates(probabilities)
        if not (self.load_balance_coef or self.z_loss_coef):
            return gates
        loss = self._loss(logits, probabilities, gates, token_mask(x, step))
        if step.counts_losses:
            step.losses.append(loss.detach())
        return _AddLoss.apply(gates, loss, step) if self.training else gates

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """R x in float32, so that rounding decides no choice between experts."""
        return _Logits.apply(x, self.weight)

    def gates(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Those of tokens with these ``probabilities``, both [..., num_experts]."""
        return probabilities

    def loads(self, gates: torch.Tensor) -> torch.Tensor:
        """What each expert has of each token, a sum of one: [..., num_experts]."""
        return gates.detach()

    def _loss(
        self,
        logits: torch.Tensor,
        probabilities: torch.Tensor,
        gates: torch.Tensor,
        mask: torch.Tensor,
    ) -> torch.Tensor:
        weights = (mask / mask.sum().clamp(min=1)).flatten()  # [tokens], of a mean
        load = weights @ self.loads(gates).flatten(0, -2)  # f: [num_experts]
        mean = weights @ probabilities.flatten(0, -2)  # P: [num_experts]
        balance = len(mean) * (load @ mean)
        z = weights @ logits.logsumexp(-1).square().flatten()
        return self.load_balance_coef * balance + self.z_loss_coef * z


class _Logits(torch.autograd.Function):
    """R x in float32, also under autocast, without keeping a float32 copy of x for backward."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        with torch.autocast(x.device.type, enabled=False):
            return functional.linear(x.float(), weight.float())

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        x, weight = ctx.saved_tensors
        gradient = gradient.to(x.dtype)
        with torch.autocast(x.device.type, enabled=False):
            for_x = gradient @ weight.to(x.dtype) if ctx.needs_input_grad[0] else None
            for_weight = gradient.flatten(0, -2).T @ x.flatten(0, -2)
        return for_x, for_weight.to(weight.dtype)


class TopKRouter(TokenRouter):
    """g(x) = the k largest of softmax(R x), over their sum; zero elsewhere."""

    def __init__(self, in_features: int, config: MoeLoraConfig) -> None:
        super().__init__(in_features, config)
        self.top_k = config.top_k

    def gates(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Those of tokens with these ``probabilities``, both [..., num_experts]."""
        kept, experts = probabilities.topk(self.top_k, dim=-1)
        gates = torch.zeros_like(probabilities)
        return gates.scatter(-1, experts, kept / kept.sum(-1, keepdim=True))

    def loads(self, gates: torch.Tensor) -> torch.Tensor:
        """The share of each token's choices: [..., num_experts]."""
        return (gates.detach() > 0).float() / self.top_k


class TaskRouter(nn.Module):
    """g(t) = softmax(L_t): weights for each task. L starts at zero: no expert is preferred.

    MOELoRA's softmax(W E_t) factorises L, which at four experts is the smaller of the two.
    """

    def __init__(self, _in_features: int, config: MoeLoraConfig) -> None:
        super().__init__()
        self.tasks = list(config.tasks or ())
        self.logits = nn.Parameter(torch.zeros(len(self.tasks), config.num_experts))  # L

    def forward(self, x: torch.Tensor, step: ForwardPass) -> torch.Tensor:
        """Gates of the rows of ``x`` [rows, ..., in_features]: [rows or 1, 1..., num_experts].

        Raises:
            ValueError: The pass has no tasks, an unknown one, or a number of them unlike the rows'.
        """
        numbers = self.numbers(step.tasks)
        if step.generating and len(x) % len(numbers) == 0:  # beams of a row follow one another
            numbers = numbers.repeat_interleave(len(x) // len(numbers))
        if len(numbers) not in (1, len(x)):
            raise ValueError(f"{len(numbers)} tasks for a batch of {len(x)} rows")
        gates = self.logits[numbers].float().softmax(-1)
        return gates.view(len(numbers), *[1] * (x.dim() - 2), -1)

    def numbers(self, tasks: torch.Tensor | list[str] | None) -> torch.Tensor:
        """The rows of L for ``tasks``, shape [tasks]."""
        if tasks is None:
            raise ValueError(
                "Task routing must know the task. Give the model tasks=TENSOR, or call it inside "
                f"use_task(model, TASK); tasks of this adapter: {', '.join(self.tasks)}"
            )
        if isinstance(tasks, torch.Tensor):
            return tasks.to(self.logits.device)
        if unknown := set(tasks) - set(self.tasks):
            raise ValueError(
                f"unknown task {', '.join(sorted(unknown))}; tasks of this adapter: "
                f"{', '.join(self.tasks)}"
            )
        return torch.tensor([self.tasks.index(t) for t in tasks], device=self.logits.device)


ROUTERS = {"token": TokenRouter, "top_k": TopKRouter, "task": TaskRouter}


def token_mask(x: torch.Tensor, step: ForwardPass) -> torch.Tensor:
    """1 for each token of ``x`` [..., features] that is not padding: shape [...], float32.

    Tokens that the pass's mask does not speak of (a vision tower's) all count.
    """
    mask = torch.ones(x.shape[:-1], device=x.device)
    if step.mask is not None and step.mask.shape == mask.shape:
        mask = step.mask.to(mask)
    return mask
