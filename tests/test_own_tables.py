"""Own files in Parquet, in Arrow's format and in other encodings; images inside a table."""

import io
import json
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from rs_gpt4v import NAME
from rs_gpt4v_builders.export import export
from rs_gpt4v_builders.image_checks import EMBEDDED
from rs_gpt4v_builders.usable_records import RecordError

Row = dict[str, Any]
MESSAGES = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "A field."}]
TURNS = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A field."}]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    cache = tmp_path / "hf"
    monkeypatch.setattr("rs_gpt4v_builders.folder.arrow_files.HF_DATASETS_CACHE", str(cache))
    return folder


def png(red: int, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((6, 8, 3), red, np.uint8)).save(file, kind)
    return file.getvalue()


def load(root: Path, **options: Any) -> datasets.Dataset:
    options |= {"data_dir": str(root), "cache_dir": str(root.parent / "cache")}
    built: Any = datasets.load_dataset(NAME, "folder", split="train", **options)
    return built


def test_images_in_a_parquet_table(root: Path) -> None:
    images = [[png(0), png(9)], [png(0)], []]
    rows = [
        {"images": [{"bytes": b, "path": "x.png"} for b in some], "messages": MESSAGES}
        for some in images
    ]
    pq.write_table(pa.Table.from_pylist(rows), root / "train.parquet")
    built = load(root)
    paths = [[Path(i["path"]) for i in row["images"]] for row in plain(built)]
    assert [[path.read_bytes() for path in some] for some in paths] == images
    assert paths[0][0] == paths[1][0]  # the same bytes are one file
    assert built[0]["images"][1].getpixel((0, 0)) == (9, 9, 9)
    assert built["width"] == [8, 8, None]
    out = export("sharegpt", root.parent / "out", ["folder"], data_dir=str(root))
    (first, *_) = json.loads((out / "folder-train.json").read_text())
    assert first["images"][0].startswith(f"images/{EMBEDDED}/")
    assert (out / first["images"][0]).read_bytes() == png(0)


def plain(rows: datasets.Dataset) -> list[Row]:
    table: Any = rows.with_format("arrow")[:]
    return table.to_pylist()


def test_a_dataset_saved_to_disk(root: Path) -> None:
    features = datasets.Features(
        {
            "jpg_A": datasets.Image(),
            "jpg_B": datasets.Image(),
            "conversations": datasets.Value("string"),
        }
    )
    row = {
        "jpg_A": {"bytes": png(1, "JPEG"), "path": None},
        "jpg_B": {"bytes": png(2, "TIFF"), "path": None},
        "conversations": json.dumps(TURNS),
    }
    datasets.Dataset.from_list([row, row], features=features).save_to_disk(str(root / "train"))
    built = plain(load(root))
    assert [Path(i["path"]).suffix for i in built[1]["images"]] == [".jpg", ".tif"]
    assert built[0]["messages"] == MESSAGES


@pytest.mark.parametrize("image", [{"bytes": None, "path": "1.png"}, "1.png"])
def test_a_table_names_images(root: Path, image: Any) -> None:
    (root / "1.png").write_bytes(png(0))
    rows = [{"image": image, "messages": MESSAGES, "system": None}, {"messages": MESSAGES}]
    pq.write_table(pa.Table.from_pylist(rows), root / "train.parquet")
    first, second = plain(load(root))
    assert ([Path(i["path"]).name for i in first["images"]], second["images"]) == (["1.png"], [])


@pytest.mark.parametrize("name", ["image", "picture"])
def test_captions_with_images_in_the_table(root: Path, name: str) -> None:
    rows = [{name: {"bytes": png(0), "path": None}, "caption": text} for text in ("A", "B")]
    pq.write_table(pa.Table.from_pylist(rows), root / "train.parquet")
    assert load(root)["references"] == [["A", "B"]] * 2


def test_bytes_that_are_no_image_are_a_problem_of_their_row(root: Path) -> None:
    rows = [{"image": {"bytes": b, "path": None}, "messages": MESSAGES} for b in (png(0), b"x")]
    pq.write_table(pa.Table.from_pylist(rows), root / "train.parquet")
    with pytest.raises(RecordError, match=r"folder/train/000001: .*no image"):
        load(root)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("train.json", json.dumps([{"image": "1.png", "conversations": TURNS}]), "A field."),
        ("train.jsonl", json.dumps({"image": "1.png", "messages": MESSAGES}), "A field."),
        ("train.csv", "image,caption\n1.png,Ein Fluß\n", "Ein Fluß"),
        ("all.csv", "image,caption,split\n1.png,Ein Fluß,train\n", "Ein Fluß"),
        (
            "train_captions.json",
            '{"images": [{"id": 1, "file_name": "1.png"}], '
            '"annotations": [{"image_id": 1, "caption": "Ein Fluß"}]}',
            "Ein Fluß",
        ),
    ],
)
def test_encodings(root: Path, encoding: str, name: str, text: str, says: str) -> None:
    (root / "1.png").write_bytes(png(0))
    (root / name).write_text(text, encoding)
    assert load(root)["references"] == [[says]]
