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
from rs_gpt4v_generation.products import PRODUCTS, ProductName

_VERSION = 1


@cache
def _prompt(name: str) -> str:
    path = files("rs_gpt4v_generation") / "prompt_texts" / f"{name}-{_VERSION}.txt"
    return path.read_text(encoding="utf-8").strip()


def prompt_version(product: ProductName) -> str:
    """The version of a product's prompt and form, with the start of the hash of both.

    >>> prompt_version("detail")[:9]
    'detail-1-'
    """
    parts = [*map(_prompt, ("rules", "no_image", product)), str(PRODUCTS[product].schema)]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return f"{product}-{_VERSION}-{digest[:8]}"


def request_body(
    sheet: FactSheet,
    product: ProductName,
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
        image: A result of `rs_gpt4v.chat_api.image_part`; None to send the facts alone.
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
            "json_schema": {"name": product, "strict": True, "schema": PRODUCTS[product].schema},
        },
        **sampling,
    }
