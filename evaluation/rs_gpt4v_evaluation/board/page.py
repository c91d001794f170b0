"""The board as one HTML page that needs nothing else, and as CSV."""

import base64
import csv
import hashlib
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from rs_gpt4v.pages import environment
from rs_gpt4v_builders import CONFIGS
from rs_gpt4v_evaluation import report
from rs_gpt4v_evaluation.board.published import Source
from rs_gpt4v_evaluation.board.standings import (
    PUBLISHED,
    UNVERIFIED_ROWS,
    VERIFIED,
    Column,
    Group,
    Standing,
    Without,
    in_words,
    is_merit,
)
from rs_gpt4v_evaluation.report.tables import TASKS, gain, interval_text
from rs_gpt4v_evaluation.score.blind import SHOWN, WORSE_THAN_GUESSING, ImageShare

_HERE = Path(__file__).parent
_STYLES = (Path(report.__file__).with_name("page.css"), _HERE / "board.css")
_GROUPS = {"instruct": "RS-GPT4V-Instruct"}


class Cell(NamedTuple):
    """A model's score in the overview; ``mark`` is not empty where it is not ranked."""

    standing: Standing
    is_best: bool
    mark: str


class Line(NamedTuple):
    """A model in the overview, as computed or as one source prints it.

    ``cells`` are None where it has no score.
    """

    model: str
    source: Source | None
    link: str | None
    cells: list[Cell | None]


