r"""LLaVA's json: what LLaVA itself, and the many trainers made from it, read.

On disk::

    <config>-<split>.json   [{"id", "image": "images/...", "conversations":
                              [{"from": "human" | "gpt" | "system", "value": "<image>\n..."}]}]
    images/

Train with ``--data_path OUT/<config>-<split>.json --image_folder OUT``.
"""

from typing import Any

from rs_gpt4v_builders.export._job import Material, marked, to_rows, write_json_list

MARKERS = ("</s>", "ASSISTANT: ", "<im_start>", "<im_end>", "<im_patch>", "<image-placeholder>")
"""Where LLaVA ends a turn, parts a question from its answer, or puts an image."""

_SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}


def write(material: Material) -> None:
    """Write one list a split."""
    material.store_images()
    for name, rows in material.splits():
        items = map(_item, to_rows(material.batches(rows, name)))
        write_json_list(material.out / f"{name}.json", items)


def _item(row: dict[str, Any]) -> dict[str, Any]:
    turns = conversations(row["messages"], row["images"])
    return {"id": row["id"], "image": row["images"][0], "conversations": turns}


def conversations(messages: list[dict[str, str]], images: list[str]) -> list[dict[str, str]]:
    """Messages as LLaVA has them, the images marked in the first question."""
    return [
        {"from": _SPEAKERS[message["role"]], "value": message["content"]}
        for message in marked(messages, images)
    ]
