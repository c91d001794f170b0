"""Verbs on generated dialogues: review, reconcile."""

import getpass
import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

Queue = Annotated[Path, typer.Argument(help="Candidates (JSON lines).")]
_TOLD = 10  # problems that are named, of however many


@app.command()
def review(
    queue: Queue,
    images: Annotated[
        Path | None, typer.Option(help="What relative paths of images start from.")
    ] = None,
    reviewer: Annotated[
        str | None, typer.Option(help="Your name; the login's unless given.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Reviews file; an existing one is gone on with.")
    ] = None,
    port: Annotated[int, typer.Option(help="0: any that is free.")] = 0,
    browser: Annotated[bool, typer.Option("--browser", help="Open the page.")] = False,
) -> None:
    """Correct generated dialogues by hand, on a page that this machine alone can open.

    Example: `rs-gpt4v review outputs/candidates.jsonl --images /data/rs/DIOR/JPEGImages`
    """
    from rs_gpt4v.generation.review.server import reviewing

    with reviewing(queue, reviewer or _login(), images=images, out=out, port=port) as server:
        _tell_problems(server.desk.queue.problems)
        for line in (server.desk.summary(), "", f"  {server.url}", "", "Ctrl+C stops."):
            typer.echo(line)
        if browser:
            typer.launch(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo(f"\n{server.desk.summary()}")


@app.command()
def reconcile(
    queue: Queue,
    reviews: Annotated[list[Path], typer.Argument(help="Reviews files, one a reviewer.")],
    out: Annotated[Path, typer.Option(help="Final dialogues (JSON lines) to write.")],
    final_say: Annotated[
        Path | None, typer.Option(help="Reviews file of who settles the conflicts.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Merge reviewers' decisions: the final dialogues, agreement, and what is in conflict.

    Example: `rs-gpt4v reconcile queue.jsonl queue.jsonl.reviews.{ann,ben}.jsonl --out final.jsonl`
    """
    from rs_gpt4v.generation.review import reconcile as settling

    account = settling.reconcile(queue, reviews, out, final_say)
    typer.echo(
        json.dumps(settling.to_json(account), indent=2) if as_json else settling.to_text(account)
    )


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise ValueError("who reviews is not known here: give --reviewer NAME") from error


def _tell_problems(problems: list[str]) -> None:
    for problem in problems[:_TOLD]:
        typer.echo(f"left out: {problem}", err=True)
    if len(problems) > _TOLD:
        typer.echo(f"left out: {len(problems) - _TOLD:,} more", err=True)
