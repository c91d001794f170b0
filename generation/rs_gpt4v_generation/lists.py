"""Lists of English words, one file each in ``word_lists/``."""

from functools import cache
from importlib.resources import files


@cache
def word_list(name: str) -> frozenset[str]:
    """The words of ``word_lists/NAME.txt``: common, heads, neutral or stop."""
    path = files("rs_gpt4v_generation") / "word_lists" / f"{name}.txt"
    return frozenset(path.read_text(encoding="utf-8").split())
