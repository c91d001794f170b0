"""English, as far as plain rules go: numbers, sentences, clauses."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NAMED = {word: value for value, word in enumerate(_UNITS)}
_NAMED |= {word: 10 * value for value, word in enumerate(_TENS, 2)}
_NAMED |= {"a single": 1, "a lone": 1, "single": 1, "a pair of": 2, "a trio of": 3, "a dozen": 12}
_NAMED |= {"two dozen": 24, "a hundred": 100, "one hundred": 100}
_TEN = rf"(?:{'|'.join(_TENS)})(?:[\s-](?:{'|'.join(_UNITS[1:10])}))?"
_LONGEST_FIRST = sorted(_NAMED, key=len, reverse=True)

NUMBER = rf"(?:\d{{1,3}}(?:,\d{{3}})+|\d+|{_TEN}|{'|'.join(_LONGEST_FIRST)})(?![\w%]|\.\d|:\d)"
"""The pattern of a whole number in digits or words up to a hundred, and a few more."""

Bound = Literal["exactly", "at least", "at most", "about"]

_AT_LEAST = r"at least|no (?:fewer|less) than|a minimum of|upwards of|as many as"
_MORE = r"more than|over"
_AT_MOST = r"at most|no more than|up to|a maximum of"
_FEWER = r"(?:fewer|less) than|under"
_ABOUT = r"about|around|approximately|roughly|nearly|almost|some|perhaps|maybe|an estimated|~"
_BEFORE = re.compile(
    rf"(?:\b(?P<range>{NUMBER}\s*(?:-|to|or))|\b(?P<least>{_AT_LEAST})|\b(?P<more>{_MORE})"
    rf"|\b(?P<most>{_AT_MOST})|\b(?P<fewer>{_FEWER})|(?P<about>{_ABOUT}))\s*(?:a total of\s*)?$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number with what stands before it: "at least 3", "about 20"."""

    value: int
    bound: Bound = "exactly"


def number(text: str, before: str = "") -> Number:
    """The number that ``text`` (as `NUMBER` matches it) says behind ``before``.

    >>> number("twenty-one"), number("1,200", "there are more than ")
    (Number(value=21, bound='exactly'), Number(value=1201, bound='at least'))
    """
    value = _value(text.lower())
    match = _BEFORE.search(before)
    if match is None:
        return Number(value)
    kind = match.lastgroup
    if kind in ("least", "more"):
        return Number(value + (kind == "more"), "at least")
    if kind in ("most", "fewer"):
        return Number(value - (kind == "fewer"), "at most")
    return Number(value, "about")


_MOST_DIGITS = 18  # Python reads no whole number of 5,000; no image holds so many objects


def _value(text: str) -> int:
    if text[0].isdigit():
        return int(text.replace(",", "").lstrip("0")[:_MOST_DIGITS] or 0)
    if text in _NAMED:
        return _NAMED[text]
    return sum(_NAMED[part] for part in re.split(r"[\s-]", text))


_PLAIN = str.maketrans({"\u2019": "'", "\u2013": "-", "\u2014": " - "})


def plain(text: str) -> str:
    """The text as the rules spell it: straight apostrophes and hyphens, single blanks."""
    # A rule that looks for blanks before a mark would read a run of them again from each.
    return re.sub(r"\s+", lambda run: "\n" if "\n" in run[0] else " ", text.translate(_PLAIN))


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text, their marks kept.

    >>> sentences("Yes. It shows 1.5 ha; two ships, e.g. ferries!")
    ['Yes.', 'It shows 1.5 ha;', 'two ships, e.g. ferries!']
    """
    parts = re.split(r"(?<=[.!?;])(?<!e\.g\.)(?<!i\.e\.)\s+|\s*\n+\s*", text.strip())
    return [part for part in parts if part]


MOST_CHARACTERS = 400
"""Of a clause; only a model that repeats itself without end writes longer ones."""

_WITHOUT_END = re.compile(rf"\S{{{MOST_CHARACTERS}}}")  # textwrap copies the rest for each cut
_CLAUSE_END = re.compile(
    r"\s*:\s+|\s+-\s+|,?\s+(?:but|while|whereas|although|though|however|yet|because|since"
    r"|so that)\s+|,\s+(?:(?=with\s+the\b)|and\s+(?=there\b|it\b|they\b|no\b)|(?=which\b|where\b"
    r"|making\b"
    r"|suggesting\b|indicating\b|and\s+the\b))",
    re.IGNORECASE,
)


def clauses(sentence: str) -> Iterator[str]:
    """The parts of a sentence of which each has its own subject, cut where they do not end."""
    for part in _CLAUSE_END.split(sentence.rstrip(" .!?;")):
        if part.strip():
            yield from textwrap.wrap(_WITHOUT_END.sub(r"\g<0> ", part), MOST_CHARACTERS)


_YES_NO = re.compile(
    r"\s*(?:(yes|yeah|correct|indeed|absolutely|certainly|that'?s right|right"
    r"|that is (?:correct|right|true))|(no|nope|none|negative|incorrect|not))\b(?!\w)"
    r"(?!\s+\w)[\s,.;:!-]*",
    re.IGNORECASE,
)
_PLAIN_NO = re.compile(r"\s*(?:no|not)\s+(?:there|it|they|the|this|i|you)\b", re.IGNORECASE)


def yes_or_no(answer: str) -> bool | None:
    """Whether an answer opens with yes or with no, alone or before a comma; None for neither.

    >>> yes_or_no("Yes, it does."), yes_or_no("No."), yes_or_no("No ships are there.")
    (True, False, None)
    """
    match = _YES_NO.match(answer)
    if match:
        return match[1] is not None
    return False if _PLAIN_NO.match(answer) else None
