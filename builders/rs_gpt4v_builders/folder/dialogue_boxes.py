r"""Boxes in the text of dialogues, as published data sets have them: in which form, and where.

=======================================================  ==========================================
in the text                                              read as (`rs_gpt4v.box_codecs`)
=======================================================  ==========================================
``{<40><89><56><98>|<57>}``, ``{<40><89><56><98>}``      geochat (GeoChat, VRSBench)
``<rbox>({<49.51><36.7><4.2><8.7>|<-83>})</rbox>``       fit_rs (FIT-RS of SkySenseGPT)
``[[88, 33, 96, 41, 57]]``, also in ``<box>``            earthdial
``<box>(120,300),(480,640)</box>``                       qwen_vl, also with Qwen2-VL's tokens
``<box>[[120, 300, 480, 640]]</box>``                    internvl, or earthdial without the angle
``{"bbox_2d": [120, 300, 480, 640], "label": "ship"}``   norm1000, pixels or qwen2_5_vl
``[0.15, 0.5, 0.6, 1.0]``                                llava or llava_padded
``[120, 300, 480, 640]``                                 vhm, pixels or earthdial
=======================================================  ==========================================

All boxes of a file are of one form and one scale. Where a form may be of several scales, that one
is taken of which the boxes of the file fit their images while those of the others do not. Where
several fit, and would put the boxes in different places, nobody can tell: the text is left alone,
and a warning says so. Single lists of five or eight numbers may be anything: they are boxes only
where ``text_boxes="earthdial"`` or ``"obb"`` says so.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets.config import HF_DATASETS_CACHE

from rs_gpt4v.box_codecs import CODECS, BoxCodec
from rs_gpt4v.box_replies import NoBoxError
from rs_gpt4v.boxes import Points, clip, is_degenerate, kind, to_hbb
from rs_gpt4v.conversation import SCHEMA
from rs_gpt4v_builders.folder.arrow_files import path_of
from rs_gpt4v_builders.folder.layout import Reading
from rs_gpt4v_builders.image_checks import check_images

logger = logging.getLogger(__name__)

_WRONG = 0.02
"""The share of boxes that may not fit their images in a form that is right, and of a side by which
a box may leave its image."""


@dataclass(frozen=True, slots=True)
class Form:
    """How boxes stand in a text.

    Args:
        run: Finds boxes that stand together.
        box: Finds each of them; its group holds the numbers.
        codecs: How it is published to be meant.
        others: How it may be meant too, if somebody says so.
        is_plain: Whether other things than boxes are written so.
    """

    run: re.Pattern[str]
    box: re.Pattern[str]
    codecs: tuple[str, ...]
    others: tuple[str, ...] = ()
    is_plain: bool = False


_NUMBER = r"-?\d+(?:\.\d+)?"
_BRACES = rf"\{{((?:\s*<{_NUMBER}>){{4}}\s*(?:\|\s*<{_NUMBER}>\s*)?)\}}"


def _joined(box: str, between: str, before: str = "", after: str = "") -> re.Pattern[str]:
    return re.compile(f"{before}{box}(?:{between}{box})*{after}")


def _list(count: int) -> str:
    return rf"\[(\s*{_NUMBER}(?:\s*,\s*{_NUMBER}){{{count - 1}}}\s*)\]"


def _of_lists(count: int, before: str, after: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    one = _list(count)
    return _joined(
        one, r"[\]\[,\s]{0,20}", rf"{before}\[{{0,3}}", rf"\]{{0,3}}{after}"
    ), re.compile(one)


_CORNER = rf"\(\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\)"
_TAGGED = rf"(?:<box>|<\|box_start\|>)\s*({_CORNER}\s*,\s*{_CORNER})\s*(?:</box>|<\|box_end\|>)"
_OBJECT = r'\{[^{}]*"bbox_2d"\s*:\s*\[([^\]\[]*)\][^{}]*\}'

_FIT_RS = Form(
    _joined(_BRACES, r"[,\s]*", r"<rbox>\s*\(?\s*", r"\s*\)?\s*</rbox>"),
    re.compile(_BRACES),
    ("fit_rs",),
)
_GEOCHAT = Form(
    _joined(_BRACES, r"(?:\s|,|<delim>)*"), re.compile(_BRACES), ("geochat",), ("fit_rs",)
)
_QWEN_VL = Form(_joined(_TAGGED, r"\s*"), re.compile(_TAGGED), ("qwen_vl",), ("pixels",))
_JSON = Form(
    re.compile(rf"\[\s*{_OBJECT}(?:\s*,\s*{_OBJECT})*\s*\]|{_OBJECT}"),
    re.compile(_OBJECT),
    ("norm1000", "pixels", "qwen2_5_vl"),
)
FORMS = (
    _FIT_RS,
    _GEOCHAT,
    _QWEN_VL,
    _JSON,
    Form(*_of_lists(5, r"<box>\s*", r"\s*</box>"), ("earthdial",)),
    Form(*_of_lists(5, r"\[", r"\]"), ("earthdial",)),
    Form(*_of_lists(4, r"<box>\s*", r"\s*</box>"), ("internvl", "earthdial"), ("pixels",)),
    Form(*_of_lists(5, "", ""), (), ("earthdial",), is_plain=True),
    Form(*_of_lists(8, "", ""), (), ("obb",), is_plain=True),
    Form(
        *_of_lists(4, "", ""),
        ("llava", "llava_padded", "vhm", "pixels", "earthdial"),
        ("norm1000", "qwen2_5_vl"),
        is_plain=True,
    ),
)
"""In the order in which they are looked for: what one has found is not looked at for the next."""

NAMES = ("auto", "none", *(n for n in CODECS if any(n in f.codecs + f.others for f in FORMS)))
"""What ``text_boxes=`` takes."""

_MAY_HOLD = rf"\{{\s*<|bbox_2d|\)\s*,\s*\(\s*-?\d|\[\s*{_NUMBER}\s*,"
"""What every text with a box has, to look at all texts at once."""

_LABEL = re.compile(
    r"(?:<p>|<ref>|<\|object_ref_start\|>)([^<>]*)(?:</p>|</ref>|<\|object_ref_end\|>)\s*"
)

Row = dict[str, Any]
Sizes = Mapping[int, tuple[int, int]]
"""Width and height in pixels of the image of each row that has one."""


class _Run(NamedTuple):
    """Boxes that stand together in a message."""

    form: Form
    row: int
    message: int
    start: int
    end: int
    boxes: list[tuple[str | None, list[float]]]


class _BoxError(ValueError):
    """Why the boxes of a row cannot be read; the reason."""


def with_boxes(table: pa.Table, path: Path, reading: Reading) -> pa.Table:
    """Dialogues with the boxes of their texts as ``text_boxes``, in pixels of the image.

    Where ``reading.box_format`` names a codec, the boxes in the texts are written in its form.

    Args:
        table: `rs_gpt4v.records.DIALOGUES` of one file.
        path: The file.
        reading: What it is read with.
    """
    boxes = pa.nulls(table.num_rows, SCHEMA.field("boxes").type)
    index = [] if reading.text_boxes == "none" else _rows_with_boxes(table)
    if index:
        columns = ["image", "further_images", "messages", "where", "problem", "change"]
        rows = table.select(columns).take(pa.array(index)).to_pylist()
        runs = [run for n, row in enumerate(rows) for run in _runs(n, row["messages"])]
        sizes = _sizes(rows, runs, reading) if runs else {}
        codec, runs = _chosen(runs, sizes, path, reading.text_boxes)
        if codec is not None:
            _fill(rows, runs, sizes, codec, reading.box_format)
            return _with_rows(table.append_column("text_boxes", boxes), index, rows)
    return table.append_column("text_boxes", boxes)


def _rows_with_boxes(table: pa.Table) -> list[int]:
    """The rows of which a message may hold a box."""
    messages = table["messages"].combine_chunks()
    content = messages.flatten().field("content")
    hit = pc.match_substring_regex(content, _MAY_HOLD).fill_null(False)
    return pc.unique(pc.list_parent_indices(messages).filter(hit)).to_pylist()


def _with_rows(table: pa.Table, index: list[int], rows: list[Row]) -> pa.Table:
    """The table with ``rows`` in the places ``index``."""
    schema = pa.schema([table.schema.field(name) for name in (*rows[0],)])
    places = np.arange(table.num_rows)
    places[index] = table.num_rows + np.arange(len(index))
    order = pa.array(places)
    made = pa.Table.from_pylist(rows, schema)
    for name in ("messages", "problem", "change", "text_boxes"):
        if name in made.column_names:
            column = pa.chunked_array([*table[name].chunks, *made[name].chunks]).take(order)
            table = table.set_column(table.column_names.index(name), name, column)
    return table


def _runs(row: int, messages: Sequence[Row] | None) -> Iterator[_Run]:
    """The boxes in the messages of a row, in their order."""
    asked = None
    for index, message in enumerate(messages or ()):
        text = message["content"] or ""
        marked = {label.strip() for label in _LABEL.findall(text)}
        if message["role"] == "user":
            asked = marked.pop() if len(marked) == 1 else None
        for start, end, form in sorted(_matches(text), key=lambda match: match[0]):
            label = _label_before(text, start) or (
                asked if message["role"] == "assistant" else None
            )
            boxes = [
                (_label_in(m[0], form) or label, _floats(m[1]))
                for m in form.box.finditer(text, start, end)
            ]
            yield _Run(form, row, index, start, end, boxes)


def _matches(text: str) -> Iterator[tuple[int, int, Form]]:
    for form in FORMS:
        for match in list(form.run.finditer(text)):
            yield match.start(), match.end(), form
            text = f"{text[: match.start()]}{' ' * len(match[0])}{text[match.end() :]}"


def _floats(numbers: str) -> list[float]:
    return [float(number) for number in re.findall(_NUMBER, numbers)]


def _label_before(text: str, start: int) -> str | None:
    """The object that is marked right before a box."""
    ends = (match for match in _LABEL.finditer(text, max(0, start - 300), start))
    labels = [match[1].strip() for match in ends if match.end() == start]
    return labels[0] or None if labels else None


def _label_in(box: str, form: Form) -> str | None:
    """The label in the box's own text."""
    try:
        label = json.loads(box)["label"] if form is _JSON else None
    except (ValueError, KeyError):
        return None
    return label if isinstance(label, str) and label.strip() else None


