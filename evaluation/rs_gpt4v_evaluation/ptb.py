r"""The COCO caption tokeniser without Java: Penn Treebank tokens, lower case, punctuation removed.

Gives what ``PTBTokenizer -preserveLines -lowerCase`` of Stanford CoreNLP 3.4.1 gives once COCO has
taken its list of punctuation away. Written from the tool's observed output on probes and captions.

    >>> tokenize(["It's a (big) red/green house, isn't it?"])
    ["it 's a -lrb- big -rrb- red/green house is n't it"]

A batch is tokenised as a whole and in its order, because the dot of a single letter at the end of a
line stays or goes by the first word of the next line:

    >>> tokenize(["shaped like an x.", "There is a farm"])
    ['shaped like an x', 'there is a farm']
    >>> tokenize(["shaped like an x.", "Farms and a road"])
    ['shaped like an x.', 'farms and a road']

Every Unicode line or word separator inside a caption is a space here, so that lines keep their
places; the Java tool breaks the line at them and so shifts all later captions to a wrong image.
Characters outside the basic plane (emoji) vanish, as they do there.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

# Abbreviations that keep their dot; the second group only when capitalised ("la." is no state).
_ABBREVIATIONS = (
    "ph\\.d|adj|adm|adv|al|ala|alex|apr|ariz|assn|assoc|aug|ave|bhd|bldg|blvd|bros|calif|capt|cf|"
    "cie|cmdr|co|col|colo|conn|corp|cos|cpl|ct|dak|dec|dept|det|dr|drs|elec|ens|esq|est|etc|ext|"
    "feb|fla|fri|ft|ga|gen|gov|hon|inc|ind|insp|intl|jan|jos|jr|jul|jun|kan|kans|ky|lieut|lt|ltd|maj|"
    "mar|md|messrs|mfg|mich|minn|mme|mo|mon|mont|mr|mrs|ms|msgr|mt|mtg|natl|neb|nev|nov|oct|okla|"
    "penn|pfc|ph|plc|pres|prof|pte|pty|pvt|rd|rep|reps|rev|rt|sen|sens|sep|sept|seq|sfc|sgt|spc|"
    "sq|sr|st|ste|supt|sys|tel|tenn|thu|thurs|tue|tues|univ|va|vs|vt|wed|wis|wisc|wm|wyo"
)
_CAPITALISED = "Ark|Az|Del|Ill|La|Mass|Miss|Ore|Pa|Tex|Wash"
# These keep it if just one space, or the line's end, and a number follow ("fig. 3").
_NUMBERED = "(?i:art|ca|figs?|nos?|op|pp|prop)"
# A single letter loses its dot before one of these words, if capitalised and standing alone.
_STARTER = re.compile(
    "about|according|after|an?|as|at|but|earlier|he|here?|however|if|in|it|last|many|more|now|once|"
    "one|other|our|she|since|so|some|such|that|their|then|there|these|they?|this|the|we|what|when|"
    "while|yet|you",
    re.IGNORECASE,
)
_SPLIT = {
    "cannot": ("can", "not"),
    "gonna": ("gon", "na"),
    "gotta": ("got", "ta"),
    "wanna": ("wan", "na"),
    "gimme": ("gim", "me"),
    "lemme": ("lem", "me"),
}

_SUPERSCRIPT = "\u00b2\u00b3\u00b9\u2070-\u209c"
_A = f"[^\\W_{_SUPERSCRIPT}\u00bc-\u00be\u2150-\u215e]"  # a letter or a plain digit
_L = f"(?:(?!\\d){_A})"  # a letter
_Q = "['\u2019]"  # an apostrophe
_NOT = "(?i:n['\u2019`]t)"
_CLITIC = f"{_Q}(?i:[sdm]|ll|re|ve)(?!{_L})"
_WORD = f"{_A}+(?:[-_]{_A}+)*"
_PART = "[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}"
_SLASHED = f"{_PART}(?:/{_PART}){{1,2}}"  # and/or, 1/2, semi-detached/white
_URL_REST = r"[^\s\"<>|()]*[^\s\"<>|().,:;!?']"

# At each place the longest match wins, then the earlier pattern. Group 1 is the token; what follows
# the group counts for the length only.
_PATTERNS = [
    re.compile(pattern)
    for pattern in (
        rf"({_L}+?){_NOT}",
        rf"({_WORD}|{_SLASHED}){_CLITIC}",
        rf"({_CLITIC}|{_NOT})",
        rf"({_WORD})",
        rf"({_SLASHED})",
        rf"({_A}(?:{_A}|[.,])*-{_WORD})",  # 1.5-inch
        rf"({_L}{_A}*(?:[.!?]{_L}{_A}*)+)",  # example.org, yes!no
        r"([-+]?\d+(?:[.,:]\d+)*|[-+]?(?:[.,:]\d+)+)",
        r"(\d+\xa0\d+/\d+|\(\d{3}\)\xa0\d{3}-\d{4})",  # 3 1/2, (555) 123-4567
        rf"({_A}+(?:[-.,]+{_A}+)*\.)(?=[,:;])",
        r"([A-Za-z](?:\.[A-Za-z])*\.)",
        rf"((?i:{_ABBREVIATIONS})\.|(?:{_CAPITALISED}|{_CAPITALISED.upper()})\.)",
        rf"({_NUMBERED}\.)(?=\d)",
        r"([A-Z]+(?:[&+][A-Z]+)+|[Cc]\+\+)",  # AT&T
        r"([A-Z]*\$)",  # US$
        rf"({_Q}(?i:em|cause|till?|[2-9]0s|\d\d$|t(?=is|was)|n(?:{_Q}|(?!{_L}))))",
        rf"((?i:[dlj]|y(?={_Q}{_L})|dunkin|ol){_Q})",
        rf"((?i:[dlno]{_Q}{_L}{{2,}}|c{_Q}mon|ma{_Q}am)|[A-HJ-XZ]{_Q}{_L}{{2,}})",  # O'Brien
        rf"({_L}+[aeiouyAEIOUY]{_Q}[aeiouA-Z]{_L}*)",  # Qur'an
        r"(</?[A-Za-z!?][^<>]*>|-[LlRr][RrSsCc][Bb]-|&(?:amp|lt|gt|quot|apos);)",
        rf"((?i:https?)://{_URL_REST})",
        rf"((?:{_A}{{2,}}\.)+(?i:com|net|org|edu)/[^\s\"<>|()]{_URL_REST})",
        rf"({_A}(?:{_A}|[-+._]){{0,63}}@{_A}+(?:[-.]{_A}+)*)",  # a mail address
        rf"(#{_L}+|@{_L}(?:{_A}|_)*)",
        rf"([:;=]['-]?[()]|:[DdPp])(?!{_A})",  # :-)
        r"(''|\u2019\u2019|\.{3,4}|-{2,4}|-{5,}|[!?]+|#+|\*+|@+|_+|<<?|>>?)",
        rf"([{_SUPERSCRIPT}]+)",
        r"(.)",
    )
]

_SPACES = re.compile("[\\s\u200b\x00-\x1f\x7f\ufeff\u2012\U00010000-\U0010ffff]+")
# Tokens with a space inside: the tool writes it as a no-break space, so glue them beforehand.
_GLUED = re.compile(r"<[A-Za-z/!][^<>]*>|(?<!\S)\d+ \d+/\d+|\(\d{3}\) \d{3}-\d{4}")
_NUMBER_AFTER = re.compile(rf"(?<![\w/.-])({_NUMBERED}\.) (?=\d)")
_NUMBERED_LAST = re.compile(rf"(?<![\w/.-]){_NUMBERED}\.\Z")
_GLUE_NEEDED = re.compile(r"[0-9<]")

_CLITIC_OR_NOT = re.compile(f"{_CLITIC}|{_NOT}")

_WRITTEN = {
    "(": "-lrb-",
    ")": "-rrb-",
    "[": "-lsb-",
    "]": "-rsb-",
    "{": "-lcb-",
    "}": "-rcb-",
    "\u20ac": "$",
    "\u00a3": "#",
    "\u00bd": "1/2",
    "\u00bc": "1/4",
    "\u00be": "3/4",
    "&amp;": "&",
    "&lt;": "<",
    "&gt;": ">",
}
# COCO's list names -LRB- and so on too, but they never occur in that case: brackets stay.
_DROPPED = frozenset([*".,:;!?-'`\"", "...", "....", "--", "---", "----", "''", "\u2019\u2019"])
_DROPPED |= frozenset("\u2026\u2013\u2014\u2018\u2019\u201b\u201c\u201d\u00ab\u00bb\u2039\u203a")
_DROPPED |= {"&quot;", "&apos;"}


def tokenize(lines: Sequence[str]) -> list[str]:
    """Tokens of each of ``lines``, joined by one space; "" where a line has none."""
    rows = [_chunks(line) for line in lines]
    flat = [chunk for row in rows for chunk in row]
    place = 0
    written = []
    for index, row in enumerate(rows):
        tokens: list[str] = []
        for chunk in row:
            place += 1
            found = _tokens(chunk)
            tokens += found
            if chunk[-1] == "." and found and _loses_dot(found[-1], flat[place : place + 2]):
                tokens[-1] = found[-1][0]
        if tokens and _is_before_number(lines, index):
            tokens[-1] += "."
        written.append(" ".join(tokens))
    return written


def _is_before_number(lines: Sequence[str], index: int) -> bool:
    """Whether a line ends in "no." or the like and the next one starts with a digit."""
    following = lines[index + 1] if index + 1 < len(lines) else ""
    return following[:1].isdecimal() and _NUMBERED_LAST.search(lines[index]) is not None


def _loses_dot(token: str, after: list[str]) -> bool:
    """Whether ``token`` is a single letter whose dot ends the sentence before ``after``."""
    return (
        len(after) == 2  # the last word of a batch has no space behind it, and so is no starter
        and len(token) == 2
        and token[0].isalpha()
        and token[1] == "."
        and after[0][0].isupper()
        and _STARTER.fullmatch(after[0]) is not None
    )


def _chunks(line: str) -> list[str]:
    """Cut a line at spaces; the few tokens with a space inside stay whole."""
    line = line.replace("\u00ad", "")
    glue = _GLUE_NEEDED.search(line)
    if glue:
        line = _NUMBER_AFTER.sub(r"\1", line)
    line = _SPACES.sub(" ", line)
    if glue:
        line = _GLUED.sub(lambda match: match[0].replace(" ", "\u00a0"), line)
    return [chunk for chunk in line.split(" ") if chunk]


@lru_cache(maxsize=1 << 16)
def _tokens(chunk: str) -> tuple[str, ...]:
    """Tokens of one chunk, as written and without punctuation."""
    return tuple(written for token in _lex(chunk) for written in _write(token))


def _lex(chunk: str) -> Iterator[str]:
    """Longest match first, left to right."""
    place = 0
    while place < len(chunk):
        matches = [match for p in _PATTERNS if (match := p.match(chunk, place))]
        best = max(matches, key=lambda match: match.end())
        yield best[1]
        place = best.end(1)


def _write(token: str) -> tuple[str, ...]:
    """A token as the tool writes it; none if COCO removes it."""
    if token in _DROPPED:
        return ()
    lower = token.lower()
    if lower in _SPLIT:
        return _SPLIT[lower]
    if token in _WRITTEN:
        return (_WRITTEN[token],)
    if _CLITIC_OR_NOT.fullmatch(lower):
        return (lower.replace("\u2019", "'"),)
    return (re.sub(r"[()]", lambda match: _WRITTEN[match[0]], lower),)
