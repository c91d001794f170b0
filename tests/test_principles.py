"""The six principles: known answers by hand, extremes, a hostile page, the verb."""

import dataclasses
import json
import math
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
from conftest import SHARED, needs_shared
from generating import scene
from hypothesis import given, settings
from hypothesis import strategies as st
from review_queue import candidate, write_queue

from rs_gpt4v import NAME
from rs_gpt4v import templates as wordings
from rs_gpt4v.cli import main
from rs_gpt4v.conversation import FEATURES
from rs_gpt4v.reviews import ReviewsError
from rs_gpt4v_builders.sources.source import SourceNotFoundError
from rs_gpt4v_generation.candidates import EmptyQueueError, digest, read_queue
from rs_gpt4v_generation.chair import Scenes
from rs_gpt4v_generation.checks import FACTUAL
from rs_gpt4v_generation.principles import turns as texts
from rs_gpt4v_generation.principles.catalogue import PRINCIPLES
from rs_gpt4v_generation.principles.complexity import complexity
from rs_gpt4v_generation.principles.correctness import correctness
from rs_gpt4v_generation.principles.diversity import distinct_n, diversity, frequent, skeleton
from rs_gpt4v_generation.principles.forms import form
from rs_gpt4v_generation.principles.known_boxes import checked
from rs_gpt4v_generation.principles.measure import Measured, Report, measure, report
from rs_gpt4v_generation.principles.page import write_page
from rs_gpt4v_generation.principles.pairs import pair
from rs_gpt4v_generation.principles.richness import Quartiles, classes, richness
from rs_gpt4v_generation.principles.robustness import answered, is_zero, robustness
from rs_gpt4v_generation.principles.self_bleu import self_bleu
from rs_gpt4v_generation.principles.tables import to_text
from rs_gpt4v_generation.principles.turns import Turns, of_queue, of_rows
from rs_gpt4v_generation.principles.unity import unity
from rs_gpt4v_generation.principles.words import words
from rs_gpt4v_generation.review.reconcile import outcomes, reconcile

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
DOCS = Path(__file__).parents[1] / "docs" / "principles.md"


def material(*dialogues: list[tuple[str, str]], task: str = "conversation") -> Turns:
    """What rows with these questions and answers are, about one image each."""
    rows = [
        {
            "id": f"made/train/{number}",
            "images": [{"path": f"{number}.png", "bytes": None}],
            "messages": [
                {"role": role, "content": said}
                for turn in turns
                for role, said in zip(("user", "assistant"), turn, strict=True)
            ],
            "source": "made",
            "task": task,
            "modality": "optical",
            "references": [],
            "boxes": [],
            "width": 800,
            "height": 800,
        }
        for number, turns in enumerate(dialogues)
    ]
    table = pa.Table.from_pylist(rows, schema=FEATURES.arrow_schema)
    return of_rows("made/train", datasets.Dataset(table))


def measured(*dialogues: list[tuple[str, str]], task: str = "conversation") -> Measured:
    return measure(material(*dialogues, task=task), {})


SHIPS = [
    ("How many ships are there?", "There are two white ships."),
    ("Is there a bridge near the harbor?", "No, there is no bridge."),
    ("Why might the ships be here?", "Because they are usually loaded at the wooden pier."),
]
"""Three turns whose every measure can be told by hand."""


# Words, forms, pairs, skeletons


def test_a_box_is_one_word_and_so_is_a_number() -> None:
    said = "A 1,200 m pier, [0.1, 0.2, 0.3, 0.4] and {<10><20><30><40>|<0>}; O'Hare's"
    assert words(said) == ["a", "1,200", "m", "pier", "[box]", "and", "[box]", "o'hare's"]
    assert words("[1, 2, 3, 4") == ["[box]"]
    assert words("[1, 2], [1, 2, 3, 4], [5, 6, 7, 8]") == ["1", "2", "[box]", "[box]"]


