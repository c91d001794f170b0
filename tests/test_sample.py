import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from rs_gpt4v_builders.sample import write_sample
from rs_gpt4v_builders.sample.captions import captions
from rs_gpt4v_builders.sample.draw import draw
from rs_gpt4v_builders.sample.layouts import KINDS, lay_out
from rs_gpt4v_builders.sample.questions import Balance, hr_questions, lr_questions
from rs_gpt4v_builders.sample.releases import floodnet
from rs_gpt4v_builders.sample.scenes import Scene, overlap
from rs_gpt4v_builders.sources import rsivqa
from rs_gpt4v_builders.sources.images import ImageFinder

SCALE = 0.06  # of the sample: about 60 images
ALL_KINDS = (*KINDS, "landscape")
RSVQA = {
    "RSVQA_LR": ("LR_split", "all_", ("train", "val", "test")),
    "RSVQA_HR": ("USGS_split", "USGS", ("train", "val", "test", "test_phili")),
}
IMAGES = {
    "UCM_captions/imgs": ("TIFF", 256),
    "RSICD_optimal/RSICD_images": ("JPEG", 224),
    "RSVQA_LR/Images_LR": ("TIFF", 256),
    "RSVQA_HR/Data": ("TIFF", 512),
    "Sydney_captions/imgs": ("TIFF", 500),
    "RSITMD/images": ("TIFF", 256),
    "NWPU-Captions/NWPU_images/airplane": ("JPEG", 256),
    "FloodNet/Images/Train_Image": ("JPEG", 512),
    "HRRSD/JPEGImages": ("JPEG", 256),
    "DOTA/val/images": ("PNG", 320),
}
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NOUNS = {
    "house": "residential building",
    "building": "commercial building",
    "car": "vehicle",
    "storage tank": "storage tank",
    "airplane": "airplane",
    "tennis court": "tennis court",
    "basketball court": "basketball court",
    "pier": "pier",
}


def scenes(kind: str, number: int = 12) -> list[Scene]:
    return [lay_out(kind, 1000 + seed, 256, 0.3) for seed in range(number)]


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def contents(root: Path) -> dict[str, bytes]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sample") / "new"
    write_sample(root, scale=SCALE)
    return root


def test_same_seed_gives_the_same_bytes_in_another_process(sample: Path, tmp_path: Path) -> None:
    code = f"""
import pathlib, rs_gpt4v_builders.sample as s
s.write_sample(pathlib.Path({str(tmp_path)!r}), scale={SCALE})
"""
    env = {**os.environ, "PYTHONHASHSEED": "4242"}
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=120)
    assert contents(tmp_path) == contents(sample)


def test_another_seed_gives_other_pictures(sample: Path, tmp_path: Path) -> None:
    write_sample(tmp_path, seed=1, scale=0.001)
    first = "UCM_captions/imgs/1.tif"
    assert (tmp_path / first).read_bytes() != (sample / first).read_bytes()


@pytest.mark.parametrize("folder", IMAGES)
def test_images_have_the_release_s_format_and_size(sample: Path, folder: str) -> None:
    for path in (sample / folder).iterdir():
        with Image.open(path) as image:
            kind, side = IMAGES[folder]
            assert (image.format, image.mode, image.size) == (kind, "RGB", (side, side))


