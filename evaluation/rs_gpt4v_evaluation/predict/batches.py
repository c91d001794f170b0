"""Which rows are answered together: always the same ones, whatever was answered before."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import datasets

from rs_gpt4v_evaluation.predict.blind import BLIND, own_images


class Batch(NamedTuple):
    """Rows that are answered together.

    Attributes:
        places: Where they stand in the dataset.
        shared: Whether each of them has an image that other rows ask about too.
    """

    places: list[int]
    shared: bool


def image_keys(rows: datasets.Dataset) -> list[str]:
    """One text a row: equal where the images are the same files, or hold the same bytes.

    Those of a blind row are of the sizes of its own, so that these count too.
    """
    keys = []
    names = [name for name in ("images", BLIND) if name in rows.column_names]
    undecoded: Any = rows.select_columns(names).with_format("arrow")
    for table in undecoded.iter(1_000):
        for row in table.to_pylist():
            images = [_key(image) for image in row["images"]]
            sizes = [f"{own['width']}x{own['height']}" for own in own_images(row)]
            keys.append(" ".join(images + sizes * bool(images)))
    return keys


def _key(image: dict[str, Any]) -> str:
    if image["bytes"] is None:
        return image["path"]
    return hashlib.blake2b(image["bytes"], digest_size=16).hexdigest()


def plan(keys: list[str], batch_size: int, *, share: bool) -> list[Batch]:
    """All rows in batches; with ``share``, rows of one image (``keys``) one after the other.

    Rows whose image has no other question gain nothing from it and go into batches of their own.
    """
    count = Counter(keys)
    first: dict[str, int] = {}
    for place, key in enumerate(keys):
        first.setdefault(key, place)
    by_image = sorted(range(len(keys)), key=lambda place: first[keys[place]])
    together = [i for i in by_image if share and keys[i] and count[keys[i]] > 1]
    apart = sorted(set(range(len(keys))) - set(together))
    return [*_cut(together, batch_size, shared=True), *_cut(apart, batch_size, shared=False)]


def _cut(places: list[int], size: int, *, shared: bool) -> Iterator[Batch]:
    for start in range(0, len(places), size):
        yield Batch(places[start : start + size], shared)


def own_share(batches: list[Batch], process: int, processes: int) -> list[Batch]:
    """Those of one process: neighbours, so that an image is seldom in two shares."""
    return batches[len(batches) * process // processes : len(batches) * (process + 1) // processes]
