r"""Dialogues as published: LLaVA's json and the forms that other trainers made of it.

A file is a list of items, the list under ``data`` of an object, or one item a line::

    {"id": "7", "image": "1.png", "conversations": [{"from": "human", "value": "<image>\nWhy?"},
                                                    {"from": "gpt", "value": "Because."}]}
    {"images": ["1.png", "2.png"], "messages": [{"role": "user", "content": "Which is older?"},
                                                {"role": "assistant", "content": "The first."}]}

``image`` and ``images`` are a name or a list of names, where a name may stand in an object as
``path``; ``conversations`` and ``messages`` may stand for each other, and so may ``from`` and
``role``, ``value`` and ``content``. Speakers are human or user, gpt or assistant, and system, in
any case; ``system`` may also be a field of the item. A text may be a number, or a list of parts.
``<image>`` is taken out wherever it stands. Answers before the first question and a last question
without an answer are left out, which is logged and listed.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rs_gpt4v_builders.sources.reading import (
    AnnotationError,
    described,
    parse_json,
    read_json,
    read_text,
)

ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}
"""The role of each speaker, in lower case."""

IMAGE_MARK = "<image>"


class ItemError(ValueError):
    """What is wrong with an item: kind and reason of `rs_gpt4v.records.PROBLEM`."""


def items(path: Path) -> list[tuple[str, Any]]:
    """The items of a file, each with where it stands.

    Raises:
        AnnotationError: The file has another form.
    """
    try:
        content = read_json(path)
    except AnnotationError:
        text = read_text(path).split("\n")  # splitlines() also parts at the U+2028 of a text
        lines = [(n, line) for n, line in enumerate(text, 1) if line.strip()]
        found = [(f"{path}, line {number}", _parsed(line)) for number, line in lines]
        if not found or not isinstance(found[0][1], dict):
            raise
        return found
    if isinstance(content, dict) and isinstance(content.get("data"), list):
        return [(f"{path}, data[{index}]", item) for index, item in enumerate(content["data"])]
    if isinstance(content, dict) and turns(content) is not None:
        return [(f"{path}, line 1", content)]
    if not isinstance(content, list):
        raise AnnotationError(
            f"{path}: expected a list of objects, or an object a line, found {described(content)}"
        )
    return [(f"{path}, item {index}", item) for index, item in enumerate(content)]


def _parsed(line: str) -> Any:
    try:
        return parse_json(line)
    except (ValueError, RecursionError):
        return line


def keys(of_items: Sequence[Any]) -> list[str]:
    """The items' ids where each has its own, or else their places in the file, from 0."""
    stated = [item.get("id") for item in of_items if isinstance(item, dict)]
    ids = [str(i) for i in stated if isinstance(i, str | int)]
    if len(set(filter(str.strip, ids))) == len(of_items):
        return ids
    return [f"{index:06d}" for index in range(len(of_items))]


def record(
    item: Any, where: str, find: Callable[[str], str], *, needs_image: bool = True
) -> dict[str, Any]:
    """The record of an item as `rs_gpt4v.records.DIALOGUES`, but for its key.

    Args:
        item: As parsed, or what is wrong with it already.
        where: File and item, for errors.
        find: The name in the records of an image, by the item's name of it; or an `ItemError`.
        needs_image: Whether an item without an image cannot be used.
    """
    try:
        images = [find(name) for name in _image_names(item, needs_image=needs_image)]
        messages, left_out = _messages(item)
    except ItemError as problem:
        kind, reason = problem.args
        return {"where": where, "problem": (kind, f"{where}: {reason}")}
    reason = f"{where}: {left_out} turns before the first question or after the last answer"
    return {
        "where": where,
        "image": images[0] if images else None,
        "further_images": images[1:] or None,
        "messages": messages,
        "change": ("turns left out", reason) if left_out else None,
    }


