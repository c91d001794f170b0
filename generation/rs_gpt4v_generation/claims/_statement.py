"""What one clause claims of the classes it names."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rs_gpt4v.object_classes import Vocabulary
from rs_gpt4v_generation.claims import _phrases
from rs_gpt4v_generation.claims._mentions import Mention, mentions
from rs_gpt4v_generation.claims._words import NUMBER, Number, number

Kind = Literal["count", "presence", "place", "relation"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that a sentence says and that boxes can show to be true or false.

    Attributes:
        kind: What is claimed: a number of objects, that there are some, where they are.
        names: The classes that may be meant; several where the sentence is ambiguous.
        sentence: The words it was read from.
        number: Of a count.
        place: Where the counted or placed objects are: as `rs_gpt4v.spatial.lies`.
        relation: Directions that must all hold, or one of "near", "far", "between", "compass".
        others: The classes on the relation's other side.
        every: It is said of all objects of the class, not of one.
        part: It may be said of some objects only, which the boxes cannot tell from the others.
        negated: It is denied.
        unsure: It is only supposed.
    """

    kind: Kind
    names: tuple[str, ...]
    sentence: str
    number: Number | None = None
    place: str = ""
    relation: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    every: bool = False
    part: bool = False
    negated: bool = False
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class Topic:
    """The classes that were spoken of before: what "it" and "they" mean, the nearest last."""

    names: tuple[str, ...] = ()
    several: bool = False


@dataclass(frozen=True, slots=True)
class _Clause:
    text: str  # places blanked
    sentence: str
    mentions: list[Mention]
    places: list[_phrases.Place]
    topic: Topic


def named(text: str, vocabulary: Vocabulary) -> list[Mention]:
    """The classes that a text names; a place narrows none of them down."""
    return mentions(_phrases.without(text, list(_phrases.places(text))), vocabulary)


def topic_of(text: str, vocabulary: Vocabulary, before: Topic) -> Topic:
    """The classes that a text names, or else those named before."""
    mentioned = mentions(text, vocabulary)
    if not mentioned:
        return before
    return Topic(tuple(dict.fromkeys(m.name for m in mentioned)), mentioned[0].several)


def statement(clause: str, sentence: str, vocabulary: Vocabulary, topic: Topic) -> list[Claim]:
    """All claims of one clause; pronouns mean ``topic``."""
    places = list(_phrases.places(clause))
    text = _phrases.without(clause, places)
    read = _Clause(text, sentence, mentions(text, vocabulary), places, topic)
    return [*_presences(read), *_counts(read), *_placed(read), *_related(read)]


def _claim(kind: Kind, mention: Mention, sentence: str) -> Claim:
    return Claim(
        kind,
        (mention.name,),
        sentence,
        part=mention.part or mention.narrower,
        negated=mention.negated,
        unsure=mention.unsure,
    )


def _presences(read: _Clause) -> Iterator[Claim]:
    owned = {id(m) for place in read.places for m in _owners(read, place)}
    for mention in read.mentions:
        claim = _claim("presence", mention, read.sentence)
        some = id(mention) in owned or (mention.negated and mention.number is not None)
        yield replace(claim, part=claim.part or some)


_NUMBER_OF = r"\b(?:number|count|total|tally|quantity|amount)\b"
_EQUALS = (
    rf"\b(?:is|are|was|were|equals?|being|to|at|of|gives)\s+"
    rf"(?:\w+ly\s+|just\s+|only\s+|about\s+|equal to\s+)?(?P<number>{NUMBER})\b"
)
_STATED = re.compile(
    rf"{_NUMBER_OF}.*?{_EQUALS}|{_NUMBER_OF}.*\s(?P<last>{NUMBER})\s*$", re.IGNORECASE
)
_IN_ALL = re.compile(
    rf"^[^.]{{0,40}}?[\s,(](?P<number>{NUMBER})\s+(?:in (?:all|total|number)|altogether|of them,)",
    re.IGNORECASE,
)


def _counts(read: _Clause) -> Iterator[Claim]:
    places = {id(m): place.words for place in read.places for m in _owners(read, place)}
    for mention in read.mentions:
        stated, part = mention.number, mention.part or mention.narrower
        if stated is None:
            stated = _stated_elsewhere(read, mention)
            part = mention.narrower
        if stated is not None and not mention.negated:
            claim = _claim("count", mention, read.sentence)
            place = places.get(id(mention), "")
            # "One ship is at the top, another ...": one of them.
            is_one = bool(place) and stated.value == 1 and mention.start == 0
            yield replace(claim, number=stated, place=place, part=part or is_one)


def _stated_elsewhere(read: _Clause, mention: Mention) -> Number | None:
    """The number of "the number of ships is three" and "the ships, three in all"."""
    rest = read.text[mention.end :]
    alone = len(read.mentions) == 1
    stated = _STATED.search(read.text) if alone else None
    if stated is None:
        stated = _IN_ALL.search(rest)
        if stated is None:
            return None
        return number(stated["number"], rest[: stated.start("number")])
    group = "number" if stated["number"] else "last"
    return number(stated[group], read.text[: stated.start(group)])


