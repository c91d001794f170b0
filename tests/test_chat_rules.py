"""The rules that the chat client keeps: hashes, prices, waits, batches; time is simulated."""

import asyncio
import base64
import io
import json
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer, Reply, completion
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tqdm import tqdm

from rs_gpt4v import chat_api as chat
from rs_gpt4v.chat_api import transport
from rs_gpt4v.chat_api.journal import Journal
from rs_gpt4v.chat_api.pacing import Backoff, Pace, Stop, StoppedError
from rs_gpt4v.chat_api.prices import (
    Patches,
    Tiles,
    price_of,
    prompt_tokens,
)
from rs_gpt4v.chat_api.scheduler import Requests, Run
from rs_gpt4v.chat_api.transport import NoReplyError, Post, asked_wait_s
from rs_gpt4v.images import ImageError

ENDPOINT = chat.Endpoint(model="gpt-4o", api_key_env=None, alias="test", seed=0)

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


class _Hurried(selectors.DefaultSelector):
    """Skips the waits of an event loop, but for what threads do meanwhile."""

    skipped_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            return super().select()
        events = super().select(min(timeout, 0.002))
        if not events:
            self.skipped_s += timeout
        return events


def simulated(main: Callable[[Callable[[], float]], Coroutine[Any, Any, Any]]) -> Any:
    """Run ``main(now)`` in a loop whose clock, ``now``, runs ahead through all waits."""
    selector = _Hurried()
    loop = asyncio.SelectorEventLoop(selector)
    start = time.monotonic()

    def now() -> float:
        return time.monotonic() - start + selector.skipped_s

    loop.time = now
    try:
        return loop.run_until_complete(main(now))
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def request(text: str = "", **fields: Any) -> chat.ChatRequest:
    messages = [{"role": "user", "content": text}]
    return {"model": "gpt-4o", "messages": messages, "max_tokens": 100} | fields


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def reversed_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reversed_keys(inner) for key, inner in reversed(value.items())}
    return [reversed_keys(inner) for inner in value] if isinstance(value, list) else value


class TestHash:
    @settings(UNHURRIED, max_examples=30)
    @given(st.dictionaries(st.text(min_size=1), JSON, max_size=4))
    def test_order_of_keys_makes_no_difference(self, body: dict[str, Any]) -> None:
        other = reversed_keys(body)
        assert chat.request_hash(body, ENDPOINT) == chat.request_hash(other, ENDPOINT)

    @settings(UNHURRIED)
    @given(st.text(), st.text())
    def test_prompts_tell_requests_apart(self, one: str, other: str) -> None:
        hashes = [chat.request_hash(request(text), ENDPOINT) for text in (one, other)]
        assert (hashes[0] == hashes[1]) == (one == other)

    @pytest.mark.parametrize(
        "change",
        [{"seed": 1}, {"model": "gpt-4"}, {"max_tokens": 99}, {"temperature": 0.1}, {"stop": None}],
        ids=str,
    )
    def test_every_field_tells_requests_apart(self, change: dict[str, Any]) -> None:
        given = request("same", seed=0)
        hashes = [chat.request_hash(body, ENDPOINT) for body in (given, given | change)]
        assert hashes[0] != hashes[1]

    def test_order_of_a_schemas_properties_matters_as_models_follow_it(self) -> None:
        schemas = [{"properties": {name: {} for name in names}} for names in ("ab", "ba")]
        bodies = [request(response_format=schema) for schema in schemas]
        assert len({chat.request_hash(body, ENDPOINT) for body in bodies}) == 2

    def test_stays_the_same_for_ever(self) -> None:
        """Journals of earlier versions are of use as long as this holds."""
        assert chat.request_hash(request("ä", seed=1), ENDPOINT) == (
            "99bb260c719199d28ef89e010c0faf7ddb2e0ba07cc74242093b6d6af319d55c"
        )


def encoded(kind: str, size: tuple[int, int] = (30, 20)) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size, "red").save(written, kind)
    return written.getvalue()


