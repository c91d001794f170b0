"""Images padded to a square, as LLaVA-1.5 has them: in training and in prediction alike."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import CPU_TRAINING

pytest.importorskip("trl")

import datasets
import numpy as np
from PIL import Image
from transformers import AutoProcessor, CLIPImageProcessorPil

from rs_gpt4v import NAME
from rs_gpt4v.model_families import box_format, pad_to_square
from rs_gpt4v_evaluation.predict import Predictor
from rs_gpt4v_training.arguments import parse
from rs_gpt4v_training.recipe import recipe_path
from rs_gpt4v_training.sft import load_processor, make_trainer, train

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")


@pytest.fixture
def clip_llava(tiny_llava: Path, tmp_path: Path) -> Path:
    """The tiny LLaVA, whose images are resized and cut as those of `llava-1.5-7b-hf`."""
    path = tmp_path / "clip_llava"
    path.mkdir()
    for file in tiny_llava.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    processor: Any = AutoProcessor.from_pretrained(path)
    processor.image_processor = CLIPImageProcessorPil(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}
    )
    processor.save_pretrained(path)
    return path


@pytest.fixture
def recipe(clip_llava: Path, releases: Path, tmp_path: Path) -> Path:
    fields = {
        "datasets": ["grounding"],
        "data_dir": str(releases),
        "max_rows": 2,
        "model_name_or_path": str(clip_llava),
        "output_dir": str(tmp_path / "out"),
        "max_steps": 1,
        "image_aspect": "pad",
        **CPU_TRAINING,
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(fields))
    return path


def wide() -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 255, (40, 100, 3), np.uint8))


def pixels_of(processor: Any) -> np.ndarray:
    return np.array(processor.image_processor(wide(), return_tensors="np")["pixel_values"])[0]


@pytest.mark.parametrize("adapter", [True, False], ids=["lora", "full"])
def test_predictions_pad_as_training_did(
    recipe: Path, clip_llava: Path, tmp_path: Path, adapter: bool
) -> None:
    trainer: Any = train(*parse([str(recipe), *(["--use_peft"] if adapter else [])]))
    out = str(tmp_path / "out")
    predictor = Predictor(str(clip_llava), out) if adapter else Predictor(out)
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "."}]
    batch = trainer.data_collator([{"images": [wide()], "messages": messages}])
    assert np.array_equal(pixels_of(predictor.processor), batch["pixel_values"][0])
    assert not np.array_equal(
        pixels_of(Predictor(str(clip_llava)).processor), batch["pixel_values"]
    )
    assert predictor.box_format == "llava_padded"


def test_padding_is_of_the_mean_colour_and_symmetric(recipe: Path) -> None:
    _, training, model = parse([str(recipe)])
    pixels = pixels_of(load_processor("llava", training, model))
    assert pixels.shape == (3, 28, 28)
    bars = np.concatenate([pixels[:, :7], pixels[:, -7:]], axis=1)  # 40 of 100 rows are the image
    assert np.abs(bars).max() < 0.02  # the mean is 0 once normalised
    assert np.abs(pixels[:, 12:16]).max() > 0.1


def test_boxes_are_of_the_padded_square(recipe: Path, releases: Path) -> None:
    trainer: Any = make_trainer(*parse([str(recipe)]))
    rows = datasets.load_dataset(
        NAME, "grounding", split="train", data_dir=str(releases), box_format="llava_padded"
    )
    expected = dict(zip(rows["id"], rows["messages"], strict=True))
    for row in trainer.train_dataset.remove_columns("images"):
        assert row["messages"] == expected[row["id"]]
    assert box_format("llava", trainer.processing_class) == "llava_padded"


def test_what_cannot_be_padded_is_refused(recipe: Path, tiny_llava: Path) -> None:
    recipe.write_text(recipe.read_text().replace('"pad"', '"fill"'))
    with pytest.raises(ValueError, match="image_aspect: expected one of pad or None, found 'fill'"):
        parse([str(recipe)])
    processor: Any = AutoProcessor.from_pretrained(tiny_llava)
    with pytest.raises(ValueError, match="this is a llava_next model with CLIPImageProcessorPil"):
        pad_to_square(processor, "llava_next")
    pad_to_square(processor, "llava")
    pad_to_square(processor, "llava")  # as when training goes on
    assert box_format("llava", processor) == "llava_padded"


@pytest.mark.parametrize("name", ["full", "lora", "moe_lora"])
def test_the_papers_recipes_pad(name: str) -> None:
    *_, model = parse([str(recipe_path(f"llava15_7b_{name}")), "--output_dir", "x", "--use_cpu"])
    assert model.image_aspect == "pad"
