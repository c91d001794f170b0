"""The module for `evaluate.load`, which copies this file alone: `measure` stays in the package."""

from typing import ClassVar

import datasets

from rs_gpt4v_evaluation import evaluate_metric
from rs_gpt4v_evaluation.rs_caption.measure import measure


class RSCaption(evaluate_metric.EvaluateMetric):
    """BLEU, METEOR 1.5, ROUGE_L and CIDEr (CIDEr-D) of captions, as the COCO evaluation gives them.

    The raw captions are compared with several references each, in Penn Treebank tokens, as in
    pycocoevalcap.

    Args:
        predictions (`list` of `str`): One raw caption per image.
        references (`list` of `list` of `str`): The raw reference captions of each image, at least
            one; their number may differ from image to image. Keep the images' order.
        metrics (`Sequence` of `str`): Some of "bleu", "meteor", "rouge_l", "cider"; default: all
            four. METEOR needs `pip install "rs-gpt4v[meteor]"` and raises `ImportError` without it.
            Also "spice", with CoreNLP and Java of your own; see the card.
        meteor_backend (`str`): "python" (default), or "java" to run METEOR's own jar.

    Returns:
        `dict` with `bleu_1`, `bleu_2`, `bleu_3`, `bleu_4`, `meteor`, `rouge_l` (`float`, in [0,
        1]), `cider` (`float`, in [0, 10]); higher is better; and `signature` (`str`): metric and
        version, tokeniser, METEOR's version, language, beam and code, images, mean references per
        image, captions without a token. `spice` (`float`, in [0, 1]) if asked for, with its parts'
        versions at the end of the signature.

    Examples:
        >>> metric = RSCaption()  # captions as long as a reference: no brevity penalty
        >>> scores = metric.compute(
        ...     predictions=["A road by the river.", "Two planes."],
        ...     references=[["A road by a river.", "A road and a river"], ["Two planes", "A jet!"]],
        ...     metrics=["bleu", "rouge_l", "cider"],
        ... )
        >>> {name: round(scores[name], 4) for name in ("bleu_1", "bleu_4", "rouge_l", "cider")}
        {'bleu_1': 0.8571, 'bleu_4': 0.0001, 'rouge_l': 0.9, 'cider': 2.8292}
        >>> scores["signature"]
        'rs_caption|v1|tok:ptb-py|meteor:none|n:2|refs:2.0|empty:0'
    """

    COLUMNS: ClassVar = {
        "predictions": datasets.Value("string"),
        "references": datasets.List(datasets.Value("string")),
    }
    URLS: ClassVar = ["https://github.com/salaniz/pycocoevalcap"]
    MEASURE: ClassVar = staticmethod(measure)
