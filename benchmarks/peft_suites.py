"""Runs PEFT's own tests of its methods, with MoE-LoRA as the method.

PEFT's tests of custom models and of decoders are matrices of cases and checks. The cases of other
methods are taken out of them and ours put in. PEFT's wheel has no tests, its source distribution
has (`pip download peft==VERSION --no-deps --no-binary peft`, then unpack). The decoders of the
matrix are small random models of the Hub; models of the same classes, made here, stand in for them,
so no network is needed.

    python benchmarks/peft_suites.py peft-0.21.2/tests [--suite decoder] [-k EXPRESSION]

`--method lora` puts PEFT's LoRA in our place: what fails for it too is not ours.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from peft import LoraConfig
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from rs_gpt4v_training.moe_lora import MoeLoraConfig
from rs_gpt4v_training.moe_lora.router import Routing

SUITES = {"custom": "test_custom_models.py", "decoder": "test_decoder_models.py"}
SHARED = ("testing_common.py", "testing_utils.py")

ROUTINGS: dict[str, dict[str, Any]] = {
    "token": {"routing": "token"},
    "top_k": {"routing": "top_k"},
    "top_k without losses": {"routing": "top_k", "load_balance_coef": 0.0, "z_loss_coef": 0.0},
    "task": {"routing": "task", "tasks": ["only"]},
}
TARGETS: dict[str, dict[str, Any]] = {
    "1": {"target_modules": "lin0"},
    "2": {"target_modules": ["lin0"]},
    "3": {"target_modules": ["lin1"]},
    "4": {"target_modules": ["lin0", "lin1"]},
    "5": {"target_modules": ["lin0"], "modules_to_save": ["lin1"]},
    "6": {"target_modules": ["lin0"], "lora_alpha": 4, "lora_dropout": 0.1},
}


@dataclass
class Method:
    """A PEFT method in the matrices.

    Args:
        config: Its class of options.
        kinds: Options of each of its kinds.
        initialised: The option that, if false, starts from random weights.
    """

    config: type
    kinds: dict[str, dict[str, Any]]
    initialised: str


METHODS = {
    "moe_lora": Method(
        MoeLoraConfig,
        {name: {"r": 8, "num_experts": 4, **options} for name, options in ROUTINGS.items()},
        "init_weights",
    ),
    "lora": Method(LoraConfig, {"LoRA": {"r": 8}}, "init_lora_weights"),
}

# What we refuse on purpose: such a failure is counted apart.
REFUSALS = (
    "NotImplementedError: MoE-LoRA cannot be merged",
    "RuntimeError: The routers' auxiliary loss is not part of the loss",
)

# What the models of the Hub are; sizes of our own.
WIDTH, VOCABULARY = 32, 1_000
_LLAMA_LIKE: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
_GPT: dict[str, Any] = {"n_embd": WIDTH, "n_layer": 2, "n_head": 4}
_OPT: dict[str, Any] = {"hidden_size": WIDTH, "ffn_dim": 64, "word_embed_proj_dim": WIDTH}
DECODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "peft-internal-testing/tiny-random-OPTForCausalLM": (
        "opt",
        {**_OPT, "num_hidden_layers": 2, "num_attention_heads": 4},
    ),
    "peft-internal-testing/tiny-random-GPT2LMHeadModel": ("gpt2", _GPT),
    "peft-internal-testing/tiny-random-GPTJForCausalLM": ("gptj", {**_GPT, "rotary_dim": 4}),
    "trl-internal-testing/tiny-random-LlamaForCausalLM": (
        "llama",
        {**_LLAMA_LIKE, "num_key_value_heads": 4},
    ),
    "peft-internal-testing/tiny-dummy-qwen2": ("qwen2", _LLAMA_LIKE),
    "hf-internal-testing/tiny-random-Gemma3ForCausalLM": (
        "gemma3_text",
        {**_LLAMA_LIKE, "head_dim": 8},
    ),
}


class OurCases:
    """A pytest plugin: puts our cases in the place of PEFT's, and counts what became of them."""

    def __init__(self, method: Method) -> None:
        self.method = method
        self.changed: set[str] = set()
        self.outcomes: Counter[tuple[str, str]] = Counter()  # of (suite, outcome)
        self.reasons: Counter[tuple[str, str, str]] = Counter()  # of (outcome, test, message)

    def pytest_pycollect_makeitem(self, collector: Any, name: str, obj: Any) -> None:  # noqa: ARG002
        """Change the lists of cases before the first test of a module is made."""
        module = getattr(collector, "module", None)
        if module is None or module.__name__ in self.changed:
            return
        self.changed.add(module.__name__)
        if hasattr(module, "TEST_CASES"):
            module.TEST_CASES[:] = custom_cases(self.method)
            module.MULTIPLE_ACTIVE_ADAPTERS_TEST_CASES[:] = pairs_of_adapters(self.method)
            module.ALL_PEFT_CONFIG_CLASSES[:] = [self.method.config]
        elif hasattr(module, "ALL_CONFIGS"):
            module.ALL_CONFIGS[:] = decoder_cases(self.method)
            # A list of the methods that adapt GPT-2's layers, as ours does.
            common: Any = sys.modules["peft_tests.testing_common"]
            common._skip_if_conv1d_not_supported = lambda *_args: None

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Leave out the tests that are about other methods by name."""
        items[:] = [item for item in items if _config_class(item) is self.method.config]

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count one test."""
        if report.when != "call" and report.outcome == "passed":
            return
        outcome, message = report.outcome, ""
        if report.skipped:
            message = report.longrepr[2].removeprefix("Skipped: ")
        elif report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            message = (crash.message if crash else str(report.longrepr)).splitlines()[0]
            if message.startswith(REFUSALS):
                outcome = "refused"
        self.outcomes[Path(report.fspath).name, outcome] += 1
        if message:
            test = report.nodeid.split("::")[-1].split("[")[0]
            self.reasons[outcome, test, message] += 1

    def pytest_collectreport(self, report: Any) -> None:
        """Show why a suite could not be read."""
        if report.failed:
            self.reasons["unread", report.nodeid, str(report.longrepr)] += 1


