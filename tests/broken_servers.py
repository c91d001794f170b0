"""Servers on loopback that answer in no clean HTTP, or with what they should keep to themselves."""

import base64
import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import TypeAlias
from urllib.parse import quote

Breaking: TypeAlias = Callable[[socket.socket, str], None]
"""Answers a request, of which it gets the head, on a connection that is closed afterwards."""


class BrokenServer:
    """Hands each request to ``breaking``; ``heads`` are those of all requests."""

    def __init__(self, breaking: Breaking) -> None:
        self._breaking = breaking
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.heads: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"

    def __enter__(self) -> "BrokenServer":
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                head = _read(connection)
                if head:
                    self.heads.append(head)
                    self._breaking(connection, head)
            except OSError:
                """The client hung up, as it may."""


def _read(connection: socket.socket) -> str:
    """The head of a request, whose body is read and dropped; of no HTTP, what comes first."""
    content = b""
    while b"\r\n\r\n" not in content:
        more = connection.recv(1 << 16)
        content += more
        if not more or not content.startswith(b"POST"):
            return content.decode("latin-1")
    head, _, body = content.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    while len(body) < length:
        body += connection.recv(1 << 16)
    return head.decode("latin-1")


def answer(
    content: bytes, status: str = "200 OK", *, length: int | None = None, more: str = ""
) -> bytes:
    """A whole response; ``length`` is what it says of itself, and ``more`` further headers."""
    said = len(content) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {said}\r\n"
    return f"{head}{more}Connection: close\r\n\r\n".encode() + content


def completion(text: str, **more: object) -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return json.dumps({"model": "m", "choices": [choice], **more}).encode()


def _sending(make: Callable[[str], bytes]) -> Breaking:
    return lambda connection, head: connection.sendall(make(head))


def _reset(connection: socket.socket, head: str) -> None:
    connection.sendall(answer(head.encode(), length=10**6))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _endless(connection: socket.socket, head: str) -> None:
    connection.sendall(answer(head.encode(), length=2**30))
    for _ in range(2**10):
        connection.sendall(head.encode().ljust(2**20))


@cache
def _bomb() -> bytes:
    return gzip.compress(b" " * 2**26)


def _encodings(head: str) -> dict[str, object]:
    """``head`` in all the ways in which a server may repeat it."""
    shifted = [base64.b64encode(b"x" * i + head.encode()).decode() for i in range(3)]
    escaped = head.replace("\\", "\\\\").replace('"', '\\"').replace("/", "\\/")
    unicode = "".join(f"\\u{ord(one):04x}" for one in head)
    return {
        "plain": head,
        "words": head.split(),
        "json": json.dumps({"head": head}),
        "escaped": escaped,
        "unicode": unicode,
        "url": [quote(head), quote(head, safe=""), quote(quote(head, safe=""))],
        "html": "".join(f"&#{ord(one)};" for one in head),
        "base64": shifted,
        "urlsafe": [one.replace("+", "-").replace("/", "_") for one in shifted],
        "lines": [base64.encodebytes(one.encode()).decode() for one in (head, f"x{head}")],
        "hex": head.encode().hex().upper(),
        "cut": head[: head.index("Bearer") + 40],
    }


def _echo(head: str) -> bytes:
    content = json.dumps({"error": {"message": _encodings(head), "code": head}}).encode()
    return answer(content.replace(b"/", b"\\/"), "500 Internal Server Error")


def _pages(head: str) -> bytes:
    page = "".join(f"<p>{told}</p>" for told in _encodings(head).values())
    return answer(page.encode(), "502 Bad Gateway")


def _kind_words(head: str) -> bytes:
    """A completion that says it in its text, the name of the model and everywhere else."""
    encodings = _encodings(head)
    turns = [{"question": f"Which header? {head}", "answer": f"{told}"} for told in encodings]
    text = json.dumps({"reason": head, "score": 7, "better": head, "turns": turns})
    return answer(completion(text, model=head, system_fingerprint=head, echo=encodings))


BROKEN: dict[str, Breaking] = {
    "SSH": _sending(lambda _: b"SSH-2.0-OpenSSH_9.6\r\n"),
    "TLS": _sending(lambda _: b"\x15\x03\x01\x00\x02\x02\x46"),
    "large header": _sending(lambda head: answer(b"{}", more=f"X: {head[5:20] * 2**16}\r\n")),
    "long length": _sending(lambda head: answer(head.encode(), length=10**6)),
    "short length": _sending(lambda head: answer(head.encode(), length=head.index("Bearer") + 40)),
    "no length": _sending(
        lambda head: b"HTTP/1.1 200 OK\r\nContent-Length: Bearer\r\n\r\n" + head.encode()
    ),
    "status line": _sending(lambda head: b"HTTP/1.1 " + head.encode() + b"\r\n\r\n"),
    "reset": _reset,
    "gzip bomb": _sending(lambda _: answer(_bomb(), more="Content-Encoding: gzip\r\n")),
    "no gzip": _sending(lambda head: answer(head.encode(), more="Content-Encoding: gzip\r\n")),
    "other coding": _sending(lambda head: answer(head.encode(), more="Content-Encoding: br\r\n")),
    "1 GB": _endless,
    "echo": _sending(_echo),
    "page": _sending(_pages),
    "UTF-16": _sending(lambda head: answer(head.encode("utf-16"), "500 Error")),
    "unauthorized": _sending(lambda head: answer(head.encode(), "401 Unauthorized")),
    "completion": _sending(_kind_words),
}
