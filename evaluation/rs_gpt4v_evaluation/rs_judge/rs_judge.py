"""The module for `evaluate.load`, which copies this file alone: `measure` stays in the package."""

from typing import ClassVar

import datasets

from rs_gpt4v_evaluation import evaluate_metric
from rs_gpt4v_evaluation.rs_judge.measure import measure


class RSJudge(evaluate_metric.EvaluateMetric):
    """Mean score that a judge, a strong vision-language model, gave to answers.

    Of conversation turns, of detailed descriptions, and of all of them. A pair of a question and
    its answer counts once.

    Args:
        predictions (`list` of `list` of `float` or `None`): The scores of each pair, in [1, 10],
            one for every time the judge was asked; `None` where its reply could not be read.
        groups (`list` of `str`): What each pair is: "conversation" (a turn) or "detail".
        judge (`str`): The judge's name with its version. Scores of different judges do not compare.
        prompt (`str`): Hash of the prompts; nor do scores of different prompts.

    Returns:
        `dict` with, per group present, its mean and `n_<group>`; `all` (mean over all pairs, in [1,
        10], higher is better); `n`; `n_unparsed` (pairs without any score: left out, never counted
        as a low score); `unparsed_replies`; `repeats`; `sd_between_repeats` (standard deviation of
        the repeats' means over the pairs that each of them scored) and `sd_within_pairs` (mean
        standard deviation of a pair's own scores), `None` without repeats; and `signature` (`str`).

    Examples:
        >>> metric = RSJudge()  # the third pair was never read, and the second only once
        >>> scores = metric.compute(
        ...     predictions=[[8.0, 7.0], [None, 4.5], [None, None], [6.0, 6.0]],
        ...     groups=["conversation", "conversation", "conversation", "detail"],
        ...     judge="a-judge-2026-01-01",
        ...     prompt="c0ffee00",
        ... )
        >>> scores["conversation"], scores["detail"], scores["all"], scores["n_unparsed"]
        (6.0, 6.0, 6.0, 1)
        >>> round(scores["sd_between_repeats"], 4), round(scores["sd_within_pairs"], 4)
        (0.3536, 0.3536)
        >>> scores["signature"]
        'rs_judge|v1|judge:a-judge-2026-01-01|prompt:c0ffee00|scale:1-10|repeats:2|n:3|unparsed:1'
    """

    COLUMNS: ClassVar = {
        # float64: 8.1 would not be 8.1 in float32.
        "predictions": datasets.List(datasets.Value("float64")),
        "groups": datasets.Value("string"),
    }
    URLS: ClassVar = ["https://arxiv.org/abs/2406.12479"]
    MEASURE: ClassVar = staticmethod(measure)
