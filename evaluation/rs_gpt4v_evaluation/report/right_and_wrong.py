"""What a page opens with: of each task two right replies and two wrong ones, with their pictures.

Nobody chooses them: they come in the order of a hash of their ids, different question types first.
A task of graded replies knows no right and wrong, so its best two and worst two are shown.
"""

import hashlib
import heapq
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from rs_gpt4v.box_codecs import ParseFailure
from rs_gpt4v.boxes import Points, to_obb
from rs_gpt4v.images import thumbnail_uri
from rs_gpt4v_evaluation.metric import type_name
from rs_gpt4v_evaluation.report.columns import Group, Row
from rs_gpt4v_evaluation.report.tables import TASKS

_EACH = 2  # right ones, and as many wrong ones
_TRIED = 10  # images in search of one that can be read
_THUMBNAIL_PX = 480


_Item: TypeAlias = tuple[Group, Row]


class Example(NamedTuple):
    """A reply with its picture.

    Attributes:
        verdict: "right", "wrong", "best" or "worst".
        value: Its IoU or grade, or why it has no box; "" where neither is asked for.
        about: Config and question type.
        label: Head of the column that it is from.
        row: All else of it.
        picture: Data URI of the image; "" if it cannot be read.
        file_name: The image's.
        truth: The corners of the true boxes, as SVG writes them.
        found: Those of the reply's boxes.
    """

    verdict: str
    value: str
    about: str
    label: str
    row: Row
    picture: str
    file_name: str
    truth: list[str]
    found: list[str]

    @property
    def mark(self) -> str:
        """A sign for the verdict; none of a graded reply."""
        return {"right": "✓ ", "wrong": "✗ "}.get(self.verdict, "")


class TaskExamples(NamedTuple):
    """The examples of one task; ``note`` is what a reader has to know of how they were chosen."""

    task: str
    note: str
    examples: list[Example]


def right_and_wrong(groups: Sequence[Group]) -> list[TaskExamples]:
    """The examples of each task, of the last column of its groups; equal input, equal examples."""
    tasks: dict[str, list[_Item]] = defaultdict(list)
    for group in groups:
        for row in group.last.rows:
            tasks[row.task].append((group, row))
    return [_of_task(task, sorted(rows, key=_by_hash)) for task, rows in tasks.items()]


def _by_hash(item: _Item) -> bytes:
    return hashlib.sha256(item[1].id.encode()).digest()


def _of_task(task: str, rows: list[_Item]) -> TaskExamples:
    if any(row.right is not None for _, row in rows):
        right = [item for item in rows if item[1].right]
        wrong = [item for item in rows if item[1].right is False]
        note = "" if right and wrong else f"No reply is {'right' if wrong else 'wrong'}."
        first = _varied(right, [])
        chosen = {"right": first, "wrong": _varied(wrong, first)}
    else:
        chosen = _extremes([item for item in rows if item[1].value is not None])
        note = (
            "Such replies are not right or wrong but graded: these are the ones with the highest "
            f"and the lowest {rows[0][0].metric.value} of their own."
        )
    examples = [_example(verdict, *item) for verdict, items in chosen.items() for item in items]
    return TaskExamples(TASKS[task], note, examples)


def _varied(rows: list[_Item], earlier: list[_Item]) -> list[_Item]:
    """The first rows; of another image, question type and table than ``earlier``, if there are."""
    chosen: list[_Item] = []
    while rows and len(chosen) < _EACH:
        seen = [*earlier, *chosen]
        first = heapq.nsmallest(_TRIED, rows, lambda item: _repeats(item, seen))  # noqa: B023
        chosen.append(next((item for item in first if _picture(item[1])), first[0]))
        rows = [item for item in rows if item[1].id != chosen[-1][1].id]
    return chosen


def _repeats(item: _Item, earlier: list[_Item]) -> tuple[bool, ...]:
    group, row = item
    return (
        any(row.image == other.image for _, other in earlier),
        any(row.kind == other.kind for _, other in earlier),
        any(group.name == other.name for other, _ in earlier),
    )


def _extremes(graded: list[_Item]) -> dict[str, list[_Item]]:
    """The best and the worst; the better half, and the worse one, of few."""
    graded = sorted(graded, key=lambda item: item[1].value or 0.0, reverse=True)
    best = graded[: min(_EACH, (len(graded) + 1) // 2)]
    return {"best": best, "worst": graded[len(best) :][-_EACH:]}


def _example(verdict: str, group: Group, row: Row) -> Example:
    kind = [type_name(row.kind)] if row.kind else []
    return Example(
        verdict,
        value=_value(group, row),
        about=", ".join([group.last.score["dataset"]["config"], *kind]),
        label=group.last.label,
        row=row,
        picture=_picture(row),
        file_name=row.image_name,
        truth=[_corners(box) for box in row.truth],
        found=[] if isinstance(row.boxes, ParseFailure) else [*map(_corners, row.boxes or ())],
    )


def _value(group: Group, row: Row) -> str:
    if isinstance(row.boxes, ParseFailure):
        return row.boxes.reason
    return "" if row.value is None else f"{group.metric.value} {row.value:.2f}"


def _picture(row: Row) -> str:
    return thumbnail_uri(row.image, _THUMBNAIL_PX) if row.image else ""


def _corners(box: Points) -> str:
    numbers = iter(to_obb(box))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(numbers, numbers, strict=True))
