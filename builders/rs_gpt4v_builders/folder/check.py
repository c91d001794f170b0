"""`rs-gpt4v check`: what a user's folder is read as, and what of it can be used.

It reads the folder as a build does, by the same code, and writes no rows.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import logging
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v import NAME
from rs_gpt4v.files import AnyPath
from rs_gpt4v_builders.folder.annotations import find_annotations
from rs_gpt4v_builders.folder.source import NAME as FOLDER
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.usable_records import records_with_problems

_EXAMPLES = 3


class Dropped(NamedTuple):
    """Items that cannot be used for one kind of reason: how many, and the first one's reason."""

    kind: str
    count: int
    first: str


@dataclass(frozen=True, slots=True)
class SplitCheck:
    """One split.

    Args:
        name: Its name.
        files: Its annotation files, as seen from the folder.
        items: Items read.
        kept: Items that can be used.
        dropped: The others, by kind, most frequent first.
        images: Distinct images of the rows.
        rows: Rows by task, or by task and question type.
        repeated: Rows that say the same about the same image as an earlier one.
        problem: Why a file cannot be read at all; then nothing else is known.
    """

    name: str
    files: tuple[str, ...]
    items: int = 0
    kept: int = 0
    dropped: list[Dropped] = field(default_factory=list)
    images: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FolderCheck:
    """What a folder holds.

    Args:
        folder: Its path.
        layout: How its files are written: a name that ``layout=`` takes.
        title: What a person calls that layout.
        splits: Its splits.
        warnings: What may be wrong, though it can be read.
        examples: Rows to look at, images as paths.
    """

    folder: str
    layout: str
    title: str
    splits: list[SplitCheck]
    warnings: list[str]
    examples: list[dict[str, Any]]

    @property
    def is_usable(self) -> bool:
        """Whether a build of it ends with rows, if unusable items are skipped."""
        return any(split.rows for split in self.splits) and not any(
            split.problem for split in self.splits
        )

    @property
    def dropped(self) -> int:
        """Items that cannot be used."""
        return sum(split.items - split.kept for split in self.splits)


class _Rows(NamedTuple):
    """What is looked at of the rows of a split.

    Attributes:
        images: Their images, each once.
        examples: Some rows, undecoded.
    """

    images: frozenset[str] = frozenset()
    examples: Sequence[dict[str, Any]] = ()


def check_folder(folder: AnyPath, **options: Any) -> FolderCheck:
    """Read ``folder`` as ``load_dataset("rs_gpt4v", "folder")`` does, and say what is in it.

    Args:
        folder: The folder.
        options: Those of config "folder", such as ``layout``, and ``stretch`` and ``bands``.

    Raises:
        AnnotationError: It is unclear what to read, or of which layout it is.
        FileNotFoundError: A folder or file that the options name is not there.
        ValueError: An option is wrong.
    """
    with _warnings() as warnings:
        # With one wording, equal rows are equal texts.
        builder: Any = datasets.load_dataset_builder(
            NAME, FOLDER, data_dir=str(folder), on_missing="skip", wording="fixed", **options
        )
        root = Path(builder.config.data_dir)
        given = (options.get("data_files"), options.get("columns"))
        layout = find_annotations(root, options.get("layout") or "auto", *given).layout
        checked = [_check(builder, split) for split in builder.configs[0].source.annotations]
    rows = [rows for _, rows in checked]
    return FolderCheck(
        folder=str(root),
        layout=layout.name,
        title=layout.title,
        splits=[split for split, _ in checked],
        warnings=[*dict.fromkeys(warnings), *_doubts(checked)],
        examples=list(next((some.examples for some in rows if some.examples), ())),
    )


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """What is logged of the folder meanwhile, which is not logged then."""
    texts: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: texts.append(record.getMessage())
    log = logging.getLogger("rs_gpt4v_builders")
    propagated, log.propagate = log.propagate, False
    log.addHandler(handler)
    try:
        yield texts
    finally:
        log.removeHandler(handler)
        log.propagate = propagated


def _check(builder: Any, split: str) -> tuple[SplitCheck, _Rows]:
    source = builder.configs[0].source
    files = source.annotations[split]
    try:
        table, problems = records_with_problems(
            source,
            Path(builder.config.data_dir),
            split,
            protocol="paper",
            on_missing="skip",
            conversion=builder.config.conversion,
        )
    except AnnotationError as error:
        return SplitCheck(split, files, problem=str(error)), _Rows()
    good = table.filter(problems.is_null())
    made = [
        (config.adapt.__name__, pa.concat_tables(builder.tables(config, split, good)))
        for config in builder.configs
        if good.num_rows and split in config.splits("paper")
    ]
    tables = [rows for _, rows in made if rows.num_rows]
    counts: Counter[str] = Counter()
    for name, rows in made:
        counts[name] += rows.num_rows
    images = _images(tables)
    return (
        SplitCheck(
            name=split,
            files=files,
            items=table.num_rows,
            kept=good.num_rows,
            dropped=_dropped(table, problems),
            images=len(images),
            rows=dict(+counts),
            repeated=sum(map(_repeated, tables)),
        ),
        _Rows(images, _examples(tables)),
    )


def _dropped(table: pa.Table, problems: pa.Array) -> list[Dropped]:
    bad = table.append_column("why", problems).filter(problems.is_valid())
    where = bad["where"] if "where" in bad.column_names else bad["key"]
    reasons: dict[str, list[str]] = {}
    for place, key, problem in zip(
        *(c.to_pylist() for c in (where, bad["key"], bad["why"])), strict=True
    ):
        named = f"{place or key}: "
        reason = problem["reason"].removeprefix(named)
        reasons.setdefault(problem["kind"], []).append(f"{named}{reason}")
    found = [Dropped(kind, len(some), some[0]) for kind, some in reasons.items()]
    return sorted(found, key=lambda dropped: -dropped.count)


