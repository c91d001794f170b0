"""What a report is about: files as columns of rows, and those of one split as a group."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import PurePath
from typing import Any, NamedTuple

from rs_gpt4v.box_codecs import ParseFailure
from rs_gpt4v.boxes import Points
from rs_gpt4v_evaluation.metric import Mark, Metric
from rs_gpt4v_evaluation.predict.predictions import Decoding, Prediction
from rs_gpt4v_evaluation.score import Score, Task, is_sample
from rs_gpt4v_evaluation.score.blind import TaskShare, is_blind


class Row(NamedTuple):
    """One reply.

    Attributes:
        kind: The question's type, if the source has types.
        truth: The true boxes in pixels of the image, hbb or obb.
        size: Width and height of the image in pixels; 0 where the file does not say.
        right: Whether the reply is correct; None where the task knows no right and wrong.
        value: IoU (grounding), CIDEr (captions) or a judge's score, if it gave one; None of an
            answer to a question with one answer.
        boxes: Those of the reply in pixels, or why none was read; None where none was asked for.
        reason: Why the judge gave its score, or why there is none; None where nobody judged.
        history: The questions and answers before the prompt.
        further_images: How many images it has beside ``image``, the first.
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
    boxes: tuple[Points, ...] | ParseFailure | None
    reason: str | None
    history: tuple[str, ...]
    further_images: int = 0

    @property
    def image_name(self) -> str:
        """The image's file name, as its folders are the reader's own, and how many more."""
        more = f" and {self.further_images} more" if self.further_images else ""
        return _name(self.image or "") + more


@lru_cache(maxsize=1 << 16)
def _name(path: str) -> str:
    return PurePath(path).name


class Column(NamedTuple):
    """The rows of one task in a file.

    Attributes:
        label: The head of the column.
        score: What they are worth.
        metric: By which metric.
        scores: Its scores alone, by key.
        counts: What else it tells, by key.
        weights: Which state of the model replied.
        decodings: How the replies were made.
        rows: The replies.
    """

    label: str
    score: Score
    metric: Metric
    scores: Mapping[str, float]
    counts: Mapping[str, float | int | None]
    weights: str | None
    decodings: list[Decoding]
    rows: list[Row]


def is_blind_column(column: Column) -> bool:
    """Whether its replies were made without the rows' own images."""
    return is_blind(column.score["dataset"])


class Group(NamedTuple):
    """The files of one config, split, protocol and task, which are compared with each other.

    ``is_part`` says whether other tasks of the same config, split and protocol have groups;
    ``shares`` how much of a column's scores comes from the image, by its label, for each blind run;
    ``notes`` why that is not known.
    """

    columns: list[Column]
    is_part: bool = False
    shares: Sequence[tuple[str, TaskShare]] = ()
    notes: Sequence[str] = ()

    @property
    def last(self) -> Column:
        """The column that the page is most about."""
        return self.columns[-1]

    @property
    def metric(self) -> Metric:
        """That of all columns."""
        return self.last.metric

    @property
    def name(self) -> str:
        """Config and split, with the protocol unless it is the paper's, and the task if need be."""
        dataset = self.last.score["dataset"]
        protocol = "" if dataset["protocol"] == "paper" else f", {dataset['protocol']}"
        task = f", {self.last.score['task']}" if self.is_part else ""
        return f"{dataset['config']}, {dataset['split']}{protocol}{task}"

    @property
    def labels(self) -> list[str]:
        """The heads of the columns."""
        return [column.label for column in self.columns]

    @property
    def is_sample(self) -> bool:
        """Whether rows come from the embedded sample."""
        return any(is_sample(row.image) for column in self.columns for row in column.rows)


def rows_of(key: str, score: Score) -> int | None:
    """How many rows are behind a score; None where it has no number of its own, but all rows."""
    if key == "oa":
        return score["n"]
    number = "n" if key == "all" else f"n_{key.removeprefix('accuracy_')}"
    rows = score["scores"].get(number)
    return None if rows is None else int(rows)


def task_column(task: Task, score: Score, pool: dict[Any, Any]) -> Column:
    """The predictions of a task as a column, yet without a label; ``pool`` keeps values once.

    What was measured is not kept: it is large.
    """
    marks = task.metric.marks(task.rows, task.measured)
    first = task.rows[0]
    return Column(
        label="",
        score=score,
        metric=task.metric,
        scores=task.measured.sums.total(),
        counts=task.measured.counts,
        weights=first["weights"],
        decodings=[first["decoding"]],
        rows=[_row(p, mark, pool) for p, mark in zip(task.rows, marks, strict=True)],
    )


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
    further = len(prediction.get("further_images", ()))
    return Row._make([*map(pool.setdefault, values, values), *mark, None, (), further])
