"""Reviews, checks and judged answers as pairs and labels that TRL trains on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image
from prediction_lines import row as prediction
from prediction_lines import write as write_predictions
from review_queue import candidate, draw, write_queue
from typer.testing import CliRunner

from rs_gpt4v.cli import app
from rs_gpt4v.preferences import Label, Pair, Preferences, question, settle
from rs_gpt4v_builders.export._folder import ExportFolderError
from rs_gpt4v_builders.preferences import NoPreferencesError, write
from rs_gpt4v_generation.candidates import digest
from rs_gpt4v_generation.preferences import preferences as of_queue

SHIPS = "How many ships are in the image?"
HARBOR = "Where is the harbor?"
BELOW = "The harbor lies below the ships, in the lower half."


def spoken(*texts: str) -> list[dict[str, str]]:
    return [
        {"role": role, "content": text}
        for role, text in zip(("user", "assistant") * len(texts), texts, strict=False)
    ]


@pytest.fixture
def queue(tmp_path: Path) -> Callable[..., Path]:
    """Writes a queue of two-turn dialogues of split train, and each reviewer's decisions."""

    def written(*rows: dict[str, Any], **decisions: list[dict[str, Any]]) -> Path:
        given: list[Any] = [candidate(0, split="train") | row for row in rows]
        path = write_queue(tmp_path, given)
        for reviewer, own in decisions.items():
            lines = [
                {"reviewer": reviewer, "at": "2026-01-01", "id": row["id"], "of": digest(row)} | one
                for row, one in zip(given, own, strict=False)
            ]
            beside = tmp_path / f"queue.jsonl.reviews.{reviewer}.jsonl"
            beside.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return written


def reviews(queue: Path) -> list[Path]:
    return sorted(queue.parent.glob("queue.jsonl.reviews.*"))


def asked_of(item: Label | Pair) -> list[str]:
    return [text for _, text in item.question.messages]


EDIT = {
    "decision": "edit",
    "messages": spoken(SHIPS, "There are two ships.", HARBOR, BELOW),
}


def test_an_edited_answer_is_better_than_the_generated_one(queue: Any) -> None:
    path = queue({}, ann=[EDIT])
    found = of_queue(path, reviews(path))
    (pair,) = found.pairs
    assert (pair.id, pair.kind) == ("dior/00000/conversation/0", "review")
    assert (pair.chosen, pair.rejected) == (
        "There are two ships.",
        "There are three ships. Scene 0 shows a harbor.",
    )
    assert asked_of(pair) == [SHIPS]
    assert (pair.question.split, pair.question.task) == ("train", "conversation")
    assert pair.question.images == (str(path.parent / "scene.png"),)
    (label,) = found.labels  # the turn that was left as it was, after the corrected one
    assert (label.good, label.reply) == (True, BELOW)
    assert asked_of(label) == [SHIPS, "There are two ships.", HARBOR]
    assert not found.dropped


def test_turns_that_were_asked_anew_are_no_pairs(queue: Any) -> None:
    messages = spoken(HARBOR, "Below the ships.", "Are there ships?", "Yes, two.")
    path = queue({}, ann=[{"decision": "edit", "messages": messages}])
    found = of_queue(path, reviews(path))
    assert [(pair.chosen, pair.rejected) for pair in found.pairs] == [("Below the ships.", BELOW)]
    assert [(label.good, label.reply) for label in found.labels] == [(True, "Yes, two.")]
    assert found.dropped == {"a reviewer took the turn out, or asked it in other words": 1}


ONE_TURN = {"messages": spoken("Describe it.", "Ships and a harbor."), "verdicts": []}


@pytest.mark.parametrize(
    ("changes", "decision", "labels", "dropped"),
    [
        ({}, {"decision": "accept"}, [(0, True), (1, True)], 0),
        ({}, {"decision": "reject", "reason": "no"}, [(0, False)], 1),  # the boxes contradict it
        ({"verdicts": []}, {"decision": "reject", "reason": "no"}, [], 2),
        (ONE_TURN, {"decision": "reject", "reason": "no"}, [(0, False)], 0),
        ({"verdicts": []}, {"decision": "skip"}, [], 2),
    ],
)
def test_what_reviewers_decide_labels_turns(
    queue: Any, changes: Any, decision: Any, labels: list[tuple[int, bool]], dropped: int
) -> None:
    path = queue(changes, ann=[decision])
    found = of_queue(path, reviews(path))
    assert [(int(label.id[-1]), label.good) for label in found.labels] == labels
    assert {label.kind for label in found.labels} <= {"review"}
    assert found.dropped.total() == dropped


