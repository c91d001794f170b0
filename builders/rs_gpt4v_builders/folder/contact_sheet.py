"""One picture of some rows: their images side by side, with the boxes drawn in."""

from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from rs_gpt4v.files import AnyPath, replacing
from rs_gpt4v.images import thumbnail

_SIDE = 480  # px of an image
_GAP = 12
_HEAD = 30
_COLORS = ("#ffd500", "#00e5ff", "#ff5cf0", "#7dff5c", "#ff8a3c")
_INK, _PAPER = "black", "white"


def contact_sheet(rows: Sequence[dict[str, Any]]) -> Image.Image:
    """The first image of each of ``rows``, numbered from 1, with its boxes and their labels.

    Args:
        rows: Of `rs_gpt4v.conversation.SCHEMA`, images as paths; at least one.

    Raises:
        ImageError: An image cannot be read.
    """
    width = len(rows) * (_SIDE + _GAP) + _GAP
    sheet = Image.new("RGB", (width, _HEAD + _SIDE + _GAP), _PAPER)
    for number, row in enumerate(rows):
        left = _GAP + number * (_SIDE + _GAP)
        head = f"{number + 1}  {row['task']}" + ("" if row["images"] else ": no image")
        ImageDraw.Draw(sheet).text((left, 6), head, _INK, _font(16))
        if row["images"]:
            sheet.paste(_drawn(row), (left, _HEAD))
    return sheet


def write_contact_sheet(rows: Sequence[dict[str, Any]], out: AnyPath) -> None:
    """Write `contact_sheet` as PNG."""
    with replacing(out) as file:
        contact_sheet(rows).save(file, "PNG")


def _drawn(row: dict[str, Any]) -> Image.Image:
    file = row["images"][0]
    image = thumbnail(file.get("bytes") or file["path"], _SIDE)
    larger = _SIDE / max(image.size)
    image = image.resize(
        (max(1, round(image.width * larger)), max(1, round(image.height * larger)))
    )
    pen = ImageDraw.Draw(image)
    colors: dict[str, str] = {}
    for box in row["boxes"]:
        label = box["label"] or ""
        color = colors.setdefault(label, _COLORS[len(colors) % len(_COLORS)])
        _draw_box(pen, _scaled(box["points"], row, image), label, color)
    return image


def _scaled(points: Sequence[float], row: dict[str, Any], image: Image.Image) -> list[float]:
    """Coordinates of the image that was annotated, x and y by turns, in the one drawn."""
    scales = image.width / row["width"], image.height / row["height"]
    return [value * scales[place % 2] for place, value in enumerate(points)]


def _draw_box(pen: ImageDraw.ImageDraw, points: list[float], label: str, color: str) -> None:
    if len(points) == 4:
        x_min, y_min, x_max, y_max = points
        points = [x_min, y_min, x_max, y_min, x_max, y_max, x_min, y_max]
    pen.line([*points, *points[:2]], fill=color, width=3)
    # The font has Latin letters only.
    text = label.encode("latin-1", "replace").decode("latin-1")
    at = (min(points[::2]), max(0.0, min(points[1::2]) - 18))
    pen.rectangle(pen.textbbox(at, text, _font(14)), fill=color)
    pen.text(at, text, _INK, _font(14))


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
