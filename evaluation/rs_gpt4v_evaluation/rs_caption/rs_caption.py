"""BLEU-1..4, ROUGE_L and CIDEr of captions, equal to the COCO caption evaluation, without Java."""

from collections.abc import Sequence

import datasets
import evaluate

from rs_gpt4v_evaluation.ptb import tokenize
from rs_gpt4v_evaluation.rs_caption.bleu import corpus_bleu
from rs_gpt4v_evaluation.rs_caption.cider import cider
from rs_gpt4v_evaluation.rs_caption.ngrams import NgramCounts
from rs_gpt4v_evaluation.rs_caption.rouge import rouge_l

VERSION = 1

_DESCRIPTION = """
BLEU-1 to BLEU-4, ROUGE_L and CIDEr (CIDEr-D) of image captions against several references each, as
the COCO caption evaluation (pycocoevalcap) computes them on Penn Treebank tokens.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (`list` of `str`): One raw caption per image.
    references (`list` of `list` of `str`): The raw reference captions of each image, at least one;
        their number may differ from image to image. Keep the images' order.
Returns:
    `dict` with `bleu_1`, `bleu_2`, `bleu_3`, `bleu_4`, `rouge_l` (`float`, in [0, 1]), `cider`
    (`float`, in [0, 10]); higher is better; and `signature` (`str`): metric and version, tokeniser,
    images, mean references per image, captions without a token.
Examples:
    >>> metric = RSCaption()  # captions as long as a reference: no brevity penalty
    >>> scores = metric.compute(
    ...     predictions=["A road by the river.", "Two planes."],
    ...     references=[["A road by a river.", "A road and a river"], ["Two planes", "A jet!"]],
    ... )
    >>> {name: round(scores[name], 4) for name in ("bleu_1", "bleu_4", "rouge_l", "cider")}
    {'bleu_1': 0.8571, 'bleu_4': 0.0001, 'rouge_l': 0.9, 'cider': 2.8292}
    >>> scores["signature"]
    'rs_caption|v1|tok:ptb-py|n:2|refs:2.0|empty:0'
"""

_CITATION = """\
@article{chen2015cococaptions,
  title={Microsoft {COCO} Captions: Data Collection and Evaluation Server},
  author={Chen, Xinlei and Fang, Hao and Lin, Tsung-Yi and Vedantam, Ramakrishna and Gupta, Saurabh
          and Doll{\\'a}r, Piotr and Zitnick, C. Lawrence},
  journal={arXiv:1504.00325},
  year={2015}
}
"""


def score_captions(
    predictions: Sequence[str], references: Sequence[Sequence[str]]
) -> dict[str, float | str]:
    """Scores of raw captions, by name, with the signature; see `RSCaption` for their ranges.

    All references are tokenised as one batch and all predictions as another, in the order given,
    as COCO does: a final "x." is read by the word that follows it (see `ptb`).

    Raises:
        ValueError: There is nothing to score, or a row has no prediction or no references.
    """
    _check(predictions, references)
    candidates = tokenize(predictions)
    tokens = iter(tokenize([ref for refs in references for ref in refs]))
    tokenised = [[next(tokens) for _ in refs] for refs in references]
    ngrams = NgramCounts()
    bleu = corpus_bleu(candidates, tokenised, ngrams)
    refs_per_image = sum(map(len, references)) / len(references)
    return {
        **{f"bleu_{n}": score for n, score in enumerate(bleu, start=1)},
        "rouge_l": rouge_l(candidates, tokenised),
        "cider": cider(candidates, tokenised, ngrams),
        "signature": f"rs_caption|v{VERSION}|tok:ptb-py|n:{len(candidates)}"
        f"|refs:{refs_per_image:.1f}|empty:{candidates.count('')}",
    }


def _check(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if not predictions:
        raise ValueError("rs_caption has nothing to score: predictions are empty")
    if len(predictions) != len(references):
        raise ValueError(
            f"rs_caption needs one list of references per prediction, "
            f"got {len(predictions)} predictions and {len(references)} lists"
        )
    for index, (prediction, refs) in enumerate(zip(predictions, references, strict=True)):
        if prediction is None:
            raise ValueError(f"rs_caption: row {index} has no prediction (None); use '' if empty")
        if not refs or None in refs:
            raise ValueError(f"rs_caption: row {index} lacks references, got {refs!r}")


@evaluate.utils.file_utils.add_start_docstrings(_DESCRIPTION, _KWARGS_DESCRIPTION)
class RSCaption(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {
                    "predictions": datasets.Value("string"),
                    "references": datasets.List(datasets.Value("string")),
                }
            ),
            reference_urls=["https://github.com/salaniz/pycocoevalcap"],
        )

    def _compute(
        self, predictions: list[str], references: list[list[str]]
    ) -> dict[str, float | str]:
        return score_captions(predictions, references)
