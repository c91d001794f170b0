"""An odd reply fails its own item, within bounds of size and time, and the run goes on and ends."""

import gzip
import json
from collections.abc import Callable
from datetime import datetime, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("evaluate")

from broken_servers import BrokenServer, answer
from chat_server import ChatServer, Reply, completion
from generating import number_of, right, scenes

from rs_gpt4v import chat_api as chat
from rs_gpt4v.chat_api import connection
from rs_gpt4v.chat_api.journal import Journal
from rs_gpt4v.chat_api.transport import LONGEST_WAIT_S, asked_wait_s, limit_lifted_in_s, outcome
from rs_gpt4v.chat_api.transport import Reply as Raw
from rs_gpt4v_evaluation.judge import read_choice, read_score
from rs_gpt4v_generation.asking import Generator
from rs_gpt4v_generation.generate import generate
from rs_gpt4v_generation.products import PRODUCTS
from rs_gpt4v_generation.replies import Unusable, parse

HALF, DIGITS = '"\\ud83d"', "7" * 5000
DEEP = "[" * 100_000


def with_field(name: str, value: str) -> bytes:
    """A completion with one more field, as it is written in ``value``."""
    whole = completion("m", Reply("fine")).decode()
    return f'{{"{name}": {value}, {whole[1:]}'.encode()


def with_content(value: str) -> bytes:
    return completion("m", Reply("fine")).replace(b'"fine"', value.encode())


ODD: dict[str, tuple[bytes, str]] = {
    "half a character": (with_content('"a \\ud83d"'), "holds half a surrogate pair"),
    "raw half a character": (with_content('"a ?"').replace(b"?", b"\xed\xa0\xbd"), "no UTF-8"),
    "not UTF-8": (with_content('"a ?"').replace(b"?", b"\xff"), "no UTF-8"),
    "a huge number": (with_field("created", DIGITS), "a number has thousands of digits"),
    "deep": (with_field("more", f"{DEEP}{']' * 100_000}"), "it is nested too deeply"),
    "deep and endless": (with_field("more", DEEP), "it is nested too deeply"),
    "large": (with_content(f'"{"x" * 2**23}"'), "the reply has more than 8,388,608 bytes"),
    "nothing": (b"", "not JSON"),
    "a page": (b"<html>busy</html>", "It sent <html>busy</html>"),
    "a list": (b"[]", "it is []; expected an object"),
    "no choice": (b'{"choices": []}', "choices is []; expected at least 1 item"),
    "a number for text": (with_content("7"), "choices[0].message.content is 7; expected a valid"),
    "a list for text": (with_content('["x"]'), "choices[0].message.content is ['x']; expected"),
    "a number for a model": (
        with_field("model", "7").replace(b', "model": "m"', b""),
        "model is 7",
    ),
    "tokens less than none": (
        completion("m", Reply("x", usage={"prompt_tokens": -1, "completion_tokens": 1})),
        "usage.prompt_tokens is -1; expected greater than or equal to 0",
    ),
    "tokens beyond counting": (
        completion("m", Reply("x", usage={"prompt_tokens": 10**400, "completion_tokens": 1})),
        "usage.prompt_tokens is 1000000",
    ),
}


def ask(server: Any, journal: Path, count: int = 3, **options: Any) -> list[chat.Answer]:
    fields: dict[str, Any] = {"api_key_env": None, "backoff_s": 0.0, "max_attempts": 2} | options
    endpoint = chat.Endpoint(model="m", base_url=server.url, alias="test", **fields)
    wanted = [(f"k{i}", {"model": "m", "messages": [], "seed": i}) for i in range(count)]
    with chat.complete(wanted, endpoint, journal) as answers:
        return list(answers)


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_reply_fails_alone(kind: str, tmp_path: Path) -> None:
    raw, said = ODD[kind]
    with ChatServer(lambda body: Reply(raw=raw) if body["seed"] == 1 else "fine") as server:
        for _ in range(2):
            got = ask(server, tmp_path / "journal")
            assert [one.text for one in got] == ["fine", None, "fine"]
            assert got[1].failure
            assert said in got[1].failure.reason
            assert len(got[1].failure.reason) < 1000
            got[1].failure.reason.encode()


