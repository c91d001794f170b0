"""Scores of a predictions file, with what is needed to compare them: rows, rule, fingerprint."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from rs_gpt4v.bootstrap import Sums, intervals
from rs_gpt4v.files import AnyPath, of_file
from rs_gpt4v_evaluation.metric import DEFAULT_RULES, Measured, Metric, Rules
from rs_gpt4v_evaluation.predict.predictions import (
    ONE_A_FILE,
    PredictedRows,
    Prediction,
    PredictionFileError,
    is_verified,
    read_predictions,
    what_differs,
)
from rs_gpt4v_evaluation.rs_caption import measure as rs_caption
from rs_gpt4v_evaluation.rs_caption.meteor import left_out, missing
from rs_gpt4v_evaluation.rs_chair.measure import METRIC as CHAIR
from rs_gpt4v_evaluation.rs_detection import measure as rs_detection
from rs_gpt4v_evaluation.rs_grounding import measure as rs_grounding
from rs_gpt4v_evaluation.rs_judge import measure as rs_judge
from rs_gpt4v_evaluation.rs_probe import measure as rs_probe
from rs_gpt4v_evaluation.rs_scene import measure as rs_scene
from rs_gpt4v_evaluation.rs_vqa import measure as rs_vqa

__all__ = ["DEFAULT_RULES", "METRICS", "METRIC_OF_TASK", "Rules", "Score", "score", "scores_of"]

METRICS = (
    rs_caption.METRIC,
    rs_vqa.METRIC,
    rs_grounding.METRIC,
    rs_detection.METRIC,
    rs_probe.METRIC,
    rs_scene.METRIC,
)
"""Those that need no judge."""

METRIC_OF_NAME = {metric.name: metric for metric in (*METRICS, rs_judge.METRIC, CHAIR)}
"""All, by their names."""

METRIC_OF_TASK = {task: metric for metric in METRICS for task in metric.tasks}
_CLAIMS = "claims"  # of free texts of any task, once `rs-gpt4v chair` has read them


class Score(TypedDict):
    """What the rows of one task in a predictions file are worth.

    ``scores`` are the metric's; ``missing`` the rows of the split that have no prediction, whatever
    their task; ``rule`` the arguments of the metric; ``intervals`` the 95 % intervals of scores,
    where asked for; ``unparsed`` why a reply gave no box, or no class, by the row's id; ``skipped``
    why a row does not count, by its id; ``notes`` what was left out, and how to get it.
    """

    file: str
    model: str
    adapter: str | None
    dataset: PredictedRows
    task: str
    metric: str
    n: int
    missing: int
    scores: dict[str, float | int | str]
    rule: dict[str, Any]
    intervals: dict[str, tuple[float, float]]
    unparsed: dict[str, str]
    skipped: dict[str, str]
    notes: list[str]
    signature: str


class Task(NamedTuple):
    """The rows of one task in a file, and what its metric finds in them.

    Attributes:
        name: Of the task.
        rows: Those that count.
        skipped: Why others do not, by their ids.
        also: The other tasks in the file.
    """

    name: str
    metric: Metric
    rows: list[Prediction]
    measured: Measured
    skipped: dict[str, str]
    also: list[str]


def score(path: AnyPath, rules: Rules = DEFAULT_RULES, resamples: int = 0) -> Score:
    """Score the predictions in ``path``, which are of one task.

    Args:
        path: A predictions file.
        rules: How replies are compared with the truth.
        resamples: Draws of the bootstrap that gives the intervals; 0 for no intervals.

    Raises:
        PredictionFileError: The file is empty, damaged, of a task without a metric, or of several.
    """
    path = Path(path)
    first, *others = scores_of(read_predictions(path), str(path), rules, resamples)
    if others:
        tasks = ", ".join(own["task"] for own in (first, *others))
        raise PredictionFileError(f"{path} holds rows of {tasks}, each with scores of its own")
    return first


def scores_of(
    predictions: list[Prediction], file: str, rules: Rules = DEFAULT_RULES, resamples: int = 0
) -> list[Score]:
    """The scores of each task among ``predictions``; ``file`` is what messages call them.

    Raises:
        PredictionFileError: As `tasks_of` does.
    """
    tasks = tasks_of(predictions, file, rules)
    absent = predictions[0]["dataset"]["rows"] - len(predictions)
    return [score_of(task, file, absent, resamples) for task in tasks]


def scores_of_files(
    files: Sequence[AnyPath], rules: Rules = DEFAULT_RULES, resamples: int = 0
) -> tuple[list[Score], list[str]]:
    """The scores of all ``files``, and why those without a row that can be scored have none.

    Raises:
        PredictionFileError: As `tasks_of` does; or no file can be scored.
    """
    files = [Path(file) for file in files]
    scores: list[Score] = []
    left_out: list[str] = []
    for file in files:
        predictions = read_predictions(file)
        if len(files) > 1 and predictions and not is_scored(predictions):
            left_out.append(f"{file}: {why_not_scored(predictions, str(file))}")
        else:
            scores += scores_of(predictions, str(file), rules, resamples)
    if not scores:
        raise PredictionFileError(". ".join(left_out))
    return scores, left_out


def why_not_scored(predictions: Sequence[Prediction], file: str) -> str:
    """Why rows without a metric have no score."""
    return ". ".join(unscored(dict.fromkeys(row["task"] for row in predictions), file))


def score_of(task: Task, file: str, missing: int, resamples: int = 0) -> Score:
    """The score of one task, of whose file ``missing`` rows have no prediction."""
    measured, about = task.measured, images(task.rows)
    first = task.rows[0]
    return {
        "file": file,
        "model": first["model"],
        "adapter": first["adapter"],
        "dataset": first["dataset"],
        "task": task.name,
        "metric": task.metric.name,
        "n": len(task.rows),
        "missing": missing,
        "scores": measured.result,
        "rule": dict(measured.rule),
        "intervals": intervals_of(measured.sums, about, resamples),
        "unparsed": {task.rows[row]["id"]: why for row, why in measured.unparsed.items()},
        "skipped": task.skipped,
        "notes": [*_notes(task, file), *(_ONE_IMAGE if resamples and len(set(about)) < 2 else ())],
        "signature": signature(
            measured.signature, missing, first["dataset"], about, resamples, len(task.skipped)
        ),
    }


_ONE_IMAGE = ("No intervals: all rows are about one image, which says nothing of others",)


def intervals_of(
    sums: Sums, about: Sequence[str], resamples: int
) -> dict[str, tuple[float, float]]:
    """The 95 % intervals of rows ``about`` these images; none of one image, or without draws."""
    return intervals(sums, about, resamples) if resamples and len(set(about)) > 1 else {}


def signature(
    metric: str,
    missing: int,
    dataset: PredictedRows,
    about: Sequence[str],
    resamples: int,
    skipped: int = 0,
) -> str:
    """That of a metric, with the rows and the draws: what another run needs to be the same."""
    left_out = f"|skipped:{skipped}" if skipped else ""
    text = (
        f"{metric}|missing:{missing}{left_out}|rows:{dataset['fingerprint']}"
        f"|protocol:{dataset['protocol']}"
    )
    if "images" in dataset:
        drawn = f",seed:{dataset['images_seed']}" if "images_seed" in dataset else ""
        text += f"|blind:{dataset['images']}{drawn}"
    if limit := dataset.get("limit"):
        text += f"|limit:images:{limit['images']},seed:{limit['seed']},of:{limit['rows']}"
    if resamples:
        text += f"|intervals:bootstrap95,images:{len(set(about))},resamples:{resamples},seed:0"
    return text


def tasks_of(predictions: list[Prediction], file: str, rules: Rules = DEFAULT_RULES) -> list[Task]:
    """What the metric of each task finds, in the order in which the tasks first occur.

    Rows whose claims are known are of the task "claims", whatever they were asked.

    Raises:
        PredictionFileError: The file is empty, of several models or splits, or of no task that has
            a metric; a row cannot be scored.
    """
    with of_file(file):
        return _tasks_of(predictions, file, rules)


def _tasks_of(predictions: list[Prediction], file: str, rules: Rules) -> list[Task]:
    check_one_model(predictions, file)
    by_task: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        name = _CLAIMS if _CLAIMS in prediction else prediction["task"]
        by_task.setdefault(name, []).append(prediction)
    scored = {task: metric for task in by_task if (metric := metric_of(task))}
    if not scored:
        raise PredictionFileError(f"{file}: {'. '.join(unscored(by_task, file))}")
    return [
        _task(name, metric, by_task[name], file, rules, [task for task in by_task if task != name])
        for name, metric in scored.items()
    ]


def _task(
    name: str,
    metric: Metric,
    predictions: list[Prediction],
    file: str,
    rules: Rules,
    also: list[str],
) -> Task:
    problems = {p["id"]: why for p in predictions if (why := metric.problem(p))}
    if problems and not rules.skip_bad_boxes:
        row, why = next(iter(problems.items()))
        others = f" So are {len(problems) - 1:,} more rows." if len(problems) > 1 else ""
        raise PredictionFileError(
            f"{file}, {row}: {why}.{others} Mend them, or leave them out: --skip-bad-boxes"
        )
    rows = [p for p in predictions if p["id"] not in problems]
    if not rows:
        raise PredictionFileError(f"{file}: no row can be scored: {next(iter(problems.values()))}")
    try:
        return Task(name, metric, rows, metric.measure(rows, rules), problems, also)
    except ValueError as error:
        raise PredictionFileError(f"{file}: {error}") from error


def is_scored(predictions: Sequence[Prediction]) -> bool:
    """Whether any row has a metric, so that `tasks_of` finds a task."""
    return any(_CLAIMS in row or metric_of(row["task"]) for row in predictions)


def metric_of(task: str) -> Metric | None:
    """The metric of a task, or of "claims"; None where there is none."""
    return CHAIR if task == _CLAIMS else METRIC_OF_TASK.get(task)


def check_one_model(predictions: list[Prediction], file: str) -> None:
    if not predictions:
        raise PredictionFileError(f"{file} holds no prediction")
    first = predictions[0]
    for prediction in predictions:
        for name in ONE_A_FILE:
            if prediction[name] != first[name]:
                raise PredictionFileError(
                    f"{file}: {first['id']} and {prediction['id']} differ in {name}: "
                    f"{' and '.join(what_differs(first[name], prediction[name]))}. "
                    "One file holds one model's replies to one split: score them apart."
                )


def is_sample(image: str | None) -> bool:
    """Whether an image is one of the embedded sample, by its path."""
    return "rs_gpt4v_sample" in (image or "")


def images(predictions: Sequence[Prediction]) -> list[str]:
    """Which image each row is about; a row without one stands for itself."""
    return [prediction["image"] or prediction["id"] for prediction in predictions]


def _notes(task: Task, file: str) -> Iterator[str]:
    if limit := task.rows[0]["dataset"].get("limit"):
        yield (
            f"Not the whole split: {limit['images']:,} of its images, drawn by seed "
            f"{limit['seed']}, with {task.rows[0]['dataset']['rows']:,} of its "
            f"{limit['rows']:,} rows"
        )
    if task.metric.name == "rs_caption" and missing():
        yield left_out(missing())
    yield from _of_import(task.rows[0]["dataset"])
    yield from unscored(task.also, file)


def _of_import(dataset: PredictedRows) -> Iterator[str]:
    """What is not known of imported rows."""
    if not is_verified(dataset):
        yield (
            "The rows were not compared with ours: questions and true answers are those of the "
            "imported file"
        )
    if equal := dataset.get("interchangeable"):
        yield (
            f"{equal:,} replies may be those of other rows which ask and accept the same: scores "
            "do not depend on it, intervals over images do"
        )


def unscored(tasks: Iterable[str], file: str) -> list[str]:
    """Why rows of each task of ``file`` that is without a metric get no score."""
    others = [task for task in tasks if not metric_of(task)]
    dialogues = [task for task in others if task in rs_judge.GROUPS]
    by_nothing = [task for task in others if task not in rs_judge.GROUPS]
    reasons = {
        f"have no one right answer: a model judges them, with rs-gpt4v judge {file}, and boxes "
        f"show what they make up, with rs-gpt4v chair {file}": dialogues,
        "are not scored: there is no metric for them": by_nothing,
    }
    return [f"Rows of {' and '.join(names)} {why}" for why, names in reasons.items() if names]
