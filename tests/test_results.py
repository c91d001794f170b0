"""Results files: what one model scores on each task, from its predictions files."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("evaluate")

from prediction_lines import row, write

from rs_gpt4v.files import InvalidFileError
from rs_gpt4v_evaluation.predict.predictions import PredictionFileError
from rs_gpt4v_evaluation.score.results import read_results, results_of

TASKS = ("vqa", "caption", "region_caption", "grounding", "probe", "scene", "detection")


def group(folder: Path, **changes: Any) -> Path:
    """A predictions file of the group "all" with two rows of each task."""
    tasks = (*TASKS, "conversation", "detail")
    return write(folder / "all.jsonl", [row(n, task, **changes) for task in tasks for n in (1, 2)])


def test_each_task_of_a_group_has_an_entry_of_its_own(tmp_path: Path) -> None:
    found = results_of([group(tmp_path)], folder=tmp_path)
    entries = {entry["task"]: entry for entry in found["entries"]}
    assert [*entries] == [*TASKS, "conversation", "detail"]
    measures = {task: entry["measure"] for task, entry in entries.items()}
    assert measures == {
        "vqa": "oa",
        "caption": "cider",
        "region_caption": "cider",
        "grounding": "pr_50",
        "probe": "f1",
        "scene": "oa",
        "detection": "f1",
        "conversation": "all",
        "detail": "all",
    }
    for task in ("vqa", "grounding", "probe", "scene", "detection"):
        assert entries[task]["scores"][measures[task]] == 1
    assert {entry["n"] for entry in entries.values()} == {2}
    assert {entry["predictions"] for entry in entries.values()} == {"all.jsonl"}
    assert entries["vqa"]["counts"] == {"n_presence": 2, "empty": 0}
    assert entries["detail"]["scores"] == {}
    assert "rs-gpt4v judge all.jsonl" in entries["detail"]["notes"][0]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    found = results_of([group(tmp_path)], resamples=10, folder=tmp_path)
    (tmp_path / "results.json").write_text(json.dumps(found))
    for path in (tmp_path, tmp_path / "results.json"):
        read: Any = read_results(path)
        assert json.dumps(read) == json.dumps(found)


def test_rows_of_the_sample_are_marked(tmp_path: Path) -> None:
    lines = [row(1, image="/cache/rs_gpt4v_sample-1/RSVQA_LR/1.tif"), row(2)]
    assert results_of([write(tmp_path / "s.jsonl", lines)])["entries"][0]["sample"] is True
    assert results_of([write(tmp_path / "r.jsonl", lines[1:])])["entries"][0]["sample"] is False


def test_no_results_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"format": 2, "model": "m", "entries": []}')
    with pytest.raises(InvalidFileError, match=r"results\.json: it lacks report.*rs-gpt4v bench"):
        read_results(tmp_path)


def test_results_of_two_models_are_refused(tmp_path: Path) -> None:
    files = [
        write(tmp_path / name / "p.jsonl", [row(1, model=name), row(2, model=name)])
        for name in ("first", "second")
    ]
    with pytest.raises(PredictionFileError, match="differ in model: 'first' and 'second'"):
        results_of(files)


def test_the_truth_of_rows_does_not_depend_on_words_or_order(tmp_path: Path) -> None:
    rows = [row(n, "grounding") for n in (1, 2)]
    other = [r | {"prompt": "Where?", "references": ["<box>", "in another format"]} for r in rows]
    hashes = [
        results_of([write(tmp_path / "p.jsonl", lines)])["entries"][0]["truth"]
        for lines in (rows, other[::-1], [row(1, "grounding"), row(3, "grounding")])
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_blind_run_stands_beside_the_same_rows(tmp_path: Path) -> None:
    seen = write(tmp_path / "p.jsonl", [row(n) for n in range(9)])
    drawn = {"images": 6, "seed": 0, "rows": 9}
    blind_rows = [row(n, prediction="yes" if n < 2 else "no") for n in range(6)]
    blind = write(tmp_path / "blind" / "p.jsonl", blind_rows, images="none", limit=drawn)
    (entry,) = results_of([seen], [blind], resamples=50)["entries"]
    (without,) = entry["blind"].values()
    assert entry["most_frequent"] == {
        "scores": {"accuracy_presence": 1.0, "aa": 1.0, "oa": 1.0},
        "answers": {"presence": "yes"},
    }
    assert [*entry["blind"]] == ["none"]
    assert (entry["n"], without["n"], without["scores"]["oa"]) == (9, 6, 2 / 6)
    gap = without["difference"]["oa"]
    assert gap["value"] == pytest.approx(4 / 6)
    assert gap["interval"] is not None
    assert 0 < gap["interval"][0] < gap["value"] < gap["interval"][1] <= 1
