"""The search of METEOR 1.5 for an alignment: a beam over the words of the reference.

Written from the papers (Denkowski and Lavie, 2011 and 2014) and the alignments that METEOR prints.
All numbers are of 64 bits and no array is sliced: else numba compiles for a minute, not seconds.
"""

import numpy as np
from numpy.typing import NDArray

from rs_gpt4v_evaluation.rs_caption.meteor.compiled import compiled, inner

BEAM = 40

# Columns of a match: where it starts in the reference, and its words there; the same in the
# candidate; the module that found it.
START, LENGTH, OTHER_START, OTHER_LENGTH, MODULE = range(5)
EXACT, STEM, SYNONYM, PARAPHRASE = range(4)

# Columns of a path: words matched on both sides, closed chunks, distance; where the next match of
# the open chunk would start (-1 if none is open); the first word of the reference that is free;
# the path it comes from, and the match by which it does (-1 if none).
_MATCHED, _CHUNKS, _DISTANCE, _NEXT, _FREE, _PARENT, _MATCH = range(7)
_COLUMNS = 7

Integers = NDArray[np.int64]
_Path = tuple[int, int, int, int, int]  # the first five


@compiled
def align(lengths: Integers, matches: Integers, firsts: Integers, starts: Integers) -> Integers:
    """Choose matches that do not overlap: most words, then fewest chunks, then least distance.

    Args:
        lengths: Words of the candidate and of the reference of each pair.
        matches: A row each, sorted by pair and by start in the reference.
        firsts: For each pair, the first row of each word of the reference, and the end of the last.
        starts: Where in ``firsts`` each pair starts; one longer.

    Returns:
        The chosen row of each word, in the places of ``firsts``; -1 where there is none.
    """
    chosen = np.full(len(firsts), -1, np.int64)
    for pair in range(len(lengths)):
        first = starts[pair]
        _align(lengths[pair, 1], lengths[pair, 0], matches, firsts[first:], chosen[first:])
    return chosen


@inner
def _align(
    length: int, other_length: int, matches: Integers, firsts: Integers, chosen: Integers
) -> None:
    """Search one pair; ``firsts`` and ``chosen`` begin with its own."""
    covered = np.zeros((2, max(length, other_length)), np.int64)
    fixed = _fixed(length, matches, firsts, covered)
    steps = np.zeros((length + 1, BEAM, _COLUMNS), np.int64)
    steps[0, 0, _NEXT] = -1
    taken = np.zeros((2, BEAM, other_length), np.bool_)  # after even and odd steps
    for place in range(other_length):
        taken[0, 0, place] = covered[1, place] > 0
    count = 1
    for start in range(length):
        if covered[0, start]:
            count = _pass_by(steps, start, count, matches, fixed[start])
        else:
            count = _extend(steps, start, count, matches, firsts, covered, taken)
        _take(steps, start + 1, count, matches, taken)
    _trace(steps, _best(steps, count), chosen)


@inner
def _fixed(length: int, matches: Integers, firsts: Integers, covered: Integers) -> Integers:
    """The match of each start that has no rival, or -1; marks the words they cover."""
    rivals = np.zeros(covered.shape, np.int64)
    for row in range(firsts[0], firsts[length]):
        _cover(rivals, matches, row)
    fixed = np.zeros(length, np.int64)
    for start in range(length):
        row = firsts[start]
        fixed[start] = -1
        if firsts[start + 1] == row + 1 and _is_alone(rivals, matches, row):
            fixed[start] = row
            _cover(covered, matches, row)
    return fixed


@inner
def _cover(counts: Integers, matches: Integers, row: int) -> None:
    """Count a match on its words of both sides."""
    for side in range(2):
        first = matches[row, 2 * side]
        for place in range(first, first + matches[row, 2 * side + 1]):
            counts[side, place] += 1


@inner
def _is_alone(rivals: Integers, matches: Integers, row: int) -> bool:
    """Whether a match is the only one on its words of both sides."""
    for side in range(2):
        first = matches[row, 2 * side]
        for place in range(first, first + matches[row, 2 * side + 1]):
            if rivals[side, place] != 1:
                return False
    return True


@inner
def _pass_by(steps: Integers, start: int, count: int, matches: Integers, row: int) -> int:
    """Continue paths over a word that a match without a rival covers, ``row`` if it starts here."""
    found = 0
    for parent in range(count):
        path = _path(steps, start, parent)
        if row >= 0:
            path = _joined(path, matches, row)
        found = _insert(steps, start + 1, found, path, parent, row)
    return found


