"""English as closed lists of words, a text file each."""

from functools import cache
from importlib.resources import files


@cache
def word_list(name: str) -> frozenset[str]:
    """The words of ``NAME.txt``; in a phrase, an underscore stands for the space."""
    text = (files(__name__) / f"{name}.txt").read_text(encoding="utf-8")
    return frozenset(word.replace("_", " ") for word in text.split())


BESIDE = word_list("unannotated")
"""Things that are often seen and, unless they are classes of the annotation, not annotated."""
