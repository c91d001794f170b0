"""Robustness: questions on what is not there."""

import re
from dataclasses import dataclass, field

from rs_gpt4v_generation.claims import yes_or_no
from rs_gpt4v_generation.principles.turns import Intervals, Turns


@dataclass(frozen=True, slots=True)
class Robustness:
    """Shares; None where there is nothing that they are shares of.

    Attributes:
        yes: Questions of form "yes/no" that are answered yes.
        no: The same answered no.
        undecided: The same answered neither.
        counts: Questions of form "how many".
        zeros: The same answered with 0 or none.

    The others are in `rs_gpt4v_generation.principles.catalogue`.
    """

    yes: int
    no: int
    undecided: int
    counts: int
    zeros: int
    negatives: float
    negatives_of_yes_no: float | None
    balance: float | None
    spatial: float
    intervals: Intervals = field(default_factory=dict)


def robustness(turns: Turns) -> Robustness:
    """The negatives of ``turns``."""
    forms = turns.forms
    replied = turns.answers.each(answered)
    closed, counting = forms == "yes/no", forms == "how many"
    zero = counting & turns.answers.each(is_zero)
    no, yes = closed & (replied == "no"), closed & (replied == "yes")
    negative = no | zero
    spatial = negative & turns.asks_place
    share = float(no.sum() / (yes | no).sum()) if (yes | no).any() else None
    return Robustness(
        yes=int(yes.sum()),
        no=int(no.sum()),
        undecided=int((closed & (replied == "")).sum()),
        counts=int(counting.sum()),
        zeros=int(zero.sum()),
        negatives=float(negative.mean()),
        negatives_of_yes_no=share,
        balance=None if share is None else 1 - abs(2 * share - 1),
        spatial=float(spatial.mean()),
        intervals=turns.intervals(
            negatives=negative, spatial=spatial, negatives_of_yes_no=(no, yes | no)
        ),
    )


_YES = re.compile(r"\W*(?:yes|yeah)\b", re.IGNORECASE)
_NO = re.compile(
    r"\W*(?:no|none|not|neither|(?:there|it|they) (?:is|are|was|were)(?: not?\b|n't))\b",
    re.IGNORECASE,
)
_ZERO = re.compile(
    r"\W*(?:there (?:is|are) )?(?:(?:0|zero)\b(?![.,]?\d)|none\b|no\b|not any\b)", re.IGNORECASE
)


def answered(answer: str) -> str:
    """Whether an answer is "yes" or "no"; empty for neither.

    >>> [answered(a) for a in ("Yes it is.", "No, none.", "There are no ships.", "rural")]
    ['yes', 'no', 'no', '']
    """
    is_yes = yes_or_no(answer)
    if is_yes is not None:
        return "yes" if is_yes else "no"
    return "yes" if _YES.match(answer) else "no" if _NO.match(answer) else ""


def is_zero(answer: str) -> bool:
    """Whether an answer to "how many" is none.

    >>> [is_zero(a) for a in ("0", "There are no ships.", "0.5", "between 0 and 10")]
    [True, True, False, False]
    """
    return bool(_ZERO.match(answer))
