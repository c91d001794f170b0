"""Scores and comparisons as lines for a terminal."""

from collections import Counter
from collections.abc import Iterator

from rs_gpt4v_evaluation.score import Score, metric_of
from rs_gpt4v_evaluation.score.comparison import Comparison

_REASONS = 5  # of replies without a box; the most frequent ones


def lines(score: Score) -> Iterator[str]:
    """One score a line, with its interval where it has one."""
    dataset = score["dataset"]
    yield f"{score['file']}: {dataset['config']}/{dataset['split']}, {score['task']}"
    rows = f"rows {score['n']:,}, missing {score['missing']:,}"
    yield f"  {rows}, {dataset['protocol']} protocol, fingerprint {dataset['fingerprint']}"
    for name, value in score["scores"].items():
        shown = f"{value:.4f}" if isinstance(value, float) else value
        ends = score["intervals"].get(name)
        yield f"  {name:24} {shown}" + (f"  [{ends[0]:.4f}, {ends[1]:.4f}]" if ends else "")
    metric = metric_of(score["task"])
    yield from _reasons(score["unparsed"], metric.unparsed if metric else "not read")
    yield from _reasons(score["skipped"], "skipped")
    yield from (f"  {note}" for note in score["notes"])


def _reasons(reasons: dict[str, str], what: str) -> Iterator[str]:
    example = {reason: row for row, reason in reversed(reasons.items())}
    for reason, times in Counter(reasons.values()).most_common(_REASONS):
        yield f"  {times:,} {what}: {reason} ({example[reason]})"


def comparison_lines(comparison: Comparison) -> Iterator[str]:
    """One difference a line: second minus first, interval, p, and the rows that one alone has."""
    first, second = comparison["files"]
    yield f"{second} minus {first}"
    yield (
        f"  {comparison['n']:,} rows of task {comparison['task']} about {comparison['images']:,} "
        "images; 95 % intervals by resampling images, p by swapping the replies to an image"
    )
    for name, test in comparison["differences"].items():
        line = (
            f"  {name:24} {test['difference']:+.4f}  [{test['low']:+.4f}, {test['high']:+.4f}]"
            f"  p {test['p']:.4f}"
        )
        if test["only_first"] is not None:
            line += f"  right in one only: {test['only_first']:,} / {test['only_second']:,}"
        yield line
    yield f"  {'signature':24} {comparison['signature']}"
