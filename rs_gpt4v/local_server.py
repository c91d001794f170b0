"""Serves a page of this package: on 127.0.0.1 unless told otherwise, for who knows its address.

A web site that someone has open beside it must not read or write here. So every path starts with a
random token; ``Host`` must be this address, against names that are made to point here (DNS
rebinding); ``Origin`` and ``Sec-Fetch-Site`` must not tell of another site; and what is sent is of
a type that no form can send. The page itself may load and connect to nothing else.
"""

import json
import logging
import secrets
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from rs_gpt4v.files import InvalidFileError, parse_json

T = TypeVar("T")

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
_LARGEST_JSON = 1_000_000  # bytes
_DIGITS = 20  # Python refuses to read numbers of thousands
_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

Answer = tuple[str, bytes]
"""Content type and body."""


class RefusedError(Exception):
    """A request that gets no answer but this status and sentence."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class LocalServer(ThreadingHTTPServer):
    """Serves a page at ``url`` until it is shut down.

    Args:
        handler: Answers its requests.
        port: 0 for any that is free.
        host: Address of this machine to listen at; with another than `HOST`, other machines reach
            the page.

    Raises:
        OSError: The address is taken; the message names it.
    """

    daemon_threads = True

    def __init__(self, handler: "type[Handler]", port: int = 0, host: str = HOST) -> None:
        self.host = host
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__((host, port), handler)
        except OSError as error:
            raise OSError(
                f"port {port} of {host} cannot be used ({error}): leave --port out"
            ) from error

    @property
    def url(self) -> str:
        """The page's address, the token in it."""
        return f"http://{self.host}:{self.server_port}/{self.token}/"

    def is_here(self, host: str) -> bool:
        """Whether a request's ``Host`` is this server; of one that is open to others any may be."""
        port = self.server_port
        return self.host != HOST or host in (f"{HOST}:{port}", f"localhost:{port}")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback, unless the browser merely went away in the midst of an answer."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers one request, by `get` or `post` of a subclass."""

    server: LocalServer  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds that a silent connection is kept
    disable_nagle_algorithm = True  # or each answer waits 40 ms for its head to be acknowledged
    refusals: ClassVar[Mapping[type[Exception], tuple[HTTPStatus, str]]] = {}
    """Errors of `get` and `post` that refuse the request, the first that fits: the status, and the
    sentence with {0} for the error's own and {1} for its name.
    """

    def get(self, path: str, query: str) -> Answer:
        """What is at ``path`` below the token; raises `RefusedError`, or one of ``refusals``."""
        raise NotImplementedError

    def post(self, path: str, query: str) -> Answer:
        """The answer to what was sent to ``path``; raises as `get`."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """Called by the standard library."""
        self._respond(self.get)

    def do_POST(self) -> None:
        """Called by the standard library."""
        self._respond(self.post)

    def json(self, what: str, schema: type[T]) -> T:
        """The object of ``schema`` that was sent; ``what`` is what errors call it.

        Raises:
            RefusedError: It is too long, or not like that.
        """
        if self.headers.get_content_type() != "application/json":
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"{what} is JSON")
        try:
            return parse_json(self.body(_LARGEST_JSON), schema, what)
        except InvalidFileError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from error

    def body(self, largest: int) -> bytes:
        """What was sent, of at most ``largest`` bytes.

        Raises:
            RefusedError: It is longer, or does not say how long it is.
        """
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "Content-Length is not a number")
        if len(length) > _DIGITS or int(length) > largest:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {largest:,} bytes")
        return self.rfile.read(int(length))

    def _respond(self, answer: Callable[[str, str], Answer]) -> None:
        status = HTTPStatus.OK
        try:
            kind, content = answer(*self._checked())
        except (RefusedError, *self.refusals) as error:
            refusal = self._refusal(error)
            status = refusal.status
            kind, content = as_json({"error": str(refusal)})
            self.close_connection = True  # a body may be left unread
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        # The next image is fetched ahead; a token is never used again.
        self.send_header(
            "Cache-Control", "max-age=3600" if kind.startswith("image/") else "no-store"
        )
        self.end_headers()
        self.wfile.write(content)

    def _refusal(self, error: Exception) -> RefusedError:
        if isinstance(error, RefusedError):
            return error
        status, sentence = next(
            own for kind, own in self.refusals.items() if isinstance(error, kind)
        )
        return RefusedError(status, sentence.format(error, type(error).__name__))

    def _checked(self) -> tuple[str, str]:
        """The path below the token and the query, of a request that may come in."""
        host = self.headers.get("Host", "")
        if not self.server.is_here(host):
            raise RefusedError(HTTPStatus.FORBIDDEN, "this server has another address")
        if self.headers.get("Origin", f"http://{host}") != f"http://{host}":
            raise RefusedError(HTTPStatus.FORBIDDEN, "requests of other pages are refused")
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            raise RefusedError(HTTPStatus.FORBIDDEN, "requests of other sites are refused")
        try:
            split = urlsplit(self.path)
        except ValueError as error:  # "http://[::"
            raise RefusedError(HTTPStatus.BAD_REQUEST, "this is no address") from error
        token, slash, path = split.path.removeprefix("/").partition("/")
        if not (slash and secrets.compare_digest(token.encode(), self.server.token.encode())):
            raise RefusedError(HTTPStatus.FORBIDDEN, "open the address that the command printed")
        return path, split.query

    def end_headers(self) -> None:
        """Called by the standard library, for every answer."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def version_string(self) -> str:
        """The name of the server; the standard library would tell its version and Python's."""
        return "rs-gpt4v"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: the path has the token in it."""

    def log_error(self, format: str, *args: Any) -> None:
        """Quietly: what matters is in the answer."""
        logger.debug(format, *args)


def as_json(value: object) -> Answer:
    """An answer of JSON."""
    return "application/json", json.dumps(value).encode()


def page_file(folder: Any, name: str) -> Answer | None:
    """A file of a page's folder, "" for its index.html; None where there is none of that name.

    ``folder`` is a resource of a package, all of whose files are for the page.
    """
    name = name or "index.html"
    file = next((file for file in folder.iterdir() if file.name == name), None)
    kind = _TYPES.get(name.rpartition(".")[2])
    return (kind, file.read_bytes()) if file is not None and kind else None


def nothing_at(path: str) -> RefusedError:
    """What to raise where there is nothing."""
    return RefusedError(HTTPStatus.NOT_FOUND, f"there is nothing at {path!r:.80}")
