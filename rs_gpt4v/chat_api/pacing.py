"""When the next attempt may go: rates, waits between attempts, and servers that are gone."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rs_gpt4v.chat_api.requests import Endpoint

logger = logging.getLogger(__name__)

T = TypeVar("T")

_LONGEST_WAIT = 60  # in units of backoff_s
_FIRST_PAUSE = 10
_IN_A_ROW = 20
_LONG_WAIT_S = 60
_PROBES = 8  # pauses of 10, 20, 40, 60, 60, ... s: some six minutes, enough to start a server anew


class StoppedError(Exception):
    """The run has stopped; nothing more is to be sent."""


class Stop:
    """Says once, to all, that nothing more is to be sent, and why."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._event = asyncio.Event()

    def set(self, reason: str) -> None:
        """Stop for ``reason``, unless there was another before."""
        self.reason = self.reason or reason
        self._event.set()

    def check(self) -> None:
        """Raise StoppedError once stopped."""
        if self.reason is not None:
            raise StoppedError(self.reason)

    async def sleep(self, seconds: float) -> None:
        """Wait; raise StoppedError as soon as stopped."""
        self.check()
        if seconds > 0:
            try:
                await asyncio.wait_for(self._event.wait(), seconds)
            except asyncio.TimeoutError:
                return
            self.check()


class Pace:
    """Spreads attempts evenly, as servers count limits over seconds, not minutes."""

    def __init__(self, endpoint: Endpoint, stop: Stop) -> None:
        self._request_s = 60 / endpoint.requests_per_minute if endpoint.requests_per_minute else 0.0
        self._token_s = 60 / endpoint.tokens_per_minute if endpoint.tokens_per_minute else 0.0
        self._stop = stop
        self._next_request = self._next_token = self._held_until = 0.0

    async def turn(self, tokens: int) -> None:
        """Wait for the turn of an attempt that takes ``tokens``."""
        now = asyncio.get_running_loop().time()
        at = max(now, self._next_request, self._next_token)
        self._next_request = at + self._request_s
        self._next_token = at + tokens * self._token_s
        await self._stop.sleep(at - now)
        while (wait := self._held_until - asyncio.get_running_loop().time()) > 0:
            await self._stop.sleep(wait)

    def hold(self, seconds: float) -> None:
        """Let nobody go for ``seconds``: the server asked for that."""
        if seconds > _LONG_WAIT_S:
            logger.warning("the server asks to wait for %.0f s: waiting", seconds)
        until = asyncio.get_running_loop().time() + seconds
        self._held_until = max(self._held_until, until)


class Backoff:
    """Waits between the attempts of a request: exponential, with full jitter."""

    def __init__(self, endpoint: Endpoint, stop: Stop) -> None:
        self._random = random.Random(endpoint.seed)
        self._base_s, self._stop = endpoint.backoff_s, stop

    async def wait(self, tries: int) -> None:
        """Wait after the ``tries``-th try failed."""
        most = self._base_s * min(2 ** (tries - 1), _LONGEST_WAIT)
        await self._stop.sleep(self._random.uniform(0, most))


class Breaker:
    """After 20 failures in a row, lets one attempt at a time probe; after 8 probes, stops all."""

    def __init__(self, endpoint: Endpoint, stop: Stop) -> None:
        self._base_s, self._stop = endpoint.backoff_s, stop
        self._failures = self._probes = 0
        self._rejections: int | None = 0  # None once a request was answered
        self._probing = asyncio.Lock()

    async def run(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Attempt when that makes sense; ``attempt`` tells what came of it by the methods below."""
        async with self._probing:  # while a probe is out, the others wait for what it finds
            if self._failures >= _IN_A_ROW:
                await self._stop.sleep(self._pause_s())
                self._probes += 1
                return await attempt()
        return await attempt()

    def _pause_s(self) -> float:
        pause_s = self._base_s * min(_FIRST_PAUSE * 2**self._probes, _LONGEST_WAIT)
        logger.warning("%d failures in a row: pausing for %.0f s", self._failures, pause_s)
        return pause_s

    def answered(self) -> None:
        """The server works."""
        self._failures = self._probes = 0
        self._rejections = None

    def rejected(self, reason: str) -> None:
        """The server works and did not take the request; stop if it takes none at all."""
        self._failures = self._probes = 0
        if self._rejections is None:
            return
        self._rejections += 1
        if self._rejections >= _IN_A_ROW:
            self._stop.set(f"none of the first {_IN_A_ROW} requests was accepted, as {reason}")

    def failed(self, reason: str) -> None:
        """An attempt met no working server."""
        self._failures += 1
        if self._probes >= _PROBES:
            self._stop.set(
                f"the server does not work: {self._failures} failures in a row, at last: {reason}. "
                "What was answered is kept; when it works again, the same command goes on"
            )
