"""`load_dataset("rs_gpt4v", ...)` as `datasets`' own calls see it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest
from typer.testing import CliRunner

import rs_gpt4v
from rs_gpt4v.cli import app
from rs_gpt4v.cli.common import data_root
from rs_gpt4v_builders import CONFIGS, GROUPS
from rs_gpt4v_builders.inventory import inventory
from rs_gpt4v_builders.sources.source import SourceNotFoundError


def _python(code: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_config_names() -> None:
    assert datasets.get_dataset_config_names(rs_gpt4v.NAME) == [*CONFIGS, *GROUPS, "folder"]


def test_split_names_need_no_data() -> None:
    assert datasets.get_dataset_split_names(rs_gpt4v.NAME, "vqa_hr") == [
        "train",
        "validation",
        "test",
        "test_philadelphia",
    ]


def test_builder_info_comes_from_the_source() -> None:
    info = datasets.load_dataset_builder(rs_gpt4v.NAME, "cap_ucm").info
    assert info.homepage == CONFIGS["cap_ucm"].source.homepage
    assert info.features is not None
    assert "messages" in info.features


def test_other_names_go_the_ordinary_way(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"x": 1}\n')
    rows = datasets.load_dataset("json", data_files=str(tmp_path / "a.json"), split="train")
    assert rows["x"][:] == [1]


def test_unknown_config_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"'vqa_hrr'\. Did you mean vqa_hr"):
        datasets.load_dataset(rs_gpt4v.NAME, "vqa_hrr")


@pytest.mark.parametrize("name", ["rs-gpt4v", "RS_GPT4V", "RS-GPT4V", "rsgpt4v", "rs_gpt4v "])
def test_other_spellings_of_the_name_are_told_at_once(name: str) -> None:
    with pytest.raises(ValueError, match='expected the name "rs_gpt4v"'):
        datasets.load_dataset(name, "vqa_hr")


def test_a_folder_of_such_a_name_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rs-gpt4v").mkdir()
    (tmp_path / "rs-gpt4v/train.json").write_text('{"x": 1}\n')
    monkeypatch.chdir(tmp_path)
    assert datasets.load_dataset("rs-gpt4v", split="train")["x"][:] == [1]


def test_unknown_option_value_names_the_choices() -> None:
    with pytest.raises(ValueError, match=r"protocol='papr': expected one of paper, release"):
        datasets.load_dataset(rs_gpt4v.NAME, "vqa_hr", protocol="papr")


@pytest.mark.parametrize(
    "imports",
    ["import rs_gpt4v; import datasets", "import datasets; import rs_gpt4v"],
    ids=["before", "after"],
)
def test_order_of_imports_and_working_directory_do_not_matter(
    imports: str, releases: Path, tmp_path: Path
) -> None:
    code = (
        f"{imports}\nrows = datasets.load_dataset('rs_gpt4v', 'cap_ucm', split='test', "
        f"data_dir={str(releases)!r})\nprint(rows[0]['id'])"
    )
    assert _python(code, tmp_path).startswith("ucm_captions/test/")


def test_importing_is_light(tmp_path: Path) -> None:
    code = (
        "import sys, rs_gpt4v, rs_gpt4v.cli\n"
        "print([m for m in ('torch', 'transformers', 'datasets') if m in sys.modules])"
    )
    assert _python(code, tmp_path) == "[]"


@pytest.mark.parametrize(
    "load",
    [
        lambda **given: datasets.load_dataset(path=rs_gpt4v.NAME, **given)["test"],
        lambda **given: datasets.load_dataset(rs_gpt4v.NAME, split="test", **given),
        lambda **given: datasets.load_dataset_builder(path=rs_gpt4v.NAME, **given).as_dataset(),
    ],
)
def test_the_name_may_be_given_by_keyword(load: Any, releases: Path) -> None:
    datasets.load_dataset(rs_gpt4v.NAME, "cap_ucm", data_dir=str(releases))  # for as_dataset
    rows = load(name="cap_ucm", data_dir=str(releases))
    rows = rows["test"] if isinstance(rows, dict) else rows
    assert rows[0]["id"].startswith("ucm_captions/test/")


def test_config_names_by_keyword() -> None:
    assert datasets.get_dataset_config_names(path=rs_gpt4v.NAME) == [*CONFIGS, *GROUPS, "folder"]
    assert "train" in datasets.get_dataset_split_names(path=rs_gpt4v.NAME, config_name="cap_ucm")


@pytest.mark.usefixtures("home")
class TestHome:
    """A "~" reaches us where no shell expands it: from Python, from a variable, from a YAML."""

    @pytest.fixture
    def home(self, releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "data").symlink_to(releases)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("USERPROFILE", str(tmp_path))

    def test_in_data_dir(self) -> None:
        rows = datasets.load_dataset(rs_gpt4v.NAME, "cap_ucm", data_dir="~/data", split="test")
        assert rows[0]["id"].startswith("ucm_captions/test/")

    @pytest.mark.parametrize(
        "verb",
        [["sources", "ucm_captions"], ["build", "cap_ucm"], ["download", "--dry-run", "vqa"]],
    )
    def test_in_the_variable(self, verb: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RS_GPT4V_DATA", "~/data")
        rows = datasets.load_dataset(rs_gpt4v.NAME, "cap_ucm", split="test")
        assert rows[0]["id"].startswith("ucm_captions/test/")
        result = CliRunner().invoke(app, verb)
        assert result.exit_code == 0, result.output
        assert "~" not in result.output

    def test_in_the_variable_beside_the_sample(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RS_GPT4V_DATA", "~/data")
        assert data_root(Path("~/data").expanduser(), sample=True) is None
        with pytest.raises(ValueError, match="leave --data-dir out"):
            data_root(Path("~/other").expanduser(), sample=True)


@pytest.mark.parametrize("config", ["grounding", "cap_ucm", "cap_sydney"])
def test_a_folder_of_another_name_is_not_taken_for_a_release(config: str, tmp_path: Path) -> None:
    """Many data sets have a folder Annotations, or a dataset.json."""
    (tmp_path / "my_boxes/Annotations").mkdir(parents=True)
    (tmp_path / "my_boxes/Annotations/1.xml").write_text("<annotation/>")
    (tmp_path / "my_boxes/dataset.json").write_text('{"images": []}')
    for root in (tmp_path, tmp_path / "my_boxes"):
        with pytest.raises(SourceNotFoundError):
            datasets.load_dataset(rs_gpt4v.NAME, config, data_dir=str(root))
        assert inventory(root, [CONFIGS[config].source])[0].status == "missing"


def test_data_root_from_the_environment(releases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RS_GPT4V_DATA", str(releases))
    rows = datasets.load_dataset(rs_gpt4v.NAME, "vqa_lr", split="test")
    assert rows[0]["images"][0].size == (256, 256)


def test_streaming_gives_the_same_rows(releases: Path) -> None:
    kwargs = {"split": "test", "data_dir": str(releases)}
    built = datasets.load_dataset(rs_gpt4v.NAME, "vqa_hr", **kwargs)
    streamed = datasets.load_dataset(rs_gpt4v.NAME, "vqa_hr", streaming=True, **kwargs)
    assert [row["messages"] for row in streamed] == built["messages"][:]


def test_sample_and_data_dir_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="add --sample false"):
        datasets.load_dataset(rs_gpt4v.NAME, "vqa_lr", sample=True, data_dir=str(tmp_path))


@pytest.mark.parametrize(
    "arguments",
    [["build", "cap_ucm", "cap_umc"], ["export", "llava", "out", "cap_umc"], ["show", "cap_umc"]],
)
def test_verbs_of_several_configs_say_which_was_meant(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [*arguments, "--sample"])
    assert isinstance(done.exception, ValueError)
    assert "rs_gpt4v has no config 'cap_umc'. Did you mean cap_ucm" in str(done.exception)
    assert not list(tmp_path.iterdir())
