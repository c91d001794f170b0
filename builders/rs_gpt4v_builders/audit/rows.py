"""The rows to audit: their ids, which image each is about, and what is asked and answered."""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v import NAME
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.sources.source import SourceNotFoundError
from rs_gpt4v_builders.usable_records import RecordError


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one split of one config: one for each image that a row has.

    A row about several images is here for each of them, and one without an image is not.

    Args:
        config: Its config.
        split: Its split; empty of a published mixture, which is all for training.
        ids: The rows' ids.
        image: For each row the position of its image in the list of all images.
        texts: For each row all its messages in one string.
        references: For each row all its accepted answers in one string.
        turns: Columns ``row`` (position), ``question`` and ``answer``, trimmed and in lower case;
            none for captions, of which an image has several on purpose.
    """

    config: str
    split: str
    ids: pa.Array
    image: np.ndarray
    texts: pa.Array
    references: pa.Array
    turns: pd.DataFrame

    @property
    def name(self) -> str:
        """As in ids: ``vqa_hr/train``; of a file without splits its name alone."""
        return f"{self.config}/{self.split}" if self.split else self.config

    @property
    def is_test(self) -> bool:
        """Whether scores are made on these rows."""
        return self.split.startswith("test")


def load_parts(
    configs: Mapping[str, Mapping[str, Any]],
    *,
    absent_allowed: bool,
    is_wanted: Callable[[str], bool] = lambda _: True,
) -> tuple[list[Part], list[str], dict[str, str]]:
    """The rows of ``configs``, their images' real paths, and why configs are absent.

    Wording is fixed, so that equal questions are equal strings.

    Args:
        configs: Options of ``load_dataset("rs_gpt4v", ...)`` by the names of configs, no groups.
        absent_allowed: Leave out a config that cannot be built, instead of raising.
        is_wanted: Whether to read a split.

    Raises:
        SourceNotFoundError: A release is absent and must not be, or no config can be built.
        AnnotationError: An annotation file is damaged, and no config may be left out.
        RecordError: A record cannot be used, and no config may be left out.
    """
    position: dict[str, int] = {}
    parts: list[Part] = []
    absent: dict[str, str] = {}
    for config, options in configs.items():
        splits = _load(config, options)
        if isinstance(splits, Exception):
            if not absent_allowed:
                raise splits
            absent[config] = str(splits)
        else:
            parts += [
                _part(config, str(split), rows, position)
                for split, rows in splits.items()
                if is_wanted(str(split))
            ]
    if len(absent) == len(configs):
        raise SourceNotFoundError(next(iter(absent.values())))
    return parts, list(position), absent


def _load(config: str, options: Mapping[str, Any]) -> datasets.DatasetDict | Exception:
    """The splits of a config, or why it cannot be built."""
    try:
        return datasets.load_dataset(NAME, config, wording="fixed", **options)
    except (SourceNotFoundError, AnnotationError, RecordError) as error:
        return error


def _part(config: str, split: str, rows: datasets.Dataset, position: dict[str, int]) -> Part:
    columns = rows.select_columns(["id", "images", "messages", "references", "task"]).with_format(
        "arrow"
    )
    ids, image, texts, references, turns = zip(*_batches(columns, position), strict=True)
    starts = np.cumsum([0, *(len(some) for some in ids[:-1])])
    moved = [some.assign(row=some["row"] + at) for some, at in zip(turns, starts, strict=True)]
    return Part(
        config,
        split,
        pa.concat_arrays(ids),
        np.concatenate(image),
        pa.concat_arrays(texts),
        pa.concat_arrays(references),
        pd.concat(moved, ignore_index=True),
    )


def _batches(
    columns: Any, position: dict[str, int]
) -> Iterator[tuple[pa.Array, np.ndarray, pa.Array, pa.Array, pd.DataFrame]]:
    for rows in columns.iter(batch_size=50_000):
        images = rows["images"].combine_chunks()
        batch = rows.take(pc.list_parent_indices(images))
        messages = batch["messages"].combine_chunks()
        content = pc.struct_field(messages.flatten(), "content")
        offsets = pc.subtract(messages.offsets, messages.offsets[0])
        texts = pc.binary_join(pa.ListArray.from_arrays(offsets, content), "\n\n")
        yield (
            batch["id"].combine_chunks(),
            _positions(images.flatten(), position),
            texts,
            pc.binary_join(batch["references"].combine_chunks(), "\n"),
            turns_of(messages, content, batch["task"].combine_chunks()),
        )


def _positions(images: pa.Array, position: dict[str, int]) -> np.ndarray:
    """The position of each image; a new one goes to the end."""
    paths = pc.struct_field(images, "path").dictionary_encode()
    real = [os.path.realpath(path) for path in paths.dictionary.to_pylist()]
    known = [position.setdefault(path, len(position)) for path in real]
    return np.array(known, np.int64)[paths.indices.to_numpy()]


def turns_of(messages: pa.Array, content: pa.Array, tasks: pa.Array) -> pd.DataFrame:
    """`Part.turns` of rows.

    Args:
        messages: Lists of "role" and "content", by row.
        content: Those of all messages.
        tasks: Of each row.
    """
    row = pc.list_parent_indices(messages)
    role = pc.struct_field(messages.flatten(), "role")
    is_question = pc.and_(pc.equal(role, "user"), pc.not_equal(tasks.take(row), "caption"))
    asked = np.flatnonzero(is_question.to_numpy(zero_copy_only=False))
    said = pc.utf8_lower(pc.utf8_trim_whitespace(content))
    return pd.DataFrame(
        {
            "row": row.to_numpy()[asked],
            "question": said.take(pa.array(asked)).to_pandas(),
            "answer": said.take(pa.array(asked + 1)).to_pandas(),
        }
    )
