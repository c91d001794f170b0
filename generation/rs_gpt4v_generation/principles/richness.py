"""Richness: how much an answer says."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from rs_gpt4v.object_classes import DIOR, plural
from rs_gpt4v_generation.principles.turns import Intervals, Turns
from rs_gpt4v_generation.principles.words import (
    BACKGROUND,
    COLOURS,
    MATERIALS,
    SIZES,
    SPATIAL,
    phrases,
    words,
)
from rs_gpt4v_generation.word_lists import BESIDE, word_list


@dataclass(frozen=True, slots=True)
class Quartiles:
    """A quarter of the values is at most ``low``, half at most ``median``, three at most ``high``.

    They are values that occur.
    """

    low: int
    median: int
    high: int


def quartiles(values: np.ndarray) -> Quartiles:
    """Of whole numbers.

    >>> quartiles(np.array([1, 2, 3, 40]))
    Quartiles(low=1, median=2, high=3)
    """
    return Quartiles(*map(int, np.quantile(values, [0.25, 0.5, 0.75], method="inverted_cdf")))


@dataclass(frozen=True, slots=True)
class Richness:
    """Of answers, see `rs_gpt4v_generation.principles.catalogue`."""

    words: Quartiles
    content_words: float
    classes: float
    colours: float
    sizes: float
    materials: float
    spatial: float
    background: float
    intervals: Intervals = field(default_factory=dict)


def richness(turns: Turns) -> Richness:
    """The richness of the answers of ``turns``."""
    counts = turns.answers.each(_counts)
    background = turns.answers.matches(BACKGROUND)
    columns = {**dict(zip(_COUNTED, counts.T[1:], strict=True)), "background": background}
    means = {name: float(column.mean()) for name, column in columns.items()}
    return Richness(quartiles(counts[:, 0]), **means, intervals=turns.intervals(**columns))


_COUNTED = ("content_words", "classes", "colours", "sizes", "materials", "spatial")


def _counts(answer: str) -> list[int]:
    spoken = words(answer)
    return [
        len(spoken),
        len(set(spoken) - word_list("stop") - {"[box]"}),
        len(classes(spoken)),
        *(sum(word in listed for word in spoken) for listed in (COLOURS, SIZES, MATERIALS)),
        sum(1 for _ in phrases(spoken, SPATIAL)),
    ]


def classes(spoken: Sequence[str]) -> set[str]:
    """The kinds of objects that words name: DIOR's classes, and things often seen beside them.

    >>> sorted(classes(words("Two boats at the pier, a vessel, a ground track field.")))
    ['ground track field', 'pier', 'ship']
    """
    names = _nouns()
    return {names[noun] for noun in phrases(spoken, names)}


@cache
def _nouns() -> dict[str, str]:
    """The name of each noun's kind, in both numbers."""
    names = {noun: noun for noun in BESIDE}
    for kind in DIOR.values():
        names |= dict.fromkeys((kind.name, *kind.same, *kind.narrower), kind.name)
    return names | {plural(noun): name for noun, name in names.items()}
