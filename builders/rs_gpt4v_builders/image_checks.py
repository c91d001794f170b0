"""Decodes each image once, at the build: what training would fail at is known before it begins.

What is converted is written into the cache of `datasets`, as a PNG, under the hash of the
original's bytes.
"""

import hashlib
import logging
import math
import os
import warnings
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple

import datasets
import PIL
from PIL.PngImagePlugin import PngInfo

from rs_gpt4v import images
from rs_gpt4v.files import replacing
from rs_gpt4v_builders.image_memory import DATABASE, Answer, Identity, ImageMemory, identity

CONVERTED = "rs_gpt4v_converted"
EMBEDDED = "rs_gpt4v_embedded"
"""What the folder of converted images is called in the cache folder of `datasets`."""

logger = logging.getLogger(__name__)

_TABLE = "checks_v3"
_COLUMNS = ("used", "width", "height", "kind", "reason")
_WORTH_A_BAR = 1_000


class Checked(NamedTuple):
    """The file that a row holds, its width and height in pixels, and what is wrong, if anything.

    ``problem`` is kind and reason, a `rs_gpt4v.records.PROBLEM`.
    """

    path: str
    width: int | None
    height: int | None
    problem: tuple[str, str] | None


def check_images(
    paths: Sequence[str], cache: Path, conversion: images.Conversion = images.AS_IS
) -> list[Checked]:
    """Whether each of ``paths`` can be decoded, and how large it is.

    Args:
        paths: Image files, each once.
        cache: The cache folder of `datasets`.
        conversion: What is done with images that are not 8-bit; those of the answers that were
            converted name the copy.
    """
    examine = partial(_examine, cache=cache, conversion=conversion)
    present = [identity(path) for path in paths if os.path.exists(path)]  # noqa: PTH110
    # Another Pillow may decode otherwise.
    rules = f"{conversion} Pillow {PIL.__version__}"
    bar_from = _WORTH_A_BAR if datasets.is_progress_bar_enabled() else math.inf
    with (
        closing(ImageMemory(cache / DATABASE, _TABLE, _COLUMNS, _warn, rules)) as memory,
        warnings.catch_warnings(),
    ):
        # Pillow warns of what the answer says, and of oddities that do no harm.
        warnings.simplefilter("ignore")
        known = memory.answers(present, examine, _is_there, "Checking images", bar_from=bar_from)
    answers = {image.path: answer for image, answer in known.items()}
    return [_checked(*(answers.get(path) or examine(path))) for path in paths]


def _warn(error: Exception) -> None:
    logger.warning("images are checked anew in each build, as nothing can be kept: %s", error)


def _is_there(image: Identity, answer: Answer) -> bool:
    """Whether the image itself is used, or its converted copy is still there."""
    return answer[0] == image.path or Path(answer[0]).is_file()


def _checked(
    used: str, width: int | None, height: int | None, kind: str | None, reason: str | None
) -> Checked:
    return Checked(used, width, height, (kind, reason) if kind and reason else None)


def _examine(path: str, cache: Path, conversion: images.Conversion) -> Answer:
    try:
        size, converted = images.checked(path, conversion)
        if converted is None:
            return path, *size, None, None
        copy = cache / CONVERTED / str(conversion) / _digest(path) / f"{Path(path).stem}.png"
    except images.ImageError as error:
        return path, None, None, error.kind, str(error)
    if not copy.is_file():
        copy.parent.mkdir(parents=True, exist_ok=True)
        said = PngInfo()
        said.add_text("Comment", f"rs-gpt4v: {Path(path).name}, {conversion}")
        with replacing(copy) as file:
            converted.save(file, "PNG", pnginfo=said)
    return str(copy), *size, None, None


def _digest(path: str) -> str:
    return hashlib.sha256(images.read_file(path)).hexdigest()[:16]
