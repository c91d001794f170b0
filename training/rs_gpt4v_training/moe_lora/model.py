"""Which layers are adapted, and what can be done with the whole adapter."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from peft.utils import (
    TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING,
    get_quantization_kwargs,
    resolve_quantization_backend,
)
from torch import nn
from transformers.pytorch_utils import Conv1D

from rs_gpt4v_training.moe_lora.config import MoeLoraConfig
from rs_gpt4v_training.moe_lora.layer import MoeLoraLinear
from rs_gpt4v_training.moe_lora.router import Routing, use_task


class MoeLoraModel(BaseTuner):
    """MoE-LoRA after MOELoRA (arXiv 2310.18339) and, per token, CoIN (arXiv 2403.08350)."""

    prefix = "moe_lora_"
    tuner_layer_cls = MoeLoraLinear
    target_module_mapping = TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING

    def merge_and_unload(
        self,
        progressbar: bool = False,
        safe_merge: bool = False,
        adapter_names: list[str] | None = None,
        task: str | None = None,
    ) -> nn.Module:
        """The base model with the adapters (default: the active ones) merged for ``task``.

        Raises:
            NotImplementedError: An adapter's gates depend on the token.
            ValueError: ``task`` is missing, or none of the adapter's.
        """
        with nullcontext() if task is None else use_task(self.model, task):
            return super().merge_and_unload(progressbar, safe_merge, adapter_names)

    def merged_for_each(
        self, tasks: Sequence[str], safe_merge: bool = False
    ) -> Iterator[tuple[str, nn.Module]]:
        """Unload, and yield the base model with the active adapters merged for each task in turn.

        It is the same model each time: save it before the next one. Memory holds it and the
        weights of its adapted layers as they were. Raises as `merge_and_unload`.
        """
        layers = [own for own in self.model.modules() if isinstance(own, MoeLoraLinear)]
        bases: list[Any] = [own.get_base_layer() for own in layers]
        before = [(base, base.weight, base.weight.data) for base in bases]
        first, *others = tasks
        model = self.merge_and_unload(safe_merge=safe_merge, task=first)
        yield first, model
        for task in others:
            self.routing.task = [task]
            for layer, (base, weight, data) in zip(layers, before, strict=True):
                weight.data = data
                base.weight = weight  # a quantised one has been replaced
                layer.merged_adapters.clear()
                layer.merged_tasks.clear()
                layer.merge(safe_merge=safe_merge)
            yield task, model

    @contextmanager
    def _enable_peft_forward_hooks(self, *_args: Any, **kwargs: Any) -> Iterator[None]:
        if kwargs.get("adapter_names") is not None:
            raise NotImplementedError(
                "MoE-LoRA takes no adapter_names= in forward or generate: one adapter serves all "
                "rows of a batch. Choose it by set_adapter(NAME), and give each its own batches."
            )
        yield

    def inject_adapter(
        self, model: nn.Module, adapter_name: str, *args: Any, **kwargs: Any
    ) -> None:
        """Adapt the layers of ``model``; if one cannot be, the others are as before."""
        is_new = not any(adapter_name in layer.moe_lora_A for _, _, layer in _layers(model))
        try:
            super().inject_adapter(model, adapter_name, *args, **kwargs)
        except Exception:
            if is_new:
                _take_out(model, adapter_name)
            raise

    def _prepare_model(self, peft_config: MoeLoraConfig, model: nn.Module) -> None:
        self.routing = Routing.of(model)
        if peft_config.has_losses:
            self.routing.declaration.give_own_config(model)

    def _create_and_replace(
        self,
        peft_config: MoeLoraConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,  # noqa: ARG002
    ) -> None:
        if isinstance(target, MoeLoraLinear):
            target.update_layer(adapter_name, peft_config)
            return
        kwargs = get_quantization_kwargs(self)
        base = target.get_base_layer() if isinstance(target, BaseTunerLayer) else target
        backend = resolve_quantization_backend(base, **kwargs)
        linear = isinstance(base, nn.Linear | Conv1D)
        if not linear and getattr(backend, "layer_type", None) != "linear":
            raise TypeError(
                f"MoE-LoRA adapts linear layers, but {current_key} is of type "
                f"{type(base).__name__}: leave it out of target_modules"
            )
        layer = MoeLoraLinear(target, adapter_name, peft_config, self.routing, **kwargs)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)

    def _replace_module(
        self, parent: nn.Module, child_name: str, new_module: nn.Module, child: nn.Module
    ) -> None:
        if hasattr(new_module, "base_layer"):
            super()._replace_module(parent, child_name, new_module, child)
        else:
            # Unloading. BaseTuner's version also hands over ``weight``, which a module trained in
            # full has not if it consists of several layers, as a projector does.
            setattr(parent, child_name, new_module)

    def _unload_and_optionally_merge(self, *args: Any, **kwargs: Any) -> nn.Module:
        model: Any = super()._unload_and_optionally_merge(*args, **kwargs)
        self.routing.remove_from(model)
        return model


def _layers(model: nn.Module) -> list[tuple[nn.Module, str, MoeLoraLinear]]:
    """The adapted layers, each with its parent and its name there."""
    return [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, MoeLoraLinear)
    ]


def _take_out(model: nn.Module, adapter_name: str) -> None:
    """Leave nothing of an adapter that not all layers got; of the first, no hooks either."""
    for parent, name, layer in _layers(model):
        if layer.moe_lora_A.keys() == {adapter_name}:
            setattr(parent, name, layer.base_layer)
        elif adapter_name in layer.moe_lora_A:
            layer.delete_adapter(adapter_name)
    routing = Routing.of(model)
    routing.declaration.remove(adapter_name)
    if not _layers(model):
        routing.remove_from(model)
