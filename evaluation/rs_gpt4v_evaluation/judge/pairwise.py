"""Which of two models answers better: both orders asked, as judges favour a place."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from math import comb
from pathlib import Path
from statistics import fmean
from typing import Any, TypedDict

from rs_gpt4v.chat_api import Summary
from rs_gpt4v.files import AnyPath, write_json_lines
from rs_gpt4v_evaluation.judge import prompts
from rs_gpt4v_evaluation.judge.asking import (
    Case,
    Judge,
    Unit,
    Verdict,
    ask,
    total_usd,
    unasked,
)
from rs_gpt4v_evaluation.judge.lines import (
    ComparedPair,
    read_lines,
    reasons,
    served,
)
from rs_gpt4v_evaluation.judge.pairs import Pair, check_images, read_pairs
from rs_gpt4v_evaluation.predict.predictions import PredictionFileError
from rs_gpt4v_evaluation.rs_judge.measure import GROUPS

_ORDERS = ("ab", "ba")


class Duel(TypedDict):
    """How A fares against B on pairs of questions; counts are of those that both orders judged.

    ``win_rate`` is A's share of the verdicts, a tie being half of one. A pair is a win if its share
    is above one half. ``flips`` are verdicts that changed with the order of the answers, and
    ``first_rate`` is the share of the first place in verdicts for a place: 0.5 without bias.
    ``p_value`` is that of a two-sided sign test in which an image counts once, as pairs about one
    image are not independent.
    """

    n: int
    wins: int
    ties: int
    losses: int
    win_rate: float | None
    p_value: float
    images: int
    flips: int
    flip_rate: float | None
    first_rate: float | None
    unasked: int


def matched(a: Sequence[Pair], b: Sequence[Pair]) -> list[tuple[Pair, Pair]]:
    """The answers of both models to the same questions, in the order of ``a``.

    Raises:
        PredictionFileError: A row is not the same question in both, or they share no row.
    """
    others = {pair.id: pair for pair in b}
    both = [(pair, others[pair.id]) for pair in a if pair.id in others]
    for ours, theirs in both:
        if ours.question != theirs.question:
            raise PredictionFileError(
                f"{ours.id} is not the same question in both files: they are of different data"
            )
    if not both:
        raise PredictionFileError("the two models have no row in common: nothing to compare")
    return both


def compare_files(
    a: Sequence[AnyPath], b: Sequence[AnyPath], out: AnyPath, judge: Judge
) -> list[Summary]:
    """Compare the answers of A and B in both orders, and write one line per question to ``out``.

    Returns:
        A summary of requests and cost for each round of asking.

    Raises:
        PredictionFileError: The predictions cannot be compared.
        ChatError: The judge failed or stopped answering; the same call continues.
    """
    a = [Path(file) for file in a]
    b = [Path(file) for file in b]
    ours, theirs = read_pairs(a), read_pairs(b)
    pairs = matched(ours, theirs)
    if judge.with_image:
        check_images(own for own, _ in pairs)
    judged = ask(cases_of(pairs, judge), "better", judge)
    constants = {
        "judge": judged.judge.described("better"),
        "a": dict(ours[0].made_by),
        "b": dict(theirs[0].made_by),
        "unmatched": len(ours) + len(theirs) - 2 * len(pairs),
    }
    lines = [
        {
            **own.asked,
            "answers": {"a": own.answer, "b": other.answer},
            "verdicts": verdicts,
            **constants,
        }
        for (own, other), verdicts in zip(pairs, judged.verdicts, strict=True)
    ]
    write_json_lines(out, lines)
    return judged.summaries


def cases_of(pairs: Iterable[tuple[Pair, Pair]], judge: Judge) -> list[Case]:
    """What is asked: of each repeat, A's answer first and then B's answer first.

    Equal answers are a tie, and an empty one loses, without asking.
    """

    def unit(ours: Pair, theirs: Pair, repeat: int, order: str) -> Unit:
        first, second = (ours, theirs) if order == "ab" else (theirs, ours)
        return Unit(
            f"{ours.id} {repeat} {order}",
            repeat,
            lambda: prompts.messages(
                "pairwise",
                ours.question,
                {"first": first.answer, "second": second.answer},
                judge.images(*ours.images),
            ),
        )

    def case(ours: Pair, theirs: Pair) -> Case:
        if ours.answer == theirs.answer:
            return Case([], [unasked("tie", "the answers are equal")] * 2 * judge.repeats)
        if ours.answer and theirs.answer:
            repeats = range(judge.repeats)
            return Case([unit(ours, theirs, repeat, o) for repeat in repeats for o in _ORDERS], [])
        winners = ("first", "second") if ours.answer else ("second", "first")
        plain = [unasked(winner, "the other answer is empty") for winner in winners]
        return Case([], plain * judge.repeats)

    return [case(ours, theirs) for ours, theirs in pairs]


# --- Scores --------------------------------------------------------------------------------------


class Comparison(TypedDict):
    """What a file of comparisons says, for each group and for "all"; see `Duel`.

    ``unmatched`` are rows that only one of the models answered. ``unparsed`` and ``failed`` give
    the reasons by the rows' ids; ``cost_usd`` is that of all replies, None where not known.
    """

    file: str
    a: dict[str, Any]
    b: dict[str, Any]
    judge: dict[str, Any]
    served: list[str]
    n: int
    unmatched: int
    unparsed: dict[str, list[str]]
    failed: dict[str, list[str]]
    cost_usd: float | None
    duels: dict[str, Duel]


def comparison(path: AnyPath) -> Comparison:
    """The result of a file that `compare_files` wrote.

    Raises:
        PredictionFileError: The file is damaged.
    """
    path = Path(path)
    lines = read_lines(path, ComparedPair, "rs-gpt4v judge --against")
    first = lines[0]
    by_group = {name: [line for line in lines if line["group"] == name] for name in GROUPS}
    return {
        "file": str(path),
        "a": dict(first["a"]),
        "b": dict(first["b"]),
        "judge": dict(first["judge"]),
        "served": served(lines),
        "n": len(lines),
        "unmatched": first["unmatched"],
        "unparsed": reasons(lines, "unparsed"),
        "failed": reasons(lines, "failed"),
        "cost_usd": total_usd(ours["cost_usd"] for line in lines for ours in line["verdicts"]),
        "duels": {name: _duel(own) for name, own in (by_group | {"all": lines}).items() if own},
    }


def _duel(lines: Iterable[Mapping[str, Any]]) -> Duel:
    whole = [line for line in lines if all(verdict["value"] for verdict in line["verdicts"])]
    shares = [shares_of_a(line["verdicts"]) for line in whole]
    means = [fmean(own) for own in shares]
    by_image: dict[str, list[float]] = {}
    for line, mean in zip(whole, means, strict=True):
        by_image.setdefault(line["image"] or line["id"], []).append(mean - 0.5)
    # What the order of the answers did, in the verdicts for which the judge was asked.
    asked = [line["verdicts"] for line in whole if line["verdicts"][0]["status"] == "judged"]
    turned = [
        pair for own in map(shares_of_a, asked) for pair in zip(own[::2], own[1::2], strict=True)
    ]
    flips = sum(ours != other for ours, other in turned)
    chosen = [verdict["value"] for own in asked for verdict in own if verdict["value"] != "tie"]
    return {
        "n": len(whole),
        "wins": sum(mean > 0.5 for mean in means),
        "ties": sum(mean == 0.5 for mean in means),
        "losses": sum(mean < 0.5 for mean in means),
        "win_rate": fmean(means) if means else None,
        "p_value": sign_test([sum(own) for own in by_image.values()]),
        "images": len(by_image),
        "flips": flips,
        "flip_rate": flips / len(turned) if turned else None,
        "first_rate": chosen.count("first") / len(chosen) if chosen else None,
        "unasked": len(whole) - len(asked),
    }


def shares_of_a(verdicts: Sequence[Verdict]) -> list[float]:
    """A's share of each verdict: 1, 0, or 0.5 for a tie; A's answer is first in every other one."""
    return [
        0.5
        if verdict["value"] == "tie"
        else float((verdict["value"] == "first") == (order == "ab"))
        for verdict, order in zip(verdicts, cycle(_ORDERS), strict=False)
    ]


def sign_test(differences: Iterable[float]) -> float:
    """Exact two-sided p-value that positive and negative differences are equally likely.

    Zeros say nothing and are left out.

    >>> sign_test([1, 2, 3, 4, 5, -1, 0])
    0.21875
    >>> sign_test([0, 0])
    1.0
    """
    signs = [difference > 0 for difference in differences if difference]
    rarer = min(signs.count(True), signs.count(False))
    tail = sum(comb(len(signs), k) for k in range(rarer + 1))
    return min(1.0, 2 * tail / 2 ** len(signs))
