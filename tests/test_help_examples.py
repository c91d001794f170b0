"""Every example of the help runs on the sample, or the table says why not.

They run in one test, in the order of the help: what one writes another reads. The functions that a
verb calls get their paths as texts there, as users give them.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from inspect import isfunction
from pathlib import Path
from typing import Any

import others_results as others
import pytest
from chat_server import ChatServer
from docs_blocks import REASONS, SHORT, Block, Runner
from test_agreement import ANSWERS, SCORES, answered, decided, from_score, scored
from test_folder_verbs import write_coco, write_dialogues
from test_generate_cli import answering
from test_help import examples
from test_preferences import compared

pytest.importorskip("trl")
pytest.importorskip("matplotlib")

from public_functions import path_parameters, public_functions, with_texts

from rs_gpt4v.local_server import LocalServer

NOT_RUN = {"download rsvqa_lr --data-dir /data/rs": "network"}
"""An example, and the word of `REASONS` that says why it is only parsed."""
SHORTER = {
    "bench": ["vqa_lr", "--limit", "1", "--blind-images", "1"],
    "predict": ["--limit", "2"],
    "train": ["--dry-run"],
}
ELSEWHERE = (
    *("rs_gpt4v.cli.", "rs_gpt4v.files.", "rs_gpt4v.images.", "rs_gpt4v.chat_api."),
    *("rs_gpt4v_builders.sources.", "rs_gpt4v_builders.sample."),
)
"""Where functions are that others call more than verbs: tests/test_paths.py gives them texts."""
FURTHER = (
    "agreement judged.jsonl --queue again.jsonl --json",
    "audit folder --data-dir /data/tiles --write-hashes hashes.txt",
    "generate m --boxes tiles/instances_test.json --images tiles/images --product conversation "
    "--out outputs/own",
    "import answers.jsonl --questions questions.jsonl --config vqa_lr --out again.jsonl --json",
    "judge outputs/tuned/detail.jsonl --against outputs/others/detail.jsonl --judge-model m "
    "--out outputs/pairs.jsonl",
    "judge outputs/tuned/detail.jsonl --judge-model m --out outputs/cost.jsonl --dry-run",
)
"""Commands whose functions no example calls."""
NOT_CALLED = {
    *("carry_out", "incomplete", "plan", "rest"),  # of downloads
    *("push", "launch", "read_result", "predict_by_server", "score"),
    *("expert_use", "plot_expert_use", "plot_router_statistics", "plot_rewards"),
}
"""What asks a network, starts processes or has no verb."""

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


def reply(body: dict[str, Any]) -> str:
    """Of a server that generates dialogues and judges answers."""
    name = body["response_format"]["json_schema"]["name"]
    return json.dumps({"reason": "So it is.", "score": 7}) if name == "verdict" else answering(body)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The functions of verbs that have been called, from now on with texts as paths."""
    called: set[str] = set()
    wrapped = {
        id(own): with_texts(own, called)
        for name, own in public_functions().items()
        if path_parameters(own) and isfunction(own) and not name.startswith(ELSEWHERE)
    }
    for name, module in [*sys.modules.items()]:
        if name.startswith("rs_gpt4v"):
            for key, value in [*vars(module).items()]:
                if id(value) in wrapped:
                    monkeypatch.setattr(module, key, wrapped[id(value)])
    return called


@pytest.fixture
def runner(releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    """In a folder with a copy of the releases and own files, and a server at hand."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(releases, "rs")
    monkeypatch.setenv("RS_GPT4V_DATA", str(tmp_path / "rs"))
    Path("tiles").mkdir()
    write_coco(Path("tiles"), {"train": 4, "test": 2})
    model = "llava-hf/llava-1.5-7b-hf"
    places = {f"/data/{name}": str(tmp_path / name) for name in ("rs", "tiles")}
    with ChatServer(reply) as server:
        asks = ["--base-url", server.url]
        shorter = {**SHORTER, "judge": asks, "generate": [*asks, "--limit", "2"]}
        for verb, options in shorter.items():
            monkeypatch.setitem(SHORT, verb, options)
        yield Runner({**places, model: "embedded"})


def run(runner: Runner, *commands: str) -> None:
    for command in commands:
        reason = NOT_RUN.get(command, "")
        assert reason in ("", *REASONS)
        runner.run(Block("help", "sh", f"rs-gpt4v {command}", reason))


def prepare(runner: Runner, tuned: Path, releases: Path) -> None:
    """What the examples take for granted."""
    shutil.copytree(tuned, "outputs/lora")
    shutil.copytree(tuned, "outputs/demo/demo_lora")
    run(runner, *(
        f"predict embedded {config} --out {folder}/{config}.jsonl --max-new-tokens 8"
        for folder, config in (
            ("base", "vqa_lr"), ("outputs/tuned", "detail"), ("outputs/tuned", "conversation")
        )
    ))  # fmt: skip
    for folder in ("before", "after", "tuned"):
        shutil.copytree("base", folder)
    shutil.copytree("outputs/tuned", "outputs/others")
    run(runner, "generate gpt-4o-2024-11-20 --data-dir /data/rs --oriented --out outputs/generated")
    for copy in ("candidates.jsonl", "outputs/generated/final.jsonl"):
        shutil.copy("outputs/generated/candidates.jsonl", copy)
    write_dialogues(Path("geochat.json"), "a.png", "b.png")
    shutil.copy("geochat.json", "GeoChat_Instruct.json")
    run(runner, "bench embedded vqa_lr --adapter outputs/demo/demo_lora --out outputs/bench")
    rows = others.built("vqa_lr", releases)
    others.write(Path("answers.jsonl"), rows, others.llava, range(len(rows)))
    asked = [others.llava_question(row, number) for number, row in enumerate(rows)]
    others.write_items(Path("questions.jsonl"), asked)
    run(
        runner,
        "import answers.jsonl --questions questions.jsonl --config vqa_lr --out imported/a.jsonl",
    )
    answers = answered(Path("judging/tuned").absolute(), ANSWERS[:8])
    for name in ("one", "other"):
        shutil.copy(scored(answers, SCORES, name), f"judged-by-{name}.jsonl")
    shutil.copy("judged-by-one.jsonl", "judged.jsonl")
    run(runner, "agreement judged.jsonl --queue queue.jsonl")
    for reviewer in ("ann", "ben"):
        decided(Path("queue.jsonl"), from_score, reviewer)
    compared(str(Path("judging/0.png").absolute()), Path("outputs"), [{}])
    run(
        runner,
        "preferences outputs/generated/candidates.jsonl --judged outputs/compared.jsonl "
        "--out outputs/preferences",
    )


def test_every_example_runs(
    runner: Runner,
    tuned: Path,
    releases: Path,
    called: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalServer, "serve_forever", stopped)  # a page, as by Ctrl+C
    prepare(runner, tuned, releases)
    *others, last = dict.fromkeys(examples())
    run(runner, *others, *FURTHER)
    assert last.startswith("release ")  # which refuses a folder that holds a release of others
    shutil.rmtree("rs/RS_GPT4V_Instruct")
    run(runner, last)
    missed = {
        name.rpartition(".")[2]
        for name, own in public_functions().items()
        if path_parameters(own) and isfunction(own) and not name.startswith(ELSEWHERE)
        if name not in called
    }
    assert missed == NOT_CALLED
