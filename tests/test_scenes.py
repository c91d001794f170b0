"""Scene classification: questions that list the classes, and where the classes come from."""

from collections import Counter
from itertools import permutations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs_gpt4v import adapt_objects, records, templates
from rs_gpt4v.adapt import Adaption
from rs_gpt4v.scene_classes import choices, is_listable

CLASSES = ["airport", "bare land", "sea ice"]


def scene_rows(count: int, *, seed: int | None = 0, classes: list[str] = CLASSES) -> pa.Table:
    rows = [
        {"key": str(i), "image": f"{i}.tif", "label": classes[0], "classes": classes}
        for i in range(count)
    ]
    table = pa.Table.from_pylist(rows, records.SCENES)
    return adapt_objects.scenes(table, Adaption("s/train/", "train", seed=seed))


def asked(rows: pa.Table) -> list[str]:
    return [messages[0]["content"] for messages in rows["messages"].to_pylist()]


def test_every_order_of_the_classes_is_about_as_frequent() -> None:
    orders = Counter(tuple(choices(question)) for question in asked(scene_rows(6_000)))
    assert set(orders) == set(permutations(CLASSES))
    assert min(orders.values()) > 850
    assert max(orders.values()) < 1_150


def test_the_order_is_that_of_id_and_seed() -> None:
    assert asked(scene_rows(50))[:5] == asked(scene_rows(5))
    assert asked(scene_rows(50)) != asked(scene_rows(50, seed=1))
    fixed = {tuple(choices(question)) for question in asked(scene_rows(50, seed=None))}
    assert fixed == {tuple(CLASSES)}


def test_a_part_of_the_records_makes_the_same_rows() -> None:
    rows = [
        {"key": str(i), "image": "a", "label": "x", "classes": CLASSES[: 1 + i % 3]}
        for i in range(9)
    ]
    table = pa.Table.from_pylist(rows, records.SCENES)
    adaption = Adaption("s/train/", "train")
    whole = adapt_objects.scenes(table, adaption).to_pylist()
    assert adapt_objects.scenes(table.slice(4, 3), adaption).to_pylist() == whole[4:7]


@pytest.mark.parametrize("template", templates.SCENE)
def test_every_wording_lists_the_classes_readably(template: str) -> None:
    assert choices(template.format("airport, bare land, sea ice")) == CLASSES


@given(st.lists(st.text(min_size=1).filter(is_listable), min_size=2, unique=True))
def test_a_listable_name_is_read_again(names: list[str]) -> None:
    for template in templates.SCENE:
        assert choices(template.format(", ".join(names))) == names
