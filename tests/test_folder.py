"""A user's own folder: layouts recognised by content, splits by name, rows as the releases'."""

import json
import logging
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image

from rs_gpt4v import NAME, records
from rs_gpt4v.images import AS_IS
from rs_gpt4v_builders.folder import coco_columns
from rs_gpt4v_builders.folder.dialogue_columns import read_columns
from rs_gpt4v_builders.folder.image_names import ImageFiles, ImageNames
from rs_gpt4v_builders.folder.own_boxes import read_plausible
from rs_gpt4v_builders.sources import dialogues
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.usable_records import RecordError, cache_folder

Row = dict[str, Any]
H, G = {"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A field."}
ITEM: Row = {"id": "a", "image": "1.png", "conversations": [H, G]}
READ = [("user", "What is it?"), ("assistant", "A field.")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    return folder


def picture(*paths: Path, size: tuple[int, int] = (200, 100)) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size).save(path)


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")


def load(root: Path, **options: Any) -> datasets.DatasetDict:
    options = {"cache_dir": str(root.parent / "cache"), **options}
    loaded: Any = datasets.load_dataset(NAME, "folder", data_dir=str(root), **options)
    return loaded


def rows(root: Path, split: str = "train", **options: Any) -> list[Row]:
    """Rows with the images' paths, seen from the folder, and messages as pairs."""
    part: Any = load(root, **options)[split].with_format("arrow")[:]
    return [
        row
        | {
            "images": [str(Path(image["path"]).relative_to(root)) for image in row["images"]],
            "messages": [(m["role"], m["content"]) for m in row["messages"]],
        }
        for row in part.to_pylist()
    ]


# --- Dialogues ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "item",
    [
        ITEM,
        {**ITEM, "image": ["1.png"]},
        {"images": ["1.png"], "conversations": [H, G]},
        {"images": [{"path": "1.png"}], "messages": [
            {"role": "user", "content": "<image>What is it?"},
            {"role": "assistant", "content": "A field."},
        ]},
        {"image": "1.png", "conversations": [
            {"from": "USER", "value": "What is it?"}, {"from": "ASSISTANT", "value": "A field."}
        ]},
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["list", "lines", "data"])
def test_forms_of_dialogues(root: Path, item: Row, form: str) -> None:
    picture(root / "1.png")
    text = json.dumps(item)
    content = {"list": f"[{text}]", "lines": f"{text}\n", "data": f'{{"data": [{text}]}}'}[form]
    write(root / f"instruct.json{'l' * (form == 'lines')}", content)
    (row,) = rows(root)
    assert (row["messages"], row["images"], row["task"]) == (READ, ["1.png"], "conversation")
    assert row["id"] == f"folder/train/{item.get('id', '000000')}"
    assert (row["source"], row["references"]) == ("folder", ["A field."])
    assert (row["width"], row["height"]) == (200, 100)


def test_system_turns_several_images_and_texts_alone_are_kept(root: Path) -> None:
    picture(root / "1.png", size=(8, 6))
    picture(root / "2.png", root / "3.png")
    system = {"from": "system", "value": "Be brief."}
    text = [{"from": "human", "value": "What is SAR?"}, G]
    write(
        root / "train.json",
        [
            {"images": ["2.png", "1.png", "3.png"], "conversations": [system, H, G]},
            {"conversations": text},
            ITEM,
            {"image": "2.png", "conversations": [H, G], "system": "Be kind."},
        ],
    )
    several, alone, one, last = rows(root, layout="llava")
    assert several["images"] == ["2.png", "1.png", "3.png"]
    assert several["messages"] == [("system", "Be brief."), *READ]
    assert (several["width"], several["height"]) == (200, 100)
    assert (alone["images"], alone["width"], alone["height"]) == ([], None, None)
    assert one["images"] == ["1.png"]
    assert last["messages"][0] == ("system", "Be kind.")


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({**ITEM, "image": "4.png"}, r"train\.json, item 1: '4\.png' is not in .*images=\.\.\."),
        ({**ITEM, "image": ["1.png", "4.png"]}, r"item 1: '4\.png' is not in"),
        ({"conversations": [H, G]}, "item 1: it names no image under 'image' or 'images'"),
        ({**ITEM, "image": 3}, "item 1: its image is 3, expected a file's name"),
        ({**ITEM, "conversations": [H]}, "item 1: it has no question with an answer"),
        ({**ITEM, "conversations": [H, {"from": "bot", "value": "x"}]}, "turn 1 is by 'bot', exp"),
    ],
)
def test_item_that_cannot_be_used(root: Path, item: Row, reason: str) -> None:
    picture(root / "1.png")
    write(root / "train.json", [ITEM, {**item, "id": "b"}])
    with pytest.raises(RecordError, match=f"folder/train/b: .*{reason}") as raised:
        load(root)
    assert "fetch" not in str(raised.value).lower()
    kept = load(root, on_missing="skip")
    assert kept["train"]["id"] == ["folder/train/a"]
    (line,) = (cache_folder(kept) / "dropped-folder-train.jsonl").read_text().splitlines()
    assert json.loads(line)["id"] == "folder/train/b"


