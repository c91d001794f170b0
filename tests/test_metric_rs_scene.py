"""Scene classification: which class a reply means, and the scores that follow from it."""

import random
import runpy
from pathlib import Path
from typing import Any

import evaluate
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_lines import row, write

from rs_gpt4v.scoring.scenes import SYNONYMS, Abstention, read
from rs_gpt4v_builders.sources import scenes
from rs_gpt4v_evaluation.predict.predictions import PredictionFileError
from rs_gpt4v_evaluation.report import report
from rs_gpt4v_evaluation.rs_scene import measure as rs_scene
from rs_gpt4v_evaluation.rs_scene.measure import METRIC, measure
from rs_gpt4v_evaluation.score import score

ROOT = Path(__file__).parents[1]
NWPU, UCM, RSICD, RSITMD = scenes.NWPU, scenes.UCM, scenes.RSICD, scenes.RSITMD
SETS = (NWPU, UCM, RSICD, RSITMD)


def meaning(reply: str, classes: tuple[str, ...] = NWPU) -> str:
    """The class that a reply means, or the kind of its abstention in capitals."""
    answer = read(reply, classes)
    return answer.kind.upper() if isinstance(answer, Abstention) else answer


MEANT = {
    "airport": [
        *("airport", "Airport.", " AIRPORT\n", "airports", "airport. It is an airport!"),
        *("The image shows an airport with several planes.", "an airport or an airfield"),
    ],
    "beach": ["beaches", "No, it is a beach.", "It's rather a beach"],
    "overpass": ["overpasses"],
    "dense residential": ["Dense_Residential", "This is a dense residential area."],
    "golf course": ["golf-course", "golfcourse", "a golf green"],
    "mobile home park": ["MobileHomeParks", "Answer: mobile home park"],
    "ground track field": ["ground track-field", "an athletics track"],
    "ship": ["\uff53\uff48\uff49\uff50", "boats"],
    "stadium": ["The city's stadiums"],
    "railway station": ["It is a railway station."],
    "railway": ["It is a railway."],
    "airplane": ["aircraft"],
    "harbor": ["A harbour", "It is not an airport but a harbour."],
    "baseball diamond": ["baseball field", "baseball"],
    "storage tank": ["oil tanks"],
    "freeway": ["highway"],
    "thermal power station": ["power plant", "thermal power"],
    "snowberg": ["snow-covered mountains"],
    # A name counts before a synonym.
    "river": ["a train station beside a river", "a river, or so, and tennis"],
    "commercial area": ["commercial"],
    "tennis court": ["tennis"],
    "desert": ["Not a beach: a desert"],
    "meadow": ["This isn't a forest. It is a meadow."],
    "lake": [
        *("a lake rather than a river", "a lake instead of a river"),
        "There is no doubt that it is a lake",
    ],
    "OUTSIDE": [
        *("", "...", "zoo", "\u6e56", "residential", "farmland", "sea", "circular", "station"),
        *("area", "It isn\u2019t a forest", "neither lake nor river"),
        "This is land covered by ice",  # no "island"
    ],
    "SEVERAL": [
        *("airport or airplane", "freeway/intersection", "a bridge over a river", ", ".join(NWPU)),
        *("commercial or industrial", "airport or an aircraft", "an aircraft/airport"),
    ],
    "UNDECIDED": [
        *("I cannot tell", "I can't say if it is a lake", "None of these.", "unknown"),
        *("Not  sure, a lake?", "I don\u2019t know: a lake"),
    ],
}


@pytest.mark.parametrize("expected", MEANT)
def test_what_a_reply_means(expected: str) -> None:
    meanings = {reply: meaning(reply) for reply in MEANT[expected]}
    assert meanings == dict.fromkeys(meanings, expected)


@pytest.mark.parametrize("classes", SETS)
def test_every_name_means_its_class_in_every_spelling(classes: tuple[str, ...]) -> None:
    for name in classes:
        for spelt in (
            *(name, name.upper(), name.title(), f"{name}.", f"a {name} area"),
            *(name.replace(" ", "-"), name.replace(" ", "_"), name.replace(" ", "")),
            *(f"This is a {name}.", f"The class is: {name}", f'"{name}"', f"**{name}**"),
        ):
            assert meaning(spelt, classes) == name, spelt


@pytest.mark.parametrize("classes", SETS)
def test_a_synonym_names_the_class_of_its_group(classes: tuple[str, ...]) -> None:
    for line in SYNONYMS:
        group = line.split(", ")
        own = [name for name in classes if name in group]
        others = [text for text in group if text not in classes]
        for text in others:
            expected = own[0] if len(own) == 1 else "SEVERAL" if own else None
            if expected:
                assert meaning(text, classes) == expected, text
    words = [text for line in SYNONYMS for text in line.split(", ")]
    assert len(words) == len(set(words))


