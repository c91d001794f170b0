"""Names of scene classes: when two are one class, and how a question lists those to choose from."""

import re
from collections.abc import Iterable

# After a colon, up to a stop at the end of a word, or the end of the line.
_LIST = re.compile(r":\s*([^:\n.?!]*(?:[.?!](?!\s|$)[^:\n.?!]*)*)(?=[.?!](?:\s|$)|\n|$)")
_BETWEEN = re.compile(r",\s*(?:(?:or|and)\s+)?")
SEPARATOR = ", "
"""What is between the names in a list, so that `choices` reads them again."""
_AROUND = "[](){}'\"` "


def squeezed(name: str) -> str:
    """The letters and digits of a name in lower case: equal of all spellings of one class.

    >>> squeezed("Dense_Residential") == squeezed("denseresidential")
    True
    """
    return "".join(filter(str.isalnum, name.casefold()))


def two_spellings(names: Iterable[str]) -> tuple[str, str] | None:
    """The first two of ``names`` that spell one class, or None.

    >>> two_spellings(["Airport", "bare land", "BareLand"])
    ('bare land', 'BareLand')
    """
    spelt: dict[str, str] = {}
    for name in names:
        if spelt.setdefault(squeezed(name), name) != name:
            return spelt[squeezed(name)], name
    return None


def choices(question: str) -> list[str]:
    """The classes that ``question`` lists behind a colon, between commas; none if there is no list.

    >>> choices("Classify the image within one of the given classes: airport, bare land. Be brief.")
    ['airport', 'bare land']
    >>> choices("Question: which is it? Choose from: [beach, river, or sea ice]")
    ['beach', 'river', 'sea ice']
    >>> choices("Which class is it?")
    []
    """
    for match in _LIST.finditer(question):
        if "," in match[1]:
            names = (name.rstrip().strip(_AROUND) for name in _BETWEEN.split(match[1].rstrip()))
            return [name for name in names if name]
    return []


def is_listable(name: str) -> bool:
    """Whether a question can list a class of this name: `choices` reads it as one name.

    >>> is_listable("St. Mary's field"), is_listable("ships, moored"), is_listable("sea: ice")
    (False, False, False)
    """
    return choices(f"Classes: {name}{SEPARATOR}x.") == [name, "x"]
