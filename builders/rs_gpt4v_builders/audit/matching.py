"""Which images of one set are in another: the same file, bytes or pixels, or nearly the same."""

import math
from typing import Any

import numpy as np
import pandas as pd

from rs_gpt4v_builders.audit.images import THUMBNAIL_PX, Images

# Measured on images of UC Merced (docs/audit.md): of the copies saved again as JPEG, scaled or
# brightened at least 293 of 300 pass both. Of 2.2 million pairs of different images none does; the
# nearest, two runways, agree by 0.82.
NEAR_BITS = 10
NEAR_AGREEMENT = 0.9
NEAR_EDGE_BITS = 48  # of 480, where only hashes are known; of those pairs the nearest have 72

_BLOCK = 64  # images at a time against all others: bounds memory
_NO_PAIRS: dict[str, np.ndarray] = {
    "left": np.empty(0, np.int64),
    "right": np.empty(0, np.int64),
    "agreement": np.empty(0, np.float32),
}


def near_pairs(images: Images, left: np.ndarray, right: np.ndarray) -> pd.DataFrame:
    """Pairs of nearly equal images: columns ``left``, ``right`` (of ``pixels``) and ``agreement``.

    Args:
        images: All images.
        left: Positions of images to look for; images of equal pixels are compared once.
        right: Positions of images to look among.
    """
    ones, others = (_one_of_each(images, positions) for positions in (left, right))
    parts = [
        _near(images, ones[start : start + _BLOCK], others) for start in range(0, len(ones), _BLOCK)
    ]
    table: Any = pd.concat([pd.DataFrame(_NO_PAIRS), *parts])
    return table[table["left"] != table["right"]].sort_values(
        ["agreement", "left", "right"], ascending=[False, True, True], ignore_index=True
    )


def _one_of_each(images: Images, positions: np.ndarray) -> np.ndarray:
    """Of images with equal pixels the first, and none that is all of one grey."""
    first = positions[np.sort(np.unique(images.pixels[positions], return_index=True)[1])]
    looks = images.looks[first].reshape(len(first), math.prod(images.looks.shape[1:]))
    return first[(looks.any(axis=1) if _is_hash(images.looks) else np.ptp(looks, axis=1) > 0)]


def _near(images: Images, ones: np.ndarray, others: np.ndarray) -> pd.DataFrame:
    """The near pairs of a few images with many: of those with close hashes, those that agree."""
    close = np.bitwise_count(images.dhash[ones, None] ^ images.dhash[others]) <= NEAR_BITS
    candidates = others[close.any(axis=0)]
    # A picture that only gets darker to one side, as water does, has the hash of any other such;
    # its edges are its own.
    agreement = _edges(images.looks[ones]) @ _edges(images.looks[candidates]).T
    agreement = agreement.round(4)  # the last digits depend on how many are multiplied at once
    enough = 1 - 2 * NEAR_EDGE_BITS / 480 if _is_hash(images.looks) else NEAR_AGREEMENT
    a, b = np.nonzero(close[:, close.any(axis=0)] & (agreement >= enough))
    return pd.DataFrame(
        {
            "left": images.pixels[ones[a]],
            "right": images.pixels[candidates[b]],
            "agreement": agreement[a, b],
        }
    )


def _is_hash(looks: np.ndarray) -> bool:
    return looks.ndim == 2


def _edges(looks: np.ndarray) -> np.ndarray:
    """Unit vectors of the steps to the right and down; their product is their correlation."""
    if _is_hash(looks):
        bits = np.unpackbits(looks, axis=1)
        return (2 * bits.astype(np.float32) - 1) / np.float32(bits.shape[1] ** 0.5)
    grey = looks.astype(np.float32)
    steps = [grey[:, 1:, 1:] - grey[:, 1:, :-1], grey[:, 1:, 1:] - grey[:, :-1, 1:]]
    each = (THUMBNAIL_PX - 1) ** 2
    edges = np.concatenate([step.reshape(len(grey), each) for step in steps], axis=1)
    edges -= edges.mean(axis=1, keepdims=True)
    return edges / np.maximum(np.linalg.norm(edges, axis=1, keepdims=True), 1e-6)


def matches(images: Images, left: np.ndarray, right: np.ndarray, near: Any) -> pd.DataFrame:
    """For each image of ``left`` that is in ``right``, its first and strongest match there.

    Args:
        images: All images.
        left: Positions of the images to look for.
        right: Positions of the images to look among.
        near: `near_pairs` of them, or of larger sets.

    Returns:
        Columns ``image`` and ``other`` (positions), ``kind`` and ``agreement`` (1 but for "near").
    """
    tables, rest = [], left
    same = {
        "same file": np.arange(len(images.paths)),
        "same bytes": images.content,
        "same pixels": images.pixels,
    }
    for kind, known_by in same.items():
        other = _first_with(known_by, right, known_by[rest])
        tables.append(_table(rest, other, kind))
        rest = rest[other < 0]
    best = near[near["right"].isin(images.pixels[right])].drop_duplicates("left").set_index("left")
    best = best.reindex(images.pixels[rest])
    other = _first_with(images.pixels, right, best["right"].fillna(-1).to_numpy(np.int64))
    tables.append(_table(rest, other, "near", best["agreement"].to_numpy()))
    return pd.concat(tables).sort_values("image", ignore_index=True)


def _first_with(known_by: np.ndarray, positions: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """For each of ``wanted`` the first position that is known by it, -1 where none is."""
    first: Any = pd.Series(positions, index=known_by[positions])
    first = first[~first.index.duplicated()]
    return first.reindex(wanted, fill_value=-1).to_numpy(np.int64)


def _table(
    image: np.ndarray, other: np.ndarray, kind: str, agreement: np.ndarray | float = 1.0
) -> pd.DataFrame:
    table: Any = pd.DataFrame(
        {"image": image, "other": other, "kind": kind, "agreement": agreement}
    )
    return table[table["other"] >= 0]
