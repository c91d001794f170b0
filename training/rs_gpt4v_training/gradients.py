"""Which parameters get a gradient: what gets none is not trained."""

import logging
import re
from collections.abc import Iterable
from typing import Any

import torch
from jinja2 import TemplateError
from peft import PeftConfig, get_peft_model
from PIL import Image
from transformers import AutoModelForImageTextToText

from rs_gpt4v_training.activations import not_shared_out, weightless_step
from rs_gpt4v_training.adapters import peft_config
from rs_gpt4v_training.arguments import Arguments, ModelArguments
from rs_gpt4v_training.parts import freeze_all_but, part

logger = logging.getLogger(__name__)


def on_meta(
    config: Any, training: Arguments, model: ModelArguments, tasks: list[str]
) -> torch.nn.Module:
    """The model with its adapter, or with all but its trained parts frozen; weightless."""
    with torch.device("meta"), not_shared_out():
        built: Any = AutoModelForImageTextToText.from_config(
            config, trust_remote_code=training.trust_remote_code, dtype=_dtype(config, model)
        )
        if adapter := _adapter(training, model, tasks):
            return _trained_as_by_trl(get_peft_model(built, adapter), training, model)
    if training.train:
        freeze_all_but(training.train, built)
    return built


def _trained_as_by_trl(built: Any, training: Arguments, model: ModelArguments) -> Any:
    """Over quantised weights, what is trained is bfloat16 where the run is."""
    if (model.load_in_4bit or model.load_in_8bit) and training.bf16:
        for parameter in built.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(torch.bfloat16)
    return built


def _adapter(training: Arguments, model: ModelArguments, tasks: list[str]) -> Any:
    """The configuration of the adapter, new or to go on with."""
    if (folder := getattr(training, "adapter", None)) is not None:
        saved = PeftConfig.from_pretrained(folder)
        saved.inference_mode = False  # as it is saved, nothing would be trained
        return saved
    return peft_config(model, tasks)


def _dtype(config: Any, model: ModelArguments) -> torch.dtype:
    """The type that the weights are loaded as."""
    name = str(model.dtype).removeprefix("torch.")
    given = config.dtype if name == "auto" else getattr(torch, name, None)
    return given or torch.float32


def freeze_without_gradient(
    trained: torch.nn.Module,
    config: Any,
    training: Arguments,
    model: ModelArguments,
    tasks: list[str],
    collate: Any,
) -> None:
    """Freeze what gets no gradient, such as the layers of CLIP above the one that LLaVA reads.

    The optimizer would have no state for it, and FSDP2 resumes from a checkpoint only if it has one
    for all that is trained. Weight decay would change it, too.

    Args:
        trained: The model to train.
        config: Its configuration.
        training: The trainer's options.
        model: The arguments that it was made by.
        tasks: Those of the rows.
        collate: What makes the batches.
    """
    # The layers of a language model follow one upon the other.
    if not any(part(name) == "vision" for name, p in trained.named_parameters() if p.requires_grad):
        return
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "."}]
    image = Image.new("RGB", (64, 48), "white")
    try:
        batch = dict(collate([{"images": [image], "messages": messages, "task": tasks[0]}]))
        step = weightless_step(on_meta(config, training, model, tasks), batch, training)
    except (RuntimeError, ValueError, TemplateError) as error:
        logger.warning("cannot tell which parameters get no gradient: %s", error)
        return
    names = set(step.without_gradient)
    unreached = {name: p for name, p in trained.named_parameters() if name in names}
    for parameter in unreached.values():
        parameter.requires_grad_(False)
    if unreached:
        logger.warning("not trained, as no gradient gets there: %s", ", ".join(_modules(unreached)))


def _modules(names: Iterable[str]) -> list[str]:
    """The layers, or else the modules, that parameters of these names are in, each once."""
    layers = (re.match(r".*?\.\d+(?=\.)|.*(?=\.)", name) for name in names)
    return list(dict.fromkeys(layer[0] for layer in layers if layer))
