"""Questions on what is not there, from boxes, balanced by questions on what is (robustness).

A negative is false by construction: its class has no box and is none that could be seen in its
place, its relation fails for every pair of objects, its number is another. So it cannot be true by
accident, as far as every object of the classes is annotated.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rs_gpt4v import spatial
from rs_gpt4v.object_classes import DIOR, Vocabulary, counted, plural, unsure
from rs_gpt4v_generation.facts import FactSheet, Item

Topic = Literal["presence", "count", "relation"]
_FEWEST_OFF, _MOST_OFF = 1, 3


class ProbeOptions(NamedTuple):
    """Questions an image, and the share of those answered no."""

    count: int = 0
    share: float = 0.5
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Probe:
    """A yes-or-no question with its answer.

    Attributes:
        topic: What it is about.
        question: With its question mark.
        answer: A whole sentence that opens with "Yes" or "No".
        holds: Whether what is asked is so; False makes it a negative.
        names: The classes it speaks of.
        value: The number of "count", the direction of "relation".
    """

    topic: Topic
    question: str
    answer: str
    holds: bool
    names: tuple[str, ...]
    value: str = ""


_PRESENCE = (
    "Is there {a} in the image?",
    "Can you see any {many} here?",
    "Does the image show {a}?",
)
_COUNT = (
    "Are there {n} in the image?",
    "Does the image show exactly {n}?",
    "Can you count {n} here?",
)
_RELATION = (
    "Is the {one} {how} the {other}?",
    "Does the {one} lie {how} the {other} in the image?",
)
_HOW = {
    "left of": "to the left of",
    "right of": "to the right of",
    "above": "above",
    "below": "below",
}
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def probes(
    sheet: FactSheet,
    count: int,
    *,
    seed: int | str,
    share: float = 0.5,
    vocabulary: Vocabulary = DIOR,
) -> list[Probe]:
    """Up to ``count`` different questions in random order; fewer if no more can be made.

    Args:
        sheet: The facts of the image.
        count: How many at most.
        seed: The same seed gives the same questions; one a row keeps rows independent.
        share: The share of negatives, 0 to 1; kept to the nearest whole number, even where fewer
            than ``count`` can be made.
        vocabulary: The classes of which every object is annotated.

    Raises:
        ValueError: ``share`` is not between 0 and 1, or ``count`` is negative.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is the part of negatives, 0 to 1, got {share}")
    if count < 0:
        raise ValueError(f"count is the most questions to make, 0 or more, got {count}")
    rng = random.Random(f"{seed}")
    every = [*_presences(sheet, vocabulary, rng), *_counts(sheet, rng), *_relations(sheet, rng)]
    negative, positive = (
        _mixed([p for p in every if p.holds is holds], rng) for holds in (False, True)
    )
    total = next(n for n in range(count, -1, -1) if _fits(n, share, len(negative), len(positive)))
    denied = round(share * total)
    chosen = [*negative[:denied], *positive[: total - denied]]
    rng.shuffle(chosen)
    return chosen


def _fits(total: int, share: float, negatives: int, positives: int) -> bool:
    denied = round(share * total)
    return denied <= negatives and total - denied <= positives


def _mixed(made: Sequence[Probe], rng: random.Random) -> list[Probe]:
    """Shuffled, the topics in turn, so that a few are of different topics."""
    by_topic: dict[str, list[Probe]] = {}
    for probe in rng.sample(made, len(made)):
        by_topic.setdefault(probe.topic, []).append(probe)
    ranked = [(rank, probe) for same in by_topic.values() for rank, probe in enumerate(same)]
    return [probe for _, probe in sorted(ranked, key=lambda pair: pair[0])]


def deniable(sheet: FactSheet, vocabulary: Vocabulary = DIOR) -> list[str]:
    """Classes surely not in the image: without a box, and confused with none that has one."""
    counts = sheet.counts
    left_open = counts.keys() | unsure(counts)
    return [name for name in vocabulary if name not in left_open]


def _presences(sheet: FactSheet, vocabulary: Vocabulary, rng: random.Random) -> Iterator[Probe]:
    for name in deniable(sheet, vocabulary):
        question = _question(rng, _PRESENCE, name)
        yield Probe("presence", question, f"No, there is no {name} in the image.", False, (name,))
    for name, count in sheet.counts.items():
        verb = "is" if count == 1 else "are"
        answer = f"Yes, there {verb} {_spelled(count, name)} in the image."
        yield Probe("presence", _question(rng, _PRESENCE, name), answer, True, (name,))


def _question(rng: random.Random, templates: Sequence[str], name: str) -> str:
    article = "an" if name[0] in "aeiou" else "a"
    return rng.choice(templates).format(a=f"{article} {name}", many=plural(name))


def _spelled(count: int, name: str) -> str:
    digits = counted(count, name)
    return digits.replace(str(count), _WORDS[count], 1) if count < len(_WORDS) else digits


def _counts(sheet: FactSheet, rng: random.Random) -> Iterator[Probe]:
    for name, count in sheet.counts.items():
        off = [n for n in range(count - _MOST_OFF, count + _MOST_OFF + 1) if n > 1 and n != count]
        true = f"there {'is' if count == 1 else 'are'} {_spelled(count, name)}."
        for value, holds in ((rng.choice(off), False), (count, True)):
            if value > 1:  # "Are there one ship" is no English
                question = rng.choice(_COUNT).format(n=_spelled(value, name))
                answer = f"{'Yes' if holds else 'No'}, {true}"
                yield Probe("count", question, answer, holds, (name,), str(value))


def _relations(sheet: FactSheet, rng: random.Random) -> Iterator[Probe]:
    """Of each two classes with one object each: "the ship" must mean one."""
    single = [item for item in sheet.items if sheet.counts[item.name] == 1]
    pairs = [(a, b) for a in single for b in single if a is not b]
    for a, b in pairs:
        for word in spatial.DIRECTIONS:
            back = spatial.OPPOSITE[word]
            if spatial.holds(a.points, word, b.points, sheet.size):
                yield _relation(rng, a, word, b, true=word)
                # The opposite fails wherever the relation surely holds.
                yield _relation(rng, a, back, b, true=word)


def _relation(
    rng: random.Random, a: Item, direction: spatial.Direction, b: Item, *, true: spatial.Direction
) -> Probe:
    holds = direction == true
    question = rng.choice(_RELATION).format(one=a.name, how=_HOW[direction], other=b.name)
    answer = f"{'Yes' if holds else 'No'}, the {a.name} is {_HOW[true]} the {b.name}."
    return Probe("relation", question, answer, holds, (a.name, b.name), direction)
