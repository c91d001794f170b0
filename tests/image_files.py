"""Image files that Pillow does not write: TIFFs of many bands or deep pixels, and special files."""

import io
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

ORIENTATION = 274
needs_tifffile = pytest.mark.skipif(
    find_spec("tifffile") is None, reason='needs the extra tiff: pip install "rs-gpt4v[tiff]"'
)
_FORMATS = {"u": 1, "i": 2, "f": 3}


def tiff(bands: np.ndarray, *, photometric: int = 1, planes: bool = False, **more: object) -> bytes:
    """A TIFF of one strip (a strip a band with ``planes``) of ``bands``, ``(n, height, width)``.

    ``more`` are other tags by number, such as ``t274=6``; ``deflate=True`` compresses.
    """
    count, height, width = bands.shape
    laid = bands if planes else np.moveaxis(bands, 0, 2)
    strips = [laid[n].tobytes() for n in range(count)] if planes else [laid.tobytes()]
    if more.pop("deflate", False):
        strips = [zlib.compress(strip) for strip in strips]
    tags = ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    values = {256: width, 257: height, 258: (bands.itemsize * 8,) * count, 259: 1}
    values |= {262: photometric, 277: count, 278: height, 284: 2 if planes else 1}
    values |= {339: (_FORMATS[bands.dtype.kind],) * count, 279: tuple(map(len, strips))}
    for tag, value in (values | {int(name[1:]): value for name, value in more.items()}).items():
        tags[tag] = value
    starts = np.cumsum([0, *map(len, strips)])[:-1]
    # `tobytes` adds the place behind the tags; a type of 32 bits keeps their length the same.
    tags.tagtype[273] = 4
    tags[273] = tuple(int(start) for start in starts)
    return b"II*\0" + (8).to_bytes(4, "little") + tags.tobytes(8) + b"".join(strips)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The file of an image."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(image: Image.Image, kind: str, orientation: int = 6, **options: object) -> bytes:
    """The file of an image that its EXIF data say to turn."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(image, kind, exif=exif, **options)


POSTSCRIPT = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 9 9
%%EndComments
showpage
%%EOF
"""


def ghostscript_trap(folder: Path) -> Path:
    """Write a ``gs`` into ``folder``, which leaves the file that is returned wherever it runs."""
    trace = folder / "gs-ran"
    program = folder / "gs"
    program.write_text(f"#!/bin/sh\ntouch {trace}\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    return trace