FORMS = {
    "Is there a ship?": "yes/no",
    "Are there any trees or bushes?": "yes/no",
    "Do you see a harbor in the image?": "yes/no",
    "Is it a rural or an urban area": "which",
    "Which of the two courts is larger?": "which",
    "Can you count the number of chimneys visible in this image?": "how many",
    "What is the amount of roads?": "how many",
    "How many buildings are flooded?": "how many",
    "Is the number of roads equal to the number of buildings?": "yes/no",
    "Please, where is the dam?": "where",
    "What is the relative position of the ship to the other ship?": "where",
    "What colors can you identify on the chimneys?": "what",
    "What is in the region [0.1, 0.2, 0.3, 0.4]?": "what",
    "Why is the stadium empty?": "reasoning",
    "How might the harbor affect the town?": "reasoning",
    "What does the layout suggest about its use?": "reasoning",
    "Could you describe the image?": "describe",
    "The picture was taken in May. What does this image show?": "describe",
    "The sea is calm. Is there a ship? Answer briefly.": "yes/no",
    "Hello.": "other",
}


def test_forms_of_questions() -> None:
    assert {question: form(question) for question in FORMS} == FORMS


def test_every_template_has_the_form_of_its_task() -> None:
    assert {form(template) for template in wordings.CAPTION} == {"describe"}
    grounding = [template.format("the red ship by the pier") for template in wordings.GROUNDING]
    assert {form(prompt) for prompt in grounding} == {"where"}
    regions = [t.format("[0.1, 0.2, 0.3, 0.4]") for t in wordings.REGION_CAPTION]
    assert {form(prompt) for prompt in regions} == {"describe", "what", "which"}


PAIRS = {
    "Provide a one-sentence caption for this remote sensing image.": ("provide", "caption"),
    "Describe this remote sensing image in one sentence.": ("describe", "image"),
    "How many ships do you see in the image?": ("see", "ship"),
    "Are there any small buildings next to a road?": ("be", "building"),
    "What does this image show?": ("show", "image"),
    "Where is the harbor located?": ("locate", "harbor"),
    "In the overhead image, where is the church?": ("be", "church"),
    "How many paved roads are visible?": ("be", "road"),
    "Is the entire road flooded?": ("be", "road"),
    "Draw a box around the pier.": ("draw", "box"),
    "What is it?": None,
    "Hello there.": None,
    "?": None,
    "": None,
}


def test_verb_noun_pairs() -> None:
    assert {said: pair(said) for said in PAIRS} == PAIRS


def test_a_skeleton_has_no_names_and_no_numbers() -> None:
    assert skeleton("How many ships are near 2 big piers?") == "how many _ are near _"
    assert skeleton("how many oil tanks are near 10 roads") == "how many _ are near _"
    assert skeleton("Describe [0.1, 0.2, 0.3, 0.4].") == "describe _"


# Diversity


def test_distinct_n_by_hand() -> None:
    said = [["a", "ship"], ["a", "big", "ship"]]
    assert distinct_n(said, 1).share == 3 / 5
    assert distinct_n(said, 2).share == 1.0
    assert distinct_n(said, 1, most=2) == distinct_n([["a", "ship"]], 1)
    nothing = distinct_n([["yes"], ["no"]], 2)
    assert (nothing.share, nothing.of) == (None, 0)


def test_n_grams_do_not_cross_texts() -> None:
    assert distinct_n([["a", "b"], ["c", "d"]], 2).of == 2


def _bleu_by_definition(texts: list[list[str]]) -> float:
    """Each text against all others, as slowly and as plainly as can be."""

    def grams(text: list[str], n: int) -> Counter[tuple[str, ...]]:
        return Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1))

    scores = []
    for place, text in enumerate(texts):
        others = texts[:place] + texts[place + 1 :]
        logs, smooth, hits = [], 1.0, 0
        for n in range(1, min(4, len(text)) + 1):
            found = sum(
                min(count, max(grams(o, n)[g] for o in others))
                for g, count in grams(text, n).items()
            )
            hits += found
            if not found:
                smooth *= 2
            logs.append(math.log((found or 1 / smooth) / (len(text) - n + 1)))
        nearest = min((abs(len(o) - len(text)), len(o)) for o in others)[1]
        penalty = min(0.0, 1 - nearest / len(text))
        scores.append(math.exp(penalty + sum(logs) / len(logs)) if hits else 0.0)
    return sum(scores) / len(scores)


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=7), min_size=2, max_size=8))
@settings(max_examples=60, deadline=None)
def test_self_bleu_is_what_its_definition_says(said: list[list[str]]) -> None:
    assert self_bleu(said) == pytest.approx(_bleu_by_definition(said), abs=1e-12)


