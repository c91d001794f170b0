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


def read_annotation(file: Path) -> Any:
    """The ``<annotation>`` of one XML file.

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
    if root.tag != "annotation":
        raise AnnotationError(
            f"{file}: expected <annotation>, found a document of <{root.tag:.40}>"
        )
    return root


def stated_size(root: Any) -> list[int] | None:
    """The ``<size>`` of the annotated image, width and height in pixels; None where unknown.

    Some tools write 0 then.
    """
    try:
        sides = [int(root.findtext(f"size/{side}") or "") for side in ("width", "height")]
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
