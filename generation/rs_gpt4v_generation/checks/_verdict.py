"""What a check says, and why."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from rs_gpt4v.boxes import Points

Result: TypeAlias = Literal["pass", "fail", "cannot tell"]
Check: TypeAlias = Literal[
    "counts",
    "presence",
    "absence",
    "places",
    "relations",
    "contradictions",
    "leaks",
    "duplicates",
    "repetition",
    "language",
    "length",
    "beyond the boxes",
]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check of one thing that is said.

    Attributes:
        check: Which check.
        result: "cannot tell" where the boxes do not decide.
        turn: The turn, a question with its answer, from 0.
        sentence: The words that were judged.
        rule: What they were compared with, and how.
        boxes: The boxes they were compared with, in pixels, none where there are none.
    """

    check: Check
    result: Result
    turn: int
    sentence: str
    rule: str
    boxes: tuple[Points, ...] = ()
