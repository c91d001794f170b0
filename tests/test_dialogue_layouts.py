"""Published forms of dialogues, written here anew: each is read into the same rows."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image

from rs_gpt4v import NAME
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.usable_records import RecordError

Row = dict[str, Any]
TWO = [("user", "What is it?"), ("assistant", "A field.")]
FOUR = [*TWO, ("user", "And then?"), ("assistant", "A road.")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    (folder / "sets" / "a").mkdir(parents=True)
    for name in ("1.png", "2.png", "sets/a/3.png"):
        Image.new("RGB", (200, 100)).save(folder / name)
    return folder


def rows(root: Path, **options: Any) -> list[Row]:
    options |= {"data_dir": str(root), "cache_dir": str(root.parent / "cache")}
    built: Any = datasets.load_dataset(NAME, "folder", split="train", **options)
    return [
        row
        | {
            "images": [str(Path(image["path"]).relative_to(root)) for image in row["images"]],
            "messages": [(m["role"], m["content"]) for m in row["messages"]],
        }
        for row in built.with_format("arrow")[:].to_pylist()
    ]


def write(root: Path, *items: Any, name: str = "train.jsonl") -> None:
    lines = "".join(json.dumps(item) + "\n" for item in items)
    (root / name).write_text(lines if name.endswith("l") else json.dumps([*items]), "utf-8")


@pytest.mark.parametrize(
    ("item", "messages"),
    [
        ({"query": "<image>What is it?", "response": "A field.", "history": []}, TWO),
        (
            {"query": "And then?", "response": "A road.", "history": [["What is it?", "A field."]]},
            FOUR,
        ),
        (
            {"query": "What is it?", "response": "A field.", "system": "Be brief."},
            [("system", "Be brief."), *TWO],
        ),
        ({"instruction": "What is it?", "input": "", "output": "A field."}, TWO),
        (
            {"instruction": "Answer.", "input": "What is it?", "output": "A field."},
            [("user", "Answer.\nWhat is it?"), TWO[1]],
        ),
        (
            {
                "instruction": "And then?",
                "output": "A road.",
                "history": [["What is it?", "A field."]],
            },
            FOUR,
        ),
        ({"conversation": [{"human": "What is it?", "assistant": "A field."}]}, TWO),
        (
            {
                "conversation": [
                    {"human": "What is it?", "assistant": "A field."},
                    {"human": "And then?", "assistant": "A road."},
                ]
            },
            FOUR,
        ),
        ({"conv": [{"Question": "What is it?", "Answer": "A field."}]}, TWO),
        ({"conv": {"Question": "What is it?", "Answer": "A field."}}, TWO),
        (
            {
                "conversations": json.dumps(
                    [
                        {"from": "human", "value": "<image>\nWhat is it?"},
                        {"from": "gpt", "value": "A field."},
                    ]
                )
            },
            TWO,
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}],
                    },
                    {"role": "assistant", "content": [{"type": "text", "text": "A field."}]},
                ]
            },
            TWO,
        ),
    ],
)
@pytest.mark.parametrize("form", ["train.jsonl", "train.json"])
def test_forms(root: Path, item: Row, messages: list[Any], form: str) -> None:
    write(root, {**item, "images": ["1.png", "2.png"]}, name=form)
    (row,) = rows(root)
    assert (row["messages"], row["images"]) == (messages, ["1.png", "2.png"])
    assert row["task"] == "conversation"


def test_a_list_of_lhrs_bot_names_its_images(root: Path) -> None:
    turns = [{"Question": "What is it?", "Answer": "A field."}]
    content = {"data": [{"name": "1.png", "conv": turns}, {"name": "2.png", "conv": turns}]}
    (root / "UCM.json").write_text(json.dumps(content))
    assert [(row["images"], row["messages"]) for row in rows(root)] == [
        (["1.png"], TWO),
        (["2.png"], TWO),
    ]


@pytest.mark.parametrize("layout", ["sharegpt", "llama_factory", "ms_swift", "trl"])
def test_layouts_are_named_by_tools_too(root: Path, layout: str) -> None:
    item = {"query": "What is it?", "response": "A field.", "images": ["1.png"]}
    write(root, item)
    (row,) = rows(root, layout=layout)
    assert (row["task"], row["messages"]) == ("conversation", TWO)
    (row,) = rows(root)  # without a history or the like it may be a table, and is one
    assert row["task"] == "vqa"


def test_a_name_that_no_tool_has_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match=r"layout='swift': expected auto or one of llava, "):
        rows(root, layout="swift")


def grounded(kind: str, boxes: list[Any], answer: str = "<bbox><bbox>", **more: Any) -> Row:
    return {
        "images": ["1.png"],
        "messages": [
            {"role": "user", "content": "<image>Find the <ref-object> here."},
            {"role": "assistant", "content": answer},
        ],
        "objects": {"ref": ["sheep"], "bbox": boxes, **({"bbox_type": kind} if kind else {})},
        **more,
    }


@pytest.mark.parametrize(
    ("kind", "boxes"),
    [
        ("", [[20, 10, 60, 30.5], [0, 0, 200, 100]]),
        ("real", [[20, 10, 60, 30.5], [0, 0, 200, 100]]),
        ("norm1", [[0.1, 0.1, 0.3, 0.305], [0, 0, 1, 1]]),
    ],
)
def test_objects_of_ms_swift(root: Path, kind: str, boxes: list[Any]) -> None:
    plain = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "x"}]}
    write(root, plain, grounded(kind, boxes))
    _, row = rows(root, box_format="llava")
    assert row["messages"][0] == ("user", "Find the sheep here.")
    assert row["messages"][1][1].count("[") == 2
    assert [box["points"] for box in row["boxes"]] == [
        pytest.approx([20, 10, 60, 30.5]),
        pytest.approx([0, 0, 200, 100]),
    ]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (grounded("real", [[1, 2, 3, 4]]), "its texts have more <bbox> than objects.bbox has"),
        (grounded("real", [[1, 2, 30, 40]], "none"), "its objects have more values than its texts"),
        (grounded("real", [[1, 2], [3, 4]]), r"objects\.bbox\[0\] is .*, expected four numbers"),
        (grounded("real", [[1, 2, 3, "x"]] * 2), r"objects\.bbox\[0\] is .*, expected four numb"),
    ],
)
def test_objects_that_cannot_be_used(root: Path, item: Row, reason: str) -> None:
    write(root, grounded("real", [[20, 10, 60, 30], [0, 0, 9, 9]]), item)
    with pytest.raises(
        RecordError, match=rf"folder/train/000001: .*train\.jsonl, line 2: {reason}"
    ):
        rows(root)


@pytest.mark.parametrize("second", ["norm1", "norm1000"])
def test_objects_of_two_scales_are_refused(root: Path, second: str) -> None:
    box = [[20, 10, 60, 30], [0, 0, 9, 9]]
    write(root, grounded("real", box), grounded(second, box))
    with pytest.raises(AnnotationError, match=r"train\.jsonl: objects have bbox_type norm1"):
        rows(root)


def test_items_of_several_forms_in_one_file(root: Path) -> None:
    llava = [{"from": "human", "value": "What is it?"}, {"from": "gpt", "value": "A field."}]
    write(
        root,
        {"image": "1.png", "conversations": llava},
        {"query": "What is it?", "response": "A field.", "history": [], "image": "2.png"},
        {"instruction": "What is it?", "output": "A field.", "image": "2.png"},
    )
    assert [row["messages"] for row in rows(root)] == [TWO, TWO, TWO]
