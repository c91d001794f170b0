"""Chat templates that let a model learn its answers, and nothing else, and to stop after them."""

import re
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from typing import Any

from jinja2 import TemplateError
from trl.chat_template_utils import (
    get_training_chat_template,
    has_generation_markers,
    is_chat_template_stop_token_trained,
)

from rs_gpt4v.model_families import PALIGEMMA_TEMPLATE

_FOLDER = files("rs_gpt4v_training")
LLAVA15 = _FOLDER.joinpath("llava15.jinja").read_text(encoding="utf-8")
_MARKED = _FOLDER.joinpath("marked.jinja").read_text(encoding="utf-8")

_MARK = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
_PROBE = [
    {"role": role, "content": [{"type": "text", "text": text}]}
    for role, text in (
        ("user", "Which colour?"),
        ("assistant", "green"),
        ("user", "Which shape?"),
        ("assistant", "round"),
    )
]


class UntrainableTemplateError(ValueError):
    """The answers in the chat template cannot be told, so neither can what is to be learned."""


def use_trainable_template(processor: Any, model_type: str, *, given: bool = False) -> None:
    """Give ``processor`` a template whose answers are marked, stop token included.

    The first good one of: its own; ours for LLaVA-1.5, or its own with the marks of `mark_answers`;
    TRL's for this stock template. A BOS that the tokenizer puts before a prompt, but TRL's collator
    does not, goes into the template, so that both read the same tokens. PaliGemma has no template
    and gets ours, without marks: `PrefixSuffixCollator` needs none. A template that the user has
    ``given`` is marked where it needs to be, never replaced.

    Raises:
        UntrainableTemplateError: None is good; the message says why and what to do.
    """
    if model_type == "paligemma":
        processor.chat_template = PALIGEMMA_TEMPLATE
        return None
    fault = "it has none"
    ours = model_type == "llava" and not given and _is_vicuna(processor.chat_template)
    for template in _candidates(processor, ours=ours):
        processor.chat_template = template
        fault = _fault(processor)
        if not fault:
            return _open_with_bos(processor)
    raise UntrainableTemplateError(
        f"The answers in this {model_type} checkpoint's chat template cannot be told: {fault}. "
        "Give a template with {% generation %} ... {% endgeneration %} around each answer and its "
        "stop token: chat_template_path: FILE.jinja"
    )


def mark_answers(template: str) -> str:
    """``template`` with its answers marked; the text that it renders stays the same.

    The template becomes a macro. Called on the messages before an answer it gives the prompt;
    what it adds when called with the answer too is the answer. Where a later turn changes how an
    earlier one is rendered, that does not hold, and rendering raises jinja2's TemplateError.
    """
    # Jinja drops the last newline of a template, but not of a macro.
    return _MARKED.replace("TEMPLATE", _MARK.sub("", template).removesuffix("\n"))


def learned_text(processor: Any) -> str:
    """What would be learned of the answers "green" and "round": the tokens inside the marks."""
    encoded = processor.apply_chat_template(
        [_PROBE], tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    ids, mask = encoded["input_ids"][0], encoded["assistant_masks"][0]
    kept = [token for token, learned in zip(ids, mask, strict=True) if learned]
    return processor.tokenizer.decode(kept)


def _is_vicuna(template: str | None) -> bool:
    """Whether it is LLaVA-1.5's, or none: other checkpoints of this type have other templates."""
    return not template or ("USER:" in template and "ASSISTANT:" in template)


def _candidates(processor: Any, *, ours: bool) -> Iterator[str]:
    stock = processor.chat_template
    if stock:
        yield stock
    if ours:
        yield LLAVA15
    elif stock:
        yield mark_answers(stock)
        processor.chat_template = stock
        # TRL knows some templates that rewrite earlier turns, and says so of any that it does not.
        with suppress(ValueError):
            yield get_training_chat_template(processor) or stock


def _fault(processor: Any) -> str:
    """Why the answers are not learned as they should be; "" where they are."""
    if not has_generation_markers(processor.chat_template):
        return "they are not marked"
    try:
        learned = learned_text(processor)
    except TemplateError as error:
        return str(error)
    if not re.search("green.*round", learned, re.DOTALL):
        return f"{learned!r} would be learned of the answers 'green' and 'round'"
    if not is_chat_template_stop_token_trained(processor):
        return f"{learned!r} would be learned of them, without a stop token"
    return ""


def _open_with_bos(processor: Any) -> None:
    tokenizer = processor.tokenizer
    added = tokenizer("")["input_ids"] == [tokenizer.bos_token_id]
    rendered = processor.apply_chat_template(_PROBE, tokenize=False)
    if added and not rendered.startswith(tokenizer.bos_token):
        processor.chat_template = "{{- bos_token }}" + processor.chat_template
