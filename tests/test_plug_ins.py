"""Configs of other packages: in every verb, and a broken one costs no other."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
SOURCE = '''
"""Toy captions."""
from functools import partial

from rs_gpt4v import adapt
from rs_gpt4v_builders import Config
from rs_gpt4v_builders.sources import karpathy
from rs_gpt4v_builders.sources.source import Source

CONFIG = Config(
    Source(
        name="{source}",
        title="Toy captions",
        homepage="https://example.org/toy",
        license="CC-BY-4.0",
        citation="@misc{{toy}}",
        folders=("Toy",),
        annotations=karpathy.annotations("dataset_toy.json"),
        images=("images",),
        reader=partial(karpathy.read, file="dataset_toy.json"),
    ),
    adapt.captions,
    "1 / 1 / 1",
)
'''


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the toy release."""
    root = tmp_path_factory.mktemp("data")
    (root / "Toy/images").mkdir(parents=True)
    items = []
    for index, split in enumerate(["train", "val", "test"]):
        Image.new("RGB", (8, 6), (index * 90, 0, 0)).save(root / f"Toy/images/{index}.png")
        sentences = [{"raw": f"A {split} harbor ."}]
        items.append({"filename": f"{index}.png", "split": split, "sentences": sentences})
    (root / "Toy/dataset_toy.json").write_text(json.dumps({"images": items}), "utf-8")
    return root


def add(site: Path, package: str, configs: dict[str, str], code: str | None = None) -> None:
    """Put a package of one module into a folder of packages, as an installer does."""
    module = package.replace("-", "_")
    points = "".join(f"{name} = {value}\n" for name, value in configs.items())
    head = f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n"
    for name, text in {
        f"{module}.py": SOURCE.format(source=module) if code is None else code,
        f"{module}-1.2.dist-info/METADATA": head,
        f"{module}-1.2.dist-info/entry_points.txt": f"[rs_gpt4v.sources]\n{points}",
    }.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def run(site: Path, *command: str, fails: bool = False) -> str:
    """What a process prints that has the packages of ``site``."""
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, check=False
    )
    assert bool(done.returncode) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def load(site: Path, data: Path, config: str, cache: Path, *, fails: bool = False) -> str:
    code = (
        "import sys, rs_gpt4v, datasets; name, root, cache = sys.argv[1:]\n"
        "rows = datasets.load_dataset('rs_gpt4v', name, data_dir=root, cache_dir=cache)\n"
        "print(rows['train'][0]['id'], rows['train'][0]['messages'][1]['content'])\n"
        "print(rows['train'].cache_files[0]['filename'])"
    )
    return run(site, "-c", code, config, str(data), str(cache), fails=fails)


def test_configs_of_another_package(data: Path, tmp_path: Path) -> None:
    site, cache = tmp_path / "site", tmp_path / "cache"
    add(site, "rs-toy", {"cap_toy": "rs_toy:CONFIG"})
    first = load(site, data, "cap_toy", cache)
    assert "rs_toy/train/0/0 A train harbor" in first
    assert load(site, data, "cap_toy", cache) == first
    names = "import datasets; print(datasets.get_dataset_config_names('rs_gpt4v'))"
    assert "'cap_toy'" in run(site, "-c", f"import rs_gpt4v; {names}")
    # Its code decides its rows.
    module = site / "rs_toy.py"
    changed = module.read_text("utf-8").replace("adapt.captions", "lambda *a: adapt.captions(*a)")
    module.write_text(changed, "utf-8")
    again = load(site, data, "cap_toy", cache)
    assert again.splitlines()[0] == first.splitlines()[0]
    assert again.splitlines()[1] != first.splitlines()[1]


def test_verbs_know_it(data: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    add(site, "rs-toy", {"cap_toy": "rs_toy:CONFIG"})
    cli = ("-m", "rs_gpt4v.cli")
    listed = run(site, *cli, "sources", "--data-dir", str(data), "--json")
    (toy,) = (source for source in json.loads(listed) if source["name"] == "rs_toy")
    assert (toy["configs"], toy["status"], toy["title"]) == (["cap_toy"], "found", "Toy captions")
    page = ("--out", str(tmp_path / "audit.html"))
    assert "cap_toy" in run(site, *cli, "audit", "cap_toy", "--data-dir", str(data), *page)
    assert "cap_toy" in run(site, *cli, "stats", "--data-dir", str(data), "--json")
    told = run(site, *cli, "audit", "cap_toy", "--sample", *page, fails=True)
    assert "cap_toy: of the package rs-toy 1.2, not in the sample" in told


BROKEN = {
    "rs-absent": ("import nothing_of_this_name", "ModuleNotFoundError: No module"),
    "rs-failing": ("1 / 0", "ZeroDivisionError: division by zero"),
    "rs-empty": ("", "has no attribute 'CONFIG'"),
    "rs-seven": ("CONFIG = 7", "expected a Config, found 7"),
    "dior": (None, "the name of its source, 'dior', is taken"),
}
"""Code of packages, and what is wrong with it."""


def test_broken_packages_are_named_and_break_no_other(data: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    add(site, "rs-sound", {"cap_sound": "rs_sound:CONFIG"})
    for package, (code, _) in BROKEN.items():
        add(site, package, {f"of_{package}": f"{package.replace('-', '_')}:CONFIG"}, code)
    listed = run(site, "-m", "rs_gpt4v.cli", "sources", "--data-dir", str(data))
    assert "Toy captions: cap_sound" in listed
    for package, (_, reason) in BROKEN.items():
        assert f"of_{package}: package {package} 1.2 adds this config as " in listed
        assert reason in listed
    assert "rs_sound/train" in load(site, data, "cap_sound", tmp_path / "cache")
    told = load(site, data, "of_rs-failing", tmp_path / "cache", fails=True)
    assert "of_rs-failing: package rs-failing 1.2 adds this config as rs_failing:CONFIG" in told


def test_names_that_are_taken(data: Path, tmp_path: Path) -> None:
    site, cache = tmp_path / "site", tmp_path / "cache"
    add(site, "rs-toy", {"cap_toy": "rs_toy:CONFIG", "all": "rs_toy:CONFIG"})
    assert "all: package rs-toy 1.2 adds a config of this name, which is taken" in load(
        site, data, "cap_toy", cache
    )
    told = load(site, data, "all", cache, fails=True)
    assert "Absent of 'all'" in told  # ours
    add(site, "rs-toy-two", {"cap_toy": "rs_toy_two:CONFIG"})
    told = load(site, data, "cap_toy", cache, fails=True)
    assert "cap_toy: packages rs-toy 1.2 and rs-toy-two 1.2 both add this config" in told
