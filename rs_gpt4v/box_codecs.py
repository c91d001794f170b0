"""The text of boxes in a message: one named codec for each model family writes and reads it.

============  ==================================================  ==================================
codec         coordinates                                         one step in an 800 px image
============  ==================================================  ==================================
llava         0-1 of the image's sides, three decimals            0.8 px; two decimals would be 8 px
llava_padded  the same, of the image padded to a square           0.8 px
geochat       0-100 of the sides, then degrees clockwise          8 px: 3/4 of 8 px boxes are lost
qwen2_5_vl    pixels of the image as Qwen2.5-VL resizes it        1 px
norm1000      0-1000 of the sides (Qwen3-VL)                      0.8 px
obb           0-1000 of the sides, four corners                   0.8 px
vhm           0-1000 of the sides, bare                           0.8 px
qwen_vl       the same in tags (Qwen-VL, Qwen2-VL)                0.8 px
internvl      the same, all boxes in one tag                      0.8 px
pixels        pixels of the released image, bare                  1 px
earthdial     0-100 of the sides, then degrees clockwise          8 px
fit_rs        0-100 as centre, sides and degrees clockwise        0.08 px
============  ==================================================  ==================================

The last six are those of published data sets; see `rs_gpt4v_builders.folder.dialogue_boxes`.

>>> for codec in CODECS.values():
...     print(f"{codec.name:12}", codec.write([("ship", (80, 160, 240, 320))], 800, 800))
llava        [0.100, 0.200, 0.300, 0.400]
llava_padded [0.100, 0.200, 0.300, 0.400]
geochat      {<10><20><30><40>|<0>}
qwen2_5_vl   [{"bbox_2d": [81, 162, 244, 325], "label": "ship"}]
norm1000     [{"bbox_2d": [100, 200, 300, 400], "label": "ship"}]
obb          [100, 200, 300, 200, 300, 400, 100, 400]
vhm          [100, 200, 300, 400]
qwen_vl      <box>(100,200),(300,400)</box>
internvl     <box>[[100, 200, 300, 400]]</box>
pixels       [80, 160, 240, 320]
earthdial    [[10, 20, 30, 40, 0]]
fit_rs       <rbox>({<20.00><30.00><20.00><20.00>|<0>})</rbox>
>>> CODECS["llava"].parse("The ship is at 0.3,0.2, 0.1, 0.4.", 800, 800)
((80.0, 160.0, 240.0, 320.0),)
>>> CODECS["llava"].parse("[80, 160, 240, 320]", 800, 800)
ParseFailure(reason='80 lies outside 0-1')
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import NamedTuple, TypeAlias

import numpy as np

from rs_gpt4v import box_replies
from rs_gpt4v.box_replies import NoBoxError
from rs_gpt4v.boxes import (
    DegenerateBoxError,
    Kind,
    Points,
    at_least,
    clip,
    from_rotated,
    is_degenerate,
    kind,
    order_corners,
    to_hbb,
    to_obb,
    to_rotated,
)


@dataclass(frozen=True)
class ParseFailure:
    """A reply that gives no usable box, and why, in words for a report."""

    reason: str


Parsed: TypeAlias = tuple[Points, ...] | ParseFailure
"""The boxes of a reply in its order, in pixels inside the image; or why there is none."""


class Axis(NamedTuple):
    """One side of a frame: 0 to ``last`` over ``size`` pixels, ``pad`` of them before the image.

    Coordinates on it have as many ``decimals``.
    """

    last: float
    size: float
    pad: float = 0
    decimals: int = 0


Axes: TypeAlias = tuple[Axis, Axis]


@dataclass(frozen=True)
class BoxCodec:
    """A model family's text for boxes; every text it writes, it parses.

    Attributes:
        name: The ``box_format`` that picks it.
        kinds: What it can write; `to_hbb` and `to_obb` convert.
        axes: From an image's width and height in pixels to the frame of its coordinates.
        to_numbers: From one box in pixels to its numbers, rounded.
        to_points: From the numbers of one box to pixels; raises `NoBoxError`.
        item: One box in the text, with a ``{}`` for each number and perhaps for ``label``.
        between: What separates two boxes.
        ends: What stands before and after them all.
        counts: How many numbers one box may have; the first is the rule.
        unit: The unit that a reply may put after a number: "%", "px" or none.
        read: From a reply to the numbers of each of its boxes, for a text whose words or order are
            the codec's own; raises `NoBoxError`. None: `rs_gpt4v.box_replies.read`, which finds
            numbers in any text.
    """

    name: str
    kinds: tuple[Kind, ...]
    axes: Callable[[int, int], Axes]
    to_numbers: Callable[[Points, Axes], Sequence[float]]
    to_points: Callable[[Sequence[float], Axes], Points]
    item: str = "[{}, {}, {}, {}]"
    between: str = ", "
    ends: tuple[str, str] = ("", "")
    counts: tuple[int, ...] = (4,)
    unit: str = ""
    read: Callable[[str], Sequence[Sequence[float]]] | None = None

    def write(self, boxes: Sequence[tuple[str, Sequence[float]]], width: int, height: int) -> str:
        """The text of labelled boxes in pixels of a ``width`` x ``height`` image, clipped to it.

        A side below one step takes the steps around it, and an obb too thin for the steps becomes
        the hbb around it: what has an area keeps one. The JSON codecs alone keep the labels.

        Raises:
            DegenerateBoxError: A box has no area inside the image, or less than floats can tell.
            ValueError: A box is of a kind that the codec cannot write.
        """
        items = [self._item(label, points, width, height) for label, points in boxes]
        return self.ends[0] + self.between.join(items) + self.ends[1]

    def write_each(
        self,
        labels: Sequence[str],
        boxes: Sequence[Sequence[float]] | np.ndarray,
        sizes: np.ndarray,
    ) -> list[str]:
        """The text of each box alone, without `ends`: as `write` has it, ten times as fast.

        Args:
            labels: Of the boxes.
            boxes: In pixels, each of a kind that the codec can write.
            sizes: Width and height of each box's image, shape (n, 2).

        Raises:
            DegenerateBoxError: As `write`.
            ValueError: As `write`.
        """
        numbers = _hbb_digits(self, boxes, sizes) if self.to_numbers is _hbb_numbers else None
        if numbers is None:
            each = zip(labels, boxes, sizes.tolist(), strict=True)
            return [self._item(label, box, *size) for label, box, size in each]
        return [
            self.item.format(*box, label=json.dumps(label, ensure_ascii=False))
            if "{label}" in self.item
            else self.item.format(*box)
            for label, box in zip(labels, numbers, strict=True)
        ]

    def parse(self, text: str, width: int, height: int, *, clipped: bool = True) -> Parsed:
        """The boxes of a reply about a ``width`` x ``height`` image, in pixels, or why none.

        `rs_gpt4v.box_replies` describes what is read and what is refused. Reversed corners are
        swapped, corners up to 5 % outside clipped: an obb as `rs_gpt4v.boxes.clip` does it, to the
        four corners that are nearest, unless ``clipped`` is False, as for `rs_gpt4v.boxes.visible`.
        Any other fault fails the whole reply.
        """
        boxes = self.parse_each(text, width, height, clipped=clipped)
        if isinstance(boxes, ParseFailure):
            return boxes
        fine = tuple(box for box in boxes if not isinstance(box, ParseFailure))
        failures = (box for box in boxes if isinstance(box, ParseFailure))
        return fine if len(fine) == len(boxes) else next(failures)

    def parse_each(
        self, text: str, width: int, height: int, *, clipped: bool = True
    ) -> tuple[Points | ParseFailure, ...] | ParseFailure:
        """As `parse`, but a box that cannot be one fails itself alone."""
        axes = self.axes(width, height)
        try:
            numbers = self._numbers(text, axes)
        except NoBoxError as error:
            return ParseFailure(str(error))
        return tuple(self._parsed(box, axes, width, height, clipped) for box in numbers)

    def _parsed(
        self, numbers: Sequence[float], axes: Axes, width: int, height: int, clipped: bool
    ) -> Points | ParseFailure:
        try:
            points = self.to_points(numbers, axes)
            inside = self._inside(numbers, points, width, height)
        except NoBoxError as error:
            return ParseFailure(str(error))
        return inside if clipped else points

    def _numbers(self, text: str, axes: Axes) -> Sequence[Sequence[float]]:
        if self.read is not None:
            return self.read(text)
        return box_replies.read(text, self.counts, self.unit, fractions=axes[0].decimals == 3)

    def _item(self, label: str, points: Sequence[float], width: int, height: int) -> str:
        if kind(points) not in self.kinds:
            raise ValueError(f"{self.name} cannot write an {kind(points)}: convert it with to_hbb")
        inside, axes = clip(points, width, height), self.axes(width, height)
        for shape in () if is_degenerate(inside) else (inside, to_hbb(inside)):
            numbers = self.to_numbers(shape, axes)
            if self._keeps_area(numbers, width, height):
                digits = [_digits(number, axes[0].decimals) for number in numbers]
                return self.item.format(*digits, label=json.dumps(label, ensure_ascii=False))
        raise DegenerateBoxError(f"{label!r} {points} has no area in {width} x {height} px")

    def _keeps_area(self, numbers: Sequence[float], width: int, height: int) -> bool:
        try:
            points = self.to_points(numbers, self.axes(width, height))
            return bool(self._inside(numbers, points, width, height))
        except NoBoxError:
            return False

    @staticmethod
    def _inside(numbers: Sequence[float], points: Points, width: int, height: int) -> Points:
        inside = clip(points, width, height)
        if is_degenerate(inside):
            listed = ", ".join(f"{number:g}" for number in numbers)
            raise NoBoxError(f"no area inside the image: [{listed}]")
        return inside


def _digits(number: float, decimals: int) -> str:
    """A coordinate with its decimals; an angle is a whole number."""
    return str(number) if isinstance(number, int) else f"{number + 0.0:.{decimals}f}"


def _scaled(points: Sequence[float], axes: Axes) -> list[float]:
    """Pixels to the codec's unit, not rounded."""
    return [(v + a.pad) * a.last / a.size for v, a in zip(points, cycle(axes), strict=False)]


