"""The rows that training gets: shares, lengths, checkpoints and guards where they are used."""

# pyright: reportPrivateUsage=false

import json
import os
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest

pytest.importorskip("trl")

from rs_gpt4v_training.arguments import DataArguments
from rs_gpt4v_training.image_cache import ImageCache
from rs_gpt4v_training.recipe import RecipeError
from rs_gpt4v_training.resume import OutputDirError, checkpoint_to_resume
from rs_gpt4v_training.row_checks import _image_tokens
from rs_gpt4v_training.rows import load_rows, stream_rows, weighted


@pytest.mark.parametrize(
    ("rows", "weight", "expected"), [(5, 0.7, 4), (5, 0.3, 2), (7, 1.4, 10), (3, 2, 6), (9, 0.4, 4)]
)
def test_a_weight_is_kept_to_the_nearest_row(rows: int, weight: float, expected: int) -> None:
    found = weighted(datasets.Dataset.from_dict({"id": [*range(rows)]}), weight, seed=0)["id"]
    assert len(found) == expected
    assert {found.count(row) for row in range(rows)} <= {int(weight), int(weight) + 1}


class WideProcessor:
    """An image has a token for each pixel of its width, so that wide and high ones differ."""

    def apply_chat_template(self, *_: Any, **__: Any) -> str:
        return ""

    def __call__(self, images: list[Any], **_: Any) -> dict[str, Any]:
        return {"input_ids": [[0] * images[0].width]}


def test_tokens_are_those_of_the_image_as_it_stands() -> None:
    table = pa.table({"width": [30, 4, 30], "height": [4, 30, 30]})
    assert _image_tokens(table, WideProcessor()).tolist() == [30, 4, 30]


def checkpoint(folder: Path, step: int, processes: int) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    for process in range(processes):
        (path / f"rng_state_{process}.pth").touch()
    (path / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    return path


def test_a_checkpoint_of_fewer_processes_is_not_gone_on_from(tmp_path: Path) -> None:
    whole = checkpoint(tmp_path, 200, 4)
    last = checkpoint(tmp_path, 1000, 2)
    assert checkpoint_to_resume(tmp_path, resume=True, processes=2) == last
    assert checkpoint_to_resume(tmp_path, resume=True, processes=3) == whole
    with pytest.raises(OutputDirError, match="fewer processes than the 5"):
        checkpoint_to_resume(tmp_path, resume=True, processes=5)


@pytest.mark.parametrize("read", [load_rows, stream_rows])
def test_weights_for_what_a_repository_is_not_asked_for_are_refused(read: Any) -> None:
    data = DataArguments(["a"], repository="nobody/nothing", mixture={"b": 2})
    with pytest.raises(RecipeError, match="'b' is not trained on"):
        read(data, "train", 0)


def test_a_copy_is_told_by_path_size_and_time(tmp_path: Path) -> None:
    cache, image = ImageCache(tmp_path / "cache", 8, enlarge=False), tmp_path / "a.bin"
    names = []
    for content, moment in ((b"ab", 1), (b"ab", 2), (b"abc", 2)):
        image.write_bytes(content)
        os.utime(image, ns=(0, moment))
        names.append(cache.path(str(image)))
    other = ImageCache(tmp_path / "cache", 9, enlarge=False).path(str(image))
    assert len({*names, other}) == 4
