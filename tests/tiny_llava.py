"""A tiny LLaVA-1.5 with random weights, made offline: for tests and trying recipes."""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from rs_gpt4v_training.chat_template import LLAVA15

_SPECIAL_TOKENS = ["<unk>", "<s>", "</s>", "<pad>", "<image>"]


def build_tiny_llava(
    path: Path,
    texts: Iterable[str],
    *,
    image_size: int = 84,
    patch_size: int = 14,
    hidden_size: int = 128,
    layers: int = 2,
    vocab_size: int = 1_000,
    seed: int = 0,
) -> None:
    """Save an ordinary checkpoint (model, tokenizer, processor) to ``path``.

    Args:
        path: Folder to write.
        texts: What the byte-level BPE tokenizer is trained on; any other text is still encodable.
        image_size: Side of the square every image is resized to, in pixels.
        patch_size: Side of one image token's patch, in pixels.
        hidden_size: Width of both the vision tower and the language model.
        layers: Depth of both.
        vocab_size: Upper bound of the tokenizer's size.
        seed: Of the random weights.
    """
    tokenizer = _tokenizer(texts, vocab_size)
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"height": image_size, "width": image_size},
            do_center_crop=False,  # the whole scene, borders included
        ),
        tokenizer=tokenizer,
        patch_size=patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # the vision tower's class token
        chat_template=LLAVA15,
    )
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(
        _config(tokenizer, image_size, patch_size, hidden_size, layers)
    )
    model.generation_config = GenerationConfig(**_token_ids(tokenizer))
    model.save_pretrained(path)
    processor.save_pretrained(path)


def _token_ids(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {name: getattr(tokenizer, name) for name in names}


def _config(
    tokenizer: PreTrainedTokenizerFast, image_size: int, patch: int, hidden: int, layers: int
) -> LlavaConfig:
    shape: dict[str, Any] = {
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        # The usual 0.02 suits models thirty times as wide; one this narrow hardly learns from it.
        "initializer_range": hidden**-0.5,
    }
    return LlavaConfig(
        vision_config=CLIPVisionConfig(image_size=image_size, patch_size=patch, **shape),
        text_config=LlamaConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=1_024,
            **_token_ids(tokenizer),
            **shape,
        ),
        image_token_index=_SPECIAL_TOKENS.index("<image>"),
        image_seq_length=(image_size // patch) ** 2,
    )


def _tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=_SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(chain(texts, [LLAVA15] * 2), trainer)  # its system prompt too
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
    )