def _pixels(numbers: Sequence[float], axes: Axes) -> Points:
    """The codec's unit to pixels, not clipped."""
    return tuple(n * a.size / a.last - a.pad for n, a in zip(numbers, cycle(axes), strict=False))


def _check_range(numbers: Sequence[float], axes: Axes) -> None:
    """Refuse numbers that cannot be this codec's: another unit is never rescaled in silence."""
    for number, axis in zip(numbers, cycle(axes), strict=False):
        if 0 <= number <= axis.last:
            continue  # as most are
        share = number / axis.last
        if not (at_least(share, -0.05) and at_least(1.05, share)):
            raise NoBoxError(f"{number:g} lies outside 0-{axis.last:g}")


def _apart(low: float, high: float, decimals: int) -> tuple[float, float]:
    """Both rounded; where they would meet, the whole steps around them, so that an area remains."""
    if (near := round(low, decimals)) < (far := round(high, decimals)):
        return near, far
    steps = 10**decimals
    return math.floor(low * steps) / steps, math.ceil(high * steps) / steps


def _hbb_numbers(hbb: Points, axes: Axes) -> Sequence[float]:
    x_min, y_min, x_max, y_max = _scaled(hbb, axes)
    (left, right), (top, bottom) = (
        _apart(*ends, axes[0].decimals) for ends in ((x_min, x_max), (y_min, y_max))
    )
    return left, top, right, bottom


