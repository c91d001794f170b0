"""Which claimed box is which true one: overlaps within each row, and pairs of one box each.

Pairs are taken in the order of their IoU, the greatest first, each box once. So a pair that is
taken at one threshold is taken at every lower one too, and the order of the boxes in a reply does
not matter: where two pairs overlap equally, the boxes' own coordinates decide.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rs_gpt4v.boxes import Points
from rs_gpt4v.scoring import quads
from rs_gpt4v.scoring.overlaps import ends

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""Of the IoU."""
GRADES = np.linspace(0.1, 0.9, 9)
"""Of the IoU in `graded_f1`; that of `row_f1` is the fifth."""

_SLACK = 1e-6
_PAIRS_AT_ONCE = 1 << 20  # bounds memory


class Boxes(NamedTuple):
    """The boxes of all rows, one after the other.

    Attributes:
        points: Four numbers or eight each, in pixels.
        rows: The row of each, ascending.
        upright: Which have four numbers.
        corners: As `quads.convex` has them.
        ends: Two planes, the least and the greatest x and y of each box in its image.
        areas: Of each box in its image, in squared pixels.
    """

    points: list[Points]
    rows: np.ndarray
    upright: np.ndarray
    corners: np.ndarray
    ends: np.ndarray
    areas: np.ndarray

    @property
    def keys(self) -> np.ndarray:
        """A number of each box that depends on its coordinates alone."""
        return self.corners.reshape(-1, 8) @ np.sqrt([2, 3, 5, 7, 11, 13, 17, 19])


class Pairs(NamedTuple):
    """Claimed and true boxes of one row each that overlap: their places among all, and IoUs."""

    claimed: np.ndarray
    true: np.ndarray
    ious: np.ndarray


class Found(NamedTuple):
    """The claimed and the true boxes of all rows.

    Attributes:
        claimed: Of the replies.
        true: Of the images.
        near: All pairs that overlap enough.
        taken: Those that are taken, see the module.
    """

    claimed: Boxes
    true: Boxes
    near: Pairs
    taken: Pairs


def find(
    claimed: Sequence[Sequence[Sequence[float]]],
    true: Sequence[Sequence[Sequence[float]]],
    sizes: Sequence[Sequence[int]],
    least: float = THRESHOLDS[0],
) -> Found:
    """Boxes already read beside the true ones of the same rows.

    Args:
        claimed: The boxes of each row's reply, in pixels.
        true: The true boxes of each row, in pixels.
        sizes: Width and height of each row's image, in pixels.
        least: The IoU of a pair that counts, at least.
    """
    sides = np.asarray(sizes, float).reshape(-1, 2)
    ours, theirs = (_all_boxes(column, sides) for column in (claimed, true))
    near = _overlapping(ours, theirs, sides, least)
    return Found(ours, theirs, near, _best_first(near, ours, theirs))


def _all_boxes(of_rows: Sequence[Sequence[Sequence[float]]], sides: np.ndarray) -> Boxes:
    points = [tuple(box) for boxes in of_rows for box in boxes]
    rows = np.repeat(np.arange(len(of_rows)), [len(boxes) for boxes in of_rows])
    upright = np.fromiter((len(box) == 4 for box in points), bool, len(points))
    around = ends(points, sides[rows])
    corners = quads.convex(points)
    areas = (around[1] - around[0]).prod(1)
    rotated = np.flatnonzero(~upright)
    areas[rotated] = quads.areas(corners[rotated], sides[rows[rotated]])
    return Boxes(points, rows, upright, corners, around, areas)


def _overlapping(claimed: Boxes, true: Boxes, sides: np.ndarray, least: float) -> Pairs:
    """The pairs of a claimed and a true box of one row that overlap by ``least`` or nearly so.

    As in `rs_grounding`, a pair is compared in the truth's kind: against an upright truth a rotated
    claim counts as the upright box around what of it is in the image.
    """
    counts = np.bincount(true.rows, minlength=len(sides))
    firsts = np.cumsum(counts) - counts
    partners = counts[claimed.rows]
    chunks = [
        _near(claimed, true, np.arange(start, end), partners, firsts, least)
        for start, end in _chunks(partners)
    ]
    parts = [np.concatenate(part) for part in zip(*chunks, strict=True)] or [np.zeros(0, int)] * 3
    near = Pairs(parts[0], parts[1], parts[2].astype(float))
    rotated = np.flatnonzero(~true.upright[near.true])
    near.ious[rotated] = _rotated_ious(claimed, true, near, rotated, sides)
    return Pairs(*(column[near.ious > least - _SLACK] for column in near))


