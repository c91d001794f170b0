"""Pixels deeper than 8 bits, or of many bands: what they are, and how they become 8 bits.

Satellites deliver 11 bits in 16, radar floats, and more bands than three. Pillow would read of
these the first bands, or cut what is above 255; so the samples are read here, as they are.
"""

from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, get_args

import numpy as np
from PIL import ExifTags, Image, ImageOps
from PIL.TiffImagePlugin import ImageFileDirectory_v2

Stretch = Literal["percentile"]
LOW, HIGH = 2, 98
"""Percentiles of a band that become 0 and 255."""

_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _ORIENTATION, _SAMPLES = 256, 257, 258, 262, 274, 277
_EXTRA, _FORMAT, _GDAL_NODATA = 338, 339, 42113  # tags of TIFF

_GREY, _RGB, _LAB = (0, 1), 2, 8  # photometric
_WHITE_IS_ZERO = 0
_GREY_OR_RGB = (*_GREY, _RGB)
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
        parts = [f"{self.stretch}-{LOW}-{HIGH}"] if self.stretch else []
        parts += ["bands-" + "-".join(map(str, self.bands))] if self.bands else []
        return "_".join(parts) or "as-is"


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
    try:
        from tifffile import TiffFile
    except ImportError:
        raise ImportError(
            f'to read a TIFF with pixels of {samples}: pip install "rs-gpt4v[tiff]"'
        ) from None
    samples.content.seek(0)
    with TiffFile(samples.content) as file:
        page: Any = file.pages.first
        read = np.zeros((len(chosen), samples.height, samples.width), page.dtype)
        # Block by block: all bands of a scene at once fill gigabytes.
        for block, (plane, _, y, x, _), _ in page.segments(maxworkers=1, buffersize=2**24):
            if block is None:  # GDAL leaves out blocks without data
                continue
            for band, number in zip(read, chosen, strict=True):
                if page.planarconfig == 1 or plane == number:
                    rows = block[0, ..., number if page.planarconfig == 1 else 0]
                    part = band[y : y + rows.shape[0], x : x + rows.shape[1]]
                    part[:] = rows[: part.shape[0], : part.shape[1]]
    return read
