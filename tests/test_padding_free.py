"""Batches without padding: what is learned of them is what is learned of padded ones."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import CPU_TRAINING

pytest.importorskip("trl")

import tiny_families
import torch

from rs_gpt4v_training.arguments import parse
from rs_gpt4v_training.attention import BY_ROW
from rs_gpt4v_training.collators import PaddingFree
from rs_gpt4v_training.sft import make_trainer, train

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")


def recipe(model: Path, releases: Path, folder: Path, **more: Any) -> list[str]:
    fields = {
        "datasets": ["vqa_lr", "cap_ucm"],
        "data_dir": str(releases),
        "max_rows": 8,
        "model_name_or_path": str(model),
        "output_dir": str(folder / "out"),
        "max_steps": 3,
        "per_device_train_batch_size": 4,
        "learning_rate": 0.01,
        "logging_steps": 1,
        **CPU_TRAINING,
    }
    path = folder / f"{len(list(folder.glob('*.yaml')))}.yaml"
    path.write_text(json.dumps(fields | more))
    return [str(path)]


@pytest.mark.parametrize("attention", [None, "sdpa"], ids=["by row", "sdpa"])
@pytest.mark.parametrize("family", ["llava", "llava_next", "idefics3"])
def test_losses_and_gradients_are_equal(
    family: str, attention: str | None, releases: Path, tmp_path: Path
) -> None:
    tiny_families.build(family, tmp_path / "model")
    fields = {"box_format": "llava", "padding_free": True, "attn_implementation": attention}
    argv = recipe(tmp_path / "model", releases, tmp_path, **fields)
    trainer: Any = make_trainer(*parse(argv))
    flat = trainer.data_collator
    assert isinstance(flat, PaddingFree)
    rows = [trainer.train_dataset[i] for i in (0, 3, 9, 12)]
    found = []
    for batch in (flat(rows), flat.collator(rows)):
        trainer.model.zero_grad()
        loss = trainer.compute_loss(trainer.model, batch)
        loss.backward()
        gradients = [p.grad for p in trainer.model.parameters() if p.grad is not None]
        found.append((loss.item(), torch.cat([g.flatten() for g in gradients])))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-5)
    padded = flat.collator(rows)
    assert flat(rows)["input_ids"].shape == (1, padded["attention_mask"].sum())
    assert padded["attention_mask"].min() == 0


def test_a_run_has_the_same_losses(tiny_llava: Path, releases: Path, tmp_path: Path) -> None:
    losses = []
    for padding_free in (True, False):
        argv = recipe(tiny_llava, releases, tmp_path, padding_free=padding_free)
        trainer: Any = train(*parse(argv))
        losses.append([entry["loss"] for entry in trainer.state.log_history if "loss" in entry])
    assert len(losses[0]) == 3
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_one_row_does_not_see_another(tiny_llava: Path, releases: Path, tmp_path: Path) -> None:
    trainer: Any = make_trainer(*parse(recipe(tiny_llava, releases, tmp_path, padding_free=True)))
    assert trainer.model.config.text_config._attn_implementation == BY_ROW
    rows = [trainer.train_dataset[i] for i in (0, 9)]
    model = trainer.model.eval()
    (both,), (alone,) = (
        model(**trainer.data_collator(some), use_cache=False).logits for some in (rows, rows[1:])
    )
    assert torch.allclose(both[-len(alone) :], alone, atol=1e-5)
    padded = trainer.data_collator.collator(rows)
    assert torch.allclose(model(**padded).logits[1, : len(alone)], alone, atol=1e-5)


def test_a_vision_tower_keeps_its_own_attention(releases: Path, tmp_path: Path) -> None:
    """That of the embedded model is of convolutions, and refuses any other."""
    argv = recipe(Path("embedded"), releases, tmp_path, padding_free=True, max_steps=1)
    assert train(*parse(argv)).state.global_step == 1


def test_where_it_cannot_be_had_is_said(tiny_llava: Path, releases: Path, tmp_path: Path) -> None:
    tiny_families.build("paligemma", tmp_path / "model")
    argv = recipe(tmp_path / "model", releases, tmp_path, padding_free=True)
    with pytest.raises(ValueError, match="padding_free: not for paligemma: its rows attend both"):
        make_trainer(*parse(argv))
    argv = recipe(tiny_llava, releases, tmp_path, padding_free=True, use_moe_lora=True)
    with pytest.raises(ValueError, match="padding_free and use_moe_lora exclude each other"):
        parse(argv)