def html(title: str, columns: Mapping[Column, Sequence[Group]], notes: Sequence[str]) -> str:
    """The page of ``columns``; ``notes`` say what is not on it."""
    script = (_HERE / "sort.js").read_text(encoding="utf-8")
    counts = _counts(columns)
    return (
        environment(_HERE)
        .get_template("page.html.jinja")
        .render(
            title=title,
            columns=columns,
            lines=_lines(columns),
            counts=counts,
            notes=notes,
            verified=VERIFIED,
            unverified=UNVERIFIED_ROWS,
            published=PUBLISHED,
            tasks=TASKS,
            dataset=dataset,
            anchor=anchor,
            score=score,
            interval=interval,
            blind=blind,
            bar=bar,
            basis=basis,
            is_merit=is_merit,
            worse_than_guessing=WORSE_THAN_GUESSING,
            remarks=_remarks,
            style=Markup("\n".join(path.read_text(encoding="utf-8") for path in _STYLES)),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


def _remarks(groups: Sequence[Group]) -> list[str]:
    """What sources and we have to say of the standings of a column, each once, and of whom."""
    models: dict[str, list[str]] = {}
    for group in groups:
        for own in group.standings:
            for note in own.notes:
                models.setdefault(note, [])
                if own.source is None:
                    models[note].append(own.model)
    return [f"{', '.join(own)}: {note}" if own else note for note, own in models.items()]


def _counts(columns: Mapping[Column, Sequence[Group]]) -> dict[str, int]:
    standings = [own for groups in columns.values() for group in groups for own in group.standings]
    statuses = (VERIFIED, UNVERIFIED_ROWS, PUBLISHED)
    return {
        "models": len({standing.model for standing in standings}),
        **{name: sum(own.status == name for own in standings) for name in statuses},
        "sample": sum(own.column.is_sample for own in standings),
    }


def _lines(columns: Mapping[Column, Sequence[Group]]) -> list[Line]:
    """A line a model; what others print of it is another line, as it need not be the same model.

    Those that are computed come first, and those of the sample alone last; within them, the best
    of the first column in which they have a score.
    """
    cells: dict[tuple[str, str], dict[Column, Cell]] = {}
    for column, groups in columns.items():
        for group in reversed(groups):  # of several scores of a model, the one of the first group
            for own in group.standings:
                is_ranked = group is groups[0]
                best = is_ranked and len(group.standings) > 1 and group.rank(own) == 1
                key = own.model, own.source["url"] if own.source else ""
                cells.setdefault(key, {})[column] = Cell(own, best, "" if is_ranked else "†")
    return [
        _line(own, columns) for own in sorted(cells.values(), key=lambda own: _place(own, columns))
    ]


def _line(cells: Mapping[Column, Cell], columns: Iterable[Column]) -> Line:
    own, *_ = [cell.standing for cell in cells.values()]
    return Line(own.model, own.source, own.link, [cells.get(column) for column in columns])


def _place(cells: Mapping[Column, Cell], columns: Iterable[Column]) -> tuple[Any, ...]:
    only_sample = all(column.is_sample for column in cells)
    printed = any(cell.standing.source for cell in cells.values())
    places = [
        (False, bool(cells[column].mark), -cells[column].standing.value)
        if column in cells
        else (True, False, 0)
        for column in columns
    ]
    return only_sample, printed, places


def dataset(column: Column) -> str:
    """What a reader calls the rows of a column, with the split unless it is "test".

    >>> dataset(Column(False, "caption", "cap_ucm", "val", "paper", "rs_caption", "cider"))
    'UCM-Captions, val'
    """
    known = CONFIGS.get(column.config)
    name = known.source.title if known else _GROUPS.get(column.config, column.config)
    split = "" if column.split == "test" else f", {column.split}"
    return f"{name}{split}{', synthetic sample' if column.is_sample else ''}"


def anchor(column: Column) -> str:
    """The id of a column's table.

    >>> anchor(Column(False, "caption", "cap_ucm", "test", "paper", "rs_caption", "cider"))
    'caption-cap_ucm-test-paper-cider'
    """
    sample, task, *place, _, measure = column
    return "-".join([task, *place, measure, *(["sample"] if sample else [])])


def score(standing: Standing) -> str:
    """The value as text, in the decimals of whoever printed it."""
    value, digits = standing.value, standing.digits
    if standing.is_percent:
        return f"{100 * value:.{1 if digits is None else digits}f}\u00a0%"
    return f"{value:.{3 if digits is None else digits}f}"


def interval(standing: Standing) -> str:
    """The limits of the interval in the score's unit; "" if there is none."""
    return interval_text(standing.interval, standing.is_percent)


def basis(standing: Standing) -> str:
    """What a score is of, in a sentence: the rows and the rule, or what its source leaves open."""
    if standing.source and standing.differs:
        return standing.differs
    return f"{'; '.join(filter(None, (standing.coverage, in_words(standing.rule))))}."


def blind(standing: Standing, run: Without) -> tuple[str, str]:
    """What the model scores without the image, and what it gains with the image."""
    text = f"{score(standing._replace(value=run.value))}, {SHOWN.get(run.kind, run.kind)}"
    change = f"{gain(run.difference, standing.is_percent)} with the image"
    low, high = run.interval or (None, None)
    if run.interval:
        change += ", " + " to ".join(gain(end, standing.is_percent) for end in run.interval)
    share = ImageShare(
        standing.value, run.value, run.difference, low, high, None, is_merit(standing.column)
    )
    rows = "" if run.n == standing.n else f"{run.n:,} rows"
    return text, "; ".join(filter(None, (change, share.words, rows)))


_WIDTH = 150
_MARGIN = 5


def bar(standing: Standing, groups: Sequence[Group]) -> dict[str, Any]:
    """Where the score, its interval and the blind score are on an axis from 0, in pixels."""
    values = [own.value for group in groups for own in group.standings]
    end = 1 if standing.is_percent else max(1, math.ceil(max(values)))

    def at(value: float) -> float:
        return round(_MARGIN + (_WIDTH - 2 * _MARGIN) * min(max(value / end, 0), 1), 1)

    return {
        "width": _WIDTH,
        "ends": (at(0), at(end)),
        "score": at(standing.value),
        "interval": standing.interval and [at(limit) for limit in standing.interval],
        "blind": [at(run.value) for run in standing.without],
    }


def record(standing: Standing, group: Group) -> dict[str, Any]:
    """A standing as a record for other programs; ``compared`` is empty where it is ranked first."""
    return {
        "model": standing.model,
        **standing.column._asdict(),
        "name": standing.name,
        "score": standing.value,
        "interval": standing.interval,
        "rank": group.rank(standing),
        "of": len(group.standings),
        "not_ranked_with_first": group.reason,
        "status": standing.status,
        "n": standing.n,
        "rows": standing.rows,
        "coverage": standing.coverage,
        "rule": dict(standing.rule),
        "blind": [run._asdict() for run in standing.without],
        "most_frequent": standing.most_frequent,
        "signature": standing.signature,
        "source": standing.source,
        "differs": standing.differs,
        "notes": list(standing.notes),
        "report": standing.link,
    }


_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""With which a text becomes a formula in a spreadsheet."""


def csv_table(records: Iterable[Mapping[str, Any]]) -> str:
    """The records' plain values as CSV, a line a score; no text is a formula in a spreadsheet."""
    out = io.StringIO()
    names = [
        *("model", *Column._fields, "name", "score", "low", "high", "rank", "of"),
        *("not_ranked_with_first", "status", "n", "rows", "coverage"),
        *("blind_none", "most_frequent", "signature", "source", "url"),
    ]
    writer = csv.DictWriter(out, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for own in records:
        low, high = own["interval"] or ("", "")
        source = own["source"]
        values = {
            **own,
            "low": low,
            "high": high,
            "blind_none": next((r["value"] for r in own["blind"] if r["kind"] == "none"), ""),
            "source": f"{source['title']}, {source['where']}" if source else "",
            "url": source["url"] if source else "",
        }
        writer.writerow({name: _no_formula(value) for name, value in values.items()})
    return out.getvalue()


def _no_formula(value: Any) -> Any:
    """A text behind an apostrophe where a spreadsheet would compute it.

    >>> [_no_formula(value) for value in ("=1+1", " @SUM(A1)", "a-b", -0.5)]
    ["'=1+1", "' @SUM(A1)", 'a-b', -0.5]
    """
    is_formula = isinstance(value, str) and value.lstrip().startswith(_FORMULA)
    return f"'{value}" if is_formula else value
