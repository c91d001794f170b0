"""What the tasks that ``rs-gpt4v export lmms_eval`` writes name: prompts and scores in lmms-eval.

Each row's value for each of its metrics is what a predictions file says of it, so that every
aggregation is `rs_gpt4v_evaluation.score` of all replies: the numbers are those of
``rs-gpt4v score``. lmms-eval itself is not imported; it imports this module before it loads the
rows, which makes their name known to `datasets`.
"""

import json
import warnings
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import datasets
from PIL import Image

from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v.images import open_image
from rs_gpt4v_evaluation.metric import DEFAULT_RULES
from rs_gpt4v_evaluation.predict.predictions import prediction_line
from rs_gpt4v_evaluation.rs_caption import rs_caption
from rs_gpt4v_evaluation.rs_caption.meteor_files import EXTRA, missing
from rs_gpt4v_evaluation.score import METRICS, scores_of

_TASKS = [task for metric in METRICS for task in metric.tasks]
_OF_CODEC = "process_results_"
_PATHS = datasets.List({"bytes": datasets.Value("binary"), "path": datasets.Value("string")})


def process_docs(rows: datasets.Dataset) -> datasets.Dataset:
    """``rows`` with images as paths.

    lmms-eval reads each row three times, and logs it. Columns of images it takes out of what it
    scores; this is none to it.
    """
    if missing() and not set(rs_caption.METRIC.tasks).isdisjoint(rows.unique("task")):
        warnings.warn(
            f"METEOR is left out, as {', '.join(missing())} is not installed: {EXTRA}",
            stacklevel=2,
        )
    return rows.cast_column("images", _PATHS)


def doc_to_visual(row: dict[str, Any]) -> list[Image.Image]:
    """The images of ``row``, in RGB as lmms-eval's models expect."""
    return [open_image(image["path"]).convert("RGB") for image in row["images"]]


def doc_to_text(row: dict[str, Any]) -> str:
    """The question of ``row``."""
    return row["messages"][-2]["content"]


def doc_to_target(row: dict[str, Any]) -> str:
    """The answer of ``row``, for the log alone: scores look at all its references."""
    return row["messages"][-1]["content"]


def process_results(
    row: dict[str, Any], replies: list[str], box_format: str = "llava"
) -> dict[str, Any]:
    """The line of a predictions file for ``row``, for each metric that counts it.

    Args:
        row: Of ``load_dataset("rs_gpt4v", ...)``, images as paths.
        replies: The reply, and what lmms-eval's ``repeats`` add, which no score looks at.
        box_format: The codec that reads the boxes of a reply.
    """
    line = prediction_line(row, replies[0], {"box_format": box_format})
    return dict.fromkeys(_metrics(row), line)


def __getattr__(name: str) -> Callable[..., Any]:
    """What a task names, without arguments: ``process_results_<codec>``, and aggregations.

    An aggregation is the name of a score, or ``accuracy`` (of the rows of one question type): it
    makes one number of the values of all rows.
    """
    codec = name.removeprefix(_OF_CODEC)
    if name.startswith(_OF_CODEC) and codec in CODECS:
        return partial(process_results, box_format=codec)
    if name == "accuracy":
        return partial(_score, "oa")
    if not name.startswith("_") and any(name in metric_names(task) for task in _TASKS):
        return partial(_score, name)
    raise AttributeError(f"{__name__} has no {name!r}")


@lru_cache
def metric_names(task: str) -> tuple[str, ...]:
    """The scores of ``task``, those of single question types aside.

    METEOR is among them whether its extra is installed or not.
    """
    metric = next(metric for metric in METRICS if task in metric.tasks)
    if metric is rs_caption.METRIC:
        quick = [name for name in rs_caption.METRICS if name != "meteor"]
        return *rs_caption.measure(["a"], [["a"]], quick).sums.total(), "meteor"
    scores = metric.measure([_EXAMPLE], DEFAULT_RULES).sums.total()
    return tuple(name for name in scores if not name.startswith(metric.by_type or " "))


def _metrics(row: dict[str, Any]) -> list[str]:
    names = [name for name in metric_names(row["task"]) if name != "meteor" or not missing()]
    kind = row["question_type"]
    return [*names, f"accuracy_{kind}"] if row["task"] == "vqa" and kind else names


def _score(name: str, lines: list[dict[str, Any]]) -> float:
    # One call of rs_gpt4v_evaluation.score gives all of them, and takes a while.
    return _scores(tuple(map(json.dumps, lines)))[name]


@lru_cache(maxsize=1)
def _scores(lines: tuple[str, ...]) -> dict[str, Any]:
    rows = [json.loads(line) for line in lines]
    predictions: Any = [row | _made(len(rows), row["box_format"]) for row in rows]
    (found,) = scores_of(predictions, "lmms-eval")
    return dict(found["scores"])


def _made(rows: int, box_format: str) -> dict[str, Any]:
    """What a predictions file says of the model and of all rows, which lmms-eval does not tell."""
    return {
        "model": "lmms-eval",
        "adapter": None,
        "weights": None,
        "decoding": {"do_sample": None, "max_new_tokens": None},
        "dataset": {
            "config": "",
            "split": "",
            "protocol": "",
            "box_format": box_format,
            "rows": rows,
            "fingerprint": "",
        },
    }


_EXAMPLE: dict[str, Any] = {
    "source": "",
    "question_type": None,
    "prediction": "a",
    "references": ["a"],
    "boxes": [{"label": "a", "points": [2, 2, 4, 4], "kind": "hbb"}],
    "width": 8,
    "height": 8,
    **_made(1, "llava"),
}
