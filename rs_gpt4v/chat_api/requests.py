"""What is asked, of whom: the exact JSON body, and the server."""

import base64
import hashlib
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

from rs_gpt4v.chat_api.answers import ChatError
from rs_gpt4v.chat_api.masking import Mask
from rs_gpt4v.files import AnyPath, InvalidFileError, parse_json
from rs_gpt4v.images import web_file

ChatRequest: TypeAlias = dict[str, Any]
"""A body of POST /chat/completions: "model", "messages", "max_tokens", "seed", ..."""

Part: TypeAlias = dict[str, Any]
"""One piece of a message's content."""

_ORDER_MATTERS = {"response_format", "tools", "functions", "guided_json", "structured_outputs"}
"""Fields with a JSON schema: models write the properties in its order."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A chat server, its model, and limits on requests.

    Args:
        model: The server's name for it.
        base_url: The address to which "/chat/completions" is appended.
        mirrors: Further such addresses, where the same model is served: they share the requests.
        api_key_env: Name of the environment variable that holds the key. Where it is unset, no key
            is sent, as local servers need none. None: never send one.
        alias: What the journal calls the server; None for ``base_url``. Give one where the address
            changes from run to run and the weights behind it do not.
        concurrency: Requests in flight at each address, at most.
        requests_per_minute: None for no limit.
        tokens_per_minute: The same, for prompt tokens (estimated) and ``max_tokens`` together, as
            OpenAI counts them.
        timeout_s: Of one attempt, from connecting to the last byte.
        max_attempts: Of one request. Being told to slow down (429) is not counted.
        backoff_s: The first wait before another attempt is drawn from [0, ``backoff_s``]; the bound
            doubles each time, to 60 times as much.
        seed: Of these draws; None for other waits each time.
    """

    model: str
    base_url: str = "https://api.openai.com/v1"
    mirrors: tuple[str, ...] = ()
    api_key_env: str | None = "OPENAI_API_KEY"
    alias: str | None = None
    concurrency: int = 16
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout_s: float = 120.0
    max_attempts: int = 6
    backoff_s: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        """Raise ValueError where nothing would ever be sent."""
        for name in ("concurrency", "max_attempts", "requests_per_minute", "tokens_per_minute"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} is {value}: it must be more than 0")

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"{self.base_url.rstrip('/')}/chat/completions"

    @property
    def name(self) -> str:
        """What tells this server from others in a journal; of several addresses, any."""
        return self.alias or self.base_url.rstrip("/")

    @property
    def each(self) -> "tuple[Endpoint, ...]":
        """The server at each of its addresses."""
        urls = (self.base_url, *self.mirrors)
        return tuple(replace(self, base_url=url, mirrors=()) for url in urls)


def text_part(text: str) -> Part:
    """A piece of text."""
    return {"type": "text", "text": text}


def image_part(
    image: AnyPath | bytes, detail: Literal["auto", "low", "high", "original"] = "auto"
) -> Part:
    """An image as a data URL: PNG, JPEG, GIF and WebP unchanged, others and turned ones as PNG.

    Raises:
        ImageError: It is no image that `rs_gpt4v.images` opens.
    """
    image = image if isinstance(image, bytes) else Path(image)
    kind, content = web_file(image)
    url = f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
    return {"type": "image_url", "image_url": {"url": url, "detail": detail}}


def read_body(text: str) -> dict[str, Any]:
    """Further fields of each request, from a JSON object.

    Raises:
        ChatError: It is none, or replaces what makes a request ours.
    """
    try:
        body = parse_json(text.encode(errors="replace"), dict[str, Any], "--body")
        encoded(body)
    except InvalidFileError as error:
        raise ChatError(f"{error}. Give a JSON object such as '{{\"top_p\": 0.9}}'") from None
    except ValueError:
        raise ChatError("--body: NaN and Infinity are no JSON") from None
    if own := sorted({"model", "messages", "stream"} & body.keys()):
        raise ChatError(f"--body cannot set {', '.join(own)}: each request has its own")
    return body


def request_hash(request: ChatRequest, endpoint: Endpoint) -> str:
    """64 hex digits of what an answer depends on: the server and the body.

    The order of keys makes no difference, but in JSON schemas: models follow their order. The same
    body at another server is another request, as a model's name says little about its weights.
    """
    digest = hashlib.sha256(json.dumps(endpoint.name).encode("ascii"))
    for name in sorted(request):  # a line each: JSON holds no line breaks
        value = json.dumps(request[name], sort_keys=name not in _ORDER_MATTERS)
        digest.update(f"\n{json.dumps(name)}:{value}".encode("ascii"))
    return digest.hexdigest()


def encoded(request: ChatRequest) -> bytes:
    """The bytes that are sent."""
    return json.dumps(request, allow_nan=False).encode("ascii")


def key_of(endpoint: Endpoint) -> str | None:
    """The key of ``endpoint`` in the environment."""
    return os.environ.get(endpoint.api_key_env or "", "").strip() or None


def api_key(endpoint: Endpoint) -> str | None:
    """The key to send, from the environment.

    Raises:
        ChatError: The key is missing or would travel readable, or an address holds secrets.
    """
    first, *_ = map(_api_key, endpoint.each)
    return first


def _api_key(endpoint: Endpoint) -> str | None:
    address = _address(endpoint)
    key = key_of(endpoint)
    if key is None and address.hostname == "api.openai.com":
        raise ChatError(f"OpenAI asks for a key: set {_variable(endpoint)}")
    if key is None:
        return None
    if not key.isascii() or not key.isprintable():
        raise ChatError(f"the key in {_variable(endpoint)} is not one line of ASCII")
    if Mask([key]).holds(json.dumps([endpoint.base_url, endpoint.alias, endpoint.model])):
        raise ChatError(
            "the address, the alias or the model's name holds the key, which would end in logs: "
            f"leave it in {_variable(endpoint)} alone"
        )
    loopback = address.hostname in ("localhost", "127.0.0.1", "::1")
    if address.scheme == "http" and not loopback:
        raise ChatError(
            f"the key in {_variable(endpoint)} would travel readable to {address.netloc}: use "
            "https, or api_key_env=None where the server needs no key"
        )
    return key


def _address(endpoint: Endpoint) -> SplitResult:
    """The server's address; one that may hold a password or key is refused without showing it."""
    try:
        address = urlsplit(endpoint.base_url)
        usable = address.scheme in ("http", "https") and address.hostname and address.port != 0
    except ValueError:
        address, usable = SplitResult("", "", "", "", ""), False
    if not usable:
        url = Mask([key_of(endpoint)]).text(endpoint.base_url)
        named = "base_url" if re.search("[@?#]", url) else f"base_url {url!r}"
        raise ChatError(f"{named} is no http address such as https://api.openai.com/v1")
    if address.username or address.password or address.query or address.fragment:
        raise ChatError(
            f"the base_url at {address.hostname} holds a user name, password or query, which would "
            "end in logs: put the key into the environment and name the variable in api_key_env"
        )
    return address


def _variable(endpoint: Endpoint) -> str:
    """The variable's name, unless it looks as if it were the key itself."""
    name = endpoint.api_key_env or ""
    return name if re.fullmatch("[A-Z_][A-Z0-9_]*", name) else "the variable that api_key_env names"
