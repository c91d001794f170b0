"""The numbers of the charts, in % of a chart's width and height (from its top)."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rs_gpt4v.scoring.answers import bucket, normalise_answer
from rs_gpt4v_evaluation.report.columns import Column, Group, Row
from rs_gpt4v_evaluation.report.tables import Table, score_names
from rs_gpt4v_evaluation.rs_grounding.measure import THRESHOLDS

_BINS = 20  # of IoU, 0.05 each
_MARKS = 30  # of a curve; more would hide it
_LENGTHS = 12  # points of a curve over caption lengths, at most
_RANGES = {
    "0": "0",
    "between 0 and 10": "1\N{EN DASH}10",
    "between 10 and 100": "11\N{EN DASH}100",
    "between 100 and 1000": "101\N{EN DASH}1,000",
    "more than 1000": "> 1,000",
    "": "no number",
}

Tick = tuple[float, str]
"""A place in % and what is written there."""


class Bar(NamedTuple):
    """A score in %, and the limits of its interval if it has one."""

    width: float
    low: float | None
    high: float | None


class Curve(NamedTuple):
    """A named line through ``points``, and what is marked on it: all of a few, else the last."""

    label: str
    points: list[tuple[float, float]]
    marks: list[tuple[float, float, str]]


class Plot(NamedTuple):
    """Curves with their axes."""

    name: str
    curves: list[Curve]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    x_name: str
    y_name: str


class Histogram(NamedTuple):
    """How many rows have which IoU, of those that overlap at all.

    Attributes:
        label: The column.
        bars: For each bin its height in %, and what it holds.
        y_ticks: Rows.
        thresholds: The scores Pr@t at their t.
        misses: Rows without overlap.
    """

    label: str
    bars: list[Tick]
    y_ticks: list[Tick]
    thresholds: list[Tick]
    misses: int


class Confusion(NamedTuple):
    """Counts by their range: a row a true range, a column a predicted one."""

    label: str
    predicted: list[str]
    rows: list[tuple[str, list[int]]]


class Charts(NamedTuple):
    """The charts of a group; empty where its task has none of the kind."""

    bars: list[tuple[str, list[Bar]]]
    lengths: Plot | None
    histograms: list[Histogram]
    confusions: list[Confusion]


def charts(table: Table) -> Charts:
    """The charts of the group of ``table``."""
    group = table.group
    return Charts(
        bars=_bars(table) if table.has_most_frequent else [],
        lengths=_lengths(group) if group.metric.name == "rs_caption" else None,
        histograms=_histograms(group) if group.metric.name == "rs_grounding" else [],
        confusions=[*filter(None, map(_confusion, group.columns))]
        if group.metric.name == "rs_vqa"
        else [],
    )


def _bars(table: Table) -> list[tuple[str, list[Bar]]]:
    """Per question type and for all questions: the most frequent answer, then a bar a column."""
    group, columns = table.group, table.group.columns
    guess = table.most_frequent.scores if table.most_frequent else {}
    return [
        (
            name,
            [
                _bar(guess.get(key), None),
                *(_bar(c.scores.get(key), c.score["intervals"].get(key)) for c in columns),
            ],
        )
        for key, name in score_names(columns).items()
        if key != "aa" and group.metric.is_share(key)
    ]


def _bar(value: float | int | str | None, interval: tuple[float, float] | None) -> Bar:
    low, high = (round(100 * limit, 1) for limit in interval) if interval else (None, None)
    return Bar(round(100 * float(value or 0), 1), low, high)


def plot(
    name: str, curves: Sequence[tuple[str, list[tuple[float, float]]]], x_name: str, y_name: str
) -> Plot:
    """Curves of points with x and y of 0 or more, on axes from 0."""
    width = max(x for _, points in curves for x, _ in points)
    x_ticks, y_ticks = ticks(width), ticks(max(y for _, points in curves for _, y in points))
    height = y_ticks[-1]
    return Plot(
        name,
        [
            Curve(label, placed, [(*placed[i], notes[i]) for i in _marked(placed)])
            for label, points in curves
            for placed in [[(percent(x, width), percent(height - y, height)) for x, y in points]]
            for notes in [[f"{x_name} {x:,.4g}: {y_name} {y:.3f}" for x, y in points]]
        ],
        [(percent(x, width), f"{x:,g}") for x in x_ticks if x <= width],
        [(percent(height - y, height), f"{y:g}") for y in y_ticks],
        x_name,
        y_name,
    )


def _marked(points: Sequence[object]) -> range:
    return range(0 if len(points) <= _MARKS else len(points) - 1, len(points))


def _lengths(group: Group) -> Plot | None:
    """Mean CIDEr over the length of the reply; None if no reply has a word."""
    curves = [(column.label, _by_length(column.rows)) for column in group.columns]
    if not any(x for _, points in curves for x, _ in points):
        return None
    return plot("CIDEr by length of the reply", curves, "words", "CIDEr")


def _by_length(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Mean length and mean CIDEr of neighbouring lengths, each point of a twelfth of the rows."""
    scores = sorted((len(row.reply.split()), row.value or 0.0) for row in rows)
    piles: list[list[tuple[int, float]]] = []
    for length, value in scores:
        if piles and (length == piles[-1][-1][0] or len(piles[-1]) < len(rows) / _LENGTHS):
            piles[-1].append((length, value))
        else:
            piles.append([(length, value)])
    return [(_mean(n for n, _ in pile), _mean(v for _, v in pile)) for pile in piles]


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def _histograms(group: Group) -> list[Histogram]:
    counts = [_iou_counts(column) for column in group.columns]
    highest = max((n for one in counts for n in one.values()), default=1)
    y_ticks = [y for y in ticks(highest) if y % 1 == 0]
    return [
        Histogram(
            column.label,
            [(percent(n[i], y_ticks[-1]), f"IoU {_bin(i)}: {n[i]:,}") for i in range(_BINS)],
            [(percent(y_ticks[-1] - y, y_ticks[-1]), f"{y:,g}") for y in y_ticks],
            [(100 * t, f"{100 * column.scores[key]:.1f}") for key, t in THRESHOLDS.items()],
            misses=len(column.rows) - n.total(),
        )
        for column, n in zip(group.columns, counts, strict=True)
    ]


