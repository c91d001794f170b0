"""Which class of a closed set a reply names: the written rule of `rs_scene`, step by step.

1. A reply that is one of the names, case, number, hyphens and spaces aside, means it.
2. A reply that says it cannot tell abstains.
3. Names, their synonyms and their partial names are looked for, the longest first: "railway
   station" does not name "railway". One that is denied ("not a beach") does not count.
4. Names count before synonyms, and synonyms before partial names, unless an "or" leaves it open
   ("airport or aircraft"). Where one class is left, the reply means it; a reply that names no
   class or several abstains.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import combinations, pairwise
from typing import Literal, NamedTuple

from rs_gpt4v.scene_classes import squeezed

SYNONYMS = (
    "airplane, aeroplane, aircraft, jet, plane",
    "airport, aerodrome, airfield",
    "agricultural, agricultural area, agricultural field, agricultural land, agriculture, "
    "crop field, cropland, cultivated land, farm, farm field, farmland",
    "bare land, bare ground, bare soil, barren land",
    "baseball diamond, ballpark, baseball field",
    "boat, ship, vessel",
    "chaparral, scrubland, shrubland",
    "circular farmland, center pivot, center pivot irrigation, circular cropland, circular field",
    "church, cathedral",
    "dense residential, dense housing, densely populated residential, high density residential",
    "desert, sand dune",
    "forest, woodland, woods",
    "freeway, expressway, highway, motorway",
    "golf course, golf field",
    "ground track field, athletic field, athletics track, running track, track and field",
    "harbor, dock, harbour, marina, port",
    "intersection, crossroad, crossroads, road junction",
    "meadow, grassland",
    "medium residential, medium density residential, medium dense residential",
    "mobile home park, trailer park",
    "overpass, flyover, viaduct",
    "parking lot, car park, parking, parking area",
    "playfields, playing field",
    "railway, railroad, train track",
    "railway station, train station",
    "rectangular farmland, rectangular cropland, rectangular field",
    "roundabout, traffic circle",
    "snowberg, snow mountain, snow capped mountain, snow covered mountain, snowy mountain",
    "sparse residential, low density residential, sparsely populated residential",
    "square, plaza",
    "stadium, arena",
    "storage tank, oil tank, tank",
    "terrace, terraced field",
    "thermal power station, power plant, power station, thermal power plant",
    "wetland, marsh, swamp",
)
"""What names the same kind of scene, a group a line; which of it is a class differs by data set."""

GENERIC = ("area", "court", "course", "diamond", "field", "lot", "park", "station")
"""Last words that a partial name is without: "golf" is a golf course, "sea" is no sea ice."""

_UNDECIDED = re.compile(
    r"\b(?:can ?not|can't|could not|couldn't|unable|not able|not sure|unsure|uncertain|unclear"
    r"|unknown|not clear|not possible|impossible|do not know|don't know|none of|hard to say"
    r"|hard to tell)\b"
)
_NOT = re.compile(r"\b(?:instead of|rather than)\b")
_DENYING = {"neither", "never", "no", "nor", "not", "unlike", "without"}
_DENIED_WITHIN = 3  # words before a name
_NEVER_JOINED = {
    *("a", "an", "and", "as", "at", "by", "for", "from", "in", "is", "it", "of", "on", "or"),
    *("the", "this", "to", "with"),
}
_ALTERNATIVE = {"a", "an", "or", "the"}
_CLAUSE = re.compile(r"[.,;:!?()\n]|\bbut\b")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_MOST_WORDS = 8  # of a name

Kind = Literal["outside", "several", "undecided"]


class Abstention(NamedTuple):
    """A reply that names no one class: why, and the same in words."""

    kind: Kind
    reason: str


Words = tuple[str, ...]


class _Form(NamedTuple):
    """A text that names classes: how well (0 a name, 1 a synonym, 2 a partial name), and which.

    ``words`` is how many words it is written in.
    """

    rank: int
    classes: frozenset[str]
    words: int


class _Mention(NamedTuple):
    """Where a text names classes; ``after_or``: nothing but "or" is between it and the last one."""

    form: _Form
    is_denied: bool
    after_or: bool


def read(reply: str, names: Sequence[str]) -> str | Abstention:
    """Which of ``names`` the reply means, or why it means none.

    >>> names = ["airport", "airplane", "dense residential", "golf course", "railway"]
    >>> read("This is a dense-residential area.", names), read("Golfcourses", names)
    ('dense residential', 'golf course')
    >>> read("An aircraft", names), read("golf", names), read("not an airport: a railway", names)
    ('airplane', 'golf course', 'railway')
    >>> read("airport or airplane", names)
    Abstention(kind='several', reason='names several classes: airplane, airport')
    >>> read("I cannot tell.", names).kind, read("a zoo", names).kind
    ('undecided', 'outside')
    """
    forms = _forms(tuple(sorted(names)))
    text = unicodedata.normalize("NFKC", reply).casefold().replace("’", "'")  # noqa: RUF001
    text = text.replace("/", " or ")
    whole = forms.get("".join(_words(text)))
    if whole is not None and whole.rank == 0:
        return _decided(whole.classes)
    if _UNDECIDED.search(" ".join(text.split())):
        return Abstention("undecided", f"does not decide: {reply!a:.80}")
    named = _mentions(text, forms, _beginnings(tuple(sorted(names))))
    mentions = [mention for mention in named if not mention.is_denied]
    best = min((mention.form.rank for mention in mentions), default=0)
    chosen = [mention.form for mention in mentions if mention.form.rank == best]
    for before, after in pairwise(mentions):
        chosen += [before.form, after.form] if after.after_or else []
    classes = frozenset().union(*(form.classes for form in chosen))
    if not classes:
        return Abstention("outside", f"names no class: {reply!a:.80}")
    return _decided(classes)


def means(answer: str | Abstention, accepted: Sequence[str]) -> bool:
    """Whether what `read` gives is one of the classes ``accepted``, in any spelling.

    >>> means("dense residential", ["Dense_Residential"]), means(read("?", ["a"]), ["a"])
    (True, False)
    """
    return isinstance(answer, str) and squeezed(answer) in map(squeezed, accepted)


def _decided(classes: frozenset[str]) -> str | Abstention:
    if len(classes) == 1:
        return next(iter(classes))
    return Abstention("several", f"names several classes: {', '.join(sorted(classes))}")


def _mentions(text: str, forms: dict[str, _Form], beginnings: frozenset[str]) -> Iterator[_Mention]:
    """What names a class in the text, in its order; of two that begin together, the longer."""
    for clause in _CLAUSE.split(_NOT.sub("not", text)):
        words = _words(clause)
        start, last = 0, len(words)
        while start < len(words):
            end = _end(words, start, forms, beginnings)
            if end > start:
                before = words[max(0, start - _DENIED_WITHIN) : start]
                denied = any(word in _DENYING or word.endswith("n't") for word in before)
                between = set(words[last:start])
                after_or = "or" in between <= _ALTERNATIVE
                yield _Mention(forms["".join(words[start:end])], denied, after_or)
                last = end
            start = max(end, start + 1)


def _end(words: list[str], start: int, forms: dict[str, _Form], beginnings: frozenset[str]) -> int:
    """Where the longest form ends that begins at ``start``; there, if none does."""
    longest, text = start, ""
    for end in range(start + 1, min(start + _MOST_WORDS, len(words)) + 1):
        text += words[end - 1]
        if text not in beginnings:
            break
        form, some = forms.get(text), words[start:end]
        # "is land" is no island, but "bare land" is bareland.
        if form and (len(some) in (1, form.words) or _NEVER_JOINED.isdisjoint(some)):
            longest = end
    return longest


@lru_cache(maxsize=256)
def _forms(names: tuple[str, ...]) -> dict[str, _Form]:
    """All that names one of ``names``, without spaces.

    Raises:
        ValueError: Two of them are one class.
    """
    own = {name: tuple(_words(name.casefold())) for name in names}
    for first, second in combinations(names, 2):
        if "".join(own[first]) == "".join(own[second]):
            raise ValueError(f"{first!r} and {second!r} are one class in two spellings")
    ranked = (
        {name: {words} for name, words in own.items()},
        {name: _groups().get("".join(words), set()) for name, words in own.items()},
        {name: _partial(words) for name, words in own.items()},
    )
    forms: dict[str, _Form] = {}
    for rank, by_name in enumerate(ranked):
        forms |= _of_rank(rank, by_name, forms)
    return forms


@lru_cache(maxsize=256)
def _beginnings(names: tuple[str, ...]) -> frozenset[str]:
    """How the texts of `_forms` begin: what goes on otherwise need not be looked at."""
    return frozenset(text[:end] for text in _forms(names) for end in range(1, len(text) + 1))


@cache
def _groups() -> dict[str, set[Words]]:
    """The group of `SYNONYMS` that a text is in, by the text without spaces."""
    groups = [{tuple(_words(text)) for text in line.split(",")} for line in SYNONYMS]
    return {"".join(words): group for group in groups for words in group}


def _of_rank(
    rank: int, by_name: dict[str, set[Words]], better: dict[str, _Form]
) -> dict[str, _Form]:
    """The forms of a rank that are none of a better one."""
    classes: dict[str, set[str]] = {}
    lengths: dict[str, int] = {}
    for name, texts in by_name.items():
        for words in texts:
            text = "".join(words)
            classes.setdefault(text, set()).add(name)
            lengths[text] = len(words)
    return {
        text: _Form(rank, frozenset(classes[text]), lengths[text])
        for text in classes.keys() - better.keys() - {""}
    }


def _partial(words: Words) -> set[Words]:
    """A name without a generic last word."""
    return {words[:-1]} if len(words) > 1 and words[-1] in GENERIC else set()


def _words(text: str) -> list[str]:
    """The words of a text in lower case, each in the singular."""
    return [_singular(word.removesuffix("'s")) for word in _WORD.findall(text)]


@lru_cache(maxsize=1 << 14)
def _singular(word: str) -> str:
    """The singular of a regular plural.

    >>> [_singular(word) for word in "beaches tanks cities overpasses tennis grass".split()]
    ['beach', 'tank', 'city', 'overpass', 'tennis', 'grass']
    """
    if len(word) <= 3 or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    if word.endswith(("ches", "shes", "sses", "xes", "zes")):
        return word[:-2]
    return word.removesuffix("s")
