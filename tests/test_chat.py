"""The chat client against a real server on loopback: nothing lost, nothing paid for twice."""

import itertools
import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_server import (
    ChatServer,
    Reply,
    broken,
    cut_off,
    error,
    filtered,
    no_credit,
    not_json,
    plan,
    refused,
    slow,
    too_long,
    too_many,
    truncated,
    unauthorized,
    wrong_shape,
)

from rs_gpt4v import chat_api as chat
from rs_gpt4v.chat_api import client
from rs_gpt4v.chat_api import journal as journal_module

KEY = "sk-secret-0123456789abcdef"


def request(text: str, **fields: Any) -> chat.ChatRequest:
    messages = [{"role": "user", "content": text}]
    return {"model": "m", "messages": messages, "max_tokens": 5} | fields


def requests(count: int, **fields: Any) -> Iterator[tuple[str, chat.ChatRequest]]:
    for i in range(count):
        yield f"k{i}", request(f"question {i}", **fields)


def asked(body: dict[str, Any]) -> str:
    return body["messages"][0]["content"]


def echo(body: dict[str, Any]) -> str:
    return f"answer to {asked(body)}"


def ask(
    server: ChatServer, journal: Path, wanted: Any, **options: Any
) -> tuple[list[chat.Answer], chat.Summary]:
    """All answers, whatever ended them."""
    endpoint = server.endpoint(**options)
    got: list[chat.Answer] = []
    with chat.complete(wanted, endpoint, journal) as answers:
        try:
            got.extend(answers)
        except chat.ChatStoppedError:
            got.extend(answers)
    assert answers.summary.requests == len(got)
    return got, answers.summary


def ended(
    failure: type[Exception],
    said: str,
    wanted: Any,
    endpoint: chat.Endpoint,
    journal: Path,
    **options: Any,
) -> tuple[list[chat.Answer], chat.Summary]:
    """The answers that came before asking ended with ``failure``."""
    got: list[chat.Answer] = []
    with chat.complete(wanted, endpoint, journal, **options) as answers:
        with pytest.raises(failure, match=said):
            got.extend(answers)
        assert list(answers) == []
    return got, answers.summary


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "new" / "journal.jsonl"


def lines(journal: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.read_bytes().splitlines()]


def texts(journal: Path) -> dict[str, str]:
    return {
        line["hash"]: line["response"]["choices"][0]["message"]["content"]
        for line in lines(journal)
    }


