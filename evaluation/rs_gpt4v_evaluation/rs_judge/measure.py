"""Means of a judge's scores from 1 to 10, as in Table 3 of RS-GPT4V (Xu et al., 2024)."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any, TypeAlias

import numpy as np

from rs_gpt4v.bootstrap import Sums
from rs_gpt4v_evaluation import metric
from rs_gpt4v_evaluation.metric import Mark, Measured, Metric, Rules

VERSION = 1
GROUPS = ("conversation", "detail")
LOWEST, HIGHEST = 1, 10

Scores: TypeAlias = Sequence[float | None]


def measure(
    predictions: Sequence[Scores], groups: Sequence[str], judge: str, prompt: str
) -> Measured:
    """Means in [1, 10], numbers of pairs and spreads, with what each pair adds; see `RSJudge`.

    A pair's score is the mean of those that could be read; one without a score adds nothing. `all`
    weighs every pair alike, so it is no mean of the two groups.

    Raises:
        ValueError: There is nothing to score, a score is outside [1, 10], the columns or the
            numbers of repeats differ in length, or a group is unknown.
    """
    repeats = _check(predictions, groups)
    read = [[score for score in scores if score is not None] for scores in predictions]
    means = [fmean(own) if own else math.nan for own in read]
    is_read = ~np.isnan(means)
    if not is_read.any():
        raise ValueError(f"rs_judge: none of the {len(read)} pairs has a score that could be read")
    present = [name for name in GROUPS if name in np.array(groups)[is_read]]
    n = int(is_read.sum())
    return Measured(
        judge_sums(np.array(means), groups, present),
        f"rs_judge|v{VERSION}|judge:{judge}|prompt:{prompt}|scale:{LOWEST}-{HIGHEST}"
        f"|repeats:{repeats}|n:{n}|unparsed:{len(read) - n}",
        n={name: int(is_read[np.array(groups) == name].sum()) for name in present},
        counts={
            "n": n,
            "n_unparsed": len(read) - n,
            "unparsed_replies": repeats * len(read) - sum(map(len, read)),
            "repeats": repeats,
            "sd_between_repeats": _sd_between(predictions),
            "sd_within_pairs": _sd_within(read),
        },
    )


def judge_sums(scores: np.ndarray, groups: Sequence[str], names: Sequence[str]) -> Sums:
    """The means of the groups ``names``, and of ``all``; a score that is not a number is none."""
    is_group = np.array([[group == name for name in names] + [True] for group in groups], float)
    is_group[np.isnan(scores)] = 0
    rows = np.hstack([is_group * np.nan_to_num(scores)[:, None], is_group])

    def means(sums: np.ndarray) -> dict[str, np.ndarray]:
        totals, n = np.split(sums, 2, axis=-1)
        with np.errstate(invalid="ignore"):  # a draw may lack a group
            values = totals / n
        return {name: values[..., place] for place, name in enumerate([*names, "all"])}

    return Sums(rows, means, {})


def _sd_between(predictions: Sequence[Scores]) -> float | None:
    """Over the pairs that every repeat scored, so that no repeat is easier than another."""
    whole = [
        [score for score in scores if score is not None]
        for scores in predictions
        if None not in scores
    ]
    means = [fmean(repeat) for repeat in zip(*whole, strict=True)]
    return stdev(means) if len(means) > 1 else None


def _sd_within(read: Sequence[Sequence[float]]) -> float | None:
    spreads = [stdev(scores) for scores in read if len(scores) > 1]
    return fmean(spreads) if spreads else None


def _check(predictions: Sequence[Scores], groups: Sequence[str]) -> int:
    """The number of repeats, after everything else was found to be as it should."""
    metric.check_columns("rs_judge", predictions=predictions, groups=groups)
    repeats = len(predictions[0])
    for row, (scores, group) in enumerate(zip(predictions, groups, strict=True)):
        if len(scores) != repeats or not repeats:
            raise ValueError(
                f"rs_judge: row {row} has {len(scores)} scores and row 0 has {repeats}; give one "
                "for every repeat, None where the reply could not be read"
            )
        if group not in GROUPS:
            raise ValueError(f"rs_judge: row {row} is of group {group!r}, not one of {GROUPS}")
        _check_range(row, scores)
    return repeats


def _check_range(row: int, scores: Scores) -> None:
    for score in scores:
        if score is not None and not LOWEST <= score <= HIGHEST:
            raise ValueError(
                f"rs_judge: row {row} has the score {score}, outside [{LOWEST}, {HIGHEST}]; use "
                "None where there is none"
            )


def _measure(lines: list[Any], _: Rules) -> Measured:
    """Of a judge's lines, those that failed left out."""
    judge = lines[0]["judge"]
    values = [[verdict["value"] for verdict in line["verdicts"]] for line in lines]
    groups = [line["group"] for line in lines]
    return measure(values, groups, judge["model"], judge["prompt"])


def _marks(_: list[Any], measured: Measured) -> list[Mark]:
    rows = measured.sums.rows
    total, n = rows[:, rows.shape[1] // 2 - 1], rows[:, -1]
    return [
        Mark(value=float(score) if count else None) for score, count in zip(total, n, strict=True)
    ]


METRIC = Metric(
    "rs_judge",
    tasks=GROUPS,
    measure=_measure,
    marks=_marks,
    labels={
        "conversation": "Reasoning and conversation",
        "detail": "Detailed description",
        "all": "All answers",
    },
    headline="all",
    totals=("all",),
    counts={
        "n": "Rows scored",
        "n_unparsed": "Without a readable score",
        "failed": "Not judged",
        "unparsed_replies": "Unreadable replies of the judge",
        "repeats": "Times asked",
        "sd_between_repeats": "Spread between repeats",
        "sd_within_pairs": "Spread within an answer",
    },
    heading="Score, 1 to 10",
    value="Score",
)
