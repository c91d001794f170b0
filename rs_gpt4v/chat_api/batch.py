"""OpenAI's batch API, at half the price: files to upload, and what comes back into a journal."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from tqdm import tqdm
from typing_extensions import TypedDict

from rs_gpt4v.chat_api.answers import (
    LONGEST_REPLY,
    ChatError,
    Failure,
    Summary,
    counted,
    read_response,
    shown,
    with_whole_characters,
)
from rs_gpt4v.chat_api.journal import Entry, Journal
from rs_gpt4v.chat_api.masking import Mask
from rs_gpt4v.chat_api.prices import PRICES, Price, price_of
from rs_gpt4v.chat_api.requests import ChatRequest, Endpoint, key_of, request_hash
from rs_gpt4v.chat_api.transport import Reply, outcome
from rs_gpt4v.files import AnyPath, InvalidFileError, parse_json

_REQUESTS_A_FILE = 50_000
_BYTES_A_FILE = 200_000_000
_DISCOUNT = 0.5


def write_batch(
    requests: Iterable[tuple[str, ChatRequest]],
    endpoint: Endpoint,
    folder: AnyPath,
    journal: AnyPath,
) -> list[Path]:
    """Write the requests without an answer in ``journal`` to ``folder``, for the batch API.

    Equal requests are written once. No file has more than 50,000 requests or 200 MB.

    Returns:
        The files, to be uploaded with purpose "batch" and run at "/v1/chat/completions".

    Raises:
        ChatError: ``folder`` has batch files already, or the journal is damaged or in use.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("batch_*.jsonl")):
        raise ChatError(
            f"{folder} has batch files already, which may be at work: read their answers with "
            "read_batch and delete them, or name another folder"
        )
    with Journal(journal) as held:
        return _write_parts(_lines(requests, endpoint, held), folder)


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


def _write_parts(lines: Iterable[bytes], folder: Path) -> list[Path]:
    """Write ``lines`` to files, which get their names once all are whole."""
    unfinished: list[Path] = []
    for part, numbered in groupby(_numbered(lines), itemgetter(0)):
        unfinished.append(folder / f".batch_{part:05}.jsonl.part")
        with unfinished[-1].open("wb") as file:
            file.writelines(line for _, line in numbered)
            file.flush()
            os.fsync(file.fileno())
    return [path.replace(path.with_name(path.name[1:-5])) for path in unfinished]


def _numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Each line with the number of its file, from 1."""
    part, requests, size = 1, 0, 0
    for line in lines:
        if requests == _REQUESTS_A_FILE or (requests and size + len(line) > _BYTES_A_FILE):
            part, requests, size = part + 1, 0, 0
        requests, size = requests + 1, size + len(line)
        yield part, line


def read_batch(
    files: Iterable[AnyPath],
    endpoint: Endpoint,
    journal: AnyPath,
    prices: Mapping[str, Price] = PRICES,
) -> Summary:
    """Copy the answers in a batch's output and error files into ``journal``, and count them.

    Reading a file again changes nothing. What failed is not in the journal: it is asked by
    `complete`, or written by `write_batch`, when next they are called.

    Args:
        files: In any order.
        endpoint: The one that `write_batch` got.
        journal: The one that `write_batch` got.
        prices: Full prices; a batch costs half.

    Raises:
        ChatError: A line is none of a batch's output, or its request is not of `write_batch`.
    """
    price, summary = price_of(endpoint.model, prices), Summary()
    mask = Mask([key_of(endpoint)])
    with Journal(journal) as held:
        for path in files:
            for result in _results(path, mask):
                if result is None:
                    summary.failed["garbled"] += 1
                elif entry := _entry(result, endpoint, held, price, summary):
                    held.write(entry)
        held.sync()
    return summary


class _Response(TypedDict):
    status_code: int
    body: Any


class _Result(TypedDict):
    """A line of a batch's output or error file; without response where no request was sent."""

    custom_id: str
    response: _Response | None


def _entry(
    result: _Result, endpoint: Endpoint, journal: Journal, price: Price | None, summary: Summary
) -> Entry | None:
    hashed, response = result["custom_id"], result["response"]
    if journal.earlier("", hashed) or journal.answer("", hashed):
        summary.from_journal += 1
        return None
    if response is None:
        summary.failed["unsent"] += 1
        return None
    summary.attempts += 1
    body = outcome(Reply(response["status_code"], {}, json.dumps(response["body"]).encode()))
    if not isinstance(body, dict):
        summary.failed[body.kind if isinstance(body, Failure) else "exhausted"] += 1
        return None
    full_usd = price and price.cost_of(counted(body))
    cost_usd = None if full_usd is None else full_usd * _DISCOUNT
    summary.count(read_response(hashed, hashed, body, cost_usd))
    return Entry(hashed, hashed, endpoint.name, cost_usd, body, batch=True)


def _results(path: AnyPath, mask: Mask) -> Iterator[_Result | None]:
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.isspace():
                yield _parsed(mask.body(line), f"{path}, line {number}")


def _parsed(line: bytes, where: str) -> _Result | None:
    """What a line says; None where it is JSON that is too long, too deep or has a huge number."""
    if len(line) > LONGEST_REPLY:
        return None
    try:
        parse_json(with_whole_characters(line), _Result, where)
        result = json.loads(line)
    except InvalidFileError as error:
        if "not JSON" in str(error) and not _is_malformed(line):
            return None
        raise ChatError(
            f"{where}: no line of a batch's output or error file, for "
            f"{str(error).removeprefix(f'{where}: ')}. Download the files that the batch names as "
            "output_file_id and error_file_id"
        ) from None
    if not re.fullmatch(r"[0-9a-f]{64}", result["custom_id"]):
        name = shown(result["custom_id"])
        raise ChatError(f"{where}: custom_id {name!r} is not of a file made by write_batch")
    return result


def _is_malformed(line: bytes) -> bool:
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return True
    except (ValueError, RecursionError):
        pass
    return False
