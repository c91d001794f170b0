"""`rs-gpt4v download`: brings what has a stable public address into the releases' folders."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from rs_gpt4v.files import AnyPath
from rs_gpt4v_builders.download.fetch import fetch
from rs_gpt4v_builders.download.unpack import unpack
from rs_gpt4v_builders.inventory import count_images, inventory, known_size, to_text
from rs_gpt4v_builders.sources.images import ImageFinder
from rs_gpt4v_builders.sources.source import Download, Source

logger = logging.getLogger(__name__)

Outcome = Literal["there", "fetched", "kept"]
"""There already; fetched now; kept, since a file of the user's own is in its place."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file to fetch, and the release's folder that it goes to."""

    source: Source
    download: Download
    folder: Path

    @property
    def path(self) -> Path:
        """Where the file goes, or already is under another of its spellings."""
        return self.source.path(self.folder, self.download.file)

    @property
    def target(self) -> Path | None:
        """The folder that the archive becomes, or already is under another of its spellings."""
        name = self.download.unpack
        if name is None:
            return None
        folder = ImageFinder(self.source, self.folder).folders.get("")
        return folder if folder and folder.is_dir() else self.folder / name

    @property
    def is_unpacked(self) -> bool:
        """Whether it is an archive whose folder has anything in it."""
        return self.target is not None and self.target.is_dir() and any(self.target.iterdir())

    @property
    def is_there(self) -> bool:
        """Whether a file is in its place, whatever it holds."""
        return self.is_unpacked or self.path.is_file()


@dataclass(frozen=True, slots=True)
class Done:
    """What became of an item; ``remark`` says more to a person."""

    item: Item
    outcome: Outcome
    remark: str


def plan(sources: Sequence[Source], root: AnyPath) -> list[Item]:
    """What can be fetched of ``sources`` into the data root ``root``, in order, each once."""
    root = Path(root)
    items = {
        (folder, download.file): Item(source, download, folder)
        for source in sources
        for folder in [source.find(root) or root / source.folders[0]]
        for download in source.downloads
    }
    return list(items.values())


def carry_out(
    items: Sequence[Item], root: AnyPath, *, keep_archives: bool = False
) -> Iterator[Done]:
    """Fetch, check and unpack each item; another process on the same root waits.

    Args:
        items: What to fetch, of `plan`.
        root: The data root.
        keep_archives: Keep an archive that was fetched when it is unpacked.

    Raises:
        DownloadError: An item cannot be had; those before it are in place.
    """
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root):
        for item in items:
            yield _carry_out(item, keep_archives)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold the root's lock; say so where another process has it."""
    lock = FileLock(root / ".rs_gpt4v_download.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.warning("another rs-gpt4v download into %s is at work: waiting for it", root)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def describe(items: Sequence[Item]) -> str:
    """What `carry_out` would do, a line a file, for a person."""
    if not items:
        return "nothing has a stable public address: `rs-gpt4v sources` says where to get it"
    lines = [f"{item.path}  {_intent(item)}" for item in items]
    to_fetch = [item.download for item in items if not item.is_there]
    total = f"{len(to_fetch)} to fetch: {known_size(to_fetch)}" if to_fetch else "nothing to fetch"
    return "\n".join([*lines, total])


def _intent(item: Item) -> str:
    if item.is_there:
        missing = _how_many(item) if item.is_unpacked else ""
        return f"there already{missing} (not checked now)"
    download = item.download
    checked = f"checked with {download.checksum}" if download.checksum else "no checksum known"
    size = known_size([download])
    return f"from {download.url} ({size}, {checked})"


def rest(sources: Sequence[Source], root: AnyPath) -> str:
    """What is found now of ``sources``, and where to get what is still missing."""
    return to_text(inventory(root, sources), root)


def incomplete(sources: Sequence[Source], root: AnyPath) -> list[str]:
    """The names of ``sources`` that are not complete: what no download brings is yours to get."""
    return [item.source.name for item in inventory(root, sources) if item.status != "found"]


def _carry_out(item: Item, keep_archives: bool) -> Done:
    if item.is_unpacked:
        return Done(item, "there", f"there already{_how_many(item)}")
    users_own = item.path.is_file()
    if users_own and (problem := item.download.mismatch(item.path)):
        remark = f"left alone, it is not the released file: {problem}. Move it away to fetch that."
        return Done(item, "kept", remark)
    if not users_own:
        fetch(item.download, item.path)
    remark = f"{'there already' if users_own else 'fetched'} ({_checked(item.download)})"
    if item.target is not None:
        unpack(item.path, item.target)
        remark += ", unpacked"
        if users_own:
            remark += "; the archive may be deleted"
        elif not keep_archives:
            item.path.unlink()
    return Done(item, "there" if users_own else "fetched", remark)


def _how_many(item: Item) -> str:
    """How many images are there, where not all are: the folder is not added to."""
    expected, count = item.source.image_count, count_images(item.source, item.folder)
    if expected is None or count >= expected:
        return ""
    return f", with {count:,} of {expected:,} images: move it away to fetch the archive's"


def _checked(download: Download) -> str:
    """What of a file was verified."""
    facts = (("size", download.size), ("checksum", download.checksum))
    known = [name for name, value in facts if value is not None]
    return f"{' and '.join(known)} right" if known else "size and checksum unknown: not verified"
