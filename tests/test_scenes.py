"""Scene classification: questions that list the classes, and where the classes come from."""

import json
import shutil
from collections import Counter
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from conftest import SHARED, needs_shared
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rs_gpt4v import adapt_objects, records, templates
from rs_gpt4v.adapt import Adaption
from rs_gpt4v.scene_classes import choices, is_listable, squeezed
from rs_gpt4v_builders import CONFIGS, GROUPS
from rs_gpt4v_builders.audit.findings import audit
from rs_gpt4v_builders.sources import scenes
from rs_gpt4v_builders.sources.reading import AnnotationError

CLASSES = ["airport", "bare land", "sea ice"]


def scene_rows(count: int, *, seed: int | None = 0, classes: list[str] = CLASSES) -> pa.Table:
    rows = [
        {"key": str(i), "image": f"{i}.tif", "label": classes[0], "classes": classes}
        for i in range(count)
    ]
    table = pa.Table.from_pylist(rows, records.SCENES)
    return adapt_objects.scenes(table, Adaption("s/train/", "train", seed=seed))


def asked(rows: pa.Table) -> list[str]:
    return [messages[0]["content"] for messages in rows["messages"].to_pylist()]


def test_every_order_of_the_classes_is_about_as_frequent() -> None:
    orders = Counter(tuple(choices(question)) for question in asked(scene_rows(6_000)))
    assert set(orders) == set(permutations(CLASSES))
    assert min(orders.values()) > 850
    assert max(orders.values()) < 1_150


def test_the_order_is_that_of_id_and_seed() -> None:
    assert asked(scene_rows(50))[:5] == asked(scene_rows(5))
    assert asked(scene_rows(50)) != asked(scene_rows(50, seed=1))
    fixed = {tuple(choices(question)) for question in asked(scene_rows(50, seed=None))}
    assert fixed == {tuple(CLASSES)}


def test_a_part_of_the_records_makes_the_same_rows() -> None:
    rows = [
        {"key": str(i), "image": "a", "label": "x", "classes": CLASSES[: 1 + i % 3]}
        for i in range(9)
    ]
    table = pa.Table.from_pylist(rows, records.SCENES)
    adaption = Adaption("s/train/", "train")
    whole = adapt_objects.scenes(table, adaption).to_pylist()
    assert adapt_objects.scenes(table.slice(4, 3), adaption).to_pylist() == whole[4:7]


@pytest.mark.parametrize("template", templates.SCENE)
def test_every_wording_lists_the_classes_readably(template: str) -> None:
    assert choices(template.format("airport, bare land, sea ice")) == CLASSES


def test_a_name_that_begins_with_a_stop_by_itself_cannot_be_listed() -> None:
    assert not is_listable("! 0")  # a list would end there
    assert is_listable(".5 m")


@given(st.lists(st.text(min_size=1).filter(is_listable), min_size=2, unique=True))
def test_a_listable_name_is_read_again(names: list[str]) -> None:
    for template in templates.SCENE:
        assert choices(template.format(", ".join(names))) == names


# --- Where the classes come from ----------------------------------------------------------------


