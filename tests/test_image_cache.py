"""The cache of resized images: the same tensors, made with less work."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from image_files import needs_tifffile
from PIL import Image

pytest.importorskip("trl")

import torch
from transformers import CLIPImageProcessorPil, LlavaImageProcessorPil
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from rs_gpt4v import NAME
from rs_gpt4v_training import image_cache as module
from rs_gpt4v_training.arguments import DataArguments
from rs_gpt4v_training.image_cache import (
    ImageCache,
    image_cache,
    keeps_tensors,
    through_cache,
)
from rs_gpt4v_training.pixels import with_tables
from rs_gpt4v_training.recipe import RecipeError
from rs_gpt4v_training.rows import load_rows
from rs_gpt4v_training.sft import main

SIDE = 48


def write(path: Path, width: int, height: int, mode: str = "RGB") -> str:
    rng = np.random.default_rng(width + height)
    pixels = rng.integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return str(path)


def clip(**options: Any) -> CLIPImageProcessorPil:
    crop = {"height": SIDE, "width": SIDE}
    return CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=crop, **options)


class Processor:
    """As much of a processor as the cache asks for."""

    def __init__(self, image_processor: Any) -> None:
        self.image_processor = image_processor

    def pixels(self, path: str) -> torch.Tensor:
        image = datasets.Image().decode_example({"path": path, "bytes": None})
        return self.image_processor(image, return_tensors="pt")["pixel_values"]


@pytest.fixture
def cache(tmp_path: Path) -> ImageCache:
    return ImageCache(tmp_path / "cache", SIDE, enlarge=True)


@pytest.fixture(scope="session")
def clip_llava(tiny_llava: Path) -> Any:
    """The tiny LLaVA's processor, resizing and cropping as LLaVA-1.5's does."""
    from transformers import AutoProcessor

    processor: Any = AutoProcessor.from_pretrained(tiny_llava)
    processor.image_processor = CLIPImageProcessorPil(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}
    )
    return processor


def padding() -> LlavaImageProcessorPil:
    """LLaVA-1.5's, which pads to a square in the mean colour first."""
    crop = {"height": SIDE, "width": SIDE}
    return LlavaImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=crop, do_pad=True)


@pytest.mark.parametrize("pads", [False, True], ids=["cut", "padded"])
@pytest.mark.parametrize(
    ("name", "width", "height", "mode"),
    [
        ("square.tif", 100, 100, "RGB"),
        ("wide.tif", 131, 77, "RGB"),
        ("high.png", 61, 140, "RGBA"),
        ("small.png", 20, 31, "RGB"),
        ("of_the_size.png", 48, 48, "RGB"),
        ("grey.jpg", 90, 70, "L"),
        ("palette.png", 90, 70, "P"),
        ("cmyk.tif", 90, 70, "CMYK"),
    ],
)
def test_clip_makes_the_same_tensors_of_a_copy(
    tmp_path: Path, name: str, width: int, height: int, mode: str, pads: bool
) -> None:
    path = write(tmp_path / name, width, height, mode)
    processor = Processor(padding() if pads else clip())
    cache = replace(image_cache(SIDE, processor), folder=tmp_path / "cache")
    copy = cache.add(path)
    with Image.open(copy) as image:
        assert min(image.size) == SIDE
        assert image.height == image.width or not pads
    quick = with_tables(processor)
    assert torch.equal(quick.pixels(copy), processor.pixels(path))
    assert torch.equal(quick.pixels(path), processor.pixels(path))


