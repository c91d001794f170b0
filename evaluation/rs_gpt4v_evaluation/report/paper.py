"""The tables of the paper (arXiv 2406.12479), and when a score may stand beside them.

Tables 2 and 3 are all the results that the paper prints. Those of captioning and of RSVQA are in
its Figures 4 and 5, as drawings: no number of theirs is certain, so none is here.
"""

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from rs_gpt4v_evaluation.report.columns import rows_of
from rs_gpt4v_evaluation.score import Score

PAPER = "arXiv 2406.12479"


class PaperTable(NamedTuple):
    """One column of a table of the paper, as printed.

    Attributes:
        number: The table's number.
        measure: The column's head and its unit.
        key: The score of ours that has the same definition.
        configs: Those whose test split in the paper's protocol has these rows.
        factor: From our score to the paper's unit.
        digits: Decimals as printed.
        rows: Test rows of the paper's split (Table 1); pairs of question and answer if judged.
        values: By method, in the paper's order.
        note: What is known of protocol and split, and what is not.
    """

    number: int
    measure: str
    key: str
    configs: tuple[str, ...]
    factor: float
    digits: int
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
    "GPT-4V gives each answer 1 to 10; all scores are the mean over all pairs of question and "
    "answer. Its prompt, its version and the number of repetitions are not published, so a score "
    "of another judge is not the same measure, and a difference under GPT-4V holds that of the "
    "prompts too."
)
_GPT_4V = re.compile(r"gpt-4(-\d+)?-vision-preview")
"""GPT-4V as its maker names it."""


def _judged(
    column: str, key: str, configs: tuple[str, ...], rows: int, *values: float
) -> PaperTable:
    named = dict(zip(_METHODS, values, strict=True))
    return PaperTable(3, f"{column}, 1 to 10", key, configs, 1, 3, rows, named, _JUDGED)


TABLE_2 = PaperTable(
    number=2,
    measure="Accuracy@0.5 on DIOR-RSVG, in %",
    key="pr_50",
    configs=("grounding",),
    factor=100,
    digits=2,
    rows=18_677,
    values={
        "Qwen-vl-Chat": 25.05,
        "LLaVA-1.5": 9.52,
        "Full-FT": 36.31,
        "LoRA": 33.15,
        "MoE-LoRA": 37.86,
    },
    note="Train and test are cut as DIOR cuts its images, not by DIOR-RSVG's own index. The "
    "wording of the questions and whether an overlap of just 0.5 counts are not stated; it is "
    "taken to count, as is usual.",
)
_BOTH = ("conversation + detail", "instruct")
TABLE_3 = (
    _judged(
        "Complex reasoning & conversation",
        "conversation",
        ("conversation", *_BOTH),
        3_987,
        *(5.21, 2.648, 5.312, 6.27, 6.061, 6.108),
    ),
    _judged(
        "Detailed description",
        "detail",
        ("detail", *_BOTH),
        613,
        *(5.088, 2.282, 4.392, 6.53, 6.374, 6.468),
    ),
    _judged(
        "All scores",
        "all",
        _BOTH,
        4_600,
        *(5.194, 2.599, 5.189, 6.304, 6.103, 6.156),
    ),
)

TABLES = {"rs_grounding": (TABLE_2,), "rs_judge": TABLE_3}
"""By metric."""

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

    @property
    def shown(self) -> list[str]:
        """Ours in as many decimals as the paper prints."""
        digits = self.table.digits
        return [
            "\N{EN DASH}" if math.isnan(value) else f"{value:.{digits}f}" for value in self.ours
        ]


def beside(scores: Sequence[Score], *, is_sample: bool) -> list[Beside]:
    """The paper's tables for the config of ``scores``; none if it prints none."""
    config = scores[0]["dataset"]["config"]
    return [
        Beside(
            table,
            [table.factor * float(score["scores"].get(table.key, math.nan)) for score in scores],
            [_reason(table, score, is_sample=is_sample) for score in scores],
        )
        for table in TABLES.get(scores[0]["metric"], ())
        if config in table.configs
    ]


def _reason(table: PaperTable, score: Score, *, is_sample: bool) -> str:
    """Why ``score`` is no score of the paper's test; "" if it is one."""
    dataset, own = score["dataset"], rows_of(table.key, score)
    n = score["n"] if own is None else own
    checks = {
        "sample data": is_sample,
        "another measure": table.key not in score["scores"],
        f"another split ({dataset['split']})": dataset["split"] != "test",
        f"another protocol ({dataset['protocol']})": dataset["protocol"] != "paper",
        **_RULES[score["metric"]](score["rule"]),
        f"{n:,} of {table.rows:,} rows": n != table.rows,
        f"{score['missing']:,} rows missing": own is None and score["missing"] > 0,
    }
    return next((reason for reason, holds in checks.items() if holds), "")


def _box_rule(rule: dict[str, Any]) -> dict[str, bool]:
    return {"another rule (an IoU above 0.5)": rule["strict"]}


def _judge_rule(rule: dict[str, Any]) -> dict[str, bool]:
    judges = rule["served"] or [rule["model"]]
    return {
        f"another judge ({', '.join(judges)})": not all(map(_GPT_4V.fullmatch, judges)),
        "judged without the image": not rule["with_image"],
    }


_RULES = {"rs_grounding": _box_rule, "rs_judge": _judge_rule}


def figure_note(score: Score) -> str:
    """What the paper shows of a config that it prints no table of; "" if nothing."""
    number = _FIGURES.get(score["dataset"]["config"])
    if number is None:
        return ""
    return f"The paper shows these scores in Figure {number} only: no numbers to stand beside."
