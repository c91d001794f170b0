"""CPU of a batch: our collator against TRL's on the same rows, and with the cache of images.

    python benchmarks/collator.py [--rows 16] [--rounds 5]

* A LLaVA-1.5 of 336 px (576 tokens an image) with images as the releases have them: 512 px TIFF as
  in RSVQA-HR, 800 px JPEG as in DIOR, 4000 x 3000 px JPEG as in FloodNet; each decoded, and from
  the cache of images resized once (`image_size: 336`), for both collators.
* The embedded model on rows of the sample, their images decoded and not cached.

A collator gets rows that are read and decoded, and does all the rest, images included. The ways run
in one process, in turn; each number is the least of the rounds. Printed: milliseconds of CPU a
sample, the ratios, whether the tensors are equal, and what the cache costs.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from PIL import Image
from transformers import AutoProcessor
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from rs_gpt4v import NAME
from rs_gpt4v.conversation import FEATURES
from rs_gpt4v.embedded_model import FOLDER
from rs_gpt4v_training.chat_template import use_trainable_template
from rs_gpt4v_training.collators import faster
from rs_gpt4v_training.image_cache import ImageCache, keeps_tensors, through_cache

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from tiny_llava import build_tiny_llava

SIDE = 336
KINDS = {
    "512 px TIFF": (512, 512, "tif"),
    "800 px JPEG": (800, 800, "jpg"),
    "4000 x 3000 px JPEG": (4_000, 3_000, "jpg"),
}


def write_images(folder: Path, width: int, height: int, suffix: str, count: int) -> list[str]:
    """Smooth scenes with the noise of a sensor."""
    rng = np.random.default_rng(0)
    paths = []
    for i in range(count):
        coarse = rng.integers(0, 255, (height // 16, width // 16, 3), np.uint8)
        scene = np.asarray(Image.fromarray(coarse).resize((width, height))).astype(np.int16)
        noisy = scene + rng.integers(-8, 9, scene.shape, np.int16)
        path = folder / f"{width}_{i}.{suffix}"
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=90)
        paths.append(str(path))
    return paths


def rows_on(paths: list[str], width: int, height: int) -> datasets.Dataset:
    """One question a picture."""
    turn = [
        {"role": "user", "content": "How many residential buildings are in the image?"},
        {"role": "assistant", "content": "12"},
    ]
    empty = dict.fromkeys(FEATURES)
    row = empty | {"messages": turn, "width": width, "height": height}
    table = [row | {"id": path, "images": [path]} for path in paths]
    return datasets.Dataset.from_list(table, features=FEATURES)


def processor_of(folder: Path) -> Any:
    """LLaVA-1.5's: the shorter side resized to 336 px, then cropped; 576 tokens an image."""
    build_tiny_llava(folder, ["How many ships?"], image_size=SIDE, layers=1, hidden_size=32)
    processor: Any = AutoProcessor.from_pretrained(folder)
    processor.image_processor.size = {"shortest_edge": SIDE}
    processor.image_processor.crop_size = {"height": SIDE, "width": SIDE}
    processor.image_processor.do_center_crop = True
    return processor


def least_ms(ways: dict[str, Callable[[], Any]], rounds: int, samples: int) -> dict[str, float]:
    """Milliseconds of CPU a sample, the ways in turn."""
    spent = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            start = time.process_time()
            work()
            spent[name].append((time.process_time() - start) * 1_000 / samples)
    return {name: min(times) for name, times in spent.items()}


def equal(left: dict[str, Any], right: dict[str, Any]) -> bool:
    """Whether two batches are the same to the bit."""
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def spent_on(rows: datasets.Dataset, processor: Any, rounds: int) -> tuple[dict[str, float], bool]:
    """Milliseconds of CPU a sample, by collator; and whether their tensors are the same."""
    read: list[Any] = list(rows)
    trl = DataCollatorForVisionLanguageModeling(processor, assistant_only_loss=True)
    ours = faster(trl)
    spent = least_ms(
        {
            "trl": lambda: trl([dict(row) for row in read]),
            "ours": lambda: ours([dict(row) for row in read]),
            "images": lambda: processor.image_processor([row["images"][0] for row in read]),
        },
        rounds,
        len(read),
    )
    return spent, equal(trl([dict(row) for row in read]), ours([dict(row) for row in read]))


def compare(name: str, rows: datasets.Dataset, processor: Any, rounds: int) -> None:
    """Print the line of both collators on ``rows``."""
    spent, same = spent_on(rows, processor, rounds)
    print(
        f"{name:28} TRL's {spent['trl']:7.2f} ms (its image processor {spent['images']:6.2f})  "
        f"ours {spent['ours']:6.2f} ms  {spent['trl'] / spent['ours']:5.2f}x  "
        f"tensors {'equal' if same else 'DIFFERENT'}",
        flush=True,
    )


def measure(folder: Path, processor: Any, kind: str, rows: int, rounds: int) -> None:
    """Print the lines of one kind of image, and what its cache costs."""
    width, height, suffix = KINDS[kind]
    paths = write_images(folder, width, height, suffix, rows)
    cache = ImageCache(folder / "cache", SIDE, enlarge=keeps_tensors(processor, SIDE))
    plain = rows_on(paths, width, height)
    start = time.process_time()
    cached = through_cache(plain, cache)
    filling = (time.process_time() - start) * 1_000 / rows
    compare(kind, plain, processor, rounds)
    compare(f"{kind}, cached", cached, processor, rounds)
    reading = least_ms({"plain": lambda: list(plain), "cached": lambda: list(cached)}, rounds, rows)
    stored = sum(cache.path(path).stat().st_size for path in paths) / rows * 10_000 / 1e9
    print(
        f"{'':28} reading {reading['plain']:.2f} ms, cached {reading['cached']:.2f} ms; filling "
        f"the cache {filling:.1f} ms an image, {stored:.1f} GB per 10,000"
    )


def embedded(rows: int, rounds: int) -> None:
    """Print the line of the embedded model, on rows of several tasks of the sample."""
    processor: Any = AutoProcessor.from_pretrained(FOLDER)
    use_trainable_template(processor, "llava")
    parts = [
        datasets.load_dataset(NAME, config, split="train", sample=True)
        .shuffle(0)
        .select(range(rows))
        for config in ("vqa_lr", "vqa_hr", "cap_ucm", "grounding")
    ]
    compare("embedded model, the sample", datasets.concatenate_datasets(parts), processor, rounds)


def main() -> None:
    """Measure each kind of image, and the embedded model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    datasets.disable_progress_bars()
    embedded(args.rows, args.rounds)
    with tempfile.TemporaryDirectory() as folder:
        processor = processor_of(Path(folder) / "model")
        for kind in KINDS:
            measure(Path(folder), processor, kind, args.rows, args.rounds)


if __name__ == "__main__":
    main()