class TestImages:
    @pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp"])
    def test_known_kinds_are_sent_as_they_are(self, tmp_path: Path, kind: str) -> None:
        content = encoded(kind)
        (tmp_path / "image").write_bytes(content)
        part = chat.image_part(tmp_path / "image", "low")
        head, _, data = part["image_url"]["url"].partition(",")
        assert head == f"data:image/{kind};base64"
        assert base64.b64decode(data) == content
        assert part["image_url"]["detail"] == "low"

    @pytest.mark.parametrize("kind", ["tiff", "bmp"])
    def test_others_become_png(self, kind: str) -> None:
        url = chat.image_part(encoded(kind))["image_url"]["url"]
        sent = base64.b64decode(url.removeprefix("data:image/png;base64,"))
        with Image.open(io.BytesIO(sent)) as image:
            assert (image.size, image.getpixel((0, 0))) == ((30, 20), (255, 0, 0))

    def test_what_is_no_image_is_told(self) -> None:
        with pytest.raises(ImageError, match="is no image that can be read here"):
            chat.image_part(b"<html>")


class TestTokens:
    @pytest.mark.parametrize(
        ("rule", "size", "detail", "tokens"),
        [
            # OpenAI's own examples.
            (Tiles(85, 170), (1024, 1024), "high", 765),
            (Tiles(85, 170), (2048, 4096), "high", 1105),
            (Tiles(85, 170), (4096, 8192), "low", 85),
            (Patches(1.0), (1024, 1024), "high", 1024),
            # As billed, by public accounts: one and two tiles of 512 px.
            (Tiles(85, 170), (128, 64), "auto", 255),
            (Tiles(85, 170), (512, 512), "high", 255),
            (Tiles(85, 170), (512, 513), "high", 425),
            (Tiles(2833, 5667), (128, 64), "high", 8500),
            (Tiles(85, 170), (800, 800), "high", 765),  # an image of DIOR
            (Patches(1.62), (4000, 4000), "low", 2489),
        ],
    )
    def test_of_images(
        self, rule: Tiles | Patches, size: tuple[int, int], detail: str, tokens: int
    ) -> None:
        assert rule.tokens(*size, detail) == tokens

    @settings(UNHURRIED)
    @given(st.text() | st.just("a lone \ud800"), st.integers(0, 2))
    def test_bound_is_one(self, text: str, images: int) -> None:
        parts = [chat.text_part(text), *[chat.image_part(encoded("png"))] * images]
        body = {"model": "m", "messages": [{"role": "user", "content": parts}]}
        most = prompt_tokens(body, Tiles(85, 170), bytes_per_token=1)
        assert most >= prompt_tokens(body, Tiles(85, 170)) >= 255 * images
        assert most >= len(text.encode(errors="surrogatepass")) + 255 * images

    def test_schema_and_image_at_an_address_count(self) -> None:
        plain = prompt_tokens(request("x"), Tiles(85, 170))
        schema = {"type": "json_schema", "json_schema": {"schema": {"properties": {"a": {}}}}}
        assert prompt_tokens(request("x", response_format=schema), Tiles(85, 170)) > plain + 10
        url = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
        body = {"messages": [{"role": "user", "content": [url]}]}
        assert prompt_tokens(body, Tiles(85, 170)) >= 85 + 8 * 170


