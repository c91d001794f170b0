"""Training by rewards (GRPO, Shao et al., 2024) on the conversation rows: full, LoRA or MoE-LoRA.

    accelerate launch --quiet -m rs_gpt4v_training.grpo RECIPE.yaml [--flag value ...]

The model replies several times to the question of each row, and learns from how much better than
the others each reply is, by the metric of the row's task: see `rs_gpt4v_training.rewards`. A recipe
holds fields of `rs_gpt4v_training.arguments`; flags override it.
"""

import sys
from pathlib import Path
from typing import Any

import datasets
from peft import PeftModel
from trl import GRPOTrainer
from trl.trainer.utils import RepeatSampler, create_model_from_path

from rs_gpt4v.conversation import whole_columns
from rs_gpt4v_training.adapters import peft_config, quantization_config
from rs_gpt4v_training.arguments import DataArguments, GrpoArguments, ModelArguments, parse_for
from rs_gpt4v_training.moe_lora import RouterStatistics
from rs_gpt4v_training.recipe import RecipeError
from rs_gpt4v_training.rewards import RewardFunction, Rules, refuse_unrewarded
from rs_gpt4v_training.sft import (
    CommonTrainer,
    plain_errors,
    prepare,
    router_statistics,
    run,
    run_training,
    set_trained,
    with_dtype,
)


class EpochSampler(RepeatSampler):
    """TRL's, whose order of an epoch depends on the epoch alone.

    TRL's draws an epoch's order after those before, which a run that resumes has not drawn.
    """

    def set_epoch(self, epoch: int) -> None:
        """Called by transformers as an epoch begins."""
        if self.shuffle:
            self.generator.manual_seed((self.seed or 0) + epoch)


class Trainer(CommonTrainer, GRPOTrainer):
    """`trl.GRPOTrainer` with what is common."""

    args: GrpoArguments

    def _get_train_sampler(self, dataset: Any = None) -> EpochSampler:
        sampler: Any = super()._get_train_sampler(dataset)
        sampler.__class__ = EpochSampler
        return sampler


@plain_errors()
def train(data: DataArguments, training: GrpoArguments, model: ModelArguments) -> Trainer:
    """Train as the arguments say, and save the model (or adapter) with its processor."""
    return run_training(make_trainer, data, training, model)


@plain_errors()
def make_trainer(data: DataArguments, training: GrpoArguments, model: ModelArguments) -> Trainer:
    """The trainer with its model, rows and rewards, ready to train.

    Raises:
        RecipeError: Options exclude each other, or rows have no reward.
    """
    refuse_unusable(data, training, model)
    ready = prepare(data, training, model, training.adapter)
    rules = Rules(ready.box_format, training.counts, training.areas)
    for part in ready.rows.values():
        refuse_unrewarded(part, training.weights, rules)
    rows = {split: as_prompts(part) for split, part in ready.rows.items()}
    if training.adapter is None:
        policy: Any = str(model.model_name_or_path)
        training = with_dtype(training, model)
    else:
        policy = _adapted(training, model)
    trainer = Trainer(
        model=policy,
        reward_funcs=[
            RewardFunction(name, rules, shows_references=not i)
            for i, name in enumerate(training.weights)
        ],
        args=training,
        train_dataset=rows["train"],
        eval_dataset=rows.get("validation"),
        processing_class=ready.processor,
        peft_config=peft_config(model, ready.tasks),
        quantization_config=quantization_config(model),
    )
    trainer.conversations = ready.rows["train"]
    set_trained(trainer, model, ready)
    if model.use_moe_lora:
        trainer.add_callback(RouterStatistics(router_statistics(training)))
    return trainer


def refuse_unusable(data: DataArguments, training: GrpoArguments, model: ModelArguments) -> None:
    """Raise unless the options go together.

    Raises:
        RecipeError: Names those that do not.
    """
    if data.streaming:
        raise RecipeError("streaming: rewards are checked for all rows before training; leave out")
    if model.use_moe_lora and model.routing == "task":
        raise RecipeError(
            "routing: task needs to be told each row's task in every pass, and those that make "
            "replies are not: take routing: token"
        )
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


def as_prompts(rows: datasets.Dataset) -> datasets.Dataset:
    """``rows`` with a ``prompt``, all up to the last question, and that ``question``.

    Images are neither decoded nor copied.
    """
    messages = whole_columns(rows, "messages")["messages"]
    prompts: Any = [row[:-1] for row in messages]
    questions: Any = [row[-1]["content"] for row in prompts]
    rows = rows.remove_columns("messages")
    return rows.add_column("prompt", prompts).add_column("question", questions)


def _adapted(training: GrpoArguments, model: ModelArguments) -> Any:
    """The model with the adapter that training goes on with."""
    options: Any = with_dtype(training, model).model_init_kwargs
    training.model_init_kwargs = None  # TRL would warn that it does not load the model
    base = create_model_from_path(str(model.model_name_or_path), **options)
    return PeftModel.from_pretrained(base, str(training.adapter), is_trainable=True)


def main(argv: list[str] | None = None) -> int:
    """Run ``argv`` (default: the process arguments); return the exit status."""
    train(*parse_for(GrpoArguments, sys.argv[1:] if argv is None else argv))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
