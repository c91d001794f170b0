"""Where a clause speaks of a class: how many, which, and whether it says that there is none."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

from rs_gpt4v.object_classes import Vocabulary, plural
from rs_gpt4v_generation.claims._words import NUMBER, Number, number
from rs_gpt4v_generation.word_lists import word_list


@dataclass(frozen=True, slots=True)
class Mention:
    """One place in a clause where a class is named.

    Attributes:
        name: The class.
        start: Where its words begin in the clause, its number and adjectives included.
        end: Where its noun ends.
        narrower: The word means only some objects of the class: "truck".
        several: The noun is a plural.
        definite: "the", "these", "both", ... stand before it.
        number: How many, if it says so.
        negated: The clause says that there is none.
        part: It may speak of some only: of those with a property or in a place.
        unsure: The clause says what could be, or is usual, not what is.
    """

    name: str
    start: int
    end: int
    narrower: bool = False
    several: bool = False
    definite: bool = False
    number: Number | None = None
    negated: bool = False
    part: bool = False
    unsure: bool = False


# A class before one of these nouns only says what kind of thing that is.
_HEADS = word_list("heads")
_MODIFIED = re.compile(rf"[\s-]+(?:{'|'.join(sorted(_HEADS))})\b", re.IGNORECASE)


_Class: TypeAlias = tuple[str, bool, bool]
"""A noun's class, whether it means only some of its objects, whether it is a plural."""


@lru_cache(maxsize=8)
def _nouns(words: tuple[tuple[str, bool, str], ...]) -> tuple[re.Pattern[str], dict[str, _Class]]:
    """A pattern of all nouns, longest first, and per noun its class, narrowness and plurality."""
    table = {}
    for noun, narrower, name in words:
        for form, several in ((noun, False), (plural(noun), True)):
            table.setdefault(form, (name, narrower, several and form != noun))
    forms = sorted(table, key=len, reverse=True)
    spelled = "|".join(re.escape(form).replace(r"\ ", r"[\s-]+") for form in forms)
    return re.compile(rf"\b(?:{spelled})\b", re.IGNORECASE), table


def _pattern(vocabulary: Vocabulary) -> tuple[re.Pattern[str], dict[str, _Class]]:
    return _nouns(
        tuple(
            (noun, narrower, words.name)
            for words in vocabulary.values()
            for narrower, nouns in ((False, (words.name, *words.same)), (True, words.narrower))
            for noun in nouns
        )
    )


_REACH = 120
"""No rule looks further back from a noun, in characters: each would reread a long text."""


def _ahead(clause: str, position: int) -> str:
    return clause[max(0, position - _REACH) : position]


def mentions(clause: str, vocabulary: Vocabulary) -> list[Mention]:
    """Every class that a clause names, in its order."""
    pattern, table = _pattern(vocabulary)
    result: list[Mention] = []
    for match in pattern.finditer(clause):
        if _MODIFIED.match(clause, match.end()) or _ASIDE.search(_ahead(clause, match.start())):
            continue
        name, narrower, several = table[re.sub(r"[\s-]+", " ", match[0]).lower()]
        since = result[-1].end if result else 0
        result.append(
            _phrase(clause, since, Mention(name, match.start(), match.end(), narrower, several))
        )
    result = list(_with_negation(clause, result))
    return _with_parts(clause, result)


