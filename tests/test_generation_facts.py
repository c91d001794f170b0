"""The fact sheet of an image, the request made of it, and the places and relations behind both."""

import json
import random
from typing import Any

import pytest
from conftest import SHARED, Golden, needs_shared
from hypothesis import given
from hypothesis import strategies as st

from rs_gpt4v import spatial
from rs_gpt4v.boxes import DegenerateBoxError
from rs_gpt4v.object_classes import CONFUSED, DIOR, class_words, plural
from rs_gpt4v_builders.sample.releases.dior_rsvg import CLASSES, dior_pictures, label, upright
from rs_gpt4v_builders.sources.dior import SOURCE
from rs_gpt4v_generation.facts import MOST_LISTED, MOST_RELATIONS, fact_sheet, text
from rs_gpt4v_generation.products import PRODUCTS
from rs_gpt4v_generation.prompts import prompt_version, request_body

SIZE = (800, 600)
IMAGE = {"type": "image_url", "image_url": {"url": "data:x", "detail": "auto"}}
LABELS = ("ship", "harbor", "storagetank", "Expressway-Service-area", "tenniscourt")


@st.composite
def boxes(draw: st.DrawFn) -> dict[str, Any]:
    x, y = draw(st.integers(0, 780)), draw(st.integers(0, 580))
    width, height = draw(st.integers(1, 800 - x)), draw(st.integers(1, 600 - y))
    points = [x, y, x + width, y + height]
    if draw(st.booleans()):
        points = [x, y, x + width, y, x + width, y + height, x, y + height]
    return {"label": draw(st.sampled_from(LABELS)), "points": points}


SCENES = st.lists(boxes(), max_size=12)


def mirrored(box: dict[str, Any]) -> dict[str, Any]:
    if len(box["points"]) == 4:
        x0, y0, x1, y1 = box["points"]
        return box | {"points": [800 - x1, y0, 800 - x0, y1]}
    x1, y1, x2, y2, x3, y3, x4, y4 = box["points"]
    corners = [800 - x2, y2, 800 - x1, y1, 800 - x4, y4, 800 - x3, y3]
    return box | {"points": corners}


@given(SCENES)
def test_counts_are_those_of_the_boxes(scene: list[dict[str, Any]]) -> None:
    sheet = fact_sheet(scene, *SIZE)
    names = [class_words(box["label"]).name for box in scene]
    assert sheet.counts == {name: names.count(name) for name in sheet.counts}
    assert sum(sheet.counts.values()) == len(scene)
    listed = text(sheet).splitlines()[1].removeprefix("Objects: ")
    assert sorted(listed.split(", ")) == (sorted(names) or ["none of the annotated classes"])


@given(SCENES, st.randoms())
def test_order_of_the_annotation_makes_no_difference(
    scene: list[dict[str, Any]], rng: random.Random
) -> None:
    shuffled = rng.sample(scene, len(scene))
    assert text(fact_sheet(scene, *SIZE)) == text(fact_sheet(shuffled, *SIZE))


@given(boxes(), boxes())
def test_a_mirrored_image_swaps_left_and_right(a: dict[str, Any], b: dict[str, Any]) -> None:
    swap = {"left": "right", "right": "left", "left of": "right of", "right of": "left of"}
    turned_a, turned_b = mirrored(a)["points"], mirrored(b)["points"]
    for way in spatial.DIRECTIONS:
        told = spatial.holds(a["points"], way, b["points"], SIZE)
        turned: Any = swap.get(way, way)
        assert spatial.holds(turned_a, turned, turned_b, SIZE) is told
    for place in ("left", "right", "top left", "bottom right", "top", "centre", "top centre"):
        turned = " ".join(swap.get(word, word) for word in place.split())
        told = spatial.lies(a["points"], place, SIZE)
        assert spatial.lies(turned_a, turned, SIZE) is told


@given(boxes(), boxes())
def test_opposite_relations_never_hold_together(a: dict[str, Any], b: dict[str, Any]) -> None:
    for way in spatial.DIRECTIONS:
        if spatial.holds(a["points"], way, b["points"], SIZE):
            assert spatial.holds(a["points"], spatial.OPPOSITE[way], b["points"], SIZE) is False
            assert spatial.holds(b["points"], spatial.OPPOSITE[way], a["points"], SIZE) is True


def test_box_that_reaches_over_the_middle_is_not_surely_beyond_it() -> None:
    told = [spatial.lies((x, 0, 1200 - x, 60), "left", (1000, 60)) for x in (300, 410, 420, 450)]
    assert told == [None, None, False, False]


def test_sheet_of_sample_objects(golden: Golden) -> None:
    """Those of an airport, oriented, and of a harbor, upright, in one image."""
    airport, harbor = list(dior_pictures(0, 1))[:2]
    scene = [
        {"label": label(t), "points": [v for corner in t.corners for v in corner]}
        for t in airport.scene.things
        if t.name in CLASSES
    ]
    scene += [
        {"label": label(t), "points": upright(t)} for t in harbor.scene.things if t.name in CLASSES
    ]
    golden.check("fact_sheet.json", text(fact_sheet(scene, 800, 800)).splitlines())


