"""Files of JSON lines that are only ever appended to, and what a kill leaves of the last line."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def whole_lines(path: Path, is_whole: Callable[[bytes], bool]) -> list[bytes]:
    """The lines of ``path``; a last one that a kill cut short is left out."""
    *lines, last = path.read_bytes().split(b"\n")
    # It may merely lack its final newline.
    return [*lines, last] if is_whole(last) else lines


def end_last_line(path: Path, file: BinaryIO, is_whole: Callable[[bytes], bool]) -> None:
    """Cut off a line that a kill cut short; give a whole one its newline.

    ``file`` is ``path``, open for appending.
    """
    content = path.read_bytes()
    last = content.rpartition(b"\n")[2]
    if is_whole(last):
        file.write(b"\n")
    elif last:
        file.truncate(len(content) - len(last))
