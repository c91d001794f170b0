"""Requests a second of `rs_gpt4v.chat_api`, against bare aiohttp and what the server allows.

The server, in a process of its own on loopback, answers each request after 0.2 s; 64 may be in
flight: 320 requests a second are the most there can be. The client hashes, journals (with fsync)
and orders the answers, bare aiohttp does not.

    python benchmarks/chat_client.py [--requests 3000] [--concurrency 64] [--image-kb 0]
"""

import argparse
import asyncio
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import aiohttp
from aiohttp import web

from rs_gpt4v import chat_api as chat

DELAY_S = 0.2


TEXT = "A residential area with two ponds. " * 20


def serve(port: Connection, text: str = TEXT) -> None:
    """Answer every request with ``text`` after DELAY_S; tell the port first."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        await asyncio.sleep(DELAY_S)
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": 1000, "completion_tokens": 150}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response({"id": "c", "choices": [choice], "usage": usage})

    async def main() -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        port.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(main())


def requests(count: int, image_kb: int) -> Iterator[tuple[str, chat.ChatRequest]]:
    """Different requests, with an image of that size if any."""
    for i in range(count):
        parts = [chat.text_part(f"Describe image {i}.")]
        if image_kb:
            parts.append(chat.image_part(b"\xff\xd8\xff" + os.urandom(image_kb * 1000)))
        yield f"k{i}", {"model": "m", "messages": [{"role": "user", "content": parts}]}


def ours(endpoint: chat.Endpoint, count: int, image_kb: int) -> None:
    """All that the client does."""
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder, "journal.jsonl")
        with chat.complete(requests(count, image_kb), endpoint, journal) as answers:
            got = sum(answer.text is not None for answer in answers)
    if got != count:
        raise RuntimeError(f"{got} answers to {count} requests")


def bare(endpoint: chat.Endpoint, count: int, image_kb: int) -> None:
    """The same requests with aiohttp alone: no journal, no retries, no order."""

    async def work(session: aiohttp.ClientSession, todo: Iterator[tuple[str, object]]) -> None:
        for _, body in todo:
            async with session.post(endpoint.url, json=body) as response:
                await response.json()

    async def main() -> None:
        todo = requests(count, image_kb)
        connector = aiohttp.TCPConnector(limit=endpoint.concurrency)
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(work(session, todo) for _ in range(endpoint.concurrency)))

    asyncio.run(main())


def measure(
    ask: Callable[[chat.Endpoint, int, int], None], endpoint: chat.Endpoint, count: int, kb: int
) -> float:
    """Print a line; return requests a second."""
    wall, cpu = time.perf_counter(), time.process_time()
    ask(endpoint, count, kb)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    ideal = endpoint.concurrency / DELAY_S
    print(
        f"{ask.__name__:5}{count / wall:8.1f} requests/s  {count / wall / ideal:6.1%} of the most  "
        f"{1e6 * cpu / count:7.0f} us CPU a request"
    )
    return count / wall


def main() -> None:
    """Measure both, in turn, three times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--image-kb", type=int, default=0)
    options = parser.parse_args()
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    server.start()
    endpoint = chat.Endpoint(
        model="m",
        base_url=f"http://127.0.0.1:{here.recv()}/v1",
        api_key_env=None,
        concurrency=options.concurrency,
    )
    for _ in range(3):
        ratio = 1 / measure(bare, endpoint, options.requests, options.image_kb)
        ratio *= measure(ours, endpoint, options.requests, options.image_kb)
        print(f"ours / bare aiohttp: {ratio:.3f}")
    server.terminate()


if __name__ == "__main__":
    main()
