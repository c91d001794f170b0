"""What each image file is known by: its bytes, its pixels, and how it looks."""

import hashlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets.config import HF_DATASETS_CACHE
from PIL import Image

from rs_gpt4v.images import ImageError, open_image, read_file
from rs_gpt4v_builders.image_memory import DATABASE, Answer, Identity, ImageMemory, identity

THUMBNAIL_PX = 32  # less cannot tell two runways apart

Known = tuple[bytes, bytes, bytes, bytes]
"""What a file is known by: digests of its bytes and pixels, dHash, and how it looks."""

DIGEST_BYTES = 16
DHASH_BYTES = 8
_EDGE_PX = 16
EDGE_BYTES = 2 * _EDGE_PX * (_EDGE_PX - 1) // 8

_TABLE = "images_v3"
# What an answer consists of, and how many bytes each value has.
_COLUMNS = {
    "content": DIGEST_BYTES,
    "pixels": DIGEST_BYTES,
    "dhash": DHASH_BYTES,
    "thumbnail": THUMBNAIL_PX**2,
}


class CacheError(OSError):
    """The file of kept answers cannot be used; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Images:
    """Image files and what they are known by, in the order of ``paths``.

    Args:
        paths: Real paths, each once.
        content: A number for each; equal numbers, equal bytes.
        pixels: The same for the decoded RGB pixels, so that a lossless copy in another format is
            found. A file that cannot be decoded has a number of its own.
        dhash: 64 bits: whether the picture, shrunk to 9 x 8, gets lighter to the right.
        looks: ``(n, 32, 32)`` grey values of thumbnails; or ``(n, 60)`` bytes of `edge_bits`, where
            only hashes are known.
    """

    paths: list[str]
    content: np.ndarray
    pixels: np.ndarray
    dhash: np.ndarray
    looks: np.ndarray


def cache_in(folder: str | Path = HF_DATASETS_CACHE) -> Path:
    """The file of answers in a cache folder of `datasets`."""
    return Path(folder).expanduser() / DATABASE


def read_images(paths: Sequence[str], cache: Path) -> Images:
    """What the image files ``paths`` (real paths, each once) are known by.

    Raises:
        FileNotFoundError: A file is not there.
        CacheError: ``cache`` cannot be used.
    """
    return images_of(paths, known_images(paths, cache))


def known_images(paths: Sequence[str], cache: Path) -> list[Known]:
    """The same, as `known_by` gives it for each file; what ``cache`` has is not read again.

    Raises:
        FileNotFoundError: A file is not there.
        CacheError: ``cache`` cannot be used.
    """

    def fail(error: Exception) -> None:
        raise CacheError(
            f"{cache}: {error}. It only saves time: delete it, or make room on its disk, and give "
            "the same command again"
        ) from error

    identities = [identity(path) for path in paths]
    with closing(ImageMemory(cache, _TABLE, tuple(_COLUMNS), fail)) as memory:
        answers: dict[Identity, Any] = memory.answers(
            identities, known_by, _is_whole, "Reading images"
        )
    return [answers[image] for image in identities]


def images_of(paths: Sequence[str], known: Sequence[Known]) -> Images:
    """Images from what each is known by; the last of it is a thumbnail of all, or a hash of all."""
    content, pixels, dhash, looks = zip(*known, strict=True) if known else ([], [], [], [])
    bytes_of = np.frombuffer(b"".join(looks), np.uint8)
    is_hash = bool(looks) and len(looks[0]) == EDGE_BYTES
    shape = (-1, EDGE_BYTES) if is_hash else (-1, THUMBNAIL_PX, THUMBNAIL_PX)
    return Images(
        list(paths),
        pd.factorize(np.array(content, object))[0],
        pd.factorize(np.array(pixels, object))[0],
        np.frombuffer(b"".join(dhash), ">u8").astype(np.uint64),
        bytes_of.reshape(shape),
    )


def edge_bits(thumbnail: bytes) -> bytes:
    """A hash of a thumbnail: whether it gets lighter to the right and downwards, in 480 bits.

    Of the means of 2 x 2 of its pixels; nobody sees a picture in it. All 0 where it is of one grey.
    """
    grey = np.frombuffer(thumbnail, np.uint8).reshape(_EDGE_PX, 2, _EDGE_PX, 2).sum((1, 3), int)
    steps = grey[:, 1:] > grey[:, :-1], grey[1:] > grey[:-1]
    return np.packbits(np.concatenate([step.ravel() for step in steps])).tobytes()


def _is_whole(_: Identity, answer: Answer) -> bool:
    """Whether a kept answer is one; any other is made anew."""
    sizes = [len(value) if isinstance(value, bytes) else None for value in answer]
    return sizes == list(_COLUMNS.values())


def known_by(path: str) -> Known:
    """Digest of the bytes, digest of the pixels, dHash (big-endian) and thumbnail of a file."""
    file = read_file(path)
    content = _digest(file)
    try:
        rgb = open_image(file).convert("RGB")
    except ImageError:
        return content, content, bytes(8), bytes(THUMBNAIL_PX**2)
    pixels = _digest(str(rgb.size).encode(), rgb.tobytes())
    grey = rgb.convert("L")
    small = np.asarray(grey.resize((9, 8), Image.Resampling.BOX))
    thumbnail = grey.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    return content, pixels, np.packbits(small[:, 1:] > small[:, :-1]).tobytes(), thumbnail.tobytes()


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        digest.update(part)
    return digest.digest()
