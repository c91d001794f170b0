"""What comes back: an answer or why there is none, and the account of all of them."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias, TypedDict

FailureKind: TypeAlias = Literal[
    "refused", "filtered", "too_long", "rejected", "exhausted", "unsent"
]
"""refused: the model declined. filtered: a content filter did. too_long: for the model's context.
rejected: the server will not take this request. exhausted: every attempt failed. unsent: the run
stopped before."""


class ChatError(RuntimeError):
    """Asking cannot begin; the message says why and what to do."""


class ChatStoppedError(ChatError):
    """Asking ended early; what was answered is in the journal, and the same command goes on."""


class Usage(TypedDict):
    """Tokens as the server counted them; it may have sent more fields."""

    prompt_tokens: int
    completion_tokens: int


class Failure(NamedTuple):
    """Why there is no text: ``kind`` for programs, ``reason`` for people."""

    kind: FailureKind
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one request.

    Args:
        key: The caller's.
        hash: `request_hash` of the request.
        text: The reply, perhaps empty or cut; None exactly where there is a ``failure``.
        failure: Why there is no text.
        finish_reason: "stop", "length", ... as the server said; None where it said nothing.
        usage: None where the server counted no tokens.
        cost_usd: What the answer cost when it was made; None where that is not known.
        from_journal: An earlier run got it.
        response: The server's JSON, with its "id" and "model".
    """

    key: str
    hash: str
    text: str | None = None
    failure: Failure | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    cost_usd: float | None = None
    from_journal: bool = False
    response: dict[str, Any] | None = None

    @property
    def truncated(self) -> bool:
        """The reply reached ``max_tokens``: ``text`` is what there was by then."""
        return self.finish_reason == "length"


def read_response(
    key: str,
    request_hash: str,
    response: dict[str, Any],
    cost_usd: float | None,
    *,
    from_journal: bool = False,
) -> Answer:
    """The answer in a response that `is_response` accepts."""
    choice = response["choices"][0]
    text, failure = _text(choice)
    return Answer(
        key=key,
        hash=request_hash,
        text=text,
        failure=failure,
        finish_reason=choice.get("finish_reason"),
        usage=response.get("usage") or None,
        cost_usd=cost_usd,
        from_journal=from_journal,
        response=response,
    )


def _text(choice: dict[str, Any]) -> tuple[str | None, Failure | None]:
    message = choice["message"]
    if message.get("refusal"):
        return None, Failure("refused", f"the model refused: {message['refusal']}")
    if choice.get("finish_reason") == "content_filter":
        return None, Failure("filtered", "the server's content filter withheld the reply")
    return message.get("content") or "", None  # null where reasoning took all tokens


def is_response(value: Any) -> bool:
    """Whether JSON has the shape of a chat completion."""
    try:
        message = value["choices"][0]["message"]
        usage = value.get("usage") or {"prompt_tokens": 0, "completion_tokens": 0}
        counted = (usage["prompt_tokens"], usage["completion_tokens"])
        content = message.get("content")
    except (AttributeError, IndexError, KeyError, TypeError):
        return False
    return isinstance(content, str | None) and all(isinstance(count, int) for count in counted)


@dataclass
class Summary:
    """The account of a run; every request that was read is in one of the first four.

    Args:
        answered: Got a text from the server in this run.
        from_journal: Got what an earlier run had got: text, or a refusal.
        repeated: The same as an earlier request of this run: got what that one got.
        failed: How many got no text in this run, by kind; kind "unsent" was not paid for.
        attempts: Times a request was sent, whatever came of it.
        prompt_tokens: As the server counted, in this run; as are ``completion_tokens``.
        cost_usd: Of this run's answers, as far as prices are known.
        uncertain_usd: The most that attempts can have cost whose answer did not arrive whole.
    """

    answered: int = 0
    from_journal: int = 0
    repeated: int = 0
    failed: Counter[FailureKind] = field(default_factory=Counter)
    attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float = 0.0
    uncertain_usd: float = 0.0

    @property
    def requests(self) -> int:
        """How many were read."""
        return self.answered + self.from_journal + self.repeated + self.failed.total()

    @property
    def unsent(self) -> int:
        """Read, but not sent, or not again, as the run stopped."""
        return self.failed["unsent"]

    def count(self, answer: Answer) -> None:
        """Add an answer that is not the repetition of another."""
        if answer.from_journal:
            self.from_journal += 1
            return
        if answer.failure:
            self.failed[answer.failure.kind] += 1
        else:
            self.answered += 1
        usage = answer.usage or {"prompt_tokens": 0, "completion_tokens": 0}
        self.prompt_tokens += usage["prompt_tokens"]
        self.completion_tokens += usage["completion_tokens"]
        self.cost_usd += answer.cost_usd or 0.0

    def __str__(self) -> str:
        parts = [f"{self.requests:,} requests: {self.answered:,} answered"]
        if self.from_journal:
            parts.append(f"{self.from_journal:,} from the journal")
        if self.repeated:
            parts.append(f"{self.repeated:,} repeated")
        parts += [f"{count:,} {kind.replace('_', ' ')}" for kind, count in self.failed.items()]
        tokens = f"{self.prompt_tokens:,} + {self.completion_tokens:,} tokens"
        said = f"{', '.join(parts)}; {self.attempts:,} attempts, {tokens}, ${self.cost_usd:.4f}"
        if self.uncertain_usd:
            said += f" and at most ${self.uncertain_usd:.4f} for answers that did not arrive"
        return said
