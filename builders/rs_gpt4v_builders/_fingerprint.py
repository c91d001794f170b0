"""The cache key of a build: the code that decides the rows, and the identity of the raw files."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import rs_gpt4v
import rs_gpt4v_builders
from rs_gpt4v.source import ImageFinder, Source


def fingerprint(sources: Sequence[Source], root: Path | None, *, images: bool) -> str:
    """16 hex digits that change when the code, an annotation file or a folder of images does.

    Files are known by path, size and time of change, so that a set of any size opens at once.
    With ``images`` each image counts too: a build that skips missing images depends on them all.
    Each file in a folder of annotations always does: 0.1 s for the 17,402 of DIOR-RSVG.
    """
    digest = hashlib.sha256()
    for file in _code():
        digest.update(file.read_bytes())
    for source in sources:
        for line in _raw_files(source, root, images=images):
            digest.update(line.encode())
    return digest.hexdigest()[:16]


def _code() -> list[Path]:
    packages = (rs_gpt4v, rs_gpt4v_builders)
    folders = [Path(package.__path__[0]) for package in packages]
    folders.append(folders[1] / "audit")  # decides what exclude_leaks leaves out
    return [file for folder in folders for file in sorted(folder.glob("*.py"))]


def _raw_files(source: Source, root: Path | None, *, images: bool) -> Iterator[str]:
    folder = source.find(root) if root else None
    if folder is None:
        return
    for path in (source.path(folder, file) for file in source.annotation_files()):
        if path.is_dir():
            yield from _folders(path, files=True)
        elif path.is_file():
            yield _identity(path)
    for top in (*ImageFinder(source, folder).folders.values(), *source.named_images(folder)):
        if top != folder.parent:  # the data root holds images, and much else
            yield from _folders(top, files=images)


def _folders(top: Path, *, files: bool) -> Iterator[str]:
    """The identity of a folder and of those in it, and of their ``files`` if asked for."""
    seen: set[str] = set()
    for parent, folders, names in os.walk(top, followlinks=True):
        if (real := os.path.realpath(parent)) in seen:  # links that lead in a circle
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield _identity(parent)
        if files:
            yield from (_identity(f"{parent}/{name}") for name in sorted(names))


def _identity(path: Path | str) -> str:
    try:
        stat = os.stat(path)  # noqa: PTH116 - for 31,500 images pathlib takes as long again
    except OSError:  # a link to nowhere, or to itself
        return f"{path} absent\n"
    return f"{path} {stat.st_size} {stat.st_mtime_ns}\n"
