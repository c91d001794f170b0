"""Downloads from a real server on loopback: resumed, checked, unpacked safely, over no file."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rs_gpt4v.cli import app
from rs_gpt4v_builders import inventory
from rs_gpt4v_builders.download import fetch as _fetch
from rs_gpt4v_builders.download.fetch import DownloadError
from rs_gpt4v_builders.download.plan import carry_out, describe, plan
from rs_gpt4v_builders.download.unpack import UnpackError, unpack
from rs_gpt4v_builders.sources import ucm_captions
from rs_gpt4v_builders.sources.source import Download, Source, checksum

CONTENT = bytes(range(256)) * 4096  # 1 MiB
PIECE = 1 << 16  # what is sent, and read, at once
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


class Server(ThreadingHTTPServer):
    """Serves ``files``; its fields say how badly."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"/file": CONTENT}
        self.validators: dict[str, str] = {"ETag": '"one"'}
        self.takes_ranges = True
        self.minds_if_range = True
        self.statuses: list[int] = []  # of the next answers, before good ones
        self.cuts: list[int] = []  # after so many bytes the next connections break
        self.pause_s = 0.0  # between the pieces of a body
        self.silent_s = 0.0  # before the next answer
        self.seen: list[tuple[str, str | None]] = []  # path and Range of each request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what these tests are about."""


