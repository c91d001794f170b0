"""Expressions with boxes (DIOR-RSVG), and dialogues on their images (RS-GPT4V-Instruct)."""

import json
import shutil
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from conftest import SHARED, needs_shared
from PIL import Image

from rs_gpt4v import NAME, adapt, records
from rs_gpt4v.adapt import Adaption
from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v.boxes import iou
from rs_gpt4v.conversation import check
from rs_gpt4v_builders.inventory import inventory
from rs_gpt4v_builders.sample.releases.dior_rsvg import (
    CLASSES,
    dior_pictures,
    expressions,
    write,
)
from rs_gpt4v_builders.sources.dior_rsvg import SOURCE, listed_objects
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.usable_records import RecordError

Row = dict[str, Any]

OBJECT = """<object><name>ship</name><pose>Unspecified</pose><bndbox><xmin>{}</xmin><ymin>{}</ymin>
<xmax>{}</xmax><ymax>{}</ymax></bndbox><description>{}</description></object>"""


def write_xml(folder: Path, number: int, *objects: str, head: str = "") -> Path:
    path = folder / "Annotations" / f"{number:05d}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    name = f"<filename>{path.stem}.jpg</filename>"
    path.write_text(f"{head}<annotation>{name}{''.join(objects)}</annotation>", encoding="utf-8")
    return path


def described(expression: str, *box: object) -> str:
    return OBJECT.format(*(box or (10, 20, 30, 40)), expression)


def write_lists(folder: Path, train: str, val: str, test: str) -> None:
    for name, lines in (("train", train), ("val", val), ("test", test)):
        (folder / f"{name}.txt").write_text(lines)


def read(folder: Path, split: str, protocol: adapt.Protocol = "paper") -> list[Row]:
    return SOURCE.read(folder, split, protocol).to_pylist()


class TestDiorRsvg:
    def test_paper_cuts_behind_dior_s_training_images(self, tmp_path: Path) -> None:
        for number in (11726, 11725, 1, 23463):
            write_xml(tmp_path, number, described(f"on {number}"))
        assert [row["key"] for row in read(tmp_path, "train")] == ["00001/0", "11725/0"]
        assert [row["key"] for row in read(tmp_path, "test")] == ["11726/0", "23463/0"]

    def test_lists_count_the_objects_of_the_sorted_files(self, tmp_path: Path) -> None:
        write_xml(tmp_path, 12000, described("d"))
        write_xml(tmp_path, 30, described("a"), described("b"), described("c"))
        write_lists(tmp_path, "3\n0\n", "2\n", "1\n")
        found = {s: read(tmp_path, s, "release") for s in ("train", "validation", "test")}
        said = {split: [row["expression"] for row in rows] for split, rows in found.items()}
        assert said == {"train": ["d", "a"], "validation": ["c"], "test": ["b"]}
        assert found["train"][0]["key"] == "12000/0"

    @pytest.mark.parametrize(
        ("lists", "said"),
        [
            (("0\n1\n", "1\n", "2\n"), "name 1 again"),
            (("0\n", "", "2\n"), "leave out 1"),
            (("0\n1\n", "2\n", "3\n"), "1 that are not there"),
        ],
        ids=["overlapping", "not covering", "beyond"],
    )
    def test_lists_that_do_not_share_out_the_objects_are_refused(
        self, tmp_path: Path, lists: tuple[str, str, str], said: str
    ) -> None:
        write_xml(tmp_path, 1, described("a"), described("b"), described("c"))
        write_lists(tmp_path, *lists)
        with pytest.raises(AnnotationError, match=rf"{said}.*lists are those of May 2023"):
            read(tmp_path, "train", "release")

    @pytest.mark.parametrize("line", ["00001.jpg", "-1", "1" * 5000])
    def test_line_that_is_no_index_is_named(self, tmp_path: Path, line: str) -> None:
        write_xml(tmp_path, 1, described("a"))
        write_lists(tmp_path, f"0\n{line}\n", "", "")
        with pytest.raises(AnnotationError, match=r"train\.txt, line 2: expected an index"):
            read(tmp_path, "train", "release")

    @pytest.mark.parametrize(
        "corners",
        [("", 1, 2, 3), ("a", 1, 2, 3), ("nan", 1, 2, 3), ("inf", 1, 2, 3)],
        ids=["empty", "word", "nan", "inf"],
    )
    def test_box_without_four_numbers_is_none(
        self, tmp_path: Path, corners: tuple[object, ...]
    ) -> None:
        write_xml(tmp_path, 1, described("a", *corners), described("b", "1.5", 2, 3, 4))
        assert [row["points"] for row in read(tmp_path, "train")] == [None, [1.5, 2, 3, 4]]

    def test_other_order_of_fields_and_hidden_files_do_not_matter(self, tmp_path: Path) -> None:
        moved = described("a ship &amp; more").replace("<name>ship</name>", "")
        write_xml(tmp_path, 1, moved.replace("</object>", "<name>ship</name></object>"))
        (tmp_path / "Annotations/._00001.xml").write_bytes(b"\x00\x05")
        row = read(tmp_path, "train")[0]
        assert (row["label"], row["expression"]) == ("ship", "a ship & more")

    @pytest.mark.parametrize(
        "head",
        [
            '<!DOCTYPE a [<!ENTITY b "c">]>',
            '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
            '<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd">',
            '<?xml version="1.0" encoding="no-such"?>',
            '<?xml version="1.0" encoding="gbk"?>',
            "<annotation>",
        ],
    )
    def test_hostile_and_broken_files_are_refused_by_name(self, tmp_path: Path, head: str) -> None:
        write_xml(tmp_path, 1, described("a"), head=head)
        with pytest.raises(AnnotationError, match=r"00001\.xml: "):
            read(tmp_path, "train")

    def test_name_that_is_no_number_is_refused(self, tmp_path: Path) -> None:
        write_xml(tmp_path, 1, described("a")).rename(tmp_path / "Annotations/fig_01.xml")
        with pytest.raises(AnnotationError, match="expected the number of a DIOR image"):
            read(tmp_path, "train")


