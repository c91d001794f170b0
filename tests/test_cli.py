"""The command line: helpful help, one-line errors, results where they are said to be."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rs_gpt4v.cli import app, main
from rs_gpt4v.cli.common import data_root
from rs_gpt4v_builders.export import FORMATS
from rs_gpt4v_evaluation.harnesses import HARNESSES
from rs_gpt4v_evaluation.imports.formats import NAMES
from rs_gpt4v_generation.products import PRODUCTS

VERBS = (
    "sources",
    "download",
    "check",
    "build",
    "show",
    "stats",
    "principles",
    "export",
    "train",
    "predict",
    "chat",
    "import",
    "score",
    "report",
    "chair",
    "judge",
    "generate",
    "review",
    "reconcile",
    "release",
    "demo",
)


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_each_verb_shows_an_example(verb: str) -> None:
    assert f"Example: rs-gpt4v {verb}" in " ".join(run(verb, "--help").split())


def test_help_names_every_verb() -> None:
    assert all(verb in run("--help") for verb in VERBS)


def test_help_names_all_that_can_be_chosen() -> None:
    """Written by hand: to import the lists would make every verb start a second later."""
    for verb, choices in (
        ("generate", PRODUCTS),
        ("export", [*FORMATS, *HARNESSES]),
        ("import", NAMES),
    ):
        words = set(re.findall(r"\w+", run(verb, "--help")))
        assert set(choices) <= words, verb


def test_build_counts_rows(releases: Path) -> None:
    assert "cap_ucm: train " in run("build", "cap_ucm", "--data-dir", releases)


def test_expected_errors_are_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rs_gpt4v.cli", "build", "cap_ucm", "--data-dir"]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    error = done.stderr.strip().splitlines()[-1]
    assert error.startswith(f"Error: UCM-Captions is not at {tmp_path}")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", ["score", "board"])
def test_a_file_that_is_not_there_is_named(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["rs-gpt4v", verb, "nowhere.jsonl"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == "Error: nowhere.jsonl: there is no such file or folder\n"


def test_an_unknown_blind_run_is_refused_before_the_model_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a blind run shows none, grey, other, not foo"):
        run("predict", "no/such-model", "cap_ucm", "--blind", "foo", "--out", tmp_path / "p.jsonl")


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_data_dir_that_is_no_folder_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=f"{tmp_path / name} is no folder: give the releases'"):
        run("build", "cap_ucm", "--data-dir", tmp_path / name)


def test_sample_and_data_dir_contradict_each_other(
    releases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="leave --data-dir out"):
        run("build", "cap_sydney", "--sample", "--data-dir", releases)
    monkeypatch.setenv("RS_GPT4V_DATA", str(releases))  # what is always set contradicts nothing
    assert data_root(releases, sample=True) is None
    assert data_root(releases, sample=False) == str(releases)


def test_adapter_as_model_is_told_where_it_belongs(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ValueError, match="is an adapter: give its base as MODEL"):
        run("predict", tmp_path, "cap_ucm", "--sample", "--out", tmp_path / "out.jsonl")


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
def test_predict_score_report(releases: Path, tuned: Path, tmp_path: Path) -> None:
    file, page = tmp_path / "tuned/vqa_lr.jsonl", tmp_path / "report.html"
    given = ["--data-dir", releases, "--adapter", tuned, "--out", file]
    run("predict", "embedded", "vqa_lr", *given)
    score = json.loads(run("score", file, "--json"))[0]
    assert score["missing"] == 0
    assert score["scores"]["accuracy_presence"] > 0.8  # half of the answers are yes
    assert "accuracy_presence" in run("score", file)
    run("report", file, "--out", page)
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    "arguments",
    [
        "stats --sample --batch-size 0",
        "predict m vqa_lr --sample --out o.jsonl --batch-size 0",
        "predict m vqa_lr --sample --out o.jsonl --server http://127.0.0.1:9/v1 --concurrency 0",
        "build cap_ucm --sample --num-proc 0",
        "export webdataset out cap_ucm --sample --shard-mb 0",
        "review q.jsonl --port 99999",
        "review q.jsonl --port -1",
        "generate m --sample --out o --negatives 7",
        "generate m --sample --out o --negatives nan",
        "generate m --sample --out o --max-cost nan",
        "generate m --sample --out o --max-tokens 0",
        "generate m --sample --out o --temperature inf",
        "generate m --sample --out o --requests-per-minute 0",
        "generate m --sample --out o --tokens-per-minute -1",
        "judge p.jsonl --judge-model m --out o.jsonl --max-cost -1",
        "judge p.jsonl --judge-model m --out o.jsonl --max-cost nan",
    ],
)
def test_number_out_of_bounds_is_refused_at_once(
    arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    option, value = arguments.split()[-2:]
    told = CliRunner().invoke(app, arguments.split())
    assert told.exit_code == 2, value
    assert option in told.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("body", ["[1]", "{", '"x"', '{"a": "\\ud800"}', "[" * 100_000])
def test_body_is_a_json_object(body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    arguments = ["judge", "p.jsonl", "--judge-model", "m", "--out", str(tmp_path / "o.jsonl")]
    told = CliRunner().invoke(app, [*arguments, "--body", body])
    assert str(told.exception).startswith("--body: ")
    assert len(str(told.exception)) < 200