def test_broken_further_image_is_a_problem_of_its_row(root: Path) -> None:
    picture(root / "1.png")
    write(root / "2.png", "no image")
    write(root / "train.json", [ITEM, {"images": ["1.png", "2.png"], "conversations": [H, G]}])
    with pytest.raises(RecordError, match=r"folder/train/000001: .*2\.png.* no image"):
        load(root)


# --- Tables -------------------------------------------------------------------------------------


def test_captions_of_an_image_are_joined(root: Path) -> None:
    picture(root / "images/1.png", root / "images/2.png")
    write(
        root / "train.csv", 'file_name,text\n1.png,A ship.\n2.png,"Two, ""big"" ships."\n1.png,B\n'
    )
    write(root / "test.tsv", "image\tcaption\n1.png\tA ship.\n1.png\tB\n")
    first, second, third = rows(root)
    assert (first["id"], second["id"], third["id"]) == (
        "folder/train/1.png/0",
        "folder/train/1.png/1",
        "folder/train/2.png/0",
    )
    assert first["references"] == second["references"] == ["A ship.", "B"]
    assert third["messages"][-1] == ("assistant", 'Two, "big" ships.')
    (row,) = rows(root, "test")
    assert (row["references"], row["task"]) == (["A ship.", "B"], "caption")


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "json", "parquet"])
def test_questions(root: Path, suffix: str) -> None:
    picture(root / "1.png")
    table = {"image": ["1.png"] * 2, "question": ["How many?", "Any?"], "answer": ["3", "no"]}
    table |= {"type": ["count", ""]}
    lines = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    path = root / f"own.{suffix}"
    {
        "csv": lambda: datasets.Dataset.from_dict(table).to_csv(path),
        "parquet": lambda: datasets.Dataset.from_dict(table).to_parquet(path),
        "jsonl": lambda: write(path, "\n".join(map(json.dumps, lines))),
        "json": lambda: write(path, lines),
    }[suffix]()
    first, second = rows(root, wording="fixed")
    assert first["messages"][0][1].startswith("How many?\n")
    assert [first["question_type"], second["question_type"]] == ["count", None]
    assert [first["references"], second["references"]] == [["3"], ["no"]]
    assert [first["task"], first["id"]] == ["vqa", "folder/train/000000"]


def test_columns_are_named(root: Path) -> None:
    picture(root / "1.png")
    write(root / "own.csv", "pic,image_path,text_en,text_de\n1.png,x,A ship.,Ein Schiff.\n")
    columns = {"image": "pic", "caption": "text_de"}
    (row,) = rows(root, columns=columns, layout="captions", data_files="own.csv")
    assert row["references"] == ["Ein Schiff."]
    with pytest.raises(AnnotationError, match="no column 'text_fr'; there are pic, image_path, te"):
        load(root, columns={"caption": "text_fr"}, layout="captions", data_files="own.csv")
    with pytest.raises(ValueError, match="columns: 'caption_en' is not one of image, caption"):
        load(root, columns={"caption_en": "text_en"})


