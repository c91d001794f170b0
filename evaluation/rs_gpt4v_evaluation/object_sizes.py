"""Small, medium and large objects: COCO's areas in pixels, and the same as shares of the image.

A model sees a resized image, so how much of the image an object takes says more of how hard it is
than its pixels do. The shares are COCO's limits in an image of 640 x 480 px, its usual one: a 300th
and 3 %. A box of just a limit's area belongs to the larger size.
"""

from collections.abc import Sequence

import numpy as np

AREAS = (32.0**2, 96.0**2)
"""Squared pixels from which a box is medium, and from which it is large."""

SHARES = tuple(area / (640 * 480) for area in AREAS)
"""The same of the image's area."""

SIZES = {
    "small": "small objects",
    "medium": "medium objects",
    "large": "large objects",
    "small_share": "small share of the image",
    "medium_share": "medium share of the image",
    "large_share": "large share of the image",
}
"""What a reader calls the sizes, by pixels and by shares."""


def sizes_of(areas: np.ndarray, images: Sequence[Sequence[int]] | np.ndarray) -> np.ndarray:
    """Which of `SIZES` (last axis) each box is of: one by pixels and one by shares.

    Args:
        areas: Of the boxes, in squared pixels.
        images: Width and height of the image of each box, in pixels.

    >>> sizes_of(np.array([1023.0, 1024.0]), [(800, 800), (320, 240)]).astype(int).tolist()
    [[1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 1, 0]]
    """
    whole = np.asarray(images, float).reshape(-1, 2).prod(1)
    places = np.digitize(areas, AREAS), np.digitize(areas / whole, SHARES)
    return np.hstack([np.eye(3, dtype=bool)[place] for place in places])
