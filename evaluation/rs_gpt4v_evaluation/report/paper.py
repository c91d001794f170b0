"""The tables of the paper (arXiv 2406.12479), and when a score may stand beside them.

Tables 2 and 3 are all the results that the paper prints. Those of captioning and of RSVQA are in
its Figures 4 and 5, as drawings: no number of theirs is certain, so none is here.
"""

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from rs_gpt4v_evaluation.board.published import shipped
from rs_gpt4v_evaluation.predict.predictions import is_verified
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


_UNITS = {"rs_grounding": "in %", "rs_judge": "1 to 10"}
_GPT_4V = re.compile(r"gpt-4(-\d+)?-vision-preview")
"""GPT-4V as its maker names it."""


def _tables(metric: str) -> tuple[PaperTable, ...]:
    """Those of the published tables that are the paper's, of one metric."""
    return tuple(
        PaperTable(
            number=int(table["source"]["where"].removeprefix("Table ")),
            measure=f"{table['name']}, {_UNITS[metric]}",
            key=table["measure"],
            configs=(table["config"], *table.get("also", ())),
            factor=table["per_unit"],
            digits=table["digits"],
            rows=table["rows"] or 0,
            values=table["values"],
            note=table["note"],
        )
        for table in shipped()
        if table["source"]["title"].endswith(PAPER) and table["metric"] == metric
    )


TABLES = {metric: _tables(metric) for metric in _UNITS}
"""By metric."""
(TABLE_2,), TABLE_3 = TABLES["rs_grounding"], TABLES["rs_judge"]

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
        "rows not compared with ours": not is_verified(dataset),
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
