"""The reviews file that a reviewer is working on: one JSON object a line, only ever appended to."""

import glob
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from rs_gpt4v.files import AnyPath, appending, locked
from rs_gpt4v.reviews import Decision, ReviewsError, read_decisions


def now() -> str:
    """The time as decisions state it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def reviews_path(queue: Path, reviewer: str) -> Path:
    """Where a reviewer's decisions on a queue are, unless another file is named."""
    return queue.with_name(f"{queue.name}.reviews.{reviewer}.jsonl")


def reviews_beside(queue: AnyPath) -> list[Path]:
    """The reviews files of a queue that are at their `reviews_path`, sorted."""
    queue = Path(queue)
    return sorted(queue.parent.glob(f"{glob.escape(queue.name)}.reviews.*.jsonl"))


class ReviewsFile:
    """The reviews file of one reviewer, held open; `opened` makes one.

    Attributes:
        path: The file.
        decisions: All its lines, undone ones too, the oldest first.
    """

    def __init__(
        self, path: Path, decisions: list[Decision], append: Callable[[bytes], None]
    ) -> None:
        self.path = path
        self.decisions = decisions
        self._append = append

    def append(self, decision: Decision) -> None:
        """Add a line, durably: on disk when this returns.

        Raises:
            OSError: It could not be written, as on a full disk; the file is as it was.
        """
        self._append(json.dumps(decision).encode() + b"\n")
        self.decisions.append(decision)


@contextmanager
def opened(path: Path, reviewer: str) -> Iterator[ReviewsFile]:
    """Open a reviews file to go on with it, or make it; nobody else can meanwhile.

    Raises:
        InUseError: Another process has it open.
        ReviewsError: It is another reviewer's, or a line is broken.
    """
    with locked(path):
        decisions = read_decisions(path) if path.exists() else []
        _refuse_others(path, decisions, reviewer)
        with appending(path) as append:
            yield ReviewsFile(path, decisions, append)


def _refuse_others(path: Path, decisions: list[Decision], reviewer: str) -> None:
    others = sorted({decision["reviewer"] for decision in decisions} - {reviewer})
    if others:
        raise ReviewsError(
            f"{path} has decisions of {', '.join(others)}, not of {reviewer}: "
            f"give --reviewer {others[0]}, or --out with another file"
        )
