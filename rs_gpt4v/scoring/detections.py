"""What a reply to "detect every ..." claims: boxes, or that there is no such object."""

import re
from typing import NamedTuple

from rs_gpt4v.box_codecs import CODECS, ParseFailure
from rs_gpt4v.boxes import Points

NO_BOX: Points = (0.0, 0.0, 0.0, 0.0)
"""A claim that cannot be a box: without area, so it is never true."""

_NONE = re.compile(
    r"""^\W*(?:json)?\W*\[\s*\]\W*$
      | \b(?:none|nothing|zero|absent)\b
      | \bno\b(?!\W+(?:idea|way|answer|comment|clue|image))
      | \b(?:not|cannot|\w+n['\u2019]t)\b(?=.*\b(?:any|present|visible|seen?|exists?|contains?
            |shows?|shown|has|have|includes?|there|find|found|detect(?:ed)?)\b)""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


class Reply(NamedTuple):
    """What a reply claims.

    Attributes:
        boxes: In pixels, `NO_BOX` for one that cannot be a box.
        denies: It says that there is no such object.
        failure: Why nothing was read; None where something was.
    """

    boxes: tuple[Points, ...] = ()
    denies: bool = False
    failure: str | None = None


def read(text: str, width: int, height: int, box_format: str) -> Reply:
    """What a reply about an image of ``width`` x ``height`` px claims.

    Of several boxes one that cannot be one is a false claim; where none can, nothing was read. A
    reply without any number that has a word of denial claims that there is no object.

    >>> read("There are none.", 800, 800, "llava")
    Reply(boxes=(), denies=True, failure=None)
    >>> read("I cannot tell.", 800, 800, "llava").failure
    'no box: the reply has no numbers'
    >>> read("[0.1, 0.1, 0.2, 0.2], [0.5, 0.5, 0.5, 0.9]", 100, 100, "llava").boxes
    ((10.0, 10.0, 20.0, 20.0), (0.0, 0.0, 0.0, 0.0))
    """
    parsed = CODECS[box_format].parse_each(text, width, height)
    if isinstance(parsed, ParseFailure):
        is_denial = _NONE.search(text) and not re.search(r"\d", text)
        return Reply(denies=True) if is_denial else Reply(failure=parsed.reason)
    boxes = tuple(NO_BOX if isinstance(box, ParseFailure) else box for box in parsed)
    first = parsed[0]
    if isinstance(first, ParseFailure) and set(boxes) == {NO_BOX}:
        return Reply(failure=first.reason)
    return Reply(boxes)
