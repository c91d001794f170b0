"""Accuracy on RSVQA per question type, with the buckets of its authors (Lobry et al., 2020)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from rs_gpt4v.bootstrap import Sums
from rs_gpt4v.scoring.answers import (
    Form,
    Normalise,
    form_of,
    is_right,
    normalise_answer,
    units,
)
from rs_gpt4v_evaluation import metric
from rs_gpt4v_evaluation.metric import Mark, Measured, Metric, Rules
from rs_gpt4v_evaluation.predict.predictions import Prediction

VERSION = 1


def measure(
    predictions: Sequence[str],
    references: Sequence[str] | Sequence[Sequence[str]],
    question_types: Sequence[str],
    counts: Form | Sequence[Form] = "bucket",
    areas: Form | Sequence[Form] = "bucket",
    normalise: Normalise = "lenient",
) -> Measured:
    """Accuracies in [0, 1], with numbers of questions and what each row adds; see `RSVQA`.

    Both answers are normalised, then bucketed where the rule says so. A prediction that is empty or
    has no bucket is wrong; one of several references is enough.

    Raises:
        ValueError: There is nothing to score, an answer or type is missing, or a rule is unknown.
    """
    metric.check_columns(
        "rs_vqa", predictions=predictions, references=references, question_types=question_types
    )
    accepted = [tuple(metric.listed(true)) for true in references]
    metric.check_references("rs_vqa", accepted)
    _check_rules(len(predictions), counts=counts, areas=areas)
    if normalise not in ("strict", "lenient"):
        raise ValueError(f"rs_vqa: normalise must be one of strict, lenient, got {normalise!r}")
    rows = list(zip(predictions, accepted, units(question_types, counts, areas), strict=True))
    # 222,684 answers have few distinct rows, and each is judged once.
    verdicts = {row: is_right(*row, normalise) for row in set(rows)}
    right = np.fromiter(map(verdicts.__getitem__, rows), bool, len(rows))
    replies = Counter(predictions)
    empty = sum(n for reply, n in replies.items() if not normalise_answer(reply, normalise))
    return Measured(
        answer_sums(right, question_types),
        f"rs_vqa|v{VERSION}|counts:{_named(counts)}|areas:{_named(areas)}|normalise:{normalise}"
        f"|n:{len(right)}|empty:{empty}",
        n=dict(sorted(Counter(question_types).items())),
        counts={"empty": empty},
    )


def _named(forms: Form | Sequence[Form]) -> str:
    return forms if isinstance(forms, str) else "+".join(sorted(set(forms)))


def answer_sums(right: np.ndarray, question_types: Sequence[str]) -> Sums:
    """The scores ``accuracy_<type>``, ``aa`` over the types present, and ``oa``."""
    names = sorted(set(question_types))
    number = {name: place for place, name in enumerate(names)}
    is_type = np.eye(len(names))[[number[kind] for kind in question_types]]

    def scores(sums: np.ndarray) -> dict[str, np.ndarray]:
        hits, n = sums[..., : len(names)], sums[..., len(names) :]
        with np.errstate(invalid="ignore"):  # a draw may lack a type
            accuracy = hits / n
        each = {f"accuracy_{name}": accuracy[..., place] for name, place in number.items()}
        return {**each, "aa": np.nanmean(accuracy, -1), "oa": hits.sum(-1) / n.sum(-1)}

    binary = {f"accuracy_{name}": [place] for name, place in number.items()}
    binary["oa"] = list(number.values())
    return Sums(np.hstack([is_type * right[:, None], is_type]), scores, binary)


def _check_rules(rows: int, **rules: str | Sequence[str]) -> None:
    for name, rule in rules.items():
        forms = [rule] if isinstance(rule, str) else rule
        for form in set(forms).difference(("bucket", "exact")):
            raise ValueError(f"rs_vqa: {name} must be one of bucket, exact, got {form!r}")
        if not isinstance(rule, str) and len(rule) != rows:
            raise ValueError(f"rs_vqa: {name} has {len(rule)} rules for {rows} rows")


def _measure(rows: list[Prediction], rules: Rules) -> Measured:
    forms: dict[str, list[Form]] = {
        name: [form_of(name, row["source"], row["question_type"], rule) for row in rows]
        for name, rule in (("counts", rules.counts), ("areas", rules.areas))
    }
    normalise: Any = rules.normalise
    measured = measure(
        [row["prediction"] for row in rows],
        [row["references"] for row in rows],
        [row["question_type"] or "all" for row in rows],
        **forms,
        normalise=normalise,
    )
    sources = [row["source"] for row in rows]
    rule = {name: _by_source(sources, own) for name, own in forms.items()}
    return replace(measured, rule={**rule, "normalise": rules.normalise})


def _by_source(sources: Sequence[str], forms: Sequence[Form]) -> Form | dict[str, Form]:
    """The one form of all rows, or that of each source."""
    return forms[0] if len(set(forms)) == 1 else dict(zip(sources, forms, strict=True))


def answer_marks(_: list[Prediction], measured: Measured) -> list[Mark]:
    """What is said of each row whose sums are `answer_sums`."""
    return [Mark(right=bool(hit)) for hit in measured.sums.right("oa")]


METRIC = Metric(
    "rs_vqa",
    tasks=("vqa",),
    measure=_measure,
    marks=answer_marks,
    labels={"aa": "Mean over types (AA)", "oa": "All questions (OA)"},
    headline="oa",
    totals=("aa", "oa"),
    shares=("accuracy_", "aa", "oa"),
    by_type="accuracy_",
    heading="Accuracy",
    unit="in points",
)
