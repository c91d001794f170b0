"""Do two predictions files of the same rows differ by more than chance?"""

from pathlib import Path
from typing import TypedDict

import numpy as np

from rs_gpt4v.bootstrap import RESAMPLES, Paired, Sums, paired
from rs_gpt4v.files import AnyPath
from rs_gpt4v_evaluation.metric import DEFAULT_RULES, Rules
from rs_gpt4v_evaluation.predict.predictions import (
    Prediction,
    PredictionFileError,
    read_predictions,
)
from rs_gpt4v_evaluation.score import Task, images, tasks_of

# A box's text differs with the codec of the model, the box does not.
_BOX_TRUTH = ("task", "boxes", "width", "height")
_TRUTH = {"grounding": _BOX_TRUTH, "detection": (*_BOX_TRUTH, "question_type")}
_TEXT_TRUTH = ("task", "question_type", "references")


class Difference(TypedDict):
    """Second minus first, by `rs_gpt4v.bootstrap.paired`.

    ``low`` to ``high`` is the 95 % interval, ``p`` the two-sided p-value. Where each row is right
    or wrong, ``only_first`` and ``only_second`` are McNemar's counts: rows right in one file alone.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float
    only_first: int | None
    only_second: int | None


class Comparison(TypedDict):
    """Two files, and the difference of each score of one task."""

    files: tuple[str, str]
    task: str
    n: int
    images: int
    differences: dict[str, Difference]
    signature: str


def comparisons(
    first: AnyPath,
    second: AnyPath,
    rules: Rules = DEFAULT_RULES,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Comparison]:
    """Compare two files row by row; they may hold the rows in different orders.

    Args:
        first: A predictions file.
        second: Another, of the same rows.
        rules: How replies are compared with the truth.
        resamples: Draws of the bootstrap, and swaps of the permutation test.
        seed: Of both.

    Returns:
        A comparison for each task of the rows.

    Raises:
        PredictionFileError: A file cannot be scored, or the two hold different rows.
        ValueError: All rows are about one image.
    """
    first = Path(first)
    second = Path(second)
    ours = read_predictions(first)
    theirs = _aligned(ours, read_predictions(second), (first, second))
    files = str(first), str(second)
    pairs = zip(tasks_of(ours, files[0], rules), tasks_of(theirs, files[1], rules), strict=True)
    return [_compared(files, *pair, resamples, seed) for pair in pairs]


def _compared(
    files: tuple[str, str], old: Task, new: Task, resamples: int, seed: int
) -> Comparison:
    about = images(old.rows)
    n_images = len(set(about))
    sums = old.measured.sums, new.measured.sums
    return {
        "files": files,
        "task": old.name,
        "n": len(old.rows),
        "images": n_images,
        "differences": _differences(*sums, paired(*sums, about, resamples, seed)),
        "signature": f"paired|bootstrap+permutation|clusters:images|n:{len(old.rows)}"
        f"|images:{n_images}|resamples:{resamples}|seed:{seed}",
    }


def _aligned(
    ours: list[Prediction], theirs: list[Prediction], files: tuple[Path, Path]
) -> list[Prediction]:
    """The second file's predictions in the order of the first."""
    by_id = {prediction["id"]: prediction for prediction in theirs}
    ids = {prediction["id"] for prediction in ours}
    for lacking, other, file in ((ids - set(by_id), ids, 1), (set(by_id) - ids, set(by_id), 0)):
        if lacking:
            raise PredictionFileError(
                f"{files[0]} and {files[1]} hold different rows: {files[file]} lacks "
                f"{len(lacking):,} of {len(other):,} rows of the other, such as {min(lacking)}. "
                "Predict the same rows with both models."
            )
    aligned = [by_id[prediction["id"]] for prediction in ours]
    check_same_truth(ours, aligned, (str(files[0]), str(files[1])))
    return aligned


def check_same_truth(
    ours: list[Prediction], theirs: list[Prediction], files: tuple[str, str]
) -> None:
    """Raise unless rows of the same ids, in one order, have the same true answers.

    Raises:
        PredictionFileError: Naming the first row that differs.
    """
    for own, other in zip(ours, theirs, strict=True):
        names = _TRUTH.get(own["task"], _TEXT_TRUTH)
        if unlike := [name for name in names if own[name] != other[name]]:
            raise PredictionFileError(
                f"{files[0]} and {files[1]} hold different rows: the {unlike[0]} of {own['id']} "
                f"is {own[unlike[0]]!r} in one and {other[unlike[0]]!r} in the other. "
                "Predict the same rows with both models."
            )


def _differences(old: Sums, new: Sums, tests: dict[str, Paired]) -> dict[str, Difference]:
    first, second = old.total(), new.total()
    return {
        name: {
            "first": first[name],
            "second": second[name],
            "difference": test.difference,
            "low": test.low,
            "high": test.high,
            "p": test.p,
            "only_first": _only(old, new, name),
            "only_second": _only(new, old, name),
        }
        for name, test in tests.items()
    }


def _only(these: Sums, those: Sums, name: str) -> int | None:
    """How many rows are right in ``these`` alone; None where a row is not right or wrong."""
    if name not in these.binary:
        return None
    ours, theirs = these.right(name), those.right(name)
    return int(np.sum(ours > theirs))
