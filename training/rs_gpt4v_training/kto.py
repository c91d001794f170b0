"""Training by good and bad replies (KTO, Ethayarajh et al., 2024): full, LoRA or MoE-LoRA.

    accelerate launch --quiet -m rs_gpt4v_training.kto RECIPE.yaml [--flag value ...]

Each reply is labelled by itself, without another one to the same question. A recipe holds fields of
`rs_gpt4v_training.arguments`; flags override it.
"""

import sys
from functools import partial

from trl import KTOTrainer

from rs_gpt4v_training.arguments import DataArguments, KtoArguments, ModelArguments, parse_for
from rs_gpt4v_training.preference import PreferenceTrainer, make_trainer
from rs_gpt4v_training.sft import plain_errors, run, run_training


class Trainer(PreferenceTrainer, KTOTrainer):
    """`trl.KTOTrainer` with what is common."""

    args: KtoArguments
    preferences = "labels"


@plain_errors()
def train(data: DataArguments, training: KtoArguments, model: ModelArguments) -> Trainer:
    """Train as the arguments say, and save the model (or adapter) with its processor."""
    return run_training(partial(make_trainer, Trainer), data, training, model)


def main(argv: list[str] | None = None) -> int:
    """Run ``argv`` (default: the process arguments); return the exit status."""
    train(*parse_for(KtoArguments, sys.argv[1:] if argv is None else argv))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
