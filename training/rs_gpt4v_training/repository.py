"""Rows that were built elsewhere: a Hub repository, an export, a folder of Parquet files."""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v.conversation import FEATURES, InvalidConversationError, check
from rs_gpt4v.images import ImageError, checked
from rs_gpt4v_training.recipe import RecipeError

_OTHERS = ("id", "messages", "task", "width", "height")
COLUMNS = datasets.Features({name: FEATURES[name] for name in (*_OTHERS, "images")})
"""What training reads of a row."""

_SCHEMA = COLUMNS.arrow_schema


def load(repository: str, config: str, *, streaming: bool) -> dict[str, Any]:
    """The splits of a config of ``repository``: conversations with the columns of `COLUMNS`.

    TRL's minimal form of a row is enough, ``images`` and ``messages``. A row without an id is named
    by its place, ``<config>/<split>/<number>``; width and height are those of its first image.
    Rows are checked here, those that stream when they come.

    Raises:
        InvalidConversationError: A row cannot be learned from; it is named.
        ValueError: The columns are others, or the folder is in no form that `datasets` loads.
        RecipeError: The rows are WebDataset shards and shall not stream.
    """
    read = _streamed if streaming else loaded
    splits = as_stored(repository, config, streaming=streaming)
    return {str(split): read(rows, f"{config}/{split}") for split, rows in splits.items()}


def as_stored(repository: str, config: str, *, streaming: bool = False) -> dict[Any, Any]:
    """The splits of a config of ``repository``, unchecked.

    Raises:
        ValueError: The folder is in no form that `datasets` loads.
    """
    folder = Path(repository).expanduser()
    if any((folder / name).is_file() for name in ("dataset_dict.json", "state.json")):
        raise ValueError(
            f"repository: {folder} was written by save_to_disk, which load_dataset does not read. "
            "Write Parquet: datasets.load_from_disk(FOLDER).to_parquet('NEW/train.parquet')"
        )
    path = str(folder) if folder.is_dir() else repository
    splits: Any = datasets.load_dataset(path, config, streaming=streaming)
    return splits


def loaded(rows: datasets.Dataset, name: str) -> datasets.Dataset:
    """``rows`` of split ``name`` as conversations, checked; as `load`."""
    if "json" in rows.column_names:
        raise RecipeError("WebDataset shards are read as a stream: give streaming: true")
    _refuse_other_form(rows.features, name)
    # `datasets` keeps the result: rows that were checked once are not decoded again.
    others: Any = rows.with_format("arrow").map(
        partial(_checked, name=name, known={}),
        batched=True,
        with_indices=True,
        remove_columns=rows.column_names,
        features=datasets.Features({column: FEATURES[column] for column in _OTHERS}),
        desc=f"checking {name}",
    )
    table: Any = others.with_format("arrow")[:]
    check(table)  # an id of one batch may come again in another
    whole: Any = rows.with_format("arrow").select_columns("images")[:]
    return datasets.Dataset(
        table.append_column(_SCHEMA.field("images"), whole["images"]).cast(_SCHEMA),
        info=datasets.DatasetInfo(features=COLUMNS),
        split=rows.split,
        fingerprint=others._fingerprint,
    )


def _streamed(rows: Any, name: str) -> datasets.IterableDataset:
    read: Any = _unpacked(rows)
    rows = read._resolve_features()  # of JSON lines nothing is known before the first
    _refuse_other_form(rows.features, name)
    undecoded: Any = rows.decode(False)
    checked = undecoded.map(
        partial(_checked_batch, schema=rows.features.arrow_schema, name=name, known={}),
        batched=True,
        batch_size=16,
        with_indices=True,
        remove_columns=rows.column_names,
        features=COLUMNS,
    )
    return checked.decode(True)


def _unpacked(rows: datasets.IterableDataset) -> datasets.IterableDataset:
    """``rows`` as conversations; a sample of a WebDataset shard is one image with all its rows."""
    if rows.features is None or "json" not in rows.features:
        return rows
    undecoded: Any = rows.decode(False)
    flat = undecoded.map(
        _rows_of, batched=True, batch_size=1, remove_columns=rows.column_names, features=FEATURES
    )
    return flat.decode(True)


