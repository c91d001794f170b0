"""CIDEr as in the COCO caption evaluation: the variant CIDEr-D (Vedantam et al., 2015)."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rs_gpt4v_evaluation.rs_caption.ngrams import MAX_N, Ngram, NgramCounts

_SIGMA = 6.0  # of the gaussian length penalty, in bigrams


class _Vector(NamedTuple):
    """TF-IDF weights of a caption's n-grams, n = 1 first, their norms, and its bigrams' number."""

    weights: list[dict[Ngram, float]]
    norms: list[float]
    length: int


def similarities(
    candidates: Sequence[str], references: Sequence[Sequence[str]], ngrams: NgramCounts
) -> Iterator[float]:
    """A tenth of the CIDEr of each tokenised caption, in [0, 1]; CIDEr is ten times their mean.

    An n-gram weighs less the more images have it in a reference, so the score depends on the whole
    set: shards cannot be averaged, and a single image scores 0 (every weight is log(1 / 1)).

        >>> pair = ["a b c d", "e f g h"], [["a b c d"], ["x y z w"]]
        >>> [round(one, 9) for one in similarities(*pair, NgramCounts())]
        [1.0, 0.0]
        >>> [*similarities(["a b c d"], [["a b c d"]], NgramCounts())]
        [0.0]
    """
    vectors = _Vectors(references, ngrams)
    for candidate, refs in zip(candidates, references, strict=True):
        similar = {ref: _similarity(vectors[candidate], vectors[ref]) for ref in set(refs)}
        yield sum(similar[ref] for ref in refs) / len(refs)


class _Vectors(dict[str, _Vector]):
    """Vectors of token strings, weighted by the references of a set and made once per string."""

    def __init__(self, references: Sequence[Sequence[str]], ngrams: NgramCounts) -> None:
        super().__init__()
        self._ngrams = ngrams
        self._log_images = math.log(len(references))
        images: list[Counter[Ngram]] = [Counter() for _ in range(MAX_N)]
        for refs in references:
            tables = [ngrams[ref] for ref in dict.fromkeys(refs)]
            for n, counter in enumerate(images):
                counter.update({ngram for table in tables for ngram in table[n]})
        self._idf = [
            {ngram: self._log_images - math.log(count) for ngram, count in counter.items()}
            for counter in images
        ]

    def __missing__(self, text: str) -> _Vector:
        weights = []
        for counts, idf in zip(self._ngrams[text], self._idf, strict=True):
            rare = self._log_images  # of an n-gram in no reference
            weights.append({ngram: n * idf.get(ngram, rare) for ngram, n in counts.items()})
        norms = [math.sqrt(sum(weight * weight for weight in w.values())) for w in weights]
        length = max(0, len(text.split()) - 1)
        self[text] = vector = _Vector(weights, norms, length)
        return vector


def _similarity(candidate: _Vector, reference: _Vector) -> float:
    """Clipped cosine, averaged over n = 1 ... 4, times the length penalty."""
    total = 0.0
    for n in range(MAX_N):
        norm = candidate.norms[n] * reference.norms[n]
        if norm == 0:
            continue
        ours, theirs = candidate.weights[n], reference.weights[n]
        dot = sum(
            min(ours[ngram], theirs[ngram]) * theirs[ngram] for ngram in ours if ngram in theirs
        )
        total += dot / norm
    penalty = math.exp(-((candidate.length - reference.length) ** 2) / (2 * _SIGMA**2))
    return total / MAX_N * penalty
