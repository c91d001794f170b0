"""The scores of a group as rows of text, for any page: names, formats, differences, warnings."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rs_gpt4v_evaluation.metric import Metric
from rs_gpt4v_evaluation.predict.predictions import Decoding
from rs_gpt4v_evaluation.report import paper
from rs_gpt4v_evaluation.report.columns import Column, Group, rows_of
from rs_gpt4v_evaluation.report.guesses import baseline, guessing, is_guess
from rs_gpt4v_evaluation.report.judged import judge_of, judge_warnings
from rs_gpt4v_evaluation.score.blind import SHOWN, TaskShare
from rs_gpt4v_evaluation.score.most_frequent import MostFrequent

NONE = "\N{EN DASH}"
TASKS = {
    "caption": "Captioning",
    "region_caption": "Region captioning",
    "detection": "Detection",
    "vqa": "Visual question answering",
    "scene": "Scene classification",
    "probe": "Hallucination probes",
    "grounding": "Visual grounding",
    "conversation": "Conversation",
    "detail": "Detailed description",
    "judged": "Answers scored by a judge",
    "claims": "What free texts make up",
}


class Line(NamedTuple):
    """One row of the score table.

    ``cells`` are the scores and ``intervals`` what is written beside them, a text a column;
    ``difference`` is None unless there are two columns; ``n`` rows are behind the scores, or all
    where it is None; ``is_worse`` says of each column whether it is below what guessing scores.
    """

    name: str
    n: str | None
    most_frequent: str | None
    cells: list[str]
    intervals: list[str]
    difference: str | None
    is_total: bool
    is_worse: list[bool]


class PaperLine(NamedTuple):
    """A method of the paper, its value, and how far from it our columns are, or why none is."""

    method: str
    value: str
    cells: list[str]


class ShareLine(NamedTuple):
    """One score with the image and without it; ``interval`` is that of the difference, or empty.

    ``guess`` is what a constant scores, None where none is known for the task; ``words`` are what
    is to be said of the score.
    """

    name: str
    seen: str
    blind: str
    difference: str
    interval: str
    guess: str | None
    words: str


class ShareTable(NamedTuple):
    """How much of a column's scores comes from the image, by one blind run."""

    heading: str
    head: list[str]
    lines: list[ShareLine]


class Table(NamedTuple):
    """All that a page says of a group in words and numbers.

    ``paper`` holds the paper's tables, each with its lines; ``counts`` what stands under the
    scores, a text a column; ``shares`` a table for each blind run.
    """

    group: Group
    task: str
    headline: Line
    lines: list[Line]
    counts: dict[str, list[str]]
    facts: dict[str, list[str]]
    most_frequent: MostFrequent | None
    warnings: list[str]
    paper: list[tuple[paper.Beside, list[PaperLine]]]
    paper_note: str
    shares: list[ShareTable]

    @property
    def labels(self) -> list[str]:
        """The heads of the columns."""
        return self.group.labels

    @property
    def has_most_frequent(self) -> bool:
        """Whether the rows have a most frequent answer, as questions and scenes do."""
        return self.most_frequent is not None

    @property
    def is_judged(self) -> bool:
        """Whether a model gave the scores."""
        return self.group.metric.name == "rs_judge"

    @property
    def is_repeated(self) -> bool:
        """Whether a judge was asked more than once."""
        return any(column.score["rule"].get("repeats", 1) > 1 for column in self.group.columns)

    @property
    def guesses(self) -> list[str]:
        """What guesses without looking at the image, where scores are below one of these."""
        if not any(any(line.is_worse) for line in self.lines):
            return []
        named = ["the most frequent answer"] if self.has_most_frequent else []
        return named + [column.label for column in self.group.columns if is_guess(column)]

    @property
    def has_n(self) -> bool:
        """Whether scores are of different numbers of rows."""
        return any(line.n is not None for line in self.lines)

    @property
    def has_intervals(self) -> bool:
        """Whether any score has an interval."""
        return any(column.score["intervals"] for column in self.group.columns)


