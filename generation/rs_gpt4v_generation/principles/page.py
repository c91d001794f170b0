"""The principles as one self-contained HTML page: a small chart for each measure."""

from pathlib import Path
from typing import NamedTuple

from rs_gpt4v.files import write_text
from rs_gpt4v.pages import environment
from rs_gpt4v_generation.principles.catalogue import (
    PRINCIPLES,
    Measure,
    Principle,
    shown,
)
from rs_gpt4v_generation.principles.forms import FORMS
from rs_gpt4v_generation.principles.measure import Measured, Report
from rs_gpt4v_generation.principles.richness import Quartiles
from rs_gpt4v_generation.principles.tables import FEW, judged


class Bar(NamedTuple):
    """One line of a chart, in % of its width.

    Attributes:
        name: What is measured.
        origin: Who worded it, which picks the colour.
        start: Where the bar begins.
        width: How long it is; none where there is no number.
        tick: Where the median stands, of quartiles.
        text: The number.
    """

    name: str
    origin: str
    start: float
    width: float | None
    tick: float | None
    text: str


class Part(NamedTuple):
    """A part of a stacked bar: its place among the colours, and its width in %."""

    place: int
    name: str
    width: float


class Stack(NamedTuple):
    """A bar of parts that are the whole."""

    name: str
    parts: list[Part]
    text: str = ""


def write_page(report: Report, out: Path, *, sample: bool = False) -> None:
    """Write the page to ``out``; the same report gives the same bytes.

    Args:
        report: What was measured.
        out: The page. It is replaced whole or not at all.
        sample: Say that the rows are synthetic.

    Raises:
        ValueError: ``out`` is a folder.
    """
    page = (
        environment(Path(__file__).parent)
        .get_template("page.html.jinja")
        .render(
            report=report,
            principles=PRINCIPLES,
            charts=lambda principle: charts(principle, report.measured),
            forms=FORMS,
            form_stacks=[_forms(one) for one in report.measured],
            verdicts=[(one.name, _verdicts(one)) for one in report.measured if one.correctness],
            outcomes=[stack for one in report.measured for stack in _outcomes(one)],
            judged=judged,
            few=FEW,
            sample=sample,
        )
    )
    write_text(out, page)


def charts(principle: Principle, measured: list[Measured]) -> list[tuple[Measure, list[Bar]]]:
    """For each measure that is defined for one of ``measured`` a line for each of them.

    Correctness is not asked of what nobody generated.
    """
    if principle.name == "Correctness":
        measured = [one for one in measured if one.correctness]
    drawn = [(measure, _bars(measure, measured)) for measure in principle.measures]
    return [(measure, bars) for measure, bars in drawn if any(b.width is not None for b in bars)]


def _bars(measure: Measure, measured: list[Measured]) -> list[Bar]:
    values = [measure.value(one) for one in measured]
    ends = [v.high if isinstance(v, Quartiles) else v for v in values if v is not None]
    # Shares are drawn to one scale, other numbers to the largest.
    scale = 100 / (1 if measure.is_share else max([*ends, 0]) or 1)
    return [
        Bar(one.name, one.origin, *_placed(value, scale), shown(measure, one))
        for one, value in zip(measured, values, strict=True)
    ]


def _placed(
    value: float | Quartiles | None, scale: float
) -> tuple[float, float | None, float | None]:
    """Start, width and tick."""
    if value is None:
        return 0.0, None, None
    if isinstance(value, Quartiles):
        low, high = value.low * scale, value.high * scale
        return round(low, 2), round(high - low, 2), round(value.median * scale, 2)
    return 0.0, round(value * scale, 2), None


def _forms(one: Measured) -> Stack:
    shares = one.complexity.forms
    return Stack(one.name, [Part(i, n, round(100 * shares[n], 2)) for i, n in enumerate(FORMS)])


def _verdicts(one: Measured) -> list[Stack]:
    if one.correctness is None:
        return []
    return [_counted(check, results) for check, results in one.correctness.checks.items()]


def _outcomes(one: Measured) -> list[Stack]:
    if one.correctness is None or not one.correctness.outcomes:
        return []
    return [_counted(one.name, one.correctness.outcomes)]


def _counted(name: str, counts: dict[str, int]) -> Stack:
    total = sum(counts.values())
    parts = [
        Part(i, n, round(100 * count / total, 2)) for i, (n, count) in enumerate(counts.items())
    ]
    text = ", ".join(f"{count:,} {result}" for result, count in counts.items() if count)
    return Stack(name, parts, text)
