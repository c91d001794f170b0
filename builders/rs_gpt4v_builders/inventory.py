"""Which releases are on disk: found, partial or missing."""

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
        lacking: Annotation files, or the image folder, that are not in it.
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
    lacking = [file for file in source.annotation_files() if not (folder / file).is_file()]
    images = ImageFinder(source, folder).folder
    if not images.is_dir():
        lacking.append(f"{images.name}/")
    return Found(source, configs, folder, tuple(lacking))
