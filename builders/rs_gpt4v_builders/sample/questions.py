"""Questions about a scene in the wording of RSVQA, answered from the ground truth.

An area is that of the outline on the map: a lake keeps the part that lies under a bridge.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rs_gpt4v_builders.sample.scenes import Scene

BUILDINGS = ("building", "residential building", "commercial building")
LR_CLASSES = (*BUILDINGS, "road", "water area", "farmland", "forest", "storage tank")
HR_CLASSES = (*LR_CLASSES, "ship", "airplane", "tennis court")
# Outlines of the other classes run under roads or houses, so their area is open to dispute.
AREA_CLASSES = (*BUILDINGS, "water area", "storage tank", "tennis court")

PRESENCE = (
    "Is a {} present?",
    "Is there a {}?",
    "Is a {} present in the image?",
    "Is there a {} in the image?",
)
COUNT = (
    "What is the number of {}?",
    "How many {} are there?",
    "What is the amount of {}?",
    "How many {} are there in the image?",
)
# Direction -> (axis, sign): on which side of the other thing the centre lies.
_RELATIONS = {
    "on the left of": (0, -1),
    "on the right of": (0, 1),
    "at the top of": (1, -1),
    "at the bottom of": (1, 1),
}
_CLEAR = 0.06  # of the picture's side: nearer centres make a relation doubtful
_RELATIONAL = 2  # candidates of one type and image
_COMPACT = 0.5  # of the picture's side: longer things have no left or right of their own

_OPPOSITES = {"yes": "no", "no": "yes", "none": "some", "some": "none"}


@dataclass(frozen=True)
class Question:
    """One question with its answer; ``topic`` is what its answers are balanced over."""

    type: str
    text: str
    answer: str
    topic: str


class Balance:
    """Chooses questions so that no answer can be guessed from the words of the question."""

    def __init__(self) -> None:
        self._asked: Counter[tuple[str, str]] = Counter()

    def choose(self, pool: Sequence[Question], wanted: int) -> list[Question]:
        """Up to ``wanted`` questions, those first whose answers have been rarest so far."""
        rest, chosen = list(pool), []
        while rest and len(chosen) < wanted:
            best = min(rest, key=self._surplus)
            chosen.append(best)
            self._asked.update(self._keys(best))
            rest = [other for other in rest if other.text != best.text]
        return chosen

    def _surplus(self, question: Question) -> float:
        """How much oftener this answer was given than the mean of its rivals."""
        keys = self._keys(question)
        rivals = ((topic, _OPPOSITES.get(answer, "")) for topic, answer in keys)
        return sum(self._asked[key] for key in keys) - sum(self._asked[key] for key in rivals)

    @staticmethod
    def _keys(question: Question) -> tuple[tuple[str, str], ...]:
        answer = question.answer if question.answer != "0m2" else "none"
        answer = "some" if answer.endswith("m2") else answer
        return (question.type, answer), (question.topic, answer)


def lr_questions(scene: Scene, balance: Balance, rng: random.Random) -> list[Question]:
    """Questions of RSVQA-LR on one image: about ten, rural or urban first."""
    area = "urban" if scene.is_urban else "rural"
    first = Question("rural_urban", "Is it a rural or an urban area", area, "rural_urban")
    return [first, *_ask(scene, balance, rng, LR_CLASSES, (4, 3, 3))]


def hr_questions(scene: Scene, balance: Balance, rng: random.Random) -> list[Question]:
    """Questions of RSVQA-HR on one image: 18 to 24, areas last."""
    areas = _shuffled(_areas(scene), rng)
    numbers = rng.randint(5, 6), rng.randint(6, 8), rng.randint(5, 7)
    asked = _ask(scene, balance, rng, HR_CLASSES, numbers)
    return [*asked, *balance.choose(areas, rng.choice((2, 3)))]


def _ask(
    scene: Scene,
    balance: Balance,
    rng: random.Random,
    classes: Sequence[str],
    numbers: tuple[int, int, int],
) -> list[Question]:
    """So many questions each of presence, comparison and number."""
    presence = _shuffled(_presence(scene, classes, rng), rng)
    comparison = _shuffled(_comparison(scene, classes, rng), rng)
    counts = _shuffled(_counts(scene, classes, rng), rng)
    return [
        *balance.choose(presence, numbers[0]),
        *balance.choose(comparison, numbers[1]),
        *balance.choose(counts, numbers[2]),
    ]


def _shuffled(questions: Iterator[Question], rng: random.Random) -> list[Question]:
    pool = list(questions)
    rng.shuffle(pool)
    return pool


def _presence(scene: Scene, classes: Sequence[str], rng: random.Random) -> Iterator[Question]:
    for name in classes:
        answer = "yes" if scene.count(name) else "no"
        yield Question("presence", rng.choice(PRESENCE).format(name), answer, f"is {name}")
    for relation, name, other, count in _some_related(scene, classes, rng):
        # The release has two spaces before the second class.
        text = f"Is there a {name} {relation} a  {other}?"
        yield Question("presence", text, "yes" if count else "no", f"is {relation}")


def _counts(scene: Scene, classes: Sequence[str], rng: random.Random) -> Iterator[Question]:
    for name in classes:
        text = rng.choice(COUNT).format(f"{name}s")
        yield Question("count", text, str(scene.count(name)), f"count {name}")
    for relation, name, other, count in _some_related(scene, classes, rng):
        text = f"What is the number of {name}s {relation} a  {other}?"
        yield Question("count", text, str(count), f"count {relation}")


def _some_related(
    scene: Scene, classes: Sequence[str], rng: random.Random
) -> list[tuple[str, str, str, int]]:
    """A few of the relations that hold or fail to, so that most questions stay plain."""
    relations = list(related(scene, classes))
    return rng.sample(relations, min(_RELATIONAL, len(relations)))


def _comparison(scene: Scene, classes: Sequence[str], rng: random.Random) -> Iterator[Question]:
    for first in classes:
        for second in classes:
            if first == second or {first, second} < set(BUILDINGS):
                continue
            form, answer = _compared(scene.count(first), scene.count(second), rng)
            yield Question("comp", form.format(f"{first}s", f"{second}s"), answer, form + first)


def _compared(first: int, second: int, rng: random.Random) -> tuple[str, str]:
    """A comparing question's words and its answer for these two numbers."""
    form, holds = rng.choice(
        (
            ("Are there more {} than {}?", first > second),
            ("Are there less {} than {}?", first < second),
            ("Is the number of {} equal to the number of {}?", first == second),
        )
    )
    return form, "yes" if holds else "no"


