"""From scenes to a queue: every dialogue asked for is accounted for, whatever the server does."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from chat_server import ChatServer, Reply, broken, error, refused, slow
from generating import LASTING, Faulty, dialogue, fault_of, number_of, right, scenes

from rs_gpt4v import chat_api as chat
from rs_gpt4v_generation.asking import Generator
from rs_gpt4v_generation.candidates import read_queue
from rs_gpt4v_generation.generate import RunReport, generate
from rs_gpt4v_generation.probes import ProbeOptions
from rs_gpt4v_generation.prompts import prompt_version


def generator(server: ChatServer, out: Path, concurrency: int = 8, **options: Any) -> Generator:
    options = {"products": ("conversation",), "temperature": 0.0} | options
    endpoint = server.endpoint(concurrency=concurrency)
    return Generator(endpoint=endpoint, journal=out / "journal.jsonl", **options)


def run(server: ChatServer, out: Path, count: int, **options: Any) -> RunReport:
    out.mkdir(exist_ok=True)
    return generate(scenes(count, out.parent), generator(server, out, **options), out)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def written(out: Path) -> tuple[bytes, bytes]:
    return (out / "candidates.jsonl").read_bytes(), (out / "failed.jsonl").read_bytes()


def test_of_1000_images_with_200_faults_each_is_accounted_for(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with ChatServer(Faulty()) as server:
        account = run(server, out, 1000, concurrency=16)
    candidates, failed = lines(out / "candidates.jsonl"), lines(out / "failed.jsonl")
    ids = [one["id"] for one in candidates + failed]
    assert sorted(ids) == [f"train/{number:05d}/conversation" for number in range(1000)]
    assert [one["id"] for one in candidates] == sorted(one["id"] for one in candidates)
    for one in candidates:
        wrong = {v["check"] for v in one["verdicts"] if v["result"] == "fail"}
        fault = fault_of(int(one["id"].split("/")[1]))
        assert wrong == ({fault} & {"counts", "relations"}), one["id"]
    for one in failed:
        assert one["wrong"] == fault_of(int(one["id"].split("/")[1]))
        assert one["reason"]
        assert not one["pending"]
    faults = Counter(fault for fault in map(fault_of, range(1000)) if fault in LASTING)
    assert account.asked == account.dialogues.total() + account.failed.total() == 1000
    assert account.checks + account.failed == faults
    assert account.failing == faults["counts"] + faults["relations"]
    assert server.most_at_once <= 16
    paid = Counter(json.dumps(body) for body in server.answered)
    assert set(paid.values()) == {1}


def test_nothing_is_asked_or_paid_for_twice(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with ChatServer(Faulty()) as server:
        run(server, out, 50)
        before, sent = written(out), len(server.bodies)
        account = run(server, out, 50)
    assert len(server.bodies) == sent
    assert written(out) == before
    assert [one.attempts for one in account.summaries] == [0, 0]


def test_a_candidate_is_what_reviewers_read_and_says_how_it_was_made(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with ChatServer(right) as server:
        run(server, out, 1)
        body = server.bodies[0]
    queue = read_queue(out / "candidates.jsonl")
    assert not queue.problems
    one: dict[str, Any] = {**queue.candidates[0]}
    assert (out / one["image"]).samefile(tmp_path / "scene.png")
    assert one["messages"][1]["content"] == "The image shows one ship."
    assert ("counts", "pass") in {(v["check"], v["result"]) for v in one["verdicts"]}
    assert one["source"] == "dior"
    assert one["model"] == "m"
    assert one["prompt"] == prompt_version("conversation")
    assert one["request"] == chat.request_hash(body, server.endpoint())
    assert body["messages"][1]["content"][1]["type"] == "image_url"


def test_what_is_no_dialogue_is_asked_for_again_with_another_seed(tmp_path: Path) -> None:
    def second_time(body: dict[str, Any]) -> Reply | str:
        if body["seed"] == 8:
            return right(body)
        return refused() if number_of(body) == 1 else "Which ships?"

    out = tmp_path / "out"
    with ChatServer(second_time) as server:
        account = run(server, out, 3, seed=7, tries=3)
        assert [body["seed"] for body in server.bodies] == [7] * 3 + [8] * 3
        assert account.dialogues == {"conversation": 3}
        assert run(server, tmp_path / "once", 3, seed=7, tries=1).failed == {
            "no JSON": 2,
            "refused": 1,
        }


def test_what_the_server_never_answered_is_pending_and_then_asked_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with ChatServer(lambda body: broken() if number_of(body) == 1 else right(body)) as server:
        account = run(server, out, 3)
        assert (account.pending, account.stopped, account.failed.total()) == (1, None, 0)
        (failed,) = lines(out / "failed.jsonl")
        assert (failed["wrong"], failed["pending"]) == ("exhausted", True)
        server.answering = right
        assert run(server, out, 3).dialogues == {"conversation": 3}
    assert lines(out / "failed.jsonl") == []


def test_a_dialogue_that_fails_two_checks_is_one(tmp_path: Path) -> None:
    with ChatServer(lambda _: dialogue(5, "to the right")) as server:
        account = run(server, tmp_path / "out", 3)
    assert account.failing == 3
    assert account.checks == {"counts": 3, "relations": 3}


def test_a_dialogue_that_says_nothing_of_the_boxes_is_counted(tmp_path: Path) -> None:
    turn = {"question": "What is it like?", "answer": "It is calm there."}
    with ChatServer(lambda _: json.dumps({"turns": [turn]})) as server:
        account = run(server, tmp_path / "out", 3)
    assert (account.failing, account.unconfirmed) == (0, 3)


def test_a_server_without_schemas_is_asked_without(tmp_path: Path) -> None:
    def old(body: dict[str, Any]) -> Reply | str:
        if "response_format" in body:
            return error(500, "response_format: Input should be 'text' or 'json_object'")
        return right(body)

    with ChatServer(old) as server:
        account = run(server, tmp_path / "out", 3)
        assert account.dialogues == {"conversation": 3}
        assert len(server.bodies) == 4


def test_reasoning_and_details_keep_what_was_said_beside_the_dialogue(tmp_path: Path) -> None:
    def answering(body: dict[str, Any]) -> str:
        if body["response_format"]["json_schema"]["name"] == "detail":
            return json.dumps(
                {"instruction": "Describe.", "local": ["A ship."], "description": "?"}
            )
        turn = {"kind": "purpose", "question": "What for?", "answer": "To moor ships."}
        return json.dumps({"turns": [turn]})

    out = tmp_path / "out"
    with ChatServer(answering) as server:
        run(server, out, 1, products=("reasoning", "detail"))
    reasoning, detail = lines(out / "candidates.jsonl")
    assert reasoning["kinds"] == ["purpose"]
    assert detail["local"] == ["A ship."]
    assert "local" not in reasoning


class TestCap:
    def test_it_is_kept_to_within_one_request(self, tmp_path: Path) -> None:
        prices = {"m": chat.Price(1.0, 1.0)}
        out = tmp_path / "out"
        usage = {"prompt_tokens": 1000, "completion_tokens": 500}
        with ChatServer(lambda body: Reply(right(body), usage=usage)) as server:
            account = run(server, out, 40, prices=prices, cap_usd=0.03, max_tokens=500)
            most = 0.006  # USD that one request can cost: its text in bytes, and 500 tokens
            assert 0.03 - most < len(server.answered) * 0.0015 <= 0.03
            assert account.stopped
            assert "cap" in account.stopped
            assert account.pending == 40 - account.dialogues.total() > 0
            kept = lines(out / "failed.jsonl")
            assert {row["wrong"] for row in kept} == {"unsent"}
            assert all(row["pending"] for row in kept)
            account = run(server, out, 40, prices=prices, cap_usd=1.0, max_tokens=500)
            assert account.dialogues.total() == 40
            assert len(server.answered) == 40

    def test_a_second_try_that_did_not_come_about_is_pending(self, tmp_path: Path) -> None:
        def no_credit_for_a_second(body: dict[str, Any]) -> Reply | str:
            if body["seed"] == 0:
                return "I would rather not."
            return error(401, "Incorrect API key provided", "invalid_api_key")

        out = tmp_path / "out"
        with ChatServer(no_credit_for_a_second) as server:
            account = run(server, out, 40, concurrency=1)
        assert account.pending == 40
        assert not account.failed.total()
        assert account.stopped
        assert "API key" in account.stopped


def test_processes_make_no_difference(tmp_path: Path) -> None:
    with ChatServer(Faulty()) as server:
        for num_proc in (1, 2):
            out = tmp_path / f"with_{num_proc}"
            out.mkdir()
            asked = generator(server, out)
            generate(scenes(40, tmp_path), asked, out, ProbeOptions(4), num_proc)
    assert written(tmp_path / "with_1") == written(tmp_path / "with_2")


def test_templated_questions_come_beside_and_are_half_negative(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with ChatServer(right) as server:
        account = generate(
            scenes(20, tmp_path), generator(server, out), out, ProbeOptions(4, 0.5, 1)
        )
        generate(scenes(20, tmp_path), generator(server, out), out, ProbeOptions(4, 0.75, 1))
    assert account.probes == {True: 40, False: 40}
    probed = [one for one in lines(out / "candidates.jsonl") if one["model"] == "templates"]
    assert Counter(holds for one in probed for holds in one["holds"]) == {True: 20, False: 60}
    answers = [message["content"] for one in probed for message in one["messages"][1::2]]
    assert sum(answer.startswith("No") for answer in answers) == 60
    assert not [v for one in probed for v in one["verdicts"] if v["result"] == "fail"]
    assert not read_queue(out / "candidates.jsonl").problems


class TestKill:
    """A child that was started once forks for each run, which takes no second for imports."""

    CODE = """
