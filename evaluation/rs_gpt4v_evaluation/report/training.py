"""The loss curve and the facts of a training run, from the log of its trainer."""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

from rs_gpt4v_evaluation.report.charts import Plot, plot


class Training(NamedTuple):
    """One run."""

    loss: Plot
    facts: list[tuple[str, str]]


def read_training(path: Path) -> Training:
    """What ``trainer_state.json`` of a `transformers.Trainer` says.

    Raises:
        ValueError: It is no trainer state, or logs no loss.
    """
    history = _log_history(path)
    losses = _logged(history, "loss")
    if not losses:
        raise ValueError(f"{path} logs no loss; train with logging_steps below the steps' number")
    curves = [("training", losses)]
    if held_out := _logged(history, "eval_loss"):
        curves.insert(0, ("validation", held_out))
    return Training(plot("Loss by step", curves, "step", "loss"), _facts(history, losses))


def _log_history(path: Path) -> list[dict[str, Any]]:
    try:
        return json.loads(path.read_bytes())["log_history"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a trainer_state.json: {error!r}") from error


def _logged(history: list[dict[str, Any]], name: str) -> list[tuple[float, float]]:
    found = [(entry["step"], entry[name]) for entry in history if name in entry]
    return [(step, value) for step, value in found if math.isfinite(value)]


def _facts(
    history: list[dict[str, Any]], losses: list[tuple[float, float]]
) -> list[tuple[str, str]]:
    facts = [("Steps", f"{max(entry['step'] for entry in history):,}")]
    if runtime := history[-1].get("train_runtime"):
        facts.append(("Runtime", _duration(runtime)))
    facts += [("First loss", f"{losses[0][1]:.3f}"), ("Final loss", f"{losses[-1][1]:.3f}")]
    if rates := [entry["learning_rate"] for entry in history if "learning_rate" in entry]:
        facts.append(("Highest learning rate", f"{max(rates):.2g}"))
    return facts


def _duration(seconds: float) -> str:
    """Seconds as a reader says them.

    >>> _duration(5.33), _duration(725), _duration(11_000)
    ('5.3 s', '12 min 5 s', '3 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
