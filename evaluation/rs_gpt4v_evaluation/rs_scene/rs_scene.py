"""The module for `evaluate.load`, which copies this file alone: `measure` stays in the package."""

from typing import ClassVar

import datasets

from rs_gpt4v_evaluation import evaluate_metric
from rs_gpt4v_evaluation.rs_scene.measure import measure


class RSScene(evaluate_metric.AnswersMetric):
    """Accuracy per class of scene, its unweighted mean (AA), and that of all images (OA).

    A reply means the one class of the row's own that it names; a reply that names none, or
    several, abstains and is wrong.

    Args:
        predictions (`list` of `str`): One reply per image.
        references (`list` of `str`, or of `list` of `str`): The true class; of several, any is
            right.
        classes (`list` of `list` of `str`): The classes that each question gave to choose from.

    Returns:
        `dict` with `accuracy_<class>` and `n_<class>` per class present, `aa` and `oa`, the same of
        replies that are the class's name letter for letter (`aa_strict`, `oa_strict`), all `float`
        in [0, 1], higher is better; the numbers of replies that `abstained`, as they name a class
        `outside` the choice or none, name `several`, or are `undecided`; and `signature` (`str`).

    Examples:
        >>> metric = RSScene()
        >>> choice = ["airport", "golf course", "sea ice"]
        >>> scores = metric.compute(
        ...     predictions=["airport", "A golf-course.", "airport or sea ice"],
        ...     references=["airport", "golf course", "sea ice"],
        ...     classes=[choice] * 3,
        ... )
        >>> round(scores["oa"], 2), round(scores["oa_strict"], 2), scores["several"]
        (0.67, 0.33, 1)
        >>> scores["signature"]
        'rs_scene|v1|n:3|abstained:1'
    """

    COLUMNS: ClassVar = {
        "predictions": datasets.Value("string"),
        "references": datasets.List(datasets.Value("string")),
        "classes": datasets.List(datasets.Value("string")),
    }
    URLS: ClassVar = ["https://github.com/NJU-LHRS/LHRS-Bot/issues/9"]
    MEASURE: ClassVar = staticmethod(measure)
