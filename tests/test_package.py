"""The built wheel: five clean packages, and the same rows as from the checkout."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def build(target: str, out: Path, source: Path = ROOT) -> Path:
    """The built ``target``, "wheel" or "sdist"."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target]
    subprocess.run([*command, "--directory", str(out)], cwd=source, check=True, capture_output=True)
    (built,) = out.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """A folder as site-packages would be after installing the wheel."""
    folder = wheel.parent / "site-packages"
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def test_nothing_but_our_packages_is_installed(installed: Path) -> None:
    entries = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    packages = entries - {"rs_gpt4v.pth", "rs_gpt4v_startup.py"}
    assert len(entries) == len(packages) + 2
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


def test_wheel_is_small_and_has_all_that_the_repository_keeps_in_its_packages(wheel: Path) -> None:
    assert wheel.stat().st_size < 12e6
    listed = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    kept = {
        path.removeprefix(root)
        for root in ("builders/", "generation/", "training/", "evaluation/", "")
        for path in listed
        if path.removeprefix(root).startswith("rs_gpt4v")
    }
    assert kept <= set(zipfile.ZipFile(wheel).namelist())


def test_sdist_gives_the_same_wheel_and_holds_nothing_else(wheel: Path, tmp_path: Path) -> None:
    sdist = build("sdist", tmp_path)
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        archive.extractall(tmp_path, filter="data")
    assert {"LICENSE", "CITATION.cff", "README.md"} <= names
    assert not [
        name for name in names if name.startswith(("tests", "docs", "benchmarks", "shared"))
    ]
    again = build("wheel", tmp_path / "wheel", tmp_path / sdist.name.removesuffix(".tar.gz"))
    assert again.read_bytes() == wheel.read_bytes()


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


def started(code: str, installed: Path, cwd: Path) -> str:
    """What Python prints that has ``installed`` as one of its site-packages."""
    site = cwd / "site"
    site.mkdir(exist_ok=True)
    # Python imports sitecustomize at its start; addsitedir reads .pth files.
    (site / "sitecustomize.py").write_text(f"import site; site.addsitedir({str(installed)!r})\n")
    environment = os.environ | {"PYTHONPATH": str(site)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=cwd, env=environment, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "before",
    [
        "",
        "import importlib.util; importlib.util.find_spec('datasets')",  # as transformers looks
        "import rs_gpt4v",
    ],
)
def test_the_name_is_known_without_an_import(
    before: str, installed: Path, releases: Path, tmp_path: Path
) -> None:
    code = (
        f"{before}\nfrom datasets import load_dataset\nimport sys\n"
        f"rows = load_dataset('rs_gpt4v', 'cap_ucm', split='test', data_dir={str(releases)!r})\n"
        "print(rows[0]['id'], any('AfterDatasets' in repr(f) for f in sys.meta_path))"
    )
    said = started(code, installed, tmp_path).splitlines()[-1].split()
    assert said[0].startswith("ucm_captions/test/")
    assert said[1] == "False"  # it has gone


def test_nothing_else_is_imported_at_the_start(installed: Path, tmp_path: Path) -> None:
    code = (
        "import sys; new = {m for m in sys.modules if m.startswith('rs_gpt4v')}\n"
        "import json, xml.dom, http.client\nprint(sorted(new))"
    )
    assert started(code, installed, tmp_path) == "['rs_gpt4v_startup']"


def test_datasets_works_where_the_package_is_half_removed(installed: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    for name in ("rs_gpt4v.pth", "rs_gpt4v_startup.py"):
        (alone / name).write_bytes((installed / name).read_bytes())
    code = (
        "import sys; sys.modules['rs_gpt4v'] = None\n"  # an import of it fails
        "import datasets; print(datasets.load_dataset.__name__)"
    )
    assert started(code, alone, tmp_path) == "load_dataset"


def test_an_editable_install_has_the_same_start(tmp_path: Path) -> None:
    code = f"from hatchling.build import build_editable; build_editable({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    (built,) = tmp_path.glob("*.whl")
    names = sorted(name for name in zipfile.ZipFile(built).namelist() if "/" not in name)
    assert names == ["_rs_gpt4v.pth", "rs_gpt4v.pth"]


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
