"""Damaged releases: each fault is named with its place, and costs no good record beside it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from PIL import Image

from rs_gpt4v import NAME
from rs_gpt4v_builders.builder import RsGpt4v
from rs_gpt4v_builders.sources.reading import AnnotationError, read_json_columns
from rs_gpt4v_builders.sources.source import SourceNotFoundError
from rs_gpt4v_builders.usable_records import RecordError


@pytest.fixture
def root(releases: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return shutil.copytree(releases, tmp_path / "releases")


def load(config: str, root: Path, **kwargs: Any) -> datasets.DatasetDict:
    return datasets.load_dataset(NAME, config, data_dir=str(root), **kwargs)


def edit(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def first_image(root: Path, split: str = "train") -> Path:
    """The image of the first UCM-Captions record of ``split``."""
    images = json.loads((root / "UCM_captions/dataset.json").read_text())["images"]
    return root / "UCM_captions/imgs" / next(i["filename"] for i in images if i["split"] == split)


def remove(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def truncated_as(image_format: str) -> Callable[[Path], None]:
    """A TIFF replaced by a cut file of another format under the same name."""

    def replace(path: Path) -> None:
        Image.open(path).copy().save(path, format=image_format)
        truncate(path)

    return replace


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (remove, "is missing"),
        (truncate, "cannot be decoded"),
        (truncated_as("JPEG"), "cannot be decoded"),
        (truncated_as("PNG"), "cannot be decoded"),
        (empty, "cannot be decoded"),
    ],
    ids=["missing", "cut tiff", "cut jpeg", "cut png", "empty"],
)
def test_bad_image_is_named_and_can_be_skipped(
    root: Path, damage: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    whole = load("cap_ucm", root)["train"]
    image = first_image(root)
    damage(image)
    with pytest.raises(RecordError, match=rf"ucm_captions/train/{image.stem}: .*{image} {said}"):
        load("cap_ucm", root, cache_dir=str(tmp_path / "a"))

    kept = load("cap_ucm", root, on_missing="skip", cache_dir=str(tmp_path / "b"))["train"]
    good = [i for i in whole["id"] if not i.startswith(f"ucm_captions/train/{image.stem}/")]
    assert kept["id"][:] == good
    listed = next((tmp_path / "b").rglob("dropped-ucm_captions-train.jsonl")).read_text()
    assert json.loads(listed) == {
        "id": f"ucm_captions/train/{image.stem}",
        "kind": f"image {said}",
        "reason": json.loads(listed)["reason"],
    }
    assert said in json.loads(listed)["reason"]


def test_one_release_is_not_taken_for_another(releases: Path) -> None:
    folder = releases / "UCM_captions"
    assert len(load("cap_ucm", folder)["test"])  # the release itself as data root
    with pytest.raises(SourceNotFoundError, match="Sydney-Captions is not at"):
        load("cap_sydney", folder)


@pytest.mark.parametrize("config", ["cap_sydney", "scene_rsicd"])
def test_an_absent_release_is_refused_before_any_row_is_made(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RsGpt4v, "_prepare_split", lambda *_, **__: pytest.fail("a progress bar"))
    with pytest.raises(SourceNotFoundError, match="is not at"):
        load(config, tmp_path)


@pytest.mark.parametrize("option", [{"sample": "yes"}, {"exclude_leaks": "no"}, {"seed": 1.5}])
def test_option_of_the_wrong_type_is_refused(root: Path, option: dict[str, object]) -> None:
    (name,) = option
    with pytest.raises(ValueError, match=f"{name}=.*: expected (True or False|a whole number)"):
        load("cap_ucm", root, **option)


def test_skipping_says_how_many(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    first_image(root).unlink()
    load("cap_ucm", root, on_missing="skip")
    assert "ucm_captions/train: kept 39 records, dropped 1 " in caplog.text
    assert "when it was built" not in caplog.text
    load("cap_ucm", root, on_missing="skip")
    assert "cap_ucm: 1 records were left out when it was built, see /" in caplog.text


def test_repaired_image_is_seen_by_the_next_load(root: Path) -> None:
    image = first_image(root)
    whole = image.read_bytes()
    truncate(image)
    fewer = load("cap_ucm", root, on_missing="skip")["train"]
    image.write_bytes(whole)
    assert len(load("cap_ucm", root, on_missing="skip")["train"]) > len(fewer)


def test_split_without_a_usable_record_is_left_out(root: Path) -> None:
    for path in root.glob("UCM_captions/imgs/*"):
        if path != first_image(root):
            path.unlink()
    assert list(load("cap_ucm", root, on_missing="skip")) == ["train"]


def test_nothing_usable_at_all_is_an_error(root: Path) -> None:
    shutil.rmtree(root / "UCM_captions/imgs")
    with pytest.raises(RecordError, match="no usable record"):
        load("cap_ucm", root, on_missing="skip")


@pytest.mark.parametrize(
    ("config", "name", "other"),
    [
        ("conversation", "conversation_train.json", "conversation_trian.json"),
        ("vqa_hr", "USGS_split_val_answers.json", "USGS_split_vali_answers.json"),
        ("vqa_lr", "LR_split_test_questions.json", "lr_split_test_questions.JSON"),
    ],
)
def test_misspelt_file_is_pointed_at(
    root: Path, config: str, name: str, other: str, caplog: pytest.LogCaptureFixture
) -> None:
    (file,) = root.rglob(name)
    file.rename(file.with_name(other))
    said = rf"lacks {name}\. {other} is there: is it that file"
    with pytest.raises(SourceNotFoundError, match=said):
        load(config, root)
    load(config, root, on_missing="skip")
    assert f"{other} is there" in caplog.text


def test_split_that_is_missing_points_at_no_other_split(root: Path) -> None:
    (root / "RSVQA_HR/USGS_split_val_answers.json").unlink()
    with pytest.raises(SourceNotFoundError, match=r"USGS_split_val_answers\.json\. Fetch it"):
        load("vqa_hr", root)


def test_missing_split_file_is_named(root: Path) -> None:
    (root / "RSVQA_HR/USGS_split_test_phili_answers.json").unlink()
    with pytest.raises(SourceNotFoundError, match=r"lacks USGS_split_test_phili_answers\.json"):
        load("vqa_hr", root)
    assert "test_philadelphia" not in load("vqa_hr", root, on_missing="skip")


@pytest.mark.parametrize(
    ("config", "file"),
    [
        ("cap_ucm", "UCM_captions/dataset.json"),
        ("vqa_lr", "RSVQA_LR/LR_split_train_answers.json"),
        ("cap_nwpu", "NWPU-Captions/dataset_nwpu.json"),
        ("vqa_floodnet", "FloodNet/Questions/Training Question.json"),
    ],
)
class TestAnnotations:
    def test_cut_json_names_file_and_line(self, root: Path, config: str, file: str) -> None:
        truncate(root / file)
        with pytest.raises(
            AnnotationError,
            match=rf"{file}, line \d+ column \d+: expected JSON, but .*: mend it|Mend",
        ):
            load(config, root)

    def test_wrong_encoding_names_the_byte(self, root: Path, config: str, file: str) -> None:
        text = (root / file).read_text().replace("no", "n\xf6", 1)
        (root / file).write_bytes(text.encode("cp1252"))
        with pytest.raises(AnnotationError, match=rf"{file}: byte \d+ is not UTF-8"):
            load(config, root)

    def test_byte_order_mark_is_harmless(self, root: Path, config: str, file: str) -> None:
        rows = load(config, root)["train"].to_list()
        (root / file).write_bytes(b"\xef\xbb\xbf" + (root / file).read_bytes())
        assert load(config, root)["train"].to_list() == rows

    def test_another_file_under_its_name(self, root: Path, config: str, file: str) -> None:
        (root / file).write_text('{"info": {}, "licenses": []}')
        with pytest.raises(
            AnnotationError, match=r"expected an object (with|that holds) .*info, licenses"
        ):
            load(config, root)


def test_wrong_type_in_a_field(root: Path) -> None:
    path = root / "RSVQA_LR/LR_split_train_questions.json"
    edit(path, lambda c: c["questions"][0].update(question=["Is", "this", "it?"]))
    said = r"LR_split_train_questions\.json, questions\[0\]: 'question' is \['Is', .* text"
    with pytest.raises(RecordError, match=rf"rsvqa_lr/train/000000: .*{said}"):
        load("vqa_lr", root)
    kept = load("vqa_lr", root, on_missing="skip")["train"]
    assert kept["id"][0] == "rsvqa_lr/train/000001"


@pytest.mark.parametrize("answer", [None, "", "  "])
def test_question_without_an_answer(root: Path, answer: str | None) -> None:
    edit(
        root / "RSVQA_LR/LR_split_train_answers.json",
        lambda c: c["answers"][1].update(answer=answer),
    )
    with pytest.raises(RecordError, match=r"rsvqa_lr/train/000001: no answer"):
        load("vqa_lr", root)
    kept = load("vqa_lr", root, on_missing="skip")["train"]
    assert kept["id"][:2] == ["rsvqa_lr/train/000000", "rsvqa_lr/train/000002"]


def test_unknown_question_of_an_answer(root: Path) -> None:
    edit(
        root / "RSVQA_LR/LR_split_train_answers.json",
        lambda c: c["answers"][1].update(question_id=10**6),
    )
    with pytest.raises(RecordError, match=r"rsvqa_lr/train/000001: no answer"):
        load("vqa_lr", root)


def test_duplicate_ids(root: Path) -> None:
    edit(root / "RSVQA_LR/LR_split_train_questions.json", lambda c: c["questions"][1].update(id=0))
    with pytest.raises(RecordError, match=r"rsvqa_lr/train/000000: its id occurs twice \(1 unusa"):
        load("vqa_lr", root)
    kept = load("vqa_lr", root, on_missing="skip")["train"]
    assert kept["id"][:2] == ["rsvqa_lr/train/000000", "rsvqa_lr/train/000002"]


def test_record_without_an_image_name_does_not_shift_the_others(root: Path) -> None:
    whole = load("cap_ucm", root)["train"].to_list()
    edit(root / "UCM_captions/dataset.json", lambda c: c["images"][0].update(filename=None))
    with pytest.raises(RecordError, match=r"ucm_captions/train/images\[0\]: .*no image"):
        load("cap_ucm", root)
    kept = load("cap_ucm", root, on_missing="skip")["train"].to_list()
    assert kept == [row for row in whole if not row["id"].startswith("ucm_captions/train/1/")]


def test_image_without_captions(root: Path) -> None:
    edit(root / "UCM_captions/dataset.json", lambda c: c["images"][0].update(sentences=[]))
    with pytest.raises(RecordError, match="no captions"):
        load("cap_ucm", root)


def test_old_rsitmd_with_empty_captions(root: Path) -> None:
    path = root / "RSITMD/dataset_RSITMD.json"
    before = load("cap_rsitmd", root)["train"]
    train = next(i for i in json.loads(path.read_text())["images"] if i["split"] == "train")
    position = train["imgid"]
    edit(path, lambda c: [s.update(raw="") for s in c["images"][position]["sentences"]])
    key = Path(train["filename"]).stem
    with pytest.raises(
        RecordError, match=rf"{key}: .*images.*: no captions .* a present copy has them"
    ):
        load("cap_rsitmd", root)
    kept = load("cap_rsitmd", root, on_missing="skip")["train"]
    good = [i for i in before["id"] if not i.startswith(f"rsitmd/train/{key}/")]
    assert kept["id"][:] == good


def test_nwpu_s_missing_airplane(root: Path) -> None:
    (root / "NWPU-Captions/NWPU_images/airplane/airplane_001.jpg").unlink()
    said = r"airplane/airplane_001\.jpg is missing .*on_missing=\"skip\" .* lacks airplane/airplane"
    with pytest.raises(RecordError, match=said):
        load("cap_nwpu", root)
    assert "nwpu_captions/train/airplane_001/0" not in load("cap_nwpu", root, on_missing="skip")


def test_rsivqa_without_hrrsd_s_split_list(root: Path) -> None:
    (root / "HRRSD/ImageSets/Main/train.txt").unlink()
    with pytest.raises(SourceNotFoundError, match=r"lacks \.\./HRRSD/ImageSets/.*HRRSD-Dataset"):
        load("vqa_rsivqa", root)
    assert len(load("vqa_rsivqa", root, protocol="release")["train"]) > 100


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"split": "validation"}, "split is 'validation', not one of train, val, test"),
        ({"split": None}, "split is None, not one of"),
        ({"split": ["train"]}, "split is a list of 1, not one of"),
        ({"filename": 5}, "'image' is 5, expected text"),
        ({"sentences": ["a"]}, r"'captions' is \[\['a'\]\], expected a list of texts"),
        ({"sentences": "a"}, r"'captions' is \[\['a'\]\], expected a list of texts"),
        ({"sentences": [{"raw": 7}]}, r"'captions' is \[7\], expected a list of texts"),
        ({"sentences": [{"raw": "half \ud800"}]}, r"'captions' holds half a surrogate pair"),
    ],
)
def test_other_structure_names_the_image(root: Path, change: dict[str, Any], said: str) -> None:
    edit(root / "UCM_captions/dataset.json", lambda c: c["images"][3].update(change))
    with pytest.raises(RecordError, match=rf"dataset\.json, images\[3\]: {said}"):
        load("cap_ucm", root)
    load("cap_ucm", root, on_missing="skip")  # the others are kept


def test_split_without_records_is_an_error(root: Path) -> None:
    edit(
        root / "UCM_captions/dataset.json",
        lambda c: c.update(images=[i for i in c["images"] if i["split"] != "val"]),
    )
    with pytest.raises(RecordError, match="no record of split 'validation'"):
        load("cap_ucm", root)
    assert set(load("cap_ucm", root, on_missing="skip")) == {"train", "test"}


def test_row_that_does_not_say_it_is_active_is_kept(root: Path) -> None:
    whole = load("vqa_lr", root)["train"].to_list()
    edit(
        root / "RSVQA_LR/LR_split_train_questions.json",
        lambda c: c["questions"][0].pop("active"),
    )
    assert load("vqa_lr", root)["train"].to_list() == whole


def test_second_answer_to_a_question(root: Path) -> None:
    edit(
        root / "RSVQA_LR/LR_split_train_answers.json",
        lambda c: c["answers"][1].update(question_id=0),
    )
    with pytest.raises(RecordError, match="rsvqa_lr/train/000000: several answers"):
        load("vqa_lr", root)


def test_image_marker_in_a_question(root: Path) -> None:
    edit(
        root / "RSVQA_LR/LR_split_train_questions.json",
        lambda c: c["questions"][1].update(question="<image> Is it?"),
    )
    with pytest.raises(RecordError, match=r"rsvqa_lr/train/000001: it holds '<image>'"):
        load("vqa_lr", root)
    kept = load("vqa_lr", root, on_missing="skip")["train"]
    assert "rsvqa_lr/train/000001" not in kept["id"]


@pytest.mark.parametrize("marker", ["<image>", "<video>", "<audio>"])
def test_a_marker_in_one_of_five_captions(root: Path, marker: str) -> None:
    edit(
        root / "UCM_captions/dataset.json",
        lambda c: c["images"][0]["sentences"][3].update(raw=f"A {marker} of a runway ."),
    )
    before = load("cap_ucm", root, on_missing="skip")["train"]
    with pytest.raises(RecordError, match=rf"one of its captions holds '{marker}'"):
        load("cap_ucm", root)
    assert not any(marker in text for row in before["references"] for text in row)


def test_links_in_a_circle_do_not_hang_a_load(root: Path) -> None:
    images = root / "UCM_captions/imgs"
    (images / "again").symlink_to(images)
    (images / "above").symlink_to(root)
    (images / "self").symlink_to(images / "self")
    assert load("cap_ucm", root, on_missing="skip")["train"].num_rows


@pytest.mark.parametrize(
    "name", ["../../secret.tif", "/etc/hostname", "..\\secret.tif", "C:secret.tif"]
)
def test_image_names_cannot_leave_the_release(root: Path, name: str) -> None:
    edit(root / "UCM_captions/dataset.json", lambda c: c["images"][0].update(filename=name))
    with pytest.raises(RecordError, match="is no image name inside"):
        load("cap_ucm", root)


@pytest.mark.parametrize(
    "content", ["null", " null\n", "\ufeffnull", "{} null", '{"q": []}null {}']
)
def test_null_in_place_of_the_whole_table_is_told(content: str, tmp_path: Path) -> None:
    """Arrow's JSON reader alone would end the process."""
    file = tmp_path / "questions.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(AnnotationError, match=r"questions\.json.*(expected an object|Extra data)"):
        read_json_columns(file, "q", {"id": pa.int64()})
