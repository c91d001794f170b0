"""A file that cannot be scored fails alone: the others are scored, and the status is not 0."""

import json
from pathlib import Path
from typing import Any

import pytest
from prediction_lines import row, write
from typer.testing import CliRunner

from rs_gpt4v.cli import app
from rs_gpt4v.files import InvalidFileError, each_alone, of_file

BAD_BOX = {"boxes": [{"label": "ship", "points": [10, 10, 10, 10], "kind": "hbb"}]}


def bad_files(folder: Path) -> dict[str, Path]:
    """Each kind of file that cannot be scored, and what its message has to say."""
    good = [row(0), row(1)]
    torn = write(folder / "torn.jsonl", good)
    torn.write_text(torn.read_text().replace('"task"', "task", 1))
    empty = folder / "empty.jsonl"
    empty.write_text("")
    files = {"torn.jsonl, line 1": torn, "empty.jsonl holds no prediction": empty}
    files["differ in model"] = write(folder / "two.jsonl", [row(0), row(1, model="other")])
    flat = write(folder / "flat.jsonl", [row(0, "grounding", **BAD_BOX), row(1, "grounding")])
    return files | {"--skip-bad-boxes": flat}


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def good(tmp_path: Path) -> list[Path]:
    rows = [row(number) for number in range(4)]
    return [
        write(tmp_path / "first" / "vqa.jsonl", rows),
        write(tmp_path / "last" / "vqa.jsonl", [*rows[:3], row(3, prediction="no")]),
    ]


def test_score(tmp_path: Path, good: list[Path]) -> None:
    for what, bad in bad_files(tmp_path / "bad").items():
        result = run("score", good[0], bad, good[1], "--json")
        assert result.exit_code == 1
        assert [one["file"] for one in json.loads(result.stdout)] == list(map(str, good))
        assert result.stderr.count("Not scored: ") == 1
        assert what in result.stderr
        assert bad.name in result.stderr


def test_report(tmp_path: Path, good: list[Path]) -> None:
    for what, bad in bad_files(tmp_path / "bad").items():
        out = tmp_path / "report.md"
        result = run("report", good[0], bad, good[1], "--out", out)
        assert result.exit_code == 1
        assert f"Report: {out}" in result.stdout
        assert what in result.stderr
        text = out.read_text()
        assert "first" in text
        assert "last" in text
        assert bad.name not in text
        out.unlink()


def test_board(tmp_path: Path, good: list[Path]) -> None:
    damaged = tmp_path / "results.json"
    damaged.write_text('{"format": 1}')
    for what, bad in [*bad_files(tmp_path / "bad").items(), ("results.json", damaged)]:
        out = tmp_path / f"board-{bad.stem}"
        result = run("board", good[0], bad, "--no-shipped", "--no-reports", "--out", out)
        assert result.exit_code == 1, result.output
        assert what in result.stderr
        (score,) = json.loads((out / "board.json").read_text())["scores"]
        assert score["model"] == "m"


@pytest.mark.parametrize("verb", ["score", "report", "board"])
def test_all_that_is_wrong_is_said_where_nothing_can_be_scored(verb: str, tmp_path: Path) -> None:
    wrong = bad_files(tmp_path)
    result = run(verb, *wrong.values(), *(["--out", tmp_path / "out"] * (verb != "score")))
    assert result.exit_code == 1
    assert isinstance(result.exception, InvalidFileError)
    assert all(what in str(result.exception) for what in wrong)


def test_one_file_alone_is_refused_as_before(tmp_path: Path) -> None:
    (_, bad), *_ = bad_files(tmp_path).items()
    with pytest.raises(InvalidFileError, match=r"torn\.jsonl, line 1"):
        CliRunner().invoke(app, ["score", str(bad)], catch_exceptions=False)


def test_what_is_wrong_of_no_file_is_raised_at_once() -> None:
    def make(_: list[Path]) -> None:
        raise InvalidFileError("the files are of two models")

    failed: list[str] = []
    with pytest.raises(InvalidFileError, match="of two models"):
        each_alone(make, [Path("a"), Path("b")], failed)
    assert not failed


def test_python_refuses_the_first_damaged_file_unless_failures_are_asked_for() -> None:
    def make(files: list[Path]) -> list[Path]:
        with of_file("b"):
            if Path("b") in files:
                raise InvalidFileError("b, line 3: no JSON")
        return files

    files = [Path("a"), Path("b"), Path("c")]
    with pytest.raises(InvalidFileError, match="b, line 3"):
        each_alone(make, files)
    failed: list[str] = []
    assert each_alone(make, files, failed) == ([Path("a"), Path("c")],) * 2
    assert failed == ["b, line 3: no JSON"]
