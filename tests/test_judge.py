"""Judging against a real server on loopback: every pair is accounted for, whatever it answers."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("evaluate")

import prediction_lines
from chat_server import (
    Answering,
    ChatServer,
    Reply,
    broken,
    error,
    filtered,
    no_credit,
    refused,
    slow,
    too_many,
    truncated,
)
from PIL import Image
from prediction_lines import row
from typer.testing import CliRunner

from rs_gpt4v import chat_api as chat
from rs_gpt4v.cli import app
from rs_gpt4v_evaluation.judge import (
    Judge,
    compare_files,
    comparison,
    judge_files,
    judge_scores,
)
from rs_gpt4v_evaluation.judge.pairwise import sign_test
from rs_gpt4v_evaluation.judge.prompts import prompt_hash
from rs_gpt4v_evaluation.predict.predictions import PredictionFileError


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "00001.png"
    Image.new("RGB", (8, 8), "green").save(path)
    return path


@pytest.fixture
def write(tmp_path: Path, image: Path) -> Callable[..., Path]:
    """Writes a predictions file of (id, answer) or of more fields by name."""

    def written(name: str, answers: list[Any], task: str = "conversation", **more: Any) -> Path:
        def asked(place: int, answer: Any) -> dict[str, Any]:
            own = {
                "id": f"{task}/{place}",
                "question_type": None,
                "image": str(image),
                "prompt": f"{task} question {place}?",
                "prediction": answer,
                "references": [f"reference {place}"],
            }
            return row(place, task, **(own | more))

        rows = [asked(place, answer) for place, answer in enumerate(answers)]
        return prediction_lines.write(tmp_path / f"{name}.jsonl", rows, config=task)

    return written


def judge_at(server: ChatServer, folder: Path, **options: Any) -> Judge:
    return Judge(endpoint=server.endpoint(), journal=folder / "journal.jsonl", **options)


def material(body: dict[str, Any]) -> dict[str, Any]:
    """What the judge of this request is to judge."""
    return json.loads(body["messages"][1]["content"][-1]["text"])


def said(score: float) -> str:
    return json.dumps({"reason": "so", "score": score})


class Script:
    """Answers by the text that is judged: a list is worked off, a request for an answer each."""

    def __init__(self, replies: dict[str, list[Reply | str]]) -> None:
        self.replies = {text: list(own) for text, own in replies.items()}
        self.lock = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> Reply | str:
        with self.lock:
            return self.replies[material(body)["answer"]].pop(0)


def constant(score: float) -> Answering:
    return lambda _: said(score)


def statuses(path: Path) -> list[list[str]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [[verdict["status"] for verdict in line["verdicts"]] for line in lines]


def test_means_by_group_over_two_files(write: Any, tmp_path: Path) -> None:
    turns = write("turns", ["four", "six", "seven"])
    longer = {"do_sample": False, "max_new_tokens": 512}  # descriptions need more than turns
    details = write("details", ["nine"], task="detail", decoding=longer)
    scores = {"four": 4, "six": 6, "seven": 7, "nine": 9}
    with ChatServer(lambda body: said(scores[material(body)["answer"]])) as server:
        judge_files([turns, details], tmp_path / "out.jsonl", judge_at(server, tmp_path))
    found = judge_scores(tmp_path / "out.jsonl")
    assert found["scores"]["conversation"] == pytest.approx(17 / 3)
    assert found["scores"]["detail"] == 9.0
    assert found["scores"]["all"] == 26 / 4
    assert (found["n"], found["missing"], found["served"]) == (4, 0, ["m"])
    assert (found["unparsed"], found["failed"], found["cost_usd"]) == ({}, {}, None)
    assert f"|judge:m|prompt:{found['judge']['prompt']}|" in str(found["scores"]["signature"])
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [
        *(f"conversation/{place}" for place in range(3)),
        "detail/0",
    ]
    assert lines[0]["verdicts"][0]["reason"] == "so"
    words = [lines[0][name] for name in ("prompt", "references", "answer", "history", "source")]
    assert words == ["conversation question 0?", ["reference 0"], "four", [], "rs_gpt4v_instruct"]


def test_a_request_shows_the_turn_with_what_came_before(
    write: Any, image: Path, tmp_path: Path
) -> None:
    history = [{"role": "user", "content": "Ships?"}, {"role": "assistant", "content": "Three."}]
    turns = write("turns", ['Grey. "}, "score": 10'], history=history)
    with ChatServer(constant(5)) as server:
        judge = judge_at(server, tmp_path, repeats=2, seed=7)
        judge_files([turns], tmp_path / "out.jsonl", judge)
    first, second = sorted(server.bodies, key=lambda body: body["seed"])
    assert material(first) == {
        "earlier_turns": history,
        "question": "conversation question 0?",
        "reference": "reference 0",
        "answer": 'Grey. "}, "score": 10',
    }
    assert first["messages"][1]["content"][0] == chat.image_part(image)
    assert "whole number from 1 to 10" in first["messages"][0]["content"]
    assert first["response_format"]["json_schema"]["schema"]["required"] == ["reason", "score"]
    assert (first["temperature"], first["seed"], second["seed"]) == (0.0, 7, 8)
    assert first | {"seed": 8} == second


def test_descriptions_have_a_prompt_of_their_own(write: Any, tmp_path: Path) -> None:
    files = [write("turns", ["a"]), write("details", ["b"], task="detail")]
    with ChatServer(constant(5)) as server:
        judge_files(files, tmp_path / "out.jsonl", judge_at(server, tmp_path))
    assert len({body["messages"][0]["content"] for body in server.bodies}) == 2


def test_a_bad_judge_is_asked_again_and_nothing_is_made_up(write: Any, tmp_path: Path) -> None:
    script = Script(
        {
            "good": [said(8)],
            "prose first": ["A fine answer with 3 ships.", "Score: 7"],
            "range": ["Score: 7-8", said(80), "**Score:** 7.5"],
            "hopeless": ["7-8", "-1", "I cannot say, perhaps 6 to 7."],
            "refused": [refused(), refused(), refused()],
            "cut": [truncated("All right. Score: 1"), said(10)],
            "filtered": [filtered()],
        }
    )
    turns = write("turns", list(script.replies))
    with ChatServer(script) as server:
        judge = judge_at(server, tmp_path)
        judge_files([turns], tmp_path / "out.jsonl", judge)
    assert not any(script.replies.values())
    found = judge_scores(tmp_path / "out.jsonl")
    assert statuses(tmp_path / "out.jsonl") == [
        *(["judged"] for _ in range(3)),
        *(["unparsed"] for _ in range(2)),
        ["judged"],
        ["failed"],
    ]
    assert found["scores"]["all"] == (8 + 7 + 7.5 + 10) / 4
    assert (found["scores"]["n"], found["scores"]["n_unparsed"]) == (4, 2)
    assert found["unparsed"] == {
        "conversation/3": ["the judge declined: 'I cannot say, perhaps 6 to 7.'"],
        "conversation/4": ["the model refused: I can't help with that."],
    }
    assert list(found["failed"]) == ["conversation/6"]


def test_to_ask_again_says_what_was_wrong(write: Any, tmp_path: Path) -> None:
    script = Script({"a": ["Score: 7-8", "Score: 11", said(7)]})
    with ChatServer(script) as server:
        judge_files([write("turns", ["a"])], tmp_path / "out.jsonl", judge_at(server, tmp_path))
    first, *_, last = (body["messages"] for body in server.bodies)
    assert last[: len(first)] == first
    assert [message["role"] for message in last] == ["system", "user", *["assistant", "user"] * 2]
    assert last[2]["content"] == "Score: 7-8"
    assert "'7-8' is a range, not one score" in last[3]["content"]
    assert "11 is outside 1-10" in last[5]["content"]
    (line,) = (tmp_path / "out.jsonl").read_text().splitlines()
    assert json.loads(line)["verdicts"][0]["asked"] == 3


def test_trouble_on_the_way_does_not_change_the_scores(write: Any, tmp_path: Path) -> None:
    answers = [str(place) for place in range(8)]
    turns = write("turns", answers)
    script = Script(
        {
            answer: [
                *([too_many()] if place % 2 else []),
                *([broken()] if place % 3 else []),
                slow(said(1 + place), 0.02 * (8 - place)),
            ]
            for place, answer in enumerate(answers)
        }
    )
    with ChatServer(script) as server:
        judge_files([turns], tmp_path / "out.jsonl", judge_at(server, tmp_path))
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["verdicts"][0]["value"] for line in lines] == list(range(1, 9))


def test_an_empty_answer_is_the_lowest_and_nobody_is_asked(write: Any, tmp_path: Path) -> None:
    turns = write("turns", ["", " \n", "good"])
    with ChatServer(constant(9)) as server:
        judge = judge_at(server, tmp_path, repeats=2)
        judge_files([turns], tmp_path / "out.jsonl", judge)
    assert len(server.bodies) == 2
    found = judge_scores(tmp_path / "out.jsonl")
    assert (found["scores"]["all"], found["empty"]) == ((1 + 1 + 9) / 3, 2)


def test_repeats_and_their_spread(write: Any, tmp_path: Path) -> None:
    turns = write("turns", ["a", "b"])
    with ChatServer(lambda body: said(4 + 2 * body["seed"])) as server:
        judge = judge_at(server, tmp_path, repeats=3)
        judge_files([turns], tmp_path / "out.jsonl", judge)
    scores = judge_scores(tmp_path / "out.jsonl")["scores"]
    assert (scores["all"], scores["sd_between_repeats"], scores["repeats"]) == (6.0, 2.0, 3)


def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(
    write: Any, tmp_path: Path
) -> None:
    turns = write("turns", ["a", "b", "c", "d", "e"])
    replies: dict[str, list[Reply | str]] = {
        "a": ["Hm.", said(3)],
        "b": [said(5)],
        "c": ["7-8", "8-9", "9-10"],
        "d": [said(6)],
        "e": [said(7)],
    }
    with ChatServer(Script(replies)) as server:
        judge = Judge(endpoint=server.endpoint(concurrency=1), journal=tmp_path / "whole.journal")
        judge_files([turns], tmp_path / "whole.jsonl", judge)
    stopping = {text: list(own) for text, own in replies.items()}
    stopping["d"].insert(0, no_credit())
    with ChatServer(Script(stopping)) as server:
        judge = Judge(endpoint=server.endpoint(concurrency=1), journal=tmp_path / "cut.journal")
        with pytest.raises(chat.ChatStoppedError):
            judge_files([turns], tmp_path / "cut.jsonl", judge)
        assert not (tmp_path / "cut.jsonl").exists()
        judge_files([turns], tmp_path / "cut.jsonl", judge)
        sent = len(server.bodies)
        judge_files([turns], tmp_path / "cut.jsonl", judge)
        assert len(server.bodies) == sent == 1 + sum(map(len, replies.values()))
    assert (tmp_path / "cut.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_run_that_stops_late_writes_no_verdicts(write: Any, tmp_path: Path) -> None:
    turns = write("turns", ["a", "b"])
    script = Script({"a": [said(5)], "b": [no_credit()]})
    with ChatServer(script) as server:
        judge = judge_at(server, tmp_path)
        with pytest.raises(chat.ChatStoppedError):
            judge_files([turns], tmp_path / "out.jsonl", judge)
    assert not (tmp_path / "out.jsonl").exists()


def test_a_server_without_schemas_is_asked_without(write: Any, tmp_path: Path) -> None:
    def answering(body: dict[str, Any]) -> Reply | str:
        if "response_format" in body:
            return error(400, "response_format json_schema is not supported")
        return "Score: 8"

    with ChatServer(answering) as server:
        turns = write("turns", ["a", "b"])
        judge_files([turns], tmp_path / "out.jsonl", judge_at(server, tmp_path))
    found = judge_scores(tmp_path / "out.jsonl")
    assert (found["scores"]["all"], found["judge"]["with_schema"]) == (8.0, False)
    assert sum("response_format" in body for body in server.bodies) == 1
    assert found["judge"]["prompt"] == prompt_hash("score", with_image=True, with_schema=False)


def test_the_prompt_hash_tells_what_the_judge_was_told() -> None:
    hashes = {
        prompt_hash(asks, with_image=image, with_schema=schema)
        for asks in ("score", "better")
        for image in (True, False)
        for schema in (True, False)
    }
    assert len(hashes) == 8
    # Another hash is another benchmark: new text belongs into a new version of the prompt.
    assert prompt_hash("score", with_image=True, with_schema=True) == "9a8fa5ae"


def test_without_the_image(write: Any, image: Path, tmp_path: Path) -> None:
    turns = write("turns", ["a"])
    image.unlink()
    with ChatServer(constant(5)) as server:
        with pytest.raises(PredictionFileError, match=r"conversation/0: its image .* \(--no-image"):
            judge_files([turns], tmp_path / "out.jsonl", judge_at(server, tmp_path))
        judge = judge_at(server, tmp_path, with_image=False)
        judge_files([turns], tmp_path / "out.jsonl", judge)
    (body,) = server.bodies
    assert [part["type"] for part in body["messages"][1]["content"]] == ["text"]


def test_more_fields_of_a_request(write: Any, tmp_path: Path) -> None:
    more = {"temperature": None, "max_tokens": None, "max_completion_tokens": 900}
    with ChatServer(constant(5)) as server:
        judge = judge_at(server, tmp_path, body=more)
        judge_files([write("turns", ["a"])], tmp_path / "out.jsonl", judge)
    (body,) = server.bodies
    assert body["max_completion_tokens"] == 900
    assert not {"temperature", "max_tokens"} & set(body)


def test_predictions_that_cannot_be_judged(write: Any, tmp_path: Path) -> None:
    turns = write("turns", ["a"])
    questions = write("vqa", ["yes"], task="vqa")
    others = {
        "another file has the same row": turns,
        "its adapter is 'x', that of conversation/0 is None": write(
            "other", ["a"], task="detail", adapter="x"
        ),
        "holds no prediction": write("nothing", []),
    }
    with ChatServer(constant(5)) as server:
        for message, file in others.items():
            with pytest.raises(PredictionFileError, match=message):
                judge_files([turns, file], tmp_path / "out.jsonl", judge_at(server, tmp_path))
        with pytest.raises(PredictionFileError, match="is for conversation and detail, not for"):
            judge_files([questions], tmp_path / "out.jsonl", judge_at(server, tmp_path))
        assert not server.bodies
        judge_files([questions, turns], tmp_path / "out.jsonl", judge_at(server, tmp_path))
        assert len(server.bodies) == 1


def test_a_file_without_any_score_says_why(write: Any, tmp_path: Path) -> None:
    with ChatServer(lambda _: "no idea") as server:
        judge_files([write("turns", ["a"])], tmp_path / "out.jsonl", judge_at(server, tmp_path))
    assert statuses(tmp_path / "out.jsonl") == [["unparsed"]]
    with pytest.raises(PredictionFileError, match=r"no pair has a score\. Of .*: no score in the"):
        judge_scores(tmp_path / "out.jsonl")
    (tmp_path / "p.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(PredictionFileError, match=r"line 1: it lacks model, adapter, .*rs-gpt4v"):
        judge_scores(tmp_path / "p.jsonl")
    (tmp_path / "p.jsonl").write_text("7\n")
    with pytest.raises(PredictionFileError, match="line 1: it is 7; expected an object"):
        judge_scores(tmp_path / "p.jsonl")


# --- Two models ----------------------------------------------------------------------------------


def better(body: dict[str, Any]) -> str:
    """Honest: the longer answer is better."""
    first, second = (material(body)[place] for place in ("first", "second"))
    choice = "tie" if len(first) == len(second) else "second"
    return json.dumps({"reason": "", "better": "first" if len(first) > len(second) else choice})


def test_an_honest_judge_is_free_of_the_order(write: Any, tmp_path: Path) -> None:
    ours = write("ours", ["long", "short", "same", "x", "y", "equal", ""])
    theirs = write("theirs", ["low", "a longer one", "ties", "", "", "equal", "z"], weights="v")
    with ChatServer(better) as server:
        compare_files([ours], [theirs], tmp_path / "out.jsonl", judge_at(server, tmp_path))
    assert len(server.bodies) == 2 * 3
    found = comparison(tmp_path / "out.jsonl")
    duel = found["duels"]["all"]
    assert found["duels"].keys() == {"conversation", "all"}
    assert (duel["wins"], duel["ties"], duel["losses"], duel["n"]) == (3, 2, 2, 7)
    assert (duel["flips"], duel["flip_rate"], duel["first_rate"]) == (0, 0.0, 0.5)
    assert (duel["unasked"], duel["images"]) == (4, 1)
    assert duel["win_rate"] == (3 + 2 / 2) / 7


def test_a_judge_that_favours_a_place_is_found_out(write: Any, tmp_path: Path) -> None:
    ours, theirs = write("ours", ["a", "b", "c"]), write("theirs", ["d", "e", "f"])
    with ChatServer(lambda _: '{"reason": "", "better": "first"}') as server:
        judge = judge_at(server, tmp_path, repeats=2)
        compare_files([ours], [theirs], tmp_path / "out.jsonl", judge)
    duel = comparison(tmp_path / "out.jsonl")["duels"]["all"]
    assert (duel["wins"], duel["ties"], duel["losses"], duel["win_rate"]) == (0, 3, 0, 0.5)
    assert (duel["flips"], duel["flip_rate"], duel["first_rate"]) == (6, 1.0, 1.0)
    assert duel["p_value"] == 1.0


def test_a_half_read_comparison_is_left_out_and_counted(write: Any, tmp_path: Path) -> None:
    def answering(body: dict[str, Any]) -> str:
        return "no idea" if material(body)["first"] == "b" else better(body)

    ours, theirs = write("ours", ["long", "b"]), write("theirs", ["low", "longer", "only here"])
    with ChatServer(answering) as server:
        compare_files([ours], [theirs], tmp_path / "out.jsonl", judge_at(server, tmp_path))
    found = comparison(tmp_path / "out.jsonl")
    assert (found["n"], found["unmatched"], found["duels"]["all"]["n"]) == (2, 1, 1)
    assert found["unparsed"] == {"conversation/1": ["no choice in the reply"]}


def test_files_that_cannot_be_compared(write: Any, tmp_path: Path) -> None:
    ours, other = write("ours", ["a"]), write("other", ["b"], task="detail")
    changed = write("changed", ["b"], references=["another"])
    with ChatServer(better) as server:
        judge = judge_at(server, tmp_path)
        with pytest.raises(PredictionFileError, match="conversation/0 is not the same question"):
            compare_files([ours], [changed], tmp_path / "out.jsonl", judge)
        with pytest.raises(PredictionFileError, match="no row in common"):
            compare_files([ours], [other], tmp_path / "out.jsonl", judge)


def test_an_image_counts_once_in_the_sign_test(write: Any, tmp_path: Path) -> None:
    def pictures(name: str, answer: str) -> list[Path]:
        files = []
        for place in range(6):
            picture = tmp_path / f"{place}.png"
            Image.new("RGB", (8, 8), (place, 0, 0)).save(picture)
            ids = {"id": f"d{place}", "image": str(picture)}
            files.append(write(f"{name}{place}", [answer], **ids))
        return files

    with ChatServer(better) as server:
        judge = judge_at(server, tmp_path)
        compare_files(pictures("a", "long"), pictures("b", "low"), tmp_path / "out.jsonl", judge)
    duel = comparison(tmp_path / "out.jsonl")["duels"]["all"]
    assert (duel["wins"], duel["images"], duel["p_value"]) == (6, 6, 2 / 2**6)


@pytest.mark.parametrize(
    ("wins", "losses", "p"), [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (8, 2, 0.109375), (3, 3, 1)]
)
def test_sign_test(wins: int, losses: int, p: float) -> None:
    assert sign_test([1.0] * wins + [0.0] * 4 + [-0.5] * losses) == p


# --- The command line ----------------------------------------------------------------------------


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["judge", *map(str, arguments)])


def test_verb(write: Any, tmp_path: Path) -> None:
    turns, out = write("turns", ["a", "b"]), tmp_path / "out.jsonl"
    script = Script({"a": [said(8)], "b": ["7-8", "7-8", "7-8"]})
    with ChatServer(script) as server:
        asked = ("--judge-model", "j", "--base-url", server.url, "--out", out)
        dry = run(turns, *asked, "--dry-run")
        assert dry.exit_code == 0, dry.output
        assert dry.stdout.startswith("2 pairs: 2 requests to j")
        assert not server.bodies
        done = run(turns, *asked)
    assert done.exit_code == 0, done.output
    assert "conversation         8.000  (1 pairs)" in done.stdout
    assert "1 without a readable score" in done.stdout
    assert "unparsed conversation/1: '7-8' is a range, not one score" in done.stdout


def test_verb_against(write: Any, tmp_path: Path) -> None:
    ours, theirs = write("ours", ["long"]), write("theirs", ["low"], model="n")
    with ChatServer(better) as server:
        asked = ("--judge-model", "j", "--base-url", server.url, "--out", tmp_path / "out.jsonl")
        shown = run(ours, "--against", theirs, *asked)
        found = run(ours, "--against", theirs, *asked, "--json")
    assert "A is m, B is n," in shown.stdout
    assert "A wins 1, ties 0, loses 0 of 1" in shown.stdout
    assert json.loads(found.stdout)["duels"]["all"]["wins"] == 1


def test_verb_ends_with_an_error_where_requests_failed(write: Any, tmp_path: Path) -> None:
    script = Script({"a": [said(8)], "b": [filtered()]})
    with ChatServer(script) as server:
        asked = ("--judge-model", "j", "--base-url", server.url, "--out", tmp_path / "out.jsonl")
        done = run(write("turns", ["a", "b"]), *asked)
    assert done.exit_code == 1
    assert "failed conversation/1" in done.stdout
    assert "1 pairs failed; run the same command to ask again." in done.stderr


def test_verb_says_in_one_line_why_it_cannot_ask(write: Any, tmp_path: Path) -> None:
    asked = ("--judge-model", "j", "--base-url", "http://127.0.0.1:9/v1", "--max-cost", "1")
    file = write("turns", ["a"])
    verb = [sys.executable, "-m", "rs_gpt4v.cli", "judge", str(file), *asked, "--out"]
    done = subprocess.run(
        [*verb, str(tmp_path / "out.jsonl")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: the price of 'j' is not known, so spending")
    assert len(done.stderr.splitlines()) == 1
