"""The loss curve and the facts of a training run, from the log of its trainer."""

import math
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import AllowInfNan
from typing_extensions import NotRequired, TypedDict

from rs_gpt4v.files import InvalidFileError, read_json
from rs_gpt4v_evaluation.report.charts import Plot, plot

_Number = Annotated[float, AllowInfNan(True)]  # a loss that is lost is NaN


class _Entry(TypedDict):
    step: int
    loss: NotRequired[_Number]
    eval_loss: NotRequired[_Number]
    learning_rate: NotRequired[_Number]
    train_runtime: NotRequired[_Number]


class _State(TypedDict):
    log_history: list[_Entry]


class Training(NamedTuple):
    """One run."""

    loss: Plot
    facts: list[tuple[str, str]]


def read_training(path: Path) -> Training:
    """What ``trainer_state.json`` of a `transformers.Trainer` says.

    Raises:
        ValueError: It is no trainer state, or logs no loss.
    """
    try:
        history = read_json(path, _State)["log_history"]
    except InvalidFileError as error:
        raise InvalidFileError(f"{path} is not a trainer_state.json: {error}") from None
    losses = _logged(history, "loss")
    if not losses:
        raise ValueError(f"{path} logs no loss; train with logging_steps below the steps' number")
    curves = [("training", losses)]
    if held_out := _logged(history, "eval_loss"):
        curves.insert(0, ("validation", held_out))
    return Training(plot("Loss by step", curves, "step", "loss"), _facts(history, losses))


def _logged(history: list[_Entry], name: Literal["loss", "eval_loss"]) -> list[tuple[float, float]]:
    points = [(entry["step"], entry.get(name, math.nan)) for entry in history]
    return [(step, value) for step, value in points if math.isfinite(value)]


def _facts(history: list[_Entry], losses: list[tuple[float, float]]) -> list[tuple[str, str]]:
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
