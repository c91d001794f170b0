"""Boxes in the text of dialogues: the forms of published data sets, told over a whole file."""

import json
import logging
import time
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image

from rs_gpt4v import NAME
from rs_gpt4v_builders.usable_records import RecordError

Row = dict[str, Any]


def load(root: Path, **options: Any) -> list[Row]:
    """The training rows, their messages as texts."""
    cache = str(root.parent / "cache")
    loaded: Any = datasets.load_dataset(
        NAME, "folder", data_dir=str(root), cache_dir=cache, **options
    )
    part = loaded["train"].with_format("arrow")[:].to_pylist()
    return [row | {"messages": [m["content"] for m in row["messages"]]} for row in part]


def write(root: Path, *turns: str | list[str], size: tuple[int, int], name: str = "a") -> None:
    """A file of dialogues, each a text that answers "What?" or all its turns, on one image."""
    root.mkdir(exist_ok=True)
    Image.new("RGB", size).save(root / f"{name}.png")
    items = []
    for texts in turns:
        said = ["What?", texts] if isinstance(texts, str) else texts
        speakers = ["human", "gpt"] * (len(said) // 2)
        turns_ = [{"from": s, "value": t} for s, t in zip(speakers, said, strict=True)]
        items.append({"image": f"{name}.png", "conversations": turns_})
    (root / f"{name}.json").write_text(json.dumps(items), encoding="utf-8")


def boxes_of(row: Row) -> list[tuple[str | None, list[int]]]:
    return [(box["label"], [round(v) for v in box["points"]]) for box in row["boxes"]]


SHIP, CAR = [80, 120, 240, 240], [400, 300, 480, 360]  # in 800 x 600 px


@pytest.mark.parametrize(
    ("size", "turns", "boxes"),
    [
        pytest.param(
            (800, 600),
            ["What?", "There is <p> 1 ship </p> {<10><20><30><40>|<0>} near <p>a car</p>"
             " {<50><50><60><60>|<0>}<delim>{<0><0><10><10>|<0>}."],
            [("1 ship", SHIP), ("a car", CAR), ("a car", [0, 0, 80, 60])],
            id="geochat",
        ),
        pytest.param(
            (800, 600),
            ["[identify] what is this {<10><20><30><40>}", "a ship"],
            [(None, SHIP)],
            id="geochat asked",
        ),
        pytest.param(
            (800, 600),
            ["[refer] Where is <p>the large ship on the left</p>?", "{<10><20><30><40>}"],
            [("the large ship on the left", SHIP)],
            id="vrsbench",
        ),
        pytest.param(
            (512, 512),
            ["[detection] Detect all ships.", "There are 2 ships in the image: "
             "<rbox>({<50.00><25.00><25.00><12.50>|<0>}, {<50><75><25><12.5>|<0>})</rbox>"],
            [(None, [192, 96, 320, 160]), (None, [192, 352, 320, 416])],
            id="fit_rs",
        ),
        pytest.param(
            (800, 600),
            ["What?", "There is <ref>1 ship </ref> <box>[[[10, 20, 30, 40, 0]]]</box> at left,"
             " <ref>2 car </ref> <box>[[[50, 50, 60, 60, 0]][[0, 0, 10, 10, 0]]]</box>."],
            [("1 ship", SHIP), ("2 car", CAR), ("2 car", [0, 0, 80, 60])],
            id="earthdial",
        ),
        pytest.param(
            (800, 600),
            ["[refer] Where is <ref>1 ship</ref>?", "[[10, 20, 30, 40, 0]]"],
            [("1 ship", SHIP)],
            id="earthdial bare",
        ),
        pytest.param(
            (800, 600),
            ["What?", "<ref>ship</ref><box>(100,200),(300,400)</box>, a car at"
             " <box>(500,500),(600,600)</box><box>(0,0),(100,100)</box>"],
            [("ship", SHIP), (None, CAR), (None, [0, 0, 80, 60])],
            id="qwen_vl",
        ),
        pytest.param(
            (800, 600),
            ["What?", "<|object_ref_start|>ship<|object_ref_end|><|box_start|>(100,200),(300,400)"
             "<|box_end|>"],
            [("ship", SHIP)],
            id="qwen2_vl",
        ),
        pytest.param(
            (800, 600),
            ["What?", "<ref>ship</ref><box>[[100, 200, 300, 400], [500, 500, 600, 600]]</box>"],
            [("ship", SHIP), ("ship", CAR)],
            id="internvl",
        ),
        pytest.param(
            (400, 300),
            ["What?", '```json\n[{"bbox_2d": [500, 500, 600, 600], "label": "car 7"},\n'
             '{"bbox_2d": [100, 200, 300, 400], "label": "ship"}]\n```'],
            [("car 7", [200, 150, 240, 180]), ("ship", [40, 60, 120, 120])],
            id="qwen3_vl",
        ),
        pytest.param(
            (1120, 1120),
            ["What?", '{"bbox_2d": [80, 120, 1100, 240], "label": "pier"}'],
            [("pier", [80, 120, 1100, 240])],
            id="qwen2_5_vl",
        ),
        pytest.param(
            (400, 300),
            ["What?", "It is at [500, 500, 600, 600]."],
            [(None, [200, 150, 240, 180])],
            id="vhm",
        ),
        pytest.param(
            (800, 800),
            ["Where is <ref>the car</ref>?", "[0.500, 0.500, 0.600, 0.600]"],
            [("the car", [400, 400, 480, 480])],
            id="llava, square",
        ),
        pytest.param(
            (800, 400),
            ["What?", "[0.500, 0.100, 0.600, 0.200]"],  # in the padding, if there were one
            [(None, [400, 40, 480, 80])],
            id="llava",
        ),
    ],
)  # fmt: skip
def test_published_forms(
    tmp_path: Path, size: tuple[int, int], turns: list[str], boxes: list[tuple[str, list[int]]]
) -> None:
    write(tmp_path / "own", turns, size=size)
    (row,) = load(tmp_path / "own")
    assert boxes_of(row) == boxes
    assert row["messages"] == turns  # to the byte
    (row,) = load(tmp_path / "own", text_boxes="none")
    assert (row["boxes"], row["messages"]) == ([], turns)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("There is <p> 1 ship </p> {<40><30><60><70>|<30>}.", (200, 200)),
        ("There is <ref>1 ship </ref> <box>[[40, 30, 60, 70, 30]]</box>.", (200, 200)),
        ("There is <rbox>({<50.00><50.00><40.00><20.00>|<-60>})</rbox>", (200, 200)),
    ],
)
def test_rotated_boxes(tmp_path: Path, text: str, size: tuple[int, int]) -> None:
    write(tmp_path / "own", text, size=size)
    (row,) = load(tmp_path / "own")
    (box,) = row["boxes"]
    assert box["kind"] == "obb"
    # 40 x 80 px around the middle, turned clockwise by 30 degrees
    assert box["points"] == pytest.approx(
        [102.68, 55.36, 137.32, 75.36, 97.32, 144.64, 62.68, 124.64], abs=0.01
    )


