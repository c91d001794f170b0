"""MoE-LoRA outside our trainer: TRL's others, bases with routers of their own, PEFT's helpers."""

import copy
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from datasets import Dataset
from peft import PeftModel, get_peft_model
from peft.helpers import disable_input_dtype_casting
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedTokenizerFast,
)
from trl import DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, KTOConfig, KTOTrainer

from rs_gpt4v_training.moe_lora import MoeLoraConfig, MoeLoraLinear, auxiliary_loss, use_task
from rs_gpt4v_training.moe_lora.router import ForwardPass

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*use_reentrant"),
    pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad"),  # KTO's own passes
]

WORDS = ["<pad>", "</s>", "<unk>", *"abcdefghijklmnopqrstuvwxyz"]
SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "vocab_size": len(WORDS),
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": None,
}
EXPERTS: dict[str, Any] = {
    "num_key_value_heads": 2,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
}


def llama() -> Any:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SHAPE))


def mixtral() -> Any:
    torch.manual_seed(0)
    return MixtralForCausalLM(MixtralConfig(**SHAPE, **EXPERTS))


BASES = {"llama": llama, "mixtral": mixtral}


def config(routing: str = "top_k", **changes: Any) -> MoeLoraConfig:
    options: dict[str, Any] = {
        "r": 8,
        "routing": routing,
        "target_modules": ["q_proj", "v_proj"],
        "init_weights": False,
        "task_type": "CAUSAL_LM",
    }
    return MoeLoraConfig(**{**options, **changes})


def adapted(routing: str = "top_k", base: str = "llama", **changes: Any) -> Any:
    model = BASES[base]()
    torch.manual_seed(1)
    return get_peft_model(model, config(routing, **changes)).eval()


def layers(model: nn.Module) -> list[Any]:
    return [m for m in model.modules() if isinstance(m, MoeLoraLinear)]


def routers(model: nn.Module) -> torch.Tensor:
    weights = [layer.moe_lora_router["default"].weight for layer in layers(model)]
    return torch.stack([weight.detach().clone() for weight in weights])


