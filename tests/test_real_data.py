"""The published annotation files give the numbers of the paper's Table 1."""

from collections import Counter
from pathlib import Path

import datasets
import pytest
from conftest import SHARED, needs_shared

from rs_gpt4v import NAME, adapt
from rs_gpt4v.adapt import Adaption
from rs_gpt4v_builders.sources import floodnet, nwpu_captions, rsicd, rsivqa
from rs_gpt4v_builders.usable_records import RecordError

pytestmark = needs_shared


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The releases' layout over the files in ../shared; converted images keep their stems."""
    root = tmp_path_factory.mktemp("real")
    for folder, source, annotations, images, kept in (
        ("UCM_captions", "ucm_captions", "dataset.json", "imgs", "imgs_jpg"),
        ("RSVQA_LR", "rsvqa_lr", "LR_split_*.json", "Images_LR", "Images_LR_png"),
        ("RSVQA_HR", "rsvqa_hr", "USGS_split_*.json", "Data", "Data_png"),
        ("RSICD_optimal", "rsicd", "dataset_rsicd.json", "RSICD_images", "RSICD_images"),
        ("FloodNet", "floodnet", "Questions", "Images", "Images"),
    ):
        (root / folder).mkdir()
        for path in (SHARED / source).glob(annotations):
            (root / folder / path.name).symlink_to(path)
        (root / folder / images).symlink_to(SHARED / source / kept)
    (root / "RSIVQA").symlink_to(SHARED / "rsivqa")
    (root / "HRRSD/ImageSets").mkdir(parents=True)
    (root / "HRRSD/ImageSets/Main").symlink_to(SHARED / "rsivqa/HRRSD_ImageSets_Main")
    return root


def lengths(rows: datasets.DatasetDict) -> dict[str, int]:
    return {split: len(part) for split, part in rows.items()}


def test_ucm_captions(root: Path) -> None:
    rows = datasets.load_dataset(NAME, "cap_ucm", data_dir=str(root))
    assert lengths(rows) == {"train": 7_999, "validation": 982, "test": 210}
    first, last = rows["train"][0], rows["train"][-1]
    assert (first["id"], first["messages"][1]["content"]) == (
        "ucm_captions/train/1/0",
        "There is a piece of farmland .",
    )
    assert last["source"] == "ucm_captions"
    everything = datasets.load_dataset(NAME, "cap_ucm", data_dir=str(root), protocol="release")
    assert sum(lengths(everything).values()) == 10_500


def test_rsicd_annotations() -> None:
    counts = {}
    for split in ("train", "validation", "test"):
        records = rsicd.SOURCE.read(SHARED / "rsicd", split)
        counts[split] = adapt.captions(records, Adaption("", split)).num_rows
    assert counts == {"train": 17_813, "validation": 2_901, "test": 1_093}


def test_rsicd_with_12_of_its_images(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = datasets.load_dataset(NAME, "cap_rsicd", data_dir=str(root), on_missing="skip")
    images = {row["path"] for split in rows.values() for row in _images(split)}
    assert len(images) == 12
    assert "rsicd/train: kept 12 records, dropped 8,722" in caplog.text


def _images(rows: datasets.Dataset) -> list[dict[str, str]]:
    paths = rows.cast_column("images", datasets.List(datasets.Image(decode=False)))
    return [image for images in paths["images"] for image in images]


@pytest.mark.parametrize(("config", "total"), [("vqa_lr", 5_005), ("vqa_hr", 5_001)])
def test_rsvqa_excerpts(root: Path, config: str, total: int) -> None:
    # The excerpt has no Philadelphia files.
    rows = datasets.load_dataset(NAME, config, data_dir=str(root), on_missing="skip")
    assert sum(lengths(rows).values()) == total
    assert all(row["width"] in (256, 512) for row in rows["test"].select(range(3)))


def test_nwpu_validation_annotations() -> None:
    # The one split whose captions could be had.
    records = nwpu_captions.SOURCE.read(SHARED / "nwpu_captions", "validation")
    rows = adapt.captions(records, Adaption("", "validation"))
    assert (records.num_rows, rows.num_rows) == (3_150, 15_737)
    assert "wetland/wetland_561.jpg" in records["image"].to_pylist()


def test_floodnet_annotations() -> None:
    records = floodnet.SOURCE.read(SHARED / "floodnet", "train")
    rows = adapt.questions(records, Adaption("", "train"))
    assert rows.num_rows == 4_511
    assert len(set(records["image"].to_pylist())) == 1_448
    types = Counter(records["question_type"].to_pylist())
    assert types == {
        "Condition_Recognition": 2_315,
        "Yes_No": 867,
        "Complex_Counting": 693,
        "Simple_Counting": 636,
    }
    assert len(set(records["answer"].to_pylist())) == 41


def test_floodnet_with_one_of_its_images(root: Path) -> None:
    rows = datasets.load_dataset(NAME, "vqa_floodnet", data_dir=str(root), on_missing="skip")
    assert lengths(rows) == {"train": 5}
    assert {(row["width"], row["height"]) for row in rows["train"]} == {(4_592, 3_072)}


def test_rsivqa_annotations(root: Path) -> None:
    records = rsivqa.SOURCE.read(root / "RSIVQA", "train", "paper")
    rows = adapt.questions(records, Adaption("", "train"))
    images = set(records["image"].to_pylist())
    assert (len(images), rows.num_rows, len(set(rows["id"].to_pylist()))) == (5_401, 19_218, 19_218)
    asked = records.select(["image", "question", "answer"]).to_pylist()
    assert len({tuple(row.values()) for row in asked}) == 19_215


def test_rsivqa_without_its_images_says_where_they_are(root: Path) -> None:
    with pytest.raises(
        RecordError, match=r"HRRSD/JPEGImages/00001\.jpg is missing .*19,218 .*DOTA"
    ):
        datasets.load_dataset(NAME, "vqa_rsivqa", data_dir=str(root))
