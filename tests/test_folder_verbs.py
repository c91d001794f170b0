"""A user's own folder in every verb, and `rs-gpt4v check`, which looks at it first."""

import json
import logging
import shlex
import shutil
from pathlib import Path
from typing import Any

import datasets
import pytest
from PIL import Image, ImageDraw
from test_cli import run
from typer.testing import CliRunner

from rs_gpt4v import NAME
from rs_gpt4v.cli import app
from rs_gpt4v.files import OverwriteError
from rs_gpt4v_builders.folder.check import check_folder
from rs_gpt4v_builders.folder.contact_sheet import contact_sheet
from rs_gpt4v_builders.sources.reading import AnnotationError
from rs_gpt4v_builders.sources.source import SourceNotFoundError
from rs_gpt4v_training.arguments import DataArguments
from rs_gpt4v_training.rows import load_rows

Row = dict[str, Any]
SIZE = 64


def draw(path: Path, seed: int) -> list[list[float]]:
    """A picture of its own with two squares; their boxes as COCO has them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.effect_noise((SIZE, SIZE), 20 + seed).convert("RGB")
    boxes = [[4.0 + seed, 6.0, 10.0, 10.0], [30.0, 20.0 + seed, 20.0, 12.0]]
    for x, y, width, height in boxes:
        ImageDraw.Draw(image).rectangle((x, y, x + width, y + height), fill=(seed * 9, 60, 99))
    image.save(path)
    return boxes


def write_coco(root: Path, splits: dict[str, int]) -> None:
    categories = [{"id": 1, "name": "pond"}, {"id": 2, "name": "storage-tank"}]
    number = 0
    for split, count in splits.items():
        images, annotations = [], []
        for _ in range(count):
            name = f"{number}.png"
            images.append({"id": number, "file_name": name, "width": SIZE, "height": SIZE})
            for category, box in enumerate(draw(root / "images" / name, number), 1):
                annotations.append({"image_id": number, "category_id": category, "bbox": box})
            number += 1
        file = {"images": images, "annotations": annotations, "categories": categories}
        (root / f"instances_{split}.json").write_text(json.dumps(file))


def write_dialogues(path: Path, *images: object) -> None:
    items = [
        {"image": image, "conversations": [
            {"from": "human", "value": f"Question {number}?"},
            {"from": "gpt", "value": f"Answer {number}."},
        ]}
        for number, image in enumerate(images)
    ]  # fmt: skip
    for item in items:
        if item["image"] is None:
            del item["image"]
    path.write_text(json.dumps(items))


@pytest.fixture(scope="module")
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five training images and three test images with two objects each. Read only."""
    root = tmp_path_factory.mktemp("own") / "tiles"
    write_coco(root, {"train": 5, "test": 3})
    return root


@pytest.fixture
def own(coco: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(coco, tmp_path / "own"))


def result_of(*arguments: str | Path) -> Any:
    """What a verb prints as JSON, without what it logs."""
    return json.loads(CliRunner().invoke(app, [*map(str, arguments), "--json"]).stdout)


