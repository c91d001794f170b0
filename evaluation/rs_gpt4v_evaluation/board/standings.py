"""Scores of many models as standings, and which of them may be ranked with each other.

A column of the board is one measure on one split. In it, standings are ranked together only where
they are of the same rows, with the same true answers, compared by the same rule.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from rs_gpt4v_evaluation.board.published import PublishedTable, Source
from rs_gpt4v_evaluation.predict.predictions import UNVERIFIED
from rs_gpt4v_evaluation.score import METRIC_OF_NAME
from rs_gpt4v_evaluation.score.results import BlindRun, Entry, Model

VERIFIED = "verified"
UNVERIFIED_ROWS = "rows not verified"
PUBLISHED = "as published"
_JUDGE = "rs-gpt4v judge"  # is in notes on rows that nobody judged, which the board states itself


class Column(NamedTuple):
    """One measure on one split: what the standings of a table have in common."""

    is_sample: bool
    task: str
    config: str
    split: str
    protocol: str
    metric: str
    measure: str


class Without(NamedTuple):
    """The same model on ``n`` of the rows without their own image.

    ``difference`` is the score with the image minus the one without it, on the same rows;
    ``interval`` its 95 % interval.
    """

    kind: str
    n: int
    value: float
    difference: float
    interval: tuple[float, float] | None


class Standing(NamedTuple):
    """What one model scores in one column.

    Attributes:
        peers: Standings of a column with equal ones are ranked together.
        name: What a reader calls the measure.
        value: The score, in the unit of `rs-gpt4v score`.
        digits: Decimals in which others print it; None of our own.
        status: `VERIFIED`, `UNVERIFIED_ROWS` or `PUBLISHED`.
        n: How many rows are scored; None where a source does not say.
        rows: How many rows were to be scored.
        coverage: Which rows these are, in words.
        is_whole: Whether they are all of the split.
        rule: How replies are compared.
        without: Blind runs.
        most_frequent: What always giving the most frequent answer scores.
        source: Who printed it; None of scores that were computed here.
        differs: Why it is not comparable with computed ones, as the published table says.
        notes: What else a reader has to know of it.
        link: The model's own page, as seen from the board.
    """

    model: str
    column: Column
    peers: tuple[Any, ...]
    name: str
    value: float
    interval: tuple[float, float] | None
    digits: int | None
    is_percent: bool
    status: str
    n: int | None
    rows: int | None
    coverage: str
    is_whole: bool
    rule: Mapping[str, Any]
    signature: str
    without: Sequence[Without] = ()
    most_frequent: float | None = None
    source: Source | None = None
    differs: str = ""
    notes: Sequence[str] = ()
    link: str | None = None


def is_merit(column: Column) -> bool:
    """Whether more is better in a column; a share of errors is none, and not ranked.

    >>> is_merit(Column(False, "claims", "detail", "test", "paper", "rs_chair", "chair_s"))
    False
    """
    metric = METRIC_OF_NAME.get(column.metric)
    return metric is None or not column.measure.startswith(metric.neutral)


def model_name(model: Model) -> str:
    """What the board calls a model: its name and its adapter's, without the folders of a path.

    >>> model = {"name": "/models/llava", "adapter": "outputs/lora"}
    >>> model_name({**model, "revision": None, "weights": None, "server": None})
    'llava + lora'
    """
    adapter = model["adapter"]
    name = model["name"]
    if PurePath(name).is_absolute():
        name = PurePath(name).name
    return f"{name} + {PurePath(adapter).name}" if adapter else name


def scored(
    name: str, entry: Entry, published: Iterable[PublishedTable], link: str | None
) -> Iterator[Standing]:
    """The standings of an entry: by its headline, and by each measure that others published."""
    others = (table["measure"] for table in published if table["config"] == entry["config"])
    for measure in dict.fromkeys((entry["measure"], *others)):
        if measure in entry["scores"]:
            yield _scored(name, entry, measure, link)


def _scored(name: str, entry: Entry, measure: str, link: str | None) -> Standing:
    verified = entry["verified"] and entry["fingerprint"] not in (None, UNVERIFIED)
    status = VERIFIED if verified else UNVERIFIED_ROWS
    rule = _definition(entry["rule"])
    frequent = entry["most_frequent"]
    return Standing(
        model=name,
        column=_column(entry, measure),
        peers=(status, _key(rule), entry["n"], entry["truth"]),
        name=_label(entry["metric"], measure) or measure,
        value=entry["scores"][measure],
        interval=entry["intervals"].get(measure),
        digits=None,
        is_percent=_is_share(entry["metric"], measure),
        status=status,
        n=entry["n"],
        rows=entry["rows"],
        coverage=_coverage(entry, status),
        is_whole=verified and not (entry["limit"] or entry["missing"]),
        rule=rule,
        signature=entry["signature"],
        without=[*_without(entry["blind"], measure)],
        most_frequent=frequent["scores"].get(measure) if frequent else None,
        notes=[note for note in entry["notes"] if _JUDGE not in note],
        link=link,
    )


def _column(about: Mapping[str, Any], measure: str) -> Column:
    return Column(
        about.get("sample", False),
        about["task"],
        about["config"],
        about["split"],
        about["protocol"],
        about["metric"],
        measure,
    )


def _label(metric: str, measure: str) -> str | None:
    """What a reader calls a score; None if it is none of ours."""
    known = METRIC_OF_NAME.get(metric)
    name = known.names([measure])[measure] if known else measure
    return None if name == measure else name


def _is_share(metric: str, measure: str) -> bool:
    known = METRIC_OF_NAME.get(metric)
    return known is not None and known.is_share(measure)


def _definition(rule: Mapping[str, Any]) -> dict[str, Any]:
    """The rule without the form of the boxes: it says how a reply is read, not what is right."""
    return {name: value for name, value in rule.items() if name != "box_format"}


def _key(rule: Mapping[str, Any]) -> str:
    return json.dumps(rule, sort_keys=True)


def _coverage(entry: Entry, status: str) -> str:
    if limit := entry["limit"]:
        rows = f"{entry['n']:,} of {limit['rows']:,} rows, about {entry['images']:,} drawn images"
    elif entry["missing"]:
        rows = f"{entry['n']:,} of {entry['rows']:,} rows, {entry['missing']:,} missing"
    else:
        rows = f"{entry['n']:,} rows"
    ours = "" if status == VERIFIED else ", not verified to be those of this config"
    return f"{rows}{ours}"


def _without(runs: Mapping[str, BlindRun], measure: str) -> Iterator[Without]:
    for kind, run in runs.items():
        if measure in run["scores"] and measure in run["difference"]:
            gap = run["difference"][measure]
            yield Without(kind, run["n"], run["scores"][measure], gap["value"], gap["interval"])


def printed(table: PublishedTable) -> Iterator[Standing]:
    """The standings of a published table."""
    label = _label(table["metric"], table["measure"])
    rows = table["rows"]
    source = table["source"]
    scale = table["per_unit"]
    is_percent = _is_share(table["metric"], table["measure"]) if label else scale == 100
    shift = 0 if is_percent else round(math.log10(scale))
    for model, value in table["values"].items():
        yield Standing(
            model=model,
            column=_column(table, table["measure"]),
            peers=(PUBLISHED, source["url"], source["where"]),
            name=label or table["name"],
            value=round(value / scale, table["digits"] + 10),  # 65.8 % is no 0.6579999999999999
            interval=None,
            digits=table["digits"] + shift,
            is_percent=is_percent,
            status=PUBLISHED,
            n=rows,
            rows=rows,
            coverage="number of rows not stated" if rows is None else f"{rows:,} rows",
            is_whole=rows is not None and not table["differs"],
            rule=table["rule"],
            signature="",
            source=source,
            differs=table["differs"],
            notes=[table["note"]] if table["note"] else [],
        )


class Group(NamedTuple):
    """Standings that are ranked together, best first; ``reason`` says why not with the first."""

    standings: list[Standing]
    reason: str

    def rank(self, standing: Standing) -> int | None:
        """One more than the number of better ones; None of a measure of which more is no better."""
        if not is_merit(standing.column):
            return None
        return 1 + sum(other.value > standing.value for other in self.standings)


def columns(standings: Iterable[Standing]) -> dict[Column, list[Group]]:
    """The groups of each column; the first of them is the one that others are not ranked with.

    Of several, it is the one of verified scores of the whole split, then the largest.
    """
    by_column: dict[Column, list[Standing]] = defaultdict(list)
    for standing in sorted(standings, key=lambda standing: standing.column):
        by_column[standing.column].append(standing)
    return {column: _groups(own) for column, own in by_column.items()}


def _groups(standings: Sequence[Standing]) -> list[Group]:
    by_peers: dict[tuple[Any, ...], list[Standing]] = defaultdict(list)
    computed = [standing for standing in standings if standing.status != PUBLISHED]
    for standing in standings:
        by_peers[_peers(standing, computed)].append(standing)
    ordered = sorted(by_peers.items(), key=lambda item: _precedence(*item))
    first = ordered[0][1][0]
    return [
        Group(
            sorted(own, key=lambda standing: (-standing.value, standing.model)),
            "" if own[0] is first else _reason(own[0], first),
        )
        for _, own in ordered
    ]


def _peers(standing: Standing, computed: Sequence[Standing]) -> tuple[Any, ...]:
    """What ``standing`` shares with those it is ranked with: a printed one may join computed."""
    if standing.status == PUBLISHED and standing.is_whole:
        for other in computed:
            same = (other.n, other.rule) == (standing.n, standing.rule)
            if other.is_whole and same:
                return other.peers
    return standing.peers


_STATUSES = (VERIFIED, UNVERIFIED_ROWS, PUBLISHED)


def _precedence(peers: tuple[Any, ...], standings: Sequence[Standing]) -> tuple[Any, ...]:
    first = min(standings, key=lambda standing: _STATUSES.index(standing.status))
    status = _STATUSES.index(first.status)
    return (status, not first.is_whole, -len(standings), json.dumps(peers))


def _reason(standing: Standing, first: Standing) -> str:
    """Why ``standing`` is not ranked with ``first``."""
    if standing.status == PUBLISHED:
        if first.status == PUBLISHED:
            return "Printed in another table."
        return "As published." if standing.differs else "Other rows, or another rule."
    if standing.status != first.status:
        return "The rows are not verified to be those of this config."
    checks = {
        f"Another rule: {in_words(standing.rule)}.": standing.rule != first.rule,
        "Not all rows of the split.": first.is_whole and not standing.is_whole,
    }
    return next((reason for reason, holds in checks.items() if holds), "Other rows.")


def in_words(rule: Mapping[str, Any]) -> str:
    """A rule as a reader says it.

    >>> in_words({"counts": "bucket", "strict": False}), in_words({})
    ('counts: bucket, IoU of at least the threshold', '')
    """
    strict = {True: "IoU above the threshold", False: "IoU of at least the threshold"}
    parts = [
        strict[value] if name == "strict" else f"{name}: {_value(value)}"
        for name, value in rule.items()
    ]
    return ", ".join(parts)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
