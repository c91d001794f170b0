"""`rs-gpt4v sources`: what is found, and where to get the rest, for a person or as JSON."""

import os
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rs_gpt4v_builders.inventory import Found
from rs_gpt4v_builders.sources.remote import Download
from rs_gpt4v_builders.sources.source import ImageFinder, Source

_WIDTH = 100
_LABEL = 10  # columns of a label, under the status


def to_text(found: Sequence[Found], root: Path | None, *, citations: bool = False) -> str:
    """One block a source: two lines where it is found, and all there is to know where not."""
    blocks = ["\n".join(_block(one, citations)) for one in found]
    return "\n\n".join([_head(found, root), *blocks])


def _head(found: Sequence[Found], root: Path | None) -> str:
    if root is None:
        return "No data root was given (--data-dir DIR or RS_GPT4V_DATA): where to get each source"
    counts = Counter(one.status for one in found)
    return f"{root}: " + ", ".join(f"{n} {status}" for status, n in counts.items())


def _block(found: Found, citations: bool) -> Iterator[str]:
    source = found.source
    configs = ", ".join(found.configs) or "(no config: dialogues are generated from it)"
    yield f"{found.status:{_LABEL}}{source.title}: {configs}"
    if found.folder is not None:
        yield from _entry("at", f"{found.folder}{_images(found)}")
    if found.status == "missing":
        tree = _by_protocol(source, _tree(source))
        images = f" ({source.image_count:,} images)" if source.image_count else ""
        yield from _entry("expected", f"{source.folders[0]}/ with {tree}{images}")
    if found.status == "partial":
        yield from _entry("lacks", _lacking(found))
    yield from _entry("licence", source.license)
    if found.status != "found":
        yield from _where(found)
    if citations:
        yield from _entry("cite", source.citation)


def _where(found: Found) -> Iterator[str]:
    source = found.source
    yield from _entry("size", source.size)
    yield from _entry("home", source.homepage)
    for mirror in source.mirrors:
        yield from _entry("or", mirror)
    fetched, by_hand = _shares(found)
    if fetched:
        size = known_size(fetched)
        gives = _enumerated([download.gives for download in fetched]) if by_hand else "all of it"
        yield from _entry("fetch", f"rs-gpt4v download {source.name}: {gives} ({size})")
    if by_hand:
        yield from _entry("by hand", _enumerated(by_hand) if fetched else "all of it")
    if found.folder is not None and found.lacks_images and not found.lacking:
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


def _images(found: Found) -> str:
    if found.images is None:
        return ""
    return f" ({found.images:,} of {found.source.image_count:,} images)"


def _by_protocol(source: Source, names: Sequence[str]) -> str:
    """The names, those of files that nothing but ``protocol="release"`` needs apart."""
    of_paper = {file for files in source.annotations.values() for file in files}
    of_release = [n for n in names if n in source.annotation_files() and n not in of_paper]
    always = ", ".join(name for name in names if name not in of_release)
    only = f'for protocol="release" only: {", ".join(of_release)}' if of_release else ""
    return "; ".join(filter(None, (always, only)))


def _lacking(found: Found) -> str:
    lacking = _by_protocol(found.source, found.lacking)
    if found.images is None or found.source.image_count is None or not found.lacks_images:
        return lacking
    number = found.source.image_count - found.images
    images = f"{number:,} image{'s' if number > 1 else ''}"
    return f"{lacking}; {images}" if lacking else images


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


def _shares(found: Found) -> tuple[list[Download], list[str]]:
    """Of what lacks: what can be fetched, and what a person must fetch."""
    lacking = list(found.lacking) if found.folder else _tree(found.source)
    fetched = [download for download in found.source.downloads if download.gives in lacking]
    given = {download.gives for download in fetched}
    return fetched, [name for name in lacking if name not in given]


def known_size(downloads: Sequence[Download]) -> str:
    """What they have together, for a person: "15.2 MB", "at least 4.1 GB", "size unknown"."""
    known = [download.size for download in downloads if download.size is not None]
    if not known:
        return "size unknown"
    return f"{'' if len(known) == len(downloads) else 'at least '}{human_size(sum(known))}"


def human_size(size: float) -> str:
    """Bytes as a person says them, in powers of 1,000."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def to_json(found: Sequence[Found]) -> list[dict[str, Any]]:
    """Everything that is known of each source."""
    return [_as_json(one) for one in found]


def _as_json(found: Found) -> dict[str, Any]:
    source = found.source
    fetched, by_hand = _shares(found)
    return {
        "name": source.name,
        "title": source.title,
        "configs": list(found.configs),
        "status": found.status,
        "folder": None if found.folder is None else str(found.folder),
        "expected_folders": list(source.folders),
        "expected_files": _tree(source),
        "lacking": list(found.lacking) if found.folder else _tree(source),
        "images": {"found": found.images, "expected": source.image_count},
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
