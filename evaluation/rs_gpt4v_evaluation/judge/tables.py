"""What a person reads of the results, and before them of what they will take."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rs_gpt4v_evaluation.judge import pairwise, pointwise
from rs_gpt4v_evaluation.judge.asking import Judge, requests
from rs_gpt4v_evaluation.judge.pairs import check_images, read_pairs
from rs_gpt4v_evaluation.rs_judge.rs_judge import GROUPS

_LISTED = 20


def estimate(files: Sequence[Path], against: Sequence[Path], judge: Judge) -> str:
    """What judging would take: sends nothing.

    Raises:
        PredictionFileError: The predictions cannot be judged.
    """
    pairs = read_pairs(files)
    if judge.with_image:
        check_images(pairs)
    if against:
        both = pairwise.matched(pairs, read_pairs(against))
        cases, asks = pairwise.cases_of(both, judge), "better"
    else:
        cases, asks = pointwise.cases_of(pairs, judge), "score"
    total = judge.estimate(requests(cases, asks, judge))
    return (
        f"{len(cases):,} pairs: {total}. A reply that cannot be used is asked for again, at most "
        "twice."
    )


def lines(found: pointwise.JudgeScore | pairwise.Comparison) -> Iterator[str]:
    """The scores of one model, or how two compare, a line each."""
    yield from _comparison_lines(found) if "duels" in found else _score_lines(found)


def _score_lines(found: pointwise.JudgeScore) -> Iterator[str]:
    scores = found["scores"]
    yield f"{found['file']}: {_model(found)}, judged by {_judge(found)}"
    for name in (*GROUPS, "all"):
        if name in scores:
            n = scores["n" if name == "all" else f"n_{name}"]
            yield f"  {name:20} {scores[name]:.3f}  ({n:,} pairs)"
    if scores["sd_between_repeats"] is not None:
        yield f"  {'sd between repeats':20} {scores['sd_between_repeats']:.3f}"
    if scores["sd_within_pairs"] is not None:
        yield f"  {'sd within a pair':20} {scores['sd_within_pairs']:.3f}"
    yield (
        f"  {found['n']:,} pairs: {scores['n']:,} scored ({found['empty']:,} of them empty answers,"
        f" scored 1), {scores['n_unparsed']:,} without a readable score,"
        f" {len(found['failed']):,} failed; {found['missing']:,} rows were not predicted"
    )
    yield f"  {scores['signature']}"
    yield from _tail(found)


def _comparison_lines(found: pairwise.Comparison) -> Iterator[str]:
    yield f"{found['file']}: A is {_model(found['a'])}, B is {_model(found['b'])},"
    yield f"  judged by {_judge(found)}"
    for name, duel in found["duels"].items():
        yield (
            f"  {name:14} A wins {duel['wins']:,}, ties {duel['ties']:,}, loses {duel['losses']:,}"
            f" of {duel['n']:,}; its share {_rate(duel['win_rate'])};"
            f" p = {duel['p_value']:.2g} (sign test, {duel['images']:,} images)"
        )
        yield (
            f"  {'':14} the order changed {duel['flips']:,} verdicts ({_rate(duel['flip_rate'])});"
            f" the first place won {_rate(duel['first_rate'])} of those without a tie"
        )
    yield (
        f"  {found['n']:,} rows in both: {len(found['unparsed']):,} with an unreadable verdict,"
        f" {len(found['failed']):,} failed; {found['unmatched']:,} rows in one only"
    )
    yield from _tail(found)


def _model(made_by: Mapping[str, Any]) -> str:
    return (
        f"{made_by['model']} with {made_by['adapter']}" if made_by["adapter"] else made_by["model"]
    )


def _judge(found: Mapping[str, Any]) -> str:
    judge = found["judge"]
    shown = "with the image" if judge["with_image"] else "without the image"
    return f"{judge['model']}, prompt {judge['prompt']}, {shown}"


def _rate(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _tail(found: Mapping[str, Any]) -> Iterator[str]:
    if len(found["served"]) > 1:
        yield f"  CAUTION: several models answered as the judge: {', '.join(found['served'])}"
    for status in ("unparsed", "failed"):
        ids = list(found[status])
        for pair in ids[:_LISTED]:
            yield f"  {status} {pair}: {found[status][pair][0]}"
        if len(ids) > _LISTED:
            yield f"  and {len(ids) - _LISTED:,} more; they are in {found['file']}"
    cost = found["cost_usd"]
    yield f"  cost {'not known' if cost is None else f'${cost:.4f}'}"
