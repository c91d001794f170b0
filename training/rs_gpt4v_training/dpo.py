"""Training by preferences between two replies (DPO, Rafailov et al., 2023): full, LoRA or MoE-LoRA.

    accelerate launch --quiet -m rs_gpt4v_training.dpo RECIPE.yaml [--flag value ...]

The model learns to prefer the better reply of each pair more than the model that it started from
does. A recipe holds fields of `rs_gpt4v_training.arguments`; flags override it.
"""

import sys
from functools import partial

from trl import DPOTrainer

from rs_gpt4v_training.arguments import DataArguments, DpoArguments, ModelArguments, parse_for
from rs_gpt4v_training.preference import DoubledTaskCollator, PreferenceTrainer, make_trainer
from rs_gpt4v_training.sft import plain_errors, run, run_training


class Trainer(PreferenceTrainer, DPOTrainer):
    """`trl.DPOTrainer` with what is common."""

    args: DpoArguments
    preferences = "pairs"
    task_collator = DoubledTaskCollator


@plain_errors()
def train(data: DataArguments, training: DpoArguments, model: ModelArguments) -> Trainer:
    """Train as the arguments say, and save the model (or adapter) with its processor."""
    return run_training(partial(make_trainer, Trainer), data, training, model)


def main(argv: list[str] | None = None) -> int:
    """Run ``argv`` (default: the process arguments); return the exit status."""
    train(*parse_for(DpoArguments, sys.argv[1:] if argv is None else argv))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
