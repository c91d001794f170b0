"""The work itself: requests are read, sent, journalled and handed on, by one event loop."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from tqdm import tqdm

from rs_gpt4v.chat_api.answers import (
    Answer,
    ChatError,
    Failure,
    Summary,
    counted,
    read_response,
)
from rs_gpt4v.chat_api.journal import Entry, Journal
from rs_gpt4v.chat_api.pacing import Backoff, Breaker, Pace, Stop, StoppedError
from rs_gpt4v.chat_api.prices import (
    Budget,
    Price,
    completion_tokens_at_most,
    image_rule,
    prompt_tokens,
)
from rs_gpt4v.chat_api.requests import ChatRequest, Endpoint, encoded, request_hash
from rs_gpt4v.chat_api.transport import (
    Fatal,
    NoReplyError,
    Outcome,
    Post,
    Transient,
    limit_lifted_in_s,
    outcome,
)

_ANSWERED_AT_ONCE = 256
_PENDING_AT_ONCE = 8
_READ_S = 0.005
_SYNC_S = 0.02
"""Threads and disks are called upon once for several requests, which halves what one costs."""


class PendingRequest(NamedTuple):
    """A request on its way: the ``index``-th; ``tokens`` are estimated, ``most_usd`` is not."""

    index: int
    key: str
    hash: str
    body: bytes
    tokens: int
    most_usd: float


class _Pulled(NamedTuple):
    """The next requests: those that the journal answers, and those to ask."""

    answered: list[tuple[int, Answer]]
    pending: list[PendingRequest]


class Requests:
    """Reads the caller's requests, one at a time; to be called in a thread, as encoding takes time.

    Raises:
        ChatError: A request is for another model, or bounds no reply's length although spending is
            ``capped``.
    """

    def __init__(
        self,
        requests: Iterable[tuple[str, ChatRequest]],
        endpoint: Endpoint,
        journal: Journal,
        price: Price | None,
        *,
        capped: bool,
    ) -> None:
        self._requests: Iterator[Any] = enumerate(requests)
        self._endpoint, self._journal = endpoint, journal
        self._price, self._capped = price, capped
        self._paced = endpoint.tokens_per_minute is not None
        self.ended = False

    def pull(self, pulled: _Pulled) -> None:
        """Add the next few requests to ``pulled``: one at least, those quickly read at most."""
        until = time.monotonic() + _READ_S
        for index, (key, request) in self._requests:
            hashed = request_hash(request, self._endpoint)
            if answer := self._journal.earlier(key, hashed):
                pulled.answered.append((index, answer))
            else:
                pulled.pending.append(self._pending(index, key, hashed, request))
            if (
                len(pulled.pending) == _PENDING_AT_ONCE
                or len(pulled.answered) == _ANSWERED_AT_ONCE
                or time.monotonic() > until
            ):
                return
        self.ended = True

    def _pending(self, index: int, key: str, hashed: str, request: ChatRequest) -> PendingRequest:
        rule = image_rule(self._price)
        longest = completion_tokens_at_most(request)
        if request["model"] != self._endpoint.model:
            raise ChatError(
                f"request {key!r} is for {request['model']!r}, but the endpoint's model, whose "
                f"price counts, is {self._endpoint.model!r}"
            )
        if self._capped and longest is None:
            raise ChatError(f"request {key!r} sets no max_tokens: its cost has no bound to cap")
        # Both take an image apart, so they are left out where nothing asks for them.
        tokens = prompt_tokens(request, rule) + (longest or 0) if self._paced else 0
        most = prompt_tokens(request, rule, bytes_per_token=1) if self._price else 0
        most_usd = self._price.cost(most, longest or 0) if self._price else 0.0
        return PendingRequest(index, key, hashed, encoded(request), tokens, most_usd)


class Run:
    """Asks all ``requests``, ``concurrency`` at a time.

    Args:
        deliver: Called with the index and the answer of each request, in any order.
    """

    def __init__(
        self,
        requests: Requests,
        endpoint: Endpoint,
        journal: Journal,
        price: Price | None,
        cap_usd: float | None,
        deliver: Callable[[int, Answer], None],
        summary: Summary,
        bar: "tqdm[Any]",
    ) -> None:
        self.stop = Stop()
        self._requests, self._endpoint, self._journal = requests, endpoint, journal
        self._price, self._budget = price, Budget(cap_usd, journal.spent_usd)
        self._pace, self._backoff = Pace(endpoint, self.stop), Backoff(endpoint, self.stop)
        self._breaker = Breaker(endpoint, self.stop)
        self._deliver, self._summary, self._bar = deliver, summary, bar
        self._waiting: dict[str, list[tuple[int, str]]] = {}
        self._failed: dict[str, Answer] = {}
        self._pulling = asyncio.Lock()
        self._pulled: deque[PendingRequest] = deque()
        self._unsynced: asyncio.Queue[tuple[PendingRequest, Entry] | None] = asyncio.Queue()

    async def go(self, post: Post) -> None:
        """Ask until all is answered or something stops it.

        Raises:
            Exception: What reading the requests, or writing the journal, raised.
        """
        syncing = asyncio.create_task(self._sync())
        at_once = self._endpoint.concurrency * len(self._endpoint.each)
        workers = [asyncio.create_task(self._work(post)) for _ in range(at_once)]
        try:
            await self._until_done(workers, syncing)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            self._unsynced.put_nowait(None)
            await syncing

    async def _until_done(
        self, workers: list["asyncio.Task[None]"], syncing: "asyncio.Task[None]"
    ) -> None:
        everyone = asyncio.gather(*workers)
        await asyncio.wait([everyone, syncing], return_when=asyncio.FIRST_COMPLETED)
        if not everyone.done() or everyone.exception():
            # The others send nothing more, but what is in flight is awaited.
            self.stop.set("there was an error")
            await asyncio.wait(workers)
        await everyone

    async def _work(self, post: Post) -> None:
        while self._pulled or (self.stop.reason is None and not self._requests.ended):
            if not self._pulled:
                await self._pull()
            elif not self._repeats(pending := self._pulled.popleft()):
                await self._ask(post, pending)

    async def _pull(self) -> None:
        async with self._pulling:
            if self._pulled or self._requests.ended:
                return  # another has
            pulled = _Pulled([], [])
            try:
                await asyncio.to_thread(self._requests.pull, pulled)
            finally:
                self._pulled.extend(pulled.pending)
                for index, answer in pulled.answered:
                    self._count(index, answer)

    def _repeats(self, pending: PendingRequest) -> bool:
        """Whether this run has asked the same before; it then gets the same answer."""
        if pending.hash in self._waiting:
            self._waiting[pending.hash].append((pending.index, pending.key))
            return True
        answer = self._journal.answer(pending.key, pending.hash) or self._failed.get(pending.hash)
        if answer is None:
            self._waiting[pending.hash] = []
            return False
        self._repeat(pending.index, pending.key, answer)
        return True

    async def _ask(self, post: Post, pending: PendingRequest) -> None:
        try:
            result = await self._result(post, pending)
        except StoppedError as error:
            result = Failure("unsent", f"not sent, as the run stopped: {error}")
        if isinstance(result, Failure):
            self._finish(pending, Answer(key=pending.key, hash=pending.hash, failure=result))
            return
        cost_usd = self._price and self._price.cost_of(counted(result))
        entry = Entry(pending.hash, pending.key, self._endpoint.name, cost_usd, result)
        self._journal.write(entry)
        self._unsynced.put_nowait((pending, entry))

    async def _result(self, post: Post, pending: PendingRequest) -> dict[str, Any] | Failure:
        tries = counted = 0
        while True:
            result = await self._breaker.run(lambda: self._attempt(post, pending))
            if not isinstance(result, Transient):
                return result
            tries += 1
            counted += not result.slow_down
            if counted >= self._endpoint.max_attempts:
                return Failure("exhausted", f"{counted} attempts failed, at last: {result.reason}")
            await self._backoff.wait(tries)

    async def _attempt(
        self, post: Post, pending: PendingRequest
    ) -> dict[str, Any] | Failure | Transient:
        if not await self._budget.reserve(pending.most_usd):
            self._stop_at_cap(pending)
            raise StoppedError(self.stop.reason)
        paid_usd = 0.0
        try:
            await self._pace.turn(pending.tokens)
            self._summary.attempts += 1
            paid_usd = pending.most_usd  # unless something else is known
            result = await self._send(post, pending.body)
            paid_usd = self._paid_usd(pending, result)
        finally:
            await self._budget.settle(pending.most_usd, paid_usd)
        if isinstance(result, Fatal):
            self.stop.set(result.reason)
            raise StoppedError(result.reason)
        return result

    def _stop_at_cap(self, pending: PendingRequest) -> None:
        budget = self._budget
        self.stop.set(
            f"${budget.spent_usd:.4f} of the cap of ${budget.cap_usd:g} are spent, and the next "
            f"request can cost ${pending.most_usd:.4f}. Raise the cap to go on"
        )

    def _paid_usd(self, pending: PendingRequest, result: Outcome) -> float:
        if isinstance(result, dict):
            cost_usd = self._price and self._price.cost_of(counted(result))
            return pending.most_usd if cost_usd is None else cost_usd
        is_long = isinstance(result, Failure) and result.kind == "garbled"
        if is_long or (isinstance(result, Transient) and result.maybe_paid):
            self._summary.uncertain_usd += pending.most_usd
            return pending.most_usd
        return 0.0

    async def _send(self, post: Post, body: bytes) -> Outcome:
        try:
            reply = await post(body)
        except NoReplyError as error:
            self._breaker.failed(str(error))
            return Transient(str(error), maybe_paid=error.sent)
        result = outcome(reply)
        if isinstance(result, Transient):
            self._pace.hold(result.wait_s)
            self._breaker.failed(result.reason)
        elif isinstance(result, Failure):
            self._breaker.rejected(result.reason)
        elif isinstance(result, dict):
            self._pace.hold(limit_lifted_in_s(reply.headers))
            self._breaker.answered()
        return result

    async def _sync(self) -> None:
        """Hand on answers once they are on disk."""
        ended = False
        while not ended:
            batch = [await self._unsynced.get()]
            while not self._unsynced.empty():
                batch.append(self._unsynced.get_nowait())
            await asyncio.to_thread(self._journal.sync)
            for pending, entry in filter(None, batch):
                answer = read_response(pending.key, pending.hash, entry.response, entry.cost_usd)
                self._finish(pending, answer)
            ended = None in batch
            await asyncio.sleep(0 if ended else _SYNC_S)

    def _finish(self, pending: PendingRequest, answer: Answer) -> None:
        if answer.response is None:
            self._failed[pending.hash] = answer
        self._count(pending.index, answer)
        for index, key in self._waiting.pop(pending.hash):
            self._repeat(index, key, answer)

    def _count(self, index: int, answer: Answer) -> None:
        self._summary.count(answer)
        self._show()
        self._deliver(index, answer)

    def _repeat(self, index: int, key: str, answer: Answer) -> None:
        self._summary.repeated += 1
        self._show()
        self._deliver(index, replace(answer, key=key))

    def _show(self) -> None:
        summary = self._summary
        spent = f"${summary.cost_usd:.2f}"
        self._bar.set_postfix(failed=summary.failed.total(), cost=spent, refresh=False)
        self._bar.update()
