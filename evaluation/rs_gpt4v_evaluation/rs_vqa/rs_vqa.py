"""The module for `evaluate.load`, which copies this file alone: `measure` stays in the package."""

from typing import ClassVar

import datasets

from rs_gpt4v_evaluation import evaluate_metric
from rs_gpt4v_evaluation.rs_vqa.measure import measure


class RSVQA(evaluate_metric.AnswersMetric):
    """Accuracy per question type on RSVQA, their unweighted mean (AA), and that of all (OA).

    Counts and areas are compared by the authors' buckets or exactly.

    Args:
        predictions (`list` of `str`): One answer per question.
        references (`list` of `str`, or of `list` of `str`): The true answers as released ("34",
            "431m2", "yes", "rural"); of several, any is right.
        question_types (`list` of `str`): The release's types: count, presence, comp, rural_urban,
            area.
        counts (`str` or `list` of `str`, defaults to `"bucket"`): `"bucket"` compares the authors'
            RSVQA-LR classes (0, 1-10, 11-100, 101-1000, more) of both answers; `"exact"` is the
            rule of RSVQA-HR. A list has the rule of each question.
        areas (`str` or `list` of `str`, defaults to `"bucket"`): The same of areas; `"bucket"` is
            the rule of RSVQA-HR.
        normalise (`str`, defaults to `"lenient"`): `"strict"` only strips both answers; `"lenient"`
            also lowers the case, drops a final . ? or !, reads zero ... twenty as digits, "rural
            area" as "rural", and m², square metres and so on as m2.

    Returns:
        `dict` with `accuracy_<type>` and `n_<type>` per type present, `aa`, `oa` (`float`, in [0,
        1], higher is better), `empty` (empty predictions; they are never correct), and `signature`
        (`str`).

    Examples:
        >>> metric = RSVQA()  # 10 ends the bucket of 1, 11 starts the next
        >>> types = ["count", "count", "comp"]
        >>> answers = {"references": ["10", "10", "yes"], "question_types": types}
        >>> scores = metric.compute(predictions=["1", "11", "Yes."], **answers)
        >>> scores["accuracy_count"], scores["accuracy_comp"], scores["aa"]
        (0.5, 1.0, 0.75)
        >>> scores["signature"]
        'rs_vqa|v1|counts:bucket|areas:bucket|normalise:lenient|n:3|empty:0'
    """

    COLUMNS: ClassVar = {
        "predictions": datasets.Value("string"),
        "references": datasets.List(datasets.Value("string")),
        "question_types": datasets.Value("string"),
    }
    URLS: ClassVar = ["https://rsvqa.sylvainlobry.com", "https://github.com/syvlo/RSVQA"]
    MEASURE: ClassVar = staticmethod(measure)
