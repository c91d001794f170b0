"""What is measured: the turns of a config's split, or of one product of a queue of candidates.

Every distinct text is looked at once, however often it is said: 1,066,316 questions have a few
thousand distinct answers.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v import bootstrap
from rs_gpt4v.conversation import FEATURES
from rs_gpt4v_builders.stats.composition import TEMPLATES, template_of
from rs_gpt4v_generation.candidates import Candidate, Queue
from rs_gpt4v_generation.principles.forms import form
from rs_gpt4v_generation.principles.words import SPATIAL, phrases, words
from rs_gpt4v_generation.products import PRODUCTS

Origin = Literal["templates", "release", "generated"]
Intervals = dict[str, tuple[float, float]]
"""Both ends of the 95 % interval of measures, by their names; empty unless asked for."""

SAMPLE = 10_000
"""Turns that are drawn where a measure depends on how many there are."""


@dataclass(frozen=True)
class Texts:
    """One text a turn.

    Attributes:
        distinct: The different texts.
        at: For each turn the place of its text in ``distinct``.
    """

    distinct: pa.Array
    at: np.ndarray

    @classmethod
    def of(cls, texts: pa.Array) -> "Texts":
        """Texts in the order of their turns."""
        encoded = texts.dictionary_encode()
        return cls(encoded.dictionary, encoded.indices.to_numpy())

    @cached_property
    def spelled(self) -> list[str]:
        """The different texts as strings."""
        return self.distinct.to_pylist()

    def each(self, measure: Callable[[str], Any]) -> np.ndarray:
        """The measure of each turn's text."""
        return np.array([measure(text) for text in self.spelled])[self.at]

    def matches(self, regex: str) -> np.ndarray:
        """Whether each turn's text holds a match of ``regex`` (RE2), in whatever case."""
        matches = pc.match_substring_regex(self.distinct, regex, ignore_case=True)
        return matches.to_numpy(zero_copy_only=False)[self.at]

    def drawn(self, indices: np.ndarray) -> list[str]:
        """The texts of the turns at ``indices``, in their order."""
        return self.distinct.take(pa.array(self.at[indices])).to_pylist()


@dataclass(frozen=True)
class Turns:
    """Turns that are measured together; a turn is a question with its answer.

    Attributes:
        name: "vqa_hr/train", or "queue.jsonl: conversation".
        origin: Who worded the instructions: the templates of `rs_gpt4v.templates`, the release, or
            the model that generated the dialogues.
        task: A task of `rs_gpt4v.conversation.Task`, or a product of the generation.
        rows: Dialogues.
        images: Distinct images.
        row: For each turn its dialogue, from 0.
        image: For each dialogue the number of its first image; those without have one each.
        sizes: For each dialogue the width and height of its image, in pixels.
        instructions: What the user says, as it stands.
        questions: The same without the templates' words around a source's own question.
        answers: What the assistant says.
        candidates: The ids and verdicts of those dialogues that were checked: of all that were
            generated, and of those whose images have known boxes.
        resamples: How many draws of the images give an interval; 0: no intervals.
    """

    name: str
    origin: Origin
    task: str
    rows: int
    images: int
    row: np.ndarray
    image: np.ndarray
    sizes: np.ndarray
    instructions: Texts
    questions: Texts
    answers: Texts
    candidates: tuple[Mapping[str, Any], ...] = ()
    resamples: int = 0

    @property
    def count(self) -> int:
        """Question-answer pairs."""
        return len(self.row)

    @cached_property
    def forms(self) -> np.ndarray:
        """For each turn the form of its question, one of `rs_gpt4v_generation.principles.forms`."""
        return self.questions.each(form)

    @cached_property
    def asks_place(self) -> np.ndarray:
        """For each turn whether its question has a word for a place or a direction."""
        return self.questions.each(lambda text: any(phrases(words(text), SPATIAL)))

    def intervals(self, **means: np.ndarray | tuple[np.ndarray, np.ndarray]) -> Intervals:
        """The intervals of means over turns, by drawing images with all their turns.

        Args:
            means: For each turn its value; or a value and the weight that it has.
        """
        if not self.resamples or self.image.max() < 1:
            return {}
        one = np.ones(self.count)
        pairs = {n: m if isinstance(m, tuple) else (m, one) for n, m in means.items()}
        names = [name for name, (_, weight) in pairs.items() if weight.any()]
        columns = [pairs[name][part] for part in (0, 1) for name in names]
        images = self.image[self.row]
        by_image = np.stack([np.bincount(images, column) for column in columns], 1)

        def scores(sums: np.ndarray) -> dict[str, np.ndarray]:
            with np.errstate(invalid="ignore"):  # a draw may have no weight
                shares = sums[..., : len(names)] / sums[..., len(names) :]
            return {name: shares[..., place] for place, name in enumerate(names)}

        sums = bootstrap.Sums(by_image, scores, {})
        return bootstrap.intervals(sums, range(len(by_image)), self.resamples)

    def sample(self, seed: int = 0) -> np.ndarray:
        """At most `SAMPLE` turns in random order, the same for one seed."""
        return np.random.default_rng(seed).permutation(self.count)[:SAMPLE]


