"""Every notebook runs from top to bottom, and what it shows is stored."""

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

import nbformat
from notebook_run import executed

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
SMALL = {"STEPS": 2, "ROWS": 4, "IMAGES": 2}
EXPECTED = {
    "bench": r"minus outputs/before/predictions/vqa_lr.jsonl",
    "fine_tune": r"MoE-LoRA: \d+%, grey images \d+%",
    "generate": r"counts fails: There are \d+ \w+",
    "own_boxes": r"folder +\d+ .* grey ",
    "quickstart": r"count airplanes: [1-9]\d*\n +count ships: 0",
}


def text_of(notebook: Any) -> str:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return "".join(output.get("text", "") for cell in cells for output in cell.outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    text = text_of(executed(path, tmp_path, SMALL))
    assert re.search(EXPECTED[path.stem], text), text
    assert "Warning" not in text, text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_have_pictures_and_no_path_of_a_machine(path: Path) -> None:
    notebook = nbformat.read(path, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [output.get("data", {}) for cell in code for output in cell.outputs]
    assert any(kind.startswith("image/") for data in shown for kind in data)
    assert re.search(EXPECTED[path.stem], text_of(notebook))
    assert not re.search(r"/(home|root|tmp|work)/|Traceback|[Ww]arning", text_of(notebook))
    assert path.stat().st_size < 800_000


def test_a_command_that_fails_fails_the_notebook(tmp_path: Path) -> None:
    cells = [
        nbformat.v4.new_code_cell("!rs-gpt4v score none.jsonl"),
        nbformat.v4.new_code_cell("1"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "n.ipynb")
    with pytest.raises(Exception, match=r"exit status 1: rs-gpt4v score none\.jsonl"):
        executed(tmp_path / "n.ipynb", tmp_path)