def test_ucm_keeps_the_release_s_layout_and_quirks(sample: Path) -> None:
    path = sample / "UCM_captions" / "dataset.json"
    assert path.read_text(encoding="utf-8").startswith(
        '{\n\t"images": [{\n\t\t"sentids": [0,\n\t\t1,\n\t\t2,\n\t\t3,\n\t\t4],\n\t\t"imgid": 0,\n'
    )
    images = read(path)["images"]
    assert list(images[0]) == ["sentids", "imgid", "sentences", "split", "filename"]
    assert list(images[0]["sentences"][0]) == ["tokens", "raw", "imgid", "sentid"]
    assert Counter(image["split"] for image in images) == {"train": 10, "val": 10, "test": 10}
    numbers = [int(image["filename"].removesuffix(".tif")) for image in images]
    assert numbers == sorted(set(numbers))
    # Of agricultural, airplane, ...: 100 numbers each.
    assert {n // 100 for n in numbers} == {0, 1, 2, 4, 7, 10, 11, 12, 16, 19, 20}
    raws = [[sentence["raw"] for sentence in image["sentences"]] for image in images]
    assert all(re.fullmatch(r"[A-Z][^.]* \.", raw) for five in raws for raw in five)
    assert {len(set(five)) for five in raws} == {4, 5}
    sentences = [sentence for image in images for sentence in image["sentences"]]
    assert [sentence["sentid"] for sentence in sentences] == list(range(5 * len(images)))
    assert any("" in sentence["tokens"] for sentence in sentences)
    misspelt = [s["raw"] for s in sentences if "formland" in s["tokens"]]
    assert misspelt
    assert all("farmland" in raw for raw in misspelt)


def test_rsicd_pads_by_repeating(sample: Path) -> None:
    images = read(sample / "RSICD_optimal" / "dataset_rsicd.json")["images"]
    assert list(images[0]) == ["filename", "imgid", "sentences", "split", "sentids"]
    raws = {image["filename"]: [s["raw"] for s in image["sentences"]] for image in images}
    assert {len(five) for five in raws.values()} == {5}
    assert any(len(set(five)) == 1 for five in raws.values())
    assert all(raw == raw.lower() and raw.endswith(" .") for five in raws.values() for raw in five)
    blank = [image for image in images if " ." in raws[image["filename"]]]
    assert [image["split"] for image in blank] == ["train"]
    assert any(re.fullmatch(r"\d{5}\.jpg", name) for name in raws)
    assert "airport_1.jpg" in raws
    assert all((sample / "RSICD_optimal" / "RSICD_images" / name).is_file() for name in raws)


@pytest.mark.parametrize("release", RSVQA)
def test_rsvqa_split_files_are_positional_with_stubs(sample: Path, release: str) -> None:
    prefix, whole, splits = RSVQA[release]
    for table in ("images", "questions", "answers"):
        everything = read(sample / release / f"{whole}{table}.json")[table]
        assert [record["id"] for record in everything] == list(range(len(everything)))
        seen = []
        for split in splits:
            records = read(sample / release / f"{prefix}_{split}_{table}.json")[table]
            active = [record for record in records if record["active"]]
            seen += [record["id"] for record in active]
            for position, record in enumerate(records):
                stub = {"id": position, "active": False}
                assert record == (everything[position] if record["active"] else stub)
            assert len(records) == (len(everything) if table == "images" else active[-1]["id"] + 1)
        assert sorted(seen) == list(range(len(everything)))


@pytest.mark.parametrize("release", RSVQA)
def test_rsvqa_records_refer_to_one_another(sample: Path, release: str) -> None:
    whole = RSVQA[release][1]
    images, questions, answers = (
        read(sample / release / f"{whole}{table}.json")[table]
        for table in ("images", "questions", "answers")
    )
    for image in images:
        own = [questions[number] for number in image["questions_ids"]]
        assert {question["img_id"] for question in own} == {image["id"]}
        least, most = (9, 11) if release == "RSVQA_LR" else (16, 24)
        assert least <= len({question["question"] for question in own}) == len(own) <= most
    for question in questions:
        assert [answers[n]["question_id"] for n in question["answers_ids"]] == [question["id"]]
    texts = [question["question"] for question in questions]
    odd = {text for text in texts if not text.endswith("?")}
    assert odd == ({"Is it a rural or an urban area"} if release == "RSVQA_LR" else set())
    assert any(" a  " in text for text in texts)


def test_sydney_mistypes_raw(sample: Path) -> None:
    images = read(sample / "Sydney_captions" / "dataset.json")["images"]
    assert list(images[0]) == ["sentids", "imgid", "sentences", "split", "filename"]
    raws = [[sentence["raw"] for sentence in image["sentences"]] for image in images]
    assert any("hosues" in raw for five in raws for raw in five)
    assert {len(set(five)) for five in raws} == {4, 5}


def test_rsitmd_has_two_splits_and_sentences_of_uneven_form(sample: Path) -> None:
    images = read(sample / "RSITMD" / "dataset_RSITMD.json")["images"]
    assert {image["split"] for image in images} == {"train", "test"}
    raws = [[sentence["raw"] for sentence in image["sentences"]] for image in images]
    assert [len(set(five)) for five in raws].count(1) == 1
    assert any(raw.endswith(". ") for five in raws for raw in five)
    assert any(raw == raw.lower() for five in raws for raw in five)


def test_nwpu_lists_records_by_class(sample: Path) -> None:
    folder = sample / "NWPU-Captions"
    text = (folder / "dataset_nwpu.json").read_text(encoding="utf-8")
    classes = json.loads(text)
    assert list(classes)[-1] == "airplane"
    assert list(classes["forest"][0]) == [
        *("filename", "imgid", "split", "raw", "raw_1", "raw_2", "raw_3", "raw_4"),
        *("sentids", "sentids_1", "sentids_2", "sentids_3", "sentids_4"),
    ]
    for name, records in classes.items():
        assert [r["filename"] for r in records] == [f"{name}_{n:03d}.jpg" for n in (1, 2, 3)]
        assert [record["split"] for record in records] == ["train", "val", "test"]
        assert all((folder / "NWPU_images" / name / r["filename"]).is_file() for r in records)
    assert {"’", "  ", '"raw_2": " ."'} == {q for q in ("’", "  ", '"raw_2": " ."') if q in text}  # noqa: RUF001


def test_floodnet_answers_only_what_is_to_be_learnt(sample: Path) -> None:
    folder = sample / "FloodNet" / "Questions"
    training = read(folder / "Training Question.json")
    assert list(training) == [str(n) for n in range(len(training))]
    assert list(training["0"]) == ["Image_ID", "Question", "Ground_Truth", "Question_Type"]
    answers = [record["Ground_Truth"] for record in training.values()]
    assert {type(answer) for answer in answers} == {int, str}
    for name in ("Valid Question.json", "Test_Question.json"):
        assert not any("Ground_Truth" in record for record in read(folder / name).values())


def test_floodnet_answers_agree_with_one_another(tmp_path: Path) -> None:
    floodnet.write(tmp_path, seed=3, scale=0.6)
    records = read(tmp_path / "FloodNet/Questions/Training Question.json").values()
    said: dict[str, dict[str, Any]] = {}
    for record in records:
        asked = record["Question"].replace(" the road in this image", " road")
        said.setdefault(record["Image_ID"], {})[asked] = record["Ground_Truth"]
    conditions = Counter(answers["What is the condition of road?"] for answers in said.values())
    assert set(conditions) == {"flooded", "non flooded", "flooded,non flooded"}
    for answers in said.values():
        road = answers["What is the condition of road?"]
        if "non flooded" not in road:
            assert answers["What is the overall condition of the given image?"] == "flooded"
        for state in ("flooded", "non flooded"):
            assert answers.get(f"Is the entire road {state}?", _capital(road == state)) == (
                _capital(road == state)
            )


def _capital(holds: bool) -> str:
    return "Yes" if holds else "No"


def test_rsivqa_asks_of_images_that_are_there(sample: Path) -> None:
    rows = rsivqa.SOURCE.read(sample / "RSIVQA", "train", "release")
    measured = ImageFinder(rsivqa.SOURCE, sample / "RSIVQA").measure(rows["image"].combine_chunks())
    assert set(measured["image_problem"].to_pylist()) == {None}
    parts = {image.split("/")[0] for image in rows["image"].to_pylist()}
    assert parts == set(rsivqa.SOURCE.other_images)


def test_rsivqa_has_its_quirks(sample: Path) -> None:
    hrrsd, by_hand = (
        (sample / "RSIVQA" / file).read_text().splitlines()
        for file in ("HRRSD/opt_val_vqa.txt", "UCM/ucm_res.txt")
    )
    assert all(re.fullmatch(r"\d{5}: [^?]+\?(yes|no|\d+)", line) for line in hrrsd)
    assert len(set(hrrsd)) < len(hrrsd)
    assert any(line.endswith("?everywhere ") for line in by_hand)
    assert any("How many  in the picture?" in line for line in by_hand)
    assert any(line.endswith("?harobr") for line in by_hand)
    lists = {p.stem: p.read_text().split() for p in (sample / "HRRSD/ImageSets/Main").iterdir()}
    assert lists["trainval"] == sorted(lists["train"] + lists["val"])


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_countable_things_lie_inside_and_apart(kind: str) -> None:
    for scene in scenes(kind, 25):
        for thing in scene.countable:
            assert all(0 <= c <= scene.size for corner in thing.corners for c in corner), thing
            x_min, y_min, x_max, y_max = thing.box
            assert 0 < thing.area_px <= (x_max - x_min) * (y_max - y_min) + 1e-6
            assert thing.name == "vehicle" or max(x_max - x_min, y_max - y_min) >= 14
        for a, b in combinations(scene.countable, 2):
            assert not overlap(a, b), (a, b)


@pytest.mark.parametrize(("kind", "name"), [("airport", "airplane"), ("harbor", "ship")])
def test_a_thing_is_drawn_where_the_truth_says(kind: str, name: str) -> None:
    for scene in scenes(kind, 4):
        for thing in scene.named(name):
            if thing.style == "sailing":
                continue  # its wake is drawn, but is no part of it
            rest = tuple(other for other in scene.things if other is not thing)
            without = Scene(**{**vars(scene), "things": rest})
            drawn = ImageChops.difference(draw(scene, 0), draw(without, 0)).getbbox()
            assert drawn is not None
            assert drawn == pytest.approx(thing.box, abs=8)  # its shadow reaches a little further


@pytest.mark.parametrize("kind", KINDS)
def test_captions_differ_and_their_numbers_are_true(kind: str) -> None:
    number_of = re.compile(rf"\b({'|'.join(NUMBERS)})(?: \w+)?? ({'|'.join(NOUNS)})s?\b")
    for seed, scene in enumerate(scenes(kind)):
        five = captions(scene, random.Random(seed))
        assert len(set(five)) == 5
        for number, noun in number_of.findall(" ".join(five).lower()):
            assert NUMBERS.index(number) == scene.count(NOUNS[noun]), five


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_plain_questions_are_answered_from_the_scene(kind: str) -> None:
    for seed, scene in enumerate(scenes(kind)):
        tally = Counter(thing.name for thing in scene.things)
        tally["building"] = tally["residential building"] + tally["commercial building"]
        truth = dict(_plain_answers(tally))
        asked = hr_questions(scene, Balance(), random.Random(seed))
        plain = {question.text: question.answer for question in asked if question.text in truth}
        assert len(plain) >= 12
        assert plain == {text: truth[text] for text in plain}


def _plain_answers(tally: Counter[str]) -> Iterator[tuple[str, str]]:
    names = ("building", "residential building", "commercial building", "road", "water area")
    names += ("farmland", "forest", "storage tank", "ship", "airplane", "tennis court")
    for name in names:
        for end in ("?", " in the image?"):
            yield f"Is there a {name}{end}", _yes(tally[name] > 0)
            yield f"Is a {name} present{end}", _yes(tally[name] > 0)
            yield f"How many {name}s are there{end}", str(tally[name])
        yield f"What is the number of {name}s?", str(tally[name])
        yield f"What is the amount of {name}s?", str(tally[name])
    for name, other in permutations(names, 2):
        one, two = tally[name], tally[other]
        yield f"Are there more {name}s than {other}s?", _yes(one > two)
        yield f"Are there less {name}s than {other}s?", _yes(one < two)
        yield f"Is the number of {name}s equal to the number of {other}s?", _yes(one == two)


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def test_areas_are_square_metres_of_ground() -> None:
    scene = lay_out("storage tanks", 3, 512, 0.5)
    tank = scene.named("storage tank")[0]
    expected = scene.count("storage tank") * 3.141592653589793 * (tank.width / 2 * 0.5) ** 2
    assert scene.area_m2("storage tank") == pytest.approx(expected)


def test_an_image_twice_as_large_shows_the_same_scene() -> None:
    small, large = (lay_out("airport", 5, size, 1.0) for size in (256, 512))
    for a, b in zip(small.countable, large.countable, strict=True):
        assert b.box == pytest.approx([2 * c for c in a.box])


@pytest.mark.parametrize("ask", [lr_questions, hr_questions])
def test_guessing_yes_or_no_does_not_pay(ask: Any) -> None:
    balance, rng = Balance(), random.Random(0)
    answers: dict[str, Counter[str]] = {"presence": Counter(), "comp": Counter()}
    kinds = ("landscape",) if ask is lr_questions else ALL_KINDS
    for seed in range(70):
        for question in ask(lay_out(kinds[seed % len(kinds)], seed, 256, 0.3), balance, rng):
            if question.type in answers:
                answers[question.type][question.answer] += 1
    for tally in answers.values():
        assert set(tally) == {"yes", "no"}
        assert 0.46 < tally["yes"] / tally.total() < 0.54


def test_landscapes_are_half_urban() -> None:
    urban = [scene.is_urban for scene in scenes("landscape", 80)]
    assert 0.35 < sum(urban) / len(urban) < 0.65
