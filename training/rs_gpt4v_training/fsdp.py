"""The gradient of the output layer under FSDP2."""

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


def _gather(weight: DTensor) -> torch.Tensor:
    mesh = weight.device_mesh
    whole = DTensor.full_tensor(weight, grad_placements=[Partial()] * mesh.ndim)
    if whole.requires_grad:
        whole.register_hook(lambda gradient: gradient / mesh.size())
    return whole
