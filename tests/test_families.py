"""Every family trains a step and predicts; what it learns of a row is exactly its answers."""

import copy
import json
from pathlib import Path
from typing import Any

import datasets
import pytest
from conftest import CPU_TRAINING

pytest.importorskip("trl")

import numpy as np
import tiny_families
import torch
from jinja2 import TemplateError
from PIL import Image
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    LlavaImageProcessorPil,
    PreTrainedTokenizerFast,
)
from transformers.utils import is_torchvision_available
from trl.chat_template_utils import get_training_chat_template
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from rs_gpt4v import NAME
from rs_gpt4v.box_codecs import CODECS
from rs_gpt4v.model_families import FAMILIES, UnknownFamilyError, box_format, record_box_format
from rs_gpt4v_evaluation.predict import Predictor
from rs_gpt4v_training.chat_template import use_trainable_template
from rs_gpt4v_training.collators import ChatCollator, PrefixSuffixCollator, faster
from rs_gpt4v_training.sft import main

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

# Their processors bring a video processor, which needs torchvision.
VIDEO = {"smolvlm", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "internvl"}
CHATS = {
    "llava": "</s>",
    "llava_next": "</s>",
    "idefics3": "<end_of_utterance>",
    "smolvlm": "<end_of_utterance>",
    "qwen2_vl": "<|im_end|>",
    "qwen2_5_vl": "<|im_end|>",
    "qwen3_vl": "<|im_end|>",
    "internvl": "<|im_end|>",
}
MESSAGES = [
    {"role": "user", "content": "What is shown?"},
    {"role": "assistant", "content": "a harbor"},
    {"role": "user", "content": "How many ships?"},
    {"role": "assistant", "content": "six"},
    {"role": "user", "content": "Is it six?"},
    {"role": "assistant", "content": "yes, six"},
]


@pytest.fixture(scope="module", params=[*CHATS, "paligemma"])
def family(request: pytest.FixtureRequest) -> str:
    if request.param in VIDEO and not is_torchvision_available():
        pytest.skip(f"the processor of {request.param} needs torchvision")
    return request.param


@pytest.fixture
def chat(family: str) -> str:
    if family not in CHATS:
        pytest.skip(f"{family} knows no turns")
    return family


@pytest.fixture(scope="module")
def checkpoint(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("family") / family
    tiny_families.build(family, path)
    return path


@pytest.fixture(scope="module")
def trained(family: str, checkpoint: Path, releases: Path) -> Path:
    """An adapter of one step on rows with boxes and on rows of several turns."""
    out = checkpoint.parent / "out"
    fields = {
        "datasets": ["grounding", "conversation" if family in CHATS else "vqa_lr"],
        "data_dir": str(releases),
        "max_rows": 2,
        "model_name_or_path": str(checkpoint),
        "output_dir": str(out),
        "use_peft": True,
        "max_steps": 1,
        "per_device_train_batch_size": 4,
        "learning_rate": 0.01,
        "lr_scheduler_type": "constant",
        "max_length": 4_096,
        "logging_steps": 1,
        **CPU_TRAINING,
    }
    recipe = checkpoint.parent / "recipe.yaml"
    recipe.write_text(json.dumps(fields))
    main([str(recipe)])
    return out


@pytest.fixture(scope="module")
def rows(releases: Path) -> datasets.Dataset:
    rows = datasets.load_dataset(NAME, "vqa_lr", split="test", data_dir=str(releases))
    return rows.select(range(4))


def learned(processor: Any, messages: list[dict[str, str]], **options: Any) -> list[str]:
    """The learned tokens of a row with an image, as TRL's collator labels them, in runs."""
    collate = DataCollatorForVisionLanguageModeling(processor, assistant_only_loss=True, **options)
    short, row = (
        {"messages": turns, "images": [Image.new("RGB", (60, 90))]}
        for turns in (MESSAGES[:2], messages)
    )
    runs: list[list[int]] = [[]]
    for label in collate([short, row])["labels"][1].tolist():
        if label != -100:
            runs[-1].append(label)
        elif runs[-1]:
            runs.append([])
    return [processor.tokenizer.decode(run) for run in runs if run]


def test_answers_alone_are_learned_turn_by_turn(chat: str, checkpoint: Path) -> None:
    processor: Any = AutoProcessor.from_pretrained(checkpoint)
    use_trainable_template(processor, chat)
    runs = learned(processor, MESSAGES)
    answers = ["a harbor", "six", "yes, six"]
    assert [run.removeprefix(" ") for run in runs] == [text + CHATS[chat] for text in answers]


def test_marks_change_no_token(chat: str, checkpoint: Path) -> None:
    stock: Any = AutoProcessor.from_pretrained(checkpoint)
    marked: Any = AutoProcessor.from_pretrained(checkpoint)
    use_trainable_template(marked, chat)
    typed = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in MESSAGES]
    for messages in (typed, typed[:3]):
        for cue in (True, False):
            options = {"tokenize": True, "add_generation_prompt": cue}
            assert marked.apply_chat_template(messages, **options) == stock.apply_chat_template(
                messages, **options
            )


