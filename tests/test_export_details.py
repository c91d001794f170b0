"""Exports of rows that are not regular, and what tells one export from another."""

from pathlib import Path
from typing import Any

import datasets
import pytest

from rs_gpt4v_builders.export import export, web_dataset
from rs_gpt4v_builders.export._folder import ExportFolderError
from rs_gpt4v_evaluation.harnesses.splits import test_splits as kept_splits


def test_another_shard_size_is_another_export(releases: Path, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"configs": ["cap_sydney"], "data_dir": str(releases)}
    out = export("webdataset", tmp_path / "out", **asked)
    export("webdataset", out, **asked)
    with pytest.raises(ExportFolderError, match=r"shard_bytes=500000000 \(now 1000000\)"):
        export("webdataset", out, **asked, shard_bytes=1_000_000)


@pytest.mark.parametrize("extra", [0, 1, 7])
def test_shards_beyond_the_last_are_removed(releases: Path, tmp_path: Path, extra: int) -> None:
    asked: dict[str, Any] = {"configs": ["cap_sydney"], "data_dir": str(releases)}
    out = export("webdataset", tmp_path / "out", **asked)
    shards = sorted(path.name for path in out.glob("train-*.tar"))
    (out / f"train-{len(shards) + extra:06d}.tar").write_bytes(b"old")
    export("webdataset", out, **asked)
    assert sorted(path.name for path in out.glob("train-*.tar")) == shards


class Job:
    """Rows of one split, as `web_dataset` looks at them."""

    def __init__(self, rows: datasets.Dataset) -> None:
        self.configs = {"c": {"train": rows}}


def test_rows_on_an_image_keep_their_order_however_many_there_are() -> None:
    names = [f"{place * 7 % 3}.tif" for place in range(400)]
    rows = datasets.Dataset.from_dict(
        {"id": [*range(400)], "images": [[{"bytes": None, "path": name}] for name in names]}
    )
    ordered = web_dataset._by_image(Job(rows), "train")["id"]  # type: ignore[arg-type]
    first = list(dict.fromkeys(names))
    assert ordered == [place for name in first for place in range(400) if names[place] == name]


def test_harnesses_get_every_split_but_training() -> None:
    rows = datasets.Dataset.from_dict({"task": ["vqa"]})
    every = ("train", "validation", "test", "test_philadelphia")
    splits = datasets.DatasetDict(dict.fromkeys(every, rows))
    assert list(kept_splits({"c": splits})["c"]) == [*every[1:]]
