"""The page to try a model: what is asked of it, what is refused, and what a browser shows."""

import http.client
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from rs_gpt4v.cli import app
from rs_gpt4v.images import Conversion
from rs_gpt4v_evaluation.chat.server import LARGEST_IMAGE, ChatServer
from rs_gpt4v_evaluation.chat.session import ChatSession, Example, sample_examples


class Model:
    """Answers each question with the next of ``replies``, and keeps what it was asked."""

    name, adapter = "a/model", "an/adapter"

    def __init__(self, *replies: str | Exception, tasks: list[str] | None = None) -> None:
        self.all_replies, self.asked = list(replies), []
        config = SimpleNamespace(routing="task" if tasks else "token", tasks=tasks)
        self.model = SimpleNamespace(peft_config={"default": config})

    def replies(self, conversations: list[dict[str, Any]]) -> list[str]:
        self.asked += conversations
        reply = self.all_replies[len(self.asked) - 1]
        if isinstance(reply, Exception):
            raise reply
        return [reply]

    def why_not_without_image(self) -> str | None:
        return "a toy model answers no question without an image"


def png(size: tuple[int, int] = (200, 100), **options: Any) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, (10, 120, 60)).save(content, "PNG", **options)
    return content.getvalue()


class Client:
    def __init__(self, server: ChatServer) -> None:
        self.server = server

    def request(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=20)
        connection.request(method, f"/{self.server.token}/{path}", body, named)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        is_json = response.headers["Content-Type"] == "application/json"
        return response.status, json.loads(content) if is_json else content

    def get(self, path: str) -> tuple[int, Any]:
        return self.request("GET", path)

    def add(self, content: bytes) -> tuple[int, Any]:
        return self.request("POST", "image", content, Content_Type="application/octet-stream")

    def ask(self, *texts: str, image: str | None, task: str = "vqa") -> tuple[int, Any]:
        roles = ["user", "assistant"] * len(texts)
        messages = [{"role": r, "content": t} for r, t in zip(roles, texts, strict=False)]
        body = json.dumps({"image": image, "messages": messages, "task": task}).encode()
        return self.request("POST", "ask", body, Content_Type="application/json")


@contextmanager
def serving(model: Any, box_format: str | None = "llava", **options: Any) -> Iterator[Client]:
    session = ChatSession(model, box_format, **options)
    with ChatServer(session) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Client(server)
        finally:
            server.shutdown()
            thread.join()


def test_a_question_reaches_the_model_with_its_image_and_history() -> None:
    model = Model("[0.1, 0.2, 0.5, 0.8]", "Two.")
    with serving(model) as page:
        status, image = page.add(png())
        assert (status, image["width"], image["height"]) == (200, 200, 100)
        status, answer = page.ask("Where?", image=image["image"])
        assert status == 200
        assert answer["reply"] == "[0.1, 0.2, 0.5, 0.8]"
        assert answer["boxes"] == [[20.0, 20.0, 100.0, 80.0]]  # pixels of 200 x 100
        asked = ["Where?", answer["reply"], "How many in [0, 0, 0.5, 0.5]?"]
        status, answer = page.ask(*asked, image=image["image"], task="caption")
        assert answer["boxes"] == []
        assert answer["asked"] == [[0.0, 0.0, 100.0, 50.0]]
    first, second = model.asked
    assert [message["content"] for message in second["messages"][:-1]] == asked
    assert (first["task"], second["task"]) == ("vqa", "caption")
    assert first["images"][0].size == (200, 100)
    assert first["images"][0].mode == "RGB"


def test_no_boxes_are_read_where_the_format_is_not_known() -> None:
    with serving(Model("[0.1, 0.2, 0.5, 0.8]"), None) as page:
        _, image = page.add(png())
        assert page.ask("Where?", image=image["image"])[1]["boxes"] == []
        assert page.get("about")[1]["box_format"] is None


def test_tasks_are_offered_where_the_adapter_routes_by_them() -> None:
    with serving(Model(tasks=["caption", "vqa"])) as page:
        assert page.get("about")[1]["tasks"] == ["caption", "vqa"]
    with serving(Model()) as page:
        assert page.get("about")[1]["tasks"] == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the image cannot be decoded: the file is empty"),
        (b"%PDF-1.7", "is a PDF"),
        (png()[:60], "cannot be decoded"),
        (b"<svg onload=alert(1)>", "no image that can be read here"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(content: bytes, why: str) -> None:
    with serving(Model()) as page:
        status, answer = page.add(content)
        assert status == 415
        assert why in answer["error"]


def test_deep_pixels_need_an_option_which_the_error_names() -> None:
    deep = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 900).save(deep, "PNG")
    with serving(Model()) as page:
        status, answer = page.add(deep.getvalue())
        assert status == 415
        assert "--stretch percentile" in answer["error"]
    model = Model("yes")
    with serving(model, conversion=Conversion(stretch="percentile")) as page:
        _, image = page.add(deep.getvalue())
        assert page.ask("?", image=image["image"])[0] == 200
    assert model.asked[0]["images"][0].getextrema()[0] == (0, 255)


