"""The board in the docs is what its results make."""

from pathlib import Path

from rs_gpt4v_evaluation.board.make import FILES, board

SHIPPED = Path(__file__).parents[1] / "docs" / "board"


def test_the_shipped_board_is_made_of_the_results_beside_it(tmp_path: Path) -> None:
    board(sorted((SHIPPED / "results").glob("*.json")), tmp_path, with_reports=False)
    for name in FILES:
        made, shipped = (tmp_path / name).read_text(), (SHIPPED / name).read_text()
        again = "rs-gpt4v board docs/board/results/*.json --no-reports --out docs/board"
        assert made == shipped, f"docs/board/{name} is out of date: {again}"


def test_the_shipped_board_holds_no_reply_and_no_path_of_a_machine() -> None:
    for file in sorted(SHIPPED.rglob("*.*")):
        text = file.read_text()
        assert len(text) < 300_000, file
        assert "/home/" not in text, file
        assert "/tmp/" not in text, file
        assert '"prediction"' not in text, file
