"""Opens image files: nothing else in this package calls `PIL.Image.open`.

A file must be a regular one, of `FORMATS`, of at most `MOST_PIXELS`, whole, and with pixels that
are what a model would see. All sizes and boxes are in the frame that `datasets` decodes: the image
turned as its EXIF orientation says.
"""

import base64
import io
import os
import stat
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from rs_gpt4v.files import AnyPath
from rs_gpt4v.image_bands import Conversion, NotConvertibleError, Samples, tiff_samples

ImageFile: TypeAlias = AnyPath | bytes
"""An image's path, or the bytes of its file."""

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF")
"""Recognised by a file's content, whatever its suffix. No other decoder of Pillow sees a file:
that of PostScript would run it as a program."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif")
"""The usual names of `FORMATS`, in lower case."""


def stem(name: str) -> str:
    """The name of an image without its suffix, where that is one of `SUFFIXES`, in any case.

    >>> stem("tiles/A.TIF"), stem("scale_1.5")
    ('tiles/A', 'scale_1.5')
    """
    before, suffix = os.path.splitext(name)  # noqa: PTH122 - a name, maybe no path here
    return before if suffix.lower() in SUFFIXES else name


MOST_PIXELS = 178_956_970
"""Where Pillow itself stops decoding, and so `datasets`: 537 MB as RGB."""

AS_IS = Conversion()
"""Convert nothing: an image that would have to be is refused."""

FOR_THE_EYE = Conversion(stretch="percentile")
"""For people to look at: whatever a model would see, they see something."""

ACCEPTED = "JPEG, PNG, TIFF, WebP, BMP or GIF"
_GDAL = "gdal_translate -of PNG IN OUT.png"
_OTHERS = {
    b"%!PS": ("PostScript, which is a program", "with a converter that you trust"),
    b"\xc5\xd0\xd3\xc6": ("PostScript, which is a program", "with a converter that you trust"),
    b"%PDF": ("a PDF", "pdftoppm -png IN OUT"),
    b"\0\0\0\x0cjP  ": ("JPEG 2000", _GDAL),
    b"\xff\x4f\xff\x51": ("JPEG 2000", _GDAL),
    b"\x89HDF": ("HDF5", _GDAL),
    b"CDF": ("NetCDF", _GDAL),
    b"NITF": ("NITF", _GDAL),
}
"""What else comes in the place of an image, by its first bytes, and how to make one of it."""

# What Pillow was seen to raise for damaged files: mostly OSError, SyntaxError for a PNG, and for a
# TIFF whose tags are garbage nearly anything.
_DAMAGED = (
    *(OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, OverflowError),
    *(AssertionError, EOFError, MemoryError, RuntimeError, ZeroDivisionError, struct.error),
    *(zlib.error, Image.DecompressionBombError),
)
_ORDINARY = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr"}
_OWN_HEADS = (b"\xff\xd8\xff", b"\x89PNG", b"II", b"MM\0", b"GIF8", b"BM")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0")
_PNG, _PNG_DEPTH = b"\x89PNG\r\n\x1a\n", 24  # where the file states the bits of a sample
_ON_ITS_SIDE = (5, 6, 7, 8)  # orientations


class ImageError(ValueError):
    """A file is no image that can be used; the message names it, why, and what to do.

    Attributes:
        kind: What is wrong, in the same words for every such image.
    """

    def __init__(self, reason: str, kind: str = "image cannot be used") -> None:
        super().__init__(reason)
        self.kind = kind


def open_image(file: ImageFile, conversion: Conversion = AS_IS) -> Image.Image:
    """The decoded image in the frame of `datasets`, in a mode of which `Image.convert` makes RGB.

    Raises:
        ImageError: It is missing, no regular file, of another format, damaged, too large, or its
            pixels are deeper than 8 bits, or of too many bands, and ``conversion`` does not say
            what to do with them.
    """
    with _opened(file, conversion) as image:
        return image.eight_bits(conversion) if isinstance(image, Samples) else _turned(image)


def thumbnail(file: ImageFile, side: int) -> Image.Image:
    """The image in RGB, made smaller where a side is longer than ``side`` pixels.

    Deep pixels are stretched: this is for people to look at.

    Raises:
        ImageError: As `open_image`.
    """
    with _opened(file, FOR_THE_EYE) as image:
        if isinstance(image, Samples):
            small = image.eight_bits(FOR_THE_EYE)
        else:
            image.draft("RGB", (side, side))
            small = _turned(image)
    small.thumbnail((side, side))
    return small.convert("RGB")


def thumbnail_uri(path: str, side: int) -> str:
    """`thumbnail` as a data URI for a page; empty where the file is no usable image."""
    jpeg = io.BytesIO()
    try:
        thumbnail(path, side).save(jpeg, "JPEG", quality=82)
    except ImageError:
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode()


def web_file(
    file: ImageFile, conversion: Conversion = AS_IS, longest: int | None = None
) -> tuple[str, bytes]:
    """What all browsers and servers show alike: "png", "jpeg", "gif" or "webp", and its bytes.

    These are the file's own where nothing has to be turned or converted; a PNG in RGB otherwise,
    whose longer side is at most ``longest`` pixels.

    Raises:
        ImageError: As `open_image`; the data of what is sent as it is are not decoded.
    """
    with _opened(file, conversion) as image:
        if isinstance(image, Samples):
            shown = image.eight_bits(conversion)
        elif image.format in _ON_THE_WEB and image.mode != "CMYK" and not _is_to_be_turned(image):
            content = file if isinstance(file, bytes) else read_file(file)
            return _ON_THE_WEB[image.format or ""], content
        else:
            shown = _turned(image).convert("RGB")
    if longest is not None:
        shown.thumbnail((longest, longest))
    png = io.BytesIO()
    shown.save(png, "PNG", compress_level=1)
    return "png", png.getvalue()


_ON_THE_WEB = {"JPEG": "jpeg", "MPO": "jpeg", "PNG": "png", "GIF": "gif", "WEBP": "webp"}


def web_size(content: bytes) -> tuple[int, int]:
    """Width and height in pixels of what `web_file` gave, as its head says.

    Raises:
        ImageError: It is no such file.
    """
    with _opened(content, FOR_THE_EYE) as image:
        return image.width, image.height


class Checked(NamedTuple):
    """Width and height in pixels, and the image itself where it had to be converted."""

    size: tuple[int, int]
    converted: Image.Image | None


def checked(file: ImageFile, conversion: Conversion = AS_IS) -> Checked:
    """What `open_image` would open, all of whose data were decoded.

    A JPEG is decoded at an eighth of its size, in half to a third of the time.

    Raises:
        ImageError: As `open_image`.
    """
    with _opened(file, conversion) as image:
        if isinstance(image, Samples):
            converted = image.eight_bits(conversion)
            return Checked(converted.size, converted)
        width, height = image.size
        if image.format != "JPEG":
            return Checked(_turned(image).size, None)
        image.draft(None, (max(1, width // 8), max(1, height // 8)))
        _turned(image)
        return Checked((height, width) if _is_on_its_side(image) else (width, height), None)


def frame_size(file: ImageFile) -> tuple[int, int]:
    """Width and height in pixels of what `open_image` would open, as the file's head says.

    Raises:
        ImageError: It is no image; damaged data behind its head are not seen.
    """
    with _opened(file, FOR_THE_EYE) as image:
        width, height = image.width, image.height
        turned = isinstance(image, Image.Image) and _is_to_be_turned(image)
        return (height, width) if turned and _is_on_its_side(image) else (width, height)


def upright_file(path: AnyPath) -> bytes | None:
    """A file in the same format whose pixels are turned already; None where none are to be turned.

    For programs that may not heed EXIF. A JPEG is encoded anew, at quality 95.

    Raises:
        ImageError: As `open_image`.
    """
    with _opened(path, AS_IS) as image:
        if isinstance(image, Samples) or not _is_to_be_turned(image):
            return None
        file, kind = io.BytesIO(), image.format
        _turned(image).save(file, kind, **({"quality": 95} if kind in ("JPEG", "WEBP") else {}))
        return file.getvalue()


def read_file(path: AnyPath) -> bytes:
    """The bytes of a regular file.

    Raises:
        ImageError: It is missing, or a folder, pipe or device.
    """
    with _regular(path) as file:
        return file.read()


def refuse_outside(path: AnyPath, folders: Sequence[AnyPath]) -> None:
    """Raise unless the file is below one of ``folders``, links followed.

    Raises:
        ImageError: It is elsewhere.
    """
    real = Path(path).resolve()
    if not any(real.is_relative_to(Path(folder).resolve()) for folder in folders):
        raise ImageError(
            f"{path} is not in {' or in '.join(map(str, folders))}: name its folder with "
            "--images-from, or copy it there"
        )


def _turned(image: Image.Image) -> Image.Image:
    """As `datasets.Image.decode_example` does it."""
    image.load()
    if image.getexif().get(ExifTags.Base.Orientation) is not None:
        return ImageOps.exif_transpose(image)
    return image


def _is_on_its_side(image: Any) -> bool:
    return image.getexif().get(ExifTags.Base.Orientation) in _ON_ITS_SIDE


def _is_to_be_turned(image: Any) -> bool:
    if image.format == "PNG" and not _mentions_exif(image.fp):
        return False  # Pillow would decode the whole of it, for a chunk at its end
    return image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9)


def _mentions_exif(file: Any) -> bool:
    position = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(position)
    return any(word in content for word in (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp"))


@contextmanager
def _opened(file: ImageFile, conversion: Conversion) -> Iterator[Image.Image | Samples]:
    """The image, not yet decoded; its samples where they are to be converted."""
    name = "the image" if isinstance(file, bytes) else str(file)
    with io.BytesIO(file) if isinstance(file, bytes) else _regular(file) as stream:
        try:
            yield _accepted(stream, conversion)
        except NotConvertibleError as error:
            raise ImageError(f"{name} {error}", error.kind) from error
        except _DAMAGED as error:
            raise ImageError(
                f"{name} cannot be decoded: {error or type(error).__name__}",
                "image cannot be decoded",
            ) from error


def _regular(path: AnyPath) -> BinaryIO:
    """The open file; to open a named pipe would wait for ever for somebody to write."""
    try:
        is_regular = stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - of every image
        if is_regular:
            return open(path, "rb")  # noqa: PTH123
    except FileNotFoundError as error:
        raise ImageError(f"{path} is missing", "image is missing") from error
    except (OSError, ValueError) as error:  # no permission, a link to itself, a NUL in the name
        raise ImageError(f"{path} cannot be read: {error}", "image cannot be read") from error
    raise ImageError(
        f"{path} is no regular file: a folder, named pipe or device is no image",
        "image is no regular file",
    )


def _accepted(stream: BinaryIO, conversion: Conversion) -> Image.Image | Samples:
    head = stream.read(32)
    stream.seek(0)
    if not head:
        raise OSError("the file is empty")
    if head.startswith(_TIFF):
        samples = tiff_samples(stream, conversion)
        if samples:
            _refuse_size(samples.width, samples.height)
            samples.refuse(conversion)
            return samples
        stream.seek(0)
    image = _identified(stream, head)
    _refuse_size(*image.size)
    if head.startswith(_PNG) and head[_PNG_DEPTH] == 16:
        image = _deep_png(image)
        image.refuse(conversion)
    elif image.mode not in _ORDINARY:
        raise NotConvertibleError(
            f"has colours in mode {image.mode}, of which Pillow makes no RGB: convert it to RGB",
            "image has other colours",
        )
    return image


def _identified(stream: BinaryIO, head: bytes) -> Image.Image:
    try:
        return Image.open(stream, formats=FORMATS)  # noqa: TID251 - only here
    except UnidentifiedImageError as error:
        if head.startswith(_OWN_HEADS) or (head[:4], head[8:12]) == (b"RIFF", b"WEBP"):
            raise OSError("its head is damaged") from error
        kinds = (kind for start, kind in _OTHERS.items() if head.startswith(start))
        kind, remedy = next(kinds, ("no image that can be read here", _GDAL))
        raise NotConvertibleError(
            f"is {kind}. An image is {ACCEPTED}, whatever its name; make one of it: {remedy}",
            "image is of another format",
        ) from error


def _refuse_size(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise NotConvertibleError(
            f"has {width:,} x {height:,} pixels, more than {MOST_PIXELS:,}: cut it into tiles",
            "image has too many pixels",
        )


def _deep_png(image: Image.Image) -> Samples:
    if not image.mode.startswith("I"):
        raise NotConvertibleError(
            "has 16-bit colours in a PNG, of which Pillow reads 8 bits: make a TIFF of it, "
            'gdal_translate IN OUT.tif, and give stretch="percentile" (--stretch percentile)'
        )
    grey = np.asarray(_turned(image))
    return Samples(grey.shape[1], grey.shape[0], 1, 16, "u", (1,), grey)
