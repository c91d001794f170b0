"""Verdicts on disk: one JSON line a pair."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Interval, MinLen
from typing_extensions import NotRequired, TypedDict

from rs_gpt4v.conversation import Message
from rs_gpt4v.files import whole_lines
from rs_gpt4v_evaluation.predict.predictions import (
    Decoding,
    PredictedRows,
    PredictionFileError,
    checked,
)
from rs_gpt4v_evaluation.rs_judge.measure import HIGHEST, LOWEST

T = TypeVar("T")

_Group = Literal["conversation", "detail"]


class VerdictFacts(TypedDict):
    """What a verdict has beside its ``value``, which is None unless it is "judged" or "unasked".

    "unasked" is a verdict that was plain without asking. ``reason`` is the judge's, or why there is
    no value. ``asked`` counts the requests; ``cost_usd`` is what they cost together, None where
    that is not known; ``served`` is the model that answered, as the server names it.
    """

    status: Literal["judged", "unasked", "unparsed", "failed"]
    reason: str
    asked: Annotated[int, Ge(0)]
    cost_usd: float | None
    served: str | None


class ScoreVerdict(VerdictFacts):
    """Of a score."""

    value: Annotated[float, Interval(ge=LOWEST, le=HIGHEST)] | None


class ChoiceVerdict(VerdictFacts):
    """Of a choice."""

    value: Literal["first", "second", "tie"] | None


class JudgeDescription(TypedDict):
    """`rs_gpt4v_evaluation.judge.Judge.described`."""

    model: str
    prompt: str
    with_image: bool
    temperature: float | None
    seed: int | None
    repeats: Annotated[int, Ge(1)]
    body: dict[str, Any]


class MadeBy(TypedDict):
    """Which model answered, and which rows."""

    model: str
    adapter: str | None
    weights: str | None
    decoding: Decoding
    dataset: PredictedRows


class ScoredPair(MadeBy):
    """A line of ``rs-gpt4v judge``: a question, its answer, and the scores of the answer."""

    id: Annotated[str, MinLen(1)]
    source: str
    group: _Group
    image: str | None
    further_images: NotRequired[list[str]]
    history: list[Message]
    prompt: str
    references: list[str]
    answer: str
    verdicts: Annotated[list[ScoreVerdict], MinLen(1)]
    judge: JudgeDescription


class Answers(TypedDict):
    """Of the two models."""

    a: str
    b: str


class ComparedPair(TypedDict):
    """A line of ``rs-gpt4v judge --against``: a question, and which answer is better.

    Earlier versions wrote neither the question nor the answers.
    """

    id: Annotated[str, MinLen(1)]
    group: _Group
    image: str | None
    further_images: NotRequired[list[str]]
    history: NotRequired[list[Message]]
    prompt: NotRequired[str]
    answers: NotRequired[Answers]
    verdicts: Annotated[list[ChoiceVerdict], MinLen(2)]
    judge: JudgeDescription
    a: MadeBy
    b: MadeBy
    unmatched: Annotated[int, Ge(0)]


def read_lines(path: Path, schema: type[T], made_with: str) -> list[T]:
    """The lines of ``path``, each as ``schema`` describes it, of as many verdicts as the others.

    Raises:
        PredictionFileError: A line is not like that; there is none, or one of an id twice.
    """
    lines: list[Any] = []
    try:
        for number, line in whole_lines(path):
            lines.append(checked(line, schema, f"{path}, line {number}"))
    except PredictionFileError as error:
        raise PredictionFileError(f"{error}; is it of {made_with}?") from None
    if not lines:
        raise PredictionFileError(f"{path} is empty; make it with {made_with}")
    first, ids = lines[0], set()
    for line in lines:
        if line["id"] in ids:
            raise PredictionFileError(f"{path}: {line['id']} occurs twice; judge anew")
        ids.add(line["id"])
        if len(line["verdicts"]) != len(first["verdicts"]) or _alike(line) != _alike(first):
            raise PredictionFileError(
                f"{path}: {first['id']} and {line['id']} are not of the same models, judged alike; "
                "judge them apart"
            )
    return lines


def _alike(line: Mapping[str, Any]) -> list[Any]:
    return [line.get(name) for name in ("judge", "model", "adapter", "weights", "a", "b")]


def served(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """The models that gave the verdicts of ``lines``, as the server named them, sorted."""
    names = {verdict["served"] for line in lines for verdict in line["verdicts"]}
    return sorted(names - {None})


def distinct(values: Iterable[Any]) -> list[Any]:
    """``values`` without repetitions, in their order; they need no hash."""
    kept: list[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return kept


def reasons(lines: Iterable[Mapping[str, Any]], status: str) -> dict[str, list[str]]:
    """Why verdicts are of this status, by the id of their pair."""
    by_id = {
        line["id"]: [
            verdict["reason"] for verdict in line["verdicts"] if verdict["status"] == status
        ]
        for line in lines
    }
    return {pair: own for pair, own in by_id.items() if own}