def test_reviewers_who_differ_settle_nothing_unless_a_third_does(queue: Any) -> None:
    path = queue({}, ann=[{"decision": "accept"}], ben=[{"decision": "reject", "reason": "no"}])
    found = of_queue(path, reviews(path))
    assert found.dropped == {"the reviewers decided differently": 2}
    (ann, ben) = reviews(path)
    cy = path.parent / "cy.jsonl"
    cy.write_text(ann.read_text().replace('"ann"', '"cy"'))
    found = of_queue(path, [ann, ben], final_say=cy)
    assert [label.good for label in found.labels] == [True, True]


def passed(turn: int, check: str = "counts", result: str = "pass") -> dict[str, Any]:
    facts = {"sentence": "x", "rule": "y", "boxes": []}
    return {"check": check, "result": result, "turn": turn, **facts}


@pytest.mark.parametrize(
    ("verdicts", "labels", "dropped"),
    [
        ([passed(0), passed(1)], [(0, True), (1, True)], 0),
        ([passed(0), passed(1, result="fail")], [(0, True), (1, False)], 0),
        ([passed(0, result="fail"), passed(1)], [(0, False)], 1),  # what follows is left out
        ([passed(0), passed(1, "language")], [(0, True)], 1),
        ([passed(0), passed(1), passed(1, "leaks", "fail")], [(0, True)], 1),
        ([passed(0, result="cannot tell")], [], 2),
    ],
)
def test_checks_decide_what_nobody_reviewed(
    queue: Any, verdicts: Any, labels: list[tuple[int, bool]], dropped: int
) -> None:
    found = of_queue(queue({"verdicts": verdicts}), [])
    assert [(int(label.id[-1]), label.good) for label in found.labels] == labels
    assert {label.kind for label in found.labels} <= {"check"}
    assert found.dropped.total() == dropped


def test_a_failed_dialogue_and_its_regenerated_one_make_a_pair(queue: Any) -> None:
    failed = of_queue(queue({}), [])
    right = spoken(SHIPS, "There are two ships.")
    again = of_queue(queue({"messages": right, "verdicts": [passed(0)]}), [])
    found = settle([failed, again])
    (pair,) = found.pairs
    assert (pair.kind, pair.chosen) == ("check", "There are two ships.")
    assert pair.rejected.startswith("There are three ships.")
    assert [(label.good, label.reply) for label in found.labels] == [
        (False, pair.rejected),
        (True, pair.chosen),
    ]


def test_rows_for_evaluation_and_of_no_split_are_dropped(queue: Any) -> None:
    rows = [{"id": "a", "split": "test"}, {"id": "b", "split": None}]
    path = queue(*rows, ann=[EDIT, EDIT])
    found = settle([of_queue(path, reviews(path))])
    assert not found.pairs
    assert not found.labels
    assert found.dropped == {
        "of the split 'test': only train and validation are learned from": 2,
        'its queue says of no split, such as "split": "train"': 2,
    }


def test_a_broken_line_costs_itself_alone(queue: Any) -> None:
    path = queue({})
    path.write_text(path.read_text() + '{"id": "x"}\n')
    found = of_queue(path, [])
    assert found.dropped["lines of a queue that are no candidates"] == 1
    assert len(found.labels) == 1


def test_of_a_judged_answer_the_last_turn_alone_is_the_models(queue: Any) -> None:
    path = queue(
        {"references": ["In the lower half."]}, ann=[{"decision": "reject", "reason": "n"}]
    )
    found = of_queue(path, reviews(path))
    assert [(label.reply, label.good) for label in found.labels] == [(BELOW, False)]


# What is settled


@pytest.fixture
def picture(tmp_path: Path) -> str:
    draw(tmp_path / "scene.png")
    return str(tmp_path / "scene.png")


def label(picture: str, reply: str, *, good: bool, split: str = "train") -> Label:
    asked = question(split, "detail", [picture], [{"role": "user", "content": "?"}])
    return Label("id", "review", asked, reply, good)


