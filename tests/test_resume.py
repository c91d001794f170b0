"""An interrupted training goes on to the very weights of an undisturbed one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("trl")

from rs_gpt4v_training.resume import OutputDirError, checkpoint_to_resume
from rs_gpt4v_training.sft import main

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")
STEPS, SAVE_EVERY = 8, 2


@pytest.fixture(scope="module")
def recipe(releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    fields = {
        "datasets": ["vqa_lr", "cap_ucm"],
        "data_dir": str(releases),
        "max_rows": 20,
        "model_name_or_path": "embedded",
        "use_peft": True,
        "lora_r": 4,
        "lora_dropout": 0.1,  # so that the random state matters
        "max_steps": STEPS,
        "save_steps": SAVE_EVERY,
        "per_device_train_batch_size": 1,
        "global_batch_size": 2,
        "learning_rate": 0.01,
        "logging_steps": 1,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": "none",
        "disable_tqdm": True,
    }
    path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    path.write_text(json.dumps(fields))
    return path


@pytest.fixture(scope="module")
def undisturbed(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    main([str(recipe), "--output_dir", str(out)])
    return out


def outcome(out: Path) -> tuple[bytes, list[float]]:
    """The trained weights and the loss of every step."""
    log = json.loads((out / "trainer_state.json").read_text())["log_history"]
    losses = [entry["loss"] for entry in log if "loss" in entry]
    assert len(losses) == STEPS
    return (out / "adapter_model.safetensors").read_bytes(), losses


KILLED = {
    "after a save": "checkpoint-2/trainer_state.json",
    "at the start of a save": "checkpoint-4",
    "in a save": "checkpoint-6/optimizer.pt",
}
"""When a training is killed: as soon as which file is there."""


@pytest.fixture(scope="module")
def killed(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders that a kill at each time of `KILLED` leaves: copies of a stopped process's."""
    folder = tmp_path_factory.mktemp("killed")
    out = folder / "out"
    command = [sys.executable, "-m", "rs_gpt4v_training.sft", str(recipe), "--output_dir", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for time_of_kill, place in KILLED.items():
        while process.poll() is None and not _is_written(out / place):
            time.sleep(0.001)
        process.send_signal(signal.SIGSTOP)
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), "it ended before it could be killed"
        shutil.copytree(out, folder / time_of_kill)
        process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()
    return folder


def _is_written(path: Path) -> bool:
    """Whether it is there; of the trainer's state, which is written last, also its end."""
    if path.suffix != ".json":
        return path.exists()
    try:
        return bool(json.loads(path.read_bytes()))
    except (OSError, json.JSONDecodeError):
        return False


@pytest.mark.parametrize("time_of_kill", KILLED)
def test_killed_training_resumes_to_the_same_weights(
    recipe: Path, undisturbed: Path, killed: Path, time_of_kill: str
) -> None:
    out = killed / time_of_kill
    first = out / "checkpoint-2/trainer_state.json"
    saved = first.stat().st_mtime_ns
    main([str(recipe), "--output_dir", str(out), "--resume"])
    assert outcome(out) == outcome(undisturbed)
    assert first.stat().st_mtime_ns == saved, "it began again"


@pytest.mark.parametrize("parts", [[], ["--train", "projector"]], ids=["full", "projector"])
def test_training_without_an_adapter_resumes_to_the_same_weights(
    recipe: Path, tmp_path: Path, parts: list[str]
) -> None:
    """Checkpoints of whole models have other names for their weights than the model has."""
    fields = json.loads(recipe.read_text()) | {"use_peft": False}
    whole = tmp_path / "whole.yaml"
    whole.write_text(json.dumps(fields))
    main([str(whole), "--output_dir", str(tmp_path / "undisturbed"), *parts])
    begun = tmp_path / "begun"
    shutil.copytree(tmp_path / "undisturbed/checkpoint-4", begun / "checkpoint-4")
    main([str(whole), "--output_dir", str(begun), "--resume", *parts])
    weights = [
        (out / "model.safetensors").read_bytes() for out in (tmp_path / "undisturbed", begun)
    ]
    assert weights[0] == weights[1]


def test_resuming_what_never_started_starts_it(
    recipe: Path, undisturbed: Path, tmp_path: Path
) -> None:
    main([str(recipe), "--output_dir", str(tmp_path), "--resume"])
    assert outcome(tmp_path) == outcome(undisturbed)


def test_killed_after_its_last_checkpoint_it_takes_no_further_step(
    recipe: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(undisturbed, tmp_path / "out")
    (out / "adapter_model.safetensors").unlink()
    main([str(recipe), "--output_dir", str(out), "--resume"])
    assert outcome(out) == outcome(undisturbed)
    assert not (out / f"checkpoint-{STEPS + 1}").exists()


def test_folder_of_an_earlier_run_is_not_written_over(recipe: Path, undisturbed: Path) -> None:
    with pytest.raises(OutputDirError, match=r"holds checkpoint-8 .* --resume"):
        main([str(recipe), "--output_dir", str(undisturbed)])


@pytest.mark.parametrize(
    ("processes", "files"),
    [
        (1, {"model.safetensors": "x"}),
        (1, {"rng_state.pth": "", "trainer_state.json": '{"global_st'}),
        (1, {"rng_state.pth": "", "trainer_state.json": "[3]"}),
        (1, {"rng_state.pth": "", "trainer_state.json": '{"global_step": "3"}'}),
        (2, {"rng_state_0.pth": "", "trainer_state.json": '{"global_step": 3}'}),
    ],
)
def test_killed_in_its_first_save_it_starts_anew(
    tmp_path: Path, processes: int, files: dict[str, str]
) -> None:
    (tmp_path / "checkpoint-3").mkdir()
    (tmp_path / "checkpoint-best").mkdir()  # of another hand
    for name, content in files.items():
        (tmp_path / "checkpoint-3" / name).write_text(content)
    assert checkpoint_to_resume(tmp_path, resume=True, processes=processes) is None


def test_checkpoint_without_its_state_is_not_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "checkpoint-3").mkdir()
    (tmp_path / "checkpoint-3/trainer_state.json").write_text('{"global_step": 3, "x": NaN}')
    with pytest.raises(OutputDirError, match="without their state"):
        checkpoint_to_resume(tmp_path, resume=True, processes=1)


def test_checkpoint_that_was_cut_is_passed_over(tmp_path: Path) -> None:
    for step, state in ((2, '{"global_step": 2}'), (4, '{"global_st'), (6, None), (10, "{}")):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "rng_state.pth").touch()
        if state is not None:
            (folder / "trainer_state.json").write_text(state)
    found = checkpoint_to_resume(tmp_path, resume=True, processes=1)
    assert found == tmp_path / "checkpoint-2"
    with pytest.raises(OutputDirError, match="fewer processes than the 2 that run now"):
        checkpoint_to_resume(tmp_path, resume=True, processes=2)


def test_checkpoints_go_by_their_number_and_not_by_their_name(tmp_path: Path) -> None:
    for step in (200, 1_000, 90):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "rng_state.pth").touch()
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    found = checkpoint_to_resume(tmp_path, resume=True, processes=1)
    assert found == tmp_path / "checkpoint-1000"
    with pytest.raises(OutputDirError, match=r"holds checkpoint-1000 of"):
        checkpoint_to_resume(tmp_path, resume=False, processes=1)
