"""The words for DIOR's 20 classes, as data, and for the classes of any other annotation."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files

from rs_gpt4v.scene_classes import squeezed


@dataclass(frozen=True, slots=True)
class ClassWords:
    """What a class is called, in the singular.

    Attributes:
        name: The class in words, ``"ground track field"``.
        same: Other words for it: a count of these is a count of the class.
        narrower: Words for some of its objects: "no truck" does not say "no vehicle".
    """

    name: str
    same: tuple[str, ...] = ()
    narrower: tuple[str, ...] = ()


def _dior() -> Iterator[ClassWords]:
    text = (files("rs_gpt4v") / "object_classes.csv").read_text(encoding="utf-8")
    for name, *words in list(csv.reader(text.splitlines()))[1:]:
        yield ClassWords(name, *(tuple(filter(None, cell.split("; "))) for cell in words))


_DIOR = tuple(_dior())

CONFUSED = (
    frozenset({"bridge", "overpass", "dam", "harbor"}),
    frozenset({"airplane", "airport"}),
    frozenset({"ship", "harbor"}),
    frozenset({"baseball field", "ground track field", "golf field", "stadium"}),
    frozenset({"basketball court", "tennis court"}),
    frozenset({"expressway service area", "expressway toll station", "overpass", "vehicle"}),
    frozenset({"vehicle", "airport", "bridge"}),
    frozenset({"storage tank", "chimney"}),
    frozenset({"train station", "overpass", "airport", "stadium"}),
)
"""Where one is annotated another may be seen: part of it, mistaken for it, or left unannotated."""


def unsure(names: Iterable[str]) -> set[str]:
    """Classes that may be seen without a box where ``names`` have one, by name: see `CONFUSED`."""
    present = set(names)
    return {name for group in CONFUSED if group & present for name in group} - present


Vocabulary = Mapping[str, ClassWords]
"""By name, each class whose every object an annotation marks."""


_BY_KEY = {squeezed(word): words for words in _DIOR for word in (words.name, *words.same)}


def class_words(label: str) -> ClassWords:
    """The words for an annotation's label; one that is unknown is its own only word.

    >>> class_words("Expressway-toll-station").name, class_words("large-vehicle").name
    ('expressway toll station', 'large vehicle')
    """
    return _BY_KEY.get(squeezed(label)) or ClassWords(
        re.sub(r"[\s_-]+", " ", label).strip().lower()
    )


_NAMES = {squeezed(words.name): words.name for words in _DIOR}


def in_words(label: str) -> str:
    """A class as words: DIOR's by their names, any other as it is spelt.

    >>> in_words("tenniscourt"), in_words("Expressway-Service-area"), in_words("small_Dock")
    ('tennis court', 'expressway service area', 'small Dock')
    """
    return _NAMES.get(squeezed(label)) or " ".join(re.split(r"[\s_-]+", label)).strip() or label


def vocabulary(labels: Iterable[str]) -> Vocabulary:
    """The words for these classes: all classes that are annotated, in this image or not."""
    words_of = map(class_words, labels)
    return {words.name: words for words in words_of}


DIOR: Vocabulary = vocabulary(words.name for words in _DIOR)


def plural(noun: str) -> str:
    """More than one of a class, in its name's spelling.

    >>> [plural(noun) for noun in ("ship", "chimney", "overpass", "ferry", "aircraft")]
    ['ships', 'chimneys', 'overpasses', 'ferries', 'aircraft']

    What is none of English's singulars stays as it is.

    >>> [plural(noun) for noun in ("ships", "class 7", "\u8239")]
    ['ships', 'class 7', '\u8239']
    """
    is_plural = noun.endswith("s") and not noun.endswith(("ss", "us", "is"))
    if noun.endswith("craft") or is_plural or not (noun[-1:].isascii() and noun[-1:].isalpha()):
        return noun
    if noun.endswith(("s", "ch", "sh", "x")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"


def counted(count: int, noun: str) -> str:
    """A number with its noun: "1 ship", "2 ships"."""
    return f"{count} {noun if count == 1 else plural(noun)}"
