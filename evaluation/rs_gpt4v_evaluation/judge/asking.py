"""Asking a judge, and again where its reply cannot be used."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from rs_gpt4v import chat_api as chat
from rs_gpt4v_evaluation.judge import prompts
from rs_gpt4v_evaluation.judge.lines import VerdictFacts
from rs_gpt4v_evaluation.judge.replies import LONGEST, Read, read_choice, read_score

Asks = Literal["score", "better"]

_READERS: dict[str, Callable[[str], Read]] = {"score": read_score, "better": read_choice}
_TIMES = 3  # once, and twice again


@dataclass(frozen=True, kw_only=True)
class Judge(chat.Asker):
    """Who judges, and how it is asked; without the image, the reference alone is the evidence.

    Args:
        repeats: Times that each question is asked, with the seeds ``seed``, ``seed`` + 1, ...
    """

    repeats: int = 1
    max_tokens: int = 400

    def described(self, asks: Asks) -> dict[str, Any]:
        """What another run needs in order to judge in the same way."""
        return {
            "model": self.endpoint.model,
            "server": self.endpoint.name,
            "prompt": prompts.prompt_hash(
                asks, with_image=self.with_image, with_schema=self.with_schema
            ),
            "with_image": self.with_image,
            "image_detail": self.image_detail,
            "with_schema": self.with_schema,
            "temperature": self.temperature,
            "seed": self.seed,
            "max_tokens": self.max_tokens,
            "repeats": self.repeats,
            "body": dict(self.body),
        }


class Unit(NamedTuple):
    """One thing to ask; ``messages`` makes its messages, when its turn comes."""

    key: str
    repeat: int
    messages: Callable[[], list[Any]]


class Verdict(VerdictFacts):
    """What came of a unit; the ``value`` is a score or a choice."""

    value: Any


class Case(NamedTuple):
    """The units to ask about one item, or the ``plain`` verdicts on it, which need no asking."""

    units: list[Unit]
    plain: list[Verdict]


class Judged(NamedTuple):
    """The verdicts of each case, in order.

    ``judge`` is how it was asked, without a schema where the server takes none; ``summaries`` are
    the account of each time of asking.
    """

    judge: Judge
    verdicts: list[list[Verdict]]
    summaries: list[chat.Summary]


def unasked(value: Any, reason: str) -> Verdict:
    """A verdict for which nobody needs to be asked."""
    return {
        "value": value,
        "status": "unasked",
        "reason": reason,
        "asked": 0,
        "cost_usd": 0.0,
        "served": None,
    }


def requests(
    cases: Iterable[Case], asks: Asks, judge: Judge
) -> Iterator[tuple[str, chat.ChatRequest]]:
    """What asks all units once."""
    return (_request(unit, asks, judge) for case in cases for unit in case.units)


def ask(cases: Sequence[Case], asks: Asks, judge: Judge) -> Judged:
    """Ask all units; those whose reply cannot be used are asked again, twice at most.

    To ask again is another request: it holds the reply and says what was wrong with it.

    Raises:
        ChatError: Asking could not begin.
        ChatStoppedError: It ended early; the same call goes on where it was.
    """
    judge = judge.without_schema_if_refused(requests(cases, asks, judge))
    units = [unit for case in cases for unit in case.units]
    verdicts: dict[int, Verdict] = {}
    retries: list[list[Any]] = [[] for _ in units]

    def request(index: int, _: int) -> tuple[str, chat.ChatRequest]:
        return _request(units[index], asks, judge, retries[index])

    def is_usable(index: int, answer: chat.Answer) -> bool:
        verdict = _verdict(answer, asks, verdicts.get(index))
        verdicts[index] = verdict
        if verdict["status"] == "unparsed":
            reply = answer.text if len(answer.text or "") <= LONGEST else None
            retries[index] += prompts.again(asks, reply, verdict["reason"])
        return verdict["status"] != "unparsed"

    rounds = judge.ask(range(len(units)), request, is_usable, _TIMES, "Judging")
    if rounds.stopped:
        raise chat.ChatStoppedError(rounds.stopped)
    ordered = iter([verdicts[index] for index in range(len(units))])
    by_case = [case.plain or [next(ordered) for _ in case.units] for case in cases]
    return Judged(judge, by_case, rounds.summaries)


def _request(
    unit: Unit, asks: Asks, judge: Judge, more: Sequence[Any] = ()
) -> tuple[str, chat.ChatRequest]:
    return unit.key, judge.request(
        {
            "model": judge.endpoint.model,
            "messages": [*unit.messages(), *more],
            "max_tokens": judge.max_tokens,
            "temperature": judge.temperature,
            "seed": judge.seed + unit.repeat,
            "response_format": prompts.schema(asks),
        }
    )


def _verdict(answer: chat.Answer, asks: Asks, earlier: Verdict | None) -> Verdict:
    value, reason = _read(answer, asks)
    is_answer = answer.failure is None or answer.failure.kind in chat.REPLIED
    # A request that failed cost nothing; one that was answered may have cost nobody knows what.
    costs = [earlier["cost_usd"] if earlier else 0.0, answer.cost_usd if is_answer else 0.0]
    return {
        "value": value,
        "status": "failed" if not is_answer else "unparsed" if value is None else "judged",
        "reason": reason,
        "asked": earlier["asked"] + 1 if earlier else 1,
        "cost_usd": total_usd(costs),
        "served": answer.model,
    }


def _read(answer: chat.Answer, asks: Asks) -> Read:
    if answer.failure:
        return Read(None, answer.failure.reason)
    if answer.truncated:  # a number at the cut may be a part of one
        return Read(None, "the reply was cut off: it is too long")
    return _READERS[asks](answer.text or "")


def total_usd(costs: Iterable[float | None]) -> float | None:
    """The sum; None if one of them is not known."""
    known = list(costs)
    return None if None in known else sum(cost for cost in known if cost is not None)
