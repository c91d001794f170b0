"""What is learned of a row: its answers with the stop token, turn by turn, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import trl
from PIL import Image
from tokenizers.processors import TemplateProcessing
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

TEMPLATES = Path(trl.__file__).parent / "chat_templates"

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


def test_another_template_of_a_llava_checkpoint_is_kept_and_marked(processor: Any) -> None:
    processor.chat_template = (
        "{%- for message in messages -%}{{- '<s>' + message['role'] + '\n' -}}"
        "{%- if message['content'] is string -%}{{- message['content'] -}}{%- else -%}"
        "{%- for part in message['content'] -%}"
        "{{- '<image>' if part['type'] == 'image' else part['text'] -}}{%- endfor -%}{%- endif -%}"
        "{{- eos_token -}}{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- '<s>assistant\n' }}{%- endif -%}"
    )
    before = processor.apply_chat_template(CONVERSATION, tokenize=False)
    use_trainable_template(processor, "llava")
    assert processor.apply_chat_template(CONVERSATION, tokenize=False) == before
    assert [text.strip() for text in learned(processor, CONVERSATION)] == [
        "a harbor</s>",
        "six</s>",
    ]


def test_good_template_stays(processor: Any) -> None:
    own = processor.chat_template = LLAVA15.replace("USER: ", "QUESTION: ")
    use_trainable_template(processor, "llava")
    assert processor.chat_template == own


def test_template_without_marks_is_given_them(processor: Any) -> None:
    processor.chat_template = WITHOUT_MARKS
    use_trainable_template(processor, "newvlm")
    assert learned(processor, CONVERSATION) == [" a harbor</s>", " six</s>"]
    system = {"role": "system", "content": "Be brief."}
    assert learned(processor, [system, *CONVERSATION]) == [" a harbor</s>", " six</s>"]


def test_marks_that_leave_out_the_stop_token_are_set_anew(processor: Any) -> None:
    processor.chat_template = LLAVA15.replace(
        "+ eos_token -}}{% endgeneration %}", "-}}{% endgeneration %}{{- eos_token -}}"
    )
    use_trainable_template(processor, "newvlm")
    assert learned(processor, CONVERSATION) == [" a harbor</s>", " six</s>"]


def test_bos_that_only_predicting_would_add_goes_into_the_template(processor: Any) -> None:
    processor.chat_template = WITHOUT_MARKS.replace("{{- bos_token -}}", "")
    processor.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", processor.tokenizer.bos_token_id)]
    )
    use_trainable_template(processor, "newvlm")
    text = processor.apply_chat_template(CONVERSATION, tokenize=False)
    assert text.startswith("<s>A chat")
    assert learned(processor, CONVERSATION) == [" a harbor</s>", " six</s>"]


FORGETS = """{%- for message in messages -%}
{{- message['role'] + ': ' + (message['content'][0]['text'] if loop.last else '...') + eos_token -}}
{%- endfor -%}{%- if add_generation_prompt -%}assistant: {%- endif -%}"""


def test_template_that_rewrites_earlier_turns_is_refused(processor: Any) -> None:
    processor.chat_template = FORGETS
    with pytest.raises(UntrainableTemplateError, match="renders earlier turns otherwise"):
        use_trainable_template(processor, "newvlm")


def test_checkpoint_without_a_template_is_refused(processor: Any) -> None:
    processor.chat_template = None
    with pytest.raises(UntrainableTemplateError, match=r"newvlm.*it has none"):
        use_trainable_template(processor, "newvlm")


def test_unknown_family_is_refused_with_what_to_do(processor: Any) -> None:
    processor.chat_template = WITHOUT_STOP
    with pytest.raises(UntrainableTemplateError, match=r"' green round' would.*chat_template_path"):
        use_trainable_template(processor, "newvlm")


def test_template_that_trl_knows_may_rewrite_earlier_turns(processor: Any) -> None:
    processor.chat_template = (TEMPLATES / "qwen3_5_nothink.jinja").read_text(encoding="utf-8")
    special = ["<|im_start|>", "<|im_end|>", "<|image_pad|>"]
    processor.tokenizer.add_tokens(special, special_tokens=True)
    processor.image_token = "<|image_pad|>"
    processor.image_token_id = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    use_trainable_template(processor, "qwen3_5")
    trained = (TEMPLATES / "qwen3_5_nothink_training.jinja").read_text(encoding="utf-8")
    assert processor.chat_template == trained
