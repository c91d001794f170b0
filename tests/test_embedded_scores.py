"""The table of the embedded model's scores: what its columns are made of."""

import runpy
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest

pytest.importorskip("trl")

from rs_gpt4v import NAME
from rs_gpt4v_evaluation.predict.predictions import read_predictions
from rs_gpt4v_training.arguments import parse
from rs_gpt4v_training.recipe import recipe_path
from rs_gpt4v_training.rows import load_rows
from rs_gpt4v_training.sft import train

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")
BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "embedded.py"


@pytest.fixture(scope="module")
def benchmark() -> dict[str, Any]:
    return runpy.run_path(str(BENCHMARK))


@pytest.fixture(scope="module")
def questions(releases: Path) -> Any:
    return datasets.load_dataset(NAME, "vqa_lr", data_dir=str(releases))


def test_columns_hold_each_type_and_numbers_in_both_forms(
    benchmark: dict[str, Any], questions: Any, tmp_path: Path
) -> None:
    files = benchmark["_guess"]({"vqa_lr": questions}, tmp_path)
    column = benchmark["values"]([files, files])
    assert set(column) == {
        ("questions, 256 px", label)
        for label in (
            "all, as its authors count",
            "presence",
            "rural_urban",
            "comp",
            "count, by range",
            "count, exact",
        )
    }
    counts = [p for p in read_predictions(files[0]) if p["question_type"] == "count"]
    right = sum(p["prediction"] in p["references"] for p in counts) / len(counts)
    assert column["questions, 256 px", "count, exact"] == [right, right]
    table = benchmark["table"]({"guess": column})
    assert f"| questions, 256 px: count, exact | {100 * right:.1f} ({100 * right:.1f}-" in table


def test_a_cut_split_keeps_its_order_and_says_nothing_of_training(
    benchmark: dict[str, Any], questions: Any
) -> None:
    ids = list(questions["test"]["id"])
    cut = benchmark["few"](datasets.DatasetDict(questions), 7)
    assert len(cut["test"]) == 7
    assert list(cut["test"]["id"]) == [name for name in ids if name in set(cut["test"]["id"])]
    assert len(cut["train"]) == len(questions["train"])


def test_columns_of_scenes_boxes_and_probes(
    benchmark: dict[str, Any], releases: Path, tmp_path: Path
) -> None:
    names = ("scene_ucm", "detect_dior", "probe_presence")
    rows = {name: datasets.load_dataset(NAME, name, data_dir=str(releases)) for name in names}
    column = benchmark["values"]([benchmark["_guess"](rows, tmp_path)])
    truths = [references[0] for references in rows["scene_ucm"]["test"]["references"]]
    first = read_predictions(tmp_path / "scene_ucm.jsonl")[0]["prediction"]
    assert column["scenes", "all images"] == [truths.count(first) / len(truths)]
    assert {label for title, label in column if title == "detection"} == {
        *("F1@0.5", "precision", "recall", "AP", "absent classes denied")
    }
    for kind in ("random", "popular", "adversarial"):
        assert column["probes of presence", f"{kind}, yes rate"] == [1.0]
        assert column["probes of presence", f"{kind}, accuracy"] == [0.5]


@pytest.mark.parametrize("adapter", ["lora", "moe_lora"])
def test_a_recipe_teaches_scenes_and_boxes_together(
    releases: Path, tmp_path: Path, adapter: str
) -> None:
    flags = ["--sample", "false", "--data_dir", str(releases), "--output_dir", str(tmp_path)]
    flags += ["--per_device_train_batch_size", "2", "--max_steps", "2", "--disable_tqdm", "true"]
    data, training, model = parse([str(recipe_path(f"demo_objects_{adapter}")), *flags])
    rows = load_rows(replace(data, box_format="llava"), "train", seed=0)
    tasks = Counter(rows["task"])
    once = {
        name: len(datasets.load_dataset(NAME, name, split="train", data_dir=str(releases)))
        for name in ("scene_ucm", "detect_dior")
    }
    assert tasks["scene"] == 2 * once["scene_ucm"]
    assert tasks["detection"] == 6 * once["detect_dior"]
    assert set(tasks) == {"scene", "detection", "vqa"}
    trainer: Any = train(data, training, model)
    assert trainer.state.global_step == 2
    assert (tmp_path / "adapter_config.json").is_file()
