"""What the demo prints: few lines on a terminal and in a pipe, all else in its log."""

import importlib
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rs_gpt4v.cli.screen import screen

demo = importlib.import_module("rs_gpt4v.cli.demo")
SCRIPT = Path(__file__).with_name("demo_run.py")
COLUMNS = "task constant guess blind before LoRA MoE-LoRA"
ENVIRONMENT = os.environ | {"COLUMNS": "80"}


def in_pipe(out: Path, releases: Path, *what: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(out), str(releases), *what]
    return subprocess.run(
        command, env=ENVIRONMENT, text=True, capture_output=True, timeout=300, check=False
    )


def on_terminal(out: Path, releases: Path) -> str:
    master, slave = pty.openpty()
    command = [sys.executable, str(SCRIPT), str(out), str(releases)]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    try:
        while chunk := os.read(master, 65536):
            shown += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(master)
    assert process.wait(60) == 0, shown
    return shown.decode()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, releases: Path) -> tuple[Path, str]:
    """A demo that ran to its end, and what it printed into a pipe."""
    out = tmp_path_factory.mktemp("a demo") / "out"
    done = in_pipe(out, releases)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return out, done.stdout


def test_a_pipe_gets_few_lines_and_no_bars(finished: tuple[Path, str]) -> None:
    _, text = finished
    lines = text.splitlines()
    assert len(lines) <= 40
    assert "\r" not in text
    assert not re.search("warning|loss|logger|bar of|starting", text)
    steps = [line for line in lines if re.match(r"\d/8  \w", line)]
    assert len(steps) == 8
    # Paths are as long as they are.
    assert all(len(line) <= 80 for line in lines if str(finished[0]) not in line)


def test_the_table_has_a_column_a_run_and_fits_80_columns(finished: tuple[Path, str]) -> None:
    table = finished[1].split("\n\n")[1].splitlines()
    assert " ".join(table[0].split()) == COLUMNS
    assert len(table) == 5
    assert {len(line) for line in table} == {len(table[0])}
    assert len(table[0]) <= 80
    for line in table[1:]:
        assert line.startswith(("questions", "captions", "boxes"))
    # The stand-in says "x" before and the truth after.
    (accuracy,) = [line for line in table if "256 px" in line]
    assert re.findall(r"[\d.]+ %", accuracy)[1:] == ["100.0 %", "0.0 %", "100.0 %", "100.0 %"]


def test_the_log_has_what_libraries_say(finished: tuple[Path, str]) -> None:
    log = (finished[0] / "demo.log").read_text()
    said = ["library in C", "UserWarning: a warning of a library", "a line of a logger"]
    for text in (*said, "a bar of a library", "starting demo_lora", "'loss': 1.0"):
        assert text in log


def test_an_interrupted_demo_says_so_and_goes_on(tmp_path: Path, releases: Path) -> None:
    out = tmp_path / "out"
    stopped = in_pipe(out, releases, "stop")
    assert stopped.returncode == 130
    assert "Interrupted. The same command goes on from there" in stopped.stdout
    assert "Traceback" not in stopped.stdout + stopped.stderr
    assert not (out / "demo_moe_lora").exists()
    assert not (out / "made_of.json.lock").exists()
    trained = (out / "demo_lora").stat().st_mtime_ns
    shown = on_terminal(out, releases)
    assert shown.startswith("Going on with an earlier run: what it finished is kept.\r\n")
    assert (out / "demo_lora").stat().st_mtime_ns == trained
    assert sorted(path.name for path in out.glob("*lora*")) == ["demo_lora", "demo_moe_lora"]
    # A terminal has a bar a step.
    lines = [line.rstrip("\r") for line in shown.split("\n")]
    assert len(lines) <= 41  # the last is empty
    bars = [line.rsplit("\r", 1)[-1] for line in lines if "% |" in line]
    assert len(bars) == 8
    for bar in bars:
        assert re.match(r"     100 % \|.*\| \d\d:\d\d *$", bar)
        assert len(bar) <= 80
    assert not re.search("warning|loss|logger|bar of|starting", shown)


def test_a_demo_of_another_place_is_done_anew_and_says_why_it_fails(
    finished: tuple[Path, str], tmp_path: Path, releases: Path
) -> None:
    out = tmp_path / "moved"
    shutil.copytree(finished[0], out)
    (out / "demo_lora" / "old").touch()
    (out / "own").mkdir()
    done = in_pipe(out, releases, "fail")
    assert "it is done anew" in done.stdout
    assert not (out / "demo_lora" / "old").exists()
    assert (out / "own").is_dir()
    assert done.returncode == 1
    (error,) = done.stderr.splitlines()
    assert "training ended early: No space left on the device" in error
    assert str(out / "demo.log") in error
    assert not (out / "demo_moe_lora").exists()


def test_files_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    with pytest.raises(FileExistsError, match="before is not of this demo: move it, or give"):
        demo._is_of_another_version(tmp_path, {})
    assert (tmp_path / "before").is_dir()


def test_the_commands_to_try_next_work_as_printed(
    finished: tuple[Path, str], releases: Path
) -> None:
    out, text = finished
    commands = re.findall(r"^  (\S.*)$", text.split("Try next:\n")[1], re.MULTILINE)
    score, train, sources = commands
    score = score.removesuffix(" --intervals")  # the rows here are of too few images for them
    few = f"--dry-run --sample false --data_dir {shlex.quote(str(releases))} --max_rows 20"
    for command in (score, sources, f"{train} {few}"):
        done = subprocess.run(
            command, shell=True, env=ENVIRONMENT, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, (command, done.stderr)
    assert f"{out}/300" in train.replace("'", "")


def test_streams_come_back_after_an_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="x"), screen(1, tmp_path / "log") as shows:  # noqa: PT012
        shows.say("seen")
        os.write(1, b"logged\n")
        raise ValueError("x")
    os.write(1, b"seen again\n")
    assert capfd.readouterr().out == "seen\nseen again\n"
    assert (tmp_path / "log").read_text() == "logged\n"
