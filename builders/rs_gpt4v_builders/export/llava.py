r"""LLaVA's json: what LLaVA itself, and the many trainers made from it, read.

On disk::

    <config>-<split>.json   [{"id", "image": "images/..." (a list of several), "conversations":
                              [{"from": "human" | "gpt" | "system", "value": "<image>\n..."}]}]
    images/

Train with ``--data_path OUT/<config>-<split>.json --image_folder OUT``.
"""

from typing import Any

from rs_gpt4v_builders.export.job import ExportJob, with_image_tokens, write_json_list

# They end a turn, separate a question from its answer, or stand for an image.
SPECIAL_TOKENS = (
    "</s>",
    "ASSISTANT: ",
    "<im_start>",
    "<im_end>",
    "<im_patch>",
    "<image-placeholder>",
)

_SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}


def write(job: ExportJob) -> None:
    """Write one list a split."""
    job.store_images()
    for name, rows in job.splits():
        items = map(_item, job.rows(rows, name))
        write_json_list(job.out / f"{name}.json", items)


def _item(row: dict[str, Any]) -> dict[str, Any]:
    images = row["images"]
    turns = conversations(row["messages"], images)
    # LLaVA takes an item without the field for a text alone, and a list for several images.
    image = {"image": images[0] if len(images) == 1 else images} if images else {}
    return {"id": row["id"], **image, "conversations": turns}


def conversations(messages: list[dict[str, str]], images: list[str]) -> list[dict[str, str]]:
    """Messages as LLaVA has them, the images marked in the first question."""
    return [
        {"from": _SPEAKERS[message["role"]], "value": message["content"]}
        for message in with_image_tokens(messages, images)
    ]
