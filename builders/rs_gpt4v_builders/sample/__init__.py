"""The embedded sample: synthetic scenes of known content, laid out as the real releases are.

Nothing in it is real data. It lets every step run where no release is at hand, through the code
that reads the releases themselves.
"""

import hashlib
import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from rs_gpt4v.files import AnyPath
from rs_gpt4v_builders import CONFIGS, sources_of
from rs_gpt4v_builders.sources.source import Source

SAMPLE = "rs_gpt4v_sample"
"""What its folder is called in the cache folder of `datasets`."""

_NEEDS = {
    "dior": ("dior_rsvg",),
    "rs_gpt4v_instruct": ("dior",),
    "rsivqa": ("rsicd", "sydney_captions", "ucm_captions"),
}
"""The releases whose images another one has or asks about."""


def sample_root(cache: AnyPath, sources: Iterable[Source] | None = None) -> Path:
    """The sample's data root below ``cache``, in which at least the releases of ``sources`` are.

    A release is drawn once for each version of the code here. One that is not finished, since
    another process is drawing it or died, counts as missing.

    Args:
        cache: The cache folder of `datasets`.
        sources: What will be read; all there is where None.
    """
    cache = Path(cache)
    code = sorted(Path(__file__).parent.rglob("*.py"))
    version = hashlib.sha256(b"".join(file.read_bytes() for file in code)).hexdigest()[:16]
    root = cache.expanduser().absolute() / SAMPLE / version
    finished = {name: root / ".finished" / name for name in _releases(sources)}
    if all(mark.is_file() for mark in finished.values()):
        return root
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{root}.lock"):
        missing = [name for name, mark in finished.items() if not mark.is_file()]
        for name in tqdm(missing, _DRAWING, unit="release", leave=False):
            draw_release(name, root, seed=0, scale=1.0)
            finished[name].parent.mkdir(exist_ok=True)
            finished[name].touch()
    return root


def write_sample(root: AnyPath, seed: int = 0, *, scale: float = 1.0) -> None:
    """Write every release's folder into ``root``, ``HRRSD`` and ``DOTA`` for RSIVQA included.

    Each is written by the module of `releases` that is named as its source:
    ``write(root, seed, scale)``. It may copy what those that it needs have written.

    Args:
        root: The folder to fill; created where it does not exist.
        seed: The same seed gives the same bytes.
        scale: The share of the sample's images to make; every split keeps at least one.
    """
    root = Path(root)
    for name in tqdm(_releases(), _DRAWING, unit="release", leave=False):
        draw_release(name, root, seed, scale)


_DRAWING = "Drawing the synthetic sample"


def draw_release(name: str, root: AnyPath, seed: int, scale: float) -> None:
    """Write the folder of the release that the module ``name`` of `releases` draws."""
    importlib.import_module(f"{__name__}.releases.{name}").write(Path(root), seed, scale)


def _releases(sources: Iterable[Source] | None = None) -> list[str]:
    """The names of the releases of ``sources``, each behind those that it needs."""
    names: dict[str, str] = {}
    ours = sources_of(*CONFIGS)
    for source in ours:  # the first of a folder's sources
        names.setdefault(source.folders[0], source.name)
    chosen = ours if sources is None else sources
    wanted = (names[source.folders[0]] for source in chosen)
    return list(dict.fromkeys(name for release in wanted for name in _with_needs(release)))


def _with_needs(name: str) -> Iterator[str]:
    for other in _NEEDS.get(name, ()):
        yield from _with_needs(other)
    yield name
