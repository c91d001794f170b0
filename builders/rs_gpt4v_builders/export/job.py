"""What the writer of a format gets: built rows, and the name of each image in the export."""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from rs_gpt4v.files import json_line, replacing
from rs_gpt4v_builders.export.images import store

_BATCH = 10_000  # rows: some 5 MB of messages as Python objects


@dataclass(frozen=True, slots=True)
class ExportJob:
    """Rows to export.

    Args:
        configs: The splits of each config, as built.
        names: The name in the export of each image file, from `images.image_names`.
        out: Folder to write into.
        images: How image files get there: one of `images.PUT`.
        shard_bytes: About how large a shard is.
        options: Those of ``load_dataset("rs_gpt4v", ...)`` that gave the rows.
    """

    configs: Mapping[str, datasets.DatasetDict]
    names: Mapping[str, str]
    out: Path
    images: str
    shard_bytes: int
    options: Mapping[str, Any]

    @property
    def sample(self) -> bool:
        """Whether the rows are the embedded sample's."""
        return bool(self.options.get("sample"))

    def store_images(self) -> None:
        """Put each image into the export."""
        store(self.names, self.out, self.images)

    def splits(self) -> Iterator[tuple[str, datasets.Dataset]]:
        """Each split with its name, ``<config>-<split>``."""
        for config, splits in self.configs.items():
            for split, rows in splits.items():
                yield f"{config}-{split}", rows

    def rows(self, rows: datasets.Dataset, what: str) -> Iterator[dict[str, Any]]:
        """``rows`` as Python objects, their ``images`` as lists of names in the export."""
        for table in self.tables(rows, what):
            yield from table.to_pylist()

    def tables(self, rows: datasets.Dataset, what: str) -> Iterator[pa.Table]:
        """The same in Arrow, some rows at a time; the progress bar is called ``what``."""
        with tqdm(total=rows.num_rows, desc=what, unit="row", leave=False, disable=None) as bar:
            for table in _tables(rows):
                index = table.schema.get_field_index("images")
                yield table.set_column(index, "images", self._named(table["images"]))
                bar.update(table.num_rows)

    def _named(self, images: pa.ChunkedArray) -> pa.Array:
        lengths = pc.list_value_length(images.combine_chunks())
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
        named = [self.names[path] for path in _paths(images).to_pylist()]
        return pa.ListArray.from_arrays(offsets, pa.array(named, pa.string()))


def _paths(images: pa.ChunkedArray) -> pa.Array:
    return pc.struct_field(images.combine_chunks().flatten(), "path")


def _tables(rows: datasets.Dataset) -> Iterator[pa.Table]:
    """The rows as they are in Arrow, images as paths, some at a time."""
    tables: Any = rows.with_format("arrow").iter(_BATCH)
    return tables


def image_paths(parts: Iterable[datasets.Dataset]) -> set[str]:
    """The path of every image file that any row uses. No image is opened."""
    paths: set[str] = set()
    for rows in parts:
        for table in _tables(rows.select_columns("images")):
            paths.update(_paths(table["images"]).unique().to_pylist())
    return paths


def refuse_special_tokens(
    parts: Iterable[datasets.Dataset], tokens: Iterable[str], tool: str
) -> None:
    """Raise where a message holds one of ``tokens``, which ``tool`` does not read as text.

    Raises:
        ValueError: Names the first such row and its token.
    """
    for rows in parts:
        for table in _tables(rows.select_columns(["id", "messages"])):
            messages = table["messages"].combine_chunks()
            content, row = messages.flatten().field("content"), pc.list_parent_indices(messages)
            for token in tokens:
                holds = row.filter(pc.match_substring(content, token))
                if len(holds):
                    raise ValueError(
                        f"{table['id'][holds[0].as_py()]}: its text holds {token!r}, a special "
                        f"token of {tool}. Correct the release, or export its other configs"
                    )


def with_image_tokens(messages: list[dict[str, str]], images: list[str]) -> list[dict[str, str]]:
    """``messages`` with ``<image>`` for each image at the start of the first question.

    This is where LLaVA, LLaMA-Factory and ms-swift expect it; our rows have no such token.
    """
    first = next(i for i, message in enumerate(messages) if message["role"] == "user")
    text = "<image>\n" * len(images) + messages[first]["content"]
    return [*messages[:first], {"role": "user", "content": text}, *messages[first + 1 :]]


def write_json_list(path: Path, items: Iterable[object]) -> None:
    """Write a JSON list, an item a line, without holding it in memory."""
    with replacing(path) as file:
        opening = b"[\n"
        for item in items:
            file.write(opening + json_line(item).rstrip())
            opening = b",\n"
        file.write(b"\n]\n")
