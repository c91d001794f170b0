"""lmms-eval and VLMEvalKit: their prompts are ours, and their numbers those of `rs-gpt4v score`."""

import csv
import importlib
import importlib.util
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

pytest.importorskip("evaluate")
pytest.importorskip("transformers")

from rs_gpt4v import NAME
from rs_gpt4v.cli import app
from rs_gpt4v.conversation import fingerprint
from rs_gpt4v_builders.export import FORMATS, export
from rs_gpt4v_builders.export._folder import ExportFolderError
from rs_gpt4v_builders.export.job import ExportJob
from rs_gpt4v_evaluation.harnesses import HARNESSES, lmms_eval
from rs_gpt4v_evaluation.harnesses.vlmevalkit import read_result
from rs_gpt4v_evaluation.object_sizes import SIZES
from rs_gpt4v_evaluation.predict import describe
from rs_gpt4v_evaluation.predict.predictions import (
    Prediction,
    PredictionFileError,
    prediction_line,
    read_predictions,
)
from rs_gpt4v_evaluation.score import scores_of as scores_of_tasks

CONFIGS = ("cap_ucm", "vqa_lr", "vqa_hr", "grounding", "region_caption")
Row = dict[str, Any]

HARNESS = pytest.mark.parametrize("kind", HARNESSES)


