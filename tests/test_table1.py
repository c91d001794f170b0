"""Table 1 as the paper prints it, and beside it what was built."""

from pathlib import Path

import pytest
from conftest import SHARED, needs_shared

from rs_gpt4v_builders.table1 import TABLE_1, Built, compare, steps, to_text


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
    built = [
        Built(line, line.images, line.pairs, rows)
        for line in TABLE_1
        for rows in [line.images if line.config == "conversation" else line.pairs]
    ]
    assert sum(b.rows or 0 for b in built if b.line.split == "train") == 938_605
    assert steps(built, 64) == 14_666


def test_counts_images_once_and_turns_apart(releases: Path) -> None:
    found = {(b.line.config, b.line.split): b for b in compare(data_dir=str(releases))}
    train = found["cap_ucm", "train"]
    assert train.images == 40
    assert train.pairs == train.rows
    assert (train.pairs or 0) > 100


def test_missing_sources_do_not_stop_the_others(releases: Path, tmp_path: Path) -> None:
    (tmp_path / "UCM_captions").symlink_to(releases / "UCM_captions")
    found = {(b.line.config, b.line.split): b for b in compare(data_dir=str(tmp_path))}
    assert found["cap_ucm", "test"].pairs
    assert "RSICD is not at" in found["cap_rsicd", "train"].problem


@pytest.mark.parametrize(
    ("images", "pairs", "said"),
    [(1_680, 7_999, "as the paper"), (1_680, 7_993, "-6")],
)
def test_text_says_whether_the_numbers_are_the_papers(images: int, pairs: int, said: str) -> None:
    line = next(line for line in TABLE_1 if line.config == "cap_ucm")
    text = to_text([Built(line, images, pairs, pairs)], 64)
    assert said in text
    assert "one epoch at batch 64: 125 steps" in text


@needs_shared
def test_real_files_give_the_papers_numbers(tmp_path: Path) -> None:
    (tmp_path / "UCM_captions").mkdir()
    (tmp_path / "UCM_captions/dataset.json").symlink_to(SHARED / "ucm_captions/dataset.json")
    (tmp_path / "UCM_captions/imgs").symlink_to(SHARED / "ucm_captions/imgs_jpg")
    text = to_text(list(compare(data_dir=str(tmp_path))), 64)
    lines = [text_line for text_line in text.splitlines() if text_line.startswith("cap_ucm")]
    assert len(lines) == 2
    assert all(text_line.endswith("as the paper") for text_line in lines)
