"""OpenAI's batch API, at half the price: files to upload, and what comes back into a journal."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from tqdm import tqdm

from rs_gpt4v.chat.answers import (
    ChatError,
    FailureKind,
    Summary,
    is_response,
    read_response,
)
from rs_gpt4v.chat.exchange import Failure, Reply, outcome
from rs_gpt4v.chat.journal import Entry, Journal
from rs_gpt4v.chat.prices import PRICES, Price, price_of
from rs_gpt4v.chat.requests import ChatRequest, Endpoint, request_hash

_REQUESTS_A_FILE = 50_000
_BYTES_A_FILE = 200_000_000
_DISCOUNT = 0.5
_OK = 200


def write_batch(
    requests: Iterable[tuple[str, ChatRequest]], endpoint: Endpoint, folder: Path, journal: Path
) -> list[Path]:
    """Write what ``journal`` does not answer to ``folder``, for the batch API.

    Equal requests are written once. No file has more than 50,000 requests or 200 MB.

    Returns:
        The files, to be uploaded with purpose "batch" and run at "/v1/chat/completions".

    Raises:
        ChatError: ``folder`` has batch files already, or the journal is damaged or in use.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("batch_*.jsonl")):
        raise ChatError(
            f"{folder} has batch files already, which may be at work: read their answers with "
            "read_batch and delete them, or name another folder"
        )
    with Journal(journal) as held:
        parts = _Parts(folder)
        for line in _lines(requests, endpoint, held):
            parts.write(line)
        return parts.finished()


def _lines(
    requests: Iterable[tuple[str, ChatRequest]], endpoint: Endpoint, journal: Journal
) -> Iterator[bytes]:
    written: set[str] = set()
    for key, request in tqdm(requests, desc="Writing batch files", unit="request", disable=None):
        hashed = request_hash(request, endpoint)
        if hashed in written or journal.earlier(key, hashed):
            continue
        written.add(hashed)
        line = {
            "custom_id": hashed,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": request,
        }
        yield json.dumps(line, allow_nan=False).encode("ascii") + b"\n"


class _Parts:
    """Files that get their names once all are whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: list[BinaryIO] = []
        self._requests = 0

    def write(self, line: bytes) -> None:
        full = self._requests == _REQUESTS_A_FILE
        if not self._files or full or self._files[-1].tell() + len(line) > _BYTES_A_FILE:
            self._begin()
        self._files[-1].write(line)
        self._requests += 1

    def _begin(self) -> None:
        self._close()
        name = f".batch_{len(self._files) + 1:05}.jsonl.part"
        self._files.append((self._folder / name).open("wb"))
        self._requests = 0

    def _close(self) -> None:
        if self._files:
            self._files[-1].flush()
            os.fsync(self._files[-1].fileno())
            self._files[-1].close()

    def finished(self) -> list[Path]:
        self._close()
        unfinished = [Path(file.name) for file in self._files]
        return [path.replace(path.with_name(path.name[1:-5])) for path in unfinished]


def read_batch(
    files: Iterable[Path],
    endpoint: Endpoint,
    journal: Path,
    prices: Mapping[str, Price] = PRICES,
) -> Summary:
    """Take the answers in a batch's output and error files into ``journal``; say what came.

    Reading a file again changes nothing. What failed is not in the journal: it is asked by
    `complete`, or written by `write_batch`, when next they are called.

    Args:
        files: In any order.
        endpoint: The one that `write_batch` got.
        journal: The one that `write_batch` got.
        prices: Of which half is paid.

    Raises:
        ChatError: A line is none of a batch's output, or its request is not of `write_batch`.
    """
    price, summary = price_of(endpoint.model, prices), Summary()
    with Journal(journal) as held:
        for path in files:
            for entry in _entries(path, endpoint, held, price, summary):
                held.write(entry)
        held.sync()
    return summary


def _entries(
    path: Path, endpoint: Endpoint, journal: Journal, price: Price | None, summary: Summary
) -> Iterator[Entry]:
    for hashed, status, body in _results(path):
        if journal.earlier("", hashed) or journal.answer("", hashed):
            summary.from_journal += 1
            continue
        summary.attempts += status > 0
        if status != _OK or not is_response(body):
            summary.failed[_kind(status, body)] += 1
            continue
        full_usd = price and price.cost_of(body.get("usage"))
        cost_usd = None if full_usd is None else full_usd * _DISCOUNT
        summary.count(read_response(hashed, hashed, body, cost_usd))
        yield Entry(hashed, hashed, endpoint.name, cost_usd, body, batch=True)


def _results(path: Path) -> Iterator[tuple[str, int, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            yield _parsed(line, f"{path}, line {number}")


def _parsed(line: bytes, where: str) -> tuple[str, int, Any]:
    """Hash, status and body; status 0 where the batch ended before the request was sent."""
    try:
        content = json.loads(line)
        hashed, response = content["custom_id"], content["response"]
        status, body = (response["status_code"], response["body"]) if response else (0, None)
    except (ValueError, KeyError, TypeError) as error:
        raise ChatError(
            f"{where}: no line of a batch's output or error file ({error!r}). Download the files "
            "that the batch names as output_file_id and error_file_id"
        ) from error
    if not re.fullmatch(r"[0-9a-f]{64}", hashed):
        raise ChatError(f"{where}: custom_id {hashed!r} is not of a file made by write_batch")
    return hashed, status, body


def _kind(status: int, body: Any) -> FailureKind:
    if not status:
        return "unsent"
    result = outcome(Reply(status, {}, json.dumps(body).encode()))
    return result.kind if isinstance(result, Failure) else "exhausted"
