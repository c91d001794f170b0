"""What an instruction does to what: its verb with a noun, by closed lists, without a parser."""

from collections.abc import Sequence
from itertools import pairwise

from rs_gpt4v_generation.claims import sentences
from rs_gpt4v_generation.principles.words import (
    AUXILIARIES,
    DETERMINERS,
    FUNCTION_WORDS,
    PREDICATES,
    PREPOSITIONS,
    VERBS,
    words,
)


def pair(instruction: str) -> tuple[str, str] | None:
    """The verb of the first sentence and the noun that it is about; None where either is missing.

    The verb is the first one of a closed list that follows no article and no preposition; "be",
    "have" and "do" only where there is no other. The noun is the last word of a run of words that
    are no function words: the run behind the verb, or the first one before it where there is none
    or the verb is "be"; runs behind a preposition do not count.

    >>> pair("Provide a one-sentence caption for this image."), pair("How many ships are there?")
    (('provide', 'caption'), ('be', 'ship'))
    """
    spoken = words(sentences(instruction)[0]) if instruction.strip() else []
    at = _verb(spoken)
    if at is None:
        return None
    noun = _noun(spoken, at)
    return (VERBS[spoken[at]], _singular(noun)) if noun else None


def _verb(spoken: Sequence[str]) -> int | None:
    verbs = [
        index
        for index, word in enumerate(spoken)
        if word in VERBS and (not index or spoken[index - 1] not in DETERMINERS | PREPOSITIONS)
    ]
    strong = [index for index in verbs if VERBS[spoken[index]] not in AUXILIARIES]
    return next(iter(strong or verbs), None)


def _noun(spoken: Sequence[str], at: int) -> str | None:
    behind, before = _heads(spoken[at + 1 :]), _heads(spoken[:at])
    is_auxiliary = VERBS[spoken[at]] in AUXILIARIES
    return next(iter([*before, *behind] if is_auxiliary else [*behind, *before]), None)


def _heads(spoken: Sequence[str]) -> list[str]:
    """The last word of each run of other words that no preposition governs."""
    heads: list[str] = []
    preposed = in_run = False
    for before, word in pairwise(["", *spoken]):
        if _is_matter(word, before, in_run=in_run):
            if not preposed:
                heads[len(heads) - in_run :] = [word]
            in_run = True
        else:
            preposed, in_run = preposed or word in PREPOSITIONS, False
    return heads


def _is_matter(word: str, before: str, *, in_run: bool) -> bool:
    """Whether a word can be part of a noun with its adjectives: "short caption", "paved road"."""
    if in_run and word.endswith("ed"):
        return False  # "the road flooded", "the object referred to"
    if word in VERBS:
        infinitive = VERBS[word] == word and word not in AUXILIARIES
        return infinitive and (in_run or before in DETERMINERS)
    is_adjective = before == "how" or word.endswith("ly") or word in PREDICATES
    return not (is_adjective or word == "[box]" or word in FUNCTION_WORDS)


def _singular(noun: str) -> str:
    if noun.endswith("ies"):
        return f"{noun[:-3]}y"
    if noun.endswith(("ches", "shes", "sses", "xes")):
        return noun[:-2]
    return noun if noun.endswith(("ss", "us", "is")) else noun.removesuffix("s")
