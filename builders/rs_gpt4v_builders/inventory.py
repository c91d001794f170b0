"""Which releases are on disk: found, partial or missing."""

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rs_gpt4v.files import relative
from rs_gpt4v_builders import CONFIGS, GROUPS, OBJECT_SOURCES, sources
from rs_gpt4v_builders.sources.source import ImageFinder, Source

_IMAGE_SUFFIXES = (".tif", ".tiff", ".jpg", ".jpeg", ".png")


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one source.

    Args:
        source: The source.
        configs: The configs made from it.
        folder: The release's folder, None where it is missing.
        lacking: Annotation files and image folders that are not there, relative to it.
        images: Images that are there, where the release's number of them is known.
    """

    source: Source
    configs: tuple[str, ...]
    folder: Path | None
    lacking: tuple[str, ...]
    images: int | None = None

    @property
    def status(self) -> Literal["found", "partial", "missing"]:
        """In a word."""
        if self.folder is None:
            return "missing"
        return "partial" if self.lacking or self.lacks_images else "found"

    @property
    def lacks_images(self) -> bool:
        """Whether fewer images are there than the release has."""
        return self.images is not None and self.images < (self.source.image_count or 0)


def inventory(root: Path | None, chosen: Sequence[Source] | None = None) -> list[Found]:
    """Every source, or the ``chosen`` ones, with what is on disk below ``root`` (None: nothing)."""
    return [_found(source, root) for source in (all_sources() if chosen is None else chosen)]


def all_sources() -> list[Source]:
    """The configs' sources and those that dialogues are generated from, each once."""
    return [*sources(*CONFIGS), *OBJECT_SOURCES]


def choose(names: Sequence[str]) -> list[Source]:
    """The sources meant by names of sources, configs or groups, each once, in our order.

    Raises:
        ValueError: There is none of a name.
    """
    known = {source.name: [source] for source in all_sources()}
    known |= {name: sources(name) for name in (*CONFIGS, *GROUPS)}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known)
            meant = f" Did you mean {' or '.join(near)}?" if near else ""
            raise ValueError(f"no source or config {name!r}.{meant} There are: {', '.join(known)}")
    wanted = {source.name for name in names for source in known[name]}
    return [source for source in all_sources() if source.name in wanted]


def count_images(source: Source, folder: Path) -> int:
    """Distinct images in the release's own folders, whatever their suffix (RSVQA-HR has two)."""
    places = dict.fromkeys(ImageFinder(source, folder).folders.values())
    stems = {
        f"{parent}/{stem}"
        for place in places
        for parent, _, names in os.walk(place)
        for stem, suffix in map(os.path.splitext, names)
        if suffix.lower() in _IMAGE_SUFFIXES
    }
    return len(stems)


def _found(source: Source, root: Path | None) -> Found:
    configs = tuple(name for name, config in CONFIGS.items() if config.source is source)
    folder = source.find(root) if root else None
    if folder is None:
        return Found(source, configs, None, ())
    files = source.annotation_files()
    lacking = [file for file in files if not source.has(folder, file)]
    images = ImageFinder(source, folder).folders.values()
    # Two parts of the images may share one folder.
    absent = dict.fromkeys(image_folder for image_folder in images if not image_folder.is_dir())
    lacking += [f"{relative(image_folder, folder)}/" for image_folder in absent]
    there = None if source.image_count is None else count_images(source, folder)
    return Found(source, configs, folder, tuple(lacking), there)
