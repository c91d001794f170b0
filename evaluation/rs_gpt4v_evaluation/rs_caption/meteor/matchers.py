"""The four matchers of METEOR 1.5: all pairs of words or phrases of a candidate and a reference."""

import numpy as np

from rs_gpt4v_evaluation.rs_caption.meteor.aligner import (
    EXACT,
    MODULE,
    PARAPHRASE,
    START,
    STEM,
    SYNONYM,
    Integers,
)
from rs_gpt4v_evaluation.rs_caption.meteor.batch import Batch
from rs_gpt4v_evaluation.rs_caption.meteor.compiled import compiled, inner


@compiled
def find_matches(batch: Batch, pairs: Integers) -> tuple[Integers, Integers, Integers]:
    """Matches of pairs of candidate and reference, by pair and start in the reference.

    Those of one start are in the order of the modules, then as METEOR finds them.

    Returns:
        The matches; the first of each word of the reference, and the end of the last; where in
        these each pair starts, and their end: what `align` asks for.
    """
    starts = np.zeros(len(pairs) + 1, np.int64)
    for pair in range(len(pairs)):
        starts[pair + 1] = starts[pair] + _length(batch, pairs[pair, 1]) + 1
    firsts = np.zeros(starts[len(pairs)], np.int64)
    marks = np.zeros(len(batch.paraphrase_starts), np.int64)
    matches = np.zeros((64, 5), np.int64)
    rows = np.zeros((64, 5), np.int64)
    end = 0
    for pair in range(len(pairs)):
        rows, count = _match(batch, pairs[pair, 0], pairs[pair, 1], marks, rows)
        matches = _room(matches, end, count)
        _sort(rows, count, matches, end, firsts, starts[pair], _length(batch, pairs[pair, 1]))
        end += count
    return matches, firsts, starts


@inner
def _length(batch: Batch, sentence: int) -> int:
    """Words of a sentence."""
    return batch.word_starts[sentence + 1] - batch.word_starts[sentence]


@inner
def _match(
    batch: Batch, candidate: int, reference: int, marks: Integers, rows: Integers
) -> tuple[Integers, int]:
    """Write all matches of two sentences to ``rows``; ``marks`` are a 0 for each phrase."""
    count = 0
    equal = _are_equal(batch, candidate, reference)
    first, end = batch.word_starts[reference], batch.word_starts[reference + 1]
    for place in range(first, end):
        rows, count = _match_word(batch, place, first, candidate, equal, rows, count)
    if not equal:
        rows, count = _match_phrases(batch, reference, candidate, False, marks, rows, count)
        rows, count = _match_phrases(batch, candidate, reference, True, marks, rows, count)
    return rows, count


@inner
def _room(rows: Integers, count: int, more: int) -> Integers:
    """``rows`` with room for ``more`` after the first ``count``; the array doubles when full."""
    size = len(rows)
    while size < count + more:
        size *= 2
    if size == len(rows):
        return rows
    larger = np.zeros((size, 5), np.int64)
    for row in range(count):
        for column in range(5):
            larger[row, column] = rows[row, column]
    return larger


@inner
def _are_equal(batch: Batch, candidate: int, reference: int) -> bool:
    """Whether two sentences have the same words."""
    first, end = batch.word_starts[candidate], batch.word_starts[candidate + 1]
    other, other_end = batch.word_starts[reference], batch.word_starts[reference + 1]
    if end - first != other_end - other:
        return False
    for index in range(end - first):
        if batch.words[first + index] != batch.words[other + index]:
            return False
    return True


@inner
def _match_word(
    batch: Batch,
    place: int,
    first: int,
    candidate: int,
    equal: bool,
    rows: Integers,
    count: int,
) -> tuple[Integers, int]:
    """Matches of one word of the reference; only exact ones if the sentences are equal."""
    other_first = batch.word_starts[candidate]
    for other in range(other_first, batch.word_starts[candidate + 1]):
        word, other_word = batch.words[place], batch.words[other]
        start, other_start = place - first, other - other_first
        if word == other_word:
            rows, count = _add(rows, count, start, 1, other_start, 1, EXACT)
        elif not equal:
            if batch.stems[word] == batch.stems[other_word]:
                rows, count = _add(rows, count, start, 1, other_start, 1, STEM)
            if _are_synonyms(batch, word, other_word):
                rows, count = _add(rows, count, start, 1, other_start, 1, SYNONYM)
    return rows, count


