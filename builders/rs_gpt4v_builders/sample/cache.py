"""The embedded sample on disk: written once for each version of the code that draws it."""

import hashlib
import tempfile
from pathlib import Path

from filelock import FileLock

SAMPLE = "rs_gpt4v_sample"
"""What its folder is called in the cache folder of `datasets`."""


def sample_root(cache: Path) -> Path:
    """The sample's data root below ``cache``; the first call writes it (some 30 s)."""
    code = sorted(Path(__file__).parent.rglob("*.py"))
    version = hashlib.sha256(b"".join(file.read_bytes() for file in code)).hexdigest()[:16]
    parent = cache.expanduser().absolute() / SAMPLE
    parent.mkdir(parents=True, exist_ok=True)
    root = parent / version
    with FileLock(parent / f"{version}.lock"):
        if not root.is_dir():
            from rs_gpt4v_builders import sample

            with tempfile.TemporaryDirectory(dir=parent) as unfinished:
                sample.write_sample(Path(unfinished) / "sample")
                (Path(unfinished) / "sample").rename(root)
    return root
