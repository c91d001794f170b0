"""Sentences about a scene, in the manner of UCM-Captions; each of them is true of it."""

import random
from collections.abc import Callable

from rs_gpt4v_builders.sample.scenes import Scene

PER_IMAGE = 5
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NOUNS = {
    "residential building": ("house", "houses"),
    "commercial building": ("building", "buildings"),
    "vehicle": ("car", "cars"),
    "ship": ("boat", "boats"),
    "farmland": ("piece of farmland", "pieces of farmland"),
    "water area": ("pond", "ponds"),
}
_MANY = 6  # from here on the vague sentences say "many"


def captions(scene: Scene, rng: random.Random) -> tuple[str, ...]:
    """Five different sentences; each starts with a capital and ends with " ."."""
    return tuple(rng.sample(sentences(scene), PER_IMAGE))


def sentences(scene: Scene) -> list[str]:
    """All that `captions` chooses from."""
    distinct = dict.fromkeys(_WRITERS[scene.kind](scene))
    return [f"{sentence[0].upper()}{sentence[1:]} ." for sentence in distinct]


def plural(name: str) -> str:
    """The plural of a class name."""
    return _NOUNS.get(name, ("", f"{name}s"))[1]


def _counted(scene: Scene, name: str) -> str:
    """Number, colour and noun: "three white storage tanks"."""
    count = scene.count(name)
    number = _NUMBERS[count] if count < len(_NUMBERS) else "many"
    return f"{number}{_color(scene, name)} {_noun(name, count)}"


def _vague(scene: Scene, name: str) -> str:
    """The same without the exact number: "some white storage tanks"."""
    count = scene.count(name)
    color = _color(scene, name)
    if count == 1:
        return f"{_article((color or _noun(name, 1)).strip())}{color} {_noun(name, 1)}"
    return f"{'many' if count >= _MANY else 'some'}{color} {_noun(name, count)}"


def _color(scene: Scene, name: str) -> str:
    """The common colour with a space before it; empty for houses, whose roofs carry it."""
    color = scene.color_of(name)
    return f" {color}" if color and name != "residential building" else ""


def _noun(name: str, count: int) -> str:
    return _NOUNS.get(name, (name, f"{name}s"))[count != 1]


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _listed(words: list[str]) -> str:
    """One word, "two and three", or "one, two and three"."""
    return " and ".join([*filter(None, [", ".join(words[:-1])]), words[-1]])


def _be(count: int) -> str:
    return "is" if count == 1 else "are"


def _about(scene: Scene, name: str, place: str, done: str) -> list[str]:
    """Sentences on one class: where its things are, and what they are doing there."""
    count = scene.count(name)
    counted, vague, be = _counted(scene, name), _vague(scene, name), _be(count)
    return [
        f"there {be} {counted} {place}",
        f"{counted} {be} {done} {place}",
        f"{vague} {be} {done} {place}",
        f"{vague} {place}",
        f"there {be} {vague} {done} {place}",
    ]


def _around(scene: Scene) -> list[str]:
    """What else is there, as phrases to follow "with"."""
    phrases = []
    if scene.trees:
        phrases.append("many green trees" if len(scene.trees) > 30 else "some green trees")
    if scene.count("vehicle"):
        phrases.append(_vague(scene, "vehicle"))
    if scene.count("road"):
        phrases.append("a road" if scene.count("road") == 1 else "two roads")
    if scene.count("parking lot"):
        phrases.append("a parking lot")
    return phrases


def _beside(scene: Scene, start: str) -> list[str]:
    """The start of a sentence, completed by each thing around."""
    return [f"{start} with {phrase} beside" for phrase in _around(scene)]


def _on_ground(scene: Scene) -> str:
    """Where things stand: "on the bare ground"."""
    return f"on the {scene.ground}" + (" ground" if scene.ground == "concrete" else "")


def _residential(scene: Scene) -> list[str]:
    count = scene.count("residential building")
    name = "residential building"
    roofs = scene.color_of(name)
    sentences = [
        *_about(scene, name, "in the residential area", "built"),
        *_about(scene, name, "beside the road", "arranged neatly"),
        *_beside(scene, f"{_counted(scene, name)}"),
        *_beside(scene, "it is a residential area"),
    ]
    if roofs:
        top = f"{roofs} roof" if count == 1 else f"{roofs} roofs"
        sentences += [
            f"{_counted(scene, name)} with {top} {_be(count)} beside the road",
            f"{_vague(scene, name)} with {top} {_be(count)} in the residential area",
        ]
    pools = scene.count("swimming pool")
    if pools:
        sentences.append(f"a residential area with {_vague(scene, 'swimming pool')}")
    return sentences


def _commercial(scene: Scene) -> list[str]:
    name = "commercial building"
    return [
        *_about(scene, name, "in the commercial area", "arranged"),
        *_about(scene, name, "near the road", "built"),
        *_beside(scene, _counted(scene, name)),
        *_beside(scene, "this is a commercial area"),
    ]


def _farmland(scene: Scene) -> list[str]:
    count = scene.count("farmland")
    colors = _listed(sorted({field.color for field in scene.named("farmland")}))
    sentences = [
        f"there are {_counted(scene, 'farmland')}",
        f"here are {_counted(scene, 'farmland')}",
        f"{_counted(scene, 'farmland')} are arranged neatly",
        f"it is {colors} farmland divided into {_NUMBERS[count]} pieces",
        f"the farmland is {colors}",
        f"there is some {colors} farmland with furrows",
    ]
    if scene.count("residential building"):
        sentences.append("a house is on the farmland")
    if scene.count("road"):
        sentences.append("a dirt road goes through the farmland")
    if not scene.trees:
        sentences.append("there are no trees on the farmland")
    return sentences


