"""Tasks for lmms-eval, which then loads the rows itself, by the name of this package.

On disk::

    rs_gpt4v_<config>.yaml            a task a split that is not for training, all of the tag
    rs_gpt4v_<config>_<split>.yaml    rs_gpt4v; the split "test" is not named

Run them with ``python -m lmms_eval --include_path OUT --tasks rs_gpt4v_<config> ...`` where this
package is installed: prompts, and scores, are those of ``rs-gpt4v predict`` and ``rs-gpt4v score``.
No image is copied: the rows name those of the releases.
"""

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from rs_gpt4v import NAME
from rs_gpt4v.files import replacing
from rs_gpt4v_builders.export.job import ExportJob
from rs_gpt4v_evaluation.harnesses.splits import Tested, tested

_MODULE = "rs_gpt4v_evaluation.harnesses.lmms_eval"
# As rs-gpt4v predict asks. Without "until", lmms-eval has replies cut at an empty line.
_DECODING = {"max_new_tokens": 64, "do_sample": False, "temperature": 0, "until": []}


def write(job: ExportJob) -> None:
    """Write one YAML file a split."""
    for split in tested(job.configs):
        with replacing(job.out / f"{split.name}.yaml") as file:
            file.write(_yaml(split, job.options).encode())


def _yaml(split: Tested, options: Mapping[str, Any]) -> str:
    """Plain text with JSON in it: lmms-eval's tag ``!function`` is beyond YAML writers."""
    given = {name: value for name, value in options.items() if value is not None}
    lines = [
        f"task: {split.name}",
        f"tag: {NAME}",
        f"dataset_path: {NAME}",
        f"dataset_name: {split.config}",
        f"dataset_kwargs: {json.dumps(given, sort_keys=True, default=str)}",
        f"test_split: {split.split}",
        "output_type: generate_until",
        f"generation_kwargs: {json.dumps(_DECODING)}",
        *(
            f"{name}: !function {_MODULE}.{name}"
            for name in ("process_docs", "doc_to_visual", "doc_to_text", "doc_to_target")
        ),
        f"process_results: !function {_MODULE}.{_process_results(split, options)}",
        "metric_list:",
        *(line for name in _scores(split.task) for line in _metric(name, name)),
    ]
    if split.task == "vqa":
        for kind in split.question_types:
            lines += _metric(f"accuracy_{kind}", "accuracy")
    return "\n".join(lines) + "\n"


def _scores(task: str) -> Sequence[str]:
    """The names of the scores that the module of the tasks gives."""
    return import_module(_MODULE).metric_names(task)  # by name, as lmms-eval does


def _process_results(split: Tested, options: Mapping[str, Any]) -> str:
    """Functions are named without arguments, so which codec reads the boxes is in the name."""
    if split.task != "grounding":
        return "process_results"
    return f"process_results_{options.get('box_format', 'llava')}"


def _metric(name: str, aggregation: str) -> list[str]:
    return [
        f"  - metric: {json.dumps(name)}",
        f"    aggregation: !function {_MODULE}.{aggregation}",
        "    higher_is_better: true",
    ]
