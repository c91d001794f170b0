"""A figure of some rows, for a paper or a slide: image, boxes, question and answer side by side.

Four panels side by side are as wide as a page of text (7 inches), two as a column of one.
"""

import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Polygon
from matplotlib.patheffects import Stroke

from rs_gpt4v.boxes import Points, to_obb
from rs_gpt4v.files import AnyPath, replacing
from rs_gpt4v.images import ImageFile, thumbnail
from rs_gpt4v.object_classes import in_words
from rs_gpt4v_builders import all_sources

logger = logging.getLogger(__name__)

INK, MUTED, RULE, PAPER = "#1D2125", "#5F676F", "#D9DAD4", "#FFFFFF"
ANSWER = "#0B5D50"
# Bright on dark and on light ground, and told apart by colour-blind readers.
COLORS = ("#FFD21F", "#4CC9F0", "#FF7EB6", "#A6E22E", "#FF9F40", "#C4A7FF")

# Inches, but for font sizes in points.
_CELL, _GAP, _MARGIN = 1.63, 0.12, 0.06
_SIZE, _SMALL, _LEADING = 6.3, 5.3, 1.32
_INDENT = 0.13  # of a text behind its letter
_DPI = 240
_MOST_LINES = 9  # of one text
_MOST_LABELS = 3  # more boxes than that are labelled once for each label
_FORMATS: dict[str, dict[str, Any]] = {
    ".png": {"metadata": {"Software": None}},
    ".jpg": {"pil_kwargs": {"quality": 92}},
    ".webp": {"pil_kwargs": {"quality": 88}},
    ".pdf": {"metadata": {"CreationDate": None}},
    ".svg": {"metadata": {"Date": None}},
}
"""Options of each; what matplotlib would write that differs from day to day is left out."""

_SCRIPTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Microsoft YaHei", "PingFang SC", "SimHei")
"""Fonts of systems for what DejaVu Sans, which comes with matplotlib, has no letters for."""


class Outline(NamedTuple):
    """One box: its points in pixels (hbb or obb), its label ("" for none), its colour."""

    points: Points
    label: str
    color: str | None = None
    is_dashed: bool = False


class Said(NamedTuple):
    """One text below the image: who says it ("Q", "A", or a model's name), and in which colour."""

    who: str
    text: str
    color: str = INK


class Panel(NamedTuple):
    """One row.

    Attributes:
        title: The small print above the texts.
        image: The image, or None where the row has none.
        size: Width and height in pixels of the frame that the boxes are in.
        boxes: What is drawn on the image.
        texts: What is said, in order.
    """

    title: str
    image: ImageFile | None
    size: tuple[int, int]
    boxes: Sequence[Outline]
    texts: Sequence[Said]


def panel(row: Mapping[str, Any]) -> Panel:
    """A row of `rs_gpt4v.conversation.SCHEMA`, its images as ``path`` and ``bytes``."""
    letters = {"user": "Q", "assistant": "A", "system": ""}
    colors = {"assistant": ANSWER, "system": MUTED}
    texts = [
        Said(letters[message["role"]], message["content"], colors.get(message["role"], INK))
        for message in row["messages"]
    ]
    images = row["images"]
    boxes = [Outline(tuple(box["points"]), in_words(box["label"] or "")) for box in row["boxes"]]
    more = f" · first of {len(images)} images" if len(images) > 1 else ""
    image = (images[0].get("bytes") or images[0]["path"]) if images else None
    size = row["width"] or 1, row["height"] or 1
    return Panel(title(row) + more, image, size, boxes, texts)


def title(row: Mapping[str, Any]) -> str:
    """Task and source of a row or a prediction, as a paper would name them."""
    titles = {source.name: source.title.split(",")[0] for source in all_sources()}
    task = row["task"].replace("_", " ")
    return f"{_TASKS.get(task, task)} · {titles.get(row['source'], row['source'])}"


_TASKS = {"vqa": "VQA", "detail": "description"}


def write_figure(panels: Sequence[Panel], out: AnyPath, across: int = 4) -> None:
    """Write a figure of at least one panel; the same panels give the same bytes.

    Args:
        panels: In reading order.
        out: File to write: ".png", ".jpg", ".webp" (240 pixels an inch), ".pdf" or ".svg".
        across: Panels side by side.

    Raises:
        ImageError: An image cannot be read.
        ValueError: The suffix is another one.
    """
    out = Path(out)
    check_suffix(out)
    content = io.BytesIO()
    with mpl.rc_context(_style()), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure = _figure(panels, across)
        figure.savefig(content, format=out.suffix[1:], dpi=_DPI, **_FORMATS[out.suffix])
    if missing := sorted({str(item.message) for item in caught if "Glyph" in str(item.message)}):
        logger.warning(
            "%s: %d characters are in no font here, and drawn as boxes. Install Noto Sans CJK, or "
            "another font that has them (the first: %s)", out, len(missing), missing[0],
        )  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    with replacing(out) as file:
        file.write(content.getvalue())


