"""The files that we write, and the JSON of others that we read.

A file is written whole or not at all (`replacing`), or it only ever grows by whole lines
(`appending`). JSON is read against a schema, so that the rest of the code can trust its types.
Half a surrogate pair is no text: a line that holds one is refused when it is read.
"""

import codecs
import json
import os
import re
import reprlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NewType, TypeAlias, TypeVar

from filelock import FileLock, Timeout

T = TypeVar("T")

AnyPath: TypeAlias = str | os.PathLike[str]
"""What functions for users take as a path."""

UNFINISHED = ".part"
"""What the name of a file ends with that is not whole yet."""

_JSON_PROBLEMS = {
    "recursion limit": "it is nested too deeply",
    "number out of range": "a number has thousands of digits",
    "hex escape": "it holds half a surrogate pair, which is no text",
    "invalid unicode": "it holds bytes that are no UTF-8",
}


class InvalidFileError(ValueError):
    """A file does not hold what it should; the message names the file, the line and the field.

    ``file`` is its path where it is known, for those who go on with other files.
    """

    file: str | None = None


@contextmanager
def of_file(path: AnyPath) -> Iterator[None]:
    """Let the errors of ``path`` know which file they are of."""
    try:
        yield
    except InvalidFileError as error:
        error.file = error.file or os.fspath(path)
        raise


def each_alone(
    make: Callable[[list[Path]], T], files: Iterable[AnyPath], failed: list[str] | None = None
) -> tuple[T, list[Path]]:
    """What ``make`` gives for ``files``, and those it could use: a damaged file fails alone.

    Args:
        make: Raises an `InvalidFileError` of the file (`of_file`) that it cannot use.
        files: What it shall use.
        failed: Gets the message of each that it cannot; None: the first one is raised.

    Raises:
        InvalidFileError: No file could be used, or what is wrong is not of one file.
    """
    kept = [Path(file) for file in files]
    try:
        return make(kept), kept
    except ValueError as error:
        own = [file for file in kept if str(file) == getattr(error, "file", None)]
        if failed is None or not (own or failed):
            raise
        failed.append(str(error))
        rest = [file for file in kept if file not in own]
        if not (own and rest):
            if len(failed) == 1:
                raise
            raise InvalidFileError("\n".join(failed)) from error
    return each_alone(make, rest, failed)


class OverwriteError(ValueError):
    """A file that is to be written is one that is read."""


class InUseError(ValueError):
    """Another process is writing the file; the message says what to do."""


@contextmanager
def replacing(path: AnyPath) -> Iterator[Any]:
    """Open a file that takes the place of ``path`` once whole and on disk; a failed one is gone.

    Of several processes that write one path at once, the last to end has its file there, whole.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)  # closed by now: Windows renames no open file
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(out: AnyPath, text: str) -> None:
    """Write ``text`` to ``out``, which is replaced whole or not at all.

    Raises:
        ValueError: ``out`` is a folder.
    """
    out = Path(out)
    if out.is_dir():
        raise ValueError(f"{out} is a folder: give the file a name, such as {out / 'page.html'}")
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as file:
        file.write(_encoded(text))


def write_json_lines(path: AnyPath, rows: Iterable[object]) -> None:
    """Write a JSON value a line to ``path``, which is replaced whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.writelines(json_line(row) for row in rows)


def json_line(row: object) -> bytes:
    """``row`` as JSON in UTF-8, with its newline."""
    return _encoded(json.dumps(row, ensure_ascii=False) + "\n")


def _encoded(text: str) -> bytes:
    # Names of files may hold bytes that are no UTF-8; one of them must not cost all the others.
    return text.encode(errors="replace")


@contextmanager
def locked(path: AnyPath) -> Iterator[None]:
    """Let no other process come here with ``path`` meanwhile; it has ``path.lock`` beside it then.

    Raises:
        InUseError: Another one is here.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(f"{path.name}.lock")
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InUseError(
            f"another process is writing {path}: wait for it or stop it, or name another file"
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file; filelock does it there
            file.unlink()
        lock.release()


@contextmanager
def appending(path: AnyPath) -> Iterator[Callable[[bytes], None]]:
    """Open ``path`` to add lines; the function that is yielded returns once they are on disk.

    A last line that a kill cut short is cut off first; a whole one that lacks its newline gets it.

    Raises:
        OSError: Lines could not be written, as on a full disk; the file is as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:

        def append(lines: bytes) -> None:
            end = file.seek(0, os.SEEK_END)
            try:
                _write_all(file, lines)
            except OSError:
                file.truncate(end)
                raise

        content = path.read_bytes()
        last = content[content.rfind(b"\n") + 1 :]
        if is_cut_short(last):
            file.truncate(len(content) - len(last))
        elif last:
            append(b"\n")
        yield append


def _write_all(file: Any, content: bytes) -> None:
    while content:  # unbuffered: a disk that fills up takes a part of it, and then nothing
        content = content[file.write(content) :]
    os.fsync(file.fileno())


def is_cut_short(line: bytes) -> bool:
    """Whether a file's last ``line``, without a newline, is the beginning of a JSON object."""
    if not line.startswith(b"{"):
        return False
    try:
        json.loads(line.decode(errors="replace"), parse_int=str)
    except RecursionError:
        return False
    except ValueError:
        return True
    return False


