"""Checks of released dialogues whose images have known boxes: those of DIOR, in the data root."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import datasets

from rs_gpt4v_builders import OBJECT_SOURCES
from rs_gpt4v_builders.builder import data_root
from rs_gpt4v_builders.sources import dior
from rs_gpt4v_builders.sources.source import SourceNotFoundError
from rs_gpt4v_generation.chair import Scenes
from rs_gpt4v_generation.checks import FACTUAL, check
from rs_gpt4v_generation.load import dior_scenes
from rs_gpt4v_generation.products import ProductName

TASKS: dict[str, ProductName] = {"conversation": "conversation", "detail": "detail"}
"""Tasks of free dialogues, by the product whose checks fit them."""


def boxed_scenes(options: Mapping[str, Any]) -> Scenes | None:
    """The images of all splits of DIOR with their boxes; None where the data root has no DIOR.

    Args:
        options: Those of ``load_dataset("rs_gpt4v", ...)``.

    Raises:
        RecordError: An image of it cannot be used, and ``on_missing`` is "raise".
    """
    sample = bool(options.get("sample"))
    root = data_root(options.get("data_dir"), sample=sample, sources=OBJECT_SOURCES)
    protocol = options.get("protocol", "paper")
    on_missing = options.get("on_missing", "raise")
    try:
        return Scenes(
            [
                scene
                for split in dior.SOURCE.splits(protocol)
                for scene in dior_scenes(root, split, protocol=protocol, on_missing=on_missing)
            ]
        )
    except SourceNotFoundError:
        return None


def checked(rows: datasets.Dataset, scenes: Scenes) -> Iterator[dict[str, Any]]:
    """Of each dialogue whose image has boxes, its id and the verdicts of the boxes on it.

    What no box decides on, such as length and language, is not checked: those limits are of what
    `rs-gpt4v generate` asks for.
    """
    columns = ["id", "task", "source", "images", "messages"]
    table: Any = rows.select_columns(columns).with_format("arrow")[:]  # decodes no image
    for row in table.to_pylist():
        path = row["images"][0]["path"] if row["images"] else None
        scene = scenes.find(path, row["source"]) if path else None
        messages = [m for m in row["messages"] if m["role"] != "system"]
        if scene:
            verdicts = check(messages, scene.sheet(), TASKS[row["task"]], scene.vocabulary)
            factual = [asdict(verdict) for verdict in verdicts if verdict.check in FACTUAL]
            yield {"id": row["id"], "verdicts": factual}