def check_suffix(path: AnyPath) -> None:
    """Raise ValueError unless ``path`` has the suffix of a format that can be written."""
    path = Path(path)
    if path.suffix not in _FORMATS:
        raise ValueError(f"{path}: a figure is written as {', '.join(_FORMATS)}: change the name")


def _style() -> dict[Any, Any]:
    installed = set(font_manager.get_font_names())
    return {
        "font.family": ["DejaVu Sans", *(name for name in _SCRIPTS if name in installed)],
        "text.hinting": "no_hinting",  # or small bold letters come out misshapen
        "pdf.fonttype": 42,  # letters stay letters, as journals ask
        "svg.fonttype": "none",
        "svg.hashsalt": "rs-gpt4v",  # the same bytes each time
    }


class _Line(NamedTuple):
    """A line of text: how far right it begins and how much lower the next one is, in inches."""

    text: str
    size: float
    color: str
    bold: bool
    indent: float
    height: float


class _Cell(NamedTuple):
    panel: Panel
    image: Any  # None where there is none
    width: float
    height: float
    lines: list[_Line]


def _figure(panels: Sequence[Panel], across: int) -> Figure:
    across = min(across, len(panels))
    width = across * (_CELL + _GAP) - _GAP + 2 * _MARGIN
    figure = Figure(figsize=(width, 1), dpi=_DPI, facecolor=PAPER)
    renderer = FigureCanvasAgg(figure).get_renderer()
    cells = [_cell(item, renderer) for item in panels]
    lines = [cells[i : i + across] for i in range(0, len(cells), across)]
    tops = [_MARGIN]
    for line in lines:
        tops.append(tops[-1] + _height(line) + 1.6 * _GAP)
    height = tops[-1] - 1.6 * _GAP + _MARGIN
    figure.set_size_inches(width, height)
    for top, line in zip(tops, lines, strict=False):
        below = max(cell.height for cell in line)
        for column, cell in enumerate(line):
            left = _MARGIN + column * (_CELL + _GAP)
            _draw_image(figure, cell, left, top)
            _draw_lines(figure, cell.lines, left, top + below)
    return figure


def _height(line: Sequence[_Cell]) -> float:
    """Of a line of panels, the images on one level and so the texts."""
    texts = max(sum(text.height for text in cell.lines) for cell in line)
    return max(cell.height for cell in line) + texts


def _cell(item: Panel, renderer: Any) -> _Cell:
    lines = [_Line(item.title, _SMALL, MUTED, False, 0, 1.75 * _SMALL / 72)]
    for said in item.texts:
        lines += _said(said, renderer)
    if item.image is None:
        return _Cell(item, None, _CELL, _CELL, lines)
    image = thumbnail(item.image, round(_CELL * _DPI))
    scale = _CELL / max(image.size)
    return _Cell(item, image, image.width * scale, image.height * scale, lines)


def _said(said: Said, renderer: Any) -> Iterator[_Line]:
    """A letter stands before its text, a longer name above it."""
    step, gap = _LEADING * _SIZE / 72, 0.25 * _SIZE / 72
    is_letter = len(said.who) <= 1
    if not is_letter:
        for part in wrap(said.who, _CELL - _INDENT, partial(_width, renderer, _SMALL, True)):
            yield _Line(part, _SMALL, said.color, True, _INDENT, step)
    width = _CELL - _INDENT
    parts = wrap(said.text, width, partial(_width, renderer, _SIZE, False))
    for number, part in enumerate(parts):
        if number == 0 and is_letter:
            yield _Line(said.who, _SIZE, MUTED, True, 0, 0)
        is_last = number == len(parts) - 1
        color = said.color if is_letter else INK
        yield _Line(part, _SIZE, color, False, _INDENT, step + gap * is_last)


def _width(renderer: Any, size: float, is_bold: bool, text: str) -> float:
    """Inches that a text takes."""
    font = FontProperties(size=size, weight="bold" if is_bold else "normal")
    return renderer.get_text_width_height_descent(text, font, ismath=False)[0] / renderer.dpi