_ASIDE = re.compile(
    r"\b(?:other than|unlike|rather than|instead of|except|apart from|aside from|not only"
    r"|resembl\w+|reminiscent of|compared (?:to|with))\s+(?:\w+\s+){0,3}$",
    re.IGNORECASE,
)
_DETERMINERS = r"the|these|those|both|all|its|their|this|that|each|every"
# Between a number or an article and its noun, where no preposition and no verb belongs.
_ADJECTIVE = (
    r"(?:(?!(?:and|or|of|in|on|at|with|is|are|was|were|has|have|the|a|an|to|by|near|image|scene"
    rf"|picture|photo|photograph|area|view|frame|can)\b|{NUMBER}(?!-))[\w-]+,?\s+)"
)
_COUNTED = re.compile(
    rf"(?P<definite>\b(?:{_DETERMINERS})\s+)?(?<![\w.,-])(?P<number>{NUMBER})\s+"
    rf"(?P<of>of\s+(?:the|these|those|its|them)\s+)?(?P<adjectives>{_ADJECTIVE}{{0,4}})$",
    re.IGNORECASE,
)
_NOT = re.compile(r"(?:\bnot|n't)\s+$", re.IGNORECASE)
_DEFINITE = re.compile(
    rf"\b(?P<definite>{_DETERMINERS})\s+(?P<adjectives>{_ADJECTIVE}{{0,2}})$", re.IGNORECASE
)
_GROUPS = re.compile(
    r"\b(?:groups?|rows?|clusters?|sets?|lines?|columns?|pairs)\s+of\s*$|\b(?:another|other)\s*$",
    re.IGNORECASE,
)


def _phrase(clause: str, since: int, mention: Mention) -> Mention:
    """The mention with the number, the article and the adjectives that stand before its noun."""
    before = clause[since : mention.start]
    match = _COUNTED.search(before)
    if match is None:
        return _definite(before, since, mention)
    ahead = before[: match.start("number")]
    stated = number(match["number"], ahead)
    if stated == Number(1, "at least") or (stated.value == 1 and _NOT.search(ahead)):
        return replace(mention, part=bool(_new_words(match["adjectives"])))
    some = match["of"] or match["definite"] or _GROUPS.search(ahead)
    part = bool(some) or bool(_new_words(match["adjectives"]))
    start = since + match.start()
    return replace(mention, start=start, number=stated, part=part, definite=bool(match["definite"]))


def _definite(before: str, since: int, mention: Mention) -> Mention:
    match = _DEFINITE.search(before)
    if match is None:
        return mention
    stated = Number(2) if match["definite"].lower() == "both" else None
    part = bool(_new_words(match["adjectives"]))
    start = since + match.start()
    return replace(mention, start=start, definite=True, number=stated, part=part)


# Words that do not narrow down which objects are meant.
_NEUTRAL = word_list("neutral")


def _new_words(text: str) -> set[str]:
    """The words that may narrow down what is meant."""
    return set(re.findall(r"[\w'-]+", text.lower())) - _NEUTRAL


_EXISTENCE = (
    r"see|seen|spot|notice|find|identify|detect|observe|contain|show|include|feature|have|depict"
    r"|display|reveal|hold|discern|locate|count|make out|present|any"
)
_FILLER = r"(?:\s+(?!(?:and|but)\b)[\w'-]+){0,4}?"
_NOT_BEFORE = re.compile(
    rf"(?:\b(?:no|not|zero|without|neither|nor|lack(?:s|ing)?|devoid of|free (?:of|from)|absence of"
    rf"|absent of|no (?:visible |clear |discernible )?(?:signs?|evidence|traces?|indications?) of)"
    rf"(?:\s+(?:any|a|an|one|the|visible|single|obvious|apparent|\w+-\w+))*"
    rf"|(?:n't|\bnot|\bnever|\bcannot|\bunable to){_FILLER}\s+(?:{_EXISTENCE})(?:\s+[\w-]+){{0,3}}"
    rf"|\bthere\s+(?:is|are|was|were)(?:n't|\s+not)(?:\s+(?:a|an|any|visible))*)\s*$",
    re.IGNORECASE,
)
_NOT_AFTER = re.compile(
    r"\s+(?:(?:is|are|was|were|do|does|can|could)(?:\s*n't|\s+not|not)\s+(?:\w+\s+)?"
    r"(?:present|visible|seen|shown|found|there|here|appear|exist|be"
    r"|in (?:the|this) (?:image|scene))"
    r"|(?:is|are)\s+(?:\w+\s+)?(?:absent|missing|nowhere|lacking)\b)",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"\s*(?:,|or|nor|and|,\s*or|,\s*and|any|a|an|visible|\s)+$", re.IGNORECASE)