def test_self_bleu_at_its_ends() -> None:
    assert self_bleu([["yes"]] * 3) == 1.0
    assert self_bleu([["no", "ships", "here", "at", "all"]] * 2) == pytest.approx(1.0)
    assert self_bleu([["a", "b", "c"], ["d", "e", "f"]]) == 0.0
    assert self_bleu([["alone"], []]) is None


def test_identical_texts_are_the_least_diverse() -> None:
    same = diversity(material(*[[("How many ships are there?", "Two.")]] * 50))
    assert same.instructions.distinct_share == 1 / 50
    assert same.instructions.distinct_1.share == 5 / 250
    assert same.instructions.distinct_2.share == 4 / 200
    assert same.instructions.self_bleu == pytest.approx(1.0)
    assert (same.instructions.distinct, same.answers.distinct) == (1, 1)
    assert (same.answers.distinct_2.share, same.answers.self_bleu) == (None, 1.0)
    assert (same.skeletons.number, same.skeletons.bits, same.skeletons.top_share) == (1, 0.0, 1.0)
    assert same.pairs.top == {"be ship": 1.0}


def test_texts_without_a_word_in_common_are_the_most_diverse() -> None:
    made = [[(f"x{n}a x{n}b", f"y{n}")] for n in range(20)]
    found = diversity(material(*made))
    assert (found.instructions.distinct_1.share, found.instructions.self_bleu) == (1.0, 0.0)
    assert found.answers.distinct_share == 1.0
    assert found.pairs.counted == found.pairs.number == 0


def test_skeletons_and_pairs_weigh_each_turn() -> None:
    asked = ["Where is the ship?", "Where is the pier?", "Where is the ship?", "Draw a box."]
    found = diversity(material(*[[(question, "A.")] for question in asked]))
    assert found.skeletons.top == {"where is the _": 0.75, "draw a _": 0.25}
    assert found.pairs.top == {"be ship": 0.5, "be pier": 0.25, "draw box": 0.25}


def test_entropy_in_bits() -> None:
    found = frequent(Counter({"a": 2, "b": 1, "c": 1}))
    assert (found.bits, list(found.top)) == (1.5, ["a", "b", "c"])
    assert frequent(Counter({f"{n:02}": 1 for n in range(20)})).top_share == 0.5


def test_larger_material_is_sampled_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = material(*[[(f"Is there a ship {n}?", "yes")] for n in range(100)])
    assert diversity(whole).sampled == 100
    monkeypatch.setattr(texts, "SAMPLE", 30)
    found = diversity(whole)
    assert found.sampled == 30
    assert found.instructions.distinct == 100
    assert np.array_equal(whole.sample(), whole.sample())
    assert not np.array_equal(whole.sample(1), whole.sample())


# The other principles


def test_unity_by_hand() -> None:
    first, second = (wordings.GROUNDING[place].format("the ship") for place in (0, 5))
    found = unity(
        material(
            [(first, "[0.1, 0.2, 0.3, 0.4]")],
            [(second, "[100, 200, 300, 400]")],
            [("What is it?", "A ship.")],
            [("What is it?", "A pier.")],
            task="grounding",
        )
    )
    assert dataclasses.astuple(found) == (0.5, 0.25, 0.5, 0.5, {})
    assert unity(material(SHIPS)).boxes_read is None


