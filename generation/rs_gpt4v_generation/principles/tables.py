"""The principles as tables for a terminal."""

from collections.abc import Iterator, Sequence
from typing import Any, get_args

from rs_gpt4v_generation.checks import Result
from rs_gpt4v_generation.principles.catalogue import PRINCIPLES, Principle
from rs_gpt4v_generation.principles.forms import FORMS
from rs_gpt4v_generation.principles.measure import Measured, Report

ORIGINS = {
    "templates": "annotated by people, not checked",
    "release": "worded by the release, not checked",
    "generated": "generated",
}
"""What is known of the correctness of rows, by who worded them."""

FEW = "* of fewer words, or pairs of words, than the others"


def to_text(report: Report) -> str:
    """A table for each principle, a line for each config or product."""
    measured = report.measured
    parts = [_table("Measured", _SIZES, map(_size_cells, measured))]
    for principle in PRINCIPLES:
        parts += _sections(principle, measured)
    return "\n\n".join([*parts, *_notes(report)])


def to_one_table(report: Report) -> str:
    """The paper's Table 4 with numbers: a line for each measure, a column for each data set."""
    measured = report.measured
    rows: list[tuple[str, ...]] = [
        ("Size" * (not place), name, *cells)
        for place, (name, *cells) in enumerate(
            zip(_SIZES[1:], *(_size_cells(item)[1:] for item in measured), strict=True)
        )
    ]
    reasons: dict[str, list[str]] = {}
    for principle in PRINCIPLES:
        for place, measure in enumerate(principle.measures):
            cells = [measure.shown(item) for item in measured]
            rows.append((principle.name * (not place), measure.title, *cells))
            for item in measured:
                if measure.value(item) is None:
                    reason = f"{measure.title}: {_why_not(measure.field, item)}"
                    reasons.setdefault(reason, []).append(item.name)
    head = ("", "measure", *(item.name for item in measured))
    whys = [f"  {reason} ({', '.join(names)})" for reason, names in reasons.items()]
    parts = [_table("Principles", head, rows)]
    parts += ["\n".join(["Not measured", *whys])] * bool(whys)
    return "\n\n".join([*parts, *_notes(report)])


def _why_not(field: str, item: Measured) -> str:
    """Why a measure has no value."""
    if field == "correctness.clean":
        no_boxes = "without boxes of all objects no answer can be checked"
        return "no check has run" if item.origin == "generated" else no_boxes
    if field == "unity.boxes_read":
        unknown = "boxes need the sizes of the images, which are not read"
        return unknown if item.unity.boxes else "no answer has a box"
    if field.startswith("robustness."):
        return "no yes-or-no question is answered yes or no"
    return "the texts are too short or too few"


def _notes(report: Report) -> list[str]:
    """What is to be known of any of the numbers."""
    measured, parts = report.measured, []
    if any(m.is_of_few(item) for p in PRINCIPLES for m in p.measures for item in measured):
        parts.append(FEW)
    parts += [f"{config} was not measured: {reason}" for config, reason in report.absent.items()]
    parts += [f"{name}: {reason}" for name, reason in report.left_out.items()]
    if report.unreadable:
        parts.append(f"{len(report.unreadable):,} lines are no candidates: {report.unreadable[0]}")
    return parts


_SIZES = ("", "task", "dialogues", "turns", "images", "sample", "origin")


def _size_cells(item: Measured) -> list[str]:
    counts = (item.rows, item.turns, item.images, item.diversity.sampled)
    return [item.name, item.task, *(f"{n:,}" for n in counts), item.origin]


def _sections(principle: Principle, measured: Sequence[Measured]) -> Iterator[str]:
    is_correctness = principle.name == "Correctness"
    heads = [measure.head for measure in principle.measures]
    rows = [[item.name, *(m.shown(item) for m in principle.measures)] for item in measured]
    if is_correctness:
        heads.append("checks and reviews")
        rows = [[*row, judged(item)] for row, item in zip(rows, measured, strict=True)]
    yield _table(principle.name, ["", *heads], rows)
    if is_correctness and (verdicts := _verdict_rows(measured)):
        yield _table("Verdicts", ("", "check", *get_args(Result)), verdicts)
    if principle.name == "Diversity":
        yield "\n".join(["Most frequent verb-noun pairs", *map(_pairs_line, measured)])
    if principle.name == "Complexity":
        forms = [[m.name, *(f"{s:.1%}" for s in m.complexity.forms.values())] for m in measured]
        yield _table("Forms of questions", ["", *FORMS], forms)


def _pairs_line(item: Measured) -> str:
    top = [f"{pair} {share:.1%}" for pair, share in item.diversity.pairs.top.items()]
    return f"  {item.name}: {', '.join(top[:_TOP]) or 'none'}"


_TOP = 5


def judged(item: Measured) -> str:
    """What is known of its correctness, in words."""
    result = item.correctness
    if result is None:
        return ORIGINS[item.origin]
    checked = f"{result.checked:,} checked" if result.checked else "not checked"
    reviews = [f"{number:,} {name}" for name, number in result.outcomes.items() if number]
    return f"{checked}; {', '.join(reviews) or 'not reviewed'}"


def _verdict_rows(measured: Sequence[Measured]) -> list[list[str]]:
    return [
        [item.name, check, *(f"{by_result[result]:,}" for result in get_args(Result))]
        for item in measured
        if item.correctness
        for check, by_result in item.correctness.checks.items()
    ]


_WORDS = ("", "task", "origin", "check", "checks and reviews", "measure")
"""Columns of words: they start at the left, numbers end at the right."""


def _table(title: str, head: Sequence[str], rows: Any) -> str:
    lines = [list(head), *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown_lines = [
        "  ".join(
            f"{cell:{'<' if name in _WORDS else '>'}{width}}"
            for cell, width, name in zip(line, widths, head, strict=True)
        ).rstrip()
        for line in lines
    ]
    return "\n".join([title, *(f"  {line}" for line in shown_lines)])
