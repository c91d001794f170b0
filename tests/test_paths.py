"""Functions for users take a path as text, as `Path` and as anything that `os.fspath` takes."""

from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset
from prediction_lines import row, write
from public_functions import path_parameters, public_functions

from rs_gpt4v_evaluation.predict.predictions import read_predictions
from rs_gpt4v_evaluation.report import report
from rs_gpt4v_evaluation.score import score, scores_of_files
from rs_gpt4v_evaluation.score.results import results_of

pytest.importorskip("trl")  # the packages are looked through as wholes

FUNCTIONS = {name: own for name, own in public_functions().items() if path_parameters(own)}
PATHS_ALONE = {
    ("rs_gpt4v.files.each_alone", "make"),  # a function, which gets paths
    ("rs_gpt4v_builders.sources.source.Source", "reader"),
    ("rs_gpt4v_builders.sources.source.Source", "named_images"),
    ("rs_gpt4v_generation.release.Release", "folder"),  # what our functions return
    ("rs_gpt4v_generation.scene.Scene", "image"),
}


def test_no_function_for_users_asks_for_a_path_alone() -> None:
    found = {
        (name, parameter)
        for name, function in FUNCTIONS.items()
        for parameter, text in path_parameters(function).items()
        if "PathLike" not in text and not name.startswith("rs_gpt4v.cli.")
    }
    assert found == PATHS_ALONE


class Place:
    """Another library's path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


@pytest.mark.parametrize("kind", [str, Place])
def test_a_file_is_scored_and_reported(kind: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "vqa.jsonl", [row(i) for i in range(4)])
    assert score(kind(path)) == score(path)
    assert scores_of_files([kind(path)])[0] == scores_of_files([path])[0]
    assert read_predictions(kind(path)) == read_predictions(path)
    assert results_of([kind(path)]) == results_of([path])
    report([kind(path)], kind(tmp_path / "report.html"), pictures=0)
    assert (tmp_path / "report.html").is_file()


def test_rows_of_a_folder_named_by_a_path(releases: Path) -> None:
    folder: Any = releases  # `datasets` says that it takes texts alone
    rows: Any = load_dataset("rs_gpt4v", "vqa_lr", data_dir=folder, split="test")
    text: Any = load_dataset("rs_gpt4v", "vqa_lr", data_dir=str(folder), split="test")
    assert rows["id"] == text["id"]
