"""The board in the docs is what its results make."""

import re
from pathlib import Path

from rs_gpt4v_evaluation.board.make import FILES, board

SHIPPED = Path(__file__).parents[1] / "docs" / "board"


def without_style(path: Path) -> str:
    """A page without its style, which it has in common with the report."""
    return re.sub(r"<style>.*?</style>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_shipped_board_is_made_of_the_results_beside_it(tmp_path: Path) -> None:
    board(sorted((SHIPPED / "results").glob("*.json")), tmp_path, with_reports=False)
    for name in FILES:
        again = "rs-gpt4v board docs/board/results/*.json --no-reports --out docs/board"
        assert without_style(tmp_path / name) == without_style(SHIPPED / name), (
            f"docs/board/{name} is out of date: {again}"
        )


def test_the_shipped_board_holds_no_reply_and_no_path_of_a_machine() -> None:
    for file in sorted(SHIPPED.rglob("*.*")):
        text = file.read_text(encoding="utf-8")
        assert len(text) < 300_000, file
        assert "/home/" not in text, file
        assert "/tmp/" not in text, file
        assert '"prediction"' not in text, file
