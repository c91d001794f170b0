"""CHAIR of free texts (Rohrbach et al., 2018): the share of what they name that has no box.

`rs-gpt4v chair` writes what each reply claims beside the reply; here it is counted.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from rs_gpt4v.bootstrap import Sums
from rs_gpt4v_evaluation.metric import Mark, Measured, Metric, Rules


class Claims(TypedDict):
    """What a reply claims of its image, as far as the boxes decide it: ``claims`` of its line.

    ``classes`` are those that it says are there, each once, and ``denied`` those of them without a
    box; ``counts`` the sentences with a number of objects, ``denied_counts`` those whose number is
    another.
    """

    classes: list[str]
    denied: list[str]
    counts: list[str]
    denied_counts: list[str]


def _problem(row: Any) -> str | None:
    try:
        TypeAdapter(Claims).validate_python(row["claims"], strict=True)
    except ValidationError:
        return "its claims are not as rs-gpt4v chair --out writes them: run it again"
    return None


def _scores(sums: np.ndarray) -> dict[str, np.ndarray]:
    denied, classes, with_denied, replies, wrong, counts = np.moveaxis(sums, -1, 0)
    pairs = {
        "chair_i": (denied, classes),
        "chair_s": (with_denied, replies),
        "denied_counts": (wrong, counts),
    }
    with np.errstate(invalid="ignore"):  # a draw of images may name nothing
        return {name: part / whole for name, (part, whole) in pairs.items() if np.any(whole)}


def _measure(rows: list[Any], _: Rules) -> Measured:
    numbers = [
        [
            len(own["denied"]),
            len(own["classes"]),
            bool(own["denied"]),
            1,
            len(own["denied_counts"]),
            len(own["counts"]),
        ]
        for own in (row["claims"] for row in rows)
    ]
    sums = np.array(numbers, float)
    total = sums.sum(0)
    return Measured(
        Sums(sums, _scores, {"chair_s": [2]}),
        signature=f"rs_chair|v1|n:{len(rows)}",
        counts={"n_classes": int(total[1]), "n_counts": int(total[5])},
    )


def _marks(rows: list[Any], _: Any) -> list[Mark]:
    return [_mark(row["claims"]) for row in rows]


def _mark(claims: Claims) -> Mark:
    """A reply is right if the boxes deny nothing of it; None where they decide nothing."""
    share = len(claims["denied"]) / len(claims["classes"]) if claims["classes"] else None
    if share is None and not claims["counts"]:
        return Mark()
    return Mark(right=not (claims["denied"] or claims["denied_counts"]), value=share)


METRIC = Metric(
    "rs_chair",
    tasks=("claims",),
    measure=_measure,
    marks=_marks,
    labels={
        "chair_i": "CHAIR-i: of the named classes, without a box",
        "chair_s": "CHAIR-s: of the replies, naming such a class",
        "denied_counts": "Of the numbers of objects, wrong",
    },
    headline="chair_s",
    counts={"n_classes": "Classes named", "n_counts": "Numbers of objects"},
    shares=("chair", "denied"),
    neutral=("chair", "denied"),
    note="Lower is better. Boxes decide what is there; a class counts once per reply.",
    unit="points",
    value="CHAIR-i",
    problem=_problem,
)


def most_denied(claims: Iterable[Claims], most: int = 5) -> list[tuple[str, int]]:
    """The classes that most replies make up, each with their number."""
    denied = Counter(name for own in claims for name in own["denied"])
    return sorted(denied.items(), key=lambda item: (-item[1], item[0]))[:most]
