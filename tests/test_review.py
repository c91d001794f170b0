"""Reviews: what the server lets in, what is saved when, and what two reviewers come to."""

import http.client
import io
import json
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from review_queue import candidate, draw, write_queue
from typer.testing import CliRunner

from rs_gpt4v.agreement import kappa
from rs_gpt4v.cli import app
from rs_gpt4v.files import InUseError, OverwriteError
from rs_gpt4v.images import FOR_THE_EYE, ImageError, web_file
from rs_gpt4v.reviews import ReviewsError, read_decisions, standing
from rs_gpt4v_generation.candidates import EmptyQueueError, digest, read_queue, with_images
from rs_gpt4v_generation.review.decisions import opened
from rs_gpt4v_generation.review.reconcile import counts, reconcile
from rs_gpt4v_generation.review.server import LONGEST_SIDE, ReviewServer, reviewing
from rs_gpt4v_generation.review.session import pace

IDS = [candidate(number)["id"] for number in range(4)]


class Page:
    """What a browser's page would send, and what it gets."""

    def __init__(self, server: ReviewServer) -> None:
        self.server = server
        self.host = f"127.0.0.1:{server.server_port}"

    def ask(
        self, path: str, body: object = None, *, below: str | None = None, **headers: str
    ) -> tuple[int, Any]:
        """Status and JSON (or bytes) of a path below the token, or below ``below``."""
        sent = {"Host": self.host} | {name.replace("_", "-"): v for name, v in headers.items()}
        data = body if isinstance(body, bytes) else body and json.dumps(body).encode()
        if data:
            sent = {"Content-Type": "application/json"} | sent
        root = f"/{self.server.token}/" if below is None else below
        host, port = self.host.split(":")
        with closing(http.client.HTTPConnection(host, int(port), timeout=10)) as connection:
            connection.request("POST" if data else "GET", root + path, data, sent)
            response = connection.getresponse()
            self.headers, content = response.headers, response.read()
        is_json = response.headers["Content-Type"] == "application/json"
        return response.status, json.loads(content) if is_json else content

    def decide(self, row_id: str | None, decision: str, **more: object) -> tuple[int, Any]:
        return self.ask("decide", {"id": row_id, "decision": decision, **more})


@contextmanager
def page_of(queue: Path, **options: Any) -> Iterator[Page]:
    with reviewing(queue, options.pop("reviewer", "ann"), **options) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield Page(server)
        finally:
            server.shutdown()
            serving.join()


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    return write_queue(tmp_path, [candidate(number) for number in range(4)])


@pytest.fixture
def page(queue: Path) -> Iterator[Page]:
    with page_of(queue) as page:
        yield page


def reviews_of(queue: Path, reviewer: str = "ann") -> Path:
    return queue.with_name(f"queue.jsonl.reviews.{reviewer}.jsonl")


