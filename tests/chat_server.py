"""An OpenAI-compatible chat server on loopback that answers as a test says, and keeps account."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, TypeAlias

from rs_gpt4v.chat_api import Endpoint


@dataclass(frozen=True)
class Reply:
    """One answer: a chat completion of ``text``, or ``raw`` bytes; ``cut`` breaks off half-way."""

    text: str | None = ""
    status: int = 200
    finish_reason: str = "stop"
    delay_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    cut: bool = False
    refusal: str | None = None
    usage: dict[str, int] | None = field(
        default_factory=lambda: {"prompt_tokens": 10, "completion_tokens": 5}
    )


Answering: TypeAlias = Callable[[dict[str, Any]], Reply | str]


def good(text: str) -> Reply:
    return Reply(text)


def slow(text: str, seconds: float) -> Reply:
    return Reply(text, delay_s=seconds)


def error(status: int, message: str, code: str = "", **headers: str) -> Reply:
    raw = json.dumps({"error": {"message": message, "code": code}}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, raw=raw, headers=named)


def too_many(retry_after: str = "0") -> Reply:
    return error(429, "Rate limit reached", "rate_limit_exceeded", Retry_After=retry_after)


def no_credit() -> Reply:
    return error(429, "You exceeded your current quota", "insufficient_quota")


def broken(status: int = 500) -> Reply:
    return error(status, "The server had an error")


def cut_off() -> Reply:
    return Reply("never read", cut=True)


def not_json() -> Reply:
    return Reply(raw=b"<html>a proxy speaks</html>")


def wrong_shape() -> Reply:
    return Reply(raw=b'{"choices": []}')


def truncated(text: str) -> Reply:
    return Reply(text, finish_reason="length")


def refused(refusal: str = "I can't help with that.") -> Reply:
    return Reply(None, refusal=refusal)


def filtered() -> Reply:
    return Reply(None, finish_reason="content_filter")


def unauthorized() -> Reply:
    return error(401, "Incorrect API key provided", "invalid_api_key")


def too_long() -> Reply:
    return error(400, "This model's maximum context length is 8 tokens", "context_length_exceeded")


def plan(*replies: Reply | str, then: Reply | str = "fine") -> Answering:
    """These in turn, whatever is asked, and from then on ``then``."""
    remaining: Iterator[Reply | str] = iter(replies)
    lock = threading.Lock()

    def answering(_: dict[str, Any]) -> Reply | str:
        with lock:
            return next(remaining, then)

    return answering


class ChatServer(ThreadingHTTPServer):
    """Answers POST /v1/chat/completions with what ``answering`` gives for the body.

    Attributes:
        bodies: JSON bodies received, in order; ``times`` (monotonic s) and ``headers`` go with
            them.
        most_at_once: High-water mark of requests in work.
        answered: Bodies that got a whole completion.
        prompt_tokens: Charged for all completions, those cut off included; so are
            ``completion_tokens``.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, answering: Answering) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answering = answering
        self.bodies: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.headers: list[dict[str, str]] = []
        self.answered: list[dict[str, Any]] = []
        self.most_at_once = self._at_once = 0
        self.prompt_tokens = self.completion_tokens = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def endpoint(self, **options: Any) -> Endpoint:
        """This server, with quick retries; ``options`` of `Endpoint` come first."""
        usual = {
            "model": "m",
            "base_url": self.url,
            "api_key_env": None,
            "alias": "test",
            "backoff_s": 0.001,
            "timeout_s": 10.0,
            "seed": 0,
        }
        return Endpoint(**(usual | options))

    def __enter__(self) -> "ChatServer":
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def begin(self, body: dict[str, Any], headers: dict[str, str]) -> None:
        with self.lock:
            self.bodies.append(body)
            self.times.append(time.monotonic())
            self.headers.append(headers)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)

    def charge(self, body: dict[str, Any], reply: Reply) -> None:
        with self.lock:
            if reply.raw is None and reply.usage:
                self.prompt_tokens += reply.usage["prompt_tokens"]
                self.completion_tokens += reply.usage["completion_tokens"]
            if reply.raw is None and not reply.cut:
                self.answered.append(body)

    def end(self) -> None:
        with self.lock:
            self._at_once -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: Any
    protocol_version = "HTTP/1.1"  # connections are kept
    wbufsize = -1  # headers and body in one piece

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        server: ChatServer = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.begin(body, dict(self.headers.items()))
        try:
            assert self.path.endswith("/v1/chat/completions")  # a proxy gets the whole address
            reply = server.answering(body)
            reply = Reply(reply) if isinstance(reply, str) else reply
            time.sleep(reply.delay_s)
            server.charge(body, reply)
        finally:
            server.end()
        self._send(reply, completion(body["model"], reply) if reply.raw is None else reply.raw)

    def _send(self, reply: Reply, content: bytes) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if reply.cut else content)
        self.close_connection = reply.cut


def completion(model: str, reply: Reply) -> bytes:
    """What OpenAI sends for it."""
    message = {"role": "assistant", "content": reply.text, "refusal": reply.refusal}
    choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason}
    content = {
        "id": f"chatcmpl-{time.monotonic_ns()}",
        "object": "chat.completion",
        "model": model,
        "choices": [choice],
        "usage": reply.usage,
    }
    return json.dumps(content).encode()
