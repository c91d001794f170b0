"""What a question with its answer claims of an image, read by plain rules.

English and the classes of a vocabulary only. The rules look for a few forms and leave the rest: a
sentence that they do not know gives no claim, never a wrong one on purpose.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rs_gpt4v.object_classes import Vocabulary
from rs_gpt4v_generation.claims._mentions import mentions
from rs_gpt4v_generation.claims._statement import Claim, Topic, named, statement, topic_of
from rs_gpt4v_generation.claims._words import (
    NUMBER,
    Number,
    clauses,
    number,
    plain,
    sentences,
    yes_or_no,
)

__all__ = [
    "NUMBER",
    "Claim",
    "Number",
    "Topic",
    "claims",
    "number",
    "plain",
    "sentences",
    "yes_or_no",
]

MOST_ASKED = 1_000
"""Characters of a question; the check of length fails longer ones, which take the rules long."""

_HOW_MANY = re.compile(
    r"\b(?:how (?:many|numerous)|what(?:'s| is| was)? (?:the )?(?:\w+ ){0,4}?"
    r"(?:number|count|quantity)|(?:total )?number of"
    r"|(?:count|tally) (?:of |the |all |up )|counting)",
    re.IGNORECASE,
)
_CLOSED = re.compile(
    r"^\s*(?:is|are|was|were|does|do|did|has|have|can|could|would you say|am)\b", re.IGNORECASE
)
_OPEN = re.compile(r"\b(?:how|what|where|which|why|who|when|or|than)\b", re.IGNORECASE)
_EXISTENCE = re.compile(
    r"^\s*(?:(?:is|are|was|were)\s+there\b|(?:is|are)\s+any\b|have\s+any\b|"
    r"(?:can|could|do|did)\s+you\s+(?:\w+\s+)?(?:see|spot|notice|find|identify|detect|observe)\b"
    r"|does\s+(?:the|this)\s+(?:\w+\s+){0,2}?(?:contain|show|include|have|feature|depict|hold|display)\b"
    r"|would you say there (?:is|are)"
    r"|(?:is|are)\b.*\b(?:visible|present|shown|seen|in (?:the|this) (?:image|picture|scene))\b)",
    re.IGNORECASE,
)


def claims(
    question: str, answer: str, vocabulary: Vocabulary, topic: Topic
) -> tuple[list[Claim], Topic]:
    """What one turn claims, and what the next turn's "it" and "they" mean.

    A yes or no makes a claim of its question, as far as `MOST_ASKED` characters of it say
    something. A number alone answers "how many".
    """
    question = question[:MOST_ASKED]
    topic = topic_of(question, vocabulary, topic)
    result = [*_confirmed(question, answer, vocabulary)]
    wanted = _count_question(question, vocabulary)
    parts = sentences(_spoken(answer))
    for index, sentence in enumerate(parts):
        read, topic = _read(sentence, vocabulary, topic)
        if wanted is not None:
            read = list(_of_wanted(read, wanted))
            if index == 0 and not _counts(read, wanted):
                read += _bare_number(sentence, wanted, vocabulary)
        result += read
    return list(dict.fromkeys(result)), topic


_WHICH = re.compile(r"\s*(?:which|that|where)\b", re.IGNORECASE)


def _read(sentence: str, vocabulary: Vocabulary, topic: Topic) -> tuple[list[Claim], Topic]:
    """The claims of a sentence; a pronoun means the clause before, or ``topic``."""
    result = []
    for clause in clauses(sentence):
        # "Which" is what was named last, "it" what was named first.
        meant = Topic(topic.names[::-1]) if _WHICH.match(clause) else topic
        result += statement(clause, sentence, vocabulary, meant)
        topic = topic_of(clause, vocabulary, topic)
    return result, topic


_OPENING = re.compile(
    r"^\s*(?:yes|yeah|no|nope|indeed|correct|absolutely|certainly|sure)\s*[,;.!:-]+\s*",
    re.IGNORECASE,
)


def _spoken(answer: str) -> str:
    """The answer behind its opening yes or no."""
    return _OPENING.sub("", answer, count=1)


def _confirmed(question: str, answer: str, vocabulary: Vocabulary) -> Iterator[Claim]:
    """What a yes or no to a question claims."""
    verdict = yes_or_no(answer)
    body = question.strip().rstrip("?").strip()
    if verdict is None or not _CLOSED.match(body) or _OPEN.search(body):
        return
    stands = bool(_EXISTENCE.match(body))
    sentence = f"{question.strip()} {sentences(answer)[0]}"
    body = re.sub(r"\b(?:any|can|could)\b", "", _CLOSED.sub("", body, count=1))
    body = re.sub(r"^\s*(?:there|you)\b", "", body)
    read = statement(body, sentence, vocabulary, Topic())
    counted = {claim.names for claim in read if claim.kind == "count"}
    for claim in read:
        # "No" to "are there two ships" denies the number alone.
        if claim.kind == "presence" and (not stands or claim.names in counted):
            continue
        yield replace(claim, negated=claim.negated == verdict, unsure=False)


@dataclass(frozen=True, slots=True)
class _CountQuestion:
    """The class that a question wants counted, where, and whether only some of it."""

    name: str
    place: str
    part: bool


def _count_question(question: str, vocabulary: Vocabulary) -> _CountQuestion | None:
    if not _HOW_MANY.search(question):
        return None
    body = re.sub(r"^.*?\bhow many\b", "", question.rstrip(" ?."), flags=re.IGNORECASE)
    claimed = statement(body, question, vocabulary, Topic())
    presence = next((claim for claim in claimed if claim.kind == "presence"), None)
    if presence is None:
        return None
    name = presence.names[0]
    place = next((c.place for c in claimed if c.kind == "place" and c.names == (name,)), "")
    # A number in place of "how many" shows which words narrow down what is counted.
    plain = _ASKING.sub(" ", re.sub(r"\bhow many\b", "2", question, flags=re.IGNORECASE))
    narrow = next(m for m in named(plain, vocabulary) if m.name == name)
    return _CountQuestion(name, place, narrow.part or narrow.narrower)


# Words of a question that do not narrow down what is to be counted.
_ASKING = re.compile(
    r"\b(?:do you|can you|could you|please|tell me|does|did|contain|hold|show|captured"
    r"|if any|is it possible to|would)\b|\?",
    re.IGNORECASE,
)


def _counts(read: list[Claim], wanted: _CountQuestion) -> bool:
    return any(claim.kind == "count" and claim.names == (wanted.name,) for claim in read)


def _of_wanted(read: list[Claim], wanted: _CountQuestion) -> Iterator[Claim]:
    """The claims; a count of the class that is asked for is a count of what is asked for."""
    for claim in read:
        if claim.kind == "count" and claim.names == (wanted.name,):
            claim = replace(
                claim, place=claim.place or wanted.place, part=claim.part or wanted.part
            )
        yield claim


_NUMBER = re.compile(rf"(?<![\w.,-]){NUMBER}", re.IGNORECASE)
_NONE = re.compile(r"\b(?:none|no|zero)\b", re.IGNORECASE)


def _bare_number(sentence: str, wanted: _CountQuestion, vocabulary: Vocabulary) -> Iterator[Claim]:
    """The count of an answer that gives a number without the class: "There are three."."""
    if any(mention.name != wanted.name for mention in mentions(sentence, vocabulary)):
        return
    numbers = list(_NUMBER.finditer(sentence))
    if numbers:
        match = numbers[-1]
        stated = number(match[0], sentence[: match.start()])
    elif _NONE.match(sentence.strip()):
        stated = Number(0)
    else:
        return
    yield Claim(
        "count", (wanted.name,), sentence, number=stated, place=wanted.place, part=wanted.part
    )
