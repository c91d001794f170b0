"""Correctness: what the checks and the reviewers say of dialogues."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from rs_gpt4v_generation.candidates import checks_with, tally
from rs_gpt4v_generation.checks import Check, Result
from rs_gpt4v_generation.review.reconcile import Outcome


@dataclass(frozen=True, slots=True)
class Correctness:
    """Of the dialogues of one generated product, or of one config.

    Attributes:
        checked: Dialogues that checks have looked at.
        clean: Share of these in which no check fails; None where there are none.
        checks: For each check, in the order of the checks, its verdicts by result.
        outcomes: Dialogues by what the reviewers settled; empty without reviews.
    """

    checked: int
    clean: float | None
    checks: dict[str, dict[str, int]]
    outcomes: dict[str, int]


def correctness(
    candidates: Sequence[Mapping[str, Any]], outcomes: Mapping[str, Outcome]
) -> Correctness:
    """The correctness of dialogues; ``outcomes`` are by id, none where nobody reviewed.

    ``candidates`` have the ``id`` and ``verdicts`` of a `rs_gpt4v_generation.candidates.Candidate`.
    """
    counted = tally(verdict for candidate in candidates for verdict in candidate["verdicts"])
    known = list(get_args(Check))
    order = [*known, *sorted(counted.keys() - set(known))]
    checked = [candidate["verdicts"] for candidate in candidates if candidate["verdicts"]]
    clean = sum(not checks_with("fail", verdicts) for verdicts in checked)
    settled = Counter(
        outcomes[candidate["id"]] for candidate in candidates if candidate["id"] in outcomes
    )
    return Correctness(
        checked=len(checked),
        clean=clean / len(checked) if checked else None,
        checks={
            check: {result: counted[check][result] for result in get_args(Result)}
            for check in order
            if check in counted
        },
        outcomes={name: settled[name] for name in get_args(Outcome)} if settled else {},
    )
