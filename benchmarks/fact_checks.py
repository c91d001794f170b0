"""Precision and recall of the fact checks on replies whose truth is known by construction.

500 dialogues on the sample's scenes, whose objects get names from all of DIOR's classes; half are
wrong, each in one known way. A dialogue has a turn that is checked and one beside it that is true.
Truth is decided here by stricter limits than the checks have, and never by asking them.
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Any

from fact_check_wordings import DEVELOPED, HELD_OUT, Wordings

from rs_gpt4v.conversation import Message
from rs_gpt4v.object_classes import class_words
from rs_gpt4v_builders.sample.releases.dior_rsvg import CLASSES, IMAGE_SIZE, dior_pictures
from rs_gpt4v_generation.checks import Verdict, check
from rs_gpt4v_generation.facts import FactSheet, fact_sheet

# The benchmark's own words for the classes, with their plurals.
NOUNS = {
    "airplane": (("airplane", "airplanes"), ("plane", "planes"), ("aircraft", "aircraft")),
    "airport": (("airport", "airports"), ("airfield", "airfields")),
    "baseballfield": (
        ("baseball field", "baseball fields"),
        ("baseball diamond", "baseball diamonds"),
    ),
    "basketballcourt": (("basketball court", "basketball courts"),),
    "bridge": (("bridge", "bridges"),),
    "chimney": (("chimney", "chimneys"), ("smokestack", "smokestacks")),
    "dam": (("dam", "dams"),),
    "Expressway-Service-area": (
        ("expressway service area", "expressway service areas"),
        ("rest area", "rest areas"),
    ),
    "Expressway-toll-station": (("toll station", "toll stations"), ("toll plaza", "toll plazas")),
    "golffield": (("golf course", "golf courses"), ("golf field", "golf fields")),
    "groundtrackfield": (
        ("ground track field", "ground track fields"),
        ("athletic field", "athletic fields"),
    ),
    "harbor": (("harbor", "harbors"), ("harbour", "harbours"), ("port", "ports")),
    "overpass": (("overpass", "overpasses"), ("flyover", "flyovers")),
    "ship": (("ship", "ships"), ("boat", "boats"), ("vessel", "vessels")),
    "stadium": (("stadium", "stadiums"),),
    "storagetank": (("storage tank", "storage tanks"), ("tank", "tanks")),
    "tenniscourt": (("tennis court", "tennis courts"),),
    "trainstation": (("train station", "train stations"), ("railway station", "railway stations")),
    "vehicle": (("vehicle", "vehicles"),),
    "windmill": (("windmill", "windmills"), ("wind turbine", "wind turbines")),
}
WORDS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]
SIDES = {
    "to the left of": ("to the right of", 0, -1),
    "to the right of": ("to the left of", 0, 1),
    "above": ("below", 1, -1),
    "below": ("above", 1, 1),
}
SHARES = {
    "counts": 110,
    "presence": 70,
    "absence": 70,
    "places": 80,
    "relations": 80,
    "contradictions": 30,
    "leaks": 20,
    "duplicates": 20,
    "language": 20,
}


@dataclass
class Reply:
    """A dialogue, what is checked in it, and whether that is wrong; ``turns`` hold the proof."""

    kind: str
    wrong: bool
    turns: list[tuple[str, str]]
    sheet: FactSheet
    turn: int = 0


@dataclass
class Scene:
    """An image's objects under exchanged names: label and centre, as shares, of each."""

    sheet: FactSheet
    objects: list[tuple[str, tuple[float, float]]]
    rng: random.Random
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def scenes(seed: int) -> Iterator[Scene]:
    """Scenes without end; one class has most of the objects, the others have one each."""
    rng = random.Random(seed)
    while True:
        for picture in islice(dior_pictures(rng.randrange(10**6), 1.0), 12):
            things = [t for t in picture.scene.things if t.name in CLASSES][:16]
            chosen = rng.sample(sorted(NOUNS), rng.randint(2, 4))
            # The first classes have one object each where there are enough, so places are told.
            labels = [*chosen[1:], *(chosen[0] for _ in things)][: len(things)]
            rng.shuffle(things)
            boxes = [
                {"label": label, "points": [v for c in t.corners for v in c], "kind": "obb"}
                for t, label in zip(things, labels, strict=True)
            ]
            scene = Scene(fact_sheet(boxes, IMAGE_SIZE, IMAGE_SIZE), [], rng)
            for thing, box in zip(things, boxes, strict=True):
                x0, y0, x1, y1 = thing.box
                centre = ((x0 + x1) / 2 / IMAGE_SIZE, (y0 + y1) / 2 / IMAGE_SIZE)
                scene.objects.append((box["label"], centre))
                scene.counts[box["label"]] += 1
            if scene.counts:
                yield scene


