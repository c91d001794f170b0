"""Objects and scenes to conversations, by template: what their classes and boxes alone can say.

Each function takes a table of `rs_gpt4v.records.OBJECTS` (`scenes`: of ``SCENES``), makes questions
or expressions of them, and has `rs_gpt4v.adapt` word these. A class is written in words:
"storage-tank" as "storage tank". Ids end with the class, and with what is asked of it.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v import adapt, scene_classes, templates
from rs_gpt4v import records as records_kinds
from rs_gpt4v.adapt import Adaption
from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v.boxes import area, clip, to_hbb
from rs_gpt4v.conversation import SCHEMA
from rs_gpt4v.object_classes import in_words, plural


def scenes(records: pa.Table, adaption: Adaption) -> pa.Table:
    """From an image to its class; the question lists all classes in an order of the row's own.

    The order is that of a hash of id, class and seed; without a seed, that of the records.
    """
    ids = adapt.ids_of(records, adaption)
    asked = adapt.worded(templates.SCENE, ids, adaption, _choices(records, ids, adaption.seed))
    answers = _words(records["label"].combine_chunks())
    return adapt.rows_of(
        records, ids, adapt.turns(asked, answers), "scene", adapt.one_each(answers)
    )


def _choices(records: pa.Table, ids: pa.Array, seed: int | None) -> pa.Array:
    """The classes that each record names, as its question lists them."""
    lists = records["classes"].combine_chunks()
    names = _words(lists.flatten())
    row = pc.list_parent_indices(lists).to_numpy()
    offsets = np.searchsorted(row, np.arange(len(lists) + 1)).astype(np.int32)
    if seed is not None:
        # Hashed again: sums alone would be one order, begun at another class in each row.
        sums = adapt.hashed(ids, seed)[row] + adapt.hashed(names, seed)
        names = names.take(pa.array(np.lexsort((pd.util.hash_array(sums), row))))
    shuffled = pa.ListArray.from_arrays(pa.array(offsets), names)
    return pc.binary_join(shuffled, scene_classes.SEPARATOR)


def grounding(records: pa.Table, adaption: Adaption) -> pa.Table:
    """From a class to its box, where an image has one object of it."""
    classes = _by_class(records)
    single = classes.filter(pc.equal(pc.list_value_length(classes["boxes"]), 1))
    return adapt.grounding(_expressions(single, "the "), adaption)


ABSENT_SHARE = 0.25
"""Of the rows of `detection`: those about a class that the image has no object of."""

_ABSENT_SEED = 0


def detection(records: pa.Table, adaption: Adaption) -> pa.Table:
    """From a class to all its boxes in the image; the question type is the class, in words.

    One row in four (`ABSENT_SHARE`) asks for one of ``adaption.classes`` that the image has no
    object of. A hash of the image picks these, and no seed: what is scored is always the same.
    """
    asked = occurrence(records, adaption.classes)
    asked |= _some_absent(records, adaption, asked)
    classes = _with_key(_by_class(records, adaption.classes, np.flatnonzero(asked)), "boxes")
    boxes = _clipped(classes)
    answers = _box_texts(boxes, _sizes(classes)[_rows(boxes)], adaption)
    ids = adapt.ids_of(classes, adaption)
    names = _class_words(classes)
    questions = adapt.worded(templates.DETECTION, ids, adaption, _mapped(plural, names))
    return adapt.rows_of(
        classes,
        ids,
        adapt.turns(questions, answers),
        "detection",
        adapt.one_each(answers),
        question_type=pa.chunked_array([names]),
        boxes=boxes,
    )


def _some_absent(records: pa.Table, adaption: Adaption, has: np.ndarray) -> np.ndarray:
    """Which absent classes are asked for: `ABSENT_SHARE` of all rows; one, if there is no other."""
    chance = adapt.hashed(adapt.ids_of(records, adaption), _ABSENT_SEED) / 2.0**64
    expected = has.sum(1) * (ABSENT_SHARE / (1 - ABSENT_SHARE))
    number = np.where(expected > 0, np.floor(expected + chance), 1)
    return ~has & (_random_ranks(records, adaption, has, _ABSENT_SEED) < number[:, None])


def region_caption(records: pa.Table, adaption: Adaption) -> pa.Table:
    """From a box to its class: that of the largest object of each class in the image."""
    return adapt.region_caption(_expressions(_by_class(records), ""), adaption)


def count(records: pa.Table, adaption: Adaption) -> pa.Table:
    """Questions of type "count": how many objects an image has of each class in it."""
    classes = _with_key(_by_class(records), "count")
    answers = pc.cast(pc.list_value_length(classes["boxes"]), pa.string()).combine_chunks()
    asked = _class_words(classes)
    return _questions(classes, adaption, templates.COUNT, asked, answers, "count")


def presence(records: pa.Table, adaption: Adaption) -> pa.Table:
    """Questions of type "presence": "yes" for each class in an image, "no" for as many others.

    These, at least one, are ``adaption.classes`` in the order of a hash of image, class and seed.
    """
    has = occurrence(records, adaption.classes)
    ranks = _random_ranks(records, adaption, has, adaption.seed or 0)
    lacks = ~has & (ranks < np.maximum(1, has.sum(1))[:, None])
    rows, codes = np.nonzero(has | lacks)
    labels = pa.array(adaption.classes, pa.string()).take(pa.array(codes))
    classes = _with_key(_of_class(records, rows, labels), "presence")
    answers = pa.array(["no", "yes"]).take(pa.array(has[rows, codes].astype(np.int64)))
    asked = _class_words(classes)
    return _questions(classes, adaption, templates.PRESENCE, asked, answers, "presence")


def classes_of(records: pa.Table) -> tuple[str, ...]:
    """The classes of all objects, in alphabetical order."""
    labels = records["boxes"].combine_chunks().flatten().field("label")
    return tuple(sorted(pc.unique(labels).to_pylist()))


def occurrence(records: pa.Table, classes: tuple[str, ...]) -> np.ndarray:
    """Which record (first axis) has an object of which class (second)."""
    boxes = records["boxes"].combine_chunks()
    codes = pc.index_in(boxes.flatten().field("label"), value_set=pa.array(classes, pa.string()))
    has = np.zeros((records.num_rows, len(classes)), bool)
    has[pc.list_parent_indices(boxes).to_numpy(), codes.to_numpy()] = True
    return has


def _random_ranks(records: pa.Table, adaption: Adaption, has: np.ndarray, seed: int) -> np.ndarray:
    """For each record, the absent classes' places in an order of its own; then the present ones."""
    texts = (adapt.ids_of(records, adaption), pa.array(adaption.classes, pa.string()))
    rows, classes = (adapt.hashed(some, seed) for some in texts)
    order = np.argsort(rows[:, None] ^ classes[None, :], axis=1, kind="stable")
    absent = np.take_along_axis(~has, order, axis=1)
    ranks = np.empty(has.shape, np.int64)
    np.put_along_axis(ranks, order, np.where(absent, absent.cumsum(1) - 1, has.shape[1]), axis=1)
    return ranks


