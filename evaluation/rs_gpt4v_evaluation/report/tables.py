"""The scores of a group as rows of text, for any page: names, formats, differences, warnings."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from rs_gpt4v_evaluation.predictions import Decoding
from rs_gpt4v_evaluation.report import paper
from rs_gpt4v_evaluation.report.blind import Blind, blind
from rs_gpt4v_evaluation.report.columns import Column, Group, rows_of
from rs_gpt4v_evaluation.report.judged import judge_of, judge_warnings

NONE = "\N{EN DASH}"
TASKS = {
    "caption": "Captioning",
    "region_caption": "Region captioning",
    "vqa": "Visual question answering",
    "grounding": "Visual grounding",
    "conversation": "Conversation",
    "detail": "Detailed description",
}
HEADLINES = {"rs_vqa": "oa", "rs_caption": "cider", "rs_grounding": "pr_50", "rs_judge": "all"}
_TYPES = {"comp": "Comparison", "rural_urban": "Rural or urban", "all": "Untyped"}
_NAMES = {
    **{f"bleu_{n}": f"BLEU-{n}" for n in range(1, 5)},
    "meteor": "METEOR",
    "rouge_l": "ROUGE-L",
    "cider": "CIDEr",
    "spice": "SPICE",
    **{f"pr_{t}": f"Pr@0.{t // 10}" for t in range(50, 100, 10)},
    "mean_iou": "Mean IoU",
    "cumulative_iou": "Cumulative IoU",
    "conversation": "Reasoning and conversation",
    "detail": "Detailed description",
}
_TOTALS = {"aa": "Mean over types (AA)", "oa": "All questions (OA)", "all": "All answers"}
_SHARES = ("aa", "oa")
_COUNTED: dict[str, dict[str, str]] = {
    "rs_vqa": {},
    "rs_caption": {},
    "rs_grounding": {"Replies without a box": "n_unparsed"},
    "rs_judge": {
        "Without a readable score": "n_unparsed",
        "Not judged": "failed",
        "Times asked": "repeats",
        "Spread between repeats": "sd_between_repeats",
        "Spread within an answer": "sd_within_pairs",
    },
}


class Line(NamedTuple):
    """One row of the score table.

    ``cells`` are the scores and ``intervals`` what is written beside them, a text a column;
    ``difference`` is None unless there are two columns; ``n`` rows are behind the last of the
    scores, or all where it is None.
    """

    name: str
    n: int | None
    blind: str | None
    cells: list[str]
    intervals: list[str]
    difference: str | None
    is_total: bool


class PaperLine(NamedTuple):
    """A method of the paper, its value, and how far from it our columns are, or why none is."""

    method: str
    value: str
    cells: list[str]


class Table(NamedTuple):
    """All that a page says of a group in words and numbers.

    ``paper`` holds the paper's tables, each with its lines; ``counts`` what stands under the
    scores, a text a column.
    """

    group: Group
    task: str
    headline: Line
    lines: list[Line]
    counts: dict[str, list[str]]
    facts: dict[str, list[str]]
    blind: Blind | None
    warnings: list[str]
    paper: list[tuple[paper.Beside, list[PaperLine]]]
    paper_note: str

    @property
    def labels(self) -> list[str]:
        """The heads of the columns."""
        return self.group.labels

    @property
    def is_vqa(self) -> bool:
        """Whether the rows are questions, with types and a blind baseline."""
        return self.blind is not None

    @property
    def is_judged(self) -> bool:
        """Whether a model gave the scores."""
        return self.group.metric == "rs_judge"

    @property
    def is_repeated(self) -> bool:
        """Whether a judge was asked more than once."""
        return any(column.score["rule"].get("repeats", 1) > 1 for column in self.group.columns)

    @property
    def measured(self) -> str:
        """The head of the scores' names."""
        return {"rs_vqa": "Accuracy", "rs_judge": "Score, 1 to 10"}.get(self.group.metric, "Metric")

    @property
    def has_n(self) -> bool:
        """Whether scores are of different numbers of rows."""
        return any(line.n is not None for line in self.lines)

    @property
    def difference_unit(self) -> str:
        """What the differences are in; "" for those of the scores themselves."""
        return {"rs_vqa": "in points", "rs_grounding": "Pr in points"}.get(self.group.metric, "")

    @property
    def has_intervals(self) -> bool:
        """Whether any score has an interval."""
        return any(column.score["intervals"] for column in self.group.columns)


def table(group: Group) -> Table:
    """What is to be said of ``group``."""
    guess = blind(group.last) if group.metric == "rs_vqa" else None
    names = metric_names(group.columns)
    lines = {key: _line(key, name, group.columns, guess) for key, name in names.items()}
    scores = [column.score for column in group.columns]
    beside = paper.beside(scores, is_sample=group.is_sample)
    return Table(
        group,
        task=_task(group),
        headline=lines[HEADLINES[group.metric]],
        lines=list(lines.values()),
        counts=_counts(group.columns),
        facts=_facts(group.columns),
        blind=guess,
        warnings=_warnings(group.columns),
        paper=[(one, _paper_lines(one)) for one in beside],
        paper_note=paper.figure_note(scores[0]),
    )