def _image_names(item: Any, *, needs_image: bool) -> list[str]:
    """The images that an item names, in order."""
    if isinstance(item, ItemError):
        raise item
    if not isinstance(item, dict):
        raise ItemError("item of another form", f"expected an object, found {described(item)}")
    named = item.get("image", item.get("images"))
    names = named if isinstance(named, list) else [] if named is None else [named]
    if not names and (needs_image or _marks_image(item)):
        reason = f"it names no image under 'image' or 'images': it is {described(item)}"
        raise ItemError("no image", reason)
    return [_image_name(name) for name in names]


def names_in(item: Any) -> list[str]:
    """The names among what an item has for its images; see `record` for what is wrong with it."""
    named = item.get("image", item.get("images")) if isinstance(item, dict) else None
    values = named if isinstance(named, list) else [named]
    paths = (value.get("path") if isinstance(value, dict) else value for value in values)
    return [path for path in paths if isinstance(path, str)]


def _image_name(value: Any) -> str:
    name = value.get("path") if isinstance(value, dict) else value
    if not isinstance(name, str) or not name.strip():
        raise ItemError("no image", f"its image is {described(value)}, expected a file's name")
    return name.strip()


def _marks_image(item: dict[str, Any]) -> bool:
    spoken = turns(item)
    return isinstance(spoken, list) and any(IMAGE_MARK in str(turn) for turn in spoken)


def turns(item: dict[str, Any]) -> Any:
    """What an item has in the place of its dialogue."""
    return item.get("conversations", item.get("messages"))


def _messages(item: dict[str, Any]) -> tuple[list[dict[str, str]], int]:
    """The dialogue from its first question to its last answer, and how many turns that leaves out.

    A system message at its start is kept.
    """
    found = turns(item)
    if not isinstance(found, list) or not found:
        reason = "expected a list under 'conversations' or 'messages'"
        raise ItemError("no messages", f"{reason}, found {described(found)} in {described(item)}")
    messages = [_message(turn, index) for index, turn in enumerate(found)]
    if isinstance(item.get("system"), str) and item["system"].strip():
        messages.insert(0, {"role": "system", "content": _unmarked(item["system"])})
    system = messages[:1] if messages[0]["role"] == "system" else []
    spoken = messages[len(system) :]
    start = next((n for n, m in enumerate(spoken) if m["role"] == "user"), len(spoken))
    end = len(spoken) - (spoken[-1:] != [] and spoken[-1]["role"] == "user")
    if start >= end:
        raise ItemError("no messages", "it has no question with an answer")
    return system + spoken[start:end], len(spoken) - (end - start)


def _message(turn: Any, index: int) -> dict[str, str]:
    if not isinstance(turn, dict):
        reason = f"turn {index} is {described(turn)}, expected an object"
        raise ItemError("turn of another form", reason)
    speaker = turn.get("from", turn.get("role"))
    if not isinstance(speaker, str) or speaker.strip().lower() not in ROLES:
        reason = f"turn {index} is by {described(speaker)}, expected {', '.join(ROLES)}"
        raise ItemError("unknown speaker", f"{reason}; it is {described(turn)}")
    value = turn.get("value", turn.get("content"))
    if (words := _words(value)) is None:
        reason = f"turn {index} says {described(value)}, expected text under 'value' or 'content'"
        raise ItemError("turn without text", f"{reason}; it is {described(turn)}")
    return {"role": ROLES[speaker.strip().lower()], "content": _unmarked(words)}


def _unmarked(text: str) -> str:
    return re.sub(f" ?{IMAGE_MARK}", "", text).strip()


def _words(value: Any) -> str | None:
    """A turn's text: a string, a whole number, or the texts of a list of parts."""
    if type(value) is int:
        return str(value)
    if isinstance(value, list):
        texts = [_part(part) for part in value if isinstance(part, dict)]
        whole = len(texts) == len(value) and None not in texts
        return "\n".join(text for text in texts if text) if whole else None
    return value if isinstance(value, str) else None


def _part(part: dict[str, Any]) -> str | None:
    """The text of a part; that of an image is empty, that of anything else is unknown."""
    if part.get("type") == "image":
        return ""
    text = part.get("text")
    return text if part.get("type") == "text" and isinstance(text, str) else None
