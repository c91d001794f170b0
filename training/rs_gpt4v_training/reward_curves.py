"""How the rewards of a run rose: its log as a picture."""

import math
from pathlib import Path
from statistics import fmean
from typing import Any

from typing_extensions import TypedDict

from rs_gpt4v.files import AnyPath, InvalidFileError, read_json, refuse_overwriting

_WINDOW = 5
"""A point of a line is the mean of so many logged steps: a step has few questions."""
_UNLEARNED = "frac_reward_zero_std"


class _State(TypedDict):
    """Of ``trainer_state.json``, which has more."""

    log_history: list[dict[str, Any]]


def plot_rewards(state: AnyPath, out: AnyPath) -> None:
    """Draw the rewards of a run over its steps, and how many questions taught nothing.

    On the left is the mean of each reward, by type of question and kind of box where the log has
    them; on the right the share of questions whose replies all got the same reward.

    Args:
        state: The ``trainer_state.json`` that training by rewards has left.
        out: Image to write; its suffix tells the format.

    Raises:
        InvalidFileError: ``state`` has no rewards.
        OverwriteError: ``out`` is ``state``.
    """
    state, out = Path(state), Path(out)
    from matplotlib.figure import Figure

    refuse_overwriting([out], [state])
    log = [entry for entry in read_json(state, _State)["log_history"] if "reward" in entry]
    if not log:
        raise InvalidFileError(f"{state} logs no rewards: it is of another method than grpo")
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, width_ratios=(3, 2))
    for name in _rewards(log):
        left.plot(*_line(log, name), label=_title(name), linewidth=1.2)
    left.plot(*_line(log, "reward"), color="black", linewidth=2.2, label="all, weighted")
    left.set(xlabel="step", ylabel=f"mean reward, {_WINDOW} logged steps")
    left.legend(frameon=False, fontsize="small")
    right.plot(*_line(log, _UNLEARNED), color="tab:grey")
    right.set(xlabel="step", ylabel="share with equal replies", ylim=(0, 1.05))
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(out)


def _rewards(log: list[dict[str, Any]]) -> list[str]:
    """The logged means: those of a reward's types if it has several, or else its own."""
    names = sorted({name for entry in log for name in entry if name.startswith("rewards/")})
    types: dict[str, list[str]] = {}
    for _, reward, kind in (name.split("/") for name in names):
        own = types.setdefault(reward, [])
        own += [kind] if kind not in ("mean", "std") else []
    return [
        f"rewards/{reward}/{kind}"
        for reward, own in types.items()
        for kind in (own if len(own) > 1 else ["mean"])
    ]


def _title(name: str) -> str:
    return ", ".join(name.removesuffix("/mean").split("/")[1:])


def _line(log: list[dict[str, Any]], name: str) -> tuple[list[int], list[float]]:
    """Steps, and the mean of the last ones that logged ``name``: null if no row has it."""
    points = [(entry["step"], entry[name]) for entry in log if entry.get(name) is not None]
    points = [(step, value) for step, value in points if math.isfinite(value)]
    values = [value for _, value in points]
    means = [fmean(values[max(0, end - _WINDOW) : end]) for end in range(1, len(values) + 1)]
    return [step for step, _ in points], means