def fails(*arguments: str | Path) -> str:
    """What a verb that ends with status 1 has printed."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 1, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output


# --- check --------------------------------------------------------------------------------------


def test_check_says_what_was_read_and_what_to_do_next(coco: Path, tmp_path: Path) -> None:
    text = run("check", coco, "--out", tmp_path / "sheet.png")
    lines = [line.split() for line in text.splitlines()]
    assert f"{coco}: COCO instances (layout coco)" in text
    assert ["train", "5", "5", "0", "5", "50", "instances_train.json"] in lines
    assert ["test", "3", "3", "0", "3", "30", "instances_test.json"] in lines
    assert "Rows: grounding 16, detection 16, region_caption 16, count 16, presence 16" in text
    assert "user:      Where is the storage tank" in text or "user:      Where is the pond" in text
    assert f"drawn in {tmp_path / 'sheet.png'}" in text
    assert f"rs-gpt4v audit folder --data-dir {coco}\n" in text
    assert "rs-gpt4v score outputs/tiles/test.jsonl" in text
    assert "Dropped" not in text
    assert "Look at" not in text
    assert len(text.splitlines()) <= 40
    assert max(map(len, text.partition("Next")[0].splitlines())) <= 100 + len(str(tmp_path))


def test_the_commands_that_check_shows_name_what_was_given(coco: Path, tmp_path: Path) -> None:
    given = ["--layout", "coco", "--images", "images", "--tasks", "count", "--tasks", "presence"]
    files = [
        "--data-files",
        "train=instances_train.json",
        "--data-files",
        "test=instances_test.json",
    ]
    text = run("check", coco, *given, *files, "--out", tmp_path / "sheet.png")
    audit = next(line for line in text.splitlines() if "rs-gpt4v audit" in line)
    words = audit.split()[1:]
    assert set(given + files) <= set(words)
    assert "Repetition within splits" in run(*words, "--out", tmp_path / "audit.html")
    load = next(line for line in text.splitlines() if "load_dataset(" in line).strip()
    rows = eval(load, {"load_dataset": datasets.load_dataset})
    assert set(rows["train"]["task"]) == {"vqa"}
    train = next(line for line in text.splitlines() if "rs-gpt4v train" in line)
    flags = shlex.split(train)
    own = json.loads(flags[flags.index("--own_datasets") + 1])
    files = {"train": ["instances_train.json"], "test": ["instances_test.json"]}
    given = {"layout": "coco", "images": "images", "tasks": ["count", "presence"]}
    assert own == {"folder": {"config": "folder", **given, "data_files": files}}
    data = DataArguments(
        ["folder"], data_dir=str(coco), box_format="llava", own_datasets=json.dumps(own)
    )
    assert len(load_rows(data, "train", 0)) == 20


def test_the_sheet_has_boxes_where_they_are(coco: Path) -> None:
    checked = check_folder(coco)
    row = checked.examples[1]
    assert row["task"] == "detection"
    sheet = contact_sheet([row])
    x_min, y_min, x_max, y_max = row["boxes"][0]["points"]
    scale = 480 / SIZE
    for x, y in ((x_min, (y_min + y_max) / 2), (x_max, (y_min + y_max) / 2)):
        around = sheet.crop(
            (
                int(12 + x * scale) - 3,
                int(30 + y * scale) - 1,
                int(12 + x * scale) + 4,
                int(30 + y * scale) + 2,
            )
        )
        colors = {color for _, color in around.getcolors(10_000) or ()}
        assert (255, 213, 0) in colors


def test_a_row_without_an_image_and_one_with_odd_labels_are_drawn(tmp_path: Path) -> None:
    Image.new("RGB", (30, 300)).save(tmp_path / "1.png")
    row: Row = {"task": "detection", "images": [{"path": str(tmp_path / "1.png")}]}
    row |= {"width": 30, "height": 300, "boxes": [
        {"label": "船", "points": [0, 0, 9, 9], "kind": "hbb"},
        {"label": "a", "points": [5, 5, 20, 9, 18, 30, 3, 26], "kind": "obb"},
    ]}  # fmt: skip
    bare = {"task": "conversation", "images": [], "boxes": []}
    assert contact_sheet([row, bare]).width == 2 * 480 + 3 * 12


def test_check_counts_what_is_dropped_by_kind_and_shows_the_first(own: Path) -> None:
    (own / "images" / "1.png").unlink()
    (own / "images" / "2.png").write_bytes(b"no image")
    file = own / "instances_train.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["bbox"] = [60, 60, 40, 40]
    file.write_text(json.dumps(content))
    train, test = check_folder(own).splits
    assert (train.items, train.kept, train.images) == (5, 2, 2)
    assert (test.items, test.kept) == (3, 3)
    kinds = {dropped.kind: dropped for dropped in train.dropped}
    assert [d.count for d in train.dropped] == [1, 1, 1]
    assert "1.png" in kinds["image is missing"].first
    assert "[60" in kinds["box beyond the image"].first
    text = run("check", own, "--out", own.parent / "sheet.png")
    assert "train, image is missing (1):" in text
    assert "--on-missing skip" in text
    assert 'on_missing="skip"' in text
    built: Any = datasets.load_dataset(NAME, "folder", data_dir=str(own), on_missing="skip")
    assert len(built["train"]) == sum(train.rows.values())


def test_check_fails_where_nothing_can_be_used(own: Path) -> None:
    shutil.rmtree(own / "images")
    text = fails("check", own, "--out", own.parent / "sheet.png")
    assert "train, image is missing (5)" in text
    assert "mend the above, and check again" in text
    assert not (own.parent / "sheet.png").exists()


def test_check_shows_a_split_that_cannot_be_read_beside_the_others(own: Path) -> None:
    file = own / "instances_test.json"
    file.write_text(file.read_text()[:-20])
    text = fails("check", own, "--out", own.parent / "sheet.png")
    assert "Cannot be read" in text
    assert "instances_test.json" in text
    assert ["train", "5", "5", "0", "5", "50", "instances_train.json"] in [
        line.split() for line in text.splitlines()
    ]
    checked = check_folder(own)
    assert not checked.is_usable
    with pytest.raises(AnnotationError, match="instances_test"):
        datasets.load_dataset(NAME, "folder", data_dir=str(own), on_missing="skip")


def test_check_warns_of_repeated_rows_shared_images_and_no_test_split(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        draw(tmp_path / name, int(name[0]))
    table = "image,question,answer\n1.png,Is it?,yes\n1.png,Is it?,yes\n1.png,Is it?,no\n"
    (tmp_path / "train.csv").write_text(table)
    (tmp_path / "val.csv").write_text("image,question,answer\n1.png,What?,a\n2.png,What?,b\n")
    checked = check_folder(tmp_path)
    assert checked.splits[0].repeated == 1
    assert checked.warnings[:2] == [
        "train: 1 rows say the same of the same image as others",
        f"train and validation share 1 images, such as {tmp_path / '1.png'}",
    ]
    assert "no split is called test" in checked.warnings[2]
    assert "--data-files test=FILE" in checked.warnings[2]


def test_what_is_logged_of_a_folder_is_a_warning_of_the_check_once(
    own: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (own / "notes.csv").write_text("a,b\n1,2\n")
    with caplog.at_level(logging.WARNING):
        warnings = check_folder(own).warnings
    assert [text for text in warnings if "not read: notes.csv" in text] == [
        f"{own}: not of layout coco, and not read: notes.csv"
    ]
    assert "notes.csv" not in caplog.text


def test_the_picture_of_a_folder_that_we_are_in_goes_elsewhere(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(own)
    assert f"drawn in {tmp_path / 'check-own.png'}" in run("check", ".")
    monkeypatch.chdir(tmp_path)
    assert f"drawn in {tmp_path / 'check-own.png'}" in run("check", "own")


def test_check_as_json(coco: Path, tmp_path: Path) -> None:
    result = result_of("check", coco, "--out", tmp_path / "sheet.png")
    assert result["splits"][0]["rows"]["count"] == 10
    assert result["picture"] == str(tmp_path / "sheet.png")


# --- The other verbs ----------------------------------------------------------------------------


def test_build_with_options(coco: Path) -> None:
    text = run("build", "folder", "--data-dir", coco, "--tasks", "count", "--tasks", "grounding")
    assert "folder: train 20  test 12" in text
    one = run("build", "folder", "--data-dir", coco, "--data-files", "instances_test.json")
    assert "folder: test 30" in one


def test_columns_are_named_as_pairs(tmp_path: Path) -> None:
    draw(tmp_path / "1.png", 1)
    (tmp_path / "a.csv").write_text("tile,text_en,text_de\n1.png,a field,ein Feld\n")
    given = ["--columns", "image=tile", "--columns", "caption=text_en", "--layout", "captions"]
    assert "folder: train 1" in run("build", "folder", "--data-dir", tmp_path, *given)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--columns", "tile"], "--columns tile: expected NAME=VALUE, such as caption=text_en"),
        (["--data-files", "train="], "--data-files train=: expected NAME=VALUE, such as train=a"),
        (["--layout", "cooc"], "layout='cooc': expected auto or one of llava"),
        (["--text-boxes", "odd"], "text_boxes"),
        (["--id-prefix", "rsvqa_hr"], "id_prefix='rsvqa_hr'"),
        (["--tasks", "counting"], "tasks: 'counting' is not one of grounding"),
        (["--images", "nowhere"], "images='nowhere'"),
        (["--data-files", "x.json"], "x.json is not there"),
    ],
)
def test_bad_options_are_named(coco: Path, flags: list[str], message: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        run("build", "folder", "--data-dir", coco, *flags)


def test_options_of_the_folder_are_for_no_other_config(releases: Path) -> None:
    with pytest.raises(ValueError, match="tasks: for the config 'folder', not 'cap_ucm'"):
        run("build", "cap_ucm", "--data-dir", releases, "--tasks", "count")


def test_the_folder_of_the_releases_is_not_read_as_ones_own(
    releases: Path, coco: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RS_GPT4V_DATA", str(releases))
    with pytest.raises(ValueError, match="name the folder of your files with --data-dir"):
        run("build", "folder")
    assert "folder: train" in run("build", "folder", "--data-dir", coco)
    assert "cap_ucm: train" in run("build", "cap_ucm")


@pytest.mark.parametrize("verb", ["build", "stats", "audit", "principles"])
def test_a_folder_that_is_not_said(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RS_GPT4V_DATA", raising=False)
    with pytest.raises(ValueError, match="folder: give data_dir"):
        run(verb, "folder")


def test_stats_describe_each_task(coco: Path, tmp_path: Path) -> None:
    text = run("stats", "folder", "--data-dir", coco)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "folder train, grounding 10 10 5 2 / 2 / 2" in lines
    assert "folder test, vqa count 6; presence 6" in lines
    assert "paper" not in text
    details = result_of("stats", "folder", "--data-dir", coco)["details"]
    assert [d["split"] for d in details][:2] == ["train, grounding", "train, detection"]
    with pytest.raises(ValueError, match="--plot draws Table 1"):
        run("stats", "folder", "--data-dir", coco, "--plot", tmp_path / "a.png")


def test_stats_of_a_release_alone(releases: Path) -> None:
    text = run("stats", "cap_ucm", "--data-dir", releases)
    assert "cap_ucm" in text
    assert "cap_rsicd" not in text
    assert "paper" not in text


def test_texts_without_images_and_rows_of_several_are_described_and_audited(tmp_path: Path) -> None:
    for name in ("1.png", "2.png", "3.png"):
        draw(tmp_path / name, int(name[0]))
    write_dialogues(tmp_path / "train.json", ["1.png", "2.png"], None, "3.png")
    write_dialogues(tmp_path / "test.json", "2.png")
    text = run("stats", "folder", "--data-dir", tmp_path)
    assert ["folder", "train", "3", "3", "3", "1", "/", "1", "/", "1"] in [
        line.split() for line in text.splitlines()
    ]
    found = result_of("audit", "folder", "--data-dir", tmp_path, "--out", tmp_path / "a.html")
    (overlap,) = found["overlaps"]
    assert [pair["rows"] for pair in overlap["pairs"]] == [["folder/train/000000"]]
    assert "conversation" in run(
        "principles", "folder", "--data-dir", tmp_path, "--out", tmp_path / "p.html"
    )


def test_a_split_of_texts_alone_is_described_and_audited(tmp_path: Path) -> None:
    draw(tmp_path / "1.png", 1)
    write_dialogues(tmp_path / "train.json", None, None)
    write_dialogues(tmp_path / "test.json", "1.png")
    assert "folder" in run("stats", "folder", "--data-dir", tmp_path)
    text = run("audit", "folder", "--data-dir", tmp_path, "--out", tmp_path / "a.html")
    assert "Training images in test splits: none" in text


def test_audit_compares_the_questions_of_a_split_of_several_tasks(tmp_path: Path) -> None:
    write_coco(tmp_path, {"train": 2, "test": 1})
    shutil.copyfile(tmp_path / "images" / "0.png", tmp_path / "images" / "2.png")
    shutil.copyfile(tmp_path / "instances_train.json", tmp_path / "instances_test.json")
    found = result_of("audit", "folder", "--data-dir", tmp_path, "--out", tmp_path / "a.html")
    (overlap,) = found["overlaps"]
    assert len(overlap["pairs"]) == 2
    questions = " ".join(shared["question"] for shared in overlap["questions"])
    assert "where is the pond" in questions
    assert "how many" in questions, questions


def test_audit_against_the_releases(own: Path, releases: Path, tmp_path: Path) -> None:
    rows = datasets.load_dataset("rs_gpt4v", "cap_ucm", data_dir=str(releases), split="test")
    leak = rows.cast_column("images", datasets.List(datasets.Image(decode=False)))[0]["images"][0][
        "path"
    ]
    with Image.open(leak) as image:
        width, height = image.size
        image.convert("RGB").save(own / "images" / "0.png")
    content = json.loads((own / "instances_train.json").read_text())
    content["images"][0] |= {"width": width, "height": height}
    (own / "instances_train.json").write_text(json.dumps(content))
    out = tmp_path / "audit.html"
    text = run("audit", "folder", "--data-dir", own, "--against", releases, "--out", out)
    assert "Compared with: cap_nwpu, " in text
    found = result_of("audit", "folder", "--data-dir", own, "--against", releases, "--out", out)
    assert {item["part"] for item in found["repeats"]} == {"folder/train", "folder/test"}
    sides = {(o["left"].split("/")[0], o["right"].split("/")[0]) for o in found["overlaps"]}
    assert all("folder" in side for side in sides)
    assert any("cap_ucm" in side for side in sides)
    with pytest.raises(SourceNotFoundError, match="none of the releases is there"):
        run("audit", "folder", "--data-dir", own, "--against", tmp_path, "--out", out)
    with pytest.raises(ValueError, match="name folder"):
        run("audit", "--data-dir", releases, "--against", releases, "--out", out)


def test_principles_measure_each_task(coco: Path, tmp_path: Path) -> None:
    text = run("principles", "folder", "--data-dir", coco, "--out", tmp_path / "p.html")
    assert "folder/train, grounding" in text
    assert "folder/train, vqa" in text


@pytest.mark.parametrize("verb", ["audit", "principles"])
def test_a_page_does_not_replace_an_annotation_file(own: Path, verb: str) -> None:
    with pytest.raises(OverwriteError):
        run(verb, "folder", "--data-dir", own, "--out", own / "instances_test.json")
    run(verb, "folder", "--data-dir", own, "--out", own / "page.html")
    run(verb, "folder", "--data-dir", own, "--out", own / "page.html")


# --- Exports ------------------------------------------------------------------------------------


def export(kind: str, out: Path, root: Path, *flags: str) -> Path:
    run("export", kind, out, "folder", "--data-dir", root, *flags)
    return out


def test_exports_of_boxes(coco: Path, tmp_path: Path) -> None:
    llava = json.loads((export("llava", tmp_path / "l", coco) / "folder-train.json").read_text())
    assert len(llava) == 50
    swift = export("ms_swift", tmp_path / "m", coco, "--tasks", "detection", "--tasks", "count")
    (first, *_) = map(json.loads, (swift / "folder-train-boxes.jsonl").read_text().splitlines())
    assert first["objects"]["bbox"] == [[4, 6, 14, 16]]
    assert first["objects"]["ref"] == ["ponds"]
    assert first["messages"][1]["content"] == "<bbox>"
    assert "<ref-object>" in first["messages"][0]["content"]
    assert "pond" not in first["messages"][0]["content"]
    export("webdataset", tmp_path / "w", coco)
    card = (export("hub", tmp_path / "h", coco) / "README.md").read_text()
    assert "# tiles" in card
    assert "license: unknown" in card
    assert "RS-GPT4V (Xu" not in card
    assert "object-detection" in card
    loaded: Any = datasets.load_dataset(str(tmp_path / "h"), "folder")
    assert len(loaded["train"]) == 50


def test_several_boxes_of_a_class_are_as_many_marks_in_ms_swift(own: Path, tmp_path: Path) -> None:
    file = own / "instances_train.json"
    content = json.loads(file.read_text())
    content["annotations"][1]["category_id"] = 1
    file.write_text(json.dumps(content))
    swift = export("ms_swift", tmp_path / "m", own, "--tasks", "detection")
    (first, *_) = map(json.loads, (swift / "folder-train-boxes.jsonl").read_text().splitlines())
    assert first["messages"][1]["content"] == "<bbox>, <bbox>"
    assert first["objects"]["bbox"] == [[4, 6, 14, 16], [30, 20, 50, 32]]


def test_exports_of_rows_with_several_images_and_none(tmp_path: Path) -> None:
    own = tmp_path / "own"
    for name in ("1.png", "2.png"):
        draw(own / name, int(name[0]))
    write_dialogues(own / "train.json", ["1.png", "2.png"], None, "2.png")
    llava = json.loads((export("llava", tmp_path / "l", own) / "folder-train.json").read_text())
    assert [item.get("image") for item in llava] == [
        ["images/1.png", "images/2.png"], None, "images/2.png"
    ]  # fmt: skip
    assert llava[0]["conversations"][0]["value"] == "<image>\n<image>\nQuestion 0?"
    for kind in ("sharegpt", "ms_swift", "hub"):
        export(kind, tmp_path / kind, own)
    with pytest.raises(
        ValueError, match="folder/train/000000 has 2 images, and a sample of a shard"
    ):
        export("webdataset", tmp_path / "w", own)
    again: Any = datasets.load_dataset(NAME, "folder", data_dir=str(tmp_path / "l"))
    images = again["train"].with_format("arrow")["images"].to_pylist()
    assert list(map(len, images)) == [2, 0, 1]


def test_harness_exports_of_own_questions(coco: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name its configs instead, or give --tasks"):
        export("lmms_eval", tmp_path / "a", coco)
    out = export("lmms_eval", tmp_path / "b", coco, "--tasks", "detection")
    detection = (out / "rs_gpt4v_folder.yaml").read_text()
    assert "process_results_llava" in detection
    assert '"max_new_tokens": 2048' in detection
    assert 'metric: "f1"' in detection
    yaml = export("lmms_eval", tmp_path / "c", coco, "--tasks", "count") / "rs_gpt4v_folder.yaml"
    assert '"tasks": ["count"]' in yaml.read_text()


def test_the_export_has_images_for_placing_and_images_from_for_looking(
    own: Path, tmp_path: Path
) -> None:
    (own / "images").rename(tmp_path / "elsewhere")
    from_there = ["--images-from", str(tmp_path / "elsewhere"), "--images", "symlink"]
    out = export("llava", tmp_path / "out", own, *from_there)
    assert any(path.is_symlink() for path in (out / "images").rglob("*.png"))


# --- Training -----------------------------------------------------------------------------------


def test_a_recipe_trains_on_the_folder(coco: Path) -> None:
    data = DataArguments(["folder"], data_dir=str(coco), box_format="llava")
    assert len(load_rows(data, "train", 0)) == 50


# --- Replies ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def predicted(coco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Replies of the embedded model to the test split."""
    out = tmp_path_factory.mktemp("replies") / "model" / "test.jsonl"
    run("predict", "embedded", "folder", "--data-dir", coco, "--out", out, "--max-new-tokens", "8")
    return out


def test_predict_score_and_report_go_by_task(predicted: Path, tmp_path: Path) -> None:
    scores = result_of("score", predicted)
    assert [(s["task"], s["metric"]) for s in scores] == [
        ("grounding", "rs_grounding"),
        ("detection", "rs_detection"),
        ("region_caption", "rs_caption"),
        ("vqa", "rs_vqa"),
    ]
    assert scores[3]["rule"] == {"counts": "exact", "areas": "exact", "normalise": "lenient"}
    text = run("score", predicted)
    assert "rs_detection|v1" in text
    assert "counts:exact" in text
    page = tmp_path / "report.html"
    run("report", predicted, "--out", page)
    for task in ("grounding", "detection"):
        assert f"folder, test, {task}" in page.read_text()


def test_a_long_reply_is_allowed_where_rows_list_boxes(coco: Path, tmp_path: Path) -> None:
    for task, tokens in (("detection", 2048), ("count", 64)):
        builder: Any = datasets.load_dataset_builder(
            NAME, "folder", data_dir=str(coco), tasks=(task,)
        )
        from rs_gpt4v_evaluation.predict.predictions import longest_reply

        assert longest_reply(tmp_path / "none.jsonl", builder.tasks) == tokens
