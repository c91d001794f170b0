"""Each verb runs with what its extra brings, and says which extra it lacks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prediction_lines import row, write

ROOT = Path(__file__).parents[1]
PREDICT = ("torch", "transformers", "accelerate", "peft")
ALL = (*PREDICT, "trl", "evaluate", "shapely", "matplotlib", "numba", "pycocoevalcap")


def run(
    *arguments: str | Path, without: tuple[str, ...], cwd: Path
) -> subprocess.CompletedProcess[str]:
    """`rs-gpt4v` where these modules are not installed."""
    code = (
        "from importlib.machinery import PathFinder\n"
        f"missing = {without!r}\n"
        "find = PathFinder.find_spec\n"
        "PathFinder.find_spec = classmethod(lambda cls, name, *given:\n"
        "    None if name.partition('.')[0] in missing else find(name, *given))\n"
        "from rs_gpt4v.cli import main\n"
        "main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "200"},
    )


@pytest.mark.parametrize(
    ("command", "module", "extra"),
    [
        ("stats --sample --plot a.png", "matplotlib", "plot"),
        ("show cap_ucm --sample", "matplotlib", "plot"),
        ("predict embedded cap_ucm --sample --out a.jsonl", "torch", "predict"),
        ("predict embedded cap_ucm --sample --out a.jsonl --adapter x", "peft", "predict"),
        ("chat embedded", "torch", "predict"),
        ("bench embedded --sample --out b", "torch", "predict"),
        ("train demo_lora --output_dir o", "accelerate", "train"),
        ("train demo_lora --output_dir o --dry-run", "trl", "train"),
        ("merge x --model embedded --out m", "peft", "train"),
        ("demo --out d", "trl", "train"),
        ("score boxes.jsonl", "shapely", "eval"),
    ],
)
def test_a_missing_module_is_told_with_its_extra(
    command: str, module: str, extra: str, tmp_path: Path
) -> None:
    points = [10.0, 10.0, 60.0, 20.0, 50.0, 60.0, 5.0, 50.0]
    box = {"label": "ship", "points": points, "kind": "obb"}
    reply = "[0.1, 0.1, 0.6, 0.2, 0.5, 0.6, 0.05, 0.5]"
    lines = [row(0, "grounding", boxes=[box], prediction=reply)]
    write(tmp_path / "boxes.jsonl", lines, box_format="obb")
    done = run(*command.split(), without=(module,), cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f'pip install "rs-gpt4v[{extra}]"' in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize(
    "command",
    [
        "sources",
        "build cap_ucm --sample",
        "check .",
        "stats cap_ucm --sample --json",
        "audit cap_ucm --sample",
        "principles conversation --sample --split test",
        "export llava out cap_ucm --sample",
        "score yes.jsonl --intervals",
        "report yes.jsonl",
        "board yes.jsonl --out board",
    ],
)
def test_without_any_extra_data_and_scores_work(command: str, tmp_path: Path) -> None:
    write(tmp_path / "yes.jsonl", [row(i) for i in range(4)])
    (tmp_path / "train.csv").write_text("image,question,answer\n")
    done = run(*command.split(), without=ALL, cwd=tmp_path)
    assert "Traceback" not in done.stderr, done.stderr
    assert "No module named" not in done.stderr
    if not command.startswith("check"):
        assert done.returncode == 0, done.stderr


def test_all_has_every_extra() -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no reader of TOML")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    everything = " ".join([*extras["all"], *extras["predict"]])
    assert all(name in everything for name in extras if name != "all")
