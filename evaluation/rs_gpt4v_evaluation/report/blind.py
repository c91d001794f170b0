"""What a reader would score without the image: each question type's most frequent answer."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rs_gpt4v_evaluation.metric import type_name
from rs_gpt4v_evaluation.report.columns import Column, Row
from rs_gpt4v_evaluation.rs_vqa.rs_vqa import (
    Form,
    Normalise,
    bucket,
    measure,
    normalise_answer,
    units,
)

CONSTANT_GUESS = "constant guess"
"""The name of the model of a predictions file that always says the same to a type of question."""


class Blind(NamedTuple):
    """The scores of always giving ``answers``, which are by what is asked for.

    ``rules`` are sentences on how such answers are compared.
    """

    scores: dict[str, float]
    answers: dict[str, str]
    rules: list[str]


class _Asked(NamedTuple):
    """A question type, and the unit of its ranges; None where answers are compared exactly."""

    kind: str
    unit: str | None


def blind(column: Column) -> Blind:
    """The baseline for the questions of ``column``, each compared by the rule of its source."""
    rule = column.score["rule"]
    counts: list[Form] = [_of(rule["counts"], row) for row in column.rows]
    areas: list[Form] = [_of(rule["areas"], row) for row in column.rows]
    types = [row.kind or "all" for row in column.rows]
    asked = [_Asked(*one) for one in zip(types, units(types, counts, areas), strict=True)]
    answers = _most_frequent(column.rows, asked, rule["normalise"])
    references = [row.references for row in column.rows]
    blindly = [answers[one] for one in asked]
    measured = measure(blindly, references, types, counts, areas, rule["normalise"])
    return Blind(measured.sums.total(), _named(answers), _rules(answers))


def is_guess(column: Column) -> bool:
    """Whether no model replied, but a constant."""
    return column.score["model"] == CONSTANT_GUESS


def guessing(columns: Sequence[Column], most_frequent: Blind | None) -> dict[str, float]:
    """What guessing scores, by key: the best of the columns that guess and ``most_frequent``."""
    known = [column.scores for column in columns if is_guess(column)]
    known += [most_frequent.scores] if most_frequent else []
    return {key: max(s[key] for s in known if key in s) for scores in known for key in scores}


def _of(rule: Form | Mapping[str, Form], row: Row) -> Form:
    return rule if isinstance(rule, str) else rule[row.source]


def _most_frequent(
    rows: Sequence[Row], asked: Sequence[_Asked], normalise: Normalise
) -> dict[_Asked, str]:
    """Each type's most frequent answer, as the rule compares answers: a bucket may be one."""
    seen: dict[_Asked, Counter[str]] = defaultdict(Counter)
    for row, one in zip(rows, asked, strict=True):
        accepted = (normalise_answer(reference, normalise) for reference in row.references)
        seen[one].update({_compared(answer, one.unit) for answer in accepted})
    found = {one: min(said, key=lambda a: (-said[a], a)) for one, said in seen.items()}
    return dict(sorted(found.items(), key=lambda item: (item[0].kind, item[0].unit is None)))


def _compared(answer: str, unit: str | None) -> str:
    return answer if unit is None else bucket(answer, unit) or answer


def _named(answers: dict[_Asked, str]) -> dict[str, str]:
    """The answers by type as a reader says it, with the way of comparing where there are two."""
    ways = Counter(one.kind for one in answers)

    def name(one: _Asked) -> str:
        way = "" if ways[one.kind] == 1 else " exactly" if one.unit is None else " by range"
        return type_name(one.kind).lower() + way

    return {name(one): answer for one, answer in answers.items()}


def _rules(answers: dict[_Asked, str]) -> list[str]:
    forms = defaultdict(list)
    for one in answers:
        if one.kind in ("count", "area"):
            way = "exactly" if one.unit is None else "by the ranges of the RSVQA authors"
            forms[one.kind].append(way)
    return [
        f"{kind.capitalize()} answers are compared {' or '.join(ways)}"
        f"{', as their source does' if len(ways) > 1 else ''}."
        for kind, ways in sorted(forms.items(), reverse=True)
    ]
