"""A queue of candidates: generated dialogues with what the checks say, one JSON object a line."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, NonNegativeInt, PositiveInt
from typing_extensions import TypedDict

from rs_gpt4v.conversation import LabelledBox, Message, dialogue_problem
from rs_gpt4v.files import InvalidFileError, parse_json, whole_lines
from rs_gpt4v.reviews import Text
from rs_gpt4v_generation.checks import FACTUAL, Result
from rs_gpt4v_generation.products import ProductName


def _whole_points(points: list[float]) -> list[float]:
    if len(points) not in (4, 8):
        raise ValueError("4 or 8 numbers")
    return points


def _whole_box(box: LabelledBox) -> LabelledBox:
    if box["label"] is None:
        raise ValueError("a label")
    if len(box["points"]) != {"hbb": 4, "obb": 8}[box["kind"]]:
        raise ValueError("4 numbers of an hbb, 8 of an obb")
    return box


class VerdictRow(TypedDict):
    """A `rs_gpt4v_generation.checks.Verdict` as a queue holds it."""

    check: str
    result: Result
    turn: NonNegativeInt
    sentence: str
    rule: str
    boxes: list[Annotated[list[float], AfterValidator(_whole_points)]]


class _Made(TypedDict, total=False):
    model: str
    prompt: str
    request: str


class Candidate(_Made):
    """One line of a queue; what else it holds is kept.

    ``image`` is a path, absolute or relative to the queue's folder. ``width`` and ``height`` are
    those of the released image, in pixels, and so are the boxes. ``model``, ``prompt`` and
    ``request`` say how it was made.
    """

    id: Text
    image: Text
    width: PositiveInt
    height: PositiveInt
    product: ProductName
    messages: list[Message]
    boxes: list[Annotated[LabelledBox, AfterValidator(_whole_box)]]
    verdicts: list[VerdictRow]


@dataclass(frozen=True, slots=True)
class Queue:
    """The candidates of a file in its order, and why each of its other lines is none."""

    path: Path
    candidates: list[Candidate]
    problems: list[str]


class EmptyQueueError(ValueError):
    """A queue in which nothing can be reviewed; the message has its first problem."""


def read_queue(path: Path) -> Queue:
    """Read a queue; a line that is no candidate is left out and listed in ``problems``.

    Raises:
        OSError: ``path`` cannot be read.
        EmptyQueueError: No line of it is a candidate.
    """
    rows: dict[str, Candidate] = {}
    problems = []
    for number, line in whole_lines(path):
        where = f"{path}, line {number}"
        try:
            row = _candidate(line, where)
        except InvalidFileError as error:
            problems.append(str(error))
            continue
        if row["id"] in rows:
            problems.append(f"{where}: its id {row['id']!r} occurs twice")
        else:
            rows[row["id"]] = row
    return _filled(Queue(path, list(rows.values()), problems))


def with_images(queue: Queue, folder: Path | None = None) -> Queue:
    """The candidates whose image is a file; the others are listed in ``problems``.

    Args:
        queue: As read.
        folder: What relative paths start from; the queue's own folder unless given.

    Raises:
        EmptyQueueError: None has an image.
    """
    shown, problems = [], []
    for candidate in queue.candidates:
        path = image_path(candidate, folder or queue.path.parent)
        if path.is_file():
            shown.append(candidate)
        else:
            problems.append(
                f"{queue.path}, id {candidate['id']!r}: its image is not at {path}; "
                "--images FOLDER says where images are"
            )
    return _filled(Queue(queue.path, shown, queue.problems + problems))


def image_path(candidate: Candidate, folder: Path) -> Path:
    """Where the image is; ``folder`` is what relative paths start from."""
    return folder / candidate["image"]


def digest(candidate: Candidate) -> str:
    """What a decision is about, as a hash: product, size, messages and boxes.

    Not what the checks say: a better check leaves a person's decision as it is.
    """
    judged = [candidate[key] for key in ("product", "width", "height", "messages", "boxes")]
    return hashlib.sha256(json.dumps(judged, sort_keys=True).encode()).hexdigest()[:16]


def checks_with(result: Result, verdicts: Iterable[Mapping[str, Any]]) -> set[str]:
    """The checks that have a verdict of ``result``."""
    return {verdict["check"] for verdict in verdicts if verdict["result"] == result}


def is_sound(verdicts: Collection[Mapping[str, Any]]) -> bool:
    """Whether no check fails, and the boxes confirm something that is said."""
    return not checks_with("fail", verdicts) and bool(checks_with("pass", verdicts) & FACTUAL)


def tally(verdicts: Iterable[Mapping[str, Any]]) -> dict[str, Counter[str]]:
    """How often each check passed, failed or could not tell, in order of first occurrence."""
    counts: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        counts.setdefault(verdict["check"], Counter())[verdict["result"]] += 1
    return counts


def _filled(queue: Queue) -> Queue:
    if not queue.candidates:
        first = queue.problems[0] if queue.problems else "it has no lines"
        raise EmptyQueueError(f"{queue.path} holds nothing to review: {first}")
    return queue


def _candidate(line: bytes, where: str) -> Candidate:
    parse_json(line, Candidate, where)
    row: Candidate = json.loads(line, parse_constant=_no_number)  # its numbers as they are written
    problem = dialogue_problem(row["messages"], system=False) or _turn_problem(row)
    if problem:
        raise InvalidFileError(f"{where}: id {row['id']!r}: {problem}")
    return row


def _no_number(constant: str) -> None:
    raise InvalidFileError(f"{constant} is no number of JSON")


def _turn_problem(row: Candidate) -> str | None:
    turns = len(row["messages"]) // 2
    beyond = [verdict["turn"] for verdict in row["verdicts"] if verdict["turn"] >= turns]
    return f"a verdict is on turn {beyond[0]} of {turns}, counted from 0" if beyond else None
