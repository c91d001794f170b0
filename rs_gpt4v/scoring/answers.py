"""When an answer to a question is right: the rule of `rs_vqa`, and the reward of training.

Counts and areas are compared exactly or by the ranges of RSVQA's authors (Lobry et al., 2020).
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import repeat
from typing import Literal

Form = Literal["bucket", "exact"]
Normalise = Literal["strict", "lenient"]

FORMS: dict[str, dict[str, Form]] = {
    "rsvqa_lr": {"counts": "bucket", "areas": "bucket"},
    "rsvqa_hr": {"counts": "exact", "areas": "bucket"},
    "floodnet": {"counts": "exact", "areas": "bucket"},
    "rsivqa": {"counts": "exact", "areas": "bucket"},
    "folder": {"counts": "exact", "areas": "exact"},  # a user's own
}
"""How the authors of a source compare counts and areas. Those of RSVQA compare counts as ranges in
LR and exactly in HR (METRICS of their own code, VocabEncoder.py); the others ask for no ranges."""

_NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
)
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBER_WORDS.split())}
# A run of digits is entered once: a reply of a hundred thousand would take minutes.
_AREA = re.compile(r"(?<![0-9])([0-9]+) ?(?:m2|m²|m\^2|sq(?:uare|\.)? ?m(?:et(?:re|er)s?)?)\b")


@lru_cache(maxsize=1 << 16)
def normalise_answer(answer: str, rule: Normalise = "lenient") -> str:
    """An answer as it is compared; "" if it says nothing.

    >>> normalise_answer(" Seven. "), normalise_answer("Rural area"), normalise_answer("431 m²")
    ('7', 'rural', '431m2')
    >>> normalise_answer(" Seven. ", "strict")
    'Seven.'
    """
    answer = answer.strip()
    if rule == "strict":
        return answer
    answer = " ".join(answer.lower().rstrip(".?!").split())
    # Bucket phrases carry the unit twice.
    answer = _AREA.sub(r"\1m2", answer)
    if answer in ("rural area", "urban area"):
        return answer.removesuffix(" area")
    return _DIGITS.get(answer, answer)


@lru_cache(maxsize=1 << 16)
def bucket(answer: str, unit: str = "") -> str | None:
    """The authors' class of a number with ``unit``, or of a class's own words; None if neither.

    Words and limits follow VocabEncoder.py of syvlo/RSVQA: a limit belongs to the class below it.

    >>> bucket("10"), bucket("11"), bucket("0m2", "m2"), bucket("between 0 and 10"), bucket("many")
    ('between 0 and 10', 'between 10 and 100', '0m2', 'between 0 and 10', None)
    """
    classes = {
        limit: f"between {low}{unit} and {limit}{unit}"
        for low, limit in ((0, 10), (10, 100), (100, 1000))
    }
    above = f"more than 1000{unit}"
    if answer == above or answer in classes.values():
        return answer
    match = re.fullmatch(rf"0*([0-9]*){unit}", answer)
    if not answer.removesuffix(unit) or not match:
        return None
    number = int(match[1][:5] or "0")  # five digits are enough, and int() refuses 5,000
    if number == 0:
        return f"0{unit}"
    return next((words for limit, words in classes.items() if number <= limit), above)


def units(
    question_types: Sequence[str], counts: Form | Sequence[Form], areas: Form | Sequence[Form]
) -> list[str | None]:
    """The unit of each row's buckets, "" for counts; None where answers are compared exactly."""
    forms = (repeat(form) if isinstance(form, str) else form for form in (counts, areas))
    return [_unit(*row) for row in zip(question_types, *forms, strict=False)]


def _unit(question_type: str, counts: Form, areas: Form) -> str | None:
    if question_type == "count" and counts == "bucket":
        return ""
    return "m2" if question_type == "area" and areas == "bucket" else None


def is_right(
    said: str, accepted: Sequence[str], unit: str | None, normalise: Normalise = "lenient"
) -> bool:
    """Whether an answer is one of those accepted, in ``unit``, as `units` gives it.

    >>> is_right("two", ["2"], None), is_right("8", ["3", "12"], ""), is_right("", ["yes"], None)
    (True, True, False)
    """
    answer = normalise_answer(said, normalise)
    return any(_same(answer, normalise_answer(true, normalise), unit) for true in accepted)


def _same(said: str, true: str, unit: str | None) -> bool:
    """Whether two normalised answers agree: by bucket if they have a ``unit`` ("" for counts)."""
    if not said:
        return False
    if unit is None:
        return said == true
    found = bucket(said, unit)
    return found is not None and found == bucket(true, unit)


def form_of(name: str, source: str, question_type: str | None, rule: str) -> Form:
    """How counts, or areas, are compared where a question is from: "bucket" or "exact".

    Args:
        name: "counts" or "areas".
        source: Where the question is from.
        question_type: What it asks for.
        rule: "bucket", "exact", or "source", as the authors of the source do.

    Raises:
        ValueError: The question asks for such a number, and how its source compares is not known.
    """
    if rule == "bucket" or rule == "exact":
        return rule
    if source in FORMS:
        return FORMS[source][name]
    if question_type == name.removesuffix("s"):
        raise ValueError(
            f"how the source {source!r} compares {name} is not known, as it is of "
            f"{', '.join(FORMS)}: choose --{name} exact, or --{name} bucket for the ranges of RSVQA"
        )
    return "exact"
