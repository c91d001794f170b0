"""Average precision as COCO defines it, of boxes that have a confidence, and of boxes without."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np

from rs_gpt4v.scoring.matching import THRESHOLDS, Found

AREAS = {"": (0.0, 1e10), "_small": (0, 32**2), "_medium": (32**2, 96**2), "_large": (96**2, 1e10)}
"""Squared pixels of the objects that count, both limits included."""

_MOST = 100  # claims of a row, the most confident ones
_RECALLS = np.linspace(0, 1, 101)


def without_confidence(hits: np.ndarray, claimed: np.ndarray, true: np.ndarray) -> np.ndarray:
    """AP where all claims are equally sure: one precision, up to the one recall.

    All are taken at once, as a threshold below their common confidence would. Ranking them in the
    order of the rows, as tools for detectors do with equal scores, makes AP depend on that order.

    Args:
        hits: Claimed boxes that are true ones.
        claimed: All that are claimed.
        true: All there are.

    Returns:
        AP in [0, 1]; not a number where there is no true box.

    >>> float(without_confidence(np.array(1), np.array(2), np.array(2)))  # 0.5 at 51 of 101 recalls
    0.2524...
    """
    # Whole numbers: as a share, a recall of 19/20 would miss COCO's 0.95 by a rounding rest.
    reached = np.floor_divide(hits * 100, np.maximum(true, 1)) + 1
    precision = hits / np.maximum(claimed, 1)
    return np.where(true > 0, precision * reached / len(_RECALLS), np.nan)


def by_confidence(
    found: Found, classes: Sequence[str], confidences: Sequence[Sequence[float]]
) -> dict[str, float]:
    """AP by the confidences of the claims: of all boxes, of each of `AREAS`, and of each class.

    Args:
        found: The boxes of the rows.
        classes: What each row asks for.
        confidences: Of each box of each row's reply.

    Raises:
        ValueError: A row has not one finite confidence for each box.
    """
    of_class: dict[str, list[Claims]] = {}
    for name, row in zip(classes, _claims(found, confidences), strict=True):
        of_class.setdefault(name, []).append(row)
    made: dict[str, float] = {}
    for size, area in AREAS.items():
        aps = {name: with_confidence(own, area) for name, own in sorted(of_class.items())}
        known = {name: ap for name, ap in aps.items() if ap is not None}
        if not known:
            continue
        mean = np.mean([*known.values()], 0)
        made[f"ap{size}"] = float(mean.mean())
        if not size:
            made |= {"ap_50": float(mean[0]), "ap_75": float(mean[5])}
            made |= {f"ap_of_{name}": float(ap.mean()) for name, ap in known.items()}
    return made


Candidates: TypeAlias = Sequence[Sequence[tuple[int, float]]]
"""For each claimed box the true boxes that it overlaps by half or more: their places, and IoUs."""


class Claims(NamedTuple):
    """The boxes of one row; areas are in squared pixels."""

    confidences: np.ndarray
    areas: np.ndarray
    true_areas: np.ndarray
    candidates: Candidates


def _claims(found: Found, confidences: Sequence[Sequence[float]]) -> Iterator[Claims]:
    """The boxes of each row."""
    true, claimed = (
        [
            slice(*ends)
            for ends in pairwise(np.searchsorted(boxes.rows, range(len(confidences) + 1)))
        ]
        for boxes in (found.true, found.claimed)
    )
    candidates: list[list[tuple[int, float]]] = [[] for _ in found.claimed.points]
    firsts = np.array([own.start for own in true])[found.true.rows[found.near.true]]
    pairs = found.near.claimed, found.near.true - firsts, found.near.ious
    for claim, other, iou in zip(*(column.tolist() for column in pairs), strict=True):
        candidates[claim].append((other, iou))
    for row, (given, own, other) in enumerate(zip(confidences, claimed, true, strict=True)):
        if len(given) != own.stop - own.start or not np.isfinite(given).all():
            raise ValueError(
                f"rs_detection: row {row} has the confidences {[*given]} for "
                f"{own.stop - own.start} boxes in the reply: give each box a number, in their order"
            )
        areas = found.claimed.areas[own], found.true.areas[other]
        yield Claims(np.asarray(given, float), *areas, candidates[own])


def with_confidence(
    rows: Sequence[Claims], area: tuple[float, float] = AREAS[""]
) -> np.ndarray | None:
    """COCO's AP of one class at each of `THRESHOLDS`; None where no true box is of ``area``.

    Equal to pycocotools (``maxDets`` 100) where each row is an image: in the order of confidence,
    those of equal confidence in the order of the rows, each claim takes the free true box that it
    overlaps most, and one beyond ``area`` only if no other is left.
    """
    parts = [_judged(row, area) for row in rows]
    true = sum(part[3] for part in parts)
    if not true:
        return None
    confidences = np.concatenate([part[0] for part in parts])
    order = np.argsort(-confidences, kind="stable")
    hits, counts = (np.hstack([part[i] for part in parts])[:, order] for i in (1, 2))
    return np.array([_area_under(h[c], true) for h, c in zip(hits, counts, strict=True)])


def _judged(
    row: Claims, area: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Confidences, which claims are hits and which count, for each threshold; and true boxes."""
    order = np.argsort(-row.confidences, kind="stable")[:_MOST]
    beyond = _beyond(row.true_areas, area)
    last = beyond.tolist()  # boxes beyond the area are the last resort
    own = [sorted(row.candidates[i], key=lambda item: last[item[0]]) for i in order.tolist()]
    taken = np.array([_taken(own, last, t) for t in THRESHOLDS.tolist()], int)
    taken = taken.reshape(len(THRESHOLDS), len(order))
    is_hit = taken >= 0
    ignored = np.where(is_hit, np.append(beyond, False)[taken], _beyond(row.areas[order], area))
    return row.confidences[order], is_hit, ~ignored, int((~beyond).sum())


def _beyond(areas: np.ndarray, area: tuple[float, float]) -> np.ndarray:
    return (areas < area[0]) | (areas > area[1])


def _taken(candidates: Candidates, beyond: list[bool], threshold: float) -> list[int]:
    """The true box that each claim takes in turn, of equal ones the last as in COCO; -1: none."""
    free = [True] * len(beyond)
    taken = []
    for own in candidates:
        best, most = -1, min(threshold, 1 - 1e-10)
        for true, iou in own:
            if best >= 0 and beyond[true] and not beyond[best]:
                break
            if free[true] and iou >= most:
                best, most = true, iou
        if best >= 0:
            free[best] = False
        taken.append(best)
    return taken


def _area_under(hits: np.ndarray, true: int) -> float:
    """The mean over 101 recalls of the best precision at that recall or a greater one."""
    found = np.cumsum(hits)
    precision = found / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(found / true, _RECALLS, side="left")
    return float(np.append(best, 0.0)[places].mean())
