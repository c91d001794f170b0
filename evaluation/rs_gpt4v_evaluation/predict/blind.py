"""Blind runs: the same questions without the image, with a grey one, or with another image.

What a model scores then it owes to the words of the questions, not to the image.
"""

import filecmp
import io
import random
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import datasets
from PIL import Image

from rs_gpt4v.images import ImageFile, frame_size, open_image

Shown: TypeAlias = Literal["none", "grey", "other"]
"""What a blind run shows in place of an image: none, a grey one, another one of the split."""

BLIND = "blind"
"""The column that `blind_rows` adds: what is shown, and what the row's own images are."""

_FEATURE = {
    "images": datasets.Value("string"),
    "seed": datasets.Value("int64"),
    "own": datasets.List(
        {
            "path": datasets.Value("string"),
            "width": datasets.Value("int32"),
            "height": datasets.Value("int32"),
        }
    ),
}
_GREY = 128


def check_shown(kinds: Iterable[str]) -> None:
    """Refuse what no blind run shows; at once, where a model is still to be loaded.

    Raises:
        ValueError: A kind is none of `Shown`.
    """
    shown = get_args(Shown)
    if unknown := [kind for kind in kinds if kind not in shown]:
        raise ValueError(f"a blind run shows {', '.join(shown)}, not {', '.join(unknown)}")


def blind_rows(rows: datasets.Dataset, images: str, seed: int = 0) -> datasets.Dataset:
    """``rows`` with other ``images``, and the column `BLIND`; all else, ids too, stays as it is.

    * "none": no image. None is read.
    * "grey": in place of each image a grey one of its size.
    * "other": in place of each image another one of ``rows``, never one of the row's own, nor a
      file of the same bytes under another name. Rows about the same image see the same other one.
      `predict` shows it in the size of the row's own, so that a box means the same in both.

    No image is decoded. A row without images, which is a blind one already, keeps none.

    Args:
        rows: Of the schema of `load_dataset("rs_gpt4v", ...)`; maybe some of the split only.
        images: What is shown.
        seed: Which other image; without a meaning for "none" and "grey".

    Raises:
        ValueError: ``images`` is none of these, no row has an image, or there is no other image.
    """
    check_shown([images])
    undecoded: Any = rows.select_columns("images").with_format("arrow")
    own: list[list[dict[str, Any]]] = undecoded[:]["images"].to_pylist()
    if not any(own):
        raise ValueError("no row has an image: a blind run would be the same run again")
    sizes = zip(rows["width"], rows["height"], strict=True)
    if images == "none":
        hidden = [[_own(image) for image in of_row] for of_row in own]
        shown: list[list[Any]] = [[] for _ in own]
    else:
        hidden = [[*_sized(of_row, *size)] for of_row, size in zip(own, sizes, strict=True)]
        shown = (
            [[_grey_file(one["width"], one["height"]) for one in of_row] for of_row in hidden]
            if images == "grey"
            else _others(own, list(rows["id"]), seed)
        )
    others: Any = shown
    column: Any = [
        {"images": images, "seed": seed if images == "other" else None, "own": of_row}
        for of_row in hidden
    ]
    order = rows.column_names
    return (
        rows.remove_columns("images")
        .add_column("images", others, feature=rows.features["images"])
        .select_columns(order)
        .add_column(BLIND, column, feature=_FEATURE)
    )


def _own(image: dict[str, Any], width: int | None = None, height: int | None = None) -> Any:
    return {"path": image["path"], "width": width, "height": height}


def _sized(
    images: list[dict[str, Any]], width: int | None, height: int | None
) -> Iterator[dict[str, Any]]:
    """Each image with its size; that of the first is in its row, others are in their heads."""
    for i, image in enumerate(images):
        known = i == 0 and width is not None and height is not None
        yield _own(image, *((width, height) if known else _size(image["path"], image["bytes"])))


@cache
def _size(path: str | None, content: bytes | None) -> tuple[int, int]:
    return frame_size(content or path or "")


@cache
def _grey_file(width: int, height: int) -> dict[str, Any]:
    # With one bit a pixel, and a palette of one colour: some hundred bytes.
    image, png = Image.new("P", (width, height)), io.BytesIO()
    image.putpalette([_GREY] * 3)
    image.save(png, "PNG", bits=1, optimize=True)
    return {"path": None, "bytes": png.getvalue()}


def _others(
    own: list[list[dict[str, Any]]], ids: Sequence[str], seed: int
) -> list[list[dict[str, Any]]]:
    """For the images of each row as many others, which follow in a circle drawn by the seed."""
    circle = list({_name(image): image for of_row in own for image in of_row}.values())
    random.Random(seed).shuffle(circle)
    place = {_name(image): i for i, image in enumerate(circle)}
    known: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for images, row_id in zip(own, ids, strict=True):
        names = tuple(map(_name, images))
        if names not in known:
            known[names] = _next(images, circle, place)
        if len(known[names]) < len(images):
            raise ValueError(
                f"{row_id}: of the {len(images)} other images that it needs the rows have "
                f"{len(known[names])}: show none or grey images, or take more rows"
            )
    return [known[tuple(map(_name, images))] for images in own]


def _next(
    images: list[dict[str, Any]], circle: list[dict[str, Any]], place: dict[Any, int]
) -> list[dict[str, Any]]:
    start = place[_name(images[0])] + 1 if images else 0
    following = (circle[(start + i) % len(circle)] for i in range(len(circle)))
    others = (one for one in following if not any(_is_same(one, own) for own in images))
    return list(islice(others, len(images)))


def _name(image: dict[str, Any]) -> str | bytes:
    return image["bytes"] or image["path"]


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two images are one file, or two of the same bytes."""
    names = _name(one), _name(other)
    if isinstance(names[0], str) and isinstance(names[1], str):
        return names[0] == names[1] or filecmp.cmp(*names, shallow=False)
    contents = (Path(name).read_bytes() if isinstance(name, str) else name for name in names)
    return len(set(contents)) == 1


def own_images(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The path and size of each image of a blind row that is not shown; empty for other rows."""
    return row[BLIND]["own"] if row.get(BLIND) else []


def shown_images(row: dict[str, Any]) -> list[Image.Image]:
    """The decoded images of a stored row; of a blind row in the sizes of its own."""
    return [_image(file, size) for file, size in _shown(row)]


def shown_files(row: dict[str, Any]) -> list[Path | bytes]:
    """The same as files, unchanged where they have the size."""
    return [_file(file, size) for file, size in _shown(row)]


def _shown(row: dict[str, Any]) -> list[tuple[ImageFile, tuple[int, int] | None]]:
    files = [image["bytes"] or image["path"] for image in row["images"]]
    sizes = [(own["width"], own["height"]) for own in own_images(row)] or [None] * len(files)
    return list(zip(files, sizes, strict=False))  # no files where none are shown


def _image(file: ImageFile, size: tuple[int, int] | None) -> Image.Image:
    image = open_image(file)
    if size is None:
        return image
    shown = image.convert("RGB")  # a palette, as of the grey image, is no model's business
    return shown if shown.size == size else shown.resize(size)


def _file(file: ImageFile, size: tuple[int, int] | None) -> Path | bytes:
    if size is None or frame_size(file) == size:
        return file if isinstance(file, bytes) else Path(file)
    png = io.BytesIO()
    _image(file, size).save(png, "PNG", compress_level=1)
    return png.getvalue()
