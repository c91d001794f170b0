"""Accuracy on RSVQA per question type, with the buckets of its authors (Lobry et al., 2020)."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import repeat
from typing import Any, Literal

import numpy as np

from rs_gpt4v.bootstrap import Sums
from rs_gpt4v_evaluation import metric
from rs_gpt4v_evaluation.metric import Mark, Measured, Metric, Rules
from rs_gpt4v_evaluation.predict.predictions import Prediction

VERSION = 1

Form = Literal["bucket", "exact"]
Normalise = Literal["strict", "lenient"]

FORMS: dict[str, dict[str, Form]] = {
    "rsvqa_lr": {"counts": "bucket", "areas": "bucket"},
    "rsvqa_hr": {"counts": "exact", "areas": "bucket"},
    "floodnet": {"counts": "exact", "areas": "bucket"},
    "rsivqa": {"counts": "exact", "areas": "bucket"},
    "folder": {"counts": "exact", "areas": "exact"},  # a user's own
}
"""How the authors of a source compare counts and areas. Those of RSVQA compare counts as ranges in
LR and exactly in HR (METRICS of their own code, VocabEncoder.py); the others ask for no ranges."""

_NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
)
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBER_WORDS.split())}
_AREA = re.compile(r"([0-9]+) ?(?:m2|m²|m\^2|sq(?:uare|\.)? ?m(?:et(?:re|er)s?)?)\b")


@lru_cache(maxsize=1 << 16)
def normalise_answer(answer: str, rule: Normalise = "lenient") -> str:
    """An answer as it is compared; "" if it says nothing.

    >>> normalise_answer(" Seven. "), normalise_answer("Rural area"), normalise_answer("431 m²")
    ('7', 'rural', '431m2')
    >>> normalise_answer(" Seven. ", "strict")
    'Seven.'
    """
    answer = answer.strip()
    if rule == "strict":
        return answer
    answer = " ".join(answer.lower().rstrip(".?!").split())
    # Bucket phrases carry the unit twice.
    answer = _AREA.sub(r"\1m2", answer)
    if answer in ("rural area", "urban area"):
        return answer.removesuffix(" area")
    return _DIGITS.get(answer, answer)


@lru_cache(maxsize=1 << 16)
def bucket(answer: str, unit: str = "") -> str | None:
    """The authors' class of a number with ``unit``, or of a class's own words; None if neither.

    Words and limits follow VocabEncoder.py of syvlo/RSVQA: a limit belongs to the class below it.

    >>> bucket("10"), bucket("11"), bucket("0m2", "m2"), bucket("between 0 and 10"), bucket("many")
    ('between 0 and 10', 'between 10 and 100', '0m2', 'between 0 and 10', None)
    """
    classes = {
        limit: f"between {low}{unit} and {limit}{unit}"
        for low, limit in ((0, 10), (10, 100), (100, 1000))
    }
    above = f"more than 1000{unit}"
    if answer == above or answer in classes.values():
        return answer
    match = re.fullmatch(rf"0*([0-9]*){unit}", answer)
    if not answer.removesuffix(unit) or not match:
        return None
    number = int(match[1][:5] or "0")  # five digits are enough, and int() refuses 5,000
    if number == 0:
        return f"0{unit}"
    return next((words for limit, words in classes.items() if number <= limit), above)


def units(
    question_types: Sequence[str], counts: Form | Sequence[Form], areas: Form | Sequence[Form]
) -> list[str | None]:
    """The unit of each row's buckets, "" for counts; None where answers are compared exactly."""
    forms = (repeat(form) if isinstance(form, str) else form for form in (counts, areas))
    return [_unit(*row) for row in zip(question_types, *forms, strict=False)]


def _unit(question_type: str, counts: Form, areas: Form) -> str | None:
    if question_type == "count" and counts == "bucket":
        return ""
    return "m2" if question_type == "area" and areas == "bucket" else None


def _is_right(said: str, accepted: Sequence[str], unit: str | None, normalise: Normalise) -> bool:
    answer = normalise_answer(said, normalise)
    return any(_same(answer, normalise_answer(true, normalise), unit) for true in accepted)


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
    is_right = {row: _is_right(*row, normalise) for row in set(rows)}
    right = np.fromiter(map(is_right.__getitem__, rows), bool, len(rows))
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


def _same(said: str, true: str, unit: str | None) -> bool:
    """Whether two normalised answers agree: by bucket if they have a ``unit`` ("" for counts)."""
    if not said:
        return False
    if unit is None:
        return said == true
    found = bucket(said, unit)
    return found is not None and found == bucket(true, unit)


def _check_rules(rows: int, **rules: str | Sequence[str]) -> None:
    for name, rule in rules.items():
        forms = [rule] if isinstance(rule, str) else rule
        for form in set(forms).difference(("bucket", "exact")):
            raise ValueError(f"rs_vqa: {name} must be one of bucket, exact, got {form!r}")
        if not isinstance(rule, str) and len(rule) != rows:
            raise ValueError(f"rs_vqa: {name} has {len(rule)} rules for {rows} rows")


def form_of(name: str, source: str, question_type: str | None, rule: str) -> Form:
    """How counts, or areas, are compared where a question is from: "bucket" or "exact".

    Args:
        name: "counts" or "areas".
        source: Where the question is from.
        question_type: What it asks for.
        rule: "bucket", "exact", or "source", as the authors of the source do.

    Raises:
        ValueError: The question asks for such a number, and how its source compares is not known.
    """
    if rule == "bucket" or rule == "exact":
        return rule
    if source in FORMS:
        return FORMS[source][name]
    if question_type == name.removesuffix("s"):
        raise ValueError(
            f"how the source {source!r} compares {name} is not known, as it is of "
            f"{', '.join(FORMS)}: choose --{name} exact, or --{name} bucket for the ranges of RSVQA"
        )
    return "exact"


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
