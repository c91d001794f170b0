"""What reviewers decided, as `rs-gpt4v review` writes it: one JSON object a line."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator
from typing_extensions import TypedDict

from rs_gpt4v.conversation import Message, dialogue_problem
from rs_gpt4v.files import InvalidFileError, parse_json, whole_lines

_MEND = "Mend the line or take it out, and start again"


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("a text that is not empty")
    return text


Text = Annotated[str, AfterValidator(_not_blank)]
Choice = Literal["accept", "edit", "reject", "skip"]


class _Content(TypedDict, total=False):
    messages: list[Message]
    reason: str


class Decision(_Content):
    """One line of a reviews file.

    ``id`` is the candidate's, ``of`` the `digest` of what was decided about, ``at`` the time in
    ISO 8601, UTC. "undo" takes back the last decision on ``id`` that still stands. "edit" has
    ``messages``, the corrected dialogue; "reject" has a ``reason``.
    """

    id: Text
    decision: Choice | Literal["undo"]
    reviewer: Text
    at: Text
    of: Text


class ReviewsError(ValueError):
    """A reviews file cannot be used; the message names it, the line and what to do."""


def standing(decisions: Iterable[Decision]) -> dict[str, Decision]:
    """The decision that counts for each id, the oldest first: the last that was not undone."""
    stacks: dict[str, list[tuple[int, Decision]]] = {}
    for index, decision in enumerate(decisions):
        stack = stacks.setdefault(decision["id"], [])
        if decision["decision"] != "undo":
            stack.append((index, decision))
        elif stack:
            stack.pop()
    last = sorted((stack[-1] for stack in stacks.values() if stack), key=lambda pair: pair[0])
    return {decision["id"]: decision for _, decision in last}


def read_decisions(path: Path) -> list[Decision]:
    """All lines of a reviews file; a last one that a kill cut short is left out.

    Raises:
        ReviewsError: A line before the last is no decision.
    """
    return [_decision(line, f"{path}, line {number}") for number, line in whole_lines(path)]


def _decision(line: bytes, where: str) -> Decision:
    try:
        decision = parse_json(line, Decision, where)
    except InvalidFileError as error:
        raise ReviewsError(f"{error}. {_MEND}") from None
    if problem := decision_problem(decision):
        raise ReviewsError(f"{where}: {problem}. {_MEND}")
    return decision


def decision_problem(row: Mapping[str, Any]) -> str | None:
    """Why the words of a decision do not fit it, none where they do."""
    match row["decision"]:
        case "edit":
            return dialogue_problem(row.get("messages"), system=False)
        case "reject":
            reason = row.get("reason")
            is_given = isinstance(reason, str) and reason.strip()
            return None if is_given else "a reject has no reason"
        case other:
            known = (*get_args(Choice), "undo")
            return None if other in known else f"{other!r} is none of {', '.join(known)}"
