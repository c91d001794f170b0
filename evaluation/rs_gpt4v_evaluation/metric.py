"""What score, intervals, comparison, report and harnesses ask of a metric: all it takes to add one.

Each metric's folder exports such a `METRIC`. A score that has no label is shown under its key.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rs_gpt4v.bootstrap import Sums
from rs_gpt4v.box_codecs import ParseFailure
from rs_gpt4v.boxes import Points

_KNOWN_RULES = {
    "counts": ("source", "bucket", "exact"),
    "areas": ("source", "bucket", "exact"),
    "normalise": ("lenient", "strict"),
}


@dataclass(frozen=True)
class Rules:
    """How replies are compared with the truth, where a user may choose.

    Attributes:
        counts: Of `rs_vqa`: "bucket", "exact", or "source", as the authors of each row's source do.
        areas: The same of areas.
        normalise: Of `rs_vqa`: "lenient" or "strict".
        strict_iou: Of `rs_grounding`: an IoU above the threshold, not one of at least it.
        skip_bad_boxes: Leave out rows whose true box cannot be one, and list them, where otherwise
            the file is refused.

    Raises:
        ValueError: A rule is unknown.
    """

    counts: str = "source"
    normalise: str = "lenient"
    strict_iou: bool = False
    skip_bad_boxes: bool = False
    areas: str = "source"

    def __post_init__(self) -> None:
        for name, known in _KNOWN_RULES.items():
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")


DEFAULT_RULES = Rules()


class Mark(NamedTuple):
    """What a metric says of one reply.

    Attributes:
        right: Whether it is correct; None where the task knows no right and wrong.
        value: Its IoU, CIDEr or judge's score; None of an answer to a question with one answer.
        boxes: Those of the reply in pixels, or why none was read; None where none was asked for.
    """

    right: bool | None = None
    value: float | None = None
    boxes: tuple[Points, ...] | ParseFailure | None = None


@dataclass(frozen=True)
class Measured:
    """What a metric finds in some rows.

    Attributes:
        sums: What each row adds to the sums behind the scores.
        signature: The metric with its version and rule.
        n: Numbers of rows, of each question type or group.
        counts: What else stands beside the scores, such as the replies without a box.
        rule: How replies were compared.
        unparsed: Why a row's reply gave nothing to compare, by the row's number.
    """

    sums: Sums
    signature: str
    n: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, float | int | None] = field(default_factory=dict)
    rule: Mapping[str, Any] = field(default_factory=dict)
    unparsed: Mapping[int, str] = field(default_factory=dict)

    @property
    def result(self) -> dict[str, Any]:
        """All by name: scores, numbers of rows as ``n_<type>``, counts, signature."""
        numbers = {f"n_{name}": n for name, n in self.n.items()}
        return {**self.sums.total(), **numbers, **self.counts, "signature": self.signature}


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        name: That of its folder.
        tasks: The tasks of the rows that it scores.
        measure: From rows (predictions, or a judge's lines) and the rules to what it finds.
        marks: From the same rows and what was found in them to what it says of each.
        labels: What a reader calls the scores, in the order of a table.
        headline: The score that stands for all.
        totals: Those of ``labels`` that are about all rows where others are not.
        counts: What a reader calls `Measured.counts`.
        shares: How the keys of scores begin that are shares of rows, shown in percent.
        neutral: How the keys of scores begin of which more is not better: a rate, or an error.
        by_type: How the keys of scores begin that are of one question type.
        of_class: How the keys of scores begin that are of one class of objects, each with its
            label, in which the class stands for ``{}``.
        has_boxes: Whether replies are boxes, which a report draws.
        heading: What a table of the scores is headed.
        note: What a reader has to know of the scores, below their table.
        unit: What differences of shares are in.
        value: What `Mark.value` is.
        unparsed: What the replies in `Measured.unparsed` are called.
        problem: Why a row cannot be scored whatever the reply; None if it can.
    """

    name: str
    tasks: tuple[str, ...]
    measure: Callable[[list[Any], Rules], Measured]
    marks: Callable[[list[Any], Any], list[Mark]]
    labels: Mapping[str, str]
    headline: str
    totals: tuple[str, ...] = ()
    counts: Mapping[str, str] = field(default_factory=dict)
    shares: tuple[str, ...] = ()
    neutral: tuple[str, ...] = ()
    by_type: str | tuple[str, ...] = ()
    of_class: Mapping[str, str] = field(default_factory=dict)
    has_boxes: bool = False
    heading: str = "Metric"
    note: str = ""
    unit: str = ""
    value: str | None = None
    unparsed: str = "without a box"
    problem: Callable[[Any], str | None] = lambda _: None

    def names(self, scores: Iterable[str]) -> dict[str, str]:
        """What a reader calls ``scores``, by key and in the order of a table, totals last.

        A score without a label is called by its key, or by its question type.
        """
        keys = list(scores)
        labelled = [key for key in self.labels if key not in self.totals]
        others = [key for key in keys if key not in self.totals]
        ordered = dict.fromkeys([*labelled, *others, *self.totals])
        return {key: self._name(key) for key in ordered if key in keys}

    def _name(self, key: str) -> str:
        for beginning, label in self.of_class.items():
            if key.startswith(beginning):
                return label.format(key.removeprefix(beginning))
        kinds = (
            type_name(key.removeprefix(start))
            for start in starts(self.by_type)
            if key.startswith(start)
        )
        return self.labels.get(key) or next(kinds, key)

    def is_share(self, key: str) -> bool:
        """Whether a score is a share of rows, which is shown in percent."""
        return key.startswith(self.shares)


def starts(by_type: str | tuple[str, ...]) -> tuple[str, ...]:
    """`Metric.by_type` as a tuple."""
    return (by_type,) if isinstance(by_type, str) else by_type


def listed(references: Any) -> Any:
    """The references of a row, of which one may stand alone."""
    return [references] if isinstance(references, str) else references


def check_columns(metric: str, **columns: Sequence[Any]) -> None:
    """Raise unless there are rows, all columns are of one length, and no row lacks a value.

    Raises:
        ValueError: Says which column or row.
    """
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{metric} needs columns of one length, got {lengths}")
    if not columns["predictions"]:
        raise ValueError(f"{metric} has nothing to score: predictions are empty")
    for name, column in columns.items():
        for row, value in enumerate(column):
            if value is None:
                raise ValueError(f"{metric}: row {row} of {name} is None; use '' for an empty text")


def check_references(metric: str, references: Iterable[Sequence[str]]) -> None:
    """Raise unless each row has references, and all of them are texts.

    Raises:
        ValueError: Says which row has none.
    """
    for row, own in enumerate(references):
        if isinstance(own, str) or not own or None in own:
            raise ValueError(f"{metric}: row {row} needs a list of references, got {own!r}")


_TYPES = {"comp": "Comparison", "rural_urban": "Rural or urban", "all": "Untyped"}


def type_name(kind: str) -> str:
    """A question type as a reader says it.

    >>> type_name("comp"), type_name("road_condition")
    ('Comparison', 'Road condition')
    """
    return _TYPES.get(kind, kind.replace("_", " ").capitalize())
