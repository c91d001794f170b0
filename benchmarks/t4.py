"""What the recipes for a GPU of 16 GB need there, by their dry runs.

    python benchmarks/t4.py

The models have their published shapes and no values, so nothing is downloaded. A tokenizer of bytes
stands in for theirs: it makes about four times the tokens of words, so true memory is below.
Qwen2.5-VL's processor needs torchvision.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import GenerationConfig

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from tiny_families import MROPE, idefics_tokenizer, qwen_tokenizer, template

hf: Any = transformers
MEMORY = 15  # GiB that a T4 leaves


def smolvlm() -> tuple[Any, Any]:
    """HuggingFaceTB/SmolVLM-Instruct: Idefics3 with SmolLM2-1.7B."""
    tok = idefics_tokenizer("<|im_start|>")
    sizes = {"size": {"longest_edge": 1536}, "max_image_size": {"longest_edge": 384}}
    processor = hf.Idefics3Processor(
        hf.Idefics3ImageProcessor(**sizes), tok, image_seq_len=81, chat_template=template("smolvlm")
    )
    ids = {"image_token_id": tok.convert_tokens_to_ids("<image>")}
    return smolvlm_config(**ids, pad_token_id=tok.pad_token_id), processor


def smolvlm_config(**ids: int) -> Any:
    """Its shape."""
    vision = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27}
    return hf.Idefics3Config(
        vision_config=vision | {"num_attention_heads": 16, "image_size": 384, "patch_size": 14},
        text_config=hf.LlamaConfig(
            hidden_size=2048,
            intermediate_size=8192,
            num_hidden_layers=24,
            num_attention_heads=32,
            vocab_size=49_155,
            pad_token_id=2,
        ),
        scale_factor=3,
        **ids,
    )


def qwen2_5_vl() -> tuple[Any, Any]:
    """Qwen/Qwen2.5-VL-3B-Instruct."""
    tok, ids = qwen_tokenizer()
    processor = hf.Qwen2_5_VLProcessor(
        hf.Qwen2VLImageProcessor(min_pixels=3_136, max_pixels=12_845_056),
        tok,
        hf.Qwen2VLVideoProcessor(),
        chat_template=template("qwen2_5_vl"),
    )
    return qwen2_5_vl_config(**ids), processor


def qwen2_5_vl_config(**ids: int) -> Any:
    """Its shape."""
    text = {"hidden_size": 2048, "intermediate_size": 11_008, "num_hidden_layers": 36}
    heads = {"num_attention_heads": 16, "num_key_value_heads": 2, "vocab_size": 151_936}
    return hf.Qwen2_5_VLConfig(
        text_config=text
        | heads
        | {"rope_parameters": MROPE | {"mrope_section": [16, 24, 24]}, "tie_word_embeddings": True},
        vision_config={
            "depth": 32,
            "hidden_size": 1280,
            "out_hidden_size": 2048,
            "intermediate_size": 3420,
            "num_heads": 16,
        },
        tie_word_embeddings=True,
        **ids,
    )


MODELS = {"smolvlm_t4": smolvlm, "qwen2_5_vl_3b_t4": qwen2_5_vl}


def main() -> int:
    """Run the dry run of each recipe; 1 where one does not fit."""
    failed = 0
    for recipe, build in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            config, processor = build()
            config.dtype = torch.float16
            config.save_pretrained(folder)
            processor.save_pretrained(folder)
            GenerationConfig().save_pretrained(folder)
            command = [sys.executable, "-m", "rs_gpt4v.cli", "train", recipe, "--dry-run"]
            options = ["--gpu-memory", str(MEMORY), "--sample", "true", "--max_rows", "200"]
            print(f"## {recipe}", flush=True)
            done = subprocess.run([*command, *options, "--model_name_or_path", folder], check=False)
            failed += done.returncode != 0
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
