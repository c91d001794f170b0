"""A key reaches no file and no stream, whatever a server does with it."""

import base64
import html
import json
import logging
import re
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

pytest.importorskip("evaluate")

import prediction_lines
from broken_servers import BROKEN, BrokenServer, answer, completion
from chat_server import ChatServer, error
from PIL import Image
from prediction_lines import row
from typer.testing import CliRunner

from rs_gpt4v import chat_api as chat
from rs_gpt4v.chat_api.masking import Mask
from rs_gpt4v.chat_api.pacing import Stop
from rs_gpt4v.cli import app

KEY = "sk-Se/c+R/et\"it's=~0123456789+/abcdefghij"


def forms(key: str) -> set[str]:
    """The halves of ``key`` as they are written in many ways."""
    found: set[str] = set()
    for half in (key[: len(key) // 2], key[len(key) // 2 :]):
        found |= {half, json.dumps(half)[1:-1], half.replace("/", "\\/"), quote(half, safe="")}
        found |= {html.escape(half), half.encode().hex(), "".join(f"&#{ord(c)};" for c in half)}
        for before in range(3):
            encoded = base64.b64encode(b"x" * before + half.encode()).decode()
            core = encoded.rstrip("=")[4:-4]
            found |= {core, core.replace("+", "-").replace("/", "_")}
    return found


def decoded(text: str) -> str:
    """``text`` with its escapes undone twice, without what breaks lines."""
    for _ in range(2):
        text = re.sub(r"\\+u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
        text = html.unescape(unquote(text))
    return text.replace("\\n", "").replace("\\", "").replace("\n", "").replace("\0", "")


def assert_clean(text: str) -> None:
    plain = decoded(text)
    for told in (text, plain, plain.lower()):
        found = [form for form in FORMS if form in told]
        assert not found, f"{found} in {told[:2000]!r}"


FORMS = forms(KEY)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(stop: Stop, seconds: float) -> None:  # noqa: ARG001
        stop.check()

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(Stop, "sleep", at_once)


@pytest.fixture
def predictions(tmp_path: Path) -> Callable[[str], Path]:
    """Writes the answers of a model to three questions."""
    image = tmp_path / "00001.png"
    Image.new("RGB", (8, 8), "green").save(image)

    def write(model: str) -> Path:
        own = {"image": str(image), "prediction": f"A ship, says {model}.", "model": model}
        rows = [row(place, "conversation", **own) for place in range(2)]
        return prediction_lines.write(tmp_path / f"{model}.jsonl", rows, config="conversation")

    return write


@pytest.fixture
def verb(
    predictions: Callable[[str], Path], releases: Path, tmp_path: Path, request: Any
) -> Callable[[str], list[str]]:
    """The command line of a verb, for a server at a URL."""
    out = str(tmp_path / "out")

    def predict(url: str) -> list[str]:
        asked = ["predict", "m", "conversation", "--data-dir", str(releases)]
        return [*asked, "--server", url, "--out", f"{out}/p.jsonl"]

    def generate(url: str) -> list[str]:
        asked = ["generate", "m", "--data-dir", str(releases), "--limit", "1"]
        return [*asked, "--base-url", url, "--out", out]

    def judge(url: str) -> list[str]:
        asked = ["judge", str(predictions("a")), "--judge-model", "m"]
        return [*asked, "--base-url", url, "--out", f"{out}/judged.jsonl"]

    def judge_against(url: str) -> list[str]:
        return [*judge(url), "--against", str(predictions("b"))]

    verbs = {one.__name__: one for one in (predict, generate, judge, judge_against)}
    return verbs[request.param]


class Watch:
    """Runs verbs and finds everything that they said and wrote."""

    def __init__(
        self, folder: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        self.folder, self.caplog, self.capfd = folder, caplog, capfd
        caplog.set_level(logging.DEBUG)

    def run(self, *arguments: str) -> str:
        done = CliRunner().invoke(app, list(arguments))
        said = [done.output, str(done.exception), repr(done.exception)]
        if done.exception:
            said += traceback.format_exception(done.exception)
        out, err = self.capfd.readouterr()
        files = [path for path in self.folder.rglob("*") if path.suffix != ".png"]
        said += [path.read_bytes().decode("latin-1") for path in files if path.is_file()]
        everything = "\n".join([*said, out, err, self.caplog.text])
        assert_clean(everything)
        return everything


@pytest.fixture
def watch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Watch:
    return Watch(tmp_path, caplog, capfd)


VERBS = ("predict", "generate", "judge", "judge_against")


@pytest.mark.parametrize("verb", VERBS, indirect=True)
@pytest.mark.parametrize("kind", BROKEN)
def test_no_broken_server_brings_it_anywhere(
    kind: str, verb: Callable[[str], list[str]], watch: Watch
) -> None:
    with BrokenServer(BROKEN[kind]) as server:
        before = time.monotonic()
        watch.run(*verb(server.url))
        assert time.monotonic() - before < 20
    assert any(f"Authorization: Bearer {KEY}" in head for head in server.heads)


@pytest.mark.parametrize("verb", VERBS, indirect=True)
def test_a_redirect_does_not_carry_it_away(verb: Callable[[str], list[str]], watch: Watch) -> None:
    with ChatServer(lambda _: "reached") as other:
        away = f"Location: {other.url}/chat/completions?{quote(KEY)}\r\n"
        moved = answer(KEY.encode(), "307 Temporary Redirect", more=away)
        with BrokenServer(lambda connection, _: connection.sendall(moved)) as server:
            said = watch.run(*verb(server.url))
    assert not other.headers
    assert "It redirects: give the address where it answers" in said


@pytest.mark.parametrize("verb", ["judge"], indirect=True)
def test_a_server_that_speaks_no_tls(verb: Callable[[str], list[str]], watch: Watch) -> None:
    with BrokenServer(BROKEN["SSH"]) as server:
        said = watch.run(*verb(server.url.replace("http:", "https:")))
    assert "it speaks no TLS there" in said


@pytest.mark.parametrize("verb", ["judge"], indirect=True)
def test_a_report_of_what_was_judged(
    verb: Callable[[str], list[str]], watch: Watch, tmp_path: Path
) -> None:
    text = json.dumps({"reason": f"Because of {KEY}.", "score": 7})
    reply = answer(completion(text, model=KEY))
    with BrokenServer(lambda connection, _: connection.sendall(reply)) as server:
        watch.run(*verb(server.url))
    page = tmp_path / "report.html"
    watch.run("report", str(tmp_path / "out" / "judged.jsonl"), "--out", str(page))
    assert "[key]" in page.read_text()


def test_files_of_a_batch(releases: Path, watch: Watch, tmp_path: Path) -> None:
    out, batch = str(tmp_path / "out"), tmp_path / "batch"
    asked = ["generate", "m", "--data-dir", str(releases), "--limit", "2", "--out", out]
    with BrokenServer(BROKEN["echo"]) as server:
        asked += ["--base-url", server.url]
        watch.run(*asked, "--write-batch", str(batch))
        requests = (batch / "batch_00001.jsonl").read_bytes().splitlines()
        bodies: list[Any] = [
            json.loads(completion(f"{KEY} {quote(KEY)}", model=KEY)),
            {"error": {"message": KEY, "code": KEY}},
        ]
        results = [
            {
                "custom_id": json.loads(line)["custom_id"],
                "response": {"status_code": 200 + 300 * place, "body": body},
            }
            for place, (line, body) in enumerate(zip(requests, bodies, strict=False))
        ]
        output = batch / "output.jsonl"
        content = "".join(json.dumps(result) + "\n" for result in results)
        output.write_text(content.replace("/", "\\/"))
        output = output.rename(tmp_path.parent / "output.jsonl")  # it holds the key from the start
        said = watch.run(*asked, "--read-batch", str(output))
    assert "1 answered" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base_url": f"https://me:{KEY}@example.org/v1"}, "base_url is no http address"),
        ({"base_url": "https://me:gsk_a@example.org/v1"}, "example.org holds a user name"),
        ({"base_url": f"ftp://me:{KEY}@example.org/v1"}, "base_url is no http address"),
        ({"base_url": f"https://me:{KEY}@[::1/v1"}, "base_url is no http address"),
        ({"base_url": f"https://example.org/v1?key={KEY}"}, "example.org holds a user name"),
        ({"base_url": "https://example.org/v1#abc"}, "example.org holds a user name"),
        ({"base_url": f"https://example.org/{quote(KEY)}/v1"}, "holds the key"),
        ({"base_url": KEY}, "is no http address"),
        ({"alias": KEY}, "holds the key"),
        ({"model": KEY}, "holds the key"),
        ({"api_key_env": KEY}, "set the variable that api_key_env names"),
        ({"api_key_env": "gsk_abcdefghijklmnop"}, "set the variable that api_key_env names"),
    ],
)
def test_settings_do_not_bring_it_anywhere(
    options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    endpoint = chat.Endpoint(**{"model": "m", **options})
    with (
        pytest.raises(chat.ChatError, match=said) as refusal,
        chat.complete([], endpoint, tmp_path / "journal"),
    ):
        pass
    assert_clean(str(refusal.value))
    assert "gsk" not in str(refusal.value)


@pytest.mark.parametrize("verb", ["generate", "judge", "judge_against"], indirect=True)
@pytest.mark.parametrize("told", [KEY, quote(KEY, safe="")])
def test_further_fields_do_not_bring_it_anywhere(
    told: str, verb: Callable[[str], list[str]], watch: Watch
) -> None:
    with ChatServer(lambda _: "fine") as server:
        said = watch.run(*verb(server.url), "--body", json.dumps({"user": told}))
    assert "hold the key, which would end in files" in said
    assert not server.bodies


@pytest.mark.parametrize("key", ["sk-one\nsk-other", "sk-\u2026abcdefgh", "sk-\x00abcdefgh"])
def test_a_key_that_is_no_line_of_text_is_not_sent(
    key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.environ", {"OPENAI_API_KEY": key})
    with (
        pytest.raises(chat.ChatError, match="OPENAI_API_KEY is not one line") as refusal,
        chat.complete([], chat.Endpoint(model="m"), tmp_path / "journal"),
    ):
        pass
    assert key not in str(refusal.value)


def test_the_password_of_a_proxy(monkeypatch: pytest.MonkeyPatch, watch: Watch) -> None:
    password = "proxy-Pa55word-0123456789"
    basic = base64.b64encode(f"me:{password}".encode()).decode()

    def repeat(_: Any) -> Any:
        return error(500, f"{server.headers[-1].get('Proxy-Authorization')} {password}")

    with ChatServer(repeat) as server:
        proxy = server.url.removesuffix("/v1").replace("//", f"//me:{password}@")
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        endpoint = chat.Endpoint(model="m", base_url="http://far.invalid/v1", api_key_env=None)
        wanted = [("k", {"model": "m", "messages": []})]
        with chat.complete(wanted, endpoint, watch.folder / "journal") as answers:
            [got] = answers
    assert server.headers[-1]["Proxy-Authorization"] == f"Basic {basic}"
    assert got.failure
    assert password not in got.failure.reason
    assert basic not in got.failure.reason


def written(key: str) -> Iterator[str]:
    """``key`` in many forms, each in the middle of other text."""
    for half in (key, key[: len(key) // 2], key[len(key) // 2 :]):
        yield from (f"abc {half} def", json.dumps(half), half.replace("/", "\\/"), quote(half))
        yield from (
            html.escape(half),
            half.encode().hex(),
            base64.b64encode(half.encode()).decode(),
        )
    for before in range(3):
        text = f"{'x' * before}Authorization: Bearer {key}\r\n"
        for encoded in (base64.b64encode(text.encode()), base64.urlsafe_b64encode(text.encode())):
            yield encoded.decode()
            yield quote(encoded.decode(), safe="")
    yield "".join(f"%{ord(one):02x}" for one in key)
    yield "".join(f"\\x{ord(one):02X}" for one in key)
    yield "".join(f"\\\\u{ord(one):04X}" for one in key)
    yield json.dumps(json.dumps({"inner": json.dumps(key)}))


def test_every_way_of_writing_it_is_masked() -> None:
    mask = Mask([KEY])
    for text in written(KEY):
        assert mask.holds(text), text
        assert_clean(mask.text(text))
        assert_clean(mask.body(json.dumps({"a": [{text: 1}, text]}).encode()).decode())


def test_a_body_without_it_stays_as_it_is_to_the_byte() -> None:
    body = b'{"b": 1.0, "a":"\\u00e4 \\/ %41 sk-Se\xff/c"}  '
    assert Mask([KEY]).body(body) == body
    assert Mask(["EMPTY", None]).body(b'"EMPTY"') == b'"EMPTY"'


def test_what_is_not_the_key_of_a_body_stays() -> None:
    odd = base64.b64encode(KEY.encode()).decode()
    said = f"{KEY} {quote(KEY, safe='')} {json.dumps(KEY)}"
    body = json.dumps({"said": said, "odd": odd, "good": "words"})
    found = json.loads(Mask([KEY]).body(body.encode()))
    assert found == {
        "said": '[key] [key] "[key]"',
        "odd": "[withheld, as it holds the key]",
        "good": "words",
    }
