"""What a reader would score without the image: each question type's most frequent answer."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rs_gpt4v.scene_classes import choices
from rs_gpt4v_evaluation.metric import type_name
from rs_gpt4v_evaluation.report.columns import Column, Row
from rs_gpt4v_evaluation.rs_scene import measure as rs_scene
from rs_gpt4v_evaluation.rs_vqa.measure import (
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


class _Kind(NamedTuple):
    """A question type, and the unit of its ranges; None where answers are compared exactly."""

    type: str
    unit: str | None


def blind(column: Column) -> Blind:
    """The baseline for the questions of ``column``, each compared by the rule of its source."""
    if column.metric.name == "rs_scene":
        return _most_frequent_class(column.rows)
    rule = column.score["rule"]
    counts: list[Form] = [_of(rule["counts"], row) for row in column.rows]
    areas: list[Form] = [_of(rule["areas"], row) for row in column.rows]
    types = [row.kind or "all" for row in column.rows]
    kinds = [_Kind(*kind) for kind in zip(types, units(types, counts, areas), strict=True)]
    answers = _most_frequent(column.rows, kinds, rule["normalise"])
    references = [row.references for row in column.rows]
    replies = [answers[kind] for kind in kinds]
    measured = measure(replies, references, types, counts, areas, rule["normalise"])
    return Blind(measured.sums.total(), _named(answers), _rules(answers))


def _most_frequent_class(rows: Sequence[Row]) -> Blind:
    counts = Counter(row.references[0] for row in rows)
    guess = min(counts, key=lambda name: (-counts[name], name))
    references = [row.references for row in rows]
    classes = [choices(row.prompt) for row in rows]
    measured = rs_scene.measure([guess] * len(rows), references, classes)
    return Blind(measured.sums.total(), {"class of scene": guess}, [])


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
    rows: Sequence[Row], kinds: Sequence[_Kind], normalise: Normalise
) -> dict[_Kind, str]:
    """Each type's most frequent answer, as the rule compares answers: a bucket may be one."""
    counts: dict[_Kind, Counter[str]] = defaultdict(Counter)
    for row, kind in zip(rows, kinds, strict=True):
        accepted = (normalise_answer(reference, normalise) for reference in row.references)
        counts[kind].update({_compared(answer, kind.unit) for answer in accepted})
    answers = {kind: min(own, key=lambda a: (-own[a], a)) for kind, own in counts.items()}
    return dict(sorted(answers.items(), key=lambda item: (item[0].type, item[0].unit is None)))


def _compared(answer: str, unit: str | None) -> str:
    return answer if unit is None else bucket(answer, unit) or answer


def _named(answers: dict[_Kind, str]) -> dict[str, str]:
    """The answers by type as a reader says it, with the way of comparing where there are two."""
    ways = Counter(kind.type for kind in answers)

    def name(kind: _Kind) -> str:
        way = "" if ways[kind.type] == 1 else " exactly" if kind.unit is None else " by range"
        return type_name(kind.type).lower() + way

    return {name(kind): answer for kind, answer in answers.items()}


def _rules(answers: dict[_Kind, str]) -> list[str]:
    ways = defaultdict(list)
    for kind in answers:
        if kind.type in ("count", "area"):
            way = "exactly" if kind.unit is None else "by the ranges of the RSVQA authors"
            ways[kind.type].append(way)
    return [
        f"{name.capitalize()} answers are compared {' or '.join(own)}"
        f"{', as their source does' if len(own) > 1 else ''}."
        for name, own in sorted(ways.items(), reverse=True)
    ]
