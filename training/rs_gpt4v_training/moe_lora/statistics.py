"""What the routers do during training: logged by a callback, drawn by a function."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.distributed as dist
from pydantic import AllowInfNan
from torch import nn
from transformers import TrainerCallback
from typing_extensions import TypedDict

from rs_gpt4v.files import (
    AnyPath,
    InvalidFileError,
    json_line,
    read_json_lines,
    refuse_overwriting,
    write_json_lines,
)
from rs_gpt4v_training.moe_lora.router import ForwardPass, TaskRouter, TokenRouter, token_mask


class TaskLoad(TypedDict):
    """What a layer's router did for one task."""

    load: list[Annotated[float, AllowInfNan()]]  # of a run that diverged, too
    entropy: Annotated[float, AllowInfNan()]
    tokens: int


class Logged(TypedDict):
    """A line of the file of `RouterStatistics`."""

    step: int
    layers: dict[str, dict[str, TaskLoad]]


class RouterStatistics(TrainerCallback):
    """Logs each expert's load and the gates' entropy, by layer and task, over training tokens.

    Each logging step appends a line to ``path``: ``{"step": 10, "layers": {LAYER: {TASK:
    {"load": [...], "entropy": ..., "tokens": ...}}}}``. Load is an expert's mean gate, so a layer's
    sum to one; entropy is the mean over tokens in nats, from 0 (one expert) to ln N (all alike).
    The trainer's log gets ``router_entropy``, the mean over all, and ``router_max_load``, the
    largest load that an expert of any layer has over all tasks.

    Args:
        path: JSON Lines file; created, or added to.
        tasks: Names of the numbers in the batches' ``tasks``; without, all rows are task "all".
    """

    def __init__(self, path: AnyPath, tasks: Sequence[str] = ()) -> None:
        self.path, self.tasks = Path(path), list(tasks)
        self.sums: dict[str, torch.Tensor] = {}  # layer: [tasks, experts + 2]
        self.hooks: list[Any] = []

    def on_train_begin(
        self, _args: Any, state: Any, _control: Any, *, model: nn.Module, **_kwargs: Any
    ) -> None:
        """Watch the routers of ``model``; forget what a run logged that went on from before it."""
        if state.is_world_process_zero and self.path.is_file():
            lines = list(read_json_lines(self.path, Logged))
            kept = [line for line in lines if line["step"] <= state.global_step]
            write_json_lines(self.path, kept)
        for name, module in model.named_modules():
            if isinstance(module, TokenRouter | TaskRouter):
                layer = name.split(".moe_lora_router")[0]
                self.hooks.append(module.register_forward_hook(partial(self._count, layer)))

    def on_log(self, _args: Any, state: Any, _control: Any, logs: Any, **_kwargs: Any) -> None:
        """Write what has been counted since the last call."""
        if not self.sums:
            return
        counted, self.sums = self.sums, {}
        if dist.is_available() and dist.is_initialized():
            for sums in counted.values():
                dist.all_reduce(sums)
        summary = _summary(torch.stack(list(counted.values())))
        logs.update(summary)
        state.log_history[-1].update(summary)
        if state.is_world_process_zero:
            layers = {layer: self._by_task(sums) for layer, sums in counted.items()}
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(json_line({"step": state.global_step, "layers": layers}))

    def on_train_end(self, *_args: Any, **_kwargs: Any) -> None:
        """Stop watching."""
        for hook in self.hooks:
            hook.remove()
        self.hooks.clear()

    @torch.no_grad()
    def _count(self, layer: str, router: nn.Module, args: Any, gates: torch.Tensor) -> None:
        x, step = args
        if not (router.training and step.counts_losses):  # a checkpointed layer runs twice
            return
        gates = gates.expand(*x.shape[:-1], -1)
        entropy = torch.special.entr(gates).sum(-1, keepdim=True)
        counts = torch.cat([gates, entropy, torch.ones_like(entropy)], -1)
        counts = counts * token_mask(x, step).unsqueeze(-1)
        rows = counts.reshape(len(x), -1, counts.shape[-1]).sum(1)  # [rows, experts + 2]
        if layer not in self.sums:
            self.sums[layer] = rows.new_zeros(max(1, len(self.tasks)), rows.shape[-1])
        self.sums[layer].index_add_(0, self._numbers(x, step), rows)

    def _numbers(self, x: torch.Tensor, step: ForwardPass) -> torch.Tensor:
        if self.tasks and isinstance(step.tasks, torch.Tensor):
            return step.tasks.to(x.device)
        return torch.zeros(len(x), dtype=torch.long, device=x.device)

    def _by_task(self, sums: torch.Tensor) -> dict[str, Any]:
        return {
            task: {
                "load": [round(value / tokens, 4) for value in load],
                "entropy": round(entropy / tokens, 4),
                "tokens": int(tokens),
            }
            for task, (*load, entropy, tokens) in zip(
                self.tasks or ["all"], sums.tolist(), strict=True
            )
            if tokens
        }