def of_rows(name: str, rows: datasets.Dataset) -> Turns:
    """The turns of ``rows``, all of one task."""
    columns = ["images", "messages", "task", "width", "height"]
    table: Any = rows.select_columns(columns).with_format("arrow")[:]
    task = table["task"][0].as_py()
    paths = table["images"].combine_chunks().flatten().field("path")
    return _turns(
        name,
        "templates" if task in TEMPLATES else "release",
        task,
        table["messages"].combine_chunks(),
        images=pc.count_distinct(paths).as_py(),
        image=_numbered(paths.take(_firsts(table["images"].combine_chunks()))),
        sizes=np.column_stack([table[side].to_numpy() for side in ("width", "height")]),
    )


def of_texts(name: str, records: pa.Table) -> Turns:
    """The turns of `rs_gpt4v.records.DIALOGUES` whose images nobody looked at."""
    image, further = (records[column].combine_chunks() for column in ("image", "further_images"))
    return _turns(
        name,
        "release",
        "conversation",
        records["messages"].combine_chunks(),
        images=pc.count_distinct(pa.chunked_array([image, further.flatten()])).as_py(),
        image=_numbered(image),
        sizes=np.full((len(image), 2), np.nan),
    )


def _firsts(lists: pa.ListArray) -> pa.Array:
    """Where the first item of each list is among all items; null where there is none."""
    lengths = pc.list_value_length(lists).to_numpy()
    return pa.array(lengths.cumsum() - lengths, pa.int64(), mask=lengths == 0)


def _numbered(names: pa.Array) -> np.ndarray:
    """A number for each name, the same for the same name; null has another each time."""
    numbers = names.dictionary_encode().indices
    further = np.arange(len(names)) + len(names)
    each = pc.coalesce(numbers, pa.array(further, numbers.type)).to_numpy()
    return np.unique(each, return_inverse=True)[1]


def of_queue(queue: Queue) -> list[Turns]:
    """The turns of each product that a queue has, in the order of the products."""
    by_product = {
        product: [candidate for candidate in queue.candidates if candidate["product"] == product]
        for product in PRODUCTS
    }
    return [_of_candidates(queue.path, chosen) for chosen in by_product.values() if chosen]


def _of_candidates(path: Path, candidates: list[Candidate]) -> Turns:
    product = candidates[0]["product"]
    return _turns(
        f"{path.name}: {product}",
        "generated",
        product,
        pa.array(
            [candidate["messages"] for candidate in candidates],
            FEATURES.arrow_schema.field("messages").type,
        ),
        images=len({candidate["image"] for candidate in candidates}),
        image=_numbered(pa.array([candidate["image"] for candidate in candidates])),
        sizes=np.array([[candidate["width"], candidate["height"]] for candidate in candidates]),
        candidates=tuple(candidates),
    )


def _turns(name: str, origin: Origin, task: str, messages: pa.ListArray, **facts: Any) -> Turns:
    flat = messages.flatten()
    user = np.flatnonzero(pc.equal(flat.field("role"), "user").to_numpy(zero_copy_only=False))
    content = flat.field("content")
    instructions = Texts.of(content.take(pa.array(user)))
    return Turns(
        name=name,
        origin=origin,
        task=task,
        rows=len(messages),
        row=pc.list_parent_indices(messages).to_numpy()[user],
        instructions=instructions,
        questions=_questions(instructions, task),
        answers=Texts.of(content.take(pa.array(user + 1))),
        **facts,
    )


_AROUND_QUESTIONS = ("vqa", "probe")
"""Tasks whose templates stand around a question; those of "scene" around a list of classes."""


def _questions(instructions: Texts, task: str) -> Texts:
    """The instructions; but a template's question alone, and no list of classes."""
    if task not in (*_AROUND_QUESTIONS, "scene"):
        return instructions
    prompts = questions = instructions.distinct
    made_by = template_of(prompts, TEMPLATES[task])
    for index, template in enumerate(TEMPLATES[task]):
        before, _, after = template.partition("{}")
        if task in _AROUND_QUESTIONS:
            own = pc.utf8_slice_codeunits(prompts, len(before), -len(after) or None)
        else:
            own = pa.scalar(before + after)
        questions = pc.if_else(pa.array(made_by == index), own, questions)
    stripped = Texts.of(questions)
    return Texts(stripped.distinct, stripped.at[instructions.at])
