r"""METEOR's normaliser for English: cuts punctuation off, expands nothing, lower case.

Written from the output of METEOR 1.5 (``-l en -norm``) on probes: every character of the basic
plane and some ten thousand random strings.

    >>> normalise("A red-roofed house (No. 5), isn't it?")
    ['a', 'red', 'roofed', 'house', '(', 'no.', '5', ')', ',', 'isn', "'t", 'it', '?']
"""

import re
from collections.abc import Iterator
from functools import cache

from rs_gpt4v_evaluation.rs_caption.meteor import jar_text

# Letters, as METEOR has them: Latin up to z with caron, Cyrillic, phonetic extensions. All other
# writing is cut into single characters.
_L = (
    "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u017e\u0400-\u0527\u1d00-\u1d7f"
    "\ua640-\ua66e\ua67e-\ua697"
)
_A = f"{_L}0-9"

# In this order; a match consumes its neighbours, so "a-b-c" loses only the first hyphen.
_CUTS = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (f"([^{_A} \t\n\v\f\r.'`,\\-\u2018\u2019])", r" \1 "),
        (r"(\.{2,})", r" \1 "),
        (r"([^0-9]),([^0-9])", r"\1 , \2"),
        (r"([0-9]),([^0-9])", r"\1 , \2"),
        (r"([^0-9]),([0-9])", r"\1 , \2"),
        ("[`\u2018\u2019]", "'"),
        ("''", ' " '),
        ("[\u201c\u201d]", '"'),
        ("\u2013|--", "-"),
        (f"([{_A}.])-([{_A}])", r"\1 \2"),
        (f"([^{_L}])'([^{_L}])", r"\1 ' \2"),
        (f"([^{_A}])'([{_L}])", r"\1 ' \2"),
        (f"([{_L}])'([^{_L}])", r"\1 ' \2"),
        (f"([{_L}])'([{_L}])", r"\1 '\2"),
        (r"([0-9])'s", r"\1 's"),
    )
]
_HAS_LETTER = re.compile(f"[{_L}]")
_SPLIT = re.compile("[ \t\n\f\r]+")
_UNICODE_SPACES = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3000]+")
_TRIMMED = "".join(map(chr, range(0x21)))
_NOTHING_TO_CUT = re.compile("[A-Za-z0-9 ]*")


def one_line(text: str) -> str:
    """``text`` without what METEOR's protocol takes for the end of a line or of a caption."""
    return " ".join(text.replace("|||", "").splitlines())


def normalise(line: str) -> list[str]:
    """Words and punctuation marks of ``line``, in lower case.

    Raises:
        ImportError: pycocoevalcap, which has the list of abbreviations, is not installed.
    """
    if _NOTHING_TO_CUT.fullmatch(line):
        return line.lower().split()
    text = f" {line} "
    for pattern, replacement in _CUTS:
        text = pattern.sub(replacement, text)
    text = " ".join(_dots(_SPLIT.split(text.strip(" \t\n\f\r"))))
    text = _UNICODE_SPACES.sub(" ", text).strip(_TRIMMED).lower()
    return [word for word in _SPLIT.split(text) if word]


def _dots(words: list[str]) -> Iterator[str]:
    """Cut the dot off the end of words, unless it is an abbreviation's."""
    anywhere, before_numbers = _abbreviations()
    for word, following in zip(words, [*words[1:], ""], strict=True):
        stem = word.removesuffix(".")
        if stem == word or not stem.strip("."):
            yield word
        elif "." in stem and _HAS_LETTER.search(stem):
            yield word.replace(".", "")  # u.s. -> us
        elif (
            stem in anywhere
            or following[:1] in _LOWER
            or (stem in before_numbers and following[:1] in _DIGITS)
        ):
            yield word
        else:
            yield from (stem, ".")


_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz")
_DIGITS = frozenset("0123456789")


@cache
def _abbreviations() -> tuple[frozenset[str], frozenset[str]]:
    """Words that keep their dot anywhere, and those that keep it before a number."""
    lines = jar_text("nonbreaking/english.prefixes").splitlines()
    words = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return (
        frozenset(word for word, *mark in words if not mark),
        frozenset(word for word, *mark in words if mark),
    )
