"""`rs-gpt4v sources`: which releases are on disk, and where to get the rest."""

import difflib
import os
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rs_gpt4v.files import AnyPath, relative
from rs_gpt4v_builders import GROUPS, all_sources, sources_of, usable
from rs_gpt4v_builders.sources.images import ImageFinder
from rs_gpt4v_builders.sources.source import Download, Source

_WIDTH = 100
_LABEL = 10  # columns of a label, under the status
_IMAGE_SUFFIXES = (".tif", ".tiff", ".jpg", ".jpeg", ".png")


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one source.

    Args:
        source: The source.
        configs: The configs made from it.
        folder: The release's folder, None where it is missing.
        missing: Annotation files and image folders that are not there, relative to it.
        images: Images that are there, where the release's number of them is known.
    """

    source: Source
    configs: tuple[str, ...]
    folder: Path | None
    missing: tuple[str, ...]
    images: int | None = None

    @property
    def status(self) -> Literal["found", "partial", "missing"]:
        """In a word."""
        if self.folder is None:
            return "missing"
        return "partial" if self.missing or self.misses_images else "found"

    @property
    def misses_images(self) -> bool:
        """Whether it has fewer images than the release."""
        return self.images is not None and self.images < (self.source.image_count or 0)


def inventory(root: AnyPath | None, chosen: Sequence[Source] | None = None) -> list[Found]:
    """Every source, or the ``chosen`` ones, with what is on disk below ``root`` (None: nothing)."""
    root = None if root is None else Path(root)
    return [_found(source, root) for source in (all_sources() if chosen is None else chosen)]


def choose(names: Sequence[str]) -> list[Source]:
    """The sources meant by names of sources, configs or groups, each once, in our order.

    Raises:
        ValueError: There is none of a name.
    """
    known = {source.name: [source] for source in all_sources()}
    known |= {name: sources_of(name) for name in (*usable(), *GROUPS)}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known)
            meant = f" Did you mean {' or '.join(near)}?" if near else ""
            raise ValueError(f"no source or config {name!r}.{meant} There are: {', '.join(known)}")
    wanted = {source.name for name in names for source in known[name]}
    return [source for source in all_sources() if source.name in wanted]


def count_images(source: Source, folder: Path) -> int:
    """Distinct images in the release's own folders, whatever their suffix (RSVQA-HR has two)."""
    stems = {
        f"{parent}/{stem}"
        for image_folder in set(ImageFinder(source, folder).folders.values())
        for parent, _, names in os.walk(image_folder)
        for stem, suffix in map(os.path.splitext, names)
        if suffix.lower() in _IMAGE_SUFFIXES
    }
    return len(stems)


def _found(source: Source, root: Path | None) -> Found:
    configs = tuple(name for name, config in usable().items() if config.source is source)
    folder = source.find(root) if root else None
    if folder is None:
        return Found(source, configs, None, ())
    missing = [file for file in source.annotation_files() if not source.has(folder, file)]
    # Two parts of the images may share one folder.
    image_folders = dict.fromkeys(ImageFinder(source, folder).folders.values())
    missing += [f"{relative(path, folder)}/" for path in image_folders if not path.is_dir()]
    images = None if source.image_count is None else count_images(source, folder)
    return Found(source, configs, folder, tuple(missing), images)


def to_text(items: Sequence[Found], root: AnyPath | None, *, citations: bool = False) -> str:
    """One block a source: two lines where it is found, and all that is known of it where not."""
    root = None if root is None else Path(root)
    blocks = ["\n".join(_block(item, citations)) for item in items]
    return "\n\n".join([_head(items, root), *blocks])


def _head(items: Sequence[Found], root: Path | None) -> str:
    if root is None:
        return "No data root was given (--data-dir DIR or RS_GPT4V_DATA): where to get each source"
    counts = Counter(item.status for item in items)
    return f"{root}: " + ", ".join(f"{n} {status}" for status, n in counts.items())


def _block(item: Found, citations: bool) -> Iterator[str]:
    source = item.source
    configs = ", ".join(item.configs) or "(no config: dialogues are generated from it)"
    yield f"{item.status:{_LABEL}}{source.title}: {configs}"
    if item.folder is not None:
        images = "" if item.images is None else f"{item.images:,} of {source.image_count:,} images"
        yield from _entry("at", f"{item.folder} ({images})" if images else str(item.folder))
    if item.status == "missing":
        tree = _by_protocol(source, _tree(source))
        images = f" ({source.image_count:,} images)" if source.image_count else ""
        yield from _entry("expected", f"{source.folders[0]}/ with {tree}{images}")
    if item.status == "partial":
        yield from _entry("missing", _missing(item))
    yield from _entry("licence", source.license)
    if item.status != "found":
        yield from _where(item)
    if citations:
        yield from _entry("cite", source.citation)


