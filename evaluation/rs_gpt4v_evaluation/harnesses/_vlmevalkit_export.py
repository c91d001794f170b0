"""Tables for VLMEvalKit, as custom open-ended VQA datasets.

On disk::

    rs_gpt4v_<config>_openended.tsv            index, image_path, question, answer, category, and
    rs_gpt4v_<config>_<split>_openended.tsv    rs_gpt4v_row, rs_gpt4v_dataset (JSON, for us)
    images/

Point ``LMUData`` at the folder and run ``run.py --data rs_gpt4v_<config>_openended --mode infer``:
VLMEvalKit has no metric for custom datasets. It writes a table with all these columns and the
replies, of which ``rs-gpt4v collect`` makes a predictions file for ``rs-gpt4v score``.
"""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

from rs_gpt4v.conversation import fingerprint
from rs_gpt4v.files import replacing
from rs_gpt4v_builders.export.job import ExportJob
from rs_gpt4v_evaluation.harnesses.splits import Tested, tested

_COLUMNS = (
    "index",
    "image_path",
    "question",
    "answer",
    "category",
    "rs_gpt4v_row",
    "rs_gpt4v_dataset",
)


def write(job: ExportJob) -> None:
    """Write one table a split."""
    job.store_images()
    for split in tested(job.configs):
        # What says "openended" is VQA to VLMEvalKit; anything else would be multiple choice.
        name = f"{split.name}_openended"
        rows = job.rows(split.rows, name)
        asked = _json(_described(split, job.options))
        with replacing(job.out / f"{name}.tsv") as file:
            text = io.TextIOWrapper(file, "utf-8", newline="")
            table = csv.writer(text, "excel-tab", lineterminator="\n", quoting=csv.QUOTE_ALL)
            table.writerow(_COLUMNS)
            table.writerows([i, *_line(row, job), asked] for i, row in enumerate(rows))
            text.detach()


def _described(split: Tested, options: Mapping[str, Any]) -> dict[str, Any]:
    """What ``rs-gpt4v predict`` writes of the rows that it asks."""
    return {
        "config": split.config,
        "split": split.split,
        "protocol": options.get("protocol", "paper"),
        "box_format": options.get("box_format", "llava"),
        "rows": split.rows.num_rows,
        "fingerprint": fingerprint(split.rows),
    }


def _line(row: dict[str, Any], job: ExportJob) -> tuple[str, ...]:
    # Absolute: VLMEvalKit reads a relative path from where it is started, or for some models from
    # LMUData/images/<table>, whatever the table says.
    images = [str(job.out / name) for name in row["images"]]
    question = row["messages"][-2]["content"]
    ours = _json(row | {"images": [{"path": image} for image in images]})
    return images[0], question, row["references"][0], row["question_type"] or row["task"], ours


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
