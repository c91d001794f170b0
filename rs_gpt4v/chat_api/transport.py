"""What one attempt is and what comes of it."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NamedTuple, TypeAlias

from rs_gpt4v.chat_api.answers import (
    LONGEST_REPLY,
    Failure,
    parse_response,
    shown,
    with_whole_characters,
)
from rs_gpt4v.files import InvalidFileError, parse_json

LONGEST_WAIT_S = 600.0
"""No server is waited for longer before it is asked again, whatever it asks for."""

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_RETRIED = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY}
_NO_CREDIT = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
_TOO_LONG = ("context length", "context window", "maximum context", "too many tokens")


class Reply(NamedTuple):
    """What a server sent; ``is_cut`` tells that the body is longer than what was read of it."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool = False


class NoReplyError(Exception):
    """No whole reply came; ``sent`` tells whether the server may have worked, and charge for it."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


Post: TypeAlias = Callable[[bytes], Awaitable[Reply]]
"""Sends one body; raises NoReplyError."""


class Transient(NamedTuple):
    """A failure that another attempt may not meet.

    ``wait_s`` is what the server asked for; ``slow_down`` tells that only our pace was wrong;
    ``maybe_paid`` that the server may have answered.
    """

    reason: str
    wait_s: float = 0.0
    slow_down: bool = False
    maybe_paid: bool = False


class Fatal(NamedTuple):
    """A failure that every request would meet."""

    reason: str


Outcome: TypeAlias = dict[str, Any] | Failure | Transient | Fatal
"""A response, or what kept it away."""


def outcome(reply: Reply) -> Outcome:
    """What ``reply`` means."""
    if reply.status != HTTPStatus.OK:
        return _error_outcome(reply, *_error(reply.body))
    if reply.is_cut:
        return Failure("garbled", f"the reply has more than {LONGEST_REPLY:,} bytes")
    try:
        return parse_response(reply.body, "the server sent no chat completion")
    except InvalidFileError as error:
        sent = shown(reply.body.decode(errors="replace"))
        return Transient(f"{error}. It sent {sent}", maybe_paid=True)


def _error_outcome(reply: Reply, code: str, text: str) -> Failure | Transient | Fatal:
    text = f"the server says {reply.status}: {text}"
    if reply.status == HTTPStatus.UNAUTHORIZED:
        return Fatal(f"{text}. Check the key in the environment")
    if code in _NO_CREDIT:
        return Fatal(f"{text}. No credit is left with this key")
    if "request too large" in text.lower():  # than a minute's tokens: OpenAI says 429 each time
        return Failure("too_long", text)
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Transient(text, asked_wait_s(reply.headers), slow_down=True)
    if reply.status in _RETRIED or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Transient(text, asked_wait_s(reply.headers))
    return _rejection(reply.status, code, text)


def _rejection(status: int, code: str, text: str) -> Failure:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return Failure("rejected", f"{text}. It redirects: give the address where it answers")
    if code == "context_length_exceeded" or any(words in text.lower() for words in _TOO_LONG):
        return Failure("too_long", f"{text}. Send less text, smaller images or ask for less")
    if code in ("content_filter", "content_policy_violation"):
        return Failure("filtered", text)
    return Failure("rejected", text)


def _error(body: bytes) -> tuple[str, str]:
    """Code and message, in the forms that OpenAI, vLLM and llama.cpp give them."""
    try:
        content = parse_json(with_whole_characters(body), dict[str, Any], "")
    except InvalidFileError:
        return "", shown(body.decode(errors="replace"))
    error = content.get("error", content)
    if not isinstance(error, dict):
        return "", shown(body.decode(errors="replace"))
    message = error.get("message")
    text = message if isinstance(message, str) and message else json.dumps(error)
    return str(error.get("code") or error.get("type") or ""), shown(text)


def asked_wait_s(headers: Mapping[str, str]) -> float:
    """How long the server asks to wait: Retry-After (seconds or date), or as OpenAI says it.

    At most `LONGEST_WAIT_S`; 0 where it asks for nothing that makes sense.
    """
    named = {name.lower(): value.strip() for name, value in headers.items()}
    if milliseconds := _number(named.get("retry-after-ms", "")):
        return min(milliseconds / 1000, LONGEST_WAIT_S)
    if wait := named.get("retry-after"):
        seconds = _number(wait)
        return min(_seconds_until(wait) if seconds is None else seconds, LONGEST_WAIT_S)
    return limit_lifted_in_s(named)


def limit_lifted_in_s(headers: Mapping[str, str]) -> float:
    """Until a limit of OpenAI's is lifted that is used up; 0 where none is. See `asked_wait_s`."""
    used_up = [
        kind
        for kind in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{kind}", "").strip() == "0"
    ]
    waits = (_duration_s(headers.get(f"x-ratelimit-reset-{kind}", "")) for kind in used_up)
    return min(max(waits, default=0.0), LONGEST_WAIT_S)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _seconds_until(date: str) -> float:
    try:
        at = parsedate_to_datetime(date)
        at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
        return max(0.0, (at - datetime.now(timezone.utc)).total_seconds())
    except (ValueError, OverflowError):
        return 0.0


def _duration_s(text: str) -> float:
    """Of "1s", "6m0s", "20ms"; 0 for what is none."""
    parts = re.findall(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)", text)
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)
