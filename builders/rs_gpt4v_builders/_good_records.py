"""Reads one split of a source, and parts the records that can be used from those that cannot."""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import json
import logging
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v import records as kinds
from rs_gpt4v.adapt import Protocol
from rs_gpt4v.boxes import clip, is_degenerate
from rs_gpt4v.source import ImageFinder, Source, not_found, with_images
from rs_gpt4v_builders.audit.exclude import LeakFinder

OnMissing = Literal["raise", "skip"]

logger = logging.getLogger(__name__)


class RecordError(ValueError):
    """A record of a release cannot be used; the message names it and says what to do."""


def good_records(
    source: Source,
    folder: Path,
    split: str,
    *,
    protocol: Protocol,
    on_missing: OnMissing,
    log_dir: Path | None,
    leaks: LeakFinder | None = None,
) -> pa.Table:
    """The usable records of ``split``, with the ``path``, ``width`` and ``height`` of their image.

    Args:
        source: What to read.
        folder: The release's folder.
        split: One of the source's splits.
        protocol: Which of the split's records to read.
        on_missing: "raise" at the first unusable record, or "skip" them all.
        log_dir: Where ``dropped-<source>-<split>.jsonl`` lists what is left out (id, reason);
            None: nowhere.
        leaks: Tells which records to leave out because their image is a test image; None: none.

    Raises:
        SourceNotFoundError: An annotation file of the split is missing; under "skip" the split
            has no records then.
        RecordError: A record is unusable and ``on_missing`` is "raise".
    """
    needed = source.files(split, protocol)
    absent = [file for file in needed if not source.has(folder, file)]
    if absent:
        if on_missing == "raise":
            raise not_found(source, folder, absent[0])
        logger.warning("%s/%s: left out, %s is not in %s", source.name, split, absent[0], folder)
        return pa.table({})
    found = source.read(folder, split, protocol)
    found = with_images(found, ImageFinder(source, folder))
    problem = pc.coalesce(
        kinds.problems(found), found["problem"].combine_chunks(), _box_problems(found)
    )
    if on_missing == "raise" and problem.null_count < len(problem):
        raise RecordError(_first(source, split, _bad(found, problem)))
    if leaks is not None:
        problem = pc.coalesce(problem, leaks(found["path"]))
    if problem.null_count == len(problem):
        return found
    good = found.filter(problem.is_null())
    _report(source, split, _bad(found, problem), good, log_dir)
    return good


def _bad(records: pa.Table, problem: pa.Array) -> pa.Table:
    """Key and reason of the records with a problem."""
    return records.select(["key"]).append_column("reason", problem).filter(problem.is_valid())


def _box_problems(records: pa.Table) -> pa.Array:
    """What is wrong with each record's boxes; null where nothing is, or where it has none."""
    sizes = zip(records["width"].to_pylist(), records["height"].to_pylist(), strict=True)
    if "points" in records.column_names:
        boxes = zip(records["points"].to_pylist(), sizes, strict=True)
        return pa.array([_box_problem(points, *size) for points, size in boxes], pa.string())
    if "boxes" in records.column_names:
        lists = zip(records["boxes"].to_pylist(), sizes, strict=True)
        return pa.array([_first_problem(boxes or [], *size) for boxes, size in lists], pa.string())
    return pa.nulls(records.num_rows, pa.string())


def _first_problem(
    boxes: list[dict[str, Any]], width: int | None, height: int | None
) -> str | None:
    """Of an image with one unusable box: without it, what is counted would be wrong."""
    for place, box in enumerate(boxes):
        if not box["label"] or not box["points"]:
            return f"object {place} has no {'name' if box['points'] else 'box'}"
        if problem := _box_problem(box["points"], width, height):
            return f"object {place}: {problem}"
    return None


def _box_problem(points: list[float] | None, width: int | None, height: int | None) -> str | None:
    if not points or width is None or height is None:
        return None  # said already
    if len(points) not in (4, 8):
        return f"its box has {len(points)} numbers: {points}"
    inside = clip(points, width, height)
    reverse = len(points) == 4 and (inside[0] >= inside[2] or inside[1] >= inside[3])
    if reverse or is_degenerate(inside):
        return f"its box {points} has no area in the image of {width} x {height} px"
    return None


def _first(source: Source, split: str, bad: pa.Table) -> str:
    first = bad.slice(0, 1).to_pylist()[0]
    return (
        f"{source.name}/{split}/{first['key']}: {first['reason']} ({bad.num_rows} unusable records "
        'in this split). Complete the release, or give on_missing="skip" (on a command line: '
        "--on-missing skip) to go on without them. "
        f"{source.note}"
    ).rstrip()


def _report(
    source: Source, split: str, bad: pa.Table, good: pa.Table, log_dir: Path | None
) -> None:
    where = "give a non-streaming load to get their list"
    if log_dir is not None:
        file = log_dir / f"dropped-{source.name}-{split}.jsonl"
        lines = (
            json.dumps({"id": f"{source.name}/{split}/{row['key']}", "reason": row["reason"]})
            for row in bad.to_pylist()
        )
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        where = f"listed in {file.name} beside the built rows"
    logger.warning(
        "%s/%s: kept %s records, dropped %s (%s); %s",
        source.name,
        split,
        f"{good.num_rows:,}",
        f"{bad.num_rows:,}",
        bad["reason"][0],
        where,
    )