class Handler(BaseHTTPRequestHandler):
    server: Any

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        server: Server = self.server
        wanted = self.headers.get("Range")
        server.seen.append((self.path, wanted))
        silent_s, server.silent_s = server.silent_s, 0.0
        time.sleep(silent_s)
        if self.path == "/moved":
            self._answer(302, {"Location": f"{server.url}/file"}, b"")
        elif self.path == "/astray":
            self._answer(302, {"Location": "http://example.org/file"}, b"")
        elif server.statuses:
            self._answer(server.statuses.pop(0), {"Retry-After": "0"}, b"")
        elif self.path not in server.files:
            self._answer(404, {}, b"")
        else:
            self._send(server.files[self.path], wanted)

    def _send(self, content: bytes, wanted: str | None) -> None:
        server: Server = self.server
        known = self.headers.get("If-Range") in (None, *server.validators.values())
        if not (wanted and server.takes_ranges and (known or not server.minds_if_range)):
            self._answer(200, server.validators, content)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            self._answer(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
            return
        stated = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        self._answer(206, server.validators | stated, content[start:])

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts and body else len(body)
        for start in range(0, cut, PIECE):
            self.wfile.write(body[start : min(start + PIECE, cut)])
            time.sleep(self.server.pause_s)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def of(server: Server, name: str = "/file", **known: Any) -> Download:
    return Download(url=f"{server.url}{name}", file="file", **known)


def fetch(download: Download, path: Path, timeout_s: float = 5.0) -> bytes:
    _fetch.fetch(download, path, backoff_s=0.001, timeout_s=timeout_s)
    return path.read_bytes()


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestFetch:
    def test_whole_file(self, server: Server, tmp_path: Path) -> None:
        path = tmp_path / "new" / "file"
        assert fetch(of(server, size=len(CONTENT), checksum=MD5), path) == CONTENT
        assert leftovers(path.parent) == ["file"]
        assert server.seen == [("/file", None)]

    @pytest.mark.parametrize("validators", [{"ETag": '"one"'}, {"Last-Modified": "some date"}])
    def test_goes_on_where_the_connection_was_cut(
        self, server: Server, tmp_path: Path, validators: dict[str, str]
    ) -> None:
        server.validators = validators
        server.cuts = [PIECE, 2 * PIECE]
        assert fetch(of(server), tmp_path / "file") == CONTENT
        assert server.seen == [
            ("/file", None),
            ("/file", f"bytes={PIECE}-"),
            ("/file", f"bytes={3 * PIECE}-"),
        ]

    def test_any_number_of_cuts_is_borne_while_bytes_come(
        self, server: Server, tmp_path: Path
    ) -> None:
        server.cuts = [PIECE] * 9
        assert fetch(of(server), tmp_path / "file") == CONTENT

    def test_another_version_in_between_starts_over(self, server: Server, tmp_path: Path) -> None:
        interrupted(server, tmp_path)
        server.files["/file"], server.validators = CONTENT[::-1], {"ETag": '"two"'}
        assert fetch(of(server), tmp_path / "file") == CONTENT[::-1]
        assert server.seen == [("/file", "bytes=100000-")]  # If-Range got the whole at once

    def test_another_version_is_noticed_where_the_server_ignores_if_range(
        self, server: Server, tmp_path: Path
    ) -> None:
        interrupted(server, tmp_path)
        server.files["/file"], server.validators = CONTENT[::-1], {"ETag": '"two"'}
        server.minds_if_range = False
        assert fetch(of(server), tmp_path / "file") == CONTENT[::-1]

    def test_server_without_ranges_starts_over(self, server: Server, tmp_path: Path) -> None:
        server.takes_ranges, server.cuts = False, [PIECE]
        assert fetch(of(server, size=len(CONTENT)), tmp_path / "file") == CONTENT

    def test_server_without_ranges_that_always_cuts_ends(
        self, server: Server, tmp_path: Path
    ) -> None:
        server.takes_ranges, server.cuts = False, [PIECE] * 99
        ours = r"file: the connection failed \(\w+\) \(5 attempts\).*the same command goes on"
        with pytest.raises(DownloadError, match=ours):
            fetch(of(server), tmp_path / "file")
        assert len(server.seen) == 6

    def test_without_validator_only_a_checksum_lets_it_go_on(
        self, server: Server, tmp_path: Path
    ) -> None:
        server.validators, server.cuts = {}, [PIECE, 2 * PIECE]
        assert fetch(of(server), tmp_path / "a") == CONTENT
        assert [asked for _, asked in server.seen] == [None, None, None]
        server.cuts = [PIECE]
        assert fetch(of(server, checksum=MD5), tmp_path / "b") == CONTENT
        assert server.seen[-1] == ("/file", f"bytes={PIECE}-")

    def test_whole_part_needs_no_more_bytes(self, server: Server, tmp_path: Path) -> None:
        for size, asked in ((len(CONTENT), []), (None, [("/file", f"bytes={len(CONTENT)}-")])):
            interrupted(server, tmp_path, CONTENT)
            assert fetch(of(server, size=size), tmp_path / "file") == CONTENT
            assert server.seen == asked

    def test_part_longer_than_the_file_starts_over(self, server: Server, tmp_path: Path) -> None:
        interrupted(server, tmp_path, CONTENT + b"more")
        assert fetch(of(server), tmp_path / "file") == CONTENT

    def test_errors_of_the_server_pass(self, server: Server, tmp_path: Path) -> None:
        server.statuses = [500, 503, 429]
        assert fetch(of(server), tmp_path / "file") == CONTENT

    def test_errors_that_do_not_pass_end(self, server: Server, tmp_path: Path) -> None:
        server.statuses = [500] * 99
        with pytest.raises(DownloadError, match=r"the server says 500 .*5 attempts"):
            fetch(of(server), tmp_path / "file")
        assert leftovers(tmp_path) == []

    def test_absent_file_is_not_asked_for_again(self, server: Server, tmp_path: Path) -> None:
        with pytest.raises(DownloadError, match=r"/nothing: the server says 404 .* from a mirror"):
            fetch(of(server, "/nothing"), tmp_path / "file")
        assert len(server.seen) == 1

    def test_silent_server_is_asked_again(self, server: Server, tmp_path: Path) -> None:
        server.silent_s = 0.5
        assert fetch(of(server), tmp_path / "file", timeout_s=0.1) == CONTENT
        assert len(server.seen) == 2

    def test_unreachable_server(self, tmp_path: Path) -> None:
        nobody = Download(url="http://127.0.0.1:9/file", file="file")
        with pytest.raises(DownloadError, match="5 attempts"):
            fetch(nobody, tmp_path / "file")

    def test_wrong_checksum_leaves_nothing(self, server: Server, tmp_path: Path) -> None:
        wrong = "sha256:" + "0" * 64
        with pytest.raises(DownloadError, match=rf"is not the released file: .* {wrong} was expec"):
            fetch(of(server, checksum=wrong), tmp_path / "file")
        assert leftovers(tmp_path) == []

    @pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1])
    def test_wrong_size_is_told_before_a_byte_is_fetched(
        self, server: Server, tmp_path: Path, size: int
    ) -> None:
        with pytest.raises(DownloadError, match=rf"it has 1,048,576 bytes, {size:,} were expected"):
            fetch(of(server, size=size), tmp_path / "file")
        assert leftovers(tmp_path) == []

    def test_full_disk_is_told_before(
        self, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_fetch.shutil, "disk_usage", lambda _: _Disk(free=9))
        with pytest.raises(DownloadError, match=r"needs 1,048,576 bytes, and .* has 9 free"):
            fetch(of(server), tmp_path / "file")

    def test_redirect_is_followed(self, server: Server, tmp_path: Path) -> None:
        assert fetch(of(server, "/moved"), tmp_path / "file") == CONTENT

    def test_plain_http_is_refused_also_behind_a_redirect(
        self, server: Server, tmp_path: Path
    ) -> None:
        for url in ("http://example.org/file", "ftp://127.0.0.1/file", f"{server.url}/astray"):
            with pytest.raises(DownloadError, match="is not https: not fetched"):
                fetch(Download(url=url, file="file"), tmp_path / "file")

    def test_killed_process_leaves_what_the_next_goes_on_from(
        self, server: Server, tmp_path: Path
    ) -> None:
        server.pause_s = 0.05
        code = (
            "from pathlib import Path; from rs_gpt4v_builders.sources.source import Download; "
            "from rs_gpt4v_builders.download.fetch import fetch; "
            f"fetch(Download(url={of(server).url!r}, file='file'), Path({str(tmp_path)!r}, 'file'))"
        )
        child = subprocess.Popen([sys.executable, "-c", code])
        part = tmp_path / "file.part"
        while not (part.is_file() and part.stat().st_size):
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
        kept = part.stat().st_size
        assert leftovers(tmp_path) == ["file.part", "file.part.json"]
        server.pause_s = 0.0
        assert fetch(of(server), tmp_path / "file") == CONTENT
        assert server.seen == [("/file", None), ("/file", f"bytes={kept}-")]


