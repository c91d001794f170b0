"""A bench's results as one table for a terminal, and what to do next."""

import shlex
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from rs_gpt4v_evaluation.bench import Bench
from rs_gpt4v_evaluation.metric import Metric
from rs_gpt4v_evaluation.report.tables import TASKS, signed
from rs_gpt4v_evaluation.rs_judge.measure import METRIC as JUDGE
from rs_gpt4v_evaluation.score import METRICS
from rs_gpt4v_evaluation.score.blind import SHOWN
from rs_gpt4v_evaluation.score.results import Entry, Results

_METRICS: dict[str, Metric] = {metric.name: metric for metric in (*METRICS, JUDGE)}
_HEAD = ("", "n", "score", "95 % interval", "blind", "image's share")
_LEFT = (0, 3, 5)
"""Columns of text, or of numbers in brackets; the others are numbers."""


def lines(results: Results) -> Iterator[str]:
    """One line a task of a config: n, score, interval, the same blind, and the difference."""
    scored = [entry for entry in results["entries"] if entry["scores"]]
    rows = [_HEAD, *(row for entry in scored for row in _rows(entry))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    yield _line(_HEAD, widths)
    for heading, own in groupby(scored, key=_heading):
        yield heading
        yield from (_line(row, widths) for entry in own for row in _rows(entry))
    yield ""
    yield from _notes(results)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.ljust(width) if column in _LEFT else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _heading(entry: Entry) -> str:
    key = entry["measure"]
    return f"{TASKS[entry['task']]}: {_METRICS[entry['metric']].names([key])[key]}"


def _rows(entry: Entry) -> Iterator[tuple[str, ...]]:
    """The entry, and below it each blind run but the first."""
    key = entry["measure"]
    share = _METRICS[entry["metric"]].is_share(key)
    seen: tuple[str, ...] = (
        f"  {name(entry)}",
        f"{entry['n']:,}",
        _number(entry["scores"][key], share),
        _interval(entry["intervals"].get(key), share),
    )
    for kind, run in entry["blind"].items():
        gap = run["difference"][key]
        change = signed(100 * gap["value"], 1) if share else signed(gap["value"], 3)
        yield (
            *seen,
            f"{kind} {_number(run['scores'][key], share)}",
            f"{change} {_interval(gap['interval'], share)}",
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
    return f"[{low}, {high}]"


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


def _drawn(entry: Entry) -> tuple[int, int]:
    limit = entry["limit"]
    return (limit["images"], limit["seed"]) if limit else (0, 0)


def ending(found: Bench, out: Path) -> Iterator[str]:
    """What was left out, where the results are, and what to do next."""
    by_reason: dict[str, list[str]] = {}
    for config, reason in found.absent.items():
        by_reason.setdefault(reason, []).append(config)
    yield from (f"Not asked: {', '.join(own)}: {reason}." for reason, own in by_reason.items())
    if found.failed:
        yield f"{len(found.failed):,} rows have no reply; run the same command to ask again:"
        yield from found.failed
    yield f"Report:  {out / 'report.html'}"
    yield f"Results: {out / 'results.json'}"
    unjudged = [e["predictions"] for e in found.results["entries"] if not e["scores"]]
    if unjudged:
        files = " ".join(shlex.quote(str(out / file)) for file in dict.fromkeys(unjudged))
        judged = shlex.quote(str(out / "judged.jsonl"))
        yield "Not judged yet; a strong model scores these answers:"
        yield f"  rs-gpt4v judge {files} --judge-model MODEL --out {judged}"
