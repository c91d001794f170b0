"""What a report is about: predictions files as columns, and those of one split as a group."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rs_gpt4v.box_codecs import ParseFailure
from rs_gpt4v.boxes import Points
from rs_gpt4v_evaluation.predictions import Decoding, Prediction, read_predictions
from rs_gpt4v_evaluation.ptb import tokenize
from rs_gpt4v_evaluation.rs_caption.cider import ciders
from rs_gpt4v_evaluation.score import Score, grounded, right_answers, score_predictions

IOU_RIGHT = 0.5
Mark = tuple[bool | None, float | None, Points | ParseFailure | None]
"""What a metric says of one reply: `Row.right`, `Row.value` and `Row.box`."""

_SAMPLE = "rs_gpt4v_sample"  # is in the path of every image of the embedded sample


class Row(NamedTuple):
    """One reply.

    Attributes:
        kind: The question's type, if the source has types.
        truth: The true boxes in pixels of the image, hbb or obb.
        size: Width and height of the image in pixels; 0 where the file does not say.
        right: Whether the reply is correct; None where the task knows no right and wrong.
        value: IoU (grounding) or CIDEr (captions); None of an answer.
        box: The box of the reply in pixels, or why none was read; None where none was asked for.
    """

    id: str
    source: str
    task: str
    kind: str | None
    image: str | None
    prompt: str
    references: tuple[str, ...]
    reply: str
    truth: tuple[Points, ...]
    size: tuple[int, int]
    right: bool | None
    value: float | None
    box: Points | ParseFailure | None


class Column(NamedTuple):
    """One predictions file; ``label`` heads its column."""

    label: str
    score: Score
    weights: str | None
    decoding: Decoding
    rows: list[Row]


class Group(NamedTuple):
    """The files of one config, split and protocol, which are compared with each other."""

    columns: list[Column]

    @property
    def last(self) -> Column:
        """The column that the page is most about."""
        return self.columns[-1]

    @property
    def metric(self) -> str:
        """The metric's name: rs_vqa, rs_caption or rs_grounding."""
        return self.last.score["metric"]

    @property
    def name(self) -> str:
        """Config and split, with the protocol unless it is the paper's."""
        dataset = self.last.score["dataset"]
        protocol = "" if dataset["protocol"] == "paper" else f", {dataset['protocol']}"
        return f"{dataset['config']}, {dataset['split']}{protocol}"

    @property
    def labels(self) -> list[str]:
        """The heads of the columns."""
        return [column.label for column in self.columns]

    @property
    def is_sample(self) -> bool:
        """Whether rows come from the embedded sample."""
        return any(_SAMPLE in (row.image or "") for column in self.columns for row in column.rows)


def read_groups(paths: Sequence[Path], resamples: int = 0) -> list[Group]:
    """The groups of predictions files, in the order of their first files.

    One file is held whole at a time; what stays of it is some 300 bytes a row.

    Args:
        paths: Predictions files.
        resamples: For the bootstrap of the intervals; 0 for none.

    Raises:
        PredictionFileError: A predictions file is empty, damaged, or of a task without a metric.
    """
    groups: dict[tuple[str, ...], list[Column]] = defaultdict(list)
    pool: dict[Any, Any] = {}
    for path in paths:
        column = _column(path, resamples, pool)
        dataset = column.score["dataset"]
        groups[dataset["config"], dataset["split"], dataset["protocol"]].append(column)
    return [Group(_labelled(columns)) for columns in groups.values()]


def _labelled(columns: list[Column]) -> list[Column]:
    """Labelled by their folders; by their paths if two folders are called the same."""
    paths = [Path(column.score["file"]) for column in columns]
    labels = [path.absolute().parent.name for path in paths]
    if len(set(labels)) < len(labels):
        labels = [str(path) for path in paths]
    return [column._replace(label=label) for column, label in zip(columns, labels, strict=True)]


def _column(path: Path, resamples: int, pool: dict[Any, Any]) -> Column:
    predictions = read_predictions(path)
    score = score_predictions(predictions, str(path), resamples=resamples)
    marks = _MARKS[score["metric"]](predictions)
    rows = [_row(p, mark, pool) for p, mark in zip(predictions, marks, strict=True)]
    return Column("", score, predictions[0]["weights"], predictions[0]["decoding"], rows)


def _row(prediction: Prediction, mark: Mark, pool: dict[Any, Any]) -> Row:
    """A row whose values are kept once in ``pool``: they repeat over rows and files."""
    values = (
        prediction["id"],
        prediction["source"],
        prediction["task"],
        prediction["question_type"],
        prediction["image"],
        prediction["prompt"],
        tuple(prediction["references"]),
        prediction["prediction"],
        tuple([tuple(box["points"]) for box in prediction["boxes"]]),
        (prediction["width"], prediction["height"]),
    )
    return Row._make([*map(pool.setdefault, values, values), *mark])


def _answer_marks(predictions: list[Prediction]) -> list[Mark]:
    return [(bool(right), None, None) for right in right_answers(predictions)]


def _caption_marks(predictions: list[Prediction]) -> list[Mark]:
    tokens = iter(tokenize([ref for p in predictions for ref in p["references"]]))
    references = [[next(tokens) for _ in p["references"]] for p in predictions]
    found = ciders(tokenize([p["prediction"] for p in predictions]), references)
    return [(None, value, None) for value in found]


def _box_marks(predictions: list[Prediction]) -> list[Mark]:
    found = grounded(predictions)
    return [
        (bool(iou >= IOU_RIGHT), float(iou), box)
        for iou, box in zip(found.ious, found.boxes, strict=True)
    ]


_MARKS: dict[str, Callable[[list[Prediction]], list[Mark]]] = {
    "rs_vqa": _answer_marks,
    "rs_caption": _caption_marks,
    "rs_grounding": _box_marks,
}
