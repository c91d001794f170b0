"""Keys and passwords are struck out of all that comes from a server, however it writes them.

What a server sends is the only text from outside that reaches the journal, lists, reports and the
terminal, so it is masked once, where it comes in. A server may repeat a key as it is, or as JSON,
a URL, HTML, base64 or hexadecimal digits write it.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, unquote

_SHORTEST = 8  # characters; what is shorter is for show ("EMPTY") and may be a word of a reply
_HALVED = 24  # characters from which half a key is looked for: a text may be cut off within a key
_LAYERS = 3  # JSON in JSON in a URL
_ESCAPE = re.compile(r"\\+(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|[bfnrt])")
_BETWEEN = re.compile(r"[\\\s\x00-\x1f]+")
MASK, WITHHELD = "[key]", "[withheld, as it holds the key]"


class Mask:
    """Strikes out ``secrets``; those of less than 8 characters are taken for placeholders."""

    def __init__(self, secrets: Iterable[str | None]) -> None:
        self._secrets = [secret for secret in secrets if secret and len(secret) >= _SHORTEST]
        parts = {part for secret in self._secrets for part in _parts(secret)}
        self._usual = [form for secret in self._secrets for form in _usual_forms(secret)]
        self._plain = {_plain(part) for part in parts}
        self._base64 = {core for part in parts for core in _base64_cores(part.encode())}
        self._hex = {part.encode().hex() for part in parts}

    def body(self, content: bytes) -> bytes:
        """The body of a reply, JSON or not; as it is, to the byte, where it holds no secret."""
        text = content.decode(json.detect_encoding(content), errors="replace")
        if not self.holds(text):
            return content
        try:
            return json.dumps(self._struck_out(json.loads(text))).encode()
        except (ValueError, RecursionError):
            return self.text(text).encode()

    def text(self, text: str) -> str:
        """``text`` with [key] for a secret; all is withheld where one is written in odd ways."""
        if not self.holds(text):
            return text
        for form in self._usual:
            text = text.replace(form, MASK)
        return WITHHELD if self.holds(text) else text

    def _struck_out(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self.text(key): self._struck_out(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._struck_out(inner) for inner in value]
        return self.text(value) if isinstance(value, str) else value

    def holds(self, text: str) -> bool:
        """Whether a secret can be read in ``text``."""
        if not self._secrets:
            return False
        plain = _plain(text)
        standard, lower = plain.replace("-", "+").replace("_", "/"), plain.lower()
        return (
            any(part in plain for part in self._plain)
            or any(core in standard for core in self._base64)
            or any(digits in lower for digits in self._hex)
        )


def _parts(secret: str) -> list[str]:
    if len(secret) < _HALVED:
        return [secret]
    middle = len(secret) // 2
    return [secret[:middle], secret[middle:]]


def _usual_forms(secret: str) -> Iterator[str]:
    escaped = json.dumps(secret)[1:-1]
    yield from (secret, escaped, escaped.replace("/", "\\/"), quote(secret, safe=""))


def _plain(text: str) -> str:
    """``text`` without escapes, line breaks and blanks, to be searched."""
    for _ in range(_LAYERS):
        before = text
        text = html.unescape(unquote(_ESCAPE.sub(_character, text)))
        if text == before:
            break
    return _BETWEEN.sub("", text)


def _character(escape: re.Match[str]) -> str:
    digits = escape[1] or escape[2]
    return chr(int(digits, 16)) if digits else ""


def _base64_cores(secret: bytes) -> Iterator[str]:
    """What base64 makes of ``secret`` wherever it begins, without characters of its neighbours."""
    for before in range(3):
        bits = 8 * (before + len(secret))
        encoded = base64.b64encode(bytes(before) + secret).decode("ascii")
        yield encoded[-(-8 * before // 6) : bits // 6]
