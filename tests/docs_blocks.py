"""The fenced blocks of the docs: what each is, and how it is run.

``python`` runs, one namespace a page. ``sh`` has commands, ``console`` commands after "$ " with
their output. ``text`` is the output of the block before it; a line "..." stands for any lines.
``json``, ``yaml`` and ``toml`` are parsed. A block that is not run or not compared says why in the
line before it: ``<!-- not run: weights -->``, by a word of `REASONS` or the test that runs it. Its
commands are then parsed by the command line, and its Python is compiled.
"""

import io
import json
import os
import re
import shlex
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml
from typer.main import get_command
from typer.testing import CliRunner

from rs_gpt4v.cli import app

ROOT = Path(__file__).parents[1]
COMMANDS: dict[str, Any] = cast("Any", get_command(app)).commands
REASONS = {
    "install": "it changes the environment",
    "weights": "it needs a model that is not in the package",
    "gpu": "it needs a GPU",
    "key": "it asks a paid server",
    "network": "it fetches files",
    "server": "it asks a server of your own",
    "data": "it needs released or own files that the tests do not have",
    "tool": "it runs another program",
    "minutes": "it takes minutes",
    "page": "it serves a page until it is stopped",
    "fragment": "it is a part of a file, a form or a tree of files",
}
"""Why a block is not run, or an output not compared."""
SHORT = {"bench": ["--limit", "2", "--blind-images", "2"], "predict": ["--limit", "2"]}
"""What is added to commands that would take long; their output is not compared."""
_BLOCK = re.compile(
    r"^(?:<!-- not (?:run|compared): (.*) -->\n)?^```(.*)\n((?:.*\n)*?)```$", re.MULTILINE
)
_FENCE = re.compile(r"^\s*```", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block; ``reason`` says why it is not run or compared, "" if it is."""

    where: str
    language: str
    text: str
    reason: str

    def lines(self) -> list[tuple[str, str]]:
        """The commands, continued lines joined, each with the output shown after it."""
        text = self.text.replace("\\\n", " ")
        if self.language == "sh":
            return [(line, "") for line in text.splitlines()]
        parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
        return list(zip(parts[1::2], parts[2::2], strict=True))


def blocks(path: Path) -> list[Block]:
    """The blocks of a page, in order."""
    text = path.read_text(encoding="utf-8")
    found = [
        Block(
            f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start(2)) + 1}",
            match[2],
            match[3],
            match[1] or "",
        )
        for match in _BLOCK.finditer(text)
    ]
    assert len(_FENCE.findall(text)) == 2 * len(found), f"{path.name}: a fence is not closed"
    return found


def check_reason(block: Block) -> None:
    """Raise unless the reason is a word of `REASONS`, or a test that there is."""
    known = block.reason in REASONS or (
        block.reason.startswith("tests/") and (ROOT / block.reason).is_file()
    )
    assert known, f"{block.where}: unknown reason {block.reason!r}; there are {', '.join(REASONS)}"


@dataclass
class Runner:
    """Runs the blocks of a page in the working folder.

    Args:
        places: What stands in a page, as ``/data/rs``, and what it is here.
    """

    places: dict[str, str]
    names: dict[str, Any] = field(default_factory=dict)
    printed: str | None = None
    """What the block before printed; None if nothing that can be compared."""

    def run(self, block: Block) -> None:
        """Run, compare or parse the block."""
        if block.reason:
            check_reason(block)
        if block.reason == "fragment":
            return
        kind = getattr(self, f"_{block.language}", None)
        assert kind, f"{block.where}: no way to test a block of {block.language!r}"
        kind(block)

    def _python(self, block: Block) -> None:
        text = block.text
        for shown, here in self.places.items():
            text = text.replace(f'"{shown}', f'"{here}')
        code = compile(text, block.where, "exec")
        self.printed = None
        if not block.reason:
            with redirect_stdout(io.StringIO()) as output:
                exec(code, self.names)
            self.printed = self._as_shown(output.getvalue())

    def _sh(self, block: Block) -> None:
        for line, shown in block.lines():
            program, *arguments = self._words(line)
            self.printed = None
            if program == "export" and not block.reason:
                name, _, value = arguments[0].partition("=")
                os.environ[name] = self._here(value)
            elif program == "rs-gpt4v":
                check_command(arguments, f"{block.where}: {line}")
                if not block.reason:
                    self._run_command(arguments, f"{block.where}: {line}")
            else:
                assert block.reason, f"{block.where}: {line}"
                check_program(program, arguments, f"{block.where}: {line}")
            if shown and not block.reason:
                self._compare(shown, block.where)

    _console = _sh

    def _text(self, block: Block) -> None:
        if not block.reason:
            self._compare(block.text, block.where)

    def _json(self, block: Block) -> None:
        for part in (
            [block.text] if block.text.startswith(("{\n", "[\n")) else block.text.splitlines()
        ):
            json.loads(part)

    def _bibtex(self, block: Block) -> None:
        assert block.text.startswith("@"), block.where

    def _yaml(self, block: Block) -> None:
        yaml.safe_load(block.text)

    def _toml(self, block: Block) -> None:
        import tomllib  # Python 3.10 has none

        tomllib.loads(block.text)

    def _compare(self, shown: str, where: str) -> None:
        assert self.printed is not None, f"{where}: of no block that ran whole"
        pattern = "".join(
            r"(?:.*\n)*?" if line == "...\n" else re.escape(line)
            for line in shown.splitlines(keepends=True)
        )
        assert re.fullmatch(pattern, self.printed), (
            f"{where} shows\n{shown}\nbut this was printed:\n{self.printed}"
        )

    def _run_command(self, arguments: list[str], where: str) -> None:
        short = None if "--dry-run" in arguments else SHORT.get(arguments[0])
        result = CliRunner().invoke(app, [*arguments, *(short or [])])
        assert result.exit_code == 0, f"{where}\n{result.output}\n{result.exception!r}"
        self.printed = self._as_shown(result.stdout) if short is None else None

    def _as_shown(self, output: str) -> str:
        for shown, here in self.places.items():
            if "/" in here:
                output = output.replace(here, shown)
        return output

    def _words(self, line: str) -> list[str]:
        """The words of a command as a shell has them: files for patterns, without the comment."""
        words = shlex.split(line, comments=True)
        return [own for word in words for own in _globbed(self._here(word))]

    def _here(self, word: str) -> str:
        for shown, here in self.places.items():
            if word == shown or (shown.startswith("/") and word.startswith(f"{shown}/")):
                return here + word.removeprefix(shown)
        return word


def _globbed(word: str) -> list[str]:
    if braces := re.search(r"\{(\w+(?:,\w+)+)\}", word):
        return [word.replace(braces[0], own) for own in braces[1].split(",")]
    if "*" in word and (found := sorted(map(str, Path().glob(word)))):
        return found
    return [word]


def check_command(arguments: list[str], where: str) -> None:
    """Raise unless the command line takes these arguments, and training its recipe and flags."""
    verb, *own = arguments
    assert verb in COMMANDS, where
    context = COMMANDS[verb].make_context(verb, list(own))
    if verb == "train":
        from rs_gpt4v_training import arguments as options
        from rs_gpt4v_training.recipe import accelerate_path, recipe_path

        method = getattr(
            options, f"{context.params['method'].title()}Arguments", options.TrainingArguments
        )
        recipe = str(recipe_path(context.params["recipe"]))
        if context.params["accelerate"]:
            accelerate_path(context.params["accelerate"])
        options.parse_for(method, [recipe, *context.args, "--use_cpu"])


def check_program(program: str, arguments: list[str], where: str) -> None:
    """Raise if Python is to run a file of this repository that there is not."""
    script = next((own for own in arguments if own.endswith(".py")), None)
    if program == "python" and script and script.startswith(("benchmarks/", "training/")):
        assert (ROOT / script).is_file(), where
