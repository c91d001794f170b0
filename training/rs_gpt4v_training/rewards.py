"""Rewards of replies: each is the score that the metric of the row's task gives that one reply."""

import difflib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any, NamedTuple, get_args

import numpy as np
from datasets import Dataset

from rs_gpt4v.box_codecs import CODECS, ParseFailure
from rs_gpt4v.conversation import Task, whole_columns
from rs_gpt4v.scene_classes import choices
from rs_gpt4v.scoring import answers, detections, scenes
from rs_gpt4v.scoring.matching import GRADES, Found, find, graded_f1, row_f1
from rs_gpt4v.scoring.overlaps import gious, overlaps
from rs_gpt4v_training.recipe import RecipeError, is_weight


class Rules(NamedTuple):
    """How a reply is compared with the truth.

    Attributes:
        box_format: The codec that reads boxes.
        counts: "source", as the authors of the row's source do, "bucket" or "exact".
        areas: The same of areas.
    """

    box_format: str
    counts: str = "source"
    areas: str = "source"


Row = Mapping[str, Any]
"""A row of the schema; ``question`` is its last question."""


def _answer(reply: str, row: Row, rules: Rules) -> float:
    kind = row["question_type"]
    counts = answers.form_of("counts", row["source"], kind, rules.counts)
    areas = answers.form_of("areas", row["source"], kind, rules.areas)
    (unit,) = answers.units([kind or "all"], counts, areas)
    return float(answers.is_right(reply, row["references"], unit))


def _scene(reply: str, row: Row, _: Rules) -> float:
    return float(scenes.means(scenes.read(reply, choices(row["question"])), row["references"]))


def _overlap(reply: str, row: Row, rules: Rules, score: Callable[..., np.ndarray]) -> float:
    """The ``score`` of the reply's first box, and 0 where it has none."""
    size = row["width"], row["height"]
    boxes = CODECS[rules.box_format].parse(reply, *size, clipped=False)
    if isinstance(boxes, ParseFailure):
        return 0.0
    return float(score([boxes[0]], [row["boxes"][0]["points"]], [size])[0])


def _iou(reply: str, row: Row, rules: Rules) -> float:
    return _overlap(reply, row, rules, lambda *columns: overlaps(*columns).ious)


def _giou(reply: str, row: Row, rules: Rules) -> float:
    return _overlap(reply, row, rules, lambda *columns: (1 + gious(*columns)) / 2)


def _f1(
    reply: str, row: Row, rules: Rules, score: Callable[[Found, np.ndarray], np.ndarray]
) -> float:
    size = row["width"], row["height"]
    claimed = detections.read(reply, *size, rules.box_format)
    truths = [box["points"] for box in row["boxes"]]
    found = find([claimed.boxes], [truths], [size], least=GRADES[0])
    return float(score(found, np.array([claimed.denies]))[0])


def _format(reply: str, row: Row, rules: Rules) -> float:
    size = row["width"], row["height"]
    if row["task"] == "detection":
        return float(detections.read(reply, *size, rules.box_format).failure is None)
    return float(not isinstance(CODECS[rules.box_format].parse(reply, *size), ParseFailure))


def _length(reply: str, row: Row, _: Rules) -> float:
    longest = max(map(len, row["references"]))
    return min(1.0, longest / len(reply)) if reply.strip() else 0.0


class Reward(NamedTuple):
    """A reward in [0, 1].

    Attributes:
        tasks: Of the rows that get it.
        score: From a reply, its row and the rules.
        default: Whether a recipe that names none has it: one for each task, a score of its metric.
    """

    tasks: tuple[str, ...]
    score: Callable[[str, Row, Rules], float]
    default: bool = True


REWARDS = {
    "answer": Reward(("vqa",), _answer),
    "scene": Reward(("scene",), _scene),
    "iou": Reward(("grounding",), _iou),
    "graded_detection": Reward(("detection",), partial(_f1, score=graded_f1)),
    "detection": Reward(("detection",), partial(_f1, score=row_f1), default=False),
    "giou": Reward(("grounding",), _giou, default=False),
    "format": Reward(("grounding", "detection"), _format, default=False),
    "length": Reward(get_args(Task), _length, default=False),
}
"""What each name in a recipe's ``rewards`` is.

- answer: 1 for an answer that `rs_vqa` counts as right: counts and areas by each source's rule.
- scene: 1 for a reply that `rs_scene` reads as the true class.
- iou: the overlap of `rs_grounding`, with an upright or a rotated truth.
- graded_detection: the mean of the F1 of `rs_detection` over IoUs from 0.1 to 0.9, where F1@0.5
  alone is 0 for all replies until a box is half right.
- detection: the F1@0.5 of `rs_detection`.
- giou: (1 + GIoU) / 2, which tells also of boxes that do not meet how far off they are.
- format: 1 for a reply that the box format reads.
- length: the length of the longest reference over that of the reply, where that is longer.
"""


