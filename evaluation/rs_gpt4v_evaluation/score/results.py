"""A results file: what one model scores on each task of each config, as JSON.

`results_of` makes it of predictions files; `rs-gpt4v bench` writes it, `rs-gpt4v board` reads it.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from typing_extensions import NotRequired, TypedDict

from rs_gpt4v.files import AnyPath, InvalidFileError, of_file, read_json, relative
from rs_gpt4v_builders import GROUPS, members_by_rows
from rs_gpt4v_evaluation.metric import DEFAULT_RULES, Metric, Rules
from rs_gpt4v_evaluation.predict.predictions import (
    Limit,
    Prediction,
    PredictionFileError,
    first_prediction,
    read_predictions,
)
from rs_gpt4v_evaluation.rs_judge import measure as rs_judge
from rs_gpt4v_evaluation.score import (
    METRIC_OF_TASK,
    Score,
    Task,
    check_one_model,
    images,
    is_sample,
    score_of,
    tasks_of,
    unscored,
)
from rs_gpt4v_evaluation.score.blind import RunShare, TaskShare, run_of, run_share
from rs_gpt4v_evaluation.score.most_frequent import most_frequent

FORMAT = 1


class Model(TypedDict):
    """Who replied.

    ``name`` is that of the predictions files, ``revision`` the commit of the Hub that it was loaded
    from, ``weights`` tells one state of a model from another that was saved under its name, and
    ``server`` holds what a server says of itself. What is not known is null.
    """

    name: str
    revision: str | None
    adapter: str | None
    weights: str | None
    server: dict[str, str | None] | None


class Gap(TypedDict):
    """By how much a score with the image is above one without it, with its 95 % interval."""

    value: float
    interval: tuple[float, float] | None


class BlindRun(TypedDict):
    """The same model on ``n`` of the rows without their own image; scores are by their keys.

    These rows are about ``images`` images. ``difference`` is how much more they score with theirs.
    """

    n: int
    images: int
    scores: dict[str, float]
    difference: dict[str, Gap]


class MostFrequent(TypedDict):
    """What a constant guess scores: the most frequent answer to each type of question, for one."""

    scores: dict[str, float]
    answers: dict[str, str]


class Entry(TypedDict):
    """What one task of one config is worth.

    ``measure`` is the key of the score that stands for all. ``n`` rows about ``images`` images were
    scored, of ``rows`` that were asked, of which ``missing`` have no prediction. ``limit`` says
    which images were drawn where not all of the split were asked. ``fingerprint`` is that of the
    asked rows with their wording; ``truth`` that of the scored rows' ids and true answers alone,
    which is the same for models that are asked in other words. ``sample`` says that images are of
    the embedded synthetic sample, ``verified`` that the scores were computed here, from the
    replies. ``scores`` and ``intervals`` (95 %) are by their keys; both are empty of rows that a
    judge has yet to score. ``counts`` holds the numbers of rows of each type (``n_<type>``), of
    empty replies, and so on. ``predictions`` is the file, as seen from the folder of the results
    file.
    """

    config: str
    task: str
    split: str
    protocol: str
    metric: str
    measure: str
    n: int
    rows: int
    images: int
    limit: Limit | None
    missing: int
    fingerprint: str | None
    truth: str
    sample: bool
    box_format: str | None
    verified: bool
    scores: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    counts: dict[str, float | int | None]
    rule: dict[str, Any]
    signature: str
    predictions: str
    notes: list[str]
    blind: dict[str, BlindRun]
    most_frequent: MostFrequent | None


class Results(TypedDict):
    """All entries of one model.

    ``report`` is the page about them, as seen from the folder of the file. ``run`` says how, where
    and how fast the predictions were made; it alone differs between two runs of the same.
    """

    format: Literal[1]
    model: Model
    entries: list[Entry]
    report: str | None
    run: NotRequired[dict[str, Any]]


def read_results(path: AnyPath) -> Results:
    """The results in ``path``: a results file, or a folder with a ``results.json``.

    Raises:
        InvalidFileError: It is no results file; the message says what is wrong where.
        OSError: It cannot be read.
    """
    path = Path(path)
    file = path / "results.json" if path.is_dir() else path
    with of_file(path):
        try:
            return read_json(file, Results)
        except InvalidFileError as error:
            raise InvalidFileError(f"{error} (expected a results file of rs-gpt4v bench)") from None


def results_of(
    files: Sequence[AnyPath],
    blind_files: Sequence[AnyPath] = (),
    rules: Rules = DEFAULT_RULES,
    resamples: int = 0,
    folder: AnyPath | None = None,
) -> Results:
    """The results of the predictions in ``files``, which are of one model.

    Rows of a group's file are of its configs: each has entries of its own, as from a file of it.

    Args:
        files: Predictions files.
        blind_files: Those of the same model without the rows' own images.
        rules: How replies are compared with the truth.
        resamples: Draws of the bootstrap that gives the intervals; 0 for no intervals.
        folder: Where the results file will be, for the paths in it; None for the current one.

    Raises:
        PredictionFileError: A file is empty or damaged, or the files are of several models.
        ValueError: There is no file.
    """
    files = [Path(file) for file in files]
    blind_files = [Path(file) for file in blind_files]
    folder = None if folder is None else Path(folder)
    if not files:
        raise ValueError("results need at least one predictions file")
    model = _one({file: _model(_first(file)) for file in (*files, *blind_files)})
    blind = [(file, rows) for file in blind_files for rows in _of_configs(file)]
    entries: list[Entry] = []
    for file in files:
        for predictions in _of_configs(file):
            own = _entries(predictions, file, rules, resamples, folder or Path())
            for blind_file, rows in blind:
                if run_of(rows[0]) == run_of(predictions[0]):
                    pair = file, blind_file
                    _add_blind(own, run_share(pair, predictions, rows, rules, resamples), folder)
            entries += own
    return {"format": FORMAT, "model": model, "entries": entries, "report": None}


def _first(file: Path) -> Prediction:
    with of_file(file):
        first = first_prediction(file)
        if first is None:
            raise PredictionFileError(f"{file} holds no prediction")
    return first


def _of_configs(file: Path) -> list[list[Prediction]]:
    """The predictions in ``file`` by config, as if each config of a group had a file of its own.

    Of missing rows nobody knows which config they are of: each lacks them all.
    """
    predictions = read_predictions(file)
    with of_file(file):
        check_one_model(predictions, str(file))
    dataset = predictions[0]["dataset"]
    if dataset["config"] not in GROUPS:
        return [predictions]
    configs = members_by_rows(dataset["config"])
    by_config: dict[str, list[Prediction]] = {}
    for row in predictions:
        config = configs.get((row["source"], row["task"]), dataset["config"])
        by_config.setdefault(config, []).append(row)
    absent = dataset["rows"] - len(predictions)
    return [_as_rows_of(config, rows, absent) for config, rows in by_config.items()]


def _as_rows_of(config: str, rows: Sequence[Prediction], absent: int) -> list[Prediction]:
    described: Any = {**rows[0]["dataset"], "config": config, "rows": len(rows) + absent}
    copies: list[Any] = [{**row, "dataset": described} for row in rows]
    return copies


def _model(first: Prediction) -> Model:
    return {
        "name": first["model"],
        "revision": None,
        "adapter": first["adapter"],
        "weights": first["weights"],
        "server": first.get("server"),
    }


def _one(models: Mapping[Path, Model]) -> Model:
    (first, model), *others = models.items()
    for file, other in others:
        for name in ("name", "adapter", "weights"):
            if other[name] != model[name]:
                raise PredictionFileError(
                    f"{first} and {file} differ in {'model' if name == 'name' else name}: "
                    f"{model[name]!r} and {other[name]!r}. Results are of one model: "
                    "give the files of each apart"
                )
    return model


def _entries(
    predictions: list[Prediction], file: Path, rules: Rules, resamples: int, folder: Path
) -> list[Entry]:
    name = relative(file, folder)
    absent = predictions[0]["dataset"]["rows"] - len(predictions)
    scored = [
        _entry(task, score_of(task, name, absent, resamples), name, rules)
        for task in _tasks(predictions, str(file), rules)
    ]
    return [*scored, *_unjudged(predictions, name, absent)]


def _tasks(predictions: list[Prediction], file: str, rules: Rules) -> list[Task]:
    """`tasks_of`, of which there are none in a file of dialogues alone."""
    if any(prediction["task"] in METRIC_OF_TASK for prediction in predictions):
        return tasks_of(predictions, file, rules)
    check_one_model(predictions, file)
    return []


def _add_blind(entries: list[Entry], run: RunShare, folder: Path | None) -> None:
    """Set beside each of ``entries`` what the same model scores blind, on the same rows."""
    of_task = {share.task: share for share in run.tasks}
    for entry in entries:
        if share := of_task.get(entry["task"]):
            entry["blind"][share.shown] = _blind_run(share)
        if run.note:
            entry["notes"].append(f"{relative(run.blind, folder or Path())}: {run.note}")


def _blind_run(share: TaskShare) -> BlindRun:
    return {
        "n": share.n,
        "images": share.images,
        "scores": {key: own.blind for key, own in share.scores.items()},
        "difference": {
            key: {
                "value": own.difference,
                "interval": None if own.low is None or own.high is None else (own.low, own.high),
            }
            for key, own in share.scores.items()
        },
    }


def _entry(task: Task, score: Score, name: str, rules: Rules) -> Entry:
    measured = task.measured
    guess = most_frequent(task.metric, task.rows, rules)
    return {
        **_unscored(task.name, task.metric, task.rows, score["missing"], name),
        "scores": measured.sums.total(),
        "intervals": score["intervals"],
        "counts": {f"n_{kind}": n for kind, n in measured.n.items()} | dict(measured.counts),
        "rule": score["rule"],
        "signature": score["signature"],
        "notes": score["notes"],
        "most_frequent": guess and {"scores": guess.scores, "answers": guess.answers},
    }


def _unscored(
    task: str, metric: Metric, rows: Sequence[Prediction], missing: int, name: str
) -> Entry:
    """An entry of what is known of rows before they are scored."""
    dataset = rows[0]["dataset"]
    return {
        "config": dataset["config"],
        "task": task,
        "split": dataset["split"],
        "protocol": dataset["protocol"],
        "metric": metric.name,
        "measure": metric.headline,
        "n": len(rows),
        "rows": dataset["rows"],
        "images": len(set(images(rows))),
        "limit": dataset.get("limit"),
        "missing": missing,
        "fingerprint": dataset["fingerprint"],
        "truth": truth(rows),
        "sample": any(is_sample(row["image"]) for row in rows),
        "box_format": dataset.get("box_format"),
        "verified": True,
        "scores": {},
        "intervals": {},
        "counts": {},
        "rule": {},
        "signature": "",
        "predictions": name,
        "notes": [],
        "blind": {},
        "most_frequent": None,
    }


def truth(rows: Sequence[Prediction]) -> str:
    """16 hex digits of the ids of ``rows`` and of what is true of them, whatever their order.

    True boxes stand for themselves: their text in the references depends on the box format.
    """
    lines = sorted(
        json.dumps([row["id"], row["boxes"] or row["references"]], ensure_ascii=False)
        for row in rows
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _unjudged(predictions: list[Prediction], name: str, absent: int) -> Iterator[Entry]:
    """Of each task that a judge scores: an entry without scores, which says how to get them."""
    for task in dict.fromkeys(prediction["task"] for prediction in predictions):
        if task not in rs_judge.GROUPS:
            continue
        rows = [prediction for prediction in predictions if prediction["task"] == task]
        yield {
            **_unscored(task, rs_judge.METRIC, rows, absent, name),
            "signature": "not judged",
            "notes": unscored([task], name),
        }
