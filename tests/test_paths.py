"""Functions for users take a path as text, as `Path` and as anything that `os.fspath` takes."""

import inspect
from pathlib import Path

import pytest
from prediction_lines import row, write

from rs_gpt4v.chat_api.prices import read_prices
from rs_gpt4v_builders.export import export
from rs_gpt4v_builders.sample import write_sample
from rs_gpt4v_evaluation.bench import bench
from rs_gpt4v_evaluation.predict.predictions import read_predictions
from rs_gpt4v_evaluation.report import report
from rs_gpt4v_evaluation.score import score, scores_of_files
from rs_gpt4v_evaluation.score.results import read_results, results_of
from rs_gpt4v_generation.generate import generate
from rs_gpt4v_generation.load import dior_scenes, own_scenes
from rs_gpt4v_generation.release import release


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(write(tmp_path / "vqa.jsonl", [row(i) for i in range(4)]))


def test_scores_of_a_file_named_by_a_text(file: str) -> None:
    assert score(file) == score(Path(file))
    assert scores_of_files([file])[0] == scores_of_files([Path(file)])[0]
    assert read_predictions(file) == read_predictions(Path(file))
    assert results_of([file]) == results_of([Path(file)])


def test_a_report_is_written_to_a_text(file: str, tmp_path: Path) -> None:
    report([file], str(tmp_path / "report.html"), pictures=0)
    assert (tmp_path / "report.html").is_file()


def test_prices_are_read_from_a_text(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_prices(str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    "function",
    [
        *(score, scores_of_files, read_results, results_of, report, bench, export),
        *(write_sample, generate, dior_scenes, own_scenes, release, read_prices),
    ],
)
def test_no_function_for_users_asks_for_a_path_alone(function: object) -> None:
    assert callable(function)
    for name, parameter in inspect.signature(function).parameters.items():
        text = str(parameter.annotation)
        assert "Path" not in text or "PathLike" in text or "AnyPath" in text, name