def check_rewards(weights: object) -> dict[str, float]:
    """The weight of each reward; those of a recipe that gives none.

    Raises:
        RecipeError: A reward is unknown, or its weight no number.
    """
    if weights is None:
        return {name: 1.0 for name, reward in REWARDS.items() if reward.default}
    if not isinstance(weights, dict) or not weights:
        raise RecipeError(f"rewards: expected a weight for each name, got {weights!r}")
    for name, weight in weights.items():
        if name not in REWARDS:
            near = difflib.get_close_matches(str(name), REWARDS)
            meant = f" Did you mean {' or '.join(near)}?" if near else ""
            known = ", ".join(REWARDS)
            raise RecipeError(f"rewards: there is no {name!r}.{meant} There are: {known}")
        if not is_weight(weight):
            raise RecipeError(
                f"rewards: {name}: {weight!r} is no weight: give a number above 0, or leave it out"
            )
    return {name: float(weight) for name, weight in weights.items()}


def refuse_unrewarded(rows: Dataset, names: Iterable[str], rules: Rules) -> None:
    """Raise unless each row gets a reward that can tell a right reply from a wrong one.

    Raises:
        RecipeError: Names the first row that gets none, or none that can be computed.
    """
    chosen = {name: REWARDS[name] for name in names}
    table = whole_columns(
        rows, "id", "task", "source", "question_type", "boxes", "messages", "width"
    )
    checked = set()
    for values in zip(*table.values(), strict=True):
        row = dict(zip(table, values, strict=True))
        own = [name for name, reward in chosen.items() if row["task"] in reward.tasks]
        if set(own) <= {"format", "length"}:
            known = [n for n, r in REWARDS.items() if row["task"] in r.tasks and n not in own]
            raise RecipeError(_none_for(row, own, known))
        kind = row["task"], row["source"], row["question_type"]
        if kind in checked and row["task"] == "vqa":
            continue
        checked.add(kind)
        if problem := _problem(row, rules):
            raise RecipeError(f"{row['id']}: no reward can be given: {problem}")


def _none_for(row: Row, own: list[str], known: list[str]) -> str:
    useful = [name for name in known if name not in ("format", "length")]
    but = f" but {' and '.join(own)}" if own else ""
    if useful:
        todo = f"add {' or '.join(useful)} to rewards"
    else:
        todo = "no score says of one reply to it whether it is right: leave its config out"
    return f"{row['id']}: its task, {row['task']}, has no reward{but}: {todo}"


def _problem(row: Row, rules: Rules) -> str | None:
    """Why the replies to a row cannot be scored."""
    if row["task"] == "vqa":
        return _answer_problem(row, rules)
    if row["task"] == "scene" and len(choices(row["messages"][-2]["content"])) < 2:
        return "its question lists no classes"
    if row["task"] == "grounding" and len(row["boxes"]) != 1:
        return f"an expression has one true box, this row has {len(row['boxes'])}"
    if row["task"] in ("grounding", "detection") and not row["width"]:
        return "it has no image"
    return None


def _answer_problem(row: Row, rules: Rules) -> str | None:
    try:
        for name, rule in (("counts", rules.counts), ("areas", rules.areas)):
            answers.form_of(name, row["source"], row["question_type"], rule)
    except ValueError as error:
        return str(error)
    return None


_COLUMNS: tuple[str, ...] = (
    *("task", "source", "question_type", "references", "boxes", "width", "height"),
    "question",
)
"""Of a row, those that rewards are computed from."""


@dataclass
class RewardFunction:
    """A reward as TRL calls it: with columns, each row as often as it has replies.

    Rows of other tasks get None. What each kind of row gets on average is logged: each type of
    question, and grounding by upright ("hbb") and rotated ("obb") truths.

    Args:
        name: One of `REWARDS`.
        rules: How replies are compared.
        shows_references: Whether the samples of replies get the references from this one.
    """

    name: str
    rules: Rules
    shows_references: bool = False

    @property
    def __name__(self) -> str:
        """What TRL logs it under."""
        return self.name

    def __call__(
        self,
        *,
        completions: list[Any],
        log_metric: Callable[[str, float], None],
        log_extra: Callable[[str, list[Any]], None],
        **columns: Any,
    ) -> list[float | None]:
        """The reward of each of ``completions``; None where the task has another."""
        reward = REWARDS[self.name]
        chosen = [columns[name] for name in _COLUMNS]
        rows = [dict(zip(_COLUMNS, values, strict=True)) for values in zip(*chosen, strict=True)]
        scores = [
            reward.score(text_of(reply), row, self.rules) if row["task"] in reward.tasks else None
            for reply, row in zip(completions, rows, strict=True)
        ]
        of_kind = defaultdict(list)
        for row, score in zip(rows, scores, strict=True):
            if score is not None:
                of_kind[kind_of(row)].append(score)
        for kind, own in of_kind.items():
            log_metric(f"rewards/{self.name}/{kind}", fmean(own))
        if self.shows_references:
            log_extra("reference", [" | ".join(row["references"]) for row in rows])
        return scores


def kind_of(row: Row) -> str:
    """The kind of row that a reward is logged by."""
    if row["task"] == "grounding":
        return row["boxes"][0]["kind"]
    return (row["question_type"] if row["task"] == "vqa" else None) or row["task"]


def text_of(completion: Any) -> str:
    """The reply's text: TRL hands over the message, or its parts."""
    content = completion if isinstance(completion, str) else completion[0]["content"]
    if isinstance(content, str):
        return content
    return "".join(part.get("text") or "" for part in content)
