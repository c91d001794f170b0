"""Every measure with its name, its place and its meaning: what tables and page show."""

from collections.abc import Callable
from operator import attrgetter
from typing import NamedTuple

from rs_gpt4v_generation.principles.diversity import BLEU_TEXTS, N_GRAMS, Distinct
from rs_gpt4v_generation.principles.measure import Measured
from rs_gpt4v_generation.principles.richness import Quartiles
from rs_gpt4v_generation.principles.turns import SAMPLE

Value = float | Quartiles | None


class Measure(NamedTuple):
    """One number of each measured thing.

    Attributes:
        title: On the page and in the docs.
        head: Over its column in a terminal.
        meaning: What it counts, for who reads the page.
        value: The number, quartiles, or none where it is not defined.
        is_share: Whether it is a part of 1 and shown in %.
        few: Whether it rests on fewer n-grams than others.
    """

    title: str
    head: str
    meaning: str
    value: Callable[[Measured], Value]
    is_share: bool = True
    few: Callable[[Measured], bool] = lambda _: False


class Principle(NamedTuple):
    """A principle, what the paper means by it, and how it is measured."""

    name: str
    meaning: str
    measures: tuple[Measure, ...]


_SIDES = {"instructions": "instr.", "answers": "answ."}
"""The sides of a turn, and their heads in a terminal."""


def _distinct_n(n: int, side: str) -> Measure:
    distinct: Callable[[Measured], Distinct] = attrgetter(f"diversity.{side}.distinct_{n}")
    grams = {1: "words", 2: "pairs of neighbouring words"}[n]
    return Measure(
        f"distinct-{n}, {side}",
        f"d{n} {_SIDES[side]}",
        f"different ones among the first {N_GRAMS:,} {grams} of the {side}",
        lambda one: distinct(one).share,
        few=lambda one: 0 < distinct(one).of < N_GRAMS,
    )


UNITY = (
    Measure(
        "templates",
        "templates",
        "instructions made with the shared templates",
        lambda one: one.unity.templates,
    ),
    Measure(
        "format hints",
        "hints",
        "instructions that say what form the answer has",
        lambda one: one.unity.format_hints,
    ),
    Measure("boxes", "boxes", "answers that hold a box", lambda one: one.unity.boxes),
    Measure(
        "boxes read",
        "boxes read",
        "answers with a box that the one codec reads whole",
        lambda one: one.unity.boxes_read,
    ),
)
DIVERSITY = (
    *(
        Measure(
            f"distinct {side}",
            head,
            f"different {side} of {SAMPLE:,} turns",
            attrgetter(f"diversity.{side}.distinct_share"),
        )
        for side, head in _SIDES.items()
    ),
    *(_distinct_n(n, side) for side in _SIDES for n in (1, 2)),
    *(
        Measure(
            f"self-BLEU-4, {side}",
            f"sB {head}",
            f"BLEU-4 of an {side[:-1]} against all others of {BLEU_TEXTS:,}; lower is more diverse",
            attrgetter(f"diversity.{side}.self_bleu"),
        )
        for side, head in _SIDES.items()
    ),
    Measure(
        "skeletons",
        "skeletons",
        f"instructions of {SAMPLE:,} that differ once names and numbers are masked",
        lambda one: one.diversity.skeletons.number,
        is_share=False,
    ),
    Measure(
        "verb-noun pairs",
        "pairs",
        f"different verbs with their nouns in the questions of {SAMPLE:,} turns",
        lambda one: one.diversity.pairs.number,
        is_share=False,
    ),
    Measure(
        "entropy of the pairs",
        "bits",
        "in bits: n bits are like 2 to the n equally frequent pairs",
        lambda one: one.diversity.pairs.bits,
        is_share=False,
    ),
)
CORRECTNESS = (
    Measure(
        "dialogues without a failed check",
        "clean",
        "of the generated dialogues that were checked",
        lambda one: one.correctness and one.correctness.clean,
    ),
)
RICHNESS = (
    Measure(
        "words per answer",
        "words",
        "median, and the middle half of the answers",
        lambda one: one.richness.words,
        is_share=False,
    ),
    Measure(
        "content words per answer",
        "content",
        "mean number of distinct words that are not function words",
        lambda one: one.richness.content_words,
        is_share=False,
    ),
    Measure(
        "object classes per answer",
        "classes",
        "different kinds of objects that an answer names, on average",
        lambda one: one.richness.classes,
        is_share=False,
    ),
    *(
        Measure(
            f"{kind} per answer",
            kind,
            f"words for {kind}, on average",
            attrgetter(f"richness.{kind}"),
            is_share=False,
        )
        for kind in ("colours", "sizes", "materials")
    ),
    Measure(
        "spatial terms per answer",
        "spatial",
        "words for places and directions, on average",
        lambda one: one.richness.spatial,
        is_share=False,
    ),
    Measure(
        "background",
        "background",
        "answers about uses, reasons, conclusions or habits",
        lambda one: one.richness.background,
    ),
)
COMPLEXITY = (
    Measure(
        "turns per dialogue",
        "turns",
        "questions with their answers, on average",
        lambda one: one.complexity.mean_turns,
        is_share=False,
    ),
    Measure(
        "words per question",
        "q. words",
        "median, and the middle half; the templates' words do not count around a visual question",
        lambda one: one.complexity.question_words,
        is_share=False,
    ),
    Measure(
        "sentences per answer",
        "sentences",
        "on average",
        lambda one: one.complexity.answer_sentences,
        is_share=False,
    ),
    Measure(
        "reasoning questions",
        "reasoning",
        "why, how, what for, what follows",
        lambda one: one.complexity.forms["reasoning"],
    ),
    Measure(
        "questions on places",
        "places",
        "with a word for a place or a direction",
        lambda one: one.complexity.places,
    ),
    Measure(
        "questions on attributes",
        "attributes",
        "with a word for a colour, a size or a material",
        lambda one: one.complexity.attributes,
    ),
)
ROBUSTNESS = (
    Measure(
        "negatives",
        "negatives",
        "turns that are answered no, or 0 where a number is asked for",
        lambda one: one.robustness.negatives,
    ),
    Measure(
        "spatial negatives",
        "spatial",
        "turns that are negatives and ask for a place or a direction",
        lambda one: one.robustness.spatial,
    ),
    Measure(
        "no among yes-or-no questions",
        "no",
        "of those answered yes or no",
        lambda one: one.robustness.negatives_of_yes_no,
    ),
    Measure(
        "balance",
        "balance",
        "100 % if yes and no are equally frequent, 0 % if all answers are the same",
        lambda one: one.robustness.balance,
    ),
)

PRINCIPLES = (
    Principle("Unity", "Many tasks in one form, for one model.", UNITY),
    Principle("Diversity", "Scenes, instructions and answers differ.", DIVERSITY),
    Principle("Correctness", "The words fit the image.", CORRECTNESS),
    Principle("Richness", "Answers say much, and more than is seen.", RICHNESS),
    Principle("Complexity", "Questions that take several steps.", COMPLEXITY),
    Principle("Robustness", "Questions on what is not there.", ROBUSTNESS),
)


def shown(measure: Measure, one: Measured) -> str:
    """The number as text: "12.3 %", "4.56", "7 (5-9)", "-" where there is none."""
    value = measure.value(one)
    if value is None:
        return "-"
    if isinstance(value, Quartiles):
        return f"{value.median:,} ({value.low:,}\N{EN DASH}{value.high:,})"
    if measure.is_share:
        return f"{value:.1%}{'*' if measure.few(one) else ''}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