def _by_class(
    records: pa.Table, labels: tuple[str, ...] | None = None, chosen: np.ndarray | None = None
) -> pa.Table:
    """One record for each class of an image, in the order of ``labels``, with the ``boxes`` of it.

    ``labels`` are all classes, in alphabetical order unless given. ``chosen`` are the places in a
    table of records by labels, ascending, with at least those that have a box: these unless given.
    """
    lists = records["boxes"].combine_chunks()
    boxes = lists.flatten()
    names = pa.array(classes_of(records) if labels is None else labels, pa.string())
    codes = pc.index_in(boxes.field("label"), value_set=names).to_numpy().astype(np.int64)
    places = _rows(lists) * len(names) + codes
    order = np.argsort(places, kind="stable")
    groups = np.unique(places) if chosen is None else chosen
    offsets = np.append(np.searchsorted(places[order], groups), len(order)).astype(np.int32)
    rows, codes = np.divmod(groups, max(1, len(names)))
    classes = _of_class(records, rows, names.take(pa.array(codes)))
    some = pa.ListArray.from_arrays(pa.array(offsets), boxes.take(pa.array(order)))
    return classes.append_column("boxes", some)


def _of_class(records: pa.Table, rows: np.ndarray, labels: pa.Array) -> pa.Table:
    """``records`` at ``rows``, each about the class of its label, which its key ends with."""
    of_row = records.drop_columns("boxes").take(pa.array(rows))
    return _with_key(of_row.append_column("label", labels), labels)


def _with_key(records: pa.Table, end: pa.Array | str) -> pa.Table:
    """The records with ``end`` added to their keys."""
    keys = pc.binary_join_element_wise(records["key"].combine_chunks(), end, "/")
    return records.set_column(records.column_names.index("key"), "key", keys)


def _class_words(classes: pa.Table) -> pa.Array:
    return _words(classes["label"].combine_chunks())


def _words(labels: pa.Array) -> pa.Array:
    return _mapped(in_words, labels)


