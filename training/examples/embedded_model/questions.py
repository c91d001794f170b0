"""What the model learns to answer: our own short wording, and the sample's with whole sentences.

The model knows everything in its own short wording. The benchmarks' wording it answers as one
would in a conversation ("There are 4 ships."), which their metrics, that expect "4", do not count.
Fine-tuning on a benchmark then teaches its form, on top of a model that sees.
"""

import random
from collections.abc import Callable
from typing import Any

from rs_gpt4v.templates import CAPTION, GROUNDING, REGION_CAPTION, VQA
from rs_gpt4v_builders.sample.questions import AREA_CLASSES, BUILDINGS, COUNT, HR_CLASSES, PRESENCE

Answered = tuple[str, str]
"""A question and its answer."""
Facts = dict[str, Any]

_SHARES = {
    "presence": 3.0,
    "count": 5.0,
    "comparison": 4.0,
    "place": 1.0,
    "area": 2.0,
    "relation": 1.5,
    "caption": 2.0,
    "find": 5.0,
    "describe_region": 1.0,
    "turn": 0.7,
    "describe": 0.3,
}
_DIRECTIONS = {
    "on the left of": "left of",
    "on the right of": "right of",
    "at the top of": "above",
    "at the bottom of": "below",
}
# Words of the sample -> our own -> whether it holds for two numbers.
_COMPARED: dict[str, tuple[str, Callable[[int, int], bool]]] = {
    "Are there more {} than {}?": ("more {} than {}?", lambda a, b: a > b),
    "Are there less {} than {}?": ("fewer {} than {}?", lambda a, b: a < b),
    "Is the number of {} equal to the number of {}?": ("as many {} as {}?", lambda a, b: a == b),
}


def ask(facts: Facts, rng: random.Random) -> Answered:
    """One question of a random kind in a random wording, with its true answer."""
    while True:
        kind = rng.choices(list(_SHARES), list(_SHARES.values()))[0]
        asked = KINDS[kind](facts, rng)
        if asked:
            own, benchmark = asked
            return own if rng.random() < 0.5 else benchmark


def _vqa(question: str, rng: random.Random) -> str:
    return rng.choice(VQA).format(question)


def _presence(facts: Facts, rng: random.Random) -> tuple[Answered, Answered]:
    counts = facts["counts"]
    wanted = rng.random() < 0.5
    names = [name for name in HR_CLASSES if bool(counts[name]) == wanted]
    name = rng.choice(names or list(HR_CLASSES))
    there = bool(counts[name])
    said = f"Yes, there is a {name}." if there else f"No, there is no {name}."
    return (
        (f"any {name}?", _yes(there)),
        (_vqa(rng.choice(PRESENCE).format(name), rng), said),
    )


def _count(facts: Facts, rng: random.Random) -> tuple[Answered, Answered]:
    counts = facts["counts"]
    some = [name for name in HR_CLASSES if counts[name]]
    name = rng.choice(some if some and rng.random() < 0.75 else HR_CLASSES)
    number = counts[name]
    return (
        (f"count {name}s", str(number)),
        (_vqa(rng.choice(COUNT).format(f"{name}s"), rng), f"There are {number} {name}s."),
    )


def _comparison(facts: Facts, rng: random.Random) -> tuple[Answered, Answered]:
    """Yes as often as no for each form, and near numbers more often than far ones."""
    counts = facts["counts"]
    form, (own, holds) = rng.choice(list(_COMPARED.items()))
    wanted = rng.random() < 0.5
    pairs = [
        (one, two)
        for one in HR_CLASSES
        for two in HR_CLASSES
        if one != two
        and not {one, two} < set(BUILDINGS)
        and holds(counts[one], counts[two]) == wanted
    ]
    if not pairs:
        return _comparison(facts, rng)
    weights = [_interest(counts[one], counts[two]) for one, two in pairs]
    one, two = (f"{name}s" for name in rng.choices(pairs, weights)[0])
    said = "Yes, that is so." if wanted else "No, that is not so."
    return (own.format(one, two), _yes(wanted)), (_vqa(form.format(one, two), rng), said)


def _interest(one: int, two: int) -> float:
    """Two numbers that differ by little, neither of them 0, are the hardest to compare."""
    if not one and not two:
        return 0.2
    return (1.0 if one and two else 0.4) / (1 + abs(one - two))