def _hbb_points(numbers: Sequence[float], axes: Axes) -> Points:
    """Two opposite corners in any order."""
    _check_range(numbers, axes)
    x1, y1, x2, y2 = numbers
    return _pixels((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), axes)


def _hbb_digits(
    codec: BoxCodec, boxes: Sequence[Sequence[float]] | np.ndarray, sizes: np.ndarray
) -> list[list[str]] | None:
    """The numbers of upright boxes, as written; None where some need a closer look.

    Without padding, steps that are apart leave an area, so nothing has to be read back.
    """
    if not len(boxes) or {len(box) for box in boxes} != {4}:
        return None
    different, of_box = np.unique(sizes, axis=0, return_inverse=True)
    axes = [codec.axes(*size) for size in different.tolist()]
    if any(axis.pad for pair in axes for axis in pair):
        return None
    first = axes[0][0]
    steps = 10**first.decimals
    lasts = np.array([[axis.last for axis in pair] for pair in axes])[of_box.ravel()]
    clipped = np.clip(np.asarray(boxes, float), 0, np.tile(sizes, 2))
    sides = clipped[:, 2:] - clipped[:, :2]
    if not (sides.prod(1) > 1e-9 * sides.max(1) ** 2).all():
        return None
    scaled = clipped * np.tile(lasts, 2) / np.tile(sizes, 2)
    whole = np.rint(scaled * steps)
    # Where rounding decides by a hair, Python's rounding of the decimal number counts.
    close = np.abs(np.abs(scaled * steps - whole) - 0.5) < 1e-6
    whole[close] = [
        round(round(number, first.decimals) * steps) for number in scaled[close].tolist()
    ]
    meet = whole[:, :2] >= whole[:, 2:]
    whole[:, :2] = np.where(meet, np.floor(scaled[:, :2] * steps), whole[:, :2])
    whole[:, 2:] = np.where(meet, np.ceil(scaled[:, 2:] * steps), whole[:, 2:])
    if (whole[:, :2] >= whole[:, 2:]).any():
        return None
    digits = [f"{number / steps:.{first.decimals}f}" for number in range(int(whole.max()) + 1)]
    return [[digits[number] for number in box] for box in whole.astype(int).tolist()]


