"""The words for a place in the image, and for how one thing lies to another."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_ROW = r"top|upper|bottom|lower"
_COLUMN = r"left|right"
_MIDDLE = r"cent(?:er|re|ral)|middle"
_WHOLE = r"(?:image|picture|scene|photo|photograph|frame|view|shot|imagery|composition)"
_OF_IMAGE = rf"(?:\s+(?:of|in|within)\s+(?:the|this)\s+(?:\w+\s+)?{_WHOLE}\b)"
_PART = (
    r"(?:(?:[\s-]hand)?\s+(?:corner|side|part|portion|half|section|area|edge|region|quadrant|third"
    r"|zone|end|quarter|margin|border)s?)"
)
_LEAD = (
    r"(?:\b(?:in|on|at|to|toward|towards|near|along|across|within|inside|around|into|for)\s+)?"
    r"(?:\bthe\s+)?(?:\b(?:very|far|extreme|exact|immediate|approximate)\s+)?"
)
_TWO = rf"(?:{_ROW}|{_MIDDLE})[\s-]+(?:{_COLUMN}|{_MIDDLE})|(?:{_COLUMN})[\s-]+(?:{_ROW}|{_MIDDLE})"
_COMPASS = r"(?:north|south)(?:ern)?|(?:north|south)?-?(?:east|west)(?:ern)?"
_PLACE = re.compile(
    rf"{_LEAD}\b(?:"
    # Two words say enough, one needs "corner" or the like, "of the image", or a preposition.
    rf"(?P<two>{_TWO})\b(?:-?most)?{_PART}?{_OF_IMAGE}?"
    rf"|(?P<part>{_ROW}|{_COLUMN}|{_MIDDLE}){_PART}{_OF_IMAGE}?"
    rf"|(?P<one>{_ROW}|{_COLUMN}|{_MIDDLE}){_OF_IMAGE}"
    rf"|(?P<compass>{_COMPASS})(?:{_PART}{_OF_IMAGE}?|{_OF_IMAGE})"
    rf"|(?<=on the )(?P<side>{_COLUMN})|(?<=(?:at|in) the )(?P<end>top|bottom|center|centre|middle)"
    rf"|(?P<adverb>centrally)"
    rf")\b(?!\s+(?:of|to|from)\b)",
    re.IGNORECASE,
)
_SPELLED = {"upper": "top", "lower": "bottom", "center": "centre", "central": "centre"}
_SPELLED |= {"middle": "centre", "centrally": "centre"}


_OWNED = re.compile(r"(?:'s|s'|\bits|\btheir)\s+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a clause: ``words`` as `rs_gpt4v.spatial.lies` takes them.

    "compass" stands for any word such as "north": no annotation says where north is.
    """

    start: int
    end: int
    words: str


@dataclass(frozen=True, slots=True)
class Relation:
    """How one thing lies to another, in a clause.

    ``words`` holds directions that must all hold, or one of "near", "far", "between", "compass".
    """

    start: int
    end: int
    words: tuple[str, ...]


def places(clause: str) -> Iterator[Place]:
    """The places in the image that a clause names."""
    for match in _PLACE.finditer(clause):
        if _OWNED.search(clause[max(0, match.start() - 8) : match.start()]):
            continue
        kind = match.lastgroup or ""
        parts = re.split(r"[\s-]+", match[kind].lower())
        words = " ".join(dict.fromkeys(_SPELLED.get(word, word) for word in parts))
        yield Place(match.start(), match.end(), "compass" if kind == "compass" else words)


def without(clause: str, named: list[Place]) -> str:
    """The clause, of equal length, with "here" for each place."""
    for place in named:
        filler = " here".ljust(place.end - place.start)[: place.end - place.start]
        clause = clause[: place.start] + filler + clause[place.end :]
    return clause


_TO = r"(?:(?:to|on|at|toward|towards)\s+the\s+)?(?:(?:immediate|far|direct)\s+)?"
_SIDE = rf"{_TO}(?P<{{0}}>{_COLUMN})(?:[\s-]hand)?(?:\s+side)?"
_OF = r"\s+of\b"
_UP_DOWN = r"above|below|beneath"
_RELATION = re.compile(
    r"\b(?:"
    rf"(?P<v1>{_UP_DOWN})\s*,?\s*(?:and|but)\s+(?:slightly\s+)?{_SIDE.format('h1')}{_OF}"
    rf"|{_SIDE.format('h2')}(?:{_OF})?\s+(?:and|but)\s+(?:slightly\s+)?(?P<v2>{_UP_DOWN})"
    rf"|{_TO}(?P<v3>{_ROW})[\s-]+(?P<h3>{_COLUMN}){_OF}"
    rf"|{_SIDE.format('h4')}{_OF}"
    rf"|(?<!from )(?:(?:directly|just|right|slightly)\s+)?(?P<v5>{_UP_DOWN})(?=\s+\w)"
    rf"|(?P<near>near(?:\s+to)?|next\s+to|beside|adjacent\s+to|close\s+to|alongside|in\s+close\s+"
    rf"proximity\s+to)"
    r"|(?P<far>far(?:\s+away)?\s+from)"
    r"|(?P<between>(?:in[\s-])?between)"
    rf"|(?:to\s+the\s+)?(?P<compass>{_COMPASS}){_OF}"
    r")(?=\s)",
    re.IGNORECASE,
)
_DIRECTION = {"left": "left of", "right": "right of", "beneath": "below"}
_DIRECTION |= {"top": "above", "upper": "above", "bottom": "below", "lower": "below"}


_ANOTHER = re.compile(r"\b(?:than|the ones?|the others?|another|those)\b[^,]*$", re.IGNORECASE)


def relations(clause: str) -> Iterator[Relation]:
    """The relations that a clause names; what stands on their two sides is for the caller."""
    for match in _RELATION.finditer(clause):
        if _ANOTHER.search(clause[max(0, match.start() - 60) : match.start()]):
            continue
        named = {key: word.lower() for key, word in match.groupdict().items() if word}
        sided = [_DIRECTION.get(word, word) for key, word in named.items() if key[-1].isdigit()]
        yield Relation(match.start(), match.end(), tuple(sided) or (next(iter(named)),))
