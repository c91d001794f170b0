"""What is known of image files, so that each is read once and not in every run.

The answers are kept in an SQLite file by the image's path, size and time of change: an interrupted
run goes on where it was, and the next one reads only what is new.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

DATABASE = "rs_gpt4v_images.sqlite"
"""What the file is called in the cache folder of `datasets`."""

Answer = tuple[Any, ...]

_BATCH = 256
_TIMEOUT_S = 120  # processes of one build share the file: wait for each other's short writes


class Identity(NamedTuple):
    """An image file as it is now, or as it was."""

    path: str
    size: int
    mtime_ns: int


def identity(path: str) -> Identity:
    """The image file as it is now."""
    stat = os.stat(path)  # noqa: PTH116 - for 70,000 images pathlib takes as long again
    return Identity(path, stat.st_size, stat.st_mtime_ns)


class ImageMemory:
    """A table of answers, tuples with a value for each column.

    Where ``columns`` mean something else, ``table`` needs another name. Answers found by other
    ``rules`` are not known. ``failed`` is called where ``file`` cannot be used, and none is kept.
    """

    def __init__(
        self,
        file: Path,
        table: str,
        columns: Sequence[str],
        failed: Callable[[Exception], object],
        rules: str = "",
    ) -> None:
        self._table, self._columns = table, ", ".join(("path", "size", "mtime_ns", *columns))
        self._failed, self._rules = failed, rules
        self._database: sqlite3.Connection | None = None
        with self._errors():
            file.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(file, timeout=_TIMEOUT_S)
            self._database.execute(
                f"CREATE TABLE IF NOT EXISTS {table} "
                f"({self._columns}, rules, PRIMARY KEY (path, rules))"
            )

    def close(self) -> None:
        """Let go of the file."""
        if self._database:
            self._database.close()
        self._database = None

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, UnicodeEncodeError) as error:
            self.close()
            self._failed(error)

    def answers(
        self,
        images: Sequence[Identity],
        examine: Callable[[str], Answer],
        is_usable: Callable[[Identity, Answer], bool],
        desc: str,
        *,
        bar_from: float = 1,
    ) -> dict[Identity, Answer]:
        """The answer about each image, found by ``examine(path)`` where no usable one is kept.

        The progress bar ``desc`` is shown where at least ``bar_from`` images are to be examined.
        """
        answers = {image: row for image, row in self._known(images) if is_usable(image, row)}
        new = [image for image in images if image not in answers]
        rest = iter(new)
        with (
            # Threads: Pillow and hashlib let go of the interpreter for nearly all of the work.
            ThreadPoolExecutor(os.cpu_count()) as pool,
            tqdm(total=len(new), desc=desc, unit="image", disable=len(new) < bar_from) as bar,
        ):
            while batch := list(islice(rest, _BATCH)):
                found = list(pool.map(examine, (image.path for image in batch)))
                self._keep(
                    [(*image, *a, self._rules) for image, a in zip(batch, found, strict=True)]
                )
                answers.update(zip(batch, found, strict=True))
                bar.update(len(batch))
        return answers

    def _known(self, images: Sequence[Identity]) -> Iterator[tuple[Identity, Answer]]:
        if self._database:
            with self._errors():
                query = f"SELECT {self._columns} FROM {self._table} WHERE rules = ?"
                wanted = set(images)
                for row in self._database.execute(query, (self._rules,)):
                    if row[:3] in wanted:
                        yield Identity(*row[:3]), row[3:]

    def _keep(self, rows: list[tuple[Any, ...]]) -> None:
        if self._database:
            marks = ", ".join("?" * len(rows[0]))
            with self._errors(), self._database:
                self._database.executemany(
                    f"INSERT OR REPLACE INTO {self._table} VALUES ({marks})", rows
                )
