"""METEOR 1.5 of captions, equal to ``meteor-1.5.jar -l en -norm`` (Denkowski and Lavie, 2014)."""

from collections.abc import Sequence

import numpy as np

from rs_gpt4v_evaluation.rs_caption.meteor.aligner import Integers, align
from rs_gpt4v_evaluation.rs_caption.meteor.batch import Batch, read_batch
from rs_gpt4v_evaluation.rs_caption.meteor.matchers import find_matches
from rs_gpt4v_evaluation.rs_caption.meteor.normaliser import normalise, one_line
from rs_gpt4v_evaluation.rs_caption.meteor.paraphrases import Paraphrases, load_paraphrases
from rs_gpt4v_evaluation.rs_caption.meteor.statistics import CHUNKS, count, is_one_chunk, scores

__all__ = ["scores", "summands"]

_CHUNK = 1024  # pairs


def summands(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    table: Paraphrases | None = None,
) -> Integers:
    """What each caption adds to the sums of which `scores` makes METEOR, a row each.

    These are the statistics of the caption and its best reference, without a chunk where the two
    are one. The score of a row is that of its caption; that of all is not their mean, so scores of
    shards cannot be averaged.

    Args:
        candidates: One caption an image, in tokens as `ptb` gives them.
        references: Captions of each image, likewise.
        table: Paraphrases; default: METEOR's own.

    Raises:
        ImportError: pycocoevalcap is not installed.
    """
    numbers: dict[str, int] = {}
    pairs: dict[tuple[int, int], int] = {}
    items = []
    for candidate, refs in zip(candidates, references, strict=True):
        first = numbers.setdefault(candidate, len(numbers))
        keys = [(first, numbers.setdefault(ref, len(numbers))) for ref in refs]
        items.append([pairs.setdefault(key, len(pairs)) for key in keys])
    table = load_paraphrases() if table is None else table
    batch = read_batch([normalise(one_line(text)) for text in numbers], table)
    statistics = _statistics(batch, np.array(list(pairs), np.int64))
    values = scores(statistics).tolist()
    added = statistics[[max(rows, key=values.__getitem__) for rows in items]]
    added[is_one_chunk(added), CHUNKS] = 0
    return added


def _statistics(batch: Batch, pairs: Integers) -> Integers:
    """Statistics of all pairs, some at a time: the matches of long texts take room."""
    lengths = np.diff(batch.word_starts)
    rows = []
    for chunk in np.split(pairs, range(_CHUNK, len(pairs), _CHUNK)):
        matches, firsts, starts = find_matches(batch, chunk)
        chosen = align(lengths[chunk], matches, firsts, starts)
        rows.append(count(batch, chunk, matches, chosen, starts))
    return np.concatenate(rows)
