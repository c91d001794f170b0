"""A published mixture compared with test splits: by pictures, hashes, names and words."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from conftest import SHARED, needs_shared
from PIL import Image, ImageEnhance

from rs_gpt4v import NAME
from rs_gpt4v.cli import main
from rs_gpt4v.files import InvalidFileError
from rs_gpt4v_builders.audit.contamination import contamination, hash_images
from rs_gpt4v_builders.audit.findings import Audit, Overlap
from rs_gpt4v_builders.audit.images import edge_bits, images_of, known_images
from rs_gpt4v_builders.audit.matching import near_pairs
from rs_gpt4v_builders.audit.page import write_page
from rs_gpt4v_builders.audit.text import by_name, by_picture, to_text
from rs_gpt4v_builders.sources.reading import AnnotationError

CONFIGS = ["vqa_lr", "cap_ucm"]


def item(image: Any, question: str, answer: str, **more: Any) -> dict[str, Any]:
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return {"image": image, "conversations": turns, **more}


@pytest.fixture(scope="module")
def tests_of(releases: Path) -> dict[str, list[dict[str, Any]]]:
    """The test rows of both configs."""
    options: Any = {"data_dir": str(releases), "wording": "fixed"}
    return {
        config: datasets.load_dataset(NAME, config, split="test", **options)
        .cast_column("images", datasets.List(datasets.Image(decode=False)))
        .to_list()
        for config in CONFIGS
    }


def path_of(row: dict[str, Any]) -> Path:
    return Path(row["images"][0]["path"])


def against(
    releases: Path, file: Path, items: object, configs: Sequence[str] = CONFIGS, **options: Any
) -> dict[str, Overlap]:
    """The overlaps with a mixture, by test split."""
    lines = items if isinstance(items, str) else json.dumps(items)
    file.write_text(lines, encoding="utf-8")
    return by_split(found_in(releases, file, configs, **options))


def found_in(releases: Path, file: Path, configs: Sequence[str], **options: Any) -> Audit:
    return contamination(
        configs, file, file.parent / "cache.sqlite", data_dir=str(releases), **options
    )


def by_split(found: Audit) -> dict[str, Overlap]:
    return {overlap.right: overlap for overlap in found.overlaps}


def test_pictures_beside_the_file_are_compared_by_their_pixels(
    releases: Path, tests_of: Any, tmp_path: Path
) -> None:
    row, other = tests_of["vqa_lr"][0], tests_of["cap_ucm"][0]
    Image.open(path_of(row)).save(tmp_path / "a.png")
    Image.open(path_of(other)).convert("RGB").save(tmp_path / "b.jpg", quality=90)
    Image.new("RGB", (64, 64)).save(tmp_path / path_of(row).name)  # its name, another picture
    question = row["messages"][0]["content"].split("\n")[0]
    items = [
        item("a.png", f"<image>\n[vqa] {question}?", f"{row['references'][0].upper()}.", id="q"),
        item(["b.jpg", path_of(row).name], "Describe both.", "A dark one.", id="two"),
        item(None, "What is a harbor?", "A place for ships.", id="none"),
    ]
    found = against(releases, tmp_path / "mix.json", items)
    assert found.keys() == {"vqa_lr/test", "cap_ucm/test"}
    (pair,) = found["vqa_lr/test"].pairs
    assert (pair.kind, pair.rows, Path(pair.image).name) == ("same pixels", ["q"], "a.png")
    assert pair.other_rows == [r["id"] for r in tests_of["vqa_lr"] if path_of(r) == path_of(row)]
    (asked,) = found["vqa_lr/test"].questions
    assert (asked.row, asked.other_row, asked.same_answer) == ("q", row["id"], True)
    (near,) = found["cap_ucm/test"].pairs
    assert (near.kind, near.rows) == ("near", ["two"])


def test_another_answer_to_the_same_question_is_told(
    releases: Path, tests_of: Any, tmp_path: Path
) -> None:
    row = tests_of["vqa_lr"][0]
    shutil.copy(path_of(row), tmp_path / "a.tif")
    items = [item("a.tif", row["messages"][0]["content"], "something else")]
    (asked,) = against(releases, tmp_path / "mix.json", items)["vqa_lr/test"].questions
    assert not asked.same_answer


def test_images_that_are_not_there_are_compared_by_name_and_it_is_said(
    releases: Path, tests_of: Any, tmp_path: Path
) -> None:
    row = tests_of["vqa_lr"][0]
    stem = path_of(row).stem
    items = [
        item(f"ucm/{path_of(tests_of['cap_ucm'][0]).stem}.jpg", "What is it?", "A field."),
        item(f"deep/er\\{stem}.PNG", "Why?", "Because."),
    ]
    file = tmp_path / "mix.json"
    found = against(releases, file, items)["vqa_lr/test"]
    (pair,) = found.pairs
    assert (pair.kind, pair.image) == ("number", f"deep/er\\{stem}.PNG")
    assert pair.agreement == 0
    assert (by_picture(found.pairs), by_name(found.pairs)) == (0, 1)
    text = to_text(found_in(releases, file, CONFIGS))
    assert "0 of its 2 images by picture or hash, 2 by name alone" in text
    assert "a hint and no proof" in text
    assert f"by name (a number): deep/er\\{stem}.PNG = {path_of(row)}" in text


def test_a_picture_that_differs_is_no_match_whatever_its_name(
    releases: Path, tests_of: Any, tmp_path: Path
) -> None:
    name = path_of(tests_of["vqa_lr"][0]).with_suffix(".png").name
    Image.effect_noise((64, 64), 50).save(tmp_path / name)
    assert not against(releases, tmp_path / "mix.json", [item(name, "Why?", "Because.")])


def test_a_name_that_is_a_word_is_more_than_a_number(tmp_path: Path) -> None:
    root = tmp_path / "own"
    root.mkdir()
    Image.effect_noise((64, 64), 50).save(root / "Airport_1.tif")
    row = item("Airport_1.tif", "What is it?", "An airport.")
    (root / "test.json").write_text(json.dumps([row]))
    file = tmp_path / "names.txt"
    file.write_text("\nrsicd/airport_1.jpg\nairport_10.jpg\nairport_1\n")
    found = by_split(found_in(root, file, ["folder"]))["folder/test"]
    assert [(pair.kind, pair.image, pair.rows) for pair in found.pairs] == [
        ("name", "rsicd/airport_1.jpg", ["000000"]),
        ("name", "airport_1", ["000002"]),
    ]


def test_sentences_are_found_without_any_image(
    releases: Path, tests_of: Any, tmp_path: Path
) -> None:
    captions = [(r["id"], c) for r in tests_of["cap_ucm"] for c in r["references"]]
    images: dict[str, set[str]] = {}
    for id_, caption in captions:
        images.setdefault(caption, set()).add(id_.rpartition("/")[0])
    long = [c for c in images if len(c.split()) > 7]
    (id_, alone) = next((i, c) for i, c in captions if c in long and len(images[c]) == 1)
    items = [
        item("x.jpg", "Describe the image.", f"{alone.rstrip(' .')}!", id="s"),
        item("y.jpg", "Describe the image.", "A short one.", id="t"),
        item("z.jpg", "Is there a road?", "yes", id="u"),
    ]
    found = against(releases, tmp_path / "mix.json", items)
    assert found.keys() == {"cap_ucm/test"}
    assert not found["cap_ucm/test"].pairs
    (said,) = found["cap_ucm/test"].texts
    assert (said.row, said.other_row) == ("s", id_)


@pytest.mark.parametrize("suffix", ["json", "jsonl", "txt"])
def test_a_list_of_names_will_do(
    suffix: str, releases: Path, tests_of: Any, tmp_path: Path
) -> None:
    names = ["no/such.png", f"lr/{path_of(tests_of['vqa_lr'][0]).stem}.png"]
    text = {
        "json": json.dumps(names),
        "jsonl": "".join(json.dumps({"image": name, "id": name}) + "\n" for name in names),
        "txt": "\n".join(names),
    }[suffix]
    found = against(releases, tmp_path / f"names.{suffix}", text, ["vqa_lr"])
    (pair,) = found["vqa_lr/test"].pairs
    assert pair.image == names[1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "[{}", "a.json, line 1"),
        ("a.json", "[]", "a.json has no item"),
        ("a.json", '{"a": 1}', "a.json starts with an object with a; expected"),
        (
            "a.json",
            '[{"text": "x"}]',
            "a.json starts with .*expected a json or jsonl",
        ),
        ("a.txt", " \n", "a.txt has no item"),
        ("a.csv", "image\n1.png\n", "a.csv: expected a json"),
        ("a.json", "[1, 2]", "a.json, item 0: expected the name of an image"),
        ("a.jsonl", '{"hashes": 2, "image": "x"}\n', "a.jsonl, line 1: "),
        ("a.jsonl", '{"hashes": 1, "image": "x"}\n', "a.jsonl, line 1: it lacks splits, bytes"),
        (
            "a.jsonl",
            '{"hashes": 1, "image": "x", "splits": ["a/test"], "bytes": "zz", "pixels": "",'
            ' "dhash": "", "edges": ""}\n',
            "a.jsonl, line 1: bytes is 'zz', expected 32 hexadecimal digits",
        ),
    ],
)
def test_what_is_no_mixture_is_said_with_its_place(
    name: str, content: str, message: str, releases: Path, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_text(content)
    with pytest.raises((AnnotationError, InvalidFileError), match=message):
        found_in(releases, file, ["cap_ucm"])


def test_items_that_cannot_be_read_are_counted_and_named(releases: Path, tmp_path: Path) -> None:
    good = item("1.png", "Why?", "Because.")
    file = tmp_path / "mix.json"
    file.write_text(json.dumps([good, {"image": "2.png", "conversations": []}, good]))
    (compared,) = found_in(releases, file, ["cap_ucm"]).compared
    assert (compared.rows, compared.images) == (3, 1)
    assert len(compared.unreadable) == 1
    assert "mix.json, item 1" in compared.unreadable[0]


def test_a_folder_without_any_of_the_images_is_refused(releases: Path, tmp_path: Path) -> None:
    file = tmp_path / "mix.json"
    file.write_text(json.dumps([item("1.png", "Why?", "Because.")]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty has none of the 1 images of .*such as '1.png'"):
        found_in(releases, file, ["cap_ucm"], pictures=tmp_path / "empty")


# --- Hashes --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hashes(releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hashes")
    written = hash_images(
        CONFIGS, folder / "tests.jsonl", folder / "cache.sqlite", data_dir=str(releases)
    )
    assert written.keys() == {"vqa_lr/test", "cap_ucm/test"}
    return folder / "tests.jsonl"


def test_hashes_tell_no_path_of_this_machine(hashes: Path, releases: Path) -> None:
    lines = [json.loads(line) for line in hashes.read_text().splitlines()]
    assert str(releases) not in hashes.read_text()
    assert all((releases / line["image"]).is_file() for line in lines)
    assert {split for line in lines for split in line["splits"]} == {"vqa_lr/test", "cap_ucm/test"}
    assert {len(line["edges"]) for line in lines} == {120}


def test_own_training_images_are_found_in_shipped_hashes(
    hashes: Path, tests_of: Any, tmp_path: Path
) -> None:
    originals = [path_of(tests_of[config][0]) for config in CONFIGS]
    own = tmp_path / "own"
    own.mkdir()
    Image.open(originals[0]).save(own / "pixels.png")
    Image.open(originals[1]).convert("RGB").save(own / "near.jpg", quality=85)
    Image.effect_noise((64, 64), 50).save(own / "mine.png")
    rows = [item(path.name, "What?", "This.") for path in sorted(own.iterdir())]
    (own / "train.json").write_text(json.dumps(rows))
    found = by_split(found_in(own, hashes, ["folder"]))
    kinds = {
        right: [(pair.kind, Path(pair.image).name) for pair in overlap.pairs]
        for right, overlap in found.items()
    }
    assert kinds == {
        "tests.jsonl:vqa_lr/test": [("same pixels", "pixels.png")],
        "tests.jsonl:cap_ucm/test": [("near", "near.jpg")],
    }
    assert {overlap.left for overlap in found.values()} == {"folder/train"}
    assert all(overlap.is_leak for overlap in found.values())


def test_hashes_of_own_images_are_found_in_the_test_splits(
    releases: Path, tests_of: Any, tmp_path: Path
) -> None:
    original = path_of(tests_of["cap_ucm"][0])
    own = tmp_path / "own"
    own.mkdir()
    shutil.copy(original, own / "copy.tif")
    (own / "train.json").write_text(json.dumps([item("copy.tif", "What?", "This.")]))
    folder = tmp_path / "shipped"
    folder.mkdir()
    hash_images(["folder"], folder / "own.jsonl", tmp_path / "cache.sqlite", data_dir=str(own))
    shutil.rmtree(own)
    (overlap,) = found_in(releases, folder, CONFIGS).overlaps
    assert (overlap.left, overlap.right) == ("own.jsonl:folder/train", "cap_ucm/test")
    (pair,) = overlap.pairs
    assert (pair.kind, pair.other) == ("same bytes", str(original.resolve()))


def test_hashes_of_tests_have_no_side_to_compare_with_tests_alone(
    hashes: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    Image.new("RGB", (8, 8)).save(own / "1.png")
    (own / "test.json").write_text(json.dumps([item("1.png", "What?", "This.")]))
    with pytest.raises(ValueError, match="holds test splits alone: name a config with a training"):
        found_in(own, hashes, ["folder"])


def test_edge_bits_are_as_the_form_says() -> None:
    """Against plain loops."""
    rng = np.random.default_rng(0)
    thumbnail = rng.integers(0, 256, (32, 32), dtype=np.uint8)
    grey = [
        [
            sum(int(thumbnail[2 * y + b, 2 * x + a]) for a in (0, 1) for b in (0, 1))
            for x in range(16)
        ]
        for y in range(16)
    ]
    bits = [grey[y][x + 1] > grey[y][x] for y in range(16) for x in range(15)]
    bits += [grey[y + 1][x] > grey[y][x] for y in range(15) for x in range(16)]
    text = "".join("01"[bit] for bit in bits)
    assert edge_bits(thumbnail.tobytes()) == int(text, 2).to_bytes(60, "big")


@needs_shared
def test_hashes_tell_real_pictures_apart_and_find_their_copies(tmp_path: Path) -> None:
    """Of 2,100 images of UC Merced two are one picture; copies of them are found by hashes."""
    folder = SHARED / "ucm_captions/imgs_jpg"
    originals = sorted(folder.glob("*.jpg"), key=lambda path: int(path.stem))
    copies = []
    for place, path in enumerate(originals[::50]):
        copies.append(tmp_path / path.with_suffix(".png").name)
        image = Image.open(path).convert("RGB")
        image = (
            image.resize((image.width // 2, image.height // 2)),
            ImageEnhance.Brightness(image).enhance(1.15),
            image.resize((300, 300)),
        )[place % 3]
        image.save(copies[-1])
    paths = [str(path) for path in [*originals, *copies]]
    known = [
        (content, pixels, dhash, edge_bits(thumbnail))
        for content, pixels, dhash, thumbnail in known_images(paths, tmp_path / "cache.sqlite")
    ]
    images = images_of(paths, known)
    every = np.arange(len(originals))
    assert near_pairs(images, every, every).empty  # the two have the same pixels
    found = near_pairs(images, np.arange(len(originals), len(paths)), every)
    pairs = set(zip(found["left"], found["right"], strict=True))
    missed = [
        copy
        for number, copy in enumerate(copies)
        if (images.pixels[len(originals) + number], images.pixels[50 * number]) not in pairs
    ]
    assert len(missed) <= 1


# --- The page and the verb -----------------------------------------------------------------------


def test_the_page_and_json_hold_all_ids(
    releases: Path,
    tests_of: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = tests_of["vqa_lr"]
    shutil.copy(path_of(rows[0]), tmp_path / "a.tif")
    script = "<script>document.title = 'broken'</script>"
    items = [item("a.tif", script, rows[0]["references"][0], id=script)]
    items += [item("a.tif", r["messages"][0]["content"], "x", id=f"own {r['id']}") for r in rows]
    (tmp_path / "mix.json").write_text(json.dumps(items))
    out = tmp_path / "audit.html"
    call = ["rs-gpt4v", "audit", "vqa_lr", "--data-dir", str(releases), "--out", str(out)]
    call += ["--against", str(tmp_path / "mix.json"), "--json"]
    monkeypatch.setattr("sys.argv", call)
    with pytest.raises(SystemExit) as done:
        main()
    assert not done.value.code
    (overlap,) = json.loads(capsys.readouterr().out)["overlaps"]
    (pair,) = overlap["pairs"]
    assert pair["rows"] == [line["id"] for line in items]
    page = out.read_text()
    about = [r["id"] for r in rows if path_of(r) == path_of(rows[0])]
    assert all(f"own {id_}" in page for id_ in about)
    assert all(id_ in page for id_ in pair["other_rows"])
    assert "<script" not in page
    again = found_in(releases, tmp_path / "mix.json", ["vqa_lr"])
    write_page(again, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == page


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--write-hashes", "h.jsonl", "--against", "m.json"], "give one of them"),
        (["--against-images", "."], "give it with --against"),
        (["--against", "audit.html"], "would overwrite"),
        (["--against", "nothing"], "--against nothing: there is no such file or folder"),
    ],
)
def test_options_that_exclude_each_other(
    more: list[str],
    message: str,
    releases: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["rs-gpt4v", "audit", "--data-dir", str(releases), *more])
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code
    assert message in " ".join(capsys.readouterr().err.split())
