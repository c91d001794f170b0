"""A score from 1 to 10 for every answer (Table 3 of RS-GPT4V)."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypedDict

from rs_gpt4v.chat_api import Summary
from rs_gpt4v.files import AnyPath, write_json_lines
from rs_gpt4v_evaluation.judge import prompts
from rs_gpt4v_evaluation.judge.asking import (
    Case,
    Judge,
    Unit,
    ask,
    total_usd,
    unasked,
)
from rs_gpt4v_evaluation.judge.lines import (
    ScoredPair,
    ScoreVerdict,
    distinct,
    read_lines,
    reasons,
    served,
)
from rs_gpt4v_evaluation.judge.pairs import Pair, check_images, read_pairs
from rs_gpt4v_evaluation.metric import DEFAULT_RULES, Measured
from rs_gpt4v_evaluation.predict.predictions import PredictedRows, PredictionFileError
from rs_gpt4v_evaluation.rs_judge.measure import LOWEST, METRIC


class JudgeScore(TypedDict):
    """What a file of verdicts is worth.

    ``scores`` are those of the metric rs_judge, over the pairs that did not fail. ``n`` counts all
    pairs of the file: the metric's ``n`` and ``n_unparsed``, and those that ``failed``. ``missing``
    are rows of the split that were not predicted, ``empty`` the answers that got a 1 unasked,
    ``served`` the models that judged, as the server named them. ``unparsed`` and ``failed`` give
    the reasons by the pairs' ids. ``cost_usd`` is that of all replies, None where not known.
    """

    file: str
    model: str
    adapter: str | None
    datasets: list[PredictedRows]
    judge: dict[str, Any]
    served: list[str]
    metric: str
    n: int
    missing: int
    empty: int
    unparsed: dict[str, list[str]]
    failed: dict[str, list[str]]
    cost_usd: float | None
    scores: dict[str, float | int | str | None]


def cases_of(pairs: Sequence[Pair], judge: Judge) -> list[Case]:
    """What is asked about each pair; an empty answer gets the lowest score, and nobody is asked."""

    def unit(pair: Pair, repeat: int) -> Unit:
        return Unit(
            f"{pair.id} {repeat}",
            repeat,
            lambda: prompts.messages(
                pair.question.group,
                pair.question,
                {"answer": pair.answer},
                judge.images(*pair.images),
            ),
        )

    lowest = [unasked(float(LOWEST), "the answer is empty")] * judge.repeats
    return [
        Case([unit(pair, repeat) for repeat in range(judge.repeats)], [])
        if pair.answer
        else Case([], lowest)
        for pair in pairs
    ]


def judge_files(files: Sequence[AnyPath], out: AnyPath, judge: Judge) -> list[Summary]:
    """Judge all pairs of the predictions ``files`` and write ``out``.

    ``out`` has one line per pair with its text, in the order of the predictions, also if it has no
    score.

    Returns:
        A summary of requests and cost for each round of asking.

    Raises:
        PredictionFileError: The predictions cannot be judged; see `read_pairs` and `check_images`.
        ChatError: The judge failed or stopped answering; the same call continues.
    """
    files = [Path(file) for file in files]
    pairs = read_pairs(files)
    if judge.with_image:
        check_images(pairs)
    judged = ask(cases_of(pairs, judge), "score", judge)
    lines = [
        {
            **pair.asked,
            "answer": pair.answer,
            "verdicts": verdicts,
            "judge": judged.judge.described("score"),
            **pair.made_by,
        }
        for pair, verdicts in zip(pairs, judged.verdicts, strict=True)
    ]
    write_json_lines(out, lines)
    return judged.summaries


def judge_scores(path: AnyPath) -> JudgeScore:
    """The scores of a file that `judge_files` wrote.

    Raises:
        PredictionFileError: The file is damaged, or no pair in it has a score.
    """
    path = Path(path)
    return scores_of(judged_lines(path), path)


def judged_lines(path: Path) -> list[ScoredPair]:
    """The lines of a file that `judge_files` wrote: pairs with their words and verdicts.

    Raises:
        PredictionFileError: The file is damaged, or something else.
    """
    return read_lines(path, ScoredPair, "rs-gpt4v judge, without --against")


def scores_of(lines: list[ScoredPair], path: Path) -> JudgeScore:
    """The scores of `judged_lines`; ``path`` is what messages call them.

    Raises:
        PredictionFileError: No pair has a score.
    """
    failed = reasons(lines, "failed")
    judged = usable(lines)
    first, rows = lines[0], distinct(line["dataset"] for line in lines)
    return {
        "file": str(path),
        "model": first["model"],
        "adapter": first["adapter"],
        "datasets": rows,
        "judge": dict(first["judge"]),
        "served": served(lines),
        "metric": METRIC.name,
        "n": len(lines),
        "missing": sum(dataset["rows"] for dataset in rows) - len(lines),
        "empty": sum(verdicts[0]["status"] == "unasked" for verdicts in _verdicts(lines)),
        "unparsed": reasons(judged, "unparsed"),
        "failed": failed,
        "cost_usd": total_usd(verdict["cost_usd"] for own in _verdicts(lines) for verdict in own),
        "scores": measured(judged, path).result,
    }


def usable(lines: list[ScoredPair]) -> list[ScoredPair]:
    """The lines that the metric counts: those that did not fail, or all if none did not."""
    failed = reasons(lines, "failed")
    return [line for line in lines if line["id"] not in failed] or lines


def measured(lines: list[ScoredPair], path: Path) -> Measured:
    """What the metric finds in `usable` lines.

    Raises:
        PredictionFileError: No pair has a score.
    """
    if all(verdict["value"] is None for own in _verdicts(lines) for verdict in own):
        reason = lines[0]["verdicts"][0]["reason"]
        raise PredictionFileError(f"{path}: no pair has a score. Of {lines[0]['id']}: {reason}")
    return METRIC.measure(lines, DEFAULT_RULES)


def _verdicts(lines: Iterable[ScoredPair]) -> list[list[ScoreVerdict]]:
    return [line["verdicts"] for line in lines]
