"""Boxes to yes-or-no questions about what a model may make up, for evaluation alone.

`presence` asks for classes of objects as POPE does (Li et al., 2023, arXiv 2305.10355), `relation`
for where objects lie. Both take a table of `rs_gpt4v.records.OBJECTS`. A row's ``question_type`` is
the kind of question: see `POSITIVES`. Images without an object are not asked about.
"""

import logging
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

from rs_gpt4v import adapt, spatial, templates
from rs_gpt4v.adapt import Adaption
from rs_gpt4v.adapt_objects import occurrence
from rs_gpt4v.boxes import Points, clip
from rs_gpt4v.object_classes import in_words, unsure

T = TypeVar("T")
logger = logging.getLogger(__name__)

POSITIVES = {
    "random": "present",
    "popular": "present",
    "adversarial": "present",
    "opposite": "related",
    "elsewhere": "located",
}
"""Each kind of question whose answer is no, with the kind whose answer is yes, to compare with."""

_FORMS = {
    "present": templates.PRESENCE,
    "related": templates.RELATION,
    "located": templates.PLACE,
}
_WAYS = {
    "left of": "to the left of",
    "right of": "to the right of",
    "above": "above",
    "below": "below",
}
_PLACES = {
    **{side: f"{side} half" for side in ("left", "right", "top", "bottom")},
    **{
        f"{row} {side}": f"{row} {side} quarter"
        for row in ("top", "bottom")
        for side in ("left", "right")
    },
}


class _Probe(NamedTuple):
    """A question of ``kind``; its row's id ends with ``key``, its words are about ``about``."""

    kind: str
    key: tuple[str, ...]
    about: str


def presence(records: pa.Table, adaption: Adaption) -> pa.Table:
    """Whether an image shows a class: as many of each kind of absent ones as of present ones.

    At most ``adaption.probes_per_image`` classes with a box ("present"), drawn by id and seed, and
    as many without: drawn ("random"), those that most images of the split have ("popular"), and for
    each present one that which most often stands beside it, else a drawn one ("adversarial"). No
    class is asked for that may be there without a box (`rs_gpt4v.object_classes.unsure`).
    """
    has = occurrence(records, adaption.classes)
    names = [in_words(label) for label in adaption.classes]

    def probes(row: int, rng: random.Random) -> Iterator[_Probe]:
        present = np.flatnonzero(has[row]).tolist()
        open_ = unsure(names[index] for index in present)
        absent = [i for i, name in enumerate(names) if not has[row, i] and name not in open_]
        asked = rng.sample(present, min(adaption.probes_per_image, len(present)))
        kinds = {"present": asked, **_absent(asked, absent, adaption.together, rng)}
        for kind, indices in kinds.items():
            yield from (_Probe(kind, (adaption.classes[i],), names[i]) for i in indices)

    return _rows(records, adaption, probes)


def _absent(
    asked: Sequence[int], absent: Sequence[int], together: np.ndarray, rng: random.Random
) -> dict[str, list[int]]:
    """The classes to deny, of each kind as many as are ``asked``, or all that are absent."""
    count = min(len(asked), len(absent))
    adversarial: list[int] = []
    for index in asked[:count]:
        others = [i for i in absent if i not in adversarial]
        beside = max(others, key=lambda i: (together[index, i], -i))
        adversarial.append(beside if together[index, beside] else rng.choice(others))
    return {
        "random": rng.sample(absent, count),
        "popular": sorted(absent, key=lambda i: (-together[i, i], i))[:count],
        "adversarial": adversarial,
    }


def relation(records: pa.Table, adaption: Adaption) -> pa.Table:
    """Where objects lie: of each question that surely holds, one that surely does not.

    How the only objects of two classes lie ("related"), and the other way round ("opposite"); a
    half or quarter of the image with an object of a class ("located"), and one without
    ("elsewhere"). Of either at most ``adaption.probes_per_image`` an image. Sure is what the
    margins of `rs_gpt4v.spatial` decide.
    """
    images = list(map(_by_class, *(records[n].to_pylist() for n in ("boxes", "width", "height"))))

    def probes(row: int, rng: random.Random) -> Iterator[_Probe]:
        by_class, size = images[row]
        single = [label for label, boxes in by_class.items() if len(boxes) == 1]
        pairs = [rng.sample(pair, 2) for pair in combinations(single, 2)]
        related = (_related(a, b, by_class, size, rng) for a, b in _shuffled(pairs, rng))
        located = (_located(a, by_class[a], size, rng) for a in _shuffled(by_class, rng))
        for several in (related, located):
            sure = [pair for pair in several if pair]
            yield from (probe for pair in sure[: adaption.probes_per_image] for probe in pair)

    return _rows(records, adaption, probes)


