"""Corpus BLEU as in the COCO caption evaluation (Papineni et al., 2002)."""

from collections.abc import Sequence

import numpy as np

from rs_gpt4v_evaluation.rs_caption.ngrams import MAX_N, Ngram, NgramCounts

# COCO's smoothing: no score is exactly 0 or undefined, and 1.0 is missed by 1e-9 or so.
_TINY = 1e-15
_SMALL = 1e-9


def bleu_counts(
    candidates: Sequence[str], references: Sequence[Sequence[str]], ngrams: NgramCounts
) -> list[list[int]]:
    """What each tokenised caption adds to the sums of `bleu_scores`.

    The matching 1- to 4-grams, all 1- to 4-grams, and the reference length: the closest one, the
    shorter of two equally close.

        >>> rows = bleu_counts(["a b c d"], [["a b c e", "x"]], NgramCounts())
        >>> [round(float(score), 3) for score in bleu_scores(np.sum(rows, axis=0))]
        [0.75, 0.707, 0.63, 0.0]
    """
    rows = []
    for candidate, refs in zip(candidates, references, strict=True):
        length = _length(candidate)
        closest = min((abs(n - length), n) for n in map(_length, refs))[1]
        tables = [ngrams[ref] for ref in dict.fromkeys(refs)]
        correct = [
            _clipped(counts, [table[index] for table in tables])
            for index, counts in enumerate(ngrams[candidate])
        ]
        rows.append([*correct, *(max(0, length - index) for index in range(MAX_N)), closest])
    return rows


def _length(text: str) -> int:
    return len(text.split())


def _clipped(counts: dict[Ngram, int], references: list[dict[Ngram, int]]) -> int:
    """How many n-grams of a caption occur in a reference, each at most as often as there."""
    return sum(
        min(count, max(reference.get(ngram, 0) for reference in references))
        for ngram, count in counts.items()
    )


def bleu_scores(sums: np.ndarray) -> list[np.ndarray]:
    """BLEU-1 to BLEU-4 in [0, 1] of summed `bleu_counts`, which lie on the last axis.

    Geometric means of the precisions, times the brevity penalty. The sums are those of the whole
    set, so scores of shards cannot be averaged.
    """
    correct, guessed, length = sums[..., :MAX_N], sums[..., MAX_N:-1], sums[..., -1]
    ratio = (guessed[..., 0] + _TINY) / (length + _SMALL)
    brevity = np.exp(np.minimum(1 - 1 / ratio, 0))
    products = np.cumprod((correct + _TINY) / (guessed + _SMALL), axis=-1)
    return [products[..., n - 1] ** (1 / n) * brevity for n in range(1, MAX_N + 1)]
