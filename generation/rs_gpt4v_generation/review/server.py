"""The page's server: on 127.0.0.1 alone, for who knows its address alone.

A web site that a reviewer has open beside it must not read or write here. So every path starts
with a random token; ``Host`` must be this address, against names that are made to point here
(DNS rebinding); ``Origin`` and ``Sec-Fetch-Site`` must not tell of another site; and a decision is
JSON, which no form can send. The page itself may load and connect to nothing else.
"""

import json
import logging
import re
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from rs_gpt4v.files import InvalidFileError, parse_json, refuse_overwriting
from rs_gpt4v.images import FOR_THE_EYE, ImageError, web_file
from rs_gpt4v_generation.candidates import read_queue, with_images
from rs_gpt4v_generation.review.decisions import opened
from rs_gpt4v_generation.review.session import BadRequestError, Filter, ReviewSession, UnknownError

LONGEST_SIDE = 4096
"""Pixels; what is made a PNG and longer is made smaller. The page stretches it to its boxes."""

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
_LARGEST_REQUEST = 1_000_000
_DIGITS = 20  # Python refuses to read numbers of thousands
_PAGE = files("rs_gpt4v_generation.review") / "page"
_FILES = {
    "": ("index.html", "text/html; charset=utf-8"),
    **{
        name: (name, "text/javascript; charset=utf-8")
        for name in ("review.js", "dialogue.js", "picture.js")
    },
    "review.css": ("review.css", "text/css; charset=utf-8"),
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


class _RefusedError(Exception):
    """A request that gets no answer but this status and sentence."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class ReviewServer(ThreadingHTTPServer):
    """Serves one session at ``url`` until it is shut down.

    Raises:
        OSError: The port is taken; the message names it.
    """

    daemon_threads = True

    def __init__(self, session: ReviewSession, port: int = 0) -> None:
        self.session = session
        self.token = secrets.token_urlsafe(24)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise OSError(
                f"port {port} of {HOST} cannot be used ({error}): leave --port out"
            ) from error

    @property
    def url(self) -> str:
        """The page's address, the token in it."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback, unless the browser merely went away in the midst of an answer."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def reviewing(
    queue_file: Path,
    reviewer: str,
    *,
    images: Path | None = None,
    out: Path | None = None,
    port: int = 0,
) -> Iterator[ReviewServer]:
    """A server that is ready to serve a queue, with its reviews file open.

    Args:
        queue_file: JSON lines of `rs_gpt4v_generation.candidates.Candidate`.
        reviewer: Who decides: letters, digits, dots, dashes.
        images: What relative paths of images start from; the queue's folder unless given.
        out: The reviews file; ``QUEUE.reviews.REVIEWER.jsonl`` unless given. It is gone on with.
        port: 0 for any that is free.

    Raises:
        OSError: A file cannot be used, or the port is taken.
        ValueError: Nothing can be reviewed, or the reviews file cannot be gone on with.
    """
    if not re.fullmatch(r"[\w.-]+", reviewer):
        raise ValueError(f"--reviewer {reviewer!r}: use letters, digits, dots and dashes alone")
    path = out or queue_file.with_name(f"{queue_file.name}.reviews.{reviewer}.jsonl")
    refuse_overwriting([path], [queue_file])
    queue = with_images(read_queue(queue_file), images)
    with opened(path, reviewer) as reviews:
        session = ReviewSession(queue, reviews, reviewer, images or queue_file.parent)
        with ReviewServer(session, port) as server:
            yield server


@contextmanager
def _refusals() -> Iterator[None]:
    """Errors of the session and the disk as HTTP statuses."""
    try:
        yield
    except UnknownError as error:
        raise _RefusedError(HTTPStatus.NOT_FOUND, str(error)) from error
    except BadRequestError as error:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from error
    except ImageError as error:
        raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, str(error)) from error
    except OSError as error:
        raise _RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, f"not saved: {error}") from error


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds that a silent connection is kept
    disable_nagle_algorithm = True  # or each answer waits 40 ms for its head to be acknowledged

    def do_GET(self) -> None:
        self._respond(self._get)

    def do_POST(self) -> None:
        self._respond(self._post)

    def _respond(self, answer: Callable[[str, str], tuple[str, bytes]]) -> None:
        status = HTTPStatus.OK
        try:
            path, query = self._checked()
            with _refusals():
                kind, body = answer(path, query)
        except _RefusedError as error:
            status = error.status
            kind, body = _json({"error": str(error)})
            self.close_connection = True  # a body may be left unread
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        # The next image is fetched ahead; a token is never used again.
        self.send_header(
            "Cache-Control", "max-age=3600" if kind.startswith("image/") else "no-store"
        )
        self.end_headers()
        self.wfile.write(body)

    def _checked(self) -> tuple[str, str]:
        """The path below the token and the query, of a request that may come in."""
        port = self.server.server_port
        host = self.headers.get("Host", "")
        if host not in (f"{HOST}:{port}", f"localhost:{port}"):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "this server has another address")
        if self.headers.get("Origin", f"http://{host}") != f"http://{host}":
            raise _RefusedError(HTTPStatus.FORBIDDEN, "requests of other pages are refused")
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "requests of other sites are refused")
        try:
            split = urlsplit(self.path)
        except ValueError as error:  # "http://[::"
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "this is no address") from error
        token, slash, path = split.path.removeprefix("/").partition("/")
        if not (slash and secrets.compare_digest(token.encode(), self.server.token.encode())):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "open the address that the command printed")
        return path, split.query

    def _get(self, path: str, query: str) -> tuple[str, bytes]:
        if path in _FILES:
            name, kind = _FILES[path]
            return kind, (_PAGE / name).read_bytes()
        what, _, number = path.partition("/")
        session = self.server.session
        if what == "item":
            return _json(session.item(_index(number)))
        if what == "image":
            kind, content = web_file(session.image(_index(number)), FOR_THE_EYE, LONGEST_SIDE)
            return f"image/{kind}", content
        if path == "overview":
            return _json(session.overview())
        if path == "select":
            return _json(session.select(_filter(query)))
        raise UnknownError(f"there is nothing at {path!r:.80}")

    def _post(self, path: str, _query: str) -> tuple[str, bytes]:
        if path != "decide":
            raise UnknownError(f"there is nothing at {path!r:.80}")
        return _json(self.server.session.decide(self._body()))

    def _body(self) -> dict[str, Any]:
        if self.headers.get_content_type() != "application/json":
            raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "a decision is JSON")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise _RefusedError(HTTPStatus.LENGTH_REQUIRED, "Content-Length is not a number")
        if len(length) > _DIGITS or int(length) > _LARGEST_REQUEST:
            raise _RefusedError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {_LARGEST_REQUEST:,} bytes"
            )
        try:
            return parse_json(self.rfile.read(int(length)), dict[str, Any], "the decision")
        except InvalidFileError as error:
            raise BadRequestError(str(error)) from error

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def version_string(self) -> str:
        return "rs-gpt4v"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: the path has the token in it."""

    def log_error(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)


def _json(value: object) -> tuple[str, bytes]:
    return "application/json", json.dumps(value).encode()


def _index(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UnknownError(f"{text!r:.80} is no candidate's number")
    return int(text)


def _filter(query: str) -> Filter:
    values_by_name = {name: values[-1] for name, values in parse_qs(query).items()}
    unknown = sorted(values_by_name.keys() - {field.name for field in fields(Filter)})
    if unknown:
        raise BadRequestError(f"there is no filter on {', '.join(unknown)}")
    return Filter(**values_by_name)
