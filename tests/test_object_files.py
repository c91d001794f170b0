"""Boxes of COCO, DOTA and Pascal VOC, as records to generate dialogues from."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from rs_gpt4v import records
from rs_gpt4v_builders.folder.detection_formats import Layout, read_objects
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_generation.facts import fact_sheet

SHIP = {"label": "ship", "points": [10, 20, 40, 60], "kind": "hbb"}
SIZE = {"width": 800, "height": 600.0}
VOC = """<annotation><filename>a.jpg</filename><object><name>ship</name><bndbox><xmin>10</xmin>
<ymin>20</ymin><xmax>40</xmax><ymax>60</ymax></bndbox></object></annotation>"""


def coco(**changes: Any) -> str:
    content = {
        "images": [{"id": 7, "file_name": "x/a.jpg"}, {"id": 8, "file_name": "b.jpg"} | SIZE],
        "categories": [{"id": 3, "name": "ship"}],
        "annotations": [
            {"image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 40]},
        ],
    }
    return json.dumps(content | changes)


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """Without what no file here states, what is right, and where it stands."""
    named = [{k: v for k, v in row.items() if k != "where"} for row in table.to_pylist()]
    return [{k: v for k, v in row.items() if v is not None} for row in named]


def test_coco(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(coco())
    table = read_objects(tmp_path / "a.json", "coco")
    assert table.select(records.OBJECTS.names).schema == records.OBJECTS
    assert rows(table) == [
        {"key": "x/a", "image": "x/a.jpg", "boxes": [SHIP]},
        {"key": "b", "image": "b.jpg", "boxes": [], "size": [800, 600]},
    ]
    problems = [p and p["reason"] for p in records.problems(table).to_pylist()]
    assert problems == [None, f"{tmp_path}/a.json: images[1]: no boxes"]


@pytest.mark.parametrize("ids", [(7, "7"), ("7", 7), (7.0, 7), (" 7", 7.0), ("a7", "a7")])
def test_ids_of_any_json_type_are_one_id(tmp_path: Path, ids: tuple[Any, Any]) -> None:
    content = coco(
        images=[{"id": ids[0], "file_name": "a.jpg"}],
        categories=[{"id": ids[1], "name": " ship\n"}],
        annotations=[{"image_id": ids[1], "category_id": ids[0], "bbox": [10, 20, 30, 40]}],
    )
    (tmp_path / "a.json").write_text(content)
    assert rows(read_objects(tmp_path / "a.json", "coco")) == [
        {"key": "a", "image": "a.jpg", "boxes": [SHIP]}
    ]


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({"image_id": 9}, "boxes of an unknown image", "1 boxes of image_id 9, which is not among"),
        ({"image_id": None}, "boxes of an unknown image", "image_id None, which is not among"),
        ({"image_id": [7]}, "boxes of an unknown image", r"image_id \[7\], which is not among"),
        ({"category_id": 4}, "object without a name", r"annotations\[0\] has category_id 4, which"),
        ({"category_id": {}}, "object without a name", r"annotations\[0\] has category_id {}"),
        ({"bbox": [1, 2, 3]}, "object without a box", r"annotations\[0\] has bbox \[1, 2, 3\]"),
        ({"bbox": None}, "object without a box", "has bbox None, expected x, y, width, height"),
        ({"bbox": ["1", 2, 3, 4]}, "object without a box", "has bbox"),
        ({"bbox": [True, 2, 3, 4]}, "object without a box", "has bbox"),
        ({"iscrowd": 1}, "crowd of objects", r"annotations\[0\] is a crowd"),
    ],
)
def test_odd_annotation_costs_its_own_image_alone(
    tmp_path: Path, changes: dict[str, Any], kind: str, reason: str
) -> None:
    odd = {"image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 40], **changes}
    good = {"image_id": 8, "category_id": 3, "bbox": [10, 20, 30, 40]}
    (tmp_path / "a.json").write_text(coco(annotations=[odd, good]))
    table = read_objects(tmp_path / "a.json", "coco")
    problems = {row["key"]: row["problem"] for row in table.to_pylist() if row["problem"]}
    (problem,) = problems.values()
    assert problem["kind"] == kind
    assert re.search(reason, problem["reason"])
    assert next(row for row in table.to_pylist() if row["key"] == "b")["boxes"] == [SHIP]


def test_dota(tmp_path: Path) -> None:
    text = "imagesource:GoogleEarth\ngsd:0.1\n40 60 10 60 10 20 40 20 large-vehicle 0\n"
    (tmp_path / "P0001.txt").write_text(text)
    (row,) = read_objects(tmp_path, "dota").to_pylist()
    assert row["image"] == "P0001.png"
    assert row["boxes"] == [
        {"label": "large-vehicle", "points": [10, 20, 40, 20, 40, 60, 10, 60], "kind": "obb"}
    ]
    assert fact_sheet(row["boxes"], 100, 100).counts == {"large vehicle": 1}


@pytest.mark.parametrize(
    ("rest", "label"),
    [
        ("Passenger Ship 0", "Passenger Ship"),
        ("ground track field 1", "ground track field"),
        ("Passenger Ship", "Passenger Ship"),
        ("ship", "ship"),
        ("ship\t2", "ship"),
        ("Boeing 737", "Boeing 737"),
        ("Boeing 737 0", "Boeing 737"),
        ("A220 0", "A220"),
    ],
)
def test_classes_of_several_words(tmp_path: Path, rest: str, label: str) -> None:
    (tmp_path / "P1.TXT").write_text(f"10 20 40 20 40 60 10 60 {rest}\r\n")
    (row,) = read_objects(tmp_path, "dota").to_pylist()
    assert [box["label"] for box in row["boxes"]] == [label]


def test_list_of_classes_beside_the_labels_is_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("ship\nground track field\n")
    (tmp_path / "P1.txt").write_text("10 20 40 20 40 60 10 60 ship 0\n")
    assert [row["key"] for row in rows(read_objects(tmp_path, "dota"))] == ["P1"]


@pytest.mark.parametrize(
    ("layout", "name", "content", "reason"),
    [
        ("dota", "b.txt", "10 20 40 20 40 60 10 60 ship 0\n0 0.1 0.2 0.3 0.4", "b.txt, line 2: ex"),
        ("dota", "b.txt", "0 0.1 0.2 0.3 0.4 0.1 0.2 0.3 0.4", "b.txt, line 1: expected eight nu"),
        ("dota", "b.txt", "10,20,40,20,40,60,10,60,ship,0", "b.txt, line 1: expected eight numbe"),
        ("voc", "b.xml", "<html><p/></html>", "b.xml: expected <annotation>, found a document of"),
        ("voc", "b.xml", "<annotation>", "b.xml: expected XML"),
    ],
)
def test_odd_file_costs_its_own_image_alone(
    tmp_path: Path, layout: Layout, name: str, content: str, reason: str
) -> None:
    (tmp_path / "a.txt").write_text("10 20 40 20 40 60 10 60 ship 0\n")
    (tmp_path / "a.xml").write_text(VOC)
    (tmp_path / name).write_text(content)
    good, bad = read_objects(tmp_path, layout).to_pylist()
    assert (good["key"], good["problem"], len(good["boxes"])) == ("a", None, 1)
    assert bad["key"] == "b"
    assert reason in bad["problem"]["reason"]


def test_voc(tmp_path: Path) -> None:
    blanks = VOC.replace("ship", "\n  ground \t track field ").replace(">a.jpg", "> a.jpg\n")
    (tmp_path / "a.XML").write_text(
        blanks.replace(
            "</filename>",
            "</filename><size><width>640</width><height>480</height><depth>3</depth></size>",
        )
    )
    assert rows(read_objects(tmp_path, "voc")) == [
        {
            "key": "a",
            "image": "a.jpg",
            "boxes": [SHIP | {"label": "ground track field"}],
            "size": [640, 480],
        }
    ]


@pytest.mark.parametrize("size", ["<width>0</width><height>0</height>", "<width>a</width>", ""])
def test_voc_without_a_size_states_none(tmp_path: Path, size: str) -> None:
    (tmp_path / "a.xml").write_text(VOC.replace("<object>", f"<size>{size}</size><object>"))
    assert rows(read_objects(tmp_path, "voc")) == [{"key": "a", "image": "a.jpg", "boxes": [SHIP]}]


@pytest.mark.parametrize(
    ("layout", "name", "content", "message"),
    [
        ("coco", "a.json", "{}", "it lacks images, categories, annotations; it has nothing"),
        ("coco", "a.json", "[]", "a.json: it is .*. Is it a file of COCO's layout?"),
        ("coco", "a.json", "{", "a.json: not JSON"),
        ("coco", "a.json", coco(images=[{"id": 7}]), "it lacks images.0..file_name; it has id"),
        ("coco", "a.json", coco(images=[{"id": 7, "file_name": 7}]), "images.0..file_name is 7"),
        ("coco", "a.json", coco(categories=[{"id": 1, "name": "a"}] * 2), "categories.1..id is 1"),
        ("dota", "a.txt", "gsd:1\n1 2 3 4 5 6 7 ship 0\n", "line 2: expected eight numbers and"),
        ("dota", "a.txt", "1 2 3 4 5 6 7 nan ship 0\n", "line 1: expected eight numbers and"),
        ("dota", "a.xml", "", r"no annotation files \(\*.txt\) there"),
        ("voc", "a.xml", "<annotation>", "a.xml: "),
        ("voc", "a.txt", "", r"no annotation files \(\*.xml\) there"),
    ],
)
def test_what_is_not_of_the_layout_is_named(
    tmp_path: Path, layout: Layout, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(AnnotationError, match=message):
        read_objects(tmp_path / name if layout == "coco" else tmp_path, layout)


def test_object_without_a_box_is_left_to_the_builder(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(VOC.replace("<xmin>10</xmin>", ""))
    (row,) = read_objects(tmp_path, "voc").to_pylist()
    assert row["boxes"] == [{"label": "ship", "points": None, "kind": "hbb"}]
