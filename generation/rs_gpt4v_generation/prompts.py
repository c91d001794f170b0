"""The exact request for one image: its facts, the rules, the task and the form of the reply.

The words stand in ``prompt_texts/NAME-VERSION.txt``. They are part of the request, so any change of
them changes it; `prompt_version` says which they were.
"""

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from rs_gpt4v.chat_api import ChatRequest, Part, text_part
from rs_gpt4v_generation.facts import FactSheet, text
from rs_gpt4v_generation.scene import Product

_VERSION = 1
REASONING_KINDS = ("purpose", "relation", "comparison", "activity", "condition")


@cache
def _prompt(name: str) -> str:
    path = files("rs_gpt4v_generation") / "prompt_texts" / f"{name}-{_VERSION}.txt"
    return path.read_text(encoding="utf-8").strip()


def prompt_version(product: Product) -> str:
    """The version of a product's prompt and form, with the start of the hash of both.

    >>> prompt_version("detail")[:9]
    'detail-1-'
    """
    parts = [_prompt(name) for name in ("rules", "no_image", product)] + [str(SCHEMAS[product])]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f"{product}-{_VERSION}-{digest[:8]}"


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


_TEXT = {"type": "string"}
SCHEMAS: dict[Product, dict[str, Any]] = {
    "conversation": _object(turns=_list(_object(question=_TEXT, answer=_TEXT))),
    "reasoning": _object(
        turns=_list(
            _object(
                kind={"type": "string", "enum": list(REASONING_KINDS)},
                question=_TEXT,
                answer=_TEXT,
            )
        )
    ),
    "detail": _object(instruction=_TEXT, local=_list(_TEXT), description=_TEXT),
}
"""The JSON schema of each product's reply; fields come in this order."""


def request_body(
    sheet: FactSheet,
    product: Product,
    model: str,
    *,
    image: Part | None = None,
    **sampling: Any,
) -> ChatRequest:
    """The JSON body of a chat completion that asks for one product of one image.

    Args:
        sheet: The facts of the image.
        product: What to ask for.
        model: The server's name of the model.
        image: As `rs_gpt4v.chat_api.image_part` makes it; None asks on the facts alone.
        sampling: Further fields of the body: ``temperature``, ``seed``, ``max_tokens``, ...
    """
    facts = f"Facts:\n{text(sheet)}"
    content: Any = f"{facts}\n\n{_prompt('no_image')}"
    if image is not None:
        content = [text_part(facts), image]
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": f"{_prompt('rules')}\n\n{_prompt(product)}"},
            {"role": "user", "content": content},
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": product, "strict": True, "schema": SCHEMAS[product]},
        },
        **sampling,
    }