def test_a_visual_question_is_measured_without_its_template() -> None:
    asked = ["Is there a ship?", "How many piers are there?"]
    worded = [template.format(q) for template in wordings.VQA for q in asked]
    found = material(*[[(said, "no")] for said in worded], task="vqa")
    assert sorted(found.questions.spelled) == sorted(asked)
    assert found.questions.drawn(np.arange(40)) == asked * 20
    again = material(*[[(worded[place], "no")] for place in (1, 1, 0)], task="vqa")
    assert again.questions.drawn(np.arange(3)) == [asked[1], asked[1], asked[0]]
    assert len(found.instructions.distinct) == 40
    assert complexity(found).forms["yes/no"] == complexity(found).forms["how many"] == 0.5
    assert diversity(found).pairs.number == 2
    assert robustness(found).no == 20


def test_a_probe_is_measured_without_its_template_and_a_scene_without_its_classes() -> None:
    probes = material(
        *[[(template.format("Is there a ship?"), "no")] for template in wordings.VQA],
        task="probe",
    )
    assert probes.questions.spelled == ["Is there a ship?"]
    assert robustness(probes).negatives == 1
    scenes, plain = (
        material(*[[(template.format(some), "x")] for template in wordings.SCENE], task="scene")
        for some in ("grey dam, upper harbor", "x, y")  # the first: an attribute and a place
    )
    assert not any("dam" in question for question in scenes.questions.spelled)
    assert len(scenes.questions.spelled) == len(wordings.SCENE)
    assert complexity(scenes).places == complexity(plain).places < 0.2
    assert complexity(scenes).attributes == complexity(plain).attributes < 0.2


def test_richness_by_hand() -> None:
    found = richness(material(SHIPS))
    assert found.words == Quartiles(5, 5, 9)
    assert found.classes == pytest.approx((1 + 1 + 1) / 3)  # ship; bridge; pier
    assert (found.colours, found.sizes, found.materials) == (1 / 3, 0.0, 1 / 3)
    assert found.spatial == 0.0
    assert found.background == 1 / 3
    # two white ships; no bridge; because usually loaded wooden pier
    assert found.content_words == pytest.approx((3 + 2 + 5) / 3)
    told = richness(material([("Where?", "On the left side, next to a large grey tank.")]))
    assert (told.spatial, told.sizes, told.colours) == (3.0, 1.0, 1.0)
    box = richness(material([("Where?", "[0.1, 0.2, 0.3, 0.4]")]))
    assert (box.words, box.content_words) == (Quartiles(1, 1, 1), 0.0)


def test_classes_are_known_by_all_their_words() -> None:
    assert classes(words("A ferry, two yachts and a boat: ships")) == {"ship"}
    assert classes(words("Some yachts.")) == {"ship"}
    assert classes(words("a track field")) == {"ground track field"}
    assert classes(words("the ground track field")) == {"ground track field"}
    assert classes(words("nothing at all")) == set()


def test_complexity_by_hand() -> None:
    found = complexity(material(SHIPS, [("Describe the red ship.", "A ship. It is red.\nIt is.")]))
    assert (found.turns, found.mean_turns) == (Quartiles(1, 1, 3), 2.0)
    assert found.question_words == Quartiles(4, 5, 6)
    assert found.answer_sentences == (1 + 1 + 1 + 3) / 4
    shares = {name: share for name, share in found.forms.items() if share}
    assert shares == {"yes/no": 0.25, "how many": 0.25, "reasoning": 0.25, "describe": 0.25}
    assert (found.places, found.attributes) == (0.25, 0.25)


def test_robustness_by_hand() -> None:
    found = robustness(
        material(
            [("Is there a ship near the pier?", "No, none is there."), ("Is it big?", "Yes.")],
            [("Are there roads?", "There are no roads."), ("Is it day?", "The sky is bright.")],
            [("How many ships are there?", "0"), ("How many cars are left?", "3")],
            [("Is it red?", "yes"), ("What is it?", "No idea.")],
        )
    )
    assert (found.yes, found.no, found.undecided, found.counts, found.zeros) == (2, 2, 1, 2, 1)
    assert (found.negatives, found.spatial) == (3 / 8, 1 / 8)
    assert (found.negatives_of_yes_no, found.balance) == (0.5, 1.0)


