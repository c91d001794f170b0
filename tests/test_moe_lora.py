"""MoE-LoRA as a PEFT method: a table of cases, one set of checks, and what each routing adds."""

import copy
import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("peft")

import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import (
    AutoPeftModelForCausalLM,
    LoraConfig,
    PeftModel,
    get_peft_model,
)
from torch import nn
from torch.distributed.fsdp import fully_shard
from transformers import AutoModelForImageTextToText, LlamaConfig, LlamaForCausalLM
from transformers.pytorch_utils import Conv1D

from rs_gpt4v.files import InvalidFileError, write_json_lines
from rs_gpt4v_training.moe_lora import (
    MoeLoraConfig,
    MoeLoraLinear,
    RouterStatistics,
    TaskCollator,
    auxiliary_loss,
    expert_use,
    plot_expert_use,
    plot_router_statistics,
    use_task,
)
from rs_gpt4v_training.moe_lora.router import ForwardPass, Routing, TopKRouter
from rs_gpt4v_training.moe_lora.statistics import Logged, TaskLoad
from rs_gpt4v_training.sft import leave_process_group

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")

TASKS = ["caption", "vqa"]
CASES: dict[str, dict[str, Any]] = {
    "token": {"routing": "token"},
    "token, losses": {"routing": "token", "load_balance_coef": 0.1, "z_loss_coef": 0.01},
    "token, one expert": {"routing": "token", "num_experts": 1},
    "token, rank per expert": {"routing": "token", "rank_per_expert": 4},
    "top-1 of 4": {"routing": "top_k", "top_k": 1},
    "top-2 of 4": {"routing": "top_k", "top_k": 2},
    "top-2, no losses": {"routing": "top_k", "load_balance_coef": 0.0, "z_loss_coef": 0.0},
    "task": {"routing": "task", "tasks": TASKS},
}
ROUTINGS = ["token", "top-2 of 4", "task"]


def config(case: str, **changes: Any) -> MoeLoraConfig:
    options: dict[str, Any] = {
        "r": 8,
        "lora_alpha": 16,
        "target_modules": ["q_proj", "down_proj"],
        "init_weights": False,
        "task_type": "CAUSAL_LM",
    }
    return MoeLoraConfig(**{**options, **CASES[case], **changes})


def llama(seed: int = 0) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    shape: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "vocab_size": 40}
    heads: dict[str, Any] = {"num_attention_heads": 2, "num_hidden_layers": 2}
    return LlamaForCausalLM(LlamaConfig(**shape, **heads, pad_token_id=0)).eval()


def adapted(case: str, seed: int = 1, **changes: Any) -> Any:
    torch.manual_seed(seed)
    return get_peft_model(llama(), config(case, **changes)).eval()


def batch(case: str) -> dict[str, Any]:
    """Three rows of seven tokens, the last row padded, of two tasks."""
    generator = torch.Generator().manual_seed(7)
    ids = torch.randint(1, 40, (3, 7), generator=generator)
    mask = torch.ones_like(ids)
    mask[2, 4:] = 0
    tasks = {"tasks": torch.tensor([0, 1, 1])} if CASES[case]["routing"] == "task" else {}
    return {"input_ids": ids, "attention_mask": mask, **tasks}


@torch.no_grad()
def logits(model: Any, case: str) -> torch.Tensor:
    return model(**batch(case)).logits


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.equal(a, b)


def layers(model: nn.Module) -> list[MoeLoraLinear]:
    return [m for m in model.modules() if isinstance(m, MoeLoraLinear)]


