"""README.md of what training saved: what it is, how to load it, what it was trained on and how."""

import json
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from datasets import Dataset
from huggingface_hub import ModelCard, ModelCardData

from rs_gpt4v import embedded_model
from rs_gpt4v.conversation import fingerprint, whole_columns
from rs_gpt4v_builders.folder.source import NAME as FOLDER
from rs_gpt4v_training.arguments import DataArguments, ModelArguments
from rs_gpt4v_training.moe_lora import is_moe_lora

_TEMPLATE = Path(__file__).with_name("card.md.jinja")
_VERSIONS = ("rs-gpt4v", "torch", "transformers", "trl", "peft", "datasets")
# What a run leaves out of its recipe: places and secrets of this machine, how it shows its
# progress, and what transformers derives from other options.
_NOT_A_RECIPE = {
    "accelerator_config",
    "activation_checkpointing",
    "adapter",
    "data_dir",
    "dataloader_pin_memory",
    "dataloader_num_workers",
    "ddp_find_unused_parameters",
    "debug",
    "disable_tqdm",
    "expected_processes",
    "logging_dir",
    "model_init_kwargs",
    "output_dir",
    "preferences",
    "remove_unused_columns",
    "report_to",
    "resume",
    "resume_from_checkpoint",
    "run_name",
    "use_cpu",
}


def write_card(
    trainer: Any, data: DataArguments, training: Any, model: ModelArguments, rows: Any
) -> None:
    """Write README.md into ``output_dir``: TRL's and PEFT's leave the data and most else out.

    Args:
        trainer: The trainer, done.
        data: Its arguments, and so ``training`` and ``model``.
        training: As said.
        model: As said.
        rows: The conversations that it was trained on.
    """
    folder = Path(str(training.output_dir))
    base = _base(model)
    is_adapter = model.has_adapter or bool(getattr(training, "adapter", None))
    on_hub = base != embedded_model.NAME and not Path(base).exists()
    card = ModelCard.from_template(
        ModelCardData(
            base_model=base if on_hub else None,
            library_name="peft" if is_adapter else "transformers",
            pipeline_tag="image-text-to-text",
            tags=["remote-sensing", "rs-gpt4v", _slug(model, training), trainer._tag_names[-1]],
        ),
        template_path=str(_TEMPLATE),
        name=folder.name,
        folder=folder,
        method=_method(model, training),
        base=f"[{base}](https://huggingface.co/{base})" if on_hub else f"`{base}`",
        base_argument=f', base="{base}"' if is_adapter and not on_hub else "",
        model_argument=base if is_adapter else folder,
        adapter_argument=f" --adapter {folder}" if is_adapter else "",
        is_adapter=is_adapter,
        is_moe_lora=_slug(model, training) == "moe-lora",
        data_text=_data_text(data, training, rows),
        row_counts=[*_row_counts(rows)],
        versions=", ".join(f"{name} {version(name)}" for name in _VERSIONS),
        recipe=_recipe(base, data, training, model),
        **_run(trainer),
    )
    card.save(folder / "README.md")


def next_steps(data: DataArguments, training: Any, model: ModelArguments) -> str:
    """What training has written, and commands that use it, as its last lines."""
    folder = shlex.quote(str(training.output_dir))
    is_adapter = model.has_adapter or bool(getattr(training, "adapter", None))
    base = shlex.quote(_base(model)) if is_adapter else folder
    adapter = f" --adapter {folder}" if is_adapter else ""
    rows = _rows_flags(data)
    own = data.own_datasets or ()
    config = next((name for name in data.datasets if name not in own), None)
    lines = [f"  rs-gpt4v chat {base}{adapter}"]
    if config and not data.repository:
        out = f"{folder}/{config}.jsonl"
        lines.append(f"  rs-gpt4v predict {base} {config}{adapter}{rows} --out {out}")
    if not own and not data.repository:
        own_files = f" {FOLDER}" if FOLDER in data.datasets else ""  # which bench asks if named
        lines.append(f"  rs-gpt4v bench {base}{own_files}{adapter}{rows} --out {folder}/bench")
    what = "Adapter" if is_adapter else "Model"
    return "\n".join([f"{what}: {folder} (README.md says what it is)", "Next:", *lines, ""])


def _rows_flags(data: DataArguments) -> str:
    """Where the rows are and how they are read, as the verbs that ask about them take it."""
    bands = data.bands and ",".join(map(str, data.bands))
    given = {
        "data-dir": None if data.sample else data.data_dir,
        "protocol": data.protocol,
        "on-missing": data.on_missing,
        "stretch": data.stretch,
        "bands": bands,
    }
    default = {"protocol": DataArguments.protocol, "on-missing": DataArguments.on_missing}
    flags = [
        f" --{name} {shlex.quote(str(value))}"
        for name, value in given.items()
        if value and value != default.get(name)
    ]
    return "".join([" --sample"] * data.sample + flags)


