"""Characters that nobody sees, or that look like others, in the words of the rows.

They are left as released. A model or a metric takes a word with one for another word.
"""

# pyarrow makes its compute functions at import time, unseen by type checkers.
# pyright: reportAttributeAccessIssue=false

import re
import unicodedata
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rs_gpt4v_builders.audit.rows import Part

_MAY_HOLD_ONE = r"[^\x20-\x7e\n]|[\\&]"
_WRITTEN_OUT = re.compile(
    r"\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\[nrt]|&(?:[a-zA-Z]+|#[0-9]+|#x[0-9a-fA-F]+);"
)
_UNSEEN = ("Cc", "Cf", "Cn", "Co", "Zl", "Zp", "Zs")  # controls, format signs, other spaces
_LIKE_OTHERS = ("Mn", "Pd", "Pf", "Pi")  # accents apart from their letters, dashes, curly quotes
_MORE = "\u201a\u201e\u2026\ufffd"  # low quotes, an ellipsis, the sign of a lost character
_FULL_WIDTH = range(0xFF01, 0xFF5F)
_PLAIN = " \n-"


@dataclass(frozen=True, slots=True)
class OddCharacter:
    """A character in the rows of one split.

    Args:
        part: ``cap_nwpu/test``.
        character: "U+00A0 NO-BREAK SPACE", or the escape that stands there in its place.
        rows: Rows in whose messages it is.
        references: Rows in whose accepted answers it is; a caption's are all those of its image.
        first: Id of the first of all these rows.
    """

    part: str
    character: str
    rows: int
    references: int
    first: str


def odd_characters(part: Part) -> list[OddCharacter]:
    """Every such character of a split, the most frequent first."""
    rows_by_character = [_rows_by_character(column) for column in (part.texts, part.references)]
    odd = [
        OddCharacter(
            part.name,
            character,
            *(len(rows.get(character, ())) for rows in rows_by_character),
            first=part.ids[
                min(min(rows.get(character, [len(part.ids)])) for rows in rows_by_character)
            ].as_py(),
        )
        for character in dict.fromkeys([*rows_by_character[0], *rows_by_character[1]])
    ]
    return sorted(odd, key=lambda item: (-item.rows, -item.references, item.character))


def _rows_by_character(texts: pa.Array) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for row in np.flatnonzero(pc.match_substring_regex(texts, _MAY_HOLD_ONE)).tolist():
        for character in odd_in(texts[row].as_py()):
            rows.setdefault(character, []).append(row)
    return rows


def odd_in(text: str) -> set[str]:
    """The names of such characters in a text, and the escapes that are written out there."""
    return {*map(_name, filter(_is_odd, set(text))), *_WRITTEN_OUT.findall(text)}


def _is_odd(character: str) -> bool:
    if character in _PLAIN:
        return False
    kind = unicodedata.category(character)
    return kind in (*_UNSEEN, *_LIKE_OTHERS) or character in _MORE or ord(character) in _FULL_WIDTH


def _name(character: str) -> str:
    name = unicodedata.name(character, unicodedata.category(character))
    return f"U+{ord(character):04X} {name}"