def reference(layer: MoeLoraLinear, x: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
    """The update as a loop over the experts, each its own pair of matrices."""
    a = layer.moe_lora_A["default"].weight.chunk(gates.shape[-1], dim=0)
    b = layer.moe_lora_B["default"].weight.chunk(gates.shape[-1], dim=1)
    experts = [x @ a_i.T @ b_i.T for a_i, b_i in zip(a, b, strict=True)]
    total = sum(gates[..., i : i + 1] * expert for i, expert in enumerate(experts))
    return layer.moe_lora_scaling["default"] * total


def lone_layer(case: str = "token", width: int = 32, out: int = 24, **changes: Any) -> Any:
    """One adapted layer outside any model, and its pass."""
    base = nn.Linear(width, out)
    return MoeLoraLinear(base, "default", config(case, **changes), Routing())


# What every case must do


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    return request.param


def test_nothing_changes_at_initialisation(case: str) -> None:
    assert same(logits(adapted(case, init_weights=True), case), logits(llama(), "token"))


def test_fused_form_equals_a_loop_over_experts(case: str) -> None:
    layer = lone_layer(case).eval()
    x = torch.randn(3, 5, 32)
    layer.routing.current = ForwardPass(tasks=torch.tensor([0, 1, 1]))
    gates = layer.moe_lora_router["default"](x, layer.routing.current)
    expected = layer.base_layer(x) + reference(layer, x, gates)
    torch.testing.assert_close(layer(x), expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(gates.sum(-1), torch.ones(gates.shape[:-1]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_saved_and_loaded_adapters_give_equal_logits(
    case: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    model = adapted(case).to(dtype)
    torch.manual_seed(2)
    model.add_adapter("second", config(case))
    model.to(dtype)
    expected = {}
    for name in ("default", "second"):
        model.set_adapter(name)
        expected[name] = logits(model, case)
    model.save_pretrained(tmp_path)
    assert not same(expected["default"], expected["second"])

    single = PeftModel.from_pretrained(llama().to(dtype), str(tmp_path)).to(dtype)
    assert same(logits(single, case), expected["default"])
    single.load_adapter(str(tmp_path / "second"), "second")
    assert same(logits(single, case), expected["default"])
    single.to(dtype).set_adapter("second")
    assert same(logits(single, case), expected["second"])


def test_adapters_are_disabled_deleted_and_unloaded(case: str) -> None:
    base = logits(llama(), "token")
    model = adapted(case)
    adapter = logits(model, case)
    assert not same(adapter, base)
    with model.disable_adapter():
        assert same(logits(model, "token"), base)
    assert same(logits(model, case), adapter)
    model.add_adapter("second", config(case))
    assert same(logits(model, case), adapter)
    model.delete_adapter("second")
    plain = model.unload()
    assert same(logits(plain, "token"), base)
    assert not plain._forward_pre_hooks
    assert "output_router_logits" not in plain.config.to_dict()


def test_only_adapter_weights_are_trained_and_all_of_them(
    case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = adapted(case).train()
    model(**batch(case), labels=batch(case)["input_ids"]).loss.backward()
    learned = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    expected = {n for n, p in model.named_parameters() if "moe_lora_" in n}
    if CASES[case].get("num_experts") == 1:  # one expert always counts fully
        expected = {n for n in expected if "router" not in n}
    elif CASES[case].get("top_k") == 1:  # so does the only one kept: the losses alone move it
        assert {n for n in learned if "router" in n}
    assert learned == expected
    model.print_trainable_parameters()
    trained = sum(p.numel() for n, p in model.named_parameters() if "moe_lora_" in n)
    assert f"trainable params: {trained:,}" in capsys.readouterr().out


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_leaves_gradients_as_they_are(case: str, reentrant: bool) -> None:
    plain, checkpointed = adapted(case).train(), adapted(case).train()
    checkpointed.enable_input_require_grads()
    checkpointed.gradient_checkpointing_enable({"use_reentrant": reentrant})
    for model in (plain, checkpointed):
        model(**batch(case), labels=batch(case)["input_ids"]).loss.backward()
    for (name, a), b in zip(plain.named_parameters(), checkpointed.parameters(), strict=True):
        if a.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, msg=lambda m, n=name: f"{n}: {m}")


def test_autocast_adds_the_update_to_a_bfloat16_base(case: str) -> None:
    exact = logits(adapted(case), case)
    torch.manual_seed(1)
    model: Any = get_peft_model(llama().to(torch.bfloat16), config(case)).eval()
    assert {p.dtype for n, p in model.named_parameters() if "moe_lora" in n} == {torch.float32}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        close = logits(model, case)
    assert close.dtype == torch.bfloat16
    torch.testing.assert_close(close.float(), exact, atol=0.1, rtol=0.1)


def test_copies_and_pickles_keep_their_own_routing(case: str, tmp_path: Path) -> None:
    model = adapted(case)
    expected = logits(model, case)
    torch.save(model, tmp_path / "model.pt")
    loaded = torch.load(tmp_path / "model.pt", weights_only=False)
    for other in (copy.deepcopy(model), loaded):
        assert same(logits(other, case), expected)
        (routing,) = {layer.routing for layer in layers(other)}
        assert routing is not layers(model)[0].routing


# PEFT's and transformers' other doors


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`")
@pytest.mark.parametrize("case", ROUTINGS)
def test_auto_class_and_transformers_load_the_adapter(case: str, tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path / "base")
    base = LlamaForCausalLM.from_pretrained(tmp_path / "base").eval()
    torch.manual_seed(1)
    model: Any = get_peft_model(base, config(case)).eval()
    model.save_pretrained(tmp_path / "adapter")
    expected = logits(model, case)
    auto = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter")
    assert same(logits(auto, case), expected)
    native: Any = LlamaForCausalLM.from_pretrained(tmp_path / "base").eval()
    native.load_adapter(str(tmp_path / "adapter"))
    assert same(logits(native, case), expected)
    native.add_adapter(config(case), "second")
    native.set_adapter("default")
    assert same(logits(native.eval(), case), expected)
    native.delete_adapter("second")
    assert same(logits(native, case), expected)


@pytest.mark.parametrize("case", ["token", "lora"])
def test_auto_class_of_vision_language_models_loads_base_and_adapter(
    case: str, tiny_llava: Path, tmp_path: Path
) -> None:
    base = AutoModelForImageTextToText.from_pretrained(tiny_llava)
    lora = LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], init_lora_weights=False)
    torch.manual_seed(1)
    model: Any = get_peft_model(base, lora if case == "lora" else config(case)).eval()
    model.save_pretrained(tmp_path)
    ids = torch.arange(5, 15)[None]
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path).eval()
    assert torch.equal(loaded(input_ids=ids).logits, model(input_ids=ids).logits)


def test_modules_of_several_layers_are_saved_and_unloaded(tmp_path: Path) -> None:
    model = adapted("token", modules_to_save=["mlp"], target_modules=["q_proj"])
    for parameter in model.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(llama(), str(tmp_path))
    assert same(logits(loaded, "token"), logits(model, "token"))
    trained = model.base_model.model.model.layers[0].mlp.modules_to_save["default"]
    plain = loaded.unload()
    assert not layers(plain)
    assert same(plain.model.layers[0].mlp.up_proj.weight, trained.up_proj.weight)


def test_peft_alone_refuses_the_adapter(tmp_path: Path) -> None:
    adapted("token").save_pretrained(tmp_path)
    code = "import sys, peft; peft.PeftConfig.from_pretrained(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "KeyError: 'MOE_LORA'" in done.stderr


def test_quantised_layers_are_adapted() -> None:
    bnb = pytest.importorskip("bitsandbytes")
    base = llama()
    for block in base.model.layers:
        linear = block.self_attn.q_proj
        quantised = bnb.nn.Linear4bit(32, 32, bias=False, quant_type="nf4")
        quantised.load_state_dict(linear.state_dict())
        block.self_attn.q_proj = quantised.to("cpu")
    model: Any = get_peft_model(base, config("token"))
    model(**batch("token"), labels=batch("token")["input_ids"]).loss.backward()
    assert all(layer.moe_lora_A["default"].weight.grad.any() for layer in layers(model))


@pytest.mark.parametrize("case", ROUTINGS)
def test_conv1d_is_adapted_as_the_linear_layer_that_it_is(case: str) -> None:
    """GPT-2's layer, whose weight is that of a linear layer transposed."""
    linear, conv1d = nn.Linear(32, 24), Conv1D(24, 32)
    conv1d.load_state_dict({"weight": linear.weight.T, "bias": linear.bias})
    options = config(case, target_modules=["0"], task_type=None)
    expected, model = (get_peft_model(nn.Sequential(base), options) for base in (linear, conv1d))
    adapter = {k: v for k, v in expected.state_dict().items() if "moe_lora" in k}
    assert not model.load_state_dict(adapter, strict=False).unexpected_keys
    x = torch.randn(2, 3, 32)
    with use_task(expected, "vqa"), use_task(model, "vqa"):
        torch.testing.assert_close(model(x), expected(x))
        if case == "task":
            model.merge_adapter()
            torch.testing.assert_close(model(x), expected(x))


def test_layers_that_are_not_linear_are_named() -> None:
    with pytest.raises(TypeError, match=r"model.embed_tokens is of type Embedding"):
        adapted("token", target_modules=["embed_tokens"])


# The mathematics


@settings(max_examples=25, deadline=None)
@given(
    experts=st.integers(1, 6),
    rank=st.integers(1, 4),
    width=st.integers(1, 12),
    alpha=st.floats(0.5, 64),
    seed=st.integers(0, 99),
)
def test_with_equal_gates_it_is_the_lora_of_the_experts_mean(
    experts: int, rank: int, width: int, alpha: float, seed: int
) -> None:
    torch.manual_seed(seed)
    r = experts * rank
    base = nn.Sequential(nn.Linear(width, 5))
    ours: Any = get_peft_model(
        copy.deepcopy(base),
        MoeLoraConfig(r=r, num_experts=experts, lora_alpha=alpha, target_modules=["0"]),
    )
    lora: Any = get_peft_model(
        copy.deepcopy(base), LoraConfig(r=r, lora_alpha=alpha / experts, target_modules=["0"])
    )
    ours_layer, lora_layer = ours.base_model.model[0], lora.base_model.model[0]
    nn.init.zeros_(ours_layer.moe_lora_router["default"].weight)
    nn.init.normal_(ours_layer.moe_lora_B["default"].weight)
    lora_layer.lora_A["default"].load_state_dict(ours_layer.moe_lora_A["default"].state_dict())
    lora_layer.lora_B["default"].load_state_dict(ours_layer.moe_lora_B["default"].state_dict())
    x = torch.randn(4, width)
    torch.testing.assert_close(ours(x), lora(x), atol=1e-5, rtol=1e-5)


def test_both_readings_of_the_rank() -> None:
    split, own = MoeLoraConfig(), MoeLoraConfig(rank_per_expert=64)
    assert (split.total_rank, split.scaling) == (128, 2.0)
    assert (own.total_rank, own.scaling) == (256, 2.0)
    assert lone_layer("token").moe_lora_A["default"].weight.shape == (8, 32)
    assert lone_layer("token, rank per expert").moe_lora_A["default"].weight.shape == (16, 32)


def test_token_gates_differ_from_token_to_token_and_follow_the_features() -> None:
    router = lone_layer("token").moe_lora_router["default"]
    x = torch.randn(1, 3, 32)
    gates = router(x, ForwardPass())
    assert gates.shape == (1, 3, 4)
    torch.testing.assert_close(gates, (x @ router.weight.T).softmax(-1))


def test_the_router_sees_features_that_dropout_hides_from_the_experts() -> None:
    layer = lone_layer("token", lora_dropout=0.99)
    x, seen = torch.randn(2, 3, 32), []
    layer.moe_lora_router["default"].register_forward_hook(
        lambda _m, args, _o: seen.append(args[0])
    )
    layer(x)
    assert same(seen[0], x)
    assert not torch.allclose(layer(x), layer.eval()(x))


def test_only_the_top_k_experts_count_with_their_share_of_the_gates() -> None:
    router = lone_layer("top-2 of 4").eval().moe_lora_router["default"]
    x = torch.randn(2, 3, 32)
    soft = (x @ router.weight.T).softmax(-1)
    kept = soft.sort(descending=True).values[..., :2]
    gates = router(x, ForwardPass())
    assert ((gates > 0).sum(-1) == 2).all()
    expected = kept / kept.sum(-1, keepdim=True)
    torch.testing.assert_close(gates.sort(descending=True).values[..., :2], expected)
    assert same(gates.argmax(-1), soft.argmax(-1))


# Auxiliary losses


def balance_and_z(router: TopKRouter, x: torch.Tensor) -> torch.Tensor:
    """Both losses over the tokens ``x`` [tokens, in], written out."""
    router_logits = x @ router.weight.T
    soft = router_logits.softmax(-1)
    chosen = torch.zeros_like(soft).scatter(-1, soft.topk(router.top_k).indices, 1.0)
    share = chosen.sum(0) / chosen.sum()
    balance = soft.shape[-1] * (share * soft.mean(0)).sum()
    z = torch.log(torch.exp(router_logits).sum(-1)).pow(2).mean()
    return router.load_balance_coef * balance + router.z_loss_coef * z


def plain_top_k(width: int = 6) -> Any:
    """A model of two layers without ``loss`` in its output, and its last layer."""
    torch.manual_seed(0)
    options = config("top-2 of 4", target_modules=["0", "1"], task_type=None)
    base = nn.Sequential(nn.Linear(width, width), nn.Linear(width, 5))
    model: Any = get_peft_model(base, options).train()
    return model, layers(model)[1]


def test_the_losses_are_the_papers_and_reach_the_router() -> None:
    model, layer = plain_top_k()
    router = layer.moe_lora_router["default"]
    x = torch.randn(9, 6)
    (0.0 * model(x).sum() + auxiliary_loss(model)).backward()
    first = layers(model)[0]
    own = balance_and_z(router, first(x).detach())
    expected = (balance_and_z(first.moe_lora_router["default"], x) + own) / 2
    torch.testing.assert_close(auxiliary_loss(model), expected)
    (gradient,) = torch.autograd.grad(own / 2, router.weight)
    torch.testing.assert_close(router.weight.grad, gradient)


def test_the_gradient_has_the_factor_that_the_loss_has() -> None:
    model, layer = plain_top_k()
    x, weight = torch.randn(9, 6), layer.moe_lora_router["default"].weight
    gradients = []
    for factor in (1.0, 0.25):
        weight.grad = None
        (factor * (model(x).sum() + auxiliary_loss(model))).backward()
        gradients.append(weight.grad)
    torch.testing.assert_close(gradients[1], 0.25 * gradients[0])


def test_a_loss_without_the_auxiliary_part_is_refused() -> None:
    model, _ = plain_top_k()
    with pytest.raises(RuntimeError, match=r"Add auxiliary_loss\(model\)"):
        model(torch.randn(9, 6)).sum().backward()


def test_padding_is_not_balanced() -> None:
    model = adapted("top-2 of 4").train()
    inputs = batch("top-2 of 4")
    model(**inputs)
    before = auxiliary_loss(model).item()
    inputs["input_ids"][2, 4:] = 5
    model(**inputs)
    assert auxiliary_loss(model).item() == pytest.approx(before, abs=1e-7)
    model(input_ids=inputs["input_ids"])
    assert auxiliary_loss(model).item() != pytest.approx(before, abs=1e-7)


def test_the_loss_of_the_model_holds_the_mean_over_its_layers() -> None:
    model = adapted("top-2 of 4").train()
    labels = batch("top-2 of 4")["input_ids"]
    output = model(**batch("top-2 of 4"), labels=labels)
    with_losses = output.loss.item()
    assert output.aux_loss.item() > 0.01  # load_balance_coef times at least about 1
    model.eval()
    without = model(**batch("top-2 of 4"), labels=labels).loss.item()
    assert with_losses == pytest.approx(without + output.aux_loss.item(), abs=1e-6)
    with pytest.raises(ValueError, match="had no auxiliary losses"):
        auxiliary_loss(adapted("token"))


# Tasks


def test_task_gates_are_each_rows_own() -> None:
    model = adapted("task")
    for layer in layers(model):
        nn.init.normal_(layer.moe_lora_router["default"].logits)
    mixed = logits(model, "task")
    for task, rows in (("caption", [0]), ("vqa", [1, 2])):
        with use_task(model, task), torch.no_grad():
            alone = model(**batch("token")).logits
        torch.testing.assert_close(mixed[rows], alone[rows])
    with use_task(model, ["caption", "vqa", "vqa"]):
        with use_task(model, "caption"):
            pass
        assert same(logits(model, "token"), mixed)
    assert not torch.allclose(mixed[0], alone[0])


def test_a_missing_or_unknown_task_is_refused() -> None:
    model = adapted("task")
    with pytest.raises(ValueError, match=r"use_task\(model, TASK\).*caption, vqa"):
        logits(model, "token")
    with use_task(model, "detail"), pytest.raises(ValueError, match="unknown task detail"):
        logits(model, "token")
    with use_task(model, TASKS), pytest.raises(ValueError, match="2 tasks for a batch of 3"):
        logits(model, "token")
    with pytest.raises(ValueError, match="no MoE-LoRA"), use_task(llama(), "vqa"):
        pass


def test_generation_uses_the_task() -> None:
    model = adapted("task")
    ids = batch("task")["input_ids"][:2]
    for layer in layers(model):
        nn.init.normal_(layer.moe_lora_router["default"].logits, std=4)
        nn.init.normal_(layer.moe_lora_B["default"].weight)
    replies = {}
    for task in TASKS:
        with use_task(model, task):
            replies[task] = model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=8
            )
    assert replies["caption"].tolist() != replies["vqa"].tolist()
    with pytest.raises(ValueError, match="Task routing must know the task"):
        model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=2)


@pytest.mark.parametrize("safe", [True, False])
def test_task_adapters_merge_for_one_task(safe: bool) -> None:
    model = adapted("task")
    for layer in layers(model):
        nn.init.normal_(layer.moe_lora_router["default"].logits)
    with use_task(model, "vqa"):
        expected = logits(model, "token")
        model.merge_adapter(safe_merge=safe)
        torch.testing.assert_close(logits(model, "token"), expected, atol=1e-5, rtol=1e-5)
    model.unmerge_adapter()
    with use_task(model, "vqa"):
        torch.testing.assert_close(logits(model, "token"), expected, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="must know the task"):
        model.merge_and_unload()
    merged = model.merge_and_unload(task="vqa", safe_merge=safe)
    assert not layers(merged)
    torch.testing.assert_close(logits(merged, "token"), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("case", ["token", "top-2 of 4"])
def test_gates_that_depend_on_the_token_are_never_merged(case: str) -> None:
    model = adapted(case)
    before = logits(model, case)
    with pytest.raises(NotImplementedError, match="weighs the experts per token"):
        model.merge_and_unload()
    with pytest.raises(NotImplementedError, match="weighs the experts per token"):
        model.merge_adapter()
    assert same(logits(model, case), before)


def test_the_collator_numbers_the_tasks() -> None:
    collator = TaskCollator(lambda examples: {"rows": len(examples)}, TASKS)
    out = collator([{"task": "vqa"}, {"task": "caption"}])
    assert out["rows"] == 2
    assert out["tasks"].tolist() == [1, 0]
    with pytest.raises(ValueError, match="rows of task detail, but the tasks are caption, vqa"):
        collator([{"task": "detail"}])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"r": 6}, "r must be a positive multiple of num_experts, got r=6 for 4 experts"),
        ({"routing": "expert"}, "routing must be token, top_k or task, got 'expert'"),
        ({"routing": "top_k", "top_k": 5}, "top_k must lie in 1..4, got 5"),
        ({"routing": "task"}, "needs tasks"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MoeLoraConfig(**options)


# Router statistics


def test_statistics_are_loads_and_entropies_by_layer_and_task(tmp_path: Path) -> None:
    model = adapted("task").train()
    for layer in layers(model):
        layer.moe_lora_router["default"].logits.data[1] = torch.tensor([50.0, 0, 0, 0])
    statistics = RouterStatistics(tmp_path / "stats.jsonl", TASKS)
    state = type(
        "State", (), {"log_history": [{}], "global_step": 3, "is_world_process_zero": True}
    )
    earlier = '{"step": 2, "layers": {}}\n'
    statistics.path.write_text(
        earlier + earlier.replace("2", "5")
    )  # the run was cut, and went on from 3
    statistics.on_train_begin(None, state, None, model=model)
    assert statistics.path.read_text() == earlier
    statistics.path.unlink()
    logits(model, "task")
    logged: dict[str, float] = {}
    statistics.on_log(None, state, None, logged)
    (line,) = (tmp_path / "stats.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert record["step"] == 3
    assert len(record["layers"]) == len(layers(model))
    first = record["layers"]["base_model.model.model.layers.0.self_attn.q_proj"]
    # Row 0 has seven tokens of "caption"; rows 1 and 2 have seven and four of "vqa".
    assert first == {
        "caption": {"load": [0.25] * 4, "entropy": 1.3863, "tokens": 7},
        "vqa": {"load": [1.0, 0.0, 0.0, 0.0], "entropy": 0.0, "tokens": 11},
    }
    assert logged == state.log_history[0]
    assert logged["router_entropy"] == pytest.approx(1.3863 * 7 / 18, abs=1e-4)
    assert logged["router_max_load"] == pytest.approx((0.25 * 7 + 11) / 18, abs=1e-4)
    statistics.on_train_end()
    logits(model, "task")
    statistics.on_log(None, state, None, logged)
    assert len((tmp_path / "stats.jsonl").read_text().splitlines()) == 1
    pytest.importorskip("matplotlib")
    plot_router_statistics(tmp_path / "stats.jsonl", tmp_path / "stats.png")
    assert (tmp_path / "stats.png").stat().st_size > 1_000


def use(load: list[float], tokens: int) -> TaskLoad:
    return {"load": load, "entropy": 0.0, "tokens": tokens}


def test_expert_use_is_of_the_second_half_weighed_by_tokens(tmp_path: Path) -> None:
    lines: list[Logged] = [
        {"step": 1, "layers": {"a": {"vqa": use([0.0, 1.0], 9)}}},
        {"step": 2, "layers": {"a": {"vqa": use([0.0, 1.0], 9)}}},
        {"step": 3, "layers": {"a": {"vqa": use([1.0, 0.0], 3), "caption": use([0.5, 0.5], 1)}}},
        {"step": 4, "layers": {"a": {"vqa": use([0.0, 1.0], 1)}}},
    ]
    log = tmp_path / "router_statistics.jsonl"
    write_json_lines(log, lines)
    assert expert_use(log) == {"vqa": [[0.75, 0.25]], "caption": [[0.5, 0.5]]}
    pytest.importorskip("matplotlib")
    other = tmp_path / "other.jsonl"
    write_json_lines(other, lines[:1])  # no captions
    plot_expert_use({"first": log, "other": other}, tmp_path / "use.svg")
    assert "<svg" in (tmp_path / "use.svg").read_text()
    log.write_text("")
    with pytest.raises(InvalidFileError, match="has no lines: train with logging_steps"):
        expert_use(log)


# Several processes

WAYS = ["ddp", "fsdp2"]


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gradients of every routing in two processes, in either way."""
    out = tmp_path_factory.mktemp("gradients")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*launch, __file__, str(out)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return out


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", ROUTINGS)
def test_two_processes_train_as_one(two_processes: Path, way: str, case: str) -> None:
    gradients = torch.load(two_processes / f"{way} {case}.pt")
    halves = [_gradients(adapted(case).train(), case, half) for half in (0, 1)]
    assert gradients.keys() == halves[0].keys()
    for name, gradient in gradients.items():
        expected = (halves[0][name] + halves[1][name]) / 2
        torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=1e-4)


def _gradients(model: Any, case: str, half: int) -> dict[str, torch.Tensor]:
    """Of the loss over one half of four rows."""
    ids = torch.randint(1, 40, (4, 7), generator=torch.Generator().manual_seed(3)).chunk(2)[half]
    tasks = {"tasks": torch.tensor([0, 1])} if CASES[case]["routing"] == "task" else {}
    model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids, **tasks).loss.backward()
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return {
        name.removeprefix("module."): getattr(gradient, "full_tensor", lambda g=gradient: g)()
        for name, gradient in gradients.items()
    }


def _sharded(model: Any, way: str) -> Any:
    if way == "ddp":
        return nn.parallel.DistributedDataParallel(model)
    for block in model.base_model.model.model.layers:
        fully_shard(block)
    return fully_shard(model)


def _one_of_two_processes(out: Path) -> None:
    assert dist.get_world_size() == 2
    for way, case in product(WAYS, ROUTINGS):
        gradients = _gradients(_sharded(adapted(case).train(), way), case, dist.get_rank())
        if dist.get_rank() == 0:
            torch.save(gradients, out / f"{way} {case}.pt")


if __name__ == "__main__":
    dist.init_process_group("gloo")
    _one_of_two_processes(Path(sys.argv[1]))
    leave_process_group()
    os._exit(0)  # on a busy machine a thread of gloo's may outlive the interpreter, and abort
