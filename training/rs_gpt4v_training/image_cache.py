"""Images resized once, before training: `image_size` in a recipe.

The cache holds each distinct image as an uncompressed PPM file, named by the original's path, size
and time of change, so that an edited original is never served stale. It can be deleted at any time.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image
from tqdm import tqdm

from rs_gpt4v.files import replacing
from rs_gpt4v.images import open_image
from rs_gpt4v_training.pixels import padding_colour, square
from rs_gpt4v_training.recipe import RecipeError


@dataclass(frozen=True)
class ImageCache:
    """Resized copies of image files.

    Args:
        folder: Where the copies are; several processes may share it.
        side: The shorter side of a copy, in pixels; the other keeps the ratio, rounded down.
        enlarge: Whether an image with a shorter side below ``side`` is enlarged, or keeps its size.
        padding: The colour with which an image is padded to a square first; None: it is not.
    """

    folder: Path
    side: int
    enlarge: bool
    padding: tuple[int, ...] | None = None

    def path(self, image: str) -> Path:
        """Where the copy of the file ``image`` is, or will be.

        Raises:
            OSError: There is no such file.
        """
        file = os.stat(image)  # noqa: PTH116  (called for every image)
        key = f"{image}\n{file.st_size}\n{file.st_mtime_ns}\n{self.side}\n{self.enlarge}"
        if self.padding is not None:
            key += f"\n{self.padding}"
        name = hashlib.sha256(key.encode()).hexdigest()
        return self.folder / name[:2] / f"{name}.ppm"

    def add(self, image: str) -> str:
        """The path of the copy of ``image``, which is made where it is not there."""
        path = self.path(image)
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            copy = self.resized(open_image(image))
            with replacing(path) as file:
                # Of what Pillow reads as is, PPM opens fastest: half of TIFF's time, 1/20 of PNG's.
                copy.save(file, "PPM")
        return str(path)

    def resized(self, image: Image.Image) -> Image.Image:
        """``image`` in RGB and in the cache's size, as CLIP's PIL processor resizes it."""
        rgb = image.convert("RGB")
        if self.padding is not None:
            rgb = square(rgb, self.padding)
        short, long = sorted(rgb.size)
        if short == self.side or (short < self.side and not self.enlarge):
            return rgb
        other = int(self.side * long / short)
        size = (self.side, other) if rgb.width <= rgb.height else (other, self.side)
        return rgb.resize(size, Image.Resampling.BICUBIC)


def image_cache(side: int, processor: Any) -> ImageCache:
    """The cache for training the model of ``processor``, beside the rows that `datasets` caches.

    Small images are enlarged only where the processor would do just that.
    """
    enlarge = keeps_tensors(processor, side)
    padding = padding_colour(processor.image_processor) if enlarge else None
    folder = f"{side}px" if enlarge else f"at_most_{side}px"
    root = Path(datasets.config.HF_DATASETS_CACHE)
    return ImageCache(root / "rs_gpt4v_images" / folder, side, enlarge, padding)


def keeps_tensors(processor: Any, side: int) -> bool:
    """Whether the processor resizes as the cache does, and so makes the same tensors with it.

    So do CLIP's and LLaVA-1.5's PIL processors of that size. torchvision's differ by a rounding of
    the resized pixels.
    """
    size = dict(processor.image_processor.size)
    given = {name: pixels for name, pixels in size.items() if pixels is not None}
    pads = bool(getattr(processor.image_processor, "do_pad", False))
    known = not pads or padding_colour(processor.image_processor) is not None
    return given == {"shortest_edge": side} and known


def through_cache(rows: datasets.Dataset, cache: ImageCache) -> datasets.Dataset:
    """``rows`` whose images are the cache's copies, made now where they are not there.

    The rows' ``width`` and ``height`` remain those of the released image.

    Raises:
        RecipeError: An image is no file but bytes in the rows.
    """
    table: Any = rows.with_format("arrow")[:]
    images = table["images"].combine_chunks()
    files = images.flatten()
    if files.field("bytes").null_count != len(files):
        raise RecipeError(
            "image_size: the rows hold the images' bytes, and only files are cached. "
            "Leave image_size out, or train on the releases or on an export with image files."
        )
    paths = files.field("path").dictionary_encode()
    copies = pa.array(_fill(cache, paths.dictionary.to_pylist()), pa.string())
    copied = pa.StructArray.from_arrays(
        [pa.nulls(len(files), pa.binary()), copies.take(paths.indices)], names=["bytes", "path"]
    )
    ends = np.cumsum(pc.list_value_length(images).to_numpy(zero_copy_only=False), dtype=np.int32)
    column = pa.ListArray.from_arrays(pa.array(np.r_[np.int32(0), ends]), copied)
    index = table.schema.get_field_index("images")
    table = table.set_column(index, table.schema.field(index), column)
    # `datasets` would hash the whole table to name it.
    name = hashlib.sha256("\n".join(copies.to_pylist()).encode()).hexdigest()[:16]
    return datasets.Dataset(table, info=rows.info, split=rows.split, fingerprint=name)


def _fill(cache: ImageCache, images: Sequence[str]) -> list[str]:
    """The copies of ``images``, in order; Pillow decodes and resizes in threads side by side."""
    with ThreadPoolExecutor() as threads:
        copies = threads.map(cache.add, images)
        quiet = not datasets.is_progress_bar_enabled()
        return list(tqdm(copies, f"images at {cache.side} px", len(images), disable=quiet))
