"""Reads one split of a source, and separates the records that can be used from the others."""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import json
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets.config import HF_DATASETS_CACHE
from typing_extensions import TypedDict

from rs_gpt4v import records as kinds
from rs_gpt4v.adapt import Protocol
from rs_gpt4v.boxes import clip, is_degenerate
from rs_gpt4v.conversation import MARKERS
from rs_gpt4v.files import read_json_lines
from rs_gpt4v.images import AS_IS, Conversion
from rs_gpt4v_builders.audit.exclude import LeakFinder
from rs_gpt4v_builders.sources.images import ImageFinder, with_images
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.sources.source import Source, not_found

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
    cache: str | Path = HF_DATASETS_CACHE,
    conversion: Conversion = AS_IS,
) -> pa.Table:
    """The usable records of ``split``, with the ``path``, ``width`` and ``height`` of their image.

    Args:
        source: What to read.
        folder: The release's folder.
        split: One of the source's splits.
        protocol: Which of the split's records to read.
        on_missing: "raise" at the first unusable record, or "skip" them all.
        log_dir: Where ``dropped-<source>-<split>.jsonl`` lists what is left out (id, kind, reason),
            and ``changed-...`` what is not as released; None: nowhere.
        leaks: Finds the records to leave out because their image is a test image; None: none.
        cache: The cache folder of `datasets`, where what is known of each image is kept.
        conversion: What is done with images that are not 8-bit.

    Raises:
        SourceNotFoundError: An annotation file of the split is missing; under "skip" the split
            has no records then.
        AnnotationError: An annotation file cannot be read.
        RecordError: A record is unusable and ``on_missing`` is "raise".
    """
    table, problem = records_with_problems(
        source,
        folder,
        split,
        protocol=protocol,
        on_missing=on_missing,
        cache=cache,
        conversion=conversion,
    )
    if on_missing == "raise" and problem.null_count < len(problem):
        raise RecordError(_first(source, _listed(source, split, table, problem)))
    if leaks is not None and table.num_rows:
        problem = pc.coalesce(problem, leaks(table["path"]))
    good = table.filter(problem.is_null())
    _report(_listed(source, split, table, problem), "dropped", source, split, good, log_dir)
    if "change" in good.column_names:
        changed = _listed(source, split, good, good["change"].combine_chunks())
        _report(changed, "changed", source, split, good, log_dir)
    return good


def records_with_problems(
    source: Source,
    folder: Path,
    split: str,
    *,
    protocol: Protocol,
    on_missing: OnMissing,
    cache: str | Path = HF_DATASETS_CACHE,
    conversion: Conversion = AS_IS,
) -> tuple[pa.Table, pa.Array]:
    """All records of ``split``, with what is known of their images, and why each cannot be used.

    The reasons are `rs_gpt4v.records.PROBLEM`, null of the records that can be used.

    Raises:
        SourceNotFoundError: As `good_records`; under "skip" there are no records then.
        AnnotationError: As `good_records`.
    """
    needed = source.files(split, protocol)
    absent = [file for file in needed if not source.has(folder, file)]
    if absent:
        if on_missing == "raise":
            raise not_found(source, folder, absent[0])
        logger.warning(
            "%s/%s: left out. %s", source.name, split, not_found(source, folder, absent[0])
        )
        return pa.table({"key": pa.array([], pa.string())}), pa.array([], kinds.PROBLEM)
    try:
        table = source.read(folder, split, protocol)
    except AnnotationError as error:
        text = str(error).removesuffix(".")
        raise AnnotationError(f"{text}. {_remedy(source, folder, needed)}") from error
    if not table.num_rows:
        logger.warning("%s/%s: %s in %s holds no record", source.name, split, needed[0], folder)
    table = with_images(table, ImageFinder(source, folder, cache, conversion))
    problem: pa.Array = pc.coalesce(
        kinds.problems(table),
        table["image_problem"].combine_chunks(),
        _size_problems(table),
        _box_problems(table),
    )
    return table, problem


