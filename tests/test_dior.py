"""Every object of DIOR's images, upright (DIOR) and oriented (DIOR-R)."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import SHARED, needs_shared

from rs_gpt4v.boxes import iou, to_hbb
from rs_gpt4v_builders.sample.releases.dior_rsvg import CLASSES, dior_pictures, label
from rs_gpt4v_builders.sources.dior import ORIENTED, SOURCE
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.sources.source import Source, SourceNotFoundError
from rs_gpt4v_builders.usable_records import OnMissing, RecordError, good_records

Row = dict[str, Any]
BOTH = pytest.mark.parametrize("source", [SOURCE, ORIENTED], ids=lambda source: source.name)
HORIZONTAL = "Annotations/Horizontal Bounding Boxes"


def read(source: Source, root: Path, split: str, on_missing: OnMissing = "raise") -> list[Row]:
    folder = source.find(root)
    assert folder is not None
    return good_records(
        source, folder, split, protocol="paper", on_missing=on_missing, log_dir=None
    ).to_pylist()


@pytest.fixture
def root(releases: Path, tmp_path: Path) -> Path:
    shutil.copytree(releases / "DIOR", tmp_path / "DIOR")
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@BOTH
def test_boxes_are_those_of_the_scene(source: Source, releases: Path) -> None:
    rows = [row for split in ("train", "test") for row in read(source, releases, split)]
    pictures = list(dior_pictures(0, 0.15))
    assert [row["key"] for row in rows] == [picture.name[:-4] for picture in pictures]
    for row, picture in zip(rows, pictures, strict=True):
        things = [thing for thing in picture.scene.things if thing.name in CLASSES]
        assert [box["label"] for box in row["boxes"]] == [label(t) for t in things]
        for box, thing in zip(row["boxes"], things, strict=True):
            drawn = [value for corner in thing.corners for value in corner]
            expected = drawn if box["kind"] == "obb" else [*thing.box]
            assert box["points"] == pytest.approx(expected, abs=1)


def test_oriented_set_holds_both_kinds(releases: Path) -> None:
    rows = read(ORIENTED, releases, "train")
    assert {box["kind"] for row in rows for box in row["boxes"]} == {"hbb", "obb"}


def test_oriented_corner_outside_the_image_is_kept_as_annotated(root: Path) -> None:
    file = next((root / "DIOR/Annotations/Oriented Bounding Boxes").glob("*.xml"))
    text = file.read_text()
    value = text.split("<x_left_top>")[1].split("<")[0]
    edit(file, f"<x_left_top>{value}<", "<x_left_top>-3<")
    rows = {row["key"]: row for split in ("train", "test") for row in read(ORIENTED, root, split)}
    box = next(box for box in rows[file.stem]["boxes"] if box["kind"] == "obb")
    assert box["points"][0] == -3


@BOTH
def test_images_are_in_the_folder_of_their_split(source: Source, releases: Path) -> None:
    for split, folder in (("train", "JPEGImages-trainval"), ("test", "JPEGImages-test")):
        for row in read(source, releases, split):
            assert Path(row["path"]).parent == releases / "DIOR" / folder
            assert (row["width"], row["height"]) == (800, 800)


@BOTH
def test_lists_decide_under_the_release_protocol(source: Source, releases: Path) -> None:
    folder = releases / "DIOR"
    for split, name in (("train", "train"), ("validation", "val"), ("test", "test")):
        keys = source.read(folder, split, "release")["key"].to_pylist()
        assert keys == (folder / f"Main/{name}.txt").read_text().split()


def test_lists_in_image_sets_are_found(root: Path) -> None:
    (root / "DIOR/ImageSets").mkdir()
    shutil.move(root / "DIOR/Main", root / "DIOR/ImageSets/Main")
    assert SOURCE.read(root / "DIOR", "validation", "release").num_rows


def test_listed_image_without_annotation_is_named(root: Path) -> None:
    edit(root / "DIOR/Main/train.txt", "\n", "\n09999\n")
    records = SOURCE.read(root / "DIOR", "train", "release").to_pylist()
    (bad,) = (record for record in records if record["problem"])
    assert bad["key"] == "09999"
    assert "train.txt: image 09999 is without annotation" in bad["problem"]["reason"]


def test_image_on_none_of_the_lists_is_named(root: Path) -> None:
    before = SOURCE.read(root / "DIOR", "train", "release").num_rows
    name = (root / "DIOR/Main/val.txt").read_text().split()[0]
    edit(root / "DIOR/Main/val.txt", f"{name}\n", "")
    records = SOURCE.read(root / "DIOR", "train", "release").to_pylist()
    assert len(records) == before + 1
    assert records[-1]["key"] == name
    assert records[-1]["problem"]["kind"] == "on none of the lists"


def test_list_of_another_kind_is_refused(root: Path) -> None:
    (root / "DIOR/Main/train.txt").write_text("train/a.jpg\ntrain/b.jpg\n")
    with pytest.raises(AnnotationError, match=r"train\.txt: none of its images is annotated"):
        SOURCE.read(root / "DIOR", "train", "release")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("<xmin>", "<xmin>x", "object 0 has no box"),
        ("<name>", "<name/><name>", "object 0 has no name"),
        ("<xmax>", "<xmax>0</xmax><xmax>", "object 0: its box .* has no area"),
    ],
)
def test_image_with_one_broken_object_cannot_be_used(
    root: Path, old: str, new: str, reason: str
) -> None:
    files = sorted((root / "DIOR" / HORIZONTAL).glob("*.xml"))
    edit(files[0], old, new)
    with pytest.raises(RecordError, match=rf"dior/train/{files[0].stem}: {reason}"):
        read(SOURCE, root, "train")
    kept = {row["key"] for row in read(SOURCE, root, "train", "skip")}
    assert files[0].stem not in kept
    assert kept


@BOTH
def test_boxes_drawn_on_an_image_of_another_size_are_refused(source: Source, root: Path) -> None:
    for file in (root / "DIOR/Annotations").rglob("*.xml"):
        edit(file, "<width>800<", "<width>1600<")
    said = "annotated on an image of 1600 x 800 px, but its file has 800 x 800"
    with pytest.raises(RecordError, match=said):
        read(source, root, "train")


@BOTH
def test_objects_read_are_those_kept_and_those_dropped(source: Source, root: Path) -> None:
    """An image with one odd object is dropped with all its objects, and listed."""
    folder = root / "DIOR" / source.files("train", "paper")[0]
    files = [file for file in sorted(folder.glob("*.xml")) if int(file.stem) <= 11725]
    edit(files[0], "<name>", "<name/><name>")
    edit(files[1], "<name>", "<name>\n  ")
    objects = {file.stem: file.read_text().count("<object>") for file in files}
    rows = good_records(
        source, root / "DIOR", "train", protocol="paper", on_missing="skip", log_dir=root
    )
    kept = {row["key"]: len(row["boxes"]) for row in rows.to_pylist()}
    lines = (root / f"dropped-{source.name}-train.jsonl").read_text().splitlines()
    dropped = [json.loads(line)["id"].rsplit("/", 1)[1] for line in lines]
    assert dropped == [files[0].stem]
    assert kept == {key: count for key, count in objects.items() if key not in dropped}
    labels = {box["label"] for row in rows.to_pylist() for box in row["boxes"]}
    assert labels == {label.strip() for label in labels}


def test_one_set_without_the_other_is_enough(root: Path) -> None:
    shutil.rmtree(root / "DIOR" / HORIZONTAL)
    assert read(ORIENTED, root, "test")
    with pytest.raises(SourceNotFoundError, match="lacks Annotations/Horizontal"):
        read(SOURCE, root, "test")


@needs_shared
def test_real_annotations() -> None:
    rows = {source.name: read(source, SHARED, "train", "skip") for source in (SOURCE, ORIENTED)}
    upright, oriented = (rows[name][0]["boxes"] for name in ("dior", "dior_oriented"))
    assert upright == [{"label": "golffield", "points": [133, 237, 684, 672], "kind": "hbb"}]
    assert [box["kind"] for box in oriented] == ["obb"]
    assert iou(to_hbb(oriented[0]["points"]), upright[0]["points"]) == 1
