"""Whether the processes of a run, on one machine or several, see the same."""

import platform
from typing import TypeVar

from accelerate.utils import gather_object

T = TypeVar("T")


def first_difference(own: T) -> tuple[tuple[str, T], tuple[str, T]] | None:
    """What the first process sees, and the first other one that sees something else.

    Each is named by its number and machine. All processes must call it; all get the same.

    Args:
        own: What this process sees.
    """
    seen = [
        (f"process {process} ({machine})", value)
        for process, (machine, value) in enumerate(gather_object([(platform.node(), own)]))
    ]
    return next(((seen[0], other) for other in seen[1:] if other[1] != seen[0][1]), None)
