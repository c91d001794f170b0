"""Runs notebooks from top to bottom, and stores what they show.

    python tests/notebook_run.py notebooks/bench.ipynb ...

It prints how long each took. Look at the outputs before you commit them.
"""

import os
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbclient
import nbformat

# A command that fails would only print why, and the notebook would go on.
CHECKED = """
def checked(command, shell=get_ipython(), run=get_ipython().system):
    run(command)
    if shell.user_ns["_exit_code"] != 0:
        raise RuntimeError(f"exit status {shell.user_ns['_exit_code']}: {command}")


get_ipython().system = checked
"""


def executed(path: Path, folder: Path, settings: Mapping[str, int] | None = None) -> Any:
    """The notebook with its outputs, run in ``folder``, with other numbers in its settings.

    The cell that installs is left out. What is drawn anew (bars) is as it was last.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell or a command of it fails.
    """
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        if "settings" in cell.metadata.get("tags", []):
            for name, value in (settings or {}).items():
                cell.source = re.sub(rf"(?m)^{name} = \d+", f"{name} = {value}", cell.source)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(CHECKED))
    nbclient.NotebookClient(
        notebook,
        timeout=3600,
        kernel_name="python3",
        resources={"metadata": {"path": folder}},
        skip_cells_with_tag="skip-execution",
        coalesce_streams=True,
        record_timing=False,
    ).execute()
    del notebook.cells[0]
    return notebook


def store(path: Path) -> None:
    """Run a notebook and write its outputs into it, its own folder named as on Colab."""
    with tempfile.TemporaryDirectory() as folder:
        notebook = executed(path, Path(folder))
    for cell in notebook.cells:
        for part in (cell, *cell.get("outputs", [])):
            if part.get("execution_count"):
                part["execution_count"] -= 1  # the first cell was not of the notebook
            if "text" in part:
                part["text"] = part["text"].replace(folder, "/content").replace("\r\n", "\n")
            if "image/jpeg" in part.get("data", {}):
                part["data"].pop("image/png", None)  # the same once more, and larger
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        started = time.monotonic()
        store(Path(name))
        print(f"{name}: {time.monotonic() - started:.0f} seconds")  # noqa: T201 - a script