class TestEstimate:
    def test_says_between_what_and_what(self) -> None:
        bodies = [("k", request("x" * 4000))] * 1000
        told = chat.estimate(bodies, ENDPOINT)
        assert told.prompt_tokens == pytest.approx(1_000_000, rel=0.02)
        assert told.max_completion_tokens == 100_000
        assert told.cost_usd == pytest.approx(2.5, rel=0.02)
        assert told.cost_usd_at_most == pytest.approx(3.5, rel=0.02)
        assert "between $2.5" in str(told)
        assert "check them" in str(told)

    def test_of_unknown_models_and_endless_replies(self) -> None:
        unknown = chat.Endpoint(model="llava")
        assert "price is not known" in str(chat.estimate([("k", request())], unknown))
        endless = request()
        del endless["max_tokens"]
        told = chat.estimate([("k", endless)], ENDPOINT)
        assert told.cost_usd_at_most is None
        assert "without bound" in str(told)

    def test_dated_versions_have_the_price_of_their_model(self) -> None:
        assert price_of("gpt-4o-2024-11-20", chat.PRICES) == chat.PRICES["gpt-4o"]
        assert price_of("gpt-4o-realtime", chat.PRICES) is None

    def test_own_prices_are_read(self, tmp_path: Path) -> None:
        path = tmp_path / "prices.json"
        path.write_text(
            '{"llava": {"input_usd": 1, "output_usd": 2}, "gpt-4o-mini": '
            '{"input_usd": 3, "output_usd": 4}}'
        )
        prices = chat.read_prices(path)
        assert prices["llava"] == chat.Price(1, 2, Tiles(85, 170))
        assert prices["gpt-4o-mini"] == chat.Price(3, 4, Tiles(2833, 5667))
        assert prices["gpt-4o"] == chat.PRICES["gpt-4o"]

    @pytest.mark.parametrize("content", ["", "[]", '{"m": 1}', '{"m": {"input_usd": "x"}}'])
    def test_damaged_prices_are_told(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "prices.json"
        path.write_text(content)
        with pytest.raises(chat.ChatError, match=r"prices.json: .*expected \{"):
            chat.read_prices(path)


class TestWaits:
    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({}, 0),
            ({"Retry-After": "7"}, 7),
            ({"Retry-After": "0"}, 0),
            ({"retry-after": "1.5"}, 1.5),
            ({"Retry-After": "nan"}, 0),
            ({"Retry-After": "soon"}, 0),
            ({"Retry-After": "-3"}, 0),
            ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
            ({"retry-after-ms": "250", "Retry-After": "1"}, 0.25),
            ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0.5s"}, 360.5),
            ({"X-RateLimit-Remaining-Requests": "0", "X-RateLimit-Reset-Requests": "20ms"}, 0.02),
            ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "9s"}, 0),
        ],
    )
    def test_that_a_server_asks_for(self, headers: dict[str, str], seconds: float) -> None:
        assert asked_wait_s(headers) == pytest.approx(seconds)

    def test_until_a_date(self) -> None:
        date = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=90), usegmt=True)
        assert 85 < asked_wait_s({"Retry-After": date}) <= 90

    def test_between_attempts_grow_and_are_drawn_at_random(self) -> None:
        async def main(now: Callable[[], float]) -> list[list[float]]:
            waits = []
            for seed in (0, 0, 1):
                backoff = Backoff(chat.Endpoint(model="m", backoff_s=10, seed=seed), Stop())
                waits.append([])
                for tries in range(1, 12):
                    before = now()
                    await backoff.wait(tries)
                    waits[-1].append(now() - before)
            return waits

        first, same, other = simulated(main)
        assert first == pytest.approx(same, abs=0.5)
        assert first != pytest.approx(other, abs=0.5)
        assert all(wait <= 10 * min(2**i, 60) + 0.5 for i, wait in enumerate(first))
        assert max(first) > 100

    def test_end_when_the_run_stops(self) -> None:
        async def main(now: Callable[[], float]) -> float:
            stop = Stop()
            pace = Pace(chat.Endpoint(model="m", requests_per_minute=1), stop)
            await pace.turn(0)
            asyncio.get_running_loop().call_later(5, stop.set, "enough")
            with pytest.raises(StoppedError, match="enough"):
                await pace.turn(0)
            return now()

        assert simulated(main) == pytest.approx(5, abs=0.5)


class Wire:
    """A network in simulated time: answers after ``delay_s``; ``down`` says when it does not."""

    def __init__(self, now: Callable[[], float], *, delay_s: float = 1.0, **answering: Any) -> None:
        self.now, self.delay_s = now, delay_s
        self.down: Callable[[float], bool] = answering.get("down", lambda _: False)
        self.limit: Callable[[list[float]], bool] = answering.get("limit", lambda _: False)
        self.headers: dict[str, str] = answering.get("headers", {})
        self.lifted: dict[str, str] = answering.get("lifted", {})
        self.times: list[float] = []
        self.accepted: list[float] = []

    async def post(self, _: bytes) -> transport.Reply:
        at = self.now()
        self.times.append(at)
        if self.down(at):
            raise NoReplyError("cannot connect: refused", sent=False)
        if self.limit([accepted - at for accepted in self.accepted]):
            return transport.Reply(429, self.headers, b'{"error": {"message": "slowly"}}')
        self.accepted.append(at)
        await asyncio.sleep(self.delay_s)
        told = self.lifted if len(self.accepted) == 8 else {}
        return transport.Reply(200, told, completion("m", Reply("fine")))


def simulate(
    journal: Path, count: int, endpoint: chat.Endpoint, **answering: Any
) -> tuple[Wire, list[chat.Answer], Stop]:
    """Ask ``count`` requests of a simulated network."""
    answers: list[chat.Answer] = []

    async def main(now: Callable[[], float]) -> tuple[Wire, Stop]:
        wire = Wire(now, **answering)
        asked = ((f"k{i}", request(f"question {i:04}")) for i in range(count))
        with Journal(journal) as held, tqdm(disable=True) as bar:
            reader = Requests(asked, endpoint, held, None, capped=False)
            run = Run(
                reader,
                endpoint,
                held,
                None,
                None,
                lambda _, answer: answers.append(answer),
                chat.Summary(),
                bar,
            )
            post: Post = wire.post
            await run.go(post)
        return wire, run.stop

    wire, stop = simulated(main)
    return wire, answers, stop