def _summary(sums: torch.Tensor) -> dict[str, float]:
    """Of [layers, tasks, experts + 2]."""
    by_layer = sums.sum(1)
    means = by_layer[:, :-1] / by_layer[:, -1:]
    return {
        "router_entropy": round(means[:, -1].mean().item(), 4),
        "router_max_load": round(means[:, :-1].max().item(), 4),
    }


def plot_router_statistics(path: AnyPath, out: AnyPath) -> None:
    """Draw the last line of a `RouterStatistics` file: load per layer, entropy per layer and task.

    Args:
        path: The file.
        out: Image to write; its suffix tells the format.

    Raises:
        InvalidFileError: ``path`` has no lines, or others.
        OverwriteError: ``out`` is ``path``.
    """
    path = Path(path)
    out = Path(out)
    from matplotlib.figure import Figure

    refuse_overwriting([out], [path])
    lines = list(read_json_lines(path, Logged))
    if not lines:
        raise InvalidFileError(f"{path} has no lines: train with logging_steps below the steps")
    last = lines[-1]
    layers = list(last["layers"].values())
    loads = [_mean_load(tasks) for tasks in layers]
    experts = len(loads[0])
    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(f"Routers at step {last['step']}")
    left, right = figure.subplots(1, 2)
    image = left.imshow(loads, aspect="auto", vmin=0, vmax=max(map(max, loads)), cmap="Blues")
    figure.colorbar(image, ax=left, label=f"load; {1 / experts:.2f} where all are alike")
    left.set(xlabel="expert", ylabel="adapted layer", xticks=range(experts))
    for task in sorted({task for tasks in layers for task in tasks}):
        entropy = [tasks[task]["entropy"] if task in tasks else None for tasks in layers]
        right.plot(entropy, label=task)
    highest = math.log(experts)
    right.axhline(highest, color="grey", linestyle="dashed", label="all experts alike")
    right.set(xlabel="adapted layer", ylabel="entropy of the gates (nats)")
    right.set_ylim(0, 1.08 * highest if highest else 1)
    right.spines[["top", "right"]].set_visible(False)
    right.legend(frameon=False, loc="lower right")
    figure.savefig(out)


def plot_expert_use(paths: Mapping[str, AnyPath], out: AnyPath) -> None:
    """Draw which experts each task used in the second half of training, by layer.

    Experts that serve tasks of their own show as columns that are dark in one panel and light in
    the others; panels that are alike show that the routers do not tell the tasks apart.

    Args:
        paths: Files of `RouterStatistics`, by what is written beside their panels.
        out: Image to write; its suffix tells the format.

    Raises:
        InvalidFileError: A file has no lines, or others.
        OverwriteError: ``out`` is one of the files.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    refuse_overwriting([out], list(paths.values()))
    uses = {title: expert_use(path) for title, path in paths.items()}
    tasks = sorted({task for use in uses.values() for task in use})
    highest = max(max(map(max, layers)) for use in uses.values() for layers in use.values())
    scale = Normalize(0, highest)
    figure = Figure(figsize=(2 + 1.5 * len(tasks), 0.8 + 2.2 * len(uses)), layout="constrained")
    panels: Any = figure.subplots(len(uses), len(tasks), squeeze=False, sharey="row")
    for row, (title, use) in zip(panels, uses.items(), strict=True):
        row[0].set_ylabel(f"{title}\nadapted layer")
        for panel, task in zip(row, tasks, strict=True):
            panel.set(title=task, xlabel="expert", xticks=range(len(next(iter(use.values()))[0])))
            if task in use:
                panel.imshow(use[task], "Blues", scale, aspect="auto", interpolation="none")
    figure.colorbar(ScalarMappable(scale, "Blues"), ax=panels, label="load")
    figure.savefig(out)


def expert_use(path: AnyPath) -> dict[str, list[list[float]]]:
    """The load of each expert, by task and layer, over the second half of a log: they sum to one.

    Args:
        path: A file of `RouterStatistics`.

    Raises:
        InvalidFileError: It has no lines, or others.
    """
    lines = list(read_json_lines(path, Logged))
    if not lines:
        raise InvalidFileError(f"{path} has no lines: train with logging_steps below the steps")
    late = lines[len(lines) // 2 :]
    tasks = {task: None for line in late for layer in line["layers"].values() for task in layer}
    return {
        task: [
            _mean_load(
                {line["step"]: of[task] for line in late if task in (of := line["layers"][layer])}
            )
            for layer in late[0]["layers"]
        ]
        for task in tasks
    }


def _mean_load(parts: Mapping[Any, Any]) -> list[float]:
    total = sum(task["tokens"] for task in parts.values())
    weighted = [[v * task["tokens"] / total for v in task["load"]] for task in parts.values()]
    return [sum(values) for values in zip(*weighted, strict=True)]
