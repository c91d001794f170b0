"""Asking a judge, and again where its reply cannot be used."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict

from rs_gpt4v import chat
from rs_gpt4v_evaluation.judge import prompts
from rs_gpt4v_evaluation.judge.pairs import Pair
from rs_gpt4v_evaluation.judge.replies import Read, read_choice, read_score

Asks = Literal["score", "better"]
Status = Literal["judged", "unasked", "unparsed", "failed"]

_READERS: dict[str, Callable[[str], Read]] = {"score": read_score, "better": read_choice}
_TIMES = 3  # once, and twice again


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Who judges, and how it is asked.

    Args:
        endpoint: The server and its model.
        journal: Every reply paid for; with the same one nothing is asked twice.
        repeats: Times that each question is asked, with the seeds ``seed``, ``seed`` + 1, ...
        seed: For the server's sampling, as far as it heeds it.
        temperature: 0 for the most probable reply.
        max_tokens: Longest reply.
        with_image: Show the image; otherwise the reference alone is the evidence.
        image_detail: How finely servers such as OpenAI's look at it.
        with_schema: Hold the reply to a JSON schema. `settled` finds out whether the server can.
        body: More fields of each request, which win; None takes a field out.
        cap_usd: Spend no more in all runs with this journal.
        prices: USD per million tokens by model.
    """

    endpoint: chat.Endpoint
    journal: Path
    repeats: int = 1
    seed: int = 0
    temperature: float = 0.0
    max_tokens: int = 400
    with_image: bool = True
    image_detail: Literal["auto", "low", "high"] = "auto"
    with_schema: bool = True
    body: Mapping[str, Any] = field(default_factory=dict)
    cap_usd: float | None = None
    prices: Mapping[str, chat.Price] = field(default_factory=lambda: chat.PRICES)

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

    def images(self, pair: Pair) -> list[chat.Part]:
        """The part of a message that shows the pair's image, if it is to be shown."""
        if not self.with_image or pair.image is None:
            return []
        return [chat.image_part(Path(pair.image), self.image_detail)]

    def request(self, asks: Asks, messages: list[Any], repeat: int) -> chat.ChatRequest:
        """The body of a request."""
        request = {
            "model": self.endpoint.model,
            "messages": messages,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "seed": self.seed + repeat,
            "response_format": prompts.schema(asks) if self.with_schema else None,
            **self.body,
        }
        return {name: value for name, value in request.items() if value is not None}


class Unit(NamedTuple):
    """One thing to ask; ``messages`` makes its messages, when its turn comes."""

    key: str
    repeat: int
    messages: Callable[[], list[Any]]


class Verdict(TypedDict):
    """What came of a unit.

    ``value`` is a score or a choice, and None unless ``status`` is "judged" or "unasked" (what to
    say was plain). ``reason`` is the judge's, or why there is no value. ``asked`` counts the times;
    ``cost_usd`` is what they cost together, None where that is not known; ``served`` is the model
    that answered, as the server names it.
    """

    value: Any
    status: Status
    reason: str
    asked: int
    cost_usd: float | None
    served: str | None


class Asked(NamedTuple):
    """The verdicts in the order of their units, and the account of each time of asking."""

    verdicts: list[Verdict]
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


def ask(units: Sequence[Unit], asks: Asks, judge: Judge) -> Asked:
    """Ask all ``units``; those whose reply cannot be used are asked again, twice at most.

    To ask again is another request: it holds the reply and says what was wrong with it.

    Raises:
        ChatError: Asking could not begin.
        ChatStoppedError: It ended early; the same call goes on where it was.
    """
    verdicts: dict[int, Verdict] = {}
    told: dict[int, list[Any]] = {place: [] for place in range(len(units))}
    summaries = []
    for time in range(1, _TIMES + 1):
        if not told:
            break
        places = list(told)
        with chat.complete(
            _requests(units, told, asks, judge),
            judge.endpoint,
            judge.journal,
            cap_usd=judge.cap_usd,
            prices=judge.prices,
            total=len(places),
            desc="Judging" if time == 1 else f"Judging again ({time - 1})",
        ) as answers:
            # Strict, so that the end of `answers` is read: it says if the run was stopped.
            for place, answer in zip(places, answers, strict=True):
                verdict = _verdict(answer, asks, verdicts.get(place))
                verdicts[place] = verdict
                if verdict["status"] == "unparsed":
                    told[place] += prompts.again(asks, answer.text, verdict["reason"])
                else:
                    del told[place]
        summaries.append(answers.summary)
    return Asked([verdicts[place] for place in range(len(units))], summaries)


def _requests(
    units: Sequence[Unit], told: Mapping[int, list[Any]], asks: Asks, judge: Judge
) -> Iterator[tuple[str, chat.ChatRequest]]:
    # A copy: answers come, and change `told`, while requests are still being read.
    for place, more in [(place, list(more)) for place, more in told.items()]:
        unit = units[place]
        yield unit.key, judge.request(asks, [*unit.messages(), *more], unit.repeat)


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


def settled(judge: Judge, units: Sequence[Unit], asks: Asks) -> Judge:
    """``judge``, without a schema if the server refuses the first unit for its schema."""
    if not units or not judge.with_schema:
        return judge
    with_schema = chat.takes_schema(
        judge.request(asks, units[0].messages(), units[0].repeat),
        judge.endpoint,
        judge.journal,
        cap_usd=judge.cap_usd,
        prices=judge.prices,
    )
    return replace(judge, with_schema=with_schema)


def estimate(units: Sequence[Unit], asks: Asks, judge: Judge) -> chat.Estimate:
    """What asking each unit once would take; asking again can make it up to three times that."""
    told: dict[int, list[Any]] = {place: [] for place in range(len(units))}
    return chat.estimate(_requests(units, told, asks, judge), judge.endpoint, judge.prices)