def _rows_of(sample: dict[str, list[Any]]) -> dict[str, list[Any]]:
    about = sample["json"][0]
    other = ("json", "__key__", "__url__")
    image = next(v[0] for name, v in sample.items() if name not in other and v[0] is not None)
    shared = {"images": [image], "width": about["width"], "height": about["height"]}
    rows = [row | shared for row in about["rows"]]
    return {name: [row[name] for row in rows] for name in FEATURES}


def _checked_batch(
    batch: dict[str, Any], numbers: list[int], *, schema: pa.Schema, **options: Any
) -> dict[str, Any]:
    others = _checked(pa.table(batch, schema=schema), numbers, **options)
    return others.to_pydict() | {"images": batch["images"]}


def _refuse_other_form(columns: datasets.Features, name: str) -> None:
    images, messages = (columns.get(column) for column in ("images", "messages"))
    message = getattr(messages, "feature", None)
    text = datasets.Value("string")
    is_ours = (
        isinstance(getattr(images, "feature", None), datasets.Image)
        and isinstance(message, dict)
        and all(message.get(side) == text for side in ("role", "content"))
    )
    if not is_ours:
        present = "; ".join(f"{column}: {kind}" for column, kind in columns.items())
        raise ValueError(
            f"repository: {name} has the columns {present}. Expected images: List(Image()) and "
            "messages: List of a role and a content, both texts without '<image>', as TRL has "
            "them and `rs-gpt4v export hub` writes them"
        )


def _checked(table: pa.Table, numbers: list[int], *, name: str, known: dict[str, Any]) -> pa.Table:
    """All of `COLUMNS` but the images, of rows that can be learned from.

    ``known`` keeps the sizes of image files: many rows may have the same image.
    """
    columns = {
        column: _cast(table, column, name)
        if column in table.column_names
        else pa.nulls(len(table), _SCHEMA.field(column).type)
        for column in _OTHERS
    }
    numbered = pa.array([f"{name}/{number}" for number in numbers], pa.string())
    columns["id"] = pc.coalesce(columns["id"], numbered)
    check(pa.table({column: columns[column] for column in ("id", "messages")}))
    sizes = _sizes(columns["id"].to_pylist(), table["images"].to_pylist(), known)
    for side, pixels in zip(("width", "height"), zip(*sizes, strict=True), strict=True):
        columns[side] = pc.coalesce(columns[side], pa.array(pixels, pa.int32()))
    return pa.table(columns)


def _cast(table: pa.Table, column: str, name: str) -> pa.Array:
    values = table[column].combine_chunks()
    try:
        return values.cast(_SCHEMA.field(column).type)
    except pa.ArrowException as error:
        raise ValueError(
            f"repository: {name}: the column {column} is {values.type}, of which no "
            f"{_SCHEMA.field(column).type} can be made. Leave it out, or convert it"
        ) from error


def _sizes(
    ids: list[str], rows: list[list[dict[str, Any]] | None], known: dict[str, Any]
) -> list[tuple[int | None, int | None]]:
    """Width and height of each row's first image, every image having been decoded.

    Raises:
        InvalidConversationError: An image cannot be; its row is named.
    """
    files = [[_file(image) for image in row or []] for row in rows]
    new = [file for file in dict.fromkeys(chain(*files)) if file not in known]
    with ThreadPoolExecutor() as threads:
        measured = dict(zip(new, threads.map(_size, new), strict=True))
    known |= {file: size for file, size in measured.items() if isinstance(file, str)}
    sizes = []
    for row, of_row in zip(ids, files, strict=True):
        of_images = [known.get(str(file)) or measured[file] for file in of_row]
        if problem := next((size for size in of_images if isinstance(size, ImageError)), None):
            raise InvalidConversationError(f"{row}: {problem}")
        sizes.append(of_images[0] if of_images else (None, None))
    return sizes


def _file(image: dict[str, Any] | None) -> str | bytes:
    image = image or {}
    return image.get("bytes") or image.get("path") or ""


def _size(file: str | bytes) -> tuple[int | None, int | None] | ImageError:
    if not file:
        return ImageError("its image has neither bytes nor a path")
    if isinstance(file, str) and "://" in file:
        return None, None  # of the Hub, streaming: `datasets` fetches it when it decodes it
    try:
        return checked(file).size
    except ImageError as error:
        return error