def _sizes(rows: Sequence[Row], runs: Iterable[_Run], reading: Reading) -> Sizes:
    """The sizes of the images of rows with boxes; of several images, if they have the same."""
    names = {
        n: [name for name in (rows[n]["image"], *(rows[n]["further_images"] or ())) if name]
        for n in {run.row for run in runs}
    }
    folder = reading.images.files.folder
    paths = {name: str(path_of(name, folder)) for of_row in names.values() for name in of_row}
    unique = list(dict.fromkeys(paths.values()))
    checked = check_images(unique, Path(HF_DATASETS_CACHE).expanduser(), reading.conversion)
    of_path = {path: (c.width, c.height) for path, c in zip(unique, checked, strict=True)}
    sizes = {n: {of_path[paths[name]] for name in of_row} for n, of_row in names.items()}
    return {
        n: (width, height)
        for n, some in sizes.items()
        for width, height in some
        if len(some) == 1 and width is not None and height is not None
    }


def _chosen(
    runs: list[_Run], sizes: Sizes, path: Path, said: str
) -> tuple[BoxCodec | None, list[_Run]]:
    """How the boxes of a file are meant, and those that are of that form; None where unclear."""
    if said != "auto":
        return CODECS[said], [r for r in runs if said in r.form.codecs + r.form.others]
    clear = [run for run in runs if not run.form.is_plain]
    forms = {run.form for run in clear or runs}
    if forms == {_FIT_RS, _GEOCHAT}:
        forms = {_FIT_RS}
    chosen = [
        run for run in runs if run.form in forms or (_FIT_RS in forms and run.form is _GEOCHAT)
    ]
    if not any(run.row in sizes for run in chosen):
        return None, []
    names = forms.pop().codecs if len(forms) == 1 else ()
    # Where the form says the scale, a wrong box is no reason to doubt it.
    most = _WRONG if len(names) > 1 else 0.5
    fitting = [name for name in names if _share_wrong(CODECS[name], chosen, sizes) <= most]
    if fitting and _are_same([CODECS[name] for name in fitting], chosen, sizes):
        logger.info("%s: boxes in the texts are read as %s", path, fitting[0])
        return CODECS[fitting[0]], chosen
    may = f"may be {' or '.join(fitting)}" if fitting else "are not of one known form"
    logger.warning(
        "%s: what looks like boxes in %s dialogues is left as text: they %s. Say how they are "
        'meant with text_boxes=... (--text-boxes), or "none" if they are none',
        path,
        f"{len({run.row for run in chosen}):,}",
        may,
    )
    return None, []


