"""BLEU, METEOR, ROUGE_L and CIDEr of captions, as in the COCO caption evaluation, without Java."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rs_gpt4v.bootstrap import Sums, joined
from rs_gpt4v_evaluation import metric
from rs_gpt4v_evaluation.metric import Mark, Measured, Metric, Rules
from rs_gpt4v_evaluation.predict.predictions import Prediction
from rs_gpt4v_evaluation.rs_caption.bleu import bleu_counts, bleu_scores
from rs_gpt4v_evaluation.rs_caption.cider import similarities
from rs_gpt4v_evaluation.rs_caption.meteor import EXTRA, missing
from rs_gpt4v_evaluation.rs_caption.ngrams import NgramCounts
from rs_gpt4v_evaluation.rs_caption.ptb import tokenize
from rs_gpt4v_evaluation.rs_caption.rouge import rouge_l
from rs_gpt4v_evaluation.rs_caption.spice import find_spice, image_scores

VERSION = 1
METRICS = ("bleu", "meteor", "rouge_l", "cider")
"""What is computed unless a caller chooses; METEOR asks for the extra `meteor`."""

_KNOWN = (*METRICS, "spice")

METEOR_BEAM = 40  # of METEOR's search

Backend = Literal["python", "java"]


@dataclass(frozen=True)
class CaptionsMeasured(Measured):
    """With the CIDEr of each caption, in [0, 10], if that was asked for."""

    ciders: Sequence[float] = ()


def measure(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    metrics: Sequence[str] = METRICS,
    meteor_backend: Backend = "python",
) -> CaptionsMeasured:
    """Scores of raw captions, with what each caption adds; see `RSCaption` for their ranges.

    All references are tokenised as one batch and all predictions as another, in the order given,
    as COCO does: a final "x." is read by the word that follows it (see `ptb`). CIDEr weighs n-grams
    by the references of all.

    Raises:
        ValueError: There is nothing to score, a row has no prediction or no references, or a
            metric or backend is unknown.
        ImportError: METEOR is asked for without its extra, or SPICE without pycocoevalcap.
        FileNotFoundError: SPICE is asked for without CoreNLP or Java.
        RuntimeError: SPICE is asked for with another Java than 8 to 14.
    """
    metric.check_columns("rs_caption", predictions=predictions, references=references)
    metric.check_references("rs_caption", references)
    _check_options(metrics, meteor_backend)
    program = find_spice() if "spice" in metrics else None
    candidates = tokenize(predictions)
    tokens = iter(tokenize([ref for refs in references for ref in refs]))
    tokenised = [[next(tokens) for _ in refs] for refs in references]
    ngrams = NgramCounts()
    parts: dict[str, Callable[[], Sums]] = {
        "bleu": lambda: _bleu(bleu_counts(candidates, tokenised, ngrams)),
        "meteor": lambda: _METEOR[meteor_backend](candidates, tokenised),
        "rouge_l": lambda: _mean("rouge_l", rouge_l(candidates, tokenised)),
        "cider": lambda: _mean("cider", similarities(candidates, tokenised, ngrams), 10),
    }
    if program:
        parts["spice"] = lambda: _mean("spice", image_scores(candidates, tokenised, program))
    sums = {name: part() for name, part in parts.items() if name in metrics}
    signature = _signature(candidates, references, metrics, meteor_backend)
    if program:
        signature += f"|spice:{program.signature}"
    ciders = (10 * sums["cider"].rows[:, 0]).tolist() if "cider" in sums else []
    return CaptionsMeasured(joined([*sums.values()]), signature, ciders=ciders)


def _bleu(counts: Sequence[Sequence[int]]) -> Sums:
    def scores(sums: np.ndarray) -> dict[str, np.ndarray]:
        return {f"bleu_{n}": score for n, score in enumerate(bleu_scores(sums), start=1)}

    return Sums(np.array(counts, float), scores, {})


def _mean(name: str, items: Iterable[float], factor: float = 1) -> Sums:
    rows = np.array([(item, 1) for item in items], float)
    return Sums(rows, lambda sums: {name: factor * sums[..., 0] / sums[..., 1]}, {})


def _meteor(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Sums:
    from rs_gpt4v_evaluation.rs_caption.meteor.meteor import scores, summands  # needs the extra

    def meteor(sums: np.ndarray) -> dict[str, np.ndarray]:
        values = scores(sums.reshape(-1, sums.shape[-1]))
        return {"meteor": values.reshape(sums.shape[:-1])}

    return Sums(summands(candidates, references).astype(float), meteor, {})


def _meteor_of_jar(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Sums:
    """The jar tells the score of all captions, and nothing from which that of others follows."""
    from rs_gpt4v_evaluation.rs_caption.meteor.jar import meteor_of_jar

    score = meteor_of_jar(candidates, references)[0]
    return Sums(
        np.zeros((len(candidates), 0)), lambda sums: {"meteor": np.full(sums.shape[:-1], score)}, {}
    )


_METEOR = {"python": _meteor, "java": _meteor_of_jar}


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
    if not metrics or not set(metrics).issubset(_KNOWN):
        raise ValueError(f"rs_caption has the metrics {', '.join(_KNOWN)}, got {metrics!r}")
    if meteor_backend not in ("python", "java"):
        raise ValueError(f"meteor_backend is 'python' or 'java', got {meteor_backend!r}")
    absent = missing() if "meteor" in metrics and meteor_backend == "python" else []
    if absent:
        others = tuple(name for name in metrics if name != "meteor")
        raise ImportError(
            f"METEOR needs {', '.join(absent)}: {EXTRA}. Or score without it: metrics={others!r}"
        )


def _measure(rows: list[Prediction], _: Rules) -> CaptionsMeasured:
    """With METEOR where it is installed."""
    metrics = [name for name in METRICS if name != "meteor" or not missing()]
    columns = [row["prediction"] for row in rows], [row["references"] for row in rows]
    return measure(*columns, metrics)


def _marks(_: list[Prediction], measured: CaptionsMeasured) -> list[Mark]:
    return [Mark(value=value) for value in measured.ciders]


METRIC = Metric(
    "rs_caption",
    tasks=("caption", "region_caption"),
    measure=_measure,
    marks=_marks,
    labels={
        **{f"bleu_{n}": f"BLEU-{n}" for n in range(1, 5)},
        "meteor": "METEOR",
        "rouge_l": "ROUGE-L",
        "cider": "CIDEr",
        "spice": "SPICE",
    },
    headline="cider",
    value="CIDEr",
    note="CIDEr runs from 0 to 10, the others from 0 to 1; higher is better.",
)
