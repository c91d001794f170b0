"""What a judge is told: its instructions, versioned text files, and the pair to judge as JSON.

The pair's texts stand in one JSON object, so that no answer can close its place and speak to the
judge in another's name.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from rs_gpt4v.chat_api import text_part
from rs_gpt4v_evaluation.judge.replies import CHOICES
from rs_gpt4v_evaluation.rs_judge.measure import GROUPS, HIGHEST, LOWEST

VERSIONS = {"conversation": "conversation_v1", "detail": "detail_v1", "pairwise": "pairwise_v1"}
_ANSWERS: dict[str, dict[str, Any]] = {
    # An enumeration holds on every server that knows schemas at all; bounds of numbers do not.
    "score": {"type": "integer", "enum": list(range(LOWEST, HIGHEST + 1))},
    "better": {"type": "string", "enum": list(CHOICES)},
}
_UNREAD = (
    "Your reply could not be used: {problem}. Judge the same material again and reply with one "
    'JSON object and nothing else: {{"reason": "<one or two sentences>", {form}}}'
)
_FORMS = {
    "score": f'"score": <one whole number from {LOWEST} to {HIGHEST}>',
    "better": '"better": "first", "second" or "tie"',
}


@dataclass(frozen=True, slots=True)
class Question:
    """One question to judge the answers of: a turn, or the request for a description.

    ``group`` is "conversation" or "detail"; ``history`` the dialogue before it.
    """

    group: str
    history: Sequence[Mapping[str, Any]]
    question: str
    references: Sequence[str]


@cache
def instructions(name: str) -> str:
    """The text of a prompt: "conversation", "detail" or "pairwise"."""
    file = files("rs_gpt4v_evaluation.judge") / "prompts" / f"{VERSIONS[name]}.txt"
    return file.read_text(encoding="utf-8").strip()


def messages(
    prompt: str, question: Question, answers: Mapping[str, str], images: Sequence[Any] = ()
) -> list[dict[str, Any]]:
    """The messages that ask for a verdict on ``answers``; ``images`` are parts of a message.

    ``prompt`` is the question's group for the score of one "answer", or "pairwise" for the better
    of the answers "first" and "second".
    """
    references = list(question.references)
    content = {
        "earlier_turns": [
            {"role": turn["role"], "content": turn["content"]} for turn in question.history
        ],
        "question": question.question,
        "reference": references[0] if len(references) == 1 else references,
        **answers,
    }
    text = json.dumps(content, ensure_ascii=False, indent=1)
    return [
        {"role": "system", "content": instructions(prompt)},
        {"role": "user", "content": [*images, text_part(text)]},
    ]


def again(asks: str, reply: str | None, problem: str) -> list[dict[str, Any]]:
    """The messages that follow a reply without a usable answer: the reply, and what was wrong."""
    earlier = [{"role": "assistant", "content": reply}] if reply else []
    note = _UNREAD.format(problem=problem, form=_FORMS[asks])
    return [*earlier, {"role": "user", "content": note}]


def schema(asks: str) -> dict[str, Any]:
    """The ``response_format`` of a reply with a reason and then a "score" or "better".

    The reason comes first, so that the verdict follows from it and not it from the verdict.
    """
    properties = {"reason": {"type": "string"}, asks: _ANSWERS[asks]}
    return {
        "type": "json_schema",
        "json_schema": {
            "name": "verdict",
            "strict": True,
            "schema": {
                "type": "object",
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            },
        },
    }


def prompt_hash(asks: str, *, with_image: bool, with_schema: bool) -> str:
    """8 hex digits of everything that a judge is told, the pairs' own words and images aside."""
    blank = Question("conversation", [{"role": "user", "content": "?"}], "?", ["?"])
    content = {
        "messages": [
            messages(prompt, blank, {asks: "?"}, ["image"] * with_image)
            for prompt in (GROUPS if asks == "score" else ["pairwise"])
        ],
        "again": again(asks, "?", "?"),
        "schema": schema(asks) if with_schema else None,
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]
