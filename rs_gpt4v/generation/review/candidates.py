"""A queue of candidates: generated dialogues with what the checks say, one JSON object a line."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict, cast, get_args

from rs_gpt4v.conversation import LabelledBox, Message, dialogue_problem
from rs_gpt4v.generation.products import PRODUCTS, Product

Result = Literal["pass", "fail", "cannot tell"]


class Verdict(TypedDict):
    """What one check says of one turn, a question with its answer, from 0.

    ``sentence`` is what was judged, ``rule`` what it was compared with and how, ``boxes`` the
    boxes it was compared with, in pixels.
    """

    check: str
    result: Result
    turn: int
    sentence: str
    rule: str
    boxes: list[list[float]]


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

    id: str
    image: str
    width: int
    height: int
    product: Product
    messages: list[Message]
    boxes: list[LabelledBox]
    verdicts: list[Verdict]


@dataclass(frozen=True, slots=True)
class Queue:
    """The candidates of a file in its order, and why each of its other lines is none."""

    path: Path
    candidates: list[Candidate]
    problems: list[str]


class EmptyQueueError(ValueError):
    """A queue in which nothing can be reviewed; the message has its first problem."""


def read_queue(path: Path) -> Queue:
    """Read a queue; a line that is no candidate is told in ``problems`` and left out.

    Raises:
        OSError: ``path`` cannot be read.
        EmptyQueueError: No line of it is a candidate.
    """
    found: dict[str, Candidate] = {}
    problems = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            read = _candidate(line)
            if isinstance(read, str):
                problems.append(f"{path}, line {number}: {read}")
            elif read["id"] in found:
                problems.append(f"{path}, line {number}: its id {read['id']!r} occurs twice")
            else:
                found[read["id"]] = read
    return _filled(Queue(path, list(found.values()), problems))


def with_images(queue: Queue, folder: Path | None = None) -> Queue:
    """The candidates whose image is a file; the others are told in ``problems``.

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


def _filled(queue: Queue) -> Queue:
    if not queue.candidates:
        first = queue.problems[0] if queue.problems else "it has no lines"
        raise EmptyQueueError(f"{queue.path} holds nothing to review: {first}")
    return queue


def _candidate(line: bytes) -> Candidate | str:
    """The candidate that a line holds, or why it holds none."""
    try:
        row = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        return f"not JSON ({error})"
    if not isinstance(row, dict):
        return f"expected a JSON object, found a {type(row).__name__}"
    named = f"id {row['id']!r}: " if isinstance(row.get("id"), str) else ""
    problem = (
        _field_problem(row) or dialogue_problem(row["messages"], system=False) or _turn_problem(row)
    )
    return f"{named}{problem}" if problem else cast(Candidate, row)


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _field_problem(row: dict[str, Any]) -> str | None:
    absent = [name for name in (*_FIELDS, "messages") if name not in row]
    if absent:
        return f"it lacks {', '.join(absent)}"
    for name, (is_right, expected) in _FIELDS.items():
        if not is_right(row[name]):
            return f"{name!r} is {row[name]!r:.80}; expected {expected}"
    return None


def _turn_problem(row: dict[str, Any]) -> str | None:
    turns = len(row["messages"]) // 2
    beyond = [one["turn"] for one in row["verdicts"] if not 0 <= one["turn"] < turns]
    return f"a verdict is on turn {beyond[0]} of {turns}, counted from 0" if beyond else None


def _are_texts(row: dict[str, Any], *names: str) -> bool:
    return all(isinstance(row.get(name), str) for name in names)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_points(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) in (4, 8)
        and all(_is_whole(one) or (isinstance(one, float) and math.isfinite(one)) for one in value)
    )


def _is_box(value: object) -> bool:
    return (
        isinstance(value, dict)
        and _are_texts(value, "label")
        and _are_points(value.get("points"))
        and value.get("kind") == ("hbb" if len(value["points"]) == 4 else "obb")
    )


def _is_verdict(value: object) -> bool:
    return (
        isinstance(value, dict)
        and _are_texts(value, "check", "sentence", "rule")
        and value.get("result") in get_args(Result)
        and _is_whole(value.get("turn"))
        and _are_all(_are_points)(value.get("boxes"))
    )


def _are_all(is_right: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(is_right(one) for one in value)


_TEXT = (lambda value: isinstance(value, str) and bool(value.strip()), "a text that is not empty")
_SIZE = (lambda value: _is_whole(value) and value > 0, "a whole number of pixels above 0")
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "id": _TEXT,
    "image": _TEXT,
    "width": _SIZE,
    "height": _SIZE,
    "product": (lambda value: value in PRODUCTS, " or ".join(PRODUCTS)),
    "boxes": (
        _are_all(_is_box),
        "objects with a 'label', a 'kind' (hbb or obb) and 'points' (4 or 8 numbers)",
    ),
    "verdicts": (
        _are_all(_is_verdict),
        f"objects with 'check', 'result' ({' or '.join(get_args(Result))}), 'turn', 'sentence', "
        "'rule' and 'boxes' (lists of 4 or 8 numbers)",
    ),
}
