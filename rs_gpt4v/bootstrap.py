"""Intervals of scores, by resampling images: a bootstrap over clusters (Efron's percentiles).

The questions of one image are not independent, so whole images are drawn with replacement, each
with all its rows. The scores of a draw come from sums over its rows; so does everything here.
"""

import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 1000
LEVEL = 0.95
_AT_ONCE = 16  # draws; bounds memory to 30 MB for 222,684 images


class Sums(NamedTuple):
    """What each row adds to the sums of a set, and the scores that follow from such sums.

    Attributes:
        rows: Rows by sums.
        scores: From sums on the last axis to the scores by name, with the axes before it.
        binary: The scores that are a share of rows, each with the columns that hold its 0 or 1.
    """

    rows: np.ndarray
    scores: Callable[[np.ndarray], dict[str, np.ndarray]]
    binary: dict[str, list[int]]

    def total(self) -> dict[str, float]:
        """The scores of all rows."""
        return {name: float(value) for name, value in self.scores(self.rows.sum(0)).items()}

    def right(self, name: str) -> np.ndarray:
        """Of each row, 1 where it counts for one of the `binary` scores, else 0."""
        return self.rows[:, self.binary[name]].sum(1)


def joined(parts: Sequence[Sums]) -> Sums:
    """Several kinds of scores of the same rows as one."""
    ends = np.cumsum([part.rows.shape[1] for part in parts]).tolist()
    columns_of = [slice(end - p.rows.shape[1], end) for p, end in zip(parts, ends, strict=True)]

    def scores(sums: np.ndarray) -> dict[str, np.ndarray]:
        values: dict[str, np.ndarray] = {}
        for part, columns in zip(parts, columns_of, strict=True):
            values |= part.scores(sums[..., columns])
        return values

    binary = {
        name: [columns.start + column for column in own]
        for part, columns in zip(parts, columns_of, strict=True)
        for name, own in part.binary.items()
    }
    return Sums(np.hstack([part.rows for part in parts]), scores, binary)


def summed(rows: np.ndarray, images: Sequence[Hashable]) -> np.ndarray:
    """Sums over the rows of each image, in the order in which the images first occur.

    >>> summed(np.array([[1.0], [2.0], [4.0]]), ["a", "b", "a"]).tolist()
    [[5.0], [2.0]]
    """
    numbers: dict[Hashable, int] = {}
    clusters = [numbers.setdefault(image, len(numbers)) for image in images]
    return np.stack([np.bincount(clusters, weights=column) for column in rows.T], axis=1)


def intervals(
    sums: Sums, images: Sequence[Hashable], resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """The 2.5th and the 97.5th percentile of each score over ``resamples`` draws of the images.

    The same seed gives the same interval. A draw without a question of a type has no accuracy for
    it, and is left out of that score. Corpus scores keep what the whole set gives them: CIDEr its
    n-gram weights.

    Args:
        sums: What the rows add.
        images: Which image each row is about.
        resamples: How many draws; 1,000 fix a bound to about a fiftieth of the interval's width.
        seed: Of the draws.

    Raises:
        ValueError: All rows are about one image, so nothing is known of other images.
    """
    clusters = _several(summed(sums.rows, images))
    draws = sums.scores(_drawn(clusters, resamples, seed))
    return {name: percentiles(values) for name, values in draws.items()}


def percentiles(values: np.ndarray) -> tuple[float, float]:
    """Both ends of the central 95 % of ``values``; those that are not a number are left out."""
    tail = 50 * (1 - LEVEL)
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return float(low), float(high)


def _several(clusters: np.ndarray) -> np.ndarray:
    if len(clusters) < 2:
        raise ValueError("an interval needs rows about at least two images, got one")
    return clusters


def _drawn(clusters: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """The sums of each draw of as many images as there are, with replacement."""
    rng, n = np.random.default_rng(seed), len(clusters)
    draws = (np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(resamples))
    return _summed_draws(draws, clusters)


def _summed_draws(draws: Iterator[np.ndarray], clusters: np.ndarray) -> np.ndarray:
    """The sums of each draw, which says how many times each cluster counts.

    Many clusters add the same, as images with one question do: their draws are counted together.
    Products of matrices, of some draws at a time: the clusters are read once for all of them.
    """
    different, kinds = np.unique(clusters, axis=0, return_inverse=True)
    counts = (np.bincount(kinds.ravel(), draw, len(different)) for draw in draws)
    blocks = iter(lambda: [*itertools.islice(counts, _AT_ONCE)], [])
    return np.concatenate([np.array(block) @ different for block in blocks])


class Paired(NamedTuple):
    """A difference, second minus first, with its 95 % interval and the two-sided p-value."""

    difference: float
    low: float
    high: float
    p: float


def paired(
    first: Sums,
    second: Sums,
    images: Sequence[Hashable],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Paired]:
    """Whether two sets of replies to the same rows differ, for each score of both.

    The interval is that of a paired bootstrap: both are scored on the same drawn images. The
    p-value is that of a paired permutation test: were the two alike, the replies to an image could
    as well be swapped, so ``resamples`` times those of every image are, or are not, at random; p is
    the share of swaps, the actual replies among them, whose difference is at least as large. It
    cannot be below 1 / (resamples + 1), and is not corrected for the number of scores.

    Args:
        first: What the rows add with the first replies.
        second: The same of the second, rows in the same order.
        images: Which image each row is about.
        resamples: How many draws, and how many swaps.
        seed: Of both.

    Raises:
        ValueError: All rows are about one image.
    """
    ours, theirs = (_several(summed(sums.rows, images)) for sums in (first, second))
    width = ours.shape[1]
    drawn = _drawn(np.hstack([ours, theirs]), resamples, seed)
    actual = _difference(first, ours.sum(0), theirs.sum(0))
    spread = _difference(first, drawn[:, :width], drawn[:, width:])
    swapped = _difference(first, *_swapped(ours, theirs, resamples, seed))
    return {
        name: Paired(float(value), *percentiles(spread[name]), _p(value, swapped[name]))
        for name, value in actual.items()
    }


def _difference(sums: Sums, ours: np.ndarray, theirs: np.ndarray) -> dict[str, np.ndarray]:
    old, new = sums.scores(ours), sums.scores(theirs)
    return {name: new[name] - old[name] for name in old if name in new}


def _swapped(
    ours: np.ndarray, theirs: np.ndarray, resamples: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Both sums where the replies to each image are swapped or not, by the toss of a coin."""
    rng = np.random.default_rng(seed)
    change = theirs - ours
    tosses = (rng.integers(2, size=len(change)) for _ in range(resamples))
    moved = _summed_draws(tosses, change)
    return ours.sum(0) + moved, theirs.sum(0) - moved


def _p(actual: np.ndarray, swapped: np.ndarray) -> float:
    # Sums taken in another order differ in their last digits.
    extreme = np.abs(swapped) >= abs(actual) - 1e-12
    return float((extreme.sum() + 1) / (len(swapped) + 1))
