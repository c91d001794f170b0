"""What an audit knows images by, and what it counts, on data that is not regular."""

# pyright: reportPrivateUsage=false

import os
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
from PIL import Image

from rs_gpt4v_builders import CONFIGS, sources_of
from rs_gpt4v_builders.audit.exclude import leak_finder
from rs_gpt4v_builders.audit.findings import _repeats, matches_of, overlap
from rs_gpt4v_builders.audit.images import Images, known_by, read_images
from rs_gpt4v_builders.audit.matching import matches, near_pairs
from rs_gpt4v_builders.audit.rows import Part


def known(
    content: list[int], pixels: list[int] | None = None, thumbnails: np.ndarray | None = None
) -> Images:
    """Images of one hash, known by these numbers."""
    n = len(content)
    return Images(
        [f"{place}.png" for place in range(n)],
        np.array(content),
        np.array(content if pixels is None else pixels),
        np.zeros(n, np.uint64),
        np.zeros((n, 32, 32), np.uint8) if thumbnails is None else thumbnails,
    )


def part(split: str, image: list[int], turns: list[tuple[int, str, str]]) -> Part:
    ids = [f"{split}/{row}" for row in range(len(image))]
    table = pd.DataFrame(turns, columns=pd.Index(["row", "question", "answer"]))
    same = {"texts": pa.array(ids), "references": pa.array(ids), "turns": table}
    return Part("vqa_lr", split, ids=pa.array(ids), image=np.array(image), **same)


def test_an_edit_within_a_second_and_of_equal_size_is_noticed(tmp_path: Path) -> None:
    path, cache = tmp_path / "a.bmp", tmp_path / "cache.sqlite"
    pixels = []
    for moment, colour in enumerate(("red", "blue")):
        Image.new("RGB", (20, 10), colour).save(path)
        os.utime(path, ns=(0, 1_000_000_000 + moment))
        pixels.append(read_images([str(path)], cache).looks[0, 0, 0])
    assert pixels[0] != pixels[1]


def test_hash_compares_each_of_nine_columns_with_the_next_in_eight_rows(tmp_path: Path) -> None:
    path = tmp_path / "lighter.png"
    Image.fromarray(np.tile(np.arange(0, 252, 4, dtype=np.uint8), (40, 1))).save(path)
    assert known_by(str(path))[2] == b"\xff" * 8
    columns = np.repeat([0, 50, 20, 80, 10, 90, 30, 60, 40], 9).astype(np.uint8)
    Image.fromarray(np.tile(columns, (16, 1))).save(path)
    assert known_by(str(path))[2] == bytes([0b10101010]) * 8


def test_of_several_near_pictures_the_nearest_is_the_match() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(20, 230, (32, 32)).astype(float)
    noisy = [picture, picture + rng.normal(0, 12, (32, 32)), picture + rng.normal(0, 2, (32, 32))]
    images = known([0, 1, 2], thumbnails=np.array(noisy).clip(0, 255).astype(np.uint8))
    left, right = np.array([0]), np.array([1, 2])
    near = near_pairs(images, left, right)
    assert sorted(near["right"]) == [1, 2]
    assert matches(images, left, right, near)["other"].tolist() == [2]


def test_the_first_image_of_all_is_found_once() -> None:
    images = known([7, 7, 8], [3, 3, 3])
    left, right = np.array([1, 2]), np.array([0])
    found = matches(images, left, right, near_pairs(images, left, right))
    assert found[["image", "other", "kind"]].to_numpy().tolist() == [
        [1, 0, "same bytes"],
        [2, 0, "same pixels"],
    ]


def test_a_question_that_a_dialogue_asks_again_is_shared_once() -> None:
    left = part("train", [0], [(0, "where?", "left"), (0, "where?", "left"), (0, "why?", "x")])
    right = part("test", [1, 1], [(0, "where?", "right"), (1, "where?", "left")])
    images = known([5, 5])
    near = near_pairs(images, left.image, right.image)
    found = overlap(images, matches_of(images, near, left, right), left, right)
    assert [(one.row, one.other_row, one.same_answer) for one in found.questions] == [
        ("train/0", "test/1", True)
    ]


def test_copies_of_a_picture_count_as_one_picture() -> None:
    rows = part("train", [0, 1, 2], [(0, "a?", "b"), (1, "a?", "c"), (2, "a?", "b")])
    found = _repeats(known([0, 1, 2], [0, 0, 1]), rows)
    assert (found.rows, found.images) == (3, 2)
    assert [(one.ids, one.answers) for one in found.questions] == [
        (["train/0", "train/1"], ["b", "c"])
    ]


def test_leaks_into_every_test_split_are_left_out(releases: Path, tmp_path: Path) -> None:
    leaks = leak_finder(releases, sources_of(*CONFIGS), "paper", str(tmp_path))
    for split in ("test", "test_philadelphia"):
        rows = datasets.load_dataset("rs_gpt4v", "vqa_hr", data_dir=str(releases), split=split)
        rows = rows.cast_column("images", datasets.List(datasets.Image(decode=False)))
        image = rows[0]["images"][0]["path"]
        (reason,) = leaks(pa.chunked_array([[image]])).to_pylist()
        assert f"its image is rsvqa_hr/{split}/" in str(reason)