def _remedy(source: Source, folder: Path, needed: Sequence[str]) -> str:
    """What to do about a file that cannot be read: fetch it again only where it was released."""
    for download in source.downloads:
        path = source.path(folder, download.file)
        if download.file in needed and path.is_file() and (differs := download.mismatch(path)):
            return (
                f"{path} is not the released file ({differs}): mend it, or move it away and "
                f"`rs-gpt4v download {source.name}`"
            )
    if not source.homepage:
        return "Mend it there."
    return f"Mend it there, if the file is your own; the released one is at {source.homepage}."


def _listed(source: Source, split: str, table: pa.Table, problem: pa.Array) -> list[dict[str, str]]:
    """Id, kind and reason of the records that have a `rs_gpt4v.records.PROBLEM`."""
    bad = table.select(["key"]).append_column("problem", problem).filter(problem.is_valid())
    return [
        {"id": f"{source.name}/{split}/{row['key']}", **row["problem"]} for row in bad.to_pylist()
    ]


Problem = tuple[str, str]
"""Kind and reason, see `rs_gpt4v.records.PROBLEM`."""


def _size_problems(table: pa.Table) -> pa.Array:
    """Where boxes were drawn on an image of another size than its file has."""
    if "size" not in table.column_names:
        return pa.nulls(table.num_rows, kinds.PROBLEM)
    sizes = (table[name].to_pylist() for name in ("size", "width", "height"))
    return pa.array([_size_problem(*row) for row in zip(*sizes, strict=True)], kinds.PROBLEM)


def _size_problem(
    annotated: list[int] | None, width: int | None, height: int | None
) -> Problem | None:
    if annotated is None or width is None or annotated == [width, height]:
        return None
    turned = " (turned, as its EXIF data say)" * (annotated == [height, width])
    reason = (
        f"annotated on an image of {annotated[0]} x {annotated[1]} px, but its file has {width} x "
        f"{height}{turned}: use the images that were annotated, or scale the boxes"
    )
    return "image of another size", reason


def _box_problems(table: pa.Table) -> pa.Array:
    """What is wrong with each record's boxes; null where nothing is, or where it has none."""
    sizes = zip(table["width"].to_pylist(), table["height"].to_pylist(), strict=True)
    if "points" in table.column_names:
        boxes = zip(table["points"].to_pylist(), sizes, strict=True)
        return pa.array([_box_problem(points, *size) for points, size in boxes], kinds.PROBLEM)
    if "boxes" not in table.column_names:
        return pa.nulls(table.num_rows, kinds.PROBLEM)
    doubtful = _are_doubtful(table)
    some = table.select(["boxes", "width", "height"]).filter(doubtful).to_pylist()
    reasons = iter([_first_problem(row.pop("boxes") or [], **row) for row in some])
    return pa.array(
        [next(reasons) if is_one.as_py() else None for is_one in doubtful], kinds.PROBLEM
    )


def _are_doubtful(table: pa.Table) -> pa.Array:
    """Which records have boxes to look at one by one: all but upright ones with an area."""
    lists = table["boxes"].combine_chunks()
    boxes = lists.flatten()
    upright = kinds.upright(boxes.field("points"))
    labels = boxes.field("label").unique().to_pylist()
    if upright is None or not all(labels) or any(map(_marker, labels)):
        return pa.array(np.ones(len(table), bool))
    row = pc.list_parent_indices(lists).to_numpy()
    sides = [table[name].to_numpy(zero_copy_only=False)[row] for name in ("width", "height")]
    inside = np.clip(upright, 0, np.tile(np.stack(sides, 1), 2))
    width, height = inside[:, 2] - inside[:, 0], inside[:, 3] - inside[:, 1]
    fine = (np.minimum(width, height) > 0) & (
        width * height > 1e-9 * np.maximum(width, height) ** 2
    )
    doubtful = np.zeros(len(table), bool)
    doubtful[row[~fine]] = True
    return pa.array(doubtful)


