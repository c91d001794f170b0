"""Training from recipe to checkpoint, on a tiny model and the real collator."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
from conftest import CPU_TRAINING

pytest.importorskip("trl")

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl.trainer import utils as trl_utils

from rs_gpt4v import NAME
from rs_gpt4v_evaluation.predict import Predictor
from rs_gpt4v_training.arguments import (
    DataArguments,
    DpoArguments,
    GrpoArguments,
    KtoArguments,
    parse,
    parse_for,
)
from rs_gpt4v_training.chat_template import LLAVA15
from rs_gpt4v_training.moe_lora import is_moe_lora, use_task
from rs_gpt4v_training.parts import PARTS, part
from rs_gpt4v_training.recipe import recipe_path
from rs_gpt4v_training.row_checks import TooLongError, refuse_cut_rows
from rs_gpt4v_training.rows import load_rows
from rs_gpt4v_training.sft import main, make_trainer, prepare, set_trained, train

# transformers 5.23 renames the option that trl 1.16 still sets, and says so at each start.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")


@pytest.fixture
def recipe(tiny_llava: Path, releases: Path, tmp_path: Path) -> Path:
    fields = {
        "datasets": ["vqa_lr", "cap_ucm"],
        "data_dir": str(releases),
        "max_rows": 40,
        "model_name_or_path": str(tiny_llava),
        "output_dir": str(tmp_path / "out"),
        "max_steps": 30,
        "per_device_train_batch_size": 8,
        "learning_rate": 0.01,
        "logging_steps": 5,
        **CPU_TRAINING,
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(fields))  # JSON is YAML
    return path


def losses(out: Path) -> list[float]:
    log = json.loads((out / "trainer_state.json").read_text())["log_history"]
    return [entry["loss"] for entry in log if "loss" in entry]


def test_full_training_learns_and_saves_an_ordinary_checkpoint(
    recipe: Path, releases: Path, tmp_path: Path
) -> None:
    assert main([str(recipe)]) == 0
    first, *_, last = losses(tmp_path / "out")
    assert last < 0.6 * first
    rows = datasets.load_dataset(NAME, "vqa_lr", split="test", data_dir=str(releases))
    replies = Predictor(str(tmp_path / "out"), max_new_tokens=8).replies([rows[0], rows[1]])
    assert all(replies)
    tokenizer = json.loads((tmp_path / "out/tokenizer.json").read_text())
    assert tokenizer["truncation"] is None


def test_given_chat_template_is_marked_and_saved(recipe: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.jinja"
    plain = re.sub(r"{% (end)?generation %}", "", LLAVA15).replace("USER: ", "QUESTION: ")
    own.write_text(plain)
    main([str(recipe), "--chat_template_path", str(own), "--max_steps", "1"])
    saved = (tmp_path / "out/chat_template.jinja").read_text()
    assert "QUESTION: " in saved
    assert "{%- generation -%}" in saved


@pytest.mark.parametrize(
    ("name", "belongs_to"),
    [
        ("model.visual.merger.mlp.0.weight", "projector"),
        ("model.visual.blocks.0.attn.qkv.weight", "vision"),
        ("model.connector.modality_projection.proj.weight", "projector"),
        ("model.vision_tower.vision_model.post_layernorm.weight", "vision"),
        ("model.text_model.layers.0.mlp.up_proj.weight", "language"),
        ("lm_head.weight", "language"),
    ],
)
def test_parts_of_other_families(name: str, belongs_to: str) -> None:
    assert part(name) == belongs_to


@pytest.mark.parametrize("trained", [["projector"], ["language", "projector"]], ids="+".join)
def test_the_named_parts_move_and_the_others_stay(
    recipe: Path, tiny_llava: Path, tmp_path: Path, trained: list[str]
) -> None:
    main([str(recipe), "--max_steps", "2", "--train", *trained])
    before, after = (
        load_file(folder / "model.safetensors") for folder in (tiny_llava, tmp_path / "out")
    )
    moved = {part(name) for name in before if not before[name].equal(after[name])}
    assert moved == set(trained)
    unmoved = {part(name) for name in before if before[name].equal(after[name])}
    assert set(PARTS) - moved <= unmoved


def learning_rates(argv: list[str]) -> dict[str, set[float]]:
    """The learning rates that a run gave to each kind of parameter."""
    trainer = train(*parse([*argv, "--max_steps", "1", "--lr_scheduler_type", "constant"]))
    names = {id(p): name for name, p in trainer.model.named_parameters()}
    rates: dict[str, set[float]] = {}
    for group in trainer.optimizer.param_groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            kind = "adapter" if "lora_" in name else part(name)
            rates.setdefault(kind, set()).add(group["lr"])
    assert len(names) >= sum(len(group["params"]) for group in trainer.optimizer.param_groups)
    return rates


def test_projector_learns_at_its_own_rate(recipe: Path) -> None:
    flags = ["--projector_learning_rate", "2e-5", "--weight_decay", "0.1"]
    all_parts = learning_rates([str(recipe), *flags])
    assert all_parts == {"language": {0.01}, "vision": {0.01}, "projector": {2e-5}}
    lora = ["--use_peft", "--lora_modules_to_save", "multi_modal_projector"]
    assert learning_rates([str(recipe), *lora]) == {"adapter": {0.01}, "projector": {0.01}}
    assert learning_rates([str(recipe), *lora, *flags]) == {
        "adapter": {0.01},
        "projector": {2e-5},
    }


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--train", "projektor"], "no part 'projektor'; a model has language, projector, vision"),
        (["--train", "projector", "--use_peft"], "projector and an adapter exclude each other"),
        (["--projector_learning_rate", "1e-5", "--use_peft"], "no projector is trained.*lora_mod"),
    ],
)
def test_what_cannot_be_trained_is_refused(recipe: Path, flags: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        main([str(recipe), *flags])


@pytest.mark.parametrize("routing", ["token", "top_k", "task"])
def test_moe_lora_trains_on_two_tasks_and_loads_back(
    recipe: Path, tiny_llava: Path, releases: Path, tmp_path: Path, routing: str
) -> None:
    options = ["--use_moe_lora", "--lora_r", "8", "--routing", routing]
    steps = ["--gradient_accumulation_steps", "2", "--gradient_checkpointing", "true"]
    projector = ["--lora_modules_to_save", "multi_modal_projector"]
    main([str(recipe), *options, *steps, *projector, "--max_steps", "12"])
    first, *_, last = losses(tmp_path / "out")
    assert last < first
    log = json.loads((tmp_path / "out/trainer_state.json").read_text())["log_history"]
    assert ("aux_loss" in log[0]) == (routing == "top_k")
    assert 0 < log[0]["router_entropy"] <= 1.3863
    lines = (tmp_path / "out/router_statistics.jsonl").read_text().splitlines()
    layers = json.loads(lines[-1])["layers"]
    assert {task for layer in layers.values() for task in layer} == {"caption", "vqa"}
    assert all("language_model" in layer for layer in layers)
    assert (tmp_path / "out/router_statistics.png").is_file()
    rows = datasets.load_dataset(NAME, "vqa_lr", split="test", data_dir=str(releases))
    adapter = str(tmp_path / "out")
    assert is_moe_lora(adapter)
    adapted = Predictor(str(tiny_llava), adapter, max_new_tokens=8, route=use_task)
    replies = adapted.replies([rows[0]])
    assert replies != Predictor(str(tiny_llava)).replies([rows[0]])


LORA = ["--use_peft", "--lora_r", "8", "--lora_modules_to_save", "multi_modal_projector"]
MOE_LORA = ["--use_moe_lora", "--lora_r", "8"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("method", [[], LORA, MOE_LORA], ids=["full", "lora", "moe_lora"])
def test_what_was_trained_loads_with_equal_logits(
    recipe: Path, tiny_llava: Path, tmp_path: Path, method: list[str], dtype: torch.dtype
) -> None:
    name = str(dtype).removeprefix("torch.")
    trainer: Any = train(*parse([str(recipe), *method, "--dtype", name, "--max_steps", "2"]))
    batch = trainer.data_collator([trainer.train_dataset[0], trainer.train_dataset[1]])
    inputs = {key: batch[key] for key in ("input_ids", "attention_mask", "pixel_values")}
    out = str(tmp_path / "out")
    base = str(tiny_llava) if method else out
    loaded: Any = AutoModelForImageTextToText.from_pretrained(base, dtype=dtype)
    if method:
        loaded = PeftModel.from_pretrained(loaded, out)
    logits, trained = (model.eval()(**inputs).logits for model in (loaded, trainer.model))
    assert logits.equal(trained)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--use_moe_lora", "--use_peft"], "use_peft and use_moe_lora exclude each other"),
        (["--use_moe_lora", "--use_dora"], "use_dora and use_moe_lora exclude each other"),
        (["--repository", "somewhere", "--exclude_leaks", "true"], "data_dir, exclude_leaks and"),
    ],
)
def test_options_that_exclude_each_other_are_refused(
    recipe: Path, flags: list[str], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        parse([str(recipe), *flags])


def test_repository_must_say_how_its_boxes_are_written(recipe: Path, tmp_path: Path) -> None:
    fields = json.loads(recipe.read_text())
    del fields["data_dir"]
    recipe.write_text(json.dumps(fields | {"repository": str(tmp_path)}))
    with pytest.raises(ValueError, match="box_format: name the one that the rows"):
        main([str(recipe)])


def test_tasks_that_only_validation_has_do_not_stop_other_routing(
    recipe: Path, tmp_path: Path
) -> None:
    fields = json.loads(recipe.read_text())
    fields |= {"datasets": ["vqa_floodnet", "cap_ucm"], "mixture": {"cap_ucm": 0.001}}
    recipe.write_text(json.dumps(fields))  # of 40 training rows of captions none
    moe = [str(recipe), *MOE_LORA, "--max_steps", "2", "--eval_strategy", "steps"]
    main([*moe, "--eval_steps", "1"])
    with pytest.raises(ValueError, match=r"validation has rows of task caption, which no training"):
        main([*moe, "--routing", "task", "--output_dir", str(tmp_path / "other")])


def test_language_model_alone_is_quantised_under_an_adapter(recipe: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    options = ["--load_in_4bit", "--use_peft", "--lora_modules_to_save", "multi_modal_projector"]
    trainer = train(*parse([str(recipe), *options, "--max_steps", "2"]))
    four_bit = {n for n, p in trainer.model.named_parameters() if p.dtype == torch.uint8}
    assert four_bit
    assert all("language_model" in name for name in four_bit)
    assert (tmp_path / "out/adapter_model.safetensors").is_file()
    trained = {p.dtype for p in trainer.model.parameters() if p.requires_grad}
    assert trained == {torch.float32}


@pytest.mark.parametrize("method", [["--use_peft"], ["--use_moe_lora"]], ids=" ".join)
def test_what_float16_trains_is_float32(recipe: Path, method: list[str]) -> None:
    """Of the base model, nothing else is: float16's scaler refuses gradients of float16."""
    projector = ["--lora_r", "8", "--lora_modules_to_save", "multi_modal_projector"]
    data, training, model = parse([str(recipe), *method, *projector, "--dtype", "float16"])
    ready = prepare(data, training, model)
    trainer = make_trainer(data, training, model)
    trainer.args.fp16 = True  # which transformers refuses without a GPU
    set_trained(trainer, model, ready)
    of_kind = {True: set(), False: set()}
    for parameter in trainer.model.parameters():
        of_kind[parameter.requires_grad].add(parameter.dtype)
    assert of_kind == {True: {torch.float32}, False: {torch.float16}}