def test_half_a_character_is_paid_for_once(tmp_path: Path) -> None:
    with ChatServer(lambda _: Reply(raw=ODD["half a character"][0])) as server:
        [first] = ask(server, tmp_path / "journal", 1)
        [again] = ask(server, tmp_path / "journal", 1)
    assert first.failure
    assert first.failure.kind == "garbled"
    assert again.failure == first.failure
    assert len(server.bodies) == 1


def test_what_a_server_says_of_itself_can_be_written(tmp_path: Path) -> None:
    raw = with_field("system_fingerprint", HALF).replace(
        b'"model": "m"', b'"model": "\\ud83d \\u001b"'
    )
    with ChatServer(lambda _: Reply(raw=raw)) as server:
        [got] = ask(server, tmp_path / "journal", 1)
    assert (got.text, got.model, got.fingerprint) == ("fine", "\\ud83d \\x1b", "\\ud83d")


def test_a_server_that_names_no_model_and_counts_half(tmp_path: Path) -> None:
    content = json.loads(completion("m", Reply("fine")))
    del content["model"], content["usage"]["completion_tokens"]
    with ChatServer(lambda _: Reply(raw=json.dumps(content).encode())) as server:
        [got] = ask(server, tmp_path / "journal", 1)
    assert (got.text, got.model, got.usage, got.cost_usd) == ("fine", None, None, None)


@pytest.mark.parametrize("status", [400, 429, 500])
@pytest.mark.parametrize(
    "error",
    [
        b'{"error": {"message": "bad \\ud83d"}}',
        b'{"error": {"message": %b}}' % DEEP.encode(),
        b'{"error": {"message": %b}}' % DIGITS.encode(),
        b'{"error": {"message": "%b", "code": {"a": []}}}' % (b"long " * 200_000),
        b'{"error": ["\xff"]}',
        b"\x1b[2J\x00\xff",
        b"",
    ],
    ids=["half", "deep", "digits", "long", "list", "controls", "nothing"],
)
def test_an_odd_error_fails_alone(status: int, error: bytes, tmp_path: Path) -> None:
    once = Reply(status=status, raw=error)
    replies = {1: [once, once]}

    def answering(body: dict[str, Any]) -> Reply | str:
        own = replies.get(body["seed"], [])
        return own.pop() if own else "fine"

    with ChatServer(answering) as server:
        got = ask(server, tmp_path / "journal", max_attempts=2)
    assert (got[0].text, got[2].text) == ("fine", "fine")
    if status != 429:
        assert got[1].failure
        assert got[1].failure.reason.isprintable()
        assert f"the server says {status}: " in got[1].failure.reason
        assert len(got[1].failure.reason) < 500


class TestSize:
    """What a server sends is read as far as the limit, and no further."""

    def test_gzip_is_unpacked(self, tmp_path: Path) -> None:
        packed = gzip.compress(completion("m", Reply("fine" * 1000)))
        reply = answer(packed, more="Content-Encoding: gzip\r\n")
        with BrokenServer(lambda connection, _: connection.sendall(reply)) as server:
            [got] = ask(server, tmp_path / "journal", 1)
        assert got.text == "fine" * 1000

    @pytest.mark.parametrize("packed", [True, False])
    def test_a_reply_up_to_the_limit_is_read(
        self, packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        content = completion("m", Reply("fine"))
        for limit, text in ((len(content), "fine"), (len(content) - 1, None)):
            monkeypatch.setattr(connection, "LONGEST_REPLY", limit)
            sent = gzip.compress(content) if packed else content
            reply = answer(sent, more="Content-Encoding: gzip\r\n" * packed)
            with BrokenServer(lambda one, _, reply=reply: one.sendall(reply)) as server:
                [got] = ask(server, tmp_path / f"{limit}", 1)
            assert got.text == text

    def test_no_more_is_taken_than_the_limit(self, tmp_path: Path) -> None:
        sent = []

        def endless(one: Any, _: str) -> None:
            one.sendall(answer(b"", length=2**40))
            while True:
                one.sendall(b" " * 2**16)
                sent.append(2**16)

        with BrokenServer(endless) as server:
            [got] = ask(server, tmp_path / "journal", 1)
        assert got.failure
        assert got.failure.kind == "garbled"
        assert sum(sent) < 2**25  # the limit, and what waits in buffers

    def test_a_cap_counts_what_was_not_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "LONGEST_REPLY", 10)
        prices = {"m": chat.Price(0.0, 1e6)}
        wanted = [("k", {"model": "m", "messages": [], "max_tokens": 5})]
        with (
            ChatServer(lambda _: "fine") as server,
            chat.complete(
                wanted, server.endpoint(), tmp_path / "j", cap_usd=9, prices=prices
            ) as answers,
        ):
            list(answers)
        assert answers.summary.uncertain_usd == 5.0


