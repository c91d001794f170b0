"""Fact checks: what a dialogue says, against the boxes and against itself."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rs_gpt4v.conversation import Message
from rs_gpt4v.object_classes import DIOR, vocabulary
from rs_gpt4v_generation.checks import FACTUAL, Verdict, check, failures
from rs_gpt4v_generation.facts import FactSheet, fact_sheet
from rs_gpt4v_generation.probes import probes
from rs_gpt4v_generation.products import PRODUCTS

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def sheet(*objects: tuple[str, int, int]) -> FactSheet:
    """Objects of 60 px with these centres in an image of 800 px."""
    return fact_sheet(
        [{"label": label, "points": [x - 30, y - 30, x + 30, y + 30]} for label, x, y in objects],
        800,
        800,
    )


# Three ships top left, a harbor bottom right, a stadium top right.
SHEET = sheet(
    *(("ship", 100, 100), ("ship", 200, 100), ("ship", 100, 200)),
    *(("harbor", 700, 700), ("stadium", 700, 100)),
)


def dialogue(*turns: tuple[str, str]) -> list[Message]:
    messages: list[Message] = []
    for question, answer in turns:
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": answer})
    return messages


def told(name: str, *turns: tuple[str, str], about: FactSheet = SHEET) -> list[str]:
    return [v.result for v in check(dialogue(*turns), about) if v.check == name]


def said(name: str, answer: str, question: str = "What does the image show?") -> list[str]:
    return told(name, (question, answer))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("There are three ships.", "pass"),
        ("There are 3 large ships.", "pass"),
        ("There are four ships.", "fail"),
        ("There are two ships.", "fail"),
        ("There are two white ships.", "cannot tell"),
        ("There are four white ships.", "fail"),
        ("Two ships are moored at a pier.", "cannot tell"),
        ("There are two ships and a stadium.", "fail"),
        ("There are at least two ships.", "cannot tell"),
        ("There are at least four ships.", "fail"),
        ("There are more than three ships.", "fail"),
        ("There are up to two ships.", "fail"),
        ("There are about four ships.", "cannot tell"),
        ("There are 3 to 5 ships.", "cannot tell"),
        ("There may be five ships.", "cannot tell"),
        ("Two of the ships are white.", "cannot tell"),
        ("Five of the ships are white.", "fail"),
        ("Four trucks or boats? I see a pair of ships.", "fail"),
        ("In the top left, there are three ships.", "pass"),
        ("In the bottom right, there are three ships.", "fail"),
        ("There are three ships in the top left of the image.", "pass"),
        ("There are two ships in the top left of the image.", "fail"),
        ("Three vessels can be seen.", "pass"),
        ("Three yachts can be seen.", "pass"),
        ("Two yachts can be seen.", "cannot tell"),
        ("The number of ships is four.", "fail"),
        ("There are three ships, two harbors and one stadium.", "fail"),
        ("Twenty-one ships lie there.", "fail"),
    ],
)
def test_counts(answer: str, expected: str) -> None:
    found = set(said("counts", answer))
    assert expected in found
    assert "fail" not in found or expected == "fail"


@pytest.mark.parametrize(
    "answer",
    [
        "There are several ships.",
        "Ships lie there.",
        "One can see ships.",
        "Two rows of ships lie there.",
        "The three-lane road leads to the ships.",
        "There are 3.5 ships on average.",
        "A ship of 40 m lies there.",
        "Boat ramps and two ship yards lie there.",
    ],
)
def test_what_is_no_number_of_objects_is_not_read_as_one(answer: str) -> None:
    assert said("counts", answer) == []


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("How many ships are there?", "Three.", ["pass"]),
        ("How many ships are there?", "There are 4.", ["fail"]),
        ("How many ships are there?", "None.", ["fail"]),
        ("How many airplanes are there?", "None.", ["pass"]),
        ("How many ships are in the top left?", "There are two ships.", ["fail"]),
        ("How many ships are in the bottom right?", "There are three ships.", ["fail"]),
        ("How many white ships are there?", "Two.", ["cannot tell"]),
        ("Are there four ships?", "Yes.", ["fail"]),
        ("Are there four ships?", "No.", ["pass"]),
        ("Are there three ships?", "No.", ["fail"]),
        ("Are there more ships than harbors?", "Yes.", []),
    ],
)
def test_counts_that_are_asked_for(question: str, answer: str, expected: list[str]) -> None:
    assert told("counts", (question, answer)) == expected


@pytest.mark.parametrize(
    ("answer", "check_name", "expected"),
    [
        ("There is a harbor.", "presence", "pass"),
        ("There is an airplane.", "presence", "fail"),
        ("An aircraft stands there.", "presence", "fail"),
        ("There is no airplane.", "absence", "pass"),
        ("There is no ship.", "absence", "fail"),
        ("There are no airplanes, bridges or ships.", "absence", "fail"),
        ("Neither planes nor bridges are visible.", "absence", "pass"),
        ("There are no ships near the stadium.", "absence", "cannot tell"),
        ("There are no white ships.", "absence", "cannot tell"),
        ("There are no ferries.", "absence", "cannot tell"),
        ("No ships are moored.", "absence", "cannot tell"),
        ("Ships are not visible.", "absence", "fail"),
        ("The image doesn't show any ships.", "absence", "fail"),
        ("The image doesn\u2019t show any ships.", "absence", "fail"),
        ("The scene is free of bridges.", "absence", "pass"),
        ("Not a single ship is visible.", "absence", "fail"),
        ("The area could serve airplanes.", "presence", "cannot tell"),
        ("Roads like this are often used by vehicles.", "presence", "cannot tell"),
    ],
)
def test_presence_and_absence(answer: str, check_name: str, expected: str) -> None:
    found = set(said(check_name, answer))
    assert expected in found
    assert "fail" not in found or expected == "fail"


@pytest.mark.parametrize(
    "answer",
    [
        "Unlike an airport, the place is small.",
        "The airplane hangars are grey.",
        "The vehicle parking is empty.",
    ],
)
def test_a_class_named_aside_is_no_claim(answer: str) -> None:
    assert said("presence", answer) == said("absence", answer) == []


def test_no_to_a_number_denies_no_object() -> None:
    turn = ("Are there four ships in the image?", "No.")
    assert (told("absence", turn), told("counts", turn)) == ([], ["pass"])


def test_no_to_a_question_on_a_property_denies_no_object() -> None:
    turn = ("Are the ships moored?", "No, they are not.")
    assert told("absence", turn) == told("presence", turn) == []


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("Describe it.", "The harbor is in the bottom right corner.", ["pass"]),
        ("Describe it.", "The harbor is in the top right corner.", ["fail"]),
        ("Describe it.", "A harbor lies on the right side of the image.", ["pass"]),
        ("Describe it.", "The upper left of the image shows a stadium.", ["fail"]),
        ("Describe it.", "The stadium is in the center of the image.", ["fail"]),
        ("Describe it.", "The stadium is on the northern side of the image.", ["cannot tell"]),
        ("Where is the harbor?", "In the bottom right.", ["pass"]),
        ("Where is the harbor?", "It is in the top left.", ["fail"]),
        ("Where are the ships?", "They are at the top left.", ["pass"]),
        ("Where are the ships?", "They are at the bottom left.", ["fail"]),
        ("Is the harbor in the bottom right?", "Yes.", ["pass"]),
        ("Is the harbor in the bottom right?", "No.", ["fail"]),
        ("Is there a ship in the bottom right?", "No.", ["pass"]),
        ("Describe it.", "The left wing of the stadium is new.", []),
        ("Describe it.", "The stadium's top is white.", []),
        ("Describe it.", "An airplane is in the top left.", ["cannot tell"]),
    ],
)
def test_places(question: str, answer: str, expected: list[str]) -> None:
    assert told("places", (question, answer)) == expected


@pytest.mark.parametrize("some", ["The two ships", "These two ships", "Two of the ships"])
def test_some_ships_are_not_all_ships(some: str) -> None:
    """Three are annotated: that two are spoken of is no number of all."""
    turn = ("Describe it.", f"{some} are to the left of the stadium.")
    assert told("counts", turn) == ["cannot tell"]
    assert told("contradictions", ("How many ships?", "Three."), turn) == []
    about = sheet(("ship", 100, 100), ("ship", 200, 100), ("ship", 700, 700))
    turn = ("Describe it.", f"{some} are in the top left.")
    assert told("places", turn, about=about) == ["cannot tell"]
    assert told("places", turn) == ["pass"]


@pytest.mark.parametrize(
    "some", ["The two ships", "Both ships", "These ships", "Both of the ships"]
)
def test_ships_are_not_what_was_asked_for(some: str) -> None:
    """A pronoun would mean the harbor, which lies elsewhere."""
    assert "fail" not in told("places", ("Where is the harbor?", f"{some} are in the top left."))


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("Is there a bridge or an airplane?", "Yes.", []),
        ("Is there a ship or an airplane?", "No.", []),
        ("Is it a ship or an airplane?", "A ship.", [("presence", "pass")]),
        ("Is it a ship or an airplane?", "An airplane.", [("presence", "fail")]),
        ("A harbor or a bridge?", "A bridge.", [("presence", "fail")]),
        ("Are there two or three ships?", "Yes.", []),
        ("Is the stadium in the top left or the top right?", "Yes.", []),
        (
            "Is the stadium in the top left or the top right?",
            "The top right.",
            [("places", "pass")],
        ),
        ("Is the stadium in the top left or the top right?", "The top left.", [("places", "fail")]),
        ("Is the harbor above or below the stadium?", "No.", []),
    ],
)
def test_a_or_b_is_no_question_for_yes_or_no(
    question: str, answer: str, expected: list[tuple[str, str]]
) -> None:
    found = check(dialogue((question, answer)), SHEET)
    facts = [v for v in found if v.check in FACTUAL | {"leaks"}]
    assert [(v.check, v.result) for v in facts] == expected


def test_both_ships_are_two_and_not_all() -> None:
    about = sheet(("ship", 100, 100), ("ship", 200, 100), ("ship", 700, 700))
    turn = ("Describe it.", "Both ships are in the top left.")
    assert told("places", turn, about=about) == ["pass"]
    assert told("counts", turn, about=sheet(("ship", 100, 100), ("ship", 200, 100))) == ["pass"]


def test_objects_spread_over_a_place_cannot_be_told() -> None:
    about = sheet(("ship", 100, 100), ("ship", 700, 100), ("ship", 400, 400))
    turn = ("Where are the ships?", "The ships are on the left side of the image.")
    assert told("places", turn, about=about) == ["cannot tell"]
    turn = ("Where is a ship?", "A ship is on the left side of the image.")
    assert told("places", turn, about=about) == ["pass"]


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("Describe it.", "The ships are to the left of the stadium.", ["pass"]),
        ("Describe it.", "The ships are to the right of the stadium.", ["fail"]),
        ("Describe it.", "The harbor is below the stadium.", ["pass"]),
        ("Describe it.", "The harbor is above the stadium.", ["fail"]),
        ("Describe it.", "The ships are above and to the left of the harbor.", ["pass"]),
        ("Describe it.", "The ships are below and to the left of the harbor.", ["fail"]),
        ("Describe it.", "To the left of the stadium, there are ships.", ["pass"]),
        ("Describe it.", "The stadium is near the harbor.", ["fail"]),
        ("Describe it.", "The stadium is far from the harbor.", ["pass"]),
        ("Describe it.", "The ship is between the stadium and the harbor.", ["fail"]),
        ("Describe it.", "The stadium is north of the harbor.", ["cannot tell"]),
        ("Where is the harbor?", "It is below the stadium.", ["pass"]),
        ("Where is the harbor?", "It is above the stadium.", ["fail"]),
        ("How do the harbor and the stadium lie?", "The harbor is below it.", ["pass"]),
        ("Is the harbor above the stadium?", "No, it is below it.", ["pass", "pass"]),
        ("Is the harbor above the stadium?", "Yes.", ["fail"]),
        ("Describe it.", "The harbor is to the left of the road.", []),
        ("Describe it.", "Seen from above, the harbor is grey.", []),
    ],
)
def test_relations(question: str, answer: str, expected: list[str]) -> None:
    assert told("relations", (question, answer)) == expected


def test_between() -> None:
    about = sheet(("ship", 100, 400), ("harbor", 400, 400), ("stadium", 700, 400))
    for answer, expected in (
        ("The harbor is between the ship and the stadium.", "pass"),
        ("The ship lies between the harbor and the stadium.", "fail"),
    ):
        assert told("relations", ("Where?", answer), about=about) == [expected]


def test_relations_of_hundreds_of_objects_are_left_open() -> None:
    crowd = [("ship", 20 + 30 * (n % 25), 20 + 30 * (n // 25)) for n in range(200)]
    about = sheet(*crowd, ("harbor", 400, 790))  # 200 x 19,900 triples would take half a minute
    answer = "The harbor lies between two ships, and a ship lies between two other ships."
    assert set(told("relations", ("Where?", answer), about=about)) <= {"cannot tell", "pass"}
    assert told("relations", ("Where?", "The ships lie between ships."), about=about) == [
        "cannot tell"
    ]
    assert told("relations", ("Where?", "The ships lie above the harbor."), about=about) == ["pass"]


def test_two_counts_of_a_class_contradict_each_other() -> None:
    turns = [("How many ships?", "Three."), ("And boats?", "There are four boats.")]
    assert told("contradictions", *turns)[-1] == "fail"
    turns[1] = ("And boats?", "There are three boats.")
    assert told("contradictions", *turns) == ["pass"]
    turns[1] = ("And boats?", "There are two white boats.")
    assert told("contradictions", *turns) == []
    turns[1] = ("And boats?", "There are three white boats.")  # all may be white
    assert told("contradictions", *turns) == []
    turns[1] = ("And boats?", "There are five white boats.")
    assert "fail" in told("contradictions", *turns)


def test_yes_and_no_contradict_each_other() -> None:
    turns = [("Is there a bridge?", "Yes."), ("Describe it.", "There are no bridges.")]
    assert told("contradictions", *turns) == ["fail"]
    assert told("contradictions", turns[0], ("Describe it.", "There is no wide bridge.")) == []


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("What color is the white ship?", "It is white.", ["fail"]),
        ("What color is the ship?", "It is white.", ["pass"]),
        ("How many of the 3 ships are there?", "There are three ships.", ["fail"]),
        ("Is the ship white?", "It is white.", []),
        ("Which is it, red or white?", "White.", []),
    ],
)
def test_leaks(question: str, answer: str, expected: list[str]) -> None:
    assert told("leaks", (question, answer)) == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("How many ships are there?", "Could you tell me how many ships there are?", "fail"),
        ("Is there a ship?", "Are there any ships in the image?", "fail"),
        ("Is the ship left of it?", "Is the ship right of it?", "pass"),
        ("Where is the ship?", "What is the ship?", "pass"),
        ("Is the ship beside the tank?", "Is the tank beside the ship?", "pass"),
    ],
)
def test_duplicates(first: str, second: str, expected: str) -> None:
    assert told("duplicates", (first, "a"), (second, "b")) == [expected]


def test_a_question_repeated_word_for_word_is_a_duplicate() -> None:
    question = "How many ships are there?"  # one object: as the same words out of one file may be
    assert told("duplicates", (question, "Three."), (question, "Three.")) == ["fail"]
    assert told("duplicates", ("And?", "Ships."), ("So?", "None."), ("And?", "Ships.")) == [
        "pass",
        "fail",
    ]


def test_it_may_be_another_thing_when_asked_again() -> None:
    turns = [
        *(("Is there a road?", "Yes."), ("Where is it?", "In the top left.")),
        *(("Is there a harbor?", "Yes."), ("Where is it?", "In the bottom right.")),
    ]
    assert told("duplicates", *turns) == ["pass"] * 3
    assert told("duplicates", *turns[:2], turns[1]) == ["pass", "fail"]
    turns[0], turns[2] = [("Does this image show a ship?", "Yes."), ("Is it a port?", "No.")]
    assert told("duplicates", *turns[:3], turns[0])[-1] == "fail"


CALM = "The ground around is open and the scene is calm as seen from above."
LEANING = "It appears to be a calm place with boats along the shore and open water around."


@pytest.mark.parametrize(
    "turns",
    [
        [("Describe it.", f"There are three ships. {CALM} {CALM}")],
        [("Describe it.", f"{CALM} There are three ships. {CALM.upper()}")],
        [("Describe it.", f"{CALM[:-1]}! Three ships.\n- {CALM[:-1]}")],
        [("Describe it.", "Some water is blue; some water is blue; ships.")],
        [("Describe it.", f"A ship. {CALM}"), ("And the harbor?", f"It is grey. {CALM}")],
        [("What is it?", LEANING), ("How calm is it?", "Very."), ("Why?", LEANING)],
        [("Where are the ships? Where are the ships?", "At the top left.")],
        [("Describe it.", "The sea is calm" + " and the water is blue" * 3)],
        [("Describe it.", "A ship, " * 6 + "and water.")],
        [("Describe it.", "blue " * 12)],
    ],
)
def test_repetition_is_caught(turns: list[tuple[str, str]]) -> None:
    assert "fail" in told("repetition", *turns)
    verdicts = [v for v in check(dialogue(*turns), SHEET) if v.check == "repetition"]
    assert len(verdicts) == len(turns)


@pytest.mark.parametrize(
    "turns",
    [
        [("Is there a ship?", "Yes."), ("Is there a harbor?", "Yes.")],
        [("Where is the ship?", "In the top left."), ("And the road?", "In the top left.")],
        [
            (f"Where is the {noun}?", "It is in the top left of the image.")
            for noun in ("ship", "sea")
        ],
        [(f"Is it {how}?", "I cannot tell from the image alone.") for how in ("deep", "salty")],
        [
            ("Where is one?", "There is one in the left half of it."),
            ("Else?", "There is one on top."),
        ],
        [("Describe it.", "One ship is in the top left. One ship is in the top right.")],
        [("Describe it.", "Ship 1: large and white. Ship 2: large and white.")],
        [("Describe it.", "Tennis court, tennis court, basketball court.")],
        [("How many ships?", "Three."), ("How many boats are there, then?", "Three.")],
        [("Describe it.", "It is wide. It is calm. The sea is blue, very, very blue.")],
    ],
)
def test_what_may_be_said_again(turns: list[tuple[str, str]]) -> None:
    assert told("repetition", *turns) == ["pass"] * len(turns)


def test_templated_questions_repeat_nothing() -> None:
    for seed in range(20):
        turns = [(probe.question, probe.answer) for probe in probes(SHEET, 10, seed=seed)]
        assert set(told("repetition", *turns) + told("duplicates", *turns)) == {"pass"}


def test_language_and_length() -> None:
    german = "Das Bild zeigt eine weite offene Wiese mit einigen Wegen und Zäunen am Rand."
    english = "The image shows a wide open meadow with some paths and fences at its edge."
    assert said("language", german)[-1] == "fail"
    assert said("language", english)[-1] == "pass"
    assert said("language", "图像中有草地")[-1] == "fail"
    assert said("language", "There are three airplanes in the image.")[-1] == "pass"
    assert said("language", "Drei Flugzeuge in der Mitte.")[-1] == "cannot tell"
    assert said("language", "Tennis courts.")[-1] == "cannot tell"
    limits = PRODUCTS["conversation"].limits
    assert said("length", "word " * limits.answer_words[1]) == ["pass"] * 3
    assert said("length", "word " * (limits.answer_words[1] + 1))[-1] == "fail"
    turns = [(f"What about {number}?", "x") for number in range(limits.turns + 1)]
    assert told("length", *turns)[0] == "fail"


def test_what_no_box_could_show_is_marked() -> None:
    found = check(dialogue(("What?", "Trees and a ship stand on a ground track field.")), SHEET)
    beyond = [v.rule for v in found if v.check == "beyond the boxes"]
    assert beyond == ["tree: no class of the annotation"]


def test_classes_are_those_of_the_annotation() -> None:
    other = vocabulary(["swimming-pool", "large-vehicle"])
    found = check(dialogue(("What?", "Two swimming pools and a ship.")), SHEET, vocabulary=other)
    assert [(v.check, v.result) for v in found if v.check in ("counts", "presence")] == [
        ("presence", "fail"),
        ("counts", "fail"),
    ]


def test_evidence_is_the_sentence_and_the_boxes() -> None:
    found = failures(check(dialogue(("What?", "A harbor. There are two ships.")), SHEET))
    assert [(v.check, v.turn, v.sentence) for v in found] == [("counts", 0, "There are two ships.")]
    assert found[0].boxes == tuple(item.points for item in SHEET.of("ship"))
    assert found[0].rule == "exactly 2 said; 3 ships annotated"


PLACED = [f"{row} {column}" for row in ("top", "bottom") for column in ("left", "right")]


@given(
    st.lists(st.tuples(st.sampled_from(["ship", "dam"]), *[st.integers(30, 770)] * 2), min_size=1),
    st.sampled_from(["ship", "dam"]),
    st.sampled_from(PLACED),
    st.sampled_from(["left", "right"]),
)
@settings(max_examples=60, deadline=None)
def test_a_mirrored_image_swaps_verdicts(
    objects: list[tuple[str, int, int]], name: str, place: str, side: str
) -> None:
    swap = {"left": "right", "right": "left"}
    turned = " ".join(swap.get(word, word) for word in place.split())
    text = "The {0} is in the {1} of the image. The ship is to the {2} of the dam."

    def verdicts(about: FactSheet, *words: str) -> Iterator[tuple[str, str]]:
        found: list[Verdict] = check(dialogue(("Where?", text.format(*words))), about)
        return ((v.check, v.result) for v in found if v.check in ("places", "relations"))

    mirrored = sheet(*((label, 800 - x, y) for label, x, y in objects))
    own = list(verdicts(sheet(*objects), name, place, side))
    assert len(own) == 2
    assert own == list(verdicts(mirrored, name, turned, swap[side]))


@given(st.text(), st.text())
@settings(max_examples=60, deadline=None)
def test_no_words_raise(question: str, answer: str) -> None:
    check(dialogue((question, answer)), SHEET)


@pytest.mark.parametrize("part", ["no ", "a, ", "two ", "left ", "the ", "twenty-", "ship ", "1,"])
def test_hostile_text_takes_no_long_time(part: str) -> None:
    """A rule that backtracks without end would not come back."""
    check(dialogue(("How many ships?", part * 3_000 + "ship")), SHEET)


@pytest.mark.parametrize(
    "part", [" ", "\t", "a", "number of ", "There are {} ships. ", "There is ship {}. No ship {}. "]
)
def test_time_grows_in_line_with_the_text(part: str) -> None:
    def seconds(length: int) -> float:
        text = "".join(part.format(n, n) for n in range(length // len(part)))
        start = time.process_time()
        check(dialogue((f"How many{text} ships?", f"There{text} are ships.")), SHEET)
        return time.process_time() - start

    assert seconds(8_000) <= 3 * seconds(4_000) + 0.5


def test_number_of_thousands_of_digits_is_read_as_too_many() -> None:
    assert said("counts", f"There are {'9' * 5_000} ships.") == ["fail"]
    assert said("counts", f"There are {'0' * 5_000}3 ships.") == ["pass"]
    assert told("counts", ("How many ships?", "1," + "000," * 2_000 + "000")) == ["fail"]


def test_half_a_surrogate_pair_is_no_word() -> None:
    assert said("counts", "\ud800 There are three ships. \udfff") == ["pass"]


TRUE_DESCRIPTIONS = [
    (
        "The aerial image captures a coastal area with a harbor in the bottom right corner, "
        "where a long pier extends into the water. In the upper left portion of the scene, "
        "three ships are clustered together, two of them side by side and one slightly below. "
        "A stadium occupies the top right, its oval roof contrasting with the surrounding "
        "parking lots. No airplanes or bridges can be seen."
    ),
    (
        "Three boats, one of which is noticeably larger than the other two, float in calm "
        "water on the left side of the image. The stadium to their right has a bright roof. "
        "South of it, a harbor with several docks suggests that the area serves both cargo "
        "ships and leisure boats, although no vessels are currently moored there."
    ),
    (
        "Given the presence of a harbor and three ships, this region is likely used for "
        "maritime trade. Trucks could reach the harbor via the road that runs along the "
        "coast, and an airport might be nearby, but none is visible in the image."
    ),
    (
        "The stadium is located in the top right of the image, directly above the harbor, "
        "which lies in the bottom right. The distance between the ships and the harbor "
        "indicates that they are not preparing to dock. One ship is oriented east-west, while "
        "the other two ships point north."
    ),
    (
        "It appears to be a sunny day, as the shadows of the stadium fall to the left. The "
        "first ship is white, the second ship is grey, and the third is blue. There isn't any "
        "sign of an accident or of vehicles on the road near the harbor."
    ),
    (
        "Yes, the image contains one harbor and one stadium. Besides these, there are three "
        "ships, which makes five objects in total. The two land facilities are far apart, "
        "with the stadium above the harbor. Both ships at the top are larger than the one "
        "below them."
    ),
    (
        "There is only one harbor visible, and it is empty. If a fourth ship arrived, it "
        "could dock there without delay. Four ships would fit easily. Unlike busy ports, this "
        "harbor has no ships in it."
    ),
    (
        "The ships are far from the harbor, so passengers would need a ferry or a bridge to "
        "get there. A typical stadium holds 20,000 people; airplanes flying over it would be "
        "restricted. The harbor's left side borders a road."
    ),
    (
        "This satellite picture presents a shoreline setting. Toward the top left, a small "
        "fleet of three vessels rests on dark water; each vessel casts a short shadow. A "
        "large stadium with a white ring roof stands in the top right, and the harbor, with "
        "its piers, occupies the bottom right. Nothing in the scene hints at an airfield or a "
        "train station."
    ),
    (
        "Of the five annotated structures, three are ships. The harbor is the one furthest to "
        "the bottom, whereas the stadium sits near the top edge on the right. A viewer moving "
        "from the ships toward the right would first reach the stadium, not the harbor."
    ),
    (
        "The number of ships in the image is three, while the number of stadiums is just one. "
        "The ships form a triangle: two ships lie next to each other at the top and one ship "
        "lies below the left one."
    ),
    (
        "How busy is the place? Not very: only three ships are in view, and the harbor seems "
        "quiet. Compared to a typical port with dozens of vessels, this harbor is nearly "
        "empty. No cranes, trucks or trains can be made out."
    ),
    (
        "If you look at the right half of the image, you will find a stadium at the top and a "
        "harbor at the bottom. The left half shows ships and open water, with no buildings in "
        "sight."
    ),
    (
        "The stadium could host football matches. It does not look like a baseball field, "
        "since its shape is oval, nor does it resemble a golf course. The ships to its left "
        "are unrelated to it."
    ),
    (
        "There are no ships in the harbor itself; all three of them are far away from it, in "
        "the upper left part of the picture. The harbor lies to the right of and well below "
        "the ships."
    ),
    (
        "Fishing boats usually return to a harbor at night. In this daytime image, however, "
        "the three boats remain outside. There's a stadium too, but there's no airport, no "
        "bridge and no dam."
    ),
    (
        "One ship is at the very top left, a second one is to its right and a third one below "
        "it. The second ship is the closest to the stadium. The harbor, by contrast, is "
        "located at the opposite corner, the bottom right."
    ),
    (
        "The image doesn't contain four ships; it contains three. A harbor is visible as "
        "well, and so is one stadium. Neither of them overlaps with the ships."
    ),
]


@pytest.mark.parametrize("description", TRUE_DESCRIPTIONS)
def test_true_descriptions_with_traps_do_not_fail(description: str) -> None:
    turns = dialogue(("Describe the image.", description))
    found = failures(check(turns, SHEET, "detail"))
    assert [v for v in found if v.check != "length"] == []


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("It shows four ships in formation, two harbors and a single stadium.", ["counts"] * 2),
        ("A large airport dominates the lower left part of the picture.", ["presence"]),
        ("The harbor, located in the upper left corner, is surrounded by water.", ["places"]),
        ("Two ships can be seen in the top left of the image.", ["counts"]),
        ("Trees line the shore, and the stadium sits below the harbor.", ["relations"]),
        ("The sea is calm. There are no stadiums here.", ["absence"]),
    ],
)
def test_false_descriptions_fail(description: str, expected: list[str]) -> None:
    found = failures(check(dialogue(("Describe the image.", description)), SHEET, "detail"))
    assert [v.check for v in found if v.check != "length"] == expected


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, dict[str, Any]]]:
    sys.path.insert(0, str(BENCHMARKS))
    import fact_checks

    return {
        "developed": fact_checks.measure(0, fact_checks.DEVELOPED),
        "held out": fact_checks.measure(0, fact_checks.HELD_OUT),
    }


@pytest.mark.parametrize("wordings", ["developed", "held out"])
def test_500_replies_of_known_truth(
    measured: dict[str, dict[str, dict[str, Any]]], wordings: str
) -> None:
    for name, row in measured[wordings].items():
        assert row["precision"] >= 0.95, (name, row["mistaken"][:3])
        assert row["recall"] >= 0.95, (name, row["missed"][:3])
        assert row["cannot tell"] <= 0.2, (name, row["undecided"][:3])


def test_every_word_of_a_class_is_read() -> None:
    for name, words in DIOR.items():
        for noun in (words.name, *words.same, *words.narrower):
            found = check(dialogue(("What?", f"There is a {noun}.")), sheet((name, 400, 400)))
            assert [v.result for v in found if v.check == "presence"] == ["pass"], noun
