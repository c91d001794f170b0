"""A process that is as Windows is, as far as this machine can be: run by `test_portable.py`.

It has none of the functions and modules that POSIX alone has, no way leads from one drive to
another, and no open file is renamed.
"""

import importlib
import os
import os.path
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

# Other packages ask what they run on when they are imported, and take care of themselves.
for package in ("aiohttp", "datasets", "huggingface_hub", "pandas", "pyarrow.parquet", "torch"):
    importlib.import_module(package)

ABSENT = ("sync", "fork", "forkpty", "getuid", "geteuid", "getgid", "uname", "mkfifo", "chown",
          "sched_getaffinity", "getloadavg", "killpg", "setsid", "nice")  # fmt: skip
MODULES = ("fcntl", "pwd", "grp", "resource", "termios", "pty", "readline", "syslog")


def become_windows(drive: Path) -> None:
    """From here on; what is below ``drive`` is D:, and all else C:."""
    for name in ABSENT:
        if hasattr(os, name):
            delattr(os, name)
    for name in MODULES:
        sys.modules[name] = None  # pyright: ignore[reportArgumentType]
    _part_drives(drive)
    _keep_open_files()


def _part_drives(drive: Path) -> None:
    relpath, commonpath = os.path.relpath, os.path.commonpath

    def together(*paths: Any) -> None:
        if len({Path(path).absolute().is_relative_to(drive) for path in paths}) > 1:
            raise ValueError("the paths are on two drives")

    def relpath_there(path: Any, start: Any = os.curdir) -> str:
        together(path, start)
        return relpath(path, start)

    def commonpath_there(paths: Any) -> str:
        paths = list(paths)
        together(*paths)
        return commonpath(paths)

    os.path.relpath, os.path.commonpath = relpath_there, commonpath_there


def _keep_open_files() -> None:
    replace = os.replace

    def replace_there(source: Any, target: Any, **more: Any) -> None:
        opened = {os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()}
        if {os.path.realpath(source), os.path.realpath(target)} & opened:
            raise PermissionError(13, "the file is open", str(source))
        replace(source, target, **more)

    os.replace = os.rename = replace_there


def verb(*arguments: str | Path) -> None:
    from rs_gpt4v.cli import app

    told = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert told.exit_code == 0, told.output


def main(root: Path, home: Path) -> None:
    """Read ``root``, which is on another drive than ``home``."""
    become_windows(root)
    data = ("--data-dir", root)
    verb("sources", *data)
    verb("build", "cap_sydney", *data)
    for kind in ("hub", "webdataset", "vlmevalkit"):
        config = "vqa_lr" if kind == "vlmevalkit" else "cap_sydney"
        verb("export", kind, home / kind, config, *data)
    verb("audit", "cap_sydney", *data, "--out", home / "audit.html")
    _dialogues(root, home)
    _cached(root, home)


def _dialogues(root: Path, home: Path) -> None:
    from generating import scenes
    from review_queue import candidate, write_queue

    from rs_gpt4v_generation.candidates import read_queue, with_images
    from rs_gpt4v_generation.generate import scene_rows
    from rs_gpt4v_generation.probes import ProbeOptions
    from rs_gpt4v_generation.review.server import reviewing

    (line,) = scene_rows(scenes(1, root)[0], (), ProbeOptions(2), home)
    assert line["image"] == (root / "scene.png").as_posix()
    queue = write_queue(home, [candidate(0, split="train", reviews=[{}]), line])
    assert len(with_images(read_queue(queue)).candidates) == 2
    with reviewing(queue, "ann") as server:
        server.session.decide({"id": line["id"], "decision": "accept"})
    verb("reconcile", queue, f"{queue}.reviews.ann.jsonl", "--out", home / "final.jsonl")
    whole = ("--data-dir", home / "own", "--images-from", root)
    verb("release", queue, *whole)


def _cached(root: Path, home: Path) -> None:
    from rs_gpt4v_training.image_cache import ImageCache

    cache = ImageCache(home / "cache", 32, enlarge=True)
    assert Path(cache.add(str(root / "scene.png"))).is_file()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
