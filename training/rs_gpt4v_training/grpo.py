"""Training by rewards (GRPO, Shao et al., 2024) on the conversation rows: full, LoRA or MoE-LoRA.

    accelerate launch --quiet -m rs_gpt4v_training.grpo RECIPE.yaml [--flag value ...]

The model replies several times to the question of each row, and learns from how much better than
the others each reply is, by the metric of the row's task: see `rs_gpt4v_training.rewards`. A recipe
holds fields of `rs_gpt4v_training.arguments`; flags override it.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import datasets
import torch
from torch import nn
from trl import GRPOTrainer
from trl.trainer.utils import RepeatSampler

from rs_gpt4v.conversation import whole_columns
from rs_gpt4v_training.adapters import peft_config, quantization_config
from rs_gpt4v_training.arguments import DataArguments, GrpoArguments, ModelArguments, parse_for
from rs_gpt4v_training.moe_lora import RouterStatistics, use_task
from rs_gpt4v_training.policy import policy, refuse_unusable_adapter, tasks_of_routers
from rs_gpt4v_training.recipe import RecipeError
from rs_gpt4v_training.reward_curves import plot_rewards
from rs_gpt4v_training.rewards import RewardFunction, Rules, refuse_unrewarded
from rs_gpt4v_training.sft import (
    CommonTrainer,
    draws,
    plain_errors,
    prepare,
    router_statistics,
    run,
    run_training,
    set_trained,
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
    """`trl.GRPOTrainer` with what is common, and the task of each row for MoE-LoRA's routers.

    Attributes:
        tasks: Those that routers know; none without them.
        tasks_of_batch: The place in ``tasks`` of each row that a pass is about, shape [rows].
    """

    args: GrpoArguments
    tasks: Sequence[str] = ()
    tasks_of_batch: torch.Tensor | None = None

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> Any:
        if not self.tasks:
            return super()._generate_and_score_completions(inputs)
        names = [row["task"] for row in inputs]
        numbers = [self.tasks.index(name) for name in names]
        self.tasks_of_batch = torch.tensor(numbers, device=self.accelerator.device)
        with use_task(cast("nn.Module", self.model), names):
            batch = super()._generate_and_score_completions(inputs)
        return batch | {"tasks": self.tasks_of_batch}  # TRL shuffles and splits it with the rest

    def _compute_loss(self, model: nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
        self.tasks_of_batch = inputs.get("tasks")
        return super()._compute_loss(model, inputs)

    def _get_per_token_logps_and_entropies(self, model: nn.Module, *args: Any, **more: Any) -> Any:
        if self.tasks_of_batch is not None:
            model = cast("nn.Module", _routed(model, self.tasks_of_batch))
        return super()._get_per_token_logps_and_entropies(model, *args, **more)

    def _get_train_sampler(self, dataset: Any = None) -> EpochSampler:
        sampler: Any = super()._get_train_sampler(dataset)
        sampler.__class__ = EpochSampler
        return sampler


def _routed(model: nn.Module, tasks: torch.Tensor) -> Callable[..., Any]:
    """``model`` for batches that follow one another, whose rows are of ``tasks``."""
    start = 0

    def run(*, input_ids: torch.Tensor, **inputs: Any) -> Any:
        nonlocal start
        own = tasks[start : start + len(input_ids)]
        start += len(input_ids)
        return model(input_ids=input_ids, tasks=own, **inputs)

    return run


@plain_errors()
def train(data: DataArguments, training: GrpoArguments, model: ModelArguments) -> Trainer:
    """Train as the arguments say, and save the model (or adapter) with its processor.

    With matplotlib, ``rewards.png`` in the output folder shows the rewards over the steps.
    """
    trainer = run_training(make_trainer, data, training, model)
    if draws(trainer):
        out = Path(str(training.output_dir))
        plot_rewards(out / "trainer_state.json", out / "rewards.png")
    return trainer


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
    refuse_too_few(len(rows["train"]), training, cast("int", training.generation_batch_size))
    start, training = policy(training, model)
    trainer = Trainer(
        model=start,
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
    trainer.tasks = tasks_of_routers(cast("nn.Module", trainer.model), ready.rows)
    if trainer.tasks:
        trainer.add_callback(RouterStatistics(router_statistics(training), trainer.tasks))
    return trainer


def refuse_unusable(data: DataArguments, training: GrpoArguments, model: ModelArguments) -> None:
    """Raise unless the options go together.

    Raises:
        RecipeError: Names those that do not.
    """
    if data.streaming:
        raise RecipeError("streaming: rewards are checked for all rows before training; leave out")
    if data.repository is not None:
        raise RecipeError(
            "repository: of its rows the conversations alone are read, and rewards need references "
            "and true boxes: name configs in datasets instead"
        )
    refuse_unusable_adapter(training, model)


def refuse_too_few(rows: int, training: Any, replies: int) -> None:
    """Raise unless so many rows are enough to make so many replies at once; others need none.

    TRL leaves out of an epoch what is not enough, so it would learn nothing and say nothing.

    Raises:
        RecipeError: There are fewer.
    """
    questions = replies // training.num_generations if replies else 0
    if rows < questions:
        raise RecipeError(
            f"{rows} rows, but {replies} replies are made at once, {training.num_generations} to a "
            f"question: {questions} rows are needed. Take more rows, or a smaller "
            "per_device_train_batch_size or global_batch_size"
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


def main(argv: list[str] | None = None) -> int:
    """Run ``argv`` (default: the process arguments); return the exit status."""
    train(*parse_for(GrpoArguments, sys.argv[1:] if argv is None else argv))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