def whole_lines(path: AnyPath) -> Iterator[tuple[int, bytes]]:
    """The lines of ``path``, numbered from 1, without blank ones and one that a kill cut short."""
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, start=1):
            cut_short = not line.endswith(b"\n") and is_cut_short(line)
            if not cut_short and not line.isspace():
                yield number, line.rstrip(b"\r\n")


def read_json_lines(path: AnyPath, schema: type[T]) -> Iterator[T]:
    """The values of a file of JSON lines, each as ``schema`` describes it.

    Blank lines are skipped, and a last one that a kill cut short; see `appending`.

    Args:
        path: The file, in UTF-8.
        schema: A `TypedDict` of `typing_extensions`, or another type that pydantic knows. Types are
            strict ("1" is no number, NaN neither); keys that it does not name are kept.

    Raises:
        InvalidFileError: A line is not like that.
        OSError: The file cannot be read.
    """
    for number, line in whole_lines(path):
        yield parse_json(line, schema, f"{path}, line {number}")


def read_json(path: AnyPath, schema: type[T]) -> T:
    """The value of a JSON file, as ``schema`` describes it; see `read_json_lines`.

    Raises:
        InvalidFileError: It is not like that.
        OSError: The file cannot be read.
    """
    return parse_json(Path(path).read_bytes(), schema, str(path))


def parse_json(content: bytes, schema: type[T], where: str) -> T:
    """The value of a JSON text, as ``schema`` describes it; see `read_json_lines`.

    Args:
        content: The text, in UTF-8.
        schema: As there.
        where: What the error begins with, such as the file and the line.

    Raises:
        InvalidFileError: It is not like that.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InvalidFileError(f"{where}: it is UTF-16; save it as UTF-8")
    validate, error_type = _validator(schema)
    try:
        return validate(content.removeprefix(codecs.BOM_UTF8))
    except error_type as error:
        raise InvalidFileError(
            f"{where}: {_problem(error.errors(include_url=False)):.400}"
        ) from None


@lru_cache
def _validator(schema: Any) -> tuple[Callable[[bytes], Any], Any]:
    """What reads a JSON text of ``schema``, and the type of its errors."""
    from pydantic import ConfigDict, TypeAdapter, ValidationError  # not before: a tenth of a second

    rules = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)
    # Of a TypedDict itself, pydantic takes no rules from outside; of a NewType, it does.
    named: Any = NewType("named", schema)  # pyright: ignore
    return TypeAdapter(named, config=rules).validate_json, ValidationError


def _problem(errors: list[Any]) -> str:
    first, *_ = errors
    if first["type"] == "json_invalid":
        error = first["ctx"]["error"]
        reason = next((text for sign, text in _JSON_PROBLEMS.items() if sign in error), error)
        return f"not JSON: {reason}"
    if missing := [error for error in errors if error["type"] == "missing"]:
        absent = ", ".join(_field(error["loc"]) for error in missing)
        seen = ", ".join(missing[0]["input"])
        return f"it lacks {absent}; it has {seen or 'nothing'}"
    value = f"{reprlib.repr(first['input']):.80}"
    expected = re.sub(r"^\w+ (should (be|have)|error,) | after validation.*", "", first["msg"])
    return f"{_field(first['loc'])} is {value}; expected {expected}"


def _field(location: tuple[str | int, ...]) -> str:
    """``location`` as people write it: ``boxes[0].points``."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".") or "it"


def printable(text: str) -> str:
    """``text`` for files and logs: halves of surrogate pairs, which are no text, as their codes."""
    return text.encode(errors="backslashreplace").decode()


def relative(path: AnyPath, folder: AnyPath) -> str:
    """``path`` as seen from ``folder``, with slashes; absolute where they are on two drives."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # Windows: no way leads from C: to D:
        return Path(path).absolute().as_posix()


def refuse_overwriting(outputs: Iterable[AnyPath | None], inputs: Iterable[AnyPath | None]) -> None:
    """Raise if one of ``outputs`` is one of ``inputs``, or another of ``outputs``.

    They may be the same through links, or on a disk that knows no upper and lower case. Of an
    input that is a folder, no file may be replaced. None stands for a path that was not given.

    Raises:
        OverwriteError: Naming both.
    """
    written: list[Path] = []
    read = [Path(path) for path in inputs if path is not None]
    for out in (Path(path) for path in outputs if path is not None):
        for path in (*read, *written):
            if _is_same(out, path) or (path.is_dir() and out.is_file() and _is_inside(out, path)):
                use = "read" if path in read else "written as well"
                raise OverwriteError(
                    f"writing {out} would overwrite {path}, which is {use}: name another file to "
                    "write"
                )
        written.append(out)


def _is_same(one: Path, other: Path) -> bool:
    try:
        if one.samefile(other):
            return True
    except OSError:  # one is not there
        pass
    return _folded(one) == _folded(other)


def _is_inside(path: Path, folder: Path) -> bool:
    return any(parent.samefile(folder) for parent in path.resolve().parents)


def _folded(path: Path) -> str:
    return str(path.resolve()).casefold()
