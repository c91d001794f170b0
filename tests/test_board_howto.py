"""The commands that docs/board.md shows, on files of three tools."""

import re
import shlex
from pathlib import Path
from typing import Any

import others_results as others
import pytest
from board_files import ranking, scores
from typer.testing import CliRunner

from rs_gpt4v.cli import app

DOCS = Path(__file__).parents[1] / "docs"
RIGHT = {"geochat": 3, "qwen": 4, "ours": 5}
"""How many of five boxes are right."""


def commands() -> list[list[str]]:
    """Those below the heading, without the line that sets the data's folder."""
    text = (DOCS / "board.md").read_text(encoding="utf-8")
    block = re.search(r"## Three models' result files.*?```sh\n(.*?)```", text, re.DOTALL)
    assert block
    lines = [line for line in block[1].splitlines() if line.startswith("rs-gpt4v ")]
    return [shlex.split(line)[1:] for line in lines]


def globbed(arguments: list[str]) -> list[str]:
    """As a shell does it."""
    return [
        str(path)
        for own in arguments
        for path in (sorted(Path().glob(own)) if "*" in own else [own])
    ]


def write(model: str, boxes: list[Any], captions: list[Any]) -> None:
    """The two files of a model in its own format: some boxes are another row's."""
    writer, suffix = {
        "geochat": (others.geochat, "jsonl"),
        "qwen": (others.ms_swift, "jsonl"),
        "ours": (others.own, "csv"),
    }[model]
    said = [
        row["references"][0] if n % 5 < RIGHT[model] else "nowhere" for n, row in enumerate(boxes)
    ]
    items = [writer(row, reply, n) for n, (row, reply) in enumerate(zip(boxes, said, strict=True))]
    others.write_items(Path(f"{model}_rsvg.{suffix}"), items)
    others.write(Path(f"{model}_rsicd.{suffix}"), captions, writer, range(len(captions)))


def test_the_commands_make_a_board_of_three_models(
    releases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RS_GPT4V_DATA", str(releases))
    captions = others.built("cap_rsicd", releases)
    for model, codec in (("geochat", "geochat"), ("qwen", "qwen2_5_vl"), ("ours", "llava")):
        write(model, others.built("grounding", releases, box_format=codec), captions)
    for command in commands():
        done = CliRunner().invoke(app, globbed(command), catch_exceptions=False)
        assert done.exit_code == 0, done.output
    folder = tmp_path / "board"
    where = {"measure": "pr_50", "status": "verified"}
    assert ranking(folder, **where) == [
        ("Ours", 1, ""),
        ("Qwen2.5-VL-7B", 2, ""),
        ("GeoChat", 3, ""),
    ]
    assert scores(folder, model="Ours", measure="pr_50")[0]["score"] == 1
    assert [own["status"] for own in scores(folder, measure="cider")] == ["verified"] * 3
    names = {path.name for path in (folder / "reports").iterdir()}
    assert names == {"GeoChat.html", "Ours.html", "Qwen2.5-VL-7B.html"}
