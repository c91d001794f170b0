"""Diversity: how far instructions and answers differ from one another."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np

from rs_gpt4v_generation.principles.pairs import pair
from rs_gpt4v_generation.principles.self_bleu import self_bleu
from rs_gpt4v_generation.principles.turns import Texts, Turns
from rs_gpt4v_generation.principles.words import FUNCTION_WORDS, VERBS, words

N_GRAMS = 10_000
"""Of a text sample; more n-grams would have relatively fewer distinct ones."""
BLEU_TEXTS = 1_000
"""Texts compared with one another; with more of them each finds nearer ones."""
_FREQUENT = 10


@dataclass(frozen=True, slots=True)
class Distinct:
    """The share of n-grams that differ, of the first ``of``; none where there are no n-grams."""

    share: float | None
    of: int


@dataclass(frozen=True, slots=True)
class Variety:
    """How texts of one side differ.

    Attributes:
        distinct: Different texts of all turns.
        distinct_share: The share of different texts among the sampled turns.
        distinct_1: Of words.
        distinct_2: Of pairs of neighbouring words.
        self_bleu: BLEU-4 of a text against all others, on average; 1 where all say the same.
    """

    distinct: int
    distinct_share: float
    distinct_1: Distinct
    distinct_2: Distinct
    self_bleu: float | None


@dataclass(frozen=True, slots=True)
class Frequent:
    """Things of which some are more frequent.

    Attributes:
        counted: All of them.
        number: Different ones.
        bits: Entropy.
        top_share: Share of the ten most frequent among all.
        top: The ten most frequent with their shares.
    """

    counted: int
    number: int
    bits: float
    top_share: float
    top: dict[str, float]


@dataclass(frozen=True, slots=True)
class Diversity:
    """Of ``sampled`` turns: all but ``distinct`` is measured on these.

    ``skeletons`` are instructions without names and numbers (`skeleton`), ``pairs`` verbs with
    their nouns in the questions (`rs_gpt4v_generation.principles.pairs`).
    """

    sampled: int
    instructions: Variety
    answers: Variety
    skeletons: Frequent
    pairs: Frequent


def diversity(turns: Turns) -> Diversity:
    """The diversity of ``turns``, on a sample that is always the same."""
    sample = turns.sample()
    questions = Counter(turns.questions.drawn(sample))
    instructions = Counter(turns.instructions.drawn(sample))
    return Diversity(
        sampled=len(sample),
        instructions=_variety(turns.instructions, sample),
        answers=_variety(turns.answers, sample),
        skeletons=frequent(Counter(_counted(instructions, skeleton))),
        pairs=frequent(Counter(_counted(questions, lambda q: " ".join(pair(q) or ())))),
    )


def _counted(texts: Counter[str], key: Callable[[str], str]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for text, count in texts.items():
        counts[key(text)] += count
    return {name: count for name, count in counts.items() if name}


def _variety(texts: Texts, sample: np.ndarray) -> Variety:
    drawn = texts.drawn(sample)
    split = [words(text) for text in drawn]
    return Variety(
        distinct=len(texts.distinct),
        distinct_share=len(set(drawn)) / len(drawn),
        distinct_1=distinct_n(split, 1),
        distinct_2=distinct_n(split, 2),
        self_bleu=self_bleu(split[:BLEU_TEXTS]),
    )


def distinct_n(texts: Iterable[Sequence[str]], n: int, most: int = N_GRAMS) -> Distinct:
    """The share of different ones among the first ``most`` n-grams of ``texts``.

    >>> distinct_n([["a", "ship"], ["a", "ship"]], 2)
    Distinct(share=0.5, of=2)
    """
    grams = list(islice(chain.from_iterable(_grams(text, n) for text in texts), most))
    return Distinct(len(set(grams)) / len(grams) if grams else None, len(grams))


def _grams(text: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    return zip(*(text[start:] for start in range(n)), strict=False)


def skeleton(instruction: str) -> str:
    """What is left of an instruction without names and numbers: a template.

    Each run of words other than function words and the verbs of instructions becomes one "_".

    >>> skeleton("How many small ships are near the 2 piers?")
    'how many _ are near the _'
    """
    left: list[str] = []
    for word in words(instruction):
        kept = word if word in FUNCTION_WORDS or word in VERBS else "_"
        if kept != "_" or left[-1:] != ["_"]:
            left.append(kept)
    return " ".join(left)


def frequent(counts: Counter[str]) -> Frequent:
    """The number, the entropy and the most frequent of what is counted."""
    total = counts.total()
    shares = [count / total for count in counts.values()]
    top = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_FREQUENT]
    return Frequent(
        counted=total,
        number=len(counts),
        bits=-sum(share * math.log2(share) for share in shares) or 0.0,
        top_share=sum(count for _, count in top) / total if total else 0.0,
        top={name: count / total for name, count in top},
    )
