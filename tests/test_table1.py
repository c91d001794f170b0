"""Table 1 as the paper prints it, and beside it what was built."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import SHARED, needs_shared

from rs_gpt4v_builders.builder import NoDataRootError
from rs_gpt4v_builders.stats.table1 import (
    TABLE_1,
    Built,
    Line,
    compare,
    distinct_images,
    load,
    to_json,
    to_text,
    totals,
)
from rs_gpt4v_builders.usable_records import dropped


def line_of(config: str, split: str) -> Line:
    return next(one for one in TABLE_1 if (one.config, one.split) == (config, split))


def by_line(built: list[Built]) -> dict[tuple[str, str], Built]:
    return {(one.line.config, one.line.split): one for one in built}


def test_lines_add_up_to_the_papers_totals() -> None:
    totals = {
        split: (
            sum(line.images for line in TABLE_1 if line.split == split),
            sum(line.pairs for line in TABLE_1 if line.split == split),
        )
        for split in ("train", "test")
    }
    assert totals == {"train": (91_937, 991_206), "test": (15_999, 258_419)}


def test_one_row_a_dialogue_gives_the_papers_step_count() -> None:
    built = [Built(line, line.images, line.pairs, line.rows) for line in TABLE_1]
    train = totals(built, "train")
    assert train.paper_rows == train.rows == 938_605
    assert train.steps(64) == (14_666, 14_666)
    assert not any(one.explanation for one in built)
    assert "938,605; the paper's table makes 938,605" in to_text(built, 64)


def test_counts_images_once_and_turns_apart(releases: Path) -> None:
    loaded = load(data_dir=str(releases))
    found = by_line(compare(loaded))
    captions, dialogues = found["cap_ucm", "train"], found["conversation", "train"]
    assert captions.images == 40
    assert captions.pairs == captions.rows
    assert (dialogues.pairs or 0) > (dialogues.rows or 0) == dialogues.images
    boxes = {name: loaded[name] for name in ("grounding", "region_caption")}
    assert distinct_images(boxes, "train") == found["grounding", "train"].images


def test_missing_sources_do_not_stop_the_others(releases: Path, tmp_path: Path) -> None:
    (tmp_path / "UCM_captions").symlink_to(releases / "UCM_captions")
    built = compare(load(data_dir=str(tmp_path)))
    found = by_line(built)
    assert found["cap_ucm", "test"].pairs
    assert found["cap_rsicd", "train"].difference == "not built"
    assert "RSICD is not at" in found["cap_rsicd", "train"].explanation
    said = " ".join(to_text(built, 64).split())
    assert said.count("not in the data root; `rs-gpt4v sources --data-dir DIR`") == 1
    assert "cap_nwpu train, cap_rsicd train, cap_rsitmd train" in said


def test_no_data_root_is_said_once() -> None:
    with pytest.raises(NoDataRootError, match="Give data_dir"):
        load()


def test_wrong_option_is_no_missing_source(releases: Path) -> None:
    with pytest.raises(ValueError, match="on_missing='never'"):
        load(data_dir=str(releases), on_missing="never")


@pytest.fixture
def broken(releases: Path, tmp_path: Path) -> Path:
    """UCM-Captions with three training images missing, one cut, and no whole test image."""
    root = tmp_path / "broken"
    shutil.copytree(releases / "UCM_captions", root / "UCM_captions")
    images = json.loads((root / "UCM_captions/dataset.json").read_text())["images"]
    of_split = {
        split: [root / "UCM_captions/imgs" / i["filename"] for i in images if i["split"] == split]
        for split in ("train", "test")
    }
    for path in of_split["train"][:3] + of_split["test"]:
        path.unlink()
    of_split["train"][3].write_bytes(b"")
    return root


def test_explains_a_difference_by_dropped_records(broken: Path) -> None:
    built = compare(load(data_dir=str(broken), on_missing="skip"))
    found = by_line(built)
    train, test = found["cap_ucm", "train"], found["cap_ucm", "test"]
    assert train.images == 36
    assert train.dropped == {"image is missing": 3, "image cannot be decoded": 1}
    said = "4 records dropped: image is missing (3), image cannot be decoded (1)"
    assert train.explanation == said
    assert f"cap_ucm train: {said}" in to_text(built, 64)
    n = sum(test.dropped.values())
    assert test.explanation == f"no usable record; {n} records dropped: image is missing ({n})"


def test_without_skip_the_first_missing_image_is_the_explanation(broken: Path) -> None:
    train = by_line(compare(load(data_dir=str(broken))))["cap_ucm", "train"]
    assert "is missing (4 unusable records in this split)" in train.explanation


def test_dropped_counts_kinds_the_most_frequent_first(tmp_path: Path) -> None:
    kinds = ["no\u2028answer", "image is missing", "box without an area", "image is missing"]
    lines = [
        json.dumps({"id": "a", "kind": kind, "reason": f"{kind}: 1"}, ensure_ascii=False)
        for kind in kinds
    ]
    (tmp_path / "dropped-rsicd-train.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    assert dropped(tmp_path, "rsicd", "test") == {}
    counts = dropped(tmp_path, "rsicd", "train")
    assert list(counts.items()) == [
        ("image is missing", 2),
        ("box without an area", 1),
        ("no\u2028answer", 1),
    ]


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ({"no answer": 1}, "1 record dropped: no answer (1)"),
        ({"a": 8_700, "b": 20, "c": 2}, "8,722 records dropped: a (8,700), b (20), ..."),
    ],
)
def test_the_two_most_frequent_reasons_are_named(reasons: dict[str, int], said: str) -> None:
    assert Built(line_of("vqa_lr", "train"), 1, 2, 2, reasons).explanation == said


@pytest.mark.parametrize(
    ("images", "pairs", "said"),
    [
        (1_680, 7_999, "  as the paper\n"),
        (1_680, 7_993, "  -6 pairs\n"),
        (1_679, 7_999, "  -1 images\n"),
    ],
)
def test_text_says_whether_the_numbers_are_the_papers(images: int, pairs: int, said: str) -> None:
    line = line_of("cap_ucm", "train")
    text = to_text([Built(line, images, pairs, pairs)], 64)
    assert said in text
    assert ("no record was dropped" in text) is ("as the paper" not in said)
    assert "one epoch at batch 64: 125 steps; the paper's table makes 125" in text


def test_text_explains_nwpus_test_figure_and_shared_images() -> None:
    nwpu = Built(line_of("cap_nwpu", "test"), 3_150, 3_150, 3_150)
    text = to_text([nwpu], 64, distinct={"train": 0, "test": 3_000})
    assert "+2,057 pairs" in text
    assert "cap_nwpu test: the paper repeats RSICD's 1,093" in text
    assert "test: 3,150 images are 3,000 files" in text


def test_text_of_the_sample_says_so_and_explains_nothing() -> None:
    text = to_text([Built(line_of("cap_nwpu", "test"), 9, 9, 9)], 64, sample=True)
    assert text.startswith("Built from the synthetic sample")
    assert "RSICD's" not in text


def test_lines_of_the_text_are_at_most_110_wide(releases: Path) -> None:
    text = to_text(compare(load(data_dir=str(releases))), 64)
    assert max(map(len, text.splitlines())) <= 110


def test_json_holds_what_the_text_says() -> None:
    line = line_of("cap_ucm", "train")
    numbers = to_json([Built(line, 1_680, 7_993, 7_993)], 64, {"train": 1_680, "test": 0})
    assert numbers["steps"] == {"paper": 125, "built": 125}
    assert numbers["totals"][0]["rows"] == 7_993
    assert numbers["lines"][0]["difference"] == "-6 pairs"
    assert json.loads(json.dumps(numbers)) == numbers


@needs_shared
def test_real_files_give_the_papers_numbers(tmp_path: Path) -> None:
    (tmp_path / "UCM_captions").mkdir()
    (tmp_path / "UCM_captions/dataset.json").symlink_to(SHARED / "ucm_captions/dataset.json")
    (tmp_path / "UCM_captions/imgs").symlink_to(SHARED / "ucm_captions/imgs_jpg")
    text = to_text(compare(load(data_dir=str(tmp_path))), 64)
    lines = [text_line for text_line in text.splitlines() if text_line.startswith("cap_ucm")]
    assert len(lines) == 2
    assert all(text_line.endswith("as the paper") for text_line in lines)
