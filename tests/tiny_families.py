"""Tiny checkpoints with random weights, one a family, made offline from their configs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
import trl
from tiny_llava import build_tiny_llava
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import GenerationConfig, PreTrainedTokenizerFast

hf: Any = transformers  # its classes ask for types that JSON configs do not have
STOCK = Path(trl.__file__).parent / "chat_templates"
TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "max_position_embeddings": 4_096,
    "initializer_range": 0.2,
}
VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
MROPE = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10_000.0}


def tokenizer(
    *special: str, bos: str | None = None, eos: str, pad: str = "<pad>", **named: str
) -> Any:
    """One token a byte, and the special ones; ``bos`` is added as Llama's tokenizer adds it."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe = Tokenizer(models.BPE({byte: i for i, byte in enumerate(alphabet)}, []))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    extra = list(dict.fromkeys([pad, eos, *([bos] if bos else []), *special, *named.values()]))
    bpe.add_special_tokens(extra)
    if bos:
        bpe.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, bpe.token_to_id(bos))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=bos,
        eos_token=eos,
        pad_token=pad,
        extra_special_tokens=named,
        padding_side="left",
    )


def template(name: str) -> str:
    """A stock chat template, as it comes with the family's checkpoints."""
    return (STOCK / f"{name}.jinja").read_text(encoding="utf-8")


def llava_next() -> tuple[Any, Any]:
    tok = tokenizer(bos="<s>", eos="</s>", image_token="<image>")
    tiles = [[28, 56], [56, 28], [56, 56]]
    processor = hf.LlavaNextProcessor(
        hf.LlavaNextImageProcessorPil(
            size={"shortest_edge": 28},
            crop_size={"height": 28, "width": 28},
            image_grid_pinpoints=tiles,
        ),
        tok,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template("llava_next"),
    )
    config = hf.LlavaNextConfig(
        vision_config=hf.CLIPVisionConfig(image_size=28, patch_size=14, **VISION),
        text_config=hf.MistralConfig(vocab_size=len(tok), **TEXT),
        image_token_index=tok.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=tiles,
    )
    return hf.LlavaNextForConditionalGeneration(config), processor


def idefics_tokenizer(bos: str) -> Any:
    places = [f"<row_{row}_col_{col}>" for row in range(1, 7) for col in range(1, 7)]
    return tokenizer(
        "<global-img>",
        "<fake_token_around_image>",
        "<image>",
        *places,
        bos=bos,
        eos="<end_of_utterance>",
    )


def idefics3() -> tuple[Any, Any]:
    tok = idefics_tokenizer("<|begin_of_text|>")
    processor = hf.Idefics3Processor(
        hf.Idefics3ImageProcessorPil(),
        tok,
        image_seq_len=4,
        chat_template=template("idefics3"),
    )
    config = hf.Idefics3Config(
        vision_config=VISION | {"image_size": 364, "patch_size": 91, "hidden_size": 16},
        text_config=hf.LlamaConfig(vocab_size=len(tok), pad_token_id=tok.pad_token_id, **TEXT),
        image_token_id=tok.convert_tokens_to_ids("<image>"),
        pad_token_id=tok.pad_token_id,
    )
    return hf.Idefics3ForConditionalGeneration(config), processor


def smolvlm() -> tuple[Any, Any]:
    tok = idefics_tokenizer("<|im_start|>")
    tiles = {"size": {"longest_edge": 112}, "max_image_size": {"longest_edge": 56}}
    processor = hf.SmolVLMProcessor(
        hf.SmolVLMImageProcessor(**tiles),
        tok,
        hf.SmolVLMVideoProcessor(),
        image_seq_len=4,
        chat_template=template("smolvlm"),
    )
    config = hf.SmolVLMConfig(
        vision_config=VISION | {"image_size": 56, "patch_size": 14},
        text_config=hf.LlamaConfig(vocab_size=len(tok), pad_token_id=tok.pad_token_id, **TEXT),
        image_token_id=tok.convert_tokens_to_ids("<image>"),
        pad_token_id=tok.pad_token_id,
    )
    return hf.SmolVLMForConditionalGeneration(config), processor


def qwen_tokenizer() -> tuple[Any, dict[str, int]]:
    ids = {
        "image_token_id": "<|image_pad|>",
        "video_token_id": "<|video_pad|>",
        "vision_start_token_id": "<|vision_start|>",
        "vision_end_token_id": "<|vision_end|>",
    }
    tok = tokenizer("<|im_start|>", *ids.values(), eos="<|im_end|>", pad="<|endoftext|>")
    return tok, {name: int(tok.convert_tokens_to_ids(text)) for name, text in ids.items()}