class TestQueue:
    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("{", "not JSON"),
            ("[]", "it is []; expected an object"),
            ('{"id": "x", "width": NaN}', "it lacks image"),
            ({"width": 0}, "width is 0; expected greater than 0"),
            (
                {"product": "poem"},
                "product is 'poem'; expected 'conversation', 'reasoning', 'detail' or 'planning'",
            ),
            (
                {"boxes": [{"label": "x", "points": [1, 2], "kind": "hbb"}]},
                "boxes[0] is {'kind': 'hbb', 'label': 'x', 'points': [1, 2]}; expected 4 numbers",
            ),
            (
                {"boxes": [{"label": "x", "points": [1, 2, 3, 4], "kind": "obb"}]},
                "expected 4 numbers of an hbb, 8 of an obb",
            ),
            ({"boxes": [{"label": "x", "points": [1, 2, 3, 1e999], "kind": "hbb"}]}, "a finite"),
            ({"verdicts": [candidate(0)["verdicts"][0] | {"result": "maybe"}]}, "cannot tell"),
            ({"verdicts": [candidate(0)["verdicts"][0] | {"turn": 2}]}, "on turn 2 of 2"),
            ({"messages": []}, "it has no messages"),
            ({"messages": candidate(0)["messages"][:1]}, "do not go user, assistant"),
            ({"messages": [{"role": "user"}]}, "it lacks messages[0].content; it has role"),
            ({"id": IDS[0]}, "occurs twice"),
        ],
    )
    def test_line_that_is_no_candidate_is_told_and_left_out(
        self, tmp_path: Path, line: Any, said: str
    ) -> None:
        bad = line if isinstance(line, str) else candidate(9, **line)
        queue = read_queue(write_queue(tmp_path, [candidate(0), "", bad, candidate(1)]))
        assert [one["id"] for one in queue.candidates] == IDS[:2]
        (problem,) = queue.problems
        assert problem.startswith(f"{tmp_path / 'queue.jsonl'}, line 3: ")
        assert said in problem

    def test_field_that_lacks_is_named(self, tmp_path: Path) -> None:
        bad = candidate(1)
        del bad["verdicts"], bad["width"]
        queue = read_queue(write_queue(tmp_path, [candidate(0), bad]))
        assert "line 2: it lacks width, verdicts; it has id, image" in queue.problems[0]

    def test_nothing_to_review_is_an_error_with_the_first_problem(self, tmp_path: Path) -> None:
        with pytest.raises(EmptyQueueError, match=r"line 1: not JSON"):
            read_queue(write_queue(tmp_path, ["{"]))

    def test_image_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        rows = [candidate(0), candidate(1, image="gone.png")]
        queue = with_images(read_queue(write_queue(tmp_path, rows)))
        assert [one["id"] for one in queue.candidates] == IDS[:1]
        assert f"its image is not at {tmp_path / 'gone.png'}; --images" in queue.problems[0]

    def test_images_are_looked_for_in_the_folder_that_is_given(self, queue: Path) -> None:
        other = queue.parent / "elsewhere"
        other.mkdir()
        (queue.parent / "scene.png").rename(other / "scene.png")
        with page_of(queue, images=other) as page:
            assert page.ask("image/0")[0] == 200

    def test_digest_is_of_what_is_judged(self) -> None:
        first: Any = candidate(0)
        assert digest(first) == digest(first | {"verdicts": [], "model": "other"})
        for change in ({"messages": candidate(1)["messages"]}, {"boxes": []}, {"width": 5}):
            assert digest(first) != digest(first | change)