def _first_problem(
    boxes: list[dict[str, Any]], width: int | None, height: int | None
) -> Problem | None:
    """Of an image with one unusable box: without it, what is counted would be wrong."""
    for index, box in enumerate(boxes):
        if not box["label"] or not box["points"]:
            missing = "name" if box["points"] else "box"
            return f"object without a {missing}", f"object {index} has no {missing}"
        if marker := _marker(box["label"]):
            reason = f"object {index} is of the class {box['label']!a:.80}: take {marker} out"
            return "class that holds a marker", reason
        if problem := _box_problem(box["points"], width, height):
            return problem[0], f"object {index}: {problem[1]}"
    return None


def _marker(label: str) -> str | None:
    """What a label holds that training would count as an image, a video or a sound."""
    return next((marker for marker in MARKERS if marker in label), None)


def _box_problem(
    points: list[float] | None, width: int | None, height: int | None
) -> Problem | None:
    if not points or width is None or height is None:
        return None  # other checks say so
    if len(points) not in (4, 8):
        return "box of neither 4 nor 8 numbers", f"its box has {len(points)} numbers: {points}"
    inside = clip(points, width, height)
    reverse = len(points) == 4 and (inside[0] >= inside[2] or inside[1] >= inside[3])
    if reverse or is_degenerate(inside):
        return (
            "box without an area",
            f"its box {points} has no area in the image of {width} x {height} px",
        )
    return None


_INCOMPLETE = ("image is missing", "no captions")
"""Kinds for which the note of a source may say what to do."""


def _first(source: Source, bad: list[dict[str, str]]) -> str:
    number = f"{len(bad):,} unusable record{'s' * (len(bad) > 1)} in this split"
    note = source.note if bad[0]["kind"] in _INCOMPLETE else ""
    return (
        f"{bad[0]['id']}: {bad[0]['reason']} ({number}). Mend it, or give "
        'on_missing="skip" (on a command line: --on-missing skip) to go on without them. '
        f"{note}"
    ).rstrip()


def _report(
    rows: list[dict[str, str]],
    what: Literal["dropped", "changed"],
    source: Source,
    split: str,
    good: pa.Table,
    log_dir: Path | None,
) -> None:
    """Log how many records were dropped or changed, and list them in the folder of the build."""
    if not rows:
        return
    where = "give a non-streaming load to get their list"
    if log_dir is not None:
        file = log_dir / f"{what}-{source.name}-{split}.jsonl"
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        file.write_text(lines, encoding="utf-8")
        where = f"listed in {file.name} beside the built rows"
    logger.warning(
        "%s/%s: kept %s records, %s %s (%s); %s",
        source.name,
        split,
        f"{good.num_rows:,}",
        what,
        f"{len(rows):,}",
        rows[0]["reason"],
        where,
    )


class DroppedRecord(TypedDict):
    """A line of ``dropped-<source>-<split>.jsonl``."""

    kind: str
    reason: str


def cache_folder(splits: datasets.DatasetDict) -> Path:
    """The folder of a build, from what was loaded out of it."""
    rows = next(iter(splits.values()))
    return Path(rows.cache_files[0]["filename"]).parent


def lists(folder: Path) -> list[tuple[str, str]]:
    """The sources and splits of which a build left out records."""
    names = (file.stem.split("-", 2) for file in sorted(folder.glob("dropped-*-*.jsonl")))
    return [(source, split) for _, source, split in names]


def dropped(folder: Path, source: str, split: str) -> dict[str, int]:
    """How many records of ``source`` were dropped from a build, by kind, most frequent first.

    Args:
        folder: The build's cache folder.
        source: `rs_gpt4v_builders.sources.source.Source.name`.
        split: One of its splits; one that was left out whole is here all the same.
    """
    file = folder / f"dropped-{source}-{split}.jsonl"
    if not file.is_file():
        return {}
    kinds = Counter(line["kind"] for line in read_json_lines(file, DroppedRecord))
    return dict(sorted(kinds.items(), key=lambda kind: (-kind[1], kind[0])))
