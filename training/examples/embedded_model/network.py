"""The embedded model's architecture: a LLaVA of 3.6 M parameters, saved as any checkpoint is.

The tower is a DPT hybrid, convolutions before attention, which sees small things after far fewer
pictures than a plain ViT. `LlavaModel` takes its tokens without remote code.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from scenes import GRID, IMAGE_SIZE
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    BitConfig,
    CLIPImageProcessorPil,
    DPTConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

_SPECIAL_TOKENS = ["<unk>", "<s>", "</s>", "<pad>", "<image>"]
_IMAGE = _SPECIAL_TOKENS.index("<image>")
_PATCH = IMAGE_SIZE // GRID
_MEAN, _STD = 0.45, 0.25
VISION_WIDTH, _WIDTH = 192, 208
_CONVOLUTIONS = (64, 128, 256)
TEMPLATE = Path(__file__).with_name("llava_mini.jinja").read_text(encoding="utf-8")


def make_tokenizer(texts: Iterable[str], vocab_size: int = 900) -> PreTrainedTokenizerFast:
    """A byte-level BPE of ``texts`` with one token a digit.

    Each start of a number of a box ("[0.37", ", 0.42") is a token too: a place in the picture is
    then one choice of a hundred.
    """
    bpe = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=_SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    bpe.add_tokens([AddedToken(text, normalized=False) for text in box_starts()])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"},
        padding_side="left",
    )


def box_starts() -> list[str]:
    """The texts that a box's numbers start with, up to their second decimal."""
    return [f"{before}0.{number:02d}" for before in ("[", ", ") for number in range(100)]


def make_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """What turns pictures and conversations into the model's input."""
    return LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"height": IMAGE_SIZE, "width": IMAGE_SIZE},
            do_center_crop=False,  # the whole scene, borders included
            image_mean=[_MEAN] * 3,
            image_std=[_STD] * 3,
        ),
        tokenizer=tokenizer,
        patch_size=_PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,  # the vision tower's class token
        chat_template=TEMPLATE,
    )


def pixel_values(pixels: torch.Tensor) -> torch.Tensor:
    """What the processor makes of ``pixels``, uint8 of shape (n, side, side, 3)."""
    return (pixels.permute(0, 3, 1, 2).float() / 255 - _MEAN) / _STD


def make_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlavaForConditionalGeneration:
    """The model with random weights."""
    torch.manual_seed(seed)
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id")}
    ids["pad_token_id"] = tokenizer.pad_token_id
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=_WIDTH,
        intermediate_size=560,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=1_024,
        tie_word_embeddings=True,
        initializer_range=_WIDTH**-0.5,
        **ids,
    )
    config = LlavaConfig(
        vision_config=_vision(),
        text_config=text,
        image_token_index=_IMAGE,
        image_seq_length=GRID**2,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
    )
    model = LlavaForConditionalGeneration(config)
    with torch.no_grad():  # tied: so that the first logits are of order 1
        model.model.language_model.embed_tokens.weight.normal_(0, 0.05)
    model.generation_config = GenerationConfig(**ids)
    return model


def _vision() -> DPTConfig:
    convolutions: dict[str, Any] = {"out_features": ["stage1", "stage2", "stage3"]}
    backbone = BitConfig(
        embedding_size=32,
        hidden_sizes=list(_CONVOLUTIONS),
        depths=[1, 1, 2],
        layer_type="bottleneck",
        num_groups=8,
        global_padding="same",
        embedding_dynamic_padding=True,
        **convolutions,
    )
    options: dict[str, Any] = {
        "is_hybrid": True,
        "image_size": IMAGE_SIZE,
        "patch_size": _PATCH,
        "hidden_size": VISION_WIDTH,
        "intermediate_size": 2 * VISION_WIDTH,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        # The usual 0.02 suits models much wider; one this narrow hardly learns from it.
        "initializer_range": VISION_WIDTH**-0.5,
        "backbone_featmap_shape": [1, _CONVOLUTIONS[-1], GRID, GRID],
        "neck_ignore_stages": [0, 1],
        "readout_type": "project",
        "backbone_out_indices": [1, 1, 1, 1],
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    return DPTConfig(backbone_config=backbone, **options)
