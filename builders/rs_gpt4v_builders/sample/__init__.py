"""The embedded sample: synthetic scenes of known content, laid out as the real releases are.

Nothing in it is real data. It lets every step run where no release is at hand, through the code
that reads the releases themselves.
"""

import hashlib
import importlib
import tempfile
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from rs_gpt4v_builders import all_sources

SAMPLE = "rs_gpt4v_sample"
"""What its folder is called in the cache folder of `datasets`."""


def sample_root(cache: Path) -> Path:
    """The sample's data root below ``cache``; written once for each version of the code here."""
    code = sorted(Path(__file__).parent.rglob("*.py"))
    version = hashlib.sha256(b"".join(file.read_bytes() for file in code)).hexdigest()[:16]
    parent = cache.expanduser().absolute() / SAMPLE
    parent.mkdir(parents=True, exist_ok=True)
    root = parent / version
    with FileLock(parent / f"{version}.lock"):
        if not root.is_dir():
            with tempfile.TemporaryDirectory(dir=parent) as unfinished:
                write_sample(Path(unfinished) / "sample")
                (Path(unfinished) / "sample").rename(root)
    return root


def write_sample(root: Path, seed: int = 0, *, scale: float = 1.0) -> None:
    """Write every release's folder into ``root``, ``HRRSD`` and ``DOTA`` for RSIVQA included.

    Each is written by the module of `releases` that is named as its source, in the configs' order:
    ``write(root, seed, scale)``. It may copy what those before it have written.

    Args:
        root: The folder to fill; created where it does not exist.
        seed: The same seed gives the same bytes.
        scale: The share of the sample's images to make; every split keeps at least one.
    """
    names: dict[str, str] = {}
    for source in all_sources():  # the first of a folder's sources
        names.setdefault(source.folders[0], source.name)
    bar = tqdm(names.values(), desc="Drawing the synthetic sample", unit="release", leave=False)
    for name in bar:
        importlib.import_module(f"{__name__}.releases.{name}").write(root, seed, scale)
