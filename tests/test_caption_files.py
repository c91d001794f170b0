"""Captions in a JSON file about all images, of Karpathy's form and of COCO's."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image

from rs_gpt4v import NAME
from rs_gpt4v_builders.usable_records import RecordError

Row = dict[str, Any]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    (folder / "images").mkdir(parents=True)
    for name in ("a 1.png", "b.png", "c.png"):
        Image.new("RGB", (8, 8)).save(folder / "images" / name)
    return folder


def load(root: Path, **options: Any) -> dict[str, dict[str, list[str]]]:
    """The references of each image, by split."""
    options |= {"data_dir": str(root), "cache_dir": str(root.parent / "cache")}
    built: Any = datasets.load_dataset(NAME, "folder", **options)
    return {
        split: {
            Path(row["images"][0]["path"]).name: row["references"]
            for row in rows.with_format("arrow")[:].to_pylist()
        }
        for split, rows in built.items()
    }


def image(name: str, split: str, *captions: str, **more: Any) -> Row:
    return {
        "filename": name,
        "split": split,
        "sentences": [{"raw": text, "tokens": text.split()} for text in captions],
        **more,
    }


def write(root: Path, images: list[Row], name: str = "dataset.json", **more: Any) -> None:
    (root / name).write_text(json.dumps({"images": images, **more}))


def test_karpathy(root: Path) -> None:
    images = [
        image("a 1.png", "train", "A field.", "Green field ."),
        image("b.png", "val", "A road."),
        image("c.png", "restval", "A lake."),
    ]
    write(root, images, dataset="own")
    assert load(root) == {
        "train": {"a 1.png": ["A field.", "Green field ."], "c.png": ["A lake."]},
        "validation": {"b.png": ["A road."]},
    }


def test_karpathy_with_folders_of_images(root: Path) -> None:
    (root / "images").rename(root / "val2014")
    write(root, [image("a 1.png", "train", "A field.", filepath="val2014")])
    assert load(root) == {"train": {"a 1.png": ["A field."]}}


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (image("d.png", "train", "x"), r"images\[1\]: 'd\.png' is not in"),
        (image("b.png", "all", "x"), r"images\[1\]: its split is 'all', expected train, val or"),
        (image("b.png", "train", ""), r"images\[1\]: no captions"),
        ({"split": "train", "sentences": [{"raw": "x"}]}, r"images\[1\]: its file name is None"),
    ],
)
def test_image_of_karpathy_that_cannot_be_used(root: Path, broken: Row, reason: str) -> None:
    write(root, [image("a 1.png", "train", "A field."), broken])
    with pytest.raises(RecordError, match=rf"dataset\.json, {reason}"):
        load(root)
    assert load(root, on_missing="skip") == {"train": {"a 1.png": ["A field."]}}


def coco(root: Path, annotations: list[Row], **more: Any) -> None:
    images = [{"id": 4, "file_name": "a 1.png"}, {"id": 5, "file_name": "b.png"}]
    write(root, images, "captions_val2017.json", annotations=annotations, **more)


def test_captions_of_coco(root: Path) -> None:
    texts = [(5, "A road."), (4, "A field."), (5, "Road.")]
    coco(root, [{"id": n, "image_id": i, "caption": t} for n, (i, t) in enumerate(texts)])
    assert load(root) == {"validation": {"a 1.png": ["A field."], "b.png": ["A road.", "Road."]}}


@pytest.mark.parametrize(
    ("annotations", "reason"),
    [
        ([{"image_id": 4, "caption": "x"}], r"images\[1\]: no captions"),
        (
            [{"image_id": i, "caption": "x"} for i in (4, 5, 6)],
            "1 captions of image_id 6, which is not among the images",
        ),
        ([{"image_id": 4, "caption": "x"}, {"image_id": 5, "caption": 3}], "'captions' is .3."),
    ],
)
def test_captions_of_coco_that_cannot_be_used(
    root: Path, annotations: list[Row], reason: str
) -> None:
    coco(root, annotations)
    with pytest.raises(RecordError, match=reason):
        load(root)