def table(group: Group) -> Table:
    """What is to be said of ``group``."""
    metric = group.metric
    guess = baseline(group.last)
    limits = guessing(group.columns, guess)
    lines = {
        key: _line(key, name, metric, group.columns, guess, limits.get(key))
        for key, name in score_names(group.columns).items()
    }
    scores = [column.score for column in group.columns]
    beside = paper.beside(scores, is_sample=group.is_sample)
    return Table(
        group,
        task=TASKS[scores[-1]["task"]],
        headline=lines[metric.headline],
        lines=list(lines.values()),
        counts=_counts(group.columns),
        facts=_facts(group.columns),
        most_frequent=guess,
        warnings=[*_warnings(group.columns), *group.notes],
        paper=[(printed, _paper_lines(printed)) for printed in beside],
        paper_note=paper.figure_note(scores[0]),
        shares=[_share_table(group.metric, *own) for own in group.shares],
    )


def _share_table(metric: Metric, label: str, share: TaskShare) -> ShareTable:
    difference = ", ".join(filter(None, ("seen minus blind", metric.unit)))
    return ShareTable(
        f"{label}: with the image and with {SHOWN[share.shown]}, {share.n:,} rows",
        ["", "seen", "blind", difference, *([share.guess.name] if share.guess else [])],
        [*_share_lines(metric, share)],
    )


def _share_lines(metric: Metric, share: TaskShare) -> Iterator[ShareLine]:
    for key, name in metric.names(share.scores).items():
        own, is_share = share.scores[key], metric.is_share(key)
        ends = [gain(end, is_share) for end in (own.low, own.high) if end is not None]
        yield ShareLine(
            name,
            seen=shown(own.seen, is_share),
            blind=shown(own.blind, is_share),
            difference=gain(own.difference, is_share),
            interval=" to ".join(ends),
            guess=shown(own.guess, is_share) if share.guess else None,
            words=own.words,
        )


def score_names(columns: Sequence[Column]) -> dict[str, str]:
    """The rows of the table: the keys of all scores, and what a reader calls them."""
    return columns[-1].metric.names(key for column in columns for key in column.scores)


def _line(
    key: str,
    name: str,
    metric: Metric,
    columns: Sequence[Column],
    guess: MostFrequent | None,
    limit: float | None,
) -> Line:
    share = metric.is_share(key)
    values = [column.scores.get(key) for column in columns]
    return Line(
        name=name,
        n=_n([rows_of(key, column.score) for column in columns]),
        most_frequent=shown(guess.scores.get(key), share) if guess else None,
        cells=[shown(value, share) for value in values],
        intervals=[interval_text(c.score["intervals"].get(key), share) for c in columns],
        difference=_difference(values, share),
        is_total=key in metric.totals,
        is_worse=[
            _is_worse(column, value, limit) for column, value in zip(columns, values, strict=True)
        ],
    )


def _is_worse(column: Column, value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value < limit and not is_guess(column)


def _n(rows: Sequence[int | None]) -> str | None:
    """How many rows are behind the scores of a line, of each column where that differs.

    >>> _n([7, 7]), _n([1000, 998]), _n([None, None])
    ('7', '1,000 / 998', None)
    """
    if not any(rows):
        return None
    return " / ".join(dict.fromkeys("0" if n is None else f"{n:,}" for n in rows))


def shown(value: Any, share: bool) -> str:
    """A score as text.

    >>> shown(0.5, False), shown(None, True) == NONE
    ('0.500', True)
    """
    if value is None:
        return NONE
    return f"{100 * value:.1f}\u00a0%" if share else f"{value:.3f}"


def interval_text(limits: tuple[float, float] | None, share: bool) -> str:
    """The limits of an interval in the score's digits, without its unit; "" if there is none.

    >>> interval_text((0.25, 0.5), True).split(NONE), interval_text(None, True)
    (['25.0', '50.0'], '')
    """
    if limits is None:
        return ""
    low, high = (f"{100 * limit:.1f}" if share else f"{limit:.3f}" for limit in limits)
    return f"{low}{NONE}{high}"


def _difference(values: Sequence[Any], share: bool) -> str | None:
    """Second minus first, in percentage points for shares; None unless there are exactly two.

    >>> _difference([0.5, 0.625], True), _difference([0.5, 0.625], False), _difference([0.5], True)
    ('+12.5', '+0.125', None)
    """
    if len(values) != 2:
        return None
    if None in values:
        return NONE
    return gain(values[1] - values[0], share)


def gain(change: float, share: bool) -> str:
    """A difference of scores with its sign, in percentage points for shares.

    >>> gain(0.125, True), gain(0.125, False)
    ('+12.5', '+0.125')
    """
    return signed(100 * change, 1) if share else signed(change, 3)


def signed(change: float, digits: int) -> str:
    """A difference with its sign; none of zero.

    >>> signed(-0.04, 1), signed(1.26, 1)
    ('0.0', '+1.3')
    """
    text = f"{change:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")


