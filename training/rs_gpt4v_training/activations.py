"""The memory that a training step takes beside weights, gradients and optimizer.

The model's own forward and backward pass run on a batch of the true shape, as the trainer runs
them, with parameters that have a shape and a type but no values. So nothing here knows a family.
"""

import warnings
import weakref
from typing import Any, NamedTuple
from unittest import mock

import torch
from peft import PeftModel
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._pytree import tree_leaves
from transformers import TrainingArguments
from trl.kernels.chunked_logprob import _use_triton  # pyright: ignore[reportPrivateUsage]
from trl.trainer import add_fused_lm_head
from trl.trainer import utils as trl_utils

from rs_gpt4v_training.parts import FrozenVision

_CPU = torch.device("cpu")
_MASKABLE = {
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
}


class Weightless(FakeTensorMode):
    """Inside, what is made of a weightless tensor is weightless; all else is computed.

    So parameters and hidden states have no values, while numbers of tokens, places of images and
    masks do, which models look at.

    Attributes:
        live: Bytes of the tensors made so far that are still there.
        peak: The most that there were at a time.
    """

    def __init__(self) -> None:
        super().__init__(allow_non_fake_inputs=True)
        self.live = self.peak = 0
        self._is_inside = False  # an operation that consists of others

    def take_weight(self, model: torch.nn.Module) -> None:
        """Make the parameters and buffers of ``model``, on the meta device, weightless."""
        memo: dict[int, FakeTensor] = {}
        apply: Any = model._apply  # pyright: ignore[reportPrivateUsage]
        apply(lambda t: memo.setdefault(id(t), FakeTensor(self, t.detach(), _CPU)))

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run ``func``, and count what it allocates."""
        kwargs = kwargs or {}
        if self._is_inside:
            return super().__torch_dispatch__(func, types, args, kwargs)
        given = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        known = {_key(x) for x in given}
        if any(isinstance(x, FakeTensor) for x in given):
            result = self._without_values(func, types, args, kwargs)
        else:
            result = func(*args, **kwargs)
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and _key(tensor) not in known:
                self._count(tensor.untyped_storage())
        return result

    def _without_values(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        if func in _MASKABLE:
            args = (args[0], _numbers(args[1]), *args[2:])
        self._is_inside = True
        try:
            return super().__torch_dispatch__(func, types, args, kwargs)
        finally:
            self._is_inside = False

    def _count(self, storage: torch.UntypedStorage) -> None:
        size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._free, size)

    def _free(self, size: int) -> None:
        self.live -= size


def _numbers(indices: Any) -> list[Any]:
    """``indices`` with numbers for masks: how many a mask picks is not known without values."""
    numbers: list[Any] = []
    for index in indices:
        if index is not None and index.dtype == torch.bool:
            numbers += index.nonzero(as_tuple=True)
        else:
            numbers.append(index)
    return numbers


def _key(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata  # pyright: ignore[reportPrivateUsage]


def _dropout(
    input: torch.Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,  # noqa: ARG001
) -> torch.Tensor:
    """As on a GPU, which keeps a byte for each value; on a CPU it keeps a number."""
    return torch.native_dropout(input, p, train=True)[0] if training and p else input


def _fused_dropout() -> Any:
    """A `TorchFunctionMode` would not reach checkpointed layers, which run again in backward."""
    return mock.patch.object(torch.nn.functional, "dropout", _dropout)


def not_shared_out() -> Any:
    """Under ZeRO-3, transformers and TRL would share out and gather these weights too."""
    config = "transformers.integrations.deepspeed._hf_deepspeed_config_weak_ref"
    return mock.patch(config, None)


def score_answers_alone() -> None:
    """Let TRL's loss look at answers alone: on a GPU, as TRL has it, and on a CPU."""
    trl_utils._use_triton = _scores_answers_alone  # pyright: ignore[reportPrivateUsage]


