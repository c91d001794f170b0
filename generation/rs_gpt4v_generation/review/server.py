"""The server of the review page."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from rs_gpt4v.files import AnyPath, refuse_overwriting
from rs_gpt4v.images import FOR_THE_EYE, ImageError, web_file
from rs_gpt4v.local_server import (
    Answer,
    Handler,
    LocalServer,
    as_json,
    nothing_at,
    page_file,
)
from rs_gpt4v_generation.candidates import read_queue, with_images
from rs_gpt4v_generation.review.decisions import opened, reviews_path
from rs_gpt4v_generation.review.session import BadRequestError, Filter, ReviewSession, UnknownError

LONGEST_SIDE = 4096
"""Pixels; what is made a PNG and longer is made smaller. The page stretches it to its boxes."""

_PAGE = files("rs_gpt4v_generation.review") / "page"


class ReviewServer(LocalServer):
    """Serves one session at ``url`` until it is shut down.

    Raises:
        OSError: The port is taken; the message names it.
    """

    def __init__(self, session: ReviewSession, port: int = 0) -> None:
        self.session = session
        super().__init__(_Handler, port)


@contextmanager
def reviewing(
    queue_file: AnyPath,
    reviewer: str,
    *,
    images: AnyPath | None = None,
    out: AnyPath | None = None,
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
    queue_file = Path(queue_file)
    images = None if images is None else Path(images)
    out = None if out is None else Path(out)
    if not re.fullmatch(r"[\w.-]+", reviewer):
        raise ValueError(f"--reviewer {reviewer!r}: use letters, digits, dots and dashes alone")
    path = out or reviews_path(queue_file, reviewer)
    refuse_overwriting([path], [queue_file])
    queue = with_images(read_queue(queue_file), images)
    with opened(path, reviewer) as reviews:
        session = ReviewSession(queue, reviews, reviewer, images or queue_file.parent)
        with ReviewServer(session, port) as server:
            yield server


_REFUSALS = {
    UnknownError: (HTTPStatus.NOT_FOUND, "{0}"),
    BadRequestError: (HTTPStatus.BAD_REQUEST, "{0}"),
    ImageError: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "{0}"),
    OSError: (HTTPStatus.INTERNAL_SERVER_ERROR, "not saved: {0}"),
}


class _Handler(Handler):
    server: ReviewServer  # pyright: ignore[reportIncompatibleVariableOverride]
    refusals = _REFUSALS

    def get(self, path: str, query: str) -> Answer:
        if answer := page_file(_PAGE, path):
            return answer
        what, _, number = path.partition("/")
        session = self.server.session
        if what == "item":
            return as_json(session.item(_index(number)))
        if what == "image":
            kind, content = web_file(session.image(_index(number)), FOR_THE_EYE, LONGEST_SIDE)
            return f"image/{kind}", content
        if path == "overview":
            return as_json(session.overview())
        if path == "select":
            return as_json(session.select(_filter(query)))
        raise nothing_at(path)

    def post(self, path: str, query: str) -> Answer:
        del query
        if path != "decide":
            raise nothing_at(path)
        return as_json(self.server.session.decide(self.json("the decision", dict[str, Any])))


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
