"""Some rows to look at: of each config, question type and image by turns."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, zip_longest
from typing import Any, Generic, TypeVar

import datasets
import numpy as np

from rs_gpt4v.conversation import whole_columns

T = TypeVar("T")

_TRIED = 8
"""Rows looked at for each that is wanted, to find one of another image."""


@dataclass(frozen=True)  # Python 3.10 knows no generic NamedTuple
class Pool(Generic[T]):
    """Rows of one kind to pick from.

    Attributes:
        kinds: The question type of each; None where it has none.
        row: From a place among them to the row.
        image: From a row to what tells its image from others.
    """

    kinds: Sequence[str | None]
    row: Callable[[int], T]
    image: Callable[[T], str | None]


def pool(rows: datasets.Dataset) -> Pool[dict[str, Any]]:
    """The rows of a split, images undecoded."""
    kinds = whole_columns(rows, "question_type")["question_type"]
    return Pool(kinds, partial(_row, rows), _image)


def pick(pools: Sequence[Pool[T]], count: int, seed: int = 0) -> list[T]:
    """At most ``count`` rows, of each pool by turns, of images that differ while there are some.

    Args:
        pools: The rows come in their order.
        count: How many in all.
        seed: Draws the rows of each pool.
    """
    seen: set[str | None] = set()
    streams = [_fresh(own, place, seed, count, seen) for place, own in enumerate(pools)]
    turns = chain.from_iterable(zip_longest(*streams))
    chosen = list(islice(filter(None, turns), count))
    return [row for _, row in sorted(chosen, key=lambda item: item[0])]


def rows_of_ids(rows: Iterable[datasets.Dataset], ids: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of these ids, in the order of ``ids``, images undecoded.

    Raises:
        ValueError: An id is not among them.
    """
    places = {
        row_id: (own, i) for own in rows for i, row_id in enumerate(whole_columns(own, "id")["id"])
    }
    check_ids(ids, places)
    return [_row(*places[row_id]) for row_id in ids]


def check_ids(ids: Iterable[str], known: Iterable[str]) -> None:
    """Raise ValueError for the first of ``ids`` that is not ``known``."""
    known = dict.fromkeys(known)
    if unknown := next((row_id for row_id in ids if row_id not in known), None):
        raise ValueError(f"no row has the id {unknown!r}: expected one such as {next(iter(known))}")


def _fresh(
    pool: Pool[T], place: int, seed: int, count: int, seen: set[str | None]
) -> Iterator[tuple[int, T]]:
    """The rows of a pool with its ``place``: first those of images that were not ``seen``.

    So many are tried for each that is wanted, or a pool of one image would be read whole.
    """
    repeated = []
    for i in islice(_drawn(pool.kinds, seed), _TRIED * count):
        row = pool.row(i)
        image = pool.image(row)
        if image in seen:
            repeated.append((place, row))
        else:
            seen.add(image)
            yield place, row
    yield from repeated


def _drawn(kinds: Sequence[str | None], seed: int) -> Iterator[int]:
    """All places in an order drawn by ``seed``, kinds by turns."""
    piles: dict[str, list[int]] = defaultdict(list)
    for i in np.random.default_rng(seed).permutation(len(kinds)).tolist():
        piles[kinds[i] or ""].append(i)
    turns = chain.from_iterable(zip_longest(*(piles[kind] for kind in sorted(piles))))
    return (i for i in turns if i is not None)


def _row(rows: datasets.Dataset, i: int) -> dict[str, Any]:
    undecoded: Any = rows.with_format("arrow")
    return undecoded[i].to_pylist()[0]


def _image(row: dict[str, Any]) -> str | None:
    return row["images"][0]["path"] if row["images"] else row["id"]