class TestAnswers:
    def test_come_in_the_order_of_the_requests(self, journal: Path) -> None:
        def hindmost_first(body: dict[str, Any]) -> Reply:
            return slow(echo(body), 0.1 if asked(body) == "question 0" else 0)

        with ChatServer(hindmost_first) as server:
            got, summary = ask(server, journal, requests(30))
        assert [(one.key, one.text) for one in got] == [
            (f"k{i}", f"answer to question {i}") for i in range(30)
        ]
        assert str(summary) == "30 requests: 30 answered; 30 attempts, 300 + 150 tokens, $0.0000"

    def test_say_all_that_the_server_said(self, journal: Path) -> None:
        with ChatServer(lambda _: truncated("half an ans")) as server:
            [answer], _ = ask(server, journal, requests(1))
        assert answer.text == "half an ans"
        assert answer.truncated
        assert answer.failure is None
        assert answer.usage == {"prompt_tokens": 10, "completion_tokens": 5}
        assert answer.cost_usd is None  # of a model without a price
        assert answer.response
        assert answer.response["id"].startswith("chatcmpl-")

    def test_body_arrives_as_it_was_given(self, journal: Path) -> None:
        schema = {"properties": {"z": {}, "a": {}}}
        given = request("ä \ud83d\ude00 \u2028", response_format=schema, temperature=0)
        with ChatServer(echo) as server:
            ask(server, journal, [("k", given)])
        assert json.dumps(server.bodies[0]) == json.dumps(given)

    def test_empty_and_null_replies_are_texts(self, journal: Path) -> None:
        with ChatServer(plan("", Reply(None, finish_reason="length"))) as server:
            got, _ = ask(server, journal, requests(2), concurrency=1)
        assert [one.text for one in got] == ["", ""]

    def test_server_that_counts_no_tokens(self, journal: Path) -> None:
        with ChatServer(plan(Reply("yes", usage=None), Reply("yes", usage={}))) as server:
            got, _ = ask(server, journal, requests(2, model="gpt-4o"), model="gpt-4o")
        assert [(one.text, one.usage, one.cost_usd) for one in got] == [("yes", None, None)] * 2

    def test_requests_are_read_as_there_is_room(self, journal: Path) -> None:
        read, most_ahead = 0, 0
        with ChatServer(lambda body: slow(echo(body), 0.005)) as server:

            def reading() -> Iterator[tuple[str, chat.ChatRequest]]:
                nonlocal read, most_ahead
                for one in requests(100):
                    read += 1
                    most_ahead = max(most_ahead, read - len(server.answered))
                    yield one

            ask(server, journal, reading(), concurrency=4)
        assert read == 100
        assert most_ahead <= 4 + 8  # in flight, and the next few

    def test_no_more_are_in_flight_than_allowed(self, journal: Path) -> None:
        with ChatServer(lambda body: slow(echo(body), 0.03)) as server:
            ask(server, journal, requests(40), concurrency=7)
        assert server.most_at_once == 7

    def test_faults_of_every_kind_among_a_thousand(self, journal: Path) -> None:
        faults = [too_many(), broken(), broken(503), cut_off(), not_json(), wrong_shape()]
        final = {7: too_long(), 70: refused(), 700: filtered(), 77: error(400, "no such field")}
        drawn, lock = random.Random(0), threading.Lock()

        def faulty(body: dict[str, Any]) -> Reply | str:
            number = int(asked(body).split()[1])
            with lock:
                faulted = drawn.random() < 0.2
                fault = drawn.choice(faults)
            return fault if faulted else final.get(number, echo(body))

        with ChatServer(faulty) as server:
            got, summary = ask(server, journal, requests(1000), concurrency=32, max_attempts=12)
        kinds = Counter(one.failure.kind if one.failure else "text" for one in got)
        assert kinds == {"text": 996, "too_long": 1, "refused": 1, "filtered": 1, "rejected": 1}
        assert all(one.text == f"answer to question {one.key[1:]}" for one in got if one.text)
        assert [one.key for one in got] == [f"k{i}" for i in range(1000)]
        assert summary.answered == 996
        assert summary.attempts == len(server.bodies) > 1100
        assert len(lines(journal)) == 998  # what was paid for: also being refused and filtered
        assert server.most_at_once <= 32


@pytest.mark.parametrize("option", ["concurrency", "max_attempts", "requests_per_minute"])
def test_endpoint_that_sends_nothing_is_refused(option: str) -> None:
    options: dict[str, Any] = {option: 0}
    with pytest.raises(ValueError, match=f"{option} is 0: it must be more than 0"):
        chat.Endpoint(model="m", **options)


