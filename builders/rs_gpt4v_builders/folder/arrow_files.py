"""Rows of Parquet files and of Arrow files, as `datasets` saves them to disk.

Images may stand in the table, as bytes. Each is written once into the cache of `datasets`, under
the hash of its bytes, so that exports, predictions and the like find a file as of any other image.
"""

import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeGuard

import pyarrow as pa
import pyarrow.parquet as pq
from datasets.config import HF_DATASETS_CACHE

from rs_gpt4v.files import replacing
from rs_gpt4v.images import SUFFIXES
from rs_gpt4v_builders.image_checks import EMBEDDED
from rs_gpt4v_builders.sources.reading import AnnotationError

ARROW_SUFFIXES = (".parquet", ".arrow")

_ROWS = 64  # at a time: with images in them, a row may be megabytes
_BYTES_AND_PATH = {"bytes", "path"}
_SIGNS = {
    b"\x89PNG": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
    b"BM": ".bmp",
    b"RIFF": ".webp",
}
"""How files of each kind begin."""


def embedded_folder() -> Path:
    """Where images of tables are written."""
    return Path(HF_DATASETS_CACHE).expanduser() / EMBEDDED


def path_of(name: str, folder: Path) -> Path:
    """The file of an image's name in ``folder``, or of one that was in a table."""
    first, _, inner = name.partition("/")
    return embedded_folder() / inner if first == EMBEDDED else folder / name


def first_row(path: Path) -> dict[str, Any]:
    """The first row, its images unread; nothing where there is none."""
    rows = (row for batch in _batches(path, 1) for row in batch.to_pylist())
    return next((_with_images(row) for row in islice(rows, 1)), {})


def read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row with where it stands; an image is an object with its ``path``, a name for `path_of`.

    Images of a table that calls none of its columns so are all those columns, in their order.

    Raises:
        AnnotationError: The file is neither Parquet nor Arrow.
    """
    number = 0
    try:
        for batch in _batches(path, _ROWS):
            for row in batch.to_pylist():
                yield (
                    f"{path}, row {number}",
                    {k: _written(v) for k, v in _with_images(row).items()},
                )
                number += 1
    except (pa.ArrowException, OSError) as error:
        kind = "Parquet" if path.suffix.lower() == ".parquet" else "Arrow's format"
        raise AnnotationError(f"{path}: expected {kind}, but {error}") from error


def column_texts(path: Path, column: str) -> set[str]:
    """The different texts of a column."""
    if path.suffix.lower() == ".parquet":
        values = pq.read_table(path, columns=[column])[column].unique().to_pylist()
    else:
        values = [value for batch in _batches(path, 1000) for value in batch[column].to_pylist()]
    return {value for value in values if isinstance(value, str)}


def _batches(path: Path, size: int) -> Iterator[pa.RecordBatch]:
    if path.suffix.lower() == ".parquet":
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(size)
        return
    with pa.memory_map(str(path)) as file:
        for batch in pa.ipc.open_stream(file):
            for start in range(0, batch.num_rows, size):
                yield batch.slice(start, size)


def _with_images(row: dict[str, Any]) -> dict[str, Any]:
    if any(name.lower() in ("image", "images") for name in row):
        return row
    images = [value for value in row.values() if _is_image(value)]
    return row | {"images": images} if images else row


def _is_image(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and value.keys() == _BYTES_AND_PATH


def _written(value: Any) -> Any:
    if isinstance(value, list) and value and all(map(_is_image, value)):
        return [_written(each) for each in value]
    if not _is_image(value) or not value["bytes"]:
        return value
    content: bytes = value["bytes"]
    sign = next((suffix for sign, suffix in _SIGNS.items() if content.startswith(sign)), "")
    named = Path(value["path"] or "").suffix.lower()
    digest = hashlib.sha256(content).hexdigest()
    name = f"{digest[:2]}/{digest}{sign or (named if named in SUFFIXES else '')}"
    file = embedded_folder() / name
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as out:
            out.write(content)
    return {"path": f"{EMBEDDED}/{name}"}
