"""The paper's Table 1 as data, and beside it what was built.

Source: arXiv 2406.12479, Table 1. Its columns sum to 91,937 images and 991,206 pairs for training,
15,999 and 258,419 for testing; 9,466 images are counted three times, so "images" are not distinct.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import datasets
import pyarrow.compute as pc

from rs_gpt4v import NAME


@dataclass(frozen=True, slots=True)
class Line:
    """One source's numbers for one split.

    Args:
        task: The paper's name of the task.
        config: The config that builds these rows.
        split: "train" or "test".
        images: Images, as the paper prints them.
        pairs: Question-answer pairs, as the paper prints them.
        note: Why a build of the released files may differ.
    """

    task: str
    config: str
    split: str
    images: int
    pairs: int
    note: str = ""


_CAPTIONING, _VQA = "Image captioning", "Visual question answering"
_NWPU_TRAIN = "one image of the JSON, airplane_111.jpg, is missing from the released archive"
_NWPU_TEST = "the paper repeats RSICD's 1,093; the release has 3,150 test images"
_HR_TEST = "test set 1; the release's test set 2 (Philadelphia) is a split of its own"

TABLE_1 = (
    Line(_CAPTIONING, "cap_nwpu", "train", 25_200, 125_894, _NWPU_TRAIN),
    Line(_CAPTIONING, "cap_rsicd", "train", 8_734, 17_813),
    Line(_CAPTIONING, "cap_rsitmd", "train", 4_291, 20_096),
    Line(_CAPTIONING, "cap_sydney", "train", 497, 2_294),
    Line(_CAPTIONING, "cap_ucm", "train", 1_680, 7_999),
    Line(_VQA, "vqa_lr", "train", 572, 57_223),
    Line(_VQA, "vqa_hr", "train", 6_251, 625_340),
    Line(_VQA, "vqa_floodnet", "train", 1_448, 4_511),
    Line(_VQA, "vqa_rsivqa", "train", 5_401, 19_218, "HRRSD's training images only"),
    Line("Visual grounding", "grounding", "train", 9_466, 19_643, "cut by DIOR's image split"),
    Line("Region-level captioning", "region_caption", "train", 9_466, 19_643),
    Line("Multi-turn conversation", "conversation", "train", 9_466, 62_067, "one row an image"),
    Line("Detailed description", "detail", "train", 9_465, 9_465),
    Line(_CAPTIONING, "cap_nwpu", "test", 3_150, 1_093, _NWPU_TEST),
    Line(_CAPTIONING, "cap_rsicd", "test", 1_093, 1_093),
    Line(_CAPTIONING, "cap_sydney", "test", 58, 58),
    Line(_CAPTIONING, "cap_ucm", "test", 210, 210),
    Line(_VQA, "vqa_lr", "test", 100, 10_004),
    Line(_VQA, "vqa_hr", "test", 2_226, 222_684, _HR_TEST),
    Line("Visual grounding", "grounding", "test", 7_936, 18_677),
    Line("Multi-turn conversation", "conversation", "test", 613, 3_987),
    Line("Detailed description", "detail", "test", 613, 613),
)


@dataclass(frozen=True, slots=True)
class Built:
    """A line of Table 1 beside what was built.

    Args:
        line: The paper's numbers.
        images: Distinct images, None where nothing was built.
        pairs: Question-answer pairs: turns, not rows.
        rows: Rows; fewer than pairs where one row is a dialogue.
        problem: Why nothing was built.
    """

    line: Line
    images: int | None = None
    pairs: int | None = None
    rows: int | None = None
    problem: str = ""


def compare(**options: Any) -> Iterator[Built]:
    """Build each config of `TABLE_1` with the options of ``load_dataset``, and count.

    A config that cannot be built is reported, and the others go on.
    """
    configs = dict.fromkeys(line.config for line in TABLE_1)
    counted = {config: _counted(config, options) for config in configs}
    for line in TABLE_1:
        found = counted[line.config]
        if isinstance(found, str):
            yield Built(line, problem=found)
        elif line.split in found:
            yield Built(line, *found[line.split])
        else:
            yield Built(line, problem="no usable record")


def steps(built: list[Built], batch_size: int) -> int:
    """Optimizer steps of one epoch over the training rows that were built."""
    return math.ceil(sum(b.rows or 0 for b in built if b.line.split == "train") / batch_size)


def _counted(config: str, options: dict[str, Any]) -> dict[str, tuple[int, int, int]] | str:
    try:
        splits = datasets.load_dataset(NAME, config, **options)
    except (OSError, ValueError) as error:
        return str(error)
    return {split: _numbers(rows) for split, rows in splits.items()}


def _numbers(rows: datasets.Dataset) -> tuple[int, int, int]:
    """Distinct images, pairs and rows."""
    columns: Any = rows.select_columns(["images", "messages"]).with_format("arrow")[:]
    paths = columns["images"].combine_chunks().flatten().field("path")
    roles = columns["messages"].combine_chunks().flatten().field("role")
    pairs = pc.sum(pc.equal(roles, "assistant")).as_py() or 0
    return pc.count_distinct(paths).as_py(), pairs, len(rows)


def to_text(built: list[Built], batch_size: int) -> str:
    """The comparison as a plain table, with what explains each difference."""
    lines = [
        f"{'':30}{'paper':>18}{'built':>20}",
        f"{'config':16}{'split':14}{'images':>8}{'pairs':>10}{'images':>10}{'pairs':>10}",
    ]
    lines += [_text_line(one) for one in built]
    lines += [
        _text_total(split, [b for b in built if b.line.split == split])
        for split in ("train", "test")
    ]
    lines.append(f"one epoch at batch {batch_size}: {steps(built, batch_size):,} steps")
    problems = {one.line.config: one.problem for one in built if one.problem}
    lines += [f"{config} not built: {problem}" for config, problem in problems.items()]
    return "\n".join(lines)


def _text_line(built: Built) -> str:
    line = built.line
    head = f"{line.config:16}{line.split:14}{line.images:8,}{line.pairs:10,}"
    if built.images is None or built.pairs is None:
        return f"{head}{'-':>10}{'-':>10}"
    same = (built.images, built.pairs) == (line.images, line.pairs)
    why = "" if same else f"  {built.pairs - line.pairs:+,} {line.note}".rstrip()
    return f"{head}{built.images:10,}{built.pairs:10,}{'  as the paper' if same else why}"


def _text_total(split: str, built: list[Built]) -> str:
    images, pairs = (sum(getattr(b.line, name) for b in built) for name in ("images", "pairs"))
    found_images, found_pairs = (
        sum(getattr(b, name) or 0 for b in built) for name in ("images", "pairs")
    )
    return f"{'total':16}{split:14}{images:8,}{pairs:10,}{found_images:10,}{found_pairs:10,}"
