"""The cache key: what decides rows changes it, and nothing else does."""

import itertools
from pathlib import Path
from typing import Any

import datasets
import pytest

from rs_gpt4v import NAME
from rs_gpt4v_builders import CONFIGS, GROUPS, sample, sources_of
from rs_gpt4v_builders.cache_key import fingerprint
from rs_gpt4v_builders.sample import sample_root

ROOT = Path(__file__).parents[1]
BUILDERS = "builders/rs_gpt4v_builders"


def key(releases: Path) -> str:
    return fingerprint(sources_of("cap_ucm"), releases, images=False)


def comment_in(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads ``file`` finds a comment more at its end."""
    assert file.is_file()
    plain = Path.read_bytes

    def read(path: Path) -> bytes:
        return plain(path) + (b"\n# a comment\n" if path == file else b"")

    monkeypatch.setattr(Path, "read_bytes", read)


ROWS = [
    *(f"rs_gpt4v/{name}.py" for name in ("adapt", "templates", "records", "boxes", "box_codecs")),
    *(f"rs_gpt4v/{name}.py" for name in ("conversation", "images")),
    *(f"{BUILDERS}/{name}.py" for name in ("image_checks", "image_memory")),
    *(f"{BUILDERS}/{name}.py" for name in ("__init__", "builder", "usable_records")),
    *(f"{BUILDERS}/sources/{file.name}" for file in sorted((ROOT / BUILDERS).glob("sources/*.py"))),
]
NO_ROWS = [
    *(f"rs_gpt4v/{name}.py" for name in ("cli/data", "cli/demo", "model_families", "pages")),
    *(f"{BUILDERS}/{name}.py" for name in ("card", "download/fetch", "export/hub")),
    *(f"{BUILDERS}/{name}.py" for name in ("stats/table1", "sample/draw", "sample/captions")),
    *(f"{BUILDERS}/audit/{name}" for name in ("matching.py", "page.py", "page.html.jinja")),
    "generation/rs_gpt4v_generation/facts.py",
]


@pytest.mark.parametrize("file", sorted({*ROWS} - {*NO_ROWS}))
def test_what_makes_rows_changes_the_key(
    releases: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    before = key(releases)
    comment_in(ROOT / file, monkeypatch)
    assert key(releases) != before


@pytest.mark.parametrize("file", NO_ROWS)
def test_what_makes_no_row_leaves_the_key_of_a_release(
    releases: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    before = key(releases)
    comment_in(ROOT / file, monkeypatch)
    assert key(releases) == before


@pytest.mark.parametrize("name", ["draw", "releases/rsvqa"])
def test_what_draws_the_sample_draws_it_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(sample, "draw_release", lambda *_, **__: None)
    before = sample_root(tmp_path)
    assert sample_root(tmp_path) == before
    comment_in(ROOT / BUILDERS / f"sample/{name}.py", monkeypatch)
    assert sample_root(tmp_path) != before


@pytest.mark.parametrize("module", ["exclude", "matching", "images"])
def test_what_finds_leaks_counts_where_leaks_are_excluded(
    releases: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    def hashes() -> tuple[str, str]:
        options: dict[str, Any] = {"name": "cap_ucm", "data_dir": str(releases)}
        excluded = datasets.load_dataset_builder(NAME, **options, exclude_leaks=True).hash
        return str(excluded), str(datasets.load_dataset_builder(NAME, **options).hash)

    before = hashes()
    comment_in(ROOT / BUILDERS / f"audit/{module}.py", monkeypatch)
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