def ids(rows: int = 2, tokens: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(3, len(WORDS), (rows, tokens), generator=generator)


# TRL


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>")
    tokenizer.add_special_tokens({"eos_token": "</s>", "unk_token": "<unk>"})
    return tokenizer


PAIRS = {"prompt": ["a b", "c d e"], "chosen": [" f g", " h"], "rejected": [" i j k", " l m"]}
LABELLED = {"prompt": ["a b", "c d e"], "completion": [" f g h", " i"], "label": [True, False]}


def trainer(kind: str, model: Any, tokenizer: Any, out: Path, **options: Any) -> Any:
    common: dict[str, Any] = {
        "output_dir": str(out),
        "per_device_train_batch_size": 2,
        "max_steps": 1,
        "learning_rate": 0.01,
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "logging_steps": 1,
        "save_strategy": "no",
        **options,
    }
    inputs: dict[str, Any] = {"model": model, "processing_class": tokenizer}
    if kind == "dpo":
        return DPOTrainer(
            args=DPOConfig(**common), train_dataset=Dataset.from_dict(PAIRS), **inputs
        )
    if kind == "kto":
        args: Any = KTOConfig(**common)
        return KTOTrainer(args=args, train_dataset=Dataset.from_dict(LABELLED), **inputs)
    args = GRPOConfig(**common, num_generations=2, max_completion_length=4)
    rewards: Any = _lengths
    prompts = Dataset.from_dict({"prompt": PAIRS["prompt"]})
    return GRPOTrainer(args=args, train_dataset=prompts, reward_funcs=rewards, **inputs)


def _lengths(completions: list[str], **_kwargs: Any) -> list[float]:
    return [float(len(set(completion))) for completion in completions]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("kind", ["dpo", "kto", "grpo"])
def test_trls_other_trainers_add_and_log_the_losses(
    kind: str, base: str, tokenizer: Any, tmp_path: Path
) -> None:
    model = adapted(base=base, init_weights=True)
    before = routers(model)
    run = trainer(kind, model, tokenizer, tmp_path, beta=0.1)
    run.train()
    logged = run.state.log_history[0]["aux_loss"]
    if base == "llama":
        assert logged > 0.01  # load_balance_coef times at least about 1
    else:  # TRL multiplies by Mixtral's 0.001, which leaves 0.01 of ours beside 0.001 of Mixtral's
        assert logged > 10
    # B is zero, so nothing but the losses moves a router in the first step.
    assert not torch.equal(routers(model), before)


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("kind", ["dpo", "kto"])
def test_checkpointed_layers_see_the_policys_pass_not_the_references(
    kind: str, reentrant: bool, tokenizer: Any, tmp_path: Path
) -> None:
    weights = []
    for checkpointing in (False, True):
        model = adapted()
        options: dict[str, Any] = {"gradient_checkpointing": checkpointing, "max_grad_norm": 0.0}
        options["gradient_checkpointing_kwargs"] = {"use_reentrant": reentrant}
        options["optim"] = "sgd"
        trainer(kind, model, tokenizer, tmp_path, **options).train()
        weights.append(routers(model))
    torch.testing.assert_close(weights[0], weights[1])


def test_trl_asks_for_no_losses_where_there_are_none(tokenizer: Any, tmp_path: Path) -> None:
    run = trainer("dpo", adapted("token"), tokenizer, tmp_path)
    run.train()
    assert "aux_loss" not in run.state.log_history[0]


def test_a_pass_that_asks_for_losses_with_the_adapter_off_gets_zero() -> None:
    model = adapted()
    with model.disable_adapter():
        assert model(input_ids=ids(), output_router_logits=True).aux_loss == 0.0


# The base's config


@pytest.mark.filterwarnings("ignore:Adapter .* was active which is now deleted")
@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("leave", ["delete", "unload", "transformers"])
def test_the_bases_config_is_as_before(base: str, leave: str) -> None:
    model = BASES[base]()
    before = model.config.to_dict()
    if leave == "transformers":
        model.add_adapter(config(), "default")
        model.delete_adapter("default")
        del model._hf_peft_config_loaded
    else:
        peft_model: Any = get_peft_model(model, config())
        assert hasattr(model.config, "output_router_logits")
        if leave == "delete":
            peft_model.add_adapter("second", config())
            peft_model.add_adapter("third", config("token"))
            peft_model.delete_adapter("default")
            assert hasattr(model.config, "output_router_logits")
            peft_model.delete_adapter("second")
        else:
            peft_model.unload()
    assert model.config.to_dict() == before


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("targets", [["nothing"], ["q_proj", "norm"], ["embed_tokens", "v_proj"]])
def test_an_adapter_that_cannot_be_made_leaves_nothing(base: str, targets: list[str]) -> None:
    model = BASES[base]()
    before = model.config.to_dict(), sorted(vars(model)), [*model.state_dict()]
    hooks = len(model._forward_hooks), len(model._forward_pre_hooks)
    with pytest.raises((ValueError, TypeError)):
        get_peft_model(model, config(target_modules=targets))
    assert (model.config.to_dict(), sorted(vars(model)), [*model.state_dict()]) == before
    assert (len(model._forward_hooks), len(model._forward_pre_hooks)) == hooks


def test_a_second_adapter_that_cannot_be_made_leaves_the_first() -> None:
    model = adapted()
    expected = model(input_ids=ids(), labels=ids(), output_router_logits=True)
    with pytest.raises(TypeError, match=r"norm is of type LlamaRMSNorm"):
        model.add_adapter("second", config(target_modules=["q_proj", "norm"]))
    assert all(layer.moe_lora_A.keys() == {"default"} for layer in layers(model))
    found = model(input_ids=ids(), labels=ids(), output_router_logits=True)
    assert found.loss.equal(expected.loss)
    assert model.config.output_router_logits is False


def test_mixtrals_own_loss_is_kept_beside_the_adapters() -> None:
    model = adapted(base="mixtral").train()
    labels = ids()
    ours = model(input_ids=labels, labels=labels)
    both = model(input_ids=labels, labels=labels, output_router_logits=True)
    coefficient = model.config.router_aux_loss_coef
    own = both.aux_loss - auxiliary_loss(model) / coefficient
    assert own.item() == pytest.approx(2.0, abs=0.5)  # Mixtral's: its top_k where the load is even
    torch.testing.assert_close(both.loss, ours.loss + coefficient * own)


# Arguments of the forward pass


def test_a_positional_attention_mask_is_seen() -> None:
    model = adapted().train().base_model.model
    mask = torch.ones_like(ids())
    mask[1, 3:] = 0
    model(ids(), attention_mask=mask)
    expected = auxiliary_loss(model)
    model(ids(), mask)
    assert torch.equal(auxiliary_loss(model), expected)
    model(ids())
    assert not torch.equal(auxiliary_loss(model), expected)


def test_adapter_names_are_refused() -> None:
    model = adapted("token")
    model.add_adapter("second", config("token"))
    names = ["default", "second"]
    with pytest.raises(NotImplementedError, match=r"takes no adapter_names=.*set_adapter"):
        model(input_ids=ids(), adapter_names=names)
    with pytest.raises(NotImplementedError, match="takes no adapter_names="):
        model.generate(input_ids=ids(), adapter_names=names, max_new_tokens=1)


def test_peft_switches_the_cast_of_inputs_off() -> None:
    model = adapted("token", base="llama")
    (layer, *_) = layers(model)
    x = torch.randn(1, 2, 32, dtype=torch.bfloat16)
    layer.base_layer.to(torch.bfloat16)
    assert layer(x).dtype == torch.bfloat16
    with (
        disable_input_dtype_casting(model),
        pytest.raises(RuntimeError, match=r"same dtype|same type"),
    ):
        layer(x)
    assert layer(x).dtype == torch.bfloat16


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_broken_adapter_is_not_merged_safely(value: float) -> None:
    model = adapted("task", tasks=["vqa"])
    layers(model)[0].moe_lora_B["default"].weight.data[0, 0] = value
    with use_task(model, "vqa"), pytest.raises(ValueError, match=r"^NaNs detected in the merged"):
        model.merge_adapter(safe_merge=True)


# Routers


@pytest.mark.parametrize("autocast", [True, False])
def test_experts_are_chosen_by_float32_logits(autocast: bool) -> None:
    """Two experts whose logits differ by less than bfloat16 can tell: 256 and 256.25."""
    layer = layers(adapted("top_k", top_k=1))[0]
    router: Any = layer.moe_lora_router["default"]
    router.weight.data.zero_()
    router.weight.data[:2, 0] = 256.0
    router.weight.data[1, 1] = 0.25
    x = torch.zeros(1, 1, 32, dtype=torch.bfloat16)
    x[..., :2] = 1.0
    if not autocast:
        router.to(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        logits = router.logits(x)
        gates = router(x, ForwardPass())
    assert logits[0, 0, :2].tolist() == [256.0, 256.25]
    assert gates.argmax().item() == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_of_the_logits_are_those_of_a_linear_layer(dtype: torch.dtype) -> None:
    router: Any = layers(adapted("token"))[0].moe_lora_router["default"].to(dtype)
    x = torch.randn(2, 3, 32, dtype=dtype, requires_grad=True)
    weights = torch.randn(2, 3, 4)
    (router.logits(x) * weights).sum().backward()
    found = x.grad, router.weight.grad
    x.grad = router.weight.grad = None
    (nn.functional.linear(x.float(), router.weight.float()) * weights).sum().backward()
    close: Any = {"atol": 0.05, "rtol": 0.02} if dtype == torch.bfloat16 else {}
    torch.testing.assert_close(found, (x.grad, router.weight.grad), **close)


# Scale


def test_the_scale_does_not_depend_on_the_rank() -> None:
    cases: Any = ({"r": 8}, {"r": 128}, {"rank_per_expert": 8}, {"rank_per_expert": 64})
    for options in cases:
        assert MoeLoraConfig(**options).scaling == 2.0
    assert MoeLoraConfig().lora_alpha == 256
    assert MoeLoraConfig(r=8, lora_alpha=8).scaling == 1.0
    assert MoeLoraConfig(r=8, lora_alpha=0).scaling == 0.0


# Tasks in generation


@pytest.fixture
def tasked() -> Any:
    model = adapted("task", tasks=["caption", "vqa"])
    for layer in layers(model):
        router: Any = layer.moe_lora_router["default"]
        nn.init.normal_(router.logits, std=4)
        nn.init.normal_(layer.moe_lora_B["default"].weight)
    return model


BEAMS = [
    {"num_beams": 3, "num_return_sequences": 3},
    {"num_beams": 2},
    {"num_beams": 4, "num_return_sequences": 2},
]


@pytest.mark.parametrize("options", BEAMS)
def test_all_beams_of_a_row_have_its_task(tasked: Any, options: dict[str, int]) -> None:
    def replies(task: str | list[str], rows: torch.Tensor) -> torch.Tensor:
        with use_task(tasked, task):
            return tasked.generate(
                input_ids=rows,
                attention_mask=torch.ones_like(rows),
                max_new_tokens=5,
                min_new_tokens=5,
                **options,
            )

    rows, tasks = ids(3), ["vqa", "caption", "vqa"]
    expected = [replies(task, row[None]) for task, row in zip(tasks, rows, strict=True)]
    assert torch.equal(replies(tasks, rows), torch.cat(expected))
    assert not torch.equal(replies("vqa", rows), torch.cat(expected))


def test_sampled_sequences_have_their_rows_task(tasked: Any) -> None:
    seen: list[torch.Tensor] = []
    router: Any = layers(tasked)[0].moe_lora_router["default"]
    router.register_forward_hook(lambda _m, _a, gates: seen.append(gates.flatten(1)))
    with use_task(tasked, ["vqa", "caption"]):
        tasked.generate(
            input_ids=ids(2),
            attention_mask=torch.ones_like(ids(2)),
            max_new_tokens=2,
            do_sample=True,
            num_return_sequences=3,
        )
    vqa, caption = router.logits[[1, 0]].softmax(-1)
    expected = torch.stack([vqa] * 3 + [caption] * 3)
    assert all(torch.equal(gates, expected) for gates in seen)


def test_other_passes_need_a_task_for_each_row(tasked: Any) -> None:
    with use_task(tasked, ["vqa", "caption"]), pytest.raises(ValueError, match="2 tasks for a bat"):
        tasked(input_ids=ids(4))
    with pytest.raises(ValueError, match="2 tasks for a batch of 4"):
        tasked(input_ids=ids(4), tasks=torch.tensor([0, 1]))
    with use_task(tasked, ["vqa", "caption"]), pytest.raises(ValueError, match="2 tasks for a bat"):
        tasked.generate(input_ids=ids(3), attention_mask=torch.ones_like(ids(3)), max_new_tokens=1)


def test_a_copy_declares_its_losses_on_its_own_config() -> None:
    model = adapted()
    other = copy.deepcopy(model)
    assert isinstance(other, PeftModel)
    other.delete_adapter("default")
    assert not hasattr(other.config, "output_router_logits")
    assert hasattr(model.config, "output_router_logits")


def vision_language() -> Any:
    text = LlamaConfig(**SHAPE)
    vision = CLIPVisionConfig(
        **{name: SHAPE[name] for name in ("hidden_size", "intermediate_size")},
        **{name: SHAPE[name] for name in ("num_attention_heads", "num_hidden_layers")},
        image_size=28,
        patch_size=14,
    )
    return LlavaConfig(text_config=text, vision_config=vision, image_token_id=2)


@pytest.mark.parametrize(
    ("kind", "shared"),
    [
        (LlamaForCausalLM, LlamaConfig(**SHAPE)),
        (LlavaForConditionalGeneration, vision_language()),
    ],
)
def test_another_model_of_the_same_config_declares_no_losses(kind: Any, shared: Any) -> None:
    before = copy.deepcopy(shared.to_dict())
    one, other = kind(shared), kind(shared)
    model = get_peft_model(one, config(target_modules=r".*q_proj"))
    assert model.config.get_text_config().output_router_logits is False
    assert not hasattr(other.config.get_text_config(), "output_router_logits")
    assert shared.to_dict() == before
    # All parts of the model go on sharing one config, as what changes it later expects.
    own = [model.config, *(getattr(model.config, name) for name in model.config.sub_configs)]
    parts = {id(vars(part)["config"]) for part in one.modules() if "config" in vars(part)}
    assert parts <= set(map(id, own))
    assert model.unload().config.to_dict() == before


# Load balance without a choice of experts


def test_a_token_router_has_no_losses_unless_asked() -> None:
    assert not config("token").has_losses
    assert not config("task", tasks=["vqa"], load_balance_coef=0.1).has_losses
    assert config("token", load_balance_coef=0.1).has_losses
    assert config().has_losses
    assert not hasattr(adapted("token").config, "output_router_logits")


def test_the_load_of_a_token_router_is_its_mean_gate() -> None:
    model = adapted("token", load_balance_coef=0.1, target_modules=r".*0.self_attn.q_proj").train()
    (layer,) = layers(model)
    seen: list[torch.Tensor] = []
    layer.moe_lora_router["default"].register_forward_hook(lambda _m, _a, gates: seen.append(gates))
    mask = torch.ones_like(ids())
    mask[1, 3:] = 0
    model(input_ids=ids(), attention_mask=mask)
    mean = seen[0][mask.bool()].mean(0)
    torch.testing.assert_close(auxiliary_loss(model), 0.1 * 4 * mean.square().sum())


def test_the_balance_loss_evens_a_token_routers_load() -> None:
    x = torch.randn(1, 64, 32, generator=torch.Generator().manual_seed(0))
    loads = {}
    for coefficient in (0.0, 1.0):
        layer = layers(adapted("token", load_balance_coef=coefficient))[0]
        router = layer.moe_lora_router["default"].train()
        router.weight.data[0] += x.mean((0, 1)) * 20
        optimizer = torch.optim.Adam([router.weight], lr=0.05)
        for _ in range(300):
            step = ForwardPass(counts_losses=True, scale=torch.ones(()))
            gates = router(x, step)
            optimizer.zero_grad()
            (0.0 * gates.sum()).backward()
            optimizer.step()
        loads[coefficient] = gates.mean((0, 1)).max().item()
    assert loads[0.0] > 0.5
    assert loads[1.0] < 0.3