class TestWaits:
    @pytest.mark.parametrize(
        ("asked", "seconds"),
        [
            ("1e9", LONGEST_WAIT_S),
            ("9" * 5000, 0),
            ("601", LONGEST_WAIT_S),
            ("599", 599),
            ("-1e9", 0),
            ("nan", 0),
            ("-inf", 0),
            ("inf", 0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_WAIT_S),
            ("Fri, 31 Dec 99999 23:59:59 GMT", 0),
            ("Fri, 31 Dec 9999 23:59:59 -9999", 0),
            ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
            ("Fri, 99 Dec 2030 23:59:59 GMT", 0),
            (f"Fri, {'1' * 5000} Dec 2030 23:59:59 GMT", 0),
            ("", 0),
        ],
    )
    def test_have_a_bound(self, asked: str, seconds: float) -> None:
        assert asked_wait_s({"Retry-After": asked}) == seconds
        if asked == "1e9":
            assert asked_wait_s({"retry-after-ms": "1e12"}) == seconds

    def test_until_a_date_in_an_hour(self) -> None:
        date = datetime.fromtimestamp(2**31, timezone.utc)
        assert asked_wait_s({"Retry-After": format_datetime(date)}) == LONGEST_WAIT_S

    @pytest.mark.parametrize("reset", ["99999h", "9" * 8000 + "s", "1h1h1h"])
    def test_for_a_limit_have_a_bound(self, reset: str) -> None:
        headers = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": reset}
        assert limit_lifted_in_s(headers) == LONGEST_WAIT_S


LINE: dict[str, Any] = {
    "hash": "0",
    "key": "k",
    "endpoint": "e",
    "cost_usd": 0.5,
    "response": json.loads(completion("m", Reply("fine"))),
}


