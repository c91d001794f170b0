"""CPU per sample of TRL's collator, with and without the cache of resized images.

    python benchmarks/collator.py [--rows 8] [--rounds 5]

Images as the releases have them go to LLaVA-1.5's 336 px PIL processor: 512 px TIFF as in
RSVQA-HR, 800 px JPEG as in DIOR, 4000 x 3000 px JPEG as in FloodNet. Both ways run in one process,
in turn; each number is the least of the rounds.

* image work: opening and decoding the file, and the image processor;
* collator: reading the row and TRL's whole collator, tokenisation included.

Printed: milliseconds of CPU a sample, the ratios, whether the tensors are equal, and the cache's
size for 10,000 images.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import numpy as np
import torch
from PIL import Image
from transformers import AutoProcessor
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from rs_gpt4v.conversation import FEATURES
from rs_gpt4v_training.image_cache import ImageCache, keeps_tensors, through_cache
from rs_gpt4v_training.pixels import with_tables

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from tiny_llava import build_tiny_llava

SIDE = 336
KINDS = {
    "512 px TIFF": (512, 512, "tif"),
    "800 px JPEG": (800, 800, "jpg"),
    "4000 x 3000 px JPEG": (4_000, 3_000, "jpg"),
}


class Way(NamedTuple):
    """Rows, and the processor that makes tensors of them."""

    rows: datasets.Dataset
    processor: Any

    def image_work(self) -> Any:
        """The tensor of all rows' images."""
        images = [images[0] for images in self.rows["images"]]
        return self.processor.image_processor(images, return_tensors="pt")["pixel_values"]

    def collate(self) -> dict[str, Any]:
        """The batch of all rows."""
        collator = DataCollatorForVisionLanguageModeling(self.processor, assistant_only_loss=True)
        return collator([self.rows[i] for i in range(len(self.rows))])


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


def measure(folder: Path, processor: Any, kind: str, rows: int, rounds: int) -> None:
    """Print the line of one kind of image."""
    width, height, suffix = KINDS[kind]
    paths = write_images(folder, width, height, suffix, rows)
    cache = ImageCache(folder / "cache", SIDE, enlarge=keeps_tensors(processor, SIDE))
    plain = Way(rows_on(paths, width, height), processor)
    start = time.process_time()
    cached = Way(through_cache(plain.rows, cache), with_tables(processor))
    filling = (time.process_time() - start) * 1_000 / rows
    image = least_ms({"plain": plain.image_work, "cached": cached.image_work}, rounds, rows)
    whole = least_ms({"plain": plain.collate, "cached": cached.collate}, rounds, rows)
    stored = sum(cache.path(path).stat().st_size for path in paths) / rows * 10_000 / 1e9
    same = "equal" if equal(plain.collate(), cached.collate()) else "DIFFERENT"
    print(
        f"{kind:20} image work {image['plain']:6.2f} -> {image['cached']:5.2f} ms "
        f"({image['plain'] / image['cached']:5.1f}x)  collator {whole['plain']:6.2f} -> "
        f"{whole['cached']:5.2f} ms ({whole['plain'] / whole['cached']:4.1f}x)  tensors {same}  "
        f"filling {filling:.1f} ms an image  {stored:.1f} GB per 10,000"
    )


def main() -> None:
    """Measure each kind of image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as folder:
        processor = processor_of(Path(folder) / "model")
        for kind in KINDS:
            measure(Path(folder), processor, kind, args.rows, args.rounds)


if __name__ == "__main__":
    main()
