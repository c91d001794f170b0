r"""Texts that a careless conversion damaged: ``\u00a0`` as six letters, ``&amp;``, ``Ã©``.

They are told, and mended only where the user asks for it: a published file is scored as it is.

>>> [kind_of(text) for text in (r"a\u00a0road", "a &amp; b", "cafÃ©", "a b")]
['escapes', 'entities', 'wrong encoding', None]
>>> repaired(r"There\u00a0are"), repaired("a &amp; b"), repaired("cafÃ©")
('There\xa0are', 'a & b', 'café')
"""

import html
import re
from collections.abc import Iterable
from typing import NamedTuple

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|\\([nrt])(?![a-z])")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_WRONG_ENCODING = re.compile("[\u00c2\u00c3][\u0080-\u00bf]|\u00e2\u20ac.")
_LOST = "\N{REPLACEMENT CHARACTER}"
_OF_ESCAPE = {"n": "\n", "r": "\r", "t": "\t"}


class Damage(NamedTuple):
    """Damaged texts of one kind: how many, and the first of them with where it stands."""

    part: str
    kind: str
    n: int
    where: str
    example: str


def kind_of(text: str) -> str | None:
    """What is wrong with a text; None if nothing is."""
    if "\\" in text and _ESCAPE.search(text):
        return "escapes"
    if "&" in text and any(html.unescape(m[0]) != m[0] for m in _ENTITY.finditer(text)):
        return "entities"
    if _WRONG_ENCODING.search(text):
        return "wrong encoding"
    return "lost characters" if _LOST in text else None


def repaired(text: str) -> str:
    """The text as it was meant; what cannot be told is left as it is."""
    if "\\" in text:
        text = _ESCAPE.sub(_character, text)
    if "&" in text:
        text = html.unescape(text)
    if _WRONG_ENCODING.search(text):
        try:
            return text.encode("cp1252").decode()
        except UnicodeError:
            return text
    return text


def _character(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2]
    if code is None:
        return _OF_ESCAPE[escape[3]]
    number = int(code, 16)
    return escape[0] if 0xD800 <= number < 0xE000 else chr(number)  # half a pair is no text


def damages(texts: Iterable[tuple[str, str, str]]) -> list[Damage]:
    """What is wrong with texts, each of them given as (part of the item, where, text)."""
    found: dict[tuple[str, str], Damage] = {}
    for part, where, text in texts:
        if (kind := kind_of(text)) is not None:
            first = found.get((part, kind), Damage(part, kind, 0, where, text))
            found[part, kind] = first._replace(n=first.n + 1)
    return list(found.values())
