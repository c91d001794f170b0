"""What is a word, and which words say a colour, a place, a reason: the lists of ``word_lists/``."""

import re
from collections.abc import Collection, Iterator, Sequence

from rs_gpt4v_generation.word_lists import word_list

_NUMBER = r"(?:\d+(?:\.\d+)?|\.\d+)"
BOX = rf"[\[({{<|]+\s*{_NUMBER}(?:[\s,<>|]+{_NUMBER}){{3,}}[\s\])}}>|]*"
"""The pattern of a box in a text: a bracket, then four or more numbers with no word between."""

_WORD = re.compile(rf"{BOX}|\d+(?:[.,]\d+)+|[^\W_]+(?:['\u2019-][^\W_]+)*")


def words(text: str) -> list[str]:
    """The words of a text in lower case; a number is one, and so is a whole box.

    >>> words("Two A-380s near [0.1, 0.2, 0.3, 0.4], 1.5 ha.")
    ['two', 'a-380s', 'near', '[box]', '1.5', 'ha']
    """
    return [w if w[0].isalnum() else "[box]" for w in _WORD.findall(text.lower())]


def phrases(spoken: Sequence[str], known: Collection[str]) -> Iterator[str]:
    """The phrases of at most four words that stand in a text, the longest at each place.

    >>> list(phrases(["next", "to", "a", "tennis", "court"], {"next to", "court", "tennis court"}))
    ['next to', 'tennis court']
    """
    index = 0
    while index < len(spoken):
        for size in range(min(_LONGEST, len(spoken) - index), 0, -1):
            phrase = " ".join(spoken[index : index + size])
            if phrase in known:
                yield phrase
                index += size - 1
                break
        index += 1


_LONGEST = 4

COLOURS = word_list("colours")
SIZES = word_list("sizes")
MATERIALS = word_list("materials")
SPATIAL = word_list("spatial")
_ASKED = "color colors colour colours size sizes shape shapes shaped material materials condition"
ASKED_ATTRIBUTES = frozenset().union(COLOURS, SIZES, MATERIALS, {"made of"}, _ASKED.split())
"""Attributes, and what asks for one."""

BACKGROUND = (
    r"\b(?:because|due to|therefore|thus|hence|typical\w*|usually|commonly|often|generally|likely"
    r"|used (?:for|to|as|by)|designed (?:for|to|as)|intended (?:for|to)|serv(?:es?|ing) (?:as|the)"
    r"|suggest\w*|indicat(?:e|es|ing|ive)|impl(?:y|ies|ying)|essential|important|in order to"
    r"|allow(?:s|ing)?|facilitat\w+|known (?:as|for)|purposes?|functions?|role)\b"
)
"""What says more than is seen: a use, a reason, what is usual, what follows (RE2)."""

FUNCTION_WORDS = word_list("function_words")
"""Words that carry the form of a sentence, not its matter."""
PREPOSITIONS = word_list("prepositions")
DETERMINERS = word_list("determiners")
PREDICATES = word_list("predicates")
"""Adjectives and adverbs that stand where a noun could: "are ships visible"."""

_IRREGULAR = {
    **dict.fromkeys(("is", "are", "was", "were", "be", "been", "am"), "be"),
    **dict.fromkeys(("has", "have", "had"), "have"),
    **dict.fromkeys(("do", "does", "did"), "do"),
    "found": "find",
    "given": "give",
    "written": "write",
    "shown": "show",
    "seen": "see",
    "held": "hold",
    "told": "tell",
    "drawn": "draw",
    "made": "make",
    "taken": "take",
    "said": "say",
    "known": "know",
}
AUXILIARIES = frozenset({"be", "have", "do"})


def _forms() -> dict[str, str]:
    forms = dict(_IRREGULAR)
    for verb in word_list("verbs"):
        past = f"{verb}d" if verb.endswith("e") else f"{verb}ed"
        past = f"{verb[:-1]}ied" if verb == "imply" else past
        third = "implies" if verb == "imply" else f"{verb}{'es' if verb.endswith('ch') else 's'}"
        forms |= dict.fromkeys((verb, past, third), verb)
    return forms


VERBS = _forms()
"""Forms of the verbs that instructions are made with, each with its infinitive.

Those in -ing are left out: "building" and "parking" are nouns here.
"""
