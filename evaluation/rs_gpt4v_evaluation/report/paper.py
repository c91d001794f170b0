"""The tables of the paper (arXiv 2406.12479), and when a score may stand beside them.

Tables 2 and 3 are all the results that the paper prints. Those of captioning and of RSVQA are in
its Figures 4 and 5, as drawings: no number of theirs is certain, so none is here.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from rs_gpt4v_evaluation.score import Score

PAPER = "arXiv 2406.12479"


class PaperTable(NamedTuple):
    """One column of a table of the paper, as printed.

    Attributes:
        number: The table's number.
        measure: The column's head and its unit.
        key: The score of ours that has the same definition; "" if none has.
        factor: From our score to the paper's unit.
        rows: Test rows of the paper's split (Table 1).
        values: By method, in the paper's order.
        note: What is known of protocol and split, and what is not.
    """

    number: int
    measure: str
    key: str
    factor: float
    rows: int
    values: dict[str, float]
    note: str


_METHODS: tuple[str, ...] = (
    "LLaVA-1.5",
    "Qwen-vl-Chat",
    "InternLM-XC2",
    "Full-FT",
    "LoRA",
    "MoE-LoRA",
)
_JUDGED = (
    "GPT-4V gives each answer 1 to 10. Its prompt, its version and the number of repetitions are "
    "not published, so a score of another judge is not the same measure."
)


def _judged(column: str, rows: int, *values: float) -> PaperTable:
    named = dict(zip(_METHODS, values, strict=True))
    return PaperTable(3, f"{column}, 1 to 10", "", 1, rows, named, _JUDGED)


TABLE_2 = PaperTable(
    number=2,
    measure="Accuracy@0.5 on DIOR-RSVG, in %",
    key="pr_50",
    factor=100,
    rows=18_677,
    values={
        "Qwen-vl-Chat": 25.05,
        "LLaVA-1.5": 9.52,
        "Full-FT": 36.31,
        "LoRA": 33.15,
        "MoE-LoRA": 37.86,
    },
    note="Train and test are cut as DIOR cuts its images, not by DIOR-RSVG's own index. The "
    "wording of the questions and whether an overlap of just 0.5 counts are not stated.",
)
TABLE_3_CONVERSATION = _judged(
    "Complex reasoning & conversation", 3_987, 5.21, 2.648, 5.312, 6.27, 6.061, 6.108
)
TABLE_3_DETAIL = _judged("Detailed description", 613, 5.088, 2.282, 4.392, 6.53, 6.374, 6.468)
TABLE_3_ALL = _judged("All scores", 4_600, 5.194, 2.599, 5.189, 6.304, 6.103, 6.156)

TABLES = {
    "grounding": TABLE_2,
    "conversation": TABLE_3_CONVERSATION,
    "detail": TABLE_3_DETAIL,
}
"""By config. Each is of its test split in the paper's protocol."""

_FIGURES = {
    **dict.fromkeys(("cap_ucm", "cap_rsicd", "cap_sydney", "cap_nwpu"), 4),
    **dict.fromkeys(("vqa_lr", "vqa_hr"), 5),
}


class Beside(NamedTuple):
    """A table of the paper and our columns beside it.

    Attributes:
        table: The paper's.
        ours: Our value in the paper's unit, a column; nan where there is none.
        reasons: Why it does not compare, a column; "" where it does.
    """

    table: PaperTable
    ours: list[float]
    reasons: list[str]


def beside(scores: Sequence[Score], *, is_sample: bool) -> Beside | None:
    """The paper's table for the config of ``scores``; None if it prints none."""
    table = TABLES.get(scores[0]["dataset"]["config"])
    if table is None:
        return None
    return Beside(
        table,
        [table.factor * float(one["scores"].get(table.key, math.nan)) for one in scores],
        [_reason(table, one, is_sample=is_sample) for one in scores],
    )


def _reason(table: PaperTable, score: Score, *, is_sample: bool) -> str:
    """Why ``score`` is no score of the paper's test; "" if it is one.

    The threshold's edge (``strict``) is left open: the paper does not state it.
    """
    dataset = score["dataset"]
    checks = {
        "sample data": is_sample,
        "another measure": table.key not in score["scores"],
        f"another split ({dataset['split']})": dataset["split"] != "test",
        f"another protocol ({dataset['protocol']})": dataset["protocol"] != "paper",
        f"{score['n']:,} of {table.rows:,} rows": score["n"] != table.rows or score["missing"] > 0,
    }
    return next((reason for reason, holds in checks.items() if holds), "")


def figure_note(score: Score) -> str:
    """What the paper shows of a config that it prints no table of; "" if nothing."""
    number = _FIGURES.get(score["dataset"]["config"])
    if number is None:
        return ""
    return f"The paper shows these scores in Figure {number} only: no numbers to stand beside."
