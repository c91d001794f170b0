"""Files are whole or not there, grow by whole lines, and what others wrote is checked."""

import json
import os
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from typing_extensions import NotRequired, TypedDict

from rs_gpt4v import files
from rs_gpt4v.files import (
    InvalidFileError,
    OverwriteError,
    appending,
    parse_json,
    read_json,
    read_json_lines,
    refuse_overwriting,
    replacing,
    write_json_lines,
    write_text,
)


class Box(TypedDict):
    kind: Literal["hbb", "obb"]
    points: list[float]


class Line(TypedDict):
    id: str
    count: int
    boxes: list[Box]
    reason: NotRequired[str | None]


GOOD = {"id": "a", "count": 1, "boxes": [{"kind": "hbb", "points": [1, 2.5]}]}


def _message(content: bytes | dict[str, Any]) -> str:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    with pytest.raises(InvalidFileError) as error:
        parse_json(text, Line, "f.jsonl, line 3")
    assert str(error.value).startswith("f.jsonl, line 3: ")
    assert len(str(error.value)) < 500
    return str(error.value).removeprefix("f.jsonl, line 3: ")


class TestReplacing:
    def test_a_failed_file_leaves_the_earlier_one(self, tmp_path: Path) -> None:
        path = tmp_path / "a.txt"
        write_text(path, "first")
        with pytest.raises(TypeError), replacing(path) as file:
            file.writelines([b"half", None])
        assert path.read_text() == "first"
        assert list(tmp_path.iterdir()) == [path]

    def test_no_open_file_is_renamed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        opened: list[Any] = []
        rename = Path.replace

        def strict(path: Path, target: Path) -> Path:
            assert all(file.closed for file in opened), "Windows refuses this"
            return rename(path, target)

        monkeypatch.setattr(Path, "replace", strict)
        with replacing(tmp_path / "a") as file:
            opened.append(file)

    def test_two_processes_do_not_mix(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a"
        with replacing(path) as first:
            first.write(b"first")
            monkeypatch.setattr(os, "getpid", lambda: -1)
            with replacing(path) as second:
                second.write(b"second, and longer")
            assert path.read_bytes() == b"second, and longer"
        assert path.read_bytes() == b"first"

    def test_one_odd_text_costs_no_other(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "a.jsonl"
        write_json_lines(path, [{"id": "é"}, {"id": "\ud800"}, {"id": "\U0001f6f0"}])
        assert path.read_bytes() == '{"id": "é"}\n{"id": "?"}\n{"id": "\U0001f6f0"}\n'.encode()

    def test_a_folder_is_no_page(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="is a folder: give the file a name"):
            write_text(tmp_path, "")


class TestAppending:
    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (b'{"a": 1}\n', b'{"a": 1}\n'),
            (b'{"a": 1}', b'{"a": 1}\n'),
            (b'{"a": 1}\n{"a": {"b": 2}', b'{"a": 1}\n'),
            (b'{"a": 1}\n{"a": "\\ud8', b'{"a": 1}\n'),
            ('{"a": "é"}\n{"a": "é'.encode()[:-1], '{"a": "é"}\n'.encode()),
            (b'{"a": "\\ud800"}', b'{"a": "\\ud800"}\n'),  # whole, if odd: for the reader to refuse
            (b'{"a": ' + b"9" * 5000 + b"}", b'{"a": ' + b"9" * 5000 + b"}\n"),
            (b"my notes", b"my notes\n"),  # never of ours: not to be cut off
        ],
    )
    def test_only_what_a_kill_left_is_cut_off(
        self, tmp_path: Path, before: bytes, after: bytes
    ) -> None:
        path = tmp_path / "a.jsonl"
        path.write_bytes(before)
        with appending(path) as append:
            append(b"{}\n")
        assert path.read_bytes() == after + b"{}\n"

    def test_a_full_disk_leaves_the_file_as_it_was(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        path = tmp_path / "a.jsonl"
        path.write_bytes(b"{}\n")
        with appending(path) as append:
            monkeypatch.setattr(os, "fsync", full)
            with pytest.raises(OSError, match="No space left"):
                append(b'{"a": 1}\n')
        assert path.read_bytes() == b"{}\n"


class TestReading:
    def test_values_are_those_of_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jsonl"
        more = GOOD | {"reason": None, "own": [1]}
        path.write_text(f"\ufeff{json.dumps(GOOD)}\r\n\n{json.dumps(more)}\n \n", "utf-8")
        assert list(read_json_lines(path, Line)) == [GOOD, more]

    def test_what_a_kill_cut_short_is_left_out(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jsonl"
        path.write_text(json.dumps(GOOD) + "\n" + json.dumps(GOOD)[:-1])
        assert list(read_json_lines(path, Line)) == [GOOD]

    def test_a_whole_file_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        path.write_text('{"b": [1, "2"]}')
        assert read_json(path, dict[str, list[Any]]) == {"b": [1, "2"]}
        with pytest.raises(InvalidFileError) as error:
            read_json(path, dict[str, list[int]])
        assert str(error.value) == f"{path}: b[1] is '2'; expected a valid integer"

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"id": 7}, "id is 7; expected a valid string"),
            ({"id": None}, "id is None; expected a valid string"),
            ({"count": "1"}, "count is '1'; expected a valid integer"),
            ({"count": True}, "count is True; expected a valid integer"),
            ({"count": 1.0}, "count is 1.0; expected a valid integer"),
            ({"boxes": "yes"}, "boxes is 'yes'; expected a valid array"),
            ({"boxes": [[]]}, "boxes[0] is []; expected an object"),
            (
                {"boxes": [*GOOD["boxes"], {"kind": "x", "points": []}]},
                "boxes[1].kind is 'x'; expected 'hbb' or 'obb'",
            ),
            (
                {"boxes": [{"kind": "hbb", "points": [float("nan")]}]},
                "boxes[0].points[0] is nan; expected a finite number",
            ),
        ],
    )
    def test_the_field_is_named(self, wrong: dict[str, Any], message: str) -> None:
        assert _message(GOOD | wrong) == message

    def test_names_that_are_there_are_told(self) -> None:
        assert _message({"ID": 1, "boxes": []}) == "it lacks id, count; it has ID, boxes"
        assert _message({}) == "it lacks id, count, boxes; it has nothing"

    @pytest.mark.parametrize("other", [[], [GOOD], 3, "text", None])
    def test_another_value_is_no_line(self, other: Any) -> None:
        assert "expected an object" in _message(json.dumps(other).encode())

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"[" * 100_000, "nested too deeply"),
            (b'{"own": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
            (b'{"id": "\\ud800"}', "half a surrogate pair"),
            (b'{"id": "\\udc00x"}', "half a surrogate pair"),
            (b'{"own": ' + b"9" * 5000 + b"}", "a number has thousands of digits"),
            (b'{"id": "\xff"}', "no UTF-8"),
            (b'{"id": "\xed\xa0\x80"}', "no UTF-8"),
            ("{}".encode("utf-16"), "it is UTF-16; save it as UTF-8"),
            (b"", "EOF"),
            (b"\0\0\0", "expected value"),
            (b'{"id": "a"} {"id": "b"}', "trailing characters"),
        ],
    )
    def test_what_is_no_json_is_told_in_one_line(self, content: bytes, why: str) -> None:
        assert why in _message(content)

    def test_a_huge_value_is_shortened(self) -> None:
        assert len(_message(GOOD | {"count": "x" * 10_000_000})) < 100
        assert len(_message(GOOD | {"count": [GOOD] * 100_000})) < 200

    def test_pydantic_is_loaded_when_it_is_needed(self) -> None:
        code = "import sys, rs_gpt4v.files; sys.exit('pydantic' in sys.modules)"
        assert os.spawnl(os.P_WAIT, sys.executable, sys.executable, "-c", code) == 0


