"""METEOR's statistics of a candidate and a reference, and the score that they give."""

import numpy as np
from numpy.typing import NDArray

from rs_gpt4v_evaluation.rs_caption.meteor.aligner import (
    LENGTH,
    MODULE,
    OTHER_LENGTH,
    OTHER_START,
    Integers,
)
from rs_gpt4v_evaluation.rs_caption.meteor.batch import Batch
from rs_gpt4v_evaluation.rs_caption.meteor.compiled import compiled, inner

# Parameters of the task "rank" for English (Denkowski and Lavie, 2014).
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_WEIGHTS = (1.0, 0.6, 0.8, 0.6)

# Columns: matched words by side (candidate, reference), kind (content, function) and module;
# words by side and kind; chunks.
_WORDS = 16
CHUNKS = 20
COLUMNS = 21


@compiled
def count(
    batch: Batch, pairs: Integers, matches: Integers, chosen: Integers, starts: Integers
) -> Integers:
    """Statistics of pairs of candidate and reference, a row each; see `align` for the rest."""
    statistics = np.zeros((len(pairs), COLUMNS), np.int64)
    for row in range(len(pairs)):
        candidate, reference = pairs[row, 0], pairs[row, 1]
        _count_words(batch, candidate, 0, statistics, row)
        _count_words(batch, reference, 1, statistics, row)
        words = chosen[starts[row] : starts[row + 1]]
        _count_matches(batch, candidate, reference, matches, words, statistics, row)
    return statistics


@inner
def _count_words(batch: Batch, sentence: int, side: int, statistics: Integers, row: int) -> None:
    """Count content and function words of a sentence."""
    first, end = batch.word_starts[sentence], batch.word_starts[sentence + 1]
    for place in range(first, end):
        kind = batch.is_function_word[batch.words[place]]
        statistics[row, _WORDS + 2 * side + kind] += 1


@inner
def _count_matches(
    batch: Batch,
    candidate: int,
    reference: int,
    matches: Integers,
    chosen: Integers,
    statistics: Integers,
    row: int,
) -> None:
    """Count words of the chosen matches, and the chunks that these form."""
    following, other_following = -1, -1
    for start in range(len(chosen)):
        match = chosen[start]
        if match < 0:
            continue
        length, module = matches[match, LENGTH], matches[match, MODULE]
        other_start, other_length = matches[match, OTHER_START], matches[match, OTHER_LENGTH]
        _count_span(
            batch, batch.word_starts[candidate] + other_start, other_length, module, statistics, row
        )
        _count_span(
            batch, batch.word_starts[reference] + start, length, 8 + module, statistics, row
        )
        statistics[row, CHUNKS] += start != following or other_start != other_following
        following, other_following = start + length, other_start + other_length


@inner
def _count_span(
    batch: Batch, first: int, length: int, column: int, statistics: Integers, row: int
) -> None:
    """Count matched words, content from ``column`` on and function words four later."""
    for place in range(first, first + length):
        statistics[row, column + 4 * batch.is_function_word[batch.words[place]]] += 1


def scores(statistics: Integers) -> NDArray[np.float64]:
    """METEOR in [0, 1] of each row of statistics; 0 where it is not defined."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = 1 / ((1 - _ALPHA) / _share(statistics, 0) + _ALPHA / _share(statistics, 1))
        matched = statistics[:, :_WORDS].sum(axis=1)
        ratio = statistics[:, CHUNKS] / (matched / 2)
    fragmentation = np.where(is_one_chunk(statistics), 0, ratio)
    # Not np.power, which may differ in the last bit from one processor to the next.
    penalty = _GAMMA * np.array([share**_BETA for share in fragmentation.tolist()])
    return np.nan_to_num(mean * (1 - penalty), nan=0.0)


def is_one_chunk(statistics: Integers) -> NDArray[np.bool_]:
    """Whether all words of both sides are matched, in at most one chunk; by row."""
    matched = statistics[:, :_WORDS].sum(axis=1)
    words = statistics[:, _WORDS:CHUNKS].sum(axis=1)
    return (matched == words) & (statistics[:, CHUNKS] <= 1)


def _share(statistics: Integers, side: int) -> NDArray[np.float64]:
    """Weighted share of the words of a side that are matched: precision or recall.

    In METEOR's order of sums and products, to the last bit.
    """
    matched = np.zeros(len(statistics))
    words = np.zeros(len(statistics))
    for kind, weight in enumerate((_DELTA, 1 - _DELTA)):
        words += weight * statistics[:, _WORDS + 2 * side + kind]
        for module in range(4):
            matched += _WEIGHTS[module] * statistics[:, 8 * side + 4 * kind + module] * weight
    return matched / words
