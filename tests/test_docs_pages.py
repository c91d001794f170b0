"""The tutorial and the page for users of other tools: every block runs, outputs are those shown.

Blocks of Python and of commands run in the order of the pages, in one folder. Training and bench
are cut short. Every command of every page must be one that the command line accepts.
"""

import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from rs_gpt4v.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ERRORS = (ROOT / "docs/errors.md").read_text(encoding="utf-8") + "\n"
SOURCES = ("rs_gpt4v", "builders", "generation", "training", "evaluation")
SHORT = {
    "train": ["--max_steps", "2", "--max_rows", "40"],
    "bench": ["--limit", "2", "--blind-images", "2"],
}


@pytest.fixture
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train here: a launched process would import everything once more."""
    pytest.importorskip("trl")
    from rs_gpt4v_training import sft

    def launch(arguments: list[str], *_: Any) -> int:
        return sft.main(arguments)

    monkeypatch.setattr("rs_gpt4v_training.launch.launch", launch)


def run(page: Path) -> None:
    """Run the blocks of a page in the working folder."""
    names: dict[str, Any] = {}
    printed = ""
    for language, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(compile(block, page.name, "exec"), names)
            printed = output.getvalue()
        elif language == "text":
            assert printed == block, f"{page.name} shows another output"
        elif language == "sh":
            for line in block.splitlines():
                _command(page, line)


def _command(page: Path, line: str) -> None:
    program, *arguments = shlex.split(line, comments=True)
    if program == "pip":
        return
    assert program == "rs-gpt4v", f"{page.name}: {line}"
    short = [] if "--dry-run" in arguments else SHORT.get(arguments[0], [])
    result = CliRunner().invoke(app, [*arguments, *short])
    assert result.exit_code == 0, f"{page.name}: {line}\n{result.output}\n{result.exception}"


@pytest.mark.usefixtures("_in_this_process")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_tutorial_runs_from_first_to_last_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pages = sorted((ROOT / "docs/tutorial").glob("*.md"))
    assert len(pages) == 5
    for page in pages:
        run(page)
    assert {path.name for path in tmp_path.iterdir()} >= {"figure.png", "both.html", "tiles.png"}


@pytest.mark.usefixtures("_in_this_process")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", ["index", "coming_from"])
def test_page_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(ROOT / f"docs/{name}.md")


def commands(page: Path) -> list[str]:
    """The commands in blocks and in tables of a page, continued lines joined."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    text = re.sub(r"^```\w*$", "", text, flags=re.MULTILINE)
    return re.findall(r"^(?:\$ )?(rs-gpt4v .+)$|`(rs-gpt4v [a-z]+ [^`]+)`", text, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_have_options_that_there_are(page: Path) -> None:
    verbs: Any = get_command(app)
    for found in commands(page):
        line = "".join(found)
        verb, *arguments = shlex.split(line, comments=True)[1:]
        assert verb in verbs.commands, line
        command = verbs.commands[verb]
        if command.context_settings.get("ignore_unknown_options"):
            continue  # flags of a recipe
        options = {
            name for option in command.params for name in (*option.opts, *option.secondary_opts)
        }
        given = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
        assert given <= options | {"--help"}, f"{page.name}: {line}"


def test_messages_of_the_page_on_errors_are_in_the_code() -> None:
    tables = re.findall(r"^\| in the message \|.*?\n\n", ERRORS, re.MULTILINE | re.DOTALL)
    words = re.findall(r"^\| `([^`]+)` \|", "".join(tables), re.MULTILINE)
    assert len(words) > 12
    files = [path for root in SOURCES for path in (ROOT / root).rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    joined = re.sub(r"[\"']\n +f?[\"']", "", text)  # a message over several lines
    assert not [word for word in words if word not in joined]
