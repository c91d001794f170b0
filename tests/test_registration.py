"""`load_dataset("rs_gpt4v", ...)` as `datasets`' own calls see it."""

import subprocess
import sys
from pathlib import Path

import datasets
import pytest

import rs_gpt4v
from rs_gpt4v_builders import CONFIGS, GROUPS


def _python(code: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_config_names() -> None:
    assert datasets.get_dataset_config_names(rs_gpt4v.NAME) == [*CONFIGS, *GROUPS]


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


def test_data_root_from_the_environment(releases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RS_GPT4V_DATA", str(releases))
    rows = datasets.load_dataset(rs_gpt4v.NAME, "vqa_lr", split="test")
    assert rows[0]["images"][0].size == (256, 256)


def test_streaming_gives_the_same_rows(releases: Path) -> None:
    kwargs = {"split": "test", "data_dir": str(releases)}
    built = datasets.load_dataset(rs_gpt4v.NAME, "vqa_hr", **kwargs)
    streamed = datasets.load_dataset(rs_gpt4v.NAME, "vqa_hr", streaming=True, **kwargs)
    assert [row["messages"] for row in streamed] == built["messages"][:]


def test_embedded_sample_is_written_once(
    releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def write(root: Path) -> None:
        written.append(root)
        (root / "RSVQA_LR").parent.mkdir()
        (root / "RSVQA_LR").symlink_to(releases / "RSVQA_LR")

    monkeypatch.setattr("rs_gpt4v.sample.write_sample", write)
    for seed in (0, 1):
        rows = datasets.load_dataset(
            rs_gpt4v.NAME, "vqa_lr", sample=True, seed=seed, cache_dir=str(tmp_path)
        )
        assert set(rows) == {"train", "validation", "test"}
    assert len(written) == 1


def test_sample_and_data_dir_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="leave data_dir out"):
        datasets.load_dataset(rs_gpt4v.NAME, "vqa_lr", sample=True, data_dir=str(tmp_path))
