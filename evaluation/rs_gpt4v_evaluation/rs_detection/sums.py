"""What each row adds to the scores of a detection, and the scores that follow from such sums."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rs_gpt4v.bootstrap import Sums
from rs_gpt4v.scoring.matching import THRESHOLDS, Found, hits
from rs_gpt4v_evaluation.object_sizes import SIZES, sizes_of
from rs_gpt4v_evaluation.rs_detection import average_precision

_WIDTH = 2 + len(THRESHOLDS)
"""Of a class: true boxes, claimed ones, and hits at each threshold."""


class _Counts(NamedTuple):
    """Numbers of boxes, of any shape."""

    true: np.ndarray
    claimed: np.ndarray
    hits: np.ndarray

    @property
    def f1(self) -> np.ndarray:
        return _ratio(2 * self.hits, self.true + self.claimed)

    @property
    def precision(self) -> np.ndarray:
        return _ratio(self.hits, self.claimed)

    @property
    def recall(self) -> np.ndarray:
        return _ratio(self.hits, self.true)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """A share; 0 of nothing."""
    return part / np.maximum(whole, 1)


def _mean(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The mean over those classes (last axis) that are ``chosen``; 0 of none."""
    return np.where(chosen, values, 0).sum(-1) / np.maximum(chosen.sum(-1), 1)


def detection_sums(
    found: Found,
    classes: Sequence[str],
    sizes: Sequence[Sequence[int]],
    denies: np.ndarray,
    *,
    strict: bool = False,
) -> Sums:
    """The scores, of what each row adds; see `RSDetection` for what they mean.

    Args:
        found: The boxes of the rows.
        classes: What each row asks for.
        sizes: Width and height of each row's image, in pixels.
        denies: Whether each reply says that there is no such object.
        strict: A hit needs an IoU above the threshold.
    """
    n, names = len(classes), sorted(set(classes))
    reached = hits(found, strict=strict)
    by_class = _by_class(found, reached, classes, names)
    by_size = _by_size(found, reached[0], np.asarray(sizes), n)
    absent = np.bincount(found.true.rows, minlength=n) == 0
    rows = [
        by_class.reshape(n, -1),
        by_size.reshape(n, -1),
        absent[:, None],
        (absent & denies)[:, None],
    ]
    has_class, has_size = (counts[..., 0].sum(0) > 0 for counts in (by_class, by_size))
    end = by_class[0].size, by_class[0].size + by_size[0].size

    def scores(summed: np.ndarray) -> dict[str, np.ndarray]:
        of_class = summed[..., : end[0]].reshape(*summed.shape[:-1], *by_class.shape[1:])
        of_size = summed[..., end[0] : end[1]].reshape(*summed.shape[:-1], *by_size.shape[1:])
        made = _of_all(of_class)
        if absent.any():
            made["absent_denied"] = _ratio(summed[..., -1], summed[..., -2])
        return made | _of_sizes(of_size, has_size) | _of_classes(of_class, names, has_class)

    return Sums(np.hstack(rows).astype(np.int32), scores, {})


def _by_class(
    found: Found, reached: Sequence[np.ndarray], classes: Sequence[str], names: list[str]
) -> np.ndarray:
    """Rows by classes by `_WIDTH`: a row counts for its own class alone."""
    n, code = len(classes), {name: place for place, name in enumerate(names)}
    pairs = found.claimed.rows[found.taken.claimed]
    counted = [found.true.rows, found.claimed.rows, *(pairs[is_hit] for is_hit in reached)]
    counts = np.zeros((n, len(names), _WIDTH), np.int32)
    every, own = np.arange(n), np.array([code[name] for name in classes])
    for column, rows in enumerate(counted):
        counts[every, own, column] = np.bincount(rows, minlength=n)
    return counts


def _by_size(found: Found, is_hit: np.ndarray, images: np.ndarray, n: int) -> np.ndarray:
    """Rows by sizes by true boxes, claimed ones and hits; a hit is of the size of its true box."""
    true, claimed = (
        (boxes.rows, sizes_of(boxes.areas, images[boxes.rows]))
        for boxes in (found.true, found.claimed)
    )
    matched = found.taken.true[is_hit]
    claimed[1][found.taken.claimed[is_hit]] = true[1][matched]
    counted = (true, claimed, (true[0][matched], true[1][matched]))
    counts = np.zeros((n, len(SIZES), 3), np.int32)
    for column, (rows, sizes) in enumerate(counted):
        for place in range(len(SIZES)):
            counts[:, place, column] = np.bincount(rows[sizes[:, place]], minlength=n)
    return counts


def _of_all(by_class: np.ndarray) -> dict[str, np.ndarray]:
    """Of all boxes, and means over classes."""
    each = _Counts(*np.moveaxis(by_class[..., :3], -1, 0))
    every = _Counts(*(count.sum(-1) for count in each))
    has, ap = each.true > 0, _ap(by_class)
    return {
        "f1": every.f1,
        "precision": every.precision,
        "recall": every.recall,
        "mean_f1": _mean(each.f1, has),
        "ap": _mean(ap.mean(-1), has),
        "ap_50": _mean(ap[..., 0], has),
        "ap_75": _mean(ap[..., 5], has),
    }


def _ap(by_class: np.ndarray) -> np.ndarray:
    """AP of each class at each threshold."""
    true, claimed, reached = by_class[..., :1], by_class[..., 1:2], by_class[..., 2:]
    return average_precision.without_confidence(reached, claimed, true)


def _of_sizes(by_size: np.ndarray, has: np.ndarray) -> dict[str, np.ndarray]:
    made = {}
    for place, name in enumerate(SIZES):
        counts = _Counts(*np.moveaxis(by_size[..., place, :], -1, 0))
        if has[place]:
            made[f"f1_{name}"] = counts.f1
            made[f"precision_{name}"] = counts.precision
            made[f"recall_{name}"] = counts.recall
    return made


def _of_classes(
    by_class: np.ndarray, names: Sequence[str], has: np.ndarray
) -> dict[str, np.ndarray]:
    f1 = _Counts(*np.moveaxis(by_class[..., :3], -1, 0)).f1
    ap = _ap(by_class).mean(-1)
    places = {name: place for place, name in enumerate(names) if has[place]}
    return {
        f"{score}_of_{name}": values[..., place]
        for score, values in (("f1", f1), ("ap", ap))
        for name, place in places.items()
    }
