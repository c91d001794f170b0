"""Preferences as a dataset that TRL's DPO and KTO trainers take, and plain `datasets` reads.

On disk::

    README.md                   the card; its head says which files are which config and split
    pairs-<split>.parquet       for DPO: ``images``, ``prompt``, ``chosen``, ``rejected``
    labels-<split>.parquet      for KTO: ``images``, ``prompt``, ``completion``, ``label``

Messages are lists of ``role`` and ``content``. Each row has an ``id``, a ``task``, and the ``kind``
of who decided: "review", "check" or "judge".
"""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCardData

from rs_gpt4v.conversation import FEATURES
from rs_gpt4v.files import AnyPath, locked, replacing
from rs_gpt4v.images import read_file
from rs_gpt4v.preferences import (
    LEARNED_FROM,
    Label,
    Pair,
    Preferences,
    as_messages,
    settle,
    summary,
)
from rs_gpt4v_builders.export._folder import MARKER, claim, refuse_other

PAIRS, LABELS = "pairs", "labels"
"""The configs."""

_COMMON = {
    "id": FEATURES["id"],
    "images": FEATURES["images"],
    "task": FEATURES["task"],
    "kind": datasets.Value("string"),
    "prompt": FEATURES["messages"],
}
_FEATURES = {
    PAIRS: {**_COMMON, "chosen": FEATURES["messages"], "rejected": FEATURES["messages"]},
    LABELS: {**_COMMON, "completion": FEATURES["messages"], "label": datasets.Value("bool")},
}
_ROWS_OF_A_GROUP = 256
_BYTES_OF_IMAGES = 1 << 30  # more than a group has: each image is in it once


class NoPreferencesError(ValueError):
    """Nothing can be learned; the message says why."""


def write(parts: Iterable[Preferences], out: AnyPath) -> Preferences:
    """Write what is to be learned from all ``parts`` into the folder ``out``, and return it.

    What the folder held of an earlier call is replaced.

    Args:
        parts: As reviewers, checks and judges gave them.
        out: A new or empty folder, or one that this function wrote.

    Raises:
        NoPreferencesError: Nothing is left.
        ExportFolderError: ``out`` holds something else.
        InUseError: Another process writes it.
    """
    out = Path(out)
    settings = {"format": "preferences"}
    refuse_other(out, settings)
    settled = settle(parts)
    if not (settled.pairs or settled.labels):
        raise NoPreferencesError(f"nothing to learn from: {summary(settled)}")
    with locked(out / MARKER):
        claim(out, settings)
        written = [
            (config, split)
            for config, items in ((PAIRS, settled.pairs), (LABELS, settled.labels))
            for split in LEARNED_FROM
            if _write(out / _file(config, split), config, _of_split(items, split))
        ]
        with replacing(out / "README.md") as file:
            file.write(_card(written, settled).encode())
    return settled


def _file(config: str, split: str) -> str:
    return f"{config}-{split}.parquet"


def _of_split(items: Iterable[Label | Pair], split: str) -> list[Label | Pair]:
    """In order of their images, so that a group of rows has few of them."""
    own = [item for item in items if item.question.split == split]
    return sorted(own, key=lambda item: item.question.images)


def _write(path: Path, config: str, items: Sequence[Label | Pair]) -> bool:
    """Write one file; whether there is anything in it."""
    if not items:
        path.unlink(missing_ok=True)  # of an earlier call
        return False
    schema = datasets.Features(_FEATURES[config]).arrow_schema
    options: dict[str, Any] = {"compression": "zstd", "dictionary_pagesize_limit": _BYTES_OF_IMAGES}
    with replacing(path) as file, pq.ParquetWriter(file, schema, **options) as parquet:
        for start in range(0, len(items), _ROWS_OF_A_GROUP):
            rows = [_row(item) for item in items[start : start + _ROWS_OF_A_GROUP]]
            parquet.write_table(pa.Table.from_pylist(rows, schema))
    return True


def _row(item: Label | Pair) -> dict[str, Any]:
    row = {
        "id": item.id,
        "images": [
            {"bytes": read_file(path), "path": PurePath(path).name} for path in item.question.images
        ],
        "task": item.question.task,
        "kind": item.kind,
        "prompt": as_messages(item.question.messages),
    }
    if isinstance(item, Label):
        return {**row, "completion": _answer(item.reply), "label": item.good}
    return {**row, "chosen": _answer(item.chosen), "rejected": _answer(item.rejected)}


def _answer(text: str) -> list[Any]:
    return as_messages([("assistant", text)])


def _card(written: list[tuple[str, str]], settled: Preferences) -> str:
    head = DatasetCardData(
        pretty_name="Preferences", language="en", tags=["remote-sensing", "preference", "dpo"]
    )
    files: dict[str, list[dict[str, str]]] = {}
    for config, split in written:
        files.setdefault(config, []).append({"split": split, "path": _file(config, split)})
    configs = {config: {"data_files": own} for config, own in files.items()}
    MetadataConfigs(configs).to_dataset_card_data(head)
    return f"---\n{head}\n---\n\n{_TEXT.format(summary=summary(settled))}"


_TEXT = """# Preferences

Which of two replies to a question about a remote-sensing image is better (`pairs`, for DPO), and
whether a reply is good (`labels`, for KTO), as reviewers, checks against boxes and a model as judge
decided (`kind`). Written by `rs-gpt4v preferences`:

```
{summary}
```

## Source and licence

Say here where images and texts come from, and on what terms others may use them.
"""
