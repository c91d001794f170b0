"""Boxes: their geometry in pixels, and the named text codecs of each model family.

A box is a tuple of pixels of the released image, x to the right and y down from the top left: an
"hbb" is x_min, y_min, x_max, y_max; an "obb" is four corners x1, y1, ... x4, y4, clockwise from the
top left. Its text in a message is made, and read back, by a codec:

============  ==================================================  ==================================
codec         coordinates                                         one step in an 800 px image
============  ==================================================  ==================================
llava         0-1 of the image's sides, three decimals            0.8 px; two decimals would be 8 px
llava_padded  the same, of the image padded to a square           0.8 px
geochat       0-100 of the sides, then degrees clockwise          8 px: 3/4 of 8 px boxes are lost
qwen2_5_vl    pixels of the image as Qwen2.5-VL resizes it        1 px
norm1000      0-1000 of the sides (Qwen3-VL)                      0.8 px
obb           0-1000 of the sides, four corners                   0.8 px
============  ==================================================  ==================================

>>> for codec in CODECS.values():
...     print(f"{codec.name:12}", codec.write([("ship", (80, 160, 240, 320))], 800, 800))
llava        [0.100, 0.200, 0.300, 0.400]
llava_padded [0.100, 0.200, 0.300, 0.400]
geochat      {<10><20><30><40>|<0>}
qwen2_5_vl   [{"bbox_2d": [81, 162, 244, 325], "label": "ship"}]
norm1000     [{"bbox_2d": [100, 200, 300, 400], "label": "ship"}]
obb          [100, 200, 300, 200, 300, 400, 100, 400]
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
from typing import Literal, NamedTuple, TypeAlias

Kind = Literal["hbb", "obb"]
Points: TypeAlias = tuple[float, ...]
"""Four numbers (hbb) or eight (obb), in pixels unless a function says otherwise."""


class DegenerateBoxError(ValueError):
    """A box has no area inside its image, so there is nothing to point at."""


def kind(points: Sequence[float]) -> Kind:
    """Tell "hbb" (four numbers) from "obb" (eight); any other count is a ValueError."""
    if len(points) not in (4, 8):
        raise ValueError(f"a box has 4 numbers (hbb) or 8 (obb), got {len(points)}")
    return "hbb" if len(points) == 4 else "obb"


def to_hbb(points: Sequence[float]) -> Points:
    """The smallest x_min, y_min, x_max, y_max around a box of either kind, in its unit."""
    if kind(points) == "hbb":
        return tuple(points)
    return min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])


def to_obb(points: Sequence[float]) -> Points:
    """The four corners of a box of either kind, in its unit; an obb comes back as it is."""
    if kind(points) == "obb":
        return tuple(points)
    x_min, y_min, x_max, y_max = points
    return x_min, y_min, x_max, y_min, x_max, y_max, x_min, y_max


def area(points: Sequence[float]) -> float:
    """Area in the squared unit of ``points``, 0 or more; corners must be in order."""
    corners = to_obb(points)
    xs, ys = corners[::2], corners[1::2]
    return abs(sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(4))) / 2


def is_degenerate(points: Sequence[float]) -> bool:
    """True where the area is at most a billionth of the longer side squared, or not a number.

    A share, because four corners on a sloping line leave a rounding rest. Any unit.

    >>> is_degenerate((5, 5, 5, 9)), is_degenerate((0.1, 0.1, 0.2, 0.3, 0.3, 0.5, 0.4, 0.7))
    (True, True)
    """
    x_min, y_min, x_max, y_max = to_hbb(points)
    return not area(points) > 1e-9 * max(x_max - x_min, y_max - y_min) ** 2


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes of either kind in the same unit, 0 to 1.

    Edges have no width (no "+1 pixel", which is badly wrong on 0-1 boxes): boxes that only touch
    score 0, as does a box without area. An obb counts as its corners' convex hull, and needs
    shapely.

    >>> iou((0, 0, 2, 2), (0, 0, 2, 1)), iou((0, 0, 2, 2), (2, 0, 4, 2))
    (0.5, 0.0)
    >>> iou((0, 0, 2, 2), (1, 1, 1, 1)), iou((1, 1, 1, 1), (1, 1, 1, 1))
    (0.0, 0.0)
    >>> iou((0, 0, 2, 2), (1, 0, 2, 1, 1, 2, 0, 1))
    0.5
    """
    if len(a) == len(b) == 4:
        width = min(a[2], b[2]) - max(a[0], b[0])
        height = min(a[3], b[3]) - max(a[1], b[1])
        shared = max(width, 0.0) * max(height, 0.0)
        total = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
        return shared / (total - shared) if shared > 0 else 0.0
    return _hull_iou(to_obb(a), to_obb(b))


