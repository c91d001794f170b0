"""Source: where an upstream release comes from, how it lies on disk, and what can be fetched."""

import difflib
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from rs_gpt4v.adapt import Protocol
from rs_gpt4v.files import AnyPath

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file that can be fetched without a person: no log-in, no form, a stable address.

    Args:
        url: Its address: the file itself, of a fixed version.
        file: Its path in the release's folder; "../" leads to the data root.
        size: Bytes; None where unknown.
        checksum: "md5:", "sha256:" or "git:" (git's id of the content) and hex digits; None where
            unknown.
        unpack: Of an archive, the folder that it becomes in the release's folder.
    """

    url: str
    file: str
    size: int | None = None
    checksum: str | None = None
    unpack: str | None = None

    @property
    def gives(self) -> str:
        """The file or folder that it brings, in the release's folder; a folder ends with "/"."""
        return f"{self.unpack}/" if self.unpack else self.file

    def mismatch(self, path: AnyPath) -> str | None:
        """How ``path`` differs from the released file; None where nothing known differs."""
        path = Path(path)
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"it has {size:,} bytes, {self.size:,} were expected"
        if self.checksum is not None:
            kind = self.checksum.partition(":")[0]
            if (digest := checksum(path, kind)) != self.checksum:
                return f"its checksum is {digest}, {self.checksum} was expected"
        return None


def checksum(path: AnyPath, kind: str) -> str:
    """The content's checksum as ``kind:hex``, for kind "md5", "sha256" or "git"."""
    path = Path(path)
    # MD5 is what Zenodo states. It tells a damaged file, not a forged one; https does that.
    digest = hashlib.new("sha1" if kind == "git" else kind, usedforsecurity=False)
    if kind == "git":
        digest.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return f"{kind}:{digest.hexdigest()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a source comes from, its files on disk, and how they are read.

    Args:
        name: Name of the module that reads it, snake_case; what it reads comes after that where
            the module has several sources.
        title: The name its authors use.
        homepage: Page from which a person can fetch it.
        license: SPDX id; "unknown" if the authors state none; with a remark if it is unsure.
        citation: BibTeX.
        folders: Spellings of the release's folder in the data root, the release's own first.
        annotations: For each split the annotation files it needs, relative to the folder; those of
            another release start with "../", the data root. One that ends with "/" is a folder.
        images: Spellings of the images' folder, relative to the release's.
        reader: ``reader(folder, split, protocol)`` returns one of the tables of `rs_gpt4v.records`.
        suffixes: Image suffixes to try where the released name is missing (mirrors convert).
        release_annotations: As ``annotations``, where protocol "release" needs other files or has
            other splits.
        spellings: Other places of an annotation file, by its name in ``annotations``.
        other_images: Image folders of other releases, by the first part of an image's name in the
            records; spellings as in ``images``.
        named_images: ``named_images(folder)`` returns the folders of images that the annotation
            files name, other than those above.
        note: A hint for a person if something is missing; it ends the error messages.
        mirrors: Other pages that have it or a part of it, each with a short remark.
        downloads: Its files at stable public addresses, in the order to fetch them.
        size: Size of the download, as text for a person; as far as it is known.
        image_count: Distinct images of the release; None where it holds none or it is unknown.
        recognisable_by_files: Whether no other release has annotation files of these names, so
            that they identify it in a folder of any name.
    """

    name: str
    title: str
    homepage: str
    license: str
    citation: str
    folders: tuple[str, ...]
    annotations: Mapping[str, tuple[str, ...]]
    images: tuple[str, ...]
    reader: Callable[[Path, str, Protocol], pa.Table] = field(repr=False)
    suffixes: tuple[str, ...] = (".tif", ".png", ".jpg")
    release_annotations: Mapping[str, tuple[str, ...]] | None = None
    spellings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    other_images: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    named_images: Callable[[Path], Iterable[Path]] = field(default=lambda _: (), repr=False)
    note: str = ""
    mirrors: tuple[str, ...] = ()
    downloads: tuple[Download, ...] = ()
    size: str = "unknown"
    image_count: int | None = None
    recognisable_by_files: bool = True

    def read(self, folder: AnyPath, split: str, protocol: Protocol = "paper") -> pa.Table:
        """The records of ``split``, rows in file order: one of the tables of `rs_gpt4v.records`."""
        folder = Path(folder)
        return self.reader(folder, split, protocol)

    def find(self, root: AnyPath) -> Path | None:
        """The release's folder: one of ``folders`` in ``root``, or ``root`` itself.

        A folder is the release's where any of its own annotation files is there. ``root`` itself
        must have one of the names where the release is not `recognisable_by_files`.
        """
        root = Path(root)
        own = [file for file in self.annotation_files() if not file.startswith("../")]
        itself = (root,) if self.recognisable_by_files or root.name in self.folders else ()
        for folder in (*(root / name for name in self.folders), *itself):
            if any(self.has(folder, file) for file in own):
                return folder
        return None

    def splits(self, protocol: Protocol) -> Mapping[str, tuple[str, ...]]:
        """The splits under a protocol, in order, with the annotation files that each needs."""
        if protocol == "release" and self.release_annotations is not None:
            return self.release_annotations
        return self.annotations

    def files(self, split: str, protocol: Protocol) -> tuple[str, ...]:
        """The annotation files that ``split`` needs."""
        return self.splits(protocol)[split]

    def annotation_files(self) -> list[str]:
        """Every annotation file of either protocol, once, in the splits' order."""
        needed = (*self.annotations.values(), *(self.release_annotations or {}).values())
        return list(dict.fromkeys(file for files in needed for file in files))

    def path(self, folder: AnyPath, file: str) -> Path:
        """Where an annotation file is: under one of its spellings, or else where it should be."""
        return first_there(folder, (file, *self.spellings.get(file, ())))

    def has(self, folder: AnyPath, file: str) -> bool:
        """Whether an annotation file is there, under any of its spellings."""
        return _is_there(self.path(folder, file), file)


def first_there(folder: AnyPath, names: Sequence[str]) -> Path:
    """The first of ``names`` that is in ``folder``, or else where the first should be.

    A name that ends with "/" is a folder's. A leading ".." is the data root also where ``folder``
    is a link.
    """
    folder = Path(folder)
    paths = [Path(os.path.normpath(folder / name)) for name in names]
    there = (path for path, name in zip(paths, names, strict=True) if _is_there(path, name))
    return next(there, paths[0])


def _is_there(path: Path, name: str) -> bool:
    return path.is_dir() if name.endswith("/") else path.is_file()


class SourceNotFoundError(FileNotFoundError):
    """The files of a source are not where they were looked for."""


def not_found(source: Source, root: AnyPath, file: str | None = None) -> SourceNotFoundError:
    """The error for a ``root`` without the source, or a release's folder without ``file``."""
    root = Path(root)
    missing = (
        f"{source.title} at {root} lacks {file}.{_misspelt(source, root, file)}"
        if file
        else f"{source.title} is not at {root}: expected a folder {source.folders[0]}/ "
        f"with {source.annotation_files()[0]}."
    )
    how = f" (`rs-gpt4v download {source.name}`)" if source.downloads else ""
    return SourceNotFoundError(
        f"{missing} Fetch it from {source.homepage}{how} and give its parent folder as "
        "data_dir=... or in RS_GPT4V_DATA; `rs-gpt4v sources` shows what is found where, and its "
        f"mirrors. {source.note}".rstrip()
    )


def _misspelt(source: Source, folder: Path, file: str) -> str:
    """The name there that may be meant by ``file``, for a person; nothing is read from it."""
    wanted = source.path(folder, file)
    if not wanted.parent.is_dir():
        return ""
    known = {Path(name).name for name in source.annotation_files()}
    others = {path.name.lower(): path.name for path in wanted.parent.iterdir()}
    near = difflib.get_close_matches(wanted.name.lower(), others, n=1, cutoff=0.92)
    if not near or others[near[0]] in known:
        return ""
    return f" {others[near[0]]} is there: is it that file under another name?"