def test_same_answers_as_in_the_templates_that_trl_ships(chat: str, checkpoint: Path) -> None:
    processor: Any = AutoProcessor.from_pretrained(checkpoint)
    if chat in {"llava", "internvl"}:
        pytest.skip(f"trl has no training template for {chat}")
    shipped = learned(processor, MESSAGES, chat_template=get_training_chat_template(processor))
    use_trainable_template(processor, chat)
    # TRL's go on to the line feed after the stop token.
    assert learned(processor, MESSAGES) == [run.removesuffix("\n") for run in shipped]


def _row(images: int, *texts: str, system: str | None = None) -> dict[str, Any]:
    roles = ["user", "assistant"] * len(texts)
    messages = [{"role": r, "content": t} for r, t in zip(roles, texts, strict=False)]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    noise = np.random.default_rng(0).integers(0, 256, (90, 60, 3), np.uint8)
    shown = [Image.fromarray(noise).resize((60 + 20 * i, 90)) for i in range(images)]
    return {"messages": messages, "images": shown}


TWO_IMAGES = _row(2, "What has changed?", "nothing")
WORDS_ALONE = _row(0, "Is red\na color?", "yes", "And wet?", " no ", system="Be brief.")
BATCHES = {
    "turns": [
        _row(1, "What?", "a harbor", "How many?", "six\n", "Six?", "yes"),
        _row(1, "So?", "it"),
    ],
    "characters": [
        _row(1, "<b>&amp;</b> {{ x }} \\n\t", "é 水 🚢\u0301 </answer>"),
        _row(1, "  ", "\n"),
    ],
    "long": [_row(1, "long " * 400, "word " * 300), _row(1, "Short?", "no")],
    "two images": [TWO_IMAGES],
    "words alone": [WORDS_ALONE],
    "mixed": [_row(1, "What?", "a harbor"), TWO_IMAGES, WORDS_ALONE],
}


def same_batches(batch: dict[str, Any], other: dict[str, Any]) -> bool:
    return batch.keys() == other.keys() and all(
        value.dtype == other[name].dtype and torch.equal(value, other[name])
        for name, value in batch.items()
    )


@pytest.mark.parametrize("rows", BATCHES.values(), ids=BATCHES)
def test_batches_equal_those_of_trl(
    chat: str, checkpoint: Path, rows: list[dict[str, Any]]
) -> None:
    processor: Any = AutoProcessor.from_pretrained(checkpoint)
    use_trainable_template(processor, chat)
    for collator in (
        DataCollatorForVisionLanguageModeling(processor, assistant_only_loss=True),
        DataCollatorForVisionLanguageModeling(processor, pad_to_multiple_of=64),
    ):
        quick = faster(collator)
        assert isinstance(quick, ChatCollator)
        assert same_batches(quick(copy.deepcopy(rows)), collator(copy.deepcopy(rows)))


@pytest.mark.parametrize("rows", BATCHES.values(), ids=BATCHES)
def test_batches_equal_those_of_trl_with_a_tokenizer_that_marks_words(
    tiny_llava: Path, rows: list[dict[str, Any]]
) -> None:
    """Llama's put a mark before each word, the first after an image included."""
    processor: Any = AutoProcessor.from_pretrained(tiny_llava)
    vocabulary = [*dict.fromkeys("▁" + "".join(map(chr, range(256))))]
    for scheme in ("always", "first"):
        tokens = Tokenizer(models.BPE({c: i for i, c in enumerate(vocabulary)}, [], unk_token="?"))
        tokens.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
        tokens.add_special_tokens(["<s>", "</s>", "<pad>", "<image>"])
        processor.tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=tokens, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
        )
        processor.image_token_id = tokens.token_to_id("<image>")
        collator = DataCollatorForVisionLanguageModeling(processor, assistant_only_loss=True)
        assert same_batches(faster(collator)(copy.deepcopy(rows)), collator(copy.deepcopy(rows)))


def test_unknown_processors_have_the_batches_of_trl_itself(
    tiny_llava: Path, caplog: pytest.LogCaptureFixture
) -> None:
    processor: Any = AutoProcessor.from_pretrained(tiny_llava)
    caplog.set_level("DEBUG", logger="rs_gpt4v_training.collators")

    def refused(**options: Any) -> str:
        caplog.clear()
        collator = DataCollatorForVisionLanguageModeling(processor, **options)
        assert faster(collator) is collator
        return caplog.text

    assert "max_length" in refused(max_length=99)
    assert "completion_only_loss" in refused(completion_only_loss=True)
    processor.tokenizer.add_tokens(AddedToken("<picture>", lstrip=True, special=True))
    processor.image_token_id = processor.tokenizer.convert_tokens_to_ids("<picture>")
    assert "may depend on the image" in refused()
    processor.__class__ = type("NewVLMProcessor", (type(processor),), {})
    assert "NewVLMProcessor is none of " in refused()


