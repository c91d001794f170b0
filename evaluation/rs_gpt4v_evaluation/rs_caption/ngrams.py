"""Counts of the 1- to 4-grams of token strings, made once per distinct string."""

from collections import Counter

MAX_N = 4

Ngram = tuple[str, ...]


class NgramCounts(dict[str, list[dict[Ngram, int]]]):
    """Maps a token string to its n-gram counts, n = 1 first; in order of first occurrence.

    The references of an image, and of a corpus, repeat: BLEU and CIDEr share one table.

        >>> NgramCounts()["a b a"][0]
        {('a',): 2, ('b',): 1}
    """

    def __missing__(self, text: str) -> list[dict[Ngram, int]]:
        words = text.split()
        counts: list[dict[Ngram, int]] = [
            dict(Counter(zip(*(words[start:] for start in range(n)), strict=False)))
            for n in range(1, MAX_N + 1)
        ]
        self[text] = counts
        return counts