def busiest(times: list[float], window_s: float) -> int:
    """The most of ``times`` in a window of that length."""
    return max(sum(at <= later < at + window_s for later in times) for at in times)


class TestPace:
    def test_requests_per_minute_are_kept_in_any_minute(self, tmp_path: Path) -> None:
        endpoint = chat.Endpoint(model="gpt-4o", requests_per_minute=60, concurrency=50)
        wire, answers, _ = simulate(tmp_path / "j", 180, endpoint)
        assert len(answers) == 180
        assert busiest(wire.times, 59.5) <= 60
        assert wire.times[-1] == pytest.approx(179, abs=5)  # and not slower than need be

    def test_tokens_per_minute_are_kept_in_any_minute(self, tmp_path: Path) -> None:
        tokens = prompt_tokens(request("question 0000"), Tiles(85, 170)) + 100
        endpoint = chat.Endpoint(model="gpt-4o", tokens_per_minute=20 * tokens, concurrency=50)
        wire, _, _ = simulate(tmp_path / "j", 60, endpoint)
        assert busiest(wire.times, 59) <= 20
        assert wire.times[-1] == pytest.approx(59 * 3, abs=5)

    def test_wait_that_the_server_asks_for_is_everyones(self, tmp_path: Path) -> None:
        endpoint = chat.Endpoint(model="gpt-4o", concurrency=4, seed=0)
        wire, answers, _ = simulate(
            tmp_path / "j",
            20,
            endpoint,
            limit=lambda ages: len(ages) == 8 and ages[-1] > -30,
            headers={"Retry-After": "40"},
        )
        assert len(answers) == 20
        refused_at = next(at for at in wire.times if at not in wire.accepted)
        assert not [at for at in wire.times if refused_at + 0.5 < at < refused_at + 39.5]

    def test_limit_that_a_good_answer_says_is_used_up_is_kept(self, tmp_path: Path) -> None:
        endpoint = chat.Endpoint(model="gpt-4o", concurrency=4)
        lifted = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30s"}
        wire, _, _ = simulate(tmp_path / "j", 20, endpoint, lifted=lifted)
        assert wire.times[7] < 10
        assert 90 < wire.times[8] < 100

    def test_limit_that_was_not_told_fails_nobody(self, tmp_path: Path) -> None:
        """A server that takes 30 requests in any minute, and says no more than 429."""
        endpoint = chat.Endpoint(model="gpt-4o", concurrency=16, seed=0)
        _, answers, stop = simulate(
            tmp_path / "j",
            120,
            endpoint,
            limit=lambda ages: sum(age > -60 for age in ages) >= 30,
        )
        assert stop.reason is None
        assert [one.text for one in answers] == ["fine"] * 120


class TestBreaker:
    def test_server_that_is_started_anew_is_waited_for(self, tmp_path: Path) -> None:
        endpoint = chat.Endpoint(model="gpt-4o", concurrency=16, seed=0)
        wire, answers, _ = simulate(tmp_path / "j", 200, endpoint, down=lambda at: 3 < at < 200)
        assert [one.text for one in answers] == ["fine"] * 200
        assert sum(20 < at < 200 for at in wire.times) <= 6  # one probe at a time

    def test_server_that_stays_away_ends_the_run(self, tmp_path: Path) -> None:
        endpoint = chat.Endpoint(model="gpt-4o", concurrency=16, seed=0)
        wire, answers, stop = simulate(tmp_path / "j", 200, endpoint, down=lambda at: at > 3)
        assert stop.reason
        assert "the server does not work" in stop.reason
        assert 300 < wire.times[-1] < 600
        assert len(wire.times) < 48 + 40 + 9
        kept = (tmp_path / "j").read_bytes().count(b"\n")
        assert kept == sum(one.text == "fine" for one in answers) > 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "batch"


def bodies(count: int) -> Iterator[tuple[str, chat.ChatRequest]]:
    for i in range(count):
        yield f"k{i}", request(f"question {i}")