def _turned_numbers(points: Points, axes: Axes) -> Sequence[float]:
    """The upright rectangle, then the whole degrees (1-90) that turn it; an hbb has 0."""
    if kind(points) == "hbb":
        return *_hbb_numbers(points, axes), 0
    cx, cy, w, h, angle = to_rotated(points)
    if round(angle) == 0:
        w, h, angle = h, w, 90
    return *_hbb_numbers((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2), axes), round(angle)


def _turned_points(numbers: Sequence[float], axes: Axes) -> Points:
    """An hbb where the angle is 0 or absent, else an obb, of which the centre must be in range."""
    if not any(numbers[4:]):
        return _hbb_points(numbers[:4], axes)
    x1, y1, x2, y2, angle = numbers
    if not -360 <= angle <= 360:
        raise NoBoxError(f"the angle {angle:g} lies outside -360-360")
    centre = (x1 + x2) / 2, (y1 + y2) / 2
    _check_range(centre, axes)
    cx, cy, w, h = _pixels((*centre, abs(x2 - x1), abs(y2 - y1)), axes)
    return from_rotated(cx, cy, w, h, angle)


def _centre_numbers(points: Points, axes: Axes) -> Sequence[float]:
    """Centre and sides, the longer one first, then the whole degrees (-90 to 90) that turn it."""
    if kind(points) == "hbb":
        left, top, right, bottom = points
        cx, cy, w, h, angle = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top, 0
    else:
        cx, cy, w, h, angle = to_rotated(points)
        if w < h:
            w, h, angle = h, w, angle - 90
        if round(angle) == 0:  # an angle of 0 is an hbb
            w, h, angle = h, w, 90
    scaled = _scaled((cx, cy, w, h), axes)
    decimals = axes[0].decimals
    least = 10**-decimals
    x, y, *sides = (round(number, decimals) for number in scaled)
    return x, y, *(max(side, least) for side in sides), round(angle)


def _centre_points(numbers: Sequence[float], axes: Axes) -> Points:
    """An hbb where the angle is 0, else an obb; the centre must be in range."""
    cx, cy, w, h, angle = numbers
    return _turned_points((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2, angle), axes)


_BRACES = re.compile(r"\{([^{}]*)\}")


def _read_braces(text: str) -> list[list[float]]:
    """The five numbers in each pair of braces: small ones are no fractions of another scale."""
    boxes = [re.findall(r"<\s*(-?\d+(?:\.\d+)?)\s*>", braces) for braces in _BRACES.findall(text)]
    if not boxes or any(len(box) != 5 for box in boxes):
        raise NoBoxError("no box: expected {<x><y><width><height>|<angle>}")
    return [[float(number) for number in box] for box in boxes]


def _corner_numbers(points: Points, axes: Axes) -> Sequence[float]:
    if kind(points) == "hbb":
        return to_obb(_hbb_numbers(points, axes))
    return [round(number) for number in _scaled(order_corners(points), axes)]


def _corner_points(numbers: Sequence[float], axes: Axes) -> Points:
    _check_range(numbers, axes)
    return order_corners(_pixels(numbers, axes))


def _image(last: float) -> Callable[[int, int], Axes]:
    # On a 0-1 frame two decimals would lose 74 % of 8 px boxes in 800 px at IoU 0.5.
    decimals = 3 if last == 1 else 0
    return lambda width, height: (
        Axis(last, width, decimals=decimals),
        Axis(last, height, decimals=decimals),
    )


def _hundredths(width: int, height: int) -> Axes:
    """0-100 of the sides, with two decimals."""
    return Axis(100, width, decimals=2), Axis(100, height, decimals=2)


