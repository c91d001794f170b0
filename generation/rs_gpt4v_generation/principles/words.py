"""English as closed lists: what is a word, and which words say a colour, a place, an order."""

import re
from collections.abc import Collection, Iterator, Sequence

_NUMBER = r"(?:\d+(?:\.\d+)?|\.\d+)"
BOX = rf"[\[({{<|]+\s*{_NUMBER}(?:[\s,<>|]+{_NUMBER}){{3,}}[\s\])}}>|]*"
"""The pattern of a box in a text: a bracket, then four or more numbers with no word between."""

_WORD = re.compile(rf"{BOX}|\d+(?:[.,]\d+)+|[^\W_]+(?:['\u2019-][^\W_]+)*")


def words(text: str) -> list[str]:
    """The words of a text in lower case; a number is one, and so is a whole box.

    >>> words("Two A-380s near [0.1, 0.2, 0.3, 0.4], 1.5 ha.")
    ['two', 'a-380s', 'near', '[box]', '1.5', 'ha']
    """
    return [w if w[0].isalnum() else "[box]" for w in _WORD.findall(text.lower())]


def phrases(spoken: Sequence[str], known: Collection[str]) -> Iterator[str]:
    """The phrases of at most four words that stand in a text, the longest at each place.

    >>> list(phrases(["next", "to", "a", "tennis", "court"], {"next to", "court", "tennis court"}))
    ['next to', 'tennis court']
    """
    index = 0
    while index < len(spoken):
        for size in range(min(_LONGEST, len(spoken) - index), 0, -1):
            phrase = " ".join(spoken[index : index + size])
            if phrase in known:
                yield phrase
                index += size - 1
                break
        index += 1


_LONGEST = 4


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


COLOURS = _listed(
    """white black grey gray green red blue brown yellow orange purple pink beige tan golden silver
    turquoise teal cyan maroon cream dark pale bright whitish blackish greyish grayish greenish
    reddish bluish brownish yellowish orangish pinkish colorful colourful"""
)
SIZES = _listed(
    """big bigger biggest small smaller smallest large larger largest tiny huge little long longer
    longest short shorter shortest wide wider widest narrow narrower narrowest tall taller tallest
    broad massive vast enormous giant compact medium medium-sized small-sized large-sized sizable
    sizeable spacious extensive thick thin"""
)
MATERIALS = _listed(
    """concrete asphalt metal metallic steel iron wooden brick bricks stone glass gravel sand sandy
    clay dirt paved unpaved tiled plastic marble cement rubber earthen grassy soil"""
)
SPATIAL = frozenset(
    {
        *_listed(
            """left right top bottom upper lower center centre central middle corner corners edge
            edges above below beneath underneath under between among near nearby beside adjacent
            around surrounded surrounding surrounds behind opposite along alongside across inside
            outside within beyond side sides parallel facing neighboring neighbouring north south
            east west northern southern eastern western northeast northwest southeast southwest
            leftmost rightmost topmost bottommost"""
        ),
        *("next to", "close to", "far from", "in front of", "away from"),
    }
)
ASKED_ATTRIBUTES = (
    COLOURS
    | SIZES
    | MATERIALS
    | {"made of"}
    | _listed(
        "color colors colour colours size sizes shape shapes shaped material materials condition"
    )
)
"""Attributes, and what asks for one."""

BACKGROUND = (
    r"\b(?:because|due to|therefore|thus|hence|typical\w*|usually|commonly|often|generally|likely"
    r"|used (?:for|to|as|by)|designed (?:for|to|as)|intended (?:for|to)|serv(?:es?|ing) (?:as|the)"
    r"|suggest\w*|indicat(?:e|es|ing|ive)|impl(?:y|ies|ying)|essential|important|in order to"
    r"|allow(?:s|ing)?|facilitat\w+|known (?:as|for)|purposes?|functions?|role)\b"
)
"""What says more than is seen: a use, a reason, what is usual, what follows (RE2)."""

FUNCTION_WORDS = _listed(
    """a an the this that these those each every any some no all both either neither another other
    such i you he she it we they me him her us them my your his its our their there here
    what which who whom whose where when why how
    of in on at by for from to with without within into onto over under above below between among
    near beside next behind through across along around about against toward towards before after
    during per as than like inside outside out up down off
    and or but nor so if because while whether though although
    is are was were be been being am isn't aren't do does did don't doesn't has have had having
    can could will would shall should may might must
    not yes only also very more most less least many much few several please"""
)
"""Words that carry the form of a sentence, not its matter."""

PREPOSITIONS = _listed(
    """of in on at by for from to with without within into onto over under above below between among
    near beside next behind through across along around about against toward towards as than like
    inside outside"""
)
DETERMINERS = _listed(
    """a an the this that these those each every any some no all both another other my your its our
    their"""
)
PREDICATES = _listed(
    """visible present available possible likely apparent there here together similar different
    clearly currently somewhere anywhere everywhere one two three four five six seven eight nine
    ten"""
)
"""Adjectives and adverbs that stand where a noun could: "are ships visible"."""

_VERBS = """describe provide give write summarize summarise caption compose express offer tell state
count locate find detect identify list name explain point mark draw return output report search
ground classify recognize recognise answer reply respond consider look inspect estimate compare
determine infer analyze analyse discuss suggest indicate imply show see spot notice observe contain
include display depict feature hold cover use serve surround connect support affect separate
distinguish lie refer make say take live exist resemble arrange relate miss happen occur need help
lead differ appear know think believe imagine guess belong form change divide occupy fill dominate
cross flow"""
_IRREGULAR = {
    **dict.fromkeys(("is", "are", "was", "were", "be", "been", "am"), "be"),
    **dict.fromkeys(("has", "have", "had"), "have"),
    **dict.fromkeys(("do", "does", "did"), "do"),
    "found": "find",
    "given": "give",
    "written": "write",
    "shown": "show",
    "seen": "see",
    "held": "hold",
    "told": "tell",
    "drawn": "draw",
    "made": "make",
    "taken": "take",
    "said": "say",
    "known": "know",
}
AUXILIARIES = frozenset({"be", "have", "do"})


def _forms() -> dict[str, str]:
    forms = dict(_IRREGULAR)
    for verb in _VERBS.split():
        past = f"{verb}d" if verb.endswith("e") else f"{verb}ed"
        past = f"{verb[:-1]}ied" if verb == "imply" else past
        third = "implies" if verb == "imply" else f"{verb}{'es' if verb.endswith('ch') else 's'}"
        forms |= dict.fromkeys((verb, past, third), verb)
    return forms


VERBS = _forms()
"""Forms of the verbs that instructions are made with, each with its infinitive.

Those in -ing are left out: "building" and "parking" are nouns here.
"""
