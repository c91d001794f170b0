"""`rs-gpt4v`: one short function a verb. What a verb needs is imported inside it."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from rs_gpt4v.cli import data, evaluation, generation, results, training

app = typer.Typer(
    name="rs-gpt4v",
    help="Remote-sensing vision-language data, training and evaluation.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
for verbs in (data, training, evaluation, results, generation):  # the order of --help
    app.add_typer(verbs.app)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("outputs/demo"),
) -> None:
    """Fine-tune the embedded model on the sample and report its scores: minutes on a CPU.

    Example: `rs-gpt4v demo`
    """
    from rs_gpt4v.cli.demo import run

    run(out)


_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


def main() -> None:
    """Run the command line; an expected error is one line, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console of Windows, or a name without UTF-8
            stream.reconfigure(errors="replace")
    try:
        app()
    except Exception as error:
        from rs_gpt4v.chat_api import ChatError  # not before: few verbs need it

        expected = (OSError, ValueError, ImportError, subprocess.CalledProcessError, ChatError)
        if os.environ.get("RS_GPT4V_TRACEBACK") or not isinstance(error, expected):
            raise
        text = str(error)
        if isinstance(error, FileNotFoundError) and error.strerror and error.filename is not None:
            text = f"{error.filename}: there is no such file or folder"
        if isinstance(error, ImportError) and error.name:
            extra = "plot" if error.name == "matplotlib" else "all"
            text += f'. This verb needs an extra: pip install "rs-gpt4v[{extra}]"'
        if isinstance(error, OSError) and error.errno in _FULL:
            text += ". Make room there, and give the same command again"
        typer.secho(f"Error: {text}", err=True, fg=typer.colors.RED)
        sys.exit(1)