class TestServer:
    def test_page_and_its_files(self, page: Page) -> None:
        for path, kind in (("", "html"), ("review.js", "javascript"), ("review.css", "css")):
            assert page.ask(path)[0] == 200
            assert kind in page.headers["Content-Type"]
            policy = page.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
            assert "unsafe" not in policy
            assert page.headers["X-Content-Type-Options"] == "nosniff"

    @pytest.mark.parametrize("path", ["overview", "item/0", "image/0", "select", "", "decide"])
    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "evil.example"},
            {"Host": "evil.example:80"},
            {"Host": "127.0.0.1"},
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:1"},
            {"Sec_Fetch_Site": "cross-site"},
            {"Sec_Fetch_Site": "same-site"},
        ],
        ids=str,
    )
    def test_other_sites_are_refused(
        self, page: Page, queue: Path, path: str, headers: dict[str, str]
    ) -> None:
        body = {"id": IDS[0], "decision": "accept"} if path == "decide" else None
        status, answer = page.ask(path, body, **headers)
        assert status == 403
        assert "evil" not in answer["error"]
        assert reviews_of(queue).read_bytes() == b""

    @pytest.mark.parametrize(
        "request_line",
        [
            b"\r\n", b"GET\r\n", b"\x16\x03\x01\x02\r\n", b"GET / HTTP/x\r\n", b"FOO / HTTP/1.1",
            b"GET http://[::1/ HTTP/1.1\r\nHost: HOST\r\n",
            b"GET /\xff\xfe//[ HTTP/1.1\r\nHost: HOST\r\n",
            b"GET " + b"a" * 70_000 + b" HTTP/1.1\r\n",
        ],
    )  # fmt: skip
    def test_broken_requests_leave_no_traceback(
        self, page: Page, request_line: bytes, capsys: pytest.CaptureFixture[str]
    ) -> None:
        host, port = page.host.split(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(request_line.replace(b"HOST", page.host.encode()) + b"\r\n")
            connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):  # closed with bytes of ours unread
                while connection.recv(4096):
                    pass
        assert page.ask("overview")[0] == 200
        assert "Traceback" not in capsys.readouterr().err

    @pytest.mark.parametrize("body", [b'{"id": "\\ud800"}', b"[1]", b"[" * 9_999, b"9" * 5_000])
    def test_a_decision_that_could_not_be_read_again_is_refused(
        self, page: Page, queue: Path, body: bytes
    ) -> None:
        told = {"id": IDS[0], "decision": "reject", "reason": "\ud800"}
        for each in (body, told):
            status, answer = page.ask("decide", each)
            assert (status, answer["error"][:12]) == (400, "the decision")
        assert page.ask("decide", b"{", Content_Length="9" * 5_000)[0] == 413
        assert reviews_of(queue).read_bytes() == b""

    def test_own_page_is_let_in(self, page: Page) -> None:
        for host in (page.host, page.host.replace("127.0.0.1", "localhost")):
            own = {"Host": host, "Origin": f"http://{host}", "Sec_Fetch_Site": "same-origin"}
            assert page.ask("decide", {"id": IDS[0], "decision": "skip"}, **own)[0] == 200

    @pytest.mark.parametrize("below", ["/", "/wrong/", "//"])
    def test_token_is_needed(self, page: Page, below: str) -> None:
        for path in ("", "overview", "image/0"):
            assert page.ask(path, below=below)[0] == 403
        assert page.ask("decide", {"id": IDS[0], "decision": "skip"}, below=below)[0] == 403

    def test_it_listens_on_this_machine_alone(self, page: Page) -> None:
        assert page.server.server_address[0] == "127.0.0.1"

    @pytest.mark.parametrize(
        "path",
        [
            "../queue.jsonl",
            "image/../../queue.jsonl",
            "image/%2e%2e%2fqueue.jsonl",
            "image//etc/passwd",
            "image/-1",
            "image/4",
            "image/%D9%A3",
            "image/99999999999999999999",
            "item/",
            "__init__.py",
            "review.js/",
        ],
    )
    def test_nothing_but_the_queue_is_served(self, page: Page, path: str) -> None:
        assert page.ask(path)[0] == 404

    def test_file_that_is_no_image_is_not_handed_out(self, tmp_path: Path) -> None:
        secret = tmp_path / "secret.txt"
        secret.write_text("password")
        (tmp_path / "link.png").symlink_to(secret)
        rows = [candidate(0, image=str(secret)), candidate(1, image="link.png")]
        with page_of(write_queue(tmp_path, rows)) as page:
            for place in (0, 1):
                status, answer = page.ask(f"image/{place}")
                assert status == 415
                assert "password" not in str(answer)

    @pytest.mark.parametrize(
        ("body", "headers", "status"),
        [
            (b"id=x&decision=accept", {"Content_Type": "text/plain"}, 415),
            (b"id=x", {"Content_Type": "application/x-www-form-urlencoded"}, 415),
            (b"{", {}, 400),
            (b"[]", {}, 400),
            (b"[" * 100_000, {}, 400),
            # Told by its length: what is too long is not read, and sending it would fail half-way.
            (b"{}", {"Content_Length": "1000001"}, 413),
            (b"{}", {"Content_Length": "-1"}, 411),
            ({"id": "unknown", "decision": "accept"}, {}, 404),
            ({"id": ["x"], "decision": "accept"}, {}, 404),
            ({"id": IDS[0], "decision": "maybe"}, {}, 400),
            ({"id": IDS[0], "decision": ["edit"]}, {}, 400),
            ({"id": IDS[0], "decision": "edit"}, {}, 400),
            ({"id": IDS[0], "decision": "edit", "messages": candidate(0)["messages"]}, {}, 400),
            ({"id": IDS[0], "decision": "edit", "messages": candidate(0)["messages"][:1]}, {}, 400),
            ({"id": IDS[0], "decision": "reject", "reason": " "}, {}, 400),
            ({"id": IDS[0], "decision": "reject", "reason": "x" * 501}, {}, 400),
            ({"id": IDS[0], "decision": "undo"}, {}, 400),
            ({"decision": "undo"}, {}, 400),
        ],
    )
    def test_bad_decisions_are_refused_and_not_written(
        self, page: Page, queue: Path, body: object, headers: dict[str, str], status: int
    ) -> None:
        got, answer = page.ask("decide", body, **headers)
        assert (got, bool(answer["error"])) == (status, True)
        assert reviews_of(queue).read_bytes() == b""
        assert page.ask("overview")[0] == 200

    def test_item_has_what_is_shown_and_no_more(self, page: Page) -> None:
        item = page.ask("item/2")[1]
        assert item["candidate"] == {k: v for k, v in candidate(2).items() if k != "note"}
        assert (item["place"], item["decision"], item["changed"]) == (2, None, False)

    @pytest.mark.parametrize(
        ("query", "places"),
        [
            ("", [0, 1, 2, 3]),
            ("result=fail", [0, 1, 3]),
            ("check=relations", [0, 1, 2, 3]),
            ("result=fail&check=relations", []),
            ("product=conversation", [0, 3]),
            ("product=conversation&decision=undecided", [0]),
            ("decision=reject", [3]),
            ("text=HARBOR+scene+1", [1]),
            ("text=dior/00002", [2]),
            ("text=in+the+lower+half&product=detail", [2]),
        ],
    )
    def test_filters(self, tmp_path: Path, query: str, places: list[int]) -> None:
        rows = [candidate(number) for number in range(4)]
        rows[2]["verdicts"] = rows[2]["verdicts"][1:]
        with page_of(write_queue(tmp_path, rows)) as page:
            page.decide(IDS[3], "reject", reason="no")
            assert page.ask(f"select?{query}")[1] == places

    def test_unknown_filter_is_named(self, page: Page) -> None:
        assert page.ask("select?colour=red") == (400, {"error": "there is no filter on colour"})

    def test_port_in_use_is_told(self, page: Page, queue: Path) -> None:
        port = page.server.server_port
        with (
            pytest.raises(OSError, match=f"port {port} of 127.0.0.1 cannot be used"),
            reviewing(queue, "ben", port=port),
        ):
            pass


