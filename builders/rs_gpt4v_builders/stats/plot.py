"""Table 1 beside what was built, answer lengths and question types, as one picture."""

import io
import itertools
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from rs_gpt4v.files import AnyPath, replacing
from rs_gpt4v_builders import usable
from rs_gpt4v_builders.stats.composition import Composition
from rs_gpt4v_builders.stats.table1 import TABLE_1, Built, totals

# Okabe and Ito's colours, which colour-blind readers can tell apart.
_PAPER, _BUILT, _INK, _FAINT = "#B8BEC6", "#0072B2", "#22272E", "#6B7280"
_SHARES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture everywhere
    "font.size": 9,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "svg.fonttype": "none",  # text stays text, to search and to copy
    "svg.hashsalt": "rs-gpt4v",  # the same bytes each time
}


def draw(built: list[Built], made_of: list[Composition], path: AnyPath, *, sample: bool) -> None:
    """Write the picture to ``path``, 1,200 pixels wide where its suffix is ".png".

    Args:
        built: The lines of Table 1.
        made_of: Their compositions.
        path: File to write, in the format that its suffix names.
        sample: Say that the rows are of the synthetic sample.

    Raises:
        ValueError: The suffix is neither ".png" nor ".svg".
    """
    path = Path(path)
    check_suffix(path)
    content = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure = _figure(built, made_of, sample=sample)
        kind, metadata = path.suffix[1:], _METADATA[path.suffix]
        figure.savefig(content, format=kind, dpi=100, metadata=metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(content.getvalue())


def check_suffix(path: AnyPath) -> None:
    """Raise ValueError unless ``path`` ends with ".png" or ".svg"."""
    path = Path(path)
    if path.suffix not in _METADATA:
        raise ValueError(f"{path}: a plot is written as {' or '.join(_METADATA)}")


_METADATA: dict[str, dict[str, Any]] = {".png": {"Software": None}, ".svg": {"Date": None}}
"""What matplotlib would write that differs from day to day or from release to release."""


def _figure(built: list[Built], made_of: list[Composition], *, sample: bool) -> Figure:
    figure = Figure(figsize=(12, 9.6))
    types = [item for item in made_of if item.question_types and item.split == "train"]
    grid = figure.add_gridspec(
        2, 3, left=0.13, right=0.975, top=0.85, bottom=0.05, hspace=0.2, wspace=0.1,
        height_ratios=[6, 0.45 * max(len(types), 1)], width_ratios=[1, 1, 0.8],
    )  # fmt: skip
    top = [figure.add_subplot(grid[0, column]) for column in range(3)]
    places = _places()
    _head(figure, built, sample=sample)
    for axes, split in zip(top, ("train", "test"), strict=False):
        _draw_pairs(axes, [item for item in built if item.line.split == split], places)
        axes.set_title(f"Question-answer pairs, {split}")
    _draw_lengths(top[2], [item for item in made_of if item.split == "train"], places)
    _name_rows(top, places)
    _draw_types(figure.add_subplot(grid[1, :]), types)
    return figure


def _head(figure: Figure, built: list[Built], *, sample: bool) -> None:
    heading = "RS-GPT4V: the paper's Table 1 and what was built"
    figure.text(0.015, 0.957, heading, fontsize=15, fontweight="bold")
    train = totals(built, "train")
    numbers = f"{train.paper_pairs:,} training pairs in the paper, {train.pairs:,} built"
    what = "from the synthetic sample, which shows the path and not the data" if sample else ""
    text = f"{numbers} {what or 'from the releases on disk'}."
    figure.text(0.015, 0.929, text, fontsize=10, color="#B34700" if sample else _FAINT)
    handles = [Patch(color=_PAPER, label="paper"), Patch(color=_BUILT, label="built")]
    figure.legend(
        handles=handles, loc="upper right", bbox_to_anchor=(0.98, 0.98), ncols=2, frameon=False
    )


def _places() -> dict[str, float]:
    """The height of each config's row, downwards; tasks stand apart."""
    places: dict[str, float] = {}
    y, before = 0.0, TABLE_1[0].task
    for config, task in _tasks().items():
        y += _GAP if task != before else 0
        places[config], y, before = y, y + 1, task
    return places


def _tasks() -> dict[str, str]:
    """Each config's task in the paper's table; configs that are not in it come last."""
    tasks = {line.config: line.task for line in TABLE_1}
    return tasks | {name: "Not in the paper" for name in usable() if name not in tasks}


_GAP = 0.85


def _name_rows(top: list[Axes], places: dict[str, float]) -> None:
    for axes in top:
        axes.set_ylim(max(places.values()) + 0.6, -1.1)
        axes.set_yticks(list(places.values()), list(places) if axes is top[0] else [])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#E5E7EB", linewidth=0.8)
        axes.set_axisbelow(True)
    first: dict[str, str] = {}
    for config, task in _tasks().items():
        first.setdefault(task, config)
    for task, config in first.items():
        place = (0, places[config] - 0.72)
        top[0].annotate(
            task, place, (-4, 0), top[0].get_yaxis_transform(), "offset points",
            ha="right", va="center", fontsize=7.5, color=_FAINT,
        )  # fmt: skip


def _draw_pairs(axes: Axes, built: list[Built], places: dict[str, float]) -> None:
    """Paper above, built below, on a logarithmic scale."""
    y = [places[item.line.config] for item in built]
    paper, pairs = [item.line.pairs for item in built], [item.pairs or 0 for item in built]
    axes.barh([at - 0.2 for at in y], paper, 0.36, color=_PAPER)
    axes.barh([at + 0.2 for at in y], pairs, 0.36, color=_BUILT)
    axes.set_xscale("log")
    axes.set_xlim(1, 2e7)
    axes.set_xticks([1, 100, 10_000, 1_000_000], ["1", "100", "10,000", "1,000,000"])
    axes.minorticks_off()
    for at, item in zip(y, built, strict=True):
        _label(axes, item.line.pairs, at - 0.2, f"{item.line.pairs:,}", _FAINT)
        text = "not built" if item.pairs is None else f"{item.pairs:,}"
        _label(axes, item.pairs or 1, at + 0.2, text, _BUILT)
    in_table = {item.line.config for item in built}
    for config, at in places.items():
        if config not in in_table:
            _label(axes, 1, at, "not in the table", _FAINT)


def _label(axes: Axes, x: float, y: float, text: str, color: str) -> None:
    axes.annotate(
        text, (x, y), (4, 0), textcoords="offset points", va="center", fontsize=7.5, color=color
    )


def _draw_lengths(axes: Axes, made_of: list[Composition], places: dict[str, float]) -> None:
    """Of each config a line from the median answer to the longest, with a dot at 95 %."""
    y = [places[item.config] for item in made_of]
    words = [item.answers.words for item in made_of]
    axes.hlines(y, [of.median for of in words], [of.largest for of in words], _BUILT, linewidth=1.2)
    for name, of, size, color in (
        ("median", [of.median for of in words], 34, _BUILT),
        ("95 %", [of.p95 for of in words], 26, "white"),
        ("longest", [of.largest for of in words], 8, _INK),
    ):
        axes.scatter(of, y, size, color, edgecolors=_BUILT, zorder=3, label=name)
    axes.set_xscale("log")
    axes.set_xlim(0.8, max([100, *(2 * of.largest for of in words)]))
    axes.set_xticks([1, 10, 100], ["1", "10", "100"])
    axes.minorticks_off()
    axes.set_title("Words of an answer, train")
    axes.legend(loc="center right", frameon=False, fontsize=8, borderpad=0.1, handletextpad=0.3)


def _draw_types(axes: Axes, made_of: list[Composition]) -> None:
    """The share of each question type, one bar a config."""
    kinds = dict.fromkeys(kind for item in made_of for kind in item.question_types)
    colors = dict(zip(kinds, itertools.cycle(_SHARES), strict=False))
    for y, item in enumerate(made_of):
        _draw_bar(axes, y, item, colors)
    axes.set_title("Question types, % of the rows, train: where the source states them")
    axes.set_yticks(range(len(made_of)), [item.config for item in made_of])
    axes.set_ylim(max(len(made_of), 1) - 0.5, -0.5)
    axes.set_xlim(0, 122)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _draw_bar(axes: Axes, y: int, item: Composition, colors: dict[str, str]) -> None:
    """Each type's share as part of one bar; a type that a part is too short for stands after it."""
    left, outside = 0.0, []
    for kind, count in item.question_types.items():
        share = 100 * count / item.rows
        axes.barh(y, share, 0.7, left, color=colors[kind], alpha=0.6, edgecolor="white")
        text = f"{kind.replace('_', ' ')} {share:.0f} %"
        if len(text) * _CHARACTER > share:
            outside.append(text)
        else:
            axes.text(left + share / 2, y, text, ha="center", va="center", fontsize=8)
        left += share
    axes.text(left + 0.7, y, ", ".join(outside), va="center", fontsize=8, color=_FAINT)


_CHARACTER = 0.9  # % of a bar that a character of its text takes
