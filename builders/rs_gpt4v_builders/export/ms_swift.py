r"""JSON lines for ms-swift, boxes as its ``objects``.

On disk::

    <config>-<split>.jsonl         {"messages": [{"role", "content": "<image>\n..."}], "images"}
    <config>-<split>-boxes.jsonl   the same and "objects": {"ref", "bbox", "bbox_type": "real"}
    images/

A box stands in ``objects``, in pixels of the released image (x_min, y_min, x_max, y_max; of a
rotated one the upright box around it), and its text is ``<bbox>``: ms-swift writes it in the form
and scale of the model that is trained, whatever ``box_format`` was. The expression is
``<ref-object>``; that of a detection is the class, and its answer has a ``<bbox>`` for each box.
Rows without boxes have a file of their own, because `datasets`, by which ms-swift reads, wants one
set of fields a file; dialogues are in it too.

The paths in ``images`` are relative to the export: start ms-swift there, or give it the folder in
ROOT_IMAGE_DIR.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v import templates
from rs_gpt4v.boxes import to_hbb
from rs_gpt4v.files import write_json_lines
from rs_gpt4v_builders.export.job import ExportJob, with_image_tokens

# ms-swift replaces them with what ``objects`` hold, or reads them as instructions.
SPECIAL_TOKENS = ("<bbox>", "<ref-object>", "<cot-process>", "<start-image>")

_TEMPLATES = {
    "grounding": templates.GROUNDING,
    "region_caption": templates.REGION_CAPTION,
    "detection": templates.DETECTION,
}
"""Tasks whose boxes have one place in the text: the templates say which."""


def write(job: ExportJob) -> None:
    """Write one or two files a split: rows without boxes, rows with them."""
    job.store_images()
    for name, rows in job.splits():
        has_boxes = _has_boxes(rows)
        for file, item, chosen in (
            (f"{name}.jsonl", _item, ~has_boxes),
            (f"{name}-boxes.jsonl", _boxed, has_boxes),
        ):
            if chosen.any():
                part = rows.select(np.flatnonzero(chosen))
                write_json_lines(job.out / file, map(item, job.rows(part, file)))


def _has_boxes(rows: datasets.Dataset) -> np.ndarray:
    """Whether each row is made of boxes; what a dialogue says of its own is left as it is."""
    table: Any = rows.select_columns(["boxes", "task"]).with_format("arrow")[:]
    is_made = pc.is_in(table["task"], pa.array(_TEMPLATES))
    has_boxes = pc.greater(pc.list_value_length(table["boxes"]), 0)
    return pc.and_(is_made, has_boxes).to_numpy()


def _item(row: dict[str, Any]) -> dict[str, Any]:
    images = row["images"]
    messages = with_image_tokens(row["messages"], images)
    return {"id": row["id"], "messages": messages, "images": images}


def _boxed(row: dict[str, Any]) -> dict[str, Any]:
    """A row of one turn about boxes, their text and the expression's moved to ``objects``."""
    question, answer = (message["content"] for message in row["messages"])
    before, expression, after = _parted(question, _TEMPLATES[row["task"]])
    if row["task"] == "region_caption":
        question, expression, answer = f"{before}<bbox>{after}", answer, "<ref-object>"
    else:
        question, answer = f"{before}<ref-object>{after}", ", ".join(["<bbox>"] * len(row["boxes"]))
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
