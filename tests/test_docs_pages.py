"""README and docs: every block runs, outputs are those shown, or the block says why not.

`docs_blocks` has the rules. Each page has a folder of its own with what pages take for granted: an
adapter in ``outputs/lora``, two dialogues in ``outputs/generated``, two pictures in ``images``, and
a chat server. The tutorial trains; elsewhere `train` checks its arguments, and that adapter is the
result.
"""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("trl")

from chat_server import ChatServer, plan
from docs_blocks import COMMANDS, ROOT, SHORT, Runner, blocks
from review_queue import candidate, write_queue

from rs_gpt4v_training import sft
from rs_gpt4v_training.recipe import recipe_path

PAGES = [ROOT / "README.md", ROOT / "dataset_card.md", *sorted((ROOT / "docs").rglob("*.md"))]
TUTORIAL = [page for page in PAGES if page.parent.name == "tutorial"]
ERRORS = (ROOT / "docs/errors.md").read_text(encoding="utf-8") + "\n"
SOURCES = ("rs_gpt4v", "builders", "generation", "training", "evaluation")

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a chat server that says the same to all."""
    with ChatServer(plan(then="A road crosses a field.")) as server:
        yield server.url


@pytest.fixture
def runner(releases: Path, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """In an empty folder, without a variable that a page sets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RS_GPT4V_DATA", "")
    monkeypatch.delenv("RS_GPT4V_DATA")
    places = {"/data/rs": str(releases), "/home/you": str(tmp_path), "MODEL": "embedded"}
    return Runner({**places, "http://localhost:8000/v1": server})


def test_tutorial_runs_from_first_to_last_page(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process: a launched one would import everything once more."""
    monkeypatch.setitem(SHORT, "train", ["--max_steps", "2", "--max_rows", "40"])
    monkeypatch.setattr(
        "rs_gpt4v_training.launch.launch", lambda arguments, *_: sft.main(arguments)
    )
    assert len(TUTORIAL) == 5
    for page in TUTORIAL:
        runner.names.clear()
        for block in blocks(page):
            runner.run(block)
    assert {path.name for path in tmp_path.iterdir()} >= {"figure.png", "both.html", "tiles.png"}


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page not in TUTORIAL and blocks(page)],
    ids=lambda page: page.stem,
)
def test_blocks_of_a_page(
    page: Path, runner: Runner, tuned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for adapter in ("lora", "moe_lora"):
        shutil.copytree(tuned, f"outputs/{adapter}")
    shutil.copy(recipe_path("demo_lora"), "my_recipe.yaml")
    Path("images").mkdir()
    for number in (1, 2):
        Image.new("RGB", (800, 800)).save(f"images/{number}.jpg")
    Path("outputs/generated").mkdir()
    queue = write_queue(Path("outputs/generated"), [candidate(n, split="train") for n in (1, 2)])
    queue.rename("outputs/generated/candidates.jsonl")

    def launch(arguments: list[str], *_: Any) -> int:
        out = arguments[arguments.index("--output_dir") + 1]
        shutil.copytree(tuned, out, dirs_exist_ok=True)
        return 0

    monkeypatch.setattr("rs_gpt4v_training.launch.launch", launch)
    for block in blocks(page):
        runner.run(block)


def commands(page: Path) -> list[str]:
    """The commands in blocks and in tables of a page, continued lines joined."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    text = re.sub(r"^```\w*$", "", text, flags=re.MULTILINE)
    return re.findall(r"^(?:\$ )?(rs-gpt4v .+)$|`(rs-gpt4v [a-z]+ [^`]+)`", text, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_have_options_that_there_are(page: Path) -> None:
    for found in commands(page):
        line = "".join(found)
        verb, *arguments = shlex.split(line, comments=True)[1:]
        assert verb in COMMANDS, line
        command = COMMANDS[verb]
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