class TestFailures:
    @pytest.mark.parametrize(
        "fault",
        [too_many(), too_many("Wed, 21 Oct 2015 07:28:00 GMT"), broken(), cut_off(), not_json()],
        ids=["429", "429 until a date", "500", "cut off", "not JSON"],
    )
    def test_that_pass_are_tried_again(self, journal: Path, fault: Reply) -> None:
        with ChatServer(plan(fault, "fine")) as server:
            [answer], summary = ask(server, journal, requests(1))
        assert answer.text == "fine"
        assert summary.attempts == len(server.bodies) == 2

    def test_silence_is_tried_again(self, journal: Path) -> None:
        with ChatServer(plan(slow("late", 0.5), "fine")) as server:
            [answer], _ = ask(server, journal, requests(1), timeout_s=0.1)
        assert answer.text == "fine"

    @pytest.mark.parametrize(
        ("reply", "kind", "said"),
        [
            (too_long(), "too_long", "maximum context length .* Send less text"),
            (error(429, "Request too large for m on TPM"), "too_long", "429: Request too large"),
            (error(400, "flagged", "content_filter"), "filtered", "400: flagged"),
            (error(404, "no model 'm'"), "rejected", "404: no model 'm'"),
            (Reply(status=400, raw=b'{"error": "only text"}'), "rejected", "only text"),
            (Reply(status=422, raw=b"plain"), "rejected", "422: plain"),
            (refused("No."), "refused", "the model refused: No."),
            (filtered(), "filtered", "content filter withheld"),
        ],
    )
    def test_that_stay_are_not_tried_again(
        self, journal: Path, reply: Reply, kind: str, said: str
    ) -> None:
        with ChatServer(lambda _: reply) as server:
            [answer], _ = ask(server, journal, requests(1))
        assert answer.text is None
        assert answer.failure
        assert answer.failure.kind == kind
        assert re.search(said, answer.failure.reason)
        assert len(server.bodies) == 1

    def test_proxy_of_the_environment_is_used(
        self, journal: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with ChatServer(lambda _: "by proxy") as proxy:
            monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            far = "http://far.invalid/v1"
            [answer], _ = ask(proxy, journal, requests(1), base_url=far)
            with ChatServer(lambda _: "direct") as server:
                [other], _ = ask(server, journal, requests(1), alias="direct")
        assert (answer.text, other.text) == ("by proxy", "direct")

    def test_redirect_is_not_followed(self, journal: Path) -> None:
        with ChatServer(lambda _: "reached") as other:
            away = Reply(status=307, raw=b"", headers={"Location": f"{other.url}/chat/completions"})
            with ChatServer(lambda _: away) as server:
                [answer], _ = ask(server, journal, requests(1))
        assert answer.failure
        assert answer.failure.kind == "rejected"
        assert not other.bodies

    def test_attempts_end(self, journal: Path) -> None:
        with ChatServer(lambda _: broken()) as server:
            [answer], _ = ask(server, journal, requests(1), max_attempts=3)
        assert answer.failure == chat.Failure(
            "exhausted",
            "3 attempts failed, at last: the server says 500: The server had an error",
        )
        assert len(server.bodies) == 3

    def test_being_told_to_slow_down_is_no_attempt(self, journal: Path) -> None:
        with ChatServer(plan(*[too_many()] * 9)) as server:
            [answer], _ = ask(server, journal, requests(1), max_attempts=2)
        assert answer.text == "fine"

    @pytest.mark.parametrize(
        ("reply", "said"),
        [
            (unauthorized(), "Incorrect API key provided. Check the key in the environment"),
            (no_credit(), "exceeded your current quota. No credit is left"),
        ],
    )
    def test_that_all_would_meet_stop_all(self, journal: Path, reply: Reply, said: str) -> None:
        with ChatServer(plan("one", then=reply)) as server:
            endpoint = server.endpoint(concurrency=4)
            got, summary = ended(chat.ChatStoppedError, said, requests(500), endpoint, journal)
        assert [one.text for one in got if one.text] == ["one"]
        assert len(server.bodies) <= 1 + 4
        assert summary.unsent == len(got) - 1 == summary.requests - 1 <= 4 + 8

    def test_none_accepted_at_all_stops_all(self, journal: Path) -> None:
        with ChatServer(lambda _: error(400, "unknown field 'seeed'")) as server:
            said = r"none of the first 20 .*seeed"
            endpoint = server.endpoint(concurrency=2)
            ended(chat.ChatStoppedError, said, requests(500), endpoint, journal)
        assert 20 <= len(server.bodies) <= 22

    def test_server_that_is_gone_stops_all(self, journal: Path) -> None:
        with ChatServer(echo) as server:
            endpoint = server.endpoint(backoff_s=0.0002)
        said = r"does not work.*cannot connect.*kept"
        _, summary = ended(chat.ChatStoppedError, said, requests(500), endpoint, journal)
        assert summary.attempts < 100

    def test_server_that_comes_back_is_found(self, journal: Path) -> None:
        with ChatServer(plan(*[broken()] * 25)) as server:
            got, _ = ask(server, journal, requests(100), concurrency=8, max_attempts=20)
        assert all(one.text == "fine" for one in got)


class TestJournal:
    def test_answers_are_not_paid_for_twice(self, journal: Path) -> None:
        with ChatServer(plan(refused(), then="fine")) as server:
            first, _ = ask(server, journal, requests(20), concurrency=1)
            again, summary = ask(server, journal, requests(30))
            assert len(server.bodies) == 30
        assert [(one.text, one.failure, one.response) for one in again[:20]] == [
            (one.text, one.failure, one.response) for one in first
        ]
        assert [one.from_journal for one in again] == [True] * 20 + [False] * 10
        assert (summary.from_journal, summary.answered, summary.cost_usd) == (20, 10, 0.0)

    def test_failures_are_asked_again(self, journal: Path) -> None:
        with ChatServer(plan(too_long(), then="fine")) as server:
            [failed], _ = ask(server, journal, requests(1))
            [answer], _ = ask(server, journal, requests(1))
        assert (failed.text, answer.text) == (None, "fine")

    def test_equal_requests_are_sent_once(self, journal: Path) -> None:
        twice = [*requests(50), *requests(50), ("failing", request("long")), ("2", request("long"))]

        def answering(body: dict[str, Any]) -> Reply | str:
            return too_long() if asked(body) == "long" else slow(echo(body), 0.002)

        with ChatServer(answering) as server:
            got, summary = ask(server, journal, random.Random(0).sample(twice, len(twice)))
            assert len(server.bodies) == 51
        assert Counter(one.key for one in got) == Counter(key for key, _ in twice)
        assert all(one.text == f"answer to question {one.key[1:]}" for one in got if one.text)
        assert (summary.answered, summary.repeated, summary.failed["too_long"]) == (50, 51, 1)

    def test_another_server_is_asked_anew_unless_it_has_the_same_alias(self, journal: Path) -> None:
        sent = []
        for alias in (None, None, "mine", "mine"):
            with ChatServer(echo) as server:
                ask(server, journal, requests(1), alias=alias)
                sent.append(len(server.bodies))
        assert sent == [1, 1, 1, 0]

    def test_line_that_a_kill_cut_is_asked_again(self, journal: Path) -> None:
        with ChatServer(echo) as server:
            ask(server, journal, requests(3), concurrency=1)
            journal.write_bytes(journal.read_bytes()[:-20])
            got, _ = ask(server, journal, requests(3))
            assert [asked(body) for body in server.bodies[3:]] == ["question 2"]
        assert [one.text for one in got] == [f"answer to question {i}" for i in range(3)]
        assert len(lines(journal)) == 3

    @pytest.mark.parametrize("damage", [b"\0\0\0\n", b"[]\n", b'{"hash": "00", "cost_usd": 0}\n'])
    def test_other_damage_is_told(self, journal: Path, damage: bytes) -> None:
        with ChatServer(echo) as server:
            ask(server, journal, requests(1))
            journal.write_bytes(journal.read_bytes() + damage)
            with pytest.raises(chat.ChatError, match=r"journal.jsonl, line 2: .* Delete the line"):
                ask(server, journal, requests(1))
            journal.write_bytes(journal.read_bytes()[: -len(damage)])
            ask(server, journal, requests(1))  # and nothing is left locked

    def test_second_process_is_refused(self, journal: Path) -> None:
        with (
            ChatServer(echo) as server,
            chat.complete(requests(1), server.endpoint(), journal),
            pytest.raises(chat.ChatError, match="in use by another process"),
        ):
            ask(server, journal, requests(1))

    def test_journal_that_cannot_be_written_stops_paying(
        self, journal: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(journal_module.os, "fsync", full)
        with ChatServer(lambda body: slow(echo(body), 0.01)) as server:
            endpoint = server.endpoint(concurrency=4)
            ended(OSError, "No space left", requests(500), endpoint, journal)
        assert len(server.bodies) < 50


class TestInterruption:
    @pytest.mark.parametrize("moment", [3, 17, 40])
    def test_killed_anywhere_it_goes_on(self, journal: Path, tmp_path: Path, moment: int) -> None:
        with ChatServer(lambda body: slow(echo(body), 0.02)) as server:
            with self.start(server, journal) as child:
                self.until(server, moment, child)
                child.send_signal(signal.SIGKILL)
            time.sleep(0.05)  # the server notices what was in flight
            kept = {line["key"] for line in lines_that_are_whole(journal)}
            before = [f"k{asked(body).split()[1]}" for body in server.bodies]
            got, _ = ask(server, journal, requests(60), concurrency=8)
            after = [f"k{asked(body).split()[1]}" for body in server.bodies[len(before) :]]
            whole, _ = ask(server, tmp_path / "uninterrupted.jsonl", requests(60))
        assert sorted(after) == sorted({f"k{i}" for i in range(60)} - kept)
        assert len(set(before) - kept) <= 8  # paid for twice: what was in flight at the kill
        assert [(one.key, one.hash, one.text) for one in got] == [
            (one.key, one.hash, one.text) for one in whole
        ]
        assert texts(journal) == texts(tmp_path / "uninterrupted.jsonl")
        assert len(lines(journal)) == 60

    def test_ctrl_c_keeps_what_is_in_flight(self, journal: Path) -> None:
        with ChatServer(lambda body: slow(echo(body), 0.3)) as server:
            with self.start(server, journal) as child:
                self.until(server, 12, child)
                time.sleep(0.1)
                child.send_signal(signal.SIGINT)
                _, said = child.communicate(timeout=20)
            assert "KeyboardInterrupt" in said
            assert len(lines(journal)) == len(server.bodies) == 16

    def start(self, server: ChatServer, journal: Path) -> "subprocess.Popen[str]":
        code = (
            "import signal; from pathlib import Path\n"
            "from rs_gpt4v import chat_api as chat; from test_chat import requests\n"
            # What a script starts in the background ignores Ctrl-C.
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            f"endpoint = chat.Endpoint(model='m', base_url={server.url!r}, alias='test', "
            "api_key_env=None, concurrency=8)\n"
            f"with chat.complete(requests(60), endpoint, Path({str(journal)!r})) as answers:\n"
            "    list(answers)"
        )
        path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        return subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONPATH": path},
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, server: ChatServer, sent: int, child: "subprocess.Popen[str]") -> None:
        while len(server.bodies) < sent:
            assert child.poll() is None
            time.sleep(0.002)

    def test_leaving_early_sends_nothing_more_and_keeps_what_is_in_flight(
        self, journal: Path
    ) -> None:
        with ChatServer(lambda body: slow(echo(body), 0.05)) as server:
            with chat.complete(requests(500), server.endpoint(concurrency=4), journal) as answers:
                next(answers)
            assert len(lines(journal)) == len(server.bodies) <= 12

    def test_in_flight_is_not_awaited_forever(
        self, journal: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(client, "_GRACE_S", 0.1)
        begun, left = threading.Event(), threading.Event()

        def silent(body: dict[str, Any]) -> str:
            if asked(body) != "question 0":
                begun.set()
                left.wait(20)
            return echo(body)

        with ChatServer(silent) as server:
            with chat.complete(requests(9), server.endpoint(timeout_s=60), journal) as answers:
                next(answers)
                assert begun.wait(20)
            assert len(lines(journal)) == len(server.answered) == 1
            left.set()

    def test_error_while_reading_the_requests_arrives(self, journal: Path) -> None:
        def breaking() -> Iterator[tuple[str, chat.ChatRequest]]:
            yield from requests(20)
            raise OSError("image 20 is broken")

        with ChatServer(lambda body: slow(echo(body), 0.01)) as server:
            said = "image 20 is broken"
            got, _ = ended(OSError, said, breaking(), server.endpoint(), journal)
        assert [one.key for one in got] == [f"k{i}" for i in range(20)]
        assert sum(one.text is not None for one in got) == len(lines(journal)) >= 8
        assert {one.failure.kind for one in got if one.failure} <= {"unsent"}

    def test_slow_caller_delays_nothing(self, journal: Path) -> None:
        with (
            ChatServer(echo) as server,
            chat.complete(requests(40), server.endpoint(), journal) as answers,
        ):
            next(answers)
            deadline = time.monotonic() + 5
            while len(server.answered) < 40 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert len(server.answered) == 40


def lines_that_are_whole(journal: Path) -> list[dict[str, Any]]:
    content = journal.read_bytes() if journal.is_file() else b""
    return [json.loads(line) for line in content.splitlines(keepends=True) if line.endswith(b"\n")]


PRICE = chat.Price(1000.0, 10_000.0)  # an answer: $0.01 for 10 tokens and $0.05 for 5


def spent(server: ChatServer) -> float:
    return PRICE.cost(server.prompt_tokens, server.completion_tokens)


class TestCap:
    def run(self, server: ChatServer, journal: Path, cap_usd: float) -> chat.Summary:
        got, summary = ended(
            chat.ChatStoppedError,
            r"of the cap of \$.* Raise the cap",
            requests(200),
            server.endpoint(concurrency=8),
            journal,
            cap_usd=cap_usd,
            prices={"m": PRICE},
        )
        assert summary.requests == len(got)
        return summary

    def test_is_kept_to_within_one_request(self, journal: Path) -> None:
        most = 0.05 + PRICE.cost(10 + 4 * 2 + 2, 0)  # "question 10", at a byte a token
        with ChatServer(lambda body: slow(echo(body), 0.002)) as server:
            summary = self.run(server, journal, 3.0)
            assert 3.0 - most - 0.01 <= spent(server) <= 3.0
            assert summary.cost_usd == pytest.approx(spent(server))

    def test_counts_earlier_runs_with_the_journal(self, journal: Path) -> None:
        with ChatServer(echo) as server:
            for cap_usd in (1.0, 1.0, 2.0):
                self.run(server, journal, cap_usd)
                assert cap_usd - 0.1 < spent(server) <= cap_usd

    def test_counts_answers_that_did_not_arrive(self, journal: Path) -> None:
        with ChatServer(plan(*[cut_off()] * 9)) as server:
            summary = self.run(server, journal, 3.0)
            assert spent(server) <= 3.0
        assert summary.uncertain_usd == pytest.approx(3.0 - summary.cost_usd, abs=0.1)
        assert summary.uncertain_usd >= 9 * 0.06

    def test_needs_a_price(self, journal: Path) -> None:
        with (
            ChatServer(echo) as server,
            pytest.raises(chat.ChatError, match=r"price of 'm' is not known.*give a table"),
            chat.complete(requests(1), server.endpoint(), journal, cap_usd=1),
        ):
            pass
        assert not journal.exists()

    def test_needs_the_model_whose_price_counts(self, journal: Path) -> None:
        with ChatServer(echo) as server:
            said = "'k0' is for 'gpt-4', but the endpoint's model, whose price counts, is 'm'"
            wanted = requests(1, model="gpt-4")
            ended(chat.ChatError, said, wanted, server.endpoint(), journal)

    def test_needs_a_bound_of_the_reply(self, journal: Path) -> None:
        unbound = [("k", {"model": "m", "messages": []})]
        with ChatServer(echo) as server:
            said = "'k' sets no max_tokens"
            options = {"cap_usd": 1, "prices": {"m": PRICE}}
            ended(chat.ChatError, said, unbound, server.endpoint(), journal, **options)
        assert not server.bodies


class TestKey:
    @pytest.fixture(autouse=True)
    def _key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MY_KEY", KEY)

    def test_is_sent_and_written_nowhere(
        self,
        journal: Path,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        caplog.set_level(logging.DEBUG)
        replies = [
            f"your key is {KEY}",
            error(400, f"bad request of {KEY}"),
            *[error(500, f"failing for {KEY}")] * 3,
            error(401, f"Incorrect API key provided: {KEY}"),
        ]
        with ChatServer(plan(*replies)) as server:
            endpoint = server.endpoint(api_key_env="MY_KEY", concurrency=1, max_attempts=3)
            with chat.complete(requests(9), endpoint, journal) as answers:
                got = list(itertools.islice(answers, 3))
                with pytest.raises(chat.ChatStoppedError) as stopped:
                    list(answers)
        said = [*got, endpoint, stopped.value, answers.summary, vars(answers)]
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
        assert "[key]" in str(got[0])
        out, err = capfd.readouterr()
        written = [path.read_text() for path in journal.parent.rglob("*") if path.is_file()]
        for text in (*written, caplog.text, out, err, *map(repr, said), *map(str, said)):
            assert KEY not in text

    @pytest.mark.parametrize("value", [None, "", " \n"])
    def test_none_is_sent_where_the_variable_is_unset(
        self, journal: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
    ) -> None:
        monkeypatch.delenv("MY_KEY")
        if value is not None:
            monkeypatch.setenv("MY_KEY", value)
        with ChatServer(echo) as server:
            [answer], _ = ask(server, journal, requests(1), api_key_env="MY_KEY")
        assert "Authorization" not in server.headers[0]
        assert answer.text == "answer to question 0"

    def test_that_is_for_show_is_not_struck_out_of_replies(
        self, journal: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MY_KEY", "EMPTY\n")
        with ChatServer(lambda _: "an EMPTY field") as server:
            [answer], _ = ask(server, journal, requests(1), api_key_env="MY_KEY")
        assert server.headers[0]["Authorization"] == "Bearer EMPTY"
        assert answer.text == "an EMPTY field"

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"api_key_env": "UNSET"}, "OpenAI asks for a key: set UNSET"),
            ({"base_url": "http://gpu-node:8000/v1"}, "key in MY_KEY would travel readable"),
            ({"base_url": f"https://me:{KEY}@example.org/v1"}, "example.org holds a user name"),
            ({"base_url": f"https://example.org/v1?key={KEY}"}, "example.org holds a user name"),
            ({"base_url": "localhost:8000"}, "'localhost:8000' is no http address"),
        ],
    )
    def test_is_not_risked(self, journal: Path, options: dict[str, Any], said: str) -> None:
        fields: dict[str, Any] = {"api_key_env": "MY_KEY"} | options
        endpoint = chat.Endpoint(model="gpt-4o", **fields)
        with (
            pytest.raises(chat.ChatError, match=said) as refusal,
            chat.complete(requests(1), endpoint, journal),
        ):
            pass
        assert KEY not in str(refusal.value)