_PREPOSITION = re.compile(
    r"\b(?:near|of|to|by|beside|along|at|in|on|behind|between|from|around|inside|within|against"
    r"|surrounding|toward|towards|beyond|alongside|overlooking|for|above|below)\s+(?:\w+\s+)?$",
    re.IGNORECASE,
)


def _is_head(read: _Clause, mention: Mention) -> bool:
    return not _PREPOSITION.search(read.text[: mention.start])


def _candidates(read: _Clause, before: Sequence[Mention]) -> list[Mention]:
    """Which of the mentions that stand before something it may be said of."""
    heads = [mention for mention in before if _is_head(read, mention)]
    nearest = before[-1:] if before and not heads else heads[-1:]
    return list(nearest)


def _owners(read: _Clause, place: _phrases.Place) -> list[Mention]:
    """The mentions that a place is said of: those before it, or those behind an opening place."""
    before = [mention for mention in read.mentions if mention.end <= place.start]
    if before:
        chosen = _candidates(read, before)
        return _listed_with(read, chosen[-1]) if chosen else []
    if _has_pronoun(read):
        return []
    after = [mention for mention in read.mentions if mention.start >= place.end]
    return after[:1]


_AND = re.compile(r"\s*,?\s*(?:and\s+)?(?:(?:a|an|the|some|several|many)\s*)?", re.IGNORECASE)


def _listed_with(read: _Clause, last: Mention) -> list[Mention]:
    """The mention and those before it that a list joins to it: "ships and a harbor"."""
    chosen = [last]
    for mention in reversed(read.mentions[: read.mentions.index(last)]):
        if not _AND.fullmatch(read.text[mention.end : chosen[0].start]):
            break
        chosen.insert(0, mention)
    return chosen


def _is_every(mention: Mention) -> bool:
    return mention.several and mention.definite and mention.number is None and not mention.part


_PRONOUN = re.compile(
    r"^\s*(?:it|they|all of them|both(?!\s+of)|this|these|the two(?!\s+of))\b", re.IGNORECASE
)


def _has_pronoun(read: _Clause) -> bool:
    """Whether the clause opens with a pronoun: "both", and not "both ships"."""
    match = _PRONOUN.match(read.text)
    return match is not None and all(mention.start >= match.end() for mention in read.mentions)


def _placed(read: _Clause) -> Iterator[Claim]:
    for place in read.places:
        for mention in _owners(read, place):
            claim = _claim("place", mention, read.sentence)
            yield replace(claim, place=place.words, every=_is_every(mention))
        is_pronoun = _has_pronoun(read)
        if read.topic.names and (is_pronoun or not read.mentions):
            yield Claim(
                "place",
                read.topic.names[:1],
                read.sentence,
                place=place.words,
                every=read.topic.several and is_pronoun,
            )


def _related(read: _Clause) -> Iterator[Claim]:
    for relation in _phrases.relations(read.text):
        subjects, objects = _sides(read, relation)
        if not subjects or not objects:
            continue
        first = subjects[0] if isinstance(subjects[0], Mention) else None
        names = tuple(s.name if isinstance(s, Mention) else s for s in subjects)
        base = Claim("relation", names, read.sentence)
        if first is not None:
            base = replace(_claim("relation", first, read.sentence), names=names)
        every = first is not None and _is_every(first)
        yield replace(base, relation=relation.words, others=tuple(objects), every=every)


def _sides(read: _Clause, relation: _phrases.Relation) -> tuple[list[Mention | str], list[str]]:
    """What a relation is said of, and what it relates that to; empty where it cannot be told."""
    before = [mention for mention in read.mentions if mention.end <= relation.start]
    behind = [mention for mention in read.mentions if mention.start >= relation.end]
    objects = _objects(read, relation, behind)
    subjects: list[Mention | str] = []
    subjects += _candidates(read, before)
    its = _has_pronoun(read)
    if not subjects and not its and objects and len(behind) > len(objects):
        subjects += behind[len(objects) : len(objects) + 1]
    if not subjects and read.topic.names:
        subjects = [read.topic.names[0]]
    if not objects and _IT.match(read.text, relation.end):
        known = [s.name if isinstance(s, Mention) else s for s in subjects]
        earlier = [*(m.name for m in before), *read.topic.names]
        objects = [name for name in earlier if name not in known][-1:]
    return subjects, objects


_IT = re.compile(r"\s+(?:it|them|that|this|the (?:former|latter|other)s?)\b", re.IGNORECASE)


def _objects(read: _Clause, relation: _phrases.Relation, behind: Sequence[Mention]) -> list[str]:
    """The class that stands right behind a relation; of "between", both."""
    if not behind or not _is_next(read.text[relation.end : behind[0].start]):
        return []
    if relation.words == ("between",) and len(behind) > 1:
        joined = read.text[behind[0].end : behind[1].start].strip().lower()
        if joined in ("and", "and the", "and a", "and an"):
            return [behind[0].name, behind[1].name]
    return [behind[0].name]


def _is_next(between: str) -> bool:
    words = between.split()
    return len(words) <= 3 and not any(mark in between for mark in ",;") and "and" not in words
