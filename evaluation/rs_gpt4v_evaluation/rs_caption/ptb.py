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
Characters that the tool does not know (emoji, variation selectors, word joiners) vanish, as they
do there.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from html import unescape
from importlib.resources import files
from itertools import pairwise

# Which characters the tool knows, as ranges of code points. It was written for an older Unicode
# than Python's, and drops what it does not know. The classes were told apart by the tokens of
# ``a?b`` and ``1?2`` for every ``?`` of the basic plane beyond ASCII.
_CHARACTERS = files("rs_gpt4v_evaluation.rs_caption") / "ptb_characters"


def _members(name: str) -> str:
    """The inside of a regular expression's character class."""
    ranges = (_CHARACTERS / f"{name}.txt").read_text(encoding="utf-8").split()
    ends = (part.split("-") for part in ranges)
    return "".join("-".join(chr(int(end, 16)) for end in part) for part in ends)


LETTERS = _members("letters")  # and digits of other scripts: one word with ASCII letters and digits
COMBINING = _members("combining")  # accents, vowel signs: part of a word that starts with a letter
SYMBOLS = _members("symbols")  # a token each

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

_SUPERSCRIPT = "\u00b2\u00b3\u00b9\u2070\u2074-\u207e\u2080-\u208e"
_A = f"[A-Za-z0-9{LETTERS}]"  # a letter or a digit
_L = f"(?:(?!\\d){_A})"  # a letter
# A letter, or an accent or vowel sign of its own.
_C = f"(?:[A-Za-z{LETTERS}{COMBINING}]|&(?i:[aeiou])(?:acute|grave|uml);)"
_Q = "(?:['\u2019]|&apos;)"  # an apostrophe
_NOT = "(?i:n(?:['\u2019`]|&apos;)t)"
_ENDING = "(?i:[sdm]|ll|re|ve)"
_CLITIC = f"(?:'{_ENDING}(?![A-Za-z])|(?:\u2019|&apos;){_ENDING})"
_GLUE = "\ue000"  # stands for the space of "fig. 3"; never written
_JOINER = "[-_\u058a\u2010\u2011]"
_OF = f"(?:[dDlLoO][`'\u2018\u2019\u201b]{_A})?"  # O'Brien, l'arc
_WORD = f"{_OF}{_A}+(?:{_JOINER}{_OF}{_A}+)*"
_ACCENTED = f"(?!\\d){_C}(?:{_C}|[0-9])*"
_PART = "[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}"
_SLASHED = f"{_PART}(?:\\\\?/{_PART}){{1,2}}"  # and/or, 1/2, semi-detached/white
_INITIALS = r"[A-Z]+(?:(?:&(?i:amp;)?|\+)[A-Z]+)+"  # AT&T
_URL_END = r"[^\s\"<>|(){}]+[^\s\"<>|(){}.,!?-]"
_HOST = r"(?:[^\s\"`'<>|.!?(){},-_$]{1,999}\.){1,20}(?:com|net|org|edu)"
_IN_MAIL = r"[^\s\"<>|(){}]"
_TAG_NAME = "[A-Za-z][A-Za-z0-9_:.@-]*"
_TAG_VALUE = r"""(?:='[^']*'|=\"[^\"]*\")"""
_TAG = (
    f"<(?:[!?][A-Za-z-][^>]{{0,999}}|/?{_TAG_NAME}[ \xa0]*/?|"
    f"{_TAG_NAME}(?:[ \xa0]+{_TAG_NAME}{_TAG_VALUE}?)+[ \xa0]*/?)>"
)

