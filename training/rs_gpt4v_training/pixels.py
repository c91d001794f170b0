"""Rescaling and normalising by table: a pixel has 256 values, and each becomes one number."""

import copy
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image
from transformers.image_transforms import get_resize_output_image_size


def with_tables(processor: Any) -> Any:
    """A copy of ``processor`` that makes the same tensors, its pixels looked up in a table.

    torchvision's image processors are quick by themselves: they stay as they are.
    """
    images = processor.image_processor
    does_both = images.do_rescale and images.do_normalize
    if images.backend != "pil" or not does_both:
        return processor
    quick = copy.copy(processor)
    # The copy alone is changed; it is never saved.
    quick.image_processor = looking_up = copy.copy(images)
    looking_up.rescale = _left
    looking_up.normalize = _Tables(images, images.rescale_factor)
    if _only_resizes(images):
        looking_up.process_image = _Resizing(images)
        looking_up.resize = _left
    return quick


def _left(image: np.ndarray, *_: Any, **__: Any) -> np.ndarray:
    """``image`` as it is: another step does the work of this one too."""
    return image


def _only_resizes(images: Any) -> bool:
    """Whether all that ``images`` does before it crops is to pad to a square and to resize."""
    is_clip = type(images).__name__ in {"CLIPImageProcessorPil", "LlavaImageProcessorPil"}
    size = {name for name, pixels in dict(images.size).items() if pixels is not None}
    known_size = size in ({"shortest_edge"}, {"height", "width"})
    other_pad = bool(getattr(images, "do_pad", False)) and padding_colour(images) is None
    return is_clip and known_size and images.do_resize and images.do_convert_rgb and not other_pad


def padding_colour(images: Any) -> tuple[int, ...] | None:
    """With what LLaVA's image processor pads to a square; None where it does not."""
    pads = type(images).__name__ == "LlavaImageProcessorPil" and images.do_pad
    return tuple(int(255 * mean) for mean in images.image_mean) if pads else None


def square(image: Image.Image, colour: tuple[int, ...]) -> Image.Image:
    """``image``, of RGB, in the middle of a square of ``colour``."""
    width, height = image.size
    if width == height:
        return image
    side = max(width, height)
    padded = Image.new("RGB", (side, side), colour)
    padded.paste(image, ((side - width) // 2, (side - height) // 2))
    return padded


@dataclass
class _Resizing:
    """In place of the ``process_image`` of ``images``: makes the array after resizing, not before.

    The pixels of a large image would be copied four times on their way to an array and back.
    """

    images: Any

    def __call__(self, image: Any, size: Any, resample: Any, **options: Any) -> np.ndarray:
        """``image`` as uint8 of shape (3, height, width)."""
        if not _is_rgb(image):
            options |= {"size": size, "resample": resample}
            pixels = self.images.process_image(image, **options)
            if (colour := padding_colour(self.images)) is not None:
                pixels = self.images.pad_to_square(pixels, colour)
            return self.images.resize(pixels, size, resample)
        if (colour := padding_colour(self.images)) is not None:
            image = square(image, colour)
        height, width = size.height, size.width
        if size.shortest_edge:
            shape = np.broadcast_to(np.uint8(0), (3, image.height, image.width))
            height, width = get_resize_output_image_size(
                shape,
                size.shortest_edge,
                default_to_square=False,
                input_data_format="channels_first",
            )
        return np.moveaxis(np.array(image.resize((width, height), resample)), -1, 0)


def _is_rgb(image: Any) -> bool:
    return (
        isinstance(image, Image.Image) and image.mode == "RGB" and "transparency" not in image.info
    )


@dataclass(eq=False)
class _Tables:
    """In place of the ``normalize`` of ``images``."""

    images: Any
    scale: float

    def __call__(self, image: np.ndarray, mean: Any, std: Any) -> np.ndarray:
        """``image``, uint8 of shape (3, height, width), rescaled and normalised to float32."""
        tables = self._tables(len(image), tuple(mean), tuple(std))
        looked_up = np.empty(image.shape, tables.dtype)
        for channel, table, out in zip(image, tables, looked_up, strict=True):
            # Every index is in the table; "clip" is the mode that does not look for it first.
            np.take(table, channel, out=out, mode="clip")
        return looked_up

    @cache  # noqa: B019  (one for each processor, which is kept as long)
    def _tables(self, channels: int, mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
        """What each of 256 values becomes: (channels, 256)."""
        # One picture of all values goes through the processor's own arithmetic.
        every = np.tile(np.arange(256, dtype=np.uint8), (channels, 1, 1))
        return self.images.normalize(self.images.rescale(every, self.scale), mean, std)[:, 0]