def _config_class(item: Any) -> Any:
    return item.callspec.params.get("config_cls") if hasattr(item, "callspec") else None


def custom_cases(method: Method) -> list[tuple[str, str, type, dict[str, Any]]]:
    """Every kind with every choice of layers that PEFT's MLP has for LoRA."""
    return [
        (f"Vanilla MLP {number} {name}", "MLP", method.config, {**options, **at})
        for name, options in method.kinds.items()
        for number, at in TARGETS.items()
    ]


def pairs_of_adapters(method: Method) -> list[tuple[str, str, type, Any, Any]]:
    """Two adapters of the same kind on the same layer, and on different ones."""
    return [
        (
            f"{name} {second}",
            "no other",
            method.config,
            {**options, method.initialised: False, "target_modules": ["lin0"]},
            {**options, method.initialised: False, "target_modules": [second]},
        )
        for name, options in method.kinds.items()
        for second in ("lin0", "lin1")
    ]


def decoder_cases(method: Method) -> list[tuple[type, dict[str, Any]]]:
    """Every kind, with PEFT's default layers of each decoder."""
    return [
        (method.config, {**options, "task_type": "CAUSAL_LM", "target_modules": None})
        for options in method.kinds.values()
    ]


def write_decoders(folder: Path) -> None:
    """Write a stand-in for each decoder, where its name is a path in ``folder``."""
    for name, (model_type, options) in DECODERS.items():
        torch.manual_seed(0)
        ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
        config: Any = CONFIG_MAPPING[model_type]
        config = config(vocab_size=VOCABULARY, **ids, **options)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder / name)


def copy_tests(tests: Path, folder: Path, suites: list[str]) -> list[str]:
    """Copy the suites into a package in ``folder``, as their imports are relative."""
    package = folder / "peft_tests"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in (*SHARED, *(SUITES[suite] for suite in suites)):
        shutil.copy(tests / name, package)
    return [f"peft_tests/{SUITES[suite]}" for suite in suites]


def do_without_diffusers() -> None:
    """PEFT's shared file imports it for tests of images, which are not run here."""
    if find_spec("diffusers") is None:
        stand_in: Any = ModuleType("diffusers")
        stand_in.StableDiffusionPipeline = type("StableDiffusionPipeline", (), {})
        sys.modules["diffusers"] = stand_in


def give_every_pass_the_task() -> None:
    """PEFT's tests know of no tasks: let routing "task" have its only one."""
    plain = Routing.__init__

    def with_task(self: Routing) -> None:
        plain(self)
        self.task = ["only"]

    Routing.__init__ = with_task


def main() -> int:
    """Print how many tests had each outcome, and why each did not pass."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("tests", type=Path, help="folder tests/ of PEFT's source")
    parser.add_argument("--suite", choices=list(SUITES), action="append", help="default: both")
    parser.add_argument("--method", choices=list(METHODS), default="moe_lora")
    parser.add_argument("-k", default="", metavar="EXPRESSION", help="pytest's, for some tests")
    args = parser.parse_args()
    tests, cases = args.tests.resolve(), OurCases(METHODS[args.method])
    do_without_diffusers()
    give_every_pass_the_task()
    with tempfile.TemporaryDirectory() as name:
        files = copy_tests(tests, Path(name), args.suite or list(SUITES))
        write_decoders(Path(name))
        os.chdir(name)
        sys.path.insert(0, name)
        quiet = ["-q", "--tb=short", "--no-header", "--no-summary", "-p", "no:cacheprovider"]
        pytest.main([*files, "--rootdir=.", *quiet, "-k", args.k], plugins=[cases])
        os.chdir(tests)
    for suite in sorted({suite for suite, _ in cases.outcomes}):
        counts = ", ".join(
            f"{cases.outcomes[suite, outcome]} {outcome}"
            for outcome in ("passed", "failed", "refused", "skipped")
        )
        print(f"{suite}: {counts}")
    for (outcome, test, message), count in sorted(cases.reasons.items()):
        print(f"{count:5} {outcome} {test}: {message}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
