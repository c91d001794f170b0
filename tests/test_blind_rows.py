"""The rows of blind runs: what is shown in place of each row's own images."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image

from rs_gpt4v import images as door
from rs_gpt4v.conversation import FEATURES
from rs_gpt4v_evaluation.predict.batches import image_keys
from rs_gpt4v_evaluation.predict.blind import BLIND, blind_rows, shown_files, shown_images
from rs_gpt4v_evaluation.predict.predictions import describe, prediction_line

SIZES = {"a": (40, 30), "b": (40, 30), "c": (64, 20), "d": (8, 8)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i, (name, size) in enumerate(SIZES.items()):
        Image.new("RGB", size, (50 * i, 200, 9)).save(tmp_path / f"{name}.png")
    return tmp_path


def rows(folder: Path, images: Sequence[str]) -> datasets.Dataset:
    """A row for each text, about the images named by its letters."""
    return datasets.Dataset.from_list(
        [_row(i, [folder / f"{name}.png" for name in names]) for i, names in enumerate(images)],
        features=FEATURES,
    )


def _row(number: int, files: list[Path]) -> dict[str, Any]:
    width, height = SIZES.get(files[0].stem, (40, 30)) if files else (None, None)
    return {
        "id": f"own/test/{number}",
        "images": [{"path": str(file), "bytes": None} for file in files],
        "messages": [
            {"role": "user", "content": "What is it?"},
            {"role": "assistant", "content": "A field."},
        ],
        "source": "own",
        "task": "vqa",
        "question_type": None,
        "modality": "optical",
        "references": ["A field."],
        "boxes": [],
        "width": width,
        "height": height,
    }


def stored(blind: datasets.Dataset) -> list[dict[str, Any]]:
    table: Any = blind.with_format("arrow")
    return table[:].to_pylist()


def names(blind: datasets.Dataset) -> list[str]:
    """The letters of the images that each row shows."""
    return ["".join(Path(image["path"]).stem for image in row["images"]) for row in stored(blind)]


def described(blind: datasets.Dataset) -> Any:
    return describe(blind, config="c", split="test", protocol="paper", box_format="llava")


def test_without_an_image_none_is_read(folder: Path) -> None:
    asked = rows(folder, ["a", "bc", ""])
    shutil.rmtree(folder)
    blind = blind_rows(asked, "none")
    assert blind["images"][:] == [[], [], []]
    assert described(blind) == described(asked) | {"images": "none"}
    line: Any = prediction_line(stored(blind)[1], "a field", {})
    assert (Path(line["image"] or "").name, line["width"]) == ("b.png", 40)
    assert [Path(path).name for path in line["further_images"]] == ["c.png"]


def test_grey_images_have_the_size_of_the_own(folder: Path) -> None:
    blind = blind_rows(rows(folder, ["a", "dc", "", "b"]), "grey")
    shown: Any = [[image.size for image in images] for images in blind["images"]]
    assert shown == [[SIZES["a"]], [SIZES["d"], SIZES["c"]], [], [SIZES["b"]]]
    grey = shown_images(stored(blind)[0])[0]
    assert (grey.mode, grey.getcolors()) == ("RGB", [(40 * 30, (128, 128, 128))])
    keys = image_keys(blind)
    assert keys[0] == keys[3] != keys[1]


def test_another_image_is_none_of_the_own_and_the_same_for_all_of_an_image(folder: Path) -> None:
    asked = rows(folder, ["a", "b", "a", "c", "", "d", "ab"])
    drawn = set()
    for seed in range(20):
        blind = blind_rows(asked, "other", seed)
        shown = names(blind)
        assert shown == names(blind_rows(asked, "other", seed))
        assert shown[0] == shown[2]
        assert shown[4] == ""
        own = names(asked)
        assert not any(set(one) & set(other) for one, other in zip(own, shown, strict=True))
        assert [*map(len, shown)] == [*map(len, own)]
        assert described(blind) == described(asked) | {"images": "other", "images_seed": seed}
        drawn.add(tuple(shown))
    assert len(drawn) > 3


def test_equal_files_under_two_names_are_one_image(folder: Path) -> None:
    shutil.copy(folder / "a.png", folder / "e.png")
    for seed in range(10):
        shown = names(blind_rows(rows(folder, ["a", "e", "b"]), "other", seed))
        assert shown[:2] == ["b", "b"]
        assert shown[2] in "ae"
    with pytest.raises(ValueError, match=r"own/test/0: of the 1 other images .* the rows have 0"):
        blind_rows(rows(folder, ["a", "e"]), "other")


def test_another_image_is_shown_in_the_size_of_the_own(folder: Path) -> None:
    blind = blind_rows(rows(folder, ["a", "c", "c"]), "other")
    assert names(blind) == ["c", "a", "a"]
    for row, size in zip(stored(blind), (SIZES["a"], SIZES["c"], SIZES["c"]), strict=True):
        assert shown_images(row)[0].size == size
        (file,) = shown_files(row)
        assert isinstance(file, bytes)
        assert door.frame_size(file) == size
    same = stored(blind_rows(rows(folder, ["a", "b"]), "other"))
    assert shown_files(same[0]) == [folder / "b.png"]


def test_images_of_two_sizes_are_not_shared(folder: Path) -> None:
    asked = rows(folder, ["ac", "ca", "bd"])
    same = 0
    for seed in range(20):
        blind = blind_rows(asked, "other", seed)
        shown = names(blind)
        same += shown[0] == shown[1]
        assert len(set(image_keys(blind))) == 3
    assert same


def test_other_data_stay_and_the_column_says_what_is_shown(folder: Path) -> None:
    asked = rows(folder, ["a", "b"])
    blind = blind_rows(asked, "other", 3)
    assert blind.column_names == [*asked.column_names, BLIND]
    assert blind.features["images"] == asked.features["images"]
    kept = [name for name in asked.column_names if name != "images"]
    assert blind.select_columns(kept)[:] == asked.select_columns(kept)[:]
    assert stored(blind)[0][BLIND] == {
        "images": "other",
        "seed": 3,
        "own": [{"path": str(folder / "a.png"), "width": 40, "height": 30}],
    }


def test_what_cannot_be_blind_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="shows none, grey, other, not black"):
        blind_rows(rows(folder, ["a"]), "black")
    with pytest.raises(ValueError, match="no row has an image"):
        blind_rows(rows(folder, ["", ""]), "none")
    with pytest.raises(ValueError, match=r"own/test/0: .* show none or grey images"):
        blind_rows(rows(folder, ["a", "a"]), "other")
    with pytest.raises(ValueError, match="own/test/1: of the 3 other images"):
        blind_rows(rows(folder, ["a", "abc", "d"]), "other")
