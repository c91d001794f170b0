"""What a dialogue's own words show, without the boxes."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache

from rs_gpt4v.object_classes import Vocabulary, plural
from rs_gpt4v_generation.checks._verdict import Verdict
from rs_gpt4v_generation.claims import NUMBER, Claim, number, sentences, yes_or_no
from rs_gpt4v_generation.word_lists import BESIDE, word_list

Turn = tuple[str, str]
"""A question with its answer."""


MOST_COMPARED = 50
"""So many claims of a class are kept to compare later ones with; no dialogue needs more."""


def contradictions(claims: Sequence[tuple[int, Claim]]) -> Iterator[Verdict]:
    """Two numbers of one class, or a class that is there and is not; claims with their turns.

    Each claim is compared with the first `MOST_COMPARED` of its class in other sentences, none that
    is only supposed. A number of some objects contradicts only a smaller one of all.
    """
    earlier: dict[tuple[str, tuple[str, ...]], list[Claim]] = defaultdict(list)
    for turn, claim in claims:
        if claim.unsure:
            continue
        alike = earlier[claim.kind, claim.names]
        clashes = [(_agree(first, claim), first) for first in alike]
        compared = [(agree, first) for agree, first in clashes if agree is not None]
        if compared:
            agree, first = min(compared, key=lambda pair: pair[0])
            words = f"{first.sentence} | {claim.sentence}"
            rule = f"two claims of the {claim.kind} of {claim.names[0]} compared"
            yield Verdict("contradictions", "pass" if agree else "fail", turn, words, rule)
        if len(alike) < MOST_COMPARED:
            alike.append(claim)


def _agree(a: Claim, b: Claim) -> bool | None:
    """Whether two claims agree; None where they cannot be compared."""
    if a.sentence == b.sentence:
        return None
    if a.kind == "presence":
        denied = [claim for claim in (a, b) if claim.negated]
        if not denied or any(claim.part for claim in denied):
            return None
        return a.negated == b.negated
    return _same_number(a, b) if a.kind == "count" else None


def _same_number(a: Claim, b: Claim) -> bool | None:
    if not (_is_exact(a) and _is_exact(b)) or a.number is None or b.number is None:
        return None
    some = [claim.number.value for claim in (a, b) if claim.number and (claim.part or claim.place)]
    if len(some) == 2:
        return None
    total = next(c.number.value for c in (a, b) if c.number and not (c.part or c.place))
    if some:
        return False if some[0] > total else None
    return a.number == b.number


def _is_exact(claim: Claim) -> bool:
    return claim.number is not None and claim.number.bound == "exactly" and not claim.negated


_STOP = word_list("stop")


def _content(text: str, *, keep: frozenset[str] = frozenset()) -> list[str]:
    """The words that carry meaning, in order, numbers in digits and plurals without their s."""
    spelled = re.sub(
        rf"(?<![\w.,-]){NUMBER}", lambda m: str(number(m[0]).value), text, flags=re.IGNORECASE
    )
    words = re.findall(r"[a-z0-9]+", spelled.lower().replace("centre", "center"))
    return [_stem(word) for word in words if word not in _STOP or word in keep]


def _stem(word: str) -> str:
    if word.endswith("ss") or len(word) < 4:
        return word
    return re.sub(r"ies$", "y", word) if word.endswith("ies") else word.removesuffix("s")


_CHOICE = re.compile(r"\bor\b|^\s*(?:is|are|was|were|does|do|can|has|have)\b", re.IGNORECASE)


def leaks(turns: Sequence[Turn]) -> Iterator[Verdict]:
    """A question that already says all that its answer says; choices and yes or no aside."""
    for turn, (question, answer) in enumerate(turns):
        content = set(_content(answer))
        if _CHOICE.search(question) or yes_or_no(answer) is not None or not content:
            continue
        leaked = content <= set(_content(question))
        rule = "every word of the answer that carries meaning stands in the question"
        yield Verdict("leaks", "fail" if leaked else "pass", turn, question, rule)


_QUESTION_WORDS = frozenset({"what", "which", "where", "when", "who", "how", "many", "much"})
_POLITE = re.compile(
    r"^\s*(?:please|(?:can|could|would) you(?: please)? (?:tell me|say|describe|explain|count)?|"
    r"(?:do|can) you (?:know|see))\b",
    re.IGNORECASE,
)


def _normal(question: str) -> tuple[str, ...]:
    return tuple(_content(_POLITE.sub(" ", question), keep=_QUESTION_WORDS))


def duplicates(turns: Sequence[Turn]) -> Iterator[Verdict]:
    """A question that an earlier turn asks in the same words that carry meaning.

    "Where is it?" may be asked again where another question stands between.
    """
    earlier: dict[tuple[tuple[str, ...], ...], int] = {}
    subject: tuple[str, ...] = ()
    for turn, (question, _) in enumerate(turns):
        normal = _normal(question) or _words(question)
        leans = bool(_LEANS.search(question))
        first = earlier.setdefault((normal, subject if leans else ()), turn)
        subject = subject if leans else normal
        if turn:
            again = first < turn
            words = f"{turns[first][0]} | {question}" if again else question
            rule = "the words that carry meaning are those of an earlier question"
            yield Verdict("duplicates", "fail" if again else "pass", turn, words, rule)


# Words that mean what others before them say: with these, equal sentences may mean two things.
_LEANS = re.compile(
    r"\b(?:its?|they|them|theirs?|ones?(?=\s+(?:in|at|on|of|is|are|near|to)\b|\W*$)"
    r"|(?:this|that|these|those)(?=\s+(?:is|are|was|were|has|have|do|does|can|cannot|a|an|the)\b|\W*$)"
    r"|i (?:can|do)(?:not|n't| not))\b",
    re.IGNORECASE,
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[\w']+", text.lower()))


LEAST_REPEATED, LEAST_FAR, LEAST_LEANING = 4, 7, 12
"""Words of a sentence that may stand once: in one turn; in all answers; there, with an "it"."""
LONGEST_LOOP, LEAST_LOOPED = 30, 12
"""Most words of a phrase that is said three times in a row, and fewest words of all three."""


def repetition(turns: Sequence[Turn]) -> Iterator[Verdict]:
    """A sentence that stands again in its turn or in a later answer, or a phrase said on and on.

    Short ones ("Yes.", "In the top left.") may stand again, and longer ones with an "it" or a
    "they" in the answer to another question.
    """
    earlier: set[tuple[str, ...]] = set()
    for turn, (question, answer) in enumerate(turns):
        spoken = sentences(answer)
        again = [sentence for sentence in spoken if _words(sentence) in earlier]
        again += [*_twice(spoken), *_twice(sentences(question))]
        again += [text for text in (question, answer) if _is_looped(_words(text))]
        earlier |= {_words(s) for s in spoken if len(_words(s)) >= _least_words(s)}
        rule = "a sentence that stands twice, or a phrase three times in a row"
        outcome, words = ("fail", again[0]) if again else ("pass", answer)
        yield Verdict("repetition", outcome, turn, words, rule)


def _least_words(sentence: str) -> int:
    return LEAST_LEANING if _LEANS.search(sentence) else LEAST_FAR


def _twice(spoken: Sequence[str]) -> list[str]:
    """The sentences that stand before in the same text."""
    seen: set[tuple[str, ...]] = set()
    repeated = []
    for sentence in spoken:
        words = _words(sentence)
        if words in seen:
            repeated.append(sentence)
        elif len(words) >= LEAST_REPEATED:
            seen.add(words)
    return repeated


def _is_looped(words: Sequence[str]) -> bool:
    for length in range(1, LONGEST_LOOP + 1):
        least, equal = max(2 * length, LEAST_LOOPED - length), 0
        for here, ahead in zip(words, words[length:], strict=False):
            equal = equal + 1 if here == ahead else 0
            if equal == least:
                return True
    return False


_COMMON = word_list("common")
MOST_FOREIGN_LETTERS = 0.1
"""More letters than this share that are not a to z make a text no English."""
LEAST_COMMON_WORDS = 0.15
"""English has at least this share of its most common words."""
FEW_WORDS, LEAST_COMMON_IF_SHORT = 10, 1 / 3
"""Below so many words another language shares some of them by chance, and English may have none."""


def language(turns: Sequence[Turn]) -> Iterator[Verdict]:
    """Whether each side of a turn is English, by its letters and its most common words."""
    for turn, sides in enumerate(turns):
        for text in sides:
            letters = [character for character in text.lower() if character.isalpha()]
            words = re.findall(r"[^\W\d_]+", text.lower())
            foreign = sum(not "a" <= letter <= "z" for letter in letters)
            common = sum(word in _COMMON for word in words)
            is_latin = foreign <= MOST_FOREIGN_LETTERS * len(letters)
            is_short = len(words) < FEW_WORDS
            least = LEAST_COMMON_IF_SHORT if is_short else LEAST_COMMON_WORDS
            is_english = common >= max(1, least * len(words))
            outcome = "pass" if is_english else "cannot tell" if is_short else "fail"
            rule = f"{common} of {len(words)} words are common English ones"
            yield Verdict("language", outcome if is_latin else "fail", turn, text, rule)


def length(
    turns: Sequence[Turn],
    most_turns: int,
    question_words: int,
    answer_words: tuple[int, int],
) -> Iterator[Verdict]:
    """Whether the dialogue and each of its sides keep their limits, in turns and words."""
    outcome = "pass" if len(turns) <= most_turns else "fail"
    rule = f"{len(turns)} turns, at most {most_turns}"
    yield Verdict("length", outcome, len(turns) - 1, turns[-1][0], rule)
    for turn, sides in enumerate(turns):
        for text, (least, most) in zip(sides, ((1, question_words), answer_words), strict=True):
            count = len(text.split())
            outcome = "pass" if least <= count <= most else "fail"
            yield Verdict("length", outcome, turn, text, f"{count} words, {least} to {most}")


@lru_cache(maxsize=8)
def _beside(known: tuple[str, ...]) -> re.Pattern[str]:
    """Nouns of no class; the classes go first, so that "ground track field" hides its "field"."""
    other = sorted(
        {form for noun in BESIDE for form in (noun, plural(noun))} - {*known}, key=len, reverse=True
    )
    own = sorted({form for noun in known for form in (noun, plural(noun))}, key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(own)}|(?P<other>{'|'.join(other)}))\b", re.IGNORECASE)


def beyond(turns: Sequence[Turn], vocabulary: Vocabulary) -> Iterator[Verdict]:
    """Things that an answer speaks of and no box could show, each once a turn."""
    known = tuple(
        noun for words in vocabulary.values() for noun in (words.name, *words.same, *words.narrower)
    )
    pattern = _beside(known)
    for turn, (_, answer) in enumerate(turns):
        named = set()
        for sentence in sentences(answer):
            for match in pattern.finditer(sentence):
                noun = _stem((match["other"] or "").lower())
                if noun and noun not in named:
                    named.add(noun)
                    rule = f"{noun}: no class of the annotation"
                    yield Verdict("beyond the boxes", "cannot tell", turn, sentence, rule)
