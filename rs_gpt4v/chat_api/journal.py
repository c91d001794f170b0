"""Paid answers on disk: one JSON line each, found again by the hash of the request."""

import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from annotated_types import Ge
from filelock import FileLock, Timeout
from typing_extensions import TypedDict

from rs_gpt4v.chat_api.answers import (
    Answer,
    ChatError,
    Completion,
    read_response,
    with_whole_characters,
)
from rs_gpt4v.files import AnyPath, InvalidFileError, parse_json


class Entry(NamedTuple):
    """One line: the server's ``response`` to the request of ``hash``, and what it cost.

    ``batch`` tells answers of the batch API, at half the price.
    """

    hash: str
    key: str
    endpoint: str
    cost_usd: float | None
    response: dict[str, Any]
    batch: bool = False

    def line(self) -> bytes:
        """The line, with the time of writing."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return json.dumps({**self._asdict(), "time": now}).encode("ascii") + b"\n"


class _Line(TypedDict):
    hash: str
    key: str
    cost_usd: Annotated[float, Ge(0)] | None
    response: Completion


class Journal:
    """The file ``path``, held by one process at a time; where lines are is kept in memory.

    Attributes:
        spent_usd: What its answers cost, as far as it is known.

    Raises:
        ChatError: Another process holds it, or a line is not one of a journal.
    """

    def __init__(self, path: AnyPath) -> None:
        self.path, self.spent_usd = Path(path), 0.0
        self._before: dict[str, int] = {}
        self._since: dict[str, int] = {}
        self._lock = FileLock(f"{path}.lock")

    def __enter__(self) -> "Journal":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ChatError(
                f"{self.path} is in use by another process: wait for it, or name another journal"
            ) from None
        try:
            self._read()
        except (ChatError, OSError):
            self._lock.release()
            raise
        self._file = self.path.open("ab")
        self._size = self._file.tell()
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._lock.release()

    def _read(self) -> None:
        """Find the lines; one that a kill cut short is cut off."""
        whole = 0
        with self.path.open("a+b") as file:
            file.seek(0)
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    file.truncate(whole)
                    break
                self._note(line, number, whole)
                whole += len(line)

    def _note(self, line: bytes, number: int, start: int) -> None:
        try:
            entry = parse_json(with_whole_characters(line), _Line, f"{self.path}, line {number}")
        except InvalidFileError as error:
            raise ChatError(
                f"{error}. Expected a paid answer. Delete the line and what it answered is asked "
                "again, or name another journal"
            ) from None
        self._before[entry["hash"]] = start
        self.spent_usd += entry["cost_usd"] or 0.0

    def earlier(self, key: str, request_hash: str) -> Answer | None:
        """The answer that was in the journal when it was opened; may be called in any thread."""
        return self._answer(key, request_hash, self._before, earlier=True)

    def answer(self, key: str, request_hash: str) -> Answer | None:
        """The answer that was added since."""
        return self._answer(key, request_hash, self._since, earlier=False)

    def _answer(
        self, key: str, request_hash: str, offsets: dict[str, int], *, earlier: bool
    ) -> Answer | None:
        if request_hash not in offsets:
            return None
        with self.path.open("rb") as file:
            file.seek(offsets[request_hash])
            entry = json.loads(file.readline())
        return read_response(
            key, request_hash, entry["response"], entry["cost_usd"], from_journal=earlier
        )

    def write(self, entry: Entry) -> None:
        """Add a paid answer; it outlives this process from now on, and the machine once synced."""
        line = entry.line()
        self._file.write(line)
        self._file.flush()
        self._since[entry.hash] = self._size
        self._size += len(line)
        self.spent_usd += entry.cost_usd or 0.0

    def sync(self) -> None:
        """Return when all that was written is on disk."""
        os.fsync(self._file.fileno())
