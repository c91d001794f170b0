"""The products of one image, each with the form of its reply, its reader and its limits.

A product also has a prompt, ``prompt_texts/NAME-VERSION.txt``.
"""

import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from rs_gpt4v.chat_api import FailureKind
from rs_gpt4v.chat_api.answers import half_character
from rs_gpt4v.conversation import Message

ProductName = Literal["conversation", "reasoning", "detail", "planning"]
PAPERS: tuple[ProductName, ...] = ("conversation", "reasoning", "detail")
"""What the paper asks for; it only promises plans."""
UnusableKind: TypeAlias = (
    Literal["empty", "refused", "truncated", "no JSON", "missing field", "roles", "empty turn"]
    | FailureKind
)
"""What is wrong with a reply, or why there is none."""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A reply that can be checked.

    Attributes:
        messages: User and assistant in turn.
        kinds: Of "reasoning", the kind of each turn.
        local: Of "detail", what was said of the parts first.
    """

    messages: tuple[Message, ...]
    kinds: tuple[str, ...] = ()
    local: tuple[str, ...] = ()


class UnusableError(Exception):
    """A reply is no dialogue; the message is for people."""

    def __init__(self, kind: UnusableKind, reason: str) -> None:
        super().__init__(reason)
        self.kind: UnusableKind = kind


class Limits(NamedTuple):
    """Turns, words of a question, and fewest and most words of an answer."""

    turns: int
    question_words: int
    answer_words: tuple[int, int]


class Product(NamedTuple):
    """A kind of dialogue.

    Attributes:
        schema: The JSON schema of the reply; fields come in this order.
        read: From the reply's JSON to the dialogue; raises UnusableError.
        limits: What the check of length allows.
        config: The config of a release that has it.
    """

    schema: dict[str, Any]
    read: Callable[[dict[str, Any]], Dialogue]
    limits: Limits
    config: str


def _object(**properties: Any) -> dict[str, Any]:
    """A JSON object that has just these fields, as strict structured output wants it."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _field(content: dict[str, Any], name: str, where: str = "the reply") -> str:
    value = content.get(name)
    if not isinstance(value, str):
        problem = f"found {sorted(content)}" if value is None else f"it is a {type(value).__name__}"
        raise UnusableError("missing field", f"{where} has no text {name!r}: {problem}")
    if not value.strip():
        raise UnusableError("empty turn", f"{where} has an empty {name!r}")
    if half := half_character(value):
        raise UnusableError("garbled", f"{where}: {name!r} {half}")
    return value.strip()


def _listed(content: dict[str, Any], name: str) -> list[Any]:
    value = content.get(name)
    if value == []:
        raise UnusableError("missing field", f"the reply's list {name!r} is empty")
    if not isinstance(value, list):
        raise UnusableError(
            "missing field", f"the reply has no list {name!r}: found {sorted(content)}"
        )
    return value


def _turns(content: dict[str, Any]) -> tuple[Message, ...]:
    if "messages" in content:
        return _messages(_listed(content, "messages"))
    messages: list[Message] = []
    for index, turn in enumerate(_listed(content, "turns")):
        where = f"turn {index}"
        if not isinstance(turn, dict):
            raise UnusableError("missing field", f"{where} is no object: {reprlib.repr(turn)}")
        messages.append({"role": "user", "content": _field(turn, "question", where)})
        messages.append({"role": "assistant", "content": _field(turn, "answer", where)})
    return tuple(messages)


def _messages(items: list[Any]) -> tuple[Message, ...]:
    """Messages with a role and content, where a model wrote these; a system message is dropped."""
    objects = [item for item in items if isinstance(item, dict) and item.get("role") != "system"]
    return tuple(
        {
            "role": cast(Any, item.get("role")),
            "content": _field(item, "content", f"message {index}"),
        }
        for index, item in enumerate(objects)
    )


def _reasoning(content: dict[str, Any]) -> Dialogue:
    messages = _turns(content)
    turns = content.get("turns", [])
    return Dialogue(
        messages, kinds=tuple(_field(t, "kind", f"turn {i}") for i, t in enumerate(turns))
    )


def _detail(content: dict[str, Any]) -> Dialogue:
    question: Message = {"role": "user", "content": _field(content, "instruction")}
    answer: Message = {"role": "assistant", "content": _field(content, "description")}
    local = tuple(_field({"local": text}, "local") for text in _listed(content, "local"))
    return Dialogue((question, answer), local=local)


PLACES = {
    "left": "on the left",
    "right": "on the right",
    "centre": "in the centre",
    **{row: f"at the {row}" for row in ("top", "bottom")},
    **{
        f"{row} {side}": f"in the {row} {side}"
        for row in ("top", "bottom")
        for side in ("left", "right")
    },
    "anywhere": "",
}
"""Where an object of a plan lies, as sheets say and as sentences do."""
_LEAST_STEPS = 2


def _plan(content: dict[str, Any]) -> Dialogue:
    """The goal and the steps, one a line, in words in which the checks read objects and places.

    "Step 2: Measure the way (storage tanks in the top left, ship on the right)."
    """
    question: Message = {"role": "user", "content": _field(content, "goal")}
    steps = [_step(number, step) for number, step in enumerate(_listed(content, "steps"), 1)]
    if len(steps) < _LEAST_STEPS:
        raise UnusableError("missing field", f"a plan has {_LEAST_STEPS} steps or more")
    return Dialogue((question, {"role": "assistant", "content": "\n".join(steps)}))


def _step(number: int, step: Any) -> str:
    where = f"step {number}"
    if not isinstance(step, dict) or not isinstance(step.get("objects"), list):
        raise UnusableError("missing field", f"{where} has no list 'objects': {reprlib.repr(step)}")
    action = _field(step, "action", where).rstrip(" .")
    objects = [_object_of_step(item, where) for item in step["objects"]]
    return (
        f"Step {number}: {action} ({', '.join(objects)})."
        if objects
        else f"Step {number}: {action}."
    )


def _object_of_step(item: Any, where: str) -> str:
    if not isinstance(item, dict):
        raise UnusableError("missing field", f"{where}: an object is {reprlib.repr(item)}")
    name, place = (_field(item, field, f"an object of {where}") for field in ("name", "place"))
    if place not in PLACES:
        known = ", ".join(PLACES)
        raise UnusableError(
            "missing field", f"{where}: the place {reprlib.repr(place)} is none of {known}"
        )
    return f"{name} {PLACES[place]}".strip()


_TEXT = {"type": "string"}
_KIND = {"enum": ["purpose", "relation", "comparison", "activity", "condition"]}
PRODUCTS: dict[ProductName, Product] = {
    "conversation": Product(
        _object(turns=_list(_object(question=_TEXT, answer=_TEXT))),
        lambda content: Dialogue(_turns(content)),
        Limits(10, 50, (1, 120)),
        config="conversation",
    ),
    "reasoning": Product(
        _object(turns=_list(_object(kind=_TEXT | _KIND, question=_TEXT, answer=_TEXT))),
        _reasoning,
        Limits(6, 60, (8, 200)),
        config="conversation",
    ),
    "detail": Product(
        _object(instruction=_TEXT, local=_list(_TEXT), description=_TEXT),
        _detail,
        Limits(1, 40, (50, 450)),
        config="detail",
    ),
    "planning": Product(
        _object(
            goal=_TEXT,
            steps=_list(
                _object(
                    action=_TEXT,
                    objects=_list(_object(name=_TEXT, place=_TEXT | {"enum": [*PLACES]})),
                )
            ),
        ),
        _plan,
        Limits(1, 60, (20, 300)),
        config="conversation",
    ),
}
