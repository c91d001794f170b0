"""The table of the embedded model's scores: what its columns are made of."""

import runpy
from pathlib import Path
from typing import Any

import datasets
import pytest

pytest.importorskip("trl")

from rs_gpt4v import NAME
from rs_gpt4v_evaluation.predict.predictions import read_predictions

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "embedded.py"


@pytest.fixture(scope="module")
def benchmark() -> dict[str, Any]:
    return runpy.run_path(str(BENCHMARK))


@pytest.fixture(scope="module")
def questions(releases: Path) -> Any:
    return datasets.load_dataset(NAME, "vqa_lr", data_dir=str(releases))


def test_no_row_keeps_its_image_in_the_blind_run(benchmark: dict[str, Any], questions: Any) -> None:
    rows = questions["test"]
    other = benchmark["other_images"]({"vqa_lr": rows})["vqa_lr"]
    assert other.features == rows.features
    own, shown = (
        [row["images"][0].filename for row in columns.select_columns("images")]
        for columns in (rows, other)
    )
    assert set(shown) == set(own)
    assert not any(one == two for one, two in zip(own, shown, strict=True))
    assert other.remove_columns("images").to_list() == rows.remove_columns("images").to_list()


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