def _task(group: Group) -> str:
    judged = group.metric == "rs_judge"
    return "Answers scored by a judge" if judged else TASKS[group.last.rows[0].task]


def metric_names(columns: Sequence[Column]) -> dict[str, str]:
    """The rows of the table: the scores' keys and what a reader calls them, totals last."""
    keys = dict.fromkeys(key for column in columns for key in column.score["scores"])
    kinds = {
        key: type_name(key.removeprefix("accuracy_")) for key in keys if key.startswith("accuracy_")
    }
    known = {**kinds, **_NAMES, **_TOTALS}
    return {key: name for key, name in known.items() if key in keys}


def type_name(kind: str) -> str:
    """A question type as a reader says it.

    >>> type_name("comp"), type_name("road_condition")
    ('Comparison', 'Road condition')
    """
    return _TYPES.get(kind, kind.replace("_", " ").capitalize())


def is_share(key: str) -> bool:
    """Whether a score is a share of rows, which is shown in percent."""
    return key.startswith(("accuracy_", "pr_")) or key in _SHARES


def _line(key: str, name: str, columns: Sequence[Column], guess: Blind | None) -> Line:
    share = is_share(key)
    scores = [column.score for column in columns]
    found = [one["scores"].get(key) for one in scores]
    return Line(
        name=name,
        n=rows_of(key, scores[-1]),
        blind=shown(guess.scores.get(key), share) if guess else None,
        cells=[shown(value, share) for value in found],
        intervals=[_interval(one["intervals"].get(key), share) for one in scores],
        difference=_difference(found, share),
        is_total=key in _TOTALS,
    )


def shown(value: Any, share: bool) -> str:
    """A score as text.

    >>> shown(0.5, False), shown(None, True) == NONE
    ('0.500', True)
    """
    if value is None:
        return NONE
    return f"{100 * value:.1f}\u00a0%" if share else f"{value:.3f}"


def _interval(limits: tuple[float, float] | None, share: bool) -> str:
    """The limits of an interval in the score's digits, without its unit; "" if there is none.

    >>> _interval((0.25, 0.5), True).split(NONE), _interval(None, True)
    (['25.0', '50.0'], '')
    """
    if limits is None:
        return ""
    low, high = (f"{100 * limit:.1f}" if share else f"{limit:.3f}" for limit in limits)
    return f"{low}{NONE}{high}"


def _difference(found: Sequence[Any], share: bool) -> str | None:
    """Second minus first, in percentage points for shares; None unless there are exactly two.

    >>> _difference([0.5, 0.625], True), _difference([0.5, 0.625], False), _difference([0.5], True)
    ('+12.5', '+0.125', None)
    """
    if len(found) != 2:
        return None
    if None in found:
        return NONE
    change = found[1] - found[0]
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
    told = {
        "Rows scored": [column.score["scores"].get("n", column.score["n"]) for column in columns],
        "Rows missing": [column.score["missing"] for column in columns],
        "Empty replies": [sum(not row.reply.strip() for row in column.rows) for column in columns],
    }
    for name, key in _COUNTED[columns[-1].score["metric"]].items():
        told[name] = [(one.score["scores"] | one.score["rule"]).get(key) for one in columns]
    return {name: list(map(_counted, values)) for name, values in told.items()}


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
        "Decoding": [_decoding(column) for column in columns],
        "Split": [f"{s['dataset']['split']}, {s['dataset']['protocol']} protocol" for s in scores],
        "Rows in split": [f"{s['dataset']['rows']:,}" for s in scores],
        "Fingerprint": [s["dataset"]["fingerprint"] for s in scores],
        "Signature": [s["signature"] for s in scores],
        "File": [s["file"] for s in scores],
    }
    if scores[-1]["metric"] == "rs_judge":
        facts["Judge"] = [judge_of(column) for column in columns]
    return facts


def _decoding(column: Column) -> str:
    return "; ".join(map(_told, column.decodings))


def _told(decoding: Decoding) -> str:
    if decoding["max_new_tokens"] is None:
        return "not known"
    how = "sampled" if decoding["do_sample"] else "greedy"
    return f"{how}, at most {decoding['max_new_tokens']} new tokens"


def _warnings(columns: Sequence[Column]) -> list[str]:
    """Why the columns of a table may not be compared as they stand."""
    found = [
        f"{column.label}: {column.score['missing']:,} of {column.score['dataset']['rows']:,} rows "
        "have no prediction, so these scores are not of the whole split."
        for column in columns
        if column.score["missing"]
    ]
    prints = {column.score["dataset"]["fingerprint"] for column in columns}
    ids = {frozenset(row.id for row in column.rows) for column in columns}
    if max(len(prints), len(ids)) > 1:
        found.append("The columns hold different rows, so they do not compare like with like.")
    if columns[-1].score["metric"] == "rs_judge":
        found += judge_warnings(columns)
    return found


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
