"""How much of a score comes from the image: the same model on the same rows, seen minus blind."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rs_gpt4v.bootstrap import RESAMPLES, paired
from rs_gpt4v.files import AnyPath
from rs_gpt4v_evaluation.metric import DEFAULT_RULES, Metric, Rules
from rs_gpt4v_evaluation.predict.predictions import (
    PredictedRows,
    Prediction,
    PredictionFileError,
    first_prediction,
)
from rs_gpt4v_evaluation.score import Task, images, is_scored, tasks_of
from rs_gpt4v_evaluation.score.comparison import check_same_truth
from rs_gpt4v_evaluation.score.most_frequent import MostFrequent, most_frequent

SHOWN = {
    "none": "no image",
    "grey": "a grey image",
    "other": "another image of the split",
}
"""What a blind run shows in place of the row's own image, by its kind."""

WORSE_THAN_GUESSING = "worse than guessing"
NO_BETTER = "no better with the image than without it"
MAYBE_CHANCE = "the difference may be chance"


class ImageShare(NamedTuple):
    """One score with the image and without it.

    ``difference`` is seen minus blind, from ``low`` to ``high`` its 95 % interval by a paired
    bootstrap over images; both are None without one. ``guess`` is what a constant scores, None
    where none is known. ``is_merit`` says whether more is better.
    """

    seen: float
    blind: float
    difference: float
    low: float | None
    high: float | None
    guess: float | None
    is_merit: bool = True

    @property
    def words(self) -> str:
        """What is to be said of it; "" where the image helps and guessing is worse.

        >>> ImageShare(0.5, 0.5, 0.0, None, None, 0.6).words
        'worse than guessing, no better with the image than without it'
        """
        return ", ".join(self._remarks()) if self.is_merit else ""

    def _remarks(self) -> Iterator[str]:
        if self.guess is not None and self.seen < self.guess:
            yield WORSE_THAN_GUESSING
        if remark := remark_on(self.difference, self.low):
            yield remark


def remark_on(difference: float, low: float | None) -> str:
    """What is to be said of seen minus blind, where ``low`` begins its interval; "" if nothing.

    >>> remark_on(0.0, None), remark_on(0.2, -0.1), remark_on(0.2, 0.1)
    ('no better with the image than without it', 'the difference may be chance', '')
    """
    if difference <= 0:
        return NO_BETTER
    return MAYBE_CHANCE if low is not None and low <= 0 else ""


class TaskShare(NamedTuple):
    """The shares of all scores of one task, of a model and its blind run.

    Attributes:
        task: Its name.
        metric: Its metric.
        shown: What the blind run showed; a key of `SHOWN`.
        n: Rows that both have a reply to, which alone are compared.
        images: What they are about.
        scores: By the key of the score.
        guess: The constant guess, None where none is known.
        signature: What another run needs to be the same.
    """

    task: str
    metric: Metric
    shown: str
    n: int
    images: int
    scores: dict[str, ImageShare]
    guess: MostFrequent | None
    signature: str


class RunShare(NamedTuple):
    """What the image adds to the scores of the file ``seen``, beside its ``blind`` run.

    ``tasks`` are the shares of its tasks; ``note`` says why there are none, "" where there are.
    """

    seen: Path
    blind: Path
    tasks: list[TaskShare]
    note: str


def run_share(
    files: tuple[AnyPath, AnyPath],
    seen: Sequence[Prediction],
    blind: Sequence[Prediction],
    rules: Rules = DEFAULT_RULES,
    resamples: int = RESAMPLES,
) -> RunShare:
    """`image_share` of what two ``files`` hold; where it cannot be told, the scores stand alone."""
    of_seen, of_blind = map(Path, files)
    try:
        return RunShare(of_seen, of_blind, image_share(seen, blind, rules, resamples), "")
    except PredictionFileError as error:
        return RunShare(of_seen, of_blind, [], f"What the image adds is not known: {error}")