# Repeats have an upper bound, so that a text without spaces takes time in proportion to its length.
# At each place the longest match wins, then the earlier pattern. Group 1 is the token; what follows
# the group counts for the length only.
_PATTERNS = [
    re.compile(pattern)
    for pattern in (
        rf"([A-Za-z]+?){_NOT}",
        rf"({_WORD}|{_ACCENTED}|{_SLASHED}){_CLITIC}",
        rf"({_CLITIC}|{_NOT})",
        rf"({_WORD})",
        rf"({_ACCENTED}(?:[.!?]{_ACCENTED})*)",  # example.org, yes!no
        rf"({_SLASHED})",
        r"(\d{1,4}-\d{1,4}\\?/\d{1,4}|\d{1,4}\u2044\d{1,4})",
        r"([A-Za-z0-9][A-Za-z0-9.,]*-[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*)",  # 1.5-inch
        r"([-+]?\d+(?:[.,:\u066b\u066c]\d+)*|[-+]?(?:[.,:\u066b\u066c]\d+)+)",
        r"(\d+\xa0\d+\\?/\d+|\(\d{2,3}\)\xa0?\d{3,4}[-\xa0]?\d{3,5})",  # 3 1/2, (555) 123-4567
        r"((?:\+\+?)?(?:\d{2,4}[-\xa0])?\d{2,4}[-\xa0]\d{3,4}[-\xa0]?\d{3,5})",
        rf"({_A}+(?:[-.,]+{_A}+)*\.|{_ACCENTED}\.)(?=[,:;])",
        r"([A-Za-z](?:\.[A-Za-z])*\.)",
        rf"((?i:{_ABBREVIATIONS})\.|(?:{_CAPITALISED}|{_CAPITALISED.upper()})\.)",
        rf"({_NUMBERED}\.)(?={_GLUE}?\d)",
        rf"({_INITIALS}|[Cc]\+\+|[CcFf]#)",
        r"([A-Z]*\$)",  # US$
        rf"({_Q}(?i:em|cause|till?|[2-9]0s|\d\d$|t(?=is|was)|n(?:{_Q}|(?!{_L}))))",
        rf"((?i:[dlj]|y(?={_Q}{_L})|dunkin|ol){_Q})",
        rf"((?i:c{_Q}mon|ma{_Q}am)|[A-HJ-XZn][`'\u2019]{_L}{{2,}})",
        rf"({_L}+[aeiouyAEIOUY][`'\u2019][aeiouA-Z]{_L}*)",  # Qur'an
        rf"({_TAG}|-[LlRr][RrSsCc][Bb]-)",
        r"(&(?i:amp|lt|gt|nbsp|mdash|ndash|md|quot|apos|[htu][rlt]|[lq][rcl]|[oc]dq);|&#\d+;)",
        rf"((?i:https?)://{_URL_END})",
        rf"((?:www\.(?:[^\s\"<>|.!?(){{}},]{{1,999}}\.){{1,20}}[A-Za-z]{{2,4}}|{_HOST})(?:/{_URL_END})?)",
        rf"((?:<|&lt;)?[A-Za-z0-9]{_IN_MAIL}{{0,999}}@(?:[^\s\"<>|(){{}}.]{{1,999}}\.){{0,20}}"
        rf"[^\s\"<>|(){{}}.]+(?:>|&gt;)?)",  # a mail address
        rf"(#(?:(?!\d){_C})+|@[A-Za-z_][A-Za-z0-9_]*)",
        r"([<>]?[:;=][-'o*]?[()DdPpO\\{@|\[\]])(?![A-Za-z0-9])",  # :-)
        r"([-^x=~<>']_[-^x=~<>']|\([-^x=~<>'][_.]?[-^x=~<>']\)|\([-^x=~<>']-[-^x=~<>'`]\))",  # ^_^
        r"(''|\\\*)",
        r"([`\u2018-\u201f\u2039\u203a\xab\xbb]{1,2}|\.{3,4}|-{5,}|-{2,4}|[!?]+|#+|\*+|@+|_+|<<?|>>?)",
        rf"([{_SUPERSCRIPT}]+)",
        r"(.)",
    )
]

