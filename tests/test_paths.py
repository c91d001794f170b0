"""Functions for users take a path as text, as `Path` and as anything that `os.fspath` takes."""

from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer
from datasets import load_dataset
from prediction_lines import row, write
from public_functions import path_parameters, public_functions

from rs_gpt4v.chat_api import complete, read_batch, write_batch
from rs_gpt4v.images import frame_size, open_image
from rs_gpt4v_builders import sources_of
from rs_gpt4v_builders.download.plan import incomplete
from rs_gpt4v_builders.sample import draw_release
from rs_gpt4v_builders.sources.source import checksum
from rs_gpt4v_evaluation.harnesses.vlmevalkit import read_result
from rs_gpt4v_evaluation.judge import Judge
from rs_gpt4v_evaluation.predict.predictions import read_predictions
from rs_gpt4v_evaluation.report import report
from rs_gpt4v_evaluation.score import score, scores_of_files
from rs_gpt4v_evaluation.score.results import results_of

pytest.importorskip("trl")  # the packages are looked through as wholes

from rs_gpt4v_training.moe_lora import expert_use, plot_router_statistics
from rs_gpt4v_training.reward_curves import plot_rewards

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


def test_journals_and_batches_are_named_by_texts(tmp_path: Path) -> None:
    journal, requests = str(tmp_path / "journal"), [("a", {"model": "m", "messages": []})]
    with ChatServer(lambda _: "yes") as server:
        endpoint = server.endpoint()
        with complete(requests, endpoint, journal) as answers:
            assert [answer.text for answer in answers] == ["yes"]
        judge = Judge(endpoint=endpoint, journal=journal)
        assert judge.journal == journal
    (batch,) = write_batch([("b", requests[0][1])], endpoint, str(tmp_path / "out"), f"{journal}2")
    assert batch.parent == tmp_path / "out"
    assert read_batch([], endpoint, journal).attempts == 0


def test_a_release_is_drawn_found_and_read_at_a_text(tmp_path: Path) -> None:
    draw_release("ucm_captions", str(tmp_path), 0, 0.05)
    (source,) = sources_of("cap_ucm")
    folder = source.find(str(tmp_path))
    assert folder is not None
    file = source.annotation_files()[0]
    assert source.has(str(folder), file)
    assert checksum(str(source.path(str(folder), file)), "md5").startswith("md5:")
    assert len(source.read(str(folder), "test"))
    assert incomplete([source], str(tmp_path)) == incomplete([source], tmp_path)
    image = str(next(folder.rglob("*.tif")))
    assert frame_size(image) == open_image(image).size


@pytest.mark.parametrize(
    "read",
    [
        expert_use,
        read_result,
        lambda path: plot_router_statistics(path, f"{path}.png"),
        lambda path: plot_rewards(path, f"{path}.png"),
    ],
)
def test_a_text_that_names_no_file_is_told(read: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(str(tmp_path / "none.tsv"))


def test_rows_of_a_folder_named_by_a_path(releases: Path) -> None:
    folder: Any = releases  # `datasets` says that it takes texts alone
    rows: Any = load_dataset("rs_gpt4v", "vqa_lr", data_dir=folder, split="test")
    text: Any = load_dataset("rs_gpt4v", "vqa_lr", data_dir=str(folder), split="test")
    assert rows["id"] == text["id"]
