"""What training by preferences has in common: DPO and KTO."""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypeVar

from rs_gpt4v_training.adapters import peft_config, quantization_config
from rs_gpt4v_training.arguments import DataArguments, ModelArguments
from rs_gpt4v_training.moe_lora import TaskCollator
from rs_gpt4v_training.policy import policy, refuse_unusable_adapter, tasks_of_routers
from rs_gpt4v_training.preference_rows import preference_rows
from rs_gpt4v_training.recipe import RecipeError
from rs_gpt4v_training.sft import CommonTrainer, prepare, set_trained, show_tasks_to_routers


class PreferenceTrainer(CommonTrainer):
    """What is common to the trainers by preferences.

    Attributes:
        preferences: The config of the preferences that it takes.
        task_collator: Brings the rows' tasks to the routers.
    """

    preferences: ClassVar[str]
    task_collator: ClassVar[type[TaskCollator]] = TaskCollator


Made = TypeVar("Made", bound=PreferenceTrainer)


@dataclass
class DoubledTaskCollator(TaskCollator):
    """`TaskCollator` of batches that hold all chosen and then all rejected replies."""

    def __call__(self, examples: list[dict[str, Any]]) -> Any:
        """Collate ``examples``."""
        batch = super().__call__(examples)
        batch["tasks"] = batch["tasks"].repeat(2)
        return batch


def refuse_unusable(data: DataArguments, training: Any, model: ModelArguments) -> None:
    """Raise unless the options go together.

    Raises:
        RecipeError: Names those that do not.
    """
    if training.preferences is None:
        raise RecipeError(
            "preferences: name the folder that `rs-gpt4v preferences` wrote: there is nothing else "
            "to train on"
        )
    plain = DataArguments()
    allowed = ("box_format", "max_rows")
    given = [
        name
        for name, value in vars(data).items()
        if name not in allowed and value != getattr(plain, name)
    ]
    if given:
        raise RecipeError(
            f"{', '.join(given)}: the rows come from preferences, built already: leave it out"
        )
    refuse_unusable_adapter(training, model)


def make_trainer(
    kind: type[Made], data: DataArguments, training: Any, model: ModelArguments
) -> Made:
    """The trainer of class ``kind`` with its model and rows, ready to train.

    Raises:
        RecipeError: Options exclude each other.
    """
    refuse_unusable(data, training, model)
    load = partial(preference_rows, config=kind.preferences)
    ready = prepare(data, training, model, training.adapter, load)
    training.max_length = None  # none is cut
    start, training = policy(training, model)
    made: Any = kind
    trainer = made(
        model=start,
        args=training,
        train_dataset=ready.rows["train"],
        eval_dataset=ready.rows.get("validation"),
        processing_class=ready.processor,
        peft_config=peft_config(model, ready.tasks),
        quantization_config=quantization_config(model),
    )
    trainer.conversations = ready.rows["train"]
    set_trained(trainer, model, ready)
    if tasks := tasks_of_routers(trainer.model, ready.rows):
        show_tasks_to_routers(trainer, tasks, kind.task_collator)
    return trainer
