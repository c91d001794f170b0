"""How far a judge agrees with people, and with a second judge, as a report shows it."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rs_gpt4v_evaluation.judge.agreement import (
    DEFAULT_LEVELS,
    LABELS,
    Agreement,
    meaning,
    shown,
)

Agreements = tuple[list[Agreement], list[str]]
"""What `rs_gpt4v_evaluation.judge.agreement.agreement_in` gives."""

NO_AGREEMENTS: Agreements = ([], [])


def in_words(agreements: Agreements) -> dict[str, Any]:
    """What a template takes: a table for every two raters, and what to know of them."""
    found, notes = agreements
    by_raters = groupby(found, key=lambda item: item["raters"])
    return {
        "agreement_tables": [(raters, _rows([*items])) for raters, items in by_raters],
        "agreement_warnings": [*_warnings(found), *(f"{note}." for note in notes)],
        "agreement_meaning": meaning(found, DEFAULT_LEVELS),
    }


def _warnings(found: Sequence[Agreement]) -> list[str]:
    """Each warning once, with the raters of whom it is."""
    raters: dict[str, list[str]] = {}
    for item in found:
        if item["warning"] and item["group"] == "all":
            raters.setdefault(item["warning"], []).append(" and ".join(item["raters"]))
    return [f"{'; '.join(pairs)}: {warning}." for warning, pairs in raters.items()]


def _rows(items: Sequence[Agreement]) -> list[list[str]]:
    """The table of two raters: its head, and a line a group."""
    head = ["", "answers", "images", *(LABELS[name] for name in items[0]["scores"])]
    return [head, *(_cells(item) for item in items)]


def _cells(item: Agreement) -> list[str]:
    name = {"all": "All answers"}.get(item["group"], item["group"].capitalize())
    values = [shown(item, score) for score in item["scores"]]
    return [name, f"{item['n']:,}", f"{item['images']:,}", *values]