@inner
def _are_synonyms(batch: Batch, word: int, other: int) -> bool:
    """Whether ``other`` is in the sorted list of ``word``'s synonyms."""
    low, high = batch.synonym_starts[word], batch.synonym_starts[word + 1]
    while low < high:
        middle = (low + high) // 2
        if batch.synonyms[middle] == other:
            return True
        if batch.synonyms[middle] < other:
            low = middle + 1
        else:
            high = middle
    return False


@inner
def _add(
    rows: Integers,
    count: int,
    start: int,
    length: int,
    other_start: int,
    other_length: int,
    module: int,
) -> tuple[Integers, int]:
    """Append a match."""
    rows = _room(rows, count, 1)
    match = (start, length, other_start, other_length, module)
    for column in range(5):
        rows[count, column] = match[column]
    return rows, count + 1


@inner
def _match_phrases(
    batch: Batch,
    sentence: int,
    other: int,
    is_reversed: bool,
    marks: Integers,
    rows: Integers,
    count: int,
) -> tuple[Integers, int]:
    """Matches from phrases of a sentence to their paraphrases in another.

    ``is_reversed``: the candidate's phrases, looked for in the reference.
    """
    _mark(batch, other, marks, 1)
    for index in range(batch.phrase_starts[sentence], batch.phrase_starts[sentence + 1]):
        phrase = batch.phrases[index, 2]
        ends = batch.paraphrase_starts[phrase], batch.paraphrase_starts[phrase + 1]
        for place in range(ends[0], ends[1]):
            if marks[batch.paraphrases[place]]:
                paraphrase = batch.paraphrases[place]
                rows, count = _match_phrase(
                    batch, index, other, paraphrase, is_reversed, rows, count
                )
    _mark(batch, other, marks, 0)
    return rows, count


@inner
def _mark(batch: Batch, sentence: int, marks: Integers, value: int) -> None:
    """Set the mark of each phrase of a sentence."""
    for index in range(batch.phrase_starts[sentence], batch.phrase_starts[sentence + 1]):
        marks[batch.phrases[index, 2]] = value


@inner
def _match_phrase(
    batch: Batch,
    index: int,
    other: int,
    paraphrase: int,
    is_reversed: bool,
    rows: Integers,
    count: int,
) -> tuple[Integers, int]:
    """Matches of one phrase with each place of one paraphrase."""
    start, length = batch.phrases[index, 0], batch.phrases[index, 1]
    for place in range(batch.phrase_starts[other], batch.phrase_starts[other + 1]):
        if batch.phrases[place, 2] != paraphrase:
            continue
        found, words = batch.phrases[place, 0], batch.phrases[place, 1]
        if is_reversed:
            rows, count = _add(rows, count, found, words, start, length, PARAPHRASE)
        else:
            rows, count = _add(rows, count, start, length, found, words, PARAPHRASE)
    return rows, count


@inner
def _sort(
    rows: Integers,
    count: int,
    matches: Integers,
    end: int,
    firsts: Integers,
    place: int,
    length: int,
) -> None:
    """Write ``rows`` to ``matches`` from ``end`` on, by start, then by module, else as found.

    The first of each start goes to ``firsts``, from ``place`` on.
    """
    places = np.zeros(length * 4 + 1, np.int64)
    places[0] = end
    for row in range(count):
        places[rows[row, START] * 4 + rows[row, MODULE] + 1] += 1
    for index in range(length * 4):
        places[index + 1] += places[index]
    for start in range(length + 1):
        firsts[place + start] = places[start * 4]
    for row in range(count):
        index = rows[row, START] * 4 + rows[row, MODULE]
        for column in range(5):
            matches[places[index], column] = rows[row, column]
        places[index] += 1
