"""A bench's results as one table for a terminal, and what to do next."""

import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from rs_gpt4v.files import AnyPath
from rs_gpt4v_evaluation.bench.jobs import reasons
from rs_gpt4v_evaluation.report.page import Overview
from rs_gpt4v_evaluation.report.tables import TASKS, gain
from rs_gpt4v_evaluation.score import METRIC_OF_NAME
from rs_gpt4v_evaluation.score.blind import (
    MAYBE_CHANCE,
    NO_BETTER,
    SHOWN,
    WORSE_THAN_GUESSING,
    remark_on,
)
from rs_gpt4v_evaluation.score.results import Entry, Results

if TYPE_CHECKING:
    from rs_gpt4v_evaluation.bench import Bench

_HEAD = ("", "n", "score", "95 % interval", "blind", "image's share")
_LEFT = (0, 3, 5)
"""Columns of text, or of numbers in brackets; the others are numbers."""


def lines(results: Results) -> Iterator[str]:
    """One line a task of a config: n, score, interval, the same blind, and the difference."""
    scored = [entry for entry in results["entries"] if entry["scores"]]
    rows = [_HEAD, *(row for entry in scored for row in _rows(entry, indent="  "))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    yield _line(_HEAD, widths)
    for heading, own in groupby(scored, key=_heading):
        yield heading
        yield from (_line(row, widths) for entry in own for row in _rows(entry, indent="  "))
    yield ""
    yield from _notes(results)


def overview(results: Results) -> Overview:
    """The same for a page, on which each entry with scores has a table of its own."""
    scored = [entry for entry in results["entries"] if entry["scores"]]
    rows: list[tuple[int | None, Sequence[str]]] = []
    for heading, own in groupby(enumerate(scored, start=1), key=lambda pair: _heading(pair[1])):
        rows.append((None, [heading]))
        for number, entry in own:
            rows += [(number if row[0] else None, row) for row in _rows(entry)]
    return Overview(_HEAD, rows, [*_notes(results)])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.ljust(width) if column in _LEFT else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _heading(entry: Entry) -> str:
    key = entry["measure"]
    return f"{TASKS[entry['task']]}: {METRIC_OF_NAME[entry['metric']].names([key])[key]}"


def _rows(entry: Entry, indent: str = "") -> Iterator[tuple[str, ...]]:
    """The entry, and below it each blind run but the first."""
    key = entry["measure"]
    share = METRIC_OF_NAME[entry["metric"]].is_share(key)
    seen: tuple[str, ...] = (
        f"{indent}{name(entry)}",
        f"{entry['n']:,}",
        _number(entry["scores"][key], share),
        _interval(entry["intervals"].get(key), share),
    )
    for kind, run in entry["blind"].items():
        gap = run["difference"][key]
        yield (
            *seen,
            f"{kind} {_number(run['scores'][key], share)}",
            f"{gain(gap['value'], share)} {_interval(gap['interval'], share)}",
        )
        seen = ("",) * len(seen)
    if not entry["blind"]:
        yield (*seen, "", "")


def name(entry: Entry) -> str:
    """Config, with the split and the task where they are not said by it."""
    split = "" if entry["split"] == "test" else f" {entry['split']}"
    return f"{entry['config']}{split}"


def _number(value: float, share: bool) -> str:
    return f"{100 * value:.1f} %" if share else f"{value:.3f}"


def _interval(ends: tuple[float, float] | None, share: bool) -> str:
    if ends is None:
        return ""
    low, high = (f"{100 * end:.1f}" if share else f"{end:.3f}" for end in ends)
    return f"[{low}, {high}]".replace("-", "\N{MINUS SIGN}")


def _notes(results: Results) -> Iterator[str]:
    entries = results["entries"]
    for images, seed in dict.fromkeys(_drawn(entry) for entry in entries if entry["limit"]):
        yield f"Not whole splits: {images:,} images of each, drawn by seed {seed}."
    runs = [run for entry in entries for run in entry["blind"].items()]
    for kind in dict.fromkeys(kind for kind, _ in runs):
        most = max(run["images"] for name, run in runs if name == kind)
        yield f"blind: the same model with {SHOWN[kind]}, on at most {most:,} images of each split."
    if runs:
        yield "image's share: how much more the same rows score with their image."
    remarks: dict[str, list[str]] = {}
    for entry in entries:
        for remark in _remarks(entry):
            remarks.setdefault(remark, []).append(name(entry))
    yield from (f"{remark}: {', '.join(own)}." for remark, own in remarks.items())


def _remarks(entry: Entry) -> Iterator[str]:
    """What a reader must not miss of the score that stands for all."""
    key, guess = entry["measure"], entry["most_frequent"]
    if guess and entry["scores"][key] < guess["scores"].get(key, 0):
        yield WORSE_THAN_GUESSING.capitalize()
    gaps = [run["difference"][key] for run in entry["blind"].values()]
    said = {remark_on(gap["value"], gap["interval"] and gap["interval"][0]) for gap in gaps}
    yield from [text.capitalize() for text in (NO_BETTER, MAYBE_CHANCE) if text in said][:1]


def _drawn(entry: Entry) -> tuple[int, int]:
    limit = entry["limit"]
    return (limit["images"], limit["seed"]) if limit else (0, 0)


def ending(found: "Bench", out: AnyPath) -> Iterator[str]:
    """What was left out, where the results are, and what to do next."""
    out = Path(out)
    yield from (f"Not asked: {reason}." for reason in reasons(found.absent))
    if found.failed:
        yield f"{len(found.failed):,} rows have no reply; run the same command to ask again:"
        yield from found.failed
    yield from (f"Not scored: {reason}" for reason in found.unscored)
    yield f"Report:  {out / 'report.html'}"
    yield f"Results: {out / 'results.json'}"
    unjudged = [e["predictions"] for e in found.results["entries"] if not e["scores"]]
    if unjudged:
        files = " ".join(shlex.quote(str(out / file)) for file in dict.fromkeys(unjudged))
        judged = shlex.quote(str(out / "judged.jsonl"))
        yield "Not judged yet; a strong model scores these answers:"
        yield f"  rs-gpt4v judge {files} --judge-model MODEL --out {judged}"
