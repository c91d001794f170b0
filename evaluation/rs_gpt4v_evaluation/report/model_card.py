"""The scores as the metadata of a model card on the Hub (``model-index``)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from rs_gpt4v import NAME
from rs_gpt4v_evaluation.metric import Metric
from rs_gpt4v_evaluation.report.columns import Column, Group, is_blind_column
from rs_gpt4v_evaluation.report.tables import score_names

# The Hub's names, where it has one for the task; what it calls models that take an image and text
# and give text is true of all.
_TASKS = {
    "caption": "image-to-text",
    "vqa": "visual-question-answering",
    "scene": "image-classification",
}
_METRICS = {"rouge_l": "rouge", **{f"bleu_{n}": "bleu" for n in range(1, 5)}}
_SHARES = {name: name for name in ("accuracy", "f1", "precision", "recall")}
_SHARES |= dict.fromkeys(("oa", "aa", "pr"), "accuracy")
"""By the first word of a key: "f1_popular", "pr_50"."""


def model_card(groups: Sequence[Group]) -> str:
    """The head of a README.md, between two lines of ``---``.

    It is about one model: that of the last column of the last group. Files of other models or
    adapters, or of other weights under the same name, are left out, and so are blind runs.
    """
    last = groups[-1].last
    columns = [column for group in groups for column in group.columns]
    results = [
        result
        for column in columns
        if _model(column) == _model(last) and not is_blind_column(column)
        for result in _results(column)
    ]
    adapter, model = last.score["adapter"], last.score["model"]
    data = ModelCardData(
        model_name=PurePath(adapter or model).name,
        base_model=model if adapter and not PurePath(model).is_absolute() else None,
        library_name="peft" if adapter else "transformers",
        pipeline_tag="image-text-to-text",
        eval_results=results,
    )
    return f"---\n{data.to_yaml()}\n---\n"


def _model(column: Column) -> tuple[str, str | None, str | None]:
    return column.score["model"], column.score["adapter"], column.weights


def _results(column: Column) -> Iterator[EvalResult]:
    dataset = column.score["dataset"]
    sources = " + ".join(dict.fromkeys(row.source for row in column.rows))
    yield from eval_results(
        column.rows[0].task,
        f"{sources} ({dataset['protocol']} protocol)",
        dataset,
        column.metric,
        column.scores,
        score_names([column]),
        column.score["signature"],
    )


def eval_results(
    task: str,
    dataset_name: str,
    dataset: Mapping[str, Any],
    metric: Metric,
    scores: Mapping[str, float],
    names: Mapping[str, str],
    signature: str,
) -> Iterator[EvalResult]:
    """One result a score. The fingerprint of the rows stands as the dataset's revision.

    Args:
        task: Of the rows.
        dataset_name: For people.
        dataset: The config, split, protocol, fingerprint and number of the rows.
        metric: Which scored.
        scores: By their keys.
        names: The name of each score to tell, by its key.
        signature: Of the scores.
    """
    for key, name in names.items():
        yield EvalResult(
            task_type=_TASKS.get(task, "image-text-to-text"),
            dataset_type=NAME,
            dataset_name=dataset_name,
            dataset_config=dataset["config"],
            dataset_split=dataset["split"],
            dataset_revision=dataset["fingerprint"],
            dataset_args={"protocol": dataset["protocol"], "rows": dataset["rows"]},
            metric_type=_metric_type(metric, key),
            metric_name=name,
            metric_value=round(scores[key], 6),
            metric_args={"signature": signature},
            verified=False,
        )


def _metric_type(metric: Metric, key: str) -> str:
    """The Hub's name of a metric where it has one."""
    if metric.name == "rs_judge":
        return metric.name
    return _METRICS.get(key) or _SHARES.get(key.split("_")[0], key)
