"""Rows that ask for all objects of a class: DIOR's, and a folder's by the same template."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
from test_folder import boxed, root, rows  # noqa: F401  (boxed, root: fixtures)

from rs_gpt4v import NAME, adapt_objects, records, templates
from rs_gpt4v.adapt import Adaption
from rs_gpt4v.box_codecs import CODECS, ParseFailure
from rs_gpt4v.conversation import check
from rs_gpt4v_builders import GROUPS, members
from rs_gpt4v_builders.builder import UNUSABLE
from rs_gpt4v_builders.export import export
from rs_gpt4v_builders.sources.dior import CLASSES

HORIZONTAL = "DIOR/Annotations/Horizontal Bounding Boxes"


def detected(data: Path, config: str = "detect_dior", **options: Any) -> list[dict[str, Any]]:
    loaded = datasets.load_dataset(NAME, config, data_dir=str(data), **options)
    return [row for part in loaded.values() for row in part.remove_columns("images").to_list()]


def many(n: int = 2_000) -> pa.Table:
    """Images of up to three classes out of eight."""
    rng = np.random.default_rng(0)
    box = {"points": [10, 10, 50, 50], "kind": "hbb"}
    rows = [
        {
            "key": f"{number:05}",
            "image": "x",
            "boxes": [box | {"label": CLASSES[code]} for code in rng.integers(0, 8, number % 4)],
        }
        for number in range(n)
    ]
    table = pa.Table.from_pylist(rows, records.FOUND_OBJECTS)
    for side in ("width", "height"):
        table = table.append_column(side, pa.array([800] * n, pa.int32()))
    return table


def adapted(table: pa.Table, **options: Any) -> list[dict[str, Any]]:
    adaption = Adaption("dior/train/", "train", classes=CLASSES[:8], **options)
    made = adapt_objects.detection(table, adaption)
    check(made.select([*(n for n in made.column_names if n != "image")]))
    return made.to_pylist()


def test_each_class_of_an_image_is_a_row_with_all_its_boxes(releases: Path) -> None:
    made = {row["id"]: row for row in detected(releases, wording="fixed")}
    row = made["dior/train/11701/airplane/boxes"]
    assert row["messages"][0]["content"] == (
        "Detect airplanes shown in the remote sensing image."  # the paper's words
    )
    assert (row["task"], row["question_type"]) == ("detection", "airplane")
    text = (releases / HORIZONTAL / "11701.xml").read_text()
    assert len(row["boxes"]) == text.count("<name>airplane<") > 1
    read = CODECS["llava"].parse(row["references"][0], 800, 800)
    assert not isinstance(read, ParseFailure)
    for said, true in zip(read, row["boxes"], strict=True):
        assert said == pytest.approx(true["points"], abs=0.5)


def test_classes_are_asked_for_in_words_and_in_the_plural(releases: Path) -> None:
    made = detected(releases, wording="fixed", box_format="norm1000")
    asked = {row["question_type"]: row["messages"][0]["content"] for row in made}
    assert asked["tennis court"] == "Detect tennis courts shown in the remote sensing image."
    assert asked["storage tank"] == "Detect storage tanks shown in the remote sensing image."
    (row, *_) = (r for r in made if r["question_type"] == "storage tank" and r["boxes"])
    assert '"label": "storage tank"' in row["references"][0]
    assert row["boxes"][0]["label"] == "storagetank"  # as released


def test_a_quarter_of_the_rows_ask_for_what_is_not_there() -> None:
    made = adapted(many())
    absent = [row for row in made if not row["boxes"]]
    assert adapt_objects.ABSENT_SHARE == 0.25
    empty = 500  # images without an object: one row each
    share = (len(absent) - empty) / (len(made) - empty)
    assert share == pytest.approx(0.25, abs=0.01)
    assert {row["references"][0] for row in absent} == {templates.NO_OBJECT}
    assert len({row["question_type"] for row in absent}) == 8
    by_image: dict[str, list[Any]] = {}
    for row in made:
        by_image.setdefault(row["id"].split("/")[2], []).append(row)
    assert len(by_image) == 2_000
    ids = [row["id"] for row in made]
    assert len(set(ids)) == len(ids)


def test_what_is_asked_for_is_the_same_under_every_seed() -> None:
    first, other, fixed = (adapted(many(200), seed=seed) for seed in (0, 7, None))
    names = ("id", "boxes", "references", "question_type")
    assert [[row[n] for n in names] for row in first] == [[row[n] for n in names] for row in other]
    assert [row["id"] for row in first] == [row["id"] for row in fixed]
    assert [row["messages"] for row in first] != [row["messages"] for row in other]


def test_rows_are_in_the_order_of_images_and_classes() -> None:
    places = [row["id"].split("/")[2:4] for row in adapted(many(100))]
    assert places == sorted(places, key=lambda place: (place[0], CLASSES.index(place[1])))


def test_oriented_boxes_are_written_as_such(releases: Path) -> None:
    made = detected(releases, "detect_dior_obb", box_format="obb")
    boxes = [box for row in made for box in row["boxes"]]
    assert {box["kind"] for box in boxes} == {"hbb", "obb"}
    (text, *_) = (r["references"][0] for r in made if r["boxes"])
    assert len(re.findall(r"\d+", text.split("]")[0])) == 8


def test_groups() -> None:
    assert members("detection") == ("detect_dior", "detect_dior_obb")
    assert not {*members("detection")} & {*GROUPS["all"]}
    assert len(GROUPS["all"]) == 13


def test_a_folder_gives_the_same_rows(boxed: Path) -> None:  # noqa: F811
    made = {row["id"]: row for row in rows(boxed, tasks=["detection"], wording="fixed")}
    tank = made["folder/train/0/storage-tank/boxes"]
    assert tank["messages"][0][1] == "Detect storage tanks shown in the remote sensing image."
    assert tank["question_type"] == "storage tank"
    none = [row for row in made.values() if not row["boxes"]]
    assert {row["references"][0] for row in none} == {"There are none."}
    assert any(row["id"].startswith("folder/train/2/") for row in none)  # an image of nothing


# --- What cannot be used -------------------------------------------------------------------------


@pytest.fixture
def copy(releases: Path, tmp_path: Path) -> Path:
    shutil.copytree(releases / "DIOR", tmp_path / "DIOR")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("air-plane", r"line \d+: DIOR has no class 'air-plane': write 'airplane'"),
        ("Tennis Court", r"line \d+: DIOR has no class 'Tennis Court': write 'tenniscourt'"),
        ("zebra", r"line \d+: DIOR has no class 'zebra': expected airplane, airport, .*windmill"),
    ],
)
def test_an_unknown_class_is_named_with_file_and_line(name: str, problem: str, copy: Path) -> None:
    file = copy / HORIZONTAL / "11701.xml"
    text = file.read_text().replace("<name>airplane<", f"<name>{name}<", 1)
    file.write_text(text)
    with pytest.raises(UNUSABLE, match=rf"11701\.xml, {problem}"):
        detected(copy)
    line = next(n for n, own in enumerate(text.splitlines(), 1) if f"<name>{name}<" in own)
    with pytest.raises(UNUSABLE, match=rf"line {line}: "):
        detected(copy)


def test_the_case_of_a_class_does_not_matter(copy: Path, releases: Path) -> None:
    for file in (copy / HORIZONTAL).glob("*.xml"):
        file.write_text(file.read_text().replace("<name>airplane<", "<name>AirPlane<"))
    assert detected(copy) == detected(releases)


def test_an_image_without_objects_is_named(copy: Path) -> None:
    file = copy / HORIZONTAL / "11701.xml"
    file.write_text(re.sub(r"<object>.*</object>", "", file.read_text(), flags=re.DOTALL))
    with pytest.raises(UNUSABLE, match=r"11701\.xml: it has no <object>, .*: add its objects"):
        detected(copy)
    kept = {row["id"].split("/")[2] for row in detected(copy, on_missing="skip")}
    assert "11701" not in kept
    assert kept


def test_ms_swift_has_a_placeholder_for_each_box(releases: Path, tmp_path: Path) -> None:
    export("ms_swift", tmp_path / "out", ["detect_dior"], data_dir=str(releases))
    boxed_rows, plain = (
        [json.loads(line) for line in (tmp_path / f"out/{name}.jsonl").read_text().splitlines()]
        for name in ("detect_dior-train-boxes", "detect_dior-train")
    )
    for row in boxed_rows:
        question, answer = (message["content"] for message in row["messages"])
        assert question.count("<ref-object>") == 1
        assert answer.count("<bbox>") == len(row["objects"]["bbox"])
        assert row["objects"]["ref"][0].endswith("s")
    assert {row["messages"][1]["content"] for row in plain} == {"There are none."}