class TestFiles:
    """Journals, batches, prices and bodies are checked; errors name line and field."""

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"cost_usd": "1"}, "cost_usd is '1'; expected a valid number"),
            ({"cost_usd": -1}, "cost_usd is -1; expected greater than or equal to 0"),
            ({"cost_usd": float("nan")}, "cost_usd is nan; expected a finite number"),
            ({"hash": 7}, "hash is 7; expected a valid string"),
            ({"response": {"choices": [{"message": 7}]}}, "response.choices[0].message is 7"),
        ],
    )
    def test_a_journal(self, change: dict[str, Any], said: str, tmp_path: Path) -> None:
        path = tmp_path / "journal"
        lines = [LINE, LINE | change]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        with pytest.raises(chat.ChatError) as refusal, Journal(path):
            pass
        assert f"journal, line 2: {said}" in str(refusal.value)
        assert "Delete the line" in str(refusal.value)

    def test_a_journal_of_an_earlier_version(self, tmp_path: Path) -> None:
        path = tmp_path / "journal"
        response = json.loads(ODD["half a character"][0])
        path.write_text(json.dumps(LINE | {"response": response}) + "\n")
        with Journal(path) as journal:
            answer = journal.earlier("k", "0")
        assert answer
        assert answer.failure
        assert answer.failure.kind == "garbled"

    ENDPOINT = chat.Endpoint(model="m", api_key_env=None)

    def results(self, *bodies: str) -> str:
        return "".join(
            f'{{"custom_id": "{place:064x}", "response": {{"status_code": 200, "body": {body}}}}}\n'
            for place, body in enumerate(bodies)
        )

    def test_an_odd_line_of_a_batch_fails_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "output"
        fine = completion("m", Reply("fine")).decode()
        odd = [ODD[kind][0].decode(errors="replace") for kind in ("a huge number", "deep", "large")]
        path.write_text(self.results(fine, *odd, "7", fine))
        summary = chat.read_batch([path], self.ENDPOINT, tmp_path / "journal")
        assert (summary.answered, dict(summary.failed)) == (2, {"garbled": 3, "exhausted": 1})

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ('{"custom_id": 7, "response": null}', "custom_id is 7; expected a valid string"),
            ('{"custom_id": "0", "response": 7}', "response is 7; expected an object"),
            (
                '{"custom_id": "0", "response": {"status_code": "200", "body": 1}}',
                "response.status_code is '200'; expected a valid integer",
            ),
            ('{"custom_id": "0"', "not JSON"),
            ("{}", "it lacks custom_id, response"),
        ],
    )
    def test_another_line_of_a_batch_is_told(self, line: str, said: str, tmp_path: Path) -> None:
        path = tmp_path / "output"
        path.write_text(self.results(completion("m", Reply("fine")).decode()) + line)
        with pytest.raises(chat.ChatError) as refusal:
            chat.read_batch([path], self.ENDPOINT, tmp_path / "journal")
        assert "output, line 2: no line of a batch's output" in str(refusal.value)
        assert said in str(refusal.value)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ('{"m": {"input_usd": "1", "output_usd": 1}}', "m.input_usd is '1'"),
            ('{"m": {"input_usd": -1, "output_usd": 1}}', "m.input_usd is -1"),
            ('{"m": {"input_usd": 1}}', "it lacks m.output_usd"),
            ('{"m": {"input_usd": NaN, "output_usd": 1}}', "m.input_usd"),
            ('{"m": {"input_usd": %s, "output_usd": 1}}' % ("9" * 5000), "thousands of digits"),
            (DEEP, "nested too deeply"),
        ],
    )
    def test_a_table_of_prices(self, content: str, said: str, tmp_path: Path) -> None:
        (tmp_path / "prices").write_text(content)
        with pytest.raises(chat.ChatError) as refusal:
            chat.read_prices(tmp_path / "prices")
        assert said in str(refusal.value)

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ("7", "--body: it is 7; expected"),
            ("[]", "--body: it is []; expected"),
            ('"top_p"', "--body: it is 'top_p'; expected"),
            ("null", "--body: it is None; expected"),
            ("{", "--body: not JSON"),
            ("top_p=1", "--body: not JSON"),
            ('{"a": NaN}', "NaN and Infinity are no JSON"),
            ('{"stream": true, "model": "x"}', "--body cannot set model, stream"),
            (DEEP, "nested too deeply"),
            ('{"a": "\udcff\\ud800"}', "half a surrogate pair"),
        ],
    )
    def test_a_body(self, body: str, said: str) -> None:
        with pytest.raises(chat.ChatError) as refusal:
            chat.read_body(body)
        assert said in str(refusal.value)

    def test_a_good_body(self) -> None:
        assert chat.read_body('{"top_p": 0.5, "seed": null}') == {"top_p": 0.5, "seed": None}


REPLIES = {
    "half": '{"turns": [{"question": "Is it so?", "answer": "Yes \\ud83d."}]}',
    "digits": f'{{"turns": {DIGITS}}}',
    "deep": f'{{"turns": {DEEP[:90_000]}',
    "deep turn": '{{"turns": [{}{}]}}'.format("[" * 900, "]" * 900),
    "deep role": '{{"messages": [{{"content": "x", "role": {}{}}}]}}'.format("[" * 900, "]" * 900),
    "half a key": '{"\\ud83d": 1}',
    "keys": json.dumps(dict.fromkeys(map(str, range(9000)))),
    "large": '{"turns": [' + " " * 10**7 + "]}",
}


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("kind", REPLIES)
def test_an_odd_dialogue_has_a_reason_that_can_be_written(kind: str, product: Any) -> None:
    told = parse(REPLIES[kind], product)
    assert isinstance(told, Unusable)
    assert told.reason.isprintable()
    assert len(told.reason) < 400


