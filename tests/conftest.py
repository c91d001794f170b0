"""Shared fixtures. `pytest --update-golden` rewrites tests/golden; read the diff, then commit."""

import atexit
import json
import os
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before anything imports them: no network, and a cache of the tests' own, which workers share.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if "rs_gpt4v_tests_" not in os.environ.get("HF_HOME", ""):
    os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="rs_gpt4v_tests_")
    atexit.register(shutil.rmtree, os.environ["HF_HOME"], ignore_errors=True)
os.environ.pop("RS_GPT4V_DATA", None)

import pytest
from filelock import FileLock

from rs_gpt4v_builders.sample import write_sample

SHARED = Path(__file__).parents[2] / "shared" / "data"
"""Real published annotation files, which no clone elsewhere has."""

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason=f"real release files are not at {SHARED}"
)


CPU_TRAINING: dict[str, Any] = {
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
}
"""Fields of a recipe: on the CPU, without checkpoints, reports or a progress bar."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say why tests were skipped: a line for each reason."""
    skipped = terminalreporter.stats.get("skipped", [])
    for reason, count in Counter(report.longrepr[2] for report in skipped).most_common():
        terminalreporter.write_line(f"{count} skipped: {reason.removeprefix('Skipped: ')}")


class Golden:
    """Compares a value with the JSON file of that name in tests/golden."""

    def __init__(self, *, update: bool) -> None:
        self.update = update

    def check(self, name: str, value: object) -> None:
        path = Path(__file__).parent / "golden" / name
        if self.update:
            path.parent.mkdir(exist_ok=True)
            path.write_text(
                json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
            )
        assert value == json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(update=request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sample in every release's layout. Read only: copy what you break."""
    root = Path(os.environ["HF_HOME"], "releases")
    with FileLock(f"{root}.lock"):
        if not root.is_dir():
            drawn = tmp_path_factory.mktemp("drawn") / "releases"
            write_sample(drawn, scale=0.15)
            drawn.rename(root)
    return root


@pytest.fixture(scope="session")
def tiny_llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LLaVA checkpoint of 0.1 M random weights that reads 28 x 28 px."""
    from tiny_llava import build_tiny_llava

    path = tmp_path_factory.mktemp("model") / "tiny"
    texts = ["What is shown?", "How many ships are there?", "yes", "no", "rural", "urban"]
    build_tiny_llava(
        path, texts, image_size=28, patch_size=14, hidden_size=32, layers=2, vocab_size=400
    )
    return path


@pytest.fixture(scope="session")
def tuned(releases: Path) -> Path:
    """An adapter of the embedded model, by the demo's recipe on the questions of ``releases``.

    It adapts all layers: the recipe's two would need more steps.
    """
    from rs_gpt4v_training.recipe import recipe_path
    from rs_gpt4v_training.sft import main

    out = Path(os.environ["HF_HOME"], "tuned")
    flags = {"output_dir": out, "sample": "false", "data_dir": releases, "datasets": "vqa_lr"}
    flags |= {"mixture": '{"vqa_lr": 1}', "max_steps": 20, "per_device_train_batch_size": 8}
    flags |= {"lora_target_modules": r".*language_model\.layers\..*_proj"}
    given = [str(word) for name, value in flags.items() for word in (f"--{name}", value)]
    with FileLock(f"{out}.lock"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # transformers renames an option that trl still sets
        if not out.is_dir():
            main([str(recipe_path("demo_lora")), "--disable_tqdm", "true", *given])
    return out


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, which looks at pages of our own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("needs chromium")
    with playwright.sync_playwright() as driver:
        # Without a sandbox: containers often have none.
        options = ["--no-sandbox", "--disable-gpu"]
        browser = driver.chromium.launch(executable_path=chromium, args=options)
        yield browser
        browser.close()
