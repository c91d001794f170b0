"""Pixels deeper than 8 bits, or of many bands: what they are, and how they become 8 bits.

Satellites deliver 11 bits in 16, radar floats, and more bands than three. Pillow would read of
these the first bands, or cut what is above 255; so the samples are read here, as they are.
"""

import io
import math
import struct
import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, get_args

import numpy as np
from PIL import ExifTags, Image, ImageOps
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

Stretch = Literal["percentile"]
LOW, HIGH = 2, 98
"""Percentiles of a band that become 0 and 255."""

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIPS, _ORIENTATION, _SAMPLES, _STRIP_ROWS, _STRIP_BYTES, _PLANAR = 273, 274, 277, 278, 279, 284
_PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 317, 322, 323, 324, 325
_EXTRA, _FORMAT, _GDAL_NODATA = 338, 339, 42113

_GREY, _RGB, _LAB = (0, 1), 2, 8  # photometric
_WHITE_IS_ZERO = 0
_GREY_OR_RGB = (*_GREY, _RGB)
_HORIZONTAL, _FLOATING = 2, 3  # predictors
_RAW, _DEFLATE, _IN_LIBTIFF = 1, (8, 32946), (5, 32773, 34925, 50000)  # LZW, PackBits, LZMA, ZSTD
_TYPES = {1: "u", 2: "i", 3: "f", 4: "u"}  # sample formats; 4 is "undefined", which GDAL reads so
_TYPE_WORDS = {"u": "whole numbers", "i": "whole numbers with a sign", "f": "floats"}
_GDAL = "make copies that are: gdal_translate -ot Byte -scale -b 3 -b 2 -b 1 IN OUT.png"


class NotConvertibleError(ValueError):
    """Why an image is not what a model can see, and what to do; it goes on from the file's name.

    Attributes:
        kind: See `rs_gpt4v.images.ImageError`.
    """

    def __init__(self, reason: str, kind: str = "image has deep pixels or many bands") -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Conversion:
    """How images become 8 bits that are not.

    Args:
        stretch: "percentile": the 2nd percentile of each band becomes 0 and the 98th 255, of the
            values that are finite and not GDAL's "no data". None: refuse deeper pixels.
        bands: Which bands become red, green and blue, or the one that becomes grey; from 1. Of TIFF
            files with deeper pixels or more than three bands.
    """

    stretch: Stretch | None = None
    bands: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for what is no such option."""
        if self.stretch not in (None, *get_args(Stretch)):
            raise ValueError(f'stretch={self.stretch!r}: expected "percentile" or None')
        given = self.bands
        if given is not None and not (
            isinstance(given, tuple)
            and len(given) in (1, 3)
            and all(type(band) is int and band > 0 for band in given)
        ):
            raise ValueError(
                f"bands={given!r}: expected three numbers from 1, for red, green and blue, such as "
                "(3, 2, 1), or one for grey"
            )

    def __str__(self) -> str:
        """As in the name of a folder: "percentile-2-98_bands-3-2-1", "as-is"."""
        said = [f"{self.stretch}-{LOW}-{HIGH}"] if self.stretch else []
        said += ["bands-" + "-".join(map(str, self.bands))] if self.bands else []
        return "_".join(said) or "as-is"


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of an image as its file has them.

    Attributes:
        width: In pixels, before it is turned; so is ``height``.
        bands: How many.
        bits: Of each sample.
        kind: "u", "i" or "f" as in numpy; None for what has no such type.
        named: The bands that the file itself calls red, green and blue, or grey; None: it does not.
        content: The file, or its only band.
        tags: Those of a TIFF file.
    """

    width: int
    height: int
    bands: int
    bits: int | None
    kind: str | None
    named: tuple[int, ...] | None
    content: Any
    tags: Any = None

    def __str__(self) -> str:
        depth = f"{self.bits}-bit" if self.bits else "mixed"
        bands = f"{self.bands} bands" if self.bands > 1 else "1 band"
        return f"{depth} {_TYPE_WORDS.get(self.kind or '', 'numbers of no known type')} in {bands}"

    def refuse(self, conversion: Conversion) -> None:
        """Raise NotConvertibleError unless ``conversion`` says how to make 8 bits of it."""
        if self.is_deep and conversion.stretch is None:
            bands = "" if self.named else " with bands=(3, 2, 1) (--bands 3,2,1)"
            raise NotConvertibleError(
                f"has pixels of {self}, which a model would see black, white or not at all: give "
                f'stretch="percentile" (--stretch percentile){bands}, or {_GDAL}'
            )
        chosen = conversion.bands or self.named
        if chosen is None:
            raise NotConvertibleError(
                f"has pixels of {self}, and does not say which are red, green and blue: give "
                f"bands=(3, 2, 1) (--bands 3,2,1), or one band for grey, or {_GDAL}"
            )
        if max(chosen) > self.bands:
            raise NotConvertibleError(
                f"has pixels of {self}: there is no band {max(chosen)}, which bands={chosen} names"
            )
        if problem := self._unread():
            raise NotConvertibleError(f"has {problem}, which are not read here: {_GDAL}")

    @property
    def is_deep(self) -> bool:
        """Whether a sample is no byte."""
        return self.bits != 8 or self.kind != "u"

    def _unread(self) -> str | None:
        if self.tags is None:
            return None
        if self.tags.get(_PHOTOMETRIC) not in _GREY_OR_RGB:
            return "deep or many bands in colours other than grey or RGB"
        if self.kind is None or self.bits not in (8, 16, 32, 64):
            return f"pixels of {self}"
        compression = self.tags.get(_COMPRESSION, _RAW)
        if compression not in (_RAW, *_DEFLATE, *_IN_LIBTIFF) or self.tags.get(_FILL_ORDER, 1) != 1:
            return f"pixels of {self} in TIFF compression {compression}"
        return None

    def eight_bits(self, conversion: Conversion) -> Image.Image:
        """The image in "RGB" or "L", turned as its orientation says.

        Raises:
            NotConvertibleError: ``conversion`` does not say how, or there is nothing to see.
        """
        self.refuse(conversion)
        tags = self.tags or {}
        chosen = conversion.bands or self.named or ()
        bands = self.content[None] if self.tags is None else _read(self, [n - 1 for n in chosen])
        if self.is_deep:
            bands = np.stack([_stretched(band, _no_data(tags)) for band in bands])
        if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
            bands = 255 - bands
        image = Image.fromarray(np.moveaxis(bands, 0, 2).copy() if len(bands) > 1 else bands[0])
        image.getexif()[ExifTags.Base.Orientation] = tags.get(_ORIENTATION, 1)
        return ImageOps.exif_transpose(image)