def _chunks(partners: np.ndarray) -> list[tuple[int, int]]:
    """Ranges of claimed boxes with some million pairs each."""
    part = np.cumsum(partners) // _PAIRS_AT_ONCE
    starts = np.flatnonzero(np.diff(part, prepend=-1)).tolist()
    return list(pairwise([*starts, len(partners)]))


def _near(
    claimed: Boxes,
    true: Boxes,
    chosen: np.ndarray,
    partners: np.ndarray,
    firsts: np.ndarray,
    least: float,
) -> Pairs:
    """The pairs of the ``chosen`` claims that may overlap enough, by the boxes' upright ends."""
    own = partners[chosen]
    first = np.repeat(chosen, own)
    place = np.arange(len(first)) - np.repeat(np.cumsum(own) - own, own)
    second = firsts[claimed.rows[first]] + place
    shared = np.ones(len(first))
    for axis in range(2):  # few of a thousand pairs are left for the second
        low = np.maximum(claimed.ends[0, first, axis], true.ends[0, second, axis])
        high = np.minimum(claimed.ends[1, first, axis], true.ends[1, second, axis])
        meet = high > low
        first, second, shared = first[meet], second[meet], shared[meet] * (high - low)[meet]
    upright = (claimed.ends[1, first] - claimed.ends[0, first]).prod(1)
    areas = np.where(true.upright[second], upright, claimed.areas[first]) + true.areas[second]
    # An IoU of a half is a shared third of both areas; hulls share no more than their ends do.
    near = shared >= areas * (least / (1 + least)) * (1 - _SLACK)
    return Pairs(first[near], second[near], (shared / np.maximum(areas - shared, 1e-300))[near])


def _rotated_ious(
    claimed: Boxes, true: Boxes, pairs: Pairs, chosen: np.ndarray, sides: np.ndarray
) -> np.ndarray:
    first, second = pairs.claimed[chosen], pairs.true[chosen]
    own = sides[claimed.rows[first]]
    corners = claimed.corners[first], true.corners[second]
    shared = quads.shared_areas(*corners)
    beyond = np.flatnonzero(quads.leaves(corners[0], own) & quads.leaves(corners[1], own))
    parts = (corners[0][beyond], corners[1][beyond], quads.frames(own[beyond]))
    shared[beyond] = quads.shared_areas(*parts)
    areas = claimed.areas[first], true.areas[second]
    shared = np.minimum(shared, np.minimum(*areas))  # else a rounding rest is above 1
    return shared / (areas[0] + areas[1] - shared)


def _best_first(pairs: Pairs, claimed: Boxes, true: Boxes) -> Pairs:
    """Those of ``pairs`` that are taken, each box once, the greatest IoU first."""
    keys = true.keys[pairs.true], claimed.keys[pairs.claimed]
    order = np.lexsort((*keys, -pairs.ious.round(9)))
    free_claims, free_truths = ([True] * len(boxes.rows) for boxes in (claimed, true))
    taken = []
    columns = pairs.claimed[order].tolist(), pairs.true[order].tolist(), order.tolist()
    for first, second, pair in zip(*columns, strict=True):
        if free_claims[first] and free_truths[second]:
            free_claims[first] = free_truths[second] = False
            taken.append(pair)
    return Pairs(*(column[np.array(taken, int)] for column in pairs))


def hits(
    found: Found, thresholds: np.ndarray = THRESHOLDS, *, strict: bool = False
) -> list[np.ndarray]:
    """Which of the pairs that are taken reach each of ``thresholds``."""
    compares = np.greater if strict else np.greater_equal
    ious = found.taken.ious.round(9)  # else a rounding rest tells a box from its mirror image
    return [compares(ious, threshold) for threshold in thresholds.round(9)]


def row_f1(found: Found, denies: np.ndarray, *, strict: bool = False) -> np.ndarray:
    """The F1 of each row; where no object is there, 1 if the reply says so and else 0."""
    return _f1(found, denies, hits(found, strict=strict)[0])


def graded_f1(found: Found, denies: np.ndarray) -> np.ndarray:
    """The mean of each row's F1 over the IoUs `GRADES`: a box that is nearly right gets a part.

    ``found`` needs the pairs of all of them: ``find(..., least=GRADES[0])``.
    """
    return np.mean([_f1(found, denies, reached) for reached in hits(found, GRADES)], axis=0)


def _f1(found: Found, denies: np.ndarray, reached: np.ndarray) -> np.ndarray:
    rows = found.true.rows, found.claimed.rows, found.claimed.rows[found.taken.claimed[reached]]
    true, claimed, hit = (np.bincount(some, minlength=len(denies)) for some in rows)
    return np.where(true > 0, 2 * hit / np.maximum(true + claimed, 1), denies)
