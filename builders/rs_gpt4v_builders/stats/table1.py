"""The paper's Table 1 as data, and beside it what was built.

Source: arXiv 2406.12479, Table 1. Its columns sum to 91,937 images and 991,206 pairs for training,
15,999 and 258,419 for testing; 9,466 images are counted three times, so "images" are not distinct.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import math
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from rs_gpt4v import NAME
from rs_gpt4v_builders import CONFIGS, usable
from rs_gpt4v_builders.builder import UNUSABLE
from rs_gpt4v_builders.sources.source import SourceNotFoundError
from rs_gpt4v_builders.usable_records import cache_folder, dropped


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

    @property
    def rows(self) -> int:
        """Rows that this makes: one a pair, or one a dialogue, which is all of an image."""
        return self.images if self.config == "conversation" else self.pairs


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
        dropped: How many records were left out, by reason, most frequent first.
        problem: Why nothing was built.
        absent: Nothing was built because the release, or a file of it, is not in the data root.
    """

    line: Line
    images: int | None = None
    pairs: int | None = None
    rows: int | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""
    absent: bool = False

    @property
    def difference(self) -> str:
        """In pairs, or in images where the pairs are the paper's; empty where both are."""
        if self.images is None or self.pairs is None:
            return "not built"
        for found, paper, name in (
            (self.pairs, self.line.pairs, "pairs"),
            (self.images, self.line.images, "images"),
        ):
            if found != paper:
                return f"{found - paper:+,} {name}"
        return ""

    @property
    def explanation(self) -> str:
        """Why the numbers differ from the paper's; empty where they do not."""
        if not self.difference:
            return ""
        parts = (self.problem, _dropped_text(self.dropped), self.line.note)
        known = [part if part.endswith("...") else part.removesuffix(".") for part in parts]
        return "; ".join(filter(None, known)) or (
            "no record was dropped: the release on disk has other rows than the paper's"
        )


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of one split, a line counted by each config that has it."""

    split: str
    paper_images: int
    paper_pairs: int
    paper_rows: int
    images: int
    pairs: int
    rows: int

    def steps(self, batch_size: int) -> tuple[int, int]:
        """Optimizer steps of one epoch: of the paper's rows, and of those that were built."""
        return math.ceil(self.paper_rows / batch_size), math.ceil(self.rows / batch_size)


def load(**options: Any) -> dict[str, datasets.DatasetDict | Exception]:
    """Build each config, also one that is not in `TABLE_1`, with the options of ``load_dataset``.

    A config that cannot be built is the error that says why, and the others go on.

    Raises:
        ValueError: An option is wrong, or there is no data root.
    """
    bar = tqdm(usable(), desc="Building", unit="config", leave=False, disable=None)
    return {config: _loaded(config, options) for config in bar}


def _loaded(config: str, options: dict[str, Any]) -> datasets.DatasetDict | Exception:
    try:
        return datasets.load_dataset(NAME, config, **options)
    except UNUSABLE as error:
        return error


def compare(loaded: Mapping[str, datasets.DatasetDict | Exception]) -> list[Built]:
    """The lines of `TABLE_1`, each beside what its config was built into."""
    return [_built(line, loaded[line.config]) for line in TABLE_1]


def _built(line: Line, splits: datasets.DatasetDict | Exception) -> Built:
    if isinstance(splits, Exception):
        absent = isinstance(splits, SourceNotFoundError)
        return Built(line, problem=str(splits), absent=absent)
    source = CONFIGS[line.config].source.name
    left_out = dropped(cache_folder(splits), source, line.split)
    if line.split not in splits:
        return Built(line, dropped=left_out, problem="no usable record")
    rows = splits[line.split]
    pairs = _assistant_turns(rows)
    return Built(line, pc.count_distinct(_paths(rows)).as_py(), pairs, len(rows), left_out)


def _paths(rows: datasets.Dataset) -> pa.Array:
    return _flat(rows, "images").field("path")


def _assistant_turns(rows: datasets.Dataset) -> int:
    return pc.sum(pc.equal(_flat(rows, "messages").field("role"), "assistant")).as_py() or 0


def _flat(rows: datasets.Dataset, name: str) -> pa.StructArray:
    columns: Any = rows.select_columns([name]).with_format("arrow")[:]
    return columns[name].combine_chunks().flatten()


def distinct_images(loaded: Mapping[str, datasets.DatasetDict | Exception], split: str) -> int:
    """Image files of a split of `TABLE_1`, each counted once, however many configs have it."""
    configs = {line.config for line in TABLE_1}
    paths = [
        pc.unique(_paths(splits[split]))
        for config, splits in loaded.items()
        if config in configs and not isinstance(splits, Exception) and split in splits
    ]
    return pc.count_distinct(pa.chunked_array(paths, pa.string())).as_py()