def test_rewritten_where_a_format_is_asked_for(tmp_path: Path) -> None:
    turns = [
        "[identify] what is this {<10><20><30><40>}",
        "<p>a ship</p> {<10><20><30><40>|<0>}, and {<40><30><60><70>|<30>}<delim>{<0><0><10><10>}",
    ]
    write(tmp_path / "own", turns, "no box", size=(800, 600))
    first, second = load(tmp_path / "own", box_format="llava")
    assert first["messages"] == [
        "[identify] what is this [0.100, 0.200, 0.300, 0.400]",
        "<p>a ship</p> [0.100, 0.200, 0.300, 0.400], and [0.338, 0.260, 0.662, 0.740], "
        "[0.000, 0.000, 0.100, 0.100]",
    ]
    assert first["references"] == first["messages"][-1:]
    assert [box["kind"] for box in first["boxes"]] == ["hbb", "obb", "hbb"]
    assert boxes_of(first)[0] == ("a ship", SHIP)  # once, though it is spoken of twice
    assert second["messages"] == ["What?", "no box"]
    first, _ = load(tmp_path / "own", box_format="norm1000")
    assert '[{"bbox_2d": [100, 200, 300, 400], "label": "a ship"}], and' in first["messages"][1]
    assert '"label": "object"}, {' in first["messages"][1]
    first, _ = load(tmp_path / "own")
    assert first["messages"] == turns


@pytest.mark.parametrize(
    ("text", "size", "may"),
    [
        ("[100, 200, 300, 400]", (800, 600), "vhm or pixels"),
        ("[10, 20, 30, 40]", (800, 600), "vhm or pixels or earthdial"),
        ("[0.5, 0.4, 0.6, 0.6]", (800, 400), "llava or llava_padded"),
        ('{"bbox_2d": [10, 20, 30, 40]}', (800, 600), "norm1000 or pixels or qwen2_5_vl"),
        ("<box>[[10, 20, 30, 40]]</box>", (800, 600), "internvl or earthdial"),
    ],
)
def test_scale_in_doubt_is_left_as_text(
    tmp_path: Path, text: str, size: tuple[int, int], may: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "own", f"It is at {text}.", size=size)
    with caplog.at_level(logging.WARNING):
        (row,) = load(tmp_path / "own", box_format="geochat")
    assert (row["boxes"], row["messages"][1]) == ([], f"It is at {text}.")
    assert f"boxes in 1 dialogues is left as text: they may be {may}. Say how" in caplog.text
    named = may.split()[-1]
    (row,) = load(tmp_path / "own", box_format="geochat", text_boxes=named)
    assert len(row["boxes"]) == 1
    assert row["messages"][1].startswith("It is at {<")


def test_one_box_of_the_file_decides_for_all(tmp_path: Path) -> None:
    write(tmp_path / "own", "[10, 20, 30, 40]", "[100, 200, 300, 900]", size=(800, 600))
    assert [boxes_of(row) for row in load(tmp_path / "own")] == [
        [(None, [8, 12, 24, 24])],
        [(None, [80, 120, 240, 540])],
    ]


