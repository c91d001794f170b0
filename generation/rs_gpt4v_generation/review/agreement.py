"""How far two reviewers agree, beyond what chance would make them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from rs_gpt4v_generation.review.decisions import Decision

CHOICES = ("accept", "edit", "reject")


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two reviewers on the candidates that both accepted, edited or rejected.

    Attributes:
        reviewers: Their names, the rows' first.
        table: Numbers of candidates; rows and columns are `CHOICES`.
        kappa: Cohen's kappa of the three choices; none where it is not defined.
        kappa_kept: The same of two choices: kept (accept or edit) and reject.
    """

    reviewers: tuple[str, str]
    table: list[list[int]]
    kappa: float | None
    kappa_kept: float | None


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa: 1 where all pairs agree, 0 where as often as chance would make them.

    None without pairs, and where both always give the same one answer: chance explains all then.

    >>> kappa([("yes", "yes"), ("yes", "no"), ("no", "no"), ("no", "no")])
    0.5
    >>> kappa([("yes", "yes")]) is None
    True
    """
    if not pairs:
        return None
    rows, columns = (Counter(side) for side in zip(*pairs, strict=True))
    by_chance = sum(rows[name] * columns[name] for name in rows) / len(pairs) ** 2
    observed = sum(one == other for one, other in pairs) / len(pairs)
    return None if by_chance == 1 else (observed - by_chance) / (1 - by_chance)


def compare(
    one: tuple[str, dict[str, Decision]], other: tuple[str, dict[str, Decision]]
) -> Agreement:
    """Compare two reviewers, each a name and the decision that stands by candidate id."""
    (name, decided), (other_name, other_decided) = one, other
    pairs = [
        (decided[row_id]["decision"], other_decided[row_id]["decision"])
        for row_id in decided.keys() & other_decided.keys()
    ]
    pairs = [pair for pair in pairs if "skip" not in pair]
    counted = Counter(pairs)
    return Agreement(
        reviewers=(name, other_name),
        table=[[counted[row, column] for column in CHOICES] for row in CHOICES],
        kappa=kappa(pairs),
        kappa_kept=kappa([(_kept(a), _kept(b)) for a, b in pairs]),
    )


def compare_all(reviews: dict[str, dict[str, Decision]]) -> list[Agreement]:
    """Compare every two reviewers."""
    return [compare(one, other) for one, other in combinations(reviews.items(), 2)]


def _kept(choice: str) -> str:
    return "reject" if choice == "reject" else "kept"
