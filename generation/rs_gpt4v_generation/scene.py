"""An image with its boxes."""

from dataclasses import dataclass, field
from pathlib import Path

from rs_gpt4v.conversation import LabelledBox
from rs_gpt4v.object_classes import Vocabulary
from rs_gpt4v_generation.facts import FactSheet, fact_sheet


@dataclass(frozen=True, slots=True)
class Scene:
    """A readable image with all its annotated objects.

    Attributes:
        source: Name of the annotation: "dior", ...
        key: Name of the image in its split.
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

    def row_id(self, name: str) -> str:
        """The id of a row made from it; ``name`` is the product, or "probes"."""
        return f"{self.split}/{self.key}/{name}"