def _iou_counts(column: Column) -> Counter[int]:
    """Rows with any overlap, by bin; the last bin holds 1 too."""
    return Counter(min(int(row.value * _BINS), _BINS - 1) for row in column.rows if row.value)


def _bin(index: int) -> str:
    return f"{index / _BINS:.2f}\N{EN DASH}{(index + 1) / _BINS:.2f}"


def _confusion(column: Column) -> Confusion | None:
    """None without a question for a count."""
    form = column.score["rule"]["normalise"]
    pairs = Counter(_pair(row, form) for row in column.rows if row.kind == "count")
    if not pairs:
        return None
    true, said = ({pair[side] for pair in pairs} for side in (0, 1))
    predicted = [name for name in _RANGES if name in true | said]
    return Confusion(
        column.label,
        [_RANGES[name] for name in predicted],
        [(_RANGES[t], [pairs[t, p] for p in predicted]) for t in _RANGES if t in true],
    )


def _pair(row: Row, form: str) -> tuple[str, str]:
    """The true range of a count and that of the reply; of several true ones, the reply's."""
    said = _range(row.reply, form)
    true = [_range(reference, form) for reference in row.references]
    return (said if said in true else true[0]), said


def _range(answer: str, form: str) -> str:
    return bucket(normalise_answer(answer, form)) or ""


def ticks(high: float) -> list[float]:
    """Round numbers from 0 to ``high`` or just above it, four to eight of them.

    >>> ticks(6.5), ticks(120)
    ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [0.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0])
    """
    high = max(high, 1e-9)  # a loss of 0 still has an axis
    power = 10.0 ** math.floor(math.log10(high))
    step = next(power * part for part in (0.2, 0.5, 1, 2) if high / (power * part) <= 7)
    return [round(step * i, 12) for i in range(math.ceil(high / step - 1e-9) + 1)]


def percent(part: float, whole: float) -> float:
    """A share in %, to two decimals."""
    return round(100 * part / whole, 2)