def _numbers_of(runs: Iterable[_Run], sizes: Sizes) -> Iterator[tuple[list[float], int, int]]:
    return ((box, *sizes[r.row]) for r in runs if r.row in sizes for _, box in r.boxes)


def _share_wrong(codec: BoxCodec, runs: Sequence[_Run], sizes: Sizes) -> float:
    """The share of boxes that do not lie in their images if they are meant so."""
    boxes = list(_numbers_of(runs, sizes))
    has_fractions = codec.axes(100, 100)[0].last == 1
    odd = sum(
        (max(numbers[:4]) <= 1) != has_fractions or not _is_in_image(codec, numbers, *size)
        for numbers, *size in boxes
    )
    return odd / len(boxes)


def _is_in_image(codec: BoxCodec, numbers: list[float], width: int, height: int) -> bool:
    try:
        points = _in_pixels(codec, numbers, width, height)
    except NoBoxError:
        return False
    x_min, y_min, x_max, y_max = to_hbb(points)
    if kind(points) == "obb":  # one around an object at an edge reaches out
        return 0 <= (x_min + x_max) / 2 <= width and 0 <= (y_min + y_max) / 2 <= height
    in_order = codec.name == "fit_rs" or (numbers[0] <= numbers[2] and numbers[1] <= numbers[3])
    beyond = max(-x_min / width, -y_min / height, x_max / width - 1, y_max / height - 1)
    return in_order and beyond <= _WRONG


