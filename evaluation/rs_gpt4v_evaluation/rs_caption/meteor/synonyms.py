"""WordNet's synonym sets as METEOR 1.5 and SPICE use them, read from METEOR's jar.

A word belongs to the sets it is listed in and to those of its base forms:

    >>> Synonyms({"goose": "1 2", "bird": "2"}, {"geese": ["goose"]}).sets("geese")
    frozenset({1, 2})
    >>> Synonyms({"goose": "1 2", "bird": "2"}, {}).sets("birds")
    frozenset({2})
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice

from rs_gpt4v_evaluation.rs_caption.meteor import jar_text

# WordNet's rules of detachment: nouns, then verbs, then adjectives.
_ENDINGS = (
    *(("s", ""), ("ses", "s"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh")),
    *(("men", "man"), ("ies", "y")),
    *(("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", "")),
    *(("ing", "e"), ("ing", "")),
    *(("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
)


class Synonyms:
    """Synonym sets by word.

    Args:
        listed: The numbers of a word's sets, as text with spaces between.
        exceptions: The base forms of an irregular form.
    """

    def __init__(self, listed: Mapping[str, str], exceptions: Mapping[str, Sequence[str]]) -> None:
        self._listed = listed
        self._exceptions = exceptions
        self._sets: dict[str, frozenset[int]] = {}

    @classmethod
    @cache
    def load(cls) -> "Synonyms":
        """The sets of English, read once in a process.

        Raises:
            ImportError: pycocoevalcap is not installed.
        """
        exceptions: dict[str, list[str]] = {}
        for base, forms in _pairs("synonym/english.exceptions"):
            for form in forms.split():
                exceptions.setdefault(form, []).append(base)
        return cls(dict(_pairs("synonym/english.synsets")), exceptions)

    def sets(self, word: str) -> frozenset[int]:
        """Numbers of the sets of a lower-case ``word`` and its base forms; empty if unknown.

        Words that are written with a space are asked for with an underscore.
        """
        if word not in self._sets:
            forms = [word, *(self._exceptions.get(word) or [self._base(word)])]
            numbers = (n for form in forms for n in self._listed.get(form, "").split())
            self._sets[word] = frozenset(map(int, numbers))
        return self._sets[word]

    def _base(self, word: str) -> str:
        """The first form in the list that a rule of detachment gives; "" if there is none."""
        if word.endswith("ss") or len(word) <= 2:
            return word
        for ending, replaced in _ENDINGS:
            base = word.removesuffix(ending) + replaced
            if word.endswith(ending) and base in self._listed:
                return base
        return ""


def _pairs(name: str) -> Iterator[tuple[str, str]]:
    """Pairs of lines of a file of the jar."""
    lines = jar_text(name).splitlines()
    return zip(islice(lines, 0, None, 2), islice(lines, 1, None, 2), strict=True)
