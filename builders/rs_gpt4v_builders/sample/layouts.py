"""Seeded layouts: one function a kind of scene."""

import random
from collections.abc import Callable

from rs_gpt4v_builders.sample.landscape import landscape
from rs_gpt4v_builders.sample.plan import SIDE, Plan, lake, river
from rs_gpt4v_builders.sample.scenes import Point, Scene, Thing

_ROOFS = ("red", "brown", "gray", "white", "orange")
_FLAT_ROOFS = ("white", "gray", "blue", "brown")
_CARS = ("white", "white", "gray", "black", "red", "blue")
_CROPS = ("green", "yellow", "brown")


def _residential(plan: Plan) -> None:
    rng = plan.rng
    upright = rng.random() < 0.5
    middle = rng.uniform(112, 144)
    plan.road(middle, 24, upright)
    if rng.random() < 0.35:
        plan.road(rng.choice((34.0, 222.0)), 22, not upright)
    palette = [rng.choice(_ROOFS)] if rng.random() < 0.6 else rng.sample(_ROOFS, 2)
    wanted, pools = rng.randint(3, 10), rng.choice((0, 0, 1, 2))
    slots = [(side, place) for side in (-1, 1) for place in range(5)]
    for side, place in rng.sample(slots, len(slots)):
        if plan.count("residential building") == wanted:
            break
        along, across = 30 + place * 49 + rng.uniform(-3, 3), middle + side * rng.uniform(40, 46)
        if _house(plan, (along, across), rng.choice(palette), upright):
            _path(plan, along + 12, (middle + side * 12, across), upright)
            pools -= _pool(plan, (along, across + side * 39), upright) if pools else 0
    _cars_in_lanes(plan, middle, upright, rng.randint(0, 3))
    plan.plant(rng.choice((10, 45, 90)))


def _house(plan: Plan, place: Point, color: str, upright: bool) -> bool:
    """A pitched roof at (along the road, across it)."""
    rng = plan.rng
    center = (place[1], place[0]) if upright else place
    width, height = rng.uniform(31, 38), rng.uniform(23, 27)
    turn = (90 if upright else 0) + rng.uniform(-3, 3)
    roof = rng.choice(("gable", "hip", "hip"))
    house = Thing("residential building", color, center, width, height, turn, style=roof)
    if plan.on_road(house):
        return False
    return plan.put(house, gap=6)


def _path(plan: Plan, along: float, across: tuple[float, float], upright: bool) -> None:
    """A driveway from the road to a house; it runs below the house."""
    near, far = sorted(across)
    box = (near, along - 4, far, along + 4) if upright else (along - 4, near, along + 4, far)
    plan.area("path", "gray", box)
    plan.things.insert(0, plan.things.pop())


def _pool(plan: Plan, place: Point, upright: bool) -> int:
    center = (place[1], place[0]) if upright else place
    pool = Thing("swimming pool", "blue", center, 20, 15, 90 if upright else 0, "ellipse")
    if plan.on_road(pool):
        return 0
    return int(plan.put(pool, gap=5))


def _cars_in_lanes(plan: Plan, middle: float, upright: bool, wanted: int) -> None:
    """Up to ``wanted`` cars on the right-hand lanes of a road."""
    rng = plan.rng
    for _ in range(wanted):
        along, lane = rng.uniform(14, SIDE - 14), rng.choice((-1, 1))
        center = (middle - lane * 5.7, along) if upright else (along, middle + lane * 5.7)
        turn = (90 if upright else 0) + (180 if lane < 0 else 0)
        plan.put(Thing("vehicle", rng.choice(_CARS), center, 15, 7.4, turn), gap=4)


