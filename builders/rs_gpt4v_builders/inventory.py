"""Which releases are on disk: found, partial or missing."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rs_gpt4v.source import ImageFinder, Source
from rs_gpt4v_builders import CONFIGS


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one source.

    Args:
        source: The source.
        configs: The configs made from it.
        folder: The release's folder, None where it is missing.
        lacking: Annotation files and image folders that are not there, relative to it.
    """

    source: Source
    configs: tuple[str, ...]
    folder: Path | None
    lacking: tuple[str, ...]

    @property
    def status(self) -> Literal["found", "partial", "missing"]:
        """In a word."""
        if self.folder is None:
            return "missing"
        return "partial" if self.lacking else "found"


def inventory(root: Path) -> list[Found]:
    """Every source, with what is on disk below ``root``."""
    configs: dict[str, list[str]] = {}
    for name, config in CONFIGS.items():
        configs.setdefault(config.source.name, []).append(name)
    sources = {config.source.name: config.source for config in CONFIGS.values()}
    return [_found(source, tuple(configs[name]), root) for name, source in sources.items()]


def _found(source: Source, configs: tuple[str, ...], root: Path) -> Found:
    folder = source.find(root)
    if folder is None:
        return Found(source, configs, None, ())
    files = source.annotation_files()
    lacking = [file for file in files if not source.has(folder, file)]
    images = ImageFinder(source, folder).folders.values()
    # Two parts of the images may share one folder.
    absent = dict.fromkeys(image_folder for image_folder in images if not image_folder.is_dir())
    lacking += [f"{os.path.relpath(image_folder, folder)}/" for image_folder in absent]
    return Found(source, configs, folder, tuple(lacking))
