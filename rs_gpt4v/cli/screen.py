"""What a long verb shows on a terminal: a line and a bar a step. All else printed goes to a log."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

_WIDTH = 80  # of a narrow terminal


class Screen:
    """Lines on the standard output, and bars on the standard error if that is a terminal.

    Args:
        steps: How many there will be.
        lines: Where lines go.
        bars: Where bars go.
    """

    def __init__(self, steps: int, lines: TextIO, bars: TextIO) -> None:
        self._steps = steps
        self._lines = lines
        self._bars = bars
        self._done = 0

    def say(self, text: str) -> None:
        """Write a line."""
        print(text, file=self._lines, flush=True)

    @contextmanager
    def step(self, text: str, total: int) -> Iterator[Any]:
        """Name a step of ``total`` parts, and yield its bar."""
        self._done += 1
        self.say(f"{self._done}/{self._steps}  {text}")
        started = time.monotonic()
        form = "     {percentage:3.0f} % |{bar}| {elapsed}"
        columns = min(shutil.get_terminal_size().columns, _WIDTH)
        remaining = f"{form}, {{remaining}} to go"
        # A bar is drawn anew all the time: where that makes lines, the time it took is enough.
        with tqdm(
            total=total, file=self._bars, disable=None, ncols=columns, bar_format=remaining
        ) as bar:
            is_drawn = not bar.disable
            yield bar
            bar.bar_format = form
        if not is_drawn:
            self.say(f"     done in {time.monotonic() - started:.0f} s")


@contextmanager
def screen(steps: int, log: Path) -> Iterator[Screen]:
    """Send what anyone prints, libraries in C too, to the end of ``log``; only a `Screen` shows."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    encoding = sys.stdout.encoding or "utf-8"
    lines, bars = (os.fdopen(fd, "w", encoding=encoding, errors="replace") for fd in kept)
    with lines, bars, log.open("ab") as file:
        for fd in (1, 2):
            os.dup2(file.fileno(), fd)
        try:
            yield Screen(steps, lines, bars)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for fd, own in ((1, lines), (2, bars)):
                os.dup2(own.fileno(), fd)
