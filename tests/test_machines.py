"""Two machines without a common disk, as far as files go: two processes with folders of their own.

Each is named by one relative path, as machines have one recipe.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl")

from datasets import Dataset

from rs_gpt4v_training import machines
from rs_gpt4v_training.recipe import RecipeError
from rs_gpt4v_training.resume import OutputDirError, refuse_other_files
from rs_gpt4v_training.rows import refuse_other_rows

ALL = {"model.safetensors", "optimizer.pt", "rng_state_0.pth", "trainer_state.json"}
FILES: dict[str, list[set[str]]] = {
    "the first machine's alone": [ALL, set()],
    "what each process saves": [ALL, {"rng_state_1.pth"}],
    "the second machine's alone": [set(), ALL],
    "one of three lacks a file": [ALL, ALL, ALL - {"optimizer.pt"}],
}


def write(folder: Path, files: set[str]) -> None:
    folder.mkdir(parents=True)
    for name in files:
        (folder / name).write_text('{"global_step": 2}' if name == "trainer_state.json" else "")


def seen_by(monkeypatch: pytest.MonkeyPatch, views: list[set[str]]) -> None:
    """Let the processes see ``views``, whatever this one does."""
    nodes = [f"node{i}" for i in range(len(views))]
    gathered = [
        (node, {f"checkpoint-2/{name}" for name in view})
        for node, view in zip(nodes, views, strict=True)
    ]
    monkeypatch.setattr(machines, "gather_object", lambda _: gathered)


@pytest.mark.parametrize("case", FILES)
def test_machines_with_other_checkpoints_do_not_resume(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen_by(monkeypatch, FILES[case])
    with pytest.raises(OutputDirError, match=r"process \d \(node\d\) finds checkpoint-2/.* disk"):
        refuse_other_files(tmp_path, "checkpoint-*/**/*")


@pytest.mark.parametrize("files", [set(), ALL])
def test_machines_with_one_disk_do(
    files: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen_by(monkeypatch, [files, files])
    refuse_other_files(tmp_path, "checkpoint-*/**/*")


def test_files_beside_the_checkpoints_may_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []
    monkeypatch.setattr(machines, "gather_object", lambda own: (seen.append(own[0][1]), own)[1])
    write(tmp_path / "checkpoint-2" / "global_step2", {"shard.pt"})
    (tmp_path / "log.txt").touch()
    refuse_other_files(tmp_path, "checkpoint-*/**/*")
    assert seen == [{"checkpoint-2/global_step2/shard.pt"}]


@pytest.mark.parametrize("counts", [{"train": 4}, {"train": 3, "validation": 2}, {}])
def test_machines_with_other_rows_do_not_train(
    counts: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process would take its part of its own rows, some of them twice and some never."""
    part = Dataset.from_dict({"id": ["a", "b", "c"]})
    monkeypatch.setattr(machines, "gather_object", lambda own: [*own, ("node1", counts)])
    with pytest.raises(RecipeError, match=r"process 0 .* has 3 rows of train, process 1 \(node1\)"):
        refuse_other_rows({"train": part})
    monkeypatch.setattr(machines, "gather_object", lambda own: [*own, *own])
    refuse_other_rows({"train": part})
    refuse_other_rows({"train": part.to_iterable_dataset()})  # nobody knows how many


ON_MACHINES = """
import os, sys
from pathlib import Path
from rs_gpt4v_training.sft import main, run
os.chdir(Path(sys.argv[1]) / os.environ["RANK"])
sys.exit(run(lambda: main([*sys.argv[2:]])))
"""


def launched(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    script = folder / "on_machines.py"
    script.write_text(ON_MACHINES)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    return subprocess.run(
        [*launch, str(script), str(folder), *flags],
        env=os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("flag", ["--resume", "--resume_from_checkpoint"])
def test_two_processes_with_folders_of_their_own_stop_and_say_so(tmp_path: Path, flag: str) -> None:
    write(tmp_path / "0/out/checkpoint-2", ALL)
    write(tmp_path / "1/out/checkpoint-2", {"rng_state_1.pth"})
    given = [flag] if flag == "--resume" else [flag, "out/checkpoint-2"]
    options = ["--model_name_or_path", "embedded", "--output_dir", "out", "--bf16", "false"]
    done = launched(tmp_path, *options, "--datasets", "none", "--use_cpu", *given)
    assert done.returncode != 0
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 2, done.stderr
    assert all("process 0" in line and "process 1" in line for line in errors)
    # The states of both and the rest, copied to each other, are enough.
    shutil.copytree(tmp_path / "0/out", tmp_path / "1/out", dirs_exist_ok=True)
    shutil.copytree(tmp_path / "1/out", tmp_path / "0/out", dirs_exist_ok=True)
    done = launched(tmp_path, *options, "--datasets", "none", "--use_cpu", *given)
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert errors, done.stderr
    assert all("none" in line and "process" not in line for line in errors)