def _counts(columns: Sequence[Column]) -> dict[str, list[str]]:
    """Under the scores: how many rows they are about, and what a judge makes uncertain."""
    counts: dict[str, list[Any]] = {
        "Rows scored": [column.score["n"] for column in columns],
        "Rows missing": [column.score["missing"] for column in columns],
    }
    labels = {"empty": "Empty replies", **columns[-1].metric.counts}
    # A metric that counts empty replies itself knows what it takes for empty.
    each = [{"empty": sum(not row.reply.strip() for row in c.rows), **c.counts} for c in columns]
    for key in dict.fromkeys(key for own in each for key in own):
        counts[labels.get(key, key)] = [own.get(key) for own in each]
    return {name: list(map(_counted, values)) for name, values in counts.items()}


def _counted(value: float | str | None) -> str:
    """A number of rows, or a spread.

    >>> _counted(3987), _counted(0.0123)
    ('3,987', '0.012')
    """
    if value is None:
        return NONE
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}"


def _facts(columns: Sequence[Column]) -> dict[str, list[str]]:
    """What is needed to make the numbers again."""
    scores = [column.score for column in columns]
    facts = {
        "Model": [s["model"] for s in scores],
        "Adapter": [s["adapter"] or "none" for s in scores],
        "Decoding": ["; ".join(map(_decoding, column.decodings)) for column in columns],
        "Split": [f"{s['dataset']['split']}, {s['dataset']['protocol']} protocol" for s in scores],
        "Rows in split": [f"{s['dataset']['rows']:,}" for s in scores],
        "Fingerprint": [s["dataset"]["fingerprint"] for s in scores],
        "Signature": [s["signature"] for s in scores],
        "File": [s["file"] for s in scores],
    }
    if columns[-1].metric.name == "rs_judge":
        facts["Judge"] = [judge_of(column) for column in columns]
    return facts


def _decoding(decoding: Decoding) -> str:
    if decoding["max_new_tokens"] is None:
        return "not known"
    how = "sampled" if decoding["do_sample"] else "greedy"
    return f"{how}, at most {decoding['max_new_tokens']} new tokens"


def _warnings(columns: Sequence[Column]) -> list[str]:
    """Why the columns of a table may not be compared as they stand."""
    warnings = [
        f"{column.label}: {column.score['missing']:,} of {column.score['dataset']['rows']:,} rows "
        "have no prediction, so these scores are not of the whole split."
        for column in columns
        if column.score["missing"]
    ]
    warnings += [
        f"{column.label}: {len(skipped):,} rows are left out, such as {row}: {why}."
        for column in columns
        if (skipped := column.score["skipped"])
        for row, why in [next(iter(skipped.items()))]
    ]
    warnings += dict.fromkeys(note for column in columns for note in column.score["notes"])
    if not _are_alike(columns):
        warnings.append("The columns hold different rows, so they do not compare like with like.")
    if columns[-1].metric.name == "rs_judge":
        warnings += judge_warnings(columns)
    return warnings


def _are_alike(columns: Sequence[Column]) -> bool:
    """Whether all columns ask the same, and take the same answers for true."""
    # The text of a true box is as the codec of the model writes it; the box itself tells.
    rows = [
        {row.id: (row.kind, row.truth or frozenset(row.references)) for row in column.rows}
        for column in columns
    ]
    prints = {column.score["dataset"]["fingerprint"] for column in columns}
    has_boxes = any(row.truth for column in columns for row in column.rows)
    return all(own == rows[0] for own in rows) and (len(prints) == 1 or has_boxes)


def _paper_lines(beside: paper.Beside) -> list[PaperLine]:
    return [
        PaperLine(
            method,
            f"{value:g}",
            [
                reason or signed(ours - value, beside.table.digits)
                for ours, reason in zip(beside.ours, beside.reasons, strict=True)
            ],
        )
        for method, value in beside.table.values.items()
    ]