def written(files: list[Path]) -> list[dict[str, Any]]:
    return [json.loads(line) for path in files for line in path.read_bytes().splitlines()]


def result(custom_id: str, text: str, status: int = 200) -> str:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    body = json.loads(completion("gpt-4o", Reply(text, usage=usage)))
    if status != 200:
        body = {"error": {"message": text}}
    response = {"status_code": status, "request_id": "r", "body": body}
    return json.dumps({"id": "b", "custom_id": custom_id, "response": response, "error": None})


class TestBatch:
    def test_answers_come_back_at_half_the_price(self, folder: Path, tmp_path: Path) -> None:
        journal, output, errors = (tmp_path / name for name in ("journal", "output", "errors"))
        files = chat.write_batch([*bodies(5), *bodies(3)], ENDPOINT, folder, journal)
        lines = written(files)
        assert [path.name for path in files] == ["batch_00001.jsonl"]
        assert [line["body"] for line in lines] == [body for _, body in bodies(5)]
        assert {(line["method"], line["url"]) for line in lines} == {
            ("POST", "/v1/chat/completions")
        }
        ids = [line["custom_id"] for line in lines]
        output.write_text(
            "\n".join([result(ids[2], "two"), result(ids[0], "zero"), result(ids[1], "one")])
        )
        expired = {"custom_id": ids[4], "response": None, "error": {"code": "batch_expired"}}
        errors.write_text(f"{result(ids[3], 'bad field', 400)}\n{json.dumps(expired)}\n")
        summary = chat.read_batch([errors, output], ENDPOINT, journal)
        assert (summary.answered, dict(summary.failed)) == (3, {"rejected": 1, "unsent": 1})
        assert summary.cost_usd == pytest.approx(3 * (1000 * 2.5 + 100 * 10) / 1e6 / 2)
        again = chat.read_batch([output, output], ENDPOINT, journal)
        assert (again.answered, again.from_journal, again.cost_usd) == (0, 6, 0.0)
        self.ask_the_rest(journal)

    def ask_the_rest(self, journal: Path) -> None:
        with ChatServer(lambda _: "asked") as server:
            endpoint = server.endpoint(model="gpt-4o")
            with chat.complete(bodies(5), endpoint, journal, cap_usd=9) as answers:
                got = [one.text for one in answers]
        assert got == ["zero", "one", "two", "asked", "asked"]
        assert len(server.bodies) == 2

    def test_what_the_journal_answers_is_not_written(self, folder: Path, tmp_path: Path) -> None:
        with (
            ChatServer(lambda _: "asked") as server,
            chat.complete(bodies(3), server.endpoint(model="gpt-4o"), tmp_path / "j") as answers,
        ):
            list(answers)
        lines = written(chat.write_batch(bodies(5), ENDPOINT, folder, tmp_path / "j"))
        assert [line["body"] for line in lines] == [body for _, body in list(bodies(5))[3:]]

    @pytest.mark.parametrize(("limit", "value"), [("_REQUESTS_A_FILE", 4), ("_BYTES_A_FILE", 1100)])
    def test_large_ones_are_split(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
    ) -> None:
        monkeypatch.setattr(f"rs_gpt4v.chat_api.batch.{limit}", value)
        files = chat.write_batch(bodies(10), ENDPOINT, folder, tmp_path / "j")
        assert [path.name for path in files] == [f"batch_0000{i}.jsonl" for i in (1, 2, 3)]
        assert [len(written([path])) for path in files] == [4, 4, 2]
        assert sorted(path.name for path in folder.iterdir()) == [path.name for path in files]

    def test_files_at_work_are_not_replaced(self, folder: Path, tmp_path: Path) -> None:
        chat.write_batch(bodies(1), ENDPOINT, folder, tmp_path / "j")
        with pytest.raises(chat.ChatError, match="has batch files already"):
            chat.write_batch(bodies(2), ENDPOINT, folder, tmp_path / "j")

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("{", "line 2: no line of a batch's output"),
            ("[1]", "line 2: no line of a batch's output"),
            (result("mine", "x"), "line 2: custom_id 'mine' is not of a file made by write_batch"),
        ],
    )
    def test_other_files_are_told(self, tmp_path: Path, line: str, said: str) -> None:
        path = tmp_path / "output"
        path.write_text(f"{result('0' * 64, 'fine')}\n{line}\n")
        with pytest.raises(chat.ChatError, match=said):
            chat.read_batch([path], ENDPOINT, tmp_path / "j")
