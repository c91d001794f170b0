"""What the built rows are made of: lengths, answers, question types and use of the templates.

Everything is columnar and looks at each distinct text once: 625,340 rows take a second or two.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v import templates

TEMPLATES = {
    "caption": templates.CAPTION,
    "vqa": templates.VQA,
    "grounding": templates.GROUNDING,
    "region_caption": templates.REGION_CAPTION,
    "detection": templates.DETECTION,
    "scene": templates.SCENE,
    "probe": templates.VQA,
}
"""The templates of each task; dialogues have the release's own words."""

_FREQUENT = 10
_FEW_WORDS = 2


@dataclass(frozen=True, slots=True)
class Spread:
    """Half of the values are at most ``median``, 95 % at most ``p95``, and all ``largest``."""

    median: int
    p95: int
    largest: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long texts are, in characters and in words: runs without white space."""

    characters: Spread
    words: Spread


@dataclass(frozen=True, slots=True)
class Composition:
    """What one split of one config is made of.

    Args:
        config: The config.
        split: Its split.
        rows: Rows: conversations.
        turns: Question-answer pairs.
        images: Distinct images.
        per_image: Turns an image.
        prompts: Lengths of what the user says.
        answers: Lengths of what the assistant says.
        distinct_answers: Different answers, compared exactly.
        frequent_answers: The ten most frequent with their shares of all answers.
        question_types: Rows of each, most frequent first; empty where the source has none.
        templates: Prompts made with each template of the task; empty for dialogues.
        other_prompts: Prompts that none of these templates made.
    """

    config: str
    split: str
    rows: int
    turns: int
    images: int
    per_image: Spread
    prompts: Lengths
    answers: Lengths
    distinct_answers: int
    frequent_answers: dict[str, float]
    question_types: dict[str, int]
    templates: dict[str, int]
    other_prompts: int


def compositions(
    loaded: Mapping[str, datasets.DatasetDict | Exception],
) -> list[Composition]:
    """Of each task in each split of each config that could be built (see `table1.load`)."""
    return [
        composition(config, name, part)
        for config, splits in loaded.items()
        if not isinstance(splits, Exception)
        for split, rows in splits.items()
        for name, part in by_task(str(split), rows).items()
    ]


def by_task(name: str, rows: datasets.Dataset) -> dict[str, datasets.Dataset]:
    """The rows of each task, as "name, task"; as ``name`` where they are all of one."""
    of_row = np.array(rows["task"])
    tasks = list(dict.fromkeys(of_row.tolist()))
    if len(tasks) == 1:
        return {name: rows}
    return {f"{name}, {task}": rows.select(np.flatnonzero(of_row == task)) for task in tasks}


def composition(config: str, split: str, rows: datasets.Dataset) -> Composition:
    """What ``rows``, all of one task, are made of."""
    names = ["images", "messages", "question_type", "task"]
    table: Any = rows.select_columns(names).with_format("arrow")[:]
    messages = table["messages"].combine_chunks()
    said = messages.flatten()
    role, content = said.field("role"), said.field("content")
    is_answer = pc.equal(role, "assistant")
    prompts = _count(content.filter(pc.equal(role, "user")))
    answers = _count(content.filter(is_answer))
    turns = np.bincount(
        pc.list_parent_indices(messages).to_numpy(), is_answer.to_numpy(False), len(rows)
    )
    per_image = _turns_per_image(table["images"].combine_chunks(), turns)
    templates, other = _templates(prompts, TEMPLATES.get(table["task"][0].as_py(), ()))
    return Composition(
        config=config,
        split=split,
        rows=len(rows),
        turns=int(turns.sum()),
        images=len(per_image),
        per_image=_spread(per_image),
        prompts=_lengths(prompts),
        answers=_lengths(answers),
        distinct_answers=len(answers.texts),
        frequent_answers=_shares(answers),
        question_types=_by_frequency(_count(table["question_type"].combine_chunks().drop_null())),
        templates=templates,
        other_prompts=other,
    )


class _Counted(NamedTuple):
    """Distinct texts, and how often each occurs."""

    texts: pa.Array
    counts: np.ndarray


def _count(texts: pa.Array) -> _Counted:
    encoded = texts.dictionary_encode()
    counts = np.bincount(encoded.indices.to_numpy(), minlength=len(encoded.dictionary))
    return _Counted(encoded.dictionary, counts)


def _turns_per_image(images: pa.Array, turns: np.ndarray) -> np.ndarray:
    """Turns about each distinct image, none where no row has one; ``turns`` are those of a row."""
    paths = images.flatten().field("path").dictionary_encode()
    of_row = turns[pc.list_parent_indices(images).to_numpy()]
    return np.bincount(paths.indices.to_numpy(), of_row).astype(np.int64)


def _spread(values: np.ndarray) -> Spread:
    if not len(values):
        return Spread(0, 0, 0)
    # Values that occur, not means of two.
    return Spread(*map(int, np.quantile(values, [0.5, 0.95, 1.0], method="inverted_cdf")))


def _lengths(counted: _Counted) -> Lengths:
    characters = pc.utf8_length(counted.texts).to_numpy()
    words = pc.count_substring_regex(counted.texts, r"\S+").to_numpy()
    return Lengths(*(_spread(np.repeat(of, counted.counts)) for of in (characters, words)))


def _by_frequency(counted: _Counted, most: int | None = None) -> dict[str, int]:
    """Texts with their counts, most frequent first, those of equal count by the alphabet."""
    table = pa.table({"text": counted.texts, "count": pa.array(counted.counts, pa.int64())})
    table = table.sort_by([("count", "descending"), ("text", "ascending")]).slice(0, most)
    return dict(zip(table["text"].to_pylist(), table["count"].to_pylist(), strict=True))


def _shares(answers: _Counted) -> dict[str, float]:
    total = int(answers.counts.sum())
    return {text: n / total for text, n in _by_frequency(answers, _FREQUENT).items()}


def _templates(prompts: _Counted, templates: tuple[str, ...]) -> tuple[dict[str, int], int]:
    """How many prompts each template made, and how many none of them did."""
    which = template_of(prompts.texts, templates)
    uses = {t: int(prompts.counts[which == index].sum()) for index, t in enumerate(templates)}
    return uses, int(prompts.counts[which < 0].sum()) if templates else 0


def template_of(prompts: pa.Array, templates: tuple[str, ...]) -> np.ndarray:
    """For each prompt the place of the template that made it; -1 where none did."""
    which = np.full(len(prompts), -1)
    # The longest fixed text last: it wins where a question itself begins or ends like a template.
    for index in sorted(range(len(templates)), key=lambda index: len(templates[index])):
        which[_made_by(templates[index], prompts)] = index
    return which


def _made_by(template: str, prompts: pa.Array) -> np.ndarray:
    """True where a prompt is the template with something, or nothing, in place of its ``{}``."""
    before, gap, after = template.partition("{}")
    if not gap:
        return pc.equal(prompts, template).to_numpy(False)
    made = pc.and_(pc.starts_with(prompts, before), pc.ends_with(prompts, after))
    long_enough = pc.greater_equal(pc.utf8_length(prompts), len(before) + len(after))
    return pc.and_(made, long_enough).to_numpy(False)


def to_text(details: list[Composition]) -> str:
    """One table each for rows, lengths, answers, question types and templates."""
    named = ("prompt characters", "prompt words", "answer characters", "answer words")
    sections: tuple[tuple[str, str, Callable[[Composition], str]], ...] = (
        ("Rows", f"{'rows':>9}{'turns':>9}{'images':>8}  turns an image {_ORDER}", _row_cells),
        (f"Lengths {_ORDER}", "".join(f"{name:18}" for name in named).rstrip(), _length_cells),
        ("Answers", " distinct  the most frequent", _answer_cells),
        ("Question types", "rows of each", _type_cells),
        ("Templates (rs_gpt4v/templates.py)", "prompts made with them", _template_cells),
    )
    return "\n\n".join(_section(*section, details) for section in sections)


_ORDER = "(median / 95 % / largest)"


def _section(
    title: str, head: str, cells: Callable[[Composition], str], details: list[Composition]
) -> str:
    split = max([18, *(len(item.split) + 2 for item in details)])
    indent = " " * (16 + split)
    width = 88 + split
    lines = [
        textwrap.fill(
            f"{item.config:16}{item.split:{split}}{text}", width, subsequent_indent=indent
        )
        for item in details
        if (text := cells(item))
    ]
    return "\n".join([title, f"{'config':16}{'split':{split}}{head}", *lines]).replace(
        _NO_BREAK, " "
    )


_NO_BREAK = "\N{NO-BREAK SPACE}"


def _unbroken(items: list[str]) -> str:
    """A list that may be wrapped between its items only."""
    return "; ".join(item.replace(" ", _NO_BREAK) for item in items)


def _row_cells(item: Composition) -> str:
    return f"{item.rows:9,}{item.turns:9,}{item.images:8,}  {_slashes(item.per_image)}"


def _length_cells(item: Composition) -> str:
    spreads = [of for text in (item.prompts, item.answers) for of in (text.characters, text.words)]
    return "".join(f"{_slashes(spread):18}" for spread in spreads)


def _answer_cells(item: Composition) -> str:
    # Of sentences the first is enough: those after it are as rare.
    shown = _FREQUENT if item.answers.words.median <= _FEW_WORDS else 1
    answers = [
        f"{textwrap.shorten(text, 44, placeholder=' ...')} {share:.1%}"
        for text, share in islice(item.frequent_answers.items(), shown)
    ]
    return f"{item.distinct_answers:9,}  {_unbroken(answers)}"


def _type_cells(item: Composition) -> str:
    return _unbroken([f"{kind} {count:,}" for kind, count in item.question_types.items()])


def _template_cells(item: Composition) -> str:
    if not item.templates:
        return ""
    uses = list(item.templates.values())
    used = sum(use > 0 for use in uses)
    shares = f"each {min(uses) / item.turns:.2%} to {max(uses) / item.turns:.2%} of the prompts"
    other = f"; {item.other_prompts:,} prompts of no template" if item.other_prompts else ""
    return f"{used} of {len(uses)} used, {shares}{other}"


def _slashes(spread: Spread) -> str:
    return f"{spread.median:,} / {spread.p95:,} / {spread.largest:,}"
