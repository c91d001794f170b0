"""Training by rewards, from recipe to checkpoint, on a tiny model and TRL's own loop."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import CPU_TRAINING

pytest.importorskip("trl")

from grpo_processes import train_with_fixed_replies
from safetensors.torch import load_file
from typer.testing import CliRunner

import rs_gpt4v_training.dry_run
from rs_gpt4v.cli import app
from rs_gpt4v.files import InvalidFileError
from rs_gpt4v_training.arguments import GrpoArguments, parse_for
from rs_gpt4v_training.dry_run import dry_run
from rs_gpt4v_training.grpo import main, make_trainer
from rs_gpt4v_training.moe_lora import is_moe_lora
from rs_gpt4v_training.moe_lora.router import ForwardPass, TaskRouter
from rs_gpt4v_training.parts import part
from rs_gpt4v_training.recipe import RecipeError
from rs_gpt4v_training.reward_curves import plot_rewards
from rs_gpt4v_training.sft import main as fine_tune

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
]


@pytest.fixture(scope="module")
def recipe(tiny_llava: Path, releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    fields = {
        "datasets": ["vqa_lr", "grounding"],
        "data_dir": str(releases),
        "max_rows": 4,
        "model_name_or_path": str(tiny_llava),
        "rewards": {"answer": 1, "giou": 1, "format": 0.5, "length": 0.25},
        "num_generations": 2,
        "per_device_train_batch_size": 4,
        "max_completion_length": 4,
        "max_steps": 2,
        "learning_rate": 0.01,
        "logging_steps": 1,
        **CPU_TRAINING,
    }
    path = tmp_path_factory.mktemp("grpo") / "recipe.yaml"
    path.write_text(json.dumps(fields))  # JSON is YAML
    return path


LORA = ["--use_peft", "--lora_r", "4", "--lora_dropout", "0.1"]


def log_of(out: Path) -> list[dict[str, Any]]:
    log = json.loads((out / "trainer_state.json").read_text())["log_history"]
    return [entry for entry in log if "reward" in entry]


def test_each_kind_of_row_has_its_rewards_in_the_log_and_replies_are_kept(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main([str(recipe), *LORA, "--output_dir", str(out), "--max_steps", "4"]) == 0
    log = log_of(out)
    assert len(log) == 4
    keys = {key for entry in log for key in entry}
    assert {"rewards/answer/mean", "rewards/giou/hbb", "rewards/length/hbb"} <= keys
    replies = [pq.read_table(file) for file in sorted((out / "completions").glob("*.parquet"))]
    assert len(replies) == 4
    table = replies[0].to_pydict()
    assert len(table["completion"]) == len(table["reference"]) == 4
    assert all(table["reference"])
    assert {"answer", "giou", "format", "length", "advantage"} <= table.keys()
    assert "Step 1 " in capsys.readouterr().out
    assert (out / "adapter_model.safetensors").is_file()
    assert (out / "rewards.png").stat().st_size > 10_000


def test_the_picture_has_the_mean_of_the_last_logged_steps_of_each_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = pytest.importorskip("matplotlib.figure")
    drawn: list[Any] = []
    monkeypatch.setattr(figure.Figure, "savefig", lambda self, _: drawn.append(self))
    counts = [0, 0.5, None, float("nan"), 1, 0.2, 0.4, 0.9]  # TRL logs null where it has no rows
    log = [
        {"step": step, "reward": 1.0, "frac_reward_zero_std": 0.5, "rewards/answer/mean": 1.0}
        | {"rewards/answer/std": 0.1, "rewards/answer/presence": 0.0, "rewards/format/hbb": 1.0}
        | {"rewards/format/mean": 0.25, "rewards/answer/count": count}
        for step, count in enumerate(counts, 1)
    ]
    state = tmp_path / "trainer_state.json"
    state.write_text(json.dumps({"log_history": [*log, {"step": 8, "train_loss": 0.1}]}))
    plot_rewards(str(state), str(tmp_path / "rewards.png"))
    lines = {line.get_label(): line for line in drawn[0].axes[0].lines}
    assert lines.keys() == {"answer, count", "answer, presence", "format", "all, weighted"}
    assert list(lines["answer, count"].get_xdata()) == [1, 2, 5, 6, 7, 8]
    assert lines["answer, count"].get_ydata()[-1] == pytest.approx((0.5 + 1 + 0.2 + 0.4 + 0.9) / 5)
    state.write_text(json.dumps({"log_history": [{"step": 1, "loss": 0.1}]}))
    with pytest.raises(InvalidFileError, match="logs no rewards"):
        plot_rewards(state, tmp_path / "rewards.png")


def test_a_reward_of_length_teaches_to_be_short_or_long(recipe: Path, tmp_path: Path) -> None:
    """What is rewarded rises."""
    flags = ["--datasets", "vqa_lr", "--rewards", '{"answer": 0.001, "length": 1}']
    steps = ["--max_steps", "12", "--num_generations", "8", "--per_device_train_batch_size", "32"]
    long = ["--max_completion_length", "8", "--learning_rate", "0.003"]
    main([str(recipe), *flags, *steps, *long, "--output_dir", str(tmp_path / "out")])
    rewards = [entry["rewards/length/mean"] for entry in log_of(tmp_path / "out")]
    assert sum(rewards[-3:]) > 1.1 * sum(rewards[:3])


@pytest.mark.parametrize("adapter", [[], LORA], ids=["full", "lora"])
def test_a_resumed_run_equals_an_undisturbed_one(
    recipe: Path, tmp_path: Path, adapter: list[str]
) -> None:
    """Also past the first epoch, whose order of rows is another."""
    saves = ["--save_strategy", "steps", "--save_steps", "1", "--max_steps", "7", *adapter]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    main([str(recipe), *saves, "--output_dir", str(whole)])
    cut.mkdir()
    shutil.copytree(whole / "checkpoint-5", cut / "checkpoint-5")
    main([str(recipe), *saves, "--output_dir", str(cut), "--resume"])
    name = "adapter_model.safetensors" if adapter else "model.safetensors"
    assert (whole / name).read_bytes() == (cut / name).read_bytes()
    volatile = ("step_time",)
    logs = [
        [{k: v for k, v in entry.items() if k not in volatile} for entry in log_of(out)]
        for out in (whole, cut)
    ]
    assert logs[0] == logs[1]


def test_two_processes_learn_what_one_does_from_the_same_replies_and_resume(
    recipe: Path, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    flags = ["--num_generations", "4", "--global_batch_size", "8", *LORA, "--lora_dropout", "0"]
    flags += ["--per_device_train_batch_size"]
    train_with_fixed_replies(str(recipe), one, [*flags, "4"])
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc_per_node", "2", str(Path(__file__).with_name("grpo_processes.py"))),
            *(str(recipe), str(two), "--expected_processes", "2", *flags, "4"),
        ],
        env=os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    same = ("loss", "reward", "reward_std", "grad_norm", "completions/mean_length")
    logs = [[[entry[key] for key in same] for entry in log_of(out / "fixed")] for out in (one, two)]
    assert len(logs[0]) == 2
    for own, other in zip(*logs, strict=True):
        assert own == pytest.approx(other, rel=1e-4, abs=1e-6)
    assert logs[0][0][-1] > 0  # something is learned
    weights = [load_file(out / "fixed/adapter_model.safetensors") for out in (one, two)]
    for name, values in weights[0].items():
        assert values.allclose(weights[1][name], atol=1e-5), name
    tables = [
        pq.read_table(out / "fixed/completions/completions_00001.parquet").to_pydict()
        for out in (one, two)
    ]
    assert tables[0]["reference"] == tables[1]["reference"]  # of both processes
    assert len(set(tables[1]["reference"][:4])) == 1  # a question's replies
    name = "adapter_model.safetensors"
    assert (two / "whole" / name).read_bytes() == (two / "cut" / name).read_bytes()
    assert log_of(two / "whole")[1]["loss"] == log_of(two / "cut")[1]["loss"]


@pytest.mark.parametrize("routing", ["token", "top_k"])
def test_moe_lora_is_trained_and_its_routers_are_logged(
    recipe: Path, tmp_path: Path, routing: str
) -> None:
    out = tmp_path / "out"
    flags = ["--use_moe_lora", "--lora_r", "4", "--routing", routing]
    main([str(recipe), *flags, "--output_dir", str(out)])
    assert is_moe_lora(str(out))
    assert (out / "router_statistics.jsonl").is_file()
    losses = [entry["aux_loss"] for entry in log_of(out) if "aux_loss" in entry]
    assert len(losses) == (2 if routing == "top_k" else 0)
    assert all(0.01 < loss < 0.1 for loss in losses)  # load_balance_coef times about 1


def test_each_reply_is_routed_by_its_rows_task(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In generation, in the passes before and in those that are learned from; in any chunks."""
    argv = [str(recipe), "--output_dir", str(tmp_path / "out"), "--use_moe_lora", "--lora_r", "4"]
    accumulated = ["--gradient_accumulation_steps", "2", "--beta", "0.1"]
    flags = ["--routing", "task", "--num_iterations", "2", *accumulated]
    trainer: Any = make_trainer(*parse_for(GrpoArguments, [*argv, *flags]))
    assert trainer.tasks == ["grounding", "vqa"]
    model: Any = trainer.model
    (router, *_) = (module for module in model.modules() if isinstance(module, TaskRouter))
    passes: list[tuple[list[list[int]], list[int]]] = []
    of_prompt: dict[tuple[int, ...], int] = {}
    pad = trainer.processing_class.tokenizer.pad_token_id

    def without_padding(ids: list[int]) -> tuple[int, ...]:
        return tuple(number for number in ids if number != pad)

    def note_rows(_model: Any, _args: Any, inputs: dict[str, Any]) -> None:
        passes.append((inputs["input_ids"].tolist(), []))

    def note_tasks(_router: Any, inputs: tuple[Any, ForwardPass]) -> None:
        passes[-1][1].extend(router.numbers(inputs[1].tasks).tolist())

    score = trainer._generate_and_score_completions

    def scored(inputs: list[dict[str, Any]]) -> Any:
        batch = score(inputs)
        for ids, row in zip(batch["prompt_ids"].tolist(), inputs, strict=True):
            of_prompt[without_padding(ids)] = trainer.tasks.index(row["task"])
        return batch

    monkeypatch.setattr(trainer, "_generate_and_score_completions", scored)
    model.get_base_model().register_forward_pre_hook(note_rows, with_kwargs=True)
    router.register_forward_pre_hook(note_tasks)
    trainer.train()
    whole = [(rows, tasks) for rows, tasks in passes if len(rows[0]) > 1]  # not a next token's
    assert {0, 1} == set(of_prompt.values())
    assert len(whole) > 8
    for rows, tasks in whole:
        known = [
            next(task for prompt, task in of_prompt.items() if ids[: len(prompt)] == prompt)
            for ids in map(without_padding, rows)
        ]
        assert tasks in ([], known)  # of the reference, whose adapter is off, no router is asked
    logged = json.loads((tmp_path / "out/router_statistics.jsonl").read_text().splitlines()[-1])
    assert {task for layer in logged["layers"].values() for task in layer} == {"grounding", "vqa"}


