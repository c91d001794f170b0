"""Chat templates that let a model learn its answers, and nothing else, and to stop after them."""

from importlib.resources import files
from typing import Any

LLAVA15 = files("rs_gpt4v_training").joinpath("llava15.jinja").read_text(encoding="utf-8")

_PROBE = [
    {"role": "user", "content": [{"type": "text", "text": "Which colour?"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "green"}]},
]


class UntrainableTemplateError(ValueError):
    """The chat template does not mark the answers, so what is learned cannot be told."""


def use_trainable_template(processor: Any, model_type: str) -> None:
    """Give ``processor`` a template whose answers are marked, stop token included.

    The processor's own template stays where it is good; LLaVA-1.5's stock one is replaced.

    Raises:
        UntrainableTemplateError: It is not good, and we have none for ``model_type``.
    """
    if learned_text(processor).endswith(processor.tokenizer.eos_token):
        return
    if model_type != "llava":
        raise UntrainableTemplateError(
            f"The chat template of this {model_type} checkpoint marks {learned_text(processor)!r} "
            "as learned in a probe whose answer is 'green'; the answer and the stop token are "
            "needed. Give a template with {% generation %} ... {% endgeneration %} around both: "
            "chat_template_path: FILE.jinja"
        )
    processor.chat_template = LLAVA15


def learned_text(processor: Any) -> str:
    """What would be learned of an answer "green": the tokens inside ``{% generation %}``."""
    if "{% generation %}" not in (processor.chat_template or "").replace("{%- ", "{% "):
        return ""
    encoded = processor.apply_chat_template(
        [_PROBE], tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    ids, mask = encoded["input_ids"][0], encoded["assistant_masks"][0]
    kept = [token for token, learned in zip(ids, mask, strict=True) if learned]
    return processor.tokenizer.decode(kept)