def test_two_columns_that_may_be_meant(root: Path) -> None:
    write(root / "own.csv", "file_name,image_path,caption\na,b,c\n")
    with pytest.raises(AnnotationError, match="'file_name' and 'image_path' may each be the image"):
        load(root)


def test_line_of_another_length_is_a_record(root: Path) -> None:
    picture(root / "1.png")
    write(root / "own.csv", "image,caption\n1.png,A ship.\n1.png,A ship, a quay.\n")
    with pytest.raises(
        RecordError, match=r"own\.csv, line 3: it has 3 fields, expected 2 as in the"
    ):
        load(root)


# --- Boxes --------------------------------------------------------------------------------------


def coco(*boxes: tuple[int, int], images: int = 3) -> Row:
    """An image and a class for each box, which has an area that grows."""
    return {
        "images": [{"id": i, "file_name": f"{i}.png"} for i in range(images)],
        "categories": [
            {"id": 0, "name": "ship"},
            {"id": 1, "name": "storage-tank"},
            {"id": 2, "name": "court"},
        ],
        "annotations": [
            {"image_id": image, "category_id": category, "bbox": [10, 20, 50 + number, 30]}
            for number, (image, category) in enumerate(boxes)
        ],
    }


@pytest.fixture
def boxed(root: Path) -> Path:
    """Two ships and a tank; a court and a tank; nothing."""
    picture(*(root / f"images/{n}.png" for n in range(3)))
    write(
        root / "annotations/instances_train2017.json", coco((0, 0), (0, 0), (0, 1), (1, 2), (1, 1))
    )
    return root


def test_rows_of_boxes(boxed: Path) -> None:
    made = {row["id"].removeprefix("folder/train/"): row for row in rows(boxed, wording="fixed")}
    assert [name for name, row in made.items() if row["task"] == "grounding"] == [
        "0/storage-tank",
        "1/court",
        "1/storage-tank",
    ]
    tank = made["0/storage-tank"]
    assert tank["messages"][0][1].startswith("Where is the storage tank in this remote sensing")
    assert tank["boxes"] == [{"label": "storage-tank", "points": [10, 20, 62, 50], "kind": "hbb"}]
    ships = made["0/ship/boxes"]
    assert (ships["task"], len(ships["boxes"])) == ("detection", 2)
    assert ships["references"] == ["[0.050, 0.200, 0.300, 0.500], [0.050, 0.200, 0.305, 0.500]"]
    region = made["0/ship/region"]
    assert region["boxes"][0]["points"] == [10, 20, 61, 50]  # the larger one
    assert region["references"] == ["ship"]
    count = made["0/ship/count"]
    assert count["references"] == ["2"]
    assert (count["task"], count["question_type"]) == ("vqa", "count")
    assert "objects of the class ship" in count["messages"][0][1]


def test_presence_asks_for_as_many_absent_classes(boxed: Path) -> None:
    made = rows(boxed, tasks=["presence"])
    answers = {row["id"].removeprefix("folder/train/"): row["references"][0] for row in made}
    no = [name for name, answer in answers.items() if answer == "no"]
    assert [name.split("/")[0] for name in no] == ["0", "1", "2"]  # of three classes
    assert no[0] == "0/court/presence"
    assert no[1] == "1/ship/presence"
    assert sum(answer == "yes" for answer in answers.values()) == 4
    assert {row["question_type"] for row in made} == {"presence"}
    others = {tuple(row["id"] for row in rows(boxed, tasks=["presence"], seed=n)) for n in range(6)}
    assert len(others) > 1


def test_tasks_are_chosen(boxed: Path) -> None:
    assert {row["task"] for row in rows(boxed, tasks=["detection", "grounding"])} == {
        "detection",
        "grounding",
    }
    with pytest.raises(ValueError, match="tasks: 'boxes' is not one of grounding, detection"):
        load(boxed, tasks=["boxes"])


