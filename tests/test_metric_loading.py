"""Metrics by their names: in an empty folder, and without what only `evaluate` needs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import evaluate
import pytest
from prediction_lines import row, write

import rs_gpt4v_evaluation
from rs_gpt4v_evaluation import rs_vqa

NAMES = ["rs_caption", "rs_detection", "rs_grounding", "rs_judge", "rs_probe", "rs_scene", "rs_vqa"]
COLUMNS: dict[str, Any] = {
    "predictions": ["Yes.", "3"],
    "references": ["yes", "40"],
    "question_types": ["presence", "count"],
}


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_loads_by_its_name_anywhere(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    metric = rs_gpt4v_evaluation.load(name, cache_dir=str(tmp_path))
    assert isinstance(metric, evaluate.Metric)
    assert metric.name == name
    same = evaluate.load(rs_gpt4v_evaluation.path(name), cache_dir=str(tmp_path))
    assert same.name == name
    assert same.description == metric.description


def test_a_loaded_metric_scores(tmp_path: Path) -> None:
    scores = rs_gpt4v_evaluation.load("rs_vqa", cache_dir=str(tmp_path)).compute(**COLUMNS)
    assert scores["oa"] == 0.5
    several = evaluate.combine([rs_gpt4v_evaluation.path("rs_vqa")], force_prefix=True)
    assert several.compute(**COLUMNS)["rs_vqa_oa"] == 0.5


def test_metrics_of_two_names_keep_their_rows_apart(tmp_path: Path) -> None:
    folders = {
        Path(rs_gpt4v_evaluation.load(name, cache_dir=str(tmp_path)).data_dir).parent.name
        for name in NAMES
    }
    assert folders == set(NAMES)


@pytest.mark.parametrize("call", [rs_gpt4v_evaluation.load, rs_gpt4v_evaluation.path])
@pytest.mark.parametrize("name", ["caption", "rs_clair", "", "predict", "../rs_vqa", "RS_VQA"])
def test_an_unknown_name_lists_those_that_there_are(call: Any, name: str) -> None:
    with pytest.raises(ValueError, match=f"no metric '{name}'; there are {', '.join(NAMES)}"):
        call(name)


_WITHOUT = """
import sys
for name in ("torch", "tensorflow", "transformers", "evaluate", "jax"):
    sys.modules[name] = None
from rs_gpt4v.cli import main
main()
"""


@pytest.mark.parametrize("verb", ["score", "report"])
def test_scores_need_no_framework(verb: str, tmp_path: Path) -> None:
    tasks = ("vqa", "caption", "grounding", "detection", "probe", "scene")
    file = write(tmp_path / "all.jsonl", [row(n, task) for task in tasks for n in range(2)])
    options = ["--json"] if verb == "score" else ["--out", str(tmp_path / "report.html")]
    command = [sys.executable, "-c", _WITHOUT, verb, str(file), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if verb == "score":
        assert sorted(one["metric"] for one in json.loads(done.stdout)) == [
            name for name in NAMES if name != "rs_judge"
        ]


def test_the_package_alone_loads_nothing_heavy() -> None:
    heavy = "sys.modules.keys() & {'numpy', 'datasets', 'evaluate', 'torch'}"
    code = f"import sys, rs_gpt4v_evaluation; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
    assert Path(rs_gpt4v_evaluation.path("rs_vqa")) == Path(rs_vqa.__file__ or "").parent
