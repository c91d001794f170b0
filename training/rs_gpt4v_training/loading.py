"""Loads what was trained here, of whatever method, in one call; and merges adapters."""

import os
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.utils import cached_file
from transformers.utils.peft_utils import find_adapter_config_file

from rs_gpt4v import model_families as families
from rs_gpt4v.embedded_model import checkpoint
from rs_gpt4v.files import AnyPath, refuse_overwriting
from rs_gpt4v_training.moe_lora import MOE_LORA


def load(
    name: AnyPath,
    base: AnyPath | None = None,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    **options: Any,
) -> tuple[Any, Any]:
    """The model and the processor of an adapter (LoRA or MoE-LoRA) or a whole model.

    Args:
        name: A folder or a Hub name.
        base: The model under an adapter, where the one that the adapter names is not at hand.
        revision: Branch, tag or commit of ``name`` on the Hub.
        trust_remote_code: Run the code that the model brings, if it brings any.
        **options: Of the model's ``from_pretrained``, such as ``dtype`` and ``device_map``.

    Raises:
        OSError: There is no such model or adapter, or an adapter's base is not where it was.
    """
    source = checkpoint(_place(name))
    config = _adapter_config(source, revision)
    under = source if config is None else _base_of(source, config, base)
    code = {"trust_remote_code": trust_remote_code}
    of_base = {"revision": revision} if config is None else {}
    with families.loading(under):
        model: Any = AutoModelForImageTextToText.from_pretrained(
            under, **of_base, **code, **options
        )
    if config is not None:
        families.ignore_newer_names()
        model = PeftModel.from_pretrained(model, source, revision=revision)
    saved = config is not None and _has_processor(source, revision)
    processor: Any = AutoProcessor.from_pretrained(
        source if saved else under,
        **({"revision": revision} if saved else of_base),
        **code,
        **families.image_options(model.config.model_type),
    )
    return model.eval(), processor


def merge(
    adapter: AnyPath,
    out: AnyPath,
    base: AnyPath | None = None,
    *,
    dtype: str = "auto",
    trust_remote_code: bool = False,
) -> list[Path]:
    """Write ``adapter``'s model with its weights merged, which needs no PEFT; say where.

    A LoRA adapter makes one checkpoint, ``out``. A MoE-LoRA adapter with routing "task" makes one
    for each of its tasks, ``out/TASK``.

    Args:
        adapter: A folder or a Hub name.
        out: Folder that is not there yet, or empty.
        base: As `load` takes it.
        dtype: Of the weights; "auto": as the base model is saved.
        trust_remote_code: As `load` takes it.

    Raises:
        ValueError: It is no adapter, its gates depend on the token, or ``out`` holds something.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out}: there is something in it already: give a new folder")
    refuse_overwriting([out], [Path(_place(adapter))])
    source = _place(adapter)
    config = _adapter_config(source, None)
    if config is None:
        raise ValueError(f"{adapter}: no adapter: it has no adapter_config.json")
    by_task = config.peft_type == MOE_LORA
    if by_task and config.routing != "task":
        raise ValueError(
            f"a MoE-LoRA adapter with routing {config.routing!r} cannot be merged: its router "
            "weighs the experts anew for each token, and no single weight matrix does that. Serve "
            "it with transformers and PEFT (load); LoRA, and MoE-LoRA with routing task, merge"
        )
    model, processor = load(source, base, trust_remote_code=trust_remote_code, dtype=dtype)
    folders: list[Path] = []
    with torch.no_grad():
        merged = (
            model.merged_for_each(config.tasks, safe_merge=True)
            if by_task
            else [("", model.merge_and_unload(safe_merge=True))]
        )
        for task, own in merged:
            folders.append(out / task)
            own.save_pretrained(folders[-1])
            processor.save_pretrained(folders[-1])
    return folders


def _place(name: AnyPath) -> str:
    """A folder as it is called here, or a Hub name as it stands."""
    folder = Path(name).expanduser()
    return str(folder) if folder.exists() else os.fspath(name)


def _adapter_config(source: str, revision: str | None) -> Any:
    """The configuration of an adapter; None of a whole model."""
    if find_adapter_config_file(source, revision=revision) is None:
        return None
    return PeftConfig.from_pretrained(source, revision=revision)


def _base_of(source: str, config: Any, base: AnyPath | None) -> str:
    named = os.fspath(base or config.base_model_name_or_path)
    under = checkpoint(_place(named))
    if base is None and Path(under).is_absolute() and not Path(under).exists():
        raise OSError(
            f"{source}: the adapter was trained on the model in {under}, which is not here. Name "
            f'that model: load("{source}", base="..."), or --model of a verb'
        )
    return under


def _has_processor(source: str, revision: str | None) -> bool:
    """Whether one was saved beside the adapter: PEFT alone saves none."""
    quiet: Any = {
        "_raise_exceptions_for_gated_repo": False,
        "_raise_exceptions_for_missing_entries": False,
        "_raise_exceptions_for_connection_errors": False,
    }
    names = ("processor_config.json", "preprocessor_config.json")
    return any(cached_file(source, name, revision=revision, **quiet) for name in names)