def _hull_iou(a: Points, b: Points) -> float:
    from shapely import MultiPoint  # optional: only rotated boxes need it

    one, two = (MultiPoint(list(zip(p[::2], p[1::2], strict=True))).convex_hull for p in (a, b))
    shared = one.intersection(two).area
    return min(shared / (one.area + two.area - shared), 1.0) if shared > 0 else 0.0


def clip(points: Sequence[float], width: int, height: int) -> Points:
    """Move each corner, in pixels, to the nearest place in the ``width`` x ``height`` image.

    Corners do lie outside: DIOR-R has negative ones. An obb keeps four corners, so a clipped one
    need not be a rectangle; a box wholly outside becomes degenerate.

    >>> clip((-5, 10, 30, 120), 100, 100)
    (0.0, 10.0, 30.0, 100.0)
    """
    ends = cycle((width, height))
    return tuple(float(min(max(v, 0), end)) for v, end in zip(points, ends, strict=False))


def order_corners(obb: Sequence[float]) -> Points:
    """The four corners clockwise as seen, from the top left: the least x + y, then the least y.

    >>> order_corners((4, 3, 0, 0, 0, 3, 4, 0))
    (0, 0, 4, 0, 4, 3, 0, 3)
    """
    corners = list(zip(obb[::2], obb[1::2], strict=True))
    cx, cy = sum(obb[::2]) / 4, sum(obb[1::2]) / 4
    corners.sort(key=lambda corner: math.atan2(corner[1] - cy, corner[0] - cx))
    first = min(range(4), key=lambda i: (sum(corners[i]), corners[i][1]))
    return tuple(v for corner in corners[first:] + corners[:first] for v in corner)


def to_rotated(obb: Sequence[float]) -> tuple[float, float, float, float, float]:
    """Four corners as cx, cy, w, h in pixels and the degrees, clockwise as seen, from x to w.

    0 < angle <= 90, as OpenCV's minAreaRect has it. Corners that make no rectangle give the one
    that joins the middles of their edges.

    >>> to_rotated((0, 0, 4, 0, 4, 2, 0, 2))
    (2.0, 1.0, 2.0, 4.0, 90.0)
    """
    x1, y1, x2, y2, x3, y3, x4, y4 = order_corners(obb)
    right, down = (x2 + x3 - x1 - x4) / 2, (y2 + y3 - y1 - y4) / 2
    w, h = math.hypot(right, down), math.hypot((x3 + x4 - x1 - x2) / 2, (y3 + y4 - y1 - y2) / 2)
    angle = math.degrees(math.atan2(down, right))
    quarters = math.ceil(angle / 90) - 1  # each swaps the sides
    sides = (h, w) if quarters % 2 else (w, h)
    return (x1 + x2 + x3 + x4) / 4, (y1 + y2 + y3 + y4) / 4, *sides, angle - 90 * quarters


