"""DPO and KTO, from preferences to checkpoint, on a tiny model and TRL's own loops."""

import json
import shutil
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from conftest import CPU_TRAINING
from PIL import Image

pytest.importorskip("trl")

from safetensors.torch import load_file
from typer.testing import CliRunner

from rs_gpt4v.cli import app
from rs_gpt4v.preferences import Pair, Preferences, question
from rs_gpt4v_builders.preferences import write
from rs_gpt4v_training import dpo, kto
from rs_gpt4v_training.arguments import DpoArguments, KtoArguments, parse_for
from rs_gpt4v_training.dry_run import dry_run
from rs_gpt4v_training.preference import make_trainer
from rs_gpt4v_training.preference_rows import refuse_unlearnable_replies
from rs_gpt4v_training.recipe import RecipeError
from rs_gpt4v_training.row_checks import TooLongError

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad"),  # KTO's own passes
]

GOOD, BAD = "urban", "rural"


@pytest.fixture(scope="module")
def recipe(tiny_llava: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preferences")
    pairs = []
    for number in range(8):
        picture = folder / f"{number}.png"
        Image.new("RGB", (28, 28), (30 * number, 0, 0)).save(picture)
        task, split = (
            ("detail", "conversation")[number % 2],
            "train" if number < 6 else "validation",
        )
        spoken: Any = [{"role": "user", "content": "What is shown?"}]
        asked = question(split, task, [str(picture)], spoken)
        pairs.append(Pair(f"x/{number}", "review", asked, GOOD, BAD))
    write([Preferences(pairs)], folder / "preferences")
    fields = {
        "preferences": str(folder / "preferences"),
        "model_name_or_path": str(tiny_llava),
        "per_device_train_batch_size": 6,
        "max_steps": 3,
        "learning_rate": 0.01,
        "logging_steps": 1,
        "beta": 0.5,
        **CPU_TRAINING,
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(fields))  # JSON is YAML
    return path


LORA = ["--use_peft", "--lora_r", "4"]
TOP_K = ["--use_moe_lora", "--lora_r", "4", "--routing", "top_k"]
BY_TASK = ["--use_moe_lora", "--lora_r", "4", "--routing", "task"]


def log_of(out: Path) -> list[dict[str, Any]]:
    """Without the tokens, which TRL counts anew in a run that resumes."""
    log = json.loads((out / "trainer_state.json").read_text())["log_history"]
    entries = [entry for entry in log if "loss" in entry]
    return [{k: v for k, v in entry.items() if k != "num_tokens"} for entry in entries]


@pytest.mark.parametrize(
    ("method", "flags"),
    [(dpo, []), (dpo, TOP_K), (dpo, BY_TASK), (kto, LORA), (kto, BY_TASK)],
    ids=["dpo-full", "dpo-top_k", "dpo-task", "kto-lora", "kto-task"],
)
def test_the_good_reply_gains_on_the_bad_one(
    recipe: Path, tmp_path: Path, method: ModuleType, flags: list[str]
) -> None:
    """At the start the model is the one that it is compared with: no margin, and DPO's log 2."""
    method.main([str(recipe), "--output_dir", str(tmp_path), *flags])
    log = log_of(tmp_path)
    margins = [entry["rewards/margins"] for entry in log]
    losses = [entry["loss"] - entry.get("aux_loss", 0) for entry in log]
    assert margins[0] == pytest.approx(0, abs=1e-4)
    assert losses[0] == pytest.approx({dpo: 0.6931, kto: 0.5}[method], abs=1e-3)
    assert margins[2] > margins[1] > 0.5
    assert losses[2] < losses[0]
    assert "What is" not in (tmp_path / "README.md").read_text()
    saved = "model.safetensors" if not flags else "adapter_model.safetensors"
    assert (tmp_path / saved).is_file()


def test_a_resumed_run_goes_on_from_a_fine_tuned_adapter_as_an_undisturbed_one(
    recipe: Path, tmp_path: Path
) -> None:
    """What the adapter is compared with is the adapter as it was given, also after a resume."""
    first, whole, cut = tmp_path / "first", tmp_path / "whole", tmp_path / "cut"
    dpo.main([str(recipe), *BY_TASK, "--max_steps", "1", "--output_dir", str(first)])
    saves = ["--save_strategy", "steps", "--save_steps", "1", "--adapter", str(first)]
    dpo.main([str(recipe), *saves, "--output_dir", str(whole)])
    assert log_of(whole)[0]["rewards/margins"] == pytest.approx(0, abs=1e-4)
    assert not (whole / "ref").exists()
    cut.mkdir()
    shutil.copytree(whole / "checkpoint-2", cut / "checkpoint-2")
    dpo.main([str(recipe), *saves, "--output_dir", str(cut), "--resume"])
    name = "adapter_model.safetensors"
    assert (whole / name).read_bytes() == (cut / name).read_bytes()
    assert log_of(whole) == log_of(cut)
    assert load_file(first / name).keys() == load_file(whole / name).keys()
    card = (whole / "README.md").read_text()
    assert "A MoE-LoRA adapter, trained further, of" in card
    assert "6 preferences, as `rs-gpt4v preferences` wrote them" in card
    planned = dry_run([str(recipe), "--adapter", str(first)], method="dpo")
    assert "of which 0 are trained" not in planned


def test_validation_rows_are_evaluated(recipe: Path, tmp_path: Path) -> None:
    flags = ["--eval_strategy", "steps", "--eval_steps", "1", "--max_steps", "1", *LORA]
    kto.main([str(recipe), *flags, "--output_dir", str(tmp_path)])
    log = json.loads((tmp_path / "trainer_state.json").read_text())["log_history"]
    assert any("eval_rewards/margins" in entry for entry in log)


@pytest.mark.parametrize(
    ("flags", "error", "message"),
    [
        (["--datasets", "vqa_lr"], RecipeError, "datasets: the rows come from preferences"),
        (["--streaming"], RecipeError, "streaming: the rows come from preferences"),
        (["--adapter", "x"], RecipeError, "adapter: x holds no adapter_config.json"),
        (["--max_length", "8"], TooLongError, "max_length 8 would cut 6 of 6 rows; x/0 needs"),
    ],
)
def test_what_does_not_go_together_is_refused(
    recipe: Path, tmp_path: Path, flags: list[str], error: type[Exception], message: str
) -> None:
    argv = [str(recipe), "--output_dir", str(tmp_path / "out"), *flags]
    with pytest.raises(error, match=message):
        make_trainer(dpo.Trainer, *parse_for(DpoArguments, argv))


def test_without_preferences_there_is_nothing_to_train_on(recipe: Path, tmp_path: Path) -> None:
    fields = json.loads(recipe.read_text())
    folder = Path(fields.pop("preferences"))
    (tmp_path / "own.yaml").write_text(json.dumps(fields))
    argv = [str(tmp_path / "own.yaml"), "--output_dir", str(tmp_path / "out")]
    with pytest.raises(RecipeError, match="preferences: name the folder that"):
        make_trainer(kto.Trainer, *parse_for(KtoArguments, argv))
    missing = [*argv, "--preferences", str(tmp_path / "none")]
    with pytest.raises(RecipeError, match=r"none has no labels, or is not there \(.*Make it with"):
        make_trainer(kto.Trainer, *parse_for(KtoArguments, missing))
    other = shutil.copytree(folder, tmp_path / "other")
    (other / "labels-validation.parquet").unlink()
    card = other / "README.md"
    card.write_text(card.read_text().replace("labels-validation", "labels-train"))
    shutil.copy(other / "pairs-train.parquet", other / "labels-train.parquet")
    argv += ["--preferences", str(other)]
    with pytest.raises(ValueError, match="labels/train lacks completion, label; it has id, images"):
        make_trainer(kto.Trainer, *parse_for(KtoArguments, argv))


def test_a_model_that_wants_an_image_with_every_text_is_refused() -> None:
    def processor(**_: Any) -> None:
        raise ValueError("images are expected as arguments")

    with pytest.raises(RecipeError, match=r"replies apart from the images: .*images are expected"):
        refuse_unlearnable_replies(processor)


def test_a_dry_run_counts_pairs_as_two_sequences(recipe: Path) -> None:
    flags = ["--max_steps", "-1", "--num_train_epochs", "2"]
    pairs = dry_run([str(recipe), *flags], method="dpo")
    assert "rows        6 an epoch" in pairs
    assert "steps       2 of 6 rows" in pairs
    assert "nothing found that would fail" in pairs
    replies = dry_run([str(recipe), *flags, *BY_TASK], method="kto")
    assert "rows        12 an epoch" in replies
    assert "steps       4 of 6 rows" in replies


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_the_command_line_launches_it(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    from accelerate.commands import launch

    seen: list[Any] = []
    monkeypatch.setattr(launch, "launch_command", seen.append)
    result = CliRunner().invoke(app, ["train", str(recipe), "--method", method, "--seed", "3"])
    assert result.exit_code == 0
    started: SimpleNamespace = seen[0]
    assert started.training_script == f"rs_gpt4v_training.{method}"
    assert started.training_script_args == [str(recipe), "--seed", "3"]
