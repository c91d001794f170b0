"""The schema's rules, each broken once."""

import re
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rs_gpt4v.conversation import InvalidConversationError, check, dialogue_problem


def rows(*conversations: list[tuple[str, str]], ids: list[str] | None = None) -> pa.Table:
    messages: list[Any] = [
        [{"role": role, "content": content} for role, content in conversation]
        for conversation in conversations
    ]
    kind = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    return pa.table(
        {
            "id": pa.array(ids or [f"row{i}" for i in range(len(conversations))], pa.string()),
            "messages": pa.array(messages, kind),
        }
    )


GOOD = [("user", "Is it rural?"), ("assistant", "yes")]


@pytest.mark.parametrize(
    "conversation",
    [GOOD, GOOD + GOOD, [("system", "Be brief."), *GOOD]],
    ids=["one turn", "two turns", "system"],
)
def test_good(conversation: list[tuple[str, str]]) -> None:
    check(rows(GOOD, conversation, GOOD))


@pytest.mark.parametrize(
    ("conversation", "rule"),
    [
        ([("user", "Is it?"), ("assistant", " \n")], "one of its messages is empty"),
        ([("user", ""), ("assistant", "yes")], "one of its messages is empty"),
        ([("user", "<image>\nIs it?"), ("assistant", "yes")], "holds '<image>'"),
        ([("user", "Is it?"), ("assistant", "a <video> of it")], "holds '<video>'"),
        ([("user", "Is it <audio>?"), ("assistant", "yes")], "holds '<audio>'"),
        ([("user", "Is it?"), ("assistant", "\u200b\u00a0\ufeff")], "one of its messages is empty"),
        ([*GOOD, ("user", "And now?")], "roles do not go user, assistant, .* up to an answer"),
        ([("assistant", "yes"), ("user", "Is it?")], "roles do not go user, assistant"),
        ([("user", "Is it?"), ("user", "Is it?")], "roles do not go user, assistant"),
        ([("user", "Is it?")], "roles do not go user, assistant"),
        ([*GOOD, ("system", "Be brief."), *GOOD], "roles do not go user, assistant"),
        ([("system", "Be brief.")], "roles do not go user, assistant"),
        ([], "it has no messages"),
        ([("human", "Is it?"), ("gpt", "yes")], "roles do not go user, assistant"),
    ],
)
def test_broken_rule_names_the_row(conversation: list[tuple[str, str]], rule: str) -> None:
    with pytest.raises(InvalidConversationError, match=f"^row1: .*{rule}.* \\(1 such rows\\)$"):
        check(rows(GOOD, conversation, GOOD))


@pytest.mark.parametrize(
    "text", ["<images>", "< image >", "<IMAGE>", "a.b <c> d", "\u200byes", "0"]
)
def test_what_only_looks_like_a_marker_is_a_text(text: str) -> None:
    check(rows([("user", text), ("assistant", text)]))


def test_the_first_bad_row_is_named_whatever_its_fault() -> None:
    twice = [("user", "a"), ("user", "<image>")]
    with pytest.raises(InvalidConversationError, match=r"^row1: .*empty \(3 such rows\)$"):
        check(rows(GOOD, [("user", "a"), ("assistant", "")], twice, twice))


def test_rows_of_a_slice_are_told_from_those_before_it() -> None:
    bad = [("user", "a")]
    check(rows(bad, GOOD, GOOD).slice(1))
    with pytest.raises(InvalidConversationError, match=r"^row1: "):
        check(rows(GOOD, bad).slice(1))


MESSAGES = st.lists(
    st.fixed_dictionaries(
        {
            "role": st.sampled_from(["system", "user", "assistant"]),
            "content": st.sampled_from(["", " ", "yes", "<image>", "\u200b"]),
        }
    ),
    max_size=4,
)


@settings(deadline=None)  # the first call imports
@given(MESSAGES)
def test_one_dialogue_is_judged_as_a_column_of_them(messages: list[dict[str, str]]) -> None:
    problem = dialogue_problem(messages)
    table = rows(GOOD, [(m["role"], m["content"]) for m in messages])
    if problem is None:
        check(table)
    else:
        with pytest.raises(InvalidConversationError, match=re.escape(f"row1: {problem}")):
            check(table)


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        (None, "not a list of objects"),
        ("user", "not a list of objects"),
        ([["user", "Is it?"]], "not a list of objects"),
        ([{"role": "user"}], "not a list of objects"),
        ([{"role": "user", "content": None}, {"role": "assistant", "content": "a"}], "not a list"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "\ud800"}], "surrog"),
        ([{"role": "user", "content": "a"}], "up to an answer"),
    ],
)
def test_whatever_is_no_dialogue_is_told(messages: object, problem: str) -> None:
    assert problem in (dialogue_problem(messages) or "")


def test_a_system_message_opens_a_dialogue_only_where_there_may_be_one() -> None:
    messages = [{"role": r, "content": "a"} for r in ("system", "user", "assistant")]
    assert dialogue_problem(messages) is None
    assert "do not go user" in (dialogue_problem(messages, system=False) or "")


def test_repeated_id() -> None:
    with pytest.raises(InvalidConversationError, match=r"^b: its id occurs twice"):
        check(rows(GOOD, GOOD, GOOD, ids=["a", "b", "b"]))


def test_no_rows() -> None:
    check(rows())