def from_rotated(cx: float, cy: float, w: float, h: float, angle: float) -> Points:
    """Four corners in pixels, clockwise from the top left; ``angle`` in degrees as `to_rotated`."""
    cos, sin = math.cos(math.radians(angle)) / 2, math.sin(math.radians(angle)) / 2
    ends = ((-w, -h), (w, -h), (w, h), (-w, h))
    turned = [(cx + x * cos - y * sin, cy + x * sin + y * cos) for x, y in ends]
    return order_corners([v for corner in turned for v in corner])


@dataclass(frozen=True)
class ParseFailure:
    """A reply that gives no usable box, and why, in words for a report."""

    reason: str


Parsed: TypeAlias = tuple[Points, ...] | ParseFailure
"""The boxes of a reply in its order, in pixels inside the image; or why there is none."""


class Axis(NamedTuple):
    """One side of a frame: 0 to ``last`` over ``size`` pixels, ``pad`` of them before the image."""

    last: float
    size: float
    pad: float = 0


Axes: TypeAlias = tuple[Axis, Axis]


@dataclass(frozen=True)
class BoxCodec:
    """A model family's text for boxes; every text it writes, it parses.

    Attributes:
        name: The ``box_format`` that picks it.
        kinds: What it can write; `to_hbb` and `to_obb` convert.
        axes: From an image's width and height in pixels to the frame of its coordinates.
        to_numbers: From one box in pixels to its numbers, rounded.
        to_points: From the numbers of one box to pixels.
        item: One box in the text, with a place for each number and perhaps for ``label``.
        between: What separates two boxes.
        ends: What stands before and after them all.
        counts: How many numbers one box may have; the first is the rule.
    """

    name: str
    kinds: tuple[Kind, ...]
    axes: Callable[[int, int], Axes]
    to_numbers: Callable[[Points, Axes], Sequence[float]]
    to_points: "Callable[[Sequence[float], Axes], Points | ParseFailure]"
    item: str = "[{}, {}, {}, {}]"
    between: str = ", "
    ends: tuple[str, str] = ("", "")
    counts: tuple[int, ...] = (4, 5)

    def write(self, boxes: Sequence[tuple[str, Sequence[float]]], width: int, height: int) -> str:
        """The text of labelled boxes in pixels of a ``width`` x ``height`` image, clipped to it.

        A side below one step takes the steps around it. The JSON codecs alone keep the labels.

        Raises:
            DegenerateBoxError: A box has no area inside the image.
            ValueError: A box is of a kind that the codec cannot write.
        """
        items = [self._item(label, points, width, height) for label, points in boxes]
        return self.ends[0] + self.between.join(items) + self.ends[1]

    def parse(self, text: str, width: int, height: int) -> Parsed:
        """The boxes of a reply about a ``width`` x ``height`` image, in pixels, or why none.

        Prose, fences, quotes and missing brackets are passed over, as are groups with a wrong count
        of numbers where another has a right one (a box cut off, a "[1]"). Reversed corners are
        swapped, corners up to 5 % outside clipped. Any other fault fails the whole reply.
        """
        groups = _fitting(_number_groups(text, self.counts[0]), self.counts)
        if isinstance(groups, ParseFailure):
            return groups
        found: list[Points] = []
        for numbers in groups:
            box = self._place(numbers, width, height)
            if isinstance(box, ParseFailure):
                return box
            found.append(box)
        return tuple(found)

    def _item(self, label: str, points: Sequence[float], width: int, height: int) -> str:
        if kind(points) not in self.kinds:
            raise ValueError(f"{self.name} cannot write an {kind(points)}: convert it with to_hbb")
        inside, axes = clip(points, width, height), self.axes(width, height)
        if is_degenerate(inside):
            raise DegenerateBoxError(f"{label!r} {points} has no area in {width} x {height} px")
        numbers = self.to_numbers(inside, axes)
        if isinstance(self._place(numbers, width, height), ParseFailure):  # an obb lost in rounding
            numbers = self.to_numbers(to_hbb(inside), axes)
        digits = [f"{number + 0.0:.{_decimals(axes[0])}f}" for number in numbers]
        return self.item.format(*digits, label=json.dumps(label, ensure_ascii=False))

    def _place(self, numbers: Sequence[float], width: int, height: int) -> Points | ParseFailure:
        box = self.to_points(numbers, self.axes(width, height))
        if isinstance(box, ParseFailure):
            return box
        inside = clip(box, width, height)
        no_area = ParseFailure(f"no area inside the image: {_listed(numbers)}")
        return no_area if is_degenerate(inside) else inside


