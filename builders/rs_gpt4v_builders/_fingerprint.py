"""The cache key of a build: the code that decides the rows, and the identity of the raw files."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import rs_gpt4v
import rs_gpt4v_builders
from rs_gpt4v.source import ImageFinder, Source


def fingerprint(source: Source | None, root: Path | None, *, images: bool) -> str:
    """16 hex digits that change when the code, an annotation file or the images' folder does.

    Files are known by path, size and time of change, so that a set of any size opens at once.
    With ``images`` each image counts too: a build that skips missing images depends on them all.
    """
    digest = hashlib.sha256()
    for file in _code():
        digest.update(file.read_bytes())
    for line in _raw_files(source, root, images=images):
        digest.update(line.encode())
    return digest.hexdigest()[:16]


def _code() -> list[Path]:
    packages = (rs_gpt4v, rs_gpt4v_builders)
    return [f for package in packages for f in sorted(Path(package.__path__[0]).glob("*.py"))]


def _raw_files(source: Source | None, root: Path | None, *, images: bool) -> Iterator[str]:
    folder = source.find(root) if source and root else None
    if source is None or folder is None:
        return
    for file in source.annotation_files():
        if (folder / file).is_file():
            yield _identity(folder / file, (folder / file).stat())
    image_folder = ImageFinder(source, folder).folder
    if image_folder.is_dir():
        yield _identity(image_folder, image_folder.stat())
    if images and image_folder.is_dir():
        with os.scandir(image_folder) as entries:
            yield from sorted(_identity(Path(entry.path), entry.stat()) for entry in entries)


def _identity(path: Path, stat: os.stat_result) -> str:
    return f"{path} {stat.st_size} {stat.st_mtime_ns}\n"
