"""What a method that trains further starts from: a model, or a fine-tuned adapter on it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from peft import PeftModel
from torch import nn
from trl.trainer.utils import create_model_from_path

from rs_gpt4v.conversation import Task
from rs_gpt4v_training.arguments import ModelArguments
from rs_gpt4v_training.moe_lora import MoeLoraConfig
from rs_gpt4v_training.recipe import RecipeError
from rs_gpt4v_training.sft import with_dtype


def refuse_unusable_adapter(training: Any, model: ModelArguments) -> None:
    """Raise unless the adapter to go on with is there, and all that is trained.

    Raises:
        RecipeError: Names what is wrong.
    """
    if training.adapter and not (Path(training.adapter) / "adapter_config.json").is_file():
        raise RecipeError(
            f"adapter: {training.adapter} holds no adapter_config.json: fine-tune one first, "
            "or leave it out for a new one"
        )
    given = {
        "use_peft": model.use_peft,
        "use_moe_lora": model.use_moe_lora,
        "train": training.train,
        "load_in_4bit": model.load_in_4bit,
        "load_in_8bit": model.load_in_8bit,
    }
    if training.adapter and any(given.values()):
        others = ", ".join(name for name, value in given.items() if value)
        raise RecipeError(
            f"adapter and {others} exclude each other: what is trained is the adapter alone, as it "
            "was saved"
        )


def policy(training: Any, model: ModelArguments) -> tuple[Any, Any]:
    """The checkpoint, or the model with the adapter to go on with; and how TRL shall load it."""
    training = with_dtype(training, model)
    if training.adapter is None:
        return str(model.model_name_or_path), training
    options: Any = training.model_init_kwargs
    training.model_init_kwargs = None  # TRL would warn that it does not load the model
    base = create_model_from_path(str(model.model_name_or_path), **options)
    return PeftModel.from_pretrained(base, str(training.adapter), is_trainable=True), training


def tasks_of_routers(model: nn.Module, rows: Mapping[str, Any]) -> list[str]:
    """The tasks that the routers of ``model`` know; none where it has no MoE-LoRA adapter.

    Raises:
        RecipeError: Rows are of another task.
    """
    config = model.peft_config["default"] if isinstance(model, PeftModel) else None
    if not isinstance(config, MoeLoraConfig):
        return []
    known = list(config.tasks or get_args(Task))
    for split, part in rows.items():
        if unknown := sorted({str(task) for task in part.unique("task")} - set(known)):
            raise RecipeError(
                f"{split} has rows of task {', '.join(unknown)}, but the adapter's routers were "
                f"trained for {', '.join(known)}: leave those rows out, or train a new adapter"
            )
    return known