def sent(path: Path) -> bytes:
    return web_file(path, FOR_THE_EYE, LONGEST_SIDE)[1]


class TestPictures:
    @pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif"])
    def test_what_browsers_know_is_sent_as_it_is(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"scene.{suffix}"
        draw(path)
        kind, content = web_file(path, FOR_THE_EYE, LONGEST_SIDE)
        assert kind == f"{'jpeg' if suffix == 'jpg' else suffix}"
        assert content == path.read_bytes()

    @pytest.mark.parametrize("suffix", ["tif", "bmp"])
    def test_other_images_become_png(self, tmp_path: Path, suffix: str) -> None:
        with page_of(
            write_queue(tmp_path, [candidate(0, image=f"s.{suffix}")], f"s.{suffix}")
        ) as page:
            content = page.ask("image/0")[1]
            assert page.headers["Content-Type"] == "image/png"
        with Image.open(io.BytesIO(content)) as shown, Image.open(tmp_path / f"s.{suffix}") as own:
            assert shown.format == "PNG"
            assert shown.tobytes() == own.convert("RGB").tobytes()

    @pytest.mark.parametrize("kind", [np.uint16, np.float32])
    def test_deep_pixels_are_spread(self, tmp_path: Path, kind: type) -> None:
        deep = np.array([[1000, 2000], [1500, 3000]], kind)
        Image.fromarray(deep).save(tmp_path / "deep.tif")
        with Image.open(io.BytesIO(sent(tmp_path / "deep.tif"))) as shown:
            assert list(shown.tobytes()) == [0, 130, 63, 255]

    def test_long_ones_are_made_smaller(self, tmp_path: Path) -> None:
        Image.new("RGB", (5000, 100)).save(tmp_path / "long.tif")
        with Image.open(io.BytesIO(sent(tmp_path / "long.tif"))) as shown:
            assert shown.size == (4096, 82)

    def test_huge_and_broken_ones_are_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("rs_gpt4v.images.MOST_PIXELS", 1_000_000)
        Image.new("1", (1_000, 1_001)).save(tmp_path / "huge.png")
        draw(tmp_path / "cut.tif")
        (tmp_path / "cut.tif").write_bytes((tmp_path / "cut.tif").read_bytes()[:5000])
        for name in ("huge.png", "cut.tif", "none.png"):
            with pytest.raises(ImageError, match=name):
                sent(tmp_path / name)


class TestSaving:
    def test_each_decision_is_a_line_with_all_that_it_is_about(self, queue: Path) -> None:
        edited = [*candidate(1)["messages"][:1], {"role": "assistant", "content": "Two ships."}]
        with page_of(queue) as page:
            assert page.decide(IDS[0], "accept")[1]["decision"]["decision"] == "accept"
            page.decide(IDS[1], "edit", messages=edited)
            page.decide(IDS[2], "reject", reason="wrong")
            page.decide(IDS[3], "skip")
            lines = [json.loads(line) for line in reviews_of(queue).read_text().splitlines()]
            assert page.ask("overview")[1]["progress"]["counts"] == {
                "accept": 1, "edit": 1, "reject": 1, "skip": 1, "undecided": 0
            }  # fmt: skip
        assert [(one["id"], one["decision"]) for one in lines] == list(
            zip(IDS, ["accept", "edit", "reject", "skip"], strict=True)
        )
        assert (lines[1]["messages"], lines[2]["reason"]) == (edited, "wrong")
        assert all(one["reviewer"] == "ann" and "+00:00" in one["at"] for one in lines)
        assert [one["of"] for one in lines] == [digest(candidate(n)) for n in range(4)]  # type: ignore[arg-type]

    def test_undo_takes_back_the_last_that_stands(self, page: Page) -> None:
        page.decide(IDS[0], "accept")
        page.decide(IDS[1], "accept")
        page.decide(IDS[1], "skip")
        assert page.decide(None, "undo")[1]["decision"]["decision"] == "accept"
        assert page.decide(IDS[0], "undo")[1]["decision"] is None
        assert page.decide(None, "undo")[1]["candidate"]["id"] == IDS[1]
        assert page.decide(None, "undo") == (400, {"error": "there is nothing to undo"})

    def test_goes_on_where_it_was(self, queue: Path) -> None:
        with page_of(queue) as page:
            page.decide(IDS[0], "accept")
            page.decide(IDS[1], "reject", reason="no")
        with page_of(queue) as page:
            overview = page.ask("overview")[1]
            assert overview["first"] == 2
            assert overview["progress"]["counts"]["accept"] == 1
            assert page.ask("item/1")[1]["decision"]["reason"] == "no"

    def test_changed_candidate_is_noticed(self, queue: Path) -> None:
        with page_of(queue) as page:
            page.decide(IDS[0], "accept")
        changed = candidate(0)
        changed["messages"][1]["content"] = "There are two ships."
        write_queue(queue.parent, [changed, *(candidate(number) for number in (1, 2))])
        with page_of(queue) as page:
            assert page.ask("item/0")[1]["changed"]
            assert page.ask("select?decision=changed")[1] == [0]
            assert page.ask("overview")[1]["progress"]["counts"]["undecided"] == 3
            page.decide(IDS[0], "accept")
            assert not page.ask("item/0")[1]["changed"]

    @pytest.mark.parametrize("keep", [1, 20, -2])
    def test_line_that_a_kill_cut_short_is_cut_off(self, queue: Path, keep: int) -> None:
        with page_of(queue) as page:
            page.decide(IDS[0], "accept")
            page.decide(IDS[1], "accept")
        whole = reviews_of(queue).read_bytes()
        first = whole.index(b"\n") + 1
        reviews_of(queue).write_bytes(whole[:first] + whole[first:][:keep])
        with page_of(queue) as page:
            assert reviews_of(queue).read_bytes() == whole[:first]
            page.decide(IDS[2], "skip")
        assert [one["id"] for one in read_decisions(reviews_of(queue))] == [IDS[0], IDS[2]]

    def test_last_line_without_its_newline_is_kept(self, queue: Path) -> None:
        with page_of(queue) as page:
            page.decide(IDS[0], "accept")
        reviews_of(queue).write_bytes(reviews_of(queue).read_bytes().rstrip())
        with page_of(queue) as page:
            page.decide(IDS[1], "accept")
        assert [one["id"] for one in read_decisions(reviews_of(queue))] == IDS[:2]

    def test_broken_line_in_the_midst_stops_it(self, queue: Path) -> None:
        reviews_of(queue).write_text('{"id": "x"}\n{}\n')
        with pytest.raises(ReviewsError, match=r"line 1: it lacks decision, reviewer, at, of"):
            read_decisions(reviews_of(queue))

    def test_full_disk_saves_nothing_and_says_so(self, page: Page, queue: Path) -> None:
        page.decide(IDS[0], "accept")
        before = reviews_of(queue).read_bytes()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 50, hard))
        try:
            status, answer = page.decide(IDS[1], "accept")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert status == 500
        assert answer["error"].startswith("not saved: ")
        assert reviews_of(queue).read_bytes() == before
        assert page.ask("item/1")[1]["decision"] is None
        assert page.decide(IDS[1], "accept")[0] == 200

    def test_two_at_once_are_refused(self, page: Page, queue: Path) -> None:
        with (
            pytest.raises(InUseError, match="another process is writing"),
            reviewing(queue, "ann"),
        ):
            pass
        with reviewing(queue, "ben"):
            assert page.decide(IDS[0], "accept")[0] == 200

    def test_reviews_of_somebody_else_are_refused(self, queue: Path) -> None:
        with page_of(queue) as page:
            page.decide(IDS[0], "accept")
        with pytest.raises(ReviewsError, match="give --reviewer ann"):
            opened(reviews_of(queue), "ben").__enter__()

    def test_name_that_would_leave_the_folder_is_refused(self, queue: Path) -> None:
        with pytest.raises(ValueError, match="use letters"), reviewing(queue, "../ann"):
            pass

    def test_killed_command_keeps_what_it_saved(self, queue: Path) -> None:
        command = [sys.executable, "-m", "rs_gpt4v.cli", "review", queue, "--reviewer", "ann"]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert running.stdout is not None
        with running, running.stdout:
            url = next(line.strip() for line in running.stdout if "http://" in line)
            _, _, host, token, _ = url.split("/")
            connection = http.client.HTTPConnection(host, timeout=10)
            body = json.dumps({"id": IDS[0], "decision": "accept"})
            connection.request(
                "POST", f"/{token}/decide", body, {"Content-Type": "application/json"}
            )
            assert connection.getresponse().status == 200
            running.send_signal(signal.SIGKILL)
            connection.close()
        with page_of(queue) as page:
            assert page.ask("overview")[1]["first"] == 1

    def test_pace_leaves_pauses_out(self) -> None:
        times = ["2025-05-05T10:00:00+00:00", "2025-05-05T10:00:30+00:00"]
        assert pace(times) == 120
        assert pace([*times, "2025-05-05T18:00:00+00:00", "2025-05-05T18:01:30+00:00"]) == 60
        assert pace([]) is None