def test_the_named_parts_are_trained(recipe: Path, tiny_llava: Path, tmp_path: Path) -> None:
    main([str(recipe), "--train", "projector", "--output_dir", str(tmp_path / "out")])
    before, after = (
        load_file(folder / "model.safetensors") for folder in (tiny_llava, tmp_path / "out")
    )
    assert {part(name) for name in before if not before[name].equal(after[name])} == {"projector"}


def test_it_goes_on_with_a_fine_tuned_adapter(recipe: Path, tmp_path: Path) -> None:
    fields = json.loads(recipe.read_text())
    kept = {k: v for k, v in fields.items() if k not in ("rewards", "num_generations")}
    del kept["max_completion_length"]
    own = tmp_path / "sft.yaml"
    own.write_text(json.dumps(kept))
    first, second = tmp_path / "first", tmp_path / "second"
    fine_tune([str(own), *LORA, "--output_dir", str(first)])
    main([str(recipe), "--adapter", str(first), "--output_dir", str(second)])
    before, after = (load_file(out / "adapter_model.safetensors") for out in (first, second))
    assert before.keys() == after.keys()
    assert any(not before[name].equal(after[name]) for name in before)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--rewards", '{"ious": 1}'], "there is no 'ious'"),
        (["--rewards", "iou"], "rewards: 'iou' is no JSON"),
        (["--reward_weights", "1"], "reward_weights: give each reward's weight in rewards"),
        (["--streaming"], "streaming: rewards are checked"),
        (["--adapter", "x"], "adapter: x holds no adapter_config.json: fine-tune"),
        (["--datasets", "cap_ucm"], "its task, caption, has no reward"),
        (
            ["--num_iterations", "2", "--save_strategy", "steps", "--save_steps", "3"],
            "save_steps 3: .*take a multiple of 2",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(
    recipe: Path, tmp_path: Path, flags: list[str], message: str
) -> None:
    argv = [str(recipe), "--output_dir", str(tmp_path / "out"), *flags]
    with pytest.raises(RecipeError, match=message):
        make_trainer(*parse_for(GrpoArguments, argv))


def test_rows_of_a_repository_have_no_references(recipe: Path, tmp_path: Path) -> None:
    fields = json.loads(recipe.read_text())
    del fields["data_dir"]
    (tmp_path / "recipe.yaml").write_text(json.dumps(fields | {"repository": "x"}))
    with pytest.raises(RecipeError, match=r"repository: .* rewards need references"):
        make_trainer(*parse_for(GrpoArguments, [str(tmp_path / "recipe.yaml")]))


def test_an_adapter_to_go_on_with_is_all_that_is_trained(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    argv = [str(recipe), "--output_dir", str(tmp_path / "out"), "--adapter", str(tmp_path)]
    with pytest.raises(RecipeError, match="adapter and use_peft exclude each other"):
        make_trainer(*parse_for(GrpoArguments, [*argv, "--use_peft"]))


def test_a_dry_run_counts_the_replies_and_finds_rows_without_a_reward(recipe: Path) -> None:
    text = dry_run([str(recipe), "--max_steps", "-1", "--num_train_epochs", "3"], method="grpo")
    assert "steps       12 of 4 rows" in text  # 8 rows, two replies each, three times
    assert "nothing found that would fail" in text
    text = dry_run([str(recipe), "--rewards", '{"answer": 1}'], method="grpo")
    assert "PROBLEM     dior_rsvg" in text
    assert "has no reward: add iou or giou" in text


def test_a_dry_run_counts_batches_of_replies_as_training_does(recipe: Path, tmp_path: Path) -> None:
    """What fills no batch of replies is left out; each is learned from ``num_iterations`` times."""
    flags = ["--max_steps", "-1", "--num_train_epochs", "1", "--num_iterations", "3"]
    flags += ["--gradient_accumulation_steps", "3"]  # six questions at once, of eight
    text = dry_run([str(recipe), *flags], method="grpo")
    flags += ["--output_dir", str(tmp_path)]
    trainer = make_trainer(*parse_for(GrpoArguments, [str(recipe), *flags]))
    trainer.train()
    assert trainer.state.global_step == 3
    assert "steps       3 of 12 rows" in text


def test_rows_that_fill_no_batch_of_replies_are_refused(recipe: Path) -> None:
    flags = [str(recipe), "--gradient_accumulation_steps", "5"]  # ten questions at once, of eight
    with pytest.raises(RecipeError, match=r"8 rows, but 20 replies .* 10 rows are needed"):
        make_trainer(*parse_for(GrpoArguments, flags))
    assert "PROBLEM     8 rows, but 20 replies" in dry_run(flags, method="grpo")


def test_a_dry_run_is_for_the_processes_that_share_the_replies(
    recipe: Path, tmp_path: Path
) -> None:
    """One process alone could not make four replies in batches of two."""
    machine = tmp_path / "machine.yaml"
    machine.write_text("num_processes: 2")
    flags = ["--per_device_train_batch_size", "2", "--num_generations", "4"]
    assert "steps" in dry_run([str(recipe), *flags], machine, method="grpo")


def memory_of(text: str) -> dict[str, float]:
    line = next(line for line in text.splitlines() if line.startswith("memory"))
    found = re.findall(r"(weights|activations) ([\d.]+)", line)
    return {name: float(number) for name, number in found}


def test_a_dry_run_counts_the_model_to_compare_with_and_the_cache_of_replies(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rs_gpt4v_training.dry_run, "_GB", 1024)
    plain = memory_of(dry_run([str(recipe)], method="grpo"))
    compared = memory_of(dry_run([str(recipe), "--beta", "0.1"], method="grpo"))
    assert compared["weights"] == pytest.approx(2 * plain["weights"], abs=0.2)
    new_adapter = memory_of(dry_run([str(recipe), *LORA, "--beta", "0.1"], method="grpo"))
    assert new_adapter["weights"] < 1.2 * plain["weights"]
    # The replies of eight batches are made at once, with a cache of all their tokens.
    monkeypatch.setattr(rs_gpt4v_training.dry_run, "step_bytes", lambda *_: 0)
    flags = ["--per_device_train_batch_size", "2", "--gradient_accumulation_steps", "8"]
    found = memory_of(
        dry_run([str(recipe), *flags, "--max_completion_length", "400"], method="grpo")
    )
    layers, width, float32 = 2, 32, 4
    cache = 16 * 400 * 2 * layers * width * float32 / 1024
    assert cache < found["activations"] < 8 * cache


def test_the_command_line_launches_it(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rs_gpt4v_training import launch

    seen: list[Any] = []
    monkeypatch.setattr(launch, "launch", lambda *given: seen.append(given) or 0)
    result = CliRunner().invoke(app, ["train", str(recipe), "--method", "grpo", "--seed", "3"])
    assert result.exit_code == 0
    assert seen == [([str(recipe), "--seed", "3"], None, "grpo")]
