"""The numbers of boxes in a model's reply, or the reason why there are none.

A run is numbers that stand together: a bracket, a tag or a word ends it, and after a whole box so
do a new line, ";" and "(". The runs with a box's count of numbers are the boxes; the others
(a count in the prose, a score, a box cut off) are passed over. Where none has that count, as in
"[[1, 2], [3, 4]]", the pairs are joined if they make just one box.

A run is refused where its meaning is in doubt, for a wrong box is worse than none:

- a name says that a number is no x or y in turn: w, width, cx; x1, x2, y1, y2; Gemini's "box_2d";
- a unit that is not the codec's: "10%", "100 px";
- fractions up to 1 where larger numbers are expected;
- no number: NaN, null, 0.1.5; perhaps one, perhaps two: 0.1-0.3, 1/4, 1,000.

>>> read('```json [{"bbox_2d": [10, 20, 30, 40], "label": "ship 7"}]```', (4,))
[[10.0, 20.0, 30.0, 40.0]]
>>> read("x: 10, y: 20, w: 30, h: 40", (4,))
Traceback (most recent call last):
rs_gpt4v.box_replies.NoBoxError: 'w' where x is expected
"""

import math
import re
from collections import deque
from dataclasses import dataclass, field


class NoBoxError(ValueError):
    """Why a reply, or one box of it, gives no box."""


