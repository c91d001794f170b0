"""Correctness: what the checks and the reviewers say of generated dialogues."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from rs_gpt4v.generation.checks import Check
from rs_gpt4v.generation.review.candidates import Candidate, Result
from rs_gpt4v.generation.review.reconcile import Outcome


@dataclass(frozen=True, slots=True)
class Correctness:
    """Of the generated dialogues of one product.

    Attributes:
        checked: Dialogues that checks have looked at.
        clean: Share of these in which no check fails; none where there are none.
        checks: For each check, in the order of the checks, its verdicts by result.
        outcomes: Dialogues by what the reviewers settled; empty without reviews.
    """

    checked: int
    clean: float | None
    checks: dict[str, dict[str, int]]
    outcomes: dict[str, int]


def correctness(candidates: Sequence[Candidate], outcomes: Mapping[str, Outcome]) -> Correctness:
    """The correctness of ``candidates``; ``outcomes`` are by id, none where nobody reviewed."""
    counted: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in candidates:
        for verdict in one["verdicts"]:
            counted[verdict["check"]][verdict["result"]] += 1
    known = list(get_args(Check))
    order = [*known, *sorted(counted.keys() - set(known))]
    checked = [one for one in candidates if one["verdicts"]]
    settled = Counter(outcomes[one["id"]] for one in candidates if one["id"] in outcomes)
    return Correctness(
        checked=len(checked),
        clean=sum(map(_is_clean, checked)) / len(checked) if checked else None,
        checks={
            check: {result: counted[check][result] for result in get_args(Result)}
            for check in order
            if check in counted
        },
        outcomes={name: settled[name] for name in get_args(Outcome)} if settled else {},
    )


def _is_clean(candidate: Candidate) -> bool:
    return all(verdict["result"] != "fail" for verdict in candidate["verdicts"])
