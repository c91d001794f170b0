"""`rs-gpt4v`: one short function a verb. What a verb needs is imported inside it."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from rs_gpt4v import __version__
from rs_gpt4v.cli import data, evaluation, generation, results, training

app = typer.Typer(
    name="rs-gpt4v",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_GROUPS = {
    "Data": data,
    "Training": training,
    "Answers and scores": evaluation,
    "Models compared": results,
    "Dialogues": generation,
}
"""The order of --help."""
for title, verbs in _GROUPS.items():
    for command in verbs.app.registered_commands:
        command.rich_help_panel = title
    app.add_typer(verbs.app)


def _tell_version(value: bool) -> None:
    if value:
        typer.echo(f"rs-gpt4v {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Remote-sensing vision-language data, training and evaluation.

    First: `rs-gpt4v demo` (minutes on a CPU, no data needed), or `rs-gpt4v show all --sample`.
    """


@app.command(rich_help_panel="All of it")
def demo(
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("outputs/demo"),
) -> None:
    """Fine-tune the embedded model on the sample and report its scores: minutes on a CPU.

    Example: `rs-gpt4v demo`
    """
    from rs_gpt4v.cli.demo import run

    run(out)


_EXTRAS = {
    "matplotlib": "plot",
    **dict.fromkeys(("evaluate", "shapely"), "eval"),
    **dict.fromkeys(("torch", "transformers", "accelerate", "peft"), "predict"),
    "trl": "train",
    **dict.fromkeys(("numba", "pycocoevalcap", "snowballstemmer"), "meteor"),
    **dict.fromkeys(("imagecodecs", "tifffile"), "tiff"),
}
"""The extra that brings a module; those that train bring all that `predict` brings."""
_TRAINING = ("train", "merge", "preferences", "demo")


def _extra_that_has(module: str) -> str:
    """What to install where a module is missing; "" if no extra brings it."""
    extra = _EXTRAS.get(module)
    if extra is None:
        return ""
    verb = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    if extra == "predict" and verb in _TRAINING:
        extra = "train"
    text = f'. This needs an extra: pip install "rs-gpt4v[{extra}]"'
    if extra == "train" and sys.version_info < (3, 11):
        text += ", and Python 3.11 or later"
    return text


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
            text += _extra_that_has(error.name.partition(".")[0])
        if isinstance(error, OSError) and error.errno in _FULL:
            text += ". Make room there, and give the same command again"
        typer.secho(f"Error: {text}", err=True, fg=typer.colors.RED)
        sys.exit(1)