def _where(item: Found) -> Iterator[str]:
    source = item.source
    yield from _entry("size", source.size)
    yield from _entry("home", source.homepage)
    for mirror in source.mirrors:
        yield from _entry("or", mirror)
    fetched, by_hand = _shares(item)
    if fetched:
        size = known_size(fetched)
        gives = _enumerated([download.gives for download in fetched]) if by_hand else "all of it"
        yield from _entry("fetch", f"rs-gpt4v download {source.name}: {gives} ({size})")
    if by_hand:
        yield from _entry("by hand", _enumerated(by_hand) if fetched else "all of it")
    if item.folder is not None and item.misses_images and not item.missing:
        yield from _entry("images", _how_to_complete(source))
    if source.note:
        yield from _entry("note", source.note)


def _how_to_complete(source: Source) -> str:
    """What to do about a folder of images that is there, and not whole: nothing adds to it."""
    archives = [download for download in source.downloads if download.unpack]
    if not archives:
        return "complete the folder by hand"
    folder = archives[0].unpack
    return f"complete {folder}/ by hand, or move it away and: rs-gpt4v download {source.name}"


def _entry(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=f"{'':{_LABEL}}{label:{_LABEL}}",
        subsequent_indent=" " * 2 * _LABEL,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _by_protocol(source: Source, names: Sequence[str]) -> str:
    """The names; last those of files that only ``protocol="release"`` needs."""
    of_paper = {file for files in source.annotations.values() for file in files}
    of_release = [n for n in names if n in source.annotation_files() and n not in of_paper]
    always = ", ".join(name for name in names if name not in of_release)
    only = f'for protocol="release" only: {", ".join(of_release)}' if of_release else ""
    return "; ".join(filter(None, (always, only)))


def _missing(item: Found) -> str:
    files = _by_protocol(item.source, item.missing)
    number = (item.source.image_count or 0) - (item.images or 0)
    images = f"{number:,} image{'s' * (number > 1)}" if item.misses_images else ""
    return "; ".join(filter(None, (files, images)))


def _enumerated(names: Sequence[str]) -> str:
    """All of a few names; the first, the last and the number of many."""
    if len(names) <= 4:
        return ", ".join(names)
    return f"{names[0]} ... {names[-1]}, {len(names)} in all"


def _tree(source: Source) -> list[str]:
    """The annotation files and image folders of a whole release, relative to its folder."""
    finder = ImageFinder(source, Path("release"))
    folders = dict.fromkeys(
        os.path.relpath(folder, "release") for folder in finder.folders.values()
    )
    # "." comes with the annotations, and ".." is the data root.
    apart = (f"{folder}/" for folder in folders if folder not in (".", ".."))
    return [*source.annotation_files(), *apart]


def _shares(item: Found) -> tuple[list[Download], list[str]]:
    """Of what is missing: what can be fetched, and what a person must fetch."""
    missing = item.missing if item.folder else _tree(item.source)
    fetched = [download for download in item.source.downloads if download.gives in missing]
    given = {download.gives for download in fetched}
    return fetched, [name for name in missing if name not in given]


def known_size(downloads: Sequence[Download]) -> str:
    """Their size together, for a person: "15.2 MB", "at least 4.1 GB", "size unknown"."""
    known = [download.size for download in downloads if download.size is not None]
    if not known:
        return "size unknown"
    return f"{'' if len(known) == len(downloads) else 'at least '}{human_size(sum(known))}"


def human_size(size: float) -> str:
    """Bytes for a person, in powers of 1,000."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def to_json(items: Sequence[Found]) -> list[dict[str, Any]]:
    """Everything that is known of each source."""
    return [_as_json(item) for item in items]


def _as_json(item: Found) -> dict[str, Any]:
    source = item.source
    fetched, by_hand = _shares(item)
    return {
        "name": source.name,
        "title": source.title,
        "configs": list(item.configs),
        "status": item.status,
        "folder": None if item.folder is None else str(item.folder),
        "expected_folders": list(source.folders),
        "expected_files": _tree(source),
        "lacking": list(item.missing) if item.folder else _tree(source),
        "images": {"found": item.images, "expected": source.image_count},
        "homepage": source.homepage,
        "mirrors": list(source.mirrors),
        "license": source.license,
        "citation": source.citation,
        "size": source.size,
        "note": source.note,
        "downloads": [_download(download) for download in source.downloads],
        "to_fetch": [download.gives for download in fetched],
        "by_hand": by_hand,
    }


def _download(download: Download) -> dict[str, Any]:
    return {
        "url": download.url,
        "file": download.file,
        "size": download.size,
        "checksum": download.checksum,
        "unpacks_to": download.unpack,
    }