_SPACES = re.compile("[\\s\x00-\x1f\x7f]+")
# Tokens with a space inside: the tool writes it as a no-break space, so glue them beforehand.
_GLUED = re.compile(
    rf"{_TAG}|(?<![\w.,:/-])\d{{1,4}} \d{{1,4}}\\?/\d{{1,4}}(?!\d)|"
    r"\(\d{2,3}\) ?\d{3,4}[- ]?\d{3,5}(?!\d)|"
    r"(?<![\w.,:/-])(?:\d{2,4}[- ])?\d{2,4}[- ]\d{3,4}[- ]?\d{3,5}(?!\d)"
)
_NUMBER_AFTER = re.compile(rf"(?<![\w/.-])({_NUMBERED}\.) (?=\d)")
_NUMBERED_LAST = re.compile(rf"(?<![\w/.-]){_NUMBERED}\.\Z")
_GLUE_NEEDED = re.compile(r"[0-9<]")

_QUOTED = re.compile("[`\u2018-\u201f\u2039\u203a\xab\xbb]+")
_APOSTROPHE = re.compile("\u2019|&apos;")
_ESCAPED = re.compile(rf"(?i:&amp;|&lt;|&gt;)|{_INITIALS}")
_BRACKET = re.compile("[()]")
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
    "\u2153": "1/3",
    "\u2154": "2/3",
    "\u00a2": "cents",
    "\u00a4": "$",
    "\u20a0": "$",
}
_QUOTES = str.maketrans(
    {
        **dict.fromkeys("\u2018\u201b\u2039", "`"),
        **dict.fromkeys("\u2019\u203a", "'"),
        **dict.fromkeys("\u201c\u00ab", "``"),
        **dict.fromkeys("\u201d\u00bb", "''"),
    }
)
# What Windows calls these control characters; the tool reads them so.
_WINDOWS = str.maketrans(
    "\x80\x91\x92\x93\x94\x96\x97", "\u20ac\u2018\u2019\u201c\u201d\u2013\u2014"
)
# COCO's list names -LRB- and so on too, but they never occur in that case: brackets stay.
_DROPPED = frozenset([*".,:;!?-'`\"", "...", "....", "--", "---", "----", "''", "``"])
_DROPPED |= {"\u2026", "\u2013", "\u2014", "\u2015", "&quot;", "&apos;", "&nbsp;"}
_DROPPED |= {"&mdash;", "&ndash;", "&MD;"}
_KNOWN = re.compile(f"[\x21-\x7e{LETTERS}{COMBINING}{SYMBOLS}]")


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
            kept = _tokens(chunk)
            tokens += kept
            if chunk[-1] == "." and kept and _loses_dot(kept[-1], flat[place : place + 2]):
                tokens[-1] = kept[-1][0]
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
    line = line.replace("\u00ad", "").translate(_WINDOWS)
    glue = _GLUE_NEEDED.search(line)
    if glue:
        line = _NUMBER_AFTER.sub(rf"\1{_GLUE}", line)
    line = _SPACES.sub(" ", line)
    if glue:
        line = _GLUED.sub(lambda match: match[0].replace(" ", "\u00a0"), line)
    return [chunk for chunk in line.split(" ") if chunk]


@lru_cache(maxsize=1 << 16)
def _tokens(chunk: str) -> tuple[str, ...]:
    """Tokens of one chunk, as written and without punctuation."""
    lexed = [*_lex(chunk), ""]
    written: list[str] = []
    for token, following in pairwise(lexed):
        stays_whole = token.lower() in _SPLIT and _CLITIC_OR_NOT.fullmatch(following)  # gonna's
        written += [token.lower()] if stays_whole else _write(token)
    return tuple(written)


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
    if _QUOTED.fullmatch(token):
        token = token.translate(_QUOTES)
    if token in _DROPPED or (len(token) == 1 and not _KNOWN.match(token) and token not in _WRITTEN):
        return ()
    lower = token.lower()
    if lower in _SPLIT:
        return _SPLIT[lower]
    if token in _WRITTEN:
        return (_WRITTEN[token],)
    if _CLITIC_OR_NOT.fullmatch(lower):
        return (_APOSTROPHE.sub("'", lower),)
    if _ESCAPED.fullmatch(token):
        return (unescape(lower),)
    return (_BRACKET.sub(lambda match: _WRITTEN[match[0]], lower),)