class TestRefusing:
    @pytest.fixture(autouse=True)
    def paths(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("in.jsonl").write_text("{}")
        Path("data").mkdir()
        Path("data/dataset.json").write_text("{}")

    @pytest.mark.parametrize(
        "out", ["in.jsonl", "./data/../in.jsonl", "IN.jsonl", "link", "hard", "there/in.jsonl"]
    )
    def test_an_input_is_kept(self, out: str) -> None:
        Path("link").symlink_to("in.jsonl")
        Path("hard").hardlink_to("in.jsonl")
        Path("there").symlink_to(".")
        with pytest.raises(OverwriteError, match=r"would overwrite in\.jsonl, which is read"):
            refuse_overwriting([None, Path(out)], [Path("other"), None, Path("in.jsonl")])

    def test_an_input_that_is_a_link_is_kept(self) -> None:
        Path("link").symlink_to("in.jsonl")
        with pytest.raises(OverwriteError):
            refuse_overwriting([Path("in.jsonl")], [Path("link")])

    def test_a_file_in_an_input_folder_is_kept(self) -> None:
        with pytest.raises(OverwriteError):
            refuse_overwriting([Path("data/dataset.json")], [Path("data")])
        refuse_overwriting([Path("data/new.json"), Path("out.json")], [Path("data")])

    def test_two_outputs_are_two_files(self) -> None:
        with pytest.raises(OverwriteError, match="which is written as well"):
            refuse_overwriting([Path("page.html"), Path("Page.html")], [])
        refuse_overwriting([Path("page.html"), Path("page.md")], [Path("in.jsonl")])

    def test_the_module_needs_no_posix(self) -> None:
        assert not {"fcntl", "pwd", "resource"} & set(vars(files))
