"""A file of a judge's scores as a column: the answers, with the scores and the judge's reasons."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rs_gpt4v.bootstrap import Sums
from rs_gpt4v_evaluation.judge.lines import ScoredPair, ScoreVerdict, distinct
from rs_gpt4v_evaluation.judge.pointwise import JudgeScore, measured, scores_of, usable
from rs_gpt4v_evaluation.predict.predictions import PredictedRows
from rs_gpt4v_evaluation.report.columns import Column, Row
from rs_gpt4v_evaluation.rs_judge.measure import METRIC
from rs_gpt4v_evaluation.score import Score, intervals_of, signature


def judged_column(
    lines: list[ScoredPair], path: Path, resamples: int, pool: dict[Any, Any]
) -> Column:
    """The lines of a judged file as a column, yet without a label.

    Args:
        lines: Of `judged_lines`.
        path: Where they are from.
        resamples: For the bootstrap of the intervals; 0 for none.
        pool: Keeps equal values once.

    Raises:
        PredictionFileError: No pair has a score.
    """
    judged = usable(lines)
    result = measured(judged, path)
    marks = METRIC.marks(judged, result)
    values = {line["id"]: mark.value for line, mark in zip(judged, marks, strict=True)}
    rows = [_row(line, values.get(line["id"]), pool) for line in lines]
    return Column(
        label="",
        score=_score(scores_of(lines, path), result.sums, rows, resamples),
        metric=METRIC,
        scores=result.sums.total(),
        counts={**result.counts, "failed": len(lines) - len(judged)},
        weights=lines[0]["weights"],
        decodings=distinct(line["decoding"] for line in lines),
        rows=rows,
    )


def _row(line: ScoredPair, value: float | None, pool: dict[Any, Any]) -> Row:
    row = Row(
        id=line["id"],
        source=line["source"],
        task=line["group"],
        kind=None,
        image=line["image"],
        prompt=line["prompt"],
        references=tuple(line["references"]),
        reply=line["answer"],
        truth=(),
        size=(0, 0),
        right=None,
        value=value,
        boxes=None,
        reason=_reason(line["verdicts"]),
        history=tuple(message["content"] for message in line["history"]),
        further_images=len(line.get("further_images", ())),
    )
    return Row._make(map(pool.setdefault, row, row))


def _reason(verdicts: Sequence[ScoreVerdict]) -> str:
    """What the judge said; with its score before it, where it was asked several times."""
    if len(verdicts) == 1:
        return verdicts[0]["reason"]
    scores = ["no score" if v["value"] is None else f"{v['value']:g}" for v in verdicts]
    return "\n".join(f"{s}: {v['reason']}" for s, v in zip(scores, verdicts, strict=True))


def _score(judged: JudgeScore, sums: Sums, rows: list[Row], resamples: int) -> Score:
    """The score in the form of those that need no judge; its rule is who judged, and how."""
    dataset = _merged(judged["datasets"])
    about = [row.image or row.id for row in rows if row.value is not None]
    scored = sums._replace(rows=sums.rows[sums.rows[:, -1] > 0])
    whole = str(judged["scores"]["signature"])
    return {
        "file": judged["file"],
        "model": judged["model"],
        "adapter": judged["adapter"],
        "dataset": dataset,
        "task": "judged",
        "metric": judged["metric"],
        "n": judged["n"],
        "missing": judged["missing"],
        "scores": {key: value for key, value in judged["scores"].items() if value is not None},
        "rule": judged["judge"] | {"served": judged["served"], "failed": len(judged["failed"])},
        "intervals": intervals_of(scored, about, resamples),
        "unparsed": {row: reasons[0] for row, reasons in judged["unparsed"].items()},
        "skipped": {},
        "notes": [],
        "signature": signature(whole, judged["missing"], dataset, about, resamples),
    }


def _merged(datasets: Sequence[PredictedRows]) -> PredictedRows:
    """The rows of several configs as those of one, whatever their order in the file."""
    parts = sorted(datasets, key=lambda rows: (rows["config"], rows["split"], rows["protocol"]))

    def named(key: str) -> str:
        return " + ".join(distinct(part[key] for part in parts))

    return {
        "config": named("config"),
        "split": named("split"),
        "protocol": named("protocol"),
        "box_format": named("box_format"),
        "rows": sum(part["rows"] for part in parts),
        "fingerprint": named("fingerprint"),
    }


def judge_of(column: Column) -> str:
    """Who judged, and how it was asked."""
    rule = column.score["rule"]
    shown = "with" if rule["with_image"] else "without"
    sampling = {"temperature": rule["temperature"], "seed": rule["seed"], **rule["body"]}
    options = [f"{name} {value}" for name, value in sampling.items() if value is not None]
    return ", ".join([rule["model"], f"prompt {rule['prompt']}", f"{shown} the image", *options])


def judge_warnings(columns: Sequence[Column]) -> list[str]:
    """Why scores of a judge may be doubted, or not be compared."""
    rules = [(column.label, column.score["rule"]) for column in columns]
    warnings = [
        f"{label}: {rule['failed']:,} answers were not judged, and do not count. "
        "The same rs-gpt4v judge command asks for them again."
        for label, rule in rules
        if rule["failed"]
    ]
    warnings += [
        f"{label}: several models answered as the judge: {', '.join(rule['served'])}."
        for label, rule in rules
        if len(rule["served"]) > 1
    ]
    if len({(rule["model"], rule["prompt"]) for _, rule in rules}) > 1:
        warnings.append(
            "Different judges or prompts gave the scores of the columns: none compares."
        )
    return warnings
