"""True boxes as a file of others states them, beside those of our rows."""

from collections.abc import Sequence

import datasets

from rs_gpt4v.box_codecs import BoxCodec, ParseFailure
from rs_gpt4v.boxes import Points, to_hbb
from rs_gpt4v.conversation import whole_columns


class TrueBoxes:
    """The true boxes of the rows of a split.

    Args:
        rows: The split.
        codec: Reads the boxes of a file.
    """

    def __init__(self, rows: datasets.Dataset, codec: BoxCodec) -> None:
        self.codec = codec
        columns = whole_columns(rows, "width", "height", "boxes")
        self.sizes = list(zip(columns["width"], columns["height"], strict=True))
        self.boxes = [[tuple(box["points"]) for box in boxes] for boxes in columns["boxes"]]

    def agree(self, row: int, text: str) -> bool:
        """Whether a text states the boxes of ``row`` to within the steps of the codec.

        A text in which the codec reads no box tells nothing, so it does not disagree.
        """
        width, height = self.sizes[row]
        stated = self.codec.parse(text, width, height)
        if isinstance(stated, ParseFailure):
            return True
        steps = [
            axis.size / axis.last / 10**axis.decimals for axis in self.codec.axes(width, height)
        ]
        own = [to_hbb(box) for box in self.boxes[row]]
        return len(stated) == len(own) and all(
            any(_is_near(to_hbb(box), true, steps) for true in own) for box in stated
        )


def _is_near(one: Points, other: Points, steps: Sequence[float]) -> bool:
    """Whether the corners of two boxes are not more than two steps and a pixel apart."""
    return all(
        abs(a - b) <= 2 * steps[n % 2] + 1 for n, (a, b) in enumerate(zip(one, other, strict=True))
    )