@pytest.mark.parametrize(("answers", "balance"), [("yyyy", 0), ("nnnn", 0), ("nnny", 0.5)])
def test_balance(answers: str, balance: float) -> None:
    said = {"y": "yes", "n": "no"}
    rows = [[("Is it?", said[answer])] for answer in answers]
    assert robustness(material(*rows)).balance == balance


def test_without_yes_or_no_questions_there_is_no_balance() -> None:
    none = measured([("Describe the image.", "A ship.")])
    found = none.robustness
    assert (found.negatives, found.negatives_of_yes_no, found.balance) == (0.0, None, None)
    balance = PRINCIPLES[-1].measures[-1]
    assert balance.shown(none) == "-"


def test_answers_to_closed_questions() -> None:
    said = ("Yes", "Yes there is.", "no", "None.", "There aren't any.", "It is not.", "Nothing", "")
    assert [answered(a) for a in said] == ["yes", "yes", *["no"] * 4, "", ""]
    zeros = ("0", "Zero ships.", "There are none.", "no", "0.5", "10", "There are 0 ships", "Noon")
    assert [is_zero(a) for a in zeros] == [True] * 4 + [False, False, True, False]


# Generated dialogues


@pytest.fixture
def reviewed(tmp_path: Path) -> tuple[Path, list[Path]]:
    """A queue of nine, of which reviewers accept, edit, reject and quarrel."""
    clean = [one for one in candidate(0)["verdicts"] if one["result"] != "fail"]
    rows = [candidate(n, **({"verdicts": clean} if n < 4 else {})) for n in range(9)]
    rows[8]["verdicts"] = []
    queue = write_queue(tmp_path, [*rows, "no candidate"])
    ann = ["accept", "accept", "reject", "edit", "accept"]
    ben = ["accept", "reject", "reject"]
    return queue, [
        _decide(tmp_path / f"{name}.jsonl", name, rows, said)
        for name, said in (("ann", ann), ("ben", ben))
    ]


def _decide(path: Path, name: str, rows: list[dict[str, Any]], said: list[str]) -> Path:
    lines = [
        {
            "id": row["id"],
            "decision": decision,
            "reviewer": name,
            "at": "2025-01-01T00:00:00.000+00:00",
            "of": digest(row),  # pyright: ignore[reportArgumentType]
            "reason": "wrong",
            "messages": row["messages"],
        }
        for row, decision in zip(rows, said, strict=False)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_checks_and_reviews_of_each_product(reviewed: tuple[Path, list[Path]]) -> None:
    queue, files = reviewed
    found = report([], [queue], files)
    by_product = {one.name: one for one in found.measured}
    # Products by turns: 0, 3, 6 are conversations; 0 to 3 are clean; 8 has not been checked.
    assert list(by_product) == [
        f"queue.jsonl: {p}" for p in ("conversation", "reasoning", "detail")
    ]
    talks, thoughts, details = (one.correctness for one in by_product.values())
    assert talks is not None
    assert thoughts is not None
    assert details is not None
    assert (talks.checked, talks.clean) == (3, 2 / 3)
    assert talks.checks["counts"] == {"pass": 0, "fail": 1, "cannot tell": 0}
    assert list(talks.checks) == ["counts", "relations", "beyond the boxes"]
    assert {k: v for k, v in talks.outcomes.items() if v} == {
        "accepted": 1,
        "edited": 1,
        "unreviewed": 1,
    }
    assert thoughts.outcomes["conflicting"] == thoughts.outcomes["accepted"] == 1
    assert (details.checked, details.outcomes["rejected"]) == (2, 1)
    assert len(found.unreadable) == 1
    assert "queue.jsonl, line 10" in to_text(found)


def test_what_nobody_checked_or_reviewed_is_not_called_clean(tmp_path: Path) -> None:
    queue = write_queue(tmp_path, [candidate(0, verdicts=[])])
    (one,) = report([], [queue]).measured
    assert one.correctness is not None
    assert (one.correctness.clean, one.correctness.outcomes) == (None, {})
    assert "not checked; not reviewed" in to_text(Report([one], {}, []))


def test_outcomes_are_those_of_reconcile(reviewed: tuple[Path, list[Path]], tmp_path: Path) -> None:
    queue, files = reviewed
    account = reconcile(queue, files, tmp_path / "final.jsonl")
    assert outcomes(read_queue(queue), files) == account.outcomes


def test_one_reviewer_may_review_two_queues(tmp_path: Path) -> None:
    queues, files = [], []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        row = candidate(0, id=name)
        queues.append(write_queue(folder, [row]))
        files.append(_decide(folder / "ann.jsonl", "ann", [row], ["accept"]))
    found = [one.correctness for one in report([], queues, files).measured]
    assert [one.outcomes["accepted"] for one in found if one] == [1, 1]


def test_reviews_of_no_queue_are_refused(tmp_path: Path) -> None:
    queue = write_queue(tmp_path, [candidate(0)])
    other = _decide(tmp_path / "ann.jsonl", "ann", [candidate(1)], ["accept"])
    with pytest.raises(ReviewsError, match=r"ann\.jsonl decides on no candidate"):
        report([], [queue], [other])


def test_a_queue_without_candidates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmptyQueueError):
        report([], [write_queue(tmp_path, ["nothing"])])