def labels(config: str, folder: Path, split: str) -> dict[str, str]:
    table = CONFIGS[config].source.read(folder, split)
    assert table["problem"].null_count == table.num_rows
    return dict(zip(table["key"].to_pylist(), table["label"].to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("classes", "count"),
    [(scenes.NWPU, 45), (scenes.RSICD, 31), (scenes.RSITMD, 33), (scenes.UCM, 21)],
)
def test_the_classes_are_different_and_can_be_listed(classes: tuple[str, ...], count: int) -> None:
    assert len({squeezed(name) for name in classes}) == count
    assert list(classes) == sorted(classes)
    assert all(map(is_listable, classes))


@needs_shared
@pytest.mark.parametrize(
    ("config", "folder", "rows", "classes"),
    [
        ("scene_rsicd", "rsicd", {"train": 8_734, "validation": 1_094, "test": 1_093}, 31),
        ("scene_ucm", "ucm_captions", {"train": 1_680, "validation": 210, "test": 210}, 21),
        ("scene_nwpu", "nwpu_captions", {"train": 0, "validation": 3_150, "test": 0}, 45),
    ],
)
def test_the_releases_give_these_counts(
    config: str, folder: str, rows: dict[str, int], classes: int
) -> None:
    found = {split: labels(config, SHARED / folder, split) for split in rows}
    assert {split: len(own) for split, own in found.items()} == rows
    for own in filter(None, found.values()):
        assert len(set(own.values())) == classes
    assert all(not set(a) & set(b) for a, b in combinations(found.values(), 2))


@needs_shared
def test_the_class_files_of_rsicd_say_what_names_do_not() -> None:
    train = labels("scene_rsicd", SHARED / "rsicd", "train")
    by_number = Counter(label for image, label in train.items() if image.isdecimal())
    assert by_number["playfields"] == 528
    assert set(by_number) == {
        *("airport", "baseball field", "bridge", "playfields", "port", "storage tanks"),
    }
    assert train["playground_1"] == "playground"
    counts = Counter(train.values())
    assert (counts["playground"], counts["playfields"]) == (296, 528)


@needs_shared
def test_the_numbers_of_ucm_say_what_its_captions_do() -> None:
    images = json.loads((SHARED / "ucm_captions/dataset.json").read_text("utf-8"))["images"]
    captions = {
        image["filename"]: " ".join(sentence["raw"].lower() for sentence in image["sentences"])
        for image in images
    }
    for first, word in ((101, "plane"), (901, "golf"), (1001, "boat"), (1301, "mobile home")):
        told = sum(word in captions[f"{number}.tif"] for number in range(first, first + 100))
        assert told >= 95, word
    assert scenes.class_by_number("2100.tif", scenes.UCM, 100) == "tennis court"


def karpathy_release(folder: Path, file: str, *names: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    images = [{"filename": name, "split": "train", "sentences": []} for name in names]
    (folder / file).write_text(json.dumps({"images": images}), "utf-8")


def problems(config: str, folder: Path, split: str = "train") -> list[tuple[str, str]]:
    rows = CONFIGS[config].source.read(folder, split)["problem"].to_pylist()
    return [(row["kind"], row["reason"].replace(f"{folder}/", "")) for row in rows if row]


@pytest.mark.parametrize("name", ["0.tif", "2101.tif", "x.tif", "1" * 5000 + ".tif", "²1.tif"])
def test_an_image_of_ucm_beyond_its_classes_is_named(name: str, tmp_path: Path) -> None:
    karpathy_release(tmp_path, "dataset.json", "1.tif", name)
    (kind, reason), *others = problems("scene_ucm", tmp_path)
    assert (kind, others) == ("unknown class", [])
    assert reason.startswith("dataset.json, images[1]: '")
    assert reason.endswith("is not one of the images 1 to 2,100")


def test_an_image_without_a_name_is_no_crash(tmp_path: Path) -> None:
    for file in ("dataset.json", "dataset_RSITMD.json", "dataset_rsicd.json"):
        karpathy_release(tmp_path, file, None, 7, ["a"])
    (tmp_path / "txtclasses_rsicd").mkdir()
    (tmp_path / "txtclasses_rsicd/Airport.txt").write_text("")
    for config in ("scene_ucm", "scene_rsitmd", "scene_rsicd"):
        assert CONFIGS[config].source.read(tmp_path, "train").num_rows == 3


def test_the_class_in_a_name_of_rsitmd(tmp_path: Path) -> None:
    karpathy_release(
        tmp_path, "dataset_RSITMD.json", "bareland_7.tif", "Boat_1.tif", "aiport_2.tif"
    )
    rows = CONFIGS["scene_rsitmd"].source.read(tmp_path, "train").to_pylist()
    assert [row["label"] for row in rows] == ["bare land", "boat", None]
    assert problems("scene_rsitmd", tmp_path) == [
        (
            "unknown class",
            "dataset_RSITMD.json, images[2]: 'aiport' is none of the 33 classes. "
            "Is 'airport' meant?",
        )
    ]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (
            ["airport", "tenis_court"],
            r"nwpu\.json: 'tenis_court' is none .* Is 'tennis court' meant",
        ),
        (["sea_ice", "Sea-Ice"], r"nwpu\.json: 'sea_ice' and 'Sea-Ice' are one class in two spell"),
        (["airport", "zoo"], r"nwpu\.json: 'zoo' is none of the 45 classes\.$"),
    ],
)
def test_keys_of_nwpu_that_are_no_classes_are_refused(
    keys: list[str], problem: str, tmp_path: Path
) -> None:
    (tmp_path / "dataset_nwpu.json").write_text(json.dumps({key: [] for key in keys}))
    with pytest.raises(AnnotationError, match=problem):
        CONFIGS["scene_nwpu"].source.read(tmp_path, "train")


