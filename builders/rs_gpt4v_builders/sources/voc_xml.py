"""What the releases on DIOR's images share: an XML file an image (Pascal VOC), and the split."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from defusedxml import DefusedXmlException, ElementTree

from rs_gpt4v_builders.sources.reading import AnnotationError

LAST_TRAINING_IMAGE = 11725
"""Of DIOR: images up to this number are its trainval split, the others its test split."""

CORNERS = ("bndbox/xmin", "bndbox/ymin", "bndbox/xmax", "bndbox/ymax")
FOUR_CORNERS = tuple(
    f"robndbox/{axis}_{corner}"
    for corner in ("left_top", "right_top", "right_bottom", "left_bottom")
    for axis in "xy"
)
"""Of an oriented box as DIOR-R has it."""


def annotation_files(folder: Path) -> list[Path]:
    """The XML files in ``folder`` by name; what other systems hide there is left out."""
    return sorted(folder.glob("[!.]*.xml"), key=lambda path: path.name)


def dior_split(file: Path) -> str:
    """Where DIOR has the image of that number: "train" or "test".

    Raises:
        AnnotationError: The file's name is no number.
    """
    if not file.stem.isdecimal():
        raise AnnotationError(f"{file}: expected the number of a DIOR image as its name")
    return "train" if int(file.stem) <= LAST_TRAINING_IMAGE else "test"


def of_dior_split(files: Sequence[Path], split: str) -> list[Path]:
    """Those of ``files`` whose image is in DIOR's ``split``."""
    return [file for file in files if dior_split(file) == split]


def read_annotation(file: Path, root_tag: str | None = "annotation") -> Any:
    """The outermost element of one XML file: an ``<annotation>``, or what ``root_tag`` says.

    Raises:
        AnnotationError: It is no XML, has a DTD, or is another kind of document.
    """
    try:
        # No release has a DTD, and entities are how XML attacks its reader.
        root = ElementTree.fromstring(file.read_bytes(), forbid_dtd=True)
    except DefusedXmlException as error:
        raise AnnotationError(f"{file}: expected XML without a DTD or entities") from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise AnnotationError(f"{file}: expected XML, but {error}") from error
    if root_tag not in (None, root.tag):
        raise AnnotationError(
            f"{file}: expected <{root_tag}>, found a document of <{root.tag:.40}>"
        )
    return root


def line_of(file: Path, name: str) -> int:
    """The first line, from 1, of an XML file that names a class of that name."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    tagged = (number for number, line in enumerate(lines, 1) if name in line and "name>" in line)
    return next(tagged, next((n for n, line in enumerate(lines, 1) if name in line), 1))


def stated_size(root: Any, tags: Sequence[str] = ("size/width", "size/height")) -> list[int] | None:
    """The width and height in pixels of the annotated image; None where unknown.

    Some tools write 0 then.
    """
    try:
        sides = [int(root.findtext(tag) or "") for tag in tags]
    except ValueError:
        return None
    return sides if all(0 < side < 2**31 for side in sides) else None


def points(annotated: Any, tags: Sequence[str] = CORNERS) -> list[float] | None:
    """The pixels under ``tags`` of an object; None where one is missing or no number."""
    try:
        values = [float(annotated.findtext(tag) or "") for tag in tags]
    except ValueError:
        return None
    return values if all(map(math.isfinite, values)) else None
