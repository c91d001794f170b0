"""Self-BLEU: how well a text is told by the others."""

from collections.abc import Sequence

import numpy as np

_ORDER = 4


def self_bleu(texts: Sequence[Sequence[str]]) -> float | None:
    """The mean BLEU-4 of each text with all others as its references, from 0 to 1.

    A text's BLEU is sacrebleu's of a sentence: orders of which a text has no n-gram are left out,
    missing matches are smoothed exponentially. Texts without words do not count; None for fewer
    than two. The time taken grows with the number of words, not with that of pairs of texts.

    >>> self_bleu([["no"], ["no"]]), self_bleu([["two", "ships"], ["a", "harbor"]])
    (1.0, 0.0)
    """
    texts = [text for text in texts if text]
    if len(texts) < 2:
        return None
    lengths = np.array([len(text) for text in texts])
    matched = _matches(texts, lengths)
    total = np.maximum(lengths[:, None] - np.arange(_ORDER), 0)
    return float(np.mean(_brevity(lengths) * _precision(matched, total)))


def _matches(texts: Sequence[Sequence[str]], lengths: np.ndarray) -> np.ndarray:
    """For each text and order the n-grams that another text has, at most as often as that does."""
    flat = _numbered([word for text in texts for word in text])
    of_text = np.repeat(np.arange(len(texts)), lengths)
    ends = np.cumsum(lengths)[of_text]
    gram, start = flat, np.arange(len(flat))
    matched = np.zeros((len(texts), _ORDER))
    for order in range(_ORDER):
        matched[:, order] = _clipped(of_text[start], gram, len(texts))
        goes_on = start + order + 1 < ends[start]
        start, gram = start[goes_on], gram[goes_on]
        gram = _numbered(gram * len(flat) + flat[start + order + 1])
    return matched


def _numbered(values: Sequence[str] | np.ndarray) -> np.ndarray:
    """For each value a number from 0, the same for equal ones."""
    return np.unique(values, return_inverse=True)[1]


def _clipped(of_text: np.ndarray, gram: np.ndarray, n_texts: int) -> np.ndarray:
    """Of each text the matches of one order; ``gram`` names the n-gram at each place."""
    used, counts = np.unique(gram * n_texts + of_text, return_counts=True)
    gram, of_text = used // n_texts, used % n_texts
    by_count = np.lexsort((-counts, gram))
    gram, of_text, counts = gram[by_count], of_text[by_count], counts[by_count]
    first = np.flatnonzero(np.r_[True, gram[1:] != gram[:-1]]) if len(gram) else gram
    runs = np.diff(np.r_[first, len(gram)])
    # Who has an n-gram most often finds the next in other texts, all others find the most.
    limit = np.repeat(counts[first], runs)
    limit[first] = np.where(runs > 1, counts[np.minimum(first + 1, len(gram) - 1)], 0)
    return np.bincount(of_text, np.minimum(counts, limit), n_texts)


def _precision(matched: np.ndarray, total: np.ndarray) -> np.ndarray:
    """The geometric mean over the orders that a text has; 0 without any match."""
    logs, halved = np.zeros(len(matched)), np.ones(len(matched))
    for hits, of in zip(matched.T, total.T, strict=True):
        missed = (hits == 0) & (of > 0)
        halved[missed] /= 2
        logs += np.log(
            np.where(missed, halved, hits) / np.maximum(of, 1),
            where=of > 0,
            out=np.zeros(len(hits)),
        )
    orders = (total > 0).sum(axis=1)
    return np.where(matched.any(axis=1), np.exp(logs / orders), 0.0)


def _brevity(lengths: np.ndarray) -> np.ndarray:
    """The penalty of texts shorter than the other text whose length is nearest."""
    known, at, counts = np.unique(lengths, return_inverse=True, return_counts=True)
    padded = np.r_[-np.inf, known, np.inf]
    before, after = padded[at], padded[at + 2]
    nearest = np.where(lengths - before <= after - lengths, before, after)
    nearest = np.where(counts[at] > 1, lengths, nearest)
    return np.exp(np.minimum(0.0, 1 - nearest / lengths))
