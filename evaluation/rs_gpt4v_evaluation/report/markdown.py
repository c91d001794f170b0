"""A report as Markdown, for a README, an issue or a terminal: the tables, without the pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rs_gpt4v.pages import environment
from rs_gpt4v_evaluation.report.agreement import NO_AGREEMENTS, Agreements, in_words
from rs_gpt4v_evaluation.report.paper import PAPER, Beside
from rs_gpt4v_evaluation.report.tables import Line, PaperLine, ShareLine, ShareTable, Table
from rs_gpt4v_evaluation.report.training import Training

_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>|#"} | {"\n": " ", "\r": " "})


def markdown(
    title: str,
    tables: Sequence[Table],
    training: Training | None,
    agreements: Agreements = NO_AGREEMENTS,
) -> str:
    """The report; texts from files are escaped, so they stand as they are written."""
    return (
        environment(Path(__file__).parent, autoescape=False)
        .get_template("report.md.jinja")
        .render(
            title=title,
            tables=tables,
            training=training,
            paper=PAPER,
            escaped=_escaped,
            grid=_grid,
            scores=_scores,
            beside=_beside,
            share=_share,
            facts=_facts,
            **in_words(agreements),
        )
    )


def _escaped(text: object) -> str:
    r"""A text without meaning to Markdown, in one line.

    >>> _escaped("a|b <script>\n# c")
    'a\\|b \\<script\\> \\# c'
    """
    return str(text).translate(_SPECIAL)


def _scores(table: Table) -> list[list[str]]:
    """The score table with its head, a list of cells a line."""
    extra = ["n"] * table.has_n + ["most frequent answer"] * table.has_most_frequent
    difference = [" ".join(("difference", table.group.metric.unit)).strip()]
    has_difference = table.headline.difference is not None
    head = ["", *extra, *table.labels, *(difference if has_difference else [])]
    return [head, *(_cells(line, table) for line in table.lines)]


def _cells(line: Line, table: Table) -> list[str]:
    extra = [line.n or ""] * table.has_n + [line.most_frequent or ""] * table.has_most_frequent
    cells = [
        f"{cell} ({interval})" if interval else cell
        for cell, interval in zip(line.cells, line.intervals, strict=True)
    ]
    cells = [
        cell + ", worse than guessing" * is_worse
        for cell, is_worse in zip(cells, line.is_worse, strict=True)
    ]
    return [line.name, *extra, *cells, *([] if line.difference is None else [line.difference])]


def _beside(table: Table, beside: Beside, lines: Sequence[PaperLine]) -> list[list[str]]:
    """One table of the paper, our scores, and how far from it they are."""
    named = zip(table.labels, beside.reasons, strict=True)
    head = ["Method", "paper", *(label + ", difference" * (not why) for label, why in named)]
    body = [[line.method, line.value, *line.cells] for line in lines]
    return [head, *body, ["This report", "", *beside.shown]]


def _share(table: ShareTable) -> list[list[str]]:
    """What the image adds, with the head of the table and with words in a column of their own."""
    return [[*table.head, ""], *([*_share_cells(line)] for line in table.lines)]


def _share_cells(line: ShareLine) -> Iterator[str]:
    yield from (line.name, line.seen, line.blind)
    yield f"{line.difference} ({line.interval})" if line.interval else line.difference
    yield from () if line.guess is None else (line.guess,)
    yield line.words


def _facts(table: Table) -> list[list[str]]:
    return [["", *table.labels], *([name, *cells] for name, cells in table.facts.items())]


def _grid(rows: Sequence[Sequence[object]]) -> str:
    """A table of Markdown; the first row is its head, numbers stand to the right.

    >>> print(_grid([["", "n"], ["Count", 4]]))
    |  | n |
    | --- | ---: |
    | Count | 4 |
    """
    head, *body = ["| " + " | ".join(map(_escaped, row)) + " |" for row in rows]
    rule = "| --- |" + " ---: |" * (len(rows[0]) - 1)
    return "\n".join([head, rule, *body])