def wrap(text: str, width: float, measure: Any, most: int = _MOST_LINES) -> list[str]:
    """Lines of at most ``width``; what is beyond ``most`` lines is cut, and "…" says so.

    Args:
        text: Line breaks in it are kept.
        width: In the unit of ``measure``.
        measure: From a text to how wide it is.
        most: Lines at most.
    """
    lines: list[str] = []
    for paragraph in text.strip().splitlines():
        line = ""
        for word in _pieces(paragraph, width, measure):
            if line and measure((line + word).rstrip()) > width:
                lines.append(line.rstrip())
                line = ""
            line += word
        lines.append(line.rstrip())
        if len(lines) > most:
            break
    if len(lines) > most:
        lines = [*lines[: most - 1], _cut(lines[most - 1], width, measure)]
    return lines or ["(empty)"]


def _pieces(text: str, width: float, measure: Any) -> Iterator[str]:
    """Words, each with the space behind it; one wider than a line in characters."""
    for word in text.split():
        if measure(word) <= width:
            yield f"{word} "
        else:
            yield from word[:-1]
            yield f"{word[-1]} "


def _cut(line: str, width: float, measure: Any) -> str:
    while line and measure(f"{line}…") > width:
        line = line[:-1]
    return f"{line.rstrip()}…"


def _draw_lines(figure: Figure, lines: Sequence[_Line], left: float, top: float) -> None:
    width, height = figure.get_size_inches()
    for line in lines:
        figure.text(
            (left + line.indent) / width, 1 - (top + 1.15 * line.size / 72) / height, line.text,
            fontsize=line.size, color=line.color, fontweight="bold" if line.bold else "normal",
            va="baseline", parse_math=False,
        )  # fmt: skip
        top += line.height


def _draw_image(figure: Figure, cell: _Cell, left: float, top: float) -> None:
    width, height = figure.get_size_inches()
    place = left / width, 1 - (top + cell.height) / height, cell.width / width, cell.height / height
    axes = figure.add_axes(place)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(cell.image is None)
        spine.set_color(RULE)
    if cell.image is None:
        axes.text(0.5, 0.5, "no image", color=MUTED, fontsize=_SIZE, ha="center", va="center")
        return
    across, down = cell.panel.size
    axes.imshow(cell.image, extent=(0, across, down, 0), aspect="auto", interpolation="antialiased")
    axes.set_xlim(0, across)
    axes.set_ylim(down, 0)
    _draw_boxes(axes, cell.panel.boxes, cell.panel.size)


def _draw_boxes(axes: Any, boxes: Sequence[Outline], size: tuple[int, int]) -> None:
    labels = dict(zip(dict.fromkeys(box.label for box in boxes), cycle(COLORS), strict=False))
    labelled: set[str] = set()
    for box in boxes:
        color = box.color or labels[box.label]
        corners = to_obb(box.points)
        corners = [*zip(corners[::2], corners[1::2], strict=True)]
        under = [Stroke(linewidth=2.1, foreground="#000000A0"), Stroke(linewidth=1.1)]
        axes.add_patch(
            Polygon(
                corners, fill=False, edgecolor=color, linewidth=1.1, path_effects=under,
                linestyle=(0, (3, 1.5)) if box.is_dashed else "-",
            )
        )  # fmt: skip
        if box.label and (len(boxes) <= _MOST_LABELS or box.label not in labelled):
            _draw_label(axes, box.label, corners, color, size)
        labelled.add(box.label)


def _draw_label(axes: Any, label: str, corners: Any, color: str, size: tuple[int, int]) -> None:
    """Above the box, or inside where it begins at the top edge; never beyond the image."""
    x_min, x_max = min(x for x, _ in corners), max(x for x, _ in corners)
    y = min(y for _, y in corners)
    is_left, is_inside = x_min < 0.7 * size[0], y < 0.08 * size[1]
    axes.annotate(
        label,
        (max(x_min, 0) if is_left else min(x_max, size[0]), max(y, 0)),
        (0.8 if is_left else -0.8, -1.4 if is_inside else 1.4),
        textcoords="offset points", ha="left" if is_left else "right",
        va="top" if is_inside else "bottom", fontsize=4.8, color=INK, parse_math=False,
        clip_on=True, zorder=3,
        bbox={"boxstyle": "square,pad=0.12", "facecolor": color, "edgecolor": "none"},
    )  # fmt: skip