def _commercial(plan: Plan) -> None:
    rng = plan.rng
    upright = rng.random() < 0.5
    edge = rng.choice((22.0, SIDE - 22.0))
    plan.road(edge, 26, upright)
    _cars_in_lanes(plan, edge, upright, rng.randint(1, 4))
    near, far = (44.0, 248.0) if edge < SIDE / 2 else (8.0, 212.0)
    wanted = rng.randint(2, 6)
    cells = [(i, j) for i in range(2) for j in range(3)]
    palette = rng.sample(_FLAT_ROOFS, rng.choice((1, 2)))
    for n, (i, j) in enumerate(rng.sample(cells, 6)):
        across, along = near + (i + 0.5) * (far - near) / 2, 6 + (j + 0.5) * 81
        center = (across, along) if upright else (along, across)
        if n < wanted:
            size = (rng.uniform(52, 70), rng.uniform(50, 68))
            plan.put(Thing("commercial building", rng.choice(palette), center, *size, style="flat"))
        elif n == wanted:
            _parking(plan, center, rng.randint(3, 9))
    plan.plant(rng.choice((8, 25)), (3, 6))


def _parking(plan: Plan, center: Point, cars: int) -> None:
    """Two rows of five stalls with that many cars in them."""
    x, y = center
    plan.area("parking lot", "gray", (x - 34, y - 34, x + 34, y + 34))
    stalls = [(x - 24 + 12 * i, y + side * 22) for side in (-1, 1) for i in range(5)]
    for stall in sorted(plan.rng.sample(stalls, cars)):
        plan.put(Thing("vehicle", plan.rng.choice(_CARS), stall, 15, 7.4, 90), gap=0)


def _farmland(plan: Plan) -> None:
    rng = plan.rng
    columns, rows = rng.randint(1, 3), rng.randint(2, 3)
    xs = [0.0, *[SIDE * (i + rng.uniform(-0.12, 0.12)) / columns for i in range(1, columns)], SIDE]
    ys = [0.0, *[SIDE * (i + rng.uniform(-0.12, 0.12)) / rows for i in range(1, rows)], SIDE]
    palette = rng.sample(_CROPS, rng.choice((1, 2, 2, 3)))
    gaps = [3] * (rows + 1)
    if rng.random() < 0.3:
        gaps[1] = 9
        plan.road(ys[1], 16, False, "dirt")
    for i in range(columns):
        for j in range(rows):
            box = (xs[i] + 3, ys[j] + gaps[j], xs[i + 1] - 3, ys[j + 1] - gaps[j + 1])
            plan.area("farmland", rng.choice(palette), box, rng.choice(("rows", "columns")))
    if rng.random() < 0.3:
        center = (rng.uniform(30, 226), ys[0] + 40)
        plan.put(Thing("residential building", rng.choice(_ROOFS), center, 30, 22, style="gable"))
    plan.plant(rng.choice((0, 6)), (4, 7))


def _forest(plan: Plan) -> None:
    rng = plan.rng
    road = rng.random() < 0.35
    plan.area("forest", "green", (0, 0, SIDE, SIDE))
    if road:
        plan.road(rng.uniform(70, 186), 15, rng.random() < 0.5, "dirt")
    elif rng.random() < 0.3:
        plan.blob("water area", "blue", lake(rng, (rng.uniform(90, 166), rng.uniform(90, 166)), 40))
    plan.fill_with_trees(rng.choice((9.0, 11.0)))


def _water(plan: Plan) -> None:
    """A lake or a river, in a forest or on grass."""
    wooded = plan.rng.random() < 0.5
    color = plan.rng.choice(("blue", "green", "dark blue"))
    if plan.rng.random() < 0.5:
        _lake(plan, color, wooded)
    else:
        _river(plan, color, wooded)
    if wooded:
        plan.fill_with_trees()
    else:
        plan.plant(plan.rng.choice((12, 70)))


def _lake(plan: Plan, color: str, wooded: bool) -> None:
    plan.tags.append("lake")
    if wooded:
        plan.area("forest", "green", (0, 0, SIDE, SIDE))
    center = (plan.rng.uniform(112, 144), plan.rng.uniform(112, 144))
    plan.blob("water area", color, lake(plan.rng, center, plan.rng.uniform(55, 82)))


def _river(plan: Plan, color: str, wooded: bool) -> None:
    """A river from left to right, perhaps with a bridge; a wood on either bank is one of two."""
    plan.tags.append("river")
    banks = river(plan.rng, 128, plan.rng.uniform(46, 80))
    if wooded:
        half = len(banks) // 2
        plan.blob("forest", "green", [*banks[:half], (SIDE, 0), (0, 0)])
        plan.blob("forest", "green", [*banks[half:], (0, SIDE), (SIDE, SIDE)])
    plan.blob("water area", color, banks)
    if plan.rng.random() < 0.4:
        plan.tags.append("bridge")
        plan.road(plan.rng.uniform(70, 186), 22, upright=True)