def test_box_beyond_its_image_is_a_record(boxed: Path) -> None:
    content = coco((0, 0), (1, 1))
    content["annotations"][1]["bbox"] = [150, 20, 90, 30]
    write(boxed / "annotations/instances_train2017.json", content)
    with pytest.raises(RecordError, match=r"folder/train/1: .*leaves the image of 200 x 100 px"):
        load(boxed)


def test_dota_and_voc(root: Path) -> None:
    picture(root / "train/images/P1.png", root / "val/images/P2.png")
    write(root / "train/labelTxt/P1.txt", "10 20 60 20 60 50 10 50 large vehicle 0\n")
    write(root / "val/labelTxt/P2.txt", "imagesource:x\ngsd:1\n10 20 60 20 60 50 10 50 ship 1\n")
    assert {row["boxes"][0]["kind"] for row in rows(root, tasks=["detection"])} == {"obb"}
    (row,) = rows(root, "validation", tasks=["grounding"])
    assert (row["id"], row["images"]) == ("folder/validation/P2/ship", ["val/images/P2.png"])


def test_voc(root: Path) -> None:
    picture(root / "JPEGImages/P1.png")
    box = "<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>60</xmax><ymax>50</ymax></bndbox>"
    write(
        root / "Annotations/P1.xml",
        f"<annotation><filename>P1.png</filename><object><name>ship</name>{box}</object></annotation>",
    )
    (row,) = rows(root, tasks=["grounding"])
    assert row["boxes"] == [{"label": "ship", "points": [10, 20, 60, 50], "kind": "hbb"}]


# --- Scene classes ------------------------------------------------------------------------------


def test_folders_of_classes(root: Path) -> None:
    names = ("airport/1.png", "airport/2.png", "dense_residential/1.png")
    picture(*(root / split / name for name in names for split in ("train", "test")))
    made = rows(root, "test", wording="fixed")
    assert [row["id"] for row in made] == [f"folder/test/{name}" for name in names]
    assert made[2]["references"] == ["dense residential"]
    assert (made[2]["task"], made[2]["question_type"]) == ("scene", None)
    assert made[0]["messages"] == [
        (
            "user",
            "Classify the image within one of the given classes: airport, dense residential. "
            "Answer with one word or short phrase.",
        ),
        ("assistant", "airport"),
    ]
    assert set(load(root)) == {"train", "test"}


def test_a_question_lists_the_classes_of_all_splits(root: Path) -> None:
    picture(root / "train/airport/1.png", root / "train/beach/1.png", root / "test/airport/2.png")
    (row,) = rows(root, "test", wording="fixed")
    assert "classes: airport, beach." in row["messages"][0][1]


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (("BareLand/1.png", "bare_land/1.png"), r"BareLand and .*bare_land: one class in two"),
        (("train/Beach/1.png", "test/beach/1.png"), r"test/beach and .*train/Beach: one class in"),
        (("beach/1.png", "ships, moored/1.png"), r"ships, moored: a question cannot list a class"),
    ],
)
def test_names_that_are_no_classes_are_refused(
    root: Path, names: tuple[str, ...], problem: str
) -> None:
    picture(*(root / name for name in names))
    with pytest.raises(AnnotationError, match=problem):
        load(root)


def test_folders_of_classes_beside_a_file_are_asked_for(root: Path) -> None:
    picture(root / "airport/1.png", root / "beach/1.png")
    write(root / "labels.json", {"airport": 0})
    with pytest.raises(AnnotationError, match=r"It has labels\.json \(.+\)\. Name the files"):
        load(root)
    assert len(rows(root, layout="class_folders")) == 2


# --- What is read, and as what ------------------------------------------------------------------


def test_two_layouts_are_both_named(root: Path) -> None:
    write(root / "a.json", [ITEM])
    write(root / "b.csv", "image,caption\n1.png,A ship.\n")
    picture(root / "1.png")
    with pytest.raises(AnnotationError, match=r"as llava \(a\.json\), or captions \(b\.csv\): say"):
        load(root)
    assert rows(root, layout="llava")[0]["task"] == "conversation"
    assert rows(root, layout="captions")[0]["task"] == "caption"
    assert rows(root, data_files="b.csv")[0]["task"] == "caption"