def _scores_answers_alone(device: torch.device) -> bool:
    """Whether the loss looks at answers alone.

    Without Triton, TRL 1.16 multiplies every position by the whole vocabulary and then drops those
    of images and questions: a third of a small model's step. It does so because some accelerators
    compile anew for each number of positions, which a CPU does not.
    """
    return device.type == "cpu" or _use_triton(device)


def ready_to_train(model: Any, training: TrainingArguments) -> None:
    """Set ``model`` up as the trainer does."""
    if isinstance(model, PeftModel) and training.gradient_checkpointing:
        model.enable_input_require_grads()
    if training.gradient_checkpointing:
        model.gradient_checkpointing_enable(training.gradient_checkpointing_kwargs)
    FrozenVision().on_train_begin(model=model)
    score_answers_alone()
    base: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    add_fused_lm_head(base, outputs=("log_probs", "entropy", "is_top1"))
    model.train()


def _loss(model: Any, batch: dict[str, Any], training: TrainingArguments) -> torch.Tensor:
    options = {"fused_lm_head": True}
    if getattr(model.config.get_text_config(), "output_router_logits", False):
        options["output_router_logits"] = True  # as TRL asks for losses of routers
    with _autocast(training):
        return model(**batch, **options).loss


def _autocast(training: TrainingArguments) -> torch.autocast:
    half = torch.float16 if training.fp16 else torch.bfloat16
    return torch.autocast("cpu", half, enabled=training.bf16 or training.fp16)


class Step(NamedTuple):
    """What a step without values tells.

    Attributes:
        bytes: The most memory that forward and backward take at a time, gradients of parameters
            aside.
        without_gradient: Names of the parameters that are to be trained and get no gradient.
    """

    bytes: int
    without_gradient: list[str]


def weightless_step(model: Any, batch: dict[str, Any], training: TrainingArguments) -> Step:
    """A forward and a backward pass of ``model``.

    Args:
        model: On the meta device, as it is trained; it is of no use afterwards.
        batch: What the collator made.
        training: The trainer's options.
    """
    weightless = Weightless()
    weightless.take_weight(model)
    ready_to_train(model, training)
    unreached = {id(p): name for name, p in model.named_parameters() if p.requires_grad}

    def drop_gradient(parameter: torch.Tensor) -> None:
        parameter.grad = None
        unreached.pop(id(parameter), None)

    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(drop_gradient)
    with weightless, _fused_dropout(), not_shared_out(), warnings.catch_warnings():
        # Of torch, as it looks at all of a tensor with values before it makes it weightless.
        warnings.filterwarnings("ignore", "The .grad attribute of a Tensor that is not a leaf")
        _loss(model, batch, training).backward()
    return Step(weightless.peak, list(unreached.values()))


def step_bytes(model: Any, batch: dict[str, Any], training: TrainingArguments) -> int:
    """The bytes of `weightless_step`."""
    return weightless_step(model, batch, training).bytes


def generation_bytes(model: Any, batch: dict[str, Any], training: TrainingArguments) -> int:
    """The most memory that generating takes at a time: the cache of all tokens, and a pass.

    Args:
        model: On the meta device, with its adapter; it is of no use afterwards.
        batch: What the collator made, with tokens for the replies.
        training: The trainer's options.
    """
    weightless = Weightless()
    weightless.take_weight(model)
    model.eval()
    inputs = {name: values for name, values in batch.items() if name != "labels"}
    with weightless, not_shared_out(), torch.no_grad(), _autocast(training):
        model(**inputs, use_cache=True, logits_to_keep=1)
    return weightless.peak


def kept_bytes(model: Any, batch: dict[str, Any], training: TrainingArguments) -> int:
    """What the forward pass of ``model``, with values or without, keeps for the backward pass."""
    ready_to_train(model, training)
    own = {_key(tensor) for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}  # held, so that no number is given away again

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if _key(tensor) not in own:
            kept[_key(tensor)] = tensor.untyped_storage()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), _fused_dropout():
        _loss(model, batch, training)
    return sum(storage.nbytes() for storage in kept.values())