def test_a_queue_is_measured_as_rows_are(tmp_path: Path) -> None:
    rows = [candidate(0), candidate(3)]
    (queued,) = of_queue(read_queue(write_queue(tmp_path, rows)))
    turns = [
        [(q["content"], a["content"]) for q, a in zip(m[::2], m[1::2], strict=True)]
        for m in (row["messages"] for row in rows)
    ]
    same = material(*turns)
    for measured_by in (diversity, richness, complexity, robustness, unity):
        assert measured_by(queued) == measured_by(same)
    assert (queued.rows, queued.images, queued.count) == (2, 1, 4)


# Dialogues about images with known boxes


def test_dialogues_about_images_with_boxes_are_checked_against_them(tmp_path: Path) -> None:
    image = tmp_path / "00001.png"
    of_image = {"images": [{"path": str(image), "bytes": None}], "source": "rs_gpt4v_instruct"}
    dialogues = {
        "right": ["Two ships lie left of a harbor.", "There is no bridge."],
        "wrong": ["There are two ships.", "The image shows a bridge."],
        "undecided": ["It is a quiet place.", "The sea is calm."],
        "elsewhere": ["There are nine bridges.", "There are nine bridges."],
    }
    rows = [
        {
            "id": name,
            "task": "conversation",
            **of_image,
            "messages": [
                {"role": "system", "content": "You see an image with nine airplanes."},
                *(
                    {"role": role, "content": text}
                    for answer in answers
                    for role, text in (("user", "What is there?"), ("assistant", answer))
                ),
            ],
        }
        for name, answers in dialogues.items()
    ]
    rows[3]["images"] = [{"path": str(tmp_path / "00002.png"), "bytes": None}]
    features = datasets.Features({name: FEATURES[name] for name in rows[0]})
    made = datasets.Dataset(pa.Table.from_pylist(rows, schema=features.arrow_schema))
    found = [*checked(made, Scenes([scene(1, image)]))]  # two ships and a harbor
    results = {
        one["id"]: {(v["check"], v["turn"], v["result"]) for v in one["verdicts"]} for one in found
    }
    assert list(results) == ["right", "wrong", "undecided"]
    assert ("counts", 0, "pass") in results["right"]
    assert "fail" not in {result for *_, result in results["right"]}
    assert {r for r in results["wrong"] if "fail" in r} == {("presence", 1, "fail")}
    assert results["undecided"] == set()
    of_all = correctness(found, {})
    assert (of_all.checked, of_all.clean) == (2, 0.5)