def pair(picture: str, chosen: str, rejected: str) -> Pair:
    asked = label(picture, "", good=True).question
    return Pair("id", "judge", asked, chosen, rejected)


def test_what_is_decided_both_ways_is_dropped_and_what_is_there_twice_is_kept_once(
    picture: str,
) -> None:
    labels = [
        label(picture, "a", good=True),
        label(picture, "a", good=False),
        label(picture, "b", good=True),
        label(picture, "b", good=True),
    ]
    pairs = [pair(picture, "c", "d"), pair(picture, "d", "c"), pair(picture, "e", "f")]
    found = settle([Preferences(pairs, labels), Preferences([pairs[2]], [])])
    assert [(own.chosen, own.rejected) for own in found.pairs] == [("e", "f")]
    assert [(own.reply, own.good) for own in found.labels] == [
        ("b", True),
        ("e", True),
        ("f", False),
    ]
    assert found.dropped == {"decided both ways": 4, "there twice": 2}


def test_two_replies_that_are_the_same_are_no_pair(picture: str) -> None:
    """A judge that prefers a place finds one of them better; as labels they would differ."""
    found = settle([Preferences([pair(picture, "a", "a"), pair(picture, "a", "b")])])
    assert [(own.chosen, own.rejected) for own in found.pairs] == [("a", "b")]
    assert found.dropped == {"a pair of two replies that are the same": 1}


def test_a_middling_reply_has_no_label(picture: str) -> None:
    found = settle([Preferences([pair(picture, "a", "b"), pair(picture, "b", "c")])])
    assert len(found.pairs) == 2
    assert [(own.reply, own.good) for own in found.labels] == [("a", True), ("c", False)]
    assert [own.id for own in found.pairs] == ["id", "id 2"]


