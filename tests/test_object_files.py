"""Boxes of COCO, DOTA and Pascal VOC, as records to generate dialogues from."""

import json
from pathlib import Path
from typing import Any

import pytest

from rs_gpt4v import records
from rs_gpt4v.generation.facts import fact_sheet
from rs_gpt4v.source import AnnotationError
from rs_gpt4v_builders.object_files import Layout, read_objects

SHIP = {"label": "ship", "points": [10, 20, 40, 60], "kind": "hbb"}
VOC = """<annotation><filename>a.jpg</filename><object><name>ship</name><bndbox><xmin>10</xmin>
<ymin>20</ymin><xmax>40</xmax><ymax>60</ymax></bndbox></object></annotation>"""


def coco(**changes: Any) -> str:
    content = {
        "images": [{"id": 7, "file_name": "x/a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
        "categories": [{"id": 3, "name": "ship"}],
        "annotations": [
            {"image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 40]},
            {"image_id": 7, "category_id": 3, "bbox": [0, 0, 99, 99], "iscrowd": 1},
        ],
    }
    return json.dumps(content | changes)


def test_coco(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(coco())
    table = read_objects(tmp_path / "a.json", "coco")
    assert table.schema == records.OBJECTS
    assert table.to_pylist() == [
        {"key": "x/a", "image": "x/a.jpg", "boxes": [SHIP]},
        {"key": "b", "image": "b.jpg", "boxes": []},
    ]
    assert records.problems(table).to_pylist() == [None, "no boxes"]


def test_dota(tmp_path: Path) -> None:
    text = "imagesource:GoogleEarth\ngsd:0.1\n40 60 10 60 10 20 40 20 large-vehicle 0\n"
    (tmp_path / "P0001.txt").write_text(text)
    (row,) = read_objects(tmp_path, "dota").to_pylist()
    assert row["image"] == "P0001.png"
    assert row["boxes"] == [
        {"label": "large-vehicle", "points": [10, 20, 40, 20, 40, 60, 10, 60], "kind": "obb"}
    ]
    assert fact_sheet(row["boxes"], 100, 100).counts == {"large vehicle": 1}


def test_voc(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(VOC)
    assert read_objects(tmp_path, "voc").to_pylist() == [
        {"key": "a", "image": "a.jpg", "boxes": [SHIP]}
    ]


@pytest.mark.parametrize(
    ("layout", "name", "content", "message"),
    [
        ("coco", "a.json", "{}", "expected an object with a list 'images'"),
        ("coco", "a.json", coco(categories=[]), r"KeyError\(3\). Expected COCO's fields"),
        ("coco", "a.json", coco(annotations=[{"image_id": 7}]), "Expected COCO's fields"),
        ("dota", "a.txt", "gsd:1\n1 2 3 4 5 6 7 ship 0\n", "line 2: expected eight numbers and"),
        ("dota", "a.txt", "1 2 3 4 5 6 7 nan ship 0\n", "line 1: expected eight numbers and"),
        ("dota", "a.xml", "", "no annotation files there"),
        ("voc", "a.xml", "<annotation>", "a.xml: "),
        ("voc", "a.txt", "", "no annotation files there"),
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
