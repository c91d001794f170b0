"""Every measure with its name, its place and its meaning: what tables and page show.

The measures are the lines of ``measures.csv``, each of the principle whose name its field begins
with; a "share" is a part of 1 and shown in %.
"""

import csv
from importlib.resources import files
from operator import attrgetter
from typing import NamedTuple

from rs_gpt4v_generation.principles.diversity import BLEU_TEXTS, N_GRAMS, Distinct
from rs_gpt4v_generation.principles.measure import Measured
from rs_gpt4v_generation.principles.richness import Quartiles
from rs_gpt4v_generation.principles.turns import SAMPLE


class Measure(NamedTuple):
    """One number of each measured thing.

    Attributes:
        field: Where it stands in a `Measured`: "unity.boxes".
        title: On the page and in the docs.
        head: Over its column in a terminal.
        kind: "share" or "number".
        meaning: What it counts, for who reads the page.
    """

    field: str
    title: str
    head: str
    kind: str
    meaning: str

    def value(self, measured: Measured) -> float | Quartiles | None:
        """The number or quartiles; None where it is not defined."""
        value = self._found(measured)
        return value.share if isinstance(value, Distinct) else value

    def is_of_few(self, measured: Measured) -> bool:
        """Whether it rests on fewer n-grams than others."""
        value = self._found(measured)
        return isinstance(value, Distinct) and 0 < value.of < N_GRAMS

    def shown(self, measured: Measured) -> str:
        """The number as text: "12.3 %", "4.56", "7 (5-9)", "-" where there is none.

        Its interval follows, where there is one: "12.3% [11.0, 13.5]".
        """
        value = self.value(measured)
        if value is None:
            return "-"
        if isinstance(value, Quartiles):
            return f"{value.median:,} ({value.low:,}\N{EN DASH}{value.high:,})"
        if self.kind == "share":
            text = f"{value:.1%}{'*' if self.is_of_few(measured) else ''}"
        else:
            text = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
        return text + self._interval(measured)

    def _interval(self, measured: Measured) -> str:
        principle, name = self.field.split(".", 1)
        ends = getattr(getattr(measured, principle), "intervals", {}).get(name)
        if ends is None:
            return ""
        low, high = (f"{100 * v:.1f}" if self.kind == "share" else f"{v:,.2f}" for v in ends)
        return f" [{low}, {high}]"

    def _found(self, measured: Measured) -> float | Quartiles | Distinct | None:
        principle, name = self.field.split(".", 1)
        values = getattr(measured, principle)
        return None if values is None else attrgetter(name)(values)


class Principle(NamedTuple):
    """A principle, what the paper means by it, and how it is measured."""

    name: str
    meaning: str
    measures: list[Measure]


def _principle(name: str, meaning: str) -> Principle:
    text = (files("rs_gpt4v_generation.principles") / "measures.csv").read_text(encoding="utf-8")
    text = text.format(turns=SAMPLE, n_grams=N_GRAMS, texts=BLEU_TEXTS)
    measures = [Measure(**row) for row in csv.DictReader(text.splitlines())]
    return Principle(name, meaning, [m for m in measures if m.field.startswith(name.lower())])


PRINCIPLES = (
    _principle("Unity", "Many tasks in one form, for one model."),
    _principle("Diversity", "Scenes, instructions and answers differ."),
    _principle("Correctness", "The words fit the image."),
    _principle("Richness", "Answers say much, and more than is seen."),
    _principle("Complexity", "Questions that take several steps."),
    _principle("Robustness", "Questions on what is not there."),
)