_ANY_NOT = re.compile(
    r"n't\b|\b(?:not|no|never|cannot|without|neither|nor|nothing|none|hardly)\b", re.IGNORECASE
)
_BELONGS = re.compile(r"\b(?:has|have|had|contains?|holds?|with|without|is|are|at|in|lacks?)\b")
_NO_ADJECTIVES = re.compile(rf"\bno\s+(?P<adjectives>{_ADJECTIVE}{{0,4}})$", re.IGNORECASE)


def _with_negation(clause: str, mentioned: Sequence[Mention]) -> Iterator[Mention]:
    """The mentions, those negated that a negation reaches: "no ships or airplanes"."""
    earlier: Mention | None = None
    supposed = bool(_UNSURE.search(_I_CAN.sub("", _SEEN.sub("", clause))))
    for mention in mentioned:
        before = _ahead(clause, mention.start)
        narrowed = _NO_ADJECTIVES.search(before)
        reached = bool(_NOT_BEFORE.search(before) or narrowed)
        if narrowed and _new_words(narrowed["adjectives"]):
            mention = replace(mention, part=True)
        if not reached and earlier is not None and earlier.negated:
            reached = bool(_GOES_ON.fullmatch(clause[earlier.end : mention.start]))
        if mention.number and mention.number.value == 0:
            reached = True
        reached = reached or bool(_NOT_AFTER.match(clause, mention.end))
        if reached and earlier is not None and _belongs(clause[earlier.end : mention.start]):
            mention = replace(mention, part=True)
        # What another negation does not surely reach is not surely there either.
        doubtful = not reached and not mention.definite and bool(_ANY_NOT.search(before))
        unsure = supposed or doubtful or _is_purpose(clause, mention)
        earlier = replace(mention, negated=reached, unsure=unsure)
        yield earlier


_SEEN = re.compile(
    r"\b(?:can|could|may) (?:also |clearly |easily )?be (?:\w+ly )?(?:\w+(?:ed|en|d|t)|made)\b"
)
_UNSURE = re.compile(
    r"\b(?:can(?!not)|could|may|might|would|should|will|likely|possibly|possible(?! to)|perhaps"
    r"|maybe"
    r"|probably|potential\w*|suggest\w*|indicat\w*|imply|implies|typical\w*|usual\w*|often|generally|if"
    r"|such as|e\.g|like|allow\w*|enabl\w*|facilitat\w*|designed|intended|used|suitable"
    r"|accommodat\w*|serv(?:e|es|ing)|support\w*|provid\w*|need\w*|expected|known)\b",
    re.IGNORECASE,
)
_I_CAN = re.compile(r"\b(?:i|you|we|one|there) (?:can|will)\b|\bi would say\b", re.IGNORECASE)
_PURPOSE = re.compile(r"\b(?:for|to)\s+(?:\w+ing\s+)?(?:\w+\s+)?$", re.IGNORECASE)


def _belongs(between: str) -> bool:
    """Whether what is denied is denied of the class before: "the harbor has no ships"."""
    return bool(_BELONGS.search(between)) and "there" not in between


def _is_purpose(clause: str, mention: Mention) -> bool:
    """Whether the class is only what something is for: "room for ships"."""
    match = _PURPOSE.search(_ahead(clause, mention.start))
    return bool(match) and not mention.definite and mention.number is None


_WITHIN = re.compile(r"\b(?:in|at|on|by|from|inside|within|across|throughout)\b", re.IGNORECASE)
_NEXT_THING = re.compile(r",|\b(?:and|as well as|(?:along|together) with|plus)\b", re.IGNORECASE)


def _with_parts(clause: str, mentioned: list[Mention]) -> list[Mention]:
    """The mentions, marked as parts where the words behind them narrow them down.

    What follows a list belongs to all of it: "three ships and two harbors on the left".
    """
    marked: list[Mention] = []
    following: Mention | None = None
    for mention in reversed(mentioned):
        rest = clause[mention.end : following.start if following else None]
        listed = following is not None and _GOES_ON.fullmatch(rest)
        tail = _NEXT_THING.split(rest)[0]
        within = following is not None and tail == rest and bool(_WITHIN.search(tail))
        part = mention.part or within or bool(_new_words(tail))
        if listed and following is not None:
            part = part or following.part
        following = replace(mention, part=part)
        marked.append(following)
    return marked[::-1]