def _images(tables: Sequence[pa.Table]) -> frozenset[str]:
    paths = [rows["images"].combine_chunks().flatten().field("path").unique() for rows in tables]
    return frozenset(path for some in paths for path in some.to_pylist())


def _repeated(rows: pa.Table) -> int:
    """Rows whose images and messages are those of an earlier one."""
    keys = [
        _joined(rows["images"].combine_chunks(), "path"),
        _joined(rows["messages"].combine_chunks(), "content"),
    ]
    return int(pa.table(keys, ["images", "texts"]).to_pandas().duplicated().sum())


def _joined(lists: pa.ListArray, name: str) -> pa.Array:
    texts = lists.flatten().field(name)
    offsets = pc.subtract(lists.offsets, lists.offsets[0])
    return pc.binary_join(pa.ListArray.from_arrays(offsets, texts), "\n")


def _examples(tables: Sequence[pa.Table]) -> list[dict[str, Any]]:
    """Rows of different tasks and from different places, those with boxes first."""
    if not tables:
        return []
    ordered = sorted(
        tables, key=lambda rows: pc.max(pc.list_value_length(rows["boxes"])).as_py() == 0
    )
    chosen = []
    for number in range(_EXAMPLES):
        rows = ordered[number % len(ordered)]
        place = rows.num_rows * number // _EXAMPLES
        chosen += [row for row in rows.slice(place, 1).to_pylist() if row not in chosen]
    return chosen


def _doubts(checked: Sequence[tuple[SplitCheck, _Rows]]) -> Iterator[str]:
    """What the rows themselves show to be unusual."""
    for split, _ in checked:
        if split.kept and not split.rows:
            yield f"{split.name}: no rows of the tasks that are asked for can be made of it"
        if split.repeated:
            yield f"{split.name}: {split.repeated:,} rows say the same of the same image as others"
    for (left, own), (right, other) in combinations(checked, 2):
        if shared := own.images & other.images:
            names = f"such as {min(shared)}"
            yield f"{left.name} and {right.name} share {len(shared):,} images, {names}"
    if not any(split.name.startswith("test") for split, _ in checked):
        yield (
            "no split is called test: nothing is kept apart to score a model on. Call a file test, "
            "or give --data-files train=FILE --data-files test=FILE"
        )


_WIDTH = 100
_SHOWN = 4  # kinds and warnings, of however many


def to_text(check: FolderCheck) -> str:
    """At most some thirty lines: splits, rows, what is dropped and why, warnings, examples."""
    here = f"{check.folder}/"
    return "\n".join(
        [
            f"{check.folder}: {check.title} (layout {check.layout})",
            "",
            *_table(check.splits),
            *_rows_of(check.splits),
            *_section("Cannot be read", [s.problem for s in check.splits if s.problem], here),
            *_section("Dropped", list(_dropped_texts(check.splits)), here),
            *_section("Look at", check.warnings, here),
            *_example_texts(check.examples),
        ]
    )


_HEAD = ("split", "items", "kept", "dropped", "images", "rows", "read from")


def _table(splits: Sequence[SplitCheck]) -> list[str]:
    lines = [_HEAD, *map(_cells, splits)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            f"{cell:{'>' if 0 < place < len(line) - 1 else ''}{width}}"
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _cells(split: SplitCheck) -> tuple[str, ...]:
    numbers = (
        split.items,
        split.kept,
        split.items - split.kept,
        split.images,
        sum(split.rows.values()),
    )
    more = f" and {len(split.files) - 2:,} more" * (len(split.files) > 2)
    return split.name, *(f"{n:,}" for n in numbers), ", ".join(split.files[:2]) + more


def _rows_of(splits: Sequence[SplitCheck]) -> list[str]:
    counts: Counter[str] = Counter()
    for split in splits:
        counts.update(split.rows)
    texts = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return ["", f"Rows: {texts}"] if texts else []


def _dropped_texts(splits: Sequence[SplitCheck]) -> Iterator[str]:
    for split in splits:
        for kind, count, first in split.dropped:
            yield f"{split.name}, {kind} ({count:,}): {first}"


def _section(head: str, texts: Sequence[str], here: str) -> list[str]:
    """The first of ``texts``, their paths as seen from ``here``."""
    more = [f"  ... and {len(texts) - _SHOWN:,} more"] * (len(texts) > _SHOWN)
    lines = [_wrapped(text.replace(here, "")) for text in texts[:_SHOWN]]
    return ["", head, *lines, *more] if texts else []


def _wrapped(text: str) -> str:
    """A text in at most two lines."""
    return "\n".join(
        textwrap.wrap(
            text,
            _WIDTH,
            initial_indent="  ",
            subsequent_indent="    ",
            max_lines=2,
            placeholder=" ...",
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def _example_texts(examples: Sequence[dict[str, Any]]) -> list[str]:
    lines = ["", "Rows, for example"] if examples else []
    for number, row in enumerate(examples, 1):
        lines.append(f"  {number}  {row['id']} ({row['task']})")
        shown = [message for message in row["messages"] if message["role"] != "system"][:2]
        for message in shown:
            text = textwrap.shorten(message["content"], _WIDTH - 16, placeholder=" ...")
            lines.append(f"     {message['role'] + ':':11}{text}")
    return lines
