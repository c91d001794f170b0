"""What a model replies: read, or named for what is wrong with it."""

import json
import re
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs_gpt4v_generation.checks import check, failures
from rs_gpt4v_generation.facts import fact_sheet, text
from rs_gpt4v_generation.products import PRODUCTS, Dialogue, ProductName
from rs_gpt4v_generation.replies import Unusable, parse

TURN = {"question": "How many ships are there?", "answer": "There are two ships."}
GOOD = json.dumps({"turns": [TURN, {"question": "Where?", "answer": "On the left."}]})


def example(product: ProductName) -> tuple[str, str]:
    """The facts and the reply of a prompt's worked example."""
    path = files("rs_gpt4v_generation") / "prompt_texts" / f"{product}-1.txt"
    said = path.read_text(encoding="utf-8")
    facts, reply = re.split(r"\n\nReply:\n", said.split("Example. Facts:\n")[1])
    return facts, reply


def drawn(facts: str) -> list[dict[str, Any]]:
    """The boxes that a sheet states."""
    lines = re.findall(r"^- (\D+) \d+: (?:box|corners) (.*?), \d+ x", facts, re.MULTILINE)
    return [
        {"label": name, "points": [float(v) for v in re.findall(r"\d+", where)]}
        for name, where in lines
    ]


@pytest.mark.parametrize("product", PRODUCTS)
def test_worked_examples_are_what_they_teach(product: ProductName) -> None:
    facts, reply = example(product)
    sheet = fact_sheet(drawn(facts), 800, 800)
    assert text(sheet) == facts
    told = parse(reply, product, "stop")
    assert isinstance(told, Dialogue)
    assert not failures(check(told.messages, sheet, product))


def test_turns_become_messages() -> None:
    told = parse(GOOD, "conversation")
    assert isinstance(told, Dialogue)
    assert [m["role"] for m in told.messages] == ["user", "assistant"] * 2
    assert told.messages[1]["content"] == "There are two ships."


@pytest.mark.parametrize(
    "reply",
    [
        f"```json\n{GOOD}\n```",
        f"Here it is:\n{GOOD}\nAnything else?",
        json.dumps(
            {
                "messages": [
                    {"role": "system", "content": "s"},
                    {"role": "user", "content": "How many ships are there?"},
                    {"role": "assistant", "content": "There are two ships."},
                ]
            }
        ),
    ],
    ids=["fenced", "between words", "messages"],
)
def test_other_dressings_are_accepted(reply: str) -> None:
    told = parse(reply, "conversation")
    assert isinstance(told, Dialogue)
    assert told.messages[0]["content"] == "How many ships are there?"


def test_detail_keeps_its_parts_and_reasoning_its_kinds() -> None:
    detail = parse('{"instruction": "I", "local": ["a", "b"], "description": "D"}', "detail")
    assert isinstance(detail, Dialogue)
    assert detail.local == ("a", "b")
    assert [m["content"] for m in detail.messages] == ["I", "D"]
    reasoning = parse(json.dumps({"turns": [TURN | {"kind": "purpose"}]}), "reasoning")
    assert isinstance(reasoning, Dialogue)
    assert reasoning.kinds == ("purpose",)


def roles(*names: str) -> str:
    return json.dumps({"messages": [{"role": name, "content": "x"} for name in names]})


@pytest.mark.parametrize(
    ("reply", "finish", "wrong", "reason"),
    [
        (None, None, "empty", "empty"),
        ("  ", "stop", "empty", "empty"),
        ("I'm sorry, but I can't assist with that.", "stop", "refused", "sorry"),
        ("I cannot describe {this}", "stop", "no JSON", "Expecting property name"),
        ("As an AI, I see nothing", "stop", "refused", "As an AI"),
        (GOOD, "length", "truncated", "max_tokens"),
        (GOOD, "content_filter", "refused", "filter"),
        (GOOD[:-30], None, "truncated", "Unterminated|Expecting"),
        ("The image shows ships.", "stop", "no JSON", "expected a JSON object"),
        ('{"turns": [}', "stop", "no JSON", "Expecting value"),
        ('{"a":' + "[" * 200_000, "stop", "no JSON", "."),
        ("{}", "stop", "missing field", "no list 'turns'"),
        ('{"turns": []}', "stop", "missing field", "list 'turns' is empty"),
        ('{"turns": ["a"]}', "stop", "missing field", "turn 0 is no object"),
        ('{"turns": [{"question": "a"}]}', "stop", "missing field", "turn 0 has no text 'answer'"),
        ('{"turns": [{"question": "a", "answer": 3}]}', "stop", "missing field", "is a int"),
        ('{"turns": [{"question": "a", "answer": " "}]}', "stop", "empty turn", "turn 0"),
        ('{"turns": [{"question": "<image> a", "answer": "b"}]}', "stop", "roles", "<image>"),
        ('{"turns": [{"question": "a", "answer": "\u200b"}]}', "stop", "empty turn", "is empty"),
        ('{"turns": [{"question": "a", "answer": "a <video>"}]}', "stop", "roles", "'<video>'"),
        (r'{"turns": [{"question": "a", "answer": "\ud800"}]}', "stop", "garbled", "surrogate"),
        (roles("system"), "stop", "roles", "no messages"),
        (roles("assistant", "user"), "stop", "roles", "roles do not go user, assistant"),
        (roles("user"), "stop", "roles", "roles do not go user, assistant"),
        (roles("user", "user"), "stop", "roles", "roles do not go user, assistant"),
    ],
)
def test_what_is_wrong_is_named(
    reply: str | None, finish: str | None, wrong: str, reason: str
) -> None:
    told = parse(reply, "conversation", finish)
    assert isinstance(told, Unusable)
    assert told.kind == wrong
    assert re.search(reason, told.reason)


@given(st.text(), st.sampled_from([*PRODUCTS]))
def test_no_text_raises(reply: str, product: ProductName) -> None:
    assert isinstance(parse(reply, product), (Dialogue, Unusable))


@given(st.integers(0, len(GOOD) - 1))
def test_every_cut_of_a_good_reply_is_unusable(end: int) -> None:
    told = parse(GOOD[:end], "conversation")
    assert isinstance(told, Unusable)
    assert told.kind in ("empty", "truncated")
