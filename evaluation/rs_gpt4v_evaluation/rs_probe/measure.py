"""Hallucination probes as POPE scores them (Li et al., 2023), each kind of negative by itself."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from rs_gpt4v.adapt_probes import POSITIVES
from rs_gpt4v.bootstrap import Sums
from rs_gpt4v_evaluation import metric
from rs_gpt4v_evaluation.metric import Mark, Measured, Metric, Rules
from rs_gpt4v_evaluation.predict.predictions import Prediction

VERSION = 1

SCORES = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "yes_rate": "yes rate",
}
_KINDS = (*POSITIVES, *dict.fromkeys(POSITIVES.values()))
Normalise = Literal["strict", "lenient"]
_YES_NO = re.compile(r"\b(?:yes|no)\b")
_OPENING = re.compile(r"[\W_]*(?:answer\s*[:=][\W_]*)?(yes|no)\b")
_END = re.compile(r"[.!?;\n]")


@lru_cache(maxsize=1 << 16)
def yes_or_no(reply: str, rule: Normalise = "lenient") -> str | None:
    """What a reply answers: "yes", "no", or None where it answers neither.

    "lenient" takes the word that opens the reply, or the only one of the two in its first sentence;
    "strict" the reply itself. Nothing else is guessed, not a yes where there is no no.

    >>> yes_or_no("**Yes**, there is."), yes_or_no("There is no ship."), yes_or_no("I cannot tell.")
    ('yes', 'no', None)
    >>> yes_or_no("Yes.", "strict"), yes_or_no("yes", "strict")
    (None, 'yes')
    """
    text = reply.strip()
    if rule == "strict":
        return text if text in ("yes", "no") else None
    text = text.lower()
    if opening := _OPENING.match(text):
        return opening[1]
    found = set(_YES_NO.findall(_END.split(text, maxsplit=1)[0]))
    return found.pop() if len(found) == 1 else None


def measure(
    predictions: Sequence[str],
    references: Sequence[str],
    question_types: Sequence[str],
    normalise: Normalise = "lenient",
) -> Measured:
    """The scores of each kind of negative with its positives, and their means; see `RSProbe`.

    Raises:
        ValueError: There is nothing to score, a row is none of a probe, a rule is unknown.
    """
    metric.check_columns(
        "rs_probe", predictions=predictions, references=references, question_types=question_types
    )
    if normalise not in ("strict", "lenient"):
        raise ValueError(f"rs_probe: normalise must be one of strict, lenient, got {normalise!r}")
    for row, (true, kind) in enumerate(zip(references, question_types, strict=True)):
        if problem := _row_problem(true, kind):
            raise ValueError(f"rs_probe: row {row}: {problem}")
    numbers = Counter(question_types)
    kinds = [kind for kind, positive in POSITIVES.items() if numbers[kind] and numbers[positive]]
    if not kinds:
        raise ValueError(
            f"rs_probe: a kind is scored with its positives, and there are {dict(numbers)} rows "
            "alone: predict the whole split"
        )
    answers = [yes_or_no(reply, normalise) for reply in predictions]
    unparsed = {row: "neither yes nor no" for row, said in enumerate(answers) if said is None}
    return Measured(
        probe_sums(answers, question_types, kinds),
        f"rs_probe|v{VERSION}|kinds:{'+'.join(kinds)}|normalise:{normalise}|n:{len(answers)}"
        f"|unparsed:{len(unparsed)}",
        n={kind: numbers[kind] for kind in _KINDS if numbers[kind]},
        counts={"n_unparsed": len(unparsed)},
        rule={"normalise": normalise},
        unparsed=unparsed,
    )


def _row_problem(true: str, kind: str | None) -> str | None:
    """Why a row is none of a probe; None where it is one."""
    if kind not in _KINDS:
        return f"its question_type is {kind!r}, expected one of {', '.join(_KINDS)}"
    answer = "no" if kind in POSITIVES else "yes"
    return (
        None if true == answer else f"the answer to {kind!r} is {answer!r}, its reference {true!r}"
    )


def probe_sums(
    answers: Sequence[str | None], question_types: Sequence[str], kinds: Sequence[str]
) -> Sums:
    """What rows add: for each type of question, whether the answer is yes, whether no, and one."""
    types = list(dict.fromkeys(name for kind in kinds for name in (kind, POSITIVES[kind])))
    column = {name: 3 * place for place, name in enumerate(types)}
    rows = np.zeros((len(answers), 3 * len(types)))
    for row, (said, kind) in enumerate(zip(answers, question_types, strict=True)):
        if kind in column:
            rows[row, column[kind] : column[kind] + 3] = said == "yes", said == "no", 1

    def scores(sums: np.ndarray) -> dict[str, np.ndarray]:
        by_type = {name: np.moveaxis(sums[..., at : at + 3], -1, 0) for name, at in column.items()}
        each = {kind: _scores(by_type[POSITIVES[kind]], by_type[kind]) for kind in kinds}
        values = {f"{name}_{kind}": own[name] for kind, own in each.items() for name in SCORES}
        means = {name: np.mean([own[name] for own in each.values()], 0) for name in SCORES}
        return values | means

    binary = {f"accuracy_{kind}": [column[POSITIVES[kind]], column[kind] + 1] for kind in kinds}
    return Sums(rows, scores, binary)


def _scores(positive: np.ndarray, negative: np.ndarray) -> Mapping[str, np.ndarray]:
    """Of numbers of yes, of no and of rows; a draw that lacks either side has no scores."""
    true_yes, _, is_so = positive
    false_yes, true_no, is_not = negative
    said_yes, rows = true_yes + false_yes, is_so + is_not
    with np.errstate(invalid="ignore", divide="ignore"):
        scores = {
            "accuracy": (true_yes + true_no) / rows,
            # Who never says yes has no right yes.
            "precision": np.where(said_yes > 0, true_yes / said_yes, 0.0),
            "recall": true_yes / is_so,
            "f1": 2 * true_yes / (is_so + said_yes),
            "yes_rate": said_yes / rows,
        }
    has_both = (is_so > 0) & (is_not > 0)
    return {name: np.where(has_both, value, np.nan) for name, value in scores.items()}


def _measure(rows: list[Prediction], rules: Rules) -> Measured:
    normalise: Any = rules.normalise
    return measure(
        [row["prediction"] for row in rows],
        [row["references"][0] for row in rows],
        [row["question_type"] or "" for row in rows],
        normalise,
    )


def _problem(row: Prediction) -> str | None:
    return _row_problem(row["references"][0], row["question_type"])


def _marks(rows: list[Prediction], measured: Measured) -> list[Mark]:
    normalise = measured.rule["normalise"]
    return [
        Mark(right=yes_or_no(row["prediction"], normalise) == row["references"][0]) for row in rows
    ]


def _labels() -> Iterator[tuple[str, str]]:
    for kind in POSITIVES:
        yield from (
            (f"{name}_{kind}", f"{kind.capitalize()}: {words}") for name, words in SCORES.items()
        )
    for name, words in SCORES.items():
        yield name, f"Mean over kinds: {words}"


METRIC = Metric(
    "rs_probe",
    tasks=("probe",),
    measure=_measure,
    marks=_marks,
    labels=dict(_labels()),
    headline="f1",
    totals=tuple(SCORES),
    counts={"n_unparsed": "Replies that say neither yes nor no"},
    shares=tuple(SCORES),
    neutral=("yes_rate",),
    by_type=tuple(f"{name}_" for name in SCORES),
    heading="Score",
    note="Each kind of negative, whose number is n, is scored with its positives; a yes rate far "
    "above 50 % is a model that affirms whatever it is asked.",
    unit="in points",
    unparsed="that say neither yes nor no",
    problem=_problem,
)
