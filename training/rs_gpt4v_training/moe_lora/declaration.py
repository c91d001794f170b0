"""How other code learns that a model has auxiliary losses: from its config, as for Mixtral."""

import copy
from typing import Any

import torch
from torch import nn


class Declaration:
    """What the base model's config says of auxiliary losses while an adapter has some.

    TRL asks a model for them whose text config has ``output_router_logits``, and weighs them by
    ``router_aux_loss_coef``. A base model that is a mixture of experts has both; its own values
    stay, its own loss is computed as without an adapter, and the adapter's joins it. Any other
    config gets both for as long as an adapter has losses; their weights have been applied by then,
    so the coefficient is 1. A model whose adapter has losses gets a config of its own before: other
    models may have been made of the same object.

    Args:
        config: The base model's text config; None where it has none.
    """

    def __init__(self, config: Any) -> None:
        self.config = config
        self.adapters: set[str] = set()
        self.added = self.is_own = False
        self.coefficient = getattr(config, "router_aux_loss_coef", 1.0) or 1.0

    def give_own_config(self, model: nn.Module) -> None:
        """Put a copy of its config into ``model`` and all parts of it, once."""
        if self.config is None or self.is_own or hasattr(self.config, "output_router_logits"):
            return
        copies: dict[int, Any] = {}  # by the id of what was copied: text and vision configs too
        copy.deepcopy(model.config, copies)
        for module in model.modules():
            if (own := copies.get(id(vars(module).get("config")))) is not None:
                module.config = own
        self.config, self.is_own = copies[id(self.config)], True

    def add(self, adapter: str) -> None:
        """``adapter`` has losses."""
        self.adapters.add(adapter)
        if self.config is not None and not hasattr(self.config, "output_router_logits"):
            # False: TRL asks by an argument where it wants them. True would also make it read the
            # router logits of the base model, whose layers have none.
            self.config.update({"output_router_logits": False, "router_aux_loss_coef": 1.0})
            self.added = True

    def remove(self, adapter: str) -> None:
        """``adapter`` is deleted."""
        self.adapters.discard(adapter)
        if not self.adapters:
            self.withdraw()

    def withdraw(self) -> None:
        """Leave the config as it was."""
        if self.added:
            for name in ("output_router_logits", "router_aux_loss_coef"):
                self.config.__dict__.pop(name, None)
        self.added = False

    def without_router_logits(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """``kwargs`` of a forward pass of a base model without routers of its own."""
        if self.added:
            kwargs.pop("output_router_logits", None)
            if kwargs.get("fused_lm_head"):  # TRL's, which else reads the config
                kwargs["output_router_logits"] = False
        return kwargs

    def with_loss(self, output: Any, loss: torch.Tensor) -> Any:
        """``output`` with ``loss`` in its ``loss`` and, over the coefficient, its ``aux_loss``."""
        if hasattr(output, "loss"):
            own = getattr(output, "aux_loss", None)
            shared = loss / self.coefficient
            output.aux_loss = shared if own is None else own.to(shared.device) + shared
            if output.loss is not None:
                output.loss = output.loss + loss.to(output.loss.device)
        return output

    def with_zero(self, output: Any) -> Any:
        """``output`` of a pass that was asked for losses, but had none: its adapter is off."""
        if self.added and hasattr(output, "loss"):
            output.aux_loss = torch.zeros((), device=output[0].device)
        return output
