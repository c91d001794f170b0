"""A model's reply to a dialogue, or what is wrong with it."""

import json
import re
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from rs_gpt4v.chat_api import FailureKind
from rs_gpt4v.chat_api.answers import half_character, shown
from rs_gpt4v.conversation import Message, dialogue_problem
from rs_gpt4v_generation.scene import Product

LONGEST = 100_000
"""Characters; a longer reply is not searched for a dialogue."""

UnusableKind: TypeAlias = (
    Literal["empty", "refused", "truncated", "no JSON", "missing field", "roles", "empty turn"]
    | FailureKind
)
"""What is wrong with a reply, or why there is none."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A reply that can be checked.

    Attributes:
        messages: User and assistant in turn.
        kinds: Of "reasoning", the kind of each turn.
        local: Of "detail", what was said of the parts first.
    """

    messages: tuple[Message, ...]
    kinds: tuple[str, ...] = ()
    local: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a reply is no dialogue: ``kind`` for programs, ``reason`` for people."""

    kind: UnusableKind
    reason: str


class _UnusableError(Exception):
    def __init__(self, kind: UnusableKind, reason: str) -> None:
        super().__init__(reason)
        self.result = Unusable(kind, shown(reason))


def parse(
    reply: str | None, product: Product, finish_reason: str | None = None
) -> Dialogue | Unusable:
    """The dialogue in a reply to `rs_gpt4v_generation.prompts.request_body`.

    Accepts JSON in a Markdown fence or between other words, and turns written as messages with a
    role and content. ``finish_reason`` is the server's; "length" makes a reply truncated.
    """
    try:
        return _checked(_READERS[product](_content((reply or "").strip(), finish_reason)))
    except _UnusableError as error:
        return error.result


_REFUSAL = re.compile(
    r"^(?:i'?m (?:very |really )?sorry|sorry|i (?:can'?t|cannot|am (?:unable|not able))|"
    r"i'?m (?:unable|not able)|unfortunately,? i|as an ai)\b",
    re.IGNORECASE,
)


def _content(reply: str, finish_reason: str | None) -> dict[str, Any]:
    if not reply:
        raise _UnusableError("empty", "the reply is empty")
    if finish_reason == "length":
        raise _UnusableError("truncated", f"cut off at max_tokens: ...{reply[-40:]!r}")
    if finish_reason == "content_filter":
        raise _UnusableError("refused", "the server's content filter withheld the reply")
    start = reply.find("{")
    if start < 0 or (_REFUSAL.match(reply) and "}" not in reply):
        kind = "refused" if _REFUSAL.match(reply) else "no JSON"
        raise _UnusableError(kind, f"expected a JSON object, found {reply[:80]!r}")
    return _json_at(start, reply)


def _json_at(start: int, reply: str) -> dict[str, Any]:
    if len(reply) > LONGEST:
        raise _UnusableError("no JSON", f"{len(reply):,} characters: too many to be a dialogue")
    try:
        return json.JSONDecoder(strict=False).raw_decode(reply, start)[0]
    except json.JSONDecodeError as error:
        kind = "truncated" if _is_cut(reply, error) else "no JSON"
        raise _UnusableError(kind, f"{error} in {reply[:80]!r}") from error
    except ValueError as error:
        raise _UnusableError("no JSON", "a number has thousands of digits") from error
    except RecursionError as error:
        raise _UnusableError("no JSON", f"nested without end: {reply[:80]!r}") from error


def _is_cut(reply: str, error: json.JSONDecodeError) -> bool:
    """Whether the JSON was good until it ended."""
    in_text = error.msg.startswith(("Unterminated", "Invalid \\u", "Invalid \\escape"))
    return error.pos >= len(reply) or (in_text and '"' not in reply[error.pos + 1 :])


def _field(content: dict[str, Any], name: str, where: str = "the reply") -> str:
    value = content.get(name)
    if not isinstance(value, str):
        problem = f"found {sorted(content)}" if value is None else f"it is a {type(value).__name__}"
        raise _UnusableError("missing field", f"{where} has no text {name!r}: {problem}")
    if not value.strip():
        raise _UnusableError("empty turn", f"{where} has an empty {name!r}")
    if half := half_character(value):
        raise _UnusableError("garbled", f"{where}: {name!r} {half}")
    return value.strip()


def _listed(content: dict[str, Any], name: str) -> list[Any]:
    value = content.get(name)
    if value == []:
        raise _UnusableError("missing field", f"the reply's list {name!r} is empty")
    if not isinstance(value, list):
        raise _UnusableError(
            "missing field", f"the reply has no list {name!r}: found {sorted(content)}"
        )
    return value


def _turns(content: dict[str, Any]) -> tuple[Message, ...]:
    if "messages" in content:
        return _messages(_listed(content, "messages"))
    messages: list[Message] = []
    for index, turn in enumerate(_listed(content, "turns")):
        where = f"turn {index}"
        if not isinstance(turn, dict):
            raise _UnusableError("missing field", f"{where} is no object: {reprlib.repr(turn)}")
        messages.append({"role": "user", "content": _field(turn, "question", where)})
        messages.append({"role": "assistant", "content": _field(turn, "answer", where)})
    return tuple(messages)


def _messages(items: list[Any]) -> tuple[Message, ...]:
    """Messages with a role and content, where a model wrote these; a system message is dropped."""
    objects = [item for item in items if isinstance(item, dict) and item.get("role") != "system"]
    return tuple(
        {
            "role": cast(Any, item.get("role")),
            "content": _field(item, "content", f"message {index}"),
        }
        for index, item in enumerate(objects)
    )


def _reasoning(content: dict[str, Any]) -> Dialogue:
    messages = _turns(content)
    turns = content.get("turns", [])
    return Dialogue(
        messages, kinds=tuple(_field(t, "kind", f"turn {i}") for i, t in enumerate(turns))
    )


def _checked(dialogue: Dialogue) -> Dialogue:
    if problem := dialogue_problem(list(dialogue.messages), system=False):
        raise _UnusableError("empty turn" if problem.endswith("is empty") else "roles", problem)
    return dialogue


def _detail(content: dict[str, Any]) -> Dialogue:
    question: Message = {"role": "user", "content": _field(content, "instruction")}
    answer: Message = {"role": "assistant", "content": _field(content, "description")}
    local = tuple(_field({"local": text}, "local") for text in _listed(content, "local"))
    return Dialogue((question, answer), local=local)


_READERS: dict[Product, Callable[[dict[str, Any]], Dialogue]] = {
    "conversation": lambda content: Dialogue(_turns(content)),
    "reasoning": _reasoning,
    "detail": _detail,
}