def _stretched(band: np.ndarray, no_data: float | None) -> np.ndarray:
    """A band as bytes; what has no value is 0."""
    # In place, and of 16 bits in single precision: a scene of satellites fills gigabytes.
    real = band.astype(np.float32 if band.itemsize <= 2 else np.float64)
    valid = np.isfinite(real) & (real != no_data)
    values = band[valid]
    if not len(values) or values.min() == values.max():
        raise NotConvertibleError(
            "has a band with one value all over: there is nothing to see", "image is blank"
        )
    low, high = np.percentile(values, (LOW, HIGH))
    if low == high:  # nearly all is background
        low, high = float(values.min()), float(values.max())
    real[~valid] = low
    real -= low
    real *= 255 / (high - low)
    return np.rint(np.clip(real, 0, 255, out=real), out=real).astype(np.uint8)


def tiff_samples(file: BinaryIO, conversion: Conversion) -> Samples | None:
    """The samples of a TIFF that are to be converted, or would have to be; None of an ordinary one.

    Ordinary is what Pillow reads as it is: 8 bits or less, grey, RGB, CMYK or palette, with alpha.
    A fourth band of 8 bits is taken for alpha, unless ``conversion`` names bands.

    Raises:
        SyntaxError: No TIFF; other errors, too, where the file is damaged.
    """
    tags = _tags(file)
    bands = int(tags.get(_SAMPLES, 1))
    bits, formats = set(tags.get(_BITS, (1,))), set(tags.get(_FORMAT, (1,)))
    photometric = tags.get(_PHOTOMETRIC)
    is_deep = bool(bits - {1, 2, 4, 8} or formats - {1, 4})
    is_rgb = photometric == _RGB and bands in (3, 4)
    if not is_deep and not (bands > 3 and conversion.bands) and _is_read_by_pillow(bands, tags):
        return None
    return Samples(
        width=tags[_WIDTH],
        height=tags[_HEIGHT],
        bands=bands,
        bits=bits.pop() if len(bits) == 1 else None,
        kind=_TYPES.get(formats.pop()) if len(formats) == 1 else None,
        named=(1,) if bands == 1 else (1, 2, 3) if is_rgb else None,
        content=file,
        tags=tags,
    )


def _is_read_by_pillow(bands: int, tags: Any) -> bool:
    if bands in (3, 4):
        return tags.get(_PHOTOMETRIC) not in (*_GREY, _LAB)
    return bands == 1 or (bands == 2 and any(tags.get(_EXTRA, ())))


