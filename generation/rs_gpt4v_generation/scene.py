"""Images with their boxes: what there is to generate from."""

from dataclasses import dataclass, field
from pathlib import Path

from rs_gpt4v.conversation import LabelledBox
from rs_gpt4v_generation.classes import Vocabulary
from rs_gpt4v_generation.facts import FactSheet, fact_sheet


@dataclass(frozen=True, slots=True)
class Scene:
    """An image that can be read, with every object that is annotated in it.

    Attributes:
        source: What names the annotation: "dior", ...
        key: What names it in its split.
        split: "train", "test", ...
        image: The file.
        width: Of the image, in pixels; so is ``height``.
        boxes: In pixels, each with an area in the image.
        vocabulary: The classes of which every object is annotated.
    """

    source: str
    key: str
    split: str
    image: Path
    width: int
    height: int
    boxes: list[LabelledBox]
    vocabulary: Vocabulary = field(repr=False)

    def sheet(self) -> FactSheet:
        """Its facts."""
        return fact_sheet(self.boxes, self.width, self.height)