def test_file_of_two_layouts(root: Path) -> None:
    picture(root / "1.png")
    write(root / "a.csv", "image,caption,question,answer\n1.png,A ship.,Any?,yes\n")
    with pytest.raises(AnnotationError, match=r"captions \(a\.csv\), or questions \(a\.csv\)"):
        load(root)


def test_other_files_are_told(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    picture(root / "1.png")
    write(root / "train.json", [ITEM])
    write(root / "meta/info.json", {"license": "CC0"})
    with caplog.at_level(logging.WARNING):
        load(root)
    assert "not of layout llava, and not read: meta/info.json" in caplog.text


def test_nothing_is_recognised(root: Path) -> None:
    write(root / "a.json", {"license": "CC0"})
    with pytest.raises(
        AnnotationError, match=r"no annotations of a known layout \(llava, .*a\.json"
    ):
        load(root)
    with pytest.raises(AnnotationError, match=r"a known layout \(coco\)"):
        load(root, layout="coco")
    with pytest.raises(ValueError, match="layout='yolov8': expected auto or one of llava"):
        load(root, layout="yolov8")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("geochat.json", "train"),
        ("train/a.json", "train"),
        ("val.json", "validation"),
        ("instances_val2017.json", "validation"),
        ("Test_set.json", "test"),
        ("valid/data.json", "validation"),
    ],
)
def test_split_by_name(root: Path, name: str, split: str) -> None:
    picture(root / "1.png")
    write(root / name, [ITEM])
    assert list(load(root)) == [split]


def test_unclear_splits(root: Path) -> None:
    write(root / "train.json", [ITEM])
    write(root / "more.json", [ITEM])
    with pytest.raises(AnnotationError, match=r"the names of more\.json say no split, and others"):
        load(root)
    (root / "more.json").rename(root / "train_test.json")
    with pytest.raises(AnnotationError, match=r"train_test\.json: its name says .*data_files"):
        load(root)


def test_data_files(root: Path) -> None:
    picture(root / "1.png")
    write(root / "a.json", [ITEM])
    write(root / "b.json", [ITEM])
    found = load(root, data_files={"train": ["a.json", "b.json"], "test": "b.json"})
    assert found["train"]["id"] == ["folder/train/a.json/a", "folder/train/b.json/a"]
    assert found["test"]["id"] == ["folder/test/a"]
    assert load(root, data_files={"test": "a.json"})["test"]["id"] == ["folder/test/a"]
    with pytest.raises(FileNotFoundError, match=r"data_files: .*c\.json is not there"):
        load(root, data_files="c.json")


def test_same_name_in_two_folders_is_in_doubt(root: Path) -> None:
    picture(root / "1.png", root / "images/1.png")
    write(root / "train.json", [ITEM])
    with pytest.raises(RecordError, match=r"its image may be 1\.png or images/1\.png"):
        load(root)
    assert rows(root, images="images")[0]["images"] == ["images/1.png"]


def test_image_of_another_folder_is_not_taken(root: Path) -> None:
    picture(root / "RSICD/1.png")
    write(root / "train.json", [ITEM])
    with pytest.raises(RecordError, match=r"'1\.png' is not in .*Give the folder that the names"):
        load(root)
    assert rows(root, images="RSICD")[0]["images"] == ["RSICD/1.png"]


def test_options_of_a_folder_are_of_no_release() -> None:
    with pytest.raises(ValueError, match="layout: for the config 'folder', not 'cap_ucm'"):
        datasets.load_dataset_builder(NAME, "cap_ucm", layout="coco")
    with pytest.raises(ValueError, match="folder: give data_dir"):
        datasets.load_dataset(NAME, "folder")


