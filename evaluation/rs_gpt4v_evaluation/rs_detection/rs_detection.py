"""The module for `evaluate.load`, which copies this file alone: `measure` stays in the package."""

from typing import ClassVar

import datasets

from rs_gpt4v_evaluation import evaluate_metric
from rs_gpt4v_evaluation.rs_detection.measure import measure


class RSDetection(evaluate_metric.EvaluateMetric):
    """Detection of all objects of a class: precision, recall, F1 and AP of the boxes in replies.

    A claimed box hits a true one of its row if they overlap by the threshold and neither has a
    partner that overlaps more. F1, precision and recall are of all boxes at an IoU of 0.5.

    Args:
        predictions (`list` of `str`): One raw reply per row. All its boxes count.
        references (`list` of `list` of `list` of `float`): The true boxes of each row, none where
            the class is absent, in pixels of the released image: x_min, y_min, x_max, y_max, or
            four corners x1, y1, ... x4, y4 of a rotated one.
        classes (`list` of `str`): What each row asks for.
        sizes (`list` of `list` of `int`): Width and height of each image, in pixels.
        box_format (`str` or `list` of `str`): The codec that reads the replies, or that of each,
            one of `rs_gpt4v.box_codecs.CODECS`.
        strict (`bool`, defaults to `False`): Ask for an IoU above the threshold.
        confidences (`list` of `list` of `float`, optional): Of each box of each reply, for AP as
            pycocotools computes it.

    Returns:
        `dict` with `f1`, `precision`, `recall`, `mean_f1` (over classes), `ap` (over classes and
        IoU thresholds of 0.5 to 0.95), `ap_50`, `ap_75`, `absent_denied` (of rows without an
        object, the share whose reply says so), `f1_SIZE`, `precision_SIZE`, `recall_SIZE`,
        `f1_of_CLASS`, `ap_of_CLASS` (`float`, in [0, 1], higher is better), the counts `n_true`,
        `n_claimed`, `n_absent`, `n_unparsed` and `signature` (`str`).

    Examples:
        >>> metric = RSDetection()
        >>> truth = {"references": [[[0, 0, 40, 40], [50, 50, 80, 80]], []]}
        >>> asked = {"classes": ["ship", "airplane"], "sizes": [[80, 80], [80, 80]]}
        >>> replies = ["[0.0, 0.0, 0.5, 0.5]", "There are none."]
        >>> scores = metric.compute(predictions=replies, **truth, **asked, box_format="llava")
        >>> [scores[name] for name in ("precision", "recall", "absent_denied")]
        [1.0, 0.5, 1.0]
        >>> scores["signature"]
        'rs_detection|v1|iou:>=|pairs:greatest-iou|ap:no-confidence|truth:hbb|box_format:llava|n:2|unparsed:0'
    """

    COLUMNS: ClassVar = {
        "predictions": datasets.Value("string"),
        # In 32 bits a box would move across a threshold.
        "references": datasets.List(datasets.List(datasets.Value("float64"))),
        "classes": datasets.Value("string"),
        "sizes": datasets.List(datasets.Value("int32")),
    }
    URLS: ClassVar = ["https://cocodataset.org/#detection-eval"]
    MEASURE: ClassVar = staticmethod(measure)