def _in_pixels(codec: BoxCodec, numbers: list[float], width: int, height: int) -> Points:
    if len(numbers) not in codec.counts:
        raise NoBoxError(f"it has {len(numbers)} numbers, expected {codec.counts[0]}")
    return codec.to_points(numbers, codec.axes(width, height))


def _are_same(codecs: Sequence[BoxCodec], runs: Sequence[_Run], sizes: Sizes) -> bool:
    """Whether all codecs put the boxes in the same places, to half a pixel."""
    return len(codecs) == 1 or all(
        _distance(codecs, *box) <= 0.5 for box in _numbers_of(runs, sizes)
    )


def _distance(codecs: Sequence[BoxCodec], numbers: list[float], width: int, height: int) -> float:
    try:
        of_each = [_in_pixels(codec, numbers, width, height) for codec in codecs]
    except NoBoxError:
        return 0
    return max(abs(a - b) for points in of_each for a, b in zip(points, of_each[0], strict=True))


def _fill(
    rows: Sequence[Row], runs: Iterable[_Run], sizes: Sizes, codec: BoxCodec, written: str | None
) -> None:
    """Put their boxes into rows, and the texts in which they are written otherwise."""
    of_row: dict[int, list[_Run]] = {}
    for run in runs:
        of_row.setdefault(run.row, []).append(run)
    for n, row in enumerate(rows):
        row["text_boxes"] = None
        if n not in of_row:
            continue
        try:
            points = [_points(run, codec, sizes.get(n)) for run in of_row[n]]
        except _BoxError as error:
            # Left in its own form, it would teach that beside the form that was asked for.
            what = ("box in a text that is none", f"{row['where']}: {error}")
            row["problem" if written else "change"] = (
                row["problem" if written else "change"] or what
            )
            continue
        row["text_boxes"] = _unique(box for some in points for box in some)
        if written:
            row["messages"] = _rewritten(
                row["messages"], of_row[n], points, CODECS[written], sizes[n]
            )


def _points(run: _Run, codec: BoxCodec, size: tuple[int, int] | None) -> list[Row]:
    """The boxes of a run as `rs_gpt4v.conversation.LabelledBox`, in the image."""
    if size is None:
        raise _BoxError("its boxes are left as text: it has no image, or several of other sizes")
    boxes = []
    for label, numbers in run.boxes:
        listed = ", ".join(f"{number:g}" for number in numbers)
        try:
            points = clip(_in_pixels(codec, numbers, *size), *size)
        except NoBoxError as error:
            raise _BoxError(f"[{listed}] is no box of {codec.name}: {error}") from error
        if is_degenerate(points):
            raise _BoxError(f"[{listed}], read as {codec.name}, has no area in its image")
        boxes.append({"label": label, "points": list(points), "kind": kind(points)})
    return boxes


def _unique(boxes: Iterable[Row]) -> list[Row]:
    """Each box once, however often it is spoken of, with the first label that it gets."""
    by_points: dict[Points, Row] = {}
    for box in boxes:
        first = by_points.setdefault(tuple(box["points"]), box)
        first["label"] = first["label"] or box["label"]
    return list(by_points.values())


def _rewritten(
    messages: Sequence[Row],
    runs: Sequence[_Run],
    boxes: Sequence[list[Row]],
    codec: BoxCodec,
    size: tuple[int, int],
) -> list[Row]:
    """The messages with their boxes in the form of ``codec``; upright where it knows no other."""
    shape = tuple if "obb" in codec.kinds else to_hbb
    texts = [message["content"] for message in messages]
    for run, some in reversed(list(zip(runs, boxes, strict=True))):
        labelled = [(box["label"] or "object", shape(box["points"])) for box in some]
        text = texts[run.message]
        texts[run.message] = f"{text[: run.start]}{codec.write(labelled, *size)}{text[run.end :]}"
    return [m | {"content": text} for m, text in zip(messages, texts, strict=True)]