def _mapped(function: Callable[[str], str], texts: pa.Array) -> pa.Array:
    """``function`` of each text, called once for each distinct one."""
    encoded = texts.dictionary_encode()
    return pa.array(map(function, encoded.dictionary.to_pylist()), pa.string()).take(
        encoded.indices
    )


def _expressions(classes: pa.Table, before: str) -> pa.Table:
    """The largest object of each class as `rs_gpt4v.records.EXPRESSIONS`: the class in words."""
    lists = classes["boxes"].combine_chunks()
    boxes = lists.flatten()
    # The first of the largest: rows ascend, areas descend, and the sort is stable.
    order = np.lexsort((-_areas(boxes.field("points")), _rows(lists)))
    starts = lists.offsets.to_numpy()[:-1] - lists.offsets[0].as_py()
    largest = boxes.take(pa.array(order[starts]))
    columns = {
        "expression": pc.binary_join_element_wise(before, _class_words(classes), ""),
        "points": largest.field("points"),
        "kind": largest.field("kind"),
    }
    return _with_columns(classes.drop_columns("boxes"), columns)


def _areas(points: pa.Array) -> np.ndarray:
    upright = records_kinds.upright(points)
    if upright is None:
        return np.array([area(box) for box in points.to_pylist()])
    return (upright[:, 2:] - upright[:, :2]).prod(1)


def _rows(lists: pa.ListArray) -> np.ndarray:
    """The row of each item of the lists."""
    return pc.list_parent_indices(lists).to_numpy().astype(np.int64)


def _sizes(table: pa.Table) -> np.ndarray:
    """Width and height of each record's image, shape (n, 2)."""
    return np.stack([table[name].to_numpy() for name in ("width", "height")], 1)


def _clipped(classes: pa.Table) -> pa.ListArray:
    """The ``boxes`` of each record, clipped to its image."""
    lists = classes["boxes"].combine_chunks()
    boxes, sizes = lists.flatten(), _sizes(classes)[_rows(lists)]
    points = boxes.field("points")
    upright = records_kinds.upright(points)
    if upright is None:
        each = zip(points.to_pylist(), sizes.tolist(), strict=True)
        inside = pa.array([clip(box, *size) for box, size in each], points.type)
    else:
        flat = np.clip(upright, 0, np.tile(sizes, 2)).astype(np.float32).ravel()
        offsets = pa.array(np.arange(0, len(flat) + 1, 4, dtype=np.int32))
        inside = pa.ListArray.from_arrays(offsets, pa.array(flat))
    columns = [boxes.field("label"), inside, boxes.field("kind")]
    items = pa.StructArray.from_arrays(columns, names=["label", "points", "kind"])
    offsets = pc.subtract(lists.offsets, lists.offsets[0])
    return pa.ListArray.from_arrays(offsets, items).cast(SCHEMA.field("boxes").type)


def _box_texts(lists: pa.ListArray, sizes: np.ndarray, adaption: Adaption) -> pa.Array:
    """The text of each record's boxes, upright where the codec knows no other; or that of none."""
    codec = CODECS[adaption.box_format]
    boxes = lists.flatten()
    points = records_kinds.upright(boxes.field("points"))
    if points is None:
        shape = tuple if "obb" in codec.kinds else to_hbb
        points = [shape(box) for box in boxes.field("points").to_pylist()]
    items = codec.write_each(_words(boxes.field("label")).to_pylist(), points, sizes)
    texts = pa.ListArray.from_arrays(lists.offsets, pa.array(items, pa.string()))
    joined = pc.binary_join(texts, codec.between)
    written = pc.binary_join_element_wise(codec.ends[0], joined, codec.ends[1], "")
    return pc.if_else(pc.equal(pc.list_value_length(lists), 0), templates.NO_OBJECT, written)


def _questions(
    records: pa.Table,
    adaption: Adaption,
    forms: tuple[str, ...],
    about: pa.Array,
    answers: pa.Array,
    question_type: str,
) -> pa.Table:
    """Rows of questions in one of ``forms``, each of which asks ``about`` something."""
    columns = {
        "question": adapt.worded(forms, adapt.ids_of(records, adaption), adaption, about),
        "answer": answers,
        "question_type": pa.repeat(question_type, records.num_rows),
    }
    return adapt.questions(_with_columns(records, columns), adaption)


def _with_columns(records: pa.Table, columns: dict[str, pa.Array]) -> pa.Table:
    for name, column in columns.items():
        records = records.append_column(name, column)
    return records