def _released(width: int, height: int) -> Axes:
    """Pixels."""
    return Axis(width, width), Axis(height, height)


def _padded_square(width: int, height: int) -> Axes:
    """0-1 of the square that LLaVA pads to: the image in its middle, an odd pixel after it."""
    side = max(width, height)
    return Axis(1, side, (side - width) // 2, 3), Axis(1, side, (side - height) // 2, 3)


# Patches of 14 pixels, merged two by two; the bounds are those of qwen-vl-utils and of the
# released Qwen2.5-VL checkpoints (preprocessor_config.json).
QWEN_FACTOR, QWEN_MIN_PIXELS, QWEN_MAX_PIXELS = 28, 4 * 28 * 28, 16384 * 28 * 28


def smart_resize(
    width: int, height: int, min_pixels: int = QWEN_MIN_PIXELS, max_pixels: int = QWEN_MAX_PIXELS
) -> tuple[int, int]:
    """Width and height in pixels to which Qwen2.5-VL resizes an image: multiples of 28.

    >>> smart_resize(800, 600), smart_resize(800, 800, max_pixels=500_000)
    ((812, 588), (700, 700))
    """
    sides = [round(side / QWEN_FACTOR) for side in (width, height)]
    pixels = sides[0] * sides[1] * QWEN_FACTOR**2
    if pixels > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        sides = [math.floor(side / shrink / QWEN_FACTOR) for side in (width, height)]
    elif pixels < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        sides = [math.ceil(side * grow / QWEN_FACTOR) for side in (width, height)]
    return max(sides[0], 1) * QWEN_FACTOR, max(sides[1], 1) * QWEN_FACTOR


def qwen2_5_vl(min_pixels: int = QWEN_MIN_PIXELS, max_pixels: int = QWEN_MAX_PIXELS) -> BoxCodec:
    """The codec for a processor with these bounds: others give other coordinates."""

    def axes(width: int, height: int) -> Axes:
        resized = smart_resize(width, height, min_pixels, max_pixels)
        return Axis(resized[0], width), Axis(resized[1], height)

    return replace(_NORM1000, name="qwen2_5_vl", axes=axes, unit="px")


_LLAVA = BoxCodec("llava", ("hbb",), _image(1), _hbb_numbers, _hbb_points)
_NORM1000 = replace(
    _LLAVA,
    name="norm1000",
    axes=_image(1000),
    item='{{"bbox_2d": [{}, {}, {}, {}], "label": {label}}}',
    ends=("[", "]"),
)
_GEOCHAT = BoxCodec(
    "geochat",
    ("hbb", "obb"),
    _image(100),
    _turned_numbers,
    _turned_points,
    item="{{<{}><{}><{}><{}>|<{}>}}",
    between="<delim>",
    counts=(4, 5),
    unit="%",
)
_OBB = BoxCodec(
    "obb",
    ("hbb", "obb"),
    _image(1000),
    _corner_numbers,
    _corner_points,
    item="[{}, {}, {}, {}, {}, {}, {}, {}]",
    counts=(8,),
)
_VHM = replace(_LLAVA, name="vhm", axes=_image(1000))
_QWEN_VL = replace(_VHM, name="qwen_vl", item="<box>({},{}),({},{})</box>", between="")
_INTERNVL = replace(_VHM, name="internvl", ends=("<box>[", "]</box>"))
_PIXELS = replace(_VHM, name="pixels", axes=_released, unit="px")
_EARTHDIAL = replace(_GEOCHAT, name="earthdial", item="[[{}, {}, {}, {}, {}]]", between="")
_FIT_RS = replace(
    _GEOCHAT,
    name="fit_rs",
    axes=_hundredths,
    to_numbers=_centre_numbers,
    to_points=_centre_points,
    between=", ",
    ends=("<rbox>(", ")</rbox>"),
    counts=(5,),
    read=_read_braces,
)
_PADDED = replace(_LLAVA, name="llava_padded", axes=_padded_square)

CODECS: dict[str, BoxCodec] = {
    codec.name: codec
    for codec in (
        *(_LLAVA, _PADDED, _GEOCHAT, qwen2_5_vl(), _NORM1000, _OBB),
        *(_VHM, _QWEN_VL, _INTERNVL, _PIXELS, _EARTHDIAL, _FIT_RS),
    )
}
"""Every codec by the name that ``box_format`` takes."""