def _forest(scene: Scene) -> list[str]:
    sentences = [
        "this is a dense forest with lots of green trees",
        "lots of green trees are in the dense forest",
        "there is a forest with many dark green plants",
        "it is a piece of dense forest",
        "a dense forest covers the ground",
        "many trees grow close together in the forest",
    ]
    if scene.count("road"):
        extra = ["a dirt road goes through the dense forest", "there is a road in the forest"]
    elif scene.count("water area"):
        extra = [
            "a blue pond is in the middle of the forest",
            "there is a pond in the dense forest",
        ]
    else:
        extra = ["there is nothing but trees in the forest"]
    return [*extra, *extra, *sentences]


def _water(scene: Scene) -> list[str]:
    body = "lake" if "lake" in scene.tags else "river"
    color = scene.color_of("water area")
    banks = "dense forest" if scene.count("forest") else scene.ground
    where = "around the lake" if body == "lake" else "on both banks of the river"
    sentences = [
        f"it is a {color} {body} with {banks} {where}",
        f"there is {banks} {where}",
        f"this is a {color} {body}",
        f"there is a {color} {body} in the picture",
        f"the water of the {body} is {color}",
    ]
    if body == "river":
        sentences.append(f"a winding {color} river goes through the {banks}")
    if "bridge" in scene.tags:
        sentences += ["a straight bridge is over the river", "there is a road across the river"]
    return sentences


def _harbor(scene: Scene) -> list[str]:
    docked = sum(ship.style == "docked" for ship in scene.named("ship"))
    sailing = scene.count("ship") - docked
    water = scene.color_of("water area")
    piers = scene.count("pier")
    amount = "a" if docked == 1 else "many" if docked >= _MANY else "some"
    sentences = [
        f"there {_be(docked)} {_NUMBERS[docked]} {_noun('ship', docked)} docked at the harbor",
        f"{_NUMBERS[docked]} {_noun('ship', docked)} docked beside the {_noun('pier', piers)}",
        f"{amount} {_noun('ship', docked)} {_be(docked)} docked at the harbor",
        f"{amount} {_noun('ship', docked)} docked at the harbor and the water is {water}",
        f"there {_be(piers)} {_NUMBERS[piers]} {_noun('pier', piers)} in the {water} water",
        f"it is a harbor with {_NUMBERS[scene.count('ship')]} {_noun('ship', scene.count('ship'))}",
    ]
    if sailing:
        word = "a boat is" if sailing == 1 else "two boats are"
        sentences.append(f"{word} sailing and {'leaves' if sailing == 1 else 'leave'} white waves")
    return sentences


def _airport(scene: Scene) -> list[str]:
    sentences = [
        *_about(scene, "airplane", "at the airport", "stopped"),
        *_about(scene, "airplane", "near the runway", "parked"),
        "a straight runway with some mark lines is at the airport",
        f"a straight runway and {_vague(scene, 'airplane')} at the airport",
    ]
    if scene.count("commercial building"):
        sentences += _beside_buildings(scene)
    return sentences


def _beside_buildings(scene: Scene) -> list[str]:
    building = _counted(scene, "commercial building")
    return [
        f"{_vague(scene, 'airplane')} {_be(scene.count('airplane'))} near {building}",
        f"an airport with {building} and {_counted(scene, 'airplane')}",
    ]


def _intersection(scene: Scene) -> list[str]:
    cars = scene.count("vehicle")
    sentences = [
        "an intersection with two roads vertical to each other",
        "two straight roads cross each other",
        f"this is an intersection surrounded by {scene.ground}",
        f"there {_be(cars)} {_counted(scene, 'vehicle')} on the roads",
        f"an intersection with {_counted(scene, 'vehicle') if cars else 'no cars on the roads'}",
    ]
    sentences += [
        f"an intersection with {_counted(scene, name)} beside the roads"
        for name in ("residential building", "commercial building")
        if scene.count(name)
    ]
    if scene.trees:
        sentences.append(f"an intersection with {_around(scene)[0]} beside the roads")
    return sentences


def _tanks(scene: Scene) -> list[str]:
    name = "storage tank"
    sentences = _about(scene, name, _on_ground(scene), "placed")
    sentences += _beside(scene, _counted(scene, name))
    if "neatly" in scene.tags:
        sentences.append(f"{_counted(scene, name)} are arranged neatly")
    if scene.count("commercial building"):
        sentences.append(f"{_vague(scene, name)} with a gray building beside")
    if not scene.trees:
        sentences.append(f"{_counted(scene, name)} without any plants around")
    return sentences


def _sports(scene: Scene) -> list[str]:
    name = next(t.name for t in scene.things if t.name.endswith(("court", "field")))
    sentences = [
        *_about(scene, name, _on_ground(scene), "built"),
        *_beside(scene, _counted(scene, name)),
    ]
    if scene.trees:
        be = _be(scene.count(name))
        sentences.append(f"{_counted(scene, name)} {be} surrounded by {_around(scene)[0]}")
    return sentences


_WRITERS: dict[str, Callable[[Scene], list[str]]] = {
    "residential": _residential,
    "commercial": _commercial,
    "farmland": _farmland,
    "forest": _forest,
    "water": _water,
    "harbor": _harbor,
    "airport": _airport,
    "intersection": _intersection,
    "storage tanks": _tanks,
    "sports": _sports,
}
