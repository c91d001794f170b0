"""Tasks for lmms-eval, and the prompts and scores that these tasks name.

On disk::

    rs_gpt4v_<config>.yaml            a task a split that is not for training, all of the tag
    rs_gpt4v_<config>_<split>.yaml    rs_gpt4v; the split "test" is not named

Run them with ``python -m lmms_eval --include_path OUT --tasks rs_gpt4v_<config> ...`` where this
package is installed: lmms-eval loads the rows by the name of this package, and prompts and scores
are those of ``rs-gpt4v predict`` and ``rs-gpt4v score``. No image is copied: the rows name those of
the releases.

Each row's value for each of its metrics is its line of a predictions file, so that every
aggregation is `rs_gpt4v_evaluation.score` of all replies. lmms-eval itself is not imported; it
imports this module before it loads the rows, which makes their name known to `datasets`.
"""

import json
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import datasets
from PIL import Image

from rs_gpt4v import NAME
from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v.files import write_text
from rs_gpt4v.images import open_image
from rs_gpt4v_builders.builder import options_of
from rs_gpt4v_builders.export.job import ExportJob
from rs_gpt4v_evaluation.harnesses.splits import Tested, predicted_by, tested
from rs_gpt4v_evaluation.metric import DEFAULT_RULES, starts
from rs_gpt4v_evaluation.object_sizes import SIZES
from rs_gpt4v_evaluation.predict.predictions import longest, prediction_line
from rs_gpt4v_evaluation.rs_caption import measure as rs_caption
from rs_gpt4v_evaluation.rs_caption.meteor import left_out, missing
from rs_gpt4v_evaluation.score import METRIC_OF_TASK, scores_of

# As rs-gpt4v predict asks. Without "until", lmms-eval has replies cut at an empty line.
_DECODING = {"do_sample": False, "temperature": 0, "until": []}
_OF_CODEC = "process_results_"
_OF_SIZE = tuple(f"_{size}" for size in SIZES)
_PATHS = datasets.List({"bytes": datasets.Value("binary"), "path": datasets.Value("string")})


def write(job: ExportJob) -> None:
    """Write one YAML file a split."""
    for split in tested(job.configs):
        write_text(
            job.out / f"{split.name}.yaml",
            _yaml(split, options_of(split.config, job.configs, job.options)),
        )


def _yaml(split: Tested, options: Mapping[str, Any]) -> str:
    """Plain text with JSON in it: lmms-eval's tag ``!function`` is beyond YAML writers."""
    chosen = {name: value for name, value in options.items() if value is not None}
    scores = {name: name for name in metric_names(split.task)}
    results = "process_results"
    if split.task == "vqa":
        scores |= {f"accuracy_{kind}": "accuracy" for kind in split.question_types}
    elif METRIC_OF_TASK[
        split.task
    ].has_boxes:  # a task passes no arguments, so the name says the codec
        results = f"{_OF_CODEC}{options.get('box_format', 'llava')}"
    lines = [
        f"task: {split.name}",
        f"tag: {NAME}",
        f"dataset_path: {NAME}",
        f"dataset_name: {split.config}",
        f"dataset_kwargs: {json.dumps(chosen, sort_keys=True, default=str)}",
        f"test_split: {split.split}",
        "output_type: generate_until",
        f"generation_kwargs: {json.dumps({'max_new_tokens': longest([split.task])} | _DECODING)}",
        *(
            f"{name}: !function {__name__}.{name}"
            for name in ("process_docs", "doc_to_visual", "doc_to_text", "doc_to_target")
        ),
        f"process_results: !function {__name__}.{results}",
        "metric_list:",
    ]
    for name, aggregation in scores.items():
        lines += [
            f"  - metric: {json.dumps(name)}",
            f"    aggregation: !function {__name__}.{aggregation}",
            "    higher_is_better: true",
        ]
    return "\n".join(lines) + "\n"


def process_docs(rows: datasets.Dataset) -> datasets.Dataset:
    """``rows`` with images as paths.

    lmms-eval reads each row three times, and logs it. Columns of images it takes out of what it
    scores; this is none to it.
    """
    if missing() and not set(rs_caption.METRIC.tasks).isdisjoint(rows.unique("task")):
        warnings.warn(
            left_out(missing()),
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
    if not name.startswith("_") and any(name in metric_names(task) for task in METRIC_OF_TASK):
        return partial(_score, name)
    raise AttributeError(f"{__name__} has no {name!r}")


@lru_cache
def metric_names(task: str) -> tuple[str, ...]:
    """The scores of ``task``, those of single question types, classes and sizes aside.

    METEOR is among them whether its extra is installed or not.
    """
    metric = METRIC_OF_TASK[task]
    if metric is rs_caption.METRIC:
        quick = [name for name in rs_caption.METRICS if name != "meteor"]
        return *rs_caption.measure(["a"], [["a"]], quick).sums.total(), "meteor"
    scores = metric.measure(_EXAMPLES.get(task, [_EXAMPLE]), DEFAULT_RULES).sums.total()
    parts = (*starts(metric.by_type), *metric.of_class)
    return tuple(n for n in scores if not n.startswith(parts) and not n.endswith(_OF_SIZE))


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
    predictions: Any = [row | _constants(len(rows), row["box_format"]) for row in rows]
    (score,) = scores_of(predictions, "lmms-eval")
    # Of the rows of one question type, the accuracy over all is that of the type.
    return {"accuracy": score["scores"].get("oa"), **score["scores"]}


def _constants(rows: int, box_format: str) -> dict[str, Any]:
    """What lmms-eval does not say of the rows is left blank."""
    blank = dict.fromkeys(("config", "split", "protocol", "fingerprint"), "")
    return predicted_by("lmms-eval", {**blank, "box_format": box_format, "rows": rows})


_EXAMPLE: dict[str, Any] = {
    "source": "",
    "question_type": None,
    "prompt": "Which: a, b?",
    "prediction": "a",
    "references": ["a"],
    "boxes": [{"label": "a", "points": [2, 2, 4, 4], "kind": "hbb"}],
    "width": 8,
    "height": 8,
    **_constants(1, "llava"),
}

_EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "probe": [
        {**_EXAMPLE, "question_type": kind, "references": [answer]}
        for kind, answer in (("present", "yes"), ("random", "no"))
    ]
}
"""Where one row of a task has no score."""