@pytest.fixture(scope="module")
def exported(releases: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An export of each kind, and one with another codec. Read only."""
    root = tmp_path_factory.mktemp("harness")
    made = {
        kind: export(HARNESSES[kind], root / kind, CONFIGS, data_dir=str(releases))
        for kind in HARNESSES
    }
    for kind in HARNESSES:
        made[f"{kind}_qwen"] = export(
            HARNESSES[kind],
            root / f"{kind}q",
            ["grounding"],
            data_dir=str(releases),
            box_format="qwen2_5_vl",
        )
    return made


def build(config: str, split: str, root: Path, **options: Any) -> list[Row]:
    """The rows, each image as its path."""
    rows = datasets.load_dataset(NAME, config, data_dir=str(root), split=split, **options)
    return list(rows.cast_column("images", datasets.List(datasets.Image(decode=False))))


def reply(rows: list[Row], place: int) -> str:
    """The answer of the row, or for every third row that of another; a few are odd."""
    if place % 11 == 5:
        return ["", "None", "07"][place % 3]
    other = rows[place if place % 3 else (place * 7 + 4) % len(rows)]
    return other["messages"][-1]["content"]


def expected(config: str, split: str, root: Path, **options: Any) -> list[Prediction]:
    """What `rs-gpt4v predict` would write, were these the replies."""
    rows = build(config, split, root, **options)
    codec = options.get("box_format", "llava")
    asked = datasets.load_dataset(NAME, config, data_dir=str(root), split=split, **options)
    constants = {
        "model": "tiny",
        "adapter": None,
        "weights": None,
        "decoding": {"do_sample": None, "max_new_tokens": None},
        "dataset": describe(asked, config=config, split=split, protocol="paper", box_format=codec),
    }
    return [prediction_line(row, reply(rows, i), constants) for i, row in enumerate(rows)]


def scores_of(predictions: list[Prediction]) -> dict[str, Any]:
    (found,) = scores_of_tasks(predictions, "expected")
    return dict(found["scores"])


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# lmms-eval


class TaskLoader(yaml.SafeLoader):
    """Reads a task as lmms-eval does: ``!function module.name`` is that function."""


def function(loader: yaml.Loader, node: yaml.ScalarNode) -> Callable[..., Any]:
    module, _, name = loader.construct_scalar(node).rpartition(".")
    return getattr(importlib.import_module(module), name)


TaskLoader.add_constructor("!function", function)


def evaluated(file: Path) -> dict[str, float]:
    """What lmms-eval makes of a task, in the steps of its ConfigurableTask and its evaluator."""
    with file.open(encoding="utf-8") as text:
        task = yaml.load(text, TaskLoader)
    rows = datasets.load_dataset(
        task["dataset_path"], task["dataset_name"], num_proc=1, **task["dataset_kwargs"]
    )[task["test_split"]]
    rows: list[Any] = list(without_images(task["process_docs"](rows)))
    values = defaultdict(list)
    for place, row in enumerate(rows):
        assert task["doc_to_text"](row) == row["messages"][0]["content"]
        said = [f" {reply(rows, place)}\n".strip()]
        for metric, value in task["process_results"](row, said).items():
            values[metric].append(json.loads(json.dumps(value)))  # as between processes
    known = {metric["metric"]: metric["aggregation"] for metric in task["metric_list"]}
    return {metric: known[metric](found) for metric, found in values.items()}


def without_images(rows: datasets.Dataset) -> datasets.Dataset:
    """The columns that lmms-eval leaves in what it scores."""
    return rows.select_columns(
        [
            name
            for name, feature in rows.features.items()
            if not isinstance(getattr(feature, "feature", feature), datasets.Image)
        ]
    )


TASKS = pytest.mark.parametrize(
    ("name", "config", "split"),
    [
        ("rs_gpt4v_cap_ucm", "cap_ucm", "test"),
        ("rs_gpt4v_cap_ucm_validation", "cap_ucm", "validation"),
        ("rs_gpt4v_vqa_lr", "vqa_lr", "test"),
        ("rs_gpt4v_vqa_hr_philadelphia", "vqa_hr", "test_philadelphia"),
        ("rs_gpt4v_grounding", "grounding", "test"),
        ("rs_gpt4v_region_caption", "region_caption", "test"),
    ],
)
_NOT_IN_TASKS = ("n_", "empty", "signature")


def told(scores: dict[str, Any]) -> dict[str, float]:
    """Without what depends on which rows there are."""
    return {
        name: value
        for name, value in scores.items()
        if not name.startswith(_NOT_IN_TASKS)
        and "_of_" not in name
        and not name.endswith(tuple(SIZES))
    }


@TASKS
def test_lmms_eval_numbers_are_those_of_score(
    name: str, config: str, split: str, exported: dict[str, Path], releases: Path
) -> None:
    found = evaluated(exported["lmms_eval"] / f"{name}.yaml")
    assert found == told(scores_of(expected(config, split, releases)))
    assert max(found.values()) > 0


def test_boxes_are_read_by_the_codec_of_the_export(
    exported: dict[str, Path], releases: Path
) -> None:
    found = evaluated(exported["lmms_eval_qwen"] / "rs_gpt4v_grounding.yaml")
    assert found == told(
        scores_of(expected("grounding", "test", releases, box_format="qwen2_5_vl"))
    )
    assert found["pr_50"] > 0.3


def test_there_is_a_task_for_each_split_but_training(exported: dict[str, Path]) -> None:
    assert sorted(file.stem for file in exported["lmms_eval"].glob("*.yaml")) == [
        "rs_gpt4v_cap_ucm",
        "rs_gpt4v_cap_ucm_validation",
        "rs_gpt4v_grounding",
        "rs_gpt4v_region_caption",
        "rs_gpt4v_vqa_hr",
        "rs_gpt4v_vqa_hr_philadelphia",
        "rs_gpt4v_vqa_hr_validation",
        "rs_gpt4v_vqa_lr",
        "rs_gpt4v_vqa_lr_validation",
    ]
    assert not (exported["lmms_eval"] / "images").exists()


def test_tasks_decode_as_predict_does_and_share_a_tag(exported: dict[str, Path]) -> None:
    for file in exported["lmms_eval"].glob("*.yaml"):
        task = yaml.load(file.read_text(encoding="utf-8"), TaskLoader)
        assert task["tag"] == "rs_gpt4v"
        assert task["generation_kwargs"] == {
            "max_new_tokens": 64,
            "do_sample": False,
            "temperature": 0,
            "until": [],  # else lmms-eval puts in the empty line
        }


def test_doc_functions_give_what_a_model_is_asked(releases: Path) -> None:
    rows = datasets.load_dataset(NAME, "vqa_lr", data_dir=str(releases), split="test")
    as_paths = lmms_eval.process_docs(rows)
    row, true = as_paths[3], rows[3]
    [image] = lmms_eval.doc_to_visual(row)
    assert image.tobytes() == true["images"][0].convert("RGB").tobytes()
    assert image.mode == "RGB"
    assert lmms_eval.doc_to_text(row) == true["messages"][0]["content"]
    assert lmms_eval.doc_to_target(row) == true["references"][0]
    assert json.dumps(row)  # lmms-eval logs it


def test_a_row_counts_for_its_own_question_type_alone(releases: Path) -> None:
    for row in build("vqa_lr", "test", releases):
        kinds = ["aa", "oa", f"accuracy_{row['question_type']}"]
        assert list(lmms_eval.process_results(row, ["yes"])) == kinds


def test_meteor_is_left_out_aloud(monkeypatch: pytest.MonkeyPatch, releases: Path) -> None:
    monkeypatch.setattr(lmms_eval, "missing", lambda: ["numba"])
    rows = datasets.load_dataset(NAME, "cap_ucm", data_dir=str(releases), split="test")
    with pytest.warns(UserWarning, match="METEOR is left out, as it needs numba"):
        row = lmms_eval.process_docs(rows)[0]
    metrics = lmms_eval.process_results(row, ["A plane."])
    assert "cider" in metrics
    assert "meteor" not in metrics


def test_unknown_codec_is_no_function() -> None:
    with pytest.raises(AttributeError, match="process_results_morse"):
        _ = lmms_eval.process_results_morse


_RUN = """
import json, sys
from argparse import Namespace
from lmms_eval import evaluator
from lmms_eval.api.model import lmms
from lmms_eval.tasks import TaskManager
from test_harness import reply

class Replies(lmms):
    loglikelihood = generate_until_multi_round = None

    def generate_until(self, requests):
        return [self.answer(*request.args) for request in requests]

    def answer(self, text, decoding, doc_to_visual, place, task, split):
        rows = self.task_dict[task][split]
        assert decoding["until"] == [] and decoding["max_new_tokens"] == 64
        assert [image.size for image in doc_to_visual(rows[place])] == [
            (rows[place]["width"], rows[place]["height"])
        ]
        assert text == rows[place]["messages"][0]["content"]
        return f" {reply(rows, place)}\\n"

tasks = TaskManager("ERROR", include_path=sys.argv[1], include_defaults=False)
found = evaluator.simple_evaluate(
    Replies(),
    tasks=["rs_gpt4v"],
    task_manager=tasks,
    bootstrap_iters=0,
    log_samples=True,
    cli_args=Namespace(process_with_media=False),  # as its command line: without the images
)
json.dumps(found["samples"])
results = {
    task: {
        name.removesuffix(",none"): value
        for name, value in scores.items()
        if name.endswith(",none") and "_stderr" not in name
    }
    for task, scores in found["results"].items()
}
print(json.dumps(results))
"""


@pytest.mark.skipif(
    importlib.util.find_spec("lmms_eval") is None,
    reason="lmms_eval is not installed: pip install lmms-eval, then this test runs it",
)
def test_lmms_eval_itself_gives_the_same_numbers(
    exported: dict[str, Path], releases: Path, tmp_path: Path
) -> None:
    paths = os.pathsep.join([*sys.path, str(Path(__file__).parent)])
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(exported["lmms_eval"])],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found) == 9
    for name, config, split in TASKS.args[1]:
        assert found[name] == told(scores_of(expected(config, split, releases)))


# VLMEvalKit


def answered(table: Path, out: Path, said: Callable[[int, pd.DataFrame], str]) -> Path:
    """The table as VLMEvalKit reads it and writes it again, with a reply a row."""
    out.mkdir(exist_ok=True)
    rows = pd.read_csv(table, sep="\t")
    assert list(rows["index"]) == list(range(len(rows)))
    rows["prediction"] = [said(i, rows) for i in range(len(rows))]
    result = out / f"tiny_{table.name}"
    rows.to_csv(result, sep="\t", index=False, encoding="utf-8", quoting=csv.QUOTE_ALL)
    return result


def truth_or_other(place: int, table: pd.DataFrame) -> str:
    rows = [json.loads(cell) for cell in table["rs_gpt4v_row"]]
    return reply(rows, place)


@TASKS
def test_collected_replies_are_the_predictions_of_predict(
    name: str,
    config: str,
    split: str,
    exported: dict[str, Path],
    releases: Path,
    tmp_path: Path,
) -> None:
    table = exported["vlmevalkit"] / f"{name}_openended.tsv"
    result = answered(table, tmp_path, truth_or_other)
    out = tmp_path / "new" / "predictions.jsonl"
    done = CliRunner().invoke(app, ["import", str(result), "--out", str(out)])
    assert done.exit_code == 0, done.output
    found, ours = read_predictions(out), expected(config, split, releases)
    for one, other in zip(found, ours, strict=True):
        assert one | {"image": None} == other | {"image": None}
        assert Path(one["image"] or "").read_bytes() == Path(other["image"] or "").read_bytes()
    assert scores_of(found) == scores_of(ours)


def test_collected_boxes_have_their_codec(
    exported: dict[str, Path], releases: Path, tmp_path: Path
) -> None:
    table = exported["vlmevalkit_qwen"] / "rs_gpt4v_grounding_openended.tsv"
    found, _ = read_result(answered(table, tmp_path, truth_or_other))
    ours = expected("grounding", "test", releases, box_format="qwen2_5_vl")
    assert found[0]["dataset"] == ours[0]["dataset"]
    assert scores_of(found) == scores_of(ours)


def test_other_questions_have_another_fingerprint(releases: Path) -> None:
    options: dict[str, Any] = {"data_dir": str(releases), "split": "test"}
    asked = datasets.load_dataset(NAME, "vqa_lr", **options)
    worded = datasets.load_dataset(NAME, "vqa_lr", wording="fixed", **options)
    assert asked["id"] == worded["id"]
    assert fingerprint(asked) != fingerprint(worded)
    assert fingerprint(asked) == fingerprint(asked.select(range(len(asked))))


def test_replies_that_did_not_come_are_listed_and_left_out(
    exported: dict[str, Path], tmp_path: Path
) -> None:
    def some_failed(place: int, _: pd.DataFrame) -> str:
        return "Failed to obtain answer via API." if place in (1, 4) else "yes"

    table = exported["vlmevalkit"] / "rs_gpt4v_vqa_lr_openended.tsv"
    result, out = answered(table, tmp_path, some_failed), tmp_path / "p.jsonl"
    done = CliRunner().invoke(app, ["import", str(result), "--out", str(out)])
    assert done.exit_code == 1
    ids = [json.loads(cell)["id"] for cell in pd.read_csv(table, sep="\t")["rs_gpt4v_row"]]
    assert done.output.splitlines()[2:] == [ids[1], ids[4]]
    found = read_predictions(out)
    assert [one["id"] for one in found] == [i for i in ids if i not in (ids[1], ids[4])]
    assert scores_of_tasks(found, "p.jsonl")[0]["missing"] == 2


def test_any_words_survive_the_table(exported: dict[str, Path], tmp_path: Path) -> None:
    odd = ["a\tb\nc", 'say "no"', "=1+1", "NA", "null", "1e5", "007", "", "飞机 \u2028 é", "\r\nx"]
    table = exported["vlmevalkit"] / "rs_gpt4v_grounding_openended.tsv"
    result = answered(table, tmp_path, lambda i, _: odd[i % len(odd)])
    found = [one["prediction"] for one in read_result(result).predictions]
    assert found == [odd[i % len(odd)].strip() for i in range(len(found))]


def test_numbers_stay_as_they_were_written(exported: dict[str, Path], tmp_path: Path) -> None:
    table = exported["vlmevalkit"] / "rs_gpt4v_grounding_openended.tsv"
    result = answered(table, tmp_path, lambda *_: "007.0")
    assert {one["prediction"] for one in read_result(result).predictions} == {"007.0"}


def test_model_is_what_the_file_is_called(exported: dict[str, Path], tmp_path: Path) -> None:
    table = exported["vlmevalkit"] / "rs_gpt4v_vqa_hr_philadelphia_openended.tsv"
    result = answered(table, tmp_path, lambda *_: "no")
    named = result.rename(result.with_name(f"my_rs_model-7B_{table.name}"))
    assert read_result(named).predictions[0]["model"] == "my_rs_model-7B"


def test_workbook_gives_the_same(exported: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("openpyxl", reason="openpyxl is not installed: no .xlsx can be read")
    table = exported["vlmevalkit"] / "rs_gpt4v_cap_ucm_openended.tsv"
    plain = answered(table, tmp_path, truth_or_other)
    workbook = plain.with_suffix(".xlsx")
    pd.read_csv(plain, sep="\t", keep_default_na=False).to_excel(workbook, index=False)
    assert read_result(workbook) == read_result(plain)


def test_workbook_without_its_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    (tmp_path / "m.xlsx").touch()
    with pytest.raises(PredictionFileError, match=r"needs openpyxl .*PRED_FORMAT=tsv"):
        read_result(tmp_path / "m.xlsx")


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("m.tsv", "index\tprediction\n0\tyes\n", "lacks the columns rs_gpt4v_dataset, rs_gpt4v_r"),
        (
            "m.tsv",
            'prediction\trs_gpt4v_dataset\trs_gpt4v_row\nyes\t{}\t"{""id"": "\n',
            r"m\.tsv, row 2, rs_gpt4v_dataset: it lacks config, split,",
        ),
        ("m.pkl", "", "expected .tsv or .xlsx"),
    ],
)
def test_damaged_results_are_named(name: str, text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(PredictionFileError, match=problem):
        read_result(tmp_path / name)


def test_only_images_to_test_on_are_stored(exported: dict[str, Path], releases: Path) -> None:
    tables = exported["vlmevalkit"].glob("*.tsv")
    named = {path for table in tables for path in pd.read_csv(table, sep="\t")["image_path"]}
    stored = {str(path) for path in exported["vlmevalkit"].rglob("images/**/*") if path.is_file()}
    assert stored == named
    trained = {row["images"][0]["path"] for row in build("cap_ucm", "train", releases)}
    assert not {Path(path).name for path in trained} & {
        Path(path).name for path in stored if "UCM" in path
    }


def test_tables_are_vqa_to_vlmevalkit(exported: dict[str, Path]) -> None:
    tables = list(exported["vlmevalkit"].glob("*.tsv"))
    assert len(tables) == 9
    for table in tables:
        assert "openended" in table.stem
        columns = pd.read_csv(table, sep="\t").columns
        assert {"index", "image_path", "question", "answer"} <= set(columns)
        assert not {"A", "B", "image"} & set(columns)  # A and B would make it multiple choice


# Both


@HARNESS
def test_same_call_goes_on_with_the_same_bytes(
    kind: str, exported: dict[str, Path], releases: Path
) -> None:
    out = exported[kind]
    before = content(out)
    stored = {path: path.stat().st_ino for path in out.rglob("images/**/*") if path.is_file()}
    next(path for path in out.iterdir() if path.suffix in (".yaml", ".tsv")).unlink()
    export(HARNESSES[kind], out, CONFIGS, data_dir=str(releases))
    assert content(out) == before
    assert {path: path.stat().st_ino for path in stored} == stored


@HARNESS
@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ("all", "all mixes the tasks caption, vqa, .*: name its configs instead"),
        ("conversation", "rows of task 'conversation', which no metric scores but a model judges"),
        ("detail", "rows of task 'detail'"),
        ("vqa_floodnet", "vqa_floodnet has training rows alone"),
    ],
)
def test_what_a_harness_cannot_score_is_refused_before_the_folder_is_taken(
    kind: str, config: str, problem: str, releases: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=problem):
        export(HARNESSES[kind], out, ["cap_ucm", config], data_dir=str(releases))
    assert not out.exists()


def test_folder_of_another_harness_is_refused(exported: dict[str, Path], releases: Path) -> None:
    with pytest.raises(ExportFolderError, match="holds another export"):
        export(HARNESSES["vlmevalkit"], exported["lmms_eval"], CONFIGS, data_dir=str(releases))


def test_tasks_of_the_sample_name_no_data_root(releases: Path, tmp_path: Path) -> None:
    rows = datasets.load_dataset(NAME, "grounding", data_dir=str(releases), split="test")
    configs = {"grounding": datasets.DatasetDict({"test": rows})}
    options = {"data_dir": None, "sample": True, "box_format": "llava"}
    lmms_eval.write(ExportJob(configs, {}, tmp_path, "copy", 1, options))
    task = yaml.load((tmp_path / "rs_gpt4v_grounding.yaml").read_text(), TaskLoader)
    assert task["dataset_kwargs"] == {"sample": True, "box_format": "llava"}


def test_help_and_error_name_every_format(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["export", "--help"], env={"COLUMNS": "200"}).output
    wrong = CliRunner().invoke(app, ["export", "lm_eval", str(tmp_path / "out"), "cap_ucm"])
    for kind in FORMATS | HARNESSES:
        assert kind in shown
        assert kind in str(wrong.exception)