def _areas(scene: Scene) -> Iterator[Question]:
    for name in AREA_CLASSES:
        text = f"What is the area covered by {name}s?"
        yield Question("area", text, f"{round(scene.area_m2(name))}m2", f"area {name}")


def related(scene: Scene, classes: Sequence[str]) -> Iterator[tuple[str, str, str, int]]:
    """(relation, class, other class, how many of the class stand so to any of the other)."""
    for relation, (axis, sign) in _RELATIONS.items():
        spots = {name: _spots(scene, name, axis) for name in classes if name != "building"}
        names = [name for name, found in spots.items() if found]
        for name in names:
            for other in names:
                count = _count_related(spots[name], spots[other], sign, _CLEAR * scene.size)
                if name != other and count is not None:
                    yield relation, name, other, count


def _spots(scene: Scene, name: str, axis: int) -> list[float]:
    """A class's centres along x (0) or y (1), px; none if a thing is too long to have a place."""
    boxes = [thing.box for thing in scene.named(name)]
    if any(box[axis + 2] - box[axis] > _COMPACT * scene.size for box in boxes):
        return []
    return [(box[axis] + box[axis + 2]) / 2 for box in boxes]


def _count_related(
    ones: Sequence[float], others: Sequence[float], sign: int, clear: float
) -> int | None:
    """How many stand beyond any of the others; None where two centres are too near to tell."""
    offsets = [[sign * (one - other) for other in others] for one in ones]
    if any(abs(offset) < clear for row in offsets for offset in row):
        return None
    return sum(max(row) > 0 for row in offsets)
