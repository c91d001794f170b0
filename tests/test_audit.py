"""Planted leaks are found, and nothing else; a build can leave them out."""

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from conftest import SHARED, needs_shared
from PIL import Image, ImageEnhance

from rs_gpt4v import NAME
from rs_gpt4v.cli import main
from rs_gpt4v_builders import CONFIGS
from rs_gpt4v_builders.audit import images as hashing
from rs_gpt4v_builders.audit.findings import Audit, Overlap, Pair, Repeat, Repeats, audit
from rs_gpt4v_builders.audit.images import Images, read_images
from rs_gpt4v_builders.audit.matching import matches, near_pairs
from rs_gpt4v_builders.audit.page import write_page
from rs_gpt4v_builders.audit.text import to_text
from rs_gpt4v_builders.sources.source import SourceNotFoundError

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)

Change = Callable[[Path, Path], None]


def _saved_again(image: Path, out: Path) -> None:
    Image.open(image).convert("RGB").save(out, "JPEG", quality=90)


def _smaller(image: Path, out: Path) -> None:
    whole = Image.open(image).convert("RGB")
    whole.resize((whole.width * 9 // 10, whole.height * 9 // 10)).save(out, "PNG")


def _brighter(image: Path, out: Path) -> None:
    ImageEnhance.Brightness(Image.open(image).convert("RGB")).enhance(1.15).save(out, "PNG")


def _converted(image: Path, out: Path) -> None:
    Image.open(image).convert("RGB").save(out, "PNG")


PLANTED: dict[str, tuple[str, Change, str]] = {
    "same bytes": ("Sydney_captions/imgs", shutil.copyfile, "cap_sydney"),
    "same pixels": ("RSITMD/images", _converted, "cap_rsitmd"),
    "saved again": ("RSICD_optimal/RSICD_images", _saved_again, "cap_rsicd"),
    "smaller": ("NWPU-Captions/NWPU_images", _smaller, "cap_nwpu"),
    "brighter": ("UCM_captions/imgs", _brighter, "cap_ucm"),
}
"""What is done to a test image of UCM-Captions, and over a training image of which release."""


def _training_image(releases: Path, config: str) -> Path:
    rows = datasets.load_dataset(NAME, config, data_dir=str(releases), split="train")
    return _image_paths(rows)[0]


def _image_paths(rows: datasets.Dataset) -> list[Path]:
    column = rows.cast_column("images", datasets.List(datasets.Image(decode=False)))["images"]
    return [Path(images[0]["path"]) for images in column]


@pytest.fixture(scope="module")
def leaking(releases: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[Any]]:
    """A root with planted leaks, and for each its training image, test image and kind."""
    root = tmp_path_factory.mktemp("leaking") / "releases"
    shutil.copytree(releases, root)
    tests = _image_paths(
        datasets.load_dataset(NAME, "cap_ucm", data_dir=str(releases), split="test")
    )
    planted = set()
    for (name, (_, change, config)), image in zip(PLANTED.items(), tests, strict=False):
        trained = root / _training_image(releases, config).relative_to(releases)
        test = root / image.relative_to(releases)
        change(test, trained)
        kind = name if name.startswith("same") else "near"
        planted.add((f"{config}/train", trained.name, test.name, kind))
    return root, planted


@pytest.fixture(scope="module")
def found(leaking: tuple[Path, set[Any]], tmp_path_factory: pytest.TempPathFactory) -> Audit:
    cache = tmp_path_factory.mktemp("cache") / "images.sqlite"
    return audit(["captioning"], cache, data_dir=str(leaking[0]))


def test_finds_what_was_planted_and_nothing_else(
    found: Audit, leaking: tuple[Path, set[Any]]
) -> None:
    leaks = {
        (leak.left, Path(pair.image).name, Path(pair.other).name, pair.kind)
        for leak in found.leaks
        for pair in leak.pairs
    }
    assert leaks == leaking[1]
    assert {leak.right for leak in found.leaks} == {"cap_ucm/test"}


def test_a_leak_names_all_its_rows(found: Audit, leaking: tuple[Path, set[Any]]) -> None:
    rows = datasets.load_dataset(NAME, "cap_sydney", data_dir=str(leaking[0]), split="train")
    (leak,) = (leak for leak in found.leaks if leak.left == "cap_sydney/train")
    about = [p.name == Path(leak.pairs[0].image).name for p in _image_paths(rows)]
    assert leak.pairs[0].rows == [i for i, is_it in zip(rows["id"], about, strict=True) if is_it]
    assert leak.rows == sum(about)


def test_the_sample_leaks_nothing_under_the_papers_protocol(releases: Path) -> None:
    found = audit(data_dir=str(releases))
    assert (found.overlaps, found.absent) == ([], {})
    # A class may be absent by chance and popular, so that it is asked about as both.
    repeats = [part.part for part in found.repeats if part.duplicates]
    assert repeats == ["vqa_rsivqa/train", "probe_presence/test"]


def test_release_protocol_trains_rsivqa_on_test_images(releases: Path) -> None:
    found = audit(["vqa_rsivqa", "cap_ucm"], data_dir=str(releases), protocol="release")
    (leak,) = found.leaks
    assert (leak.left, leak.right) == ("vqa_rsivqa/train", "cap_ucm/test")
    assert {pair.kind for pair in leak.pairs} == {"same file"}
    assert "RSIVQA has no splits" in to_text(found)


def test_images_in_two_splits_of_a_config_straddle(releases: Path, tmp_path: Path) -> None:
    root = shutil.copytree(releases, tmp_path / "releases")
    rows = datasets.load_dataset(NAME, "cap_ucm", data_dir=str(root))
    train, validation, test = (_image_paths(rows[split])[0] for split in rows)
    shutil.copyfile(train, validation)
    shutil.copyfile(train, test)
    found = audit(["cap_ucm"], data_dir=str(root))
    assert [(one.left, one.right, one.is_leak) for one in found.straddles] == [
        ("cap_ucm/train", "cap_ucm/validation", False),
        ("cap_ucm/train", "cap_ucm/test", True),
        ("cap_ucm/validation", "cap_ucm/test", False),
    ]
    assert [len(one.pairs) for one in found.straddles] == [1, 1, 1]


@pytest.fixture
def questions(releases: Path, tmp_path: Path) -> tuple[Path, list[dict[str, Any]]]:
    """A root whose RSVQA-LR asks its first training image three times the same, once oddly."""
    root = shutil.copytree(releases, tmp_path / "releases")
    asked = root / "RSVQA_LR/LR_split_train_questions.json"
    content = json.loads(asked.read_text())
    rows = [row for row in content["questions"] if row["active"]]
    rows = [row for row in rows if row["img_id"] == rows[0]["img_id"]][:3]
    answers = root / "RSVQA_LR/LR_split_train_answers.json"
    answered = json.loads(answers.read_text())
    for row, answer in zip(rows, ("yes", "yes", "no"), strict=True):
        row["question"] = rows[0]["question"].upper() if answer == "no" else rows[0]["question"]
        answered["answers"][row["answers_ids"][0]]["answer"] = answer
    asked.write_text(json.dumps(content))
    answers.write_text(json.dumps(answered))
    return root, rows


def test_repeated_questions_are_told_from_duplicate_rows(
    questions: tuple[Path, list[dict[str, Any]]],
) -> None:
    root, rows = questions
    found = audit(["vqa_lr"], data_dir=str(root))
    (train,) = (one for one in found.repeats if one.part == "vqa_lr/train")
    ids = [f"rsvqa_lr/train/{row['id']:06}" for row in rows]
    assert [(one.ids, one.answers) for one in train.questions] == [(ids, ["yes", "no"])]
    assert [one.ids for one in train.duplicates] == [ids[:2]]
    assert (train.duplicate_rows, train.contradictions) == (1, 1)


def test_questions_on_a_leaked_image_are_compared(releases: Path, tmp_path: Path) -> None:
    root = shutil.copytree(releases, tmp_path / "releases")
    rows = datasets.load_dataset(NAME, "vqa_lr", data_dir=str(root), wording="fixed")
    test, tested = next(iter(_said(rows["test"]).items()))
    # A training image whose questions are asked there too, with equal and with other answers.
    trained, said = next(
        (image, said)
        for image, said in _said(rows["train"]).items()
        if len({said[asked] == tested[asked] for asked in said.keys() & tested.keys()}) == 2
    )
    shutil.copyfile(test, trained)
    (leak,) = audit(["vqa_lr"], data_dir=str(root)).leaks
    assert {asked.question: asked.same_answer for asked in leak.questions} == {
        asked: said[asked] == tested[asked] for asked in said.keys() & tested.keys()
    }


def _said(rows: datasets.Dataset) -> dict[Path, dict[str, str]]:
    """For each image its questions, in lower case, with their answers."""
    said: dict[Path, dict[str, str]] = {}
    for row, image in zip(rows.select_columns(["messages"]), _image_paths(rows), strict=True):
        question, answer = (message["content"] for message in row["messages"])
        said.setdefault(image, {})[question.lower()] = answer
    return said


def test_a_named_release_must_be_there_and_others_may_be_absent(
    releases: Path, tmp_path: Path
) -> None:
    (tmp_path / "UCM_captions").symlink_to(releases / "UCM_captions")
    found = audit(data_dir=str(tmp_path))
    assert {one.part.split("/")[0] for one in found.repeats} == {"cap_ucm", "scene_ucm"}
    assert "RSVQA-LR is not at" in found.absent["vqa_lr"]
    with pytest.raises(SourceNotFoundError, match="RSVQA-LR is not at"):
        audit(["cap_ucm", "vqa_lr"], data_dir=str(tmp_path))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(SourceNotFoundError, match="is not at"):
        audit(data_dir=str(tmp_path / "nothing"))


# --- What images are known by --------------------------------------------------------------------


@pytest.fixture
def pictures(releases: Path) -> list[str]:
    return [str(path) for path in sorted((releases / "UCM_captions/imgs").iterdir())]


def test_a_second_run_reads_nothing_and_an_edit_is_noticed(
    pictures: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = [shutil.copy(path, tmp_path) for path in pictures[:5]]
    opened: list[str] = []
    known_by = hashing.known_by
    monkeypatch.setattr(hashing, "known_by", lambda path: opened.append(path) or known_by(path))
    read = partial(read_images, copies, tmp_path / "cache.sqlite")
    first = read()
    assert sorted(opened) == sorted(copies)
    opened.clear()
    again = read()
    assert not opened
    for name in ("content", "pixels", "dhash", "looks"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    shutil.copyfile(pictures[5], copies[0])
    os.utime(copies[0], ns=(1, 1))
    changed = read()
    assert opened == [copies[0]]
    assert changed.dhash[0] != first.dhash[0]


def test_an_interrupted_run_goes_on_where_it_was(
    pictures: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rs_gpt4v_builders.image_memory._BATCH", 4)
    known_by = hashing.known_by
    opened: list[str] = []

    def stop_at_the_tenth(path: str) -> Any:
        if path == pictures[9]:
            raise KeyboardInterrupt
        return known_by(path)

    monkeypatch.setattr(hashing, "known_by", stop_at_the_tenth)
    with pytest.raises(KeyboardInterrupt):
        read_images(pictures[:12], tmp_path / "cache.sqlite")
    monkeypatch.setattr(hashing, "known_by", lambda path: opened.append(path) or known_by(path))
    resumed = read_images(pictures[:12], tmp_path / "cache.sqlite")
    assert sorted(opened) == sorted(pictures[8:12])
    assert np.array_equal(
        resumed.looks, read_images(pictures[:12], tmp_path / "other.sqlite").looks
    )


def test_a_file_that_cannot_be_decoded_is_known_by_its_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg")]
    for path, content in zip(paths, (b"no image", b"no image", b"none either"), strict=True):
        path.write_bytes(content)
    images = read_images([str(path) for path in paths], tmp_path / "cache.sqlite")
    found = matches(images, np.array([0]), np.array([1, 2]), near_pairs(images, *_two([0], [1, 2])))
    assert found[["image", "other", "kind"]].to_numpy().tolist() == [[0, 1, "same bytes"]]


def _two(left: list[int], right: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(left), np.array(right)


def _made_up(thumbnails: np.ndarray, dhash: list[int]) -> Images:
    n = len(thumbnails)
    return Images(
        [f"{i}.png" for i in range(n)],
        np.arange(n),
        np.arange(n),
        np.array(dhash, np.uint64),
        thumbnails,
    )


def test_pictures_of_the_same_bytes_and_other_sides_are_not_the_same_pixels(tmp_path: Path) -> None:
    for name, size in (("wide.png", (20, 10)), ("high.png", (10, 20)), ("again.bmp", (20, 10))):
        Image.new("RGB", size, (9, 9, 9)).save(tmp_path / name)
    wide, high, again = (
        hashing.known_by(str(tmp_path / name))[1] for name in ("wide.png", "high.png", "again.bmp")
    )
    assert wide == again
    assert wide != high


def test_smooth_pictures_with_one_hash_are_not_near() -> None:
    rng = np.random.default_rng(0)
    slope = np.linspace(40, 200, 32)[None, None] + rng.normal(0, 4, (3, 32, 32))
    images = _made_up(slope.clip(0, 255).astype(np.uint8), [0, 0, 0])
    assert near_pairs(images, *_two([0], [1, 2])).empty


def test_pictures_of_one_grey_are_not_near() -> None:
    images = _made_up(np.full((3, 32, 32), 100, np.uint8), [0, 0, 0])
    assert near_pairs(images, *_two([0], [1, 2])).empty


@pytest.mark.parametrize(("bits", "is_near"), [(10, True), (11, False)])
def test_near_pictures_have_close_hashes(bits: int, *, is_near: bool) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (1, 32, 32), dtype=np.uint8)
    images = _made_up(np.repeat(picture, 2, axis=0), [0, 2**bits - 1])
    assert len(near_pairs(images, *_two([0], [1]))) == is_near


def test_blocks_do_not_change_what_is_near(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (20, 32, 32), dtype=np.uint8)
    images = _made_up(np.concatenate([pictures, pictures]), list(range(20)) * 2)
    whole = near_pairs(images, np.arange(20), np.arange(20, 40))
    monkeypatch.setattr("rs_gpt4v_builders.audit.matching._BLOCK", 3)
    assert near_pairs(images, np.arange(20), np.arange(20, 40)).equals(whole)
    assert whole[["left", "right"]].to_numpy().tolist() == [[i, i + 20] for i in range(20)]


@needs_shared
def test_real_pictures_and_their_copies_are_told_apart(tmp_path: Path) -> None:
    """Of 2,100 images of UC Merced two are one picture; copies of them are found."""
    folder = SHARED / "ucm_captions/imgs_jpg"
    originals = sorted(folder.glob("*.jpg"), key=lambda path: int(path.stem))
    copies = []
    for place, path in enumerate(originals[::50]):
        copies.append(tmp_path / path.with_suffix(".png").name)
        (_smaller, _brighter, _saved_again)[place % 3](path, copies[-1])
    paths = [str(path) for path in [*originals, *copies]]
    images = read_images(paths, tmp_path / "cache.sqlite")
    every = np.arange(len(originals))
    near = near_pairs(images, every, every)
    same = np.flatnonzero(np.bincount(images.pixels[every])[images.pixels[every]] > 1)
    assert near.empty
    assert [originals[place].name for place in same] == ["102.jpg", "103.jpg"]
    copied = np.arange(len(originals), len(paths))
    found = matches(images, copied, every, near_pairs(images, copied, every))
    assert all(
        copies[image - len(originals)].stem == originals[other].stem
        for image, other in found[["image", "other"]].to_numpy()
    )
    assert len(found) >= 0.95 * len(copies)


# --- A build without leaks -----------------------------------------------------------------------


def _load(config: str, root: Path, cache: Path, **options: Any) -> datasets.DatasetDict:
    return datasets.load_dataset(NAME, config, data_dir=str(root), cache_dir=str(cache), **options)


@pytest.mark.parametrize("num_proc", [None, 2])
def test_exclude_leaks_leaves_out_exactly_the_leaking_rows(
    leaking: tuple[Path, set[Any]], found: Audit, num_proc: int | None, tmp_path: Path
) -> None:
    whole = _load("captioning", leaking[0], tmp_path)
    without = _load("captioning", leaking[0], tmp_path, exclude_leaks=True, num_proc=num_proc)
    leaked = {row for leak in found.leaks for pair in leak.pairs for row in pair.rows}
    assert leaked
    assert without["train"]["id"] == [row for row in whole["train"]["id"] if row not in leaked]
    for split in ("validation", "test"):
        assert without[split].to_list() == whole[split].to_list()


def test_validation_rows_on_test_images_are_left_out_too(releases: Path, tmp_path: Path) -> None:
    root = shutil.copytree(releases, tmp_path / "releases")
    folder = root / "UCM_captions"
    content = json.loads((folder / "dataset.json").read_text())
    first = {record["split"]: record["filename"] for record in reversed(content["images"])}
    shutil.copyfile(folder / "imgs" / first["test"], folder / "imgs" / first["val"])
    whole = _load("cap_ucm", root, tmp_path / "cache")["validation"]["id"][:]
    without = _load("cap_ucm", root, tmp_path / "cache", exclude_leaks=True)["validation"]["id"][:]
    leaked = f"ucm_captions/validation/{Path(first['val']).stem}/"
    assert without == [row for row in whole if not row.startswith(leaked)] != whole


def test_what_is_left_out_is_listed_with_its_reason(
    leaking: tuple[Path, set[Any]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    without = _load("cap_sydney", leaking[0], tmp_path, exclude_leaks=True)
    folder = Path(without["train"].cache_files[0]["filename"]).parent
    (line,) = (folder / "dropped-sydney_captions-train.jsonl").read_text().splitlines()
    (planted,) = (one for one in leaking[1] if one[0] == "cap_sydney/train")
    assert json.loads(line) == {
        "id": f"sydney_captions/train/{Path(planted[1]).stem}",
        "kind": "image is a test image",
        "reason": f"its image is ucm_captions/test/{planted[2]} (same bytes)",
    }
    assert "dropped 1 (its image is ucm_captions/test/" in caplog.text
    assert not (folder / "dropped-sydney_captions-test.jsonl").exists()


def test_an_edited_test_image_builds_anew(
    leaking: tuple[Path, set[Any]], releases: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(leaking[0], tmp_path / "releases")
    (planted,) = (one for one in leaking[1] if one[0] == "cap_sydney/train")
    before = _load("cap_sydney", root, tmp_path / "cache", exclude_leaks=True)
    other = next((releases / "NWPU-Captions/NWPU_images").rglob("*.jpg"))
    shutil.copyfile(other, root / "UCM_captions/imgs" / planted[2])
    after = _load("cap_sydney", root, tmp_path / "cache", exclude_leaks=True)
    assert len(after["train"]) > len(before["train"])


def test_exclude_leaks_streams_the_same_rows(
    leaking: tuple[Path, set[Any]], tmp_path: Path
) -> None:
    built = _load("cap_sydney", leaking[0], tmp_path, exclude_leaks=True)
    streamed = _load("cap_sydney", leaking[0], tmp_path, exclude_leaks=True, streaming=True)
    assert [row["id"] for row in streamed["train"]] == built["train"]["id"][:]


def test_a_recipe_can_exclude_leaks(leaking: tuple[Path, set[Any]]) -> None:
    training = pytest.importorskip("rs_gpt4v_training.rows")
    arguments = partial(
        training.DataArguments, ["cap_sydney"], data_dir=str(leaking[0]), box_format="llava"
    )
    whole, without = (
        training.load_rows(arguments(exclude_leaks=excluded), "train", seed=0)
        for excluded in (False, True)
    )
    assert len(without) < len(whole)


def test_without_the_option_no_images_are_compared(
    leaking: tuple[Path, set[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("rs_gpt4v_builders.audit.exclude.read_images")
    _load("cap_sydney", leaking[0], tmp_path)


# --- The page and the verb -----------------------------------------------------------------------


@pytest.fixture
def hostile(pictures: list[str]) -> Audit:
    script = "<script>document.title = 'broken'</script>"
    pair = Pair(pictures[0], pictures[1], "near", 0.95, [f"a/{script}"], ["b/1"])
    repeat = Repeat(script, ["a/1", "a/2"], [script, "no"])
    return Audit(
        [Overlap("cap_ucm/train", "cap_ucm/test", [pair] * 9, [])],
        [Repeats("cap_ucm/train", 9, 9, [repeat] * 20, [repeat])],
        {"vqa_lr": script},
    )


def test_the_page_escapes_what_releases_say(hostile: Audit, tmp_path: Path) -> None:
    write_page(hostile, tmp_path / "audit.html")
    page = (tmp_path / "audit.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert list(tmp_path.iterdir()) == [tmp_path / "audit.html"]


def test_the_page_says_what_it_does_not_show(hostile: Audit, tmp_path: Path) -> None:
    write_page(hostile, tmp_path / "audit.html", sample=True)
    page = (tmp_path / "audit.html").read_text()
    assert page.count("<img") == 12
    assert "3 more pairs" in page
    assert "and 8 more" in page
    assert "synthetic" in page


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_shows_the_page_and_runs_nothing(hostile: Audit, tmp_path: Path) -> None:
    write_page(hostile, tmp_path / "audit.html")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    url = (tmp_path / "audit.html").as_uri()
    shown = subprocess.check_output([*command, url], text=True, stderr=subprocess.DEVNULL)
    assert "<title>rs-gpt4v audit</title>" in shown
    assert shown.count("data:image/jpeg") == 12


def test_the_verb_prints_a_table_or_json(
    leaking: tuple[Path, set[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "audit.html"
    call = ["rs-gpt4v", "audit", "captioning", "--data-dir", str(leaking[0]), "--out", str(out)]

    def said(*more: str) -> str:
        monkeypatch.setattr("sys.argv", [*call, *more])
        with pytest.raises(SystemExit, match="0"):
            main()
        return capsys.readouterr().out

    table = said()
    assert "cap_sydney/train  cap_ucm/test  1" in table
    assert out.read_text().count("<img") == 2 * len(PLANTED)
    listed = json.loads(said("--json"))
    assert len(listed["overlaps"]) == len(PLANTED)
    assert listed["overlaps"][0]["pairs"][0]["rows"]


def test_what_was_not_audited_is_said_first(releases: Path, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/UCM_captions").symlink_to(releases / "UCM_captions")
    found = audit(data_dir=str(tmp_path / "root"))
    said = to_text(found).splitlines()[0]
    only = f"Only 2 of {len(CONFIGS)} configs were audited"
    assert said.startswith(f"{only}: cap_nwpu, cap_rsicd")
    write_page(found, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.index(only) < page.index('<dl class="figures">')


def test_build_can_exclude_leaks(
    leaking: tuple[Path, set[Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    counts = []
    for more in ([], ["--exclude-leaks"]):
        monkeypatch.setattr(
            "sys.argv", ["rs-gpt4v", "build", "cap_sydney", "--data-dir", str(leaking[0]), *more]
        )
        with pytest.raises(SystemExit, match="0"):
            main()
        counts.append(int(capsys.readouterr().out.split("train ")[1].split()[0]))
    assert counts[1] < counts[0]


def test_cache_that_is_none_ends_in_one_line(releases: Path, tmp_path: Path) -> None:
    paths = [str(path) for path in sorted((releases / "UCM_captions").rglob("*.tif"))[:2]]
    cache = tmp_path / "cache.sqlite"
    cache.write_bytes(b"garbage" * 100)
    with pytest.raises(hashing.CacheError, match=r"cache\.sqlite: file is not a database.*delete"):
        read_images(paths, cache)
    with pytest.raises(OSError, match="unable to open database file"):
        read_images(paths, tmp_path)


def test_damaged_answers_of_the_cache_are_made_anew(releases: Path, tmp_path: Path) -> None:
    paths = [str(path) for path in sorted((releases / "UCM_captions").rglob("*.tif"))[:2]]
    cache = tmp_path / "cache.sqlite"
    whole = read_images(paths, cache)
    with closing(sqlite3.connect(cache)) as database, database:
        database.execute(f"UPDATE {hashing._TABLE} SET dhash = 'text', thumbnail = NULL")
    again = read_images(paths, cache)
    assert (again.dhash == whole.dhash).all()
    assert (again.looks == whole.looks).all()


SHIP = "A\u00a0ship ."


class TestCharacters:
    def characters(self, root: Path, **options: Any) -> dict[tuple[str, str], tuple[int, int, str]]:
        found = audit(["cap_ucm"], data_dir=str(root), **options).characters
        return {(one.part, one.character): (one.rows, one.references, one.first) for one in found}

    @pytest.fixture
    def root(self, releases: Path, tmp_path: Path) -> Path:
        folder = tmp_path / "UCM_captions"
        shutil.copytree(releases / "UCM_captions", folder)
        return tmp_path

    def write(self, root: Path, split: str, captions: list[str]) -> str:
        """The captions of the first image of ``split``, whose key is returned."""
        file = root / "UCM_captions/dataset.json"
        content = json.loads(file.read_text())
        image = next(image for image in content["images"] if image["split"] == split)
        image["sentences"] = [{"raw": caption} for caption in captions]
        file.write_text(json.dumps(content))
        return Path(image["filename"]).stem

    def test_plain_captions_hold_none(self, root: Path) -> None:
        self.write(root, "test", ["A well-known caf\u00e9 , 10 m\u00b2 (~90 %) .", "a & b <c> #d;"])
        assert self.characters(root) == {}

    @pytest.mark.parametrize(
        ("text", "character"),
        [
            (SHIP, "U+00A0 NO-BREAK SPACE"),
            ("A ship\u200b .", "U+200B ZERO WIDTH SPACE"),
            ("\ufeffA ship .", "U+FEFF ZERO WIDTH NO-BREAK SPACE"),
            ("A sh\u00adip .", "U+00AD SOFT HYPHEN"),
            ("A ship\t.", "U+0009 Cc"),
            ("A ship\u0085.", "U+0085 Cc"),
            ("A \u2018ship .", "U+2018 LEFT SINGLE QUOTATION MARK"),
            ("A ship\u2019s mast .", "U+2019 RIGHT SINGLE QUOTATION MARK"),
            ("A \u201eship .", "U+201E DOUBLE LOW-9 QUOTATION MARK"),
            ("A ship \u2013 white .", "U+2013 EN DASH"),
            ("A cafe\u0301 .", "U+0301 COMBINING ACUTE ACCENT"),
            ("A ship\uff0c white .", "U+FF0C FULLWIDTH COMMA"),
            ("A \ufffd ship .", "U+FFFD REPLACEMENT CHARACTER"),
            ("A\\u00a0ship .", "\\u00a0"),
            ("A\\xa0ship .", "\\xa0"),
            ("A ship .\\n", "\\n"),
            ("A ship &amp; a car .", "&amp;"),
            ("A&nbsp;ship .", "&nbsp;"),
            ("A&#160;ship .", "&#160;"),
        ],
    )
    def test_each_is_named_and_counted(self, root: Path, text: str, character: str) -> None:
        """One of three captions: a row of its own, and in the references of all three."""
        key = self.write(root, "train", ["one .", text, "two ."])
        first = f"ucm_captions/train/{key}/0"
        assert self.characters(root) == {("cap_ucm/train", character): (1, 3, first)}

    def test_test_images_that_hold_it_only_in_their_references(self, root: Path) -> None:
        key = self.write(root, "test", ["one .", SHIP, SHIP])
        row = f"ucm_captions/test/{key}/0"
        assert self.characters(root) == {
            ("cap_ucm/test", "U+00A0 NO-BREAK SPACE"): (0, 1, row),
        }
        rows = datasets.load_dataset(NAME, "cap_ucm", data_dir=str(root), split="test")
        assert rows[0]["references"] == ["one .", SHIP, SHIP]  # nothing is changed

    def test_page_and_text_show_them(self, root: Path, tmp_path: Path) -> None:
        self.write(root, "test", [SHIP, "A \u2019 ."])
        found = audit(["cap_ucm"], data_dir=str(root))
        assert "cap_ucm/test  U+00A0 NO-BREAK SPACE" in to_text(found)
        write_page(found, tmp_path / "page.html")
        page = (tmp_path / "page.html").read_text()
        assert (
            '<td class="words">U+2019 RIGHT SINGLE QUOTATION MARK</td><td>0</td><td>1</td>' in page
        )
