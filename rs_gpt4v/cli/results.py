"""Verbs on results: one model on every task, results of others, and a board of many."""

from pathlib import Path
from typing import Annotated

import typer

from rs_gpt4v.cli import common

app = typer.Typer()


@app.command()
def board(
    results: Annotated[
        list[str] | None,
        typer.Argument(help="Results files, folders of bench, predictions files; or NAME=FILE."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write the board to.")] = Path("board"),
    published: Annotated[
        list[Path] | None,
        typer.Option(help="File of scores that others print (docs/board.md); repeatable."),
    ] = None,
    shipped: Annotated[
        bool, typer.Option(help="Show the published scores that come with rs-gpt4v.")
    ] = True,
    reports: Annotated[
        bool, typer.Option(help="Put a report of each model beside the board and link it.")
    ] = True,
    title: Annotated[str, typer.Option(help="Heading.")] = "Models on remote-sensing tasks",
    resamples: Annotated[
        int, typer.Option(min=0, help="Resamples for the intervals of predictions files; 0: none.")
    ] = 1000,
    counts: common.Counts = "source",
    areas: common.Areas = "source",
    normalise: common.Normalise = "lenient",
    strict_iou: common.StrictIou = False,
    skip_bad_boxes: common.SkipBadBoxes = False,
) -> None:
    """Rank models on one static page, each score with its interval and where it is from.

    Example: `rs-gpt4v board outputs/bench/* imported/*.jsonl --out board`
    """
    from rs_gpt4v_evaluation.board.make import board as write
    from rs_gpt4v_evaluation.score import Rules

    notes = write(
        results or [],
        out,
        published or [],
        title,
        with_shipped=shipped,
        with_reports=reports,
        resamples=resamples,
        rules=Rules(counts, normalise, strict_iou, skip_bad_boxes, areas),
    )
    for note in notes:
        typer.echo(note)
    typer.echo(f"Board: {out / 'index.html'}")