def image_share(
    seen: Sequence[Prediction],
    blind: Sequence[Prediction],
    rules: Rules = DEFAULT_RULES,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[TaskShare]:
    """What the image adds to each score: a model's replies, and those of its blind run.

    Both may be of some of the rows, in any order: the rows that both have are compared.

    Args:
        seen: Predictions with the rows' own images.
        blind: Those of a blind run of the same model on the same split.
        rules: How replies are compared with the truth.
        resamples: Draws of the bootstrap that gives the intervals; 0 for none.
        seed: Of the draws.

    Returns:
        The shares of each task that has a metric.

    Raises:
        PredictionFileError: They are not a model and its blind run, have no row in common or hold
            other true answers; a row cannot be scored.
    """
    shown = _blind_kind(seen, blind)
    by_id = {prediction["id"]: prediction for prediction in seen}
    rows = [row for row in blind if row["id"] in by_id]
    if not rows:
        raise PredictionFileError("a blind run and one with images have no row in common")
    own = [by_id[row["id"]] for row in rows]
    if not is_scored(rows):
        return []
    names = "the run with images", "the blind run"
    check_same_truth(own, rows, names)
    of_name = {task.name: task for task in tasks_of(own, names[0], rules)}
    return [
        _of_task(of_name[task.name], task, shown, rules, resamples, seed)
        for task in tasks_of(rows, names[1], rules)
        if task.name in of_name and _ids(of_name[task.name]) == _ids(task)
    ]


def _ids(task: Task) -> list[str]:
    """Of its rows; "claims" are those that `rs-gpt4v chair` has read, which one file may lack."""
    return [row["id"] for row in task.rows]


def blind_pairs(files: Sequence[AnyPath]) -> list[tuple[Path, Path]]:
    """Each blind run among ``files`` after the file of the same model, and split, with images."""
    files = [Path(file) for file in files]
    firsts = {file: first for file in files if (first := first_prediction(file))}
    blind = {file for file, first in firsts.items() if is_blind(first["dataset"])}
    return [
        (seen, file)
        for file in firsts
        if file in blind
        for seen in firsts
        if seen not in blind and run_of(firsts[seen]) == run_of(firsts[file])
    ]


def is_blind(dataset: PredictedRows) -> bool:
    """Whether predictions about these rows were made without the rows' own images."""
    return "images" in dataset


def run_of(prediction: Prediction) -> tuple[object, ...]:
    """Equal for a model's predictions and for those of its blind runs on the same split."""
    dataset = prediction["dataset"]
    return (
        *(prediction[name] for name in ("model", "adapter", "weights")),
        *(dataset[name] for name in ("config", "split", "protocol")),
    )


def _blind_kind(seen: Sequence[Prediction], blind: Sequence[Prediction]) -> str:
    if not seen or not blind:
        raise PredictionFileError("a run with images and a blind one need predictions each")
    kind = blind[0]["dataset"].get("images")
    if kind is None or is_blind(seen[0]["dataset"]):
        raise PredictionFileError(
            "the image's share needs a run with the rows' own images, and then a blind run "
            "(rs-gpt4v predict --blind)"
        )
    if run_of(seen[0]) != run_of(blind[0]):
        raise PredictionFileError(
            f"the image's share is of one model and split: {run_of(seen[0])} with images, "
            f"{run_of(blind[0])} blind"
        )
    return kind


def _of_task(
    seen: Task, blind: Task, shown: str, rules: Rules, resamples: int, seed: int
) -> TaskShare:
    about = images(seen.rows)
    sums = blind.measured.sums, seen.measured.sums
    before, after = (own.total() for own in sums)
    has_interval = resamples and len(set(about)) > 1
    tests = paired(*sums, about, resamples, seed) if has_interval else {}
    guess = most_frequent(seen.metric, seen.rows, rules)
    scores = {
        key: ImageShare(
            seen=after[key],
            blind=before[key],
            difference=after[key] - before[key],
            low=tests[key].low if key in tests else None,
            high=tests[key].high if key in tests else None,
            guess=guess.scores.get(key) if guess else None,
            is_merit=not key.startswith(seen.metric.neutral),
        )
        for key in after
        if key in before  # replies that name nothing have no share of what is made up
    }
    signature = (
        f"image_share|{shown}|n:{len(seen.rows)}|images:{len(set(about))}|{seen.measured.signature}"
    )
    if has_interval:
        signature += f"|paired,bootstrap95,resamples:{resamples},seed:{seed}"
    return TaskShare(
        seen.name, seen.metric, shown, len(about), len(set(about)), scores, guess, signature
    )