def test_an_image_turned_by_exif_is_turned_for_model_and_page() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    model = Model("[0.0, 0.0, 1.0, 0.5]")
    with serving(model) as page:
        _, image = page.add(png((200, 100), exif=exif))
        assert (image["width"], image["height"]) == (100, 200)
        _, answer = page.ask("Where?", image=image["image"])
        assert answer["boxes"] == [[0.0, 0.0, 100.0, 100.0]]
        shown = Image.open(io.BytesIO(page.get(f"image/{image['image']}")[1]))
    assert shown.size == model.asked[0]["images"][0].size == (100, 200)


def test_the_bytes_of_an_image_are_limited() -> None:
    with serving(Model()) as page:
        kind = {"Content_Type": "application/octet-stream"}
        length = {"Content_Length": str(LARGEST_IMAGE + 1)}
        status, answer = page.request("POST", "image", b"", **kind, **length)
        assert (status, answer["error"]) == (413, "more than 64,000,000 bytes")


def test_old_images_are_forgotten_and_that_is_said() -> None:
    with serving(Model()) as page:
        _, first = page.add(png((50, 50)))
        for side in range(1, 42):
            page.add(png((side, 10)))
        status, answer = page.ask("?", image=first["image"])
    assert (status, answer["error"]) == (404, "the image is not here any more: add it again")


@pytest.mark.parametrize(
    ("texts", "status", "why"),
    [
        (["a <image> b"], 400, "<image>"),
        ([" "], 400, "is empty"),
        (["a", "b"], 400, "assistant"),
    ],
)
def test_what_is_no_question_is_refused(texts: list[str], status: int, why: str) -> None:
    with serving(Model()) as page:
        _, image = page.add(png())
        got, answer = page.ask(*texts, image=image["image"])
        assert (got, why in answer["error"]) == (status, True), answer


def test_a_question_without_an_image_is_refused_where_the_model_needs_one() -> None:
    with serving(Model()) as page:
        status, answer = page.ask("Where?", image=None)
    assert status == 400
    assert answer["error"].endswith("without an image: add an image first")


def test_what_the_model_raises_is_said_and_the_next_question_answered() -> None:
    with serving(Model(RuntimeError("CUDA out of memory"), "yes")) as page:
        _, image = page.add(png())
        status, answer = page.ask("Where?", image=image["image"])
        assert (status, "CUDA out of memory" in answer["error"]) == (500, True)
        assert page.ask("Where?", image=image["image"])[1]["reply"] == "yes"


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}],
)
def test_other_sites_are_refused(headers: dict[str, str]) -> None:
    with serving(Model()) as page:
        for method, path in (("GET", "about"), ("POST", "ask"), ("POST", "image")):
            assert page.request(method, path, None, **headers)[0] == 403
        assert page.server.server_address[0] == "127.0.0.1"


def test_paths_reach_nothing_but_the_page() -> None:
    with serving(Model()) as page:
        for path in ("image/../../etc/passwd", "image//etc/passwd", "__init__.py", "x"):
            assert page.get(path)[0] == 404, path
        assert page.get("")[1].startswith(b"<!doctype html>")


def test_the_sample_has_an_example_of_each_kind() -> None:
    examples = sample_examples("qwen2_5_vl")
    assert [example.task for example in examples] == [
        *("caption", "vqa", "vqa", "grounding", "region_caption", "detail")
    ]
    assert '"bbox_2d"' in examples[3].truth