def _base(model: ModelArguments) -> str:
    """The model that was trained, by the name that it has anywhere if it has one."""
    name = str(model.model_name_or_path)
    return embedded_model.NAME if name == str(embedded_model.FOLDER) else name


def _recipe(base: str, *options: Any) -> str:
    """The fields of ``options`` that differ from their defaults, as YAML, without tokens."""
    given = {name: value for one in options for name, value in _given(one)}
    if "global_batch_size" in given:
        given.pop("gradient_accumulation_steps", None)
    given |= {"model_name_or_path": base}
    return yaml.safe_dump(given, sort_keys=False, allow_unicode=True).strip()


def _given(options: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(options):
        value = _plain(getattr(options, field.name))
        is_left_out = field.name in _NOT_A_RECIPE or "token" in field.name.split("_")
        if not is_left_out and value != _plain(_default(field)) and value not in (None, [], {}):
            yield field.name, value


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _plain(value: Any) -> Any:
    """As YAML holds it: transformers makes enumerations of some texts."""
    return value.value if isinstance(value, Enum) else json.loads(json.dumps(value, default=str))


def _slug(model: ModelArguments, training: Any) -> str:
    if model.use_moe_lora:
        return "moe-lora"
    if folder := getattr(training, "adapter", None):
        return "moe-lora" if is_moe_lora(folder) else "lora"
    return "lora" if model.use_peft else "full"


def _method(model: ModelArguments, training: Any) -> str:
    """Such as "A MoE-LoRA adapter (4 experts, routing: token, rank 128)"."""
    if model.use_moe_lora:
        rank = f"rank {model.rank_per_expert} each" if model.rank_per_expert else ""
        options = [f"{model.num_experts} experts", rank or f"rank {model.lora_r} in all"]
        return f"A MoE-LoRA adapter ({', '.join(options)}, routing by {model.routing})"
    if folder := getattr(training, "adapter", None):
        return f"{'A MoE-LoRA' if is_moe_lora(folder) else 'An'} adapter, trained further,"
    if model.use_peft:
        return f"A LoRA adapter (rank {model.lora_r})"
    parts = " and ".join(training.train)
    return f"A fine-tuning of the {parts}" if parts else "A full fine-tuning"


def _data_text(data: DataArguments, training: Any, rows: Any) -> str:
    """Which rows: the configs, and what decides their wording and number."""
    if getattr(training, "preferences", None):
        return f"{len(rows):,} preferences, as `rs-gpt4v preferences` wrote them."
    names = ", ".join(f"`{name}`" for name in data.datasets)
    where = "of the embedded synthetic sample" if data.sample else f"{data.protocol} protocol"
    if data.repository is not None:
        where = "of rows that were built before"
    if not isinstance(rows, Dataset):
        return f"{names}, {where}. The rows were streamed, so they were not counted."
    known = {"id", "messages", "references"} <= set(
        rows.column_names
    )  # not of rows built elsewhere
    print_of = f" with fingerprint `{fingerprint(rows)}`" if known else ""
    return f"{names}, {where}: {len(rows):,} rows{print_of}."


def _row_counts(rows: Any) -> Iterator[tuple[str, str, int]]:
    if isinstance(rows, Dataset) and {"source", "task"} <= set(rows.column_names):
        columns = whole_columns(rows, "source", "task")
        pairs = Counter(zip(columns["source"], columns["task"], strict=True))
        yield from ((source, task, count) for (source, task), count in sorted(pairs.items()))


def _run(trainer: Any) -> dict[str, Any]:
    """What the run came to."""
    state = trainer.state
    trained, total = _parameters(trainer.model)
    losses = [entry["train_loss"] for entry in state.log_history if "train_loss" in entry]
    return {
        "trained": f"{trained:,}",
        "total": f"{total:,}",
        "steps": f"{state.global_step:,}",
        "epochs": f" ({state.epoch:.3g} epochs)" if state.epoch else "",
        "loss": f", with a mean loss of {losses[-1]:.4f}" if losses else "",
    }


def _parameters(model: Any) -> tuple[int, int]:
    """How many are trained, and how many there are."""
    if hasattr(model, "get_nb_trainable_parameters"):  # PEFT's; it knows packed weights too
        return model.get_nb_trainable_parameters()
    # ZeRO-3 leaves each process an empty tensor, which knows its size.
    sizes = [(getattr(p, "ds_numel", p.numel()), p.requires_grad) for p in model.parameters()]
    return sum(size for size, is_trained in sizes if is_trained), sum(size for size, _ in sizes)
