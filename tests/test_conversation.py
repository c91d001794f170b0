"""The schema's rules, each broken once."""

from typing import Any

import pyarrow as pa
import pytest

from rs_gpt4v.conversation import InvalidConversationError, check


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
        ([("user", "Is it?"), ("assistant", " \n")], "a message is empty"),
        ([("user", ""), ("assistant", "yes")], "a message is empty"),
        ([("user", "<image>\nIs it?"), ("assistant", "yes")], "holds '<image>'"),
        ([("assistant", "yes"), ("user", "Is it?")], "roles must go user, assistant"),
        ([("user", "Is it?"), ("user", "Is it?")], "roles must go user, assistant"),
        ([("user", "Is it?")], "roles must go user, assistant"),
        ([*GOOD, ("system", "Be brief."), *GOOD], "roles must go user, assistant"),
        ([("system", "Be brief.")], "roles must go user, assistant"),
        ([], "roles must go user, assistant"),
        ([("human", "Is it?"), ("gpt", "yes")], "roles must go user, assistant"),
    ],
)
def test_broken_rule_names_the_row(conversation: list[tuple[str, str]], rule: str) -> None:
    with pytest.raises(InvalidConversationError, match=f"^row1: .*{rule}.* \\(1 in all\\)$"):
        check(rows(GOOD, conversation, GOOD))


def test_repeated_id() -> None:
    with pytest.raises(InvalidConversationError, match=r"^b: the id occurs twice"):
        check(rows(GOOD, GOOD, GOOD, ids=["a", "b", "b"]))


def test_no_rows() -> None:
    check(rows())
