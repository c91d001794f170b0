"""The module for `evaluate.load`, which copies this file alone: `measure` stays in the package."""

from typing import ClassVar

import datasets

from rs_gpt4v_evaluation import evaluate_metric
from rs_gpt4v_evaluation.rs_probe.measure import measure


class RSProbe(evaluate_metric.EvaluateMetric):
    """Yes-or-no questions on what is not there, by kind of negative, as POPE scores them.

    A reply that says neither yes nor no is wrong, and neither a false yes nor a right no.

    Args:
        predictions (`list` of `str`): One reply per question.
        references (`list` of `str`): "yes" or "no".
        question_types (`list` of `str`): The kinds: "random", "popular" and "adversarial", whose
            answer is no, are each scored with "present", whose answer is yes; "opposite" with
            "related", "elsewhere" with "located".
        normalise (`str`, defaults to `"lenient"`): `"lenient"` reads the word that opens a reply,
            or the only yes or no of its first sentence; `"strict"` takes "yes" and "no" alone.

    Returns:
        `dict` with `accuracy_<kind>`, `precision_<kind>`, `recall_<kind>`, `f1_<kind>` and
        `yes_rate_<kind>` of each kind that has rows and positives, the means of each over the kinds
        (`accuracy`, ...; all `float`, in [0, 1]), `n_<type>`, `n_unparsed` and `signature` (`str`).

    Examples:
        >>> metric = RSProbe()
        >>> types = ["present", "present", "random", "random"]
        >>> truth = {"references": ["yes", "yes", "no", "no"], "question_types": types}
        >>> scores = metric.compute(predictions=["Yes.", "no", "No ships.", "I see one."], **truth)
        >>> [scores[name] for name in ("accuracy", "precision", "recall", "yes_rate", "n_unparsed")]
        [0.5, 1.0, 0.5, 0.25, 1]
        >>> scores["signature"]
        'rs_probe|v1|kinds:random|normalise:lenient|n:4|unparsed:1'
    """

    COLUMNS: ClassVar = {
        "predictions": datasets.Value("string"),
        "references": datasets.Value("string"),
        "question_types": datasets.Value("string"),
    }
    URLS: ClassVar = ["https://github.com/AoiDragon/POPE", "https://arxiv.org/abs/2305.10355"]
    MEASURE: ClassVar = staticmethod(measure)
