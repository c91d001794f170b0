"""What the verdicts of a dialogue say together, as they stand in a queue."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from rs_gpt4v_generation.checks import FACTUAL, Result


def checks_with(result: Result, verdicts: Iterable[Mapping[str, Any]]) -> set[str]:
    """The checks that have a verdict of ``result``."""
    return {verdict["check"] for verdict in verdicts if verdict["result"] == result}


def is_sound(verdicts: Collection[Mapping[str, Any]]) -> bool:
    """Whether no check fails, and the boxes confirm something that is said."""
    return not checks_with("fail", verdicts) and bool(checks_with("pass", verdicts) & FACTUAL)


def tally(verdicts: Iterable[Mapping[str, Any]]) -> dict[str, Counter[str]]:
    """How often each check passed, failed or could not tell, in order of first occurrence."""
    counted: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        counted.setdefault(verdict["check"], Counter())[verdict["result"]] += 1
    return counted
