"""Scores and comparisons as lines for a terminal."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rs_gpt4v_evaluation.score import Score, metric_of
from rs_gpt4v_evaluation.score.blind import SHOWN, RunShare, TaskShare
from rs_gpt4v_evaluation.score.comparison import Comparison

_REASONS = 5  # of replies without a box; the most frequent ones


def _width(names: Iterable[str]) -> int:
    """Of the column of scores' names; classes of scenes and objects have long ones."""
    return max(24, *map(len, names))


def lines(score: Score) -> Iterator[str]:
    """One score a line, with its interval where it has one."""
    dataset = score["dataset"]
    blind = f", blind: {SHOWN[dataset['images']]}" if "images" in dataset else ""
    yield f"{score['file']}: {dataset['config']}/{dataset['split']}, {score['task']}{blind}"
    rows = f"rows {score['n']:,}, missing {score['missing']:,}"
    yield f"  {rows}, {dataset['protocol']} protocol, fingerprint {dataset['fingerprint']}"
    width = _width(score["scores"])
    for name, value in score["scores"].items():
        shown = f"{value:.4f}" if isinstance(value, float) else value
        ends = score["intervals"].get(name)
        yield f"  {name:{width}} {shown}" + (f"  [{ends[0]:.4f}, {ends[1]:.4f}]" if ends else "")
    metric = metric_of(score["task"])
    yield from _reasons(score["unparsed"], metric.unparsed if metric else "not read")
    yield from _reasons(score["skipped"], "skipped")
    yield from (f"  {note}" for note in score["notes"])


def _reasons(reasons: dict[str, str], what: str) -> Iterator[str]:
    example = {reason: row for row, reason in reversed(reasons.items())}
    counted = Counter(reasons.values()).most_common()
    for reason, times in counted[:_REASONS]:
        yield f"  {times:,} {what}: {reason} ({example[reason]})"
    if further := counted[_REASONS:]:
        number = sum(times for _, times in further)
        yield f"  {number:,} {what} for {len(further):,} other reasons: --json lists them"


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """One difference a line: second minus first, interval, p, and the rows that one alone has."""
    first, second = comparison["files"]
    yield f"{second} minus {first}"
    yield (
        f"  {comparison['n']:,} rows of task {comparison['task']} about {comparison['images']:,} "
        "images; 95 % intervals by resampling images, p by swapping the replies to an image"
    )
    width = _width(comparison["differences"])
    for name, test in comparison["differences"].items():
        line = (
            f"  {name:{width}} {test['difference']:+.4f}  [{test['low']:+.4f}, {test['high']:+.4f}]"
            f"  p {test['p']:.4f}"
        )
        if test["only_first"] is not None:
            line += f"  right in one only: {test['only_first']:,} / {test['only_second']:,}"
        yield line
    yield f"  {'signature':{width}} {comparison['signature']}"


def shares_of(score: Mapping[str, Any], runs: Sequence[RunShare]) -> dict[str, Any]:
    """Those of the blind run that a score is of, for JSON; empty of one with images."""
    own = [
        {
            "seen": str(run.seen),
            "n": share.n,
            "images": share.images,
            "scores": {
                key: {**one._asdict(), "words": one.words} for key, one in share.scores.items()
            },
            "most_frequent": share.guess and share.guess._asdict(),
            "signature": share.signature,
        }
        for run in runs
        for share in run.tasks
        if (str(run.blind), share.task) == (score["file"], score["task"])
    ]
    return {"image_share": own} if own else {}


def share_lines(run: RunShare) -> Iterator[str]:
    """One score a line: with the image, without it, the difference, and what to say of it."""
    if run.note:
        yield f"{run.seen} and {run.blind}: {run.note}"
    for share in run.tasks:
        yield f"The image's share: {run.seen} minus {run.blind}"
        yield from _task_lines(share)


def _task_lines(share: TaskShare) -> Iterator[str]:
    yield (
        f"  {share.n:,} rows of task {share.task} about {share.images:,} images, seen and blind "
        f"({SHOWN[share.shown]}); 95 % intervals by resampling images"
    )
    guess = share.guess.name if share.guess else ""
    width = _width(share.scores)
    yield f"  {'':{width}} {'seen':>7} {'blind':>7}  {'seen minus blind':26}  {guess}".rstrip()
    for name, own in share.scores.items():
        ends = "" if own.low is None else f"[{own.low:+.4f}, {own.high:+.4f}]"
        constant = "" if own.guess is None else f"{own.guess:.4f}"
        line = (
            f"  {name:{width}} {own.seen:7.4f} {own.blind:7.4f}  {own.difference:+.4f} {ends:18}"
            f"  {constant:7} {own.words}"
        )
        yield line.rstrip()
    yield f"  {'signature':{width}} {share.signature}"
