"""Which image file a name in an annotation means; never one of that name in another folder."""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path, PureWindowsPath

from rs_gpt4v.files import relative
from rs_gpt4v.images import SUFFIXES, stem
from rs_gpt4v_builders.image_checks import EMBEDDED
from rs_gpt4v_builders.sources.dialogues import ItemError

logger = logging.getLogger(__name__)


class ImageFiles:
    """The images in a folder, by their paths in it without case and suffix."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_stem: dict[str, list[str]] = {}
        for inside, names in walk(folder):
            for path in (inside + name for name in names if name.lower().endswith(SUFFIXES)):
                self._by_stem.setdefault(stem(path).lower(), []).append(path)

    def find(self, name: str) -> list[str]:
        """What a name may mean, by its case and suffix too if there are several."""
        found = self._by_stem.get(stem(name).lower(), [])
        if len(found) < 2:
            return found
        same = [path for path in found if path.lower() == name.lower()]
        return [path for path in same if path == name] or same or found

    def beside(self, names: Iterable[str]) -> list[str]:
        """All images in the folders of these."""
        folders = {os.path.dirname(name) for name in names}  # noqa: PTH120
        paths = (path for found in self._by_stem.values() for path in found)
        return [path for path in paths if os.path.dirname(path) in folders]  # noqa: PTH120


def walk(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Each folder in ``folder``, itself as "", and others with "/" at their end; and its files.

    In order of their names, through links; what is hidden is left out.
    """
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if (real := os.path.realpath(parent)) in seen:  # links that lead in a circle
            folders.clear()
            continue
        seen.add(real)
        inside = "" if parent == str(folder) else f"{relative(parent, folder)}/"
        yield inside, sorted(name for name in names if not name.startswith("."))


def with_part(path: Path, old: str, new: str) -> Path:
    """A path whose last part ``old`` is ``new``, as YOLO has images/a beside labels/a."""
    parts = list(path.parts)
    if old in parts:
        parts[len(parts) - 1 - parts[::-1].index(old)] = new
    return Path(*parts)


@dataclass(frozen=True)
class ImageNames:
    """Finds what an annotation file calls its images.

    Args:
        files: All images of the folder.
        roots: The folders in it that names may start from, each with a "/" at its end, or "".
        start: What all names start with that is no folder here, as on another machine.
    """

    files: ImageFiles
    roots: Sequence[str] = ("",)
    start: str = ""

    def find(self, name: str) -> list[str]:
        """The images that a name may mean."""
        if name.startswith(f"{EMBEDDED}/"):
            return [name]
        name = self._bare(name)
        if len(self.roots) == 1:
            return self.files.find(self.roots[0] + name)
        roots = {root + name: self.files.find(root + name) for root in self.roots}
        # A file of the very name counts more than one with another suffix elsewhere.
        same = [path for path, found in roots.items() if path in found]
        return same or list(dict.fromkeys(path for found in roots.values() for path in found))

    def _bare(self, name: str) -> str:
        name = name.strip().replace("\\", "/").removeprefix("./").removeprefix(self.start)
        if name.startswith("/") or PureWindowsPath(name).drive:
            return relative(name, self.files.folder)
        return name

    def only(self, name: str) -> str | None:
        """The one image that a name means; None where there is none, or more than one."""
        found = self.find(name)
        return found[0] if len(found) == 1 else None

    def one(self, name: str) -> str:
        """The one image that a name means.

        Raises:
            ItemError: There is none, or more than one.
        """
        found = self.find(name)
        if len(found) == 1:
            return found[0]
        folder = self.files.folder
        if found:
            reason = f"its image may be {' or '.join(found)} in {folder}: name it, or keep one"
            raise ItemError("image in doubt", reason)
        looked = f" (nor in {', '.join(filter(None, self.roots))})" if len(self.roots) > 1 else ""
        raise ItemError("image is missing", f"{name!a:.200} is not in {folder}{looked}")

    def of(self, names: Iterable[str]) -> "ImageNames":
        """The same for all the ``names`` of a file, which may start as on another machine."""
        bare = [name.strip().replace("\\", "/").removeprefix("./") for name in names]
        start = self._foreign_start(bare)
        if start:
            logger.warning(
                "names of images start with %r, which is not in %s: taken from there on",
                start,
                self.files.folder,
            )
        return replace(self, start=start)

    def _foreign_start(self, names: list[str]) -> str:
        """The folders before all names that are not here, as on another machine.

        Only where no name is found as it is, and one is found without them.
        """
        if not names or any(map(self.find, names)):
            return ""
        folders = zip(*(name.split("/")[:-1] for name in names), strict=False)
        start = ""
        for part, *_ in takewhile(lambda parts: len(set(parts)) == 1, folders):
            start += f"{part}/"
            if any(self.find(name.removeprefix(start)) for name in names):
                return start
        return ""
