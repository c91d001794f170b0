"""The parts of an image-text-to-text model: which of them are trained, and how fast."""

import re
from collections.abc import Iterable
from typing import Any

import torch
from transformers import TrainerCallback

PARTS = ("language", "projector", "vision")

# Names in LLaVA and PaliGemma, Idefics3 and SmolVLM, Qwen-VL (whose merger is in its "visual").
_PROJECTOR = re.compile("multi_modal_projector|image_newline|connector|merger")
_VISION = re.compile("vision_tower|vision_model|visual")


def part(name: str) -> str:
    """The one of `PARTS` that the parameter ``name`` belongs to."""
    if _PROJECTOR.search(name):
        return "projector"
    return "vision" if _VISION.search(name) else "language"


def refuse_unknown_parts(parts: Iterable[str]) -> None:
    """Raise ValueError unless each of ``parts`` is one of `PARTS`."""
    if unknown := sorted(set(parts) - set(PARTS)):
        raise ValueError(f"train: no part {unknown[0]!r}; a model has {', '.join(PARTS)}")


def freeze_all_but(parts: Iterable[str], model: torch.nn.Module) -> None:
    """Let ``parts`` of ``model`` be trained, and nothing else."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(part(name) in parts)


def refuse_untrained_projector(model: torch.nn.Module) -> None:
    """Raise ValueError unless a parameter of the projector is trained."""
    trained = (name for name, parameter in model.named_parameters() if parameter.requires_grad)
    if not any(part(name) == "projector" for name in trained):
        raise ValueError(
            "projector_learning_rate is given, but no projector is trained. With an adapter, name "
            "it in the recipe: lora_modules_to_save: [multi_modal_projector]"
        )


def set_projector_learning_rate(
    rate: float, optimizer: torch.optim.Optimizer, model: torch.nn.Module
) -> None:
    """Let the projector's parameters learn at ``rate``, in groups of their own.

    Raises:
        ValueError: None of them is trained.
    """
    refuse_untrained_projector(model)
    projector = {p for name, p in model.named_parameters() if part(name) == "projector"}
    groups = [group for group in optimizer.param_groups if projector & set(group["params"])]
    for group in groups:
        if projector.issuperset(group["params"]):
            group["lr"] = rate
            continue
        own = [p for p in group["params"] if p in projector]
        group["params"] = [p for p in group["params"] if p not in projector]
        optimizer.add_param_group({**group, "params": own, "lr": rate})


class FrozenVision(TrainerCallback):
    """Lets no gradient be computed in a vision tower of which nothing is trained.

    For checkpointed layers, transformers (5.23) lets the output of all input embeddings ask for a
    gradient, those of the vision tower too: it would run again in backward, and pass on gradients
    that nobody takes.
    """

    def __init__(self) -> None:
        self.hooks: list[Any] = []
        self.before: list[bool] = []  # whether gradients were computed outside the modules

    def on_train_begin(self, *_args: Any, model: torch.nn.Module, **_kwargs: Any) -> None:
        """The model is as it is trained."""
        for module in frozen_vision(model):
            self.hooks.append(module.register_forward_pre_hook(self._switch_off))
            self.hooks.append(module.register_forward_hook(self._switch_back, always_call=True))

    def on_train_end(self, *_args: Any, **_kwargs: Any) -> None:
        """Leave the model as it was: another training may be of the tower."""
        for hook in self.hooks:
            hook.remove()

    def _switch_off(self, tower: torch.nn.Module, _args: Any) -> None:
        self.before.append(torch.is_grad_enabled())
        torch.set_grad_enabled(False)
        layers: Any = tower.modules()
        for layer in layers:
            if getattr(layer, "gradient_checkpointing", False):
                layer.gradient_checkpointing = False  # re-entrant, it warns of what is meant
            hooks = layer._forward_hooks
            for key in [key for key, hook in hooks.items() if _asks_for_a_gradient(hook)]:
                del hooks[key]  # it fails where embeddings are not a tensor (DPT)

    def _switch_back(self, *_args: Any) -> None:
        torch.set_grad_enabled(self.before.pop())


def _asks_for_a_gradient(hook: Any) -> bool:
    return getattr(hook, "__name__", "") == "make_inputs_require_grads"


def frozen_vision(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The largest modules of ``model``'s vision tower without a trained parameter.

    None where something of the tower is trained: gradients go through what comes after it.
    """
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if any(part(name) == "vision" for name in trained):
        return []
    found: dict[str, torch.nn.Module] = {}
    for name, module in model.named_modules():
        is_inside = name.startswith(tuple(f"{tower}." for tower in found))
        if part(name) != "vision" or is_inside or isinstance(module, torch.nn.ModuleList):
            continue
        if not any(own.startswith(f"{name}.") for own in trained):  # Qwen's projector is in there
            found[name] = module
    return list(found.values())
