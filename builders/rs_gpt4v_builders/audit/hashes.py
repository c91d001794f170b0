"""Files of hashes: what images are known by, to be compared where the images cannot be given away.

One JSON object a line, an image each::

    {"hashes": 1, "image": "UCM_Captions/imgs/27.tif", "splits": ["cap_ucm/test"],
     "bytes": "<32 hex digits>", "pixels": "...", "dhash": "<16>", "edges": "<120>"}

``hashes`` is the version of the form. ``bytes`` is BLAKE2b, of 16 bytes, of the file; ``pixels`` of
"(width, height)" and the RGB pixels; ``dhash`` and ``edges`` are 64 and 480 bits of how it looks.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import MinLen
from typing_extensions import TypedDict

from rs_gpt4v.files import parse_json, relative, whole_lines, write_json_lines
from rs_gpt4v_builders.audit.images import (
    DHASH_BYTES,
    DIGEST_BYTES,
    EDGE_BYTES,
    Known,
    edge_bits,
)
from rs_gpt4v_builders.sources.reading import AnnotationError

VERSION = 1

_Text = Annotated[str, MinLen(1)]


class ImageHash(TypedDict):
    """A line of such a file."""

    hashes: Literal[1]
    image: _Text
    splits: Annotated[list[_Text], MinLen(1)]
    bytes: str
    pixels: str
    dhash: str
    edges: str


_SIZES = {
    "bytes": DIGEST_BYTES,
    "pixels": DIGEST_BYTES,
    "dhash": DHASH_BYTES,
    "edges": EDGE_BYTES,
}


def write_hashes(
    out: Path, images: Mapping[str, Iterable[str]], known: Iterable[Known], root: Path | None
) -> None:
    """Write what images are known by.

    Args:
        out: The file; replaced whole or not at all.
        images: The splits of each image, by its path.
        known: What each is known by, as `known_by` says it, in the same order.
        root: The folder from which images are named; none: by their file's name alone.
    """
    write_json_lines(
        out,
        (
            {
                "hashes": VERSION,
                "image": _name(path, root),
                "splits": sorted(set(splits)),
                **dict(zip(_SIZES, (value.hex() for value in hashed(own)), strict=True)),
            }
            for (path, splits), own in zip(images.items(), known, strict=True)
        ),
    )


def _name(path: str, root: Path | None) -> str:
    """A path as seen from ``root``; never one that tells where on this machine it is."""
    name = relative(path, root) if root else ""
    outside = not name or name.startswith("../") or Path(name).is_absolute()
    return Path(path).name if outside else name


def hashed(known: Known) -> Known:
    """What an image is known by, with a hash in place of its thumbnail."""
    content, pixels, dhash, thumbnail = known
    return content, pixels, dhash, edge_bits(thumbnail)


def read_hashes(path: Path) -> Iterator[tuple[ImageHash, Known]]:
    """The lines of such a file, each with what its image is known by.

    Raises:
        InvalidFileError: A line has another form.
        AnnotationError: A hash is none; the file has no line.
    """
    lines = [*whole_lines(path)]
    if not lines:
        raise AnnotationError(f"{path} is empty; expected hashes, as --write-hashes writes them")
    for number, content in lines:
        where = f"{path}, line {number}"
        line = parse_json(content, ImageHash, where)
        yield line, _known(line, where)


def _known(line: ImageHash, where: str) -> Known:
    values = []
    for name, size in _SIZES.items():
        text = line[name]
        try:
            value = bytes.fromhex(text)
        except ValueError:
            value = b""
        if len(value) != size or len(text) != 2 * size:
            raise AnnotationError(
                f"{where}: {name} is {text!a:.50}, expected {2 * size} hexadecimal digits"
            )
        values.append(value)
    content, pixels, dhash, edges = values
    return content, pixels, dhash, edges