def test_generate_lists_odd_dialogues_and_goes_on(tmp_path: Path) -> None:
    replies = [*REPLIES.values()]

    def answering(body: dict[str, Any]) -> str:
        number = number_of(body)
        return replies[number] if number < len(replies) else right(body)

    out = tmp_path / "out"
    out.mkdir()
    with ChatServer(answering) as server:
        generator = Generator(
            endpoint=server.endpoint(), journal=out / "journal", products=("conversation",)
        )
        for _ in range(2):
            account = generate(scenes(len(replies) + 2, tmp_path), generator, out)
            assert account.dialogues.total() == 2
            assert account.failed.total() == len(replies)
            assert not account.pending
    failed = [json.loads(line) for line in (out / "failed.jsonl").read_text().splitlines()]
    assert failed[0]["wrong"] == "garbled"
    assert "holds half a surrogate pair" in failed[0]["reason"]


@pytest.mark.parametrize("read", [read_score, read_choice])
@pytest.mark.parametrize(
    "reply",
    [
        f'{{"score": {DIGITS}, "better": {DIGITS}}}',
        f'{{"score": {DEEP[:90_000]}',
        '{{"score": {}1{}, "better": {}1{}}}'.format("[" * 900, "]" * 900, "[" * 900, "]" * 900),
        '{"score": {}, "better": {}}',
        '{"score": 1e999, "better": 1e999}',
        f"Score: {DIGITS}\nBetter: {DIGITS}",
        "Score: 1" + "-2" * 40_000,
        '{"score": 1} ' * 4_000 + '{"score": 2}',
        '{"better": "first"} ' * 4_000 + '{"better": "%s"}' % ("long" * 999),
        "Score: 7 " * 50_000,
    ],
    ids=range(10),
)
def test_an_odd_verdict_is_unread(reply: str, read: Callable[[str], Any]) -> None:
    found = read(reply)
    assert found.value is None
    assert len(found.reason) < 400


def test_half_a_character_in_a_judges_reason_is_shown() -> None:
    found = read_score('{"reason": "so \\ud83d", "score": 7}')
    assert (found.value, found.reason) == (7.0, "so \\ud83d")
    found.reason.encode()


UNITS = (
    "<a", "<think>", "</think", "{", '{"a":', '{"a":[', '{"a":{"b":1},', "{}", "the\n", "my ",
    "Score: ", "score\n", "score of ", "8 ", "8-", "8/", "8 of ", "\n", "*", "I give ", "rate it ",
    "8", '{"', "(", "> ", "- ", "1. ", '"', "better: ", "better answer ", "8.", "..", "score (8-",
    '{"score":[[', "the score is ", "8\n", '{"a":"', '\\"',
)  # fmt: skip


@pytest.mark.parametrize("read", [read_score, read_choice])
@pytest.mark.parametrize("unit", UNITS)
def test_reading_a_verdict_takes_time_in_proportion(
    unit: str, read: Callable[[str], Any], cpu_s: Callable[..., float]
) -> None:
    """Four times the reply takes four times as long, or sixteen times where it is quadratic."""
    short, long = (unit * (size // len(unit)) for size in (24_000, 96_000))
    before = min(cpu_s(read, short) for _ in range(3))
    if before > 0.001:  # what takes less tells nothing
        assert min(cpu_s(read, long) for _ in range(3)) < 10 * before
    else:
        assert cpu_s(read, long) < 0.1


@pytest.fixture
def cpu_s() -> Callable[..., float]:
    """Measures the CPU seconds of a call, on which other processes have little influence."""
    import time

    def measured(call: Callable[[str], Any], text: str) -> float:
        before = time.process_time()
        call(text)
        return time.process_time() - before

    return measured


def test_a_status_of_an_unknown_kind_is_an_outcome() -> None:
    for status in (100, 204, 304, 600, 999):
        assert outcome(Raw(status, {}, b""))
