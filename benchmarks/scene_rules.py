"""How far the scores of the same replies to scene questions differ under several scoring rules.

500 replies about NWPU-RESISC45's 45 classes, in forms that models reply in, 70 of 100 of the true
class. What is read from a reply is compared with the class that it was written to mean.

    python benchmarks/scene_rules.py
"""

import random
from collections.abc import Callable, Sequence
from difflib import SequenceMatcher

from rs_gpt4v.scoring.scenes import Abstention, read
from rs_gpt4v_builders.sources.scenes import NWPU

REPLIES = 500
_PLURALS = {"beach": "beaches", "church": "churches", "overpass": "overpasses"}
_OTHER_WORDS = {
    "airplane": "aircraft",
    "baseball diamond": "baseball field",
    "freeway": "highway",
    "harbor": "port",
    "parking lot": "car park",
    "storage tank": "oil tank",
    "thermal power station": "power plant",
    "commercial area": "commercial",
    "golf course": "golf",
    "tennis court": "tennis",
}


def _other(name: str, rng: random.Random) -> str:
    return rng.choice([own for own in NWPU if own != name])


FORMS: dict[str, tuple[int, Callable[[str, random.Random], str]]] = {
    "the name": (30, lambda name, _: name),
    "case and stop": (12, lambda name, _: f"{name.capitalize()}."),
    "hyphen, underscore": (8, lambda name, rng: name.replace(" ", rng.choice("-_"))),
    "plural": (6, lambda name, _: _PLURALS.get(name, f"{name}s")),
    "sentence": (16, lambda name, _: f"This is a {name}."),
    "longer sentence": (6, lambda name, _: f"The image shows a {name} with some trees around it."),
    "synonym, part": (6, lambda name, _: _OTHER_WORDS.get(name, name)),
    "another beside it": (5, lambda name, rng: f"A {name} near a {_other(name, rng)}."),
    "another denied": (3, lambda name, rng: f"It is not a {_other(name, rng)} but a {name}."),
    "one or other": (4, lambda name, rng: f"{name} or {_other(name, rng)}"),
    "cannot tell": (2, lambda *_: "I cannot tell."),
    "no class": (2, lambda *_: "some buildings"),
}
"""Forms of replies: how many of 100, and how one is written."""

_DECIDE_NOTHING = ("one or other", "cannot tell", "no class")


def replies(seed: int = 0) -> list[tuple[str, str, str, bool]]:
    """Form, reply, true class, and whether a reader takes the reply for the true class."""
    rng = random.Random(seed)
    weights = [weight for weight, _ in FORMS.values()]
    made = []
    for form in rng.choices([*FORMS], weights, k=REPLIES):
        true = rng.choice(NWPU)
        said = true if rng.random() < 0.7 else _other(true, rng)
        reply = FORMS[form][1](said, rng)
        made.append((form, reply, true, said == true and form not in _DECIDE_NOTHING))
    return made


def _mentioned(reply: str) -> list[str]:
    """The classes whose names are in a reply, in lower case, by where they begin."""
    text = reply.lower()
    return sorted((name for name in NWPU if name in text), key=lambda n: (text.index(n), -len(n)))


def _longest_common(reply: str) -> str:
    """The class with the longest string in common, as LHRS-Bot's: every reply has one."""
    text = reply.lower()

    def common(name: str) -> int:
        matcher = SequenceMatcher(None, text, name, autojunk=False)
        return matcher.find_longest_match().size

    return max(NWPU, key=common)


def _ours(reply: str) -> str | None:
    answer = read(reply, NWPU)
    return None if isinstance(answer, Abstention) else answer


RULES: dict[str, Callable[[str, str], bool]] = {
    "letter for letter": lambda reply, true: reply.strip() == true,
    "case and final stop aside": lambda reply, true: reply.strip().lower().rstrip(".") == true,
    "the true name is in the reply": lambda reply, true: true in reply.lower(),
    "the first name in the reply": lambda reply, true: _mentioned(reply)[:1] == [true],
    "longest string in common": lambda reply, true: _longest_common(reply) == true,
    "rs_scene": lambda reply, true: _ours(reply) == true,
}


def accuracies(made: Sequence[tuple[str, str, str, bool]]) -> dict[str, tuple[float, float, float]]:
    """By rule: its accuracy in points, replies too kindly and too harshly judged, in points."""
    result = {}
    for rule, is_right in RULES.items():
        judged = [(is_right(reply, true), means) for _, reply, true, means in made]
        shares = (
            sum(right for right, _ in judged),
            sum(right and not means for right, means in judged),
            sum(means and not right for right, means in judged),
        )
        result[rule] = tuple(100 * share / len(made) for share in shares)
    return result


def main() -> None:
    """Print the table of docs/scoring.md, and each rule's accuracy by form."""
    made = replies()
    print(f"A reader takes {100 * sum(m for *_, m in made) / len(made):.1f} % for the true class")
    print(f"{'rule':32}{'accuracy':>9}{'right, unmeant':>16}{'wrong, meant':>14}")
    by_rule = accuracies(made)
    for rule, (accuracy, kind, harsh) in by_rule.items():
        print(f"{rule:32}{accuracy:9.1f}{kind:16.1f}{harsh:14.1f}")
    scores = [accuracy for accuracy, *_ in by_rule.values()]
    print(f"spread: {max(scores) - min(scores):.1f} points\n")
    print(f"{'of the true class, by form':32}" + "".join(f"{i:>6}" for i in range(len(RULES))))
    for form in FORMS:
        own = [item for item in made if item[0] == form and item[3]]
        if own:
            cells = (100 * sum(r(x[1], x[2]) for x in own) / len(own) for r in RULES.values())
            print(f"{form:32}" + "".join(f"{cell:6.0f}" for cell in cells))


if __name__ == "__main__":
    main()
