"""Verdicts on disk: one JSON line a pair."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rs_gpt4v_evaluation.predictions import PredictionFileError


def read_lines(path: Path, columns: Iterable[str], made_with: str) -> list[dict[str, Any]]:
    """The JSON lines of ``path``, each with all ``columns``.

    Raises:
        PredictionFileError: A line is not like that; there is none.
    """
    lines = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            lines.append(json.loads(line))
            absent = sorted(set(columns) - set(lines[-1]))
        except (ValueError, TypeError) as error:
            raise PredictionFileError(f"{path}, line {number}: no JSON object: {error}") from error
        if absent:
            raise PredictionFileError(
                f"{path}, line {number}: lacks {', '.join(absent)}; is it of {made_with}?"
            )
    if not lines:
        raise PredictionFileError(f"{path} is empty; make it with {made_with}")
    return lines


def served(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """The models that gave the verdicts of ``lines``, as the server named them, sorted."""
    names = {verdict["served"] for line in lines for verdict in line["verdicts"]}
    return sorted(names - {None})


def distinct(values: Iterable[Any]) -> list[Any]:
    """``values`` without repetitions, in their order; they need no hash."""
    kept: list[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return kept


def reasons(lines: Iterable[Mapping[str, Any]], status: str) -> dict[str, list[str]]:
    """Why verdicts are of this status, by the id of their pair."""
    found = {
        line["id"]: [one["reason"] for one in line["verdicts"] if one["status"] == status]
        for line in lines
    }
    return {pair: own for pair, own in found.items() if own}
