"""Records to conversations: "Instruction-Annotation Adaption" (the paper's section 3.2).

Each function takes a table of one record kind and returns its rows, with what is known of their
images so far. Everything is columnar: 625,340 questions take a second.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v import templates
from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v.boxes import clip, to_hbb
from rs_gpt4v.conversation import SCHEMA, Task

Protocol = Literal["paper", "release"]


@dataclass(frozen=True, slots=True)
class Adaption:
    """How records become rows.

    Args:
        prefix: Put before each record's key to make the row's id, e.g. ``"rsicd/train/"``.
        split: The split of the rows.
        protocol: "paper" for the rows of the paper's Table 1, "release" for all a release holds.
        seed: Picks each row's template, together with its id; None always takes the first.
        box_format: The codec that writes boxes, one of `rs_gpt4v.box_codecs.CODECS`.
        classes: What the objects of the data set are, for questions about absent ones.
        together: How many images of the split show two classes, by their places in ``classes``; on
            the diagonal, how many show one.
        probes_per_image: How many classes `rs_gpt4v.adapt_probes` asks about at most.
    """

    prefix: str
    split: str
    protocol: Protocol = "paper"
    seed: int | None = 0
    box_format: str = "llava"
    classes: tuple[str, ...] = ()
    together: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), int), compare=False)
    probes_per_image: int = 3


def captions(records: pa.Table, adaption: Adaption) -> pa.Table:
    """Rows of `rs_gpt4v.records.CAPTIONS`; every row's references are all captions of its image.

    Under the paper's protocol an image has one test row, and elsewhere one row for each distinct
    caption (exact, case-sensitive: this alone gives Table 1's counts). Under the release's, every
    caption is a row.
    """
    every = records["captions"].to_pylist()
    chosen = [_chosen_captions(c, adaption) for c in every]
    of_row = records.take(pa.array(np.repeat(np.arange(len(every)), [len(c) for c in chosen])))
    numbers = pa.array([str(index) for c in chosen for index in c], pa.string())
    ids = pc.binary_join_element_wise(ids_of(of_row, adaption), numbers, "/")
    texts = [c[index] for c, indices in zip(every, chosen, strict=True) for index in indices]
    answers = pa.array(texts, pa.string())
    prompts = worded(templates.CAPTION, ids, adaption)
    return rows_of(of_row, ids, turns(prompts, answers), "caption", of_row["captions"])


def _chosen_captions(captions: list[str], adaption: Adaption) -> list[int]:
    """Which captions are rows, by their index in the release: an id is always the same caption."""
    if adaption.protocol == "release":
        return list(range(len(captions)))
    if adaption.split.startswith("test"):
        return [0]
    return [i for i, caption in enumerate(captions) if caption not in captions[:i]]


def questions(records: pa.Table, adaption: Adaption, task: Task = "vqa") -> pa.Table:
    """Rows of `rs_gpt4v.records.QUESTIONS`: one a question; its answer is the only reference."""
    ids = ids_of(records, adaption)
    asked = pc.utf8_trim_whitespace(records["question"].combine_chunks())
    answers = pc.utf8_trim_whitespace(records["answer"].combine_chunks())
    messages = turns(worded(templates.VQA, ids, adaption, asked), answers)
    return rows_of(records, ids, messages, task, one_each(answers), records["question_type"])


def grounding(records: pa.Table, adaption: Adaption) -> pa.Table:
    """Rows of `rs_gpt4v.records.EXPRESSIONS`: from an expression to the box of its object.

    The records have the ``width`` and ``height`` of their image too, and a box with an area in it.
    """
    ids = ids_of(records, adaption)
    labels = records["label"].to_pylist()
    asked = _within_a_sentence(records["expression"].combine_chunks())
    answers = _box_texts(records, labels, adaption)
    messages = turns(worded(templates.GROUNDING, ids, adaption, asked), answers)
    return rows_of(records, ids, messages, "grounding", one_each(answers), boxes=_boxes(records))


def _within_a_sentence(expressions: pa.Array) -> pa.Array:
    """Expressions as they stand in a template: "The red car." becomes "the red car".

    The capital of a word that has another one, or that is a letter but "A", is kept: "T-junction".
    """
    bare = pc.utf8_rtrim(pc.utf8_trim_whitespace(expressions), ". ")
    lowered = pc.binary_join_element_wise(
        pc.utf8_lower(pc.utf8_slice_codeunits(bare, 0, 1)), pc.utf8_slice_codeunits(bare, 1), ""
    )
    return pc.if_else(pc.match_substring_regex(bare, r"^(A|[A-Z][a-z]+)\b"), lowered, bare)


def region_caption(records: pa.Table, adaption: Adaption) -> pa.Table:
    """The same with the roles swapped: from a box to the expression. Ids end with "/region"."""
    ids = pc.binary_join_element_wise(ids_of(records, adaption), "region", "/")
    # The object's class would tell the answer.
    labels = ["object"] * records.num_rows
    regions = _box_texts(records, labels, adaption)
    answers = pc.utf8_trim_whitespace(records["expression"].combine_chunks())
    messages = turns(worded(templates.REGION_CAPTION, ids, adaption, regions), answers)
    return rows_of(
        records, ids, messages, "region_caption", one_each(answers), boxes=_boxes(records)
    )


def conversation(records: pa.Table, adaption: Adaption) -> pa.Table:
    """Rows of `rs_gpt4v.records.DIALOGUES` in several turns."""
    return _dialogues(records, adaption, "conversation")


def detail(records: pa.Table, adaption: Adaption) -> pa.Table:
    """Rows of `rs_gpt4v.records.DIALOGUES` that describe an image in detail."""
    return _dialogues(records, adaption, "detail")


def _dialogues(records: pa.Table, adaption: Adaption, task: Task) -> pa.Table:
    """One row a dialogue, in the release's own words; its last answer is the only reference."""
    messages = records["messages"].combine_chunks()
    content = pc.struct_field(messages.values, "content")
    last = content.take(pc.subtract(messages.offsets[1:], 1))
    ids = ids_of(records, adaption)
    boxes = None
    if "text_boxes" in records.column_names:
        boxes = pc.coalesce(records["text_boxes"].combine_chunks(), _no_boxes(len(ids)))
    return rows_of(records, ids, messages, task, one_each(last), boxes=boxes)


def _boxes(records: pa.Table) -> pa.Array:
    """The ``boxes`` of records with one box each, clipped to the image."""
    labels, kinds = (records[name].to_pylist() for name in ("label", "kind"))
    boxes = [
        [{"label": label, "points": points, "kind": kind}]
        for label, points, kind in zip(labels, _inside(records), kinds, strict=True)
    ]
    return pa.array(boxes, SCHEMA.field("boxes").type)


def _box_texts(records: pa.Table, labels: list[str], adaption: Adaption) -> pa.Array:
    """The text of each record's box; upright where the codec knows no other."""
    codec = CODECS[adaption.box_format]
    sizes = np.stack([records[name].to_numpy() for name in ("width", "height")], 1)
    inside = [box if "obb" in codec.kinds else to_hbb(box) for box in _inside(records)]
    start, end = codec.ends
    written = [f"{start}{item}{end}" for item in codec.write_each(labels, inside, sizes)]
    return pa.array(written, pa.string())


def _inside(records: pa.Table) -> list[tuple[float, ...]]:
    """The records' boxes, clipped to their images."""
    columns = (records[name].to_pylist() for name in ("points", "width", "height"))
    return [clip(*box) for box in zip(*columns, strict=True)]


def one_each(answers: pa.Array) -> pa.Array:
    """The ``references`` of rows with one accepted answer each."""
    offsets = pa.array(np.arange(len(answers) + 1, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, answers)


def ids_of(records: pa.Table, adaption: Adaption) -> pa.Array:
    """The rows' ids, of records that make one each."""
    return pc.binary_join_element_wise(adaption.prefix, records["key"].combine_chunks(), "")


def pick(ids: pa.Array, seed: int, count: int) -> np.ndarray:
    """A number in [0, count) for each id, by a hash of id and seed: the same on every machine."""
    return hashed(ids, seed) % np.uint64(count)


def hashed(texts: pa.Array, seed: int) -> np.ndarray:
    """A number for each text and this seed, the same on every machine."""
    strings = texts.to_numpy(zero_copy_only=False).astype(object)
    key = f"{seed:016d}"[:16]  # SipHash takes a key of 16 bytes
    return pd.util.hash_array(strings, hash_key=key, categorize=False)


def worded(
    templates: tuple[str, ...], ids: pa.Array, adaption: Adaption, filling: pa.Array | None = None
) -> pa.Array:
    """One template for each id, with its ``{}`` filled."""
    n = len(ids)
    chosen = (
        np.zeros(n, np.int64)
        if adaption.seed is None
        else pick(ids, adaption.seed, len(templates)).astype(np.int64)
    )
    if filling is None:
        return pa.array(templates).take(pa.array(chosen))
    before, after = zip(*(template.split("{}") for template in templates), strict=True)
    return pc.binary_join_element_wise(
        pa.array(before).take(pa.array(chosen)), filling, pa.array(after).take(pa.array(chosen)), ""
    )


def turns(prompts: pa.Array, answers: pa.Array) -> pa.Array:
    """The ``messages`` of single-turn rows: each prompt with its answer."""
    n = len(prompts)
    interleaved = np.arange(2 * n).reshape(2, n).T.ravel()
    content = pa.concat_arrays([prompts, answers]).take(pa.array(interleaved))
    role = pa.array(["user", "assistant"]).take(pa.array(np.tile([0, 1], n)))
    message = pa.StructArray.from_arrays([role, content], names=["role", "content"])
    return pa.ListArray.from_arrays(pa.array(np.arange(0, 2 * n + 1, 2, dtype=np.int32)), message)


IMAGE_COLUMNS = ("image", "path", "further_paths", "width", "height")
"""What is known of a record's images: the released name, then what the files tell."""


def rows_of(
    records: pa.Table,
    ids: pa.Array,
    messages: pa.Array,
    task: Task,
    references: pa.Array | pa.ChunkedArray,
    question_type: pa.ChunkedArray | None = None,
    boxes: pa.Array | None = None,
) -> pa.Table:
    """The rows of records, one each, with those of `IMAGE_COLUMNS` that these have."""
    n = len(ids)
    return pa.table(
        {
            **{name: records[name] for name in IMAGE_COLUMNS if name in records.column_names},
            "id": ids,
            "messages": messages,
            "task": pa.repeat(task, n),
            "question_type": pa.nulls(n, pa.string()) if question_type is None else question_type,
            "references": references,
            "boxes": _no_boxes(n) if boxes is None else boxes,
        }
    )


def _no_boxes(n: int) -> pa.Array:
    # pa.repeat of an empty list takes a microsecond a row.
    nothing = pa.array([], SCHEMA.field("boxes").type.value_type)
    return pa.ListArray.from_arrays(pa.array(np.zeros(n + 1, np.int32)), nothing)
