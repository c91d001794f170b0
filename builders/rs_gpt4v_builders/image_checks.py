"""Decodes each image once, at the build: what training would fail at is known before it begins.

The answers are kept in an SQLite file in the cache of `datasets`, by the image's path, size and
time of change, so that the next config or build decodes only what is new. What is converted is
written there too, as a PNG, under the hash of the original's bytes.
"""

import hashlib
import logging
import os
import sqlite3
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import PIL
from PIL.PngImagePlugin import PngInfo
from tqdm import tqdm

from rs_gpt4v import images
from rs_gpt4v.files import replacing

DATABASE, CONVERTED = "rs_gpt4v_images.sqlite", "rs_gpt4v_converted"
"""What they are called in the cache folder of `datasets`."""

logger = logging.getLogger(__name__)

_TABLE = "checks_v2"  # another number where the columns or the rules mean something else
_BATCH = 256
_WORTH_A_BAR = 1_000


class Checked(NamedTuple):
    """The file that a row holds, its width and height in pixels, and what is wrong, if anything.

    ``problem`` is kind and reason, a `rs_gpt4v.records.PROBLEM`.
    """

    path: str
    width: int | None
    height: int | None
    problem: tuple[str, str] | None


class _Identity(NamedTuple):
    path: str
    size: int
    mtime_ns: int


def check_images(
    paths: Sequence[str], cache: Path, conversion: images.Conversion = images.AS_IS
) -> list[Checked]:
    """Whether each of ``paths`` can be decoded, and how large it is.

    Args:
        paths: Image files, each once.
        cache: The cache folder of `datasets`.
        conversion: What is done with images that are not 8-bit; those of the answers that were
            converted name the copy.
    """
    identities = [_identity(path) for path in paths]
    with closing(_Memory(cache, conversion)) as memory:
        known = memory.known()
        new = [item for item in identities if isinstance(item, _Identity) and item not in known]
        known |= _check_new(new, memory, cache, conversion)
    return [item if isinstance(item, Checked) else known[item] for item in identities]


def _identity(path: str) -> _Identity | Checked:
    try:
        stat = os.stat(path)  # noqa: PTH116 - for 70,000 images pathlib takes as long again
    except (OSError, ValueError):
        return _checked(path, Path(), images.AS_IS)
    return _Identity(path, stat.st_size, stat.st_mtime_ns)


def _check_new(
    new: Sequence[_Identity], memory: "_Memory", cache: Path, conversion: images.Conversion
) -> dict[_Identity, Checked]:
    found: dict[_Identity, Checked] = {}
    left = iter(new)
    is_quiet = len(new) < _WORTH_A_BAR or not datasets.is_progress_bar_enabled()
    with (
        warnings.catch_warnings(),
        # Threads: Pillow lets go of the interpreter while it decodes.
        ThreadPoolExecutor(os.cpu_count()) as pool,
        tqdm(total=len(new), desc="Checking images", unit="image", disable=is_quiet) as bar,
    ):
        # Pillow warns of what the answer says, and of oddities that do no harm.
        warnings.simplefilter("ignore")
        while batch := list(islice(left, _BATCH)):
            answers = pool.map(lambda item: _checked(item.path, cache, conversion), batch)
            some = dict(zip(batch, answers, strict=True))
            memory.keep(some)
            found |= some
            bar.update(len(batch))
    return found


def _checked(path: str, cache: Path, conversion: images.Conversion) -> Checked:
    try:
        size, converted = images.checked(path, conversion)
        if converted is None:
            return Checked(path, *size, None)
        copy = cache / CONVERTED / str(conversion) / _digest(path) / f"{Path(path).stem}.png"
    except images.ImageError as error:
        return Checked(path, None, None, (error.kind, str(error)))
    if not copy.is_file():
        copy.parent.mkdir(parents=True, exist_ok=True)
        said = PngInfo()
        said.add_text("Comment", f"rs-gpt4v: {Path(path).name}, {conversion}")
        with replacing(copy) as file:
            converted.save(file, "PNG", pnginfo=said)
    return Checked(str(copy), *size, None)


def _digest(path: str) -> str:
    return hashlib.sha256(images.read_file(path)).hexdigest()[:16]


class _Memory:
    """The answers of earlier builds; where the file cannot be used there are none."""

    def __init__(self, cache: Path, conversion: images.Conversion) -> None:
        # Another Pillow may decode otherwise.
        self._rules = f"{conversion} Pillow {PIL.__version__}"
        self._database: sqlite3.Connection | None = None
        try:
            cache.mkdir(parents=True, exist_ok=True)
            # Processes of one build share the file: wait for each other's short writes.
            self._database = sqlite3.connect(cache / DATABASE, timeout=120)
            self._database.execute(
                f"CREATE TABLE IF NOT EXISTS {_TABLE} (path TEXT, size INTEGER, mtime_ns INTEGER, "
                "rules TEXT, used TEXT, width INTEGER, height INTEGER, kind TEXT, "
                "reason TEXT, "
                "PRIMARY KEY (path, rules))"
            )
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    def close(self) -> None:
        """Let go of the file."""
        if self._database:
            self._database.close()

    def known(self) -> dict[_Identity, Checked]:
        """What is known, of images as they were; not of those whose converted copy is gone."""
        return {
            _Identity(*row[:3]): Checked(*row[3:6], problem=row[6:] if row[6] else None)
            for row in self._rows()
            if row[0] == row[3] or os.path.isfile(row[3])  # noqa: PTH113
        }

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        if self._database is None:
            return
        try:
            yield from self._database.execute(
                "SELECT path, size, mtime_ns, used, width, height, kind, reason "
                f"FROM {_TABLE} WHERE rules = ?",
                (self._rules,),
            )
        except sqlite3.Error as error:
            self._give_up(error)

    def keep(self, found: dict[_Identity, Checked]) -> None:
        """Remember the answers."""
        if self._database is None:
            return
        rows = [
            (*item, self._rules, *answer[:3], *(answer.problem or (None, None)))
            for item, answer in found.items()
        ]
        try:
            with self._database:
                self._database.executemany(
                    f"INSERT OR REPLACE INTO {_TABLE} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
                )
        except (sqlite3.Error, UnicodeEncodeError) as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        logger.warning("images are checked anew in each build, as nothing can be kept: %s", error)
        self.close()
        self._database = None
