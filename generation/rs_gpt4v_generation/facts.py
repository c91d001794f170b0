"""The boxes of one image as a compact sheet of facts in words and numbers.

Equal classes stand together ("tennis court, tennis court, basketball court"), the most frequent
first, and the objects of a class from the top down, so the sheet does not depend on the order of
the annotation. Everything is in pixels of the released image, x to the right and y down.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from typing import Any, Literal

from rs_gpt4v import spatial
from rs_gpt4v.boxes import (
    DegenerateBoxError,
    Kind,
    Points,
    area,
    at_least,
    clip,
    is_degenerate,
    to_hbb,
    to_rotated,
)
from rs_gpt4v.object_classes import class_words, counted, plural

SMALL, LARGE = 32**2, 96**2
"""Square pixels: below the first an object is small, from the second on large (COCO's limits)."""
MOST_LISTED = 40
"""So many objects of a class get a line; of the others the places are counted."""
MOST_NAMED = 20
"""So many objects of a class are named one by one in the first line."""
MOST_SALIENT = 8
MOST_RELATIONS = 12
MOST_BETWEEN = 3


@dataclass(frozen=True, slots=True)
class Item:
    """One annotated object.

    Attributes:
        number: Its number in its class, from 1.
        name: Its class in words.
        points: Pixels in the image, see `rs_gpt4v.boxes`; the text rounds them.
        kind: "hbb" or "obb".
        width: Of an oriented box the longer side, in pixels.
        height: Of an oriented box the shorter side, in pixels.
        share: Its area as a share of the image's.
        size: By `SMALL` and `LARGE`.
        place: The cell of `rs_gpt4v.spatial.cell`.
    """

    number: int
    name: str
    points: Points
    kind: Kind
    width: int
    height: int
    share: float
    size: Literal["small", "medium", "large"]
    place: str

    @property
    def title(self) -> str:
        """How the sheet calls it: "ship 2"."""
        return f"{self.name} {self.number}"


@dataclass(frozen=True, slots=True)
class Relation:
    """Titles of items and the words between them: "ship 1", "left of", ("harbor 1",)."""

    subject: str
    words: str
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FactSheet:
    """The facts of one image; ``width`` and ``height`` in pixels."""

    width: int
    height: int
    items: tuple[Item, ...]
    relations: tuple[Relation, ...]

    @property
    def size(self) -> spatial.Size:
        """Width and height in pixels."""
        return self.width, self.height

    @property
    def counts(self) -> dict[str, int]:
        """Objects of each class, the most frequent first."""
        return dict(Counter(item.name for item in self.items))

    def of(self, name: str) -> tuple[Item, ...]:
        """The objects of one class, by its name in words."""
        return tuple(item for item in self.items if item.name == name)


def fact_sheet(boxes: Sequence[Mapping[str, Any]], width: int, height: int) -> FactSheet:
    """The facts of an image of ``width`` x ``height`` px with these boxes.

    Args:
        boxes: As in `rs_gpt4v.records.OBJECTS`; corners outside the image are moved to its edge.
        width: Of the released image.
        height: Of the released image.

    Raises:
        DegenerateBoxError: A box has no area in the image.
    """
    named = []
    for index, box in enumerate(boxes):
        points = clip(box["points"], width, height)
        if is_degenerate(points):
            raise DegenerateBoxError(
                f"object {index}: its box {list(box['points'])} has no area in the {width} x "
                f"{height} px image. Leave the object out, or mend its box."
            )
        named.append((class_words(box["label"]).name, points))
    totals = Counter(name for name, _ in named)
    named.sort(key=lambda pair: (-totals[pair[0]], pair[0], _reading_order(pair[1]), pair[1]))
    items = tuple(
        _item(number, name, points, (width, height))
        for name, same in groupby(named, key=lambda pair: pair[0])
        for number, (_, points) in enumerate(same, 1)
    )
    return FactSheet(width, height, items, tuple(_relations(items, (width, height))))


def _reading_order(points: Points) -> tuple[float, float]:
    x_min, y_min, x_max, y_max = to_hbb(points)
    return y_min + y_max, x_min + x_max


def _item(number: int, name: str, points: Points, size: spatial.Size) -> Item:
    surface = area(points)
    oriented = len(points) == 8
    if oriented:
        sides = sorted(to_rotated(points)[2:4], reverse=True)
    else:
        sides = [points[2] - points[0], points[3] - points[1]]
    return Item(
        number=number,
        name=name,
        points=points,
        kind="obb" if oriented else "hbb",
        width=round(sides[0]),
        height=round(sides[1]),
        share=surface / (size[0] * size[1]),
        size=_size(surface),
        place=spatial.cell(points, size),
    )


def _size(surface: float) -> Literal["small", "medium", "large"]:
    if at_least(surface, LARGE):
        return "large"
    return "medium" if at_least(surface, SMALL) else "small"


def _salient(items: Sequence[Item]) -> list[Item]:
    """At most `MOST_SALIENT`: the largest of each class, then the second largest, ..."""
    by_class = [
        sorted(same, key=lambda item: (-item.share, item.number))
        for _, same in groupby(items, key=lambda item: item.name)
    ]
    ranked = [(rank, item) for same in by_class for rank, item in enumerate(same)]
    ranked.sort(key=lambda pair: (pair[0], -pair[1].share, pair[1].title))
    return [item for _, item in ranked[:MOST_SALIENT]]


def _relations(items: Sequence[Item], size: spatial.Size) -> list[Relation]:
    """Each salient object with its nearest of another class and of its own; what lies between two.

    At most `MOST_RELATIONS`, other classes first.
    """
    salient = _salient(items)
    pairs: dict[frozenset[str], tuple[Item, Item]] = {}
    for is_own in (False, True):
        for item in salient:
            others = [o for o in salient if o is not item and (o.name == item.name) is is_own]
            if others:
                nearest = min(others, key=lambda o: (spatial.gap(item.points, o.points), o.title))
                pairs.setdefault(frozenset((item.title, nearest.title)), (item, nearest))
    related = [relation for a, b in pairs.values() if (relation := _pair(a, b, size))]
    betweens = _betweens(salient, size)
    return [*related[: MOST_RELATIONS - len(betweens)], *betweens]


def _pair(a: Item, b: Item, size: spatial.Size) -> Relation | None:
    """How two objects lie, in words that all hold; None where none surely does."""
    words = [word for word in spatial.DIRECTIONS if spatial.holds(a.points, word, b.points, size)]
    if spatial.overlap(a.points, b.points):
        words.append("overlapping")
    elif spatial.near(a.points, b.points, size):
        words.append("near")
    return Relation(a.title, ", ".join(words), (b.title,)) if words else None


def _betweens(salient: Sequence[Item], size: spatial.Size) -> list[Relation]:
    """The nearest two of one class that an object of another lies between, for each object."""
    result = []
    for item in salient:
        others = [other for other in salient if other.name != item.name]
        pairs = [
            (spatial.gap(a.points, b.points), a, b)
            for a, b in combinations(others, 2)
            if a.name == b.name and spatial.between(item.points, a.points, b.points, size)
        ]
        if pairs:
            _, a, b = min(pairs, key=lambda pair: (pair[0], pair[1].title, pair[2].title))
            result.append(Relation(item.title, "between", (a.title, b.title)))
    return result[:MOST_BETWEEN]


def text(sheet: FactSheet) -> str:
    """The sheet as lines of text for a model, the same for the same boxes."""
    counts = sheet.counts
    named = [
        ", ".join([name] * count) if count <= MOST_NAMED else f"{name} (x {count})"
        for name, count in counts.items()
    ]
    lines = [
        f"Image: {sheet.width} x {sheet.height} px, x to the right, y down.",
        f"Objects: {', '.join(named) or 'none of the annotated classes'}",
        f"Counts: {', '.join(counted(count, name) for name, count in counts.items()) or 'none'}",
    ]
    for name in counts:
        lines += _class_lines(sheet.of(name))
    if sheet.relations:
        lines.append("Relations:")
        lines += [f"- {r.subject} {r.words} {' and '.join(r.objects)}" for r in sheet.relations]
    return "\n".join(lines)


def _class_lines(items: Sequence[Item]) -> list[str]:
    largest = sorted(items, key=lambda item: (-item.share, item.number))[:MOST_LISTED]
    listed = {item.number for item in largest}
    lines = [_line(item) for item in items if item.number in listed]
    others = Counter(item.place for item in items if item.number not in listed)
    if others:
        where = ", ".join(f"{count} {place}" for place, count in sorted(others.items()))
        noun = plural(items[0].name)
        lines.append(f"- {sum(others.values())} smaller {noun} more: {where}")
    return lines


def _line(item: Item) -> str:
    whole = [str(round(value)) for value in item.points]
    corners = " ".join(f"({x},{y})" for x, y in zip(whole[::2], whole[1::2], strict=True))
    word = "corners" if item.kind == "obb" else "box"
    return (
        f"- {item.title}: {word} {corners}, {item.width} x {item.height} px, "
        f"{item.share:.2%} of the image, {item.size}, {item.place}"
    )