def test_quantised_weights_are_not_trained_themselves(recipe: Path) -> None:
    pytest.importorskip("bitsandbytes")
    with pytest.raises(ValueError, match="cannot be trained: add an adapter"):
        main([str(recipe), "--load_in_4bit"])


def test_accelerate_launch_with_flags_over_the_recipe(recipe: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "accelerate.commands.launch", "--cpu"]
    script = [
        "-m",
        "rs_gpt4v_training.sft",
        str(recipe),
        "--max_steps",
        "2",
        "--logging_steps",
        "1",
    ]
    done = subprocess.run(
        [*command, *script], capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert len(losses(tmp_path / "out")) == 2


def test_defaults_learn_answers_only_and_cut_nothing_at_1024() -> None:
    _, training, _ = parse(["--output_dir", "out", "--use_cpu", "--bf16", "false"])
    assert training.assistant_only_loss
    assert training.max_length == 2048


def test_rows_are_mixed_from_all_configs(releases: Path) -> None:
    data = DataArguments(
        ["vqa_lr", "cap_ucm"], data_dir=str(releases), box_format="llava", max_rows=10
    )
    rows = load_rows(data, "train", seed=0)
    assert [row["source"] for row in rows] == ["rsvqa_lr"] * 10 + ["ucm_captions"] * 10
    assert rows.to_list() == load_rows(data, "train", seed=0).to_list()


def test_configs_without_the_split_are_left_out(
    releases: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = DataArguments(["vqa_lr", "vqa_floodnet"], data_dir=str(releases), box_format="llava")
    assert set(load_rows(data, "validation", seed=0)["source"]) == {"rsvqa_lr"}
    assert "vqa_floodnet: no split 'validation'" in caplog.text
    with pytest.raises(ValueError, match="none of vqa_floodnet has a split 'validation'"):
        load_rows(replace(data, datasets=["vqa_floodnet"]), "validation", seed=0)


def test_the_loss_looks_at_answers_alone(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer(*parse([str(recipe), "--max_steps", "1"]))
    batch = next(iter(trainer.get_train_dataloader()))
    answers = int((batch["labels"] != -100).sum())
    inner, scored = trl_utils._ChunkedLogProbFunction, list[int]()

    class Spy:
        @staticmethod
        def apply(hidden: torch.Tensor, *others: Any) -> Any:
            scored.append(len(hidden))
            return inner.apply(hidden, *others)

    monkeypatch.setattr(trl_utils, "_ChunkedLogProbFunction", Spy)
    alone = trainer.compute_loss(trainer.model, dict(batch))
    monkeypatch.setattr(trl_utils, "_use_triton", lambda _device: False)
    of_all = trainer.compute_loss(trainer.model, dict(batch))
    assert scored == [answers, batch["labels"][:, 1:].numel()]
    assert answers < 0.2 * scored[1]
    torch.testing.assert_close(alone, of_all)


def test_no_config_is_refused() -> None:
    with pytest.raises(ValueError, match="name configs in the recipe"):
        load_rows(DataArguments(), "train", seed=0)


def test_rows_that_would_be_cut_are_refused_with_the_length_they_need(
    tiny_llava: Path, releases: Path
) -> None:
    rows = datasets.load_dataset(NAME, "vqa_lr", split="test", data_dir=str(releases))
    processor: Any = AutoProcessor.from_pretrained(tiny_llava)
    lengths = [_length(row, processor) for row in rows]
    refuse_cut_rows(rows, processor, max(lengths))
    worst = rows[lengths.index(max(lengths))]["id"]
    cut = sum(length == max(lengths) for length in lengths)
    with pytest.raises(
        TooLongError, match=rf"cut {cut} of {len(rows)} rows; {worst} needs {max(lengths)} tokens"
    ):
        refuse_cut_rows(rows, processor, max(lengths) - 1)


def _length(row: dict[str, Any], processor: Any) -> int:
    """Tokens of a row as TRL's collator makes them."""
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    return DataCollatorForVisionLanguageModeling(processor)([row])["input_ids"].shape[1]


def test_shipped_recipes_are_valid() -> None:
    for path in sorted(recipe_path("demo_lora").parent.glob("*.yaml")):
        argv = [str(path), "--output_dir", "out", "--use_cpu"]
        if path.stem == "demo_dpo":
            data, training, _ = parse_for(KtoArguments, argv)
            data, training, _ = parse_for(DpoArguments, argv)
            assert training.preferences
            continue
        if path.stem == "demo_grpo":
            data, training, _ = parse_for(GrpoArguments, argv)
            assert training.rewards
        else:
            data, training, _ = parse(argv)
            assert training.assistant_only_loss
        assert data.datasets


def test_unknown_recipe_lists_the_shipped_ones() -> None:
    with pytest.raises(FileNotFoundError, match=r"'nosuch'.*demo_lora"):
        recipe_path("nosuch")
