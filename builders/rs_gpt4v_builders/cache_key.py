"""The cache key of a build: the code that decides the rows, and the identity of the raw files."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import rs_gpt4v
import rs_gpt4v_builders
from rs_gpt4v_builders.image_checks import EMBEDDED
from rs_gpt4v_builders.sources.images import ImageFinder
from rs_gpt4v_builders.sources.source import Source

_PACKAGES = {
    package.__name__: Path(package.__path__[0]) for package in (rs_gpt4v, rs_gpt4v_builders)
}
# Python's own parser takes fifty times as long.
_IMPORT = re.compile(
    r"^[ ]*(?:from|import) (rs_gpt4v[\w.]*)(?: import (\([^)]*\)|.*))?", re.MULTILINE
)
_LEAKS = "rs_gpt4v_builders.audit.exclude"
_DECIDES_NOTHING = {
    "rs_gpt4v",
    "rs_gpt4v.box_replies",  # reads boxes; rows have them written
    "rs_gpt4v_builders.cache_key",
    "rs_gpt4v_builders.sample",  # the sample's path says how it was drawn
}
"""Modules that the builder imports and that no row depends on."""


def fingerprint(
    sources: Sequence[Source],
    root: Path | None,
    *,
    images: bool,
    leaks: bool = False,
    code: Sequence[Path] = (),
) -> str:
    """16 hex digits that change when the code, an annotation file or a folder of images does.

    The code is that which decides rows: what the builder imports, readers and templates included.
    Files are known by path, size and time of change, so that a set of any size opens at once.
    With ``images`` each image counts too: a build that skips missing images depends on them all.
    With ``leaks``, so does the code that finds test images in training data. ``code`` is that of
    other packages. Each file in a folder of annotations always counts: 0.1 s for the 17,402 of
    DIOR-RSVG.
    """
    digest = hashlib.sha256()
    for file in (*_code(leaks=leaks), *code):
        digest.update(file.read_bytes())
    for source in sources:
        digest.update(repr(sorted(source.annotations.items())).encode())  # a user's files vary
        for line in _raw_files(source, root, images=images):
            digest.update(os.fsencode(line))
    return digest.hexdigest()[:16]


@cache
def _code(*, leaks: bool) -> list[Path]:
    left = _DECIDES_NOTHING if leaks else {*_DECIDES_NOTHING, _LEAKS}
    files: dict[str, Path] = {}
    names = ["rs_gpt4v_builders.builder"]
    while names:
        name = names.pop()
        file = None if name in files or name in left else _file(name)
        if file is not None:
            files[name] = file
            names += _imports(file)
    return [files[name] for name in sorted(files)]


def _file(module: str) -> Path | None:
    """The file of a module of ours; None for a name inside a module, or a module of others."""
    package, *parts = module.split(".")
    if package not in _PACKAGES:
        return None
    path = _PACKAGES[package].joinpath(*parts)
    files = (path / "__init__.py", path.with_suffix(".py"))
    return next((file for file in files if file.is_file()), None)


def _imports(file: Path) -> Iterator[str]:
    """The modules of ours that ``file`` imports, and what it imports from them."""
    for module, names in _IMPORT.findall(file.read_text(encoding="utf-8")):
        yield module
        yield from (f"{module}.{name}" for name in re.findall(r"\w+", names))


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
        # The data root holds images and much else; an embedded image is named after its bytes.
        if top != folder.parent and top.name != EMBEDDED:
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
