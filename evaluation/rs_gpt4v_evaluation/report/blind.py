"""What a reader would score without the image: each question type's most frequent answer."""

from collections import Counter, defaultdict
from typing import Any, NamedTuple

from rs_gpt4v_evaluation.report.columns import Column, Row
from rs_gpt4v_evaluation.rs_vqa.rs_vqa import bucket, normalise_answer, vqa_accuracy


class Blind(NamedTuple):
    """The scores of always giving ``answers``, by question type."""

    scores: dict[str, float | int | str]
    answers: dict[str, str]


def blind(column: Column) -> Blind:
    """The baseline for the questions of ``column``, compared by its rule."""
    rule: dict[str, Any] = dict(column.score["rule"])
    types = [row.kind or "all" for row in column.rows]
    answers = _most_frequent(column.rows, rule)
    blindly = [answers[kind] for kind in types]
    references = [row.references[0] for row in column.rows]
    return Blind(vqa_accuracy(blindly, references, types, **rule), answers)


def _most_frequent(rows: list[Row], rule: dict[str, Any]) -> dict[str, str]:
    """Each type's most frequent answer, as the rule compares answers: a bucket may be one."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        kind = row.kind or "all"
        counts[kind][_compared(kind, row.references[0], rule)] += 1
    found = {kind: min(seen, key=lambda a: (-seen[a], a)) for kind, seen in counts.items()}
    return dict(sorted(found.items()))


def _compared(kind: str, reference: str, rule: dict[str, Any]) -> str:
    answer = normalise_answer(reference, rule["normalise"])
    if kind == "count" and rule["counts"] == "bucket":
        return bucket(answer) or answer
    if kind == "area" and rule["areas"] == "bucket":
        return bucket(answer, "m2") or answer
    return answer
