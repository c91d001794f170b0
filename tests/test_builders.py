"""What every config promises, run once per config over a small sample in the release's layout."""

import os
import shutil
from pathlib import Path

import datasets
import pytest
from conftest import Golden
from datasets import DatasetDict

from rs_gpt4v import NAME, adapt
from rs_gpt4v.conversation import FEATURES
from rs_gpt4v_builders import CONFIGS
from rs_gpt4v_builders.builder import NoDataRootError
from rs_gpt4v_builders.sources import source
from rs_gpt4v_builders.sources.source import SourceNotFoundError


@pytest.fixture(params=list(CONFIGS), scope="module")
def config(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def built(config: str, releases: Path) -> DatasetDict:
    return datasets.load_dataset(NAME, config, data_dir=str(releases))


def _without_paths(rows: datasets.Dataset) -> list[dict[str, object]]:
    return rows.remove_columns("images").to_list()


def test_matches_golden_file(config: str, built: DatasetDict, golden: Golden) -> None:
    shown = {
        split: {"rows": len(rows), "first": _without_paths(rows.select(range(2)))}
        for split, rows in built.items()
        if len(rows) > 1
    }
    golden.check(f"{config}.json", shown)


def test_has_the_shared_features(built: DatasetDict) -> None:
    assert all(rows.features == FEATURES for rows in built.values())


def test_splits_are_those_it_declares(config: str, built: DatasetDict) -> None:
    assert list(built) == list(CONFIGS[config].splits("paper"))


def test_release_protocol_builds_the_splits_it_declares(config: str, releases: Path) -> None:
    rows = datasets.load_dataset(NAME, config, data_dir=str(releases), protocol="release")
    assert list(rows) == list(CONFIGS[config].splits("release"))


def test_ids_are_unique_and_say_where_they_are_from(config: str, built: DatasetDict) -> None:
    ids = [i for rows in built.values() for i in rows["id"]]
    assert len(ids) == len(set(ids))
    for split, rows in built.items():
        assert all(i.startswith(f"{CONFIGS[config].source.name}/{split}/") for i in rows["id"])


def test_images_open_and_have_the_stated_size(built: DatasetDict) -> None:
    for rows in built.values():
        row = rows[0]
        assert row["images"][0].size == (row["width"], row["height"])


def test_rows_hold_paths_not_pixels(built: DatasetDict) -> None:
    rows = next(iter(built.values())).cast_column(
        "images", datasets.List(datasets.Image(decode=False))
    )
    image = rows[0]["images"][0]
    assert image["bytes"] is None
    assert Path(image["path"]).is_file()


def test_last_message_is_among_the_references(built: DatasetDict) -> None:
    for rows in built.values():
        for row in rows.select_columns(["messages", "references"]):
            assert row["messages"][-1]["content"] in row["references"]


def test_two_builds_are_equal_whatever_num_proc(
    config: str, built: DatasetDict, releases: Path, tmp_path: Path
) -> None:
    again = datasets.load_dataset(
        NAME, config, data_dir=str(releases), cache_dir=str(tmp_path), num_proc=2
    )
    for split, rows in again.items():
        assert rows.to_list() == built[split].to_list()


def test_seed_changes_our_words_and_nothing_else(
    config: str, built: DatasetDict, releases: Path
) -> None:
    if not CONFIGS[config].trains:
        pytest.skip("another seed asks other questions")
    other = datasets.load_dataset(NAME, config, data_dir=str(releases), seed=1)["train"]
    train = built["train"]
    own_words = CONFIGS[config].adapt in (adapt.conversation, adapt.detail)
    assert (other["messages"][:] == train["messages"][:]) is own_words
    assert other.remove_columns("messages").to_list() == train.remove_columns("messages").to_list()


def test_missing_files_say_where_to_get_them(config: str, tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match=CONFIGS[config].source.homepage):
        datasets.load_dataset(NAME, config, data_dir=str(tmp_path))


def test_no_data_root_says_how_to_give_one(config: str) -> None:
    with pytest.raises(NoDataRootError, match=r"data_dir=\.\.\., set RS_GPT4V_DATA, or .* sample"):
        datasets.load_dataset(NAME, config)


def test_other_spellings_of_the_folder_are_found(
    config: str, built: DatasetDict, releases: Path, tmp_path: Path
) -> None:
    source = CONFIGS[config].source
    split = list(built)[-1]
    for spelling in (*source.folders[1:], "."):
        name = "root" if source.recognisable_by_files or spelling != "." else source.folders[0]
        root = tmp_path / spelling.replace(".", "itself") / name
        shutil.copytree(releases / source.folders[0], root / spelling, dirs_exist_ok=True)
        _link_others(releases, (root / spelling).parent)
        rows = datasets.load_dataset(NAME, config, data_dir=str(root), split=split)
        assert _without_paths(rows) == _without_paths(built[split])


def _link_others(releases: Path, root: Path) -> None:
    """Beside a release lie those that hold its images."""
    for folder in releases.iterdir():
        if not (root / folder.name).exists():
            (root / folder.name).symlink_to(folder)


def test_every_source_module_is_listed() -> None:
    folder = Path(source.__file__).parent
    modules = {path.stem for path in folder.glob("*.py") if "\nSOURCE = " in path.read_text()}
    # dior, rs_gpt4v_instruct and the releases with scene classes have two sources each.
    listed = {config.source.name for config in CONFIGS.values()}
    second = {"rs_gpt4v_instruct_detail", "dior_oriented"}
    scenes = {name for name in listed if name.endswith("_scenes")}
    assert modules == listed - second - scenes == {*modules, *(s[:-7] for s in scenes)}


def test_root_without_a_name_in_utf8_is_refused(tmp_path: Path) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    try:
        root.mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    with pytest.raises(NoDataRootError, match="not UTF-8"):
        datasets.load_dataset(NAME, "cap_ucm", data_dir=str(root))
