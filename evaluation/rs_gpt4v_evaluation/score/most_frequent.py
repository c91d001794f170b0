"""What always saying the same would score, whatever the image: a constant guess.

It is the most frequent answer to a type of question, the most frequent class or caption, or the
box in the middle of all boxes. A model below it is worse than guessing.
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v.boxes import to_hbb
from rs_gpt4v.object_classes import in_words
from rs_gpt4v.scene_classes import choices
from rs_gpt4v.scoring import answers
from rs_gpt4v_evaluation.metric import DEFAULT_RULES, Measured, Metric, Rules, type_name
from rs_gpt4v_evaluation.rs_caption import measure as rs_caption
from rs_gpt4v_evaluation.rs_grounding import measure as rs_grounding
from rs_gpt4v_evaluation.rs_scene import measure as rs_scene
from rs_gpt4v_evaluation.rs_vqa import measure as rs_vqa

CONSTANT_GUESS = "constant guess"
"""The name of the model of a predictions file that always says the same to a type of question."""

Row = Mapping[str, Any]
"""Of a predictions file or a dataset: its source, question type, references, boxes and size."""


class Kind(NamedTuple):
    """What is asked for: a type of question, and the unit of its ranges; None for exact answers."""

    type: str
    unit: str | None


class MostFrequent(NamedTuple):
    """The scores of always giving ``answers``, which are by what is asked for, as a reader says it.

    ``name`` is what the answers are called, ``rules`` are sentences on how they are compared.
    """

    name: str
    scores: dict[str, float]
    answers: dict[str, str]
    rules: list[str]


def most_frequent(
    metric: Metric, rows: Sequence[Row], rules: Rules = DEFAULT_RULES
) -> MostFrequent | None:
    """What the answers that are most frequent among ``rows`` score on them; None for other tasks.

    Nobody can know them before: it is the most that a constant can score.
    """
    if metric.name not in _NAMES or not _is_upright(metric, rows):
        return None
    kinds = kinds_of(metric, rows, rules)
    answers = frequent_answers(metric, rows, rules)
    replies = [answers[kind] for kind in kinds]
    scores = _measured(metric, rows, replies, rules).sums.total()
    return MostFrequent(_NAMES[metric.name], scores, _named(metric, answers), _rules(answers))


_NAMES = {
    "rs_vqa": "most frequent answer",
    "rs_scene": "most frequent answer",
    "rs_caption": "most frequent caption",
    "rs_grounding": "median box",
}


def kinds_of(metric: Metric, rows: Iterable[Row], rules: Rules = DEFAULT_RULES) -> list[Kind]:
    """What each row asks for; all the same where rows are no questions of different types."""
    if metric.name == "rs_vqa":
        return [_kind(row["source"], row["question_type"], rules) for row in rows]
    if metric.name == "rs_detection":
        return [Kind(row["question_type"] or "all", None) for row in rows]
    return [Kind("all", None) for _ in rows]


def _kind(source: str, question_type: str | None, rules: Rules) -> Kind:
    counts = answers.form_of("counts", source, question_type, rules.counts)
    areas = answers.form_of("areas", source, question_type, rules.areas)
    kind = question_type or "all"
    return Kind(kind, *answers.units([kind], counts, areas))


def frequent_answers(
    metric: Metric, rows: Sequence[Row], rules: Rules = DEFAULT_RULES
) -> dict[Kind, str]:
    """The most frequent answer to each kind of question, as its metric compares answers.

    Of numbers that are compared by range it is a range; of equally frequent answers the first in
    the alphabet. Of boxes it is one whose sides are at the median of all, as LLaVA writes it.
    """
    if metric.name == "rs_grounding":
        return {Kind("all", None): _median_box(rows)}
    normalise: Any = rules.normalise
    counts: dict[Kind, Counter[str]] = defaultdict(Counter)
    for row, kind in zip(rows, kinds_of(metric, rows, rules), strict=True):
        counts[kind].update(
            {_compared(text, kind, metric, normalise) for text in row["references"]}
        )
    answers = {kind: min(own, key=lambda text: (-own[text], text)) for kind, own in counts.items()}
    return dict(sorted(answers.items(), key=lambda item: (item[0].type, item[0].unit is None)))


def _compared(text: str, kind: Kind, metric: Metric, normalise: answers.Normalise) -> str:
    if metric.name != "rs_vqa":
        return text
    answer = answers.normalise_answer(text, normalise)
    return answer if kind.unit is None else answers.bucket(answer, kind.unit) or answer


def _is_upright(metric: Metric, rows: Sequence[Row]) -> bool:
    """Whether true boxes, if it is about boxes, have no angle: of angles there is no median."""
    return metric.name != "rs_grounding" or all(
        len(box["points"]) == 4 for row in rows for box in row["boxes"]
    )


def _median_box(rows: Sequence[Row]) -> str:
    shares = [
        [value / side for value, side in zip(to_hbb(box["points"]), sides * 2, strict=True)]
        for row in rows
        for box, sides in [(row["boxes"][0], (row["width"], row["height"]))]
    ]
    box = [statistics.median(values) for values in zip(*shares, strict=True)]
    return CODECS["llava"].write([("", box)], 1, 1)


def _measured(metric: Metric, rows: Sequence[Row], replies: list[str], rules: Rules) -> Measured:
    references = [row["references"] for row in rows]
    if metric.name == "rs_vqa":
        asked = [(row["source"], row["question_type"]) for row in rows]
        counts: list[Any] = [answers.form_of("counts", *row, rules.counts) for row in asked]
        areas: list[Any] = [answers.form_of("areas", *row, rules.areas) for row in asked]
        types = [kind or "all" for _, kind in asked]
        normalise: Any = rules.normalise
        return rs_vqa.measure(replies, references, types, counts, areas, normalise)
    if metric.name == "rs_scene":
        return rs_scene.measure(replies, references, [choices(row["prompt"]) for row in rows])
    if metric.name == "rs_caption":  # METEOR takes a minute of 9,000 captions
        names = [name for name in rs_caption.METRICS if name != "meteor"]
        return rs_caption.measure(replies, references, names)
    truths = [row["boxes"][0] for row in rows]
    return rs_grounding.measure(
        replies,
        [box["points"] for box in truths],
        [(row["width"], row["height"]) for row in rows],
        "llava",
        strict=rules.strict_iou,
        classes=[in_words(box["label"] or "object") for box in truths],
    )


def _named(metric: Metric, answers: dict[Kind, str]) -> dict[str, str]:
    """The answers by type as a reader says it, with the way of comparing where there are two."""
    if metric.name != "rs_vqa":
        return dict(zip([_ASKED[metric.name]], answers.values(), strict=True))
    ways = Counter(kind.type for kind in answers)

    def name(kind: Kind) -> str:
        way = "" if ways[kind.type] == 1 else " exactly" if kind.unit is None else " by range"
        return type_name(kind.type).lower() + way

    return {name(kind): answer for kind, answer in answers.items()}


_ASKED = {"rs_scene": "class of scene", "rs_caption": "caption", "rs_grounding": "box"}


def _rules(kinds: Iterable[Kind]) -> list[str]:
    ways = defaultdict(list)
    for kind in kinds:
        if kind.type in ("count", "area"):
            way = "exactly" if kind.unit is None else "by the ranges of the RSVQA authors"
            ways[kind.type].append(way)
    return [
        f"{name.capitalize()} answers are compared {' or '.join(own)}"
        f"{', as their source does' if len(own) > 1 else ''}."
        for name, own in sorted(ways.items(), reverse=True)
    ]