def decision(number: int, choice: str, reviewer: str, **more: object) -> dict[str, Any]:
    row: Any = candidate(number)
    made = {"id": row["id"], "decision": choice, "reviewer": reviewer, "of": digest(row)}
    reason = {"reason": "wrong"} if choice == "reject" else {}
    return made | {"at": "2025-05-05T10:00:00+00:00"} | reason | more


def write_reviews(queue: Path, reviewer: str, rows: list[dict[str, Any]]) -> Path:
    path = reviews_of(queue, reviewer)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


TWO = [{"role": "user", "content": "How many?"}, {"role": "assistant", "content": "Two."}]
OTHER = [{"role": "user", "content": "How many?"}, {"role": "assistant", "content": "2."}]


class TestReconcile:
    @pytest.fixture
    def two(self, tmp_path: Path) -> tuple[Path, Path, Path]:
        """A queue of ten, what ann and what ben decided on it."""
        queue = write_queue(tmp_path, [candidate(number) for number in range(10)])
        ann = [
            decision(0, "reject", "ann"),
            decision(0, "accept", "ann"),  # the last one counts
            decision(1, "edit", "ann", messages=TWO),
            decision(2, "reject", "ann"),
            decision(3, "accept", "ann"),
            decision(4, "edit", "ann", messages=TWO),
            decision(5, "skip", "ann"),
            decision(6, "accept", "ann"),
            decision(7, "accept", "ann"),
            decision(7, "undo", "ann"),
        ]
        ben = [
            decision(0, "accept", "ben"),
            decision(1, "edit", "ben", messages=TWO),
            decision(2, "reject", "ben", reason="other words"),
            decision(3, "reject", "ben"),
            decision(4, "edit", "ben", messages=OTHER),
            decision(5, "skip", "ben"),
            decision(6, "skip", "ben"),
            decision(8, "accept", "ben", of="an older text"),
            {**decision(0, "accept", "ben"), "id": "gone"},
        ]
        return queue, write_reviews(queue, "ann", ann), write_reviews(queue, "ben", ben)

    def test_every_candidate_is_accounted_for(self, two: tuple[Path, Path, Path]) -> None:
        queue, ann, ben = two
        account = reconcile(queue, [ann, ben], queue.parent / "final.jsonl")
        assert list(account.outcomes.values()) == [
            "accepted", "edited", "rejected", "conflicting", "conflicting",
            "skipped", "accepted", "unreviewed", "unreviewed", "unreviewed",
        ]  # fmt: skip
        assert sum(counts(account).values()) == 10
        assert account.decided_by_one == 1
        assert account.changed == {"ann": [], "ben": [candidate(8)["id"]]}
        assert account.unknown == {"ann": [], "ben": ["gone"]}

    def test_final_dialogues_say_who_decided(self, two: tuple[Path, Path, Path]) -> None:
        queue, ann, ben = two
        account = reconcile(queue, [ann, ben], queue.parent / "out/final.jsonl")
        final = [json.loads(line) for line in account.final.read_text().splitlines()]
        assert [one["id"] for one in final] == [candidate(number)["id"] for number in (0, 1, 6)]
        at = "2025-05-05T10:00:00+00:00"
        assert final[0] == candidate(0) | {
            "reviews": [{"reviewer": n, "decision": "accept", "at": at} for n in ("ann", "ben")]
        }
        assert (final[1]["messages"], final[1]["generated"]) == (TWO, candidate(1)["messages"])
        assert not [path for path in account.final.parent.iterdir() if path.suffix == ".part"]

    def test_conflicts_are_a_queue_for_a_third_look(self, two: tuple[Path, Path, Path]) -> None:
        queue, ann, ben = two
        out = queue.parent / "final.jsonl"
        conflicts = reconcile(queue, [ann, ben], out).conflicts
        assert conflicts is not None
        with page_of(conflicts, reviewer="cy") as page:
            item = page.ask("item/0")[1]["candidate"]
            assert [one["decision"] for one in item["reviews"]] == ["accept", "reject"]
            page.decide(candidate(3)["id"], "reject", reason="ben is right")
            page.decide(candidate(4)["id"], "edit", messages=OTHER)
            said = page.server.session.reviews.path
        account = reconcile(queue, [ann, ben], out, final_say=said)
        assert (account.outcomes[candidate(3)["id"]], account.conflicts) == ("rejected", None)
        assert not conflicts.exists()
        final = [json.loads(line) for line in out.read_text().splitlines()]
        assert [(one["id"][5:10], one["messages"]) for one in final][2] == ("00004", OTHER)
        assert [one["reviewer"] for one in final[2]["reviews"]] == ["ann", "ben", "cy"]
        assert len(account.agreement) == 1  # the third one saw the others' decisions

    def test_agreement_is_as_by_hand(self, two: tuple[Path, Path, Path]) -> None:
        queue, ann, ben = two
        (agreement,) = reconcile(queue, [ann, ben], queue.parent / "f.jsonl").agreement
        assert agreement.reviewers == ("ann", "ben")
        assert agreement.table == [[1, 0, 1], [0, 2, 0], [0, 0, 1]]
        # Of 5, 4 agree; chance: (2*1 + 2*2 + 1*2) / 25 = 0.32 and (4*3 + 1*2) / 25 = 0.56.
        assert agreement.kappa == pytest.approx((0.8 - 0.32) / (1 - 0.32))
        assert agreement.kappa_kept == pytest.approx((0.8 - 0.56) / (1 - 0.56))

    def test_kappa_of_the_textbook(self) -> None:
        """Cohen's example as Wikipedia has it: 20 yes/yes, 5, 10, 15 no/no make 0.4."""
        pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
        assert kappa(pairs) == pytest.approx(0.4)
        assert kappa([("y", "n"), ("n", "y")]) == -1
        assert kappa([]) is None

    def test_undo_beyond_the_first_decision_is_nothing(self) -> None:
        rows: Any = [decision(0, "undo", "ann"), decision(0, "accept", "ann")]
        assert standing(rows)[IDS[0]]["decision"] == "accept"

    def test_inputs_are_never_overwritten(self, two: tuple[Path, Path, Path]) -> None:
        queue, ann, ben = two
        for out in (queue, ann, ben):
            with pytest.raises(OverwriteError, match="would overwrite"):
                reconcile(queue, [ann, ben], out)

    def test_two_files_of_one_reviewer_are_refused(self, two: tuple[Path, Path, Path]) -> None:
        queue, ann, _ = two
        with pytest.raises(ReviewsError, match="is a second file of ann"):
            reconcile(queue, [ann, ann], queue.parent / "f.jsonl")

    def test_verb_prints_the_account(self, two: tuple[Path, Path, Path]) -> None:
        queue = two[0]
        arguments = ["reconcile", *map(str, two), "--out", str(queue.parent / "f.jsonl")]
        said = CliRunner().invoke(app, arguments, catch_exceptions=False).output
        assert "10 candidates\n  accepted           2\n" in said
        assert "kappa of accept, edit, reject: 0.706" in said
        assert f"In conflict: {candidate(3)['id']}, {candidate(4)['id']}" in said
        told = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)
        assert told["counts"]["conflicting"] == 2