class TestBoxes:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        folder = tmp_path / "DIOR_RSVG"
        boxes = ((-9, 20, 90, 99), (10, 20, 10, 40), (500, 20, 600, 40), (30, 20, 10, 40))
        objects = [described(f"number {n}", *box) for n, box in enumerate(boxes)]
        write_xml(folder, 1, *objects, described("number 4", "", 1, 2, 3))
        (folder / "JPEGImages").mkdir()
        Image.new("RGB", (100, 50)).save(folder / "JPEGImages/00001.jpg")
        return tmp_path

    @pytest.mark.parametrize("config", ["grounding", "region_caption"])
    def test_outside_is_clipped_and_without_area_left_out(
        self, root: Path, tmp_path: Path, config: str
    ) -> None:
        load = {"data_dir": str(root), "split": "train", "cache_dir": str(tmp_path / "cache")}
        with pytest.raises(RecordError, match=r"dior_rsvg/train/00001/1: its box .* has no area"):
            datasets.load_dataset(NAME, config, **load)
        rows = datasets.load_dataset(NAME, config, on_missing="skip", **load)
        assert rows["boxes"][:] == [[{"label": "ship", "points": [0, 20, 90, 50], "kind": "hbb"}]]
        text = "".join(message["content"] for message in rows[0]["messages"])
        assert "[0.000, 0.400, 0.900, 1.000]" in text
        dropped = next((tmp_path / "cache").rglob("dropped-dior_rsvg-train.jsonl")).read_text()
        reasons = [json.loads(line)["reason"] for line in dropped.splitlines()]
        assert len(reasons) == 4
        assert reasons[-1] == "no points"


def expression_records(n: int = 2) -> pa.Table:
    row = {"image": "1.jpg", "expression": " A ship ", "label": "vessel", "kind": "hbb"}
    rows = [row | {"key": f"1/{i}", "points": [80.0 + i, 160, 240, 320]} for i in range(n)]
    table = pa.Table.from_pylist(rows, schema=records.EXPRESSIONS)
    for side in ("width", "height"):
        table = table.append_column(side, pa.array([800] * n, pa.int32()))
    return table


