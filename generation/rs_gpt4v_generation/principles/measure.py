"""The six principles of each config and each generated product, measured."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

import datasets
from tqdm import tqdm

from rs_gpt4v import NAME
from rs_gpt4v.files import AnyPath
from rs_gpt4v.reviews import ReviewsError, read_decisions
from rs_gpt4v_builders import members
from rs_gpt4v_builders.builder import UNUSABLE
from rs_gpt4v_builders.folder.dialogue_texts import read_dialogue_texts
from rs_gpt4v_builders.sources.source import SourceNotFoundError
from rs_gpt4v_builders.stats.composition import by_task
from rs_gpt4v_generation.candidates import Queue, read_queue
from rs_gpt4v_generation.chair import Scenes
from rs_gpt4v_generation.principles.complexity import Complexity, complexity
from rs_gpt4v_generation.principles.correctness import Correctness, correctness
from rs_gpt4v_generation.principles.diversity import Diversity, diversity
from rs_gpt4v_generation.principles.known_boxes import TASKS, boxed_scenes, checked
from rs_gpt4v_generation.principles.richness import Richness, richness
from rs_gpt4v_generation.principles.robustness import Robustness, robustness
from rs_gpt4v_generation.principles.turns import Origin, Turns, of_queue, of_rows, of_texts
from rs_gpt4v_generation.principles.unity import Unity, unity
from rs_gpt4v_generation.review.reconcile import Outcome, outcomes


@dataclass(frozen=True, slots=True)
class Measured:
    """The principles of one config's split or one generated product.

    The first six are as in `rs_gpt4v_generation.principles.turns.Turns`. ``correctness`` have
    generated dialogues, and those about images whose boxes are known.
    """

    name: str
    origin: Origin
    task: str
    rows: int
    turns: int
    images: int
    unity: Unity
    diversity: Diversity
    correctness: Correctness | None
    richness: Richness
    complexity: Complexity
    robustness: Robustness


@dataclass(frozen=True, slots=True)
class Report:
    """All that was measured.

    Attributes:
        measured: In the order in which it was asked for, generated dialogues last.
        absent: Why configs are missing, by name.
        unreadable: Why lines of the queues are no candidates.
        left_out: Of published dialogues, how many cannot be used, and why, by name.
    """

    measured: list[Measured]
    absent: dict[str, str]
    unreadable: list[str]
    left_out: dict[str, str] = field(default_factory=dict)


def measure(turns: Turns, settled: Mapping[str, Outcome], resamples: int = 0) -> Measured:
    """The principles of ``turns``; ``settled`` is what reviewers say of its candidates.

    ``resamples`` draws of the images give the intervals; 0 gives none.
    """
    turns = replace(turns, resamples=resamples)
    is_checked = turns.origin == "generated" or turns.candidates
    return Measured(
        name=turns.name,
        origin=turns.origin,
        task=turns.task,
        rows=turns.rows,
        turns=turns.count,
        images=turns.images,
        unity=unity(turns),
        diversity=diversity(turns),
        correctness=correctness(turns.candidates, settled) if is_checked else None,
        richness=richness(turns),
        complexity=complexity(turns),
        robustness=robustness(turns),
    )


def report(
    configs: Sequence[str],
    candidates: Sequence[AnyPath] = (),
    reviews: Sequence[AnyPath] = (),
    *,
    beside: Mapping[str, AnyPath] | None = None,
    resamples: int = 0,
    split: str = "train",
    absent_allowed: bool = False,
    **options: Any,
) -> Report:
    """Measure the split of each config, and each product of each queue.

    Dialogues of configs are checked against the boxes of DIOR where these are in the data root.

    Args:
        configs: Configs or groups, of which each member is measured apart.
        candidates: Queues of generated dialogues.
        reviews: Reviews files of any of the queues.
        beside: Published dialogues, a file or folder of config "folder" each, by the names to give
            them. Their images are not looked at.
        resamples: How many draws of the images give the 95 % intervals; 0: no intervals.
        split: Which rows of the configs.
        absent_allowed: Leave out a config that cannot be built or lacks the split, and say so.
        options: Further options of ``load_dataset("rs_gpt4v", ...)``.

    Raises:
        ValueError: Nothing was named, a config lacks the split, or reviews fit no queue.
        SourceNotFoundError: A release is absent and may not be.
        AnnotationError: What is named ``beside`` holds no dialogues.
        EmptyQueueError: A queue has no candidates.
        ReviewsError: A reviews file is broken, or two of one queue are of one reviewer.
    """
    candidates = [Path(file) for file in candidates]
    reviews = [Path(file) for file in reviews]
    names = list(dict.fromkeys(member for name in configs for member in members(name)))
    if not (names or candidates or beside):
        raise ValueError(
            "nothing to measure: name configs (cap_ucm vqa_lr), or give --candidates or --beside"
        )
    queues = [read_queue(path) for path in candidates]
    settled = _settled(queues, reviews)
    absent: dict[str, str] = {}
    left_out: dict[str, str] = {}
    published = _published(beside or {}, split, left_out)
    of_configs = _turns_of(names, split, absent if absent_allowed else None, options)
    measured = [measure(turns, {}, resamples) for turns in chain(of_configs, published)]
    for queue, outcome_of in zip(queues, settled, strict=True):
        measured += [measure(turns, outcome_of, resamples) for turns in of_queue(queue)]
    if not measured:
        raise SourceNotFoundError(next(iter(absent.values())))
    problems = [problem for queue in queues for problem in queue.problems]
    return Report(measured, absent, problems, left_out)


def _published(
    beside: Mapping[str, AnyPath], split: str, left_out: dict[str, str]
) -> Iterator[Turns]:
    for name, path in beside.items():
        texts = read_dialogue_texts(Path(path), split)
        if texts.left_out:
            items = f"{texts.left_out:,} of {texts.left_out + len(texts.records):,} items"
            left_out[name] = f"{items} cannot be used, the first: {texts.first}"
        yield of_texts(name, texts.records)


def _turns_of(
    names: list[str], split: str, absent: dict[str, str] | None, options: dict[str, Any]
) -> Iterator[Turns]:
    scenes = cache(partial(boxed_scenes, options))  # read once, and only for dialogues
    for name in tqdm(names, desc="Measuring", unit="config", leave=False, disable=None):
        rows = _rows(name, split, options)
        if not isinstance(rows, Exception):
            for part, of_task in by_task(f"{name}/{split}", rows).items():
                yield replace(of_rows(part, of_task), candidates=_checked(part, of_task, scenes))
        elif absent is None:
            raise rows
        else:
            absent[name] = str(rows)


def _checked(
    name: str, rows: datasets.Dataset, scenes: Callable[[], Scenes | None]
) -> tuple[Mapping[str, Any], ...]:
    """What the boxes say of dialogues; nothing of other tasks, or where no boxes are known."""
    known = scenes() if rows[0]["task"] in TASKS else None
    if known is None:
        return ()
    return tuple(
        tqdm(checked(rows, known), f"Checking {name}", len(rows), leave=False, disable=None)
    )


def _rows(name: str, split: str, options: dict[str, Any]) -> datasets.Dataset | Exception:
    """The rows, or why there are none."""
    try:
        splits: Any = datasets.load_dataset(NAME, name, **options)
    except UNUSABLE as error:
        return error
    if split not in splits:
        return ValueError(f"{name} has no split {split!r}; it has {', '.join(splits)}")
    return splits[split]


def _settled(queues: Sequence[Queue], reviews: Sequence[Path]) -> list[dict[str, Outcome]]:
    """For each queue what its reviewers settled, by id; nothing where nobody reviewed it."""
    fits: list[list[Path]] = [[] for _ in queues]
    known = [{candidate["id"] for candidate in queue.candidates} for queue in queues]
    for file in reviews:
        ids = {decision["id"] for decision in read_decisions(file)}
        reviewed = [index for index, own in enumerate(known) if own & ids]
        if not reviewed:
            raise ReviewsError(
                f"{file} decides on no candidate of --candidates: name its queue too"
            )
        for index in reviewed:
            fits[index].append(file)
    return [
        outcomes(queue, files) if files else {} for queue, files in zip(queues, fits, strict=True)
    ]