# Every branch takes linear time: bounded, or behind a look-behind that enters no run twice.
_TOKEN = re.compile(
    r"""(?P<marker>^[ \t]*[0-9]+[.)][ \t] | (?<![\w.])[0-9]+[ \t]*:)      # "1. ", "box 2:"
      | (?P<number>(?<![\w.])[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?)
      | (?P<word>[a-z_]{2,})
      | (?P<bracket>[\[\]{}] | </?\|?[a-z_]{1,20}\|?>)                    # also <box>, <|box_end|>
      | (?P<joint>[(;\n])""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_LABEL = re.compile(r""""label"\s*:\s*(?:"(?:[^"\\]|\\.)*"?|'[^'\n]*'?)""", re.DOTALL)
_COORDINATE = {"xmin", "ymin", "xmax", "ymax", "left", "top", "right", "bottom", "px", "angle"}


def _number_groups(text: str, full: int) -> list[list[float]]:
    """Runs of numbers between brackets, tags and words; a new line ends a run of ``full``."""
    groups: list[list[float]] = [[]]
    for token in _TOKEN.finditer(_LABEL.sub("", text)):
        if token.lastgroup == "number":
            groups[-1].append(float(token[0]))
        elif token.lastgroup == "joint":  # "(1, 2), (3, 4)" goes on, "(1, 2, 3, 4), (5" does not
            if len(groups[-1]) >= full or (token[0] == "(" and len(groups[-1]) % 2):
                groups.append([])
        elif token[0].lower().replace("_", "") not in _COORDINATE:
            groups.append([])
    return [group for group in groups if group]


def _fitting(
    groups: list[list[float]], counts: tuple[int, ...]
) -> list[list[float]] | ParseFailure:
    """The groups with a right count; failing that, points joined, as in "[[1, 2], [3, 4]]"."""
    if not groups:
        return ParseFailure("no box: the reply has no numbers")
    pairs = [number for group in groups if len(group) == 2 for number in group]
    joined = [pairs[i : i + counts[0]] for i in range(0, len(pairs), counts[0])]
    fitting = [group for group in groups if len(group) in counts] or joined
    if not fitting or len(fitting[-1]) not in counts:
        return ParseFailure(f"{max(map(len, groups))} numbers where a box has {counts[0]}")
    return fitting


def _listed(numbers: Sequence[float]) -> str:
    return "[" + ", ".join(f"{number:g}" for number in numbers) + "]"


def _decimals(axis: Axis) -> int:
    """Three on a 0-1 frame (two would lose 74 % of 8 px boxes in 800 px at IoU 0.5), else none."""
    return 3 if axis.last == 1 else 0


def _scaled(points: Sequence[float], axes: Axes) -> list[float]:
    """Pixels to the codec's unit, not rounded."""
    return [(v + a.pad) * a.last / a.size for v, a in zip(points, cycle(axes), strict=False)]


def _pixels(numbers: Sequence[float], axes: Axes) -> Points:
    """The codec's unit to pixels, not clipped."""
    return tuple(n * a.size / a.last - a.pad for n, a in zip(numbers, cycle(axes), strict=False))