def test_an_image_is_turned_as_its_exif_data_say(cache: ImageCache, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    path = tmp_path / "turned.jpg"
    with Image.open(write(tmp_path / "flat.png", 120, 60)) as image:
        image.save(path, exif=exif)
    processor = Processor(clip())
    assert torch.equal(processor.pixels(cache.add(str(path))), processor.pixels(str(path)))


def test_tables_leave_the_processor_that_is_saved_alone() -> None:
    processor = Processor(clip())
    before = processor.image_processor.to_dict()
    quick = with_tables(processor)
    assert quick is not processor
    assert processor.image_processor.to_dict() == before
    assert "normalize" not in vars(processor.image_processor)
    plain = Processor(clip(do_normalize=False))
    assert with_tables(plain) is plain


def test_whose_tensors_are_kept() -> None:
    assert keeps_tensors(Processor(clip()), SIDE)
    assert not keeps_tensors(Processor(clip()), SIDE + 1)
    assert not keeps_tensors(Processor(CLIPImageProcessorPil(size={"height": 9, "width": 9})), 9)
    assert keeps_tensors(Processor(padding()), SIDE)
    assert not keeps_tensors(Processor(clip(do_pad=True)), SIDE)


def test_small_images_are_enlarged_only_where_the_processor_would() -> None:
    image = Image.new("RGB", (20, 31))
    larger = image_cache(SIDE, Processor(clip()))
    at_most = image_cache(SIDE, Processor(CLIPImageProcessorPil(size={"shortest_edge": 99})))
    assert larger.resized(image).size == (48, 74)
    assert at_most.resized(image).size == (20, 31)
    assert at_most.resized(Image.new("RGB", (200, 100))).size == (96, 48)
    assert larger.folder != at_most.folder


def test_padded_copies_are_files_of_their_own(tmp_path: Path) -> None:
    path = write(tmp_path / "wide.png", 100, 60)
    cut, padded = (image_cache(SIDE, Processor(kind())) for kind in (clip, padding))
    assert cut.path(path) != padded.path(path)


@needs_tifffile
def test_a_copy_is_made_once_and_anew_for_a_changed_file(
    cache: ImageCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.png", 100, 100)
    decoded: list[str] = []
    real = module.open_image
    monkeypatch.setattr(module, "open_image", lambda path: decoded.append(path) or real(path))
    first = cache.add(path)
    assert cache.add(path) == first
    assert decoded == [path]
    os.utime(path, ns=(1, 1))
    assert cache.add(path) != first
    assert ImageCache(cache.folder, SIDE + 1, enlarge=True).add(path) != cache.add(path)


def test_a_failed_write_leaves_nothing(
    cache: ImageCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    path = write(tmp_path / "a.png", 100, 100)
    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", full)
        with pytest.raises(OSError, match="no space left"):
            cache.add(path)
    assert [file for file in cache.folder.rglob("*") if file.is_file()] == []
    assert Path(cache.add(path)).is_file()


def test_rows_give_the_same_batches_with_and_without_the_cache(
    clip_llava: Any, releases: Path, tmp_path: Path
) -> None:
    data = DataArguments(
        ["vqa_lr", "vqa_floodnet"], data_dir=str(releases), max_rows=6, box_format="llava"
    )
    rows = load_rows(data, "train", seed=0)
    raw: Any = datasets.load_dataset(NAME, "vqa_lr", split="train", data_dir=str(releases))
    cached = through_cache(rows, ImageCache(tmp_path / "cache", 28, enlarge=True))
    others = [name for name in rows.column_names if name != "images"]
    assert cached.select_columns(others).to_list() == rows.select_columns(others).to_list()
    assert cached.features == rows.features
    sized = {row["images"][0].size for row in cached}
    assert all(min(size) == 28 for size in sized)

    def batch(rows: Any, processor: Any) -> dict[str, torch.Tensor]:
        collator = DataCollatorForVisionLanguageModeling(processor, assistant_only_loss=True)
        return collator([rows[i] for i in range(len(rows))])

    plain = batch(rows, clip_llava)
    quick = batch(cached, with_tables(clip_llava))
    assert plain.keys() == quick.keys()
    assert all(torch.equal(plain[name], quick[name]) for name in plain)
    # Without the option the rows are `load_dataset`'s own.
    chosen = raw.select([raw["id"].index(i) for i in rows["id"][:6]])
    untouched = batch(rows.select(range(6)), clip_llava)
    assert all(torch.equal(value, untouched[k]) for k, value in batch(chosen, clip_llava).items())


def test_no_pixels_in_the_rows_and_one_copy_of_each_image(releases: Path, tmp_path: Path) -> None:
    rows = load_rows(
        DataArguments(["vqa_lr"], data_dir=str(releases), box_format="llava"), "train", seed=0
    )
    cached = through_cache(rows, ImageCache(tmp_path / "cache", 28, enlarge=True))
    images = cached.with_format("arrow")[:]["images"].combine_chunks().flatten()
    assert images.field("bytes").null_count == len(rows)
    copies = {str(file) for file in (tmp_path / "cache").rglob("*.ppm")}
    assert copies == set(images.field("path").to_pylist())
    assert len(copies) < len(rows)


def test_images_held_as_bytes_are_refused(cache: ImageCache, tmp_path: Path) -> None:
    content = Path(write(tmp_path / "a.png", 9, 9)).read_bytes()
    rows = datasets.Dataset.from_dict(
        {"images": [[{"bytes": content, "path": None}]]},
        datasets.Features({"images": datasets.List(datasets.Image())}),
    )
    with pytest.raises(RecipeError, match="only files are cached"):
        through_cache(rows, cache)


def test_boxes_in_pixels_of_the_model_are_refused() -> None:
    with pytest.raises(RecipeError, match="norm1000"):
        DataArguments(["grounding"], box_format="qwen2_5_vl", image_size=336)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")
def test_training_with_the_cache_and_workers(
    tiny_llava: Path, releases: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"""
        datasets: [vqa_lr]
        data_dir: {releases}
        image_size: 28
        model_name_or_path: {tiny_llava}
        output_dir: {tmp_path / "out"}
        max_steps: 2
        max_rows: 8
        use_cpu: true
        bf16: false
        dataloader_num_workers: 1
        report_to: none
        disable_tqdm: true
        """
    )
    assert main([str(recipe)]) == 0
    saved = (tmp_path / "out" / "processor_config.json").read_text()
    assert saved == (tiny_llava / "processor_config.json").read_text()
    folder = Path(datasets.config.HF_DATASETS_CACHE) / "rs_gpt4v_images" / "at_most_28px"
    assert 0 < len(list(folder.rglob("*.ppm"))) <= 8


def test_a_copy_is_of_one_path_size_time_and_form(tmp_path: Path) -> None:
    """Each part of its name alone tells two copies apart."""
    first = Path(write(tmp_path / "a.png", 30, 20))
    second = tmp_path / "b.png"
    second.write_bytes(first.read_bytes())
    os.utime(second, ns=(0, first.stat().st_mtime_ns))
    cache = ImageCache(tmp_path, SIDE, enlarge=True)
    one = cache.path(str(first))
    assert cache.path(str(first)) == one
    assert cache.path(str(second)) != one
    assert ImageCache(tmp_path, SIDE + 1, enlarge=True).path(str(first)) != one
    assert ImageCache(tmp_path, SIDE, enlarge=False).path(str(first)) != one
    time = first.stat().st_mtime_ns
    first.write_bytes(first.read_bytes() + b"more")
    os.utime(first, ns=(0, time))
    longer = cache.path(str(first))
    assert longer != one
    os.utime(first, ns=(0, time + 1))
    assert cache.path(str(first)) not in (one, longer)