import os, sys
from pathlib import Path
from chat_server import ChatServer
from generating import scenes
from rs_gpt4v import chat_api as chat
from rs_gpt4v_generation.asking import Generator
from rs_gpt4v_generation.generate import generate
for line in sys.stdin:
    url, out = line.split()
    if not (child := os.fork()):
        endpoint = chat.Endpoint(model="m", base_url=url, alias="test", api_key_env=None,
                                 concurrency=8, backoff_s=0.001)
        asked = Generator(endpoint=endpoint, journal=Path(out) / "journal.jsonl",
                          products=("conversation",), temperature=0.0)
        generate(scenes(60, Path(out).parent), asked, Path(out))
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""

    def test_killed_at_twenty_moments_it_ends_with_the_same_files(self, tmp_path: Path) -> None:
        rng = random.Random(5)
        whole, broken_off = tmp_path / "whole", tmp_path / "broken_off"
        for folder in (whole, broken_off):
            folder.mkdir()
        with ChatServer(self.unhurried()) as server, self.child() as child:
            self.start(child, server, whole)
            self.end(child)
            undisturbed = len(server.answered)
            for _ in range(20):
                sent = len(server.bodies)
                pid = self.start(child, server, broken_off)
                until, patience = sent + rng.randint(0, 5), time.monotonic() + rng.random()
                while len(server.bodies) < until and time.monotonic() < patience:
                    time.sleep(0.001)
                os.kill(pid, signal.SIGKILL)
                self.end(child)
            self.start(child, server, broken_off)
            self.end(child)
            again = len(server.answered) - undisturbed
        assert written(broken_off) == written(whole)
        # What was in flight at a kill, 8 at most, is paid for again.
        assert undisturbed <= again <= undisturbed + 20 * 8

    @staticmethod
    def unhurried() -> Any:
        faulty = Faulty()

        def answering(body: dict[str, Any]) -> Reply | str:
            said = faulty(body)
            return slow(said, 0.01) if isinstance(said, str) else said

        return answering

    def child(self) -> "subprocess.Popen[str]":
        path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        return subprocess.Popen(
            [sys.executable, "-c", self.CODE],
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    @staticmethod
    def start(child: "subprocess.Popen[str]", server: ChatServer, out: Path) -> int:
        assert child.stdin
        assert child.stdout
        child.stdin.write(f"{server.url} {out}\n")
        child.stdin.flush()
        return int(child.stdout.readline())

    @staticmethod
    def end(child: "subprocess.Popen[str]") -> None:
        assert child.stdout
        assert child.stdout.readline() == "ended\n"