def totals(built: list[Built], split: str) -> Totals:
    """The sums over the lines of ``split``."""
    of_split = [item for item in built if item.line.split == split]
    names = ("images", "pairs", "rows")
    paper_sums = [sum(getattr(item.line, name) for item in of_split) for name in names]
    built_sums = [sum(getattr(item, name) or 0 for item in of_split) for name in names]
    return Totals(split, *paper_sums, *built_sums)


def to_text(
    built: list[Built],
    batch_size: int,
    *,
    sample: bool = False,
    distinct: Mapping[str, int] | None = None,
) -> str:
    """The comparison as a plain table, and what explains each difference.

    Args:
        built: The lines.
        batch_size: Rows a step.
        sample: They are of the embedded sample, whose differences need no explanation.
        distinct: `distinct_images` by split.
    """
    sums = [totals(built, split) for split in ("train", "test")]
    lines = [
        *(["Built from the synthetic sample, which shows the path and not the data."] * sample),
        f"{'':23}{'paper':>19}{'built':>30}",
        f"{'config':16}{'split':7}{'images':>8}{'pairs':>11}{'images':>9}{'pairs':>11}{'rows':>10}",
        *map(_text_line, built),
        *map(_text_total, sums),
        *_text_training(sums[0], batch_size),
        *(_text_distinct(item, (distinct or {}).get(item.split)) for item in sums),
        *([] if sample else _text_explanations(built)),
    ]
    return "\n".join(filter(None, lines))


def _text_line(built: Built) -> str:
    line = built.line
    head = f"{line.config:16}{line.split:7}{line.images:8,}{line.pairs:11,}"
    if built.images is None or built.pairs is None or built.rows is None:
        return f"{head}{'-':>9}{'-':>11}{'-':>10}  {built.difference}"
    numbers = f"{built.images:9,}{built.pairs:11,}{built.rows:10,}"
    return f"{head}{numbers}  {built.difference or 'as the paper'}"


def _text_total(item: Totals) -> str:
    return (
        f"{'total':16}{item.split:7}{item.paper_images:8,}{item.paper_pairs:11,}"
        f"{item.images:9,}{item.pairs:11,}{item.rows:10,}"
    )


def _text_training(train: Totals, batch_size: int) -> list[str]:
    paper, built = train.steps(batch_size)
    return [
        f"training rows, one a dialogue: {train.rows:,}; the paper's table makes "
        f"{train.paper_rows:,}",
        f"one epoch at batch {batch_size}: {built:,} steps; the paper's table makes {paper:,}",
    ]


def _text_distinct(item: Totals, distinct: int | None) -> str:
    if distinct is None or distinct == item.images:
        return ""
    return (
        f"{item.split}: {item.images:,} images are {distinct:,} files; several configs share them"
    )


_ABSENT = (
    "not in the data root; `rs-gpt4v sources --data-dir DIR` says what is expected there and where "
    "to get it"
)


def _text_explanations(built: list[Built]) -> list[str]:
    """Each explanation once, after the lines that it is of."""
    lines_of: dict[str, list[str]] = {}
    for item in built:
        if item.explanation:
            why = _ABSENT if item.absent else item.explanation
            name = f"{item.line.config} {item.line.split}"
            lines_of.setdefault(why, []).append(name)
    return [
        textwrap.fill(
            f"{', '.join(names)}: {why}",
            100,
            subsequent_indent="    ",
            break_on_hyphens=False,  # addresses and commands stay whole
            break_long_words=False,
        )
        for why, names in lines_of.items()
    ]


def _dropped_text(reasons: Mapping[str, int]) -> str:
    """Such as "8,722 records dropped: image is missing (8,700), no answer (22)"."""
    if not reasons:
        return ""
    texts = [f"{reason} ({count:,})" for reason, count in islice(reasons.items(), 2)]
    texts += ["..."] * (len(reasons) > 2)
    n = sum(reasons.values())
    return f"{n:,} record{'s' * (n > 1)} dropped: {', '.join(texts)}"


def to_json(built: list[Built], batch_size: int, distinct: Mapping[str, int]) -> dict[str, Any]:
    """The comparison as JSON takes it."""
    sums = [totals(built, split) for split in ("train", "test")]
    paper, found = sums[0].steps(batch_size)
    return {
        "lines": [
            asdict(item) | {"difference": item.difference, "explanation": item.explanation}
            for item in built
        ],
        "totals": [asdict(item) | {"distinct_images": distinct[item.split]} for item in sums],
        "batch_size": batch_size,
        "steps": {"paper": paper, "built": found},
    }
