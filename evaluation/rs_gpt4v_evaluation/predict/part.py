"""A part of a split: the rows about some of its images, which a seed draws."""

import hashlib
from collections.abc import Sequence

import datasets

from rs_gpt4v_evaluation.predict.batches import image_keys
from rs_gpt4v_evaluation.predict.blind import blind_rows
from rs_gpt4v_evaluation.predict.predictions import Limit


def image_ranks(rows: datasets.Dataset, seed: int) -> list[int]:
    """Of each row the rank of its image, from 0, in an order that ``seed`` draws.

    The order depends on the rows' ids alone, so it is the same on any machine. A row without an
    image stands for itself.
    """
    ids = list(rows["id"])
    keys = [key or row_id for key, row_id in zip(image_keys(rows), ids, strict=True)]
    first: dict[str, str] = {}
    for key, row_id in zip(keys, ids, strict=True):
        first.setdefault(key, row_id)
    order = sorted(first, key=lambda key: hashlib.sha256(f"{seed} {first[key]}".encode()).digest())
    rank = {key: number for number, key in enumerate(order)}
    return [rank[key] for key in keys]


def first_images(
    rows: datasets.Dataset, ranks: Sequence[int], images: int | None
) -> datasets.Dataset:
    """The rows about the first ``images``; all where it is None, or there are no more."""
    if images is None or _are_all(ranks, images):
        return rows
    return rows.select([place for place, rank in enumerate(ranks) if rank < images])


def blind_part(
    rows: datasets.Dataset, ranks: Sequence[int], images: int | None, kind: str, seed: int
) -> datasets.Dataset:
    """The rows of `first_images` as a blind run of ``kind`` shows them."""
    if kind == "other":  # of the whole split
        return first_images(blind_rows(rows, kind, seed), ranks, images)
    return blind_rows(first_images(rows, ranks, images), kind, seed)


def limit_of(ranks: Sequence[int], images: int | None, seed: int) -> Limit | None:
    """What predictions say of `first_images`; None where that is the whole split."""
    if images is None or _are_all(ranks, images):
        return None
    return Limit(images=images, seed=seed, rows=len(ranks))


def _are_all(ranks: Sequence[int], images: int) -> bool:
    return images > max(ranks, default=-1)


def asked(
    rows: datasets.Dataset, images: int | None, blind: str | None, blind_seed: int, seed: int = 0
) -> tuple[datasets.Dataset, Limit | None]:
    """The rows about ``images`` images, or all, as they are or as a blind run shows them."""
    ranks = [] if images is None else image_ranks(rows, seed)
    if blind:
        return blind_part(rows, ranks, images, blind, blind_seed), limit_of(ranks, images, seed)
    return first_images(rows, ranks, images), limit_of(ranks, images, seed)
