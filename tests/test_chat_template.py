"""What is learned of a row: its answers with the stop token, turn by turn, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from PIL import Image
from transformers import AutoProcessor
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from rs_gpt4v_training.chat_template import (
    LLAVA15,
    UntrainableTemplateError,
    use_trainable_template,
)

# llava-hf/llava-1.5-7b-hf's template keeps the stop token out of what is learned.
WITHOUT_STOP = LLAVA15.replace("+ eos_token -}}{% endgeneration %}", "-}}{% endgeneration %}")
WITHOUT_MARKS = LLAVA15.replace("{% generation %}", "").replace("{% endgeneration %}", "")

CONVERSATION = [
    {"role": "user", "content": "What is shown?"},
    {"role": "assistant", "content": "a harbor"},
    {"role": "user", "content": "How many ships?"},
    {"role": "assistant", "content": "six"},
]


@pytest.fixture
def processor(tiny_llava: Path) -> Any:
    return AutoProcessor.from_pretrained(tiny_llava)


def learned(processor: Any, messages: list[dict[str, str]]) -> list[str]:
    """The learned tokens of the row, as TRL's collator labels them, in runs."""
    collate = DataCollatorForVisionLanguageModeling(processor, assistant_only_loss=True)
    row = {"messages": messages, "images": [Image.new("RGB", (50, 80))]}
    labels = collate([row])["labels"][0].tolist()
    runs: list[list[int]] = [[]]
    for label in labels:
        if label != -100:
            runs[-1].append(label)
        elif runs[-1]:
            runs.append([])
    return [processor.tokenizer.decode(run) for run in runs if run]


def test_answers_alone_are_learned_turn_by_turn(processor: Any) -> None:
    assert learned(processor, CONVERSATION) == [" a harbor</s>", " six</s>"]


def test_system_message_replaces_the_default(processor: Any) -> None:
    system = {"role": "system", "content": "Be brief."}
    assert learned(processor, [system, *CONVERSATION]) == [" a harbor</s>", " six</s>"]
    text = processor.apply_chat_template([system, *CONVERSATION], tokenize=False)
    assert text.startswith("<s>Be brief. USER: ")


def test_prompt_is_the_beginning_of_what_is_trained(processor: Any) -> None:
    prompt = processor.apply_chat_template(
        CONVERSATION[:1], tokenize=False, add_generation_prompt=True
    )
    trained = processor.apply_chat_template(CONVERSATION, tokenize=False)
    assert trained.startswith(prompt + " a harbor</s>")


@pytest.mark.parametrize("stock", [WITHOUT_STOP, WITHOUT_MARKS, None])
def test_untrainable_llava_template_is_replaced(processor: Any, stock: str | None) -> None:
    processor.chat_template = stock
    use_trainable_template(processor, "llava")
    assert processor.chat_template == LLAVA15


def test_good_template_stays(processor: Any) -> None:
    own = processor.chat_template = LLAVA15.replace("USER: ", "QUESTION: ")
    use_trainable_template(processor, "llava")
    assert processor.chat_template == own


def test_unknown_family_is_refused_with_what_to_do(processor: Any) -> None:
    processor.chat_template = WITHOUT_STOP
    with pytest.raises(UntrainableTemplateError, match=r"' green' as learned.*chat_template_path"):
        use_trainable_template(processor, "newvlm")
