"""Accuracy on scene classification, where the classes to choose from are given."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from rs_gpt4v.bootstrap import Sums, joined
from rs_gpt4v.scene_classes import choices, squeezed, two_spellings
from rs_gpt4v.scoring.scenes import Abstention, means, read
from rs_gpt4v_evaluation import metric
from rs_gpt4v_evaluation.metric import Measured, Metric, Rules
from rs_gpt4v_evaluation.predict.predictions import Prediction
from rs_gpt4v_evaluation.rs_vqa.measure import answer_marks, answer_sums

VERSION = 1


def measure(
    predictions: Sequence[str],
    references: Sequence[str] | Sequence[Sequence[str]],
    classes: Sequence[Sequence[str]],
) -> Measured:
    """Accuracies in [0, 1], with numbers of images and what each row adds; see `RSScene`.

    Raises:
        ValueError: There is nothing to score, a reply or class is missing, or a reference is none
            of the row's classes.
    """
    metric.check_columns(
        "rs_scene", predictions=predictions, references=references, classes=classes
    )
    accepted = [metric.listed(true) for true in references]
    metric.check_references("rs_scene", accepted)
    choice = [tuple(sorted(names)) for names in classes]
    known = {names: set(map(squeezed, names)) for names in set(choice)}
    for row, (own, names) in enumerate(zip(accepted, choice, strict=True)):
        if problem := _unlisted(own, known[names]):
            raise ValueError(f"rs_scene: row {row}: {problem}")
    # Many rows have one reply to one choice, and each is read once.
    asked = list(zip(predictions, choice, strict=True))
    answer_of = {item: read(*item) for item in set(asked)}
    answers = [answer_of[item] for item in asked]
    right = [means(answer, own) for answer, own in zip(answers, accepted, strict=True)]
    strict = [said.strip() in own for said, own in zip(predictions, accepted, strict=True)]
    kinds = Counter(answer.kind for answer in answers if isinstance(answer, Abstention))
    names = [score_key(own[0]) for own in accepted]
    return Measured(
        joined([answer_sums(np.array(right), names), _strict_sums(strict, names)]),
        f"rs_scene|v{VERSION}|n:{len(right)}|abstained:{kinds.total()}",
        n=dict(sorted(Counter(names).items())),
        counts={"abstained": kinds.total(), **{kind: kinds[kind] for kind in _KINDS}},
        unparsed={
            row: answer.reason
            for row, answer in enumerate(answers)
            if isinstance(answer, Abstention)
        },
    )


_KINDS = {
    "outside": "Replies that name no class",
    "several": "Replies that name several",
    "undecided": "Replies that do not decide",
}


def score_key(name: str) -> str:
    """A class in the key of its score.

    >>> score_key("Dense residential")
    'dense_residential'
    """
    return "_".join(name.lower().split())


def _unlisted(accepted: Sequence[str], known: set[str]) -> str | None:
    """Why no reply can be right: a reference is none of the classes, by letters and digits."""
    other = next((true for true in accepted if squeezed(true) not in known), None)
    return other and (
        f"the reference {other!r} is none of the {len(known)} classes to choose from: list it, or "
        "write it as it is listed"
    )


def _strict_sums(right: list[bool], names: Sequence[str]) -> Sums:
    """The scores ``aa_strict`` and ``oa_strict``."""
    sums = answer_sums(np.array(right), names)

    def scores(summed: np.ndarray) -> dict[str, np.ndarray]:
        every = sums.scores(summed)
        return {f"{key}_strict": every[key] for key in ("aa", "oa")}

    return Sums(sums.rows, scores, {"oa_strict": sums.binary["oa"]})


def _measure(rows: list[Prediction], _: Rules) -> Measured:
    names = [choices(row["prompt"]) for row in rows]
    return measure([r["prediction"] for r in rows], [r["references"] for r in rows], names)


def _problem(row: Prediction) -> str | None:
    names = choices(row["prompt"])
    if len(names) < 2:
        return (
            "its question lists no classes; expected them after a colon, between commas: "
            f"{row['prompt']!a:.200}"
        )
    if pair := two_spellings(names):
        return f"its question lists {pair[0]!r} and {pair[1]!r}, one class in two spellings"
    return _unlisted(row["references"], set(map(squeezed, names)))


METRIC = Metric(
    "rs_scene",
    tasks=("scene",),
    measure=_measure,
    marks=answer_marks,
    labels={
        "aa_strict": "Mean over classes, exact replies",
        "oa_strict": "All images, exact replies",
        "aa": "Mean over classes (AA)",
        "oa": "All images (OA)",
    },
    headline="oa",
    totals=("aa_strict", "oa_strict", "aa", "oa"),
    counts={"abstained": "Abstentions", **_KINDS},
    shares=("accuracy_", "aa", "oa"),
    by_type="accuracy_",
    heading="Accuracy",
    note="Abstentions, which name no one class of the question, are wrong answers.",
    unit="in points",
    unparsed="abstained",
    problem=_problem,
)
