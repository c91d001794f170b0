"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("trl")
pytest.importorskip("evaluate")

ROOT = Path(__file__).parents[1]
PACKAGES = (".", "builders", "generation", "training", "evaluation")
_SECTION = re.compile(r"^### (Add .+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def recipes() -> dict[str, list[tuple[str, str]]]:
    """The code blocks of each recipe, as language and text."""
    _, *parts = _SECTION.split((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    named = zip(parts[::2], parts[1::2], strict=True)
    return {name: _BLOCK.findall(text.split("\n## ")[0]) for name, text in named}


RECIPES = recipes()


def apply(root: Path, language: str, block: str) -> None:
    """Make the new file or the edit that a block shows."""
    first, _, rest = block.partition("\n")
    if language == "python":
        path = root / first.removeprefix("# new file: ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rest, encoding="utf-8")
    elif language == "diff":
        path = root / first.removeprefix("--- ")
        lines = rest.splitlines()
        old = "\n".join(line[1:] for line in lines if line[0] != "+")
        new = "\n".join(line[1:] for line in lines if line[0] != "-")
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path.name} holds this {text.count(old)} times:\n{old}"
        path.write_text(text.replace(old, new), encoding="utf-8")


def commands(name: str) -> list[str]:
    return [
        line for language, block in RECIPES[name] if language == "sh" for line in block.splitlines()
    ]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The repository with all toys in it: they must not get in each other's way."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("this is no clone, which would say what belongs to the repository")
    root = tmp_path_factory.mktemp("recipes")
    for name in filter(None, listed.stdout.decode().split("\0")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            shutil.copyfile(ROOT / name, root / name)
    for blocks in RECIPES.values():
        for language, block in blocks:
            apply(root, language, block)
    yield root
    shutil.rmtree(root)


def run(root: Path, command: str) -> str:
    """What a command of a recipe prints in the copy; it has to succeed."""
    path = os.pathsep.join(str(root / package) for package in PACKAGES)
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    home = root.with_name("rs_gpt4v_tests_of_recipes")  # the sample of this run has no toy source
    home.mkdir(exist_ok=True)
    environment = os.environ | {
        "PYTHONPATH": path,
        "PATH": tools,
        "PYTHONDONTWRITEBYTECODE": "1",
        "HF_HOME": str(home),
    }
    done = subprocess.run(
        command, shell=True, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_there_is_a_recipe_for_each_extension_point() -> None:
    nouns = ("source", "metric", "box codec", "model family", "export format", "tuner")
    nouns += ("check", "chat task")
    assert [name.removeprefix("Add a ").removeprefix("Add an ") for name in RECIPES] == list(nouns)


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_works(copy: Path, name: str) -> None:
    for command in commands(name):
        run(copy, command)


def test_what_is_linted_stays_clean(copy: Path) -> None:
    run(copy, "ruff format --check . && ruff check . && lint-imports")