def test_edits_build_anew(root: Path) -> None:
    picture(root / "1.png")
    write(root / "train.json", [ITEM])
    assert len(rows(root)) == 1
    write(root / "train.json", [ITEM, {**ITEM, "id": "b"}])
    assert len(rows(root)) == 2


def test_leaks_between_own_splits_are_left_out(root: Path) -> None:
    for n in (1, 2):
        Image.effect_noise((64, 64), 90 + n).save(root / f"{n}.png")
    write(root / "train.json", [ITEM, {**ITEM, "id": "b", "image": "2.png"}])
    write(root / "test.json", [ITEM])
    assert [row["id"] for row in rows(root, exclude_leaks=True)] == ["folder/train/b"]


def test_streaming_and_processes_give_the_same_rows(boxed: Path) -> None:
    built = [row["id"] for row in rows(boxed)]
    streamed: Any = load(boxed, streaming=True)["train"]
    assert [row["id"] for row in streamed] == built
    again = load(boxed, num_proc=2, cache_dir=str(boxed.parent / "other"))
    assert again["train"]["id"] == built


def test_splits_that_a_table_states(root: Path) -> None:
    picture(*(root / f"{n}.png" for n in range(4)))
    lines = ["0.png,A,train", "1.png,B,val", "2.png,C,TEST", "3.png,D,train"]
    write(root / "own_train.csv", "\n".join(["image,caption,split", *lines]))
    assert {name: part.num_rows for name, part in load(root).items()} == {
        "train": 2,
        "validation": 1,
        "test": 1,
    }
    assert rows(root, "test")[0]["references"] == ["C"]
    with pytest.raises(AnnotationError, match="is given for 'extra', and states the splits of its"):
        load(root, data_files={"extra": "own_train.csv"})
    assert list(load(root, data_files={"test": "own_train.csv"})) == ["test"]
    write(root / "own_train.csv", "\n".join(["image,caption,split", *lines, "3.png,D,holdout"]))
    with pytest.raises(RecordError, match=r"line 6: its split is 'holdout', expected train, val"):
        load(root)
    (root / "own_train.csv").unlink()
    items = [{**ITEM, "id": s, "image": "1.png", "split": s} for s in ("val", "train")]
    write(root / "own.jsonl", "\n".join(map(json.dumps, items)))
    assert rows(root, "validation")[0]["id"] == "folder/validation/val"