def _harbor(plan: Plan) -> None:
    rng = plan.rng
    depth = rng.uniform(46, 64)
    color = rng.choice(("blue", "dark blue", "green"))
    plan.area("water area", color, (0, depth, SIDE, SIDE), style="sea")
    plan.area("path", "gray", (0, depth - 11, SIDE, depth))
    color = rng.choice(("white", "gray"))
    for x in rng.sample((36, 92, 148, 204), rng.randint(0, 3)):
        plan.put(Thing("commercial building", color, (x, depth / 2 - 8), 42, 22, style="gable"))
    piers = [[128], [70, 186], [44, 128, 212]][rng.randint(0, 2)]
    berths = []
    for x in piers:
        plan.area("pier", "gray", (x - 5, depth, x + 5, depth + 124))
        berths += [(x + side * 15.5, depth + 24 + 44 * i) for side in (-1, 1) for i in range(3)]
    hulls = ("white", "white", "white", "gray", "red")
    hull = rng.choice(hulls)
    for x, y in sorted(rng.sample(berths, rng.randint(1, min(8, len(berths))))):
        tint = hull if rng.random() < 0.85 else rng.choice(hulls)
        size = (rng.uniform(30, 37), rng.uniform(13, 15))
        plan.put(Thing("ship", tint, (x, y), *size, rng.choice((90, 270)), "ship", style="docked"))
    for _ in range(rng.choice((0, 1, 2))):
        place = (rng.uniform(40, 216), rng.uniform(depth + 150, 232))
        turn = rng.choice((-12, 8, 172, 188))
        plan.put(Thing("ship", "white", place, 34, 13, turn, "ship", style="sailing"), gap=8)


def _airport(plan: Plan) -> None:
    rng = plan.rng
    plan.area("runway", "gray", (6, 196, 250, 238))
    plan.area("path", "gray", (0, 160, SIDE, 176), style="taxiway")
    for x in rng.sample((40, 128, 216), 2):
        plan.area("path", "gray", (x - 8, 110, x + 8, 198), style="joint")
    plan.area("apron", "gray", (8, 40, 248, 140))
    color = rng.choice(("white", "gray", "blue"))
    for x in (68, 188)[: rng.randint(0, 2)]:
        size = (rng.uniform(80, 104), 27)
        plan.put(Thing("commercial building", color, (x, 18), *size, style="gable"))
    coat = rng.choice(("white", "white", "gray"))
    slots = [(38 + 45 * i, 65 + 48 * j) for j in range(2) for i in range(5)]
    turn = rng.choice((90, 270, 60))
    for place in sorted(rng.sample(slots, rng.randint(1, 8))):
        plane = Thing("airplane", coat, place, 38, 36, turn + rng.uniform(-5, 5), "airplane")
        plan.put(plane, gap=1)
    if rng.random() < 0.3:
        plan.put(Thing("airplane", coat, (rng.uniform(60, 196), 217), 38, 36, 0, "airplane"))
    plan.plant(rng.choice((0, 12)), (3, 6))


def _intersection(plan: Plan) -> None:
    rng = plan.rng
    x, y = rng.uniform(110, 146), rng.uniform(110, 146)
    plan.road(y, 30, False)
    plan.road(x, 30, True)
    plan.area("path", "gray", (x - 19, y - 19, x + 19, y + 19), style="junction")
    wanted = rng.randint(0, 8)
    for n in range(wanted):
        upright = n % 2 == 0
        center, away = (x, y) if upright else (y, x)
        along = rng.choice((rng.uniform(12, away - 34), rng.uniform(away + 34, SIDE - 12)))
        lane = rng.choice((-1, 1))
        place = (center - lane * 7.2, along) if upright else (along, center + lane * 7.2)
        turn = (90 if upright else 0) + (180 if lane < 0 else 0)
        plan.put(Thing("vehicle", rng.choice(_CARS), place, 19, 9, turn), gap=4)
    corners = ((46, 46), (210, 46), (46, 210), (210, 210))
    for cx, cy in rng.sample(corners, rng.randint(0, 3)):
        name = rng.choice(("residential building", "commercial building"))
        color = rng.choice(_ROOFS if name[0] == "r" else _FLAT_ROOFS)
        roof = "hip" if name[0] == "r" else "flat"
        size = (rng.uniform(34, 40), 27) if name[0] == "r" else (56, rng.uniform(46, 56))
        plan.put(Thing(name, color, (cx, cy), *size, rng.choice((0, 90)), style=roof))
    plan.plant(rng.choice((10, 50, 80)))


