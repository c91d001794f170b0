"""What FSDP2 needs of us: the gradient of the output layer, and states that can be loaded."""

from functools import partial
from typing import Any, cast

import torch
from torch.distributed.tensor import DTensor, Partial
from transformers import TrainerCallback


class HeadGradients(TrainerCallback):
    """Averages the gradient of the output layer over the processes, as that of all other layers.

    TRL (1.16) reads the layer's weight and does not call the layer. FSDP2 gathers a weight when its
    module or one sharded with it is called. accelerate (1.15) shards the layer with the norm before
    it, but does not find that norm in vision-language models, so TRL gathers the weight by itself,
    and each process kept the gradient of its own rows.
    """

    def on_train_begin(self, *_args: Any, model: Any, **_kwargs: Any) -> None:
        """Change how the weights of the output layer are gathered."""
        head = model.get_output_embeddings()
        weights: Any = head.parameters() if head is not None else ()
        for weight in weights:
            if isinstance(weight, DTensor) and weight.requires_grad:
                cast("Any", weight).full_tensor = partial(_gather, weight)


class WithoutQuantisation(TrainerCallback):
    """Leaves how frozen weights were quantised out of a checkpoint of an adapter.

    bitsandbytes adds it to the state of a layer. It is no parameter, so that accelerate saves it
    with the adapter, and torch (2.13) cannot load it again: the run could not be resumed.
    """

    def on_train_begin(self, *_args: Any, model: Any, **_kwargs: Any) -> None:
        """Change what the state of a quantised layer holds."""
        if any(isinstance(weight, DTensor) for weight in model.parameters()):
            for module in model.modules():
                if hasattr(module, "quant_state"):
                    module.register_state_dict_post_hook(_leave_out)


def _leave_out(_: Any, state: dict[str, Any], prefix: str, __: Any) -> None:
    for name in [name for name in state if name.startswith(f"{prefix}weight.")]:
        del state[name]


def _gather(weight: DTensor) -> torch.Tensor:
    mesh = weight.device_mesh
    whole = DTensor.full_tensor(weight, grad_placements=[Partial()] * mesh.ndim)
    if whole.requires_grad:
        whole.register_hook(lambda gradient: gradient / mesh.size())
    return whole
