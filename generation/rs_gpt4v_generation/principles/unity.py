"""Unity: whether all tasks are told in one form."""

from dataclasses import dataclass

import numpy as np

from rs_gpt4v.box_codecs import CODECS, ParseFailure
from rs_gpt4v_builders.stats.composition import TEMPLATES, template_of
from rs_gpt4v_generation.principles.turns import Material
from rs_gpt4v_generation.principles.words import BOX

FORMAT_HINTS = (
    r"(?:one|single|a|short)[ -]sentence|word or (?:short )?phrase|one[ -]phrase|in a phrase"
    r"|(?:a|one|short) phrase|short answer|answer (?:alone|only)|only the answer"
    r"|bounding box|box coordinates|coordinates of|\bbox around|\bgive its box"
    r"|\bbrief(?:ly)?\b|\bshort\b|\bconcise\b|\bdetail(?:ed|s)?\b|step by step|\bone word\b"
)
"""What tells the form or the length of the answer (RE2)."""


@dataclass(frozen=True, slots=True)
class Unity:
    """Attributes are shares, none where there is nothing that they are shares of.

    Attributes:
        templates: Instructions made with a template of the task.
        format_hints: Instructions that say what form the answer has.
        boxes: Answers that hold a box.
        boxes_read: Of these, the ones that the one codec reads whole.
    """

    templates: float
    format_hints: float
    boxes: float
    boxes_read: float | None


def unity(material: Material, box_format: str = "llava") -> Unity:
    """The unity of ``material``; ``box_format`` names the codec that boxes are read with."""
    instructions = material.instructions
    made_by = template_of(instructions.distinct, TEMPLATES.get(material.task, ()))
    holds = material.answers.matches(BOX)
    return Unity(
        templates=float((made_by >= 0)[instructions.at].mean()),
        format_hints=float(instructions.matches(FORMAT_HINTS).mean()),
        boxes=float(holds.mean()),
        boxes_read=_read(material, np.flatnonzero(holds), box_format),
    )


def _read(material: Material, turns: np.ndarray, box_format: str) -> float | None:
    if not len(turns):
        return None
    codec = CODECS[box_format]
    texts = material.answers.drawn(turns)
    sizes = material.sizes[material.row[turns]].tolist()
    read = [codec.parse(text, *size) for text, size in zip(texts, sizes, strict=True)]
    return sum(not isinstance(one, ParseFailure) for one in read) / len(read)
