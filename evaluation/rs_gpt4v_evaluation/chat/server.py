"""The server of the chat page."""

import io
from http import HTTPStatus
from importlib.resources import files

from rs_gpt4v.images import FOR_THE_EYE, ImageError, thumbnail, web_file
from rs_gpt4v.local_server import (
    HOST,
    Answer,
    Handler,
    LocalServer,
    RefusedError,
    as_json,
    nothing_at,
    page_file,
)
from rs_gpt4v_evaluation.chat.session import (
    BadQuestionError,
    ChatSession,
    Question,
    UnknownImageError,
)

LARGEST_IMAGE = 64_000_000
"""Bytes of a file that is dropped on the page."""

_LONGEST_SIDE = 4096  # px of an image that the browser cannot show as it is
_THUMBNAIL = 192  # px
_PAGE = files("rs_gpt4v_evaluation.chat") / "page"
_FAILURES = (RuntimeError, ValueError, TypeError, LookupError, AssertionError)
"""What models raise for prompts that they cannot read, and for a GPU that is full."""

_REFUSALS = {
    UnknownImageError: (HTTPStatus.NOT_FOUND, "{0}"),
    ImageError: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "{0}"),
    BadQuestionError: (HTTPStatus.BAD_REQUEST, "{0}"),
    ImportError: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "{0}"),  # of what reads deep TIFFs
    **dict.fromkeys(_FAILURES, (HTTPStatus.INTERNAL_SERVER_ERROR, "the model failed: {1}: {0}")),
}


class ChatServer(LocalServer):
    """Serves one session at ``url`` until it is shut down.

    Raises:
        OSError: The address is taken; the message names it.
    """

    def __init__(self, session: ChatSession, port: int = 0, host: str = HOST) -> None:
        self.session = session
        super().__init__(_Handler, port, host)


class _Handler(Handler):
    server: ChatServer  # pyright: ignore[reportIncompatibleVariableOverride]
    refusals = _REFUSALS

    def get(self, path: str, query: str) -> Answer:
        del query
        if answer := page_file(_PAGE, path):
            return answer
        session = self.server.session
        what, _, name = path.partition("/")
        if path == "about":
            return as_json({**session.about(), "largest": LARGEST_IMAGE})
        if what == "image":
            kind, content = web_file(session.image(name), FOR_THE_EYE, _LONGEST_SIDE)
            return f"image/{kind}", content
        if what == "thumbnail":
            jpeg = io.BytesIO()
            thumbnail(session.image(name), _THUMBNAIL).save(jpeg, "JPEG", quality=85)
            return "image/jpeg", jpeg.getvalue()
        raise nothing_at(path)

    def post(self, path: str, query: str) -> Answer:
        del query
        session = self.server.session
        if path == "image":
            if self.headers.get_content_type() != "application/octet-stream":
                raise RefusedError(
                    HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "an image is application/octet-stream"
                )
            return as_json(session.add_image(self.body(LARGEST_IMAGE)))
        if path == "ask":
            return as_json(session.ask(self.json("the question", Question)))
        raise nothing_at(path)
