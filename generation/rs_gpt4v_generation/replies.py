"""A model's reply to a dialogue, or what is wrong with it."""

import json
import re
from dataclasses import dataclass
from typing import Any

from rs_gpt4v.chat_api.answers import shown
from rs_gpt4v.conversation import dialogue_problem
from rs_gpt4v_generation.products import (
    PRODUCTS,
    Dialogue,
    ProductName,
    UnusableError,
    UnusableKind,
)

__all__ = ["LONGEST", "Dialogue", "Unusable", "UnusableKind", "parse"]

LONGEST = 100_000
"""Characters; a longer reply is not searched for a dialogue."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a reply is no dialogue: ``kind`` for programs, ``reason`` for people."""

    kind: UnusableKind
    reason: str


def parse(
    reply: str | None, product: ProductName, finish_reason: str | None = None
) -> Dialogue | Unusable:
    """The dialogue in a reply to `rs_gpt4v_generation.prompts.request_body`.

    Accepts JSON in a Markdown fence or between other words, and turns written as messages with a
    role and content. ``finish_reason`` is the server's; "length" makes a reply truncated.
    """
    try:
        return _checked(PRODUCTS[product].read(_content((reply or "").strip(), finish_reason)))
    except UnusableError as error:
        return Unusable(error.kind, shown(str(error)))


_REFUSAL = re.compile(
    r"^(?:i'?m (?:very |really )?sorry|sorry|i (?:can'?t|cannot|am (?:unable|not able))|"
    r"i'?m (?:unable|not able)|unfortunately,? i|as an ai)\b",
    re.IGNORECASE,
)


def _content(reply: str, finish_reason: str | None) -> dict[str, Any]:
    if not reply:
        raise UnusableError("empty", "the reply is empty")
    if finish_reason == "length":
        raise UnusableError("truncated", f"cut off at max_tokens: ...{reply[-40:]!r}")
    if finish_reason == "content_filter":
        raise UnusableError("refused", "the server's content filter withheld the reply")
    start = reply.find("{")
    if start < 0 or (_REFUSAL.match(reply) and "}" not in reply):
        kind = "refused" if _REFUSAL.match(reply) else "no JSON"
        raise UnusableError(kind, f"expected a JSON object, found {reply[:80]!r}")
    return _json_at(start, reply)


def _json_at(start: int, reply: str) -> dict[str, Any]:
    if len(reply) > LONGEST:
        raise UnusableError("no JSON", f"{len(reply):,} characters: too many to be a dialogue")
    try:
        return json.JSONDecoder(strict=False).raw_decode(reply, start)[0]
    except json.JSONDecodeError as error:
        kind = "truncated" if _is_cut(reply, error) else "no JSON"
        raise UnusableError(kind, f"{error} in {reply[:80]!r}") from error
    except ValueError as error:
        raise UnusableError("no JSON", "a number has thousands of digits") from error
    except RecursionError as error:
        raise UnusableError("no JSON", f"nested without end: {reply[:80]!r}") from error


def _is_cut(reply: str, error: json.JSONDecodeError) -> bool:
    """Whether the JSON was good until it ended."""
    in_text = error.msg.startswith(("Unterminated", "Invalid \\u", "Invalid \\escape"))
    return error.pos >= len(reply) or (in_text and '"' not in reply[error.pos + 1 :])


def _checked(dialogue: Dialogue) -> Dialogue:
    if problem := dialogue_problem(list(dialogue.messages), system=False):
        raise UnusableError("empty turn" if problem.endswith("is empty") else "roles", problem)
    return dialogue
