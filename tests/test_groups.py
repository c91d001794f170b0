"""Groups: configs that are others, one after the other."""

from pathlib import Path
from typing import Any

import datasets
import pytest

import rs_gpt4v_builders
from rs_gpt4v import NAME
from rs_gpt4v_builders import CONFIGS, GROUPS, members
from rs_gpt4v_builders.sources.source import SourceNotFoundError
from rs_gpt4v_builders.stats.table1 import TABLE_1


def test_members_exist() -> None:
    assert {member for group in GROUPS.values() for member in group} <= set(CONFIGS)


def test_all_is_the_papers_mixture() -> None:
    rows = {line.config: line.rows for line in TABLE_1 if line.split == "train"}
    assert sorted(GROUPS["all"]) == sorted(rows)
    assert sum(rows[member] for member in GROUPS["all"]) == 938_605


def test_another_source_joins_no_group_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(CONFIGS, "cap_new", CONFIGS["cap_ucm"])
        assert not any("cap_new" in members(group) for group in GROUPS)
    # Nor does a config that is there when the groups are made.
    text = Path(rs_gpt4v_builders.__file__).read_text(encoding="utf-8")
    added = text.replace(
        '    "conversation": Config(',
        '    "cap_new": Config(ucm_captions.SOURCE, adapt.captions, "1 / - / -"),\n'
        '    "conversation": Config(',
        1,
    )
    space: dict[str, Any] = {"__name__": "rs_gpt4v_builders"}
    exec(compile(added, "added", "exec"), space)
    assert "cap_new" in space["CONFIGS"]
    assert space["GROUPS"].pop("everything") == tuple(space["CONFIGS"])
    assert space["GROUPS"] == {name: own for name, own in GROUPS.items() if name != "everything"}


def test_all_is_the_default() -> None:
    assert datasets.load_dataset_builder(NAME).config.name == "all"
    assert datasets.load_dataset_builder(NAME, protocol="release").config.name == "all"


@pytest.mark.parametrize("num_proc", [1, 3])
def test_rows_are_those_of_the_members_in_order(
    releases: Path, tmp_path: Path, num_proc: int
) -> None:
    group = datasets.load_dataset(
        NAME, "captioning", data_dir=str(releases), cache_dir=str(tmp_path), num_proc=num_proc
    )
    parts = [datasets.load_dataset(NAME, m, data_dir=str(releases)) for m in GROUPS["captioning"]]
    for split, rows in group.items():
        one_by_one = [row for part in parts if split in part for row in part[split].to_list()]
        assert rows.to_list() == one_by_one


@pytest.fixture
def two_sources(releases: Path, tmp_path: Path) -> Path:
    for folder in ("UCM_captions", "RSICD_optimal"):
        (tmp_path / folder).symlink_to(releases / folder)
    return tmp_path


def test_every_absent_source_is_named(two_sources: Path) -> None:
    with pytest.raises(
        SourceNotFoundError, match="Absent of 'captioning': NWPU-Captions; RSITMD; Sydney-Captions"
    ):
        datasets.load_dataset(NAME, "captioning", data_dir=str(two_sources))


def test_absent_sources_can_be_skipped(two_sources: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = datasets.load_dataset(
        NAME, "captioning", data_dir=str(two_sources), on_missing="skip", split="train"
    )
    assert set(rows["source"]) == {"rsicd", "ucm_captions"}
    assert "captioning: Sydney-Captions is left out" in caplog.text


def test_all_absent_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="Absent of 'vqa'"):
        datasets.load_dataset(NAME, "vqa", data_dir=str(tmp_path), on_missing="skip")