def test_equal_classes_stand_together_and_the_most_frequent_first() -> None:
    scene = [
        {"label": label, "points": [x, 0, x + 40, 40]}
        for label, x in (("tenniscourt", 0), ("basketballcourt", 100), ("tenniscourt", 200))
    ]
    assert text(fact_sheet(scene, 800, 800)).splitlines()[1:3] == [
        "Objects: tennis court, tennis court, basketball court",
        "Counts: 2 tennis courts, 1 basketball court",
    ]


def test_limits_of_sizes_are_those_of_coco() -> None:
    sides = (31, 32, 95, 96)
    scene = [{"label": "ship", "points": [0, 0, side, side]} for side in sides]
    sizes = {item.width: item.size for item in fact_sheet(scene, 800, 800).items}
    assert sizes == {31: "small", 32: "medium", 95: "medium", 96: "large"}


def test_300_ships_stay_compact() -> None:
    rng = random.Random(0)
    corners = [(rng.randrange(780), rng.randrange(780)) for _ in range(300)]
    scene = [{"label": "ship", "points": [x, y, x + 15, y + 15]} for x, y in corners]
    sheet = fact_sheet(scene, 800, 800)
    told = text(sheet)
    assert len(told) < 5_000
    assert "Objects: ship (x 300)" in told
    assert told.count("\n- ship ") >= MOST_LISTED
    assert f"- {300 - MOST_LISTED} smaller ships more: " in told
    assert 0 < len(sheet.relations) <= MOST_RELATIONS


def test_what_lies_between_two_is_told() -> None:
    scene = [
        {"label": label, "points": [x, 380, x + 40, 420]}
        for label, x in (("ship", 50), ("harbor", 380), ("ship", 700))
    ]
    told = text(fact_sheet(scene, 800, 800))
    assert "- harbor 1 between ship 1 and ship 2" in told


def test_box_outside_the_image_is_named() -> None:
    scene = [
        {"label": "ship", "points": [0, 0, 9, 9]},
        {"label": "ship", "points": [900, 0, 950, 9]},
    ]
    with pytest.raises(DegenerateBoxError, match=r"object 1: its box .* 800 x 600 px image"):
        fact_sheet(scene, *SIZE)


def test_every_confused_class_is_one_of_dior() -> None:
    assert len(DIOR) == 20
    assert frozenset.union(*CONFUSED) <= DIOR.keys()


def test_no_word_belongs_to_two_classes() -> None:
    every = [n for w in DIOR.values() for noun in (w.name, *w.same, *w.narrower) for n in (noun,)]
    assert len(every) == len(set(every))
    assert plural("toll plaza") == "toll plazas"


@needs_shared
def test_facts_of_a_real_annotation() -> None:
    records = SOURCE.read(SHARED / "dior", "train", "paper").to_pylist()
    assert text(fact_sheet(records[0]["boxes"], 800, 800)).splitlines()[1:] == [
        "Objects: golf field",
        "Counts: 1 golf field",
        "- golf field 1: box (133,237) (684,672), 551 x 435 px, 37.45% of the image, large, centre",
    ]


@pytest.mark.parametrize("product", PRODUCTS)
def test_request_holds_facts_rules_and_a_strict_form(product: Any) -> None:
    sheet = fact_sheet([{"label": "ship", "points": [0, 0, 90, 90]}], 800, 800)
    body = request_body(sheet, product, "some-model", image=IMAGE, temperature=0.2)
    system, user = (message["content"] for message in body["messages"])
    assert "Never invent" in system
    assert user[0]["text"] == f"Facts:\n{text(sheet)}"
    assert user[1] == IMAGE
    form = body["response_format"]["json_schema"]
    assert form["strict"]
    assert form["schema"] is PRODUCTS[product].schema
    assert body["temperature"] == 0.2
    json.dumps(body)


def test_without_an_image_only_the_facts_may_be_told() -> None:
    sheet = fact_sheet([], 800, 800)
    content = request_body(sheet, "detail", "m")["messages"][1]["content"]
    assert isinstance(content, str)
    assert "No image comes with these facts" in content


def test_every_object_of_a_form_requires_all_its_fields() -> None:
    def objects(schema: dict[str, Any]) -> list[dict[str, Any]]:
        inner = [schema["items"]] if "items" in schema else [*schema.get("properties", {}).values()]
        own = [schema] if schema["type"] == "object" else []
        return own + [found for one in inner for found in objects(one)]

    for schema in (product.schema for product in PRODUCTS.values()):
        for one in objects(schema):
            assert one["required"] == list(one["properties"])
            assert one["additionalProperties"] is False


def test_version_tells_the_products_and_their_words_apart() -> None:
    assert len({prompt_version(product) for product in PRODUCTS}) == len(PRODUCTS)