def test_only_dialogues_are_checked_and_only_beside_dior(releases: Path, tmp_path: Path) -> None:
    options: Any = {"data_dir": str(releases)}
    talks, scenes = report(["conversation", "cap_ucm"], **options).measured
    assert talks.correctness is not None
    assert 0 < talks.correctness.checked <= talks.rows
    assert set(talks.correctness.checks) <= FACTUAL
    assert scenes.correctness is None
    for release in releases.iterdir():
        if not release.name.startswith("DIOR") or release.name == "DIOR_RSVG":
            (tmp_path / release.name).symlink_to(release)
    found = report(["conversation"], absent_allowed=True, data_dir=str(tmp_path), on_missing="skip")
    assert [one.correctness for one in found.measured] == [None]


# Page, tables, verb


def test_each_measure_shows_its_own_number() -> None:
    answer = "A small, large, tiny pier of gravel on the left, near the top, not the bottom."
    one = measured(SHIPS, [("In brief: describe the big red ship.", answer)])
    assert {m.title: m.shown(one) for p in PRINCIPLES for m in p.measures} == {
        "templates": "0.0%",
        "format hints": "25.0%",
        "boxes": "0.0%",
        "boxes read": "-",
        "distinct instructions": "100.0%",
        "distinct answers": "100.0%",
        "distinct-1, instructions": "84.0%*",  # 21 of 25 words
        "distinct-2, instructions": "100.0%*",
        "distinct-1, answers": "80.0%*",  # 28 of 35 words
        "distinct-2, answers": "100.0%*",
        "self-BLEU-4, instructions": "8.6%",
        "self-BLEU-4, answers": "8.1%",
        "skeletons": "4",
        "verb-noun pairs": "3",
        "entropy of the pairs": "1.50",
        "dialogues without a failed check": "-",
        "words per answer": "5 (5\N{EN DASH}9)",
        "content words per answer": "5.00",
        "object classes per answer": "1.00",
        "colours per answer": "0.25",
        "sizes per answer": "0.75",
        "materials per answer": "0.50",
        "spatial terms per answer": "1.00",
        "background": "25.0%",
        "turns per dialogue": "2.00",
        "words per question": "6 (5\N{EN DASH}7)",
        "sentences per answer": "1.00",
        "reasoning questions": "25.0%",
        "questions on places": "25.0%",
        "questions on attributes": "25.0%",
        "negatives": "25.0%",
        "spatial negatives": "25.0%",
        "no among yes-or-no questions": "100.0%",
        "balance": "0.0%",
    }


HOSTILE = '<img src=x onerror="document.title=1">'


def _hostile() -> Report:
    one = measured(*[[(f"Describe {HOSTILE}", HOSTILE)]] * 3)
    one = dataclasses.replace(one, name=f"{HOSTILE}\udcff")
    return Report([one], {HOSTILE: HOSTILE}, [HOSTILE])


def test_hostile_text_is_only_text(tmp_path: Path) -> None:
    write_page(_hostile(), tmp_path / "page.html", sample=True)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<img" not in page
    assert page.count("&lt;img src=x") > 5
    assert "http" not in page.replace("http-equiv", "")
    assert "synthetic" in page


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_shows_the_page_and_runs_nothing(tmp_path: Path) -> None:
    write_page(_hostile(), tmp_path / "page.html")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    url = (tmp_path / "page.html").as_uri()
    shown_page = subprocess.check_output([*command, url], text=True, stderr=subprocess.DEVNULL)
    assert "<title>rs-gpt4v principles</title>" in shown_page
    assert "Robustness" in shown_page