def qwen2_vl() -> tuple[Any, Any]:
    tok, ids = qwen_tokenizer()
    processor = hf.Qwen2VLProcessor(
        hf.Qwen2VLImageProcessor(min_pixels=784, max_pixels=3136),
        tok,
        hf.Qwen2VLVideoProcessor(),
        chat_template=template("qwen2_5_vl"),  # Qwen2-VL's is the same
    )
    config = hf.Qwen2VLConfig(
        text_config=TEXT | {"vocab_size": len(tok), "rope_parameters": MROPE},
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2},
        **ids,
    )
    return hf.Qwen2VLForConditionalGeneration(config), processor


def qwen2_5_vl() -> tuple[Any, Any]:
    tok, ids = qwen_tokenizer()
    processor = hf.Qwen2_5_VLProcessor(
        hf.Qwen2VLImageProcessor(min_pixels=784, max_pixels=3136),
        tok,
        hf.Qwen2VLVideoProcessor(),
        chat_template=template("qwen2_5_vl"),
    )
    config = hf.Qwen2_5_VLConfig(
        text_config=TEXT | {"vocab_size": len(tok), "rope_parameters": MROPE},
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "out_hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "fullatt_block_indexes": [1],
        },
        **ids,
    )
    return hf.Qwen2_5_VLForConditionalGeneration(config), processor


def qwen3_vl() -> tuple[Any, Any]:
    tok, ids = qwen_tokenizer()
    processor = hf.Qwen3VLProcessor(
        hf.Qwen2VLImageProcessor(patch_size=16, min_pixels=1024, max_pixels=4096),
        tok,
        hf.Qwen3VLVideoProcessor(),
        chat_template=template("qwen3_vl"),
    )
    config = hf.Qwen3VLConfig(
        text_config=TEXT | {"vocab_size": len(tok), "rope_parameters": MROPE},
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "out_hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        **ids,
    )
    return hf.Qwen3VLForConditionalGeneration(config), processor


# InternVL3's own is not among TRL's: ChatML too, with an <IMG_CONTEXT> and a line feed an image.
INTERNVL = """{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}\
{% if message['content'] is string %}{{ message['content'] }}{% else %}\
{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}\
{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}\
{{ '<|im_end|>\n' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""


def internvl() -> tuple[Any, Any]:
    tok = tokenizer(
        "<|im_start|>",
        eos="<|im_end|>",
        pad="<|endoftext|>",
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    processor = hf.InternVLProcessor(
        hf.GotOcr2ImageProcessorPil(size={"height": 28, "width": 28}),
        tok,
        hf.InternVLVideoProcessor(),
        image_seq_length=1,
        chat_template=INTERNVL,
    )
    config = hf.InternVLConfig(
        vision_config=VISION | {"image_size": [28, 28], "patch_size": [14, 14]},
        text_config=hf.Qwen2Config(vocab_size=len(tok), **TEXT),
        image_token_id=tok.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=1,
    )
    return hf.InternVLForConditionalGeneration(config), processor


def paligemma() -> tuple[Any, Any]:
    tok = tokenizer("<bos>", eos="<eos>", image_token="<image>")
    tok.bos_token = "<bos>"  # its processor adds it, not the tokenizer
    images = hf.SiglipImageProcessorPil(size={"height": 28, "width": 28})
    images.image_seq_length = 4
    processor = hf.PaliGemmaProcessor(images, tok)
    config = hf.PaliGemmaConfig(
        vision_config=hf.SiglipVisionConfig(image_size=28, patch_size=14, **VISION),
        text_config=hf.GemmaConfig(vocab_size=len(tok), pad_token_id=tok.pad_token_id, **TEXT),
        image_token_index=tok.convert_tokens_to_ids("<image>"),
        projection_dim=32,
        hidden_size=32,
    )
    return hf.PaliGemmaForConditionalGeneration(config), processor


BUILDERS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "llava_next": llava_next,
    "idefics3": idefics3,
    "paligemma": paligemma,
    "smolvlm": smolvlm,
    "qwen2_vl": qwen2_vl,
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "internvl": internvl,
}


def build(family: str, path: Path) -> None:
    """Save an ordinary checkpoint of ``family`` to ``path``."""
    if family == "llava":
        build_tiny_llava(path, ["yes", "no"], image_size=28, hidden_size=32, vocab_size=400)
        return
    torch.manual_seed(0)
    model, processor = BUILDERS[family]()
    tok = processor.tokenizer
    model.generation_config = GenerationConfig(
        bos_token_id=tok.bos_token_id,
        eos_token_id=tok.eos_token_id,
        pad_token_id=tok.pad_token_id,
    )
    model.save_pretrained(path)
    processor.save_pretrained(path)
