"""What training leaves for a downloader: a card, one call that loads it, and merged weights."""

import json
import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import pytest
import yaml
from conftest import CPU_TRAINING
from huggingface_hub import ModelCard
from typer.main import get_command

pytest.importorskip("trl")

import torch

from rs_gpt4v import conversation
from rs_gpt4v.cli import app
from rs_gpt4v_evaluation.bench.card import write_scores
from rs_gpt4v_evaluation.predict import Predictor
from rs_gpt4v_training import load, loading, merge
from rs_gpt4v_training.arguments import DataArguments, ModelArguments, parse
from rs_gpt4v_training.card import next_steps
from rs_gpt4v_training.moe_lora import use_task
from rs_gpt4v_training.sft import load_config, main, train

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")


@pytest.fixture(scope="module")
def moe_lora(tiny_llava: Path, releases: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A trainer that has trained a MoE-LoRA adapter with routing by task."""
    folder = tmp_path_factory.mktemp("moe_lora")
    fields = {
        "datasets": ["vqa_lr", "cap_ucm"],
        "data_dir": str(releases),
        "max_rows": 8,
        "model_name_or_path": str(tiny_llava),
        "output_dir": str(folder / "out"),
        "max_steps": 2,
        "learning_rate": 0.1,
        "use_moe_lora": True,
        "lora_r": 8,
        "routing": "task",
        "lora_modules_to_save": ["multi_modal_projector"],
        "hub_token": "hf_secret",
        **CPU_TRAINING,
    }
    recipe = folder / "recipe.yaml"
    recipe.write_text(json.dumps(fields))
    return train(*parse([str(recipe)]))


def test_the_card_of_an_adapter_says_what_it_is_and_loads_it(moe_lora: Any) -> None:
    out = Path(moe_lora.args.output_dir)
    card = ModelCard.load(out / "README.md")
    assert {"remote-sensing", "moe-lora", "sft"} <= set(card.data.tags)
    assert "4 experts, rank 8 in all, routing by task" in card.text
    (command,) = re.findall(r"`rs-gpt4v (predict .*?)`", card.text)
    arguments = (
        get_command(app).commands["predict"].make_context("predict", shlex.split(command)[1:])
    )
    assert (arguments.params["config"], arguments.params["adapter"]) == ("vqa_lr", str(out))
    assert "| rsvqa_lr | vqa | 8 |" in card.text
    assert f"16 rows with fingerprint `{conversation.fingerprint(moe_lora.conversations)}`" in (
        card.text
    )
    trained, total = moe_lora.model.get_nb_trainable_parameters()
    assert f"{trained:,} of {total:,} parameters were trained for 2 steps" in card.text
    assert "More Information Needed" not in card.text
    assert "hf_secret" not in card.text
    space: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)[0], space)
    batch = moe_lora.data_collator([moe_lora.train_dataset[0], moe_lora.train_dataset[1]])
    moe_lora.model.eval()
    assert space["model"](**batch).logits.equal(moe_lora.model(**batch).logits)
    assert space["processor"].tokenizer.init_kwargs["box_format"] == "llava"


def test_the_recipe_of_a_card_trains_the_same(
    moe_lora: Any, releases: Path, tmp_path: Path
) -> None:
    text = Path(moe_lora.args.output_dir, "README.md").read_text()
    recipe = tmp_path / "again.yaml"
    recipe.write_text(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0])
    assert "use_moe_lora" in yaml.safe_load(recipe.read_text())
    here = ["--data_dir", str(releases), "--output_dir", str(tmp_path / "b"), "--use_cpu", "true"]
    again = train(*parse([str(recipe), *here, "--report_to", "none"]))
    losses = [
        [entry["train_loss"] for entry in trainer.state.log_history if "train_loss" in entry]
        for trainer in (moe_lora, again)
    ]
    assert losses[0]
    assert losses[0] == losses[1]


def test_an_adapter_routed_by_task_merges_into_one_model_for_each(
    moe_lora: Any, tmp_path: Path
) -> None:
    with patch.object(loading, "load", wraps=load) as loads:
        folders = merge(moe_lora.args.output_dir, str(tmp_path / "merged"))
    assert loads.call_count == 1
    assert [folder.name for folder in folders] == ["caption", "vqa"]
    batch = moe_lora.data_collator([moe_lora.train_dataset[0]])
    tasks = batch.pop("tasks")
    adapted = moe_lora.model.eval()
    for number, folder in enumerate(folders):
        merged, processor = load(folder)
        assert not hasattr(merged, "peft_config")
        with use_task(adapted, folder.name):
            expected = adapted(**batch, tasks=torch.full_like(tasks, number)).logits
        torch.testing.assert_close(merged(**batch).logits, expected, atol=1e-4, rtol=1e-4)
        assert processor.chat_template
        alone, _ = load(moe_lora.args.output_dir, dtype="auto")
        alone = alone.merge_and_unload(safe_merge=True, task=folder.name)
        alone.save_pretrained(tmp_path / "alone")
        for file in (tmp_path / "alone").iterdir():
            assert file.read_bytes() == (folder / file.name).read_bytes(), file.name


def test_a_lora_adapter_merges_into_one_model(tuned: Path, tmp_path: Path) -> None:
    assert merge(tuned, tmp_path / "merged") == [tmp_path / "merged"]
    adapted, _ = load(tuned)
    merged, processor = load(str(tmp_path / "merged"))
    tokens = processor.tokenizer("Is there a road?", return_tensors="pt")
    expected = adapted(**tokens).logits
    torch.testing.assert_close(merged(**tokens).logits, expected, atol=1e-4, rtol=1e-4)
    base, _ = load("embedded")
    assert not torch.allclose(base(**tokens).logits, expected, atol=1e-2)
    with pytest.raises(ValueError, match="there is something in it already"):
        merge(tuned, tmp_path / "merged")


def test_what_cannot_be_merged_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no adapter"):
        merge("embedded", tmp_path / "merged")
    config = {"peft_type": "MOE_LORA", "routing": "top_k", "base_model_name_or_path": "embedded"}
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter/adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="'top_k' cannot be merged: its router weighs"):
        merge(tmp_path / "adapter", tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_an_adapter_whose_base_is_elsewhere_asks_for_it(tmp_path: Path) -> None:
    config = {"peft_type": "LORA", "base_model_name_or_path": "/gone/model"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(OSError, match=r"trained on the model in /gone/model, which is not here"):
        load(tmp_path)


def results(adapter: str, score: float) -> dict[str, Any]:
    entry = {
        "config": "vqa_lr",
        "task": "vqa",
        "split": "test",
        "protocol": "paper",
        "metric": "rs_vqa",
        "measure": "oa",
        "n": 4,
        "rows": 4,
        "images": 2,
        "limit": None,
        "missing": 0,
        "fingerprint": "0" * 16,
        "truth": "0" * 16,
        "sample": False,
        "box_format": None,
        "verified": True,
        "scores": {"oa": score},
        "intervals": {"oa": [0.5, 1.0]},
        "counts": {},
        "rule": {},
        "signature": "rs_vqa|v1",
        "predictions": "vqa_lr.jsonl",
        "notes": [],
        "blind": {},
        "most_frequent": None,
    }
    model = {"name": "m", "revision": None, "adapter": adapter, "weights": None, "server": None}
    return {"format": 1, "model": model, "entries": [entry], "report": None}


def test_scores_of_a_bench_go_into_the_card(tmp_path: Path) -> None:
    folder, file = tmp_path / "adapter", tmp_path / "results.json"
    folder.mkdir()
    card = "---\nlibrary_name: peft\n---\n# Mine\n\n## Scores\n\nNone yet.\n\n## Notes\n\nKept.\n"
    (folder / "README.md").write_text(card)
    for score in (0.5, 0.75):
        file.write_text(json.dumps(results(str(folder), score)))
        write_scores(folder, file)
    written = ModelCard.load(folder / "README.md")
    assert "| vqa_lr | 4 | 75.0 % | [50.0, 100.0] |" in written.text
    assert "50.0 % |" not in written.text
    assert written.text.count("## Scores") == 1
    assert "None yet." not in written.text
    assert "Kept." in written.text
    assert written.data.library_name == "peft"
    assert [result.metric_value for result in written.data.eval_results] == [0.75]
    file.write_text(json.dumps(results("elsewhere", 1.0)))
    with pytest.raises(ValueError, match="these are the scores of elsewhere, not of"):
        write_scores(folder, file)


def test_a_whole_model_has_a_card_too(tiny_llava: Path, releases: Path, tmp_path: Path) -> None:
    flags = {"datasets": "vqa_lr", "data_dir": releases, "max_rows": 4, "max_steps": 1}
    flags |= {"model_name_or_path": tiny_llava, "output_dir": tmp_path / "out", **CPU_TRAINING}
    assert main([str(word) for name, value in flags.items() for word in (f"--{name}", value)]) == 0
    card = ModelCard.load(tmp_path / "out/README.md")
    assert card.data.library_name == "transformers"
    assert "A full fine-tuning of" in card.text
    assert f'load("{tmp_path}/out")' in card.text


def test_training_ends_with_commands_that_use_what_it_wrote(
    tiny_llava: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "my lora")
    data = DataArguments(datasets=["vqa_lr"], data_dir="/data/rs")
    training = SimpleNamespace(output_dir=out)
    adapter = ModelArguments(model_name_or_path=str(tiny_llava), use_peft=True)
    lines = next_steps(data, training, adapter).splitlines()
    assert lines[0] == f"Adapter: '{out}' (README.md says what it is)"
    for line in lines[2:]:
        verb, *arguments = shlex.split(line)[1:]
        given = cast("Any", get_command(app)).commands[verb].make_context(verb, arguments).params
        assert given["model"] == str(tiny_llava)
        assert given["adapter"] == out
    whole = next_steps(data, training, ModelArguments(model_name_or_path=str(tiny_llava)))
    assert "--adapter" not in whole
    assert f"rs-gpt4v chat '{out}'" in whole


def test_the_commands_read_the_rows_that_training_read() -> None:
    data = DataArguments(
        datasets=["folder"], data_dir="/data/my tiles", on_missing="skip", bands=[3, 2, 1]
    )
    training = SimpleNamespace(output_dir="out")
    lines = next_steps(data, training, ModelArguments(model_name_or_path="embedded", use_peft=True))
    for line in lines.splitlines()[3:]:
        verb, *arguments = shlex.split(line)[1:]
        given = cast("Any", get_command(app)).commands[verb].make_context(verb, arguments).params
        assert given["data_dir"] == Path("/data/my tiles")
        assert (given["on_missing"], given["bands"]) == ("skip", "3,2,1")
        assert given.get("config") or given["configs"] in ("folder", ["folder"])
    assert "--protocol" not in lines


def test_a_model_that_cannot_be_fetched_is_named_with_what_to_do() -> None:
    """`conftest.py` sets HF_HUB_OFFLINE."""
    training = cast("Any", SimpleNamespace(trust_remote_code=False))
    model = ModelArguments(model_name_or_path="nobody/nothing")
    advice = "^nobody/nothing: its files are not on this machine.*hf download nobody/nothing"
    with pytest.raises(OSError, match=advice):
        load_config(training, model)
    with pytest.raises(OSError, match=advice):
        load("nobody/nothing")
    with pytest.raises(OSError, match=advice):
        Predictor("nobody/nothing")
