"""Questions on what is not there: false by the boxes, balanced, and always the same."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rs_gpt4v.boxes import to_hbb
from rs_gpt4v.conversation import Message
from rs_gpt4v.object_classes import CONFUSED, DIOR, vocabulary
from rs_gpt4v_generation.checks import check
from rs_gpt4v_generation.facts import FactSheet, fact_sheet
from rs_gpt4v_generation.probes import Probe, deniable, probes

NAMES = ("ship", "harbor", "airplane", "dam", "stadium", "tenniscourt")
OBJECTS = st.lists(
    st.tuples(st.sampled_from(NAMES), *[st.integers(20, 780)] * 2, st.integers(2, 20)), max_size=8
)


def sheet(objects: list[tuple[str, int, int, int]]) -> FactSheet:
    boxes = [
        {"label": name, "points": [x - half, y - half, x + half, y + half]}
        for name, x, y, half in objects
    ]
    return fact_sheet(boxes, 800, 800)


def is_so(probe: Probe, about: FactSheet) -> bool:
    """By the boxes alone: the centres, without any tolerance."""
    if probe.topic == "presence":
        return probe.names[0] in about.counts
    if probe.topic == "count":
        return about.counts[probe.names[0]] == int(probe.value)
    (a,), (b,) = (about.of(name) for name in probe.names)
    boxes = [to_hbb(item.points) for item in (a, b)]
    (ax, ay), (bx, by) = (((p[0] + p[2]) / 2, (p[1] + p[3]) / 2) for p in boxes)
    return {"left of": ax < bx, "right of": ax > bx, "above": ay < by, "below": ay > by}[
        probe.value
    ]


@given(OBJECTS, st.integers(0, 5), st.floats(0, 1))
@settings(deadline=None)
def test_no_negative_holds_and_every_positive_does(
    objects: list[tuple[str, int, int, int]], seed: int, share: float
) -> None:
    about = sheet(objects)
    found = probes(about, 20, seed=seed, share=share)
    assert all(is_so(probe, about) is probe.holds for probe in found)
    assert all(probe.answer.startswith("Yes" if probe.holds else "No") for probe in found)
    assert sum(not probe.holds for probe in found) == round(share * len(found))
    assert len({probe.question for probe in found}) == len(found)


SCENE = [
    *(("ship", 100, 100, 20), ("ship", 200, 100, 20), ("ship", 100, 200, 20)),
    *(("stadium", 700, 100, 60), ("golffield", 400, 700, 80)),
]


@pytest.mark.parametrize(("share", "negatives"), [(0, 0), (0.25, 2), (0.5, 4), (1, 8)])
def test_share_of_negatives_is_kept(share: float, negatives: int) -> None:
    found = probes(sheet(SCENE), 8, seed=0, share=share)
    assert (len(found), sum(not probe.holds for probe in found)) == (8, negatives)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9])
def test_every_count_can_be_asked_wrongly(count: int) -> None:
    about = sheet([("ship", 50 * n, 100, 20) for n in range(1, count + 1)])
    for seed in range(20):
        (probe,) = (p for p in probes(about, 100, seed=seed, share=1) if p.topic == "count")
        assert 1 < int(probe.value) != count
        assert abs(int(probe.value) - count) <= 3


def test_topics_are_mixed() -> None:
    found = probes(sheet(SCENE), 6, seed=0)
    assert Counter((p.topic, p.holds) for p in found) == {
        (topic, holds): 1 for topic in ("presence", "count", "relation") for holds in (True, False)
    }


def test_seed_decides() -> None:
    about = sheet(SCENE)
    assert probes(about, 8, seed="row 1") == probes(about, 8, seed="row 1")
    assert probes(about, 8, seed="row 1") != probes(about, 8, seed="row 2")


def test_classes_that_may_be_seen_in_place_of_one_are_not_denied() -> None:
    denied = set(deniable(sheet([("bridge", 400, 400, 50)])))
    assert not denied & {"bridge", "overpass", "dam", "harbor", "vehicle"}
    assert {"golf field", "chimney", "ship"} <= denied
    for group in CONFUSED:
        for name in group:
            assert not group & set(deniable(sheet([(name, 400, 400, 50)])))


def test_only_classes_of_the_annotation_are_denied() -> None:
    other = vocabulary(["swimming-pool", "plane"])
    found = probes(sheet([]), 10, seed=0, share=1, vocabulary=other)
    assert {probe.names for probe in found} == {("swimming pool",), ("airplane",)}


def test_no_image_yields_more_than_there_is_to_ask() -> None:
    assert probes(sheet([]), 10, seed=0) == probes(sheet([]), 10, seed=0)[:0]
    assert len(probes(sheet([]), 100, seed=0, share=1)) == len(DIOR)


@pytest.mark.parametrize("share", [50, 7, -0.1, 1.01, float("nan"), float("inf")])
def test_share_beyond_one_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=f"share is the part of negatives, 0 to 1, got {share}"):
        probes(sheet([]), 1, seed=0, share=share)


def test_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="count is the most questions to make, 0 or more, got -1"):
        probes(sheet([]), -1, seed=0)


@given(OBJECTS, st.integers(0, 3))
@settings(deadline=None, max_examples=40)
def test_checks_agree_with_every_answer(
    objects: list[tuple[str, int, int, int]], seed: int
) -> None:
    """And refute each, where its yes and no are exchanged."""
    about = sheet(objects)
    for probe in probes(about, 10, seed=seed):
        assert not results(probe.question, probe.answer, about) & {"fail"}
        swapped = "No." if probe.holds else "Yes."
        assert "fail" in results(probe.question, swapped, about), probe


def results(question: str, answer: str, about: FactSheet) -> set[Any]:
    messages: list[Message] = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]
    facts = ("counts", "presence", "absence", "places", "relations")
    return {v.result for v in check(messages, about) if v.check in facts}
