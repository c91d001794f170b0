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
    assert {*entries} == {*TASKS, "conversation", "detail"}
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


SOURCES = {"caption": ("rsicd", "ucm_captions"), "vqa": ("rsvqa_lr", "rsvqa_hr")}


def of_configs(**changes: Any) -> dict[str, list[dict[str, Any]]]:
    """Rows of four configs, of two tasks."""
    names = ("cap_rsicd", "cap_ucm", "vqa_lr", "vqa_hr")
    pairs = [(task, source) for task, own in SOURCES.items() for source in own]
    return {
        name: [row(n, task, source=source, **changes) for n in range(3)]
        for name, (task, source) in zip(names, pairs, strict=True)
    }


def test_each_config_of_a_group_has_the_entry_that_a_file_of_it_has(tmp_path: Path) -> None:
    seen, without = of_configs(), of_configs(prediction="no")

    def entries(folder: Path, given: dict[str, list[Any]], blind: dict[str, list[Any]]) -> Any:
        files = [write(folder / f"{n}.jsonl", r, config=n) for n, r in given.items()]
        shown = {"images": "none"}
        others = [write(folder / f"b-{n}.jsonl", r, config=n, **shown) for n, r in blind.items()]
        found = results_of(files, others, resamples=20, folder=folder)["entries"]
        return {(own["config"], own["task"]): own for own in found}

    def mixed(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return {"all": [one for own in zip(*rows.values(), strict=True) for one in own]}

    each = entries(tmp_path / "each", seen, without)
    group = entries(tmp_path / "group", mixed(seen), mixed(without))
    half = entries(tmp_path / "half", mixed(seen), without)
    assert {config for config, _ in group} == set(seen)
    for name, entry in each.items():
        assert entry["blind"]["none"]["n"] == 3
        for found in (group, half):
            assert found[name] | {"predictions": entry["predictions"]} == entry


def test_a_missing_row_of_a_group_may_be_of_any_config(tmp_path: Path) -> None:
    rows = [one for own in of_configs().values() for one in own]
    found = results_of([write(tmp_path / "p.jsonl", rows[:-1], rows=len(rows))])["entries"]
    assert [(e["n"], e["rows"], e["missing"]) for e in found] == [(3, 4, 1)] * 3 + [(2, 3, 1)]


def test_rows_that_are_of_no_known_config_keep_the_name_of_their_group(tmp_path: Path) -> None:
    probes = [row(n, "probe") for n in range(4)]
    for name, lines in (("probes", probes), ("vqa", [row(1, source="own")])):
        (entry,) = results_of([write(tmp_path / f"{name}.jsonl", lines, config=name)])["entries"]
        assert entry["config"] == name


@pytest.mark.parametrize("said", ["red", "Crimson.", "crimson"])
def test_every_accepted_answer_is_right(tmp_path: Path, said: str) -> None:
    asked = {"source": "own", "question_type": "colour", "image": None}
    lines = [row(1, **asked, references=["red", "crimson"], prediction=said)]
    (entry,) = results_of([write(tmp_path / "p.jsonl", lines)])["entries"]
    assert entry["scores"]["oa"] == 1


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
