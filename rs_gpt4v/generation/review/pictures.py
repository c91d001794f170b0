"""An image as a browser can show it."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

MOST_PIXELS = 80_000_000
"""An image of more is not decoded: as RGB it would take 240 MB."""
LONGEST_SIDE = 4096
"""Pixels; what is converted and longer is made smaller. The page stretches it to its boxes."""
_SHOWN = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}

# What Pillow raises on a file that is broken, cut, hostile or no image.
_BROKEN = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


class UnshowableError(ValueError):
    """A file is no image, a broken or a too large one; the message names it."""


def displayable(path: Path) -> tuple[str, bytes]:
    """The media type and bytes of an image: its own where browsers know them, a PNG otherwise.

    Whatever is not an image is not handed out, so a queue cannot make any other file seen.

    Raises:
        UnshowableError: Pillow cannot read it, or it is too large.
    """
    try:
        with Image.open(path) as image:
            if image.width * image.height <= MOST_PIXELS:
                return _shown(path, image)
            size = f"{image.width} x {image.height} px, more than {MOST_PIXELS:,}"
    except _BROKEN as error:
        raise UnshowableError(f"{path} cannot be shown: {error}") from error
    raise UnshowableError(f"{path} has {size}: make a smaller copy, and scale its boxes")


def _shown(path: Path, image: Image.Image) -> tuple[str, bytes]:
    if image.format in _SHOWN:
        return _SHOWN[image.format], path.read_bytes()
    return "image/png", _png(image)


def _png(image: Image.Image) -> bytes:
    shown = _eight_bits(image)
    shown.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    buffer = io.BytesIO()
    shown.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _eight_bits(image: Image.Image) -> Image.Image:
    """RGB or RGBA; where a pixel is one deep number, the darkest is black and the lightest white.

    Pillow itself would cut all above 255 to white.
    """
    if not image.mode.startswith(("I", "F")):
        return image.convert("RGBA" if "A" in image.getbands() else "RGB")
    deep = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
    span = (deep.max() - deep.min()) or 1
    return Image.fromarray(((deep - deep.min()) * (255 / span)).astype(np.uint8))