def test_prompt_of_predicting_opens_what_is_trained(chat: str, checkpoint: Path) -> None:
    processor: Any = AutoProcessor.from_pretrained(checkpoint)
    use_trainable_template(processor, chat)
    image = Image.new("RGB", (60, 90))
    whole = DataCollatorForVisionLanguageModeling(processor)(
        [{"messages": MESSAGES[:2], "images": [image]}]
    )["input_ids"][0]
    content = [{"type": "image", "image": image}, {"type": "text", "text": "What is shown?"}]
    prompt = processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )["input_ids"][0]
    assert whole[: len(prompt)].tolist() == prompt.tolist()


def test_one_step_changes_the_language_model_alone(checkpoint: Path, trained: Path) -> None:
    before = AutoModelForImageTextToText.from_pretrained(checkpoint).state_dict()
    adapted = Predictor(str(checkpoint), str(trained)).model
    after = adapted.base_model.model.state_dict()
    kept = {name.replace(".base_layer", ""): w for name, w in after.items() if "lora_" not in name}
    assert set(kept) == set(before)
    assert all(torch.equal(kept[name], weight) for name, weight in before.items())
    changed = {name for name, weight in after.items() if "lora_B" in name and weight.any()}
    assert {name.split(".lora_B")[0] for name in changed} == _language_linears(adapted)


def _language_linears(adapted: Any) -> set[str]:
    """Every linear layer of the decoder's blocks, found by what it is and not by its name."""
    model = adapted.base_model.model
    blocks = {id(module) for module in model.model.get_decoder().layers.modules()}
    return {
        name.removesuffix(".base_layer")
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and id(module) in blocks and ".lora_" not in name
    }


def test_predicts_the_same_in_any_batch(
    checkpoint: Path, trained: Path, rows: datasets.Dataset
) -> None:
    predictor = Predictor(str(checkpoint), str(trained), max_new_tokens=5)
    batch: list[Any] = list(rows)
    alone = [reply for row in batch for reply in predictor.replies([row])]
    assert predictor.replies(batch) == alone
    assert any(alone)


def test_adapter_tells_its_codec(family: str, checkpoint: Path, trained: Path) -> None:
    predictor = Predictor(str(checkpoint), str(trained))
    assert predictor.box_format == FAMILIES[family].box_format
    assert predictor.processor.tokenizer.init_kwargs["box_format"] == predictor.box_format


def test_paligemma_learns_the_answer_and_does_not_read_it() -> None:
    model, processor = tiny_families.paligemma()
    use_trainable_template(processor, "paligemma")
    collate = PrefixSuffixCollator(processor)
    image = Image.new("RGB", (60, 90))
    rows = [{"messages": MESSAGES[i : i + 2], "images": [image]} for i in (0, 2)]
    batch = collate(rows)
    labels = [[token for token in row if token != -100] for row in batch["labels"].tolist()]
    assert processor.tokenizer.batch_decode(labels) == ["a harbor<eos>", "six<eos>"]
    text = processor.tokenizer.decode(batch["input_ids"][1], skip_special_tokens=False)
    assert text.split("<pad>")[0] == "<image>" * 4 + "<bos>How many ships?\nsix<eos>"
    other = {**batch, "input_ids": batch["input_ids"].clone()}
    answer = (batch["labels"][0] != -100).nonzero().flatten()
    other["input_ids"][0, answer[-1]] = 0
    with torch.no_grad():
        logits, changed = (model.eval()(**inputs).logits[0] for inputs in (batch, other))
    assert torch.equal(logits[: answer[-1]], changed[: answer[-1]])
    assert not torch.equal(logits[answer[-1]], changed[answer[-1]])
    with pytest.raises(TemplateError, match="leave out rows of several turns"):
        collate([{"messages": MESSAGES, "images": [image]}])


def test_checkpoint_tells_the_codec_it_was_trained_with(tiny_llava: Path, tmp_path: Path) -> None:
    processor: Any = AutoProcessor.from_pretrained(tiny_llava)
    assert box_format("llava", processor) == "llava"
    record_box_format(processor, "geochat")
    processor.save_pretrained(tmp_path)
    assert box_format("newvlm", AutoProcessor.from_pretrained(tmp_path)) == "geochat"


def test_llava_that_pads_has_boxes_of_the_padded_square(tiny_llava: Path) -> None:
    processor: Any = AutoProcessor.from_pretrained(tiny_llava)
    processor.image_processor = LlavaImageProcessorPil(do_pad=True)
    assert box_format("llava", processor) == "llava_padded"


def test_every_family_has_a_codec() -> None:
    assert {family.box_format for family in FAMILIES.values()} <= set(CODECS)


def test_unknown_family_is_refused_with_the_known_ones(tiny_llava: Path) -> None:
    processor = AutoProcessor.from_pretrained(tiny_llava)
    with pytest.raises(UnknownFamilyError, match=r"newvlm.*llava, .*paligemma.*box_format: "):
        box_format("newvlm", processor)
