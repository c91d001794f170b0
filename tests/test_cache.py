"""Rows are never stale: an edit of the raw files or of the code is seen by the next load."""

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import datasets
import pytest

from rs_gpt4v import NAME
from rs_gpt4v_builders.usable_records import RecordError

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

    monkeypatch.setattr("rs_gpt4v_builders.sources.karpathy.read_json_list", fail)
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
    templates = tmp_path / "rs_gpt4v/templates.py"
    templates.write_text(
        templates.read_text().replace("Answer the question using a single", "Use one")
    )
    assert "Use one word" in prompt()


def test_same_path_from_another_folder_is_the_same_build(
    releases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absolute = datasets.load_dataset(NAME, "vqa_lr", split="test", data_dir=str(releases))
    monkeypatch.chdir(releases.parent)
    relative = datasets.load_dataset(NAME, "vqa_lr", split="test", data_dir=releases.name)
    assert relative.cache_files == absolute.cache_files


@pytest.mark.parametrize(
    ("config", "image"),
    [
        ("cap_nwpu", "NWPU-Captions/NWPU_images/airport/airport_001.jpg"),
        ("vqa_rsivqa", "HRRSD/JPEGImages/*.jpg"),
        ("vqa_floodnet", "FloodNet/Images/Train_Image/*.JPG"),
    ],
)
@pytest.mark.parametrize("on_missing", ["raise", "skip"])
def test_a_removed_image_is_noticed_wherever_it_lies(
    config: str, image: str, on_missing: str, releases: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(releases, tmp_path / "releases")
    load = partial(datasets.load_dataset, NAME, config, data_dir=str(root), split="train")
    whole = load(on_missing=on_missing)
    removed = next(path for path in sorted(root.glob(image)) if path.stem in _images(whole))
    removed.unlink()
    with pytest.raises(RecordError, match=f"{removed.name} is missing"):
        load(on_missing="raise")
    assert len(load(on_missing="skip")) < len(whole)


def test_a_replaced_image_in_a_class_folder_is_noticed_when_skipping(
    releases: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(releases, tmp_path / "releases")
    image = root / "NWPU-Captions/NWPU_images/forest/forest_001.jpg"
    whole = image.read_bytes()
    image.write_bytes(whole[:500])
    load = partial(datasets.load_dataset, NAME, "cap_nwpu", data_dir=str(root), on_missing="skip")
    fewer = load(split="train")
    image.write_bytes(whole)
    assert len(load(split="train")) > len(fewer)


def _images(rows: datasets.Dataset) -> set[str]:
    """Stems of the rows' images."""
    column = rows.cast_column("images", datasets.List(datasets.Image(decode=False)))["images"]
    return {Path(image["path"]).stem for images in column for image in images}
