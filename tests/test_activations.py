"""The memory of a step without values is that of the same step with values."""

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("trl")

import tiny_families
import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
from trl import SFTConfig

from rs_gpt4v_training.activations import Weightless, kept_bytes, step_bytes
from rs_gpt4v_training.adapters import LANGUAGE_MODEL_LINEARS
from rs_gpt4v_training.moe_lora import MoeLoraConfig

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
]

ADAPTER: dict[str, Any] = {"r": 4, "lora_dropout": 0.05, "target_modules": LANGUAGE_MODEL_LINEARS}
METHODS: dict[str, Any] = {
    "full": None,
    "lora": LoraConfig(**ADAPTER),
    "moe_lora": MoeLoraConfig(**ADAPTER),
    "top_k": MoeLoraConfig(**ADAPTER, routing="top_k"),
}
IMAGE_TOKENS = {"llava_next": 14, "idefics3": 4, "paligemma": 4, "qwen2_5_vl": 4, "internvl": 1}


class WithoutProcessors:
    """transformers; its processors, some of which need torchvision, have a tokenizer alone."""

    def __getattr__(self, name: str) -> Any:
        if "Processor" not in name:
            return getattr(transformers, name)
        return lambda *args, **_: SimpleNamespace(
            tokenizer=next((x for x in args if hasattr(x, "convert_tokens_to_ids")), None)
        )


@pytest.fixture(scope="module", params=list(IMAGE_TOKENS))
def family(request: pytest.FixtureRequest) -> Any:
    """A model, and a batch of three rows with an image."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_families, "hf", WithoutProcessors())
        model, _ = tiny_families.BUILDERS[request.param]()
    config = model.config
    image = getattr(config, "image_token_id", None) or config.image_token_index
    tokens = [image] * IMAGE_TOKENS[request.param] + list(range(5, 45))
    ids = torch.tensor([tokens] * 3)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}
    return model, batch | pixels(request.param, ids == image)


def pixels(family: str, is_image: torch.Tensor) -> dict[str, torch.Tensor]:
    if family == "qwen2_5_vl":
        return {
            "pixel_values": torch.ones(3 * 16, 3 * 2 * 14 * 14),
            "image_grid_thw": torch.tensor([[1, 4, 4]] * 3),
            "mm_token_type_ids": is_image.int(),
        }
    if family == "idefics3":
        return {"pixel_values": torch.ones(3, 1, 3, 364, 364)}
    if family == "llava_next":  # two tiles and the whole, 4 tokens each, and line ends
        return {
            "pixel_values": torch.ones(3, 3, 3, 28, 28),
            "image_sizes": torch.tensor([[28, 56]] * 3),
        }
    types = {"token_type_ids": (~is_image).long()} if family == "paligemma" else {}
    return {"pixel_values": torch.ones(3, 3, 28, 28)} | types


def made(model: Any, method: str, device: str) -> Any:
    with torch.device(device):
        copy = type(model)(model.config)
        if METHODS[method] is None:
            return copy
        return get_peft_model(copy.to(torch.bfloat16), METHODS[method])


def options(checkpointing: bool) -> SFTConfig:
    return SFTConfig(
        output_dir="out", use_cpu=True, bf16=True, gradient_checkpointing=checkpointing
    )


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("method", ["full", "lora", "top_k"])
def test_kept_without_values_is_what_is_kept_with_them(
    family: Any, method: str, checkpointing: bool
) -> None:
    model, batch = family
    true = kept_bytes(made(model, method, "cpu"), batch, options(checkpointing))
    weightless = Weightless()
    bare = made(model, method, "meta")
    weightless.take_weight(bare)
    with weightless:
        told = kept_bytes(bare, batch, options(checkpointing))
    assert told == pytest.approx(true, rel=0.001)
    # What is kept is there at a time, with what backward needs beside.
    assert weightless.peak > true - sum(map(size, batch.values()))


@pytest.mark.parametrize("method", ["full", "lora", "moe_lora", "top_k"])
def test_a_step_with_dropout_takes_less_with_checkpointing(method: str) -> None:
    taken = {}
    for checkpointing in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tiny_families, "hf", WithoutProcessors())
            model, _ = tiny_families.BUILDERS["internvl"]()
        ids = torch.tensor([list(range(5, 405))] * 3)
        batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}
        bare = made(model, method, "meta")
        taken[checkpointing] = step_bytes(bare, batch, options(checkpointing))
    assert 0 < taken[True] < taken[False]


def size(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().nbytes()


def layer_bytes(method: Any, dropout: float, tokens: int = 64) -> float:
    """What a layer of Llama keeps, a token and hidden unit."""

    def kept(layers: int) -> int:
        with torch.device("meta"):
            shape = LlamaConfig(
                num_hidden_layers=layers, vocab_size=100, hidden_size=1_024, intermediate_size=2_752
            )
            model: Any = LlamaForCausalLM(shape)
            model = model.to(torch.bfloat16)
            if method:
                adapter = {"target_modules": ".*_proj", "r": 8, "lora_dropout": dropout}
                model = get_peft_model(model, method(**adapter))
                model.enable_input_require_grads()
        weightless = Weightless()
        weightless.take_weight(model)
        ids = torch.arange(tokens)[None]
        with weightless:
            return kept_bytes(model, {"input_ids": ids, "labels": ids}, options(False))

    return (kept(2) - kept(1)) / tokens / 1_024


@pytest.mark.parametrize("dropout", [0.0, 0.05])
def test_moe_lora_keeps_hardly_more_than_lora(dropout: float) -> None:
    lora = layer_bytes(LoraConfig, dropout)
    assert layer_bytes(MoeLoraConfig, dropout) <= 1.1 * lora


def test_a_step_counts_every_row_and_no_gradient_of_parameters() -> None:
    def step(rows: int) -> int:
        with torch.device("meta"):
            model = LlamaForCausalLM(
                LlamaConfig(num_hidden_layers=2, vocab_size=50, hidden_size=512, head_dim=64)
            )
        ids = torch.arange(40).expand(rows, -1)
        return step_bytes(model, {"input_ids": ids, "labels": ids}, options(True))

    one, two, three = (step(rows) for rows in (200, 400, 600))
    assert three - two == pytest.approx(two - one, rel=0.02)
