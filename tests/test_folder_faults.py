"""Faults of own files: each costs its own item, and the reason says what is wrong and where."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image

from rs_gpt4v import NAME
from rs_gpt4v_builders.sources.reading import AnnotationError

Row = dict[str, Any]
ASKED, ANSWERED = {"from": "human", "value": "What?"}, {"from": "gpt", "value": "A field."}
ITEM: Row = {"id": "a", "image": "1.png", "conversations": [ASKED, ANSWERED]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    for name in ("1.png", "2.png"):
        Image.new("RGB", (200, 100)).save(folder / name)
    return folder


def write(path: Path, content: object) -> None:
    path.parent.mkdir(exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")


def load(root: Path, **options: Any) -> dict[str, list[str]]:
    """The ids of each split, without what cannot be used."""
    cache = str(root.parent / "cache")
    loaded: Any = datasets.load_dataset(
        NAME, "folder", data_dir=str(root), cache_dir=cache, on_missing="skip", **options
    )
    return {split: list(rows["id"]) for split, rows in loaded.items()}


def dropped(root: Path) -> list[str]:
    files = sorted((root.parent / "cache").rglob("dropped-*.jsonl"))
    lines = [line for file in files for line in file.read_text("utf-8").splitlines()]
    return [json.loads(line)["reason"].replace(str(root), "ROOT") for line in lines]


@pytest.mark.parametrize("broken", [None, "x", [1], {}, {"id": "b", "image": "1.png"}])
@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_first_item_that_is_broken_costs_itself(root: Path, broken: object, suffix: str) -> None:
    items = [json.dumps(broken), json.dumps(ITEM)]
    write(root / f"a.{suffix}", "\n".join(items) if suffix == "jsonl" else f"[{','.join(items)}]")
    assert len(load(root)["train"]) == len(dropped(root)) == 1


def test_first_line_that_is_no_json_costs_itself(root: Path) -> None:
    write(root / "a.jsonl", "{bad\n" + json.dumps(ITEM))
    assert load(root) == {"train": ["folder/train/000001"]}
    assert dropped(root) == ["ROOT/a.jsonl, line 1: expected an object, found '{bad'"]


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([ASKED, {"from": "gpt", "value": "<image>"}], "one of its messages is empty"),
        ([ASKED, {"from": "gpt", "value": " "}], "one of its messages is empty"),
        (
            [ASKED, ASKED, ANSWERED],
            "its roles do not go user, assistant, user, ... up to an answer",
        ),
    ],
)
def test_dialogue_that_breaks_a_rule_costs_itself(
    root: Path, turns: list[Row], reason: str
) -> None:
    write(root / "a.json", [{**ITEM, "id": "b", "conversations": turns}, ITEM])
    assert load(root) == {"train": ["folder/train/a"]}
    assert dropped(root) == [f"ROOT/a.json, item 0: {reason}"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"", r"a\.csv \(the file is empty\)"),
        ("a.json", b"", r"a\.json \(the file is empty\)"),
        ("a.json", b"[]", r"a\.json \(no object is at its start\)"),
        ("a.csv", "image,caption\n1.png,Fluß\n".encode("latin-1"), r"\(byte 23 is not UTF-8"),
        ("a.csv", b"picture,words\n1.png,x\n", r"it starts with an object with picture, words"),
        ("a.json", b'[{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}]", r"recursion"),
        ("a.parquet", b"PAR1", r"a\.parquet \(.+\)"),
    ],
)
def test_why_a_file_is_not_recognised(root: Path, name: str, content: bytes, reason: str) -> None:
    write(root / name, content)
    with pytest.raises(AnnotationError, match=reason):
        load(root)


@pytest.mark.parametrize("sign", [";", "\t"])
def test_columns_of_csv_may_be_parted_by_other_signs(root: Path, sign: str) -> None:
    write(root / "a.csv", f"image{sign}caption\n1.png{sign}Ships, and a crane.\n")
    assert load(root) == {"train": ["folder/train/1.png/0"]}


@pytest.mark.parametrize("line", ["1.png", "1.png,a,b"])
def test_first_line_of_another_length_costs_itself(root: Path, line: str) -> None:
    write(root / "a.csv", f"image,caption\n{line}\n2.png,A field.\n")
    assert load(root) == {"train": ["folder/train/2.png/0"]}
    (reason,) = dropped(root)
    assert reason.startswith("ROOT/a.csv, line 2: it has ")


def test_column_that_is_there_twice(root: Path) -> None:
    write(root / "a.csv", "image,caption,caption\n1.png,A,B\n")
    with pytest.raises(AnnotationError, match="may each be the caption"):
        load(root)
    with pytest.raises(AnnotationError, match="it has the column 'caption' twice"):
        load(root, columns={"caption": "caption"})


def test_quote_that_is_not_closed(root: Path) -> None:
    write(root / "a.csv", 'image,caption\n1.png,ok\n2.png,"A field\n1.png,ok\n')
    with pytest.raises(AnnotationError, match=r"a\.csv, line 3: .+write quotes inside it twice"):
        load(root)


def test_splits_in_a_column_of_other_case_and_in_later_items(root: Path) -> None:
    write(root / "a.csv", "image,caption,Split\n1.png,A,train\n2.png,B,test\n")
    both = {"train": ["folder/train/1.png/0"], "test": ["folder/test/2.png/0"]}
    assert load(root) == both
    (root / "a.csv").unlink()
    items = [
        {"image": "1.png", "caption": "A"},
        {"image": "2.png", "caption": "B", "split": "test"},
    ]
    write(root / "a.json", items)
    assert load(root) == {"test": ["folder/test/2.png/0"]}
    assert dropped(root) == ["ROOT/a.json, item 0: its split is None, expected train, val or test"]


def test_splits_of_no_known_name_are_told(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(root / "a.csv", "image,caption,split\n1.png,A,testA\n2.png,B,testB\n")
    with caplog.at_level(logging.WARNING):
        load(root)
    assert "its split is 'testA', 'testB', none of train, val and test" in caplog.text


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"columns": ["image"]}, "columns="),
        ({"columns": {"image": None}}, "columns="),
        ({"images": 3}, "images=3: expected the name of a folder"),
        ({"data_files": 3}, "data_files: found 3, expected a file's name"),
        ({"data_files": {"train": None}}, "data_files: found None, expected a file's name"),
        ({"data_files": ".", "layout": "captions"}, "is a folder: expected a file of a table"),
        ({"data_files": "a.csv", "layout": "voc"}, r"a\.csv is a file: expected a folder of Pasc"),
        ({"data_files": "pipe.json", "layout": "llava"}, "is no regular file and no folder"),
    ],
)
def test_odd_options(root: Path, options: Row, reason: str) -> None:
    write(root / "a.csv", "image,caption\n1.png,A\n")
    os.mkfifo(root / "pipe.json")
    with pytest.raises(ValueError, match=reason):
        load(root, **options)


def test_names_that_are_not_utf8(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(root / "a.json", [ITEM])
    folder = os.fsencode(root)
    for name in (b"/\xff.png", b"/\xff.csv"):
        Path(os.fsdecode(folder + name)).write_bytes(b"")
    assert load(root) == {"train": ["folder/train/a"]}
    assert "not read: \\udcff.csv" in caplog.text
    (root / "a.json").rename(os.fsdecode(folder + b"/\xff.json"))
    with pytest.raises(AnnotationError, match=r"udcff\.json': its name is not UTF-8: rename it"):
        load(root)


def test_class_of_a_name_that_is_not_utf8(root: Path) -> None:
    for name, image in (("a", "1.png"), (os.fsdecode(b"\xff"), "2.png")):
        (root / name).mkdir()
        (root / image).rename(root / name / image)
    with pytest.raises(AnnotationError, match="its name is not UTF-8"):
        load(root)


def test_links_that_lead_to_themselves(root: Path) -> None:
    (root / "loop.png").symlink_to("loop.png")
    write(root / "a.json", [{**ITEM, "id": "b", "image": "loop.png"}, ITEM])
    assert load(root) == {"train": ["folder/train/a"]}
    assert len(dropped(root)) == 1


COCO: Row = {
    "images": [{"id": 1, "file_name": "1.png"}, {"id": 2, "file_name": "2.png"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 150, 30]},
        {"id": 2, "image_id": 2, "category_id": 2, "bbox": [10, 10, 150, 30]},
    ],
    "categories": [{"id": 1, "name": "ship"}, {"id": 2, "name": "car"}],
}


def test_class_that_training_takes_for_an_image(root: Path) -> None:
    classes = [{"id": 1, "name": "ship"}, {"id": 2, "name": "<image>"}]
    write(root / "a.json", {**COCO, "categories": classes})
    assert load(root, tasks=["count"]) == {"train": ["folder/train/1/ship/count"]}
    assert dropped(root) == ["object 0 is of the class '<image>': take <image> out"]


def test_image_of_coco_without_a_name_is_not_that_of_its_id(root: Path) -> None:
    write(root / "a.json", {**COCO, "images": [{"id": 1, "file_name": ""}, COCO["images"][1]]})
    assert load(root, tasks=["count"]) == {"train": ["folder/train/2/car/count"]}
    assert dropped(root) == ["ROOT/a.json: images[0] has no file_name: give it its own"]


def test_edit_of_an_image_builds_anew(root: Path) -> None:
    write(root / "a.json", COCO)
    assert len(load(root, tasks=["count"])["train"]) == 2
    Image.new("RGB", (100, 100)).save(root / "1.png")
    assert load(root, tasks=["count"]) == {"train": ["folder/train/2/car/count"]}
    options: Row = {"data_dir": str(root), "cache_dir": str(root.parent / "raise")}
    Image.new("RGB", (200, 100)).save(root / "1.png")
    datasets.load_dataset(NAME, "folder", **options)
    Image.new("RGB", (100, 100)).save(root / "1.png")
    with pytest.raises(ValueError, match="leaves the image of 100 x 100 px"):
        datasets.load_dataset(NAME, "folder", **options)


@pytest.mark.parametrize("name", [["ship"], None, False, 1.5, {"a": "b"}])
def test_classes_of_yolo_that_are_no_names(root: Path, name: object) -> None:
    write(root / "1.txt", "0 0.5 0.5 0.8 0.4\n")
    write(root / "data.yaml", json.dumps({"names": [name]}))
    with pytest.raises(AnnotationError, match=r"data\.yaml: class 0 is .+, expected a number fr"):
        load(root)


def test_result_of_label_studio_that_is_no_object(root: Path) -> None:
    value = {"x": 10, "y": 10, "width": 50, "height": 50, "rectanglelabels": ["ship"]}
    result = {"type": "rectanglelabels", "original_width": 200, "original_height": 100}
    results = ([None], [result | {"value": value}])
    tasks = [
        {"id": n, "data": {"image": f"{n}.png"}, "annotations": [{"result": some}]}
        for n, some in enumerate(results, 1)
    ]
    write(root / "a.json", tasks)
    assert load(root, tasks=["count"]) == {"train": ["folder/train/2/ship/count"]}
    assert dropped(root) == ["ROOT/a.json, task 0: result 0 is None, expected an object"]


def test_broken_image_of_karpathy_costs_itself(root: Path) -> None:
    image = {"filename": "1.png", "split": "train", "sentences": [{"raw": "A field."}]}
    write(root / "a.json", {"images": [None, image]})
    assert load(root) == {"train": ["folder/train/1/0"]}
    assert dropped(root) == [
        "ROOT/a.json, images[0]: its split is None, expected train, val or test"
    ]


def test_broken_captions_of_coco_cost_themselves(root: Path) -> None:
    images = [None, *COCO["images"], {"id": 1, "file_name": "2.png"}]
    captions = [None, {"image_id": 1, "caption": "A"}, {"image_id": 2, "caption": "B"}]
    write(root / "a.json", {"images": images, "annotations": captions})
    assert load(root) == {"train": ["folder/train/1/0", "folder/train/2/0"]}
    assert dropped(root) == [
        "ROOT/a.json, annotations[0]: expected an object, found None",
        "ROOT/a.json, images[0]: expected an object, found None",
        "ROOT/a.json, images[3]: its id is 1, which an earlier image has: give each its own",
    ]


def test_images_in_no_folder_of_a_class(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for split, name in (("test", "field"), ("train", "field"), ("train", "harbor")):
        (root / split / name).mkdir(parents=True)
        Image.new("RGB", (20, 10)).save(root / split / name / "1.png")
    (root / "1.png").rename(root / "train/1.png")
    with caplog.at_level(logging.WARNING):
        assert list(load(root)) == ["train", "test"]
    assert "1 images are in no folder of a class, and not read: 1.png" in caplog.text


def test_an_empty_folder_of_a_class_is_named(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for split, name in (("test", "field"), ("train", "field"), ("train", "harbor")):
        (root / split / name).mkdir(parents=True)
        Image.new("RGB", (20, 10)).save(root / split / name / "1.png")
    (root / "train/dam").mkdir()
    with caplog.at_level(logging.WARNING):
        load(root)
    assert (
        "train: 1 folders hold no image, so no question names them as classes: dam" in caplog.text
    )


def test_list_of_a_split_that_names_image_files(root: Path) -> None:
    box = "<xmin>10</xmin><ymin>10</ymin><xmax>160</xmax><ymax>60</ymax>"
    item = f"<object><name>ship</name><bndbox>{box}</bndbox></object>"
    write(root / "Annotations/1.xml", f"<annotation>{item}</annotation>")
    (root / "ImageSets/Main").mkdir(parents=True)
    write(root / "ImageSets/Main/test.txt", "1.png\n")
    assert load(root, tasks=["count"]) == {"test": ["folder/test/1/ship/count"]}
