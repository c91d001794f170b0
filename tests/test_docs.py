"""The README names what there is, and nothing it names is missing."""

import re
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from typer.main import get_command

import rs_gpt4v
from rs_gpt4v.cli import app
from rs_gpt4v_builders import CONFIGS, GROUPS
from rs_gpt4v_builders.card import PAPER, filled

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_verb_is_named() -> None:
    verbs = list(cast("Any", get_command(app)).commands)
    assert "train" in verbs
    assert all(f"`{verb}`" in README for verb in verbs)


@pytest.mark.parametrize("name", ["README.md", "dataset_card.md"])
def test_tables_are_those_of_the_code(name: str) -> None:
    page = (ROOT / name).read_text(encoding="utf-8")
    assert all(f"`{config}`" in page for config in CONFIGS)
    assert filled(page) == page, f"run: python -m rs_gpt4v_builders.card {name}"


def test_head_of_the_card_names_every_config_and_its_files() -> None:
    head = (ROOT / "dataset_card.md").read_text(encoding="utf-8").split("---\n")[1]
    configs = {config["config_name"]: config for config in yaml.safe_load(head)["configs"]}
    assert list(configs) == [*CONFIGS, *GROUPS]
    assert [name for name, config in configs.items() if config.get("default")] == ["all"]
    trained = {part["split"]: part["path"] for part in configs["all"]["data_files"]}["train"]
    assert trained == [f"{name}-train.parquet" for name in GROUPS["all"]]


def test_pinned_torch_is_that_of_the_readme() -> None:
    pinned = re.search(r"^torch==\S+", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert pinned[0] in README


def test_citation_file_has_the_version_and_the_paper_s_authors() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == rs_gpt4v.__version__
    assert f'\nversion = "{cited["version"]}"\n' in (ROOT / "pyproject.toml").read_text()
    (paper,) = cited["references"]
    names = [f"{author['family-names']}, {author['given-names']}" for author in paper["authors"]]
    bibtex = " ".join(PAPER.split())
    assert f"author={{{' and '.join(names)}}}" in bibtex
    assert f"title={{{paper['title']}}}".lower() in bibtex.lower()


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200


def test_files_that_the_docs_link_to_exist() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_files_of_the_tree_in_contributing_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (tree,) = re.findall(r"^```\n(rs_gpt4v_startup.py, .*?)^```$", text, re.MULTILINE | re.DOTALL)
    folder = ""
    for line in tree.splitlines():
        names = re.split(r"\s{2,}|(?<=\.py) (?!\w+\.py)", line.strip())[0]
        for name in re.findall(r"[\w/]+(?:\.py|/)", names):
            folder = folder if line.startswith(" ") else name
            path = ROOT / folder / name if line.startswith(" ") else ROOT / name
            assert path.exists(), f"CONTRIBUTING.md names {path.relative_to(ROOT)}"