def class_files(folder: Path, **files: str) -> None:
    (folder / "txtclasses_rsicd").mkdir()
    for name, text in files.items():
        (folder / f"txtclasses_rsicd/{name}.txt").write_text(text)


def test_class_files_of_rsicd_are_checked_line_by_line(tmp_path: Path) -> None:
    karpathy_release(tmp_path, "dataset_rsicd.json", "1.jpg", "2.jpg", "3.jpg")
    class_files(tmp_path, Airport="1.jpg\r\n\r\n2.jpg\r\n", BareLand="2.jpg\n4.jpg\n4.jpg\n")
    rows = CONFIGS["scene_rsicd"].source.read(tmp_path, "train").to_pylist()
    assert [row["label"] for row in rows] == ["airport", None, None, None]
    assert problems("scene_rsicd", tmp_path) == [
        (
            "several classes",
            "dataset_rsicd.json, images[1]: '2.jpg' is in txtclasses_rsicd/Airport.txt, line 3 and "
            "txtclasses_rsicd/BareLand.txt, line 1: take it out of all but one",
        ),
        ("no class", "dataset_rsicd.json, images[2]: no file in txtclasses_rsicd/ names '3.jpg'"),
        (
            "unknown split",
            "txtclasses_rsicd/BareLand.txt, line 2: dataset_rsicd.json does not have '4.jpg'",
        ),
    ]
    assert problems("scene_rsicd", tmp_path, "test") == []


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, r"txtclasses_rsicd: no \.txt file in it, expected one for each class"),
        ({"Airports": ""}, r"txtclasses_rsicd: 'Airports' is none .* Is 'airport' meant"),
        ({"BareLand": "", "bare_land": ""}, "'BareLand' and 'bare_land' are one class in two"),
    ],
)
def test_class_files_that_are_no_classes_are_refused(
    files: dict[str, str], problem: str, tmp_path: Path
) -> None:
    karpathy_release(tmp_path, "dataset_rsicd.json", "1.jpg")
    class_files(tmp_path, **files)
    with pytest.raises(AnnotationError, match=problem):
        CONFIGS["scene_rsicd"].source.read(tmp_path, "train")


def test_scenes_to_test_on_among_images_with_learned_captions_are_told(
    releases: Path, tmp_path: Path
) -> None:
    for name in ("RSICD_optimal", "RSITMD"):
        shutil.copytree(releases / name, tmp_path / name)
    # Of the same release: its splits share no image.
    assert audit(["cap_rsicd", "scene_rsicd"], data_dir=str(tmp_path)).overlaps == []
    scene = CONFIGS["scene_rsicd"].source.read(tmp_path / "RSICD_optimal", "test")["image"][0]
    caption = CONFIGS["cap_rsitmd"].source.read(tmp_path / "RSITMD", "train")["image"][0]
    with Image.open(tmp_path / f"RSICD_optimal/RSICD_images/{scene}") as image:
        image.save(tmp_path / f"RSITMD/images/{caption}")
    (leak,) = audit(["cap_rsitmd", "scene_rsicd"], data_dir=str(tmp_path)).leaks
    assert (leak.left, leak.right) == ("cap_rsitmd/train", "scene_rsicd/test")
    assert [pair.kind for pair in leak.pairs] == ["same pixels"]


def test_the_paper_s_mixture_has_no_scenes() -> None:
    assert not {*GROUPS["all"]} & {*GROUPS["scenes"]}
    assert GROUPS["everything"] == tuple(CONFIGS)
    assert len(GROUPS["all"]) == 13
