"""Unpacks an archive whose checksum is known: beside its folder, which is there at once or not."""

import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rs_gpt4v_builders.download.fetch import DownloadError, need_room

_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, NotImplementedError)


class UnpackError(DownloadError):
    """An archive is damaged, or neither zip nor tar."""


def unpack(archive: Path, target: Path) -> None:
    """Make the folder ``target`` of the archive; it is not there, or complete.

    Where the archive holds a folder of ``target``'s name, or nothing but one folder, ``target`` is
    that one.

    Raises:
        UnpackError: The archive is damaged, or neither zip nor tar.
        DownloadError: The disk is too small.
    """
    unfinished = target.with_name(f".unpacking-{archive.name}")
    shutil.rmtree(unfinished, ignore_errors=True)  # what an interrupted call left
    try:
        with _opened(archive) as (sizes, extract):
            need_room(target.parent, sum(sizes.values()), f"{archive.name}, unpacked,")
            unfinished.mkdir()
            for member in tqdm(sizes, desc=archive.name, unit="file", disable=None):
                extract(member, unfinished)
        _top(unfinished, target.name).rename(target)
    except _DAMAGED as error:
        raise UnpackError(
            f"{archive} is damaged: {error}. Delete it and give the same command again."
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[dict[Any, int], Callable[[Any, Path], object]]]:
    """The members of an archive with their bytes, and what extracts one into a folder."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as file:
            yield {member: member.file_size for member in file.infolist()}, file.extract
    elif archive.name.endswith((".tar", ".tar.gz", ".tgz")):
        with tarfile.open(archive) as file:
            yield {member: member.size for member in file}, partial(file.extract, filter="data")
    else:
        raise UnpackError(
            f"{archive} is neither zip nor tar. Unpack it with another tool: `unar` or `7z x`."
        )


def _top(folder: Path, name: str) -> Path:
    """The folder in ``folder`` that is meant: one of that name, the only one, or itself."""
    if (folder / name).is_dir():
        return folder / name
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder
