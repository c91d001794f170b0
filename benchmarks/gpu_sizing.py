"""What a step needs on a GPU, by model, method, batch and checkpointing: counted, not measured.

    python benchmarks/gpu_sizing.py

Prints the table of docs/gpu_sizing.md. It counts as `rs-gpt4v train RECIPE --dry-run` does, for
rows of one image and 64 tokens of text, so it needs neither data, weights, tokenizers nor a GPU.
"""

import copy
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from gpu_parts import llava_config
from t4 import qwen2_5_vl_config, smolvlm_config

from rs_gpt4v_training.activations import step_bytes
from rs_gpt4v_training.arguments import parse
from rs_gpt4v_training.dry_run import Machine, static_memory
from rs_gpt4v_training.gradients import on_meta
from rs_gpt4v_training.recipe import recipe_path

TEXT = 64
GIB = 1024**3
FEW = (2, 4)
"""Layers of the language model for which a step is counted: all of them would take minutes each."""
CARDS = (16, 24, 40, 80)
FREE = 0.9
"""The share of a card to fill: CUDA itself, fragments and buffers take the rest."""


class Shape(NamedTuple):
    """A model, the pixels of one image, and the tokens that it takes."""

    title: str
    config: Any
    tokens: int
    pixels: Callable[[int], dict[str, torch.Tensor]]


def qwen_pixels(rows: int) -> dict[str, torch.Tensor]:
    """Of images of 800 x 800 px, which are resized to 812: 58 x 58 patches."""
    return {
        "pixel_values": torch.empty(rows * 58 * 58, 3 * 2 * 14 * 14),
        "image_grid_thw": torch.tensor([[1, 58, 58]] * rows),
    }


def smolvlm_pixels(rows: int) -> dict[str, torch.Tensor]:
    """Of square images: 4 x 4 tiles, and the whole."""
    return {"pixel_values": torch.ones(rows, 17, 3, 384, 384)}


def llava_pixels(rows: int) -> dict[str, torch.Tensor]:
    """Of any image."""
    return {"pixel_values": torch.empty(rows, 3, 336, 336)}


IMAGE = {"image_token_id": 4}
LLAVA = Shape("LLaVA-1.5-7B", llava_config(toy=False), 576, llava_pixels)
QWEN = Shape("Qwen2.5-VL-3B", qwen2_5_vl_config(**IMAGE), 29 * 29, qwen_pixels)
SMOLVLM = Shape("SmolVLM (2 B)", smolvlm_config(**IMAGE, pad_token_id=2), 17 * 81, smolvlm_pixels)
FULL = ("--use_peft", "false", "--train", "language", "projector")
ALL, ONE, SMALL = (1, 4, 16), (1,), (1, 4)
RUNS: tuple[tuple[Shape, str, str, tuple[str, ...], bool, tuple[int, ...]], ...] = (
    (LLAVA, "LoRA, rank 128", "llava15_7b_lora", (), True, ALL),
    (LLAVA, "LoRA, rank 128", "llava15_7b_lora", (), False, SMALL),
    (LLAVA, "MoE-LoRA, rank 128", "llava15_7b_moe_lora", (), True, ALL),
    (LLAVA, "QLoRA, rank 16", "llava15_7b_qlora_16gb", (), True, ALL),
    (LLAVA, "full", "llava15_7b_full", (), True, ONE),
    (SMOLVLM, "LoRA, rank 64", "smolvlm_lora", (), True, ALL),
    (SMOLVLM, "LoRA, rank 64", "smolvlm_lora", (), False, SMALL),
    (SMOLVLM, "full", "smolvlm_lora", FULL, True, ONE),
    (QWEN, "LoRA, rank 64", "qwen2_5_vl_3b_lora", (), True, ALL),
    (QWEN, "LoRA, rank 64", "qwen2_5_vl_3b_lora", (), False, SMALL),
    (QWEN, "QLoRA, rank 16", "qwen2_5_vl_3b_t4", (), True, ALL),
    (QWEN, "full", "qwen2_5_vl_3b_lora", FULL, True, ONE),
)
"""Each with its recipe, flags, whether layers are checkpointed, and batches."""


def counted(shape: Shape, recipe: str, flags: tuple[str, ...], rows: int) -> float:
    """GiB of a step of ``rows`` rows: what few layers take, and a layer more for each other one."""
    _, training, model = parse([str(recipe_path(recipe)), "--use_cpu", *flags])
    built = on_meta(shape.config, training, model, ["vqa"])
    static = sum(static_memory(built, training, model, Machine()))
    layers = shape.config.text_config.num_hidden_layers
    few, more = (step(shape, depth, training, model, rows) for depth in FEW)
    return static + few + (more - few) * (layers - FEW[0]) / (FEW[1] - FEW[0])


def step(shape: Shape, layers: int, training: Any, model: Any, rows: int) -> float:
    """GiB of activations of the model with fewer layers of text, and of its frozen tower."""
    config = copy.deepcopy(shape.config)
    config.text_config.num_hidden_layers = layers
    name = "depth" if shape is QWEN else "num_hidden_layers"
    setattr(config.vision_config, name, 8)
    ids = torch.full((rows, shape.tokens + TEXT), 5)
    ids[:, : shape.tokens] = config.image_token_id
    is_image = ids == config.image_token_id
    batch = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": ids.masked_fill(is_image, -100),
    }
    if shape is QWEN:
        batch["mm_token_type_ids"] = is_image.int()
    built = on_meta(config, training, model, ["vqa"])
    return step_bytes(built, batch | shape.pixels(rows), training) / GIB


def card(gib: float) -> str:
    """The smallest card that it fits."""
    return next((f"{size} GB" for size in CARDS if gib <= FREE * size), "-")


def main() -> None:
    """Print the table, a cell as soon as it is counted."""
    warnings.simplefilter("ignore")
    print("| model | method | checkpointing | 1 row | 4 rows | 16 rows |")
    print("|---|---|---|---:|---:|---:|")
    for shape, method, recipe, flags, checkpointing, batches in RUNS:
        print(f"| {shape.title} | {method} | {'yes' if checkpointing else 'no'} |", end="")
        own = (*flags, "--gradient_checkpointing", str(checkpointing).lower())
        for rows in ALL:
            need = counted(shape, recipe, own, rows) if rows in batches else None
            cell = f"{need:.1f} ({card(need)})" if need else ""
            print(f" {cell} |", end="" if rows < ALL[-1] else "\n", flush=True)


if __name__ == "__main__":
    main()
