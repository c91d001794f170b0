"""METEOR 1.5 without Java; its words and paraphrases are read from an installed pycocoevalcap.

`meteor` computes it and needs the extra `meteor`; this module says what of that is missing.
"""

import zipfile
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

EXTRA = 'pip install "rs-gpt4v[meteor]"'
"""The command that brings what METEOR needs."""


def missing() -> list[str]:
    """Packages of the extra `meteor` that are not installed, or in a version that scores otherwise.

    METEOR stems as Snowball did in 2010: from release 3 on, snowballstemmer stems 161 of 92,787
    words of METEOR's vocabulary in another way ("added", "emergency").
    """
    absent = [name for name in ("pycocoevalcap", "numba") if find_spec(name) is None]
    try:
        is_known = version("snowballstemmer").split(".")[0] == "2"
    except PackageNotFoundError:
        is_known = False
    return absent if is_known else [*absent, "snowballstemmer>=2,<3"]


def left_out(absent: list[str]) -> str:
    """What to say where it is not computed, because of packages that are `missing`."""
    return f"METEOR is left out, as it needs {', '.join(absent)}: {EXTRA}"


def folder_of(metric: str, missing: str) -> Path:
    """The folder of a metric in pycocoevalcap; nothing of that package is imported.

    Raises:
        ImportError: pycocoevalcap is not installed; the message is ``missing``.
    """
    package = find_spec("pycocoevalcap")
    if package is None or not package.submodule_search_locations:
        raise ImportError(missing)
    return Path(package.submodule_search_locations[0]) / metric


def meteor_folder() -> Path:
    """`folder_of` METEOR 1.5."""
    missing = f"METEOR's data comes with pycocoevalcap, which is missing: {EXTRA}"
    return folder_of("meteor", missing)


def jar_text(name: str) -> str:
    """The text of one file of ``meteor-1.5.jar``, such as ``function/english.words``.

    Raises:
        ImportError: pycocoevalcap is not installed.
    """
    with zipfile.ZipFile(meteor_folder() / "meteor-1.5.jar") as jar:
        return jar.read(name).decode("utf-8")
