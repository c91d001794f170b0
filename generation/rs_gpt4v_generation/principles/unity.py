"""Unity: whether all tasks are told in one form."""

from dataclasses import dataclass, field

import numpy as np

from rs_gpt4v.box_codecs import CODECS, ParseFailure
from rs_gpt4v_builders.stats.composition import TEMPLATES, template_of
from rs_gpt4v_generation.principles.turns import Intervals, Turns
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
    """Shares, see `rs_gpt4v_generation.principles.catalogue`; None without boxes."""

    templates: float
    format_hints: float
    boxes: float
    boxes_read: float | None
    intervals: Intervals = field(default_factory=dict)


def unity(turns: Turns) -> Unity:
    """The unity of ``turns``."""
    instructions = turns.instructions
    made_by = template_of(instructions.distinct, TEMPLATES.get(turns.task, ()))
    holds = turns.answers.matches(BOX)
    from_template = (made_by >= 0)[instructions.at]
    hints = instructions.matches(FORMAT_HINTS)
    return Unity(
        templates=float(from_template.mean()),
        format_hints=float(hints.mean()),
        boxes=float(holds.mean()),
        boxes_read=_read(turns, np.flatnonzero(holds)),
        intervals=turns.intervals(templates=from_template, format_hints=hints, boxes=holds),
    )


def _read(turns: Turns, indices: np.ndarray) -> float | None:
    indices = indices[np.isfinite(turns.sizes[turns.row[indices], 0])]  # a text has no image
    if not len(indices):
        return None
    texts = turns.answers.drawn(indices)
    sizes = turns.sizes[turns.row[indices]].tolist()
    read = [CODECS["llava"].parse(text, *size) for text, size in zip(texts, sizes, strict=True)]
    return sum(not isinstance(boxes, ParseFailure) for boxes in read) / len(read)
