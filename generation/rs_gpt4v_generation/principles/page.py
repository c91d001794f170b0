"""The principles as one self-contained HTML page: a small chart for each measure."""

from pathlib import Path
from typing import NamedTuple

from rs_gpt4v.files import AnyPath, write_text
from rs_gpt4v.pages import environment
from rs_gpt4v_generation.principles.catalogue import PRINCIPLES, Measure, Principle
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


class Stack(NamedTuple):
    """A bar of parts that are the whole, each by its name and its width in %."""

    name: str
    widths: dict[str, float]
    text: str


def write_page(report: Report, out: AnyPath, *, sample: bool = False) -> None:
    """Write the page to ``out``; the same report gives the same bytes.

    Args:
        report: What was measured.
        out: The page. It is replaced whole or not at all.
        sample: Say that the rows are synthetic.

    Raises:
        ValueError: ``out`` is a folder.
    """
    generated = [(item.name, item.correctness) for item in report.measured if item.correctness]
    page = (
        environment(Path(__file__).parent)
        .get_template("page.html.jinja")
        .render(
            report=report,
            principles=PRINCIPLES,
            charts=lambda principle: charts(principle, report.measured),
            forms=FORMS,
            form_stacks=[_stack(item.name, item.complexity.forms, 1) for item in report.measured],
            verdicts=[
                (name, [_stack_of_counts(*check) for check in result.checks.items()])
                for name, result in generated
            ],
            outcomes=[
                _stack_of_counts(name, found.outcomes)
                for name, found in generated
                if found.outcomes
            ],
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
        measured = [item for item in measured if item.correctness]
    drawn = [(measure, _bars(measure, measured)) for measure in principle.measures]
    return [(measure, bars) for measure, bars in drawn if any(b.width is not None for b in bars)]


def _bars(measure: Measure, measured: list[Measured]) -> list[Bar]:
    values = [measure.value(item) for item in measured]
    ends = [v.high if isinstance(v, Quartiles) else v for v in values if v is not None]
    # Shares are drawn to one scale, other numbers to the largest.
    scale = 100 / (1 if measure.kind == "share" else max([*ends, 0]) or 1)
    return [
        Bar(item.name, item.origin, *_placed(value, scale), measure.shown(item))
        for item, value in zip(measured, values, strict=True)
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


def _stack(name: str, parts: dict[str, float], total: float, text: str = "") -> Stack:
    return Stack(name, {n: round(100 * part / total, 2) for n, part in parts.items()}, text)


def _stack_of_counts(name: str, counts: dict[str, int]) -> Stack:
    text = ", ".join(f"{count:,} {result}" for result, count in counts.items() if count)
    return _stack(name, {**counts}, sum(counts.values()), text)