def _place(facts: Facts, rng: random.Random) -> tuple[Answered, Answered]:
    area = "urban" if facts["urban"] else "rural"
    question = "Is it a rural or an urban area"
    return ("rural or urban?", area), (_vqa(question, rng), f"It is {_article(area)} {area} area.")


def _area(facts: Facts, rng: random.Random) -> tuple[Answered, Answered]:
    areas = facts["areas"]
    some = [name for name in AREA_CLASSES if areas[name]]
    name = rng.choice(some if some and rng.random() < 0.75 else AREA_CLASSES)
    measured = f"{areas[name]}m2"
    return (
        (f"area of {name}s", measured),
        (_vqa(f"What is the area covered by {name}s?", rng), f"They cover {measured}."),
    )


def _relation(facts: Facts, rng: random.Random) -> tuple[Answered, Answered] | None:
    if not facts["related"]:
        return None
    direction, name, other, number = rng.choice(facts["related"])
    own = _DIRECTIONS[direction]
    if rng.random() < 0.5:
        said = f"There are {number} {name}s there."
        asked = f"What is the number of {name}s {direction} a  {other}?"
        return (f"count {name}s {own} {other}", str(number)), (_vqa(asked, rng), said)
    said = f"Yes, there is a {name}." if number else f"No, there is no {name}."
    asked = f"Is there a {name} {direction} a  {other}?"
    return (f"any {name} {own} {other}?", _yes(bool(number))), (_vqa(asked, rng), said)


def _caption(facts: Facts, rng: random.Random) -> tuple[Answered, Answered] | None:
    if not facts["captions"]:
        return None
    return (
        ("caption", rng.choice(facts["captions"])),
        (rng.choice(CAPTION), _inventory(facts)),
    )


def _inventory(facts: Facts) -> str:
    """What there is, as a list: true, but no caption of the kind that the releases have."""
    counts, colors = facts["counts"], facts["colors"]
    listed = [
        " ".join(filter(None, (str(counts[name]), color, name)))
        for name, color in colors.items()
        if counts[name]
    ]
    return f"In view: {', '.join(listed) or 'nothing of note'}."


def _find(facts: Facts, rng: random.Random) -> tuple[Answered, Answered] | None:
    if not facts["found"]:
        return None
    words, box = rng.choice(facts["found"])
    phrase = rng.choice(words)
    phrase = phrase if rng.random() < 0.3 else f"{phrase[0].lower()}{phrase[1:]}"
    return (
        (f"find {phrase}", box_text(box)),
        (rng.choice(GROUNDING).format(phrase), f"It is at {box_text(box)}."),
    )


def box_text(box: list[float]) -> str:
    """A box as the codec ``llava`` writes it; "1.000" has no token of its own."""
    return f"[{', '.join(f'{min(share, 0.999):.3f}' for share in box)}]"


def _describe_region(facts: Facts, rng: random.Random) -> tuple[Answered, Answered] | None:
    if not facts["found"]:
        return None
    words, box = rng.choice(facts["found"])
    phrase = rng.choice(words)
    asked = rng.choice(REGION_CAPTION).format(box_text(box))
    return (f"what is at {box_text(box)}", phrase), (asked, f"It is this: {phrase}.")


def _turn(facts: Facts, rng: random.Random) -> tuple[Answered, Answered] | None:
    if not facts["turns"]:
        return None
    question, answer = rng.choice(facts["turns"])
    return (question, answer), (question, answer)


def _describe(facts: Facts, rng: random.Random) -> tuple[Answered, Answered] | None:
    if not facts["description"]:
        return None
    asked = rng.choice(("describe", "Describe this remote sensing image in detail."))
    return (asked, facts["description"]), (asked, facts["description"])


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


KINDS: dict[str, Callable[[Facts, random.Random], tuple[Answered, Answered] | None]] = {
    "presence": _presence,
    "count": _count,
    "comparison": _comparison,
    "place": _place,
    "area": _area,
    "relation": _relation,
    "caption": _caption,
    "find": _find,
    "describe_region": _describe_region,
    "turn": _turn,
    "describe": _describe,
}
"""A kind of question -> the question and answer in our own wording, and in the benchmarks'."""
