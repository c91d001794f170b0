"""One attempt over HTTP, and what its outcome means."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from rs_gpt4v.chat.answers import Failure, is_response
from rs_gpt4v.chat.requests import Endpoint

_SHOWN_CHARACTERS = 300
_SECRET_CHARACTERS = 16  # what is shorter is for show ("EMPTY") and may be a word of a reply
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_RETRIED = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY}
_NO_CREDIT = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
_TOO_LONG = ("context length", "context window", "maximum context", "too many tokens")


class Reply(NamedTuple):
    """What a server sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoReplyError(Exception):
    """No whole reply came; ``sent`` tells whether the server may have worked, and charge for it."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


Post: TypeAlias = Callable[[bytes], Awaitable[Reply]]
"""Sends one body; raises NoReplyError."""


class Passing(NamedTuple):
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


Outcome: TypeAlias = dict[str, Any] | Failure | Passing | Fatal
"""A response, or what kept it away."""


@asynccontextmanager
async def connection(endpoint: Endpoint, key: str | None) -> AsyncIterator[Post]:
    """Posts to ``endpoint``, with ``key``, which is struck out of whatever comes back."""
    import aiohttp

    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    session = aiohttp.ClientSession(
        headers=headers,
        connector=aiohttp.TCPConnector(limit=endpoint.concurrency),
        timeout=aiohttp.ClientTimeout(total=endpoint.timeout_s),
        proxy=_proxy(endpoint.url),
    )

    async def post(body: bytes) -> Reply:
        try:
            # A redirect would carry the key elsewhere.
            async with session.post(endpoint.url, data=body, allow_redirects=False) as response:
                content = await response.read()
        except asyncio.TimeoutError as error:
            raise NoReplyError(f"no answer within {endpoint.timeout_s:g} s", sent=True) from error
        except aiohttp.ClientConnectorError as error:
            raise NoReplyError(f"cannot connect: {error}", sent=False) from error
        except aiohttp.ClientError as error:
            raise NoReplyError(f"the connection broke: {error!r}", sent=True) from error
        if key is not None and len(key) >= _SECRET_CHARACTERS:
            content = content.replace(key.encode(), b"[key]")
        return Reply(response.status, response.headers, content)

    async with session:
        yield post


def _proxy(url: str) -> str | None:
    """What the environment names; asked once, as aiohttp's own way takes a thread a request."""
    address = urlsplit(url)
    if proxy_bypass(address.netloc):
        return None
    return getproxies().get(address.scheme)


def outcome(reply: Reply) -> Outcome:
    """What ``reply`` means."""
    content = _json(reply.body)
    if reply.status != HTTPStatus.OK:
        return _error_outcome(reply, *_error(content, reply.body))
    if is_response(content):
        return content
    return Passing(f"the server sent no chat completion: {_shown(reply.body)}", maybe_paid=True)


def _error_outcome(reply: Reply, code: str, said: str) -> Failure | Passing | Fatal:
    said = f"the server says {reply.status}: {said}"
    if reply.status == HTTPStatus.UNAUTHORIZED:
        return Fatal(f"{said}. Check the key in the environment")
    if code in _NO_CREDIT:
        return Fatal(f"{said}. No credit is left with this key")
    if (
        "request too large" in said.lower()
    ):  # for a minute's tokens; OpenAI says 429, and would always
        return Failure("too_long", said)
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Passing(said, asked_wait_s(reply.headers), slow_down=True)
    if reply.status in _RETRIED or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Passing(said, asked_wait_s(reply.headers))
    return _rejection(code, said)


def _rejection(code: str, said: str) -> Failure:
    if code == "context_length_exceeded" or any(words in said.lower() for words in _TOO_LONG):
        return Failure("too_long", f"{said}. Send less text, smaller images or ask for less")
    if code in ("content_filter", "content_policy_violation"):
        return Failure("filtered", said)
    return Failure("rejected", said)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _error(content: Any, body: bytes) -> tuple[str, str]:
    """Code and message, in the forms that OpenAI, vLLM and llama.cpp give them."""
    error = content.get("error", content) if isinstance(content, dict) else None
    if not isinstance(error, dict):
        return "", _shown(body)
    return str(error.get("code") or error.get("type") or ""), _shown(
        str(error.get("message") or error).encode()
    )


def _shown(body: bytes) -> str:
    text = " ".join(body.decode(errors="replace").split()) or "(nothing)"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def asked_wait_s(headers: Mapping[str, str]) -> float:
    """How long the server asks to wait: Retry-After (seconds or date), or as OpenAI says it."""
    named = {name.lower(): value.strip() for name, value in headers.items()}
    if milliseconds := _number(named.get("retry-after-ms", "")):
        return milliseconds / 1000
    if asked := named.get("retry-after"):
        seconds = _number(asked)
        return _seconds_until(asked) if seconds is None else seconds
    return limit_lifted_in_s(named)


def limit_lifted_in_s(headers: Mapping[str, str]) -> float:
    """Until a limit of OpenAI's is lifted that is used up; 0 where none is."""
    used_up = [
        kind
        for kind in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{kind}", "").strip() == "0"
    ]
    waits = (_duration_s(headers.get(f"x-ratelimit-reset-{kind}", "")) for kind in used_up)
    return max(waits, default=0.0)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _seconds_until(date: str) -> float:
    try:
        at = parsedate_to_datetime(date)
    except ValueError:
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=timezone.utc)
    return max(0.0, (at - datetime.now(timezone.utc)).total_seconds())


def _duration_s(text: str) -> float:
    """Of "1s", "6m0s", "20ms"; 0 for what is none."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)
