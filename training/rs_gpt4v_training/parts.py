"""The parts of an image-text-to-text model: which of them are trained, and how fast."""

import re
from collections.abc import Iterable

import torch

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
