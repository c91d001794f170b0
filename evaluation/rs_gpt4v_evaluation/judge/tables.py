"""What a person reads of the results, and before them of what they will take."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rs_gpt4v.files import AnyPath
from rs_gpt4v_evaluation.judge import pairwise, pointwise
from rs_gpt4v_evaluation.judge.asking import Judge, requests
from rs_gpt4v_evaluation.judge.pairs import check_images, read_pairs
from rs_gpt4v_evaluation.rs_judge.measure import GROUPS

_LISTED = 20


def estimate(files: Sequence[AnyPath], against: Sequence[AnyPath], judge: Judge) -> str:
    """What judging would take: sends nothing.

    Raises:
        PredictionFileError: The predictions cannot be judged.
    """
    files = [Path(file) for file in files]
    against = [Path(file) for file in against]
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


def lines(result: pointwise.JudgeScore | pairwise.Comparison) -> Iterator[str]:
    """The scores of one model, or how two compare, a line each."""
    yield from _comparison_lines(result) if "duels" in result else _score_lines(result)


def _score_lines(result: pointwise.JudgeScore) -> Iterator[str]:
    scores = result["scores"]
    yield f"{result['file']}: {_model(result)}, judged by {_judge(result)}"
    for name in (*GROUPS, "all"):
        if name in scores:
            n = scores["n" if name == "all" else f"n_{name}"]
            yield f"  {name:20} {scores[name]:.3f}  ({n:,} pairs)"
    if scores["sd_between_repeats"] is not None:
        yield f"  {'sd between repeats':20} {scores['sd_between_repeats']:.3f}"
    if scores["sd_within_pairs"] is not None:
        yield f"  {'sd within a pair':20} {scores['sd_within_pairs']:.3f}"
    yield (
        f"  {result['n']:,} pairs: {scores['n']:,} scored ({result['empty']:,} of them empty"
        f" answers, scored 1), {scores['n_unparsed']:,} without a readable score,"
        f" {len(result['failed']):,} failed; {result['missing']:,} rows were not predicted"
    )
    yield f"  {scores['signature']}"
    yield from _tail(result)


def _comparison_lines(result: pairwise.Comparison) -> Iterator[str]:
    yield f"{result['file']}: A is {_model(result['a'])}, B is {_model(result['b'])},"
    yield f"  judged by {_judge(result)}"
    for name, duel in result["duels"].items():
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
        f"  {result['n']:,} rows in both: {len(result['unparsed']):,} with an unreadable verdict,"
        f" {len(result['failed']):,} failed; {result['unmatched']:,} rows in one only"
    )
    yield from _tail(result)


def _model(made_by: Mapping[str, Any]) -> str:
    return (
        f"{made_by['model']} with {made_by['adapter']}" if made_by["adapter"] else made_by["model"]
    )


def _judge(result: Mapping[str, Any]) -> str:
    judge = result["judge"]
    shown = "with the image" if judge["with_image"] else "without the image"
    return f"{judge['model']}, prompt {judge['prompt']}, {shown}"


def _rate(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _tail(result: Mapping[str, Any]) -> Iterator[str]:
    if len(result["served"]) > 1:
        yield f"  CAUTION: several models answered as the judge: {', '.join(result['served'])}"
    for status in ("unparsed", "failed"):
        ids = list(result[status])
        for pair in ids[:_LISTED]:
            yield f"  {status} {pair}: {result[status][pair][0]}"
        if len(ids) > _LISTED:
            yield f"  and {len(ids) - _LISTED:,} more; they are in {result['file']}"
    cost = result["cost_usd"]
    yield f"  cost {'not known' if cost is None else f'${cost:.4f}'}"