def test_lists_of_splits_beside_voc(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    box = "<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>60</xmax><ymax>50</ymax></bndbox>"
    for name in "abcd":
        picture(root / f"JPEGImages/{name}.jpg")
        annotated = f"<annotation><object><name>ship</name>{box}</object></annotation>"
        write(root / f"Annotations/{name}.xml", annotated)
    write(root / "ImageSets/Main/trainval.txt", "a\nb\n")
    write(root / "ImageSets/Main/test.txt", "c\n")
    with caplog.at_level(logging.WARNING):
        assert [row["id"] for row in rows(root, tasks=["count"])] == [
            "folder/train/a/ship/count",
            "folder/train/b/ship/count",
        ]
    assert "1 images are on no list of a split, and not read: d" in caplog.text
    assert [row["id"] for row in rows(root, "test", tasks=["count"])] == [
        "folder/test/c/ship/count"
    ]
    write(root / "ImageSets/Main/test.txt", "c\nz\n")
    with pytest.raises(RecordError, match=r"folder/test/z: the list of test names it, and .*has"):
        load(root, tasks=["count"])


# --- Files read as columns ----------------------------------------------------------------------

TURNS = [H, G]
MANY: list[Row] = [
    {"id": "a", "image": " 1.png", "conversations": TURNS},
    {"id": "b", "image": "1", "conversations": [*TURNS, {"from": "Human", "value": " b <image>c"}]},
    {"id": "c", "conversations": TURNS},
    {"id": "d", "conversations": [{"from": "user", "value": "q"}, G]},
    {"id": "e", "images": ["1.png", "2.png"], "conversations": TURNS},
    {"id": "f", "image": "1.png", "conversations": TURNS, "system": "Be kind."},
    {"id": "g", "image": "9.png", "conversations": TURNS},
    {"id": "h", "image": "1.png", "conversations": [{"from": "system", "value": "s"}, *TURNS]},
    {"id": "i", "image": "1.png", "conversations": [{"from": "bot", "value": "s"}, *TURNS]},
    {"id": "j", "image": "1.png", "conversations": []},
    {"id": "k", "image": "1.png"},
    {"id": "l", "image": "", "conversations": TURNS},
    {"id": "m", "image": "1.png", "conversations": [{"from": "human"}, G]},
    {"id": "n", "image": "1.png", "conversations": [{"from": "human", "value": "  "}, G]},
    {"id": "o", "image": "1.png", "conversations": [{"from": "human", "content": "q"}, G]},
    {"id": "p", "image": "1.png", "images": ["2.png"], "conversations": TURNS},
    {"id": "q", "image": "1.png", "messages": TURNS},
    {"id": "r", "image": None, "conversations": [{"from": "user", "value": "q"}, G]},
    {},
]


@pytest.mark.parametrize("items", [MANY, [*MANY, {"id": "a"}], MANY[:1], []])
@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_columns_give_the_records_of_items(root: Path, form: str, items: list[Row]) -> None:
    picture(root / "1.png", root / "2.png")
    path = root / f"train.{form}"
    lines = [json.dumps(item) for item in items]
    write(path, "\n".join(lines) if form == "jsonl" else f"[{','.join(lines)}]")
    names = ImageNames(ImageFiles(root))
    fast = read_columns(path, items[0] if items else {}, names)
    if not items:
        assert fast is None or not fast.num_rows
        return
    assert fast is not None
    keys = dialogues.keys(items)
    expected = [
        {"key": key, **dialogues.record(item, where, names.one, needs_image=False)}
        for key, (where, item) in zip(keys, dialogues.items(path), strict=True)
    ]
    for row, other in zip(fast.to_pylist(), expected, strict=True):
        problem = row["problem"] and tuple(row["problem"].values())
        assert problem == other.get("problem"), row["key"]
        assert (row["key"], row["where"]) == (other["key"], other["where"])
        if not problem:
            assert row["image"] == other["image"]
            assert row["messages"] == other["messages"]
            assert row["further_images"] == other["further_images"]
            assert (row["change"] is None) == (other["change"] is None)


@pytest.mark.parametrize(
    "content",
    [
        '[{"id": 1, "conversations": []}, {"id": "a", "conversations": []}]',
        '[{"image": "1.png", "conversations": []}, {"image": ["1.png"], "conversations": []}]',
        "[null]",
        '[{"id": "a", ',
        "[] null",
        '[{"id": "\\ud800", "conversations": []}]',
        "",
    ],
)
def test_what_arrow_cannot_read_is_left_to_python(root: Path, content: str) -> None:
    write(root / "train.json", content)
    first = {"id": 1, "image": "1.png"}
    table = read_columns(root / "train.json", first, ImageNames(ImageFiles(root)))
    assert table is None or content == "[null]"


PLAIN = coco((0, 0), (0, 1), (2, 2), (0, 0))


def changed(part: str, index: int, **fields: Any) -> Row:
    content = json.loads(json.dumps(PLAIN))
    content[part][index] |= fields
    return content


@pytest.mark.parametrize(
    ("content", "is_plain"),
    [
        (PLAIN, True),
        (changed("images", 0, width=200, height=100), True),
        (changed("annotations", 0, iscrowd=0), True),
        (changed("annotations", 0, iscrowd=1), False),
        (changed("annotations", 0, segmentation=[[1, 2, 3, 4, 5, 9]]), True),
        (changed("annotations", 0, segmentation=[]), True),
        (changed("annotations", 0, segmentation=[[11, 22, 33, 24, 35, 49, 20, 30]]), False),
        (changed("annotations", 0, bbox=[30, 30, 20, 9, 30]), False),
        (changed("annotations", 0, attributes={"rotation": 30}), False),
        (changed("annotations", 0, bbox=[1, 2, 3]), False),
        (changed("annotations", 0, bbox=[1, 2, -3, 4]), False),
        (changed("annotations", 0, bbox=[190, 20, 50, 30]), False),
        (changed("annotations", 0, bbox=None), False),
        (changed("annotations", 0, category_id=9), False),
        (changed("annotations", 0, image_id="0"), False),
        (changed("annotations", 0, image_id=9), False),
        (changed("images", 1, id=0), False),
        (changed("images", 1, file_name="9.png"), False),
        (changed("images", 1, width=9), False),
        (changed("categories", 1, name=" ship "), False),
        (PLAIN | {"annotations": []}, True),
    ],
)
def test_columns_give_the_boxes_of_coco(root: Path, content: Row, is_plain: bool) -> None:
    picture(*(root / f"{n}.png" for n in range(3)))
    path = root / "train.json"
    write(path, content)
    names = ImageNames(ImageFiles(root))
    table = coco_columns.read_columns(path, names, AS_IS)
    assert (table is not None) == is_plain
    if table is not None:
        expected = records.table(read_plausible(path, "coco", names), records.FOUND_OBJECTS)
        for row, other in zip(table.to_pylist(), expected.to_pylist(), strict=True):
            assert {name: row[name] for name in ("key", "image", "boxes")} == {
                name: other[name] for name in ("key", "image", "boxes")
            }


def test_two_folders_have_ids_of_their_own(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for folder in (root, other):
        picture(folder / "1.png")
        write(folder / "train.json", [ITEM])
        write(folder / "test.json", [{**ITEM, "image": "2.png"}, {**ITEM, "id": "b"}])
    options: Row = {"on_missing": "skip"}
    both = [load(root, **options), load(other, id_prefix="tiles", **options)]
    assert [rows["train"]["id"] for rows in both] == [["folder/train/a"], ["tiles/train/a"]]
    assert both[1]["train"]["source"] == ["folder"]
    (line,) = (cache_folder(both[1]) / "dropped-tiles-test.jsonl").read_text().splitlines()
    assert json.loads(line)["id"] == "tiles/test/a"


@pytest.mark.parametrize("prefix", ["", "a/b", "rsicd", "a b"])
def test_prefix_of_ids_that_is_refused(root: Path, prefix: str) -> None:
    with pytest.raises(ValueError, match=r"id_prefix='.*': expected letters"):
        load(root, id_prefix=prefix)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [("", "one of its messages is empty"), ("<video> x", "one of its messages holds '<video>'")],
)
@pytest.mark.parametrize("box", ["", " {<40><89><56><98>}"])
def test_message_that_cannot_be_learned_is_a_problem_of_its_item(
    root: Path, answer: str, reason: str, box: str
) -> None:
    picture(root / "1.png")
    bad = {**ITEM, "id": "b", "conversations": [H, {**G, "value": answer}]}
    write(root / "train.json", [{**ITEM, "conversations": [H, {**G, "value": f"It.{box}"}]}, bad])
    with pytest.raises(RecordError, match=f"folder/train/b: .*{reason}"):
        load(root)
    assert load(root, on_missing="skip")["train"]["id"] == ["folder/train/a"]


def test_a_table_of_one_line(root: Path) -> None:
    picture(root / "1.png")
    item = {"question_id": 1, "image": "1.png", "text": "Is it?", "ground_truth": "yes"}
    write(root / "test.jsonl", json.dumps(item))
    (row,) = rows(root, "test")
    assert (row["task"], row["references"]) == ("vqa", ["yes"])
    assert "Is it?" in row["messages"][0][1]


def test_an_image_in_the_folder_of_its_source(root: Path) -> None:
    picture(root / "DOTA" / "1.png", root / "UCM" / "1.png")
    items = [{**ITEM, "id": name, "source_dataset": name} for name in ("UCM", "DOTA")]
    write(root / "train.json", items)
    assert [row["images"] for row in rows(root)] == [["UCM/1.png"], ["DOTA/1.png"]]