def worded(scene: Scene, wording: tuple[str, str], label: str, **more: str) -> tuple[str, str]:
    """A wording about a class, its words and the form of its number chosen by chance."""
    one, several = scene.rng.choice(NOUNS[label])
    article = "an" if one[0] in "aeiou" else "a"
    words = {
        "noun": one,
        "nouns": several,
        "Nouns": several.capitalize(),
        "a": f"{article} {one}",
        "A": f"{article} {one}".capitalize(),
        "num": "",
        "word": scene.rng.choice(["white", "round", "empty", "green"]),
        **more,
    }
    if words["num"]:
        count = int(words["num"])
        spelled = WORDS[count] if count < len(WORDS) and scene.rng.random() < 0.6 else str(count)
        words["num"] = spelled
        words["n"] = f"{spelled} {one if count == 1 else several}"
        words["N"], words["be"] = words["n"].capitalize(), "is" if count == 1 else "are"
    question, answer = (text.format(**words).replace("A a", "An a") for text in wording)
    return question, answer


def absent(scene: Scene) -> str:
    """A class that is not in the scene."""
    return scene.rng.choice([label for label in NOUNS if label not in scene.counts])


def counts(scene: Scene, wordings: Wordings, wrong: bool) -> tuple[str, str] | None:
    """A count, off by one to three if wrong."""
    label = scene.rng.choice(sorted(scene.counts))
    said = scene.counts[label]
    if wrong:
        said = scene.rng.choice([n for n in range(said - 3, said + 4) if n > 0 and n != said])
    return worded(scene, scene.rng.choice(wordings["counts"]), label, num=str(said))


def presence(scene: Scene, wordings: Wordings, wrong: bool) -> tuple[str, str] | None:
    """Something that is there, or not if wrong."""
    label = absent(scene) if wrong else scene.rng.choice(sorted(scene.counts))
    return worded(scene, scene.rng.choice(wordings["presence"]), label)


def absence(scene: Scene, wordings: Wordings, wrong: bool) -> tuple[str, str] | None:
    """Something that is not there, or is if wrong."""
    label = scene.rng.choice(sorted(scene.counts)) if wrong else absent(scene)
    return worded(scene, scene.rng.choice(wordings["absence"]), label)


def places(scene: Scene, wordings: Wordings, wrong: bool) -> tuple[str, str] | None:
    """The corner that the only object of a class lies in, or if wrong the opposite one."""
    for label, (x, y) in scene.objects:
        if scene.counts[label] == 1 and abs(x - 0.5) > 0.12 and abs(y - 0.5) > 0.12:
            column, row = ("left" if x < 0.5 else "right"), ("top" if y < 0.5 else "bottom")
            if wrong:
                column = {"left": "right", "right": "left"}[column]
                row = scene.rng.choice([row, {"top": "bottom", "bottom": "top"}[row]])
            names = [f"{row} {column}", f"{row}-{column}"]
            names.append(f"{ {'top': 'upper', 'bottom': 'lower'}[row] } {column}")
            return worded(
                scene, scene.rng.choice(wordings["places"]), label, place=scene.rng.choice(names)
            )
    return None


def relations(scene: Scene, wordings: Wordings, wrong: bool) -> tuple[str, str] | None:
    """How the only objects of two classes lie to each other, or if wrong the opposite."""
    single = [(label, at) for label, at in scene.objects if scene.counts[label] == 1]
    scene.rng.shuffle(single)
    for (subject, a), (other, b) in pairwise(single):
        for words, (opposite, axis, sign) in SIDES.items():
            along, across = (a[axis] - b[axis]) * sign, abs(a[1 - axis] - b[1 - axis])
            if along > 0.15 and along > across:
                said = opposite if wrong else words
                names = {"subject": scene.rng.choice(NOUNS[subject])[0]}
                names["object"] = scene.rng.choice(NOUNS[other])[0]
                names |= {"relation": said, "Relation": said.capitalize()}
                return worded(scene, scene.rng.choice(wordings["relations"]), subject, **names)
    return None


def contradictions(scene: Scene, wordings: Wordings, wrong: bool) -> list[tuple[str, str]]:
    """Two counts of a class, or a yes and a no; the second agrees unless wrong."""
    label = scene.rng.choice(sorted(scene.counts))
    if scene.rng.random() < 0.5:
        first, second = scene.rng.sample(wordings["counts"], 2)
        said = scene.counts[label]
        return [
            worded(scene, first, label, num=str(said)),
            worded(scene, second, label, num=str(said + wrong)),
        ]
    second = scene.rng.choice(wordings["absence" if wrong else "presence"])
    return [
        worded(scene, scene.rng.choice(wordings["presence"]), label),
        worded(scene, second, label),
    ]


