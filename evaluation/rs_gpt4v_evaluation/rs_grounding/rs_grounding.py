"""The module for `evaluate.load`, which copies this file alone: `measure` stays in the package."""

from typing import ClassVar

import datasets

from rs_gpt4v_evaluation import evaluate_metric
from rs_gpt4v_evaluation.rs_grounding.measure import measure


class RSGrounding(evaluate_metric.EvaluateMetric):
    """Visual grounding: Pr@0.5 to Pr@0.9, the mean IoU and the cumulative IoU of raw replies.

    Pr@t is the share of expressions whose box overlaps the true one by t. Boxes have no "+1 pixel".

    Args:
        predictions (`list` of `str`): One raw reply per expression. Its first box counts.
        references (`list` of `list` of `float`): The true box of each, in pixels of the released
            image: x_min, y_min, x_max, y_max, or four corners x1, y1, ... x4, y4 of a rotated one.
        sizes (`list` of `list` of `int`): Width and height of each image, in pixels.
        box_format (`str` or `list` of `str`): The codec that reads the replies, or that of each,
            one of `rs_gpt4v.box_codecs.CODECS`.
        strict (`bool`, defaults to `False`): Ask for an IoU above the threshold, as LQVG does, and
            not for one of at least the threshold.

    Returns:
        `dict` with `pr_50`, `pr_60`, `pr_70`, `pr_80`, `pr_90`, `mean_iou`, `cumulative_iou`
        (`float`, in [0, 1], higher is better), `n_unparsed` (replies without a usable box; they are
        misses, with IoU 0), `pr_50_SIZE` and `n_pr_50_SIZE` of the objects of each of
        `rs_gpt4v_evaluation.object_sizes.SIZES` that there are, and `signature` (`str`).

    Examples:
        >>> metric = RSGrounding()  # the first box covers half of the truth: IoU is just 0.5
        >>> truth = {"references": [[0, 0, 40, 40], [0, 0, 40, 40]], "sizes": [[80, 80], [80, 80]]}
        >>> replies = ["[0.0, 0.0, 0.5, 0.25]", "I see no ship."]
        >>> scores = metric.compute(predictions=replies, **truth, box_format="llava")
        >>> scores["pr_50"], scores["pr_60"], scores["mean_iou"], scores["n_unparsed"]
        (0.5, 0.0, 0.25, 1)
        >>> scores["signature"]
        'rs_grounding|v1|iou:>=|boxes:first|truth:hbb|box_format:llava|n:2|unparsed:1'
        >>> metric.compute(predictions=replies, **truth, box_format="llava", strict=True)["pr_50"]
        0.0
    """

    COLUMNS: ClassVar = {
        "predictions": datasets.Value("string"),
        # In 32 bits a box would move across a threshold.
        "references": datasets.List(datasets.Value("float64")),
        "sizes": datasets.List(datasets.Value("int32")),
    }
    URLS: ClassVar = ["https://github.com/ZhanYang-nwpu/RSVG-pytorch"]
    MEASURE: ClassVar = staticmethod(measure)
