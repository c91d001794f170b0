"""The cache key: what decides rows changes it, and nothing else does."""

import itertools
from pathlib import Path
from typing import Any

import datasets
import pytest

import rs_gpt4v
import rs_gpt4v_builders
from rs_gpt4v import NAME
from rs_gpt4v_builders import CONFIGS, GROUPS, sources
from rs_gpt4v_builders.cache_key import fingerprint

CORE, BUILDERS = (Path(package.__path__[0]) for package in (rs_gpt4v, rs_gpt4v_builders))
READERS = {
    getattr(config.source.reader, "func", config.source.reader).__module__.split(".")[-1]
    for config in CONFIGS.values()
}


def key(releases: Path) -> str:
    return fingerprint(sources("cap_ucm"), releases, images=False)


def comment_in(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads ``file`` finds a comment more at its end."""
    assert file.is_file()
    plain = Path.read_bytes

    def read(path: Path) -> bytes:
        return plain(path) + (b"\n# a comment\n" if path == file else b"")

    monkeypatch.setattr(Path, "read_bytes", read)


@pytest.mark.parametrize(
    "file",
    [
        "adapt.py",
        "wordings.py",
        "records.py",
        "boxes.py",
        "box_codecs.py",
        "conversation.py",
        "source.py",
        "images.py",
    ],
)
def test_what_makes_rows_changes_the_key(
    releases: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    before = key(releases)
    comment_in(CORE / file, monkeypatch)
    assert key(releases) != before


@pytest.mark.parametrize(
    "module",
    [*sorted(READERS), "__init__", "builder", "_good_records", "_karpathy", "_rsvqa", "_dior_xml"],
)
def test_a_reader_and_the_builder_change_the_key(
    releases: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    before = key(releases)
    comment_in(BUILDERS / f"{module}.py", monkeypatch)
    assert key(releases) != before


@pytest.mark.parametrize(
    "file",
    [
        "demo.py",
        "pages.py",
        "families.py",
        "remote.py",
        "cli/data.py",
        "sample/draw.py",
        "sample/captions.py",
        "generation/facts.py",
        "../builders/rs_gpt4v_builders/card.py",
        "../builders/rs_gpt4v_builders/download.py",
        "../builders/rs_gpt4v_builders/table1.py",
        "../builders/rs_gpt4v_builders/audit/page.py",
        "../builders/rs_gpt4v_builders/export/hub.py",
        "../builders/rs_gpt4v_builders/audit/matching.py",
    ],
)
def test_what_makes_no_row_leaves_the_key_of_a_release(
    releases: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    before = key(releases)
    comment_in((CORE / file).resolve(), monkeypatch)
    assert key(releases) == before


@pytest.mark.parametrize("module", ["exclude", "matching", "images"])
def test_what_finds_leaks_counts_where_leaks_are_excluded(
    releases: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    def hashes() -> tuple[str, str]:
        options = {"name": "cap_ucm", "data_dir": str(releases)}
        excluded = datasets.load_dataset_builder(NAME, **options, exclude_leaks=True).hash
        return str(excluded), str(datasets.load_dataset_builder(NAME, **options).hash)

    before = hashes()
    comment_in(BUILDERS / f"audit/{module}.py", monkeypatch)
    after = hashes()
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_excluding_leaks_watches_the_images_of_every_source(
    releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source outside the group "all" may have test images too."""
    monkeypatch.setitem(GROUPS, "all", ("cap_ucm",))
    for folder in releases.iterdir():
        (tmp_path / folder.name).symlink_to(folder)
    options: dict[str, Any] = {"data_dir": str(tmp_path), "exclude_leaks": True}
    before = datasets.load_dataset_builder(NAME, "cap_ucm", **options).hash
    other = CONFIGS["cap_rsicd"].source.find(tmp_path)
    assert other is not None
    other.unlink()
    assert datasets.load_dataset_builder(NAME, "cap_ucm", **options).hash != before


def test_every_option_has_rows_of_its_own(releases: Path) -> None:
    choices: list[dict[str, Any]] = [
        {},
        {"protocol": "release"},
        {"wording": "fixed"},
        {"seed": 1},
        {"box_format": "norm1000"},
        {"on_missing": "skip"},
        {"exclude_leaks": True},
    ]
    folders = [
        datasets.load_dataset_builder(NAME, "grounding", data_dir=str(releases), **one).cache_dir
        for one in choices
    ]
    for one, other in itertools.combinations(folders, 2):
        assert one != other