def _tanks(plan: Plan) -> None:
    rng = plan.rng
    size = rng.choice((1, 2, 2, 3, 3))
    pitch = (92, 80, 70)[size - 1]
    side = rng.uniform(0.62, 0.74) * pitch
    color = rng.choice(("white", "white", "gray", "green"))
    cells = [(i, j) for j in range(size) for i in range(size)]
    wanted = rng.randint(max(1, size * size // 2), size * size)
    origin = 128 - (size - 1) * pitch / 2
    for i, j in sorted(rng.sample(cells, wanted)):
        place = (origin + i * pitch, origin + j * pitch)
        plan.put(Thing("storage tank", color, place, side, side, 0, "ellipse"))
    if wanted == size * size and size > 1:
        plan.tags.append("neatly")
    if rng.random() < 0.4 and size < 3:
        plan.road(rng.choice((18.0, 238.0)), 22, rng.random() < 0.5)
    elif rng.random() < 0.5 and size < 3:
        plan.put(Thing("commercial building", "gray", (214, 214), 44, 30, style="gable"))
    plan.plant(rng.choice((0, 8, 30)), (4, 7))


def _sports(plan: Plan) -> None:
    rng = plan.rng
    name = rng.choice(("tennis court", "tennis court", "basketball court", "baseball field"))
    if name == "baseball field":
        plan.put(Thing(name, "brown", (128, 128), 150, 150, rng.choice((0, 90, 180, 270))))
    else:
        _courts(plan, name)
    if rng.random() < 0.35:
        plan.road(14, 20, rng.random() < 0.5)
    plan.plant(rng.choice((15, 60)))


def _courts(plan: Plan, name: str) -> None:
    """One to six courts in a grid of up to three by two."""
    rng = plan.rng
    wide, high = (46, 82) if name == "tennis court" else (50, 86)
    columns, rows = rng.randint(1, 3), rng.randint(1, 2)
    color = rng.choice(("green", "blue", "red"))
    for i in range(columns):
        for j in range(rows):
            x = 132 + (i - (columns - 1) / 2) * (wide + 12)
            y = 136 + (j - (rows - 1) / 2) * (high + 14)
            plan.put(Thing(name, color, (x, y), wide, high))


_LAYOUTS: dict[str, tuple[Callable[[Plan], None], tuple[str, ...]]] = {
    "residential": (_residential, ("grass", "grass", "dry grass")),
    "commercial": (_commercial, ("concrete",)),
    "farmland": (_farmland, ("soil", "dry grass")),
    "forest": (_forest, ("grass",)),
    "water": (_water, ("grass", "dry grass")),
    "harbor": (_harbor, ("concrete",)),
    "airport": (_airport, ("grass", "dry grass")),
    "intersection": (_intersection, ("grass", "dry grass")),
    "storage tanks": (_tanks, ("bare ground", "grass", "concrete")),
    "sports": (_sports, ("grass", "grass", "dry grass")),
    "landscape": (landscape, ("grass", "grass", "dry grass")),
}
KINDS = tuple(kind for kind in _LAYOUTS if kind != "landscape")


def lay_out(kind: str, seed: int, size: int, gsd_m: float) -> Scene:
    """A scene of that kind, ``size`` px wide; the same seed gives the same scene."""
    rng = random.Random(seed)
    draw, grounds = _LAYOUTS[kind]
    plan = Plan(rng, rng.choice(grounds))
    draw(plan)
    for _ in range(rng.randrange(4)):
        plan.turn()
    return plan.scene(kind, size, gsd_m)