# Every branch takes linear time: bounded, or behind a look-behind that enters no run twice.
_TOKEN = re.compile(
    r"""(?P<marker>^[ \t]*\d+[.)][ \t] | (?<![\w.])\d+[ \t]*:)            # "1. ", "box 2:"
      | (?P<number>(?<![a-z_\d.])
          (?P<digits>\d{1,3},0\d\d(?!\d)                                  # one number or two?
            | [-+]?\.?\d[\d.]*(?:e[-+]?\d+)?(?:(?:[ ]?[-~/][ ]|[-~/])\.?\d[\d.]*){0,3}  # 1-3
            | [-+]?(?:nan|inf|infinity|null|none)(?=[ ]?[,\])}]))
          (?:[ ]?(?P<unit>%|px\b|pixels?\b))?)
      | (?<![a-z_\d])(?:angle
          | (?P<x>x(?:_?min|_?max|\d)? | (?:left|right)(?=["']?[ ]?[:=]))
          | (?P<y>y(?:_?min|_?max|\d)? | (?:top|bottom)(?=["']?[ ]?[:=]) | box_2d)
          | (?P<size>[wh] | c[xy] | (?:width|height)(?=["']?[ ]?[]:=,)])
            | (?:center|centre|size)(?=["']?[ ]?[:=]))
        )(?!\w)
      | (?P<word>[a-z_][a-z_\d]*|[^\W\d]+)
      | (?P<bracket>[\[\]{}] | </?\|?[a-z_]{1,20}\|?>)
      | (?P<joint>[(;\n])""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_NUMBER = r"\d{1,5}(?:\.\d{1,6})?"
_PLAIN_BOX = rf"\[{_NUMBER}(?:, {_NUMBER})*\]"
_PLAIN_BOXES = re.compile(f"{_PLAIN_BOX}(?:, {_PLAIN_BOX})*")
_LABEL = re.compile(
    r"""(["'])(?:label|name|class|category|object|description|caption)\1\s*:\s*
        (?:"[^"\\]*(?:\\.[^"\\]*)*"? | '[^'\n]*'?)""",
    re.VERBOSE | re.DOTALL,
)
_PLAIN = str.maketrans("．，－−–％［］（）｛｝：；＝＜＞｜", ".,---%[](){}:;=<>|")  # noqa: RUF001


@dataclass
class _Run:
    """Numbers that stand together, and why they are no box if something says so."""

    numbers: list[float] = field(default_factory=list)
    fault: str = ""
    dotted: bool = False
    opened: int = 0  # how many stood before the last "("

    def add(self, token: re.Match[str], name: re.Match[str] | None, unit: str) -> None:
        """Append a number; ``name`` is what the reply calls it, ``unit`` what it may bear."""
        due = "xy"[len(self.numbers) % 2]
        digits = token["digits"].rstrip(".")
        number = _float(digits)
        if name and name.lastgroup != due:
            self.fault = self.fault or f"{name[0]!r} where {due} is expected"
        if token["unit"] and token["unit"][0].lower() != unit[:1]:
            self.fault = self.fault or f"{token[0][:40]!r} has a unit that is not expected"
        if math.isnan(number):
            self.fault = self.fault or f"{digits[:40]!r} is not one number"
        self.dotted |= "." in digits or number % 1 > 0
        self.numbers.append(number)

    def is_full(self, full: int, joint: str) -> bool:
        """True where a new line, ";" or "(" begins another box of ``full`` numbers.

        "(1, 2), (3, 4)" goes on, and so does a third point: a polygon is not two boxes.
        """
        count = len(self.numbers)
        if joint != "(":
            return count >= full
        if count % 2 or count - self.opened >= full:
            return True
        self.opened = count
        return False


def read(
    text: str, counts: tuple[int, ...], unit: str = "", *, fractions: bool = False
) -> list[list[float]]:
    """The numbers of each box in a reply, in its order, in the reply's own scale.

    Args:
        text: The reply.
        counts: How many numbers a box may have; the first is the rule.
        unit: The only unit that may follow a number: "%", "px" or none.
        fractions: Whether the scale is 0-1.

    Raises:
        NoBoxError: It has no box, or one whose meaning is in doubt.
    """
    chosen = _chosen(_plain_runs(text) or _runs(text, counts[0], unit), counts)
    for run in chosen:
        if run.fault:
            raise NoBoxError(run.fault)
        if not fractions and run.dotted and max(run.numbers[: counts[0]]) <= 1:
            listed = ", ".join(f"{number:g}" for number in run.numbers)
            raise NoBoxError(f"fractions where larger numbers are expected: [{listed}]")
    return [run.numbers for run in chosen]


def _plain_runs(text: str) -> list[_Run]:
    """What `_runs` finds in lists alone, as a fine-tuned model writes them; else nothing."""
    if not _PLAIN_BOXES.fullmatch(text):
        return []
    items = text[1:-1].split("], [")
    return [_Run([*map(float, item.split(", "))], dotted="." in item) for item in items]


def _runs(text: str, full: int, unit: str) -> list[_Run]:
    runs = [_Run()]
    names: deque[re.Match[str]] = deque()
    for token in _TOKEN.finditer(_LABEL.sub(" ", text.translate(_PLAIN))):
        match token.lastgroup:
            case "number":
                runs[-1].add(token, names.popleft() if names else None, unit)
            case "x" | "y" | "size":
                names.append(token)
            case "joint":
                if runs[-1].is_full(full, token[0]):
                    runs.append(_Run())
            case "bracket":
                runs.append(_Run())
            case "word" | "marker":
                runs.append(_Run())
                names.clear()
    return [run for run in runs if run.numbers]


def _chosen(runs: list[_Run], counts: tuple[int, ...]) -> list[_Run]:
    """The runs with a right count; failing that, the pairs if together they are one box."""
    if not runs:
        raise NoBoxError("no box: the reply has no numbers")
    if fitting := [run for run in runs if len(run.numbers) in counts]:
        return fitting
    pairs = [run for run in runs if len(run.numbers) == 2]
    if len(pairs) * 2 == counts[0]:
        faults = [run.fault for run in pairs if run.fault]
        numbers = [number for run in pairs for number in run.numbers]
        return [_Run(numbers, "".join(faults[:1]), any(run.dotted for run in pairs))]
    most = max(len(run.numbers) for run in runs)
    raise NoBoxError(f"{most} number{'s' * (most > 1)} where a box has {counts[0]}")


def _float(digits: str) -> float:
    try:
        return float(digits)
    except ValueError:
        return math.nan