def _tags(file: BinaryIO) -> Any:
    head = file.read(8)
    if head[2:3] == b"+":  # BigTIFF
        head += file.read(8)
    tags = ImageFileDirectory_v2(head)
    file.seek(tags.next)
    tags.load(file)
    return tags


def _no_data(tags: Any) -> float | None:
    """The value that GDAL writes where there is none."""
    try:
        return float(tags.get(_GDAL_NODATA, "").rstrip("\0 "))
    except ValueError:
        return None


def _read(samples: Samples, chosen: list[int]) -> np.ndarray:
    """The bands ``chosen`` (from 0): ``(bands, height, width)``."""
    tags, (width, height) = samples.tags, (samples.width, samples.height)
    across, down = (
        tags.get(_TILE_WIDTH, width),
        tags.get(_TILE_HEIGHT, tags.get(_STRIP_ROWS, height)),
    )
    columns, rows = math.ceil(width / across), math.ceil(height / down)
    in_planes = tags.get(_PLANAR, 1) == 2
    found = []
    read = np.zeros((len(chosen), height, width), f"{samples.kind}{(samples.bits or 0) // 8}")
    for place in range(columns * rows):
        y, x = place // columns * down, place % columns * across
        tall = down if _TILES in tags else min(down, height - y)
        shape = (tall, across, 1 if in_planes else samples.bands)
        if in_planes:
            found = [
                _block(samples, band * columns * rows + place, shape)[..., 0] for band in chosen
            ]
        else:
            found = np.moveaxis(_block(samples, place, shape)[..., chosen], 2, 0)
        for band, block in zip(read, found, strict=True):
            band[y : y + tall, x : x + across] = block[: height - y, : width - x]
    return read


def _block(samples: Samples, place: int, shape: tuple[int, int, int]) -> np.ndarray:
    """One strip or tile: ``(rows, columns, bands in it)``."""
    tags, width = samples.tags, (samples.bits or 0) // 8
    tiled = _TILES in tags
    offset = tags[_TILES if tiled else _STRIPS][place]
    count = tags[_TILE_BYTES if tiled else _STRIP_BYTES][place]
    if not count:  # GDAL leaves out blocks without data
        return np.zeros(shape, f"{samples.kind}{width}")
    samples.content.seek(offset)
    size = math.prod(shape) * width
    raw = _decompressed(samples.content.read(count), tags.get(_COMPRESSION, _RAW), size, shape[0])
    if len(raw) < size:
        raise OSError(f"strip or tile {place} is cut short")
    predictor, order = tags.get(_PREDICTOR, 1), ">" if tags.prefix == b"MM" else "<"
    if predictor == _FLOATING:
        raw, order = _unpredicted_floats(raw, shape, width), ">"
    read = np.frombuffer(raw, f"{order}{samples.kind}{width}", math.prod(shape)).reshape(shape)
    if predictor == _HORIZONTAL:
        differences = read.view(f"{order}u{width}").astype(f"u{width}")
        read = np.cumsum(differences, axis=1, dtype=differences.dtype).view(
            f"{samples.kind}{width}"
        )
    return read


def _decompressed(data: bytes, compression: int, size: int, rows: int) -> bytes:
    """At most ``size`` bytes, in so many rows."""
    if compression == _RAW:
        return data[:size]
    if compression in _DEFLATE:
        return zlib.decompressobj().decompress(data, size)
    # A file around the one block, for libtiff, which takes the samples for bytes.
    tags = ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    values = {_WIDTH: size // rows, _HEIGHT: rows, _BITS: 8, _COMPRESSION: compression}
    values |= {_PHOTOMETRIC: 1, _STRIPS: 0, _SAMPLES: 1, _STRIP_ROWS: rows, _STRIP_BYTES: len(data)}
    for tag, value in values.items():
        tags[tag] = value
    file = (
        b"II*\0" + struct.pack("<L", 8) + tags.tobytes(8) + data
    )  # tobytes adds the strip's place
    with TiffImageFile(io.BytesIO(file)) as block:
        return block.tobytes()


def _unpredicted_floats(raw: bytes, shape: tuple[int, int, int], width: int) -> bytes:
    """Big-endian floats: in a row all first bytes stand before all second ones, as differences."""
    rows, columns, bands = shape
    differences = np.frombuffer(raw, np.uint8, math.prod(shape) * width)
    summed = np.cumsum(differences.reshape(rows, -1, bands), axis=1, dtype=np.uint8)
    return summed.reshape(rows, width, columns * bands).transpose(0, 2, 1).tobytes()