def test_the_embedded_model_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the command, one real question over the network of this machine."""
    said: dict[str, Any] = {}
    really = ChatServer.serve_forever

    def serve(server: ChatServer) -> None:
        thread = threading.Thread(target=really, args=(server, 0.01))
        thread.start()
        client = Client(server)
        said["about"] = client.get("about")[1]
        said["image"] = client.add(png((160, 160)))[1]
        said["answer"] = client.ask("Is there a road?", image=said["image"]["image"])
        server.shutdown()
        thread.join()
        raise KeyboardInterrupt

    monkeypatch.setattr(ChatServer, "serve_forever", serve)
    result = CliRunner().invoke(app, ["chat", "embedded", "--max-new-tokens", "8", "--no-examples"])
    assert result.exit_code == 0, result.output
    status, answer = said["answer"]
    assert (status, bool(answer["reply"])) == (200, True)
    assert said["about"]["box_format"] == "llava"
    assert "http://127.0.0.1:" in result.output
    assert "encrypted" not in result.output


def test_another_host_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChatServer, "serve_forever", lambda _: None)
    monkeypatch.setattr("rs_gpt4v.cli.evaluation.load_predictor", lambda *_: Model())
    given = ["chat", "m", "--no-examples", "--box-format", "llava", "--host"]
    result = CliRunner().invoke(app, [*given, "0.0.0.0"], catch_exceptions=False)
    assert "can use the model and see what is sent" in " ".join(result.output.split())


class TestBrowser:
    """Chromium; nothing may be asked of any other address."""

    @contextmanager
    def opened(self, browser: Any, page: Client, **options: Any) -> Iterator[Any]:
        tab = browser.new_page(**options)
        tab.set_default_timeout(20_000)
        asked: list[str] = []
        wrong: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        try:
            tab.goto(page.server.url)
            yield tab
        finally:
            tab.close()
        assert not wrong
        assert not [url for url in asked if not url.startswith(("data:", page.server.url))]

    def test_an_example_is_one_click_and_goes_on(self, browser: Any) -> None:
        model = Model("[0.1, 0.2, 0.5, 0.8]", "<b>Two</b>", tasks=["caption", "grounding"])
        example = Example(png(), "Where is it?", "[0.1, 0.2, 0.5, 0.9]", "grounding")
        with (
            serving(model, examples=[example]) as page,
            self.opened(browser, page) as tab,
        ):
            tab.click("#examples button")
            tab.wait_for_selector(".assistant .about")
            points = tab.get_attribute("#boxes .said .over", "points")
            assert points == "20 20 100 20 100 80 20 80"
            assert "true answer: [0.1, 0.2, 0.5, 0.9]" in tab.inner_text("#log")
            tab.fill("#question", "How many?")
            tab.press("#question", "Enter")
            tab.wait_for_selector(".assistant .about >> nth=1")
            assert "<b>Two</b>" in tab.inner_text("#log")  # words stay words
            assert tab.locator("#boxes polygon").count() == 0
            tab.click("text=1 box")
            assert tab.locator("#boxes .over").count() == 1
            tab.click("#clear")
            assert tab.locator(".turn").count() == 0
        assert [one["task"] for one in model.asked] == ["grounding", "grounding"]
        assert len(model.asked[1]["messages"]) == 4

    def test_a_file_is_added_and_what_cannot_be_used_is_said(
        self, browser: Any, tmp_path: Path
    ) -> None:
        (tmp_path / "a.png").write_bytes(png())
        (tmp_path / "b.png").write_bytes(b"no image")
        model = Model(RuntimeError("out of memory"), "yes")
        with serving(model) as page, self.opened(browser, page, color_scheme="dark") as tab:
            tab.set_input_files("#file", tmp_path / "b.png")
            tab.wait_for_selector(".wrong")
            assert "no image that can be read here" in tab.inner_text(".wrong")
            tab.set_input_files("#file", tmp_path / "a.png")
            tab.wait_for_selector("#picture.full")
            tab.fill("#question", "Is it?")
            tab.click("#ask")
            tab.wait_for_selector(".wrong")
            assert "out of memory" in tab.inner_text(".wrong")
            assert tab.input_value("#question") == "Is it?"  # to ask again
            tab.click("#ask")
            tab.wait_for_selector(".assistant .about")
        assert [len(one["messages"]) for one in model.asked] == [2, 2]

    def test_a_phone_shows_all_without_scrolling_sideways(self, browser: Any) -> None:
        examples = [Example(png(), f"Question {i}?", "yes", "vqa") for i in range(6)]
        phone = {"viewport": {"width": 360, "height": 740}}
        with (
            serving(Model("yes " * 200), examples=examples) as page,
            self.opened(browser, page, **phone) as tab,
        ):
            tab.click("#examples button")
            tab.wait_for_selector(".assistant .about")
            width = tab.locator("html").bounding_box()["width"]
            assert width == 360
            assert tab.locator("#ask").bounding_box()["x"] < 360
