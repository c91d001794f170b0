"""Unpacks a zip or tar that nobody vouches for: checked whole first, then in place at once."""

import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from tqdm import tqdm

from rs_gpt4v_builders.download.fetch import DownloadError, need_room

_SEPARATOR = re.compile(r"[\\/]")
_MOST_MEMBERS = 1_000_000
_MOST_TIMES_LARGER = 100  # photographs do not shrink: the releases' archives are 1 to 2
_ANY_RATIO_BELOW_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, NotImplementedError)


class UnpackError(DownloadError):
    """An archive is damaged or not to be trusted; the message names the member."""


@dataclass(frozen=True, slots=True)
class _Member:
    """One entry of an archive; ``kind`` is "file", "folder", or what else it is."""

    name: str
    size: int
    kind: str
    entry: Any


_Open = Callable[[Any], IO[bytes] | None]


def unpack(archive: Path, target: Path) -> None:
    """Make the folder ``target`` of the archive; it is not there, or complete.

    Where the archive holds a folder of ``target``'s name, or nothing but one folder, ``target`` is
    that one. A first pass reads what the archive says it holds, and nothing is written if any
    member is absolute, leaves the folder, is a link or device, or is out of proportion.

    Raises:
        UnpackError: So it is, or the archive is damaged or neither zip nor tar.
        DownloadError: The disk is too small.
    """
    unfinished = target.with_name(f".unpacking-{archive.name}")
    shutil.rmtree(unfinished, ignore_errors=True)  # what an interrupted call left
    try:
        with _opened(archive) as (members, _):
            total = _check(archive, members)
        need_room(target.parent, total, f"{archive.name}, unpacked,")
        unfinished.mkdir()
        with _opened(archive) as (members, open_member):
            _write(archive, members, open_member, unfinished, total)
        _top(unfinished, target.name).rename(target)
    except _DAMAGED as error:
        raise UnpackError(
            f"{archive} is damaged: {error}. Delete it and give the same command again."
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[Iterator[_Member], _Open]]:
    """The members of an archive, in its order, and what opens one to be read."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as file:
            yield map(_of_zip, file.infolist()), file.open
    elif archive.name.endswith((".tar", ".tar.gz", ".tgz")):
        with tarfile.open(archive) as file:
            yield map(_of_tar, file), file.extractfile
    else:
        raise UnpackError(
            f"{archive} is neither zip nor tar. Unpack it with another tool: `unar` or `7z x`."
        )


def _of_zip(entry: zipfile.ZipInfo) -> _Member:
    kind = "folder" if entry.is_dir() else "file"
    if stat.S_ISLNK(entry.external_attr >> 16):
        kind = "link"
    elif entry.flag_bits & 1:
        kind = "member under a password"
    return _Member(entry.filename, entry.file_size, kind, entry)


def _of_tar(entry: tarfile.TarInfo) -> _Member:
    kind = "file" if entry.isreg() else "folder" if entry.isdir() else "device"
    if entry.issym() or entry.islnk():
        kind = "link"
    return _Member(entry.name, entry.size if entry.isreg() else 0, kind, entry)


def _check(archive: Path, members: Iterator[_Member]) -> int:
    """The bytes that the members say they have in all.

    Raises:
        UnpackError: A member is not to be trusted.
    """
    most = max(_ANY_RATIO_BELOW_BYTES, archive.stat().st_size * _MOST_TIMES_LARGER)
    total = 0
    seen: set[str] = set()
    for number, member in enumerate(members, 1):
        total += member.size
        if problem := _problem(member, seen):
            raise _refused(archive, member, problem)
        if total > most:
            raise _refused(archive, member, f"it and those before have more than {most:,} bytes")
        if number > _MOST_MEMBERS:
            raise _refused(archive, member, f"it is one of more than {_MOST_MEMBERS:,}")
        seen.add(member.name)
    return total


def _problem(member: _Member, seen: set[str]) -> str | None:
    if member.kind not in ("file", "folder"):
        return f"it is a {member.kind}"
    if PureWindowsPath(member.name).anchor or ".." in _SEPARATOR.split(member.name):
        return "it leads out of the folder"
    if member.kind == "file" and member.name in seen:
        return "two members have this name"
    return None


def _refused(archive: Path, member: _Member, problem: str) -> UnpackError:
    return UnpackError(
        f"{archive} is not unpacked: of its member {member.name!r}, {problem}. This is not how the "
        "release is packed; take it from its home page."
    )


def _write(
    archive: Path, members: Iterator[_Member], open_member: _Open, folder: Path, total: int
) -> None:
    with tqdm(total=total, desc=folder.name[1:], unit="B", unit_scale=True, disable=None) as bar:
        for member in members:
            place = folder / PurePosixPath(member.name)
            if member.kind == "folder":
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            stream = open_member(member.entry)
            if stream is None or _copy(stream, place, member.size) != member.size:
                raise _refused(archive, member, f"it has not the {member.size:,} bytes it states")
            bar.update(member.size)


def _copy(stream: IO[bytes], place: Path, most: int) -> int:
    """The bytes written; it stops after the first beyond ``most``."""
    written = 0
    with stream, place.open("xb") as file:
        while written <= most and (chunk := stream.read(min(_CHUNK_BYTES, most + 1 - written))):
            written += file.write(chunk)
    return written


def _top(folder: Path, name: str) -> Path:
    """The folder in ``folder`` that is meant: one of that name, the only one, or itself."""
    if (folder / name).is_dir():
        return folder / name
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder
