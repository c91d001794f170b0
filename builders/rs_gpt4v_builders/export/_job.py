"""What an exporter gets: built rows, and the name of each image in the export."""

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
from rs_gpt4v_builders.export._images import store

_BATCH = 10_000  # rows: some 5 MB of messages as Python objects


@dataclass(frozen=True, slots=True)
class Material:
    """Rows to export.

    Args:
        configs: The splits of each config, as built.
        names: The name in the export of each image file, from `_images.image_names`.
        out: Folder to write into.
        images: How image files get there: one of `_images.PUT`.
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
        """Put every image into the export, once."""
        store(self.names, self.out, self.images)

    def splits(self) -> Iterator[tuple[str, datasets.Dataset]]:
        """Each split with its name, ``<config>-<split>``."""
        for config, splits in self.configs.items():
            for split, rows in splits.items():
                yield f"{config}-{split}", rows

    def split_names(self) -> list[str]:
        """The splits that any config has, in order."""
        return list(dict.fromkeys(str(split) for of in self.configs.values() for split in of))

    def batches(self, rows: datasets.Dataset, what: str) -> Iterator[pa.Table]:
        """The rows in order, some at a time, their ``images`` as lists of names in the export."""
        bar = tqdm(total=rows.num_rows, desc=what, unit="row", leave=False, disable=None)
        with bar:
            for table in _tables(rows):
                place = table.schema.get_field_index("images")
                yield table.set_column(place, "images", self._named(table["images"]))
                bar.update(table.num_rows)

    def _named(self, images: pa.ChunkedArray) -> pa.Array:
        lists = images.combine_chunks()
        named = [self.names[path] for path in _paths(images).to_pylist()]
        lengths = pc.list_value_length(lists)
        offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
        return pa.ListArray.from_arrays(offsets, pa.array(named, pa.string()))


def _paths(images: pa.ChunkedArray) -> pa.Array:
    return pc.struct_field(images.combine_chunks().flatten(), "path")


def image_paths(parts: Iterable[datasets.Dataset]) -> set[str]:
    """The path of every image file that any row uses. No image is opened."""
    found: set[str] = set()
    for rows in parts:
        for table in _tables(rows.select_columns("images")):
            found.update(_paths(table["images"]).unique().to_pylist())
    return found


def refuse_marked(parts: Iterable[datasets.Dataset], markers: Iterable[str], tool: str) -> None:
    """Raise where a message holds what ``tool`` would not read as words.

    Raises:
        ValueError: Names the first such row and its marker.
    """
    for rows in parts:
        for table in _tables(rows.select_columns(["id", "messages"])):
            messages = table["messages"].combine_chunks()
            content, row = messages.flatten().field("content"), pc.list_parent_indices(messages)
            for marker in markers:
                holds = row.filter(pc.match_substring(content, marker))
                if len(holds):
                    raise ValueError(
                        f"{table['id'][holds[0].as_py()]}: its words hold {marker!r}, which {tool} "
                        "takes for a sign of its own. Mend the release, or export its other configs"
                    )


def _tables(rows: datasets.Dataset) -> Iterator[pa.Table]:
    """The rows as they are in Arrow, images as paths, some at a time."""
    tables: Any = rows.with_format("arrow").iter(_BATCH)
    return tables


def to_rows(batches: Iterable[pa.Table]) -> Iterator[dict[str, Any]]:
    """The rows of tables as Python objects, one at a time."""
    for table in batches:
        yield from table.to_pylist()


def marked(messages: list[dict[str, str]], images: list[str]) -> list[dict[str, str]]:
    """``messages`` with ``<image>`` for each image at the start of the first question.

    This is where LLaVA, LLaMA-Factory and ms-swift put the image; our rows have no marker.
    """
    first = next(place for place, message in enumerate(messages) if message["role"] == "user")
    words = "<image>\n" * len(images) + messages[first]["content"]
    return [*messages[:first], {"role": "user", "content": words}, *messages[first + 1 :]]


def write_json_list(path: Path, items: Iterable[object]) -> None:
    """Write a JSON list, an item a line, without holding it in memory."""
    with replacing(path) as file:
        opening = b"[\n"
        for item in items:
            file.write(opening + json_line(item).rstrip())
            opening = b",\n"
        file.write(b"\n]\n")
