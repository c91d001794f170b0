"""Asking, and asking again: what judges and generators share."""

from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer, plan, unauthorized

from rs_gpt4v import chat_api as chat


def asker(server: ChatServer, folder: Path, **options: Any) -> chat.Asker:
    fields: dict[str, Any] = {"max_tokens": 9} | options
    endpoint = server.endpoint(concurrency=1)
    return chat.Asker(endpoint=endpoint, journal=folder / "journal", **fields)


def body(item: str, time: int) -> tuple[str, chat.ChatRequest]:
    return item, {"model": "m", "messages": [{"role": "user", "content": item}], "seed": time}


def test_what_is_not_usable_is_asked_again_a_number_of_times(tmp_path: Path) -> None:
    with ChatServer(lambda asked: str(asked["seed"])) as server:
        rounds = asker(server, tmp_path).ask(
            ["good", "bad", "late"],
            body,
            lambda item, answer: item == "good" or (item, answer.text) == ("late", "1"),
            times=3,
            desc="Asking",
        )
    sent = [(one["messages"][0]["content"], one["seed"]) for one in server.bodies]
    assert sent == [("good", 0), ("bad", 0), ("late", 0), ("bad", 1), ("late", 1), ("bad", 2)]
    assert [one.answered for one in rounds.summaries] == [3, 2, 1]
    assert (rounds.stopped, list(rounds.unanswered)) == (None, [])


def test_what_a_stopped_run_did_not_come_to_is_told(tmp_path: Path) -> None:
    items = [f"item {place}" for place in range(40)]
    answered: list[str] = []

    def is_usable(item: str, answer: chat.Answer) -> bool:
        answered.append(item)
        return answer.text != "one"

    with ChatServer(plan("one", "two", then=unauthorized())) as server:
        rounds = asker(server, tmp_path).ask(items, body, is_usable, times=2, desc="Asking")
    assert rounds.stopped
    assert "401" in rounds.stopped
    assert [*answered, *rounds.unanswered] == items
    assert len(rounds.summaries) == 1


def test_nothing_is_asked_of_nothing(tmp_path: Path) -> None:
    with ChatServer(lambda _: "fine") as server:
        assert asker(server, tmp_path).ask([], body, lambda *_: True, 3, "").summaries == []
        assert asker(server, tmp_path).without_schema_if_refused([]).with_schema
    assert not server.bodies


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, {"a": 1, "response_format": "own"}),
        ({"with_schema": False}, {"a": 1}),
        (
            {"with_schema": False, "body": {"response_format": "other"}},
            {"a": 1, "response_format": "other"},
        ),
        ({"body": {"a": None, "b": 2}}, {"response_format": "own", "b": 2}),
    ],
)
def test_further_fields_win_and_none_takes_out(
    options: dict[str, Any], sent: dict[str, Any], tmp_path: Path
) -> None:
    with ChatServer(lambda _: "fine") as server:
        wanted = asker(server, tmp_path, **options).request({"a": 1, "response_format": "own"})
    assert wanted == sent
