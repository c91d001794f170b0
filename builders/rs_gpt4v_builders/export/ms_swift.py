r"""JSON lines for ms-swift, boxes as its ``objects``.

On disk::

    <config>-<split>.jsonl         {"messages": [{"role", "content": "<image>\n..."}], "images"}
    <config>-<split>-boxes.jsonl   the same and "objects": {"ref", "bbox", "bbox_type": "real"}
    images/

A box stands in ``objects``, in pixels of the released image (x_min, y_min, x_max, y_max; of a
rotated one the upright box around it), and its text is ``<bbox>``: ms-swift writes it in the form
and scale of the model that is trained, whatever ``box_format`` was. The expression is
``<ref-object>``. Rows without boxes have a file of their own, because `datasets`, by which ms-swift
reads, wants one set of fields a file.

The paths in ``images`` are relative to the export: start ms-swift there, or give it the folder in
ROOT_IMAGE_DIR.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Iterator
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v import templates as wordings
from rs_gpt4v.boxes import to_hbb
from rs_gpt4v.files import write_json_lines
from rs_gpt4v_builders.export._job import Material, marked, to_rows

MARKERS = ("<bbox>", "<ref-object>", "<cot-process>", "<start-image>")
"""What ms-swift fills from ``objects``, or reads as an order, wherever it stands."""


def write(material: Material) -> None:
    """Write one or two files a split: rows without boxes, rows with them."""
    material.store_images()
    for name, rows in material.splits():
        has_boxes = _has_boxes(rows)
        if not all(has_boxes):
            plain = (_item(row) for row in _some(material, rows, name, boxes=False))
            write_json_lines(material.out / f"{name}.jsonl", plain)
        if any(has_boxes):
            boxed = (_boxed(row) for row in _some(material, rows, name, boxes=True))
            write_json_lines(material.out / f"{name}-boxes.jsonl", boxed)


def _has_boxes(rows: datasets.Dataset) -> set[bool]:
    """Whether there are rows with boxes (True), and without (False)."""
    tables = rows.select_columns("boxes").with_format("arrow").iter(10_000)
    return {has for table in tables for has in pc.unique(_with_boxes(table)).to_pylist()}


def _with_boxes(table: Any) -> pa.ChunkedArray:
    return pc.greater(pc.list_value_length(table["boxes"]), 0)


def _some(
    material: Material, rows: datasets.Dataset, what: str, *, boxes: bool
) -> Iterator[dict[str, Any]]:
    """The rows with, or those without boxes."""
    for table in material.batches(rows, what):
        yield from to_rows([table.filter(pc.equal(_with_boxes(table), boxes))])


def _item(row: dict[str, Any]) -> dict[str, Any]:
    images = row["images"]
    return {"id": row["id"], "messages": marked(row["messages"], images), "images": images}


def _boxed(row: dict[str, Any]) -> dict[str, Any]:
    """A row of one turn about one box, its text and the expression's moved to ``objects``."""
    question, answer = (message["content"] for message in row["messages"])
    if row["task"] == "grounding":
        before, expression, after = _parted(question, wordings.GROUNDING)
        question, answer = f"{before}<ref-object>{after}", "<bbox>"
    else:
        before, _, after = _parted(question, wordings.REGION_CAPTION)
        question, expression, answer = f"{before}<bbox>{after}", answer, "<ref-object>"
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    boxes = [[_number(v) for v in to_hbb(box["points"])] for box in row["boxes"]]
    objects = {"ref": [expression], "bbox": boxes, "bbox_type": "real"}
    return {**_item({**row, "messages": turns}), "objects": objects}


def _parted(text: str, templates: tuple[str, ...]) -> tuple[str, str, str]:
    """What stands before, in and after the ``{}`` of the template that ``text`` was made with.

    Of several that fit, the one that says most: the three parts make ``text`` in any case.
    """
    ends = [template.split("{}") for template in templates]
    before, after = max(
        (fit for fit in ends if _fits(text, *fit)),
        key=lambda fit: len(fit[0] + fit[1]),
    )
    return before, text[len(before) : len(text) - len(after)], after


def _fits(text: str, before: str, after: str) -> bool:
    is_long_enough = len(text) >= len(before) + len(after)
    return is_long_enough and text.startswith(before) and text.endswith(after)


def _number(pixels: float) -> float:
    """A 32 bit coordinate in the digits that it had, such as 12.3."""
    return round(pixels, 2)
