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
from rs_gpt4v_evaluation.predictions import prediction_line
from rs_gpt4v_evaluation.rs_caption.meteor_files import EXTRA, missing
from rs_gpt4v_evaluation.score import score_predictions

_BOXES = ("pr_50", "pr_60", "pr_70", "pr_80", "pr_90", "mean_iou")
_OF_CODEC = "process_results_"
_PATHS = datasets.List({"bytes": datasets.Value("binary"), "path": datasets.Value("string")})


def process_docs(rows: datasets.Dataset) -> datasets.Dataset:
    """``rows`` with images as paths.

    lmms-eval reads each row three times, and logs it. Columns of images it takes out of what it
    scores; this is none to it.
    """
    if "caption" in rows[0]["task"] and missing():
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
    """``process_results_<codec>``: a task names its functions, and gives them no arguments."""
    codec = name.removeprefix(_OF_CODEC)
    if not name.startswith(_OF_CODEC) or codec not in CODECS:
        raise AttributeError(f"{__name__} has no {name!r}")
    return partial(process_results, box_format=codec)


def _metrics(row: dict[str, Any]) -> tuple[str, ...]:
    if row["task"] == "vqa":
        return "oa", "aa", *([f"accuracy_{row['question_type']}"] if row["question_type"] else [])
    return _BOXES if row["task"] == "grounding" else caption_metrics()


@lru_cache
def caption_metrics() -> tuple[str, ...]:
    """Those of captions, METEOR where its extra is installed."""
    plain = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider")
    return plain if missing() else (*plain, "meteor")


def _score(name: str, lines: list[dict[str, Any]]) -> float:
    # One call of rs_gpt4v_evaluation.score gives all of them, and takes a while.
    return _scores(tuple(map(json.dumps, lines)))[name]


@lru_cache(maxsize=1)
def _scores(lines: tuple[str, ...]) -> dict[str, Any]:
    rows = [json.loads(line) for line in lines]
    made: dict[str, Any] = {
        "model": "lmms-eval",
        "adapter": None,
        "weights": None,
        "decoding": {"do_sample": None, "max_new_tokens": None},
        "dataset": {
            "config": "",
            "split": "",
            "protocol": "",
            "box_format": rows[0]["box_format"],
            "rows": len(rows),
            "fingerprint": "",
        },
    }
    predictions: list[Any] = [row | made for row in rows]
    return dict(score_predictions(predictions, "lmms-eval")["scores"])


# Aggregations: from the values of all rows to one number.
bleu_1, bleu_2, bleu_3, bleu_4 = (partial(_score, f"bleu_{n}") for n in range(1, 5))
rouge_l, cider, meteor = (partial(_score, name) for name in ("rouge_l", "cider", "meteor"))
oa, aa = partial(_score, "oa"), partial(_score, "aa")
accuracy = oa
"""Of the rows of one question type."""
pr_50, pr_60, pr_70, pr_80, pr_90, mean_iou = (partial(_score, name) for name in _BOXES)
