"""Reading a report's files: which they are, and which of them are compared with each other."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rs_gpt4v.files import of_file, whole_lines
from rs_gpt4v_evaluation.judge.pointwise import ScoredPair, judged_lines
from rs_gpt4v_evaluation.metric import DEFAULT_RULES, Rules
from rs_gpt4v_evaluation.predict.predictions import (
    Prediction,
    PredictionFileError,
    model_folder,
    read_predictions,
)
from rs_gpt4v_evaluation.report.columns import Column, Group, is_blind_column, task_column
from rs_gpt4v_evaluation.report.judged import judged_column
from rs_gpt4v_evaluation.score import is_scored, score_of, tasks_of, why_not_scored
from rs_gpt4v_evaluation.score.blind import RunShare, blind_pairs, run_share


def read_groups(
    paths: Sequence[Path],
    resamples: int = 0,
    rules: Rules = DEFAULT_RULES,
    left_out: list[str] | None = None,
) -> list[Group]:
    """The groups of predictions files and of judged ones, in the order of their first files.

    Predictions whose replies one of the judged files holds are in its column, and make none of
    their own. One predictions file is held whole at a time, with its blind runs; some 300 bytes a
    row stay of it.

    Args:
        paths: Predictions files, and files that `rs-gpt4v judge` wrote.
        resamples: For the bootstrap of the intervals; 0 for none.
        rules: How replies are compared with the truth.
        left_out: Gets a line for each file without a row that can be scored.

    Raises:
        PredictionFileError: A file is empty or damaged, no row of all can be scored, or a file of
            dialogues is not in the judged ones beside it.
    """
    groups: dict[tuple[str, ...], list[Column]] = defaultdict(list)
    unscored = [] if left_out is None else left_out
    every, runs = _columns(paths, resamples, rules, unscored)
    for column in every:
        groups[(*_rows(column), column.score["task"])].append(column)
    if not groups:
        raise PredictionFileError(". ".join(unscored))
    parts = Counter(_rows(columns[0]) for columns in groups.values())
    return [
        _group(columns, runs, is_part=parts[_rows(columns[0])] > 1) for columns in groups.values()
    ]


def _group(columns: list[Column], runs: Sequence[RunShare], *, is_part: bool) -> Group:
    """A group, its blind runs first: the last column is what a page is most about.

    A blind run on some of the rows is no column beside all of them: its shares say it all.
    """
    labelled = sorted(_labelled(columns), key=lambda column: not is_blind_column(column))
    labels = {Path(column.score["file"]): column.label for column in labelled}
    own = [run for run in runs if {run.seen, run.blind} <= labels.keys()]
    task = labelled[-1].score["task"]
    shares = [(labels[run.seen], s) for run in own for s in run.tasks if s.task == task]
    notes = [f"{labels[run.seen]} and {labels[run.blind]}: {run.note}." for run in own if run.note]
    asked = {column.score["dataset"]["rows"] for column in columns if not is_blind_column(column)}
    shown = [
        column
        for column in labelled
        if not is_blind_column(column) or {column.score["dataset"]["rows"]} >= asked
    ]
    return Group(shown, is_part, shares, notes)


def _rows(column: Column) -> tuple[str, str, str]:
    dataset = column.score["dataset"]
    return dataset["config"], dataset["split"], dataset["protocol"]


def _columns(
    paths: Sequence[Path], resamples: int, rules: Rules, left_out: list[str]
) -> tuple[list[Column], list[RunShare]]:
    """The columns of all files in their order, and what the image adds to them."""
    pool: dict[Any, Any] = {}
    judged = {path: _judged(path) for path in paths if is_judged(path)}
    answers = {_answer(line, line["answer"]) for lines in judged.values() for line in lines}
    columns: dict[Path, list[Column]] = {}
    for path, lines in judged.items():
        with of_file(path):
            columns[path] = [judged_column(lines, path, resamples, pool)]
    runs: list[RunShare] = []
    for read, shares in _read([path for path in paths if path not in judged], rules, resamples):
        runs += shares
        for path, predictions in read.items():
            if predictions and _is_in(answers, predictions):
                columns[path] = []
            elif predictions and not is_scored(predictions):
                why = f"{path}: {why_not_scored(predictions, str(path))}"
                if judged:  # but not these replies, or not any more
                    with of_file(path):
                        raise PredictionFileError(why)
                left_out.append(why)
                columns[path] = []
            else:
                columns[path] = [*_predicted(path, predictions, resamples, rules, pool)]
    return [column for path in paths for column in columns[path]], runs


def _judged(path: Path) -> list[ScoredPair]:
    with of_file(path):
        return judged_lines(path)


def _read(
    paths: Sequence[Path], rules: Rules, resamples: int
) -> Iterator[tuple[dict[Path, list[Prediction]], list[RunShare]]]:
    """Each file once: one with its blind runs, and what these tell of it, or one alone."""
    pairs = blind_pairs(paths)
    done: set[Path] = set()
    for path in dict.fromkeys([*(seen for seen, _ in pairs), *paths]):
        if path in done:
            continue
        own = [pair for pair in pairs if pair[0] == path]
        read = {file: read_predictions(file) for file in (path, *(blind for _, blind in own))}
        runs = [run_share(pair, read[path], read[pair[1]], rules, resamples) for pair in own]
        yield {file: lines for file, lines in read.items() if file not in done}, runs
        done.update(read)


def _is_in(judged: set[Any], predictions: Sequence[Prediction]) -> bool:
    """Whether a judge has scored all these replies, which are in its column then."""
    return judged.issuperset(_answer(row, row["prediction"]) for row in predictions)


def _predicted(
    path: Path,
    predictions: list[Prediction],
    resamples: int,
    rules: Rules,
    pool: dict[Any, Any],
) -> Iterator[Column]:
    """A column for each task of a predictions file."""
    tasks = tasks_of(predictions, str(path), rules)
    absent = predictions[0]["dataset"]["rows"] - len(predictions)
    for task in tasks:
        yield task_column(task, score_of(task, str(path), absent, resamples), pool)


def is_judged(path: Path) -> bool:
    """Whether the first line of a file holds verdicts; what is wrong with it is seen later."""
    first = next(whole_lines(path), (0, b""))[1]
    # Within a text of JSON, quotes are escaped.
    return re.search(rb'"verdicts"\s*:', first) is not None


def _answer(line: Mapping[str, Any], reply: str) -> tuple[str | None, ...]:
    """Who said what to which question; a judge was shown the reply without blanks around it."""
    return line["id"], line["model"], line["adapter"], line["weights"], reply.strip()


def _labelled(columns: list[Column]) -> list[Column]:
    """Labelled by their folders; by their paths if two folders are called the same."""
    paths = [Path(column.score["file"]) for column in columns]
    labels = [model_folder(path) for path in paths]
    if len(set(labels)) < len(labels):
        labels = [str(path) for path in paths]
    return [column._replace(label=label) for column, label in zip(columns, labels, strict=True)]
