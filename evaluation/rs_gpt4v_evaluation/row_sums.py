"""What each row adds to the sums behind a metric's scores: see `rs_gpt4v_evaluation.bootstrap`."""

from collections.abc import Callable, Sequence

import numpy as np

from rs_gpt4v_evaluation.bootstrap import Sums, joined
from rs_gpt4v_evaluation.ptb import tokenize
from rs_gpt4v_evaluation.rs_caption.bleu import bleu_counts, bleu_scores
from rs_gpt4v_evaluation.rs_caption.cider import ciders
from rs_gpt4v_evaluation.rs_caption.meteor_files import missing
from rs_gpt4v_evaluation.rs_caption.rouge import rouge_l_items
from rs_gpt4v_evaluation.rs_grounding.rs_grounding import Grounded, reached


def answer_sums(right: np.ndarray, question_types: Sequence[str]) -> Sums:
    """The scores of `rs_vqa`: ``accuracy_<type>``, ``aa`` over the types present, and ``oa``."""
    names = sorted(set(question_types))
    number = {name: place for place, name in enumerate(names)}
    is_type = np.eye(len(names))[[number[kind] for kind in question_types]]

    def scores(sums: np.ndarray) -> dict[str, np.ndarray]:
        hits, n = sums[..., : len(names)], sums[..., len(names) :]
        with np.errstate(invalid="ignore"):  # a draw may lack a type
            accuracy = hits / n
        each = {f"accuracy_{name}": accuracy[..., place] for name, place in number.items()}
        return {**each, "aa": np.nanmean(accuracy, -1), "oa": hits.sum(-1) / n.sum(-1)}

    binary = {f"accuracy_{name}": [place] for name, place in number.items()}
    binary["oa"] = list(number.values())
    return Sums(np.hstack([is_type * right[:, None], is_type]), scores, binary)


def box_sums(grounded: Grounded, *, strict: bool = False) -> Sums:
    """The scores of `rs_grounding`."""
    hits = reached(grounded.ious, strict=strict)
    areas = grounded.intersections, grounded.unions
    rows = np.column_stack([*hits.values(), grounded.ious, *areas, np.ones(len(grounded.unions))])

    def scores(sums: np.ndarray) -> dict[str, np.ndarray]:
        means = sums[..., :-3] / sums[..., -1:]
        found = {name: means[..., place] for place, name in enumerate([*hits, "mean_iou"])}
        return {**found, "cumulative_iou": sums[..., -3] / sums[..., -2]}

    return Sums(rows, scores, {name: [place] for place, name in enumerate(hits)})


def caption_sums(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Sums:
    """The scores of `rs_caption`; CIDEr weighs n-grams by the references of all rows."""
    candidates = tokenize(predictions)
    tokens = iter(tokenize([ref for refs in references for ref in refs]))
    tokenised = [[next(tokens) for _ in refs] for refs in references]
    parts = [*_CAPTION_PARTS, *([] if missing() else [_meteor])]
    return joined([part(candidates, tokenised) for part in parts])


def judge_sums(scores: Sequence[float], groups: Sequence[str]) -> Sums:
    """The scores of `rs_judge`: the mean of each group present, and of ``all``."""
    names = list(dict.fromkeys(groups))
    is_group = np.array([[group == name for name in names] + [True] for group in groups], float)
    rows = np.hstack([is_group * np.array(scores)[:, None], is_group])

    def means(sums: np.ndarray) -> dict[str, np.ndarray]:
        totals, n = np.split(sums, 2, axis=-1)
        with np.errstate(invalid="ignore"):  # a draw may lack a group
            found = totals / n
        return {name: found[..., place] for place, name in enumerate([*names, "all"])}

    return Sums(rows, means, {})


def _bleu(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Sums:
    def scores(sums: np.ndarray) -> dict[str, np.ndarray]:
        return {f"bleu_{n}": score for n, score in enumerate(bleu_scores(sums), start=1)}

    return Sums(np.array(bleu_counts(candidates, references), float), scores, {})


def _meteor(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Sums:
    from rs_gpt4v_evaluation.rs_caption.meteor import meteor, statistics  # needs the extra

    rows = meteor.summands(meteor.best_statistics(candidates, references))

    def scores(sums: np.ndarray) -> dict[str, np.ndarray]:
        found = statistics.scores(sums.reshape(-1, sums.shape[-1]))
        return {"meteor": found.reshape(sums.shape[:-1])}

    return Sums(rows.astype(float), scores, {})


def _rouge_l(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Sums:
    return _mean("rouge_l", rouge_l_items(candidates, references))


def _cider(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> Sums:
    return _mean("cider", ciders(candidates, references))


def _mean(name: str, items: Sequence[float]) -> Sums:
    rows = np.column_stack([items, np.ones(len(items))])
    return Sums(rows, lambda sums: {name: sums[..., 0] / sums[..., 1]}, {})


_CAPTION_PARTS: list[Callable[[Sequence[str], Sequence[Sequence[str]]], Sums]] = [
    _bleu,
    _rouge_l,
    _cider,
]