def _fault(centre: Sequence[float], numbers: Sequence[float], axes: Axes) -> ParseFailure | None:
    """Why numbers cannot be this codec's: another unit is never rescaled in silence."""
    for number, axis in zip(centre, cycle(axes), strict=False):
        if not -0.05 <= number / axis.last <= 1.05:
            return ParseFailure(f"{number:g} lies outside 0-{axis.last:g}")
    if axes[0].last > 1 >= max(numbers) and any(number % 1 for number in numbers):
        return ParseFailure(f"fractions where 0-{axes[0].last:g} is expected: {_listed(numbers)}")
    return None


def _apart(low: float, high: float, decimals: int) -> tuple[float, float]:
    """Both rounded; where they would meet, the whole steps around them, so that an area remains."""
    if (near := round(low, decimals)) < (far := round(high, decimals)):
        return near, far
    return math.floor(low * 10**decimals) / 10**decimals, math.ceil(
        high * 10**decimals
    ) / 10**decimals


def _hbb_numbers(hbb: Points, axes: Axes) -> Sequence[float]:
    x_min, y_min, x_max, y_max = _scaled(hbb, axes)
    (left, right), (top, bottom) = (
        _apart(*ends, _decimals(axes[0])) for ends in ((x_min, x_max), (y_min, y_max))
    )
    return left, top, right, bottom


def _hbb_points(numbers: Sequence[float], axes: Axes) -> Points | ParseFailure:
    """Two opposite corners in any order; a fifth number (an angle, a confidence) says nothing."""
    x1, y1, x2, y2 = corners = numbers[:4]
    hbb = min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
    return _fault(corners, corners, axes) or _pixels(hbb, axes)


def _turned_numbers(points: Points, axes: Axes) -> Sequence[float]:
    """The upright rectangle, then the whole degrees (1-90) that turn it; an hbb has 0."""
    if kind(points) == "hbb":
        return *_hbb_numbers(points, axes), 0
    cx, cy, w, h, angle = to_rotated(points)
    if round(angle) == 0:
        w, h, angle = h, w, 90
    return *_hbb_numbers((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2), axes), round(angle)


def _turned_points(numbers: Sequence[float], axes: Axes) -> Points | ParseFailure:
    """An hbb where the angle is 0 or absent, else an obb, of which the centre must be in range."""
    if not any(numbers[4:]):
        return _hbb_points(numbers, axes)
    x1, y1, x2, y2, angle = numbers
    if not -360 <= angle <= 360:
        return ParseFailure(f"the angle {angle:g} lies outside -360-360")
    centre = (x1 + x2) / 2, (y1 + y2) / 2
    cx, cy, w, h = _pixels((*centre, abs(x2 - x1), abs(y2 - y1)), axes)
    return _fault(centre, numbers[:4], axes) or from_rotated(cx, cy, w, h, angle)


def _corner_numbers(points: Points, axes: Axes) -> Sequence[float]:
    if kind(points) == "hbb":
        return to_obb(_hbb_numbers(points, axes))
    return [round(number) for number in _scaled(order_corners(points), axes)]


def _corner_points(numbers: Sequence[float], axes: Axes) -> Points | ParseFailure:
    return _fault(numbers, numbers, axes) or order_corners(_pixels(numbers, axes))


def _image(last: float) -> Callable[[int, int], Axes]:
    return lambda width, height: (Axis(last, width), Axis(last, height))


def _padded_square(width: int, height: int) -> Axes:
    """0-1 of the square that LLaVA pads to: the image in its middle, an odd pixel after it."""
    side = max(width, height)
    return Axis(1, side, (side - width) // 2), Axis(1, side, (side - height) // 2)


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

    return replace(_NORM1000, name="qwen2_5_vl", axes=axes)


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
_PADDED = replace(_LLAVA, name="llava_padded", axes=_padded_square)

CODECS: dict[str, BoxCodec] = {
    codec.name: codec for codec in (_LLAVA, _PADDED, _GEOCHAT, qwen2_5_vl(), _NORM1000, _OBB)
}
"""Every codec by the name that ``box_format`` takes."""