def plain(scene: Scene, wordings: Wordings, wrong: bool, kind: str) -> list[tuple[str, str]]:
    """A leak, a duplicate or another language, or what only looks like it."""
    label = scene.rng.choice(sorted(scene.counts))
    other = scene.rng.choice([name for name in NOUNS if name != label])
    place = scene.sheet.of(class_words(label).name)[0].place
    if " " not in place:
        return []
    more = {"place": place, "num": str(scene.counts[label])}
    more |= {"subject": NOUNS[label][0][0], "object": NOUNS[other][0][0]}
    wording = scene.rng.choice(wordings[kind if wrong else f"no {kind}"])
    made = worded(scene, wording, label, **more)
    if kind != "duplicates":
        return [made]
    return [(made[0], "It depends on the season."), (made[1], "That is hard to say from here.")]


CLAIMED = {f.__name__: f for f in (counts, presence, absence, places, relations)}
BESIDE = (
    ("What covers most of the ground?", "Most of the ground is covered by grass and bare soil."),
    ("What is the light like?", "The shadows are short, so the sun stood high."),
    ("What could the area be used for?", "It could be used for transport or for leisure."),
)


def reply(scene: Scene, wordings: Wordings, kind: str, wrong: bool) -> Reply | None:
    """One dialogue of a kind; None where the scene has nothing to make it from."""
    if kind in CLAIMED:
        turn = CLAIMED[kind](scene, wordings, wrong)
        turns = [turn] if turn else []
    elif kind == "contradictions":
        turns = contradictions(scene, wordings, wrong)
    else:
        turns = plain(scene, wordings, wrong, kind)
    if not turns:
        return None
    place = len(turns) - 1
    return Reply(kind, wrong, [*turns, scene.rng.choice(BESIDE)], scene.sheet, place)


def replies(seed: int, wordings: Wordings) -> Iterator[Reply]:
    """The 500 dialogues."""
    source = scenes(seed)
    for kind, count in SHARES.items():
        for index in range(count):
            made = None
            while made is None:
                made = reply(next(source), wordings, kind, bool(index % 2))
            yield made


def verdicts(made: Reply) -> list[Verdict]:
    """What the checks say of a reply."""
    messages: list[Message] = []
    for question, answer in made.turns:
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": answer})
    return check(messages, made.sheet)


def measure(seed: int, wordings: Wordings) -> dict[str, dict[str, Any]]:
    """Per check: its figures, and the replies it judged wrongly or did not judge."""
    made = [(one, verdicts(one)) for one in replies(seed, wordings)]
    table = {}
    for kind in SHARES:
        flagged = [(r, any(v.check == kind and v.result == "fail" for v in vs)) for r, vs in made]
        own = [(r, _told(r, vs)) for r, vs in made if r.kind == kind]
        true = sum(f and r.wrong and r.kind == kind for r, f in flagged)
        false = [r for r, f in flagged if f and not (r.wrong and r.kind == kind)]
        false = [r for r in false if not (kind != "contradictions" and r.kind == "contradictions")]
        told = [(r, t) for r, t in own if t in ("pass", "fail")]
        wrong_told = [r for r, _ in told if r.wrong]
        table[kind] = {
            "replies": len(own),
            "precision": true / max(true + len(false), 1),
            "recall": true / max(len(wrong_told), 1),
            "recall of all": true / sum(r.wrong for r, _ in own),
            "cannot tell": sum(t == "cannot tell" for _, t in own) / len(own),
            "not read": sum(t == "" for _, t in own) / len(own),
            "mistaken": false,
            "missed": [r for r, t in own if r.wrong and t != "fail"],
            "undecided": [r for r, t in own if t not in ("pass", "fail")],
        }
    return table


def _told(made: Reply, found: list[Verdict]) -> str:
    """What the check said of its turn: "" where it said nothing."""
    mine = {v.result for v in found if v.check == made.kind and v.turn == made.turn}
    if made.kind in ("presence", "absence") and not mine:
        both = ("presence", "absence")
        mine = {v.result for v in found if v.check in both and v.turn == made.turn}
    return next((r for r in ("fail", "pass", "cannot tell") if r in mine), "")


COLUMNS = ("replies", "precision", "recall", "recall of all", "cannot tell", "not read")


def main() -> None:
    """Print the table for both sets of wordings."""
    for title, wordings in (("developed on", DEVELOPED), ("held out", HELD_OUT)):
        print(f"{title:16}" + "".join(f"{column:>15}" for column in COLUMNS))
        for kind, row in measure(0, wordings).items():
            cells = [f"{row['replies']:15}", *(f"{row[c]:15.3f}" for c in COLUMNS[1:])]
            print(f"{kind:16}" + "".join(cells))


if __name__ == "__main__":
    main()
