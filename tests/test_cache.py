"""Rows are never stale: an edit of the raw files or of the code is seen by the next load."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import datasets
import pytest

from rs_gpt4v import NAME

REPOSITORY = Path(__file__).parents[1]


def test_edited_annotations_are_read_again(releases: Path, tmp_path: Path) -> None:
    root = shutil.copytree(releases, tmp_path / "releases")
    before = datasets.load_dataset(NAME, "cap_ucm", split="test", data_dir=str(root))
    path = root / "UCM_captions/dataset.json"
    content = json.loads(path.read_text())
    edited = next(image for image in content["images"] if image["split"] == "test")
    edited["sentences"][0]["raw"] = "An edited caption ."
    path.write_text(json.dumps(content))
    after = datasets.load_dataset(NAME, "cap_ucm", split="test", data_dir=str(root))
    assert before[0]["references"][0] != "An edited caption ."
    assert after[0]["references"][0] == "An edited caption ."


def test_unchanged_files_are_not_read_again(
    releases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets.load_dataset(NAME, "cap_rsicd", data_dir=str(releases))

    def fail(*_: object) -> None:
        raise AssertionError("the annotations were read again")

    monkeypatch.setattr("rs_gpt4v_builders._karpathy.read_json_list", fail)
    datasets.load_dataset(NAME, "cap_rsicd", data_dir=str(releases))


def test_edited_code_builds_again(releases: Path, tmp_path: Path) -> None:
    for package in ("rs_gpt4v", "builders/rs_gpt4v_builders"):
        shutil.copytree(REPOSITORY / package, tmp_path / package)
    code = (
        "import rs_gpt4v, datasets; rows = datasets.load_dataset('rs_gpt4v', 'vqa_lr', "
        f"split='test', wording='fixed', data_dir={str(releases)!r}, cache_dir='cache'); "
        "print(rows[0]['messages'][0]['content'])"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([".", "builders"])}

    def prompt() -> str:
        command = [sys.executable, "-c", code]
        return subprocess.check_output(command, cwd=tmp_path, env=environment, text=True)

    assert "Answer the question using a single word" in prompt()
    wordings = tmp_path / "rs_gpt4v/wordings.py"
    wordings.write_text(
        wordings.read_text().replace("Answer the question using a single", "Use one")
    )
    assert "Use one word" in prompt()


def test_same_path_from_another_folder_is_the_same_build(
    releases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absolute = datasets.load_dataset(NAME, "vqa_lr", split="test", data_dir=str(releases))
    monkeypatch.chdir(releases.parent)
    relative = datasets.load_dataset(NAME, "vqa_lr", split="test", data_dir=releases.name)
    assert relative.cache_files == absolute.cache_files
