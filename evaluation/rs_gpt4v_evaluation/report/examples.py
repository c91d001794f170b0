"""The rows to browse: their texts as compressed data, and pictures of some.

A reader wants to search all replies, and to see pictures of enough of them to understand. So the
texts of all rows go into the page, each distinct text once and gzipped (222,684 questions on
RSVQA-HR with two replies each are 5 MB), up to a limit; and pictures of as many rows as asked for.
Where a limit cuts, it cuts an order that takes question types, and right and wrong, by turns.
"""

import base64
import gzip
import hashlib
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rs_gpt4v.box_codecs import ParseFailure
from rs_gpt4v.images import thumbnail_uri
from rs_gpt4v_evaluation.metric import type_name
from rs_gpt4v_evaluation.report.columns import Group, Row
from rs_gpt4v_evaluation.report.tables import TASKS

PICTURES = 240
_THUMBNAIL_PX = 320
_ALL_TEXT = 60_000_000  # characters of a page; the browser holds them in memory
_LONGEST = 4_000  # characters of one text; a reply can be endless


class Examples(NamedTuple):
    """What the page's script reads, and how much of all it is.

    Attributes:
        packed: Gzipped JSON in base64, so no text of a row can end the element that holds it.
        rows: Rows in it.
        all_rows: Rows of the last columns.
        pictures: Distinct images in it.
    """

    packed: str
    rows: int
    all_rows: int
    pictures: int


def examples(groups: Sequence[Group], pictures: int = PICTURES) -> Examples:
    """The rows of all groups; the same input gives the same text.

    Args:
        groups: What to browse.
        pictures: How many distinct images at most, shared by the groups.
    """
    texts, album = _Texts(), _Album()
    packed = []
    for place, group in enumerate(groups):
        share = (pictures - len(album.pictures)) // (len(groups) - place)
        limit = texts.size + (_ALL_TEXT - texts.size) // (len(groups) - place)
        packed.append(_packed(group, texts, album, share, limit))
    data = {"texts": list(texts), "pictures": [*album.pictures.values()], "groups": packed}
    content = gzip.compress(json.dumps(data, separators=(",", ":")).encode(), 6, mtime=0)
    return Examples(
        base64.b64encode(content).decode(),
        rows=sum(len(group["id"]) for group in packed),
        all_rows=sum(len(group.last.rows) for group in groups),
        pictures=len(album.pictures),
    )


class _Texts(dict[str, int]):
    """Each distinct text and its number; ``size`` is their length in characters."""

    size = 0

    def add(self, text: str) -> int:
        """The number of a text, which is new or not."""
        if len(text) > _LONGEST:
            text = text[:_LONGEST] + " \N{HORIZONTAL ELLIPSIS}"
        number = self.get(text)
        if number is None:
            number = self[text] = len(self)
            self.size += len(text)
        return number


class _Album:
    """Thumbnails as data URIs, by path; an image is read once, whether it can be or not."""

    def __init__(self) -> None:
        self.pictures: dict[str, str] = {}
        self._broken: set[str] = set()

    def add(self, path: str) -> bool:
        """Read an image that is not in the album; False if it cannot be read."""
        if path in self._broken:
            return False
        if uri := thumbnail_uri(path, _THUMBNAIL_PX):
            self.pictures[path] = uri
        else:
            self._broken.add(path)
        return bool(uri)


def _packed(
    group: Group, texts: _Texts, album: _Album, pictures: int, limit: int
) -> dict[str, Any]:
    """One group as columns of numbers of texts."""
    chosen = list(_within(_by_turns(group.last.rows), texts, limit))
    _fill(album, chosen, pictures)
    chosen.sort(key=lambda row: row.image not in album.pictures)
    numbers = {path: number for number, path in enumerate(album.pictures)}
    by_id = [{row.id: row for row in column.rows} for column in group.columns]
    columns = [[rows.get(row.id) for row in chosen] for rows in by_id]
    has_boxes = group.metric.has_boxes
    return {
        "name": group.name,
        "labels": group.labels,
        "measure": group.metric.value,
        "id": [texts.add(row.id) for row in chosen],
        "source": [texts.add(row.source) for row in chosen],
        "task": [texts.add(TASKS[row.task]) for row in chosen],
        "kind": [texts.add(type_name(row.kind) if row.kind else "") for row in chosen],
        "image": [texts.add(row.image_name) for row in chosen],
        "picture": [numbers.get(row.image or "") for row in chosen],
        "prompt": [texts.add(row.prompt) for row in chosen],
        "references": [[texts.add(ref) for ref in row.references] for row in chosen],
        "replies": [[row and texts.add(row.reply) for row in rows] for rows in columns],
        "right": ["".join(map(_mark, rows)) for rows in columns],
        "values": [[_rounded(row and row.value) for row in rows] for rows in columns],
        "truth": [_points(row.truth) for row in chosen] if has_boxes else None,
        "boxes": [[_boxes(row) for row in rows] for rows in columns] if has_boxes else None,
        "size": [row.size for row in chosen] if has_boxes else None,
        **(_judged(columns, chosen, texts) if group.metric.name == "rs_judge" else {}),
    }


def _judged(
    columns: Sequence[Sequence[Row | None]], chosen: Sequence[Row], texts: _Texts
) -> dict[str, Any]:
    """What is before each question, and what the judge says of each column's answer."""
    return {
        "history": [[texts.add(text) for text in row.history] for row in chosen],
        "reasons": [[row and texts.add(row.reason or "") for row in rows] for rows in columns],
    }


def _mark(row: Row | None) -> str:
    return "-" if row is None or row.right is None else str(int(row.right))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _points(boxes: Sequence[Sequence[float]]) -> list[list[float]]:
    return [[round(number, 1) for number in box] for box in boxes]


def _boxes(row: Row | None) -> list[list[float]] | str | None:
    if row is None or row.boxes is None:
        return None
    return row.boxes.reason if isinstance(row.boxes, ParseFailure) else _points(row.boxes)


def _by_turns(rows: Sequence[Row]) -> Iterator[Row]:
    """All rows: question types, and right and wrong, by turns; by the hash of the id else."""
    piles: dict[tuple[bool, str], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: hashlib.sha256(row.id.encode()).digest()):
        piles[bool(row.right), row.kind or ""].append(row)
    turns = itertools.zip_longest(*(piles[key] for key in sorted(piles)))
    return filter(None, itertools.chain.from_iterable(turns))


def _within(rows: Iterator[Row], texts: _Texts, limit: int) -> Iterator[Row]:
    """The first rows, until their texts are longer than ``limit`` with those before."""
    for row in rows:
        if texts.size > limit:
            return
        for text in (row.id, row.prompt, row.reply, row.image_name, *row.references, *row.history):
            texts.add(text)
        yield row


def _fill(album: _Album, rows: Sequence[Row], pictures: int) -> None:
    """Add the images of the first rows that have one that can be read, up to ``pictures`` more."""
    for row in rows:
        if pictures <= 0:
            return
        if row.image and row.image not in album.pictures:
            pictures -= album.add(row.image)