def test_one_wrong_box_in_a_hundred_decides_nothing(tmp_path: Path) -> None:
    # 1,500 of 2,000 px is no share of 1,000, but may be a slip of one.
    right = [f"[{n}, {n}, {n + 100}, {n + 100}]" for n in range(100)]
    write(tmp_path / "own", *right, "[0, 0, 1500, 100]", size=(2000, 2000))
    assert not any(row["boxes"] for row in load(tmp_path / "own"))


def test_files_have_forms_of_their_own(tmp_path: Path) -> None:
    write(tmp_path / "own", "{<10><20><30><40>}", size=(800, 600), name="a")
    write(tmp_path / "own", "<box>(500,500),(600,600)</box>", size=(800, 600), name="b")
    first, second = load(tmp_path / "own")
    assert (boxes_of(first), boxes_of(second)) == ([(None, SHIP)], [(None, CAR)])


def test_several_forms_in_a_file_are_in_doubt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "own", "{<10><20><30><40>}", "<box>(500,500),(600,600)</box>", size=(800, 600))
    with caplog.at_level(logging.WARNING):
        assert not any(row["boxes"] for row in load(tmp_path / "own"))
    assert "are not of one known form" in caplog.text
    first, second = load(tmp_path / "own", text_boxes="qwen_vl")
    assert (boxes_of(first), boxes_of(second)) == ([], [(None, CAR)])


@pytest.mark.parametrize(
    "text", ["[1, 2, 3, 4, 5]", "[1, 2, 3, 4, 5, 6, 7, 8]", "[[1, 2], [3, 4]]"]
)
def test_lists_of_other_things_are_no_boxes(tmp_path: Path, text: str) -> None:
    write(tmp_path / "own", f"The counts are {text}.", "{<10><20><30><40>}", size=(800, 600))
    first, second = load(tmp_path / "own", box_format="llava")
    assert (first["boxes"], first["messages"][1]) == ([], f"The counts are {text}.")
    assert boxes_of(second) == [(None, SHIP)]


def test_a_box_that_is_none_costs_its_own_row(tmp_path: Path) -> None:
    texts = ["{<10><20><30><40>}", "{<10><20><10><40>}", "{<10><20><300><40>}"]
    write(tmp_path / "own", *texts, size=(800, 600))
    rows = load(tmp_path / "own")
    assert [len(row["boxes"]) for row in rows] == [1, 0, 0]
    assert [row["messages"][1] for row in rows[:3]] == texts
    (changed,) = (tmp_path / "cache").rglob("changed-folder-train.jsonl")
    kinds = [json.loads(line) for line in changed.read_text("utf-8").splitlines()]
    assert [line["id"][-1] for line in kinds] == ["1", "2"]
    assert "a.json, item 1: [10, 20, 10, 40], read as geochat, has no area" in kinds[0]["reason"]
    assert "300 lies outside 0-100" in kinds[1]["reason"]
    with pytest.raises(RecordError, match=r"item 1: \[10, 20, 10, 40\], read as geochat, has no"):
        load(tmp_path / "own", box_format="llava")
    assert len(load(tmp_path / "own", box_format="llava", on_missing="skip")) == 1


def test_a_form_with_another_scale_is_left_as_text(tmp_path: Path) -> None:
    texts = ["{<100><200><300><400>}", "{<500><500><600><600>}", "{<10><20><30><40>}"]
    write(tmp_path / "own", *texts, size=(800, 600))
    assert not any(row["boxes"] for row in load(tmp_path / "own"))


def test_rows_of_several_images(tmp_path: Path) -> None:
    root = tmp_path / "own"
    write(root, "{<10><20><30><40>}", size=(800, 600))
    (item,) = json.loads((root / "a.json").read_text("utf-8"))
    Image.new("RGB", (800, 600)).save(root / "b.png")
    Image.new("RGB", (80, 60)).save(root / "c.png")
    texts = {**item, "image": []}
    items = [item, *({**item, "image": ["a.png", f"{name}.png"]} for name in "bc"), texts]
    (root / "a.json").write_text(json.dumps(items), "utf-8")
    assert [len(row["boxes"]) for row in load(root)] == [1, 1, 0, 0]


def test_unknown_form() -> None:
    with pytest.raises(ValueError, match="text_boxes='geo': expected one of auto, none, llava"):
        datasets.load_dataset(NAME, "folder", data_dir="/tmp", text_boxes="geo")


def test_hostile_texts_take_no_time(tmp_path: Path) -> None:
    parts = ["[", "{<1>", "[1, ", "<box>[[1,", '{"bbox_2d": [', "(1,2),(", "[[[1, 2, 3, 4]", "<p>"]
    write(tmp_path / "own", *(part * 20_000 + " " * 20_000 for part in parts), size=(8, 6))
    start = time.perf_counter()
    load(tmp_path / "own")
    assert time.perf_counter() - start < 10
