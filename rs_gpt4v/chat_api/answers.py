"""What comes back: an answer or why there is none, and the account of all of them."""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias

from annotated_types import Ge, Len, Lt
from typing_extensions import NotRequired, TypedDict

from rs_gpt4v.files import parse_json

FailureKind: TypeAlias = Literal[
    "refused", "garbled", "filtered", "too_long", "rejected", "exhausted", "unsent"
]
"""refused: the model declined. garbled: the reply is no text that can be kept. filtered: a content
filter withheld it. too_long: for the model's context. rejected: the server will not take this
request. exhausted: every attempt failed. unsent: the run stopped before."""

REPLIED: frozenset[FailureKind] = frozenset({"refused", "garbled"})
"""The failures that are replies all the same: asked again, the model may say something better."""

LONGEST_REPLY = 8 * 2**20
"""Bytes of a reply, unpacked, beyond which it is not read."""

_SHOWN_CHARACTERS = 300


class ChatError(RuntimeError):
    """Asking cannot begin; the message says why and what to do."""


class ChatStoppedError(ChatError):
    """Asking ended early; what was answered is in the journal, and the same command goes on."""


Tokens: TypeAlias = Annotated[int, Ge(0), Lt(10**12)]


class Usage(TypedDict):
    """Tokens as the server counted them; it may have sent more fields."""

    prompt_tokens: Tokens
    completion_tokens: Tokens


class _Message(TypedDict):
    content: NotRequired[str | None]
    refusal: NotRequired[str | None]


class _Choice(TypedDict):
    message: _Message
    finish_reason: NotRequired[str | None]


class _Counted(TypedDict):
    prompt_tokens: NotRequired[Tokens]
    completion_tokens: NotRequired[Tokens]


class Completion(TypedDict):
    """A chat completion: what we read of it; a server sends more."""

    choices: Annotated[list[_Choice], Len(1)]
    usage: NotRequired[_Counted | None]
    model: NotRequired[str | None]


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

    @property
    def model(self) -> str | None:
        """Who answered, as the server names it; None where it does not."""
        return self._label("model")

    @property
    def fingerprint(self) -> str | None:
        """What the server calls the state it was in; None where it says nothing."""
        return self._label("system_fingerprint")

    def _label(self, name: str) -> str | None:
        value = (self.response or {}).get(name)
        return shown(value) if isinstance(value, str) else None


def read_response(
    key: str,
    request_hash: str,
    response: dict[str, Any],
    cost_usd: float | None,
    *,
    from_journal: bool = False,
) -> Answer:
    """The answer in a response of `parse_response`."""
    choice = response["choices"][0]
    text, failure = _text(choice)
    return Answer(
        key=key,
        hash=request_hash,
        text=text,
        failure=failure,
        finish_reason=choice.get("finish_reason"),
        usage=counted(response),
        cost_usd=cost_usd,
        from_journal=from_journal,
        response=response,
    )


def _text(choice: dict[str, Any]) -> tuple[str | None, Failure | None]:
    message = choice["message"]
    if message.get("refusal"):
        return None, Failure("refused", f"the model refused: {shown(message['refusal'])}")
    if choice.get("finish_reason") == "content_filter":
        return None, Failure("filtered", "the server's content filter withheld the reply")
    text = message.get("content") or ""  # null where reasoning took all tokens
    if problem := half_character(text):
        return None, Failure("garbled", f"the reply {problem}")
    return text, None


def half_character(text: str) -> str | None:
    """What is wrong with a text that cannot be written as UTF-8; None for all others."""
    half = _HALF_PAIR.search(text)
    if half is None:
        return None
    before = text[max(0, half.start() - 40) : half.end()]
    return f"holds half a surrogate pair, which is no text: ...{shown(before)}"


def counted(response: dict[str, Any]) -> Usage | None:
    """The tokens of a response; None where the server did not count both kinds."""
    usage: Any = response.get("usage") or {}
    return usage if {"prompt_tokens", "completion_tokens"} <= usage.keys() else None


def parse_response(body: bytes, where: str) -> dict[str, Any]:
    """The chat completion in a reply.

    Raises:
        InvalidFileError: It is none; the message begins with ``where``.
    """
    parse_json(with_whole_characters(body), Completion, where)
    return json.loads(body)  # as the server sent it, half characters and all


_HALF_PAIR = re.compile("[\ud800-\udfff]")
_PAIRS = re.compile(
    rb"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)


def with_whole_characters(content: bytes) -> bytes:
    """JSON with U+FFFD for each half of a surrogate pair, which no schema takes for text."""
    return _PAIRS.sub(lambda match: match[1] or rb"\ufffd", content)


def shown(text: str) -> str:
    """The start of a text from outside, in one line that can be written and printed."""
    words = " ".join(text[: 8 * _SHOWN_CHARACTERS].split()) or "(nothing)"
    if not words.isprintable():  # half a character, or what moves the cursor
        words = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in words)
    return words if len(words) <= _SHOWN_CHARACTERS else f"{words[:_SHOWN_CHARACTERS]}..."


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
        text = f"{', '.join(parts)}; {self.attempts:,} attempts, {tokens}, ${self.cost_usd:.4f}"
        if self.uncertain_usd:
            text += f" and at most ${self.uncertain_usd:.4f} for answers that did not arrive"
        return text