def test_a_synonym_that_is_a_class_names_that_alone() -> None:
    assert meaning("port", ("harbor", "port")) == "port"
    assert meaning("marina", ("harbor", "port")) == "SEVERAL"
    assert meaning("port", ("harbor", "ship")) == "harbor"
    assert meaning("railway", ("railway station", "lake")) == "railway station"
    assert meaning("railway", ("railway station", "railway")) == "railway"


def test_names_of_a_user_s_own_are_found_whatever_they_are() -> None:
    own = (
        "burnt",
        "not burnt",
        "tenniscourt",
        "none of these",
        "\u68ee\u6797",
        "parks and gardens",
    )
    for name in own:
        assert meaning(name, own) == name
    assert meaning("It is not burnt.", own) == "not burnt"
    assert meaning("These are parks and gardens.", own) == "parks and gardens"
    assert meaning("a tennis court", own) == "tenniscourt"


@pytest.mark.parametrize("names", [("Ship", "ships"), ("sea ice", "sea-ice")])
def test_two_spellings_of_one_class_are_refused(names: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match=r"are one class in two spellings"):
        measure([names[0]], [names[0]], [[*names, "lake"]])


# --- Scores -------------------------------------------------------------------------------------

CHOICE = ["airport", "golf course", "sea ice"]
COLUMNS: dict[str, Any] = {
    "predictions": ["airport", "Golf-courses.", "golf course ", "airport or sea ice", "I can't"],
    "references": ["airport", "golf course", "golf course", "sea ice", "sea ice"],
    "classes": [CHOICE] * 5,
}  # fmt: skip


def test_all_keys_in_order() -> None:
    assert measure(**COLUMNS).result == {
        "accuracy_airport": 1.0,
        "accuracy_golf_course": 1.0,
        "accuracy_sea_ice": 0.0,
        "aa": pytest.approx(2 / 3),
        "oa": 0.6,
        "aa_strict": 0.5,
        "oa_strict": 0.4,
        "n_airport": 1,
        "n_golf_course": 2,
        "n_sea_ice": 2,
        "abstained": 2,
        "outside": 0,
        "several": 1,
        "undecided": 1,
        "signature": "rs_scene|v1|n:5|abstained:2",
    }
    assert measure(**COLUMNS).unparsed == {
        3: "names several classes: airport, sea ice",
        4: 'does not decide: "I can\'t"',
    }


@pytest.mark.parametrize("reply", ["Airport", "airport.", "airports", "an airport"])
def test_strict_is_letter_for_letter(reply: str) -> None:
    result = measure([reply, " airport\n"], ["airport"] * 2, [CHOICE] * 2).result
    assert (result["oa"], result["oa_strict"], result["aa_strict"]) == (1, 0.5, 0.5)


def test_any_of_several_references_is_right() -> None:
    measured = measure(["sea ice", "lake"], [["lake", "sea ice"]] * 2, [["lake", "sea ice"]] * 2)
    assert (measured.result["oa"], measured.result["oa_strict"]) == (1, 1)
    assert measured.result["n_lake"] == 2


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"references": ["zoo", *COLUMNS["references"][1:]]}, "row 0: the reference 'zoo' is none"),
        ({"predictions": []}, "columns of one length"),
        ({"predictions": ["a", None, "b", "c", "d"]}, "row 1 of predictions is None"),
        ({"references": [[]] * 5}, "row 0 needs a list of references"),
        ({key: [] for key in COLUMNS}, "nothing to score"),
    ],
)
def test_bad_columns_are_named(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        measure(**{**COLUMNS, **change})


def test_evaluate_gives_the_same() -> None:
    metric = evaluate.load(str(Path(rs_scene.__file__).parent))
    assert metric.compute(**COLUMNS) == measure(**COLUMNS).result


def test_the_classes_are_those_of_the_question(tmp_path: Path) -> None:
    rows = [
        row(0, "scene", prediction="an airport"),
        row(1, "scene", prediction="a beach"),
        row(2, "scene", prompt="Choose from: beach, airport.", prediction="not a beach"),
        row(
            *(3, "scene"),
            prompt="Choose from: beach, lake.",
            references=["lake"],
            prediction="A lake near bare land",
        ),
    ]
    scores = score(write(tmp_path / "p.jsonl", rows))
    assert (scores["metric"], scores["scores"]["oa"]) == ("rs_scene", 2 / 4)
    assert scores["scores"]["outside"] == 2
    assert scores["unparsed"] == {
        "rsicd_scenes/scene/1": "names no class: 'a beach'",
        "rsicd_scenes/scene/2": "names no class: 'not a beach'",
    }
    measured = METRIC.measure(rows, Any)  # type: ignore[arg-type]
    assert [mark.right for mark in METRIC.marks(rows, measured)] == [True, False, False, True]


def test_a_question_without_classes_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "p.jsonl", [row(0, "scene", prompt="What is it?")])
    with pytest.raises(
        PredictionFileError, match=r"p\.jsonl, rsicd_scenes/scene/0: its question l"
    ):
        score(file)