def _by_class(
    boxes: list[dict[str, Any]], width: int, height: int
) -> tuple[dict[str, list[Points]], spatial.Size]:
    by_class: dict[str, list[Points]] = {}
    for box in boxes:
        by_class.setdefault(box["label"], []).append(clip(box["points"], width, height))
    return dict(sorted(by_class.items())), (width, height)


def _shuffled(items: Iterable[T], rng: random.Random) -> list[T]:
    every = list(items)
    return rng.sample(every, len(every))


def _related(
    a: str, b: str, boxes: Mapping[str, list[Points]], size: spatial.Size, rng: random.Random
) -> tuple[_Probe, _Probe] | None:
    true = [way for way in spatial.DIRECTIONS if spatial.holds(boxes[a][0], way, boxes[b][0], size)]
    if not true:
        return None
    ways = {"related": rng.choice(true), "opposite": spatial.OPPOSITE[rng.choice(true)]}
    one, other = (
        _Probe(kind, (a, b), f"the {in_words(a)} {_WAYS[way]} the {in_words(b)}")
        for kind, way in ways.items()
    )
    return one, other


def _located(
    label: str, boxes: list[Points], size: spatial.Size, rng: random.Random
) -> tuple[_Probe, _Probe] | None:
    truths = {
        place: spatial.some(spatial.lies(box, place, size) for box in boxes) for place in _PLACES
    }
    choices = {
        kind: [place for place, truth in truths.items() if truth is wanted]
        for kind, wanted in (("located", True), ("elsewhere", False))
    }
    if not all(choices.values()):
        return None
    one, other = (
        _Probe(
            kind, (label,), f"{in_words(label)} in the {_PLACES[rng.choice(places)]} of the image"
        )
        for kind, places in choices.items()
    )
    return one, other


def _rows(
    records: pa.Table,
    adaption: Adaption,
    probes: Callable[[int, random.Random], Iterator[_Probe]],
) -> pa.Table:
    """The rows of what ``probes(row, rng)`` asks of each record; ``rng`` is its own."""
    seed = adaption.seed or 0
    keys = records["key"].to_pylist()
    drawn = [
        (row, probe)
        for row, key in enumerate(keys)
        for probe in probes(row, random.Random(f"{seed}/{adaption.prefix}{key}"))
    ]
    _tell_unasked(keys, {row for row, _ in drawn}, adaption)
    of_row = records.drop_columns("boxes").take(pa.array([row for row, _ in drawn], pa.int64()))
    ends = ["/".join(("probe", probe.kind, *probe.key)) for _, probe in drawn]
    ended = [f"{key}/{end}" for key, end in zip(of_row["key"].to_pylist(), ends, strict=True)]
    of_row = of_row.set_column(
        of_row.column_names.index("key"), "key", pa.array(ended, pa.string())
    )
    columns = {
        "question": pa.array(_words([p for _, p in drawn], of_row, adaption), pa.string()),
        "answer": pa.array(["no" if p.kind in POSITIVES else "yes" for _, p in drawn], pa.string()),
        "question_type": pa.array([probe.kind for _, probe in drawn], pa.string()),
    }
    for name, column in columns.items():
        of_row = of_row.append_column(name, column)
    return adapt.questions(of_row, adaption, "probe")


def _words(probes: Sequence[_Probe], records: pa.Table, adaption: Adaption) -> list[str]:
    """Each probe in one of its forms, by its id and the seed; without a seed, in the first."""
    ids = adapt.ids_of(records, adaption)
    # Another seed than that of the instruction around it, which would always be the same two.
    numbers = (
        np.zeros(len(ids), int) if adaption.seed is None else adapt.hashed(ids, adaption.seed + 1)
    )
    return [
        forms[int(number % len(forms))].replace("{}", probe.about)
        for probe, number in zip(probes, numbers, strict=True)
        for forms in [_FORMS[POSITIVES.get(probe.kind, probe.kind)]]
    ]


def _tell_unasked(keys: Sequence[str], asked: set[int], adaption: Adaption) -> None:
    unasked = [key for row, key in enumerate(keys) if row not in asked]
    if unasked:
        logger.warning(
            "%s%s: %s of %s images are not asked about: they have no object, or none that surely "
            "lies somewhere",
            *(adaption.prefix, unasked[0], f"{len(unasked):,}", f"{len(keys):,}"),
        )
