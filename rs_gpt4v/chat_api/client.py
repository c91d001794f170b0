"""Asking many requests: what callers use."""

import asyncio
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from operator import length_hint
from queue import SimpleQueue
from typing import Any

from tqdm import tqdm

from rs_gpt4v.chat_api.answers import Answer, ChatError, ChatStoppedError, Summary
from rs_gpt4v.chat_api.connection import connection
from rs_gpt4v.chat_api.journal import Journal
from rs_gpt4v.chat_api.prices import PRICES, Price, price_of
from rs_gpt4v.chat_api.requests import ChatRequest, Endpoint, api_key
from rs_gpt4v.chat_api.scheduler import Requests, Run
from rs_gpt4v.files import AnyPath

_GRACE_S = 10.0


class Answers(Iterator[Answer]):
    """The answers in the order of their requests; ``summary`` grows meanwhile.

    Raises:
        ChatStoppedError: After the last answer, where the run stopped before all was asked.
    """

    def __init__(self) -> None:
        self.summary = Summary()
        self._ready: SimpleQueue[Answer | BaseException] = SimpleQueue()
        self._early: dict[int, Answer] = {}
        self._next = 0

    def __next__(self) -> Answer:
        answer = self._ready.get()
        if isinstance(answer, BaseException):
            self._ready.put(StopIteration())
            raise answer
        return answer

    def put(self, index: int, answer: Answer) -> None:
        """Hand on the answer to the ``index``-th request once all before it are there."""
        self._early[index] = answer
        while self._next in self._early:
            self._ready.put(self._early.pop(self._next))
            self._next += 1

    def end(self, reason: BaseException) -> None:
        """Nothing more comes."""
        self._ready.put(reason)


@contextmanager
def complete(
    requests: Iterable[tuple[str, ChatRequest]],
    endpoint: Endpoint,
    journal: AnyPath,
    *,
    cap_usd: float | None = None,
    prices: Mapping[str, Price] = PRICES,
    total: int | None = None,
    desc: str = "Asking",
    bar: "tqdm[Any] | None" = None,
) -> Iterator[Answers]:
    """Send all ``requests`` and yield one answer for each, in the same order.

    Requests with an answer in ``journal`` are not sent; equal ones are sent once. Leaving early,
    by Ctrl-C too, sends nothing more and waits up to 10 s for the answers that are in flight.

    Args:
        requests: Pairs of a key and a body; read one by one as there is room, in another
            thread. A generator that encodes images holds few of them at a time.
        endpoint: The server and its model.
        journal: JSON lines of all paid answers; created, or continued.
        cap_usd: Spend no more than this in all runs with this journal.
        prices: USD per million tokens by model; `read_prices` reads them from a file.
        total: Number of requests, for the progress bar, where ``requests`` cannot tell.
        desc: What the progress bar says.
        bar: Another's progress bar to advance, which stays open; None for a new one.

    Raises:
        ChatError: No key, an unknown price with a cap, or a journal that is damaged or in use.
    """
    key, price = api_key(endpoint), price_of(endpoint.model, prices)
    if cap_usd is not None and price is None:
        raise ChatError(
            f"the price of {endpoint.model!r} is not known, so spending cannot be capped: give a "
            "table of prices that has it, or no cap"
        )
    answers = Answers()
    shows: Any = nullcontext(bar)
    if bar is None:
        total = total or length_hint(requests) or None
        shows = tqdm(total=total, desc=desc, unit="request", disable=None)
    with Journal(journal) as held, shows as shown:
        reader = Requests(requests, endpoint, held, price, capped=cap_usd is not None)
        run = Run(reader, endpoint, held, price, cap_usd, answers.put, answers.summary, shown)
        with _in_thread(run, endpoint, key, answers):
            yield answers


@contextmanager
def _in_thread(run: Run, endpoint: Endpoint, key: str | None, answers: Answers) -> Iterator[None]:
    """Work in an event loop of its own, whatever the caller does meanwhile (and in a notebook)."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(_connected(run, endpoint, key))
    thread = threading.Thread(target=_work, args=(loop, task, run, answers), daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(run.stop.set, "it was interrupted")
        thread.join(_GRACE_S)
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


async def _connected(run: Run, endpoint: Endpoint, key: str | None) -> None:
    async with connection(endpoint, key) as post:
        await run.go(post)


def _work(
    loop: asyncio.AbstractEventLoop, task: "asyncio.Task[None]", run: Run, answers: Answers
) -> None:
    ended: BaseException = StopIteration()
    try:
        loop.run_until_complete(task)
        if run.stop.reason is not None:
            ended = ChatStoppedError(f"stopped: {run.stop.reason}")
    except BaseException as error:  # noqa: BLE001 - raised where answers are awaited
        ended = error
    loop.run_until_complete(loop.shutdown_default_executor())
    answers.end(ended)