def test_same_report_same_bytes_and_never_over_a_folder(tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_page(Report([measured(SHIPS)], {}, []), tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    with pytest.raises(ValueError, match="is a folder"):
        write_page(Report([measured(SHIPS)], {}, []), tmp_path)


def test_bars_have_the_length_of_their_numbers(tmp_path: Path) -> None:
    short, long = ([("Is it?", "yes " * n)] for n in (5, 20))
    found = [measured(short), measured(long)]
    write_page(Report(found, {}, []), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    panel = page.split("<h3>words per answer</h3>")[1].split("<h3>")[0]
    assert '<b style="left: 25.0%">' in panel
    assert '<b style="left: 100.0%">' in panel


def test_each_measure_is_in_the_docs() -> None:
    docs = DOCS.read_text(encoding="utf-8")
    for principle in PRINCIPLES:
        section = docs.split(f"## {principle.name}\n")[1].split("\n## ")[0]
        missing = [one.title for one in principle.measures if f"| {one.title} |" not in section]
        assert not missing, principle.name


def test_the_verb_prints_tables_or_json(
    releases: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    queue = write_queue(tmp_path, [candidate(0)])
    page = tmp_path / "page.html"
    call = ["rs-gpt4v", "principles", "instruct", "vqa_lr", "--data-dir", str(releases)]
    call += ["--candidates", str(queue), "--out", str(page)]

    def said(*more: str) -> str:
        monkeypatch.setattr("sys.argv", [*call, *more])
        with pytest.raises(SystemExit, match="0"):
            main()
        return capsys.readouterr().out

    table = said()
    assert page.exists()
    for name in ("conversation/train", "detail/train", "vqa_lr/train", "queue.jsonl: conversation"):
        assert table.count(f"  {name}") >= 7
    assert "annotated by people, not checked" in table
    numbers = json.loads(said("--json"))["measured"]
    assert [one["origin"] for one in numbers] == ["release", "release", "templates", "generated"]
    assert numbers[2]["unity"]["templates"] == 1.0
    assert numbers[2]["robustness"]["yes"] + numbers[2]["robustness"]["no"] > 0


def test_what_cannot_be_measured_is_told(releases: Path) -> None:
    options: Any = {"data_dir": str(releases)}
    with pytest.raises(ValueError, match="no split 'validation'; it has train, test"):
        report(["grounding"], split="validation", **options)
    found = report(["cap_ucm", "grounding"], split="validation", absent_allowed=True, **options)
    assert [one.name for one in found.measured] == ["cap_ucm/validation"]
    assert "grounding was not measured: grounding has no split" in to_text(found)
    with pytest.raises(ValueError, match="nothing to measure"):
        report([])


def test_absent_releases_are_named(tmp_path: Path) -> None:
    for allowed in (False, True):
        with pytest.raises(SourceNotFoundError, match="UCM-Captions"):
            report(["cap_ucm"], absent_allowed=allowed, data_dir=str(tmp_path))


@needs_shared
def test_real_captions(tmp_path: Path) -> None:
    (tmp_path / "UCM_captions").mkdir()
    for name, target in (("dataset.json", "dataset.json"), ("imgs", "imgs_jpg")):
        (tmp_path / "UCM_captions" / name).symlink_to(SHARED / "ucm_captions" / target)
    rows = datasets.load_dataset(NAME, "cap_ucm", data_dir=str(tmp_path), split="train")
    one = measure(of_rows("cap_ucm/train", rows), {})
    assert (one.turns, one.images) == (7_999, 1_680)
    assert one.unity.templates == 1.0
    assert one.complexity.forms["describe"] == 1.0
    # "It is a piece of farmland ." and the like, again and again.
    assert one.richness.words.median == 10
    assert one.diversity.answers.self_bleu is not None
    assert one.diversity.answers.self_bleu > 0.9
    assert one.robustness.negatives == 0.0


@needs_shared
def test_forms_agree_with_the_types_that_releases_state() -> None:
    expected = {"comp": "yes/no", "presence": "yes/no", "count": "how many"}
    expected |= {"rural_urban": "which", "area": "what"}
    for path in SHARED.glob("rsvqa_*/*_questions.json"):
        asked = json.loads(path.read_text(encoding="utf-8"))["questions"]
        told = {(one["question"], one["type"]) for one in asked if one.get("question")}
        assert told
        wrong = [(question, kind) for question, kind in told if form(question) != expected[kind]]
        assert not wrong, path.name
