"""Dialogues as one row a question, each answered after the true turns before it."""

from typing import Any

import datasets

from rs_gpt4v.conversation import whole_columns


def each_turn(rows: datasets.Dataset) -> datasets.Dataset:
    """``rows`` with each dialogue of n questions as n rows.

    Row k, with the id ``ID#k``, ends with the k-th answer, which is its only reference; rows of one
    question stay as they are. The images are neither decoded nor copied.
    """
    ends = [_answers(messages) for messages in whole_columns(rows, "messages")["messages"]]
    if all(len(places) == 1 for places in ends):
        return rows
    turns = [(row, k, end) for row, places in enumerate(ends) for k, end in enumerate(places, 1)]
    columns = whole_columns(rows, "id", "messages", "references")
    changed = [_turn(columns, row, k, end, len(ends[row])) for row, k, end in turns]
    expanded = rows.select([row for row, _, _ in turns])
    order = expanded.column_names
    for name in columns:
        column: Any = [turn[name] for turn in changed]
        expanded = expanded.remove_columns(name).add_column(
            name, column, feature=rows.features[name]
        )
    return expanded.select_columns(order)


def _answers(messages: list[dict[str, str]]) -> list[int]:
    return [i for i, message in enumerate(messages) if message["role"] == "assistant"]


def _turn(columns: dict[str, Any], row: int, k: int, end: int, turns: int) -> dict[str, Any]:
    if turns == 1:
        return {name: column[row] for name, column in columns.items()}
    messages = columns["messages"][row][: end + 1]
    return {
        "id": f"{columns['id'][row]}#{k}",
        "messages": messages,
        "references": [messages[-1]["content"]],
    }
