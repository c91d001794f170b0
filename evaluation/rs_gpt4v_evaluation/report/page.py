"""A report as one HTML page that needs nothing else: style, script, pictures and rows are in it."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from rs_gpt4v.pages import environment
from rs_gpt4v_evaluation.report.agreement import NO_AGREEMENTS, Agreements, in_words
from rs_gpt4v_evaluation.report.charts import charts
from rs_gpt4v_evaluation.report.columns import Group
from rs_gpt4v_evaluation.report.examples import examples
from rs_gpt4v_evaluation.report.paper import PAPER
from rs_gpt4v_evaluation.report.right_and_wrong import right_and_wrong
from rs_gpt4v_evaluation.report.tables import Table
from rs_gpt4v_evaluation.report.training import Training

_HERE = Path(__file__).parent


class Overview(NamedTuple):
    """A table of all scores, before everything else on the page.

    ``rows`` are texts under ``head``, each with the number of its table, from 1; None where there
    is none. ``notes`` stand below.
    """

    head: Sequence[str]
    rows: Sequence[tuple[int | None, Sequence[str]]]
    notes: Sequence[str]


def html(
    title: str,
    groups: Sequence[Group],
    tables: Sequence[Table],
    training: Training | None,
    pictures: int,
    agreements: Agreements = NO_AGREEMENTS,
    overview: Overview | None = None,
) -> str:
    """The page; ``tables`` are those of ``groups``, ``pictures`` as in `report`."""
    script = (_HERE / "browser.js").read_text(encoding="utf-8")
    return (
        environment(_HERE)
        .get_template("page.html.jinja")
        .render(
            title=title,
            overview=overview,
            training=training,
            tables=tables,
            charts=[charts(table) for table in tables],
            opening=right_and_wrong(groups) if pictures else [],
            examples=examples(groups, pictures),
            style=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            paper=PAPER,
            **in_words(agreements),
        )
    )
