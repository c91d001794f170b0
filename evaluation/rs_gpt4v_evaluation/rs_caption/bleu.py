"""Corpus BLEU as in the COCO caption evaluation (Papineni et al., 2002)."""

import math
from collections.abc import Iterable, Sequence

from rs_gpt4v_evaluation.rs_caption.ngrams import MAX_N, Ngram, NgramCounts

# COCO's smoothing: no score is exactly 0 or undefined, and 1.0 is missed by 1e-9 or so.
_TINY = 1e-15
_SMALL = 1e-9


def corpus_bleu(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    ngrams: NgramCounts | None = None,
) -> list[float]:
    """BLEU-1 to BLEU-4 in [0, 1] of tokenised captions, each with its tokenised references.

    Matches and lengths are summed over the corpus, so the scores of shards cannot be averaged.
    The reference length of a caption is the closest one, the shorter of two equally close.

        >>> [round(score, 3) for score in corpus_bleu(["a b c d"], [["a b c e", "x"]])]
        [0.75, 0.707, 0.63, 0.0]
    """
    ngrams = NgramCounts() if ngrams is None else ngrams
    guessed, correct = [0] * MAX_N, [0] * MAX_N
    reference_length = 0
    for candidate, refs in zip(candidates, references, strict=True):
        length = _length(candidate)
        reference_length += min((abs(n - length), n) for n in map(_length, refs))[1]
        tables = [ngrams[ref] for ref in dict.fromkeys(refs)]
        for index, counts in enumerate(ngrams[candidate]):
            guessed[index] += max(0, length - index)
            correct[index] += _clipped(counts, [table[index] for table in tables])
    return _scores(correct, guessed, reference_length)


def _length(text: str) -> int:
    return len(text.split())


def _clipped(counts: dict[Ngram, int], references: list[dict[Ngram, int]]) -> int:
    """How many n-grams of a caption occur in a reference, each at most as often as there."""
    return sum(
        min(count, max(reference.get(ngram, 0) for reference in references))
        for ngram, count in counts.items()
    )


def _scores(correct: Iterable[int], guessed: Sequence[int], reference_length: int) -> list[float]:
    """Geometric means of the precisions, times the brevity penalty."""
    ratio = (guessed[0] + _TINY) / (reference_length + _SMALL)
    brevity = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    product = 1.0
    scores = []
    for n, (hits, all_) in enumerate(zip(correct, guessed, strict=True), start=1):
        product *= (hits + _TINY) / (all_ + _SMALL)
        scores.append(product ** (1 / n) * brevity)
    return scores