@pytest.mark.parametrize("box_format", CODECS)
def test_every_box_format_is_read_back(box_format: str) -> None:
    adaption = Adaption("s/train/", "train", box_format=box_format)
    located = adapt.grounding(expression_records(), adaption)
    captioned = adapt.region_caption(expression_records(), adaption)
    check(located)
    check(captioned)
    for rows, place in ((located, 1), (captioned, 0)):
        for row in rows.to_pylist():
            text = row["messages"][place]["content"]
            (box,) = CODECS[box_format].parse(text, 800, 800)  # pyright: ignore
            assert iou(box, row["boxes"][0]["points"]) > 0.9
    asked, answered = captioned.to_pylist()[0]["messages"]
    assert "vessel" not in asked["content"]
    assert answered["content"] == "A ship"


def test_ids_are_unique_over_the_configs_of_one_source() -> None:
    adaption = Adaption("s/train/", "train")
    tables = [f(expression_records(), adaption) for f in (adapt.grounding, adapt.region_caption)]
    ids = [i for table in tables for i in table["id"].to_pylist()]
    assert ids == ["s/train/1/0", "s/train/1/1", "s/train/1/0/region", "s/train/1/1/region"]


@pytest.mark.parametrize("start", [0, 1])
def test_dialogues_name_their_last_answer(start: int) -> None:
    said = [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    messages = [{"role": role, "content": content} for role, content in said]
    rows = [{"key": str(n), "image": "1.jpg", "messages": messages[: 2 * n]} for n in (1, 2)]
    table = pa.Table.from_pylist(rows, schema=records.DIALOGUES).slice(start)
    made = adapt.conversation(table, Adaption("s/", "train"))
    check(made)
    assert made["references"].to_pylist() == [["b"], ["d"]][start:]
    assert set(made["task"].to_pylist()) == {"conversation"}


class TestFolderOfAnnotations:
    def test_inventory_names_what_lacks(self, releases: Path, tmp_path: Path) -> None:
        shutil.copytree(releases / "DIOR_RSVG/Annotations", tmp_path / "DIOR_RSVG/Annotations")
        found = next(f for f in inventory(tmp_path) if f.source is SOURCE)
        assert found.missing == ("train.txt", "val.txt", "test.txt", "JPEGImages/")

    def test_new_file_in_it_builds_again(self, releases: Path, tmp_path: Path) -> None:
        root = shutil.copytree(releases, tmp_path / "releases")
        before = datasets.load_dataset(NAME, "grounding", split="train", data_dir=str(root))
        folder = root / "DIOR_RSVG"
        write_xml(folder, 2, described("a new one"))
        shutil.copy(folder / "JPEGImages/11725.jpg", folder / "JPEGImages/00002.jpg")
        after = datasets.load_dataset(NAME, "grounding", split="train", data_dir=str(root))
        assert len(after) == len(before) + 1

    def test_file_edited_in_it_builds_again(self, releases: Path, tmp_path: Path) -> None:
        root = shutil.copytree(releases, tmp_path / "releases")
        load = {"split": "test", "data_dir": str(root), "protocol": "paper"}
        datasets.load_dataset(NAME, "region_caption", **load)
        write_xml(root / "DIOR_RSVG", 11726, described("an edited one"))
        after = datasets.load_dataset(NAME, "region_caption", **load)
        assert after[0]["references"] == ["an edited one"]

    @pytest.mark.parametrize("folder", [True, False])
    def test_file_in_its_place_is_not_it(self, tmp_path: Path, folder: bool) -> None:
        (tmp_path / "DIOR_RSVG").mkdir()
        path = tmp_path / "DIOR_RSVG" / "Annotations"
        _ = path.mkdir() if folder else path.write_text("")
        assert (SOURCE.find(tmp_path) is not None) is folder


class TestSample:
    def test_every_image_has_an_object_and_both_of_dior_s_splits_occur(self) -> None:
        pictures = list(dior_pictures(0, 1.0))
        numbers = [int(Path(picture.name).stem) for picture in pictures]
        assert {11725, 11726} < set(numbers)
        assert [n <= 11725 for n in numbers] == [p.split == "train" for p in pictures]
        assert all(1 <= len(expressions(p.scene, p.rng)) <= 10 for p in pictures)

    def test_there_are_enough_expressions_to_learn_from_and_to_score(self) -> None:
        """Of every class, and in both splits all over the image."""
        found: dict[str, list[Any]] = {"train": [], "test": []}
        for picture in dior_pictures(0, 1.0):
            described = expressions(picture.scene, picture.rng)
            assert len(set(described)) == len(described)
            found[picture.split] += described
        assert len(found["train"]) >= 400
        assert 150 <= len(found["test"]) <= 200
        for every in found.values():
            assert {thing.name for thing, _ in every} == {*CLASSES}
            middles = [_middle(thing) for thing, _ in every]
            assert len({(int(x / 800 * 3), int(y / 800 * 3)) for x, y in middles}) == 9

    def test_expressions_hold_for_one_thing_alone(self) -> None:
        for picture in dior_pictures(5, 1.0):
            every = picture.scene.countable
            for thing, words in expressions(picture.scene, picture.rng):
                fits = [t for t in every if _fits(t, words, every, picture.scene.size)]
                assert fits == [thing], words

    def test_files_have_the_release_s_form(self, tmp_path: Path) -> None:
        write(tmp_path, 0, 0.1)
        text = (tmp_path / "DIOR_RSVG/Annotations/11725.xml").read_text(encoding="utf-8")
        assert text.startswith(
            '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<annotation>\n'
            "  <filename>11725.jpg</filename>\n  <source>\n    <database>DIOR</database>\n"
        )
        assert text.endswith("</description>\n  </object>\n</annotation>\n")
        for path in (tmp_path / "DIOR_RSVG/JPEGImages").iterdir():
            with Image.open(path) as image:
                assert (image.format, image.size) == ("JPEG", (800, 800))


def _fits(thing: Any, words: str, every: list[Any], size: int) -> bool:
    """Whether an expression is true of a thing, read from its words alone."""
    noun = {"car": "vehicle"}.get(thing.name, thing.name)
    if noun not in words or any(
        color in words.split() and color != thing.color
        for color in ("white", "gray", "black", "red", "blue", "green", "brown", "orange")
    ):
        return False
    x, y = _middle(thing)
    rivals = [_middle(t) for t in every if t.name == thing.name]
    if "most" in words or "lowest" in words:
        furthest = {
            "leftmost": min(rivals),
            "rightmost": max(rivals),
            "topmost": min(rivals, key=lambda r: r[1]),
            "lowest": max(rivals, key=lambda r: r[1]),
        }
        return (x, y) == next(point for word, point in furthest.items() if word in words)
    if "nearest" in words:
        a, b = (1 if "right" in words else -1), (1 if "lower" in words else -1)
        return all(a * x + b * y >= a * r[0] + b * r[1] for r in rivals)
    third = {"left": x, "right": size - x, "upper": y, "top": y, "lower": size - y}
    third["bottom"] = size - y
    inside = all(v < size * 0.45 for word, v in third.items() if word in words.split())
    if "middle" in words:
        return max(abs(x - size / 2), abs(y - size / 2)) < size * 0.1
    return inside


def _middle(thing: Any) -> tuple[float, float]:
    x0, y0, x1, y1 = thing.box
    return (x0 + x1) / 2, (y0 + y1) / 2


@needs_shared
class TestRealFiles:
    def test_present_lists_share_out_38_320_objects(self) -> None:
        listed = listed_objects(SHARED / "dior_rsvg", 38_320)
        counts = {split: len(indices) for split, indices in listed.items()}
        assert counts == {"train": 26_991, "validation": 3_829, "test": 7_500}

    def test_lists_of_another_set_are_refused(self) -> None:
        with pytest.raises(AnnotationError, match=r"38,319 objects .* 1 that are not there"):
            listed_objects(SHARED / "dior_rsvg", 38_319)

    @pytest.mark.parametrize("config", ["grounding", "region_caption"])
    def test_the_one_real_file_with_its_image(self, tmp_path: Path, config: str) -> None:
        (tmp_path / "DIOR_RSVG").symlink_to(SHARED / "dior_rsvg")
        rows = datasets.load_dataset(
            NAME, config, data_dir=str(tmp_path), wording="fixed", on_missing="skip"
        )
        assert {split: len(part) for split, part in rows.items()} == {"train": 1}
        row = rows["train"][0]
        box = {"label": "golffield", "points": [133, 237, 684, 672], "kind": "hbb"}
        assert row["boxes"] == [box]
        words = {"grounding": "[0.166, 0.296, 0.855, 0.840]"}
        answer = words.get(config, "A green and brown golf field")
        assert row["messages"][-1]["content"] == answer
        assert (row["width"], row["height"]) == (800, 800)
