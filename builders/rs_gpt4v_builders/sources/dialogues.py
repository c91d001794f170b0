r"""Dialogues as published: LLaVA's json and the forms that other trainers made of it.

A file is a list of items, the list under ``data`` of an object, or one item a line::

    {"id": "7", "image": "1.png", "conversations": [{"from": "human", "value": "<image>\nWhy?"},
                                                    {"from": "gpt", "value": "Because."}]}
    {"images": ["1.png", "2.png"], "messages": [{"role": "user", "content": "Which is older?"},
                                                {"role": "assistant", "content": "The first."}]}

    {"query": "And now?", "response": "A field.", "history": [["What is it?", "A road."]]}
    {"instruction": "What is it?", "input": "", "output": "A field.", "images": ["1.png"]}
    {"conversation": [{"human": "What is it?", "assistant": "A field."}], "images": ["1.png"]}
    {"name": "1.png", "conv": [{"Question": "What is it?", "Answer": "A field."}]}

(of LLaVA; TRL, LLaMA-Factory and ms-swift; ms-swift; Alpaca; ms-swift; LHRS-Bot).

``image`` and ``images`` are a name or a list of names, where a name may stand in an object as
``path``; ``conversations`` and ``messages`` may stand for each other, also as JSON in a text, and
so may ``from`` and ``role``, ``value`` and ``content``. With ``objects``, ``<ref-object>`` and
``<bbox>`` in the texts are the next of its ``ref`` and ``bbox``, as in ms-swift. Speakers are human
or user, gpt or assistant, and system, in any case; ``system`` may also be a field of the item. A
text may be a number, or a list of parts. ``<image>`` is taken out wherever it stands. Answers
before the first question and a last question without an answer are left out, which is logged and
listed.
"""

import math
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

LISTS = ("conversations", "messages", "conversation", "conv")
"""Where an item has the list of its turns."""

_ANSWERED = (("instruction", "output"), ("query", "response"))
_TOGETHER = (("human", "assistant"), ("user", "assistant"), ("question", "answer"))
_OBJECTS = {"<ref-object>": "ref", "<bbox>": "bbox"}


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
        # A list that is cut short may end with a line that is an object.
        first = found if path.suffix.lower() in (".jsonl", ".ndjson") else found[:1]
        if not any(isinstance(item, dict) for _, item in first):
            raise
        return found
    if isinstance(content, dict) and isinstance(content.get("data"), list):
        return [(f"{path}, data[{index}]", item) for index, item in enumerate(content["data"])]
    is_line = path.suffix.lower() in (".jsonl", ".ndjson")
    if isinstance(content, dict) and (is_line or turns(content) is not None):
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
        messages = _with_objects(item, messages)
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
    named = _named(item)
    names = named if isinstance(named, list) else [] if named is None else [named]
    if not names and (needs_image or _marks_image(item)):
        reason = f"it names no image under 'image' or 'images': it is {described(item)}"
        raise ItemError("no image", reason)
    return [_image_name(name) for name in names]


def names_in(item: Any) -> list[str]:
    """The names among what an item has for its images; see `record` for what is wrong with it."""
    named = _named(item) if isinstance(item, dict) else None
    values = named if isinstance(named, list) else [named]
    paths = (value.get("path") if isinstance(value, dict) else value for value in values)
    return [path for path in paths if isinstance(path, str)]


def _named(item: dict[str, Any]) -> Any:
    """What an item has in the place of its images."""
    names = ("image", "images", "images_file_names", *(("name",) if "conv" in item else ()))
    named = next((item[name] for name in names if name in item), None)
    folder = item.get("source_dataset")  # of VHM
    if isinstance(folder, str) and folder.strip() and isinstance(named, str):
        return f"{folder.strip()}/{named}"
    return named


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
    name = next((name for name in LISTS if name in item), None)
    if name is None:
        return _of_fields(item)
    found = as_list(item[name])
    return [turn for each in found for turn in _parted(each)] if isinstance(found, list) else found


def as_list(value: Any) -> Any:
    """The list of turns that a value is, also as JSON in a text, or the one turn."""
    if isinstance(value, str):
        value = _parsed(value)
    return [value] if isinstance(value, dict) else value


def is_answered(item: dict[str, Any]) -> bool:
    """Whether a question and its answer are fields of the item itself."""
    return any(all(name in item for name in names) for names in _ANSWERED)


def _of_fields(item: dict[str, Any]) -> list[Any] | None:
    """The turns of an item whose question and answer are fields of it."""
    for question, answer in _ANSWERED:
        if question in item and answer in item:
            history = item.get("history") or []
            asked = [item[question], item.get("input")] if question == "instruction" else []
            texts = [text for text in asked if isinstance(text, str) and text.strip()]
            last = ("\n".join(texts) if texts else item[question], item[answer])
            pairs = [*history, last] if isinstance(history, list) else [history, last]
            return [turn for pair in pairs for turn in _of_pair(pair)]
    return None


def _of_pair(pair: Any) -> list[Any]:
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        return [pair]  # which is no turn
    return [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]


def _parted(turn: Any) -> list[Any]:
    """A turn; or the two that an object has together."""
    if not isinstance(turn, dict) or "from" in turn or "role" in turn:
        return [turn]
    by_name = {name.lower(): value for name, value in turn.items()}
    for names in _TOGETHER:
        if by_name.keys() == set(names):
            return _of_pair([by_name[name] for name in names])
    return [turn]


def _with_objects(item: dict[str, Any], messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """Messages with what ``objects`` say in the places of ``<ref-object>`` and ``<bbox>``."""
    objects = item.get("objects")
    if not isinstance(objects, dict) or not isinstance(objects.get("bbox"), list):
        return messages
    values = {
        mark: iter(_object_texts(objects.get(name) or [], name)) for mark, name in _OBJECTS.items()
    }

    def value(match: re.Match[str]) -> str:
        text = next(values[match[0]], None)
        if text is None:
            reason = f"its texts have more {match[0]} than objects.{_OBJECTS[match[0]]} has values"
            raise ItemError("objects that differ from the text", reason)
        return text

    pattern = "|".join(map(re.escape, _OBJECTS))
    filled = [m | {"content": re.sub(pattern, value, m["content"])} for m in messages]
    if any(next(rest, None) is not None for rest in values.values()):
        reason = "its objects have more values than its texts have <ref-object> and <bbox>"
        raise ItemError("objects that differ from the text", reason)
    return filled


def _object_texts(values: list[Any], name: str) -> list[str]:
    texts = []
    for index, value in enumerate(values):
        if name == "ref" and isinstance(value, str):
            texts.append(value)
        elif name == "bbox" and _is_box(value):
            texts.append(f"[{', '.join(f'{number:.10g}' for number in value)}]")
        else:
            what = "a text" if name == "ref" else "four numbers: x_min, y_min, x_max, y_max"
            reason = f"objects.{name}[{index}] is {described(value)}, expected {what}"
            raise ItemError("object of another form", reason)
    return texts


def _is_box(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 4
        and all(type(number) in (int, float) and math.isfinite(number) for number in value)
    )


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