def test_a_report_shows_classes_abstentions_and_the_most_frequent_class(tmp_path: Path) -> None:
    rows = [
        row(0, "scene"),
        row(1, "scene", prediction="an airport"),
        row(2, "scene", references=["bare land"], prediction="bare soil or airport"),
        row(3, "scene", references=["bare land"], prediction="airport or bare land"),
        row(4, "scene", references=["bare land"], prediction="a zoo"),
    ]
    report([write(tmp_path / "p.jsonl", rows)], tmp_path / "r.md")
    text = (tmp_path / "r.md").read_text("utf-8").replace("\u202f", " ").replace("\xa0", " ")
    assert "Scene classification." in text
    assert "| Bare land | 3 | 100.0 % | 0.0 %, worse than guessing |" in text
    assert "| All images (OA) | 5 | 60.0 % | 40.0 %, worse than guessing |" in text
    assert "* Replies that name several: 2\n" in text
    report([tmp_path / "p.jsonl"], tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "“bare land” (class of scene)" in page
    assert METRIC.note in page


def test_the_rules_of_others_differ_as_the_docs_say() -> None:
    benchmark = runpy.run_path(str(ROOT / "benchmarks/scene_rules.py"))
    made = benchmark["accuracies"](benchmark["replies"]())
    docs = (ROOT / "docs/scoring.md").read_text("utf-8")
    for accuracy, kind, harsh in made.values():
        assert f"| {accuracy:.1f} | {kind:.1f} | {harsh:.1f} |" in docs
    assert made["rs_scene"][1] == 0
    scores = [accuracy for accuracy, *_ in made.values()]
    assert max(scores) - min(scores) > 30


# --- Properties ---------------------------------------------------------------------------------

REPLIES = st.one_of(
    st.sampled_from([*NWPU, "airport or lake", "aircraft", "I cannot tell", "", "residential"]),
    st.builds("This is a {}.".format, st.sampled_from(NWPU)),
    st.text(max_size=30),
)
ROWS = st.lists(st.tuples(REPLIES, st.sampled_from(NWPU)), min_size=1, max_size=25)


def measured_of(rows: list[tuple[str, str]], seed: int = 0) -> dict[str, Any]:
    rng = random.Random(seed)
    classes = [rng.sample(NWPU, len(NWPU)) for _ in rows]
    return measure([reply for reply, _ in rows], [true for _, true in rows], classes).result


def shares(result: dict[str, Any]) -> dict[str, Any]:
    keys = ("accuracy_", "aa", "oa")
    return {key: pytest.approx(value) for key, value in result.items() if key.startswith(keys)}


@given(ROWS, st.randoms())
@settings(deadline=None)
def test_the_order_of_rows_and_classes_is_the_same(
    rows: list[tuple[str, str]], rng: random.Random
) -> None:
    mixed = rng.sample(rows, len(rows))
    assert measured_of(mixed, rng.randrange(99)) == measured_of(rows)


@given(ROWS)
@settings(deadline=None)
def test_twice_the_rows_are_worth_the_same(rows: list[tuple[str, str]]) -> None:
    once, twice = measured_of(rows), measured_of(rows * 2)
    assert shares(twice) == shares(once)
    for key in once:
        if key.startswith("n_") or key in ("abstained", "outside", "several", "undecided"):
            assert twice[key] == 2 * once[key]


@given(ROWS)
@settings(deadline=None)
def test_scores_are_bounded_and_lenient_is_never_below_strict(rows: list[tuple[str, str]]) -> None:
    result = measured_of(rows)
    assert 0 <= result["oa_strict"] <= result["oa"]
    assert round(result["oa"] * len(rows)) + result["abstained"] <= len(rows)
    assert 0 <= result["aa_strict"] <= result["aa"] <= 1
    assert result["abstained"] == sum(result[k] for k in ("outside", "several", "undecided"))


@given(st.lists(st.sampled_from(NWPU), min_size=1))
@settings(deadline=None)
def test_right_empty_and_all_at_once(truths: list[str]) -> None:
    right = measured_of([(true, true) for true in truths])
    assert (right["oa"], right["aa"], right["oa_strict"], right["abstained"]) == (1, 1, 1, 0)
    for reply, kind in (("", "outside"), (", ".join(NWPU), "several")):
        none = measured_of([(reply, true) for true in truths])
        assert (none["oa"], none["aa"], none[kind]) == (0, 0, len(truths))


def test_a_constant_reply_is_worth_its_class() -> None:
    result = measured_of([("lake", true) for true in NWPU * 3])
    assert result["aa"] == pytest.approx(1 / 45)
    assert result["accuracy_lake"] == 1
