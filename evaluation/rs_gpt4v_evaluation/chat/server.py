"""The server of the chat page."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
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

    def get(self, path: str, query: str) -> Answer:
        del query
        if answer := page_file(_PAGE, path):
            return answer
        session = self.server.session
        what, _, name = path.partition("/")
        with _refusals():
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
        with _refusals():
            if path == "image":
                if self.headers.get_content_type() != "application/octet-stream":
                    raise RefusedError(
                        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "an image is application/octet-stream"
                    )
                return as_json(session.add_image(self.body(LARGEST_IMAGE)))
            if path == "ask":
                return as_json(session.ask(self.json("the question", Question)))
        raise nothing_at(path)


@contextmanager
def _refusals() -> Iterator[None]:
    """Errors of the session as HTTP statuses."""
    try:
        yield
    except UnknownImageError as error:
        raise RefusedError(HTTPStatus.NOT_FOUND, str(error)) from error
    except ImageError as error:
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, str(error)) from error
    except BadQuestionError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from error
    except ImportError as error:  # of what reads deep TIFFs
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, str(error)) from error
    except _FAILURES as error:
        why = f"the model failed: {type(error).__name__}: {error}"
        raise RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR, why) from error
