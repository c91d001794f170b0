"""BLEU, METEOR, ROUGE_L and CIDEr of captions, as in the COCO caption evaluation, without Java."""

from collections.abc import Sequence
from typing import Literal

import datasets
import evaluate

from rs_gpt4v_evaluation.ptb import tokenize
from rs_gpt4v_evaluation.rs_caption.bleu import corpus_bleu
from rs_gpt4v_evaluation.rs_caption.cider import cider
from rs_gpt4v_evaluation.rs_caption.meteor_files import EXTRA, missing
from rs_gpt4v_evaluation.rs_caption.ngrams import NgramCounts
from rs_gpt4v_evaluation.rs_caption.rouge import rouge_l
from rs_gpt4v_evaluation.rs_caption.scene_metrics import NAMES, scene_metrics

VERSION = 1
METRICS = ("bleu", "meteor", "rouge_l", "cider")
"""What is computed unless a caller chooses; METEOR asks for the extra `meteor`."""

METEOR_BEAM = 40  # of METEOR's search

Backend = Literal["python", "java"]

_DESCRIPTION = """
BLEU-1 to BLEU-4, METEOR 1.5, ROUGE_L and CIDEr (CIDEr-D) of image captions against several
references each, as the COCO caption evaluation (pycocoevalcap) computes them on Penn Treebank
tokens.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (`list` of `str`): One raw caption per image.
    references (`list` of `list` of `str`): The raw reference captions of each image, at least one;
        their number may differ from image to image. Keep the images' order.
    metrics (`Sequence` of `str`): Some of "bleu", "meteor", "rouge_l", "cider"; default: all four.
        METEOR needs `pip install "rs-gpt4v[meteor]"` and raises `ImportError` without it. Also
        "spice" (with CoreNLP and Java of your own) and "spice_approx", which is not SPICE; see the
        card for what they need.
    meteor_backend (`str`): "python" (default), or "java" to run METEOR's own jar.
Returns:
    `dict` with `bleu_1`, `bleu_2`, `bleu_3`, `bleu_4`, `meteor`, `rouge_l` (`float`, in [0, 1]),
    `cider` (`float`, in [0, 10]); higher is better; and `signature` (`str`): metric and version,
    tokeniser, METEOR's version, language, beam and code, images, mean references per image,
    captions without a token. `spice` and `spice_approx` (`float`, in [0, 1]) if asked for, with
    their parsers' versions at the end of the signature.
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
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    metrics: Sequence[str] = METRICS,
    meteor_backend: Backend = "python",
) -> dict[str, float | str]:
    """Scores of raw captions, by name, with the signature; see `RSCaption` for their ranges.

    All references are tokenised as one batch and all predictions as another, in the order given,
    as COCO does: a final "x." is read by the word that follows it (see `ptb`).

    Raises:
        ValueError: There is nothing to score, a row has no prediction or no references, or a
            metric or backend is unknown.
        ImportError: METEOR or spice_approx is asked for without its extra.
        FileNotFoundError: SPICE is asked for without CoreNLP or Java.
        RuntimeError: SPICE is asked for with another Java than 8 to 14.
    """
    _check(predictions, references)
    _check_options(metrics, meteor_backend)
    scenes = scene_metrics(metrics)
    candidates = tokenize(predictions)
    tokens = iter(tokenize([ref for refs in references for ref in refs]))
    tokenised = [[next(tokens) for _ in refs] for refs in references]
    ngrams = NgramCounts()
    scores: dict[str, float | str] = {}
    if "bleu" in metrics:
        bleu = corpus_bleu(candidates, tokenised, ngrams)
        scores |= {f"bleu_{n}": score for n, score in enumerate(bleu, start=1)}
    if "meteor" in metrics:
        scores["meteor"] = _meteor(candidates, tokenised, meteor_backend)
    if "rouge_l" in metrics:
        scores["rouge_l"] = rouge_l(candidates, tokenised)
    if "cider" in metrics:
        scores["cider"] = cider(candidates, tokenised, ngrams)
    scores |= {name: metric.score(candidates, tokenised) for name, metric in scenes.items()}
    scores["signature"] = _signature(candidates, references, metrics, meteor_backend) + "".join(
        f"|{name}:{metric.versions}" for name, metric in scenes.items()
    )
    return scores


def _meteor(
    candidates: Sequence[str], references: Sequence[Sequence[str]], backend: Backend
) -> float:
    """The corpus score of METEOR. Its modules are imported here: they need the extra."""
    if backend == "java":
        from rs_gpt4v_evaluation.rs_caption.meteor.jar import meteor_of_jar

        return meteor_of_jar(candidates, references)[0]
    from rs_gpt4v_evaluation.rs_caption.meteor.meteor import meteor

    return meteor(candidates, references)[0]


def _signature(
    candidates: Sequence[str],
    references: Sequence[Sequence[str]],
    metrics: Sequence[str],
    backend: Backend,
) -> str:
    refs_per_image = sum(map(len, references)) / len(references)
    code = {"python": "py", "java": "jar"}[backend]
    meteor = f"1.5-en-beam{METEOR_BEAM}-{code}" if "meteor" in metrics else "none"
    return (
        f"rs_caption|v{VERSION}|tok:ptb-py|meteor:{meteor}|n:{len(candidates)}"
        f"|refs:{refs_per_image:.1f}|empty:{candidates.count('')}"
    )


def _check_options(metrics: Sequence[str], meteor_backend: str) -> None:
    known = (*METRICS, *NAMES)
    if not metrics or not set(metrics).issubset(known):
        raise ValueError(f"rs_caption has the metrics {', '.join(known)}, got {metrics!r}")
    if meteor_backend not in ("python", "java"):
        raise ValueError(f"meteor_backend is 'python' or 'java', got {meteor_backend!r}")
    absent = missing() if "meteor" in metrics and meteor_backend == "python" else []
    if absent:
        others = tuple(name for name in metrics if name != "meteor")
        raise ImportError(
            f"METEOR needs {', '.join(absent)}: {EXTRA}. Or score without it: metrics={others!r}"
        )


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
        self,
        predictions: list[str],
        references: list[list[str]],
        metrics: Sequence[str] = METRICS,
        meteor_backend: Backend = "python",
    ) -> dict[str, float | str]:
        return score_captions(predictions, references, metrics, meteor_backend)
