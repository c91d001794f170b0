"""Town or country as a satellite sees it: nine blocks and the roads between them."""

from collections.abc import Callable
from functools import partial

from rs_gpt4v_builders.sample.plan import Plan, lake
from rs_gpt4v_builders.sample.scenes import Box, Point, Thing

_LINES = ((85.0, True), (171.0, True), (85.0, False), (171.0, False))  # (middle, upright)
# Blocks with buildings, and the kinds of other blocks that there may be.
_TOWN_HOMES = (
    ["houses", "shop", "shop"],
    ["houses"] * 2,
    ["houses", "houses", "shop"],
    ["houses"] * 3,
)
_TOWN = ("forest", "pond", "tanks", "field", "grass")
_FARMS = ([], [], ["farm"])
_COUNTRY = ("forest", "forest", "field", "field", "pond", "tanks")


def landscape(plan: Plan) -> None:
    """Lay out a town of five buildings or more, or a countryside of two at most."""
    rng = plan.rng
    is_town = rng.random() < 0.5
    lines = rng.sample(_LINES, rng.randint(2, 4) if is_town else rng.randint(0, 2))
    for middle, upright in sorted(lines):
        plan.road(middle, 12, upright)
    homes = rng.choice(_TOWN_HOMES if is_town else _FARMS)
    others = rng.sample(_TOWN if is_town else _COUNTRY, rng.randint(1, 3))
    blocks = [*homes, *others, *rng.choices(others, k=rng.randint(0, 2))]
    blocks += ["grass"] * (9 - len(blocks))
    for n, block in enumerate(rng.sample(blocks, 9)):
        left, top = 85.5 * (n % 3) + 10, 85.5 * (n // 3) + 10
        _BLOCKS[block](plan, (left, top, left + 65, top + 65))
    plan.fill_with_trees(8, (4, 7))
    plan.plant(14, (3, 5))


def _slots(box: Box) -> list[Point]:
    """The middles of a block's four quarters."""
    return [(box[0] + 17 + 31 * i, box[1] + 17 + 31 * j) for i in range(2) for j in range(2)]


def _houses(plan: Plan, box: Box, fewest: int, most: int) -> None:
    rng = plan.rng
    for place in rng.sample(_slots(box), rng.randint(fewest, most)):
        color, roof = rng.choice(("red", "orange", "brown")), rng.choice(("gable", "hip"))
        turn = rng.choice((0, 90))
        plan.put(Thing("residential building", color, place, 23, 18, turn, style=roof))


def _middle(box: Box) -> Point:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _shop(plan: Plan, box: Box) -> None:
    rng = plan.rng
    color = rng.choice(("white", "gray", "blue"))
    size = (rng.uniform(46, 60), rng.uniform(38, 54))
    plan.put(Thing("commercial building", color, _middle(box), *size, style="flat"))


def _inset(plan: Plan, box: Box) -> Box:
    """A block with its sides moved in a little, each by its own amount."""
    by = [plan.rng.uniform(0, 10) for _ in box]
    return box[0] + by[0], box[1] + by[1], box[2] - by[2], box[3] - by[3]


def _forest(plan: Plan, box: Box) -> None:
    plan.area("forest", "green", _inset(plan, box))


def _pond(plan: Plan, box: Box) -> None:
    plan.blob("water area", "blue", lake(plan.rng, _middle(box), plan.rng.uniform(22, 27)))


def _tanks(plan: Plan, box: Box) -> None:
    for place in plan.rng.sample(_slots(box), plan.rng.randint(1, 4)):
        plan.put(Thing("storage tank", "white", place, 24, 24, 0, "ellipse"))


def _field(plan: Plan, box: Box) -> None:
    plan.area("farmland", plan.rng.choice(("yellow", "brown")), _inset(plan, box), "rows")


_BLOCKS: dict[str, Callable[[Plan, Box], None]] = {
    "houses": partial(_houses, fewest=3, most=4),
    "farm": partial(_houses, fewest=1, most=2),
    "shop": _shop,
    "forest": _forest,
    "pond": _pond,
    "tanks": _tanks,
    "field": _field,
    "grass": lambda *_: None,
}
