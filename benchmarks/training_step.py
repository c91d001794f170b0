"""CPU of a LoRA step from end to end, and what batches without padding save.

    python benchmarks/training_step.py [--small-vlm FOLDER] [--steps 4]

The embedded model on rows of the sample (recipe `demo_lora`), and the small VLM, which
`training/examples/small_vlm/assemble.py` makes, with the recipe `ucm_small_vlm_lora` on the same
rows. Of each step: reading rows, decoding their images, the batch (with TRL's own collator beside),
the forward pass with the loss, the backward pass, the optimizer; the trainer's loop is what
`trainer.train()` takes on top. Then the same rows padded and in one row without padding. One
thread, seconds of CPU, the mean of the steps.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from typing import Any

import datasets
import numpy as np
import torch
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from rs_gpt4v_training.arguments import parse
from rs_gpt4v_training.collators import PaddingFree
from rs_gpt4v_training.recipe import recipe_path
from rs_gpt4v_training.sampling import LengthSampler, length_sampler
from rs_gpt4v_training.sft import make_trainer

ROWS = ["--datasets", "vqa_lr", "vqa_hr", "cap_ucm", "grounding", "--sample", "true"]


def trainer_of(recipe: str, steps: int, folder: str, *flags: str) -> Any:
    """A trainer of the recipe, on rows of the sample."""
    given = ["--output_dir", folder, "--max_steps", str(steps), "--save_strategy", "no"]
    some = ["--max_rows", "64", "--mixture", "{}", "--disable_tqdm", "true"]
    ways = ["--group_by_length", "true", "--padding_free", "true"]
    trainer = make_trainer(*parse([str(recipe_path(recipe)), *ROWS, *some, *given, *ways, *flags]))
    # Padded, as is usual; attention is then computed as with "sdpa".
    trainer.data_collator = trainer.data_collator.collator
    return trainer


def timed(spent: dict[str, list[float]], name: str, work: Callable[[], Any]) -> Any:
    """What ``work`` gives; its seconds of CPU are added to ``spent``."""
    start = time.process_time()
    result = work()
    spent.setdefault(name, []).append(time.process_time() - start)
    return result


def forward_and_backward(trainer: Any, batch: Any, spent: dict[str, list[float]], of: str) -> None:
    """A step but for the optimizer."""
    trainer.model.train()
    loss = timed(spent, f"forward{of}", lambda: trainer.compute_loss(trainer.model, batch))
    timed(spent, f"backward{of}", loss.backward)


def optimize(trainer: Any) -> None:
    """Clip the gradients, and take the step."""
    trained = [p for p in trainer.model.parameters() if p.requires_grad]
    torch.nn.utils.clip_grad_norm_(trained, trainer.args.max_grad_norm)
    trainer.optimizer.step()
    trainer.optimizer.zero_grad()


def one_step(trainer: Any, files: Any, indices: list[int], spent: dict[str, list[float]]) -> None:
    """Time each part of a step on the rows of ``indices``; ``files`` are the rows undecoded."""
    trl = DataCollatorForVisionLanguageModeling(trainer.processing_class, assistant_only_loss=True)
    timed(spent, "read", lambda: [files[i] for i in indices])
    rows = timed(spent, "read and decode", lambda: [trainer.train_dataset[i] for i in indices])
    batch = timed(spent, "batch", lambda: trainer.data_collator([dict(row) for row in rows]))
    timed(spent, "TRL", lambda: trl([dict(row) for row in rows]))
    flat = PaddingFree(trainer.data_collator)([dict(row) for row in rows])
    forward_and_backward(trainer, batch, spent, "")
    timed(spent, "optimizer", lambda: optimize(trainer))
    forward_and_backward(trainer, flat, spent, " without padding")
    trainer.model.zero_grad()


def profile(name: str, trainer: Any, steps: int) -> None:
    """Print the table of ``trainer``."""
    spent: dict[str, list[float]] = {}
    trainer.train()  # what is done once, such as allocating
    timed(spent, "all", trainer.train)
    rows, size = trainer.train_dataset, trainer.args.train_batch_size
    files = rows.cast_column("images", datasets.List(datasets.Image(decode=False)))
    order = np.random.default_rng(0).permutation(len(rows))
    for step in range(steps):
        one_step(trainer, files, order[step * size : (step + 1) * size].tolist(), spent)
    print_table(name, {key: sum(times) / len(times) for key, times in spent.items()}, steps)
    print_padding(rows, size)


def print_table(name: str, mean: dict[str, float], steps: int) -> None:
    """Milliseconds of CPU a step, and the share."""
    parts = {
        "reading rows": mean["read"],
        "decoding images": mean["read and decode"] - mean["read"],
        "batch": mean["batch"],
        "forward": mean["forward"],
        "backward": mean["backward"],
        "optimizer": mean["optimizer"],
    }
    parts["the trainer's loop"] = max(mean["all"] / steps - sum(parts.values()), 0)
    whole = sum(parts.values())
    print(f"\n{name}\n| part of a step | CPU, ms | share |\n|---|---:|---:|")
    for part, seconds in parts.items():
        print(f"| {part} | {1_000 * seconds:.1f} | {seconds / whole:.1%} |")
    print(f"\nTRL's collator takes {mean['TRL'] / mean['batch']:.2f} times ours")
    flat = mean["forward without padding"] + mean["backward without padding"]
    padded = mean["forward"] + mean["backward"]
    print(f"forward and backward without padding: {flat / padded:.2f} of the padded batch's")


def print_padding(rows: Any, size: int) -> None:
    """The share of padding in random batches, and in those of similar length."""
    sampler: LengthSampler = length_sampler(rows, size, seed=0)
    orders = {"random": np.random.default_rng(0).permutation(len(rows)), "grouped": [*sampler]}
    for name, order in orders.items():
        lengths = sampler.lengths[np.array(order)[: len(rows) // size * size]].reshape(-1, size)
        print(f"padding in {name} batches: {1 - lengths.mean() / lengths.max(1).mean():.1%}")


def main() -> None:
    """Profile the embedded model, and the small VLM where its folder is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small-vlm", help="folder of the checkpoint")
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    torch.set_num_threads(1)
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as folder:
        profile("embedded model", trainer_of("demo_lora", args.steps, folder), args.steps)
    if args.small_vlm:
        with tempfile.TemporaryDirectory() as folder:
            flags = ["--model_name_or_path", args.small_vlm, "--box_format", "llava"]
            trainer = trainer_of("ucm_small_vlm_lora", args.steps, folder, *flags)
            profile("small VLM", trainer, args.steps)


if __name__ == "__main__":
    main()
