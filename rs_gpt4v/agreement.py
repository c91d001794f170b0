"""How far two raters agree: Cohen's kappa, plain and weighted, and the correlation of ranks."""

from collections.abc import Sequence
from itertools import chain

import numpy as np

from rs_gpt4v.bootstrap import Sums


def kappa(pairs: Sequence[tuple[object, object]]) -> float | None:
    """Cohen's kappa: 1 where all pairs agree, 0 where as often as chance would make them.

    None without pairs, and where both always give the same one answer: chance explains all then.

    >>> kappa([("yes", "yes"), ("yes", "no"), ("no", "no"), ("no", "no")])
    0.5
    >>> kappa([("yes", "yes")]) is None
    True
    """
    levels = {answer: level for level, answer in enumerate(dict.fromkeys(chain(*pairs)))}
    if len(levels) < 2:
        return None
    both = np.array([[levels[a], levels[b]] for a, b in pairs])
    return kappa_sums(both, len(levels), "kappa").total()["kappa"]


def kappa_sums(levels: np.ndarray, count: int, name: str) -> Sums:
    """What each row adds to the table behind Cohen's kappa, which is not a number by chance alone.

    Args:
        levels: ``(n, 2)``: the level, from 0, that either rater gives to each row.
        count: How many levels there are.
        name: Of the score.
    """
    rows = np.zeros((len(levels), count * count))
    rows[np.arange(len(levels)), levels[:, 0] * count + levels[:, 1]] = 1

    def scores(sums: np.ndarray) -> dict[str, np.ndarray]:
        table = sums.reshape(*sums.shape[:-1], count, count)
        n = sums.sum(-1)
        both = np.einsum("...ii->...", table)
        by_chance = np.einsum("...ij,...ki->...", table, table)  # sum of rows[i] * columns[i]
        return {name: _share(both * n - by_chance, n * n - by_chance)}

    return Sums(rows, scores, {})


def weighted_kappa_sums(values: np.ndarray, name: str) -> Sums:
    """The same of Cohen's kappa with quadratic weights, of whole or broken numbers.

    A disagreement counts by the square of its size: 1 minus the mean square of the differences, by
    what it would be if either rater's values were dealt out to the rows at random.

    Args:
        values: ``(n, 2)``: what either rater gives to each row.
        name: Of the score.
    """
    x, y = values.T
    rows = np.stack([np.ones(len(x)), x, y, x * x + y * y, x * y], axis=1)

    def scores(sums: np.ndarray) -> dict[str, np.ndarray]:
        n, x, y, squares, products = np.moveaxis(sums, -1, 0)
        return {name: _share(2 * (products - x * y / n), squares - 2 * x * y / n)}

    return Sums(rows, scores, {})


def rank_sums(values: np.ndarray, name: str) -> Sums:
    """The same of Spearman's correlation; draws keep the ranks that all rows together have.

    Args:
        values: ``(n, 2)``: what either rater gives to each row.
        name: Of the score.
    """
    x, y = (_ranks(column) for column in values.T)
    rows = np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1)

    def scores(sums: np.ndarray) -> dict[str, np.ndarray]:
        n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
        spread = np.maximum(xx - x * x / n, 0) * np.maximum(yy - y * y / n, 0)
        return {name: _share(xy - x * y / n, np.sqrt(spread))}

    return Sums(rows, scores, {})


def _ranks(values: np.ndarray) -> np.ndarray:
    """The rank of each value, from 0 around their mean; equal values share the mean of theirs."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts + 1) / 2)[group] - (len(values) - 1) / 2


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """A quotient; not a number where the whole is 0, but for what rounding leaves of it."""
    is_nothing = np.abs(whole) < 1e-9
    return np.where(is_nothing, np.nan, part / np.where(is_nothing, 1, whole))
