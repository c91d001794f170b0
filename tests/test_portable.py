"""The parts in pure Python do without what POSIX alone has."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are told by /proc alone")
def test_it_runs_where_posix_is_not(releases: Path, tmp_path: Path) -> None:
    root, home = tmp_path / "D", tmp_path / "C"
    home.mkdir()
    for name in ("Sydney_captions", "RSVQA_LR"):
        shutil.copytree(releases / name, root / name)
    done = subprocess.run(
        [sys.executable, str(HERE / "elsewhere.py"), str(root), str(home)],
        env=os.environ | {"HF_HOME": str(home / "hf")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
