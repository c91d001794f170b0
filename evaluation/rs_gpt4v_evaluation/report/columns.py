"""What a report is about: files as columns of rows, and those of one split as a group."""

from collections.abc import Callable
from typing import Any, NamedTuple

from rs_gpt4v.box_codecs import ParseFailure
from rs_gpt4v.boxes import Points
from rs_gpt4v_evaluation.predictions import Decoding, Prediction
from rs_gpt4v_evaluation.ptb import tokenize
from rs_gpt4v_evaluation.rs_caption.cider import ciders
from rs_gpt4v_evaluation.rs_grounding.rs_grounding import reached
from rs_gpt4v_evaluation.score import Rules, Score, grounded, right_answers, score_predictions

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
        value: IoU (grounding), CIDEr (captions) or a judge's score, if it gave one; None of an
            answer to a question with one answer.
        box: The box of the reply in pixels, or why none was read; None where none was asked for.
        reason: Why the judge gave its score, or why there is none; None where nobody judged.
        history: The questions and answers before the prompt.
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
    reason: str | None
    history: tuple[str, ...]


class Column(NamedTuple):
    """One file; ``label`` heads its column, ``decodings`` say how its replies were made."""

    label: str
    score: Score
    weights: str | None
    decodings: list[Decoding]
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
        """The metric's name: rs_vqa, rs_caption, rs_grounding or rs_judge."""
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


def rows_of(key: str, score: Score) -> int | None:
    """How many rows are behind a score; None where it has no number of its own, but all rows."""
    if key == "oa":
        return score["n"]
    number = "n" if key == "all" else f"n_{key.removeprefix('accuracy_')}"
    found = score["scores"].get(number)
    return None if found is None else int(found)


def predicted_column(
    predictions: list[Prediction], file: str, rules: Rules, resamples: int, pool: dict[Any, Any]
) -> Column:
    """Predictions as a column, yet without a label; ``pool`` keeps equal values once.

    Raises:
        PredictionFileError: There is none, or they are of a task without a metric.
    """
    score = score_predictions(predictions, file, rules, resamples)
    marks = _MARKS[score["metric"]](predictions, rules)
    rows = [_row(p, mark, pool) for p, mark in zip(predictions, marks, strict=True)]
    return Column("", score, predictions[0]["weights"], [predictions[0]["decoding"]], rows)


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
    nobody_judged = (None, ())
    return Row._make([*map(pool.setdefault, values, values), *mark, *nobody_judged])


def _answer_marks(predictions: list[Prediction], rules: Rules) -> list[Mark]:
    return [(bool(right), None, None) for right in right_answers(predictions, rules)]


def _caption_marks(predictions: list[Prediction], _: Rules) -> list[Mark]:
    tokens = iter(tokenize([ref for p in predictions for ref in p["references"]]))
    references = [[next(tokens) for _ in p["references"]] for p in predictions]
    found = ciders(tokenize([p["prediction"] for p in predictions]), references)
    return [(None, value, None) for value in found]


def _box_marks(predictions: list[Prediction], rules: Rules) -> list[Mark]:
    found = grounded(predictions)
    right = reached(found.ious, strict=rules.strict_iou)["pr_50"]
    return [
        (bool(is_right), float(iou), box)
        for is_right, iou, box in zip(right, found.ious, found.boxes, strict=True)
    ]


_MARKS: dict[str, Callable[[list[Prediction], Rules], list[Mark]]] = {
    "rs_vqa": _answer_marks,
    "rs_caption": _caption_marks,
    "rs_grounding": _box_marks,
}
