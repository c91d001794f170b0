"""What each image file is known by: its bytes, its pixels, and how it looks.

The answers are kept in an SQLite file by path, size and time of change: an interrupted run goes on
where it was, and the next one reads only what is new.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets.config import HF_DATASETS_CACHE
from PIL import Image
from tqdm import tqdm

from rs_gpt4v.images import ImageError, open_image, read_file

THUMBNAIL_PX = 32  # less cannot tell two runways apart

_TABLE = "images_v2"  # another number where the columns mean something else
_BATCH = 256
_DIGEST_BYTES = 16


class CacheError(OSError):
    """The file of kept answers cannot be used; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Images:
    """Image files and what they are known by, in the order of ``paths``.

    Args:
        paths: Real paths, each once.
        content: A number for each; equal numbers, equal bytes.
        pixels: The same for the decoded RGB pixels, so that a lossless copy in another format is
            found. A file that cannot be decoded has a number of its own.
        dhash: 64 bits: whether the picture, shrunk to 9 x 8, gets lighter to the right.
        thumbnails: ``(n, 32, 32)`` grey values.
    """

    paths: list[str]
    content: np.ndarray
    pixels: np.ndarray
    dhash: np.ndarray
    thumbnails: np.ndarray


def default_cache() -> Path:
    """Where answers are kept: in the cache folder of `datasets`."""
    return cache_in(HF_DATASETS_CACHE)


def cache_in(folder: str | Path) -> Path:
    """The file of answers in a cache folder of `datasets`."""
    return Path(folder).expanduser() / "rs_gpt4v_images.sqlite"


def read_images(paths: Sequence[str], cache: Path) -> Images:
    """What the image files ``paths`` (real paths, each once) are known by.

    Raises:
        FileNotFoundError: A file is not there.
        CacheError: ``cache`` cannot be used.
    """
    identities = [_identity(path) for path in paths]
    cache.parent.mkdir(parents=True, exist_ok=True)
    try:
        known = _all_known(cache, identities)
    except sqlite3.Error as error:
        raise CacheError(
            f"{cache}: {error}. It only saves time: delete it, or make room on its disk, and give "
            "the same command again"
        ) from error
    rows = [known[identity] for identity in identities]
    content, pixels, dhash, thumbnails = zip(*rows, strict=True) if rows else ([], [], [], [])
    return Images(
        list(paths),
        pd.factorize(np.array(content, object))[0],
        pd.factorize(np.array(pixels, object))[0],
        np.frombuffer(b"".join(dhash), ">u8").astype(np.uint64),
        np.frombuffer(b"".join(thumbnails), np.uint8).reshape(-1, THUMBNAIL_PX, THUMBNAIL_PX),
    )


_Identity = tuple[str, int, int]
_Known = tuple[bytes, bytes, bytes, bytes]


def _all_known(cache: Path, identities: Sequence[_Identity]) -> dict[_Identity, _Known]:
    """The answers that are kept, and those that lack, which are added."""
    # Processes of one build share the file: wait for each other's short writes.
    with closing(sqlite3.connect(cache, timeout=120)) as database:
        database.execute(
            f"CREATE TABLE IF NOT EXISTS {_TABLE} (path TEXT PRIMARY KEY, size INTEGER, "
            "mtime_ns INTEGER, content BLOB, pixels BLOB, dhash BLOB, thumbnail BLOB)"
        )
        known = _known(database, identities)
        new = [identity for identity in identities if identity not in known]
        known.update(_read_new(database, new))
    return known


def _identity(path: str) -> _Identity:
    stat = os.stat(path)  # noqa: PTH116 - for 70,000 images pathlib takes as long again
    return path, stat.st_size, stat.st_mtime_ns


def _known(
    database: sqlite3.Connection, identities: Sequence[_Identity]
) -> dict[_Identity, _Known]:
    wanted = set(identities)
    rows = database.execute(
        f"SELECT path, size, mtime_ns, content, pixels, dhash, thumbnail FROM {_TABLE}"
    )
    return {row[:3]: row[3:] for row in rows if row[:3] in wanted and _is_whole(row[3:])}


def _is_whole(answer: tuple[Any, ...]) -> bool:
    """Whether a kept answer is one; any other is made anew."""
    sizes = (_DIGEST_BYTES, _DIGEST_BYTES, 8, THUMBNAIL_PX**2)
    return all(
        isinstance(part, bytes) and len(part) == size
        for part, size in zip(answer, sizes, strict=True)
    )


def _read_new(
    database: sqlite3.Connection, new: Sequence[_Identity]
) -> Iterator[tuple[_Identity, _Known]]:
    """Read files, some at a time, and keep the answers at once."""
    left = iter(new)
    # Threads: Pillow and hashlib let go of the interpreter for nearly all of the work.
    with (
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(new), desc="Reading images", unit="image", disable=not new) as bar,
    ):
        while batch := list(islice(left, _BATCH)):
            answers = list(pool.map(known_by, (path for path, _, _ in batch)))
            rows = [(*identity, *answer) for identity, answer in zip(batch, answers, strict=True)]
            with database:
                database.executemany(
                    f"INSERT OR REPLACE INTO {_TABLE} VALUES (?, ?, ?, ?, ?, ?, ?)",
                    rows,
                )
            bar.update(len(batch))
            yield from zip(batch, answers, strict=True)


def known_by(path: str) -> _Known:
    """Digest of the bytes, digest of the pixels, dHash (big-endian) and thumbnail of a file."""
    file = read_file(path)
    content = _digest(file)
    try:
        rgb = open_image(file).convert("RGB")
    except ImageError:
        return content, content, bytes(8), bytes(THUMBNAIL_PX**2)
    pixels = _digest(str(rgb.size).encode(), rgb.tobytes())
    grey = rgb.convert("L")
    small = np.asarray(grey.resize((9, 8), Image.Resampling.BOX))
    thumbnail = grey.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    return content, pixels, np.packbits(small[:, 1:] > small[:, :-1]).tobytes(), thumbnail.tobytes()


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for part in parts:
        digest.update(part)
    return digest.digest()
