"""The images of an export: a name for each file, and each file there once."""

import hashlib
import os
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from rs_gpt4v.files import UNFINISHED, relative
from rs_gpt4v.images import upright_file
from rs_gpt4v_builders.image_checks import CONVERTED, EMBEDDED

FOLDER = "images"
MOST_IN_A_FOLDER = 9_000
"""The Hub refuses folders of more than 10,000 files; we split one with more images than this."""

PUT: dict[str, Callable[[str, Path], object]] = {
    "copy": shutil.copyfile,
    "hardlink": os.link,
    "symlink": os.symlink,
}


def image_names(paths: Iterable[str], root: Path) -> dict[str, str]:
    """The name in the export of each image file, ``images/<path below the data root>``.

    Letters, digits, "-" and "_" are kept, and all else becomes "_", which every file system, glob
    and tool takes; ".." (a release that is itself the data root looks for others beside it) becomes
    "up". Of a folder with more than `MOST_IN_A_FOLDER` images, each goes into one of 256 folders by
    the hash of its name. Where two files would have one name, also but for case, the later gets a
    hash of its path. The names depend on the set of ``paths`` alone, not on order or machine.
    """
    below = {path: _relative(path, root) for path in paths}
    wanted = {path: _clean(below[path]) for path in sorted(below, key=below.__getitem__)}
    in_folder = Counter(name.parent for name in wanted.values())
    names: dict[str, str] = {}
    taken: set[str] = set()
    for path, clean in wanted.items():
        name = clean
        if in_folder[name.parent] > MOST_IN_A_FOLDER:
            name = name.parent / _digest(name.name)[:2] / name.name
        if str(name).casefold() in taken:
            name = name.with_stem(f"{name.stem}-{_digest(below[path])}")
        taken.add(str(name).casefold())
        names[path] = str(name)
    return names


def _relative(path: str, root: Path) -> str:
    parts = Path(path).parts
    for cached in (CONVERTED, EMBEDDED):  # by `datasets`, elsewhere on each machine
        if cached in parts:
            return "/".join(parts[parts.index(cached) :])
    return relative(path, root)


def _clean(relative: str) -> PurePosixPath:
    *folders, file = unicodedata.normalize("NFC", relative).split("/")
    stem, dot, suffix = file.rpartition(".")
    parts = ["up" if folder == ".." else _safe(folder) for folder in folders]
    return PurePosixPath(FOLDER, *parts, f"{_safe(stem)}{dot}{_safe(suffix)}")


def _safe(part: str) -> str:
    """``part`` with "_" for what is no letter, digit, "-" or "_"; `datasets` skips names in "_"."""
    safe = re.sub(r"[^\w-]", "_", part)
    return f"x{safe}" if safe.startswith("_") else safe


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def store(names: Mapping[str, str], out: Path, how: str) -> None:
    """Put each image into ``out`` under its name; one that is there with its size is left alone.

    One that its EXIF data say to turn is put there turned: boxes are in that frame, and not every
    tool turns it.
    """
    for path, name in tqdm(names.items(), desc="Images", unit="file", disable=None):
        target = out / name
        if target.is_file() and target.stat().st_size == Path(path).stat().st_size:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}{UNFINISHED}")
        unfinished.unlink(missing_ok=True)
        if turned := upright_file(path):
            unfinished.write_bytes(turned)
        else:
            PUT[how](path, unfinished)
        unfinished.replace(target)
    if hasattr(os, "sync"):  # Windows has none
        os.sync()  # once for all: of each of 88,000 files it would take longer than copying them
