r"""ShareGPT json for LLaMA-Factory, with the ``dataset_info.json`` that makes it known there.

On disk::

    dataset_info.json       {"<config>-<split>": {"file_name", "formatting": "sharegpt", ...}}
    <config>-<split>.json   [{"messages": [{"role", "content": "<image>\n..."}], "images": [...]}]
    images/

Train with ``dataset_dir: OUT`` and ``dataset: <config>-<split>``.
"""

import json
from typing import Any

from rs_gpt4v.files import replacing
from rs_gpt4v_builders.export.job import ExportJob, with_image_tokens, write_json_list

_ENTRY: dict[str, Any] = {
    "formatting": "sharegpt",
    "columns": {"messages": "messages", "images": "images"},
    "tags": {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    },
}


def write(job: ExportJob) -> None:
    """Write one list a split, and the file that names them."""
    job.store_images()
    known: dict[str, Any] = {}
    for name, rows in job.splits():
        items = map(_item, job.rows(rows, name))
        write_json_list(job.out / f"{name}.json", items)
        known[name] = {"file_name": f"{name}.json", **_ENTRY}
    with replacing(job.out / "dataset_info.json") as file:
        file.write((json.dumps(known, indent=2) + "\n").encode())


def _item(row: dict[str, Any]) -> dict[str, Any]:
    images = row["images"]
    return {"messages": with_image_tokens(row["messages"], images), "images": images}
