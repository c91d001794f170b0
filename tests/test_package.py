"""The built wheel: five clean packages, and the same rows as from the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as site-packages would be after installing the wheel."""
    built = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*command, "--directory", str(built)], cwd=ROOT, check=True, capture_output=True)
    folder = built / "site-packages"
    zipfile.ZipFile(next(built.glob("*.whl"))).extractall(folder)
    return folder


def test_nothing_but_our_packages_is_installed(installed: Path) -> None:
    packages = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert packages == {
        "rs_gpt4v",
        "rs_gpt4v_builders",
        "rs_gpt4v_evaluation",
        "rs_gpt4v_generation",
        "rs_gpt4v_training",
    }
    assert all((installed / package / "py.typed").is_file() for package in packages)
    assert list(installed.glob("rs_gpt4v_training/recipes/*.yaml"))
    page = installed / "rs_gpt4v_generation/review/page"
    assert {path.suffix for path in page.iterdir()} == {".html", ".css", ".js"}


def test_wheel_loads_data(installed: Path, releases: Path, tmp_path: Path) -> None:
    code = (
        "import rs_gpt4v, datasets\n"
        f"rows = datasets.load_dataset('rs_gpt4v', 'cap_ucm', data_dir={str(releases)!r})\n"
        "print(rs_gpt4v.__file__, len(rows['test']))"
    )
    environment = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", code]
    said = subprocess.check_output(command, cwd=tmp_path, env=environment, text=True).split()
    assert said[0] == str(installed / "rs_gpt4v/__init__.py")
    assert int(said[1]) > 0


def test_wheel_loads_metrics(installed: Path, tmp_path: Path) -> None:
    code = (
        "import evaluate, rs_gpt4v_evaluation as metrics\n"
        "print(evaluate.load(metrics.path('rs_scene')).name, metrics.load('rs_vqa').name)\n"
        "print(metrics.path('rs_vqa'))"
    )
    environment = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", code]
    said = subprocess.check_output(command, cwd=tmp_path, env=environment, text=True).split()
    assert said == ["rs_scene", "rs_vqa", str(installed / "rs_gpt4v_evaluation/rs_vqa")]