@inner
def _extend(
    steps: Integers,
    start: int,
    count: int,
    matches: Integers,
    firsts: Integers,
    covered: Integers,
    taken: NDArray[np.bool_],
) -> int:
    """Continue paths by each match that starts at a word, or by none."""
    found = 0
    for parent in range(count):
        path = _path(steps, start, parent)
        if path[_FREE] > start:  # inside a phrase
            found = _insert(steps, start + 1, found, path, parent, -1)
            continue
        for row in range(firsts[start], firsts[start + 1]):
            if _is_free(covered, taken, start, parent, matches, row):
                longer = _matched(path, matches, row)
                found = _insert(steps, start + 1, found, longer, parent, row)
                # METEOR adds the distance to the path that the next ones are made from.
                distance = abs(matches[row, START] - matches[row, OTHER_START])
                path = (path[0], path[1], path[2] + distance, path[3], path[4])
        found = _insert(steps, start + 1, found, _closed(path), parent, -1)
    return found


@inner
def _path(steps: Integers, start: int, index: int) -> _Path:
    """A path before the word at ``start``."""
    return (
        steps[start, index, _MATCHED],
        steps[start, index, _CHUNKS],
        steps[start, index, _DISTANCE],
        steps[start, index, _NEXT],
        steps[start, index, _FREE],
    )


@inner
def _is_free(
    covered: Integers,
    taken: NDArray[np.bool_],
    start: int,
    parent: int,
    matches: Integers,
    row: int,
) -> bool:
    """Whether a path can take a match: none of its words is taken on either side."""
    for place in range(start, start + matches[row, LENGTH]):
        if covered[0, place]:
            return False
    first = matches[row, OTHER_START]
    for place in range(first, first + matches[row, OTHER_LENGTH]):
        if taken[start % 2, parent, place]:
            return False
    return True


@inner
def _matched(path: _Path, matches: Integers, row: int) -> _Path:
    """``path`` continued by a match."""
    length, other_length = matches[row, LENGTH], matches[row, OTHER_LENGTH]
    # Half a point a word unless exact, cut to an integer on each side: one word counts nothing.
    share = 1 if matches[row, MODULE] == EXACT else 2
    matched, chunks, distance, following, _ = _joined(path, matches, row)
    matched += length // share + other_length // share
    return (matched, chunks, distance, following, matches[row, START] + length)


@inner
def _joined(path: _Path, matches: Integers, row: int) -> _Path:
    """``path`` with a match that goes on with the open chunk, or closes it and opens another."""
    first = matches[row, OTHER_START]
    matched, chunks, distance, _, free = path if path[_NEXT] == first else _closed(path)
    return (matched, chunks, distance, first + matches[row, OTHER_LENGTH], free)


@inner
def _closed(path: _Path) -> _Path:
    """``path`` without an open chunk."""
    matched, chunks, distance, following, free = path
    return (matched, chunks + (following != -1), distance, -1, free)


@inner
def _insert(steps: Integers, step: int, count: int, path: _Path, parent: int, row: int) -> int:
    """Keep ``path`` in its place among the best of a step, after its equals; returns how many."""
    place = count
    while place > 0 and _is_better(path, _path(steps, step, place - 1)):
        place -= 1
    if place == BEAM:
        return count
    count = min(count + 1, BEAM)
    for lower in range(count - 1, place, -1):
        for column in range(_COLUMNS):
            steps[step, lower, column] = steps[step, lower - 1, column]
    for column in range(5):
        steps[step, place, column] = path[column]
    steps[step, place, _PARENT] = parent
    steps[step, place, _MATCH] = row
    return count


@inner
def _is_better(path: _Path, other: _Path) -> bool:
    if path[_MATCHED] != other[_MATCHED]:
        return path[_MATCHED] > other[_MATCHED]
    if path[_CHUNKS] != other[_CHUNKS]:
        return path[_CHUNKS] < other[_CHUNKS]
    return path[_DISTANCE] < other[_DISTANCE]


@inner
def _take(
    steps: Integers, step: int, count: int, matches: Integers, taken: NDArray[np.bool_]
) -> None:
    """Mark the words of the candidate that the paths of a step have taken."""
    for index in range(count):
        parent, row = steps[step, index, _PARENT], steps[step, index, _MATCH]
        for place in range(taken.shape[2]):
            taken[step % 2, index, place] = taken[1 - step % 2, parent, place]
        if row >= 0:
            first = matches[row, OTHER_START]
            for place in range(first, first + matches[row, OTHER_LENGTH]):
                taken[step % 2, index, place] = True


@inner
def _best(steps: Integers, count: int) -> int:
    """The best path of the last step once all chunks are closed, the first of equals."""
    last = len(steps) - 1
    best = 0
    for index in range(1, count):
        if _is_better(_closed(_path(steps, last, index)), _closed(_path(steps, last, best))):
            best = index
    return best


@inner
def _trace(steps: Integers, index: int, chosen: Integers) -> None:
    """Write the match by which the path ``index`` of the last step went on at each word."""
    for step in range(len(steps) - 1, 0, -1):
        chosen[step - 1] = steps[step, index, _MATCH]
        index = steps[step, index, _PARENT]
