"""The help: what it shows at once, and examples that are commands."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from rs_gpt4v import __version__
from rs_gpt4v.cli import app

COMMANDS: dict[str, Any] = cast("Any", get_command(app)).commands


def examples() -> list[str]:
    """Every `rs-gpt4v ...` in the help of a verb."""
    texts = [" ".join((command.help or "").split()) for command in COMMANDS.values()]
    found = [one for text in texts for one in re.findall(r"`rs-gpt4v ([^`]*)`", text)]
    return [one for one in found if " " in one]


@pytest.mark.parametrize("example", examples())
def test_an_example_is_a_command_with_options_that_exist(example: str) -> None:
    verb, *arguments = shlex.split(example)
    command = COMMANDS[verb]
    context = command.make_context(verb, arguments)  # as before the verb runs
    assert context.info_name == verb


def test_each_verb_has_an_example_and_a_group() -> None:
    shown = {example.split()[0] for example in examples()}
    assert {*COMMANDS} - shown == {"demo"}  # whose example has no argument
    assert all(command.rich_help_panel for command in COMMANDS.values())


@pytest.mark.parametrize("module", ["rs_gpt4v", "rs_gpt4v.cli"])
def test_python_runs_the_package(module: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", module, "--version"]
    said = subprocess.check_output(command, cwd=tmp_path, text=True)
    assert said == f"rs-gpt4v {__version__}\n"


@pytest.mark.parametrize("arguments", [["-h"], ["score", "-h"], ["train", "-h"]])
def test_h_is_help(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, "Usage:" in result.output) == (0, True)


def test_stats_of_configs_take_a_protocol(releases: Path) -> None:
    def rows(*given: str) -> str:
        command = ["stats", "cap_ucm", "--data-dir", str(releases), *given]
        result = CliRunner().invoke(app, command, catch_exceptions=False)
        return result.output

    assert rows("--protocol", "release") != rows()  # a row for each caption of a test image
    table = CliRunner().invoke(app, ["stats", "--sample", "--protocol", "release"])
    assert "Table 1 is of the paper's rows" in str(table.exception)