def test_replies_that_cannot_be_learned_are_dropped_with_their_reason(
    picture: str, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG")
    labels = [
        label(picture, "  ", good=False),
        label(picture, "an <image> here", good=False),
        label(str(broken), "a", good=True),
        label(str(tmp_path / "none.png"), "a", good=True),
    ]
    found = settle([Preferences([], labels)])
    assert not found.labels
    reasons = "\n".join(found.dropped)
    assert "is empty" in reasons
    assert "holds '<image>'" in reasons
    assert "broken.png cannot be decoded" in reasons
    assert "none.png is missing" in reasons


# The dataset


def test_plain_datasets_reads_what_is_written(picture: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    parts = [
        Preferences(
            [pair(picture, "a", "b")], [label(picture, "z", good=False, split="validation")]
        )
    ]
    write(parts, out)
    rows: Any = datasets.load_dataset(str(out), "pairs", split="train")
    (row,) = rows
    assert row["images"][0].size == (320, 320)
    assert row["prompt"] == [{"role": "user", "content": "?"}]
    assert row["chosen"] == [{"role": "assistant", "content": "a"}]
    assert row["rejected"] == [{"role": "assistant", "content": "b"}]
    assert (row["id"], row["kind"], row["task"]) == ("id", "judge", "detail")
    labels: Any = datasets.load_dataset(str(out), "labels")
    assert [own["label"] for own in labels["train"]] == [True, False]
    (own,) = labels["validation"]
    assert own["completion"] == [{"role": "assistant", "content": "z"}]


def test_an_image_of_many_rows_is_stored_once(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    picture = tmp_path / "noise.png"
    Image.fromarray(noise).save(picture)
    replies = [label(str(picture), f"reply {number}", good=True) for number in range(20)]
    write([Preferences([], replies)], tmp_path / "out")
    size = (tmp_path / "out" / "labels-train.parquet").stat().st_size
    assert picture.stat().st_size < size < 1.2 * picture.stat().st_size
    rows: Any = datasets.load_dataset(str(tmp_path / "out"), "labels", split="train")
    assert all((np.array(row["images"][0]) == noise).all() for row in rows)


def test_the_folder_is_written_anew_but_no_other_is(picture: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write([Preferences([pair(picture, "a", "b")])], out)
    write([Preferences([], [label(picture, "a", good=True)])], out)
    assert sorted(file.name for file in out.glob("*.parquet")) == ["labels-train.parquet"]
    with pytest.raises(NoPreferencesError, match="nothing to learn from: 0 pairs"):
        write([], tmp_path / "other")
    with pytest.raises(ExportFolderError, match="is not empty"):
        write([Preferences([pair(picture, "a", "b")])], tmp_path)


# The command line, and judged answers


def verdict(value: str | None) -> dict[str, Any]:
    status = "judged" if value else "unparsed"
    made = {"reason": "", "asked": 1, "cost_usd": None, "served": "j"}
    return {"status": status, "value": value, **made}


def compared(picture: str, tmp_path: Path, lines: list[dict[str, Any]]) -> Path:
    """A file of `judge --against`: A's answer is "good" and B's "bad"."""
    written = write_predictions(
        tmp_path / "a.jsonl", [prediction(0, "conversation")], split="train"
    )
    of_a = json.loads(written.read_text())
    made = {name: of_a[name] for name in ("model", "adapter", "weights", "decoding", "dataset")}
    judge = {"model": "j", "prompt": "p", "with_image": True, "temperature": 0.0, "seed": 0}
    common = {"judge": judge | {"repeats": 1, "body": {}}, "a": made, "b": made, "unmatched": 0}
    path = tmp_path / "compared.jsonl"
    rows = [
        {
            "id": f"x/{number}",
            "group": "conversation",
            "image": picture,
            "history": spoken("Is there a ship?", "Yes."),
            "prompt": f"question {number}?",
            "answers": {"a": "good", "b": "bad"},
            "verdicts": [verdict("first"), verdict("second")],
            **common,
            **line,
        }
        for number, line in enumerate(lines)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["preferences", *map(str, arguments)])


def test_the_verb_reads_queues_with_their_reviews_and_judged_answers(
    queue: Any, picture: str, tmp_path: Path
) -> None:
    tied = {"verdicts": [verdict("first"), verdict("first")]}
    lost = {"verdicts": [verdict("second"), verdict("first")]}
    unread = {"verdicts": [verdict(None), verdict("first")]}
    judged = compared(picture, tmp_path, [{}, lost, tied, unread])
    done = run(queue({}, ann=[EDIT]), "--judged", judged, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "queue.jsonl.reviews.ann.jsonl" in done.stderr
    assert "3 pairs (judge 2, review 1)" in done.stdout
    assert "7 labelled replies, 4 good and 3 bad" in done.stdout
    assert "1: the judge found neither answer better" in done.stdout
    assert "1: the judge gave no verdict" in done.stdout
    rows: Any = datasets.load_dataset(str(tmp_path / "out"), "pairs", split="train")
    found = {row["id"]: (row["chosen"][0]["content"], len(row["prompt"])) for row in rows}
    assert found["x/0"] == ("good", 3)
    assert found["x/1"] == ("bad", 3)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dataset": {"split": "test"}}, "of the split 'test'"),
        ({"dataset": {"images": "grey"}}, "a model did not see the image"),
    ],
)
def test_answers_for_evaluation_and_of_blind_runs_are_dropped(
    picture: str, tmp_path: Path, change: Any, reason: str
) -> None:
    path = compared(picture, tmp_path, [{}])
    line = json.loads(path.read_text())
    line["a"]["dataset"] |= change["dataset"]
    path.write_text(json.dumps(line) + "\n")
    done = run("--judged", path, "--out", tmp_path / "out")
    assert isinstance(done.exception, NoPreferencesError)
    assert reason in str(done.exception)


def test_a_comparison_of_an_earlier_version_says_what_to_do(picture: str, tmp_path: Path) -> None:
    path = compared(picture, tmp_path, [{}])
    line = json.loads(path.read_text())
    del line["answers"]
    path.write_text(json.dumps(line) + "\n")
    done = run("--judged", path, "--out", tmp_path / "out")
    assert "it lacks the answers (an earlier version wrote it). Give the same" in str(
        done.exception
    )


def test_reviews_go_with_one_queue(queue: Any, tmp_path: Path) -> None:
    path = queue({}, ann=[EDIT])
    (ann,) = reviews(path)
    done = run(path, "--reviews", ann, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    done = run(path, path, "--reviews", ann, "--out", tmp_path / "other")
    assert "--reviews and --final-say are about one queue" in str(done.exception)
    assert "nothing to read" in str(run("--out", tmp_path / "third").exception)