class _Disk:
    def __init__(self, free: int) -> None:
        self.free = free


def interrupted(server: Server, folder: Path, fetched: bytes = CONTENT[:100_000]) -> None:
    """Leave in ``folder`` what a fetch leaves that ended after these bytes."""
    (folder / "file.part").write_bytes(fetched)
    note = {"url": of(server).url, "validator": '"one"'}
    (folder / "file.part.json").write_text(json.dumps(note))


def test_checksums_are_those_of_git_and_of_hashlib(tmp_path: Path) -> None:
    path = tmp_path / "hello"
    path.write_bytes(b"hello\n")
    assert checksum(path, "git") == "git:ce013625030ba8dba906f756967f9e9ca394464a"
    for kind in ("md5", "sha256"):
        assert checksum(path, kind) == f"{kind}:{hashlib.new(kind, path.read_bytes()).hexdigest()}"


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, members: dict[str, bytes], *special: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for entry in special:
            archive.addfile(entry)
    return path


def special(name: str, kind: bytes, leads_to: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, leads_to
    return entry


GOOD = {"imgs/1.tif": b"one", "imgs/deep/2.tif": b"two"}


class TestUnpack:
    @pytest.mark.parametrize("pack", [zipped, tarred])
    @pytest.mark.parametrize("top", ["imgs/", "other name/", ""])
    def test_becomes_the_folder_whatever_its_top_is(
        self, tmp_path: Path, pack: Any, top: str
    ) -> None:
        members = {name.replace("imgs/", top): content for name, content in GOOD.items()}
        suffix = {zipped: "a.zip", tarred: "a.tar.gz"}[pack]
        unpack(pack(tmp_path / suffix, members), tmp_path / "imgs")
        found = {
            str(path.relative_to(tmp_path)): path.read_bytes()
            for path in (tmp_path / "imgs").rglob("*.tif")
        }
        assert found == GOOD
        assert leftovers(tmp_path) == [suffix, "imgs"]

    def test_folder_of_the_name_is_taken_from_among_others(self, tmp_path: Path) -> None:
        archive = zipped(tmp_path / "a.zip", GOOD | {"__MACOSX/._1.tif": b"none of it"})
        unpack(archive, tmp_path / "imgs")
        assert leftovers(tmp_path / "imgs") == ["1.tif", "deep"]

    @pytest.mark.parametrize("name", ["../evil", "imgs/../../evil", "/absolute/evil"])
    @pytest.mark.parametrize("pack", [zipped, tarred])
    def test_nothing_is_written_outside(self, tmp_path: Path, pack: Any, name: str) -> None:
        folder = tmp_path / "root"
        folder.mkdir()
        name = name.replace("/absolute", str(tmp_path))
        archive = pack(folder / {zipped: "a.zip", tarred: "a.tar"}[pack], GOOD | {name: b"evil"})
        with suppress(UnpackError):
            unpack(archive, folder / "imgs")
        assert leftovers(tmp_path) == ["root"]

    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
    def test_link_out_or_device_in_a_tar_is_refused(self, tmp_path: Path, kind: bytes) -> None:
        entry = special("imgs/evil", kind, "../../outside")
        self.refuses(tarred(tmp_path / "a.tar", GOOD, entry), "is damaged: ")

    @pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
    def test_cut_archive_is_damaged(self, tmp_path: Path, name: str) -> None:
        pack = zipped if name == "a.zip" else tarred
        archive = pack(tmp_path / name, {"imgs/1.tif": os.urandom(40_000)})
        archive.write_bytes(archive.read_bytes()[:20_000])
        self.refuses(archive, "is damaged: .* Delete it")

    def test_rar_names_a_tool(self, tmp_path: Path) -> None:
        (tmp_path / "a.rar").write_bytes(b"Rar!")
        self.refuses(tmp_path / "a.rar", "is neither zip nor tar.*unar")

    def test_leftovers_of_a_kill_are_cleared(self, tmp_path: Path) -> None:
        (tmp_path / ".unpacking-a.zip/imgs").mkdir(parents=True)
        (tmp_path / ".unpacking-a.zip/imgs/half.tif").touch()
        unpack(zipped(tmp_path / "a.zip", GOOD), tmp_path / "imgs")
        assert leftovers(tmp_path / "imgs") == ["1.tif", "deep"]

    def test_full_disk_is_told_before(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_fetch.shutil, "disk_usage", lambda _: _Disk(free=3))
        with pytest.raises(DownloadError, match=r"a.zip, unpacked, needs 6 bytes"):
            unpack(zipped(tmp_path / "a.zip", GOOD), tmp_path / "imgs")

    def refuses(self, archive: Path, why: str) -> None:
        with pytest.raises(UnpackError, match=why):
            unpack(archive, archive.parent / "imgs")
        assert leftovers(archive.parent) == [archive.name]


@pytest.fixture
def source(server: Server, tmp_path: Path) -> Source:
    """UCM-Captions, as if this server had it."""
    archive = zipped(tmp_path / "packed.zip", {"imgs/1.tif": b"one", "imgs/2.tif": b"two"})
    server.files |= {"/dataset.json": b"{}", "/imgs.zip": archive.read_bytes()}
    md5 = hashlib.md5(b"{}").hexdigest()
    return replace(
        ucm_captions.SOURCE,
        image_count=2,
        downloads=(
            Download(
                url=f"{server.url}/dataset.json", file="dataset.json", size=2, checksum=f"md5:{md5}"
            ),
            Download(url=f"{server.url}/imgs.zip", file="imgs.zip", unpack="imgs"),
        ),
    )


def outcomes(source: Source, root: Path, **options: Any) -> list[str]:
    return [done.outcome for done in carry_out(plan([source], root), root, **options)]


class TestDownload:
    def test_release_is_laid_out_and_then_left_alone(
        self, server: Server, source: Source, tmp_path: Path
    ) -> None:
        root = tmp_path / "root"
        assert outcomes(source, root) == ["fetched", "fetched"]
        assert leftovers(root / "UCM_captions") == ["dataset.json", "imgs"]
        assert inventory.inventory(root, [source])[0].status == "found"
        assert outcomes(source, root) == ["there", "there"]
        assert [path for path, _ in server.seen] == ["/dataset.json", "/imgs.zip"]

    def test_archive_is_kept_where_asked_for(self, source: Source, tmp_path: Path) -> None:
        outcomes(source, tmp_path / "root", keep_archives=True)
        assert (tmp_path / "root/UCM_captions/imgs.zip").is_file()

    def test_archive_that_is_there_is_unpacked_and_kept(
        self, server: Server, source: Source, tmp_path: Path
    ) -> None:
        folder = tmp_path / "root/UCM_captions"
        folder.mkdir(parents=True)
        (folder / "imgs.zip").write_bytes(server.files["/imgs.zip"])
        done = list(carry_out(plan([source], tmp_path / "root"), tmp_path / "root"))
        assert [one.outcome for one in done] == ["fetched", "there"]
        assert done[1].remark.endswith("unpacked; the archive may be deleted")
        assert leftovers(folder) == ["dataset.json", "imgs", "imgs.zip"]
        assert leftovers(folder / "imgs") == ["1.tif", "2.tif"]

    def test_other_spellings_of_folder_and_images_are_used(
        self, source: Source, tmp_path: Path
    ) -> None:
        folder = tmp_path / "root/UCM-Captions"
        (folder / "images").mkdir(parents=True)
        (folder / "images/1.tif").touch()
        (folder / "dataset.json").write_text("{}")
        done = list(carry_out(plan([source], tmp_path / "root"), tmp_path / "root"))
        assert [one.outcome for one in done] == ["there", "there"]
        assert "with 1 of 2 images: move it away" in done[1].remark
        assert leftovers(tmp_path / "root") == [".rs_gpt4v_download.lock", "UCM-Captions"]

    def test_file_of_the_users_own_is_left_alone_and_the_rest_fetched(
        self, source: Source, tmp_path: Path
    ) -> None:
        own = tmp_path / "root/UCM_captions/dataset.json"
        own.parent.mkdir(parents=True)
        own.write_text('{"mine": 1}')
        done = list(carry_out(plan([source], tmp_path / "root"), tmp_path / "root"))
        assert [one.outcome for one in done] == ["kept", "fetched"]
        assert "it has 11 bytes, 2 were expected. Move it away" in done[0].remark
        assert own.read_text() == '{"mine": 1}'

    def test_what_is_not_verified_is_told(self, source: Source, tmp_path: Path) -> None:
        done = list(carry_out(plan([source], tmp_path / "root"), tmp_path / "root"))
        assert done[0].remark == "fetched (size and checksum right)"
        assert done[1].remark == "fetched (size and checksum unknown: not verified), unpacked"

    def test_two_at_once_fetch_each_file_once(
        self, server: Server, source: Source, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        server.pause_s = 0.1
        done: list[list[str]] = []
        both = [
            threading.Thread(target=lambda: done.append(outcomes(source, tmp_path / "root")))
            for _ in range(2)
        ]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        assert sorted(done) == [["fetched", "fetched"], ["there", "there"]]
        assert len(server.seen) == 2
        assert "is at work: waiting for it" in caplog.text

    def test_dry_run_fetches_nothing(self, server: Server, source: Source, tmp_path: Path) -> None:
        said = describe(plan([source], tmp_path / "root"))
        assert "dataset.json  from http://127.0.0.1" in said
        assert "(2 bytes, checked with md5:" in said
        assert said.endswith("2 to fetch: at least 2 bytes")
        assert not server.seen
        assert not (tmp_path / "root").exists()
        outcomes(source, tmp_path / "root")
        assert describe(plan([source], tmp_path / "root")).endswith("\nnothing to fetch")


class TestCommand:
    def run(self, *arguments: str | Path) -> Any:
        return CliRunner().invoke(app, ["download", *map(str, arguments)], catch_exceptions=False)

    def test_says_what_came_and_what_is_there_now(
        self, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inventory, "all_sources", lambda: [source])
        result = self.run("ucm_captions", "--data-dir", tmp_path / "root")
        assert result.exit_code == 0
        assert "UCM_captions/dataset.json: fetched (size and checksum right)" in result.output
        assert "found     UCM-Captions" in result.output
        (tmp_path / "root/UCM_captions/dataset.json").write_text("mine")
        assert self.run("ucm_captions", "--data-dir", tmp_path / "root").exit_code == 1

    def test_source_without_address_says_where_to_get_it(self, tmp_path: Path) -> None:
        result = self.run("cap_ucm", "--data-dir", tmp_path / "root")
        assert "https://mega.nz" in result.output
        assert "by hand   all of it" in result.output
        dry = self.run("cap_ucm", "--data-dir", tmp_path / "root", "--dry-run")
        assert "nothing has a stable public address" in dry.output

    def test_unknown_name_has_a_suggestion(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="Did you mean rsvqa_lr"):
            self.run("rsvqa-lr", "--data-dir", tmp_path)


def test_what_has_no_address_is_not_done(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["download", "cap_sydney", "--data-dir", str(tmp_path)])
    assert told.exit_code == 1
    assert "Incomplete" in told.stderr
    assert "sydney_captions" in told.stderr


@pytest.mark.parametrize("note", ["[]", '{"url": 7}', '{"url": "u", "validator": {}}', "\\ud800"])
def test_a_broken_note_is_none(note: str, tmp_path: Path) -> None:
    part = _fetch.Part(tmp_path / "file")
    part.note.write_text(note)
    assert part.validator("u") is None
